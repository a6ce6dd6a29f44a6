//! An answer before it is written: what REST puts into status, headers and body, and the WebSocket API into one message.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::faults::Form;
use super::garble::garble;
use super::micros::in_micros;
use super::refusal::ApiError;
use super::rest::Done;

pub(super) struct Reply {
    pub status: u16,
    /// The result, or the error object.
    pub body: String,
    /// Orders counted in the windows of 10 seconds and of the day, after a placement.
    pub order_counts: Option<(u32, u32)>,
    /// When a limited caller may come back: (seconds from now, the moment in epoch milliseconds).
    pub retry: Option<(u64, i64)>,
    /// How the written answer is spoilt.
    pub spoilt: Option<Form>,
}

impl Reply {
    pub const fn new(status: u16, body: String) -> Self {
        Self { status, body, order_counts: None, retry: None, spoilt: None }
    }

    /// `{"code":..,"msg":".."}`
    pub fn error(status: u16, code: i32, msg: &str) -> Self {
        Self::new(status, super::wire::json(&serde_json::json!({"code": code, "msg": msg})))
    }

    pub const fn is_done(&self) -> bool {
        self.status == 200
    }

    /// The same with every time in microseconds.
    pub fn in_micros(self) -> Self {
        Self { body: in_micros(&self.body), ..self }
    }

    /// As REST writes it; `used` is the minute's weight.
    pub fn into_response(self, used: u32) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_REQUEST);
        let body = self.spoilt.map_or_else(|| self.body.clone(), |form| garble(form, &self.body));
        let html = body.starts_with('<');
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        let kind = if html { "text/html" } else { "application/json;charset=UTF-8" };
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert("x-mbx-used-weight", HeaderValue::from(used));
        headers.insert("x-mbx-used-weight-1m", HeaderValue::from(used));
        if let Some((short, day)) = self.order_counts {
            headers.insert("x-mbx-order-count-10s", HeaderValue::from(short));
            headers.insert("x-mbx-order-count-1d", HeaderValue::from(day));
        }
        if let Some((seconds, _)) = self.retry {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }

    /// As the WebSocket API writes it: `id` and `limits` are JSON, `limits` begins with a comma or is empty.
    pub fn into_message(self, id: &str, limits: &str) -> String {
        let text = if self.is_done() {
            format!("{{\"id\":{id},\"status\":200,\"result\":{}{limits}}}", self.body)
        } else {
            format!("{{\"id\":{id},\"status\":{},\"error\":{}{limits}}}", self.status, self.error_object())
        };
        self.spoilt.map_or_else(|| text.clone(), |form| garble(form, &text))
    }

    /// An error that is no JSON object (a page, plain text) becomes the message of one.
    fn error_object(&self) -> String {
        let body = if self.body.starts_with('{') {
            self.body.clone()
        } else {
            super::wire::json(&serde_json::json!({"code": -1000, "msg": self.body}))
        };
        match self.retry {
            Some((_, at_ms)) => format!("{},\"data\":{{\"retryAfter\":{at_ms}}}}}", body.strip_suffix('}').unwrap_or(&body)),
            None => body,
        }
    }
}

impl From<Result<Done, ApiError>> for Reply {
    fn from(outcome: Result<Done, ApiError>) -> Self {
        match outcome {
            Ok(done) => Self { order_counts: done.order_counts, ..Self::new(200, done.body) },
            Err(error) => Self { retry: error.retry(), ..Self::new(error.status(), error.body()) },
        }
    }
}

impl From<ApiError> for Reply {
    fn from(error: ApiError) -> Self {
        Err(error).into()
    }
}
