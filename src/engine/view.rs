//! One picture of the engine for people.

use super::Engine;
use crate::domain::{Bps, FeeRates, Money, Price, Qty};
use crate::protocol::{BookView, HealthView, OrderView, PositionView, Stream, SymbolView, TradingState, View};
use crate::trading::execution::Cover;

/// Candles and book levels shown.
const CANDLES: usize = 120;
const LEVELS: usize = 20;

impl Engine {
    #[must_use]
    pub fn view(&self) -> View {
        let pnl = self.pnl(&self.marks());
        View {
            at: self.now,
            started: self.opened.unwrap_or(self.now),
            mode: self.settings.mode,
            run: self.run,
            venue: self.venue.clone(),
            trading: self.trading_state(),
            time_scale: self.time_scale_line(),
            bar: Some(self.settings.time_scale.bar),
            models: self.models.views(),
            exploration_percent: self.settings.exploration.as_ref().map(|x| x.equity_percent),
            learning: self.learning.clone(),
            equity: pnl.equity.filter(|_| self.ledger.is_opened()),
            start_equity: self.start_equity,
            day_pnl: self.breakers.day_pnl(),
            net_pnl: pnl.net_pnl.filter(|_| self.ledger.is_opened()),
            fees: self.fees,
            drawdown: self.breakers.drawdown(),
            quote_asset: self.settings.quote.to_string(),
            equity_line: self.equity_line.iter().copied().collect(),
            positions: self.positions(),
            orders: self.order_views(),
            decisions: self.decisions.iter().cloned().collect(),
            symbols: self.symbol_views(),
            health: self.health_view(),
            alerts: self.alerts.iter().cloned().collect(),
            exposed: self.exposed_view(),
            has_traded: self.has_traded(),
            dust: self.dust(),
            remembered: self.memory.len() as u64,
            counters: self.counters.clone(),
            mismatches: if self.resume_accepts() { self.mismatches().collect() } else { Vec::new() },
            ladder: self.ladder_view(),
            account: self.account_view(&pnl),
            limits: self.limit_views(),
            halt: self.guard.halt_view(),
            limit_answer: self.guard.answer().cloned(),
        }
    }

    fn trading_state(&self) -> TradingState {
        if let Some(reason) = self.breakers.halted() {
            return TradingState::Halted { reason: reason.to_string() };
        }
        match (self.stopping, self.reconciled && self.learning.finished) {
            (true, _) => TradingState::Stopping,
            (_, true) if self.guard.is_reducing() => TradingState::Reducing { reason: self.guard.reducing_text() },
            (_, true) => TradingState::Active,
            _ if self.met && !self.reconciled => TradingState::Reconnecting,
            _ => TradingState::Starting,
        }
    }

    /// Fees and exits are carried from run to run.
    fn has_traded(&self) -> bool {
        !self.fees.is_zero() || self.desks.values().any(|desk| desk.last_exit.is_some() || desk.held().is_positive())
    }

    /// What is left of trades at its mark, where it is too little to sell.
    fn dust(&self) -> Option<Money> {
        let left = self.desks.values().filter(|desk| desk.dust_qty.is_positive());
        let worth = left.map(|desk| {
            let mark = desk.mark()?;
            let sellable = desk.instrument.as_ref().map_or(Qty::ZERO, |instrument| instrument.sellable(desk.dust_qty, mark));
            if sellable.is_positive() { Some(Money::ZERO) } else { mark.notional(desk.dust_qty) }
        });
        worth.sum()
    }

    fn time_scale_line(&self) -> String {
        let known = self.desks.values().find_map(|d| Some((d.instrument.as_ref()?.fees, d.touch()?)));
        let (fees, spread) = match known {
            Some((fees, touch)) => (fees, touch.ask.distance_bps(touch.bid)),
            None => (FeeRates { maker: Bps::from_bps(10), taker: Bps::from_bps(10) }, Bps::from_bps(1)),
        };
        self.settings.time_scale.describe(fees, spread)
    }

    fn positions(&self) -> Vec<PositionView> {
        let open = self.desks.iter().filter_map(|(symbol, desk)| Some((symbol, desk, desk.trade.as_ref()?)));
        open.filter(|(_, _, trade)| trade.held().is_positive())
            .map(|(symbol, desk, trade)| {
                let mark = desk.mark();
                let entry_price = trade.entry.average_price();
                let unrealised = mark.and_then(|m| trade.pnl_at(m));
                let since = trade.opened.unwrap_or(trade.decided);
                // What rests at the venue is what counts; before that, what is wanted.
                let cover = Cover::of(&self.orders, *symbol, None);
                let guard = cover.guards.iter().find(|g| g.stopped);
                PositionView {
                    symbol: *symbol,
                    qty: trade.held(),
                    entry_price,
                    mark,
                    unrealised,
                    unrealised_bps: unrealised.map(|result| result.ratio_bps(trade.entry.value)),
                    stop: guard.map_or(trade.stop, |g| g.stop),
                    target: guard.map_or(trade.target, |g| g.target),
                    opened: since,
                    held: self.now.since(since),
                    exploration: trade.plan.exploration,
                }
            })
            .collect()
    }

    fn order_views(&self) -> Vec<OrderView> {
        self.orders
            .live()
            .map(|o| OrderView {
                id: o.new.id,
                symbol: o.new.symbol,
                side: o.new.side,
                qty: o.new.qty,
                filled: o.filled,
                price: o.new.kind.price().or(o.new.kind.stop()),
                state: o.state,
                age: self.now.since(o.created),
                purpose: if self.orders.is_pending(o) { format!("{} (waits)", o.purpose) } else { o.purpose.to_string() },
            })
            .collect()
    }

    fn symbol_views(&self) -> Vec<SymbolView> {
        self.desks
            .iter()
            .map(|(symbol, desk)| {
                let market = &desk.market;
                let book = market.book();
                let touch = desk.touch();
                let skip = market.candles().len().saturating_sub(CANDLES);
                let first: Option<Price> = market.candles().get(skip).map(|c| c.open);
                let last = market.last_price();
                SymbolView {
                    symbol: *symbol,
                    last,
                    bid: touch.map(|t| t.bid),
                    ask: touch.map(|t| t.ask),
                    spread: touch.map(|t| t.ask.distance_bps(t.bid)),
                    change_bps: last.zip(first).map(|(last, first)| last.distance_bps(first)),
                    regime: market.regime(),
                    feed_age: market.feed_age(self.now),
                    book_valid: book.is_valid(),
                    gaps: book.counts().gaps,
                    candles: market.candles().iter().skip(skip).copied().collect(),
                    book: BookView { bids: book.bids(LEVELS), asks: book.asks(LEVELS) },
                }
            })
            .collect()
    }

    fn health_view(&self) -> HealthView {
        let (verdict, reasons) = self.health.verdict(self.now);
        let clock = self.health.clock();
        HealthView {
            verdict,
            reasons,
            clock_offset: clock.map(|(offset, _)| offset),
            round_trip: clock.map(|(_, round_trip)| round_trip),
            reconciled: self.reconciled,
            market_stream_up: self.health.is_up(Stream::Market),
            user_stream_up: self.health.is_up(Stream::User),
            store_pending: self.health.store_pending(),
            venue_refusals: self.health.venue_refusals(),
            unreadable: self.health.unreadable(),
            failures: self.health.failures().into_iter().map(|(kind, count)| (format!("{kind:?}").to_lowercase(), count)).collect(),
        }
    }
}
