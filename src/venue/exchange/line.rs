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
use super::faults::FaultDoor;
use super::gate::Standing;
use super::limits::Pace;
use super::outbound::Outbound;
use super::refusal::ApiError;

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
    let opened = Instant::now();
    let mut pings = interval_at(opened + door.rules.ping_every, door.rules.ping_every);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // A pong counts when it repeats what a ping said; one sent unasked does not.
    let (mut answered, mut asked) = (opened, Vec::new());
    let mut pace = Pace::default();
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
            () = sleep_until(opened + door.rules.life) => false,
            _ = pings.tick() => {
                asked = door.clock.now().millis().to_string().into_bytes();
                answered.elapsed() < door.rules.pong_within && send(&mut out, Message::Ping(asked.clone().into())).await
            }
            message = next(&mut incoming) => match message {
                Some(Message::Close(_)) | None => false,
                Some(_) if seen.door == FaultDoor::MarketStreams && !pace.admit(Instant::now()) => false,
                Some(Message::Text(text)) => match reply(text).await {
                    Ok(Some(answer)) => send(&mut out, Message::Text(answer.into())).await,
                    Ok(None) => true,
                    Err(_) => false,
                },
                Some(Message::Pong(payload)) => {
                    if !asked.is_empty() && payload == asked {
                        answered = Instant::now();
                    }
                    true
                }
                // Pings are answered below us.
                Some(Message::Ping(_) | Message::Binary(_)) => true,
            },
        };
        if !alive && seen.switch.standing() != Standing::Frozen {
            break;
        }
    }
    // What was told before the end is still heard.
    while let Ok(message) = messages.try_recv() {
        if !send_all(&mut out, outbound.take(message)).await {
            break;
        }
    }
    say_goodbye(&mut out).await;
    leave(&door, id).await;
}

async fn say_goodbye(out: &mut SplitSink<WebSocket, Message>) {
    let farewell = CloseFrame { code: close_code::AWAY, reason: "closing".into() };
    if !send(out, Message::Close(Some(farewell))).await {
        // The peer said goodbye first: the answer waits below us, and goes out with a flush.
        drop(timeout(SEND_WITHIN, out.flush()).await);
    }
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
    door.left(id);
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
