//! Quotes that are only followed: what would have become of them, told by public trades, to learn fill probabilities and their price.
//!
//! At a bar's close one hypothetical order is put at the book: joined, deeper and improved in turn, buying and selling in turn. Real
//! quotes of ours are followed beside it from the moment they are sent. Nothing but their real fills fills them while they are out; public
//! trades only shorten their queue. When they end early they go on as hypothetical ones with what was left of them, because a quote that
//! is cancelled when the market leaves would otherwise never count as missed.
//!
//! A hypothetical order is filled by what trades at its price behind the whole quantity that was displayed there before it (cancels ahead
//! do not help it), by a trade beyond its price, and when the other side of the book reaches it.
//!
//! What happens while the book is lost is not known: a quote that was followed then has no outcome and is dropped.

use std::collections::VecDeque;

use super::markout::{MarkoutClock, lateness};
use super::quote_market::QuoteMarket;
use crate::domain::{ClientOrderId, Price, PublicTrade, Qty, RunId, Side, Span, Symbol, Timestamp};
use crate::protocol::{FillFacts, FillSampleRecord, QuoteOption};

/// Followed at once: the hypothetical one and some of our own.
const MOST_OPEN: usize = 6;
/// Filled ones whose mids are still waited for; one more ends the oldest early.
const MOST_SETTLING: usize = 32;

/// A quote at its beginning.
#[derive(Debug, Clone, PartialEq)]
pub struct FollowedQuote {
    /// Of a real order of ours.
    pub id: Option<ClientOrderId>,
    pub option: QuoteOption,
    pub side: Side,
    pub price: Price,
    pub qty: Qty,
    /// Displayed at this very price.
    pub ahead: Qty,
    pub facts: FillFacts,
    pub at: Timestamp,
    pub mid: Price,
}

impl FollowedQuote {
    /// An order of `qty` at `price` in this market, until `horizon` has passed; `None` when it would take, or without a touch.
    #[must_use]
    pub fn new(market: &QuoteMarket, id: Option<ClientOrderId>, price: Price, qty: Qty, at: Timestamp, horizon: Span) -> Option<Self> {
        let option = market.option_of(price).filter(|option| *option != QuoteOption::Take)?;
        let facts = market.facts(price, qty, horizon)?;
        let (ahead, mid) = (market.shown_at(price), market.mid()?);
        qty.is_positive().then_some(Self { id, option, side: market.side, price, qty, ahead, facts, at, mid })
    }
}

#[derive(Debug, Clone, PartialEq)]
struct Open {
    quote: FollowedQuote,
    /// A real order that is still out.
    real: bool,
    ahead: Qty,
    left: Qty,
    until: Timestamp,
}

#[derive(Debug, Clone, PartialEq)]
struct Settling {
    quote: FollowedQuote,
    filled: Timestamp,
    clock: MarkoutClock,
}

/// The followed quotes of one market.
#[derive(Debug, Clone, PartialEq)]
pub struct ShadowQuotes {
    run: RunId,
    symbol: Symbol,
    placed: u64,
    open: Vec<Open>,
    settling: VecDeque<Settling>,
    due: Timestamp,
}

impl ShadowQuotes {
    #[must_use]
    pub const fn new(run: RunId, symbol: Symbol) -> Self {
        Self { run, symbol, placed: 0, open: Vec::new(), settling: VecDeque::new(), due: Timestamp::MAX }
    }

    /// The run that what is followed from here on belongs to.
    pub const fn begin(&mut self, run: RunId) {
        self.run = run;
    }

    /// Whether no hypothetical quote is out.
    #[must_use]
    pub fn is_free(&self) -> bool {
        self.open.iter().all(|open| open.quote.id.is_some())
    }

    /// What the next hypothetical quote shall be.
    #[must_use]
    pub const fn next_kind(&self) -> (QuoteOption, Side) {
        let option = match self.placed % 3 {
            0 => QuoteOption::Join,
            1 => QuoteOption::Deeper,
            _ => QuoteOption::Improve,
        };
        (option, if (self.placed / 3).is_multiple_of(2) { Side::Buy } else { Side::Sell })
    }

