//! Two ways to send the same question: REST, and the WebSocket API.

use serde::de::DeserializeOwned;

use super::error::{Call, ClientError};
use super::http::Terms;
use super::query::Query;

/// A question in the words of both ways. The answers are the same JSON.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    /// As REST names it.
    pub call: Call,
    /// As the WebSocket API names it.
    pub method: &'static str,
    pub query: Query,
    pub terms: Terms,
}

/// Sends a question, asks again where that is safe, and reads the answer.
pub(super) trait Transport: Sync {
    fn ask<T: DeserializeOwned + Send>(&self, ask: &Ask) -> impl Future<Output = Result<T, ClientError>> + Send;
}
