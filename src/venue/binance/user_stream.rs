//! The account's own stream: subscribed over the WebSocket API, renewed without a hole, and reconciled after every subscription.
//!
//! A new connection is subscribed while the old one still feeds; both are heard for a while, each event counts once, then the old one is
//! closed. Where nobody listened in between, the link is announced as down and the account is stated anew.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use super::account::Account;
use super::connection::{Dialer, Epoch, Heard, News, WhenFull};
use super::endpoint::Credentials;
use super::http::RECEIVE_WINDOW_MS;
use super::lines::{Ended, Lines, Ready};
use super::outbox::described;
use super::query::Query;
use super::socket::SocketError;
use super::stop::Stop;
use super::stream_rules::StreamRules;
use super::user_news::NewsFilter;
use super::user_wire::{QuoteAssets, UserMessage, read_user_message};
use crate::domain::ClientOrderId;
use crate::protocol::{FailureKind, Stream, VenueEvent};

const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Two for the connection, two for the subscription.
const WEIGHT: u32 = 4;
/// Messages that may wait for a busy reader; beyond it the venue is held back, nothing is dropped.
const QUEUE: usize = 4_096;
/// Kinds of messages that are remembered as unknown.
const UNKNOWN_KINDS: usize = 64;

pub(super) struct UserStream {
    pub account: Arc<Account>,
    pub credentials: Credentials,
    pub quotes: QuoteAssets,
    pub rules: StreamRules,
    pub stop: Stop,
}

/// What is noted about one connection.
#[derive(Debug, Default)]
struct Subscription {
    asked: Option<Instant>,
}

struct Session {
    lines: Lines<Subscription>,
    filter: NewsFilter,
    /// How often each unknown kind of message came.
    unknown: BTreeMap<String, u64>,
}