    /// The turn passes on, also when there was no room for a quote of its kind.
    pub const fn pass_turn(&mut self) {
        self.placed += 1;
    }

    pub fn follow(&mut self, quote: FollowedQuote) {
        if self.open.len() == MOST_OPEN {
            return;
        }
        let until = quote.at + Span::from_nanos((quote.facts.horizon_secs * 1e9) as i64);
        self.due = self.due.min(until);
        self.open.push(Open { real: quote.id.is_some(), ahead: quote.ahead, left: quote.qty, until, quote });
    }

    pub fn on_trade(&mut self, now: Timestamp, trade: &PublicTrade) {
        let mut at = 0;
        while at < self.open.len() {
            if self.open[at].is_filled_by(trade) { self.fill(at, now) } else { at += 1 }
        }
    }

    /// The book's best prices: an order that the other side reaches has been met.
    pub fn on_touch(&mut self, now: Timestamp, bid: Price, ask: Price) {
        let met = |open: &Open| match open.quote.side {
            _ if open.real => false,
            Side::Buy => ask <= open.quote.price,
            Side::Sell => bid >= open.quote.price,
        };
        let mut at = 0;
        while at < self.open.len() {
            if met(&self.open[at]) { self.fill(at, now) } else { at += 1 }
        }
    }

    /// A real order of ours got this much: the truth about its quote.
    pub fn on_own_fill(&mut self, id: ClientOrderId, now: Timestamp, qty: Qty) {
        let Some(at) = self.open.iter().position(|open| open.quote.id == Some(id)) else { return };
        self.open[at].ahead = Qty::ZERO;
        self.open[at].left -= qty;
        if !self.open[at].left.is_positive() {
            self.fill(at, now);
        }
    }

    /// Real orders that are over by the venue's word go on as hypothetical ones.
    pub fn end_own(&mut self, is_over: impl Fn(ClientOrderId) -> bool) {
        for open in self.open.iter_mut().filter(|open| open.real) {
            open.real = !open.quote.id.is_some_and(&is_over);
        }
    }

    /// The book is lost: what was followed has no outcome.
    pub fn lose(&mut self) {
        self.open.clear();
    }

    /// What is still before a real order of ours at its price, at most; `None` when it is not followed.
    #[must_use]
    pub fn ahead_of(&self, id: ClientOrderId) -> Option<Qty> {
        self.open.iter().find(|open| open.quote.id == Some(id)).map(|open| open.ahead)
    }

    #[must_use]
    pub fn has_open(&self) -> bool {
        !self.open.is_empty()
    }

    #[must_use]
    pub const fn is_due(&self, now: Timestamp) -> bool {
        now.nanos() >= self.due.nanos()
    }

    /// Ends what is over and looks at the mid where it is waited for; without a mid it waits as long as one would still do. `stopping`:
    /// nothing is waited for.
    pub fn on_time(&mut self, now: Timestamp, mid: Option<Price>, stopping: bool, out: &mut Vec<FillSampleRecord>) {
        while let Some(at) = self.open.iter().position(|open| open.is_over(now, mid)) {
            let open = self.open.swap_remove(at);
            let seen = mid.filter(|_| !open.is_late(now));
            let moved = seen.map(|mid| against_bps(open.quote.side.opposite(), open.quote.mid, mid, open.quote.price));
            out.push(FillSampleRecord { missed_move_bps: moved, ..self.sample(&open.quote) });
        }
        for settling in &mut self.settling {
            settling.clock.on_mid(now, mid);
        }
        let surplus = self.settling.len().saturating_sub(MOST_SETTLING);
        for nth in 0..self.settling.len() {
            let over = stopping || nth < surplus;
            if let Some(settling) = self.settling.pop_front() {
                if over || settling.clock.next_due().is_none() {
                    out.push(self.settled(&settling));
                } else {
                    self.settling.push_back(settling);
                }
            }
        }
        let ends = self.open.iter().map(|open| open.until);
        self.due = ends.chain(self.settling.iter().filter_map(|s| s.clock.next_due())).min().unwrap_or(Timestamp::MAX);
    }

