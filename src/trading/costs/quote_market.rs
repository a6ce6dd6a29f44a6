//! One market as a quote of one side sees it: levels, touch, and the facts of an order at a price.

use super::intensity::Rates;
use crate::domain::{Level, Price, Qty, Side, Span};
use crate::protocol::{FillFacts, QuoteOption};

/// An order of ours that stands in this market already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestingQuote {
    pub price: Price,
    /// Of the quantity displayed at its price: zero where the venue's book does not have our orders.
    pub shown: Qty,
    /// Of the others at its price, what was there before it and has not traded; `None` when that was not followed.
    pub ahead: Option<Qty>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct QuoteMarket {
    pub side: Side,
    pub tick: Price,
    /// Levels of the order's own side and of the other one, best first.
    pub own: Vec<Level>,
    pub other: Vec<Level>,
    /// Against resting orders of the own side.
    pub rates: Rates,
    /// (own - other) / (own + other) of the best levels.
    pub imbalance: f64,
    /// Volatility of one second, bps.
    pub sigma_bps: f64,
    /// Whose place in its queue counts instead of the queue's end.
    pub(super) resting: Option<RestingQuote>,
}

impl QuoteMarket {
    /// `own` and `other`: levels of the order's own side and of the other one, best first; the rest as the fields say.
    #[must_use]
    pub const fn new(side: Side, tick: Price, own: Vec<Level>, other: Vec<Level>, rates: Rates, imbalance: f64, sigma_bps: f64) -> Self {
        Self { side, tick, own, other, rates, imbalance, sigma_bps, resting: None }
    }

    /// The same market for an order of ours that is in it: it does not stand behind itself, nor behind those who came later. A level that
    /// shows less than what is ours does not have it.
    #[must_use]
    pub fn seen_by(mut self, resting: RestingQuote) -> Self {
        if let Some(level) = self.own.iter_mut().find(|level| level.price == resting.price && level.qty >= resting.shown) {
            level.qty -= resting.shown;
        }
        self.own.retain(|level| level.qty.is_positive());
        self.resting = Some(resting);
        self
    }

    /// Best price of the own side and of the other; `None` when one is missing or they cross.
    #[must_use]
    pub fn touch(&self) -> Option<(Price, Price)> {
        let (own, other) = (self.own.first()?.price, self.other.first()?.price);
        (own.is_positive() && other.is_positive() && self.towards_other(own, other) > 0).then_some((own, other))
    }

    #[must_use]
    pub fn mid(&self) -> Option<Price> {
        self.touch().map(|(own, other)| own.midpoint(other))
    }

    /// Where an order of this kind would rest; `None` when there is no room for it, and for one that takes.
    #[must_use]
    pub fn price_of(&self, option: QuoteOption) -> Option<Price> {
        let (own, other) = self.touch()?;
        let tick = self.tick.raw().max(1);
        match option {
            QuoteOption::Join => Some(own),
            QuoteOption::Improve => Some(self.moved(own, tick)).filter(|price| self.towards_other(*price, other) > 0),
            QuoteOption::Deeper => {
                Some(self.own.get(1).map_or_else(|| self.moved(own, -tick), |level| level.price)).filter(|p| p.is_positive())
            }
            QuoteOption::Take => None,
        }
    }

    /// What kind of quote an order at this price is.
    #[must_use]
    pub fn option_of(&self, price: Price) -> Option<QuoteOption> {
        let (own, other) = self.touch()?;
        Some(match self.towards_other(own, price) {
            _ if self.towards_other(price, other) <= 0 => QuoteOption::Take,
            0 => QuoteOption::Join,
            ahead if ahead > 0 => QuoteOption::Improve,
            _ => QuoteOption::Deeper,
        })
    }

    /// Displayed at exactly this price.
    #[must_use]
    pub fn shown_at(&self, price: Price) -> Qty {
        self.own.iter().filter(|level| level.price == price).map(|level| level.qty).sum()
    }

    /// The facts of an order of `qty` at `price` that has `horizon` left; `None` without a touch.
    #[must_use]
    pub fn facts(&self, price: Price, qty: Qty, horizon: Span) -> Option<FillFacts> {
        let (own, other) = self.touch()?;
        let tick = self.tick.raw().max(1) as f64;
        let better = self.own.iter().filter(|level| self.towards_other(price, level.price) > 0).map(|level| level.qty).sum::<Qty>();
        let mid = own.midpoint(other).raw() as f64;
        Some(FillFacts {
            queue_ahead: (better + self.before_at(price)).to_f64(),
            qty: qty.to_f64(),
            trades_per_sec: self.rates.trades_per_sec,
            volume_per_sec: self.rates.volume_per_sec,
            spread_ticks: self.towards_other(own, other) as f64 / tick,
            distance_ticks: self.towards_other(price, own) as f64 / tick,
            imbalance: self.imbalance,
            sigma_ticks: self.sigma_bps * 1e-4 * mid / tick,
            horizon_secs: horizon.secs_f64(),
        })
    }

    /// Of what is displayed at exactly this price, what trades before an order of ours there.
    fn before_at(&self, price: Price) -> Qty {
        let shown = self.shown_at(price);
        self.resting.filter(|resting| resting.price == price).and_then(|resting| resting.ahead).map_or(shown, |ahead| ahead.min(shown))
    }

