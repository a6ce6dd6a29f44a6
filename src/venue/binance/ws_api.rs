//! The WebSocket API as a way to send requests: one standing connection, answers matched by id.
//!
//! A request that was written and not answered has an unknown outcome; one that was not written did not happen. The connection is made anew
//! for as long as the program runs; meanwhile requests are turned away at once, so that they can go another way.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, timeout};
use tokio_tungstenite::tungstenite::{self, Bytes, Message, Utf8Bytes};

use super::error::{Call, ClientError};
use super::http::{SharedHttp, VenueErrorWire};
use super::limiter::Count;
use super::number::Lenient;
use super::outbox::described;
use super::rules_wire::RateLimitWire;
use super::signed::{message, socket_params};
use super::socket::{Pauses, Socket, SocketError, connect, part};
use super::transport::{Ask, Transport};
use crate::domain::Timestamp;

/// The venue gives up on a request after 10 s (-1007); we give up after it.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(12);
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);
const PING_EVERY: Duration = Duration::from_secs(20);
const DEAD_AFTER: Duration = Duration::from_secs(50);
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The venue cuts connections at 24 h; this one is renewed before, at no fixed hour.
const LIFE: Duration = Duration::from_secs(22 * 3_600);
const LIFE_SPREAD_SECS: u64 = 3_600;
const CONNECTION_WEIGHT: u32 = 2;
const QUEUE: usize = 256;
const SHOWN_CHARS: usize = 120;

/// The sending end; clones share the connection.
#[derive(Clone)]
pub(super) struct WsApi {
    http: SharedHttp,
    requests: mpsc::Sender<Letter>,
    next: Arc<AtomicU64>,
}

