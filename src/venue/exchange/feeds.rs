//! Market streams: each update as an event at once, depth merged over its period, candles every second or two.

use std::collections::BTreeMap;

use super::book::DiffMerge;
use super::fanout::Fanout;
use super::market::Market;
use super::tape::Traded;
use super::topic::{Feed, Pace, Topic};
use super::wire::json;
use super::wire_market::{AggTradeEvent, BookTickerEvent, DepthEvent, DepthSnapshot, KlineEvent, TradeEvent};
use crate::domain::{Interval, Level, MarketData, MarketUpdate, Span, Symbol, Timestamp};

const PACES: [Pace; 2] = [Pace::Fast, Pace::Slow];

#[derive(Default)]
pub(super) struct Feeds {
    merges: BTreeMap<Topic, DiffMerge>,
    /// When each paced stream was sent last.
    sent: BTreeMap<Topic, Timestamp>,
    /// The candle that each kline stream showed last.
    klines: BTreeMap<Topic, Timestamp>,
    best: BTreeMap<Symbol, (Level, Level)>,
}

impl Feeds {
    /// One update, already on the tape.
    pub fn on_update(&mut self, update: &MarketUpdate, market: &Market, fanout: &mut Fanout) {
        let symbol = update.symbol;
        let now = market.until;
        match &update.data {
            MarketData::Trade(trade) => {
                let traded = Traded { at: update.local_time, trade: *trade };
                fanout.publish(Topic { symbol, feed: Feed::Trade }, || json(&TradeEvent::of(&symbol, &traded, now)));
                fanout.publish(Topic { symbol, feed: Feed::AggTrade }, || json(&AggTradeEvent::of(&symbol, &traded, now)));
            }
            MarketData::Depth(diff) => {
                for pace in PACES {
                    let topic = Topic { symbol, feed: Feed::Depth(pace) };
                    if fanout.hears(topic) {
                        self.merges.entry(topic).or_default().add(diff);
                    }
                }
                self.best_changed(symbol, market, fanout);
            }
            MarketData::Quote(_) | MarketData::Snapshot(_) => self.best_changed(symbol, market, fanout),
            MarketData::Interrupted => self.merges.retain(|topic, _| topic.symbol != symbol),
            MarketData::Candle { .. } => {}
        }
    }

    /// What is due at the market's present moment.
    pub fn on_time(&mut self, market: &mut Market, fanout: &mut Fanout) {
        let now = market.until;
        for topic in fanout.topics() {
            match topic.feed {
                Feed::Depth(pace) if self.is_due(topic, Span::from_millis(pace.period_ms()), now) => {
                    if let Some(diff) = self.merges.get_mut(&topic).and_then(DiffMerge::take) {
                        fanout.publish(topic, || json(&DepthEvent::of(&topic.symbol, &diff, now)));
                    }
                }
                Feed::Partial { levels, pace } if self.is_due(topic, Span::from_millis(pace.period_ms()), now) => {
                    if let Some(tape) = market.tape(topic.symbol) {
                        fanout.publish(topic, || json(&DepthSnapshot::of(&tape.book.top(usize::from(levels)))));
                    }
                }
                Feed::Kline(interval) => self.kline(topic, interval, market, fanout),
                Feed::Depth(_) | Feed::Partial { .. } | Feed::Trade | Feed::AggTrade | Feed::BookTicker => {}
            }
        }
        self.merges.retain(|topic, _| fanout.hears(*topic));
        self.klines.retain(|topic, _| fanout.hears(*topic));
        self.sent.retain(|topic, _| fanout.hears(*topic));
    }

    /// The finished candle once, when its interval ends; between, the forming one.
    fn kline(&mut self, topic: Topic, interval: Interval, market: &mut Market, fanout: &mut Fanout) {
        let now = market.until;
        let open_time = now.floor_to(interval);
        let shown = self.klines.insert(topic, open_time).unwrap_or(open_time);
        if shown < open_time {
            for bar in market.bars(topic.symbol, interval, shown, open_time - interval.span()) {
                fanout.publish(topic, || json(&KlineEvent::of(&topic.symbol, interval, &bar, true, now)));
            }
        }
        let period = Span::from_secs(if interval.secs() == 1 { 1 } else { 2 });
        if self.is_due(topic, period, now)
            && let Some(bar) = market.forming(topic.symbol, interval)
        {
            fanout.publish(topic, || json(&KlineEvent::of(&topic.symbol, interval, &bar, false, now)));
        }
    }

    fn best_changed(&mut self, symbol: Symbol, market: &Market, fanout: &mut Fanout) {
        let Some((id, bid, ask)) = market.tape(symbol).and_then(|tape| tape.best()) else { return };
        if self.best.insert(symbol, (bid, ask)) != Some((bid, ask)) {
            fanout.publish(Topic { symbol, feed: Feed::BookTicker }, || json(&BookTickerEvent::of(&symbol, (id, bid, ask))));
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
