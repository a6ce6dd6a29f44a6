//! Stream messages on their way out, as the faults of the connection's door let them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::Utf8Bytes;
use tokio::time::Instant;

use super::door::{Door, Socket};
use super::fanout::{About, Outgoing};
use super::faults::{Fault, FaultDoor};
use super::garble::garble;
use super::gate::Standing;

pub(super) struct Outbound {
    door: Arc<Door>,
    seen: Arc<Socket>,
    /// Delayed messages and those behind them.
    waiting: VecDeque<(Instant, Utf8Bytes)>,
    /// It goes out after the next one.
    held_back: Option<Utf8Bytes>,
}

impl Outbound {
    pub fn new(door: &Arc<Door>, seen: &Arc<Socket>) -> Self {
        Self { door: Arc::clone(door), seen: Arc::clone(seen), waiting: VecDeque::new(), held_back: None }
    }

    /// What goes out now that this message has come.
    pub fn take(&mut self, message: Outgoing) -> Vec<Utf8Bytes> {
        if self.door.faults.is_quiet() && self.waiting.is_empty() && self.held_back.is_none() {
            return vec![message.text];
        }
        let faults = match message.about {
            About::Market(topic) => self.door.faults.at_message(FaultDoor::MarketStreams, &topic.to_string()),
            About::User => self.door.faults.at_message(FaultDoor::UserStreams, event_type(&message.text)),
            About::Notice => Vec::new(),
        };
        let (mut text, mut copies, mut delay, mut swapped) = (message.text, 1, 0, false);
        for fault in faults {
            match fault {
                Fault::Drop => copies = 0,
                Fault::Duplicate => copies *= 2,
                Fault::Delay { ms } => delay = delay.max(ms),
                Fault::Reorder => swapped = true,
                Fault::Malformed { form } => text = garble(form, &text).into(),
                Fault::Disconnect => self.throw(Standing::Closed),
                Fault::HalfOpen => self.throw(Standing::Frozen),
                _ => {}
            }
        }
        let mut out = vec![text; copies];
        if swapped && self.held_back.is_none() {
            self.held_back = out.pop();
        } else if !out.is_empty() {
            out.extend(self.held_back.take());
        }
        self.queue(out, Duration::from_millis(delay))
    }

    /// Nothing overtakes a delayed message.
    fn queue(&mut self, texts: Vec<Utf8Bytes>, delay: Duration) -> Vec<Utf8Bytes> {
        if delay.is_zero() && self.waiting.is_empty() {
            return texts;
        }
        let due = Instant::now() + delay;
        let due = self.waiting.back().map_or(due, |(last, _)| due.max(*last));
        self.waiting.extend(texts.into_iter().map(|text| (due, text)));
        Vec::new()
    }

    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// When the next delayed message goes out.
    pub fn due(&self) -> Instant {
        self.waiting.front().map_or_else(Instant::now, |(due, _)| *due)
    }

    /// Delayed messages whose time has come.
    pub fn ripe(&mut self) -> Vec<Utf8Bytes> {
        let now = Instant::now();
        let count = self.waiting.iter().take_while(|(due, _)| *due <= now).count();
        self.waiting.drain(..count).map(|(_, text)| text).collect()
    }

    fn throw(&self, standing: Standing) {
        let _nothing_to_say: Option<()> = self.door.throw(&self.seen.switch, standing);
    }
}

/// The value of the first `"e"`.
fn event_type(text: &str) -> &str {
    let start = text.find("\"e\":\"").map_or(text.len(), |at| at + 5);
    text[start..].split('"').next().unwrap_or_default()
}
