//! Binance's words for what an order is, as the client writes them and the simulated exchange prints them.

use crate::domain::{OrderKind, Side, TimeInForce};

pub(super) const fn side(side: Side) -> &'static str {
    match side {
        Side::Buy => "BUY",
        Side::Sell => "SELL",
    }
}

pub(super) const fn order_type(kind: OrderKind) -> &'static str {
    match kind {
        OrderKind::LimitMaker { .. } => "LIMIT_MAKER",
        OrderKind::Limit { .. } => "LIMIT",
        OrderKind::Market => "MARKET",
        OrderKind::StopLoss { .. } => "STOP_LOSS",
        OrderKind::StopLossLimit { .. } => "STOP_LOSS_LIMIT",
        OrderKind::TakeProfit { .. } => "TAKE_PROFIT",
        OrderKind::TakeProfitLimit { .. } => "TAKE_PROFIT_LIMIT",
    }
}

/// `None` where the kind has none; to send one with such an order is an error.
pub(super) const fn time_in_force(kind: OrderKind) -> Option<&'static str> {
    let time_in_force = match kind {
        OrderKind::Limit { time_in_force, .. }
        | OrderKind::StopLossLimit { time_in_force, .. }
        | OrderKind::TakeProfitLimit { time_in_force, .. } => time_in_force,
        OrderKind::LimitMaker { .. } | OrderKind::Market | OrderKind::StopLoss { .. } | OrderKind::TakeProfit { .. } => return None,
    };
    Some(match time_in_force {
        TimeInForce::Gtc => "GTC",
        TimeInForce::Ioc => "IOC",
        TimeInForce::Fok => "FOK",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Price;

    #[test]
    fn only_kinds_with_a_choice_name_how_long_they_are_in_force() {
        let (price, stop, time_in_force) = (Price::from_raw(1), Price::from_raw(2), TimeInForce::Ioc);
        let kinds = [
            (OrderKind::LimitMaker { price }, "LIMIT_MAKER", None),
            (OrderKind::Limit { price, time_in_force }, "LIMIT", Some("IOC")),
            (OrderKind::Market, "MARKET", None),
            (OrderKind::StopLoss { stop }, "STOP_LOSS", None),
            (OrderKind::StopLossLimit { price, stop, time_in_force }, "STOP_LOSS_LIMIT", Some("IOC")),
            (OrderKind::TakeProfit { stop }, "TAKE_PROFIT", None),
            (OrderKind::TakeProfitLimit { price, stop, time_in_force }, "TAKE_PROFIT_LIMIT", Some("IOC")),
        ];
        for (kind, name, force) in kinds {
            assert_eq!((order_type(kind), super::time_in_force(kind)), (name, force));
        }
    }
}