    fn fill(&mut self, at: usize, now: Timestamp) {
        let open = self.open.swap_remove(at);
        let mut clock = MarkoutClock::new(open.quote.side);
        clock.on_fill(now, open.quote.price, open.quote.qty);
        self.due = clock.next_due().map_or(self.due, |due| self.due.min(due));
        self.settling.push_back(Settling { quote: open.quote, filled: now, clock });
    }

    fn settled(&self, settling: &Settling) -> FillSampleRecord {
        let quote = &settling.quote;
        let markouts = settling.clock.result();
        // What the price was better than the mid, less what is left of it.
        let earned = against_bps(quote.side, quote.mid, quote.price, quote.price);
        let adverse_bps = markouts.after_10s.map(|left| earned - left);
        FillSampleRecord { filled_after: Some(settling.filled.since(quote.at)), markouts, adverse_bps, ..self.sample(quote) }
    }

    fn sample(&self, quote: &FollowedQuote) -> FillSampleRecord {
        FillSampleRecord {
            run: self.run,
            symbol: self.symbol,
            at: quote.at,
            side: quote.side,
            option: quote.option,
            price: quote.price,
            qty: quote.qty,
            own: quote.id.is_some(),
            facts: quote.facts,
            filled_after: None,
            markouts: Default::default(),
            adverse_bps: None,
            missed_move_bps: None,
        }
    }
}

impl Open {
    fn is_over(&self, now: Timestamp, mid: Option<Price>) -> bool {
        now >= self.until && (mid.is_some() || self.is_late(now))
    }

    /// A mid of now is not that of its end.
    fn is_late(&self, now: Timestamp) -> bool {
        now > self.until + lateness(self.until.since(self.quote.at))
    }

    fn is_filled_by(&mut self, trade: &PublicTrade) -> bool {
        let (beyond, taken_from) = match self.quote.side {
            Side::Buy => (trade.price < self.quote.price, trade.buyer_is_maker),
            Side::Sell => (trade.price > self.quote.price, !trade.buyer_is_maker),
        };
        if beyond {
            self.ahead = Qty::ZERO;
            return !self.real;
        }
        if trade.price != self.quote.price || !taken_from {
            return false;
        }
        let behind = trade.qty - self.ahead;
        self.ahead = if behind.is_positive() { Qty::ZERO } else { self.ahead - trade.qty };
        if behind.is_positive() && !self.real {
            self.left -= behind;
        }
        !self.real && !self.left.is_positive()
    }
}

/// How far a price went from `from` to `to` against a holder of this side, bps of `base`.
fn against_bps(side: Side, from: Price, to: Price, base: Price) -> f64 {
    let fell = (from.to_f64() - to.to_f64()) / base.to_f64() * 1e4;
    if side == Side::Buy { fell } else { -fell }
}

#[cfg(test)]
mod tests {
    use super::super::quote_market::tests::market;
    use super::*;
    use crate::domain::TradeId;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    fn price(text: &str) -> Price {
        text.parse().unwrap()
    }

    fn trade(at_price: &str, qty: &str, buyer_is_maker: bool) -> PublicTrade {
        PublicTrade { id: TradeId(1), price: price(at_price), qty: qty.parse().unwrap(), buyer_is_maker }
    }

    fn quotes() -> ShadowQuotes {
        ShadowQuotes::new(RunId(1), "BTCUSDT".parse().unwrap())
    }

    /// Two units are before us at 100; ten seconds.
    fn joined(side: Side, id: Option<ClientOrderId>) -> FollowedQuote {
        let market = market(side, "100.04");
        let own = market.touch().unwrap().0;
        FollowedQuote::new(&market, id, own, "1".parse().unwrap(), at(0), Span::from_secs(10)).unwrap()
    }

