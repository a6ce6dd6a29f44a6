//! The WebSocket API door: orders and the user data stream over one connection.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::extract::ws::{Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::extract::{ConnectInfo, RawQuery, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::armed::Asked;
use super::door::{Door, Socket};
use super::endpoint::Endpoint;
use super::fanout::{ConnectionId, Form};
use super::faults::FaultDoor;
use super::gate::Peer;
use super::limits::{Line, ORDERS_PER_10_SECONDS, ORDERS_PER_DAY, WEIGHT_PER_MINUTE};
use super::line::talk;
use super::params::Params;
use super::refusal::ApiError;
use super::reply::Reply;
use super::rest::{Done, time_unit};
use super::session::{self, Ask, Session};
use super::{known_params, rest_account, rest_market};
use crate::domain::Timestamp;

const LONGEST_MESSAGE: usize = 64 * 1024;
const CONNECTING_WEIGHT: u32 = 2;

pub(super) async fn open(
    State(door): State<Arc<Door>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    RawQuery(query): RawQuery,
    upgrade: WebSocketUpgrade,
) -> Response {
    let used = door.charge(&peer, CONNECTING_WEIGHT);
    let params = Params::parse(&query.unwrap_or_default(), "").unwrap_or_default();
    let limits = params.get("returnRateLimits") != Some("false");
    match door.connect(&peer, Line::Api).and_then(|()| time_unit(params.get("timeUnit"))) {
        Ok(micros) => upgrade.max_message_size(LONGEST_MESSAGE).on_upgrade(move |socket| serve(door, socket, peer, limits, micros)),
        Err(error) => Reply::from(error).into_response(used),
    }
}

async fn serve(door: Arc<Door>, socket: WebSocket, peer: Peer, limits: bool, micros: bool) {
    let line = match door.floor.run(move |hall| hall.fanout.open(Form::Api, micros)).await {
        Ok(line) => line,
        Err(error) => {
            tracing::warn!(%error, "a WebSocket API connection was turned away");
            return;
        }
    };
    let seen = Socket::new(FaultDoor::WsApi, &peer);
    let caller = Caller {
        door: Arc::clone(&door),
        connection: line.id,
        peer,
        seen: Arc::clone(&seen),
        limits,
        micros,
        connected_at: door.clock.now(),
        session: Arc::default(),
    };
    talk(socket, door, line, seen, move |text| handle(caller.clone(), text)).await;
}

/// One connection as its messages see it.
#[derive(Clone)]
pub(super) struct Caller {
    pub door: Arc<Door>,
    pub connection: ConnectionId,
    pub peer: Peer,
    pub seen: Arc<Socket>,
    pub limits: bool,
    /// Times are wanted in microseconds.
    pub micros: bool,
    pub connected_at: Timestamp,
    pub session: Arc<Mutex<Session>>,
}

/// Values stay as they were written: a signature covers their literal text.
#[derive(Deserialize)]
struct Message {
    id: Option<Box<RawValue>>,
    method: String,
    #[serde(default)]
    params: BTreeMap<String, Box<RawValue>>,
}

async fn handle(caller: Caller, text: Utf8Bytes) -> Result<Option<String>, ApiError> {
    let Ok(message) = serde_json::from_str::<Message>(text.as_str()) else {
        let error = ApiError::Malformed("the message is no JSON object of the known form");
        return Ok(Some(write(&caller, "null", 1, false, error.into())));
    };
    let id = message.id.map_or_else(|| "null".to_owned(), |id| id.get().to_owned());
    let sent: Vec<(String, String)> = message.params.iter().map(|(name, value)| (name.clone(), literal(value))).collect();
    let params = Params::from_pairs(sent.clone());
    let limits = caller.limits && params.get("returnRateLimits") != Some("false");
    let method = message.method.strip_prefix("v3/").unwrap_or(&message.method);
    let places = method.starts_with("order.place") || method.starts_with("orderList.place") || method == "order.cancelReplace";
    let asked = Asked { door: FaultDoor::WsApi, method: None, path: method, places };
    let mut weight = 1;
    let reply = caller.door.carry(&caller.peer, asked, async {
        let (cost, outcome) = answer(&caller, method, &sent, params).await;
        weight = cost;
        Reply::from(outcome)
    });
    Ok(reply
        .await
        .map(|reply| if caller.micros { reply.in_micros() } else { reply })
        .map(|reply| write(&caller, &id, weight, limits, reply)))
}

/// The answer and what it costs.
async fn answer(caller: &Caller, method: &str, sent: &[(String, String)], params: Params) -> (u32, Result<Done, ApiError>) {
    let method = match Method::find(method) {
        Ok(method) => method,
        Err(error) => return (1, Err(error)),
    };
    let weight = method.weight(&params);
    if let Err(error) = caller.door.admit(&caller.peer, weight) {
        return (0, Err(error));
    }
    let outcome = run(caller, method, sent, params).await;
    let free = matches!(method, Method::Rest(endpoint) if endpoint.is_free_when_done()) && outcome.is_ok();
    (if free { 0 } else { weight }, outcome)
}

