//! Where orders go out: over REST, or over the WebSocket API with REST behind it.

use std::time::Instant;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use super::error::ClientError;
use super::http::PLACED_WITHIN;
use super::rest::RestClient;
use super::transport::{Ask, Transport};
use super::ws_api::WsApi;
use crate::domain::Timestamp;

/// How orders, cancels and questions about orders are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderTransport {
    #[default]
    Rest,
    /// One standing connection: no handshake, no connection pool. What cannot be sent over it goes over REST.
    WsApi,
}

/// How a gateway sends its requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Requests {
    pub transport: OrderTransport,
    /// A ban that an earlier start was told, in the venue's time.
    pub banned_until: Option<Timestamp>,
}

#[derive(Clone)]
pub(super) enum Desk {
    Rest(RestClient),
    Socket { ws: WsApi, rest: RestClient },
}

impl Desk {
    /// `standing` gets the connection's task, if there is one.
    pub fn open(transport: OrderTransport, rest: &RestClient, standing: &mut JoinSet<()>) -> Self {
        match transport {
            OrderTransport::Rest => Self::Rest(rest.clone()),
            OrderTransport::WsApi => {
                let (ws, connection) = WsApi::new(rest.http().clone());
                standing.spawn(connection.run());
                Self::Socket { ws, rest: rest.clone() }
            }
        }
    }
}

impl Transport for Desk {
    async fn ask<T: DeserializeOwned + Send>(&self, ask: &Ask) -> Result<T, ClientError> {
        match self {
            Self::Rest(rest) => rest.http().ask(ask).await,
            Self::Socket { ws, rest } => {
                let begun = Instant::now();
                match ws.ask(ask).await {
                    // Nothing was sent, so that sending it over REST cannot do it twice; an order whose moment has passed is not sent.
                    Err(ClientError::Offline { .. }) if ask.terms.repeatable || begun.elapsed() <= PLACED_WITHIN => {
                        rest.http().ask(ask).await
                    }
                    answered => answered,
                }
            }
        }
    }
}