    fn ended(quotes: &mut ShadowQuotes, ms: i64, mid: &str) -> Vec<FillSampleRecord> {
        let mut out = Vec::new();
        quotes.on_time(at(ms), Some(price(mid)), false, &mut out);
        out
    }

    #[test]
    fn the_whole_queue_trades_first() {
        let mut quotes = quotes();
        quotes.follow(joined(Side::Buy, None));
        quotes.on_trade(at(100), &trade("100", "2.5", true));
        quotes.on_trade(at(200), &trade("100", "5", false));
        quotes.on_trade(at(300), &trade("100.02", "50", true));
        assert!(quotes.has_open(), "half a unit is missing; buyers and better prices do not fill us");
        quotes.on_trade(at(400), &trade("100", "0.5", true));
        assert!(!quotes.has_open() && quotes.is_due(at(1_400)) && !quotes.is_due(at(1_399)));
        assert!(ended(&mut quotes, 1_400, "100.03").is_empty());
        assert!(ended(&mut quotes, 10_400, "100").is_empty());
        let sample = ended(&mut quotes, 60_400, "99.9").remove(0);
        assert_eq!((sample.filled_after, sample.option, sample.own), (Some(Span::from_millis(400)), QuoteOption::Join, false));
        assert!((sample.markouts.after_1s.unwrap() - 3.0).abs() < 1e-9 && (sample.markouts.after_60s.unwrap() + 10.0).abs() < 1e-9);
        // The mid was 100.02 and is 100 ten seconds after the fill.
        assert!((sample.adverse_bps.unwrap() - 2.0).abs() < 1e-9);
    }

    #[test]
    fn a_trade_beyond_the_price_and_a_book_that_reaches_it_fill() {
        for side in [Side::Buy, Side::Sell] {
            let mut beyond = quotes();
            beyond.follow(joined(side, None));
            beyond.on_trade(at(5), &if side == Side::Buy { trade("99.99", "0.1", true) } else { trade("100.05", "0.1", false) });
            assert!(!beyond.has_open());
            let mut met = quotes();
            met.follow(joined(side, None));
            met.on_touch(at(5), price("100.01"), price("100.03"));
            assert!(met.has_open());
            met.on_touch(at(6), price("99"), price("100"));
            met.on_touch(at(6), price("100.04"), price("101"));
            assert!(!met.has_open());
        }
    }

    #[test]
    fn what_is_not_filled_in_time_is_a_miss_with_the_way_the_market_went() {
        let mut quotes = quotes();
        quotes.follow(joined(Side::Buy, None));
        assert!(ended(&mut quotes, 9_999, "100.02").is_empty());
        let sample = ended(&mut quotes, 10_000, "100.12").remove(0);
        assert!(!sample.filled() && (sample.missed_move_bps.unwrap() - 10.0).abs() < 1e-9, "{sample:?}");
        assert!(!quotes.is_due(at(i64::from(u32::MAX))));
    }

    #[test]
    fn our_own_quote_ends_with_its_real_fill_and_goes_on_when_it_was_cancelled() {
        let id = ClientOrderId { run: RunId(1), sequence: 4 };
        let mut quotes = quotes();
        quotes.follow(joined(Side::Buy, Some(id)));
        assert!(quotes.is_free(), "a hypothetical one may stand beside it");
        quotes.on_own_fill(id, at(50), "0.4".parse().unwrap());
        assert!(quotes.has_open());
        quotes.on_own_fill(id, at(60), "0.6".parse().unwrap());
        assert!(!quotes.has_open());
        let mut out = Vec::new();
        quotes.on_time(at(70), Some(price("100")), true, &mut out);
        assert!(out[0].own && out[0].filled() && out[0].markouts.after_1s.is_none(), "a run that stops waits for nothing");
    }