    /// From `a` to `b`, positive when that is the direction of the other side.
    const fn towards_other(&self, a: Price, b: Price) -> i64 {
        match self.side {
            Side::Buy => b.raw().saturating_sub(a.raw()),
            Side::Sell => a.raw().saturating_sub(b.raw()),
        }
    }

    const fn moved(&self, price: Price, ticks: i64) -> Price {
        Price::from_raw(match self.side {
            Side::Buy => price.raw().saturating_add(ticks),
            Side::Sell => price.raw().saturating_sub(ticks),
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub fn level(price: &str, qty: &str) -> Level {
        Level { price: price.parse().unwrap(), qty: qty.parse().unwrap() }
    }

    /// Bid 100, ask `ask`, two units on each level, one unit a second taken from either side.
    pub fn market(side: Side, ask: &str) -> QuoteMarket {
        let bids = vec![level("100", "2"), level("99.98", "9")];
        let asks = vec![level(ask, "2"), level("100.5", "9")];
        let (own, other) = if side == Side::Buy { (bids, asks) } else { (asks, bids) };
        let rates = Rates { trades_per_sec: 2.0, volume_per_sec: 1.0 };
        QuoteMarket::new(side, "0.01".parse().unwrap(), own, other, rates, 0.0, 0.0)
    }

    #[test]
    fn each_kind_of_quote_has_its_price_and_is_recognised() {
        let buy = market(Side::Buy, "100.05");
        let sell = market(Side::Sell, "100.05");
        let prices =
            |m: &QuoteMarket| [QuoteOption::Join, QuoteOption::Improve, QuoteOption::Deeper].map(|o| m.price_of(o).unwrap().to_string());
        assert_eq!(prices(&buy), ["100", "100.01", "99.98"]);
        assert_eq!(prices(&sell), ["100.05", "100.04", "100.5"]);
        for market in [&buy, &sell] {
            for option in [QuoteOption::Join, QuoteOption::Improve, QuoteOption::Deeper] {
                assert_eq!(market.option_of(market.price_of(option).unwrap()), Some(option));
            }
        }
        assert_eq!(buy.option_of("100.05".parse().unwrap()), Some(QuoteOption::Take));
        assert_eq!(market(Side::Buy, "100.01").price_of(QuoteOption::Improve), None, "no room");
    }

    #[test]
    fn the_facts_count_what_is_before_us() {
        let facts = |option| {
            let market = market(Side::Sell, "100.05");
            market.facts(market.price_of(option).unwrap(), "1".parse().unwrap(), Span::from_secs(5)).unwrap()
        };
        let (join, improve, deeper) = (facts(QuoteOption::Join), facts(QuoteOption::Improve), facts(QuoteOption::Deeper));
        assert_eq!([join.queue_ahead, improve.queue_ahead, deeper.queue_ahead], [2.0, 0.0, 11.0]);
        assert_eq!([join.distance_ticks, improve.distance_ticks, deeper.distance_ticks], [0.0, -1.0, 45.0]);
        assert_eq!((join.spread_ticks, join.horizon_secs), (5.0, 5.0));
    }

    #[test]
    fn an_order_that_rests_already_stands_where_it_stands() {
        let queue = |price: &str, shown: &str, ahead: Option<&str>, at: &str| {
            let resting =
                RestingQuote { price: price.parse().unwrap(), shown: shown.parse().unwrap(), ahead: ahead.map(|a| a.parse().unwrap()) };
            let market = market(Side::Buy, "100.05").seen_by(resting);
            market.facts(at.parse().unwrap(), "1".parse().unwrap(), Span::from_secs(5)).unwrap().queue_ahead
        };
        // Two at 100, one of them ours, a quarter before us; then nine at 99.98.
        assert_eq!(queue("100", "1", Some("0.25"), "100"), 0.25);
        assert_eq!(queue("100", "1", None, "100"), 1.0, "not behind itself");
        assert_eq!(queue("100", "0", Some("0.25"), "100"), 0.25, "a book without our orders");
        assert_eq!(queue("100", "1", Some("5"), "100"), 1.0, "who left is not before us");
        assert_eq!(queue("100", "1", Some("0.25"), "99.98"), 10.0, "elsewhere the end of the queue");
        assert_eq!(queue("100", "3", None, "100"), 2.0, "a level that does not hold us");
        assert_eq!(queue("99.98", "4", Some("1"), "99.98"), 3.0);
        // Alone at the touch: without us the next level is the best.
        let alone =
            market(Side::Buy, "100.05").seen_by(RestingQuote { price: "100".parse().unwrap(), shown: "2".parse().unwrap(), ahead: None });
        assert_eq!(alone.touch().map(|(own, _)| own.to_string()), Some("99.98".into()));
        assert_eq!(alone.option_of("100".parse().unwrap()), Some(QuoteOption::Improve));
    }

    #[test]
    fn a_market_without_a_touch_tells_nothing() {
        let crossed = market(Side::Buy, "99");
        assert_eq!((crossed.touch(), crossed.mid(), crossed.price_of(QuoteOption::Join)), (None, None, None));
        assert!(crossed.facts("1".parse().unwrap(), Qty::ZERO, Span::ZERO).is_none());
    }
}
