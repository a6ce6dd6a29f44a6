//! One position at a time over recorded candles, filled by the exchange's own rules.
//!
//! Each bar is shown to the exchange as quotes around its path: open, low, high, close. For a long position the low comes before the high:
//! the worse order. The entry and every exit but the target take at the quote of their moment; the target rests as a post-only order and
//! fills at its own price when the bid reaches it. What a trade made is read from the account's balances, so each cost is counted once,
//! as charged. The notional is taken to be small against the touch.

use super::equity::Trade;
use super::labels::{Bracket, Label};
use super::series::{Bars, SymbolSeries};
use crate::domain::{
    ExitReason, Instrument, Level, MarketData, MarketUpdate, OrderId, OrderKind, Price, Qty, Quote, Rounding, Side, Timestamp,
};
use crate::matching::{AccountId, Exchange, ExchangeConfig, OrderRef, OrderRequest, Report};

const ACCOUNT: AccountId = AccountId(1);
/// Orders the exchange remembers: each trade makes three at most.
const HISTORY: usize = 64;
/// The account's funds, and the size at each quote, in trade notionals.
const PLENTY: f64 = 1e4;

/// An open position.
#[derive(Debug, Clone, PartialEq)]
struct Open {
    decision_bar: usize,
    entry_bar: usize,
    /// The mid at the entry, and the notional there.
    entry_mid: f64,
    notional: f64,
    /// Quote and base balances before the entry.
    before: (f64, f64),
    entry_cost_bps: f64,
    bar_sigma_bps: f64,
    stop: f64,
    target: Option<(OrderId, f64)>,
    worst: f64,
    best: f64,
}

/// The market of one series with an account of ours in it.
pub struct ShadowMarket<'a> {
    series_index: usize,
    bars: &'a Bars,
    instrument: &'a Instrument,
    bracket: Bracket,
    half_spread: f64,
    notional: f64,
    exchange: Exchange,
    updates: u64,
    open: Option<Open>,
    reports: Vec<Report>,
}

/// Where the position stands, for the policy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Standing {
    pub bars_held: usize,
    /// Mark against the entry mid in bps, costs not counted.
    pub unrealised_bps: f64,
    /// Volatility of one bar when it was entered.
    pub bar_sigma_bps: f64,
}

impl<'a> ShadowMarket<'a> {
    #[must_use]
    pub fn new(
        series_index: usize,
        series: &'a SymbolSeries,
        bars: &'a Bars,
        bracket: Bracket,
        half_spread_bps: f64,
        notional: f64,
    ) -> Self {
        let instrument = &series.instrument;
        let mut exchange = Exchange::new(ExchangeConfig { history: HISTORY, ..ExchangeConfig::new(vec![instrument.clone()]) });
        let funds = Qty::from_raw((notional * PLENTY * 1e8) as i128);
        exchange.open_account(ACCOUNT, &[(instrument.quote, funds)]);
        let half_spread = half_spread_bps / 1e4;
        Self { series_index, bars, instrument, bracket, half_spread, notional, exchange, updates: 0, open: None, reports: Vec::new() }
    }

    #[must_use]
    pub fn in_position(&self) -> bool {
        self.open.is_some()
    }

    /// `None` when flat. `bar` is the last finished bar.
    #[must_use]
    pub fn standing(&self, bar: usize) -> Option<Standing> {
        let open = self.open.as_ref()?;
        let unrealised_bps = (self.bars.close[bar] / open.entry_mid - 1.0) * 1e4;
        Some(Standing { bars_held: bar + 1 - open.entry_bar, unrealised_bps, bar_sigma_bps: open.bar_sigma_bps })
    }

    /// The position's result in bps of its notional if it ended at the mid `bar` closed at, without the costs of leaving; 0 when flat.
    #[must_use]
    pub fn mark_bps(&self, bar: usize) -> f64 {
        self.open.as_ref().map_or(0.0, |open| self.made_bps(open, self.bars.close[bar]))
    }

