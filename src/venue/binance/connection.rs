//! One websocket with a task of its own, so that pings are answered and silence is noticed however busy its owner is.
//!
//! What arrives goes into the owner's bounded queue with its time and the connection's epoch. When the queue is full, market messages are
//! dropped and the owner is told so in their place; user messages wait, which holds the venue back.

use std::time::{Duration, Instant};

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::JoinHandle;
use tokio::time::{Instant as TokioInstant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::{Bytes, Message, Utf8Bytes};

use super::pace::Pace;
use super::rest::RestClient;
use super::socket::{Arrived, Socket, SocketError, connect, part, read, write};
use super::stream_rules::StreamRules;
use crate::domain::Timestamp;

/// Messages to the venue that may wait for their turn.
const WORDS: usize = 64;
/// Parting takes two short waits, and perhaps one for the pace.
const GONE_WITHIN: Duration = Duration::from_millis(1_500);

/// Which connection of its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Epoch(pub u64);

/// What a connection tells its owner.
pub(super) struct Heard {
    pub epoch: Epoch,
    /// When it arrived here.
    pub at: Timestamp,
    pub news: News,
}

pub(super) enum News {
    Opened,
    Text(Utf8Bytes),
    Binary,
    /// So many messages were dropped here because the owner was too slow.
    Dropped(u32),
    Ended(SocketError),
}

/// What happens while the owner's queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WhenFull {
    Drop,
    Wait,
}

/// Makes connections to one address.
#[derive(Clone)]
pub(super) struct Dialer {
    pub rest: RestClient,
    pub url: String,
    /// What the venue counts for a connection with all that is asked at its start.
    pub weight: u32,
    pub rules: StreamRules,
    pub when_full: WhenFull,
    pub to: Sender<Heard>,
}

/// The owner's end of a connection.
pub(super) struct Connection {
    pub epoch: Epoch,
    words: Sender<String>,
    task: JoinHandle<()>,
    opened: bool,
}

impl Dialer {
    pub fn dial(&self, epoch: Epoch) -> Connection {
        let (words, to_say) = mpsc::channel(WORDS);
        let talk = Talk { dialer: self.clone(), epoch, dropped: 0 };
        Connection { epoch, words, task: tokio::spawn(talk.run(to_say)), opened: false }
    }
}

impl Connection {
    pub fn opened(&mut self) {
        self.opened = true;
    }

    /// Sends a text when the pace allows it. False when too many wait already.
    #[must_use]
    pub fn say(&self, text: String) -> bool {
        self.words.try_send(text).is_ok()
    }

    /// Parts from the venue in the background; the task ends soon.
    pub fn close(self) -> JoinHandle<()> {
        if !self.opened {
            self.task.abort();
        }
        self.task
    }

    /// Parts from the venue; at the latest after a short time.
    pub async fn closed(self) {
        let mut task = self.close();
        if timeout(GONE_WITHIN, &mut task).await.is_err() {
            task.abort();
        }
    }
}

struct Talk {
    dialer: Dialer,
    epoch: Epoch,
    dropped: u32,
}

impl Talk {
    async fn run(mut self, to_say: Receiver<String>) {
        self.dialer.rest.http().turn(self.dialer.weight).await;
        let why = match connect(&self.dialer.url).await {
            Ok(mut socket) => {
                self.tell(News::Opened).await;
                match self.converse(&mut socket, to_say).await {
                    Ok(()) => return part(socket).await,
                    Err(why) => why,
                }
            }
            Err(why) => why,
        };
        self.tell(News::Ended(why)).await;
    }

    /// `Ok` when the owner hung up.
    async fn converse(&mut self, socket: &mut Socket, mut to_say: Receiver<String>) -> Result<(), SocketError> {
        let (ping_every, pong_within) = (self.dialer.rules.ping_every, self.dialer.rules.pong_within);
        let mut pace = Pace::default();
        let mut pinged = Instant::now();
        let mut waiting = false;
        loop {
            let held = pace.wait_until(Instant::now());
            let alarm = pinged + if waiting { pong_within } else { ping_every };
            tokio::select! {
                arrived = read(socket) => {
                    // Any frame shows that someone is there, not that a stream lives.
                    waiting = false;
                    match arrived? {
                        Arrived::Text(text) => self.forward(News::Text(text)).await,
                        Arrived::Binary => self.forward(News::Binary).await,
                        Arrived::SignOfLife => {}
                    }
                }
                word = to_say.recv(), if held.is_none() => {
                    let Some(word) = word else { return Ok(()) };
                    pace.sent(Instant::now());
                    write(socket, Message::text(word)).await?;
                }
                () = sleep_until(TokioInstant::from_std(held.unwrap_or(alarm))), if held.is_some() => {}
                () = sleep_until(TokioInstant::from_std(alarm)) => {
                    if waiting {
                        return Err(SocketError::NoPong(pong_within));
                    }
                    (pinged, waiting) = (Instant::now(), true);
                    pace.sent(pinged);
                    write(socket, Message::Ping(Bytes::new())).await?;
                }
            }
        }
    }

    fn heard(&self, news: News) -> Heard {
        Heard { epoch: self.epoch, at: self.dialer.rest.http().clock.local_now(), news }
    }

    async fn tell(&mut self, news: News) {
        if self.dialer.to.send(self.heard(news)).await.is_err() {
            tracing::debug!("a connection outlived its owner");
        }
    }

    async fn forward(&mut self, news: News) {
        if self.dialer.when_full == WhenFull::Wait {
            return self.tell(news).await;
        }
        // In the place of what is missing, so that nothing after it is taken for its continuation.
        if self.dropped > 0 && self.dialer.to.try_send(self.heard(News::Dropped(self.dropped))).is_ok() {
            self.dropped = 0;
        }
        if self.dropped > 0 || matches!(self.dialer.to.try_send(self.heard(news)), Err(TrySendError::Full(_))) {
            self.dropped = self.dropped.saturating_add(1);
        }
    }
}
