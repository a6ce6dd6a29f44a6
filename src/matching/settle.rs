//! What a fill, an ending and a change of phase do to orders and balances. The only place where balances move.

use super::exchange::Exchange;
use super::queue::MakerFill;
use super::trigger::condition;
use super::{Execution, Expiry, OrderView, Phase, PreventedMatch, Prevention, Report, ReportKind, SelfTradeMode};
use crate::domain::{Bps, Money, OrderId, OrderStatus, Price, Qty, Role, Side, Timestamp, TradeId};

impl Exchange {
    /// Pays and receives one fill. Quote amounts are rounded towards zero to 1e-8, the same for both sides of a trade; on a
    /// grid whose tick x step is a multiple of 1e-8 nothing is ever rounded.
    pub(super) fn fill(&mut self, at: Timestamp, trade_id: TradeId, fill: MakerFill, role: Role, reports: &mut Vec<Report>) {
        // The pair's one lock must be this order's alone before it pays.
        self.end_twin(at, fill.id, reports);
        let number = self.next_report();
        let Some(record) = self.orders.get_mut(fill.id).filter(|record| !record.view.status.is_final()) else { return };
        let place = record.market;
        let order = &mut record.view;
        let market = &self.markets[place];
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
        let paying = customer.held(market.paying(order.side));
        paying.locked -= released;
        paying.free += released - paid;
        customer.held(market.paying(order.side.opposite())).free += received - fee;

        let execution = Execution {
            trade_id,
            account: order.account,
            order_id: order.order_id,
            list_id: order.list_id,
            symbol: order.symbol,
            side: order.side,
            price: fill.price,
            qty: fill.qty,
            role,
            fee,
            fee_asset: if order.side == Side::Buy { instrument.base } else { instrument.quote },
            cumulative_qty: order.filled,
            cumulative_quote: order.filled_quote,
            at,
        };
        reports.push(Report::of(order, at, number, ReportKind::Fill(execution.clone())));
        let filled = order.status == OrderStatus::Filled;
        if filled {
            customer.closed(place, order);
        }
        self.trades.push_back(execution);
        if self.trades.len() > self.config.history {
            self.trades.pop_front();
        }
        if filled {
            self.ended(at, fill.id, reports);
        }
    }

    /// Ends an open order: it leaves queue and waiting room, and what it keeps locked is released.
    pub(super) fn close(&mut self, at: Timestamp, id: OrderId, status: OrderStatus, kind: ReportKind, reports: &mut Vec<Report>) {
        let Some(record) = self.orders.get(id).filter(|record| !record.view.status.is_final()) else { return };
        let (place, side, order_kind, phase) = (record.market, record.view.side, record.view.kind, record.view.phase);
        self.relock(id, |order| {
            order.status = status;
            order.updated_at = at;
        });
        let market = &mut self.markets[place];
        match phase {
            Phase::Pending => {}
            Phase::Waiting => {
                if let Some(condition) = condition(side, order_kind) {
                    market.waiting.remove(condition, id);
                }
            }
            Phase::Working => {
                if let Some(price) = order_kind.price() {
                    market.queue.remove(side, price, id);
                }
            }
        }
        if let Some(record) = self.orders.get(id)
            && let Some(customer) = self.accounts.get_mut(&record.view.account)
        {
            customer.closed(place, &record.view);
        }
        self.tell(at, id, kind, reports);
        self.ended(at, id, reports);
    }

    pub(super) fn expire(&mut self, at: Timestamp, id: OrderId, why: Expiry, reports: &mut Vec<Report>) {
        if let Some(record) = self.orders.get_mut(id).filter(|record| !record.view.status.is_final()) {
            record.view.expiry = Some(why);
            self.close(at, id, OrderStatus::Expired, ReportKind::Expired(why), reports);
        }
    }

    /// One of a pair starts to trade: the other expires.
    pub(super) fn end_twin(&mut self, at: Timestamp, id: OrderId, reports: &mut Vec<Report>) {
        if let Some(twin) = self.orders.get(id).and_then(|record| record.twin) {
            self.expire(at, twin, Expiry::OcoTrigger, reports);
        }
    }

    /// Two orders of one account met: the taker, the resting one, or both expire.
    pub(super) fn prevent(
        &mut self,
        at: Timestamp,
        taker: OrderId,
        maker: OrderId,
        price: Price,
        mode: SelfTradeMode,
        reports: &mut Vec<Report>,
    ) {
        let (Some(taking), Some(resting)) = (self.orders.view(taker), self.orders.view(maker)) else { return };
        self.counters.prevented += 1;
        let match_id = self.counters.prevented;
        let prevented = PreventedMatch {
            match_id,
            account: taking.account,
            symbol: taking.symbol,
            taker,
            maker,
            mode,
            price,
            taker_qty: if mode == SelfTradeMode::ExpireMaker { Qty::ZERO } else { taking.remaining() },
            maker_qty: if mode == SelfTradeMode::ExpireTaker { Qty::ZERO } else { resting.remaining() },
            at,
        };
        let ends = [(maker, taker, prevented.maker_qty), (taker, maker, prevented.taker_qty)];
        self.prevented.push_back(prevented);
        if self.prevented.len() > self.config.history {
            self.prevented.pop_front();
        }
        for (id, counter_order, qty) in ends {
            if let Some(record) = self.orders.get_mut(id).filter(|_| qty.is_positive()) {
                let order = &mut record.view;
                order.prevented += qty;
                order.prevented_match = Some(match_id);
                order.expiry = Some(Expiry::SelfTrade);
                let kind = ReportKind::Prevented(Prevention { match_id, counter_order, qty, price });
                self.close(at, id, OrderStatus::Expired, kind, reports);
            }
        }
    }

    pub(super) fn set_phase(&mut self, id: OrderId, phase: Phase, now: Timestamp) {
        self.relock(id, |order| {
            order.phase = phase;
            order.updated_at = now;
            if phase == Phase::Working {
                order.working_at = Some(now);
            }
        });
    }

    /// Changes an order and moves between free and locked what the change makes of its lock. A pair locks once: the larger of the two.
    pub(super) fn relock(&mut self, id: OrderId, change: impl FnOnce(&mut OrderView)) {
        let twin = self.orders.get(id).and_then(|record| record.twin);
        let other = twin.and_then(|twin| self.orders.view(twin)).map_or(Qty::ZERO, OrderView::lock);
        let Some(record) = self.orders.get_mut(id) else { return };
        let before = record.view.lock().max(other);
        change(&mut record.view);
        let more = record.view.lock().max(other) - before;
        let asset = self.markets[record.market].paying(record.view.side);
        if let Some(customer) = self.accounts.get_mut(&record.view.account) {
            let held = customer.held(asset);
            held.locked += more;
            held.free -= more;
        }
    }

    pub(super) fn tell(&mut self, at: Timestamp, id: OrderId, kind: ReportKind, reports: &mut Vec<Report>) {
        let number = self.next_report();
        if let Some(order) = self.orders.view(id) {
            reports.push(Report::of(order, at, number, kind));
        }
    }

    /// An order has become final.
    fn ended(&mut self, at: Timestamp, id: OrderId, reports: &mut Vec<Report>) {
        if let Some(list) = self.orders.view(id).and_then(|order| order.list_id) {
            self.leg_ended(at, list, id, reports);
        }
        self.closed.push_back(id);
        if self.closed.len() > self.config.history
            && let Some(oldest) = self.closed.pop_front()
        {
            self.orders.remove(oldest);
            if !self.amendments.is_empty() {
                self.amendments.remove(&oldest);
            }
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