/// A request on its way to the connection.
struct Letter {
    id: u64,
    text: String,
    answer: oneshot::Sender<Result<Utf8Bytes, Undone>>,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Undone {
    /// It never left.
    NotSent,
    /// It left, wholly or in part.
    Lost(&'static str),
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("no connection")]
    NotMade(#[source] SocketError),
    #[error("the connection broke")]
    Broke(#[source] Box<tungstenite::Error>),
    #[error("the venue closed the connection")]
    Closed,
    #[error("no sign of life for {} s", .0.as_secs())]
    Silent(Duration),
    #[error("a message could not be written within {} s", WRITE_TIMEOUT.as_secs())]
    Stuck,
    #[error("it is renewed before its 24 h limit, or the venue announced its shutdown")]
    Renewed,
}

/// The other end: run it beside the program.
pub(super) struct Connection {
    http: SharedHttp,
    requests: mpsc::Receiver<Letter>,
}

impl WsApi {
    pub fn new(http: SharedHttp) -> (Self, Connection) {
        let (requests, taken) = mpsc::channel(QUEUE);
        let connection = Connection { http: http.clone(), requests: taken };
        (Self { http, requests, next: Arc::new(AtomicU64::new(1)) }, connection)
    }

    async fn once<T: DeserializeOwned>(&self, call: Call, ask: &Ask) -> Result<T, ClientError> {
        let booking = self.http.admitted(call, ask.terms).await?;
        let params = if ask.terms.signed {
            let credentials = self.http.credentials(call)?;
            socket_params(ask.clone(), self.http.clock.request_millis(), credentials)
        } else {
            ask.query.for_websocket()
        };
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let text = message(id, ask.method, params);
        let (answer, told) = oneshot::channel();
        if self.requests.try_send(Letter { id, text, answer }).is_err() {
            return Err(ClientError::Offline { call });
        }
        let lost = |why| ClientError::Lost { call, why };
        let text = match timeout(ANSWER_TIMEOUT, told).await {
            Ok(Ok(Ok(text))) => text,
            Ok(Ok(Err(Undone::NotSent))) => return Err(ClientError::Offline { call }),
            Ok(Ok(Err(Undone::Lost(why)))) => return Err(lost(why)),
            Ok(Err(_)) => return Err(lost("the connection was given up")),
            Err(_) => return Err(lost("there was no answer in time")),
        };
        let unreadable = |status, source| ClientError::Body {
            call,
            status,
            content_type: "WebSocket message".to_owned(),
            bytes: text.len(),
            starts: text.chars().take(SHOWN_CHARS).collect(),
            source,
        };
        let answer: AnswerWire = serde_json::from_str(text.as_str()).map_err(|e| unreadable(0, Some(e)))?;
        booking.answered(&answer.counts(), self.http.clock.venue_now());
        drop(booking);
        match (answer.status, answer.result, answer.error) {
            (200..300, Some(result), _) => serde_json::from_str(result.get()).map_err(|e| unreadable(answer.status, Some(e))),
            (status, _, Some(error)) if status >= 400 => {
                let pause = error.data.as_deref().and_then(|data| self.pause(data));
                Err(self.http.heard(error.error(call, status), status, pause))
            }
            (status, ..) => Err(unreadable(status, None)),
        }
    }

    /// How long the venue wants us to be silent: it states a moment of its own clock.
    fn pause(&self, data: &RawValue) -> Option<Duration> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct RetryWire {
            retry_after: i64,
            server_time: Option<i64>,
        }
        let told: RetryWire = serde_json::from_str(data.get()).ok()?;
        let now = told.server_time.map_or_else(|| self.http.clock.venue_now(), Timestamp::from_millis);
        Some(Duration::from_millis(Timestamp::from_millis(told.retry_after).since(now).millis().max(0).unsigned_abs()))
    }
}

impl Transport for WsApi {
    async fn ask<T: DeserializeOwned + Send>(&self, ask: &Ask) -> Result<T, ClientError> {
        let call = Call { method: "WS", path: ask.method };
        self.http.insist(call, ask.terms, || self.once(call, ask)).await
    }
}

/// `{"id","status","result"|"error","rateLimits"}`.
#[derive(Deserialize)]
struct AnswerWire<'a> {
    status: u16,
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
    #[serde(default)]
    error: Option<VenueErrorWire>,
    #[serde(rename = "rateLimits", default)]
    rate_limits: Vec<Lenient<RateLimitWire>>,
}

impl AnswerWire<'_> {
    fn counts(&self) -> Vec<Count> {
        let limits = self.rate_limits.iter().filter_map(|l| l.0.as_ref()).map(RateLimitWire::limit);
        limits.filter_map(|l| Some(Count { kind: l.kind, window_secs: l.window_secs, used: l.used? })).collect()
    }
}

impl Connection {
    /// Runs until the last sending end is gone.
    pub async fn run(mut self) {
        let mut pauses = Pauses::default();
        let mut pause = Duration::ZERO;
        loop {
            let Some(connected) = self.connected(pause).await else { return };
            let begun = Instant::now();
            let why = match connected {
                Ok(socket) => match self.serve(socket).await {
                    Some(why) => why,
                    None => return,
                },
                Err(why) => why,
            };
            tracing::info!(why = described(&why), "the connection for orders is made anew");
            pause = pauses.after(begun.elapsed());
        }
    }

    /// A connection, or why there is none; `None` at the end of the program. Requests are turned away meanwhile.
    async fn connected(&mut self, pause: Duration) -> Option<Result<Socket, Ended>> {
        let http = self.http.clone();
        let connecting = async move {
            tokio::time::sleep(pause).await;
            http.turn(CONNECTION_WEIGHT).await;
            connect(&http.endpoint().ws_api).await.map_err(Ended::NotMade)
        };
        tokio::pin!(connecting);
        loop {
            tokio::select! {
                connected = &mut connecting => return Some(connected),
                letter = self.requests.recv() => letter?.undone(Undone::NotSent),
            }
        }
    }

    /// Serves one connection to its end; `None` at the end of the program.
    async fn serve(&mut self, mut socket: Socket) -> Option<Ended> {
        let mut waiting = BTreeMap::new();
        let ended = self.converse(&mut socket, &mut waiting).await;
        for answer in waiting.into_values() {
            Letter::tell(answer, Err(Undone::Lost("the connection ended")));
        }
        if ended.is_none() {
            part(socket).await;
        }
        ended
    }

