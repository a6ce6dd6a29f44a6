//! Market streams: each update as an event at once, depth merged over its period, candles every second or two, tickers every second.

use std::collections::BTreeMap;

use serde_json::{Value, json as value};

use super::book::DiffMerge;
use super::fanout::Fanout;
use super::grid::Grid;
use super::market::Market;
use super::tape::Traded;
use super::ticker::{AVERAGE_MINUTES, Summary, average_price};
use super::topic::{Feed, Pace, Tally, Topic};
use super::wire::json;
use super::wire_market::{AggTradeEvent, BookTickerEvent, DepthEvent, DepthSnapshot, KlineEvent, TradeEvent};
use crate::domain::{Level, MarketData, MarketUpdate, Span, Symbol, Timestamp};

const PACES: [Pace; 2] = [Pace::Fast, Pace::Slow];
const SECOND: Span = Span::from_secs(1);

#[derive(Default)]
pub(super) struct Feeds {
    merges: BTreeMap<Topic, DiffMerge>,
    /// When each paced stream was sent last.
    sent: BTreeMap<Topic, Timestamp>,
    /// The candle that each kline stream showed last.
    klines: BTreeMap<Topic, Timestamp>,
    best: BTreeMap<Symbol, (Level, Level)>,
    /// The last trade that each array stream told of.
    told: BTreeMap<(Topic, Symbol), u64>,
}

impl Feeds {
    /// One update, already on the tape.
    pub fn on_update(&mut self, update: &MarketUpdate, market: &Market, fanout: &mut Fanout) {
        let symbol = update.symbol;
        let now = market.until;
        match &update.data {
            MarketData::Trade(trade) => {
                let traded = Traded { at: update.local_time, trade: *trade };
                fanout.publish(Topic::One(symbol, Feed::Trade), || json(&TradeEvent::of(&symbol, &traded, now)));
                fanout.publish(Topic::One(symbol, Feed::AggTrade), || json(&AggTradeEvent::of(&symbol, &traded, now)));
            }
            MarketData::Depth(diff) => {
                for pace in PACES {
                    let topic = Topic::One(symbol, Feed::Depth(pace));
                    if fanout.hears(topic) {
                        self.merges.entry(topic).or_default().add(diff);
                    }
                }
                self.best_changed(symbol, market, fanout);
            }
            MarketData::Quote(_) | MarketData::Snapshot(_) => self.best_changed(symbol, market, fanout),
            MarketData::Interrupted => self.merges.retain(|topic, _| topic.symbol() != Some(symbol)),
            MarketData::Candle { .. } => {}
        }
    }

    /// What is due at the market's present moment.
    pub fn on_time(&mut self, market: &mut Market, fanout: &mut Fanout) {
        for topic in fanout.topics() {
            match topic {
                Topic::One(symbol, feed) => self.one(topic, symbol, feed, market, fanout),
                Topic::All(tally) if self.is_due(topic, SECOND, market.until) => self.all(topic, tally, market, fanout),
                Topic::All(_) => {}
            }
        }
        self.merges.retain(|topic, _| fanout.hears(*topic));
        self.klines.retain(|topic, _| fanout.hears(*topic));
        self.sent.retain(|topic, _| fanout.hears(*topic));
        self.told.retain(|(topic, _), _| fanout.hears(*topic));
    }

    fn one(&mut self, topic: Topic, symbol: Symbol, feed: Feed, market: &mut Market, fanout: &mut Fanout) {
        let now = market.until;
        match feed {
            Feed::Depth(pace) if self.is_due(topic, Span::from_millis(pace.period_ms()), now) => {
                if let Some(diff) = self.merges.get_mut(&topic).and_then(DiffMerge::take) {
                    fanout.publish(topic, || json(&DepthEvent::of(&symbol, &diff, now)));
                }
            }
            Feed::Partial { levels, pace } if self.is_due(topic, Span::from_millis(pace.period_ms()), now) => {
                if let Some(tape) = market.tape(symbol) {
                    fanout.publish(topic, || json(&DepthSnapshot::of(&tape.book.top(usize::from(levels)))));
                }
            }
            Feed::Kline(grid) => self.kline(topic, symbol, grid, market, fanout),
            Feed::Tally(tally) if self.is_due(topic, SECOND, now) => {
                if let Some(summary) = Summary::of_tally(market, symbol, tally) {
                    fanout.publish(topic, || json(&summary.event(tally)));
                }
            }
            Feed::AvgPrice if self.is_due(topic, SECOND, now) => {
                let price = average_price(market, symbol);
                let last_trade = market.tape(symbol).and_then(|tape| tape.trades(1).next().map(|traded| traded.at)).unwrap_or(now);
                let event = value!({
                    "e": "avgPrice",
                    "E": now.millis(),
                    "s": symbol.as_str(),
                    "i": format!("{AVERAGE_MINUTES}m"),
                    "w": format!("{price:.8}"),
                    "T": last_trade.millis(),
                });
                fanout.publish(topic, || json(&event));
            }
            Feed::Depth(_) | Feed::Partial { .. } | Feed::Tally(_) | Feed::AvgPrice | Feed::Trade | Feed::AggTrade | Feed::BookTicker => {}
        }
    }

    /// The symbols that traded since the last time; nothing when none did.
    fn all(&mut self, topic: Topic, tally: Tally, market: &mut Market, fanout: &mut Fanout) {
        let mut rows: Vec<Value> = Vec::new();
        for symbol in market.symbols() {
            let newest = market.tape(symbol).and_then(|tape| tape.trades(1).next().map(|traded| traded.trade.id.0));
            let Some(newest) = newest else { continue };
            if self.told.insert((topic, symbol), newest) != Some(newest)
                && let Some(summary) = Summary::of_tally(market, symbol, tally)
            {
                rows.push(summary.event(tally));
            }
        }
        if !rows.is_empty() {
            fanout.publish(topic, || json(&rows));
        }
    }

    /// The finished candle once, when its interval ends; between, the forming one.
    fn kline(&mut self, topic: Topic, symbol: Symbol, grid: Grid, market: &mut Market, fanout: &mut Fanout) {
        let now = market.until;
        let open_time = grid.open_of(now);
        let shown = self.klines.insert(topic, open_time).unwrap_or(open_time);
        if shown < open_time {
            for bar in market.grid_bars(symbol, grid, shown, grid.previous(open_time)) {
                fanout.publish(topic, || json(&KlineEvent::of(&symbol, grid, &bar, true, now)));
            }
        }
        let period = if grid.is_one_second() { SECOND } else { Span::from_secs(2) };
        if self.is_due(topic, period, now) {
            for bar in market.grid_bars(symbol, grid, open_time, open_time) {
                fanout.publish(topic, || json(&KlineEvent::of(&symbol, grid, &bar, false, now)));
            }
        }
    }

    fn best_changed(&mut self, symbol: Symbol, market: &Market, fanout: &mut Fanout) {
        let Some((id, bid, ask)) = market.tape(symbol).and_then(|tape| tape.best()) else { return };
        if self.best.insert(symbol, (bid, ask)) != Some((bid, ask)) {
            fanout.publish(Topic::One(symbol, Feed::BookTicker), || json(&BookTickerEvent::of(&symbol, (id, bid, ask))));
        }
    }

    fn is_due(&mut self, topic: Topic, period: Span, now: Timestamp) -> bool {
        let due = self.sent.get(&topic).is_none_or(|sent| now.since(*sent) >= period);
        if due {
            self.sent.insert(topic, now);
        }
        due
    }
}
