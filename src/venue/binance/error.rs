//! What can go wrong in a call, and what that proves about an order.
//!
//! | answer to a placement | proves |
//! |---|---|
//! | 2xx with a readable report | done |
//! | 4xx with a code, 401, 403, 418, 429 | refused: never live |
//! | 503 "Service Unavailable." or "Internal error; unable to process your request. Please try again." | refused |
//! | any other 5xx, codes -1000 -1001 -1006 -1007, unreadable or empty body, broken connection, time-out | nothing: unknown |
//! | no connection was made, or we held it back | refused |
//! | the WebSocket API's connection ended, or said nothing, after the request was written | nothing: unknown |
//!
//! Source: Binance errors.md and rest-api.md ("5xx: execution status unknown"); the two 503 texts: hummingbot's connector tests.

use std::fmt;
use std::time::Duration;

use super::rules::BrokenRule;
use crate::protocol::{FailureKind, VenueRefusal};

/// Which call it was: method and path, never parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    pub method: &'static str,
    pub path: &'static str,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("{call}: no connection; check the network and the venue's address")]
    Connect { call: Call, source: reqwest::Error },
    #[error("{call}: the connection broke or timed out after the request was sent")]
    Broken { call: Call, source: reqwest::Error },
    #[error("{call}: the venue answered {status}, code {code}: {message}")]
    Venue {
        call: Call,
        status: u16,
        code: i64,
        message: String,
        /// What else the answer holds, as JSON.
        data: Option<Box<str>>,
    },
    #[error("{call}: unreadable answer, status {status}, type '{content_type}', {bytes} bytes, starts '{starts}'")]
    Body { call: Call, status: u16, content_type: String, bytes: usize, starts: String, source: Option<serde_json::Error> },
    #[error("{call}: held back for {} s by the venue's request limit", .wait.as_secs())]
    Limited { call: Call, wait: Duration },
    #[error("{call} needs an API key; set HURACAN_API_KEY and HURACAN_API_SECRET")]
    NoCredentials { call: Call },
    #[error("{call}: the answer contradicts the question: {what}")]
    Contradiction { call: Call, what: &'static str },
    #[error("{call}: no connection to the WebSocket API")]
    Offline { call: Call },
    #[error("{call}: {why} after the request was sent")]
    Lost { call: Call, why: &'static str },
    #[error("{call}: the venue refused the key while it bans this address; the key may be good, it is tried again after the ban")]
    RefusedDuringBan { call: Call },
    #[error("{call}: not sent, it would break a rule of the market")]
    AgainstRules { call: Call, source: BrokenRule },
    #[error("{call}: not sent: {what}")]
    Illegal { call: Call, what: &'static str },
    #[error("the secure transport could not be set up")]
    Transport { source: reqwest::Error },
}

/// What an error proves about the order it was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Refused(VenueRefusal),
    Unknown,
}

const NOT_EXECUTED_503: [&str; 2] = ["Service Unavailable.", "Internal error; unable to process your request. Please try again."];

impl ClientError {
    /// What this proves about an order that was to be placed.
    #[must_use]
    pub fn fate(&self) -> Fate {
        match self {
            Self::Connect { .. } | Self::Transport { .. } | Self::Offline { .. } | Self::Illegal { .. } => {
                Fate::Refused(VenueRefusal::Other)
            }
            Self::Limited { .. } | Self::RefusedDuringBan { .. } => Fate::Refused(VenueRefusal::RateLimit),
            Self::AgainstRules { .. } => Fate::Refused(VenueRefusal::Filter),
            Self::NoCredentials { .. } => Fate::Refused(VenueRefusal::Credentials),
            Self::Broken { .. } | Self::Lost { .. } | Self::Contradiction { .. } => Fate::Unknown,
            Self::Body { status, .. } => match status {
                401 => Fate::Refused(VenueRefusal::Credentials),
                403 => Fate::Refused(VenueRefusal::Other),
                418 | 429 => Fate::Refused(VenueRefusal::RateLimit),
                _ => Fate::Unknown,
            },
            Self::Venue { status: 503, message, .. } if NOT_EXECUTED_503.contains(&message.as_str()) => Fate::Refused(VenueRefusal::Other),
            Self::Venue { status: 500.., .. } | Self::Venue { code: -1000 | -1001 | -1006 | -1007, .. } => Fate::Unknown,
            Self::Venue { status, code, message, .. } => Fate::Refused(refusal(*status, *code, message)),
        }
    }

    /// True when asking again may help and cannot do harm (for reads and cancels).
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::Broken { .. } | Self::Lost { .. } => true,
            Self::Venue { status, code, .. } => *status >= 500 || matches!(code, -1000 | -1001 | -1006 | -1007 | -1008),
            // A body that was cut may arrive whole; one of the wrong shape will not change.
            Self::Body { status, source, .. } => {
                *status >= 500 || (*status < 300 && source.as_ref().is_none_or(|s| s.is_eof() || s.is_syntax()))
            }
            _ => false,
        }
    }

    pub(super) fn is_clock(&self) -> bool {
        let told = |text: &str| text.contains("outside of the recvWindow") || text.contains("ahead of the server's time");
        matches!(self, Self::Venue { code: -1021, message, .. } if told(message))
    }

    /// The venue does not know this order (-2013 on a query, -2011 on a cancel).
    #[must_use]
    pub fn is_unknown_order(&self) -> bool {
        matches!(self, Self::Venue { code: -2013, .. })
            || matches!(self, Self::Venue { code: -2011, message, .. } if message.starts_with("Unknown order"))
    }

    /// The order ended long ago with nothing filled, and the venue has put it away (-2026).
    #[must_use]
    pub const fn is_archived(&self) -> bool {
        matches!(self, Self::Venue { code: -2026, .. })
    }

    /// The venue does not know this market.
    #[must_use]
    pub const fn is_unknown_market(&self) -> bool {
        matches!(self, Self::Venue { code: -1121, .. })
    }

    /// What kind of trouble this is, for health.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Connect { .. } | Self::Broken { .. } | Self::Transport { .. } | Self::Offline { .. } | Self::Lost { .. } => {
                FailureKind::Network
            }
            Self::Limited { .. } | Self::RefusedDuringBan { .. } => FailureKind::RateLimit,
            Self::AgainstRules { .. } | Self::Illegal { .. } => FailureKind::Server,
            Self::NoCredentials { .. } => FailureKind::Credentials,
            Self::Contradiction { .. } => FailureKind::Malformed,
            Self::Venue { status, code, .. } => match (status, code) {
                (418 | 429, _) | (_, -1003 | -1015) => FailureKind::RateLimit,
                (_, -1021) => FailureKind::Clock,
                (401, _) | (_, -1022 | -2014 | -2015) => FailureKind::Credentials,
                _ => FailureKind::Server,
            },
            Self::Body { status, .. } => match status {
                418 | 429 => FailureKind::RateLimit,
                401 => FailureKind::Credentials,
                403 | 500.. => FailureKind::Server,
                _ => FailureKind::Malformed,
            },
        }
    }
}