    /// Decided at the close of the bar before `bar`: buys at the open of `bar`. False when the exchange does not take the order.
    pub fn enter(&mut self, bar: usize, bar_sigma_bps: f64) -> bool {
        if self.open.is_some() {
            return false;
        }
        let entry_mid = self.bars.open[bar];
        self.quote(bar, entry_mid);
        let Some((_, ask)) = self.exchange.best(self.instrument.symbol) else { return false };
        let wanted = self.instrument.quantize_qty(self.notional / ask.price.to_f64(), Rounding::Down).unwrap_or_default();
        let qty = self.instrument.tradable(wanted, ask.price);
        let before = self.balances();
        if !qty.is_positive() || self.submit(bar, Side::Buy, qty, OrderKind::Market).is_none() {
            return false;
        }
        let (target_bps, stop_bps) = self.bracket.distances_bps(bar_sigma_bps);
        let mut open = Open {
            decision_bar: bar.saturating_sub(1),
            entry_bar: bar,
            entry_mid,
            notional: entry_mid * qty.to_f64(),
            before,
            entry_cost_bps: 0.0,
            bar_sigma_bps,
            stop: entry_mid * (1.0 - stop_bps / 1e4),
            target: None,
            worst: entry_mid,
            best: entry_mid,
        };
        open.entry_cost_bps = -self.made_bps(&open, entry_mid);
        let price = self.instrument.quantize_price(entry_mid * (1.0 + target_bps / 1e4), Rounding::Up);
        let sellable = self.sellable(ask.price);
        // A target inside the spread is refused: the position then ends by stop, hold limit or choice.
        let resting = price.and_then(|p| Some((self.submit(bar, Side::Sell, sellable, OrderKind::LimitMaker { price: p })?, p.to_f64())));
        open.target = resting;
        self.open = Some(open);
        true
    }

    /// Sells at the open of `bar`, as decided at the close before it.
    pub fn leave(&mut self, bar: usize) -> Option<Trade> {
        self.sell_at(bar, self.bars.open[bar], ExitReason::Signal)
    }

    /// The data ends with `bar`: sells at its close.
    pub fn end(&mut self, bar: usize) -> Option<Trade> {
        self.sell_at(bar, self.bars.close[bar], ExitReason::EndOfData)
    }

    /// Walks through `bar` with the open position; the trade if it ended there.
    pub fn walk(&mut self, bar: usize) -> Option<Trade> {
        let (entry_bar, stop) = self.open.as_ref().map(|o| (o.entry_bar, o.stop))?;
        let (open, high, low, close) = (self.bars.open[bar], self.bars.high[bar], self.bars.low[bar], self.bars.close[bar]);
        if open <= stop {
            return self.sell_at(bar, open, ExitReason::Stop);
        }
        if let Some(trade) = self.show(bar, open) {
            return Some(trade);
        }
        if low <= stop {
            return self.sell_at(bar, stop, ExitReason::Stop);
        }
        if let Some(trade) = self.show(bar, low).or_else(|| self.show(bar, high)) {
            return Some(trade);
        }
        if bar + 1 - entry_bar >= self.bracket.hold_bars.max(1) as usize {
            return self.sell_at(bar, close, ExitReason::HoldLimit);
        }
        self.show(bar, close)
    }

    /// Shows the exchange a mid; the trade if the resting target filled.
    fn show(&mut self, bar: usize, mid: f64) -> Option<Trade> {
        let open = self.open.as_mut()?;
        (open.worst, open.best) = (open.worst.min(mid), open.best.max(mid));
        let (target, price) = open.target?;
        self.quote(bar, mid);
        let filled = self.exchange.order(ACCOUNT, self.instrument.symbol, OrderRef::Id(target)).is_none_or(|o| o.status.is_final());
        if filled { self.close(bar, price, ExitReason::Target) } else { None }
    }

    fn sell_at(&mut self, bar: usize, mid: f64, reason: ExitReason) -> Option<Trade> {
        let target = self.open.as_ref()?.target;
        // The resting target goes first: what it locks is what is sold. A gap up through it fills it instead.
        if let Some(trade) = self.show(bar, mid) {
            return Some(trade);
        }
        self.quote(bar, mid);
        let (bid, _) = self.exchange.best(self.instrument.symbol)?;
        if let Some((id, _)) = target {
            let now = self.bars.close_time(bar);
            let cancelled = self.exchange.cancel(now, ACCOUNT, self.instrument.symbol, OrderRef::Id(id), &mut self.reports);
            debug_assert!(cancelled.is_ok(), "it was open a moment ago");
        }
        let qty = self.sellable(bid.price);
        self.submit(bar, Side::Sell, qty, OrderKind::Market)?;
        self.close(bar, mid, reason)
    }

    fn close(&mut self, bar: usize, exit_mid: f64, exit: ExitReason) -> Option<Trade> {
        let open = self.open.take()?;
        let net_bps = self.made_bps(&open, exit_mid);
        let gross_bps = (exit_mid / open.entry_mid - 1.0) * 1e4;
        let bps = |price: f64| (price / open.entry_mid - 1.0) * 1e4;
        let outcome = Label {
            entry_bar: open.entry_bar,
            exit_bar: bar,
            entry_price: open.entry_mid,
            exit_price: exit_mid,
            gross_bps,
            cost_bps: gross_bps - net_bps,
            net_bps,
            exit,
            known_at: self.bars.close_time(bar),
            worst_bps: bps(open.worst.min(exit_mid)),
            best_bps: bps(open.best.max(exit_mid)),
        };
        Some(Trade { series: self.series_index, decision_bar: open.decision_bar, outcome, entry_cost_bps: open.entry_cost_bps })
    }

