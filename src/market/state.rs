//! Everything known about one market: book, candles, features, regime, feed quality.

use std::collections::{BTreeMap, VecDeque};

use super::bars::BarBuilder;
use super::book::{Applied, OrderBook};
use super::features::{FeatureBuilder, FeatureVector, Micro};
use super::quality::FeedQuality;
use super::touch::TouchCheck;
use crate::domain::{Bps, Candle, Interval, MarketData, MarketUpdate, Price, Regime, Span, Symbol, Timestamp};

/// Finished candles kept: enough for a warm-up and for the charts.
pub const KEPT_CANDLES: usize = 240;

/// Book levels a side in `Micro::imbalance_top`.
const IMBALANCE_LEVELS: usize = 5;

/// How long after a bar's end a trade of that bar may still arrive; only waiting costs it, a later trade closes the bar at once.
const CLOSE_GRACE: Span = Span::from_millis(200);

/// One market, fed with every update of it in the order of arrival.
#[derive(Debug, Clone)]
pub struct MarketState {
    symbol: Symbol,
    interval: Interval,
    book: OrderBook,
    touch: TouchCheck,
    bars: BarBuilder,
    /// Finished candles that were fed or built, with the book at their close.
    candles: VecDeque<Candle>,
    micros: VecDeque<Micro>,
    features: FeatureBuilder,
    /// Kept from one candle to the next: a vector is asked for more often than it changes.
    vector: Option<FeatureVector>,
    regime: Regime,
    quality: FeedQuality,
    last_price: Option<Price>,
    /// The mid that was quoted last; unknown after an interruption.
    quoted: Option<Price>,
    /// Finished candles are given: trades are not folded.
    fed_candles: bool,
}

impl MarketState {
    #[must_use]
    pub fn new(symbol: Symbol, interval: Interval) -> Self {
        Self {
            symbol,
            interval,
            book: OrderBook::new(),
            touch: TouchCheck::default(),
            bars: BarBuilder::new(interval),
            candles: VecDeque::with_capacity(KEPT_CANDLES),
            micros: VecDeque::with_capacity(KEPT_CANDLES),
            features: FeatureBuilder::new(interval),
            vector: None,
            regime: Regime::Unknown,
            quality: FeedQuality::default(),
            last_price: None,
            quoted: None,
            fed_candles: false,
        }
    }

    /// Folds one update; gives the candles it finished, oldest first. An update of another market is not folded.
    pub fn on_update(&mut self, update: &MarketUpdate) -> Vec<Candle> {
        if update.symbol != self.symbol {
            return Vec::new();
        }
        self.quality.observe(update);
        // A candle closes on the book as it was before the update that closes it.
        let micro = self.micro();
        let applied = self.book.apply(update);
        self.check_touch(update, applied);
        match &update.data {
            MarketData::Quote(quote) => {
                self.quoted = Some(quote.bid.price.midpoint(quote.ask.price));
                Vec::new()
            }
            MarketData::Interrupted => {
                self.quoted = None;
                Vec::new()
            }
            MarketData::Trade(trade) => {
                self.last_price = Some(trade.price);
                if self.fed_candles {
                    return Vec::new();
                }
                let at = update.exchange_time.unwrap_or(update.local_time);
                let finished = self.bars.on_trade(at, trade);
                self.take(finished, micro)
            }
            MarketData::Candle { interval, candle } if *interval == self.interval => {
                self.fed_candles = true;
                self.last_price = Some(candle.close);
                self.take(vec![*candle], micro)
            }
            _ => Vec::new(),
        }
    }

    /// Time is `now` (ours): gives the candles that ended on the venue's clock, oldest first.
    pub fn on_time(&mut self, now: Timestamp) -> Vec<Candle> {
        if self.fed_candles {
            return Vec::new();
        }
        let finished = self.bars.on_time(self.quality.venue_time(now) - CLOSE_GRACE);
        if finished.is_empty() {
            return finished;
        }
        let micro = self.micro();
        self.take(finished, micro)
    }

