//! The exchange over real sockets: a small client, and what the doors must do.

mod doors;
mod farewell;
mod faults;
mod market;
mod trading;

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::clock::Clock;
use super::*;
use crate::domain::{Span, Timestamp};

type Socket = WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>;

/// A client of one exchange.
struct Client {
    http: reqwest::Client,
    running: Running,
}

/// Status, headers and JSON of an answer.
struct Answer {
    status: u16,
    headers: reqwest::header::HeaderMap,
    json: Value,
}

impl Answer {
    fn code(&self) -> i64 {
        self.json["code"].as_i64().unwrap_or(0)
    }
}

fn now() -> Timestamp {
    Clock::new(Span::ZERO).now()
}

/// A market that began some days ago.
fn origin(days: i64) -> Timestamp {
    now() - Span::from_secs(86_400).times(days)
}

impl Client {
    async fn of(running: Running) -> Self {
        drop(rustls::crypto::ring::default_provider().install_default());
        Self { http: reqwest::Client::new(), running }
    }

    async fn synthetic(seed: u64) -> Self {
        Self::of(ExchangeServer::start_synthetic(seed, origin(2)).await.unwrap()).await
    }

    async fn with(doors: DoorRules, seed: u64) -> Self {
        Self::of(ExchangeServer::start(ServerConfig { doors, ..ServerConfig::synthetic(seed, origin(2)) }).await.unwrap()).await
    }

    fn sign(&self, payload: &str) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.running.api_secret.as_bytes()).unwrap();
        mac.update(payload.as_bytes());
        hex::encode(mac.finalize().into_bytes())
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let response = request.header("X-MBX-APIKEY", &self.running.api_key).send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        let json = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
        Answer { status, headers, json }
    }

    async fn get(&self, path_and_query: &str) -> Answer {
        self.send(self.http.get(format!("{}/api/v3/{path_and_query}", self.running.rest))).await
    }

    /// A signed request with its parameters in the query.
    async fn signed(&self, method: &str, path: &str, query: &str) -> Answer {
        let query = format!("{query}{}timestamp={}", if query.is_empty() { "" } else { "&" }, now().millis());
        self.raw(method, path, &format!("{query}&signature={}", self.sign(&query)), None).await
    }

    async fn raw(&self, method: &str, path: &str, query: &str, body: Option<String>) -> Answer {
        let url = format!("{}/api/v3/{path}?{query}", self.running.rest);
        let request = self.http.request(method.parse().unwrap(), url);
        let request = match body {
            Some(body) => request.header("Content-Type", "application/x-www-form-urlencoded").body(body),
            None => request,
        };
        self.send(request).await
    }

    async fn best(&self, symbol: &str) -> (f64, f64) {
        let ticker = self.get(&format!("ticker/bookTicker?symbol={symbol}")).await.json;
        (number(&ticker["bidPrice"]), number(&ticker["askPrice"]))
    }

    async fn socket(&self, path: &str) -> Socket {
        connect_async(format!("{}{path}", self.running.ws)).await.unwrap().0
    }

    /// A connection that hears the user data stream.
    async fn user_stream(&self) -> Socket {
        let mut socket = connect_async(&self.running.ws_api).await.unwrap().0;
        let answer = self.call(&mut socket, "userDataStream.subscribe.signature", json!({})).await;
        assert_eq!(answer["result"]["subscriptionId"], 0, "{answer}");
        socket
    }

    /// A signed WebSocket API call; events that arrive before the answer are dropped.
    async fn call(&self, socket: &mut Socket, method: &str, params: Value) -> Value {
        let mut params = params.as_object().unwrap().clone();
        params.insert("apiKey".into(), json!(self.running.api_key));
        params.insert("timestamp".into(), json!(now().millis()));
        let mut fields: Vec<_> =
            params.iter().map(|(k, v)| format!("{k}={}", v.as_str().map_or_else(|| v.to_string(), str::to_owned))).collect();
        fields.sort();
        params.insert("signature".into(), json!(self.sign(&fields.join("&"))));
        say(socket, &json!({"id": "t-1", "method": method, "params": params})).await;
        hear_until(socket, |message| message["id"] == "t-1").await
    }
}

fn number(value: &Value) -> f64 {
    value.as_str().unwrap_or_else(|| panic!("{value} is no string")).parse().unwrap()
}

async fn say(socket: &mut Socket, message: &Value) {
    socket.send(Message::text(message.to_string())).await.unwrap();
}

/// The next JSON message.
async fn hear(socket: &mut Socket) -> Value {
    loop {
        let message = tokio::time::timeout(Duration::from_secs(20), socket.next()).await.expect("silence").expect("closed").unwrap();
        if let Message::Text(text) = message {
            return serde_json::from_str(text.as_str()).unwrap();
        }
    }
}

async fn hear_until(socket: &mut Socket, wanted: impl Fn(&Value) -> bool) -> Value {
    loop {
        let message = hear(socket).await;
        if wanted(&message) {
            return message;
        }
    }
}