/// A string without its quotes and escapes; anything else as it stands.
fn literal(value: &RawValue) -> String {
    serde_json::from_str::<String>(value.get()).unwrap_or_else(|_| value.get().to_owned())
}

#[derive(Debug, Clone, Copy)]
enum Method {
    /// Answered as the REST endpoint of the same meaning.
    Rest(Endpoint),
    Session(Ask),
}

impl Method {
    fn find(name: &str) -> Result<Self, ApiError> {
        Ok(Self::Rest(match name {
            "ping" => Endpoint::Ping,
            "time" => Endpoint::Time,
            "exchangeInfo" => Endpoint::ExchangeInfo,
            "depth" => Endpoint::Depth,
            "trades.recent" => Endpoint::Trades,
            "trades.historical" => Endpoint::HistoricalTrades,
            "trades.aggregate" => Endpoint::AggTrades,
            "klines" | "uiKlines" => Endpoint::Klines,
            "avgPrice" => Endpoint::AvgPrice,
            "ticker.24hr" => Endpoint::Ticker24h,
            "ticker.tradingDay" => Endpoint::TradingDay,
            "ticker" => Endpoint::RollingTicker,
            "ticker.price" => Endpoint::TickerPrice,
            "ticker.book" => Endpoint::BookTicker,
            "order.place" => Endpoint::PlaceOrder,
            "order.test" => Endpoint::TestOrder,
            "order.cancel" => Endpoint::CancelOrder,
            "order.status" => Endpoint::QueryOrder,
            "openOrders.status" => Endpoint::OpenOrders,
            "openOrders.cancelAll" => Endpoint::CancelAll,
            "allOrders" => Endpoint::AllOrders,
            "myTrades" => Endpoint::MyTrades,
            "account.status" => Endpoint::Account,
            "order.cancelReplace" => Endpoint::CancelReplace,
            "order.amend.keepPriority" => Endpoint::Amend,
            "order.amendments" => Endpoint::Amendments,
            "orderList.place" => Endpoint::PlaceOldOco,
            "orderList.place.oco" => Endpoint::PlaceOco,
            "orderList.place.oto" => Endpoint::PlaceOto,
            "orderList.place.otoco" => Endpoint::PlaceOtoco,
            "orderList.cancel" => Endpoint::CancelList,
            "orderList.status" => Endpoint::QueryList,
            "openOrderLists.status" => Endpoint::OpenLists,
            "allOrderLists" => Endpoint::AllLists,
            "account.commission" => Endpoint::Commission,
            "account.rateLimits.orders" => Endpoint::OrderRate,
            "myFilters" => Endpoint::MyFilters,
            "myPreventedMatches" => Endpoint::PreventedMatches,
            "myAllocations" => Endpoint::Allocations,
            "userDataStream.start" | "userDataStream.ping" | "userDataStream.stop" => return Err(ApiError::Retired),
            _ => return Ask::find(name).map(Self::Session).ok_or(ApiError::NoSuchMethod),
        }))
    }

    fn weight(self, params: &Params) -> u32 {
        match self {
            Self::Rest(endpoint) => endpoint.weight(params),
            Self::Session(_) => 2,
        }
    }
}

async fn run(caller: &Caller, method: Method, sent: &[(String, String)], params: Params) -> Result<Done, ApiError> {
    let door = &caller.door;
    match method {
        Method::Session(ask) => session::answer(caller, ask, sent, &params).await.map(Done::from),
        Method::Rest(endpoint) => {
            if door.rules.strict {
                let names: Vec<&str> = sent.iter().map(|(name, _)| name.as_str()).collect();
                known_params::check(endpoint, &names)?;
            }
            if endpoint.is_signed() {
                session::check(caller, sent, &params)?;
                return door.floor.run(move |hall| rest_account::answer(hall, endpoint, &params)).await?;
            }
            door.floor.run(move |hall| rest_market::answer(hall, endpoint, &params).map(Done::from)).await?
        }
    }
}

fn write(caller: &Caller, id: &str, weight: u32, limits: bool, reply: Reply) -> String {
    let used = caller.door.charge(&caller.peer, weight);
    let orders = reply.order_counts.map(|(short, day)| {
        let row = |interval, number, limit, count| rate_limit("ORDERS", interval, number, limit, count);
        format!("{},{},", row("SECOND", 10, ORDERS_PER_10_SECONDS, short), row("DAY", 1, ORDERS_PER_DAY, day))
    });
    let weight = rate_limit("REQUEST_WEIGHT", "MINUTE", 1, WEIGHT_PER_MINUTE, used);
    let limits = if limits { format!(",\"rateLimits\":[{}{weight}]", orders.unwrap_or_default()) } else { String::new() };
    reply.into_message(id, &limits)
}

fn rate_limit(kind: &str, interval: &str, number: u32, limit: u32, count: u32) -> String {
    format!("{{\"rateLimitType\":\"{kind}\",\"interval\":\"{interval}\",\"intervalNum\":{number},\"limit\":{limit},\"count\":{count}}}")
}
