//! What every answer on the wire shares: JSON text, decimals with eight places, and Binance's words for ours.

use std::fmt::Display;

use serde::{Serialize, Serializer};

use crate::domain::{Level, ListKind, ListStatus, OrderKind, OrderListId, OrderStatus};
use crate::matching::{Expiry, OrderView, Phase, SelfTradeMode, SymbolStatus};
use crate::venue::order_words;
pub(super) use crate::venue::order_words::{order_type, side};

/// A decimal as the exchange prints it: a string with exactly eight places.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fixed<T>(pub T);

impl<T: Display> Serialize for Fixed<T> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(&format_args!("{:.8}", self.0))
    }
}

/// A book level as `["price","quantity"]`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pair(pub Level);

impl Serialize for Pair {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        (Fixed(self.0.price), Fixed(self.0.qty)).serialize(out)
    }
}

pub(super) fn pairs(levels: &[Level]) -> Vec<Pair> {
    levels.iter().copied().map(Pair).collect()
}

/// The wire structs are plain data with string keys, which always serialise.
pub(super) fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("plain data with string keys serialises")
}

/// What has no choice is printed as good till cancelled.
pub(super) const fn time_in_force(kind: OrderKind) -> &'static str {
    match order_words::time_in_force(kind) {
        Some(stated) => stated,
        None => "GTC",
    }
}

pub(super) const fn status(order: &OrderView) -> &'static str {
    match (order.status, order.phase, order.expiry) {
        (OrderStatus::Open, Phase::Pending, _) => "PENDING_NEW",
        (OrderStatus::Open, ..) => "NEW",
        (OrderStatus::PartiallyFilled, ..) => "PARTIALLY_FILLED",
        (OrderStatus::Filled, ..) => "FILLED",
        (OrderStatus::Canceled, ..) => "CANCELED",
        (OrderStatus::Rejected, ..) => "REJECTED",
        (OrderStatus::Expired, _, Some(Expiry::SelfTrade)) => "EXPIRED_IN_MATCH",
        (OrderStatus::Expired, ..) => "EXPIRED",
    }
}

/// Why an order expired, in the words of the exchange; `None` where it has none.
pub(super) const fn expiry_reason(order: &OrderView) -> Option<&'static str> {
    match order.expiry {
        None | Some(Expiry::SelfTrade) => None,
        Some(Expiry::UnfilledIoc) => Some("UNFILLED_IOC_QUANTITY_EXPIRED"),
        Some(Expiry::UnfilledFok) => Some("UNFILLED_FOK_ORDER_EXPIRED"),
        Some(Expiry::Liquidity) => Some("INSUFFICIENT_LIQUIDITY"),
        Some(Expiry::Funds | Expiry::RefusedOnEntry) => Some("REJECTED"),
        Some(Expiry::OcoTrigger) => Some("OCO_TRIGGER"),
        Some(Expiry::PhaseOne) => Some("OTO_PHASE_ONE_EXPIRED"),
    }
}

pub(super) const fn self_trade(mode: SelfTradeMode) -> &'static str {
    match mode {
        SelfTradeMode::None => "NONE",
        SelfTradeMode::ExpireTaker => "EXPIRE_TAKER",
        SelfTradeMode::ExpireMaker => "EXPIRE_MAKER",
        SelfTradeMode::ExpireBoth => "EXPIRE_BOTH",
    }
}

pub(super) const fn symbol_status(status: SymbolStatus) -> &'static str {
    match status {
        SymbolStatus::Trading => "TRADING",
        SymbolStatus::Halt => "HALT",
        SymbolStatus::Break => "BREAK",
        SymbolStatus::CancelOnly => "CANCEL_ONLY",
        SymbolStatus::EndOfDay => "END_OF_DAY",
    }
}

pub(super) const fn contingency(kind: ListKind) -> &'static str {
    match kind {
        ListKind::Oco => "OCO",
        ListKind::Oto => "OTO",
    }
}

/// (`listStatusType`, `listOrderStatus`) as a query shows them.
pub(super) const fn list_status(status: ListStatus) -> (&'static str, &'static str) {
    match status {
        ListStatus::Executing => ("EXEC_STARTED", "EXECUTING"),
        ListStatus::AllDone => ("ALL_DONE", "ALL_DONE"),
        ListStatus::Rejected => ("RESPONSE", "REJECT"),
    }
}

/// `-1` for an order of no list.
pub(super) fn list_number(list: Option<OrderListId>) -> i64 {
    list.map_or(-1, |id| i64::try_from(id.0).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Money, Price};

    #[test]
    fn decimals_have_eight_places() {
        assert_eq!(json(&Fixed("61837.63".parse::<Price>().unwrap())), "\"61837.63000000\"");
        assert_eq!(json(&Fixed("0.0000000123".parse::<Money>().unwrap())), "\"0.00000001\"");
        assert_eq!(json(&Fixed(Price::ZERO)), "\"0.00000000\"");
    }
}
