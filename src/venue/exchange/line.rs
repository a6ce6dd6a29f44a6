//! One WebSocket connection: pings, pongs, what goes out, what comes in; the conversation itself is the caller's.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, close_code};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout};

use super::door::{Door, Socket};
use super::fanout::{ConnectionId, Line};
use super::gate::Standing;
use super::outbound::Outbound;
use super::refusal::ApiError;

const PING_EVERY: Duration = Duration::from_secs(20);
const PONG_WITHIN: Duration = Duration::from_secs(60);
/// A peer that does not take a message for this long is gone.
const SEND_WITHIN: Duration = Duration::from_secs(10);

/// Talks until either side ends it. `reply` answers a text message; `None` says nothing.
pub(super) async fn talk<F, R>(socket: WebSocket, door: Arc<Door>, line: Line, seen: Arc<Socket>, mut reply: F)
where
    F: FnMut(Utf8Bytes) -> R,
    R: Future<Output = Result<Option<String>, ApiError>>,
{
    let Line { id, mut messages, cut } = line;
    door.entered(id, Arc::clone(&seen));
    let (mut out, mut incoming) = socket.split();
    let mut shutdown = door.shutdown.clone();
    let mut pings = interval_at(Instant::now() + PING_EVERY, PING_EVERY);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut heard = Instant::now();
    let mut outbound = Outbound::new(&door, &seen);
    loop {
        let alive = tokio::select! {
            message = messages.recv() => match message {
                Some(message) => send_all(&mut out, outbound.take(message)).await,
                None => false,
            },
            () = sleep_until(outbound.due()), if outbound.is_waiting() => send_all(&mut out, outbound.ripe()).await,
            standing = seen.switch.leaves(Standing::Open) => {
                if standing == Standing::Frozen {
                    tokio::select! {
                        _ = shutdown.changed() => seen.switch.throw(Standing::Closed),
                        _ = seen.switch.leaves(Standing::Frozen) => {}
                    }
                }
                false
            }
            () = cut.notified() => false,
            _ = shutdown.changed() => false,
            _ = pings.tick() => heard.elapsed() < PONG_WITHIN && send(&mut out, Message::Ping(Vec::new().into())).await,
            message = next(&mut incoming) => match message {
                Some(Message::Text(text)) => {
                    heard = Instant::now();
                    match reply(text).await {
                        Ok(Some(answer)) => send(&mut out, Message::Text(answer.into())).await,
                        Ok(None) => true,
                        Err(_) => false,
                    }
                }
                // Pings are answered below us; any sign of life counts.
                Some(Message::Ping(_) | Message::Pong(_) | Message::Binary(_)) => {
                    heard = Instant::now();
                    true
                }
                Some(Message::Close(_)) | None => false,
            },
        };
        if !alive && seen.switch.standing() != Standing::Frozen {
            break;
        }
    }
    // What was told before the end is still heard.
    while let Ok(message) = messages.try_recv() {
        send_all(&mut out, outbound.take(message)).await;
    }
    let farewell = CloseFrame { code: close_code::AWAY, reason: "closing".into() };
    if !send(&mut out, Message::Close(Some(farewell))).await {
        // The peer said goodbye first: the answer waits below us, and goes out with a flush.
        drop(timeout(SEND_WITHIN, out.flush()).await);
    }
    door.left(id);
    leave(&door, id).await;
}

async fn send_all(out: &mut SplitSink<WebSocket, Message>, texts: Vec<Utf8Bytes>) -> bool {
    for text in texts {
        if !send(out, Message::Text(text)).await {
            return false;
        }
    }
    true
}

async fn leave(door: &Door, id: ConnectionId) {
    if let Err(error) = door.floor.run(move |hall| hall.fanout.close(id)).await {
        tracing::debug!(%error, "a connection left while the exchange was closing");
    }
}

async fn next(incoming: &mut SplitStream<WebSocket>) -> Option<Message> {
    incoming.next().await.and_then(Result::ok)
}

/// False when the peer is gone.
async fn send(out: &mut SplitSink<WebSocket, Message>, message: Message) -> bool {
    matches!(timeout(SEND_WITHIN, out.send(message)).await, Ok(Ok(())))
}
