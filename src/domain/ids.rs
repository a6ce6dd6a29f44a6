//! Identifiers. Client order ids are a pure function of (run, sequence), so a restored backup can never repeat one.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One start of the program: random, made durable before anything is sent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub u64);

/// The venue's id of an order, unique per symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OrderId(pub u64);

/// The venue's id of an order list, unique per account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OrderListId(pub u64);

/// The venue's id of a trade, unique per symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TradeId(pub u64);

/// Our own id of an order: `h<run, 16 hex>-<sequence, hex>`; at most 36 characters of `[a-zA-Z0-9-_]`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct ClientOrderId {
    pub run: RunId,
    pub sequence: u64,
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for ClientOrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "h{}-{:x}", self.run, self.sequence)
    }
}

impl fmt::Debug for ClientOrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for RunId {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        if text.len() == 16 { u64::from_str_radix(text, 16).map(Self).map_err(|_| ()) } else { Err(()) }
    }
}

impl FromStr for ClientOrderId {
    /// Another program's id: it is shown, never adopted.
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let (run, sequence) = text.strip_prefix('h').and_then(|t| t.split_once('-')).ok_or(())?;
        let sequence = u64::from_str_radix(sequence, 16).map_err(|_| ())?;
        Ok(Self { run: run.parse()?, sequence })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_order_ids_round_trip_and_foreign_ones_are_recognised() {
        let id = ClientOrderId { run: RunId(0x1f), sequence: 42 };
        assert_eq!(id.to_string(), "h000000000000001f-2a");
        assert_eq!(id.to_string().parse(), Ok(id));
        let widest = ClientOrderId { run: RunId(u64::MAX), sequence: u64::MAX };
        assert!(widest.to_string().len() <= 36);
        for foreign in ["x-TKT5PX2F", "web_123", "h12-3", "h000000000000001f-"] {
            assert!(foreign.parse::<ClientOrderId>().is_err(), "{foreign}");
        }
    }
}
