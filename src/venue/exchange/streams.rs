//! The market stream door: `/ws`, `/ws/<names>`, `/stream?streams=<names>`, and the messages that change subscriptions.

use std::sync::Arc;

use axum::extract::ws::{Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::extract::{ConnectInfo, Path, RawQuery, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::door::{Door, Socket};
use super::fanout::{ConnectionId, Form, Line};
use super::faults::FaultDoor;
use super::gate::Peer;
use super::line::talk;
use super::params::Params;
use super::refusal::ApiError;
use super::topic::Topic;

/// Streams that one connection may hear.
const MOST_STREAMS: usize = 1_024;
const LONGEST_MESSAGE: usize = 64 * 1024;

/// `/ws` and `/ws/`: nothing is heard until it is subscribed.
pub(super) async fn bare(State(door): State<Arc<Door>>, ConnectInfo(peer): ConnectInfo<Peer>, upgrade: WebSocketUpgrade) -> Response {
    open(door, peer, upgrade, Form::Raw, String::new())
}

/// `/ws/a@trade/b@trade`: raw events. A name that is no stream (some clients open `/ws/0`) is heard as nothing.
pub(super) async fn raw(
    State(door): State<Arc<Door>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(names): Path<String>,
    upgrade: WebSocketUpgrade,
) -> Response {
    open(door, peer, upgrade, Form::Raw, names)
}

/// `/stream?streams=a@trade/b@trade`: events with the name of their stream.
pub(super) async fn combined(
    State(door): State<Arc<Door>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    RawQuery(query): RawQuery,
    upgrade: WebSocketUpgrade,
) -> Response {
    let params = Params::parse(&query.unwrap_or_default(), "").unwrap_or_default();
    open(door, peer, upgrade, Form::Combined, params.get("streams").unwrap_or_default().to_owned())
}

fn open(door: Arc<Door>, peer: Peer, upgrade: WebSocketUpgrade, form: Form, names: String) -> Response {
    upgrade.max_message_size(LONGEST_MESSAGE).on_upgrade(move |socket| serve(door, peer, socket, form, names))
}

async fn serve(door: Arc<Door>, peer: Peer, socket: WebSocket, form: Form, names: String) {
    let opened = door.floor.run(move |hall| {
        let line = hall.fanout.open(form);
        let topics: Vec<Topic> = names.split('/').filter_map(|name| Topic::parse(name, &hall.symbols)).take(MOST_STREAMS).collect();
        topics.into_iter().for_each(|topic| hall.fanout.subscribe(line.id, topic));
        line
    });
    let line: Line = match opened.await {
        Ok(line) => line,
        Err(error) => {
            tracing::warn!(%error, "a stream connection was turned away");
            return;
        }
    };
    let id = line.id;
    let asked = Arc::clone(&door);
    let seen = Socket::new(FaultDoor::MarketStreams, &peer);
    talk(socket, door, line, seen, move |text| handle(Arc::clone(&asked), id, text)).await;
}

#[derive(Deserialize)]
struct Message {
    method: String,
    #[serde(default)]
    params: Vec<String>,
    id: Option<Box<RawValue>>,
}

async fn handle(door: Arc<Door>, connection: ConnectionId, text: Utf8Bytes) -> Result<Option<String>, ApiError> {
    let Ok(message) = serde_json::from_str::<Message>(text.as_str()) else {
        return Ok(Some(refused("null", "Invalid request: the message is no JSON object of the known form")));
    };
    let id = message.id.map_or_else(|| "null".to_owned(), |id| id.get().to_owned());
    door.floor
        .run(move |hall| {
            let topics: Option<Vec<Topic>> = message.params.iter().map(|name| Topic::parse(name, &hall.symbols)).collect();
            match (message.method.as_str(), topics) {
                ("SUBSCRIBE", Some(topics)) if hall.fanout.topics_of(connection).len() + topics.len() <= MOST_STREAMS => {
                    topics.into_iter().for_each(|topic| hall.fanout.subscribe(connection, topic));
                    Some(format!("{{\"result\":null,\"id\":{id}}}"))
                }
                ("UNSUBSCRIBE", Some(topics)) => {
                    topics.into_iter().for_each(|topic| hall.fanout.unsubscribe(connection, topic));
                    Some(format!("{{\"result\":null,\"id\":{id}}}"))
                }
                ("LIST_SUBSCRIPTIONS", _) => {
                    let names: Vec<String> = hall.fanout.topics_of(connection).iter().map(Topic::to_string).collect();
                    Some(format!("{{\"result\":{},\"id\":{id}}}", super::wire::json(&names)))
                }
                ("SUBSCRIBE", Some(_)) => Some(refused(&id, "Invalid request: too many streams")),
                ("SUBSCRIBE" | "UNSUBSCRIBE", None) => Some(refused(&id, "Invalid request: unknown stream")),
                _ => Some(refused(&id, "Invalid request: unknown method")),
            }
        })
        .await
}

fn refused(id: &str, why: &str) -> String {
    format!("{{\"error\":{{\"code\":2,\"msg\":\"{why}\"}},\"id\":{id}}}")
}