    /// Puts history under what was seen live, in any order and at any time. Where both have a candle history wins, because the first
    /// live one may be partial; what the book said at its close stays.
    pub fn warm_up(&mut self, history: &[Candle]) {
        let live = self.candles.iter().copied().zip(self.micros.iter().copied());
        let mut merged: BTreeMap<Timestamp, (Candle, Micro)> = live.map(|(candle, micro)| (candle.open_time, (candle, micro))).collect();
        for candle in history.iter().filter(|candle| candle.is_sound()) {
            let micro = merged.get(&candle.open_time).map_or_else(Micro::default, |(_, micro)| *micro);
            merged.insert(candle.open_time, (*candle, micro));
        }
        self.candles.clear();
        self.micros.clear();
        self.features = FeatureBuilder::new(self.interval);
        let surplus = merged.len().saturating_sub(KEPT_CANDLES);
        for (candle, micro) in merged.into_values().skip(surplus) {
            self.keep(candle, micro);
        }
        if self.last_price.is_none() {
            self.last_price = self.candles.back().map(|candle| candle.close);
        }
        self.refresh();
    }

    #[must_use]
    pub fn symbol(&self) -> Symbol {
        self.symbol
    }

    #[must_use]
    pub fn interval(&self) -> Interval {
        self.interval
    }

    #[must_use]
    pub fn book(&self) -> &OrderBook {
        &self.book
    }

    /// Half way between best bid and ask; `None` while there is no valid book (or, where none was ever given, no quote).
    #[must_use]
    pub fn mid(&self) -> Option<Price> {
        self.book.mid()
    }

    /// How far the last quoted mid is from the mid of the book's own levels, never negative; where there never was a book, the quotes are
    /// all there is and agree with themselves. `None` while one of the two is missing.
    #[must_use]
    pub fn quote_gap(&self) -> Option<Bps> {
        let quoted = self.quoted?;
        if !self.book.is_fed() {
            return Some(Bps::ZERO);
        }
        let (bid, ask) = self.book.touch()?;
        let gap = quoted.distance_bps(bid.price.midpoint(ask.price));
        Some(gap.max(-gap))
    }

    /// The last trade's price, or the last candle's close.
    #[must_use]
    pub fn last_price(&self) -> Option<Price> {
        self.last_price
    }

    /// The newest finished candles, oldest first, at most `KEPT_CANDLES`.
    #[must_use]
    pub fn candles(&self) -> &VecDeque<Candle> {
        &self.candles
    }

    /// The vector at the last finished candle; `None` while warming up.
    #[must_use]
    pub fn features(&self) -> Option<&FeatureVector> {
        self.vector.as_ref()
    }

    /// Volatility of one bar's return in bps; `None` while warming up.
    #[must_use]
    pub fn volatility_bps(&self) -> Option<f64> {
        self.features.volatility_bps()
    }

    /// Volatility of the last bars in percent of the usual one; `None` while warming up.
    #[must_use]
    pub fn volatility_percent(&self) -> Option<u32> {
        self.features.volatility_percent()
    }

    #[must_use]
    pub fn regime(&self) -> Regime {
        self.regime
    }

    #[must_use]
    pub fn quality(&self) -> &FeedQuality {
        &self.quality
    }

    /// Trades that came after their candle had closed.
    #[must_use]
    pub fn late_trades(&self) -> u64 {
        self.bars.late_trades()
    }

    /// How long ago the last message of this market came; `None` before the first.
    #[must_use]
    pub fn feed_age(&self, now: Timestamp) -> Option<Span> {
        self.quality.age(now)
    }

    /// A book that contradicts the quotes for long is given up, as after missing updates.
    fn check_touch(&mut self, update: &MarketUpdate, applied: Applied) {
        let wrong = match (&update.data, applied) {
            (MarketData::Interrupted, _) => {
                self.touch.forget();
                false
            }
            (MarketData::Snapshot(_), Applied::Snapshot) | (_, Applied::Gap) => {
                self.touch.begin_anew();
                false
            }
            (MarketData::Quote(quote), _) => self.touch.on_quote(quote, update.local_time),
            (MarketData::Depth(_), Applied::Diff) => match self.book.touch() {
                Some((bid, ask)) => self.touch.on_book(self.book.last_update_id(), bid.price, ask.price, update.local_time),
                None => false,
            },
            _ => false,
        };
        if wrong {
            self.touch.begin_anew();
            self.quality.contradictions += 1;
            self.book.give_up();
        }
    }