    /// Change of the account since before the entry, base at `mid`, in bps of the entry notional.
    fn made_bps(&self, open: &Open, mid: f64) -> f64 {
        let (quote, base) = self.balances();
        ((quote - open.before.0) + (base - open.before.1) * mid) / open.notional * 1e4
    }

    /// (quote, base), locked parts included.
    fn balances(&self) -> (f64, f64) {
        let balances = self.exchange.balances(ACCOUNT);
        let of = |asset| balances.iter().find(|b| b.asset == asset).map_or(0.0, |b| b.total().to_f64());
        (of(self.instrument.quote), of(self.instrument.base))
    }

    /// What is held and free of locks, on the step grid.
    fn sellable(&self, price: Price) -> Qty {
        let balances = self.exchange.balances(ACCOUNT);
        let free = balances.iter().find(|b| b.asset == self.instrument.base).map_or(Qty::ZERO, |b| b.free);
        self.instrument.tradable(free, price)
    }

    fn submit(&mut self, bar: usize, side: Side, qty: Qty, kind: OrderKind) -> Option<OrderId> {
        let request = OrderRequest { client_id: String::new(), symbol: self.instrument.symbol, side, qty, kind };
        self.reports.clear();
        self.exchange.submit(self.bars.open_time[bar], ACCOUNT, &request, &mut self.reports).ok()
    }

    fn quote(&mut self, bar: usize, mid: f64) {
        let on_grid = |price: f64, rounding| self.instrument.quantize_price(price, rounding);
        let bid = on_grid(mid * (1.0 - self.half_spread), Rounding::Down);
        let ask = on_grid(mid * (1.0 + self.half_spread), Rounding::Up);
        let (Some(bid), Some(mut ask)) = (bid, ask) else { return };
        if ask <= bid {
            ask = bid + self.instrument.tick.max(Price::from_raw(1));
        }
        self.updates += 1;
        let qty = Qty::from_raw((self.notional / mid * PLENTY * 1e8) as i128);
        let level = |price| Level { price, qty };
        let quote = Quote { update_id: self.updates, bid: level(bid), ask: level(ask) };
        self.reports.clear();
        self.exchange.on_market(&self.update(self.bars.open_time[bar], quote), &mut self.reports);
    }

