//! What the exchange answers when it does not do what was asked: HTTP status, code and message as Binance words them.

use serde::Serialize;

/// One refusal. `Display` is the message a client sees.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ApiError {
    #[error("Mandatory parameter '{0}' was not sent, was empty/null, or malformed.")]
    Missing(&'static str),
    #[error("Param '{0}' or '{1}' must be sent, but both were empty/null!")]
    OneOf(&'static str, &'static str),
    #[error("Parameter '{0}' was empty.")]
    Empty(String),
    #[error("Duplicate values for a parameter detected.")]
    Duplicate,
    #[error("Illegal characters found in parameter '{name}'; legal range is '{range}'.")]
    Illegal { name: &'static str, range: &'static str },
    #[error("Parameter '{0}' has too much precision.")]
    TooPrecise(&'static str),
    #[error("Parameter '{0}' sent when not required.")]
    NotRequired(&'static str),
    #[error("Combination of optional parameters invalid.")]
    Combination,
    #[error("Data sent for parameter '{0}' is not valid.")]
    BadData(&'static str),
    #[error("Invalid timeInForce.")]
    TimeInForce,
    #[error("Invalid orderType.")]
    OrderType,
    #[error("Invalid side.")]
    Side,
    #[error("Invalid new order response type.")]
    ResponseType,
    #[error("Invalid interval.")]
    Interval,
    #[error("Invalid symbol.")]
    Symbol,
    #[error("recvWindow must be less than 60000.")]
    WindowTooWide,
    #[error("Timestamp for this request is outside of the recvWindow.")]
    TooLate,
    #[error("Timestamp for this request was 1000ms ahead of the server's time.")]
    TooEarly,
    #[error("Signature for this request is not valid.")]
    Signature,
    #[error("API-key format invalid.")]
    KeyFormat,
    #[error("Invalid API-key, IP, or permissions for action.")]
    KeyUnknown,
    #[error(
        "Too much request weight used; current limit is {limit} request weight per 1 MINUTE. Please use WebSocket Streams for live updates to avoid polling the API."
    )]
    Weight { limit: u32, retry_after_secs: u64, retry_at_ms: i64 },
    #[error(
        "Too many requests; current limit is {limit} per 5 MINUTE. Please use WebSocket Streams for live updates to avoid polling the API."
    )]
    Requests { limit: u32, retry_after_secs: u64, retry_at_ms: i64 },
    #[error(
        "Way too much request weight used; IP banned until {retry_at_ms}. Please use WebSocket Streams for live updates to avoid bans."
    )]
    Banned { retry_after_secs: u64, retry_at_ms: i64 },
    #[error("Too many new orders; current limit is {limit} orders per {window}.")]
    OrderCount { limit: u32, window: &'static str, retry_after_secs: u64, retry_at_ms: i64 },
    #[error("Server is currently overloaded with other requests. Please try again in a few minutes.")]
    Overloaded,
    #[error("Timeout waiting for response from backend server. Send status unknown; execution status unknown.")]
    Unknown,
    #[error("Path {0} is not served here.")]
    NoSuchPath(String),
    #[error("Request method is not supported for this path.")]
    WrongMethod,
    #[error("This endpoint has been retired; subscribe with userDataStream.subscribe.signature on the WebSocket API.")]
    Retired,
    #[error("Unknown method.")]
    NoSuchMethod,
    #[error("Malformed request: {0}")]
    Malformed(&'static str),
    #[error("User Data Stream subscription already active.")]
    AlreadySubscribed,
    #[error("User Data Stream subscription not active.")]
    NotSubscribed,
    #[error("Order does not exist.")]
    NoSuchOrder,
    #[error("Order list does not exist.")]
    NoSuchList,
    #[error("Client order ID is not correct for this order ID.")]
    OtherClientId,
    #[error("More than {0} hours between startTime and endTime.")]
    LongSpan(u32),
    #[error("Invalid strategyType; it cannot be less than 1000000.")]
    StrategyType,
    #[error("cancelRestrictions has to be either ONLY_NEW or ONLY_PARTIALLY_FILLED.")]
    Restrictions,
    #[error("This symbol does not allow the specified self-trade prevention mode.")]
    SelfTradeMode,
    /// A kind of order that is not served.
    #[error("{0} are not supported for this symbol.")]
    NotSupported(&'static str),
    /// A replacement of which at least one half failed; `data` is the JSON of both halves.
    #[error("{}", if *.both { "Order cancel-replace failed." } else { "Order cancel-replace partially failed." })]
    Replace { both: bool, limited: bool, data: String },
    /// The matching core's own word.
    #[error("{message}")]
    Rejected { code: i32, message: String },
}

#[derive(Serialize)]
struct Body<'a> {
    code: i32,
    msg: &'a str,
}

impl ApiError {
    pub const fn code(&self) -> i32 {
        match self {
            Self::Weight { .. } | Self::Requests { .. } | Self::Banned { .. } => -1003,
            Self::Unknown => -1007,
            Self::Overloaded => -1008,
            Self::OrderCount { .. } => -1015,
            Self::TooLate | Self::TooEarly => -1021,
            Self::Signature => -1022,
            Self::NoSuchPath(_) | Self::WrongMethod | Self::Retired | Self::NoSuchMethod => -1020,
            Self::Illegal { .. } => -1100,
            Self::Duplicate => -1101,
            Self::Missing(_) | Self::OneOf(..) => -1102,
            Self::Empty(_) => -1105,
            Self::NotRequired(_) => -1106,
            Self::TooPrecise(_) => -1111,
            Self::TimeInForce => -1115,
            Self::OrderType => -1116,
            Self::Side => -1117,
            Self::Interval => -1120,
            Self::Symbol => -1121,
            Self::LongSpan(_) => -1127,
            Self::Combination => -1128,
            Self::ResponseType | Self::BadData(_) => -1130,
            Self::WindowTooWide => -1131,
            Self::StrategyType => -1134,
            Self::Malformed(_) => -1135,
            Self::Restrictions => -1145,
            Self::SelfTradeMode | Self::NotSupported(_) => -1013,
            Self::NoSuchOrder | Self::NoSuchList => -2013,
            Self::Replace { both: false, .. } => -2021,
            Self::Replace { both: true, .. } => -2022,
            Self::OtherClientId => -2039,
            Self::KeyFormat => -2014,
            Self::KeyUnknown => -2015,
            Self::AlreadySubscribed => -2035,
            Self::NotSubscribed => -2036,
            Self::Rejected { code, .. } => *code,
        }
    }

    /// The HTTP status; the WebSocket API repeats it in `status`.
    pub const fn status(&self) -> u16 {
        match self {
            Self::KeyFormat | Self::KeyUnknown => 401,
            Self::NoSuchPath(_) => 404,
            Self::WrongMethod => 405,
            Self::Retired => 410,
            Self::Replace { both: false, .. } => 409,
            Self::Banned { .. } => 418,
            Self::Weight { .. } | Self::Requests { .. } | Self::OrderCount { .. } | Self::Replace { limited: true, .. } => 429,
            Self::Overloaded | Self::Unknown => 503,
            _ => 400,
        }
    }

    /// When a limited caller may come back: (seconds from now, the moment in epoch milliseconds).
    pub const fn retry(&self) -> Option<(u64, i64)> {
        match self {
            Self::Banned { retry_after_secs, retry_at_ms }
            | Self::Weight { retry_after_secs, retry_at_ms, .. }
            | Self::Requests { retry_after_secs, retry_at_ms, .. }
            | Self::OrderCount { retry_after_secs, retry_at_ms, .. } => Some((*retry_after_secs, *retry_at_ms)),
            _ => None,
        }
    }

    /// `{"code":..,"msg":".."}`, and `"data"` for a replacement.
    pub fn body(&self) -> String {
        let mut body = super::wire::json(&Body { code: self.code(), msg: &self.to_string() });
        if let Self::Replace { data, .. } = self {
            body.pop();
            body.push_str(&format!(",\"data\":{data}}}"));
        }
        body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replacement_has_its_status_and_code_and_says_how_each_half_went() {
        let of = |both, limited| ApiError::Replace { both, limited, data: "{\"cancelResult\":\"FAILURE\"}".to_owned() };
        for (both, limited, status, code) in
            [(false, false, 409, -2021), (false, true, 409, -2021), (true, false, 400, -2022), (true, true, 429, -2022)]
        {
            assert_eq!((of(both, limited).status(), of(both, limited).code()), (status, code));
        }
        let body = "{\"code\":-2022,\"msg\":\"Order cancel-replace failed.\",\"data\":{\"cancelResult\":\"FAILURE\"}}";
        assert_eq!(of(true, false).body(), body);
    }
}