    fn micro(&self) -> Micro {
        Micro { imbalance_top: self.book.imbalance(IMBALANCE_LEVELS), spread_bps: self.book.spread_bps() }
    }

    /// Keeps the sound candles newer than all before; the book is known at the last one's close only.
    fn take(&mut self, mut finished: Vec<Candle>, micro: Micro) -> Vec<Candle> {
        let newest = self.candles.back().map(|candle| candle.open_time);
        finished.retain(|candle| candle.is_sound() && newest.is_none_or(|newest| candle.open_time > newest));
        for (left, candle) in (0..finished.len()).rev().zip(&finished) {
            self.keep(*candle, if left == 0 { micro } else { Micro::default() });
        }
        if !finished.is_empty() {
            self.refresh();
        }
        finished
    }

    fn keep(&mut self, candle: Candle, micro: Micro) {
        if self.candles.len() == KEPT_CANDLES {
            self.candles.pop_front();
            self.micros.pop_front();
        }
        self.candles.push_back(candle);
        self.micros.push_back(micro);
        self.features.push(&candle, micro);
    }

    fn refresh(&mut self) {
        self.vector = self.features.vector();
        self.regime = self.features.regime();
    }
}

#[cfg(test)]
mod tests {
    use super::super::features::tests::{value, walk};
    use super::super::features::{NAMES, WARM_UP};
    use super::*;
    use crate::domain::{BookSnapshot, DepthDiff, Level, PublicTrade, Qty, Quote, TradeId};

    fn state() -> MarketState {
        MarketState::new("BTCUSDT".parse().unwrap(), Interval::MINUTE)
    }

    fn at(secs: i64) -> Timestamp {
        Timestamp::EPOCH + Span::from_secs(secs)
    }

    fn level(price: i64, qty: i128) -> Level {
        Level { price: Price::from_raw(price), qty: Qty::from_raw(qty) }
    }

    fn update(secs: i64, data: MarketData) -> MarketUpdate {
        MarketUpdate { symbol: "BTCUSDT".parse().unwrap(), exchange_time: Some(at(secs)), local_time: at(secs), data }
    }

    fn trade(secs: i64, price: i64) -> MarketUpdate {
        let trade = PublicTrade { id: TradeId(1), price: Price::from_raw(price), qty: Qty::from_raw(1), buyer_is_maker: false };
        update(secs, MarketData::Trade(trade))
    }

    fn quote(secs: i64, bid: i64, ask: i64) -> MarketUpdate {
        update(secs, MarketData::Quote(Quote { update_id: 0, bid: level(bid, 3), ask: level(ask, 1) }))
    }

    fn fed(candle: Candle) -> MarketUpdate {
        update(0, MarketData::Candle { interval: Interval::MINUTE, candle })
    }

    #[test]
    fn trades_and_time_finish_candles() {
        let mut state = state();
        assert!(state.on_update(&trade(5, 100)).is_empty());
        assert!(state.on_time(at(60)).is_empty(), "a trade of this bar may still be under way");
        assert_eq!(state.on_time(at(61)).len(), 1);
        assert_eq!(state.on_update(&trade(185, 101)).len(), 2);
        assert_eq!((state.candles().len(), state.last_price()), (3, Some(Price::from_raw(101))));
        assert_eq!(state.feed_age(at(190)), Some(Span::from_secs(5)));
    }

    #[test]
    fn a_clock_that_runs_ahead_does_not_close_bars_early() {
        let mut state = state();
        let mut ahead = trade(5, 100);
        ahead.local_time = at(35);
        state.on_update(&ahead);
        assert!(state.on_time(at(61)).is_empty());
        assert_eq!(state.on_time(at(91)).len(), 1);
    }

    #[test]
    fn given_candles_win_over_trades_and_repeated_ones_are_not_taken() {
        let mut state = state();
        let candles = walk(3, |_| 0.001);
        assert_eq!(state.on_update(&fed(candles[0])), vec![candles[0]]);
        assert!(state.on_update(&trade(5, 100)).is_empty());
        assert!(state.on_update(&trade(500, 100)).is_empty() && state.on_time(at(9_999)).is_empty());
        assert_eq!(state.on_update(&fed(candles[2])).len(), 1);
        assert!(state.on_update(&fed(candles[1])).is_empty());
        let hourly = MarketData::Candle { interval: "1h".parse().unwrap(), candle: candles[2] };
        assert!(state.on_update(&update(0, hourly)).is_empty());
        assert_eq!(state.candles().len(), 2);
    }