impl UserStream {
    /// Runs until it is stopped or the reader of events is gone.
    pub async fn run(mut self) {
        let (to, mut heard) = mpsc::channel(QUEUE);
        let rest = self.account.rest.clone();
        let url = rest.http().endpoint().ws_api.clone();
        let dialer = Dialer { rest, url, weight: WEIGHT, rules: self.rules.clone(), when_full: WhenFull::Wait, to };
        let mut session = Session { lines: Lines::new(dialer, Instant::now()), filter: NewsFilter::default(), unknown: BTreeMap::new() };
        let mut check = tokio::time::interval(self.rules.check_every);
        check.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.stop.told() => break,
                Some(heard) = heard.recv() => self.hear(&mut session, heard).await,
                _ = check.tick() => {
                    if self.account.out.is_closed() {
                        break;
                    }
                    // What still waits to be read may be what is owed.
                    if heard.is_empty() {
                        self.leave_deaf(&mut session).await;
                    }
                    self.check(&mut session).await;
                }
            }
        }
        self.account.user_stream_down();
        session.lines.close().await;
    }

    async fn hear(&self, session: &mut Session, Heard { epoch, news, .. }: Heard) {
        let Some(line) = session.lines.line(epoch) else { return };
        match news {
            News::Opened => {
                line.connection.opened();
                line.notes.asked = Some(Instant::now());
                if !line.connection.say(self.subscription()) {
                    self.end(session, epoch, SocketError::Deaf).await;
                }
            }
            News::Text(text) => self.take(session, epoch, text.as_str()).await,
            News::Binary => self.damaged().await,
            // Not on this queue: it waits instead.
            News::Dropped(_) => self.account.request_reconciliation(),
            News::Ended(why) => self.end(session, epoch, why).await,
        }
    }

    /// The request that any kind of key may send; dated when it is sent.
    fn subscription(&self) -> String {
        let params = Query::new()
            .with("apiKey", self.credentials.key())
            .with("recvWindow", RECEIVE_WINDOW_MS)
            .with("timestamp", self.account.rest.http().clock.request_millis())
            .signed_for_websocket(&self.credentials);
        json!({ "id": "user-stream", "method": "userDataStream.subscribe.signature", "params": params }).to_string()
    }

    /// A connection that answers pings and does not report an order that the venue took would let fills go unheard.
    async fn leave_deaf(&self, session: &mut Session) {
        let patience = self.rules.reported_within;
        let Some(id) = self.account.owed().overdue(Instant::now(), patience) else { return };
        tracing::warn!(order = %id, "the venue took an order and the user stream does not report it");
        // A successor that feeds already has not reported it either.
        let ready = session.lines.spare.as_ref().filter(|line| line.ready.is_some()).map(|line| line.connection.epoch);
        let current = session.lines.current.as_ref().map(|line| line.connection.epoch);
        for epoch in ready.into_iter().chain(current) {
            self.end(session, epoch, SocketError::Unreported(patience)).await;
        }
        self.account.owed().forgive();
    }

    async fn check(&self, session: &mut Session) {
        let now = Instant::now();
        let unanswered = session
            .lines
            .spare
            .as_ref()
            .filter(|line| line.ready.is_none() && line.notes.asked.is_some_and(|at| now.duration_since(at) >= ANSWER_TIMEOUT));
        if let Some(epoch) = unanswered.map(|line| line.connection.epoch) {
            self.end(session, epoch, SocketError::Stale(ANSWER_TIMEOUT)).await;
        }
        session.lines.keep_open(now);
        if session.lines.both_since().is_some_and(|since| now.duration_since(since) >= self.rules.overlap) {
            tracing::info!("user stream renewed without a hole");
            session.lines.replace();
            self.account.owed().forgive();
        }
    }

    async fn subscribed(&self, session: &mut Session, epoch: Epoch) {
        match session.lines.ready(epoch, Instant::now()) {
            Ready::Alone => {
                session.filter.forget();
                self.account.out.venue(VenueEvent::Link { stream: Stream::User, up: true }).await;
                // Events before this moment are lost for ever: only a full comparison tells what they were.
                self.account.user_stream_up();
            }
            // No hole is possible; the comparison proves it.
            Ready::Spare => self.account.request_reconciliation(),
            Ready::Old => {}
        }
    }

    async fn end(&self, session: &mut Session, epoch: Epoch, why: SocketError) {
        match session.lines.ended(epoch, why, Instant::now()) {
            Ended::Broken(why) => {
                self.account.user_stream_down();
                self.account.out.venue(VenueEvent::Link { stream: Stream::User, up: false }).await;
                self.report(&why).await;
            }
            Ended::Replaced(why) => {
                tracing::info!(%why, "the user stream broke while its successor listened");
                self.account.owed().forgive();
                self.account.request_reconciliation();
            }
            Ended::Failed(why) => self.report(&why).await,
            Ended::Old => {}
        }
    }

    async fn report(&self, why: &SocketError) {
        let kind = match why {
            SocketError::Subscription { code: -1021, .. } => FailureKind::Clock,
            // A banned address is told that its key is bad, which it need not be.
            SocketError::Subscription { code: -2015, .. } if self.account.rest.http().limiter.echoes_ban() => FailureKind::RateLimit,
            SocketError::Subscription { code: -1022 | -2014 | -2015, .. } => FailureKind::Credentials,
            SocketError::Subscription { .. } | SocketError::Terminated | SocketError::Shutdown => FailureKind::Server,
            _ => FailureKind::Network,
        };
        self.account.out.failure(kind, format!("user stream: {}", described(why))).await;
        if kind == FailureKind::Clock
            && let Err(error) = self.account.rest.sample_clock().await
        {
            self.account.out.failed(&error).await;
        }
    }

    async fn take(&self, session: &mut Session, epoch: Epoch, text: &str) {
        let news = match read_user_message(text, &self.quotes) {
            Ok(news) => news,
            Err(error) => {
                tracing::warn!(%error, bytes = text.len(), "unreadable user message");
                return self.damaged().await;
            }
        };
        if let UserMessage::Events(events) = &news.message {
            let mut owed = self.account.owed();
            events.iter().filter_map(order_of).for_each(|id| owed.heard(id));
        }
        if session.lines.current.is_none() && !matches!(news.message, UserMessage::Answer(_) | UserMessage::Ending { .. }) {
            // Events may overtake the answer; the reconciliation that follows covers them.
            return;
        }
        if news.identity.is_some_and(|identity| !session.filter.is_news(identity)) {
            return;
        }
        match news.message {
            UserMessage::Events(events) => {
                for event in events {
                    if let Some(event) = session.filter.forward(event) {
                        self.account.tell(event).await;
                    }
                }
            }
            UserMessage::Foreign => tracing::debug!("an order of another program"),
            UserMessage::CompareAccount(why) => {
                tracing::info!(why, "the account changed from outside: it is compared");
                self.account.request_reconciliation();
            }
            UserMessage::Ending { still_feeding: true } if session.lines.is_current(epoch) => {
                tracing::info!("the venue announced its shutdown: the user stream is renewed");
                session.lines.renew();
            }
            UserMessage::Ending { still_feeding } => {
                let why = if still_feeding { SocketError::Shutdown } else { SocketError::Terminated };
                self.end(session, epoch, why).await;
            }
            UserMessage::Answer(Ok(())) => self.subscribed(session, epoch).await,
            UserMessage::Answer(Err((code, message))) => {
                self.end(session, epoch, SocketError::Subscription { code, message }).await;
            }
            UserMessage::List => {}
            UserMessage::Unknown(kind) => session.count_unknown(kind),
        }
    }

    /// It may have been a fill: the account is compared as after a reconnection.
    async fn damaged(&self) {
        self.account.out.unreadable(1).await;
        self.account.request_reconciliation();
    }
}

/// Whose order an event of the stream is about.
const fn order_of(event: &VenueEvent) -> Option<ClientOrderId> {
    match event {
        VenueEvent::Order(order) => Some(order.id),
        VenueEvent::Fill(fill) => Some(fill.id),
        VenueEvent::Refused { id, .. } => Some(*id),
        _ => None,
    }
}

impl Session {
    fn count_unknown(&mut self, kind: String) {
        if !self.unknown.contains_key(&kind) && self.unknown.len() >= UNKNOWN_KINDS {
            return;
        }
        let count = self.unknown.entry(kind).or_default();
        *count += 1;
        if count.is_power_of_two() {
            let kinds = &self.unknown;
            tracing::warn!(?kinds, "the user stream sends kinds of messages that are not known here");
        }
    }
}
