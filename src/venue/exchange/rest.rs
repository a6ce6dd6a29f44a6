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
use super::{elsewhere, known_params, rest_account, rest_market};

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
    // A GET has no body, whatever is sent with it.
    let body = if method == Method::GET { Bytes::new() } else { body };
    let request = Request { method, path, query: query.unwrap_or_default(), body, headers };
    let places = request.method == Method::POST && request.path.starts_with("order") && !request.path.ends_with("/test");
    let asked = Asked { door: FaultDoor::Rest, method: Some(request.method.as_str()), path: &request.path, places };
    let mut weight = 1;
    let unit = request.headers.get("x-mbx-time-unit").and_then(|unit| unit.to_str().ok());
    let micros = time_unit(unit);
    let reply = door.carry(&peer, asked, async {
        if let Err(error) = &micros {
            return Reply::from(error.clone());
        }
        let (cost, outcome) = answer(&door, &peer, &request).await;
        weight = cost;
        Reply::from(outcome)
    });
    match reply.await {
        Some(reply) if micros == Ok(true) => reply.in_micros().into_response(door.charge(&peer, weight)),
        Some(reply) => reply.into_response(door.charge(&peer, weight)),
        // The connection is thrown: whatever this says cannot leave.
        None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

/// Whether times are wanted in microseconds.
pub(super) fn time_unit(named: Option<&str>) -> Result<bool, ApiError> {
    match named {
        None | Some("MILLISECOND" | "millisecond") => Ok(false),
        Some("MICROSECOND" | "microsecond") => Ok(true),
        Some(_) => {
            let message = "Invalid value for time unit; expected either MICROSECOND or MILLISECOND.".to_owned();
            Err(ApiError::Rejected { code: -1194, message })
        }
    }
}

/// Everything else: a few answers that clients ask for at their start, else 404.
pub(super) async fn nowhere(State(door): State<Arc<Door>>, ConnectInfo(peer): ConnectInfo<Peer>, uri: axum::http::Uri) -> Response {
    let used = door.charge(&peer, 0);
    let params = Params::parse(uri.query().unwrap_or_default(), "").unwrap_or_default();
    match elsewhere::answer(&door, uri.path(), &params).await {
        Some(body) => Reply::new(200, body).into_response(used),
        None => Reply::from(ApiError::NoSuchPath(uri.path().to_owned())).into_response(used),
    }
}

struct Request {
    method: Method,
    path: String,
    query: String,
    body: Bytes,
    headers: HeaderMap,
}

/// The answer and what it costs.
async fn answer(door: &Door, peer: &Peer, request: &Request) -> (u32, Result<Done, ApiError>) {
    let endpoint = match Endpoint::find(&request.method, &request.path) {
        Ok(endpoint) => endpoint,
        Err(error) => return (1, Err(error)),
    };
    let body = String::from_utf8_lossy(&request.body);
    let params = match Params::parse(&request.query, &body) {
        Ok(params) => params,
        Err(error) => return (1, Err(error)),
    };
    if door.rules.strict
        && let Err(error) = known_params::check_form(endpoint, &request.query, &body)
    {
        return (1, Err(error));
    }
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
        door.keys.check_rest(key, request.query.as_bytes(), &request.body, &params, door.clock.now())?;
        return door.floor.run(move |hall| rest_account::answer(hall, endpoint, &params)).await?;
    }
    door.floor.run(move |hall| rest_market::answer(hall, endpoint, &params).map(Done::from)).await?
}
