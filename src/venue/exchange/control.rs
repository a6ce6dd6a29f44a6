//! `/control/faults`: give, list and clear faults while the exchange runs; for programs on this computer only.

use std::sync::Arc;

use axum::extract::{ConnectInfo, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::door::Door;
use super::faults::FaultRule;
use super::gate::Peer;

/// `GET` lists; `POST` adds a rule or an array of rules, then lists; `DELETE` clears them and what they still hold.
pub(super) async fn faults(State(door): State<Arc<Door>>, ConnectInfo(peer): ConnectInfo<Peer>, method: Method, body: String) -> Response {
    if !peer.addr.ip().is_loopback() {
        return answer(StatusCode::FORBIDDEN, refused("faults are controlled from this computer only"));
    }
    match method {
        Method::GET => answer(StatusCode::OK, door.faults.list()),
        Method::POST => match FaultRule::parse(&body).and_then(|rules| door.inject(rules)) {
            Ok(()) => answer(StatusCode::OK, door.faults.list()),
            Err(error) => {
                let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
                answer(StatusCode::BAD_REQUEST, refused(&format!("{error}{cause}")))
            }
        },
        Method::DELETE => {
            door.clear_faults().await;
            answer(StatusCode::OK, door.faults.list())
        }
        _ => answer(StatusCode::METHOD_NOT_ALLOWED, refused("write GET, POST or DELETE")),
    }
}

fn refused(why: &str) -> String {
    super::wire::json(&serde_json::json!({"error": why}))
}

fn answer(status: StatusCode, body: String) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}
