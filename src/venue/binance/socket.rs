//! A websocket to the venue: connecting with a limit, reading, writing, parting, and the pauses between connections.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use super::http::install_tls;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A small message that does not leave within this time never will.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);
/// How long parting may take, for each of its two steps.
const FAREWELL: Duration = Duration::from_millis(400);
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A connection that lived this long was a good one: the next pause is short again.
const GOOD_LIFE: Duration = Duration::from_secs(60);

pub(super) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Why a connection ended. The address may hold no secrets: nothing is signed into a URL.
#[derive(Debug, thiserror::Error)]
pub(super) enum SocketError {
    #[error("the connection broke")]
    Transport { source: Box<Error> },
    #[error("no connection within {} s", CONNECT_TIMEOUT.as_secs())]
    ConnectTimeout,
    #[error("the venue closed the connection")]
    Closed,
    #[error("no message for {} s", .0.as_secs())]
    Stale(Duration),
    #[error("no answer to a ping within {} s", .0.as_secs())]
    NoPong(Duration),
    #[error("an order that the venue took was not reported within {} s", .0.as_secs())]
    Unreported(Duration),
    #[error("a new connection did not deliver what the old one does")]
    Deaf,
    #[error("the venue announced its shutdown")]
    Shutdown,
    #[error("the venue ended the subscription")]
    Terminated,
    #[error("the subscription was refused, code {code}: {message}")]
    Subscription { code: i64, message: String },
}

impl SocketError {
    pub fn transport(source: Error) -> Self {
        Self::Transport { source: Box::new(source) }
    }
}

pub(super) async fn connect(url: &str) -> Result<Socket, SocketError> {
    install_tls();
    let connecting = connect_async_with_config(url, None, true);
    let (socket, _) =
        timeout(CONNECT_TIMEOUT, connecting).await.map_err(|_| SocketError::ConnectTimeout)?.map_err(SocketError::transport)?;
    Ok(socket)
}

/// One frame: text, or a sign of life (a ping, answered while reading, or a pong).
pub(super) enum Arrived {
    Text(Utf8Bytes),
    Binary,
    SignOfLife,
}

/// The next frame; safe to cancel.
pub(super) async fn read(socket: &mut Socket) -> Result<Arrived, SocketError> {
    match socket.next().await {
        Some(Ok(Message::Text(text))) => Ok(Arrived::Text(text)),
        Some(Ok(Message::Binary(_))) => Ok(Arrived::Binary),
        Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => Ok(Arrived::SignOfLife),
        Some(Ok(Message::Close(_))) | None => Err(SocketError::Closed),
        Some(Err(source)) => Err(SocketError::transport(source)),
    }
}

pub(super) async fn write(socket: &mut Socket, message: Message) -> Result<(), SocketError> {
    timeout(SEND_TIMEOUT, socket.send(message)).await.map_err(|_| SocketError::Stale(SEND_TIMEOUT))?.map_err(SocketError::transport)
}

/// Sends a close frame and waits shortly for the venue's own.
pub(super) async fn part(mut socket: Socket) {
    if matches!(timeout(FAREWELL, socket.close(None)).await, Ok(Ok(()))) {
        let rest = async { while let Some(Ok(_)) = socket.next().await {} };
        if timeout(FAREWELL, rest).await.is_err() {
            tracing::debug!("the venue did not answer a close frame");
        }
    }
}

/// The pauses between connections.
#[derive(Debug, Default)]
pub(super) struct Pauses {
    failures: u32,
}

impl Pauses {
    /// The pause before the next attempt, after a connection that lived for `life`.
    pub fn after(&mut self, life: Duration) -> Duration {
        self.failures = if life >= GOOD_LIFE { 1 } else { self.failures.saturating_add(1) };
        super::http::backoff(self.failures, FIRST_PAUSE, LONGEST_PAUSE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_with_failures_up_to_a_limit_and_shrink_after_a_good_life() {
        let mut pauses = Pauses::default();
        assert!(pauses.after(Duration::ZERO) <= FIRST_PAUSE);
        for _ in 0..20 {
            pauses.after(Duration::ZERO);
        }
        let long = pauses.after(Duration::ZERO);
        assert!(long >= LONGEST_PAUSE / 2 && long <= LONGEST_PAUSE);
        assert!(pauses.after(GOOD_LIFE) <= FIRST_PAUSE);
    }
}
