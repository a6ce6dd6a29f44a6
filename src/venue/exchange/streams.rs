//! The market stream door: `/ws`, `/ws/<names>`, `/stream?streams=<names>`, and the messages that change subscriptions.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::ws::{Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::extract::{ConnectInfo, Path, RawQuery, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::door::{Door, Socket};
use super::fanout::{ConnectionId, Form, Line};
use super::faults::FaultDoor;
use super::gate::Peer;
use super::hall::Hall;
use super::limits;
use super::line::talk;
use super::params::Params;
use super::refusal::ApiError;
use super::reply::Reply;
use super::rest::time_unit;
use super::topic::Topic;

/// Streams that one connection may hear.
const MOST_STREAMS: usize = 1_024;
const LONGEST_MESSAGE: usize = 64 * 1024;

/// `/ws` and `/ws/`: nothing is heard until it is subscribed.
pub(super) async fn bare(door: State<Arc<Door>>, peer: ConnectInfo<Peer>, query: RawQuery, upgrade: WebSocketUpgrade) -> Response {
    open(door.0, peer.0, upgrade, Form::Raw, String::new(), &asked(query))
}

/// `/ws/a@trade/b@trade`: raw events. A name that is no stream (some clients open `/ws/0`) is heard as nothing.
pub(super) async fn raw(
    door: State<Arc<Door>>,
    peer: ConnectInfo<Peer>,
    Path(names): Path<String>,
    query: RawQuery,
    upgrade: WebSocketUpgrade,
) -> Response {
    open(door.0, peer.0, upgrade, Form::Raw, names, &asked(query))
}

/// `/stream?streams=a@trade/b@trade`: events with the name of their stream.
pub(super) async fn combined(door: State<Arc<Door>>, peer: ConnectInfo<Peer>, query: RawQuery, upgrade: WebSocketUpgrade) -> Response {
    let params = asked(query);
    open(door.0, peer.0, upgrade, Form::Combined, params.get("streams").unwrap_or_default().to_owned(), &params)
}

fn asked(RawQuery(query): RawQuery) -> Params {
    // A plus in a stream's name is a time zone's, not a blank.
    Params::parse(&query.unwrap_or_default().replace('+', "%2B"), "").unwrap_or_default()
}

fn open(door: Arc<Door>, peer: Peer, upgrade: WebSocketUpgrade, form: Form, names: String, params: &Params) -> Response {
    match door.connect(&peer, limits::Line::Streams).and_then(|()| time_unit(params.get("timeUnit"))) {
        Ok(micros) => {
            let wish = Wish { form, micros, names };
            upgrade.max_message_size(LONGEST_MESSAGE).on_upgrade(move |socket| serve(door, peer, socket, wish))
        }
        Err(error) => Reply::from(error).into_response(0),
    }
}

/// What a connection is opened for.
struct Wish {
    form: Form,
    micros: bool,
    names: String,
}

async fn serve(door: Arc<Door>, peer: Peer, socket: WebSocket, wish: Wish) {
    let opened = door.floor.run(move |hall| {
        let line = hall.fanout.open(wish.form, wish.micros);
        let topics: Vec<Topic> = wish.names.split('/').filter_map(|name| Topic::parse(name, &hall.symbols)).take(MOST_STREAMS).collect();
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
    let (asked, seen) = (Arc::clone(&door), Socket::new(FaultDoor::MarketStreams, &peer));
    talk(socket, door, line, seen, move |text| handle(Arc::clone(&asked), id, text)).await;
}

#[derive(Deserialize)]
struct Message {
    method: String,
    #[serde(default)]
    params: Vec<Value>,
    id: Option<Box<RawValue>>,
}

async fn handle(door: Arc<Door>, connection: ConnectionId, text: Utf8Bytes) -> Result<Option<String>, ApiError> {
    let Ok(message) = serde_json::from_str::<Message>(text.as_str()) else {
        return Ok(Some(refused("null", "Invalid request: the message is no JSON object of the known form")));
    };
    let id = message.id.as_ref().map_or_else(|| "null".to_owned(), |id| id.get().to_owned());
    if !is_id(&id) {
        return Ok(Some(refused(
            "null",
            "Invalid request: request ID must be an integer, a string of up to 36 letters and digits, or null",
        )));
    }
    door.floor
        .run(move |hall| {
            Some(match change(hall, connection, &message) {
                Ok(result) => format!("{{\"result\":{result},\"id\":{id}}}"),
                Err(why) => refused(&id, why),
            })
        })
        .await
}

/// A whole number of 64 bits, at most 36 letters, digits and dashes, or null.
fn is_id(id: &str) -> bool {
    match serde_json::from_str::<Value>(id) {
        Ok(Value::Null) => true,
        Ok(Value::Number(number)) => number.is_i64(),
        Ok(Value::String(text)) => text.len() <= 36 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'),
        _ => false,
    }
}

/// Does what the message says; its result as JSON, or why not.
fn change(hall: &mut Hall, connection: ConnectionId, message: &Message) -> Result<String, &'static str> {
    let topics = || -> Result<Vec<Topic>, &'static str> {
        let topic = |name: &Value| name.as_str().and_then(|name| Topic::parse(name, &hall.symbols));
        message.params.iter().map(topic).collect::<Option<_>>().ok_or("Invalid request: unknown stream")
    };
    match message.method.as_str() {
        "SUBSCRIBE" => {
            let topics = topics()?;
            let mut heard: BTreeSet<Topic> = hall.fanout.topics_of(connection).into_iter().collect();
            heard.extend(&topics);
            if heard.len() > MOST_STREAMS {
                return Err("Invalid request: too many streams");
            }
            topics.into_iter().for_each(|topic| hall.fanout.subscribe(connection, topic));
        }
        "UNSUBSCRIBE" => {
            let topics = topics()?;
            topics.into_iter().for_each(|topic| hall.fanout.unsubscribe(connection, topic));
        }
        "LIST_SUBSCRIPTIONS" => {
            let names: Vec<String> = hall.fanout.topics_of(connection).iter().map(Topic::to_string).collect();
            return Ok(super::wire::json(&names));
        }
        "SET_PROPERTY" => match message.params.as_slice() {
            [Value::String(name), Value::Bool(combined)] if name == "combined" => hall.fanout.set_combined(connection, *combined),
            _ => return Err("Invalid request: the only property is \\\"combined\\\", true or false"),
        },
        "GET_PROPERTY" => match message.params.as_slice() {
            [Value::String(name)] if name == "combined" => return Ok(hall.fanout.is_combined(connection).to_string()),
            _ => return Err("Invalid request: the only property is \\\"combined\\\""),
        },
        _ => return Err("Invalid request: unknown method"),
    }
    Ok("null".to_owned())
}

fn refused(id: &str, why: &str) -> String {
    format!("{{\"error\":{{\"code\":2,\"msg\":\"{why}\"}},\"id\":{id}}}")
}
