//! A venue made of one closure, for tests: it remembers what it was asked and answers what the test wants.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::any;

use super::{Credentials, Endpoint, RestClient, monotonic_clock};

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: String,
    pub path: String,
    /// Query string or form body.
    pub params: String,
    pub key: Option<String>,
}

impl Seen {
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.split('&').find_map(|p| p.strip_prefix(name)?.strip_prefix('='))
    }
}

pub struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub delay: Duration,
    pub body: String,
}

impl Answer {
    pub fn header(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }

    /// `Retry-After`.
    pub fn retry_after(self, seconds: u64) -> Self {
        self.header("retry-after", seconds)
    }

    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }
}

pub fn ok(body: impl Into<String>) -> Answer {
    fail(200, body)
}

pub fn fail(status: u16, body: impl Into<String>) -> Answer {
    Answer { status, headers: Vec::new(), delay: Duration::ZERO, body: body.into() }
}

/// What a websocket does, step by step; after the last step it closes.
#[derive(Clone)]
pub enum Step {
    Send(String),
    /// Waits for a text and remembers it as a request to the socket's path.
    Receive,
    /// As `Receive`, then sends what the closure makes of the text.
    Answer(fn(&str) -> String),
    /// Stays open until the client leaves.
    Stay,
}

type Answering = dyn Fn(&Seen, &[Seen]) -> Answer + Send + Sync;
type Playing = dyn Fn(&str, usize) -> Vec<Step> + Send + Sync;

#[derive(Clone)]
struct Shared {
    seen: Arc<Mutex<Vec<Seen>>>,
    answer: Arc<Answering>,
    play: Arc<Playing>,
}

pub struct TestVenue {
    pub endpoint: Endpoint,
    seen: Arc<Mutex<Vec<Seen>>>,
}

pub const KEY: &str = "the-public-key";
pub const SECRET: &str = "the-hidden-secret";

impl TestVenue {
    /// `answer` gets the request and all earlier ones to any path.
    pub async fn start(answer: impl Fn(&Seen, &[Seen]) -> Answer + Send + Sync + 'static) -> Self {
        Self::start_with_streams(answer, |_, _| Vec::new()).await
    }

    /// `play` gets a socket's path and how many sockets that path had before.
    pub async fn start_with_streams(
        answer: impl Fn(&Seen, &[Seen]) -> Answer + Send + Sync + 'static,
        play: impl Fn(&str, usize) -> Vec<Step> + Send + Sync + 'static,
    ) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let shared = Shared { seen: seen.clone(), answer: Arc::new(answer), play: Arc::new(play) };
        let app = Router::new().route("/stream", any(socket)).route("/ws-api/v3", any(socket)).fallback(rest).with_state(shared);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { endpoint: Endpoint::from_rest_url(&format!("http://{address}")).unwrap(), seen }
    }

    pub fn client(&self) -> RestClient {
        RestClient::new(self.endpoint.clone(), Some(Credentials::new(KEY, SECRET)), monotonic_clock()).unwrap()
    }

    pub fn seen(&self, path: &str) -> Vec<Seen> {
        self.seen.lock().unwrap().iter().filter(|s| s.path == path).cloned().collect()
    }
}

async fn rest(State(shared): State<Shared>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let query = uri.query().unwrap_or("").to_owned();
    let params = if query.is_empty() { String::from_utf8_lossy(&body).into_owned() } else { query };
    let key = headers.get("x-mbx-apikey").map(|v| v.to_str().unwrap().to_owned());
    let seen = Seen { method: method.to_string(), path: uri.path().to_owned(), params, key };
    let answer = {
        let mut all = shared.seen.lock().unwrap();
        let answer = (shared.answer)(&seen, &all);
        all.push(seen);
        answer
    };
    tokio::time::sleep(answer.delay).await;
    let mut response = (StatusCode::from_u16(answer.status).unwrap(), answer.body).into_response();
    response.headers_mut().insert("x-mbx-used-weight-1m", 7.into());
    for (name, value) in answer.headers {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}

async fn socket(State(shared): State<Shared>, uri: Uri, upgrade: WebSocketUpgrade) -> Response {
    let path = uri.path().to_owned();
    let before = {
        let mut all = shared.seen.lock().unwrap();
        let before = all.iter().filter(|s| s.path == path && s.method == "SOCKET").count();
        let params = uri.query().unwrap_or("").to_owned();
        all.push(Seen { method: "SOCKET".into(), path: path.clone(), params, key: None });
        before
    };
    let steps = (shared.play)(&path, before);
    upgrade.on_upgrade(move |socket| act(socket, steps, path, shared))
}

async fn act(mut socket: WebSocket, steps: Vec<Step>, path: String, shared: Shared) {
    for step in steps {
        match step {
            Step::Send(text) => socket.send(Message::text(text)).await.unwrap_or(()),
            Step::Receive => drop(receive(&mut socket, &path, &shared).await),
            Step::Answer(answer) => {
                if let Some(text) = receive(&mut socket, &path, &shared).await {
                    socket.send(Message::text(answer(&text))).await.unwrap_or(());
                }
            }
            Step::Stay => while let Some(Ok(_)) = socket.recv().await {},
        }
    }
}

async fn receive(socket: &mut WebSocket, path: &str, shared: &Shared) -> Option<String> {
    while let Some(Ok(message)) = socket.recv().await {
        if let Message::Text(text) = message {
            let seen = Seen { method: "TEXT".into(), path: path.to_owned(), params: text.to_string(), key: None };
            shared.seen.lock().unwrap().push(seen);
            return Some(text.to_string());
        }
    }
    None
}