    #[test]
    fn only_its_real_fills_fill_an_order_that_is_out() {
        let id = ClientOrderId { run: RunId(1), sequence: 4 };
        let mut quotes = quotes();
        quotes.follow(joined(Side::Buy, Some(id)));
        assert_eq!(quotes.ahead_of(id).map(|qty| qty.to_string()), Some("2".into()));
        quotes.on_trade(at(10), &trade("100", "1.5", true));
        assert_eq!(quotes.ahead_of(id).map(|qty| qty.to_string()), Some("0.5".into()));
        // 0.4 of what trades here is ours, and told by our own fill; it is not counted twice.
        quotes.on_trade(at(20), &trade("100", "0.9", true));
        quotes.on_own_fill(id, at(20), "0.4".parse().unwrap());
        quotes.on_trade(at(30), &trade("100", "0.7", true));
        quotes.on_trade(at(40), &trade("99.99", "5", true));
        quotes.on_touch(at(50), price("99"), price("100"));
        assert_eq!(quotes.ahead_of(id), Some(Qty::ZERO));
        let sample = ended(&mut quotes, 10_000, "100.02").remove(0);
        assert!(sample.own && !sample.filled() && !quotes.has_open(), "four tenths are not an order: {sample:?}");
    }

    #[test]
    fn an_order_of_ours_that_ended_goes_on_with_what_was_left() {
        let id = ClientOrderId { run: RunId(1), sequence: 4 };
        let mut quotes = quotes();
        quotes.follow(joined(Side::Buy, Some(id)));
        quotes.on_own_fill(id, at(50), "0.4".parse().unwrap());
        quotes.end_own(|_| false);
        quotes.on_trade(at(60), &trade("100", "9", true));
        quotes.end_own(|ended| ended == id);
        quotes.on_trade(at(70), &trade("100", "0.5", true));
        assert!(quotes.has_open(), "0.6 were left");
        quotes.on_trade(at(80), &trade("100", "0.1", true));
        assert!(!quotes.has_open());
    }

    #[test]
    fn what_was_followed_while_the_book_was_lost_has_no_outcome() {
        let mut quotes = quotes();
        quotes.follow(joined(Side::Buy, None));
        quotes.lose();
        assert!(!quotes.has_open() && quotes.is_free() && ended(&mut quotes, 60_000, "90").is_empty());
        // A miss that no mid came for in time (ten seconds and one more) is a miss with an unknown move.
        let mut out = Vec::new();
        for (ms, ends) in [(11_000, false), (11_001, true)] {
            quotes.follow(joined(Side::Buy, None));
            quotes.on_time(at(ms), None, false, &mut out);
            assert_eq!((quotes.has_open(), out.len()), (!ends, usize::from(ends)), "{ms}");
            quotes.lose();
        }
        assert!(!out[0].filled() && out[0].missed_move_bps.is_none());
        quotes.follow(joined(Side::Buy, None));
        assert_eq!(ended(&mut quotes, 11_001, "90")[0].missed_move_bps, None);
    }

    #[test]
    fn turns_pass_and_memory_is_bounded() {
        let mut quotes = quotes();
        let mut kinds = Vec::new();
        for _ in 0..6 {
            kinds.push(quotes.next_kind());
            quotes.pass_turn();
        }
        assert_eq!(kinds.iter().filter(|(_, side)| *side == Side::Sell).count(), 3);
        for n in 0..100_i64 {
            let id = ClientOrderId { run: RunId(1), sequence: n as u64 };
            (0..9).for_each(|_| quotes.follow(FollowedQuote { at: at(n), ..joined(Side::Buy, Some(id)) }));
            quotes.end_own(|_| true);
            quotes.on_trade(at(n), &trade("99", "1", true));
            ended(&mut quotes, n, "100");
            assert!(quotes.open.len() <= MOST_OPEN && quotes.settling.len() <= MOST_SETTLING + MOST_OPEN);
        }
    }
}
