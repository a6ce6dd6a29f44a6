//! Who listens to what: WebSocket connections, their market streams and their user data subscriptions.
//!
//! Each connection has a bounded line. A connection that does not keep up is cut off rather than slowed down or skipped:
//! a hole in a stream that looks like no hole would be worse than a disconnect.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::extract::ws::Utf8Bytes;
use tokio::sync::{Notify, mpsc};

use super::micros::in_micros;
use super::topic::Topic;
use crate::domain::Timestamp;

/// Messages that may wait for one connection.
pub(super) const LINE_LENGTH: usize = 8_192;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ConnectionId(u64);

/// How a connection wants its events wrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Raw,
    /// `{"stream":..,"data":..}`
    Combined,
    /// The WebSocket API: user data events with the number of their subscription.
    Api,
}

/// What a message is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    Market(Topic),
    User,
    /// The connection itself.
    Notice,
}

/// A message on its way out.
#[derive(Debug, Clone)]
pub(super) struct Outgoing {
    pub about: About,
    pub text: Utf8Bytes,
}

/// The receiving end of a connection.
pub(super) struct Line {
    pub id: ConnectionId,
    pub messages: mpsc::Receiver<Outgoing>,
    /// Told when the connection must be closed.
    pub cut: Arc<Notify>,
}

struct Sender {
    messages: mpsc::Sender<Outgoing>,
    cut: Arc<Notify>,
    form: Form,
    /// Times are wanted in microseconds.
    micros: bool,
    topics: BTreeSet<Topic>,
    /// The user data subscription, if any, and the next free number.
    user: Option<u32>,
    next_user: u32,
}

#[derive(Default)]
pub(super) struct Fanout {
    next: u64,
    senders: BTreeMap<ConnectionId, Sender>,
    listeners: BTreeMap<Topic, BTreeSet<ConnectionId>>,
}

impl Fanout {
    pub fn open(&mut self, form: Form, micros: bool) -> Line {
        let id = ConnectionId(self.next);
        self.next += 1;
        let (messages, receiver) = mpsc::channel(LINE_LENGTH);
        let cut = Arc::new(Notify::new());
        let sender = Sender { messages, cut: Arc::clone(&cut), form, micros, topics: BTreeSet::new(), user: None, next_user: 0 };
        self.senders.insert(id, sender);
        Line { id, messages: receiver, cut }
    }

    pub fn close(&mut self, id: ConnectionId) {
        let Some(sender) = self.senders.remove(&id) else { return };
        for topic in sender.topics {
            self.forget(topic, id);
        }
        sender.cut.notify_one();
    }

    pub fn subscribe(&mut self, id: ConnectionId, topic: Topic) {
        if let Some(sender) = self.senders.get_mut(&id) {
            sender.topics.insert(topic);
            self.listeners.entry(topic).or_default().insert(id);
        }
    }

    pub fn unsubscribe(&mut self, id: ConnectionId, topic: Topic) {
        if let Some(sender) = self.senders.get_mut(&id) {
            sender.topics.remove(&topic);
            self.forget(topic, id);
        }
    }

    pub fn topics_of(&self, id: ConnectionId) -> Vec<Topic> {
        self.senders.get(&id).map(|s| s.topics.iter().copied().collect()).unwrap_or_default()
    }

    /// Topics that somebody listens to.
    pub fn topics(&self) -> Vec<Topic> {
        self.listeners.keys().copied().collect()
    }

    pub fn hears(&self, topic: Topic) -> bool {
        self.listeners.contains_key(&topic)
    }

    /// Sends a market event; the payload is made only when somebody listens.
    pub fn publish(&mut self, topic: Topic, payload: impl FnOnce() -> String) {
        let Some(listeners) = self.listeners.get(&topic) else { return };
        let raw = payload();
        // One text for each way of asking, made when it is first needed.
        let mut texts: [Option<Utf8Bytes>; 4] = [const { None }; 4];
        let mut slow = Vec::new();
        for id in listeners {
            let Some(sender) = self.senders.get(id) else { continue };
            let combined = sender.form == Form::Combined;
            let make = || {
                let raw = if sender.micros { in_micros(&raw) } else { raw.clone() };
                if combined { format!("{{\"stream\":\"{topic}\",\"data\":{raw}}}").into() } else { Utf8Bytes::from(raw) }
            };
            let text = texts[usize::from(combined) * 2 + usize::from(sender.micros)].get_or_insert_with(make).clone();
            if sender.messages.try_send(Outgoing { about: About::Market(topic), text }).is_err() {
                slow.push(*id);
            }
        }
        slow.into_iter().for_each(|id| self.close(id));
    }

    /// The number of the new user data subscription; `None` when the connection has one already or is gone.
    pub fn subscribe_user(&mut self, id: ConnectionId) -> Option<u32> {
        let sender = self.senders.get_mut(&id)?;
        if sender.user.is_some() {
            return None;
        }
        let number = sender.next_user;
        sender.next_user += 1;
        sender.user = Some(number);
        Some(number)
    }

