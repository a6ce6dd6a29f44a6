//! What may go wrong on purpose: one closed list of faults, each with where and when it strikes.
//!
//! A rule is written as JSON, in `--faults FILE`, in a `POST` to `/control/faults`, or built in process:
//!
//! ```json
//! {"fault": {"delay": {"ms": 250}}, "on": "rest", "method": "POST", "path": "order", "after_ms": 1000, "times": 3}
//! {"fault": "drop", "on": "market_streams", "path": "btcusdt@depth*", "for_ms": 5000, "one_in": 10, "seed": 7}
//! ```
//!
//! | fault | strikes | does |
//! |---|---|---|
//! | `disconnect` | requests, sockets | closes the connection at once |
//! | `half_open` | requests, sockets | the connection stays, nothing is read or sent on it any more |
//! | `delay` {ms} | requests, stream messages | waits before executing, or before sending; later messages queue behind |
//! | `drop`, `duplicate`, `reorder` | stream messages | lost; sent twice; sent after the next one |
//! | `error_before` {status, body} | requests | answered like this, not executed |
//! | `error_after` {status, body} | requests | executed, then answered like this |
//! | `reset_after` | requests | executed, then the connection is reset |
//! | `hidden_order` {ms} | placements | executed; queries and lists do not show the order for so long |
//! | `rate_limited`, `banned` {retry_after_secs} | requests | 429; 418 for REST and WebSocket API together until then |
//! | `malformed` {form} | requests, stream messages | see `Form` |
//! | `clock_step` {ms} | the clock | `serverTime` and the check of timestamps jump; the market's own time does not |
//! | `symbol_status` {symbol, status} | the market | trading stops or resumes; with `for_ms` it resumes by itself |
//! | `server_shutdown` {ms} | every socket | announced, then closed after so long |

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use crate::domain::Symbol;

/// One thing that goes wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    Disconnect,
    HalfOpen,
    Delay {
        ms: u64,
    },
    Drop,
    Duplicate,
    Reorder,
    /// `body`: as it is sent; one that begins with `<` is HTML. Without it a page for 502 and 504, plain text for others.
    ErrorBefore {
        status: u16,
        #[serde(default)]
        body: Option<String>,
    },
    /// Without a `body`: `Unknown error, please check your request or try again later.`
    ErrorAfter {
        status: u16,
        #[serde(default)]
        body: Option<String>,
    },
    ResetAfter,
    HiddenOrder {
        ms: u64,
    },
    RateLimited {
        retry_after_secs: u32,
    },
    Banned {
        retry_after_secs: u32,
    },
    Malformed {
        form: Form,
    },
    ClockStep {
        ms: i64,
    },
    SymbolStatus {
        symbol: Symbol,
        status: Phase,
    },
    ServerShutdown {
        ms: u64,
    },
}

/// What is wrong with an answer or a message. The first two answer before anything is executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// The firewall's page, status 403.
    ForbiddenPage,
    /// An error of 100 kB, status 400.
    Huge,
    /// Status 200 and nothing.
    Empty,
    /// The first half.
    Truncated,
    Null,
    /// A word that no client knows, in the first field that holds one of a fixed set.
    UnknownWord,
    /// Decimals as `1.5E-3`.
    Scientific,
}

/// Whether a symbol trades.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Phase {
    Trading,
    Halt,
    Break,
    CancelOnly,
}

/// Where a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultDoor {
    Rest,
    MarketStreams,
    /// Events of user data subscriptions, on connections of the WebSocket API.
    UserStreams,
    /// Requests to the WebSocket API.
    WsApi,
}

/// A fault with its place and time. Without `times` and `for_ms` it strikes once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    pub fault: Fault,
    /// Absent: every door where the fault makes sense.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<FaultDoor>,
    /// HTTP method; REST only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// A path below `/api/v3/` (`order`), a WebSocket API method (`order.place`), a stream (`btcusdt@trade`) or a user event
    /// (`executionReport`); a `*` at the end stands for any rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// From the moment that the rule is given.
    #[serde(default)]
    pub after_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_ms: Option<u64>,
    /// Strikes one of so many matching requests or messages, drawn from `seed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub one_in: Option<NonZeroU32>,
    #[serde(default)]
    pub seed: u64,
}

/// Why a rule is not taken.
#[derive(Debug, thiserror::Error)]
pub enum FaultError {
    #[error("the fault cannot strike {0:?}; leave 'on' out or name a door that it concerns")]
    Door(FaultDoor),
    #[error("'{0}' is no HTTP status of an error; write a number from 400 to 599")]
    Status(u16),
    #[error("a fault that strikes zero times does nothing; leave 'times' out")]
    Never,
    #[error("{0} is not listed here")]
    Symbol(Symbol),
    #[error("the rules are not JSON of the known form")]
    Json(#[from] serde_json::Error),
    #[error("the exchange holds no more than {0} rules; clear them first")]
    TooMany(usize),
}

impl FaultRule {
    /// Everywhere, at once, one time.
    #[must_use]
    pub const fn new(fault: Fault) -> Self {
        Self { fault, on: None, method: None, path: None, after_ms: 0, times: None, for_ms: None, one_in: None, seed: 0 }
    }

