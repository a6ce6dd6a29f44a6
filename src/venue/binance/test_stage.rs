//! A venue that lives, for tests of the streams: moving books, trades and quotes for every listener, each with its own delay, and the faults
//! that real connections have.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::Uri;
use axum::response::Response;
use axum::routing::any;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};

use super::{Credentials, Endpoint, RestClient, monotonic_clock};

/// Prices of bids are 1 to 100, of asks 101 to 200; the outermost level of each side stays.
type Side = BTreeMap<i64, u64>;

#[derive(Default)]
pub struct Market {
    pub id: u64,
    pub trade: u64,
    pub bids: Side,
    pub asks: Side,
    first: u64,
    changes: [Vec<[String; 2]>; 2],
    best: Option<(i64, i64)>,
}

pub struct Peer {
    pub number: usize,
    pub path: String,
    pub streams: BTreeSet<String>,
    /// Streams that say nothing until they are subscribed again.
    pub mute: BTreeSet<String>,
    pub stubborn: bool,
    /// Neither reads nor writes.
    pub frozen: Arc<Mutex<bool>>,
    pub subscribed_user: bool,
    /// Texts that came from the client.
    pub texts: Vec<(Instant, String)>,
    pub open: bool,
    pub said_goodbye: bool,
    out: UnboundedSender<(Instant, Message)>,
}

#[derive(Default)]
pub struct Floor {
    pub markets: BTreeMap<String, Market>,
    pub peers: Vec<Peer>,
    pub depth_requests: u32,
    pub refuse_sockets: bool,
    /// Mutes these streams of each new connection.
    pub mute_new: BTreeSet<String>,
    seed: u64,
    /// The account's trades as REST rows.
    pub my_trades: Vec<Value>,
}

pub struct Stage {
    pub endpoint: Endpoint,
    floor: Arc<Mutex<Floor>>,
    clockwork: AbortHandle,
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.clockwork.abort();
    }
}

impl Stage {
    /// One step of every market each `step`.
    pub async fn open(symbols: &[&str], step: Duration) -> Self {
        let mut floor = Floor { seed: 7, ..Floor::default() };
        for symbol in symbols {
            let sides = |prices: std::ops::RangeInclusive<i64>| prices.step_by(9).map(|price| (price, 5)).collect::<Side>();
            let market = Market { id: 1_000, trade: 50, bids: sides(1..=100), asks: sides(101..=200), first: 1_001, ..Market::default() };
            floor.markets.insert((*symbol).to_owned(), market);
        }
        let floor = Arc::new(Mutex::new(floor));
        let app = Router::new().route("/stream", any(door)).route("/ws-api/v3", any(door)).fallback(rest).with_state(floor.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        let moving = floor.clone();
        let clockwork = tokio::spawn(async move {
            let mut tick = tokio::time::interval(step);
            loop {
                tick.tick().await;
                moving.lock().unwrap().step();
            }
        });
        let endpoint = Endpoint::from_rest_url(&format!("http://{address}")).unwrap();
        Self { endpoint, floor, clockwork: clockwork.abort_handle() }
    }

    pub fn client(&self) -> RestClient {
        RestClient::new(self.endpoint.clone(), Some(Credentials::new("key", "secret")), monotonic_clock()).unwrap()
    }

    pub fn floor(&self) -> MutexGuard<'_, Floor> {
        self.floor.lock().unwrap()
    }

    /// The markets stand still; what was pending is published.
    pub fn stand_still(&self) {
        self.clockwork.abort();
        self.floor().flush();
    }

