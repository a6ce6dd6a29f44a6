//! A websocket to the venue: connecting with a limit, reading text, and how long a connection may live.

use std::time::Duration;

use futures_util::StreamExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use super::http::install_tls;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The venue cuts connections at 24 h; ours end earlier, each at another time.
const LIFE: Duration = Duration::from_secs(23 * 3_600);
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A connection that lived this long was a good one: the next pause is short again.
const GOOD_LIFE: Duration = Duration::from_secs(60);

pub(super) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Why a connection ended. The address may hold no secrets: nothing is signed into a URL.
#[derive(Debug, thiserror::Error)]
pub(super) enum SocketError {
    #[error("the connection broke")]
    Transport { source: Box<tokio_tungstenite::tungstenite::Error> },
    #[error("no connection within {} s", CONNECT_TIMEOUT.as_secs())]
    ConnectTimeout,
    #[error("the venue closed the connection")]
    Closed,
    #[error("no message for {} s", .0.as_secs())]
    Stale(Duration),
    #[error("the connection is renewed before its 24 h limit")]
    Aged,
    #[error("the venue announced its shutdown")]
    Shutdown,
    #[error("the subscription was refused, code {code}: {message}")]
    Subscription { code: i64, message: String },
}

impl SocketError {
    pub fn transport(source: tokio_tungstenite::tungstenite::Error) -> Self {
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

/// What arrived: text, or a sign of life (a ping, answered while reading, or a pong).
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

/// How long this connection may live: 23 h less up to an hour.
pub(super) fn lifetime() -> Duration {
    LIFE - Duration::from_secs(rand::random_range(0..3_600))
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

    #[test]
    fn connections_are_renewed_before_the_venue_cuts_them() {
        for _ in 0..100 {
            let life = lifetime();
            assert!(life <= LIFE && life > Duration::from_secs(21 * 3_600));
        }
    }
}
