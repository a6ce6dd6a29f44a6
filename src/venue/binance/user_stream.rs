//! The account's own stream: subscribed over the WebSocket API, watched, and reconciled anew after every connection.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::SinkExt;
use serde_json::json;
use tokio::time::{MissedTickBehavior, timeout};
use tokio_tungstenite::tungstenite::{Bytes, Message};

use super::account::Account;
use super::endpoint::Credentials;
use super::http::RECEIVE_WINDOW_MS;
use super::outbox::described;
use super::query::Query;
use super::socket::{Arrived, Pauses, Socket, SocketError, connect, lifetime, read};
use super::user_wire::{QuoteAssets, UserMessage, read_user_message};
use crate::protocol::{FailureKind, Stream, VenueEvent};

const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Hours may pass without an order: our own pings show whether anyone is there.
const PING_EVERY: Duration = Duration::from_secs(20);
const DEAD_AFTER: Duration = Duration::from_secs(50);
/// Two for the connection, two for the subscription.
const WEIGHT: u32 = 4;

pub(super) struct UserStream {
    pub account: Arc<Account>,
    pub credentials: Credentials,
    pub quotes: QuoteAssets,
}

impl UserStream {
    /// Runs until the reader of events is gone.
    pub async fn run(self) {
        let mut pauses = Pauses::default();
        while !self.account.out.is_closed() {
            let started = Instant::now();
            let mut subscribed = false;
            let ended = self.connection(&mut subscribed).await;
            self.account.user_stream_down();
            if subscribed {
                self.account.out.venue(VenueEvent::Link { stream: Stream::User, up: false }).await;
            }
            let Err(why) = ended else { return };
            self.report(&why).await;
            tokio::time::sleep(pauses.after(started.elapsed())).await;
        }
    }

    async fn report(&self, why: &SocketError) {
        let kind = match why {
            SocketError::Aged | SocketError::Shutdown => return tracing::info!(%why, "user stream renewed"),
            SocketError::Subscription { code: -1021, .. } => FailureKind::Clock,
            SocketError::Subscription { code: -1022 | -2014 | -2015, .. } => FailureKind::Credentials,
            SocketError::Subscription { .. } => FailureKind::Server,
            _ => FailureKind::Network,
        };
        self.account.out.failure(kind, format!("user stream: {}", described(why))).await;
        if kind == FailureKind::Clock
            && let Err(error) = self.account.rest.sample_clock().await
        {
            self.account.out.failed(&error).await;
        }
    }

    async fn connection(&self, subscribed: &mut bool) -> Result<(), SocketError> {
        self.account.rest.http().turn(WEIGHT).await;
        let mut socket = connect(&self.account.rest.http().endpoint().ws_api).await?;
        timeout(ANSWER_TIMEOUT, self.subscribe(&mut socket)).await.map_err(|_| SocketError::Stale(ANSWER_TIMEOUT))??;
        *subscribed = true;
        self.account.out.venue(VenueEvent::Link { stream: Stream::User, up: true }).await;
        // Events before this moment are lost for ever: only a full comparison tells what they were.
        self.account.user_stream_up();
        self.follow(&mut socket).await
    }

    async fn subscribe(&self, socket: &mut Socket) -> Result<(), SocketError> {
        let params = Query::new()
            .with("apiKey", self.credentials.key())
            .with("recvWindow", RECEIVE_WINDOW_MS)
            .with("timestamp", self.account.rest.http().clock.request_millis())
            .signed_for_websocket(&self.credentials);
        let request = json!({ "id": "user-stream", "method": "userDataStream.subscribe.signature", "params": params });
        socket.send(Message::text(request.to_string())).await.map_err(SocketError::transport)?;
        loop {
            let Arrived::Text(text) = read(socket).await? else { continue };
            match read_user_message(text.as_str(), &self.quotes) {
                Ok(UserMessage::Answer(Ok(()))) => return Ok(()),
                Ok(UserMessage::Answer(Err((code, message)))) => return Err(SocketError::Subscription { code, message }),
                Ok(UserMessage::Ending) => return Err(SocketError::Shutdown),
                // Events may overtake the answer; the reconciliation that follows covers them.
                _ => {}
            }
        }
    }

    async fn follow(&self, socket: &mut Socket) -> Result<(), SocketError> {
        let (born, life) = (Instant::now(), lifetime());
        let mut last_sign = born;
        let mut ping = tokio::time::interval(PING_EVERY);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                arrived = read(socket) => {
                    last_sign = Instant::now();
                    match arrived? {
                        Arrived::Text(text) => self.take(text.as_str()).await?,
                        Arrived::Binary => self.damaged().await,
                        Arrived::SignOfLife => {}
                    }
                }
                _ = ping.tick() => {
                    if self.account.out.is_closed() {
                        return Ok(());
                    }
                    if last_sign.elapsed() >= DEAD_AFTER {
                        return Err(SocketError::Stale(DEAD_AFTER));
                    }
                    if born.elapsed() >= life {
                        return Err(SocketError::Aged);
                    }
                    socket.send(Message::Ping(Bytes::new())).await.map_err(SocketError::transport)?;
                }
            }
        }
    }

    async fn take(&self, text: &str) -> Result<(), SocketError> {
        match read_user_message(text, &self.quotes) {
            Ok(UserMessage::Events(events)) => {
                for event in events {
                    self.account.tell(event).await;
                }
            }
            Ok(UserMessage::Foreign) => tracing::debug!("an order of another program"),
            Ok(UserMessage::BalancesChanged) => self.account.request_reconciliation(),
            Ok(UserMessage::Ending) => return Err(SocketError::Shutdown),
            Ok(UserMessage::Answer(Err((code, message)))) => return Err(SocketError::Subscription { code, message }),
            Ok(UserMessage::Answer(Ok(())) | UserMessage::Other) => {}
            Err(error) => {
                tracing::warn!(%error, bytes = text.len(), "unreadable user message");
                self.damaged().await;
            }
        }
        Ok(())
    }

    /// It may have been a fill: the account is compared as after a reconnection.
    async fn damaged(&self) {
        self.account.out.unreadable(1).await;
        self.account.request_reconciliation();
    }
}
