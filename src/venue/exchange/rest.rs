//! The REST door: reads a request, checks limits and signature, has it answered, and writes status and headers.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;
use axum::extract::{ConnectInfo, Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::auth::KeyPair;
use super::clock::Clock;
use super::endpoint::Endpoint;
use super::floor::Floor;
use super::limits::Weights;
use super::params::Params;
use super::refusal::ApiError;
use super::{rest_account, rest_market};

/// What every connection shares.
pub(super) struct Door {
    pub floor: Floor,
    pub keys: KeyPair,
    pub clock: Clock,
    pub weights: Mutex<Weights>,
    pub shutdown: tokio::sync::watch::Receiver<bool>,
}

impl Door {
    pub fn admit(&self, from: SocketAddr, weight: u32) -> Result<(), ApiError> {
        self.weights.lock().unwrap_or_else(PoisonError::into_inner).admit(from.ip(), weight, self.clock.now())
    }

    /// Counts `weight` and gives the minute's sum.
    pub fn charge(&self, from: SocketAddr, weight: u32) -> u32 {
        self.weights.lock().unwrap_or_else(PoisonError::into_inner).add(from.ip(), weight, self.clock.now())
    }
}

/// A request that was done: its JSON, and for a placement the counted orders.
pub(super) struct Done {
    pub body: String,
    pub order_counts: Option<(u32, u32)>,
}

impl From<String> for Done {
    fn from(body: String) -> Self {
        Self { body, order_counts: None }
    }
}

/// `/api/v3/{*path}`
pub(super) async fn serve(
    State(door): State<Arc<Door>>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    Path(path): Path<String>,
    method: Method,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let request = Request { method, path, query: query.unwrap_or_default(), body: String::from_utf8_lossy(&body).into_owned(), headers };
    let (weight, outcome) = answer(&door, from, request).await;
    respond(door.charge(from, weight), outcome)
}

/// Everything else: 404.
pub(super) async fn nowhere(State(door): State<Arc<Door>>, ConnectInfo(from): ConnectInfo<SocketAddr>, uri: axum::http::Uri) -> Response {
    respond(door.charge(from, 0), Err(ApiError::NoSuchPath(uri.path().to_owned())))
}

struct Request {
    method: Method,
    path: String,
    query: String,
    body: String,
    headers: HeaderMap,
}

/// The answer and what it costs.
async fn answer(door: &Door, from: SocketAddr, request: Request) -> (u32, Result<Done, ApiError>) {
    let endpoint = match Endpoint::find(&request.method, &request.path) {
        Ok(endpoint) => endpoint,
        Err(error) => return (1, Err(error)),
    };
    let params = match Params::parse(&request.query, if request.method == Method::GET { "" } else { &request.body }) {
        Ok(params) => params,
        Err(error) => return (1, Err(error)),
    };
    let weight = endpoint.weight(&params);
    if let Err(error) = door.admit(from, weight) {
        return (0, Err(error));
    }
    let outcome = run(door, endpoint, &request, params).await;
    let free = endpoint.is_free_when_done() && outcome.is_ok();
    (if free { 0 } else { weight }, outcome)
}

async fn run(door: &Door, endpoint: Endpoint, request: &Request, params: Params) -> Result<Done, ApiError> {
    if endpoint.is_signed() {
        let key = request.headers.get("x-mbx-apikey").and_then(|key| key.to_str().ok());
        let body = if request.method == Method::GET { "" } else { &request.body };
        door.keys.check_rest(key, &request.query, body, &params, door.clock.now())?;
        return door.floor.run(move |hall| rest_account::answer(hall, endpoint, &params)).await?;
    }
    door.floor.run(move |hall| rest_market::answer(hall, endpoint, &params).map(Done::from)).await?
}

fn respond(used: u32, outcome: Result<Done, ApiError>) -> Response {
    let (status, body, counts, retry) = match outcome {
        Ok(done) => (StatusCode::OK, done.body, done.order_counts, None),
        Err(error) => (StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST), error.body(), None, error.retry()),
    };
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json;charset=UTF-8"));
    headers.insert("x-mbx-used-weight", HeaderValue::from(used));
    headers.insert("x-mbx-used-weight-1m", HeaderValue::from(used));
    if let Some((short, day)) = counts {
        headers.insert("x-mbx-order-count-10s", HeaderValue::from(short));
        headers.insert("x-mbx-order-count-1d", HeaderValue::from(day));
    }
    if let Some((seconds, _)) = retry {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}
