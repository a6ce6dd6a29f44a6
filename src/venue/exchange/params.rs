//! Request parameters: from the query, from a form body, or from a WebSocket API message; with the errors Binance gives for bad ones.

use std::str::FromStr;

use super::refusal::ApiError;
use crate::domain::{NumberError, Timestamp};

const DECIMAL: &str = "^([0-9]{1,20})(\\.[0-9]{1,20})?$";
const INTEGER: &str = "^[0-9]{1,20}$";

/// Decoded parameters, each name once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Params {
    pairs: Vec<(String, String)>,
}

impl Params {
    /// Query and form body together; where both name a parameter the query wins. A body that is no form (JSON, empty) gives nothing.
    pub fn parse(query: &str, body: &str) -> Result<Self, ApiError> {
        let mut params = Self { pairs: pairs(query)? };
        if !body.starts_with(['{', '[']) {
            for (name, value) in pairs(body)? {
                if params.get(&name).is_none() {
                    params.pairs.push((name, value));
                }
            }
        }
        Ok(params)
    }

    pub fn from_pairs(pairs: Vec<(String, String)>) -> Self {
        Self { pairs }
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A parameter that may be absent but not empty.
    pub fn text(&self, name: &'static str) -> Result<Option<&str>, ApiError> {
        match self.get(name) {
            Some("") => Err(ApiError::Empty(name.to_owned())),
            other => Ok(other),
        }
    }

    pub fn required(&self, name: &'static str) -> Result<&str, ApiError> {
        self.get(name).filter(|value| !value.is_empty()).ok_or(ApiError::Missing(name))
    }

    /// A plain decimal of at most 8 places; exponents, signs and blanks are illegal characters.
    pub fn decimal<T: FromStr<Err = NumberError>>(&self, name: &'static str) -> Result<Option<T>, ApiError> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        if !digits(whole) || !digits(fraction) {
            return Err(ApiError::Illegal { name, range: DECIMAL });
        }
        text.parse().map(Some).map_err(|error| match error {
            NumberError::TooFine(..) => ApiError::TooPrecise(name),
            NumberError::Empty | NumberError::Malformed(_) | NumberError::OutOfRange(_) => ApiError::Illegal { name, range: DECIMAL },
        })
    }

    pub fn required_decimal<T: FromStr<Err = NumberError>>(&self, name: &'static str) -> Result<T, ApiError> {
        self.required(name)?;
        self.decimal(name)?.ok_or(ApiError::Missing(name))
    }

    pub fn integer(&self, name: &'static str) -> Result<Option<u64>, ApiError> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        if !digits(text) {
            return Err(ApiError::Illegal { name, range: INTEGER });
        }
        text.parse().map(Some).map_err(|_| ApiError::Illegal { name, range: INTEGER })
    }

    /// A moment in milliseconds or microseconds (told apart by size), clamped to what a `Timestamp` holds.
    pub fn time(&self, name: &'static str) -> Result<Option<Timestamp>, ApiError> {
        Ok(self.integer(name)?.map(moment))
    }

    /// `limit`, clamped to `most`; zero is not valid.
    pub fn limit(&self, usual: usize, most: usize) -> Result<usize, ApiError> {
        match self.integer("limit")? {
            None => Ok(usual),
            Some(0) => Err(ApiError::BadData("limit")),
            Some(n) => Ok(usize::try_from(n).unwrap_or(most).min(most)),
        }
    }
}

/// Values from 1e14 on are microseconds: in milliseconds that is the year 5138.
fn moment(value: u64) -> Timestamp {
    let value = i64::try_from(value).unwrap_or(i64::MAX);
    if value >= 100_000_000_000_000 { Timestamp::from_nanos(value.saturating_mul(1_000)) } else { Timestamp::from_millis(value) }
}

fn digits(text: &str) -> bool {
    (1..=20).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}

fn pairs(encoded: &str) -> Result<Vec<(String, String)>, ApiError> {
    let mut found: Vec<(String, String)> = Vec::new();
    for part in encoded.split('&').filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let pair = (decode(name), decode(value));
        if found.iter().any(|(name, _)| *name == pair.0) {
            return Err(ApiError::Duplicate);
        }
        found.push(pair);
    }
    Ok(found)
}

/// `application/x-www-form-urlencoded` text as UTF-8; a broken escape stays as it is.
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escape = if bytes[at] == b'%' { bytes.get(at + 1..at + 3).and_then(|hex| hex::decode(hex).ok()) } else { None };
        match (escape, bytes[at]) {
            (Some(decoded), _) => {
                plain.extend(decoded);
                at += 3;
                continue;
            }
            (None, b'+') => plain.push(b' '),
            (None, byte) => plain.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&plain).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Price, Qty};

    #[test]
    fn the_query_wins_over_the_body_and_escapes_are_decoded() {
        let params = Params::parse("symbol=%EF%BC%91%ef%bc%92&side=BUY", "side=SELL&note=a+b%2C").unwrap();
        assert_eq!(params.get("symbol"), Some("\u{ff11}\u{ff12}"));
        assert_eq!(params.get("side"), Some("BUY"));
        assert_eq!(params.get("note"), Some("a b,"));
        assert_eq!(Params::parse("a=1&a=2", ""), Err(ApiError::Duplicate));
        assert_eq!(Params::parse("a=1", "{}").unwrap().pairs.len(), 1);
    }

    #[test]
    fn numbers_are_refused_the_way_the_exchange_does() {
        let params = Params::parse("a=1e-05&b=-1&c=0.123456789&d=0.10000000000&e=&f=1,5&g=.5", "").unwrap();
        for name in ["a", "b", "f", "g"] {
            assert_eq!(params.decimal::<Qty>(name).unwrap_err().code(), -1100, "{name}");
        }
        assert_eq!(params.decimal::<Price>("c").unwrap_err(), ApiError::TooPrecise("c"));
        assert_eq!(params.decimal::<Price>("d").unwrap(), Some("0.1".parse().unwrap()));
        assert_eq!(params.decimal::<Price>("e").unwrap_err().code(), -1105);
        assert_eq!(params.required_decimal::<Price>("h").unwrap_err().code(), -1102);
    }

    #[test]
    fn microseconds_are_recognised() {
        let params = Params::parse("a=1735689600000&b=1735689600000000&c=0", "").unwrap();
        assert_eq!(params.time("a").unwrap(), params.time("b").unwrap());
        assert_eq!(params.time("c").unwrap(), Some(Timestamp::EPOCH));
    }
}
