//! What a fill and an ending do to orders and balances. The only place where balances move.

use super::exchange::{Exchange, paying_asset};
use super::queue::MakerFill;
use super::{Execution, Report, ReportKind};
use crate::domain::{Bps, Money, OrderId, OrderStatus, Qty, Role, Side, Timestamp, TradeId};

impl Exchange {
    pub(super) fn next_trade(&mut self) -> TradeId {
        self.last_trade += 1;
        TradeId(self.last_trade)
    }

    /// Pays and receives one fill. Quote amounts are rounded towards zero to 1e-8, the same for both sides of a trade; on a
    /// grid whose tick x step is a multiple of 1e-8 nothing is ever rounded.
    pub(super) fn fill(&mut self, at: Timestamp, trade_id: TradeId, fill: MakerFill, role: Role, reports: &mut Vec<Report>) {
        let Some(order) = self.orders.get_mut(&fill.id) else { return };
        let Some(market) = self.markets.get(&order.symbol) else { return };
        let Some(customer) = self.accounts.get_mut(&order.account) else { return };
        let instrument = &market.instrument;
        let notional = fill.price.notional(fill.qty).unwrap_or(Money::ZERO);

        let locked = order.lock();
        order.filled += fill.qty;
        order.filled_quote += notional;
        order.status = if order.remaining().is_positive() { OrderStatus::PartiallyFilled } else { OrderStatus::Filled };
        order.updated_at = at;
        let released = locked - order.lock();

        let rate = if role == Role::Maker { instrument.fees.maker } else { instrument.fees.taker };
        let (paid, received, fee) = amounts(order.side, fill.qty, notional, rate);
        let paying = customer.balance(paying_asset(instrument, order.side));
        paying.locked -= released;
        paying.free += released - paid;
        let received_asset = paying_asset(instrument, order.side.opposite());
        customer.balance(received_asset).free += received - fee;

        let execution = Execution {
            trade_id,
            account: order.account,
            order_id: order.order_id,
            symbol: order.symbol,
            side: order.side,
            price: fill.price,
            qty: fill.qty,
            role,
            fee,
            fee_asset: received_asset,
            cumulative_qty: order.filled,
            cumulative_quote: order.filled_quote,
            at,
        };
        reports.push(Report::of(order, at, ReportKind::Fill(execution.clone())));
        let filled = order.status == OrderStatus::Filled;
        if filled {
            customer.closed(order);
        }
        self.trades.push_back(execution);
        if self.trades.len() > self.config.history {
            self.trades.pop_front();
        }
        if filled {
            self.archive(fill.id);
        }
    }

    /// Ends an open order: it leaves the queue and its lock is released.
    pub(super) fn close(&mut self, at: Timestamp, id: OrderId, status: OrderStatus, kind: ReportKind, reports: &mut Vec<Report>) {
        let Some(order) = self.orders.get_mut(&id) else { return };
        let Some(market) = self.markets.get_mut(&order.symbol) else { return };
        let Some(customer) = self.accounts.get_mut(&order.account) else { return };
        let locked = order.lock();
        order.status = status;
        order.updated_at = at;
        let balance = customer.balance(paying_asset(&market.instrument, order.side));
        balance.locked -= locked;
        balance.free += locked;
        customer.closed(order);
        if let Some(price) = order.kind.price() {
            market.queue.remove(order.side, price, id);
        }
        reports.push(Report::of(order, at, kind));
        self.archive(id);
    }

    fn archive(&mut self, id: OrderId) {
        self.closed.push_back(id);
        if self.closed.len() > self.config.history
            && let Some(oldest) = self.closed.pop_front()
        {
            self.orders.remove(&oldest);
        }
    }
}

/// (paid, received, fee): the fee is a part of what is received, rounded towards zero at 1e-8; a rebate is negative.
fn amounts(side: Side, qty: Qty, notional: Money, rate: Bps) -> (Qty, Qty, Qty) {
    let quote = notional.to_quote();
    match side {
        Side::Buy => (quote, qty, qty.at_rate(rate)),
        Side::Sell => (qty, quote, quote.at_rate(rate)),
    }
}