    fn update(&self, at: Timestamp, quote: Quote) -> MarketUpdate {
        MarketUpdate { symbol: self.instrument.symbol, exchange_time: Some(at), local_time: at, data: MarketData::Quote(quote) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::fixture;
    use super::super::labels::{CostAssumption, label};
    use super::*;
    use crate::domain::{Bps, Candle, FeeRates, Interval};

    fn series(rows: &[[f64; 4]]) -> SymbolSeries {
        let price = |p: f64| Price::from_raw((p * 1e8).round() as i64);
        let candle = |(i, r): (usize, &[f64; 4])| Candle {
            open_time: Timestamp::from_millis(i as i64 * 60_000),
            open: price(r[0]),
            high: price(r[1]),
            low: price(r[2]),
            close: price(r[3]),
            volume: Qty::from_raw(1),
            taker_buy_volume: None,
            trades: 1,
        };
        let mut instrument = fixture::instrument("BTCUSDT");
        instrument.tick = "0.00000001".parse().unwrap();
        instrument.step = "0.00000001".parse().unwrap();
        instrument.min_qty = Qty::ZERO;
        instrument.fees = FeeRates { maker: Bps::from_bps(8), taker: Bps::from_bps(10) };
        SymbolSeries {
            symbol: instrument.symbol,
            instrument,
            interval: Interval::MINUTE,
            candles: rows.iter().enumerate().map(candle).collect(),
        }
    }

    /// One sigma of the horizon is 100 bps at 50 bps a bar: target 102, stop 99 from an entry at 100.
    const BRACKET: Bracket = Bracket { horizon_bars: 4, hold_bars: 3, target_sigma: 2.0, stop_sigma: 1.0 };
    const QUIET: [f64; 4] = [100.0, 100.5, 99.5, 100.0];

    /// Decides at the close of bar 0 and walks until the trade ends.
    fn run(rows: &[[f64; 4]], half_spread_bps: f64) -> Option<Trade> {
        let series = series(rows);
        let bars = Bars::of(&series);
        let mut market = ShadowMarket::new(0, &series, &bars, BRACKET, half_spread_bps, 1_000.0);
        assert!(market.enter(1, 50.0));
        let trade = (1..rows.len()).find_map(|bar| market.walk(bar));
        assert_eq!(trade.is_none(), market.in_position());
        trade
    }

    #[test]
    fn a_target_pays_the_taker_fee_and_spread_once_and_the_maker_fee_once() {
        let trade = run(&[QUIET, QUIET, [100.0, 103.0, 100.0, 103.0]], 1.0).unwrap();
        let got = trade.outcome;
        assert_eq!((got.exit, got.exit_bar), (ExitReason::Target, 2));
        assert!((got.gross_bps - 200.0).abs() < 1e-6);
        // Entry: half spread 1, fee 10 (of the base received); exit: maker 8 of a notional of 1.02, less what the entry fee took.
        assert!((trade.entry_cost_bps - 11.0).abs() < 0.02, "{}", trade.entry_cost_bps);
        assert!((got.cost_bps - (1.0 + 10.0 * 1.02 + 8.0 * 1.02)).abs() < 0.05, "{}", got.cost_bps);
    }

    #[test]
    fn a_market_priced_in_a_small_coin_rests_its_target_as_any_other() {
        let rows = [QUIET, QUIET, [100.0, 103.0, 100.0, 103.0]];
        let [usual, dear] = [1.0, 50_000.0].map(|times| run(&rows.map(|row| row.map(|price| price * times)), 1.0).unwrap().outcome);
        assert_eq!((dear.exit, dear.exit_bar), (ExitReason::Target, 2));
        assert!((dear.net_bps - usual.net_bps).abs() < 1.0, "{} {}", dear.net_bps, usual.net_bps);
    }

    #[test]
    fn a_stop_takes_and_a_gap_is_not_saved() {
        let stopped = run(&[QUIET, [100.0, 103.0, 98.0, 102.5]], 1.0).unwrap().outcome;
        assert_eq!((stopped.exit, stopped.exit_price), (ExitReason::Stop, 99.0));
        assert!((stopped.cost_bps - 22.0).abs() < 0.3, "{}", stopped.cost_bps);
        let gap = run(&[QUIET, QUIET, [97.0, 97.5, 96.0, 97.0]], 1.0).unwrap().outcome;
        assert_eq!((gap.exit, gap.exit_price), (ExitReason::Stop, 97.0));
    }

    #[test]
    fn a_choice_and_the_end_of_the_data_close_the_position_at_the_quote() {
        let series = series(&[QUIET; 4]);
        let bars = Bars::of(&series);
        let mut market = ShadowMarket::new(0, &series, &bars, BRACKET, 1.0, 1_000.0);
        assert!(market.enter(1, 50.0));
        assert!(!market.enter(1, 50.0), "one position at a time");
        assert_eq!(market.walk(1), None);
        let got = market.leave(2).unwrap().outcome;
        assert_eq!(got.exit, ExitReason::Signal);
        assert!((got.net_bps + 22.0).abs() < 0.1, "{}", got.net_bps);
        assert!(market.enter(3, 50.0));
        assert_eq!(market.end(3).unwrap().outcome.exit, ExitReason::EndOfData);
        assert_eq!((market.leave(3), market.walk(3), market.mark_bps(3)), (None, None, 0.0));
    }

    #[test]
    fn an_order_below_the_venues_minimum_is_no_position() {
        let mut series = series(&[QUIET; 4]);
        series.instrument.min_notional = "5000".parse().unwrap();
        let bars = Bars::of(&series);
        let mut market = ShadowMarket::new(0, &series, &bars, BRACKET, 1.0, 1_000.0);
        assert!(!market.enter(1, 50.0) && !market.in_position());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// The exchange and the label walk know nothing of each other.
        #[test]
        fn without_a_spread_the_exchange_agrees_with_the_label(
            steps in prop::collection::vec((-150.0..150.0f64, 0.0..80.0f64, 0.0..80.0f64), 8..12)
        ) {
            let mut price = 100.0_f64;
            let rows: Vec<[f64; 4]> = steps.iter().map(|(move_bps, up, down)| {
                let open = price;
                price = ((price * (1.0 + move_bps / 1e4)) * 1e8).round() / 1e8;
                [open, open.max(price) * (1.0 + up / 1e4), open.min(price) * (1.0 - down / 1e4), price]
            }).collect();
            let series = series(&rows);
            let bars = Bars::of(&series);
            let costs = CostAssumption::taker(&series.instrument, 0.0);
            let want = label(&bars, 0, rows.len(), 50.0, &BRACKET, &costs).expect("long enough");
            let got = run(&rows, 0.0).expect("long enough").outcome;
            prop_assert_eq!((got.exit, got.exit_bar), (want.exit, want.exit_bar));
            prop_assert!((got.gross_bps - want.gross_bps).abs() < 1e-3, "{} {}", got.gross_bps, want.gross_bps);
            // A resting target pays two bps less of maker fee; the entry fee in base moves with the price.
            let dearer = if want.exit == ExitReason::Target { 2.0 } else { 0.0 };
            prop_assert!((got.cost_bps + dearer - want.cost_bps).abs() < 0.4, "{} {}", got.cost_bps, want.cost_bps);
        }
    }
}