    #[test]
    fn the_mid_needs_a_valid_book_once_there_was_one() {
        let mut state = state();
        assert_eq!(state.mid(), None);
        state.on_update(&quote(1, 100, 102));
        assert_eq!(state.mid(), Some(Price::from_raw(101)));
        let book = BookSnapshot { last_update_id: 9, bids: vec![level(200, 1)], asks: vec![level(204, 1)] };
        state.on_update(&update(2, MarketData::Snapshot(book)));
        assert_eq!(state.mid(), Some(Price::from_raw(202)));
        let gap = DepthDiff { first_update_id: 12, last_update_id: 12, bids: vec![], asks: vec![] };
        state.on_update(&update(3, MarketData::Depth(gap)));
        state.on_update(&quote(4, 100, 102));
        assert_eq!(state.mid(), None);
    }

    #[test]
    fn a_book_that_contradicts_the_quotes_is_given_up() {
        let mut state = state();
        let book = BookSnapshot { last_update_id: 9, bids: vec![level(200, 1), level(198, 1)], asks: vec![level(204, 1)] };
        state.on_update(&update(0, MarketData::Snapshot(book.clone())));
        // The venue's best bid is 198; here 200 was never removed.
        for id in 10..16_u64 {
            let quote = Quote { update_id: id, bid: level(198, 1), ask: level(204, 1) };
            state.on_update(&update(id as i64, MarketData::Quote(quote)));
            let diff = DepthDiff { first_update_id: id, last_update_id: id, bids: vec![], asks: vec![level(210, 1)] };
            assert!(state.book().is_valid() == (id < 15), "{id}");
            state.on_update(&update(id as i64, MarketData::Depth(diff)));
        }
        assert_eq!((state.quality().contradictions, state.book().counts().gaps, state.mid()), (1, 1, None));
        let book = BookSnapshot { last_update_id: 20, bids: vec![level(198, 1)], ..book };
        state.on_update(&update(30, MarketData::Snapshot(book)));
        assert_eq!(state.mid(), Some(Price::from_raw(201)));
    }

    #[test]
    fn a_candle_sees_the_book_as_it_was_before_the_update_that_closed_it() {
        let mut state = state();
        let candles = walk(WARM_UP + 1, |n| if n % 2 == 0 { 0.001 } else { -0.001 });
        state.warm_up(&candles[..WARM_UP]);
        state.on_update(&quote(1, 10_000, 10_010));
        state.on_update(&fed(candles[WARM_UP]));
        let vector = state.features().unwrap();
        assert!((value(vector, "imbalance") - 0.5).abs() < 1e-6);
        assert_eq!(vector.values.len(), NAMES.len());
        assert!(state.volatility_bps().is_some_and(|bps| (bps - 10.0).abs() < 0.1));
        assert_eq!(state.regime(), Regime::Range);
    }

    #[test]
    fn history_that_comes_late_goes_under_the_live_candles() {
        let candles = walk(300, |n| if n % 3 == 0 { 0.002 } else { -0.001 });
        let mut early = state();
        early.warm_up(&candles[..290]);
        let mut late = state();
        for (n, candle) in candles.iter().enumerate().skip(285) {
            let partial = Candle { volume: Qty::from_raw(1), ..*candle };
            late.on_update(&fed(if n == 285 { partial } else { *candle }));
            if n >= 290 {
                early.on_update(&fed(*candle));
            }
        }
        assert_eq!(late.features(), None);
        late.warm_up(&candles[..290]);
        assert_eq!(late.candles(), early.candles());
        let bits = |state: &MarketState| state.features().unwrap().values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&late), bits(&early));
        assert_eq!(late.candles().len(), KEPT_CANDLES);
    }

    #[test]
    fn another_markets_update_is_not_folded() {
        let mut state = state();
        state.on_update(&MarketUpdate { symbol: "ETHUSDT".parse().unwrap(), ..trade(5, 100) });
        assert_eq!((state.last_price(), state.quality().messages), (None, 0));
    }
}