pub(super) fn refusal(status: u16, code: i64, message: &str) -> VenueRefusal {
    match code {
        -1013 | -1111 => VenueRefusal::Filter,
        -1003 | -1015 => VenueRefusal::RateLimit,
        -1021 => VenueRefusal::Clock,
        -1022 | -2014 | -2015 => VenueRefusal::Credentials,
        -2010 => match message {
            "Order would immediately match and take." => VenueRefusal::WouldTake,
            "Account has insufficient balance for requested action." => VenueRefusal::InsufficientBalance,
            "Duplicate order sent." => VenueRefusal::DuplicateId,
            "Market is closed." => VenueRefusal::MarketClosed,
            text if text.starts_with("Filter failure") => VenueRefusal::Filter,
            text if text.contains("trading phase") => VenueRefusal::MarketClosed,
            _ => VenueRefusal::Other,
        },
        _ => match status {
            418 | 429 => VenueRefusal::RateLimit,
            401 => VenueRefusal::Credentials,
            _ => VenueRefusal::Other,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: Call = Call { method: "POST", path: "/api/v3/order" };

    fn venue(status: u16, code: i64, message: &str) -> ClientError {
        ClientError::Venue { call: CALL, status, code, message: message.to_owned(), data: None }
    }

    fn body(status: u16) -> ClientError {
        ClientError::Body { call: CALL, status, content_type: "text/html".into(), bytes: 6, starts: "<html>".into(), source: None }
    }

    #[test]
    fn an_order_is_refused_only_when_the_venue_says_so() {
        use VenueRefusal::*;
        let refused = [
            (venue(400, -2010, "Order would immediately match and take."), WouldTake),
            (venue(400, -2010, "Account has insufficient balance for requested action."), InsufficientBalance),
            (venue(400, -2010, "Duplicate order sent."), DuplicateId),
            (venue(400, -2010, "Market is closed."), MarketClosed),
            (venue(400, -2010, "Filter failure: MAX_NUM_ALGO_ORDERS"), Filter),
            (venue(400, -1013, "Filter failure: LOT_SIZE"), Filter),
            (venue(400, -1111, "too much precision"), Filter),
            (venue(429, -1015, "Too many new orders."), RateLimit),
            (venue(400, -1021, "Timestamp for this request is outside of the recvWindow."), Clock),
            (venue(401, -2015, "Invalid API-key, IP, or permissions for action."), Credentials),
            (venue(400, -1022, "Signature for this request is not valid."), Credentials),
            (venue(503, -1008, "Service Unavailable."), Other),
            (venue(400, -1102, "Mandatory parameter"), Other),
            (body(403), Other),
            (body(429), RateLimit),
        ];
        for (error, wanted) in refused {
            assert_eq!(error.fate(), Fate::Refused(wanted), "{error}");
        }
        let unknown = [
            venue(503, -1008, "Unknown error, please check your request or try again later."),
            venue(500, -1000, "An unknown error occurred while processing the request."),
            venue(400, -1006, "An unexpected response was received from the message bus."),
            venue(400, -1007, "Timeout waiting for response from backend server."),
            body(200),
            body(400),
            body(502),
            ClientError::Lost { call: CALL, why: "the connection ended" },
        ];
        for error in unknown {
            assert_eq!(error.fate(), Fate::Unknown, "{error}");
        }
    }

    #[test]
    fn only_the_two_clock_texts_are_clock_errors() {
        assert!(venue(400, -1021, "Timestamp for this request was 1000ms ahead of the server's time.").is_clock());
        assert!(!venue(400, -1021, "something else").is_clock());
        assert!(!venue(400, -1022, "outside of the recvWindow").is_clock());
    }

    #[test]
    fn an_archived_order_is_told_from_an_unknown_one() {
        let archived = venue(400, -2026, "Order was canceled or expired with no executed qty over 90 days ago and has been archived.");
        assert!(archived.is_archived() && !archived.is_unknown_order());
        assert!(!venue(400, -2013, "Order does not exist.").is_archived());
    }

    #[test]
    fn a_caller_error_is_never_transient() {
        assert!(!venue(400, -1102, "Mandatory parameter").is_transient());
        assert!(!body(403).is_transient());
        assert!(venue(503, -1008, "overloaded").is_transient() && body(502).is_transient() && body(200).is_transient());
    }
}