    /// The connection's user data subscription.
    pub fn user_of(&self, id: ConnectionId) -> Option<u32> {
        self.senders.get(&id)?.user
    }

    pub fn is_combined(&self, id: ConnectionId) -> bool {
        self.senders.get(&id).is_some_and(|sender| sender.form == Form::Combined)
    }

    pub fn set_combined(&mut self, id: ConnectionId, combined: bool) {
        if let Some(sender) = self.senders.get_mut(&id) {
            sender.form = if combined { Form::Combined } else { Form::Raw };
        }
    }

    /// Ends the subscription `number`, or whichever there is; false when there is none.
    pub fn unsubscribe_user(&mut self, id: ConnectionId, number: Option<u32>) -> bool {
        let Some(sender) = self.senders.get_mut(&id) else { return false };
        let found = sender.user.is_some() && (number.is_none() || number == sender.user);
        if found {
            sender.user = None;
        }
        found
    }

    /// Sends one user data event to every subscription.
    pub fn publish_user(&mut self, event: &str) {
        let mut slow = Vec::new();
        for (id, sender) in &self.senders {
            let Some(number) = sender.user else { continue };
            let event = if sender.micros { Cow::Owned(in_micros(event)) } else { Cow::Borrowed(event) };
            let text = format!("{{\"subscriptionId\":{number},\"event\":{event}}}").into();
            if sender.messages.try_send(Outgoing { about: About::User, text }).is_err() {
                slow.push(*id);
            }
        }
        slow.into_iter().for_each(|id| self.close(id));
    }

    /// Tells every connection that it will be closed.
    pub fn announce_shutdown(&mut self, now: Timestamp) {
        let event = format!("{{\"e\":\"serverShutdown\",\"E\":{}}}", now.millis());
        for sender in self.senders.values() {
            let text = match sender.form {
                Form::Raw => event.clone(),
                Form::Combined => format!("{{\"stream\":\"!serverShutdown\",\"data\":{event}}}"),
                Form::Api => format!("{{\"event\":{event}}}"),
            };
            // One that is too full to hear it is cut off with the others.
            drop(sender.messages.try_send(Outgoing { about: About::Notice, text: text.into() }));
        }
    }

    pub fn close_all(&mut self) {
        let ids: Vec<ConnectionId> = self.senders.keys().copied().collect();
        ids.into_iter().for_each(|id| self.close(id));
    }

    fn forget(&mut self, topic: Topic, id: ConnectionId) {
        if let Some(listeners) = self.listeners.get_mut(&topic) {
            listeners.remove(&id);
            if listeners.is_empty() {
                self.listeners.remove(&topic);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::venue::exchange::topic::Feed;

    fn topic() -> Topic {
        Topic::One("BTCUSDT".parse().unwrap(), Feed::Trade)
    }

    #[test]
    fn combined_connections_get_the_stream_name() {
        let mut fanout = Fanout::default();
        let (mut raw, mut combined) = (fanout.open(Form::Raw, false), fanout.open(Form::Combined, false));
        fanout.publish(topic(), || unreachable!("nobody listens"));
        fanout.subscribe(raw.id, topic());
        fanout.subscribe(combined.id, topic());
        fanout.publish(topic(), || "{}".into());
        assert_eq!(raw.messages.try_recv().unwrap().text.as_str(), "{}");
        assert_eq!(combined.messages.try_recv().unwrap().text.as_str(), "{\"stream\":\"btcusdt@trade\",\"data\":{}}");
        fanout.unsubscribe(raw.id, topic());
        fanout.close(combined.id);
        assert!(fanout.topics().is_empty() && !fanout.hears(topic()));
    }

    #[test]
    fn a_connection_that_does_not_keep_up_is_cut_off() {
        let mut fanout = Fanout::default();
        let (slow, mut quick) = (fanout.open(Form::Raw, false), fanout.open(Form::Raw, false));
        fanout.subscribe(slow.id, topic());
        fanout.subscribe(quick.id, topic());
        for _ in 0..=LINE_LENGTH {
            fanout.publish(topic(), || "1".into());
            quick.messages.try_recv().unwrap();
        }
        assert!(!fanout.senders.contains_key(&slow.id) && fanout.senders.contains_key(&quick.id));
    }

    #[test]
    fn a_connection_has_one_user_subscription_at_a_time() {
        let mut fanout = Fanout::default();
        let mut line = fanout.open(Form::Api, false);
        assert_eq!((fanout.subscribe_user(line.id), fanout.subscribe_user(line.id)), (Some(0), None));
        fanout.publish_user("{\"e\":1}");
        assert_eq!(line.messages.try_recv().unwrap().text.as_str(), "{\"subscriptionId\":0,\"event\":{\"e\":1}}");
        assert!(!fanout.unsubscribe_user(line.id, Some(3)) && fanout.unsubscribe_user(line.id, Some(0)));
        assert_eq!(fanout.subscribe_user(line.id), Some(1));
    }
}