    async fn converse(&mut self, socket: &mut Socket, waiting: &mut Waiting) -> Option<Ended> {
        let (born, life) = (Instant::now(), LIFE + Duration::from_secs(rand::random_range(0..LIFE_SPREAD_SECS)));
        let (mut last_sign, mut pinged) = (born, born);
        let mut leaving = false;
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                letter = self.requests.recv() => match letter {
                    None => return None,
                    Some(letter) if leaving => letter.undone(Undone::NotSent),
                    // Whoever asked has given up: what was not sent by now must not be sent any more.
                    Some(letter) if letter.answer.is_closed() => {}
                    Some(letter) => {
                        waiting.insert(letter.id, letter.answer);
                        if let Err(why) = write(socket, Message::text(letter.text)).await {
                            return Some(why);
                        }
                    }
                },
                arrived = socket.next() => {
                    last_sign = Instant::now();
                    match arrived {
                        Some(Ok(Message::Text(text))) => leaving |= hear(text, waiting),
                        Some(Ok(Message::Close(_))) | None => return Some(Ended::Closed),
                        Some(Ok(_)) => {}
                        Some(Err(source)) => return Some(Ended::Broke(Box::new(source))),
                    }
                }
                _ = look.tick() => {
                    if last_sign.elapsed() >= DEAD_AFTER {
                        return Some(Ended::Silent(DEAD_AFTER));
                    }
                    leaving |= born.elapsed() >= life;
                    waiting.retain(|_, answer| !answer.is_closed());
                    if leaving && waiting.is_empty() {
                        return Some(Ended::Renewed);
                    }
                    if pinged.elapsed() >= PING_EVERY {
                        pinged = Instant::now();
                        if let Err(why) = write(socket, Message::Ping(Bytes::new())).await {
                            return Some(why);
                        }
                    }
                }
            }
        }
    }
}

async fn write(socket: &mut Socket, message: Message) -> Result<(), Ended> {
    match timeout(WRITE_TIMEOUT, socket.send(message)).await {
        Ok(written) => written.map_err(|source| Ended::Broke(Box::new(source))),
        Err(_) => Err(Ended::Stuck),
    }
}

type Waiting = BTreeMap<u64, oneshot::Sender<Result<Utf8Bytes, Undone>>>;

/// Hands an answer to whoever waits for it. True when the venue announced its shutdown.
fn hear(text: Utf8Bytes, waiting: &mut Waiting) -> bool {
    #[derive(Deserialize)]
    struct HeadWire {
        #[serde(default)]
        id: Option<serde_json::Value>,
        #[serde(default)]
        event: Option<EventWire>,
    }
    #[derive(Deserialize)]
    struct EventWire {
        #[serde(default)]
        e: String,
    }
    let Ok(head) = serde_json::from_str::<HeadWire>(text.as_str()) else {
        tracing::warn!(bytes = text.len(), "unreadable message on the connection for orders");
        return false;
    };
    let id = head.id.as_ref().and_then(|id| id.as_u64().or_else(|| id.as_str()?.parse().ok()));
    match id.and_then(|id| waiting.remove(&id)) {
        Some(answer) => Letter::tell(answer, Ok(text)),
        // An answer after its time, or an error that names no request: whoever waits for it hears nothing, and asks.
        None => tracing::debug!(bytes = text.len(), "a message that nobody waits for"),
    }
    head.event.is_some_and(|event| event.e == "serverShutdown")
}

impl Letter {
    fn undone(self, why: Undone) {
        Self::tell(self.answer, Err(why));
    }

    fn tell(answer: oneshot::Sender<Result<Utf8Bytes, Undone>>, what: Result<Utf8Bytes, Undone>) {
        if answer.send(what).is_err() {
            tracing::debug!("an answer for a request that was given up");
        }
    }
}
