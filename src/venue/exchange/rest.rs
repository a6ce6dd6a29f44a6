//! The REST door: reads a request, checks limits and signature, has it answered, and writes status and headers.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{ConnectInfo, Path, RawQuery, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};

use super::armed::Asked;
use super::door::Door;
use super::endpoint::Endpoint;
use super::faults::FaultDoor;
use super::gate::Peer;
use super::params::Params;
use super::refusal::ApiError;
use super::reply::Reply;
use super::{rest_account, rest_market};

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
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(path): Path<String>,
    method: Method,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let request = Request { method, path, query: query.unwrap_or_default(), body: String::from_utf8_lossy(&body).into_owned(), headers };
    let places = request.method == Method::POST && request.path.starts_with("order") && !request.path.ends_with("/test");
    let asked = Asked { door: FaultDoor::Rest, method: Some(request.method.as_str()), path: &request.path, places };
    let mut weight = 1;
    let reply = door.carry(&peer, asked, async {
        let (cost, outcome) = answer(&door, &peer, &request).await;
        weight = cost;
        Reply::from(outcome)
    });
    match reply.await {
        Some(reply) => reply.into_response(door.charge(&peer, weight)),
        // The connection is thrown: whatever this says cannot leave.
        None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

/// Everything else: 404.
pub(super) async fn nowhere(State(door): State<Arc<Door>>, ConnectInfo(peer): ConnectInfo<Peer>, uri: axum::http::Uri) -> Response {
    Reply::from(ApiError::NoSuchPath(uri.path().to_owned())).into_response(door.charge(&peer, 0))
}

struct Request {
    method: Method,
    path: String,
    query: String,
    body: String,
    headers: HeaderMap,
}

/// The answer and what it costs.
async fn answer(door: &Door, peer: &Peer, request: &Request) -> (u32, Result<Done, ApiError>) {
    let endpoint = match Endpoint::find(&request.method, &request.path) {
        Ok(endpoint) => endpoint,
        Err(error) => return (1, Err(error)),
    };
    let params = match Params::parse(&request.query, if request.method == Method::GET { "" } else { &request.body }) {
        Ok(params) => params,
        Err(error) => return (1, Err(error)),
    };
    let weight = endpoint.weight(&params);
    if let Err(error) = door.admit(peer, weight) {
        return (0, Err(error));
    }
    let outcome = run(door, endpoint, request, params).await;
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