    #[must_use]
    pub fn on(self, door: FaultDoor) -> Self {
        Self { on: Some(door), ..self }
    }

    /// Only requests with this method and path.
    #[must_use]
    pub fn request(self, method: &str, path: &str) -> Self {
        Self { method: Some(method.to_owned()), ..self.path(path) }
    }

    #[must_use]
    pub fn path(self, path: &str) -> Self {
        Self { path: Some(path.to_owned()), ..self }
    }

    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self { times: Some(times), ..self }
    }

    #[must_use]
    pub fn for_ms(self, ms: u64) -> Self {
        Self { for_ms: Some(ms), ..self }
    }

    /// One rule, or an array of them.
    ///
    /// # Errors
    /// When the text is not JSON of that form, or a rule makes no sense.
    pub fn parse(text: &str) -> Result<Vec<Self>, FaultError> {
        let rules: Vec<Self> =
            if text.trim_start().starts_with('[') { serde_json::from_str(text)? } else { vec![serde_json::from_str(text)?] };
        rules.iter().try_for_each(Self::check)?;
        Ok(rules)
    }

    /// # Errors
    /// When the fault has no meaning where it shall strike.
    pub fn check(&self) -> Result<(), FaultError> {
        if self.times == Some(0) {
            return Err(FaultError::Never);
        }
        if let Fault::ErrorBefore { status, .. } | Fault::ErrorAfter { status, .. } = self.fault
            && !(400..600).contains(&status)
        {
            return Err(FaultError::Status(status));
        }
        match self.on {
            Some(door) if !self.fault.concerns(door) => Err(FaultError::Door(door)),
            _ => Ok(()),
        }
    }
}

impl Fault {
    /// Whether the fault has a meaning at this door; those of the whole exchange have none at a single one, and take any.
    pub(super) const fn concerns(&self, door: FaultDoor) -> bool {
        match self {
            Self::Drop | Self::Duplicate | Self::Reorder => matches!(door, FaultDoor::MarketStreams | FaultDoor::UserStreams),
            Self::ErrorBefore { .. }
            | Self::ErrorAfter { .. }
            | Self::ResetAfter
            | Self::HiddenOrder { .. }
            | Self::RateLimited { .. }
            | Self::Banned { .. } => matches!(door, FaultDoor::Rest | FaultDoor::WsApi),
            Self::Disconnect
            | Self::HalfOpen
            | Self::Delay { .. }
            | Self::Malformed { .. }
            | Self::ClockStep { .. }
            | Self::SymbolStatus { .. }
            | Self::ServerShutdown { .. } => true,
        }
    }

    /// Strikes at its time rather than with a request or a message.
    pub(super) const fn is_of_the_exchange(&self) -> bool {
        matches!(self, Self::ClockStep { .. } | Self::SymbolStatus { .. } | Self::ServerShutdown { .. })
    }

    /// Strikes a whole connection.
    pub(super) const fn is_of_a_connection(&self) -> bool {
        matches!(self, Self::Disconnect | Self::HalfOpen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_read_as_people_write_them_and_print_back() {
        let text = r#"[{"fault":"drop","on":"market_streams","path":"btcusdt@depth*","after_ms":5,"times":3,"one_in":10,"seed":7},
            {"fault":{"error_before":{"status":502}},"on":"rest","method":"POST","path":"order"},
            {"fault":{"symbol_status":{"symbol":"BTCUSDT","status":"CANCEL_ONLY"}},"for_ms":100},
            {"fault":{"malformed":{"form":"unknown_word"}}}]"#;
        let rules = FaultRule::parse(text).unwrap();
        assert_eq!((rules.len(), rules[0].times, &rules[1].fault), (4, Some(3), &Fault::ErrorBefore { status: 502, body: None }));
        assert_eq!(FaultRule::parse(&serde_json::to_string(&rules).unwrap()).unwrap(), rules);
        assert_eq!(FaultRule::parse(r#"{"fault":"reset_after"}"#).unwrap(), [FaultRule::new(Fault::ResetAfter)]);
    }

    #[test]
    fn rules_without_meaning_are_refused() {
        for text in [
            r#"{"fault":"drop","on":"rest"}"#,
            r#"{"fault":"reset_after","on":"market_streams"}"#,
            r#"{"fault":{"error_after":{"status":200}}}"#,
            r#"{"fault":"drop","times":0}"#,
            r#"{"fault":"drop","tmies":1}"#,
            r#"{"fault":{"delay":{"seconds":1}}}"#,
            r#"{"fault":"explode"}"#,
            "nothing",
        ] {
            assert!(FaultRule::parse(text).is_err(), "{text}");
        }
    }
}