    pub async fn until(&self, mut wanted: impl FnMut(&mut Floor) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !wanted(&mut self.floor()) {
            assert!(Instant::now() < deadline, "the stage never came to this point");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Floor {
    pub fn peers_of<'a>(&'a self, path: &'a str) -> impl Iterator<Item = &'a Peer> {
        self.peers.iter().filter(move |peer| peer.path == path)
    }

    fn random(&mut self, below: u64) -> u64 {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.seed >> 33) % below
    }

    fn step(&mut self) {
        let symbols: Vec<String> = self.markets.keys().cloned().collect();
        for symbol in symbols {
            let (is_bid, near, qty) = (self.random(2) == 0, self.random(40) as i64, self.random(4));
            let Some(market) = self.markets.get_mut(&symbol) else { continue };
            market.id += 1;
            let price = if is_bid { 100 - near } else { 101 + near };
            let (side, changes) = if is_bid { (&mut market.bids, 0) } else { (&mut market.asks, 1) };
            if qty == 0 {
                side.remove(&price);
            } else {
                side.insert(price, qty);
            }
            market.changes[changes].push([price.to_string(), qty.to_string()]);
            let (id, is_end) = (market.id, market.id.is_multiple_of(4));
            let best = (*market.bids.keys().next_back().unwrap(), *market.asks.keys().next().unwrap());
            let moved = market.best.replace(best) != Some(best);
            let traded = id.is_multiple_of(3).then(|| {
                market.trade += 1;
                market.trade
            });
            if moved {
                let (bid, ask) = best;
                let quote = json!({ "u": id, "s": symbol, "b": bid.to_string(), "B": "1", "a": ask.to_string(), "A": "1" });
                self.publish(&symbol, "bookTicker", &quote);
            }
            if let Some(trade) = traded {
                let trade = json!({ "e": "trade", "E": 1, "s": symbol, "t": trade, "p": "100", "q": "1", "T": 1, "m": false, "M": true });
                self.publish(&symbol, "trade", &trade);
            }
            if is_end {
                self.publish_depth(&symbol);
            }
        }
    }

    fn flush(&mut self) {
        let symbols: Vec<String> = self.markets.keys().cloned().collect();
        symbols.iter().for_each(|symbol| self.publish_depth(symbol));
    }

    fn publish_depth(&mut self, symbol: &str) {
        let Some(market) = self.markets.get_mut(symbol) else { return };
        if market.first > market.id {
            return;
        }
        let [bids, asks] = std::mem::take(&mut market.changes);
        let (first, last) = (market.first, market.id);
        market.first = last + 1;
        let diff = json!({ "e": "depthUpdate", "E": 1, "s": symbol, "U": first, "u": last, "b": bids, "a": asks });
        self.publish(symbol, "depth@100ms", &diff);
    }

    fn publish(&mut self, symbol: &str, kind: &str, data: &Value) {
        let stream = format!("{}@{kind}", symbol.to_lowercase());
        let text = format!(r#"{{"stream":"{stream}","data":{data}}}"#);
        for peer in self.peers.iter().filter(|p| p.open && p.streams.contains(&stream) && !p.mute.contains(&stream)) {
            peer.send(&text);
        }
    }

    /// An event of the account for every subscription.
    pub fn publish_user(&self, event: &str) {
        for (number, peer) in self.peers.iter().enumerate().filter(|(_, p)| p.open && p.subscribed_user) {
            peer.send(&format!(r#"{{"subscriptionId":{number},"event":{event}}}"#));
        }
    }

    pub fn close(&mut self, number: usize) {
        // The writer ends with its queue.
        let (gone, _) = mpsc::unbounded_channel();
        self.peers[number].out = gone;
        self.peers[number].open = false;
    }

    fn snapshot(&mut self, symbol: &str) -> String {
        self.depth_requests += 1;
        let market = &self.markets[symbol];
        let levels = |side: &Side| side.iter().map(|(price, qty)| [price.to_string(), qty.to_string()]).collect::<Vec<_>>();
        let mut bids = levels(&market.bids);
        bids.reverse();
        json!({ "lastUpdateId": market.id, "bids": bids, "asks": levels(&market.asks) }).to_string()
    }
}

impl Peer {
    pub fn send(&self, text: &str) {
        // A peer that has left hears nothing.
        let _ = self.out.send((Instant::now(), Message::text(text)));
    }

    fn hear(&mut self, text: &str) {
        self.texts.push((Instant::now(), text.to_owned()));
        let Ok(request) = serde_json::from_str::<Value>(text) else { return };
        let names = request["params"].as_array().cloned().unwrap_or_default();
        let names = names.iter().filter_map(Value::as_str).map(str::to_owned);
        let id = &request["id"];
        match request["method"].as_str() {
            Some("SUBSCRIBE") => names.for_each(|name| {
                if !self.stubborn {
                    self.mute.remove(&name);
                }
                self.streams.insert(name);
            }),
            Some("UNSUBSCRIBE") => names.for_each(|name| {
                self.streams.remove(&name);
            }),
            Some("userDataStream.subscribe.signature") => {
                self.subscribed_user = true;
                return self.send(&json!({ "id": id, "status": 200, "result": { "subscriptionId": self.number } }).to_string());
            }
            _ => {}
        }
        self.send(&json!({ "result": null, "id": id }).to_string());
    }
}

async fn door(State(floor): State<Arc<Mutex<Floor>>>, uri: Uri, upgrade: WebSocketUpgrade) -> Response {
    if floor.lock().unwrap().refuse_sockets {
        return axum::response::IntoResponse::into_response(axum::http::StatusCode::SERVICE_UNAVAILABLE);
    }
    let path = uri.path().to_owned();
    let names = uri.query().and_then(|q| q.strip_prefix("streams=")).unwrap_or("").to_owned();
    upgrade.on_upgrade(move |socket| serve(floor, socket, path, names))
}

async fn serve(floor: Arc<Mutex<Floor>>, socket: WebSocket, path: String, names: String) {
    let (mut sink, mut stream) = socket.split();
    let (out, mut lines): (_, UnboundedReceiver<(Instant, Message)>) = mpsc::unbounded_channel();
    let frozen = Arc::new(Mutex::new(false));
    let number = {
        let mut floor = floor.lock().unwrap();
        let number = floor.peers.len();
        let streams = names.split('/').map(str::to_owned).collect();
        let mute = floor.mute_new.clone();
        floor.peers.push(Peer {
            number,
            path,
            streams,
            stubborn: !mute.is_empty(),
            mute,
            frozen: frozen.clone(),
            subscribed_user: false,
            texts: vec![],
            open: true,
            said_goodbye: false,
            out,
        });
        number
    };
    // Connections differ in their delay, so that each overtakes the other at times.
    let delay = Duration::from_millis([0, 15, 4, 11][number % 4]);
    loop {
        if *frozen.lock().unwrap() {
            return std::future::pending().await;
        }
        tokio::select! {
            line = lines.recv() => {
                let Some((at, message)) = line else { break };
                sleep_until(at + delay).await;
                if sink.send(message).await.is_err() {
                    break;
                }
            }
            message = stream.next() => match message {
                Some(Ok(Message::Text(text))) => floor.lock().unwrap().peers[number].hear(text.as_str()),
                Some(Ok(Message::Close(_))) => {
                    floor.lock().unwrap().peers[number].said_goodbye = true;
                    break;
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => break,
            },
        }
    }
    floor.lock().unwrap().peers[number].open = false;
}

async fn rest(State(floor): State<Arc<Mutex<Floor>>>, uri: Uri) -> String {
    let query = uri.query().unwrap_or("").to_owned();
    let param = |name: &str| query.split('&').find_map(|p| p.strip_prefix(name)?.strip_prefix('=')).unwrap_or("").to_owned();
    let mut floor = floor.lock().unwrap();
    match uri.path() {
        "/api/v3/time" => format!(r#"{{"serverTime":{}}}"#, monotonic_clock()().millis()),
        "/api/v3/depth" => floor.snapshot(&param("symbol")),
        "/api/v3/trades" => {
            let last = floor.markets[&param("symbol")].trade;
            json!([{ "id": last, "price": "100", "qty": "1", "time": 1, "isBuyerMaker": false }]).to_string()
        }
        "/api/v3/exchangeInfo" => {
            let filters = json!([{ "filterType": "PRICE_FILTER", "minPrice": "1", "maxPrice": "1000", "tickSize": "1" },
                { "filterType": "LOT_SIZE", "minQty": "1", "maxQty": "9000", "stepSize": "1" }]);
            let symbols: Vec<Value> = floor
                .markets
                .keys()
                .map(|symbol| {
                    let base = symbol.trim_end_matches("USDT");
                    json!({ "symbol": symbol, "status": "TRADING", "baseAsset": base, "quoteAsset": "USDT", "filters": filters })
                })
                .collect();
            json!({ "symbols": symbols }).to_string()
        }
        "/api/v3/account/commission" => {
            json!({ "symbol": "BTCUSDT", "standardCommission": { "maker": "0", "taker": "0", "buyer": "0", "seller": "0" } }).to_string()
        }
        "/api/v3/account" => json!({ "balances": [{ "asset": "USDT", "free": "1000", "locked": "0" }] }).to_string(),
        "/api/v3/openOrders" => "[]".to_owned(),
        "/api/v3/myTrades" => {
            let from: u64 = param("fromId").parse().unwrap_or(0);
            let rows: Vec<&Value> = floor.my_trades.iter().filter(|t| t["id"].as_u64() >= Some(from)).collect();
            json!(rows).to_string()
        }
        other => panic!("{other}"),
    }
}
