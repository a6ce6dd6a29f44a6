//! Quotes: what one would meet now, which way is cheapest, what became of them, and what parent orders cost.
//!
//! The market, the clock and every closed bar come in by one line each (`quote_news`, `quote_time`, `quote_bar`). Whoever works orders asks
//! `advise` and tells the life of each parent order: `cost_decided`, `cost_child_sent`, `cost_fill`, `cost_finished`.

use super::Engine;
use super::desk::{Desk, VISIBLE_LEVELS};
use crate::domain::{ClientOrderId, Instrument, MarketData, MarketUpdate, Money, Price, Qty, RunId, Side, Span, Symbol, Timestamp};
use crate::market::OrderBook;
use crate::protocol::{Effect, FillModelLearned, Mode, ParentPurpose, Record, Severity, VenueFill};
use crate::trading::costs::{
    AdverseSelection, Choice, ChoiceInput, FillModel, FollowedQuote, MakerRules, Missing, OrderCostTracker, ParentDecided, QuoteMarket,
    RestingQuote, ShadowQuotes, TakerBook, TradeIntensity, choose,
};
use crate::trading::execution::Order;

/// Levels a side that quotes are judged by and takers are walked through.
const LEVELS: usize = 50;
/// Levels a side in the imbalance.
const IMBALANCE_LEVELS: usize = 5;
/// A hypothetical quote's notional, in multiples of the smallest order: as small as ours usually are.
const SHADOW_NOTIONALS: i128 = 10;

/// What one desk knows of quotes.
#[derive(Debug)]
pub(super) struct Quoting {
    intensity: TradeIntensity,
    shadows: ShadowQuotes,
    costs: OrderCostTracker,
    adverse: AdverseSelection,
}

impl Quoting {
    pub fn new(symbol: Symbol) -> Self {
        Self {
            intensity: TradeIntensity::default(),
            shadows: ShadowQuotes::new(RunId::default(), symbol),
            costs: OrderCostTracker::default(),
            adverse: AdverseSelection::default(),
        }
    }

    fn on_market(&mut self, now: Timestamp, data: &MarketData, book: &OrderBook) {
        if self.shadows.has_open() && !book.is_valid() {
            self.shadows.lose();
        }
        match data {
            MarketData::Trade(trade) => {
                self.intensity.on_trade(now, trade);
                self.shadows.on_trade(now, trade);
            }
            MarketData::Depth(_) | MarketData::Quote(_) | MarketData::Snapshot(_) if self.shadows.has_open() => {
                if let Some((bid, ask)) = book.best() {
                    self.shadows.on_touch(now, bid.price, ask.price);
                }
            }
            _ => {}
        }
    }

    fn is_due(&self, now: Timestamp) -> bool {
        self.shadows.is_due(now) || self.costs.is_due(now)
    }

    /// Ends what is over: records of quotes and of parent orders; fills teach what they cost afterwards.
    fn settle(&mut self, now: Timestamp, mid: Option<Price>, stopping: bool, out: &mut Vec<Effect>) {
        let (mut samples, mut orders) = (Vec::new(), Vec::new());
        self.shadows.on_time(now, mid, stopping, &mut samples);
        self.costs.on_time(now, mid, stopping, &mut orders);
        for sample in samples {
            if let Some(against) = sample.adverse_bps {
                self.adverse.add(sample.option, against);
            }
            out.push(Effect::Persist(Box::new(Record::FillSample(Box::new(sample)))));
        }
        out.extend(orders.into_iter().map(|order| Effect::Persist(Box::new(Record::OrderCost(Box::new(order))))));
    }
}

impl Desk {
    /// The market as a quote of this side sees it; `None` without a valid book, an instrument, or some seconds of trades.
    fn quote_market(&self, now: Timestamp, side: Side) -> Option<QuoteMarket> {
        let book = self.market.book();
        let instrument = self.instrument.as_ref().filter(|_| book.is_fed() && book.is_valid())?;
        let rates = self.quoting.intensity.rates(now, side)?;
        let (bids, asks) = (book.bids(LEVELS), book.asks(LEVELS));
        let imbalance = book.imbalance(IMBALANCE_LEVELS).unwrap_or(0.0);
        let bar_secs = self.market.interval().span().secs_f64();
        let sigma_bps = self.market.volatility_bps().unwrap_or(0.0) / bar_secs.sqrt();
        let (own, other, imbalance) = if side == Side::Buy { (bids, asks, imbalance) } else { (asks, bids, -imbalance) };
        Some(QuoteMarket::new(side, instrument.tick, own, other, rates, imbalance, sigma_bps))
    }
}

impl Engine {
    /// A market update was folded.
    pub(super) fn quote_news(&mut self, update: &MarketUpdate, out: &mut Vec<Effect>) {
        let (now, stopping) = (self.now, self.stopping);
        let Some(desk) = self.desks.get_mut(&update.symbol) else { return };
        let orders = &self.orders;
        desk.quoting.shadows.end_own(|id| orders.get(id).is_none_or(Order::is_final));
        desk.quoting.on_market(now, &update.data, desk.market.book());
        if desk.quoting.is_due(now) {
            desk.quoting.settle(now, desk.market.mid(), stopping, out);
        }
    }

    /// Time passed.
    pub(super) fn quote_time(&mut self, symbol: Symbol, out: &mut Vec<Effect>) {
        let (now, stopping) = (self.now, self.stopping);
        let Some(desk) = self.desks.get_mut(&symbol) else { return };
        if stopping || desk.quoting.is_due(now) {
            desk.quoting.settle(now, desk.market.mid(), stopping, out);
        }
    }

    /// A bar closed: a hypothetical quote is followed from here, unless one still is.
    pub(super) fn quote_bar(&mut self, symbol: Symbol) {
        let (now, run) = (self.now, self.run);
        let horizon = Span::from_millis(i64::from(self.settings.execution.entry_deadline_ms));
        let Some(desk) = self.desks.get_mut(&symbol) else { return };
        desk.quoting.intensity.on_time(now);
        if !desk.quoting.shadows.is_free() {
            return;
        }
        let (option, side) = desk.quoting.shadows.next_kind();
        let Some(market) = desk.quote_market(now, side) else { return };
        desk.quoting.shadows.begin(run);
        desk.quoting.shadows.pass_turn();
        let price = market.price_of(option);
        let qty = desk.instrument.as_ref().zip(price).and_then(|(instrument, price)| shadow_qty(instrument, price));
        if let Some((price, qty)) = price.zip(qty)
            && let Some(quote) = FollowedQuote::new(&market, None, price, qty, now, horizon)
        {
            desk.quoting.shadows.follow(quote);
        }
    }

    /// The ways to get `qty` done within `left`, with the cheapest chosen; taking when maker logic is off. `None` while book, instrument or
    /// trades are unknown: then the caller does what it would do without advice.
    #[must_use]
    pub fn advise(&self, symbol: Symbol, side: Side, qty: Qty, left: Span, missing: Missing) -> Option<Choice> {
        let desk = self.desks.get(&symbol)?;
        self.cheapest(desk, &desk.quote_market(self.now, side)?, qty, left, missing)
    }

    /// The same for what is left of an order that rests: at its own price its place in the queue counts, without its own quantity.
    pub(super) fn advise_resting(&self, id: ClientOrderId, left: Span, missing: Missing) -> Option<Choice> {
        let order = self.orders.get(id)?;
        let (price, qty) = (order.new.kind.price()?, order.remaining());
        let desk = self.desks.get(&order.new.symbol)?;
        // A book that is played to us from elsewhere does not have our orders.
        let shown = if self.settings.mode == Mode::Live { qty } else { Qty::ZERO };
        let resting = RestingQuote { price, shown, ahead: desk.quoting.shadows.ahead_of(id) };
        let market = desk.quote_market(self.now, order.new.side)?.seen_by(resting);
        self.cheapest(desk, &market, qty, left, missing)
    }

    fn cheapest(&self, desk: &Desk, market: &QuoteMarket, qty: Qty, left: Span, missing: Missing) -> Option<Choice> {
        let fees = desk.instrument.as_ref()?.fees;
        let adverse = &desk.quoting.adverse;
        let choice = choose(&ChoiceInput { market, qty, fees, left, missing, adverse, model: &self.fill_model })?;
        Some(if self.settings.maker.enabled { choice } else { choice.taking() })
    }

    /// Configuration of quoting.
    #[must_use]
    pub fn maker_rules(&self) -> &MakerRules {
        &self.settings.maker
    }

    /// Visible quantity of the other side's best levels: what a large order is cut by. Zero while the book is unknown.
    #[must_use]
    pub fn visible_depth(&self, symbol: Symbol, side: Side) -> Qty {
        let Some(book) = self.desks.get(&symbol).map(|desk| desk.market.book()) else { return Qty::ZERO };
        let levels = if side == Side::Buy { book.asks(VISIBLE_LEVELS) } else { book.bids(VISIBLE_LEVELS) };
        levels.iter().map(|level| level.qty).sum()
    }

    /// A parent order begins. Without a choice (no advice was to be had, or nothing was chosen) the counterfactual is computed here.
    pub fn cost_decided(&mut self, symbol: Symbol, side: Side, purpose: ParentPurpose, qty: Qty, decision: u64, choice: Option<&Choice>) {
        let (now, run) = (self.now, self.run);
        let Some(desk) = self.desks.get_mut(&symbol) else { return };
        let Some((bid, ask)) = desk.market.book().best() else { return };
        // Of the whole parent, whatever part of it the choice was made for.
        let rates = desk.instrument.as_ref().map(|instrument| instrument.fees);
        let book = desk.market.book();
        let levels = match (side, book.is_fed()) {
            (Side::Buy, true) => book.asks(LEVELS),
            (Side::Sell, true) => book.bids(LEVELS),
            (Side::Buy, false) => vec![ask],
            (Side::Sell, false) => vec![bid],
        };
        let book = rates.and_then(|rates| TakerBook::new(side, &levels, qty, bid.price.midpoint(ask.price), rates.taker));
        let chosen = choice.map(|choice| choice.chosen);
        desk.quoting.costs.decided(ParentDecided {
            run,
            decision,
            symbol,
            side,
            purpose,
            at: now,
            bid: bid.price,
            ask: ask.price,
            qty,
            chosen,
            book,
            rates,
        });
    }

    /// A child order left: it counts for its parent, and one that rests at `quote` is followed for `left`.
    pub fn cost_child_sent(&mut self, symbol: Symbol, side: Side, id: ClientOrderId, qty: Qty, quote: Option<Price>, left: Span) {
        let (now, run) = (self.now, self.run);
        let Some(desk) = self.desks.get_mut(&symbol) else { return };
        desk.quoting.costs.child_sent(side, now);
        if let Some(price) = quote
            && let Some(market) = desk.quote_market(now, side)
            && let Some(quote) = FollowedQuote::new(&market, Some(id), price, qty, now, left)
        {
            desk.quoting.shadows.begin(run);
            desk.quoting.shadows.follow(quote);
        }
    }

    /// A fill of ours that was not booked before; `fee` in quote money. A sale without a parent is a guard's own: its parent begins here,
    /// to be compared with taking now.
    pub fn cost_fill(&mut self, fill: &VenueFill, fee: Money) {
        let now = self.now;
        let Some(desk) = self.desks.get(&fill.symbol) else { return };
        let resting = fill.role == crate::domain::Role::Maker;
        if !desk.quoting.costs.is_open(fill.side) && fill.side == Side::Sell && (desk.trade.is_some() || resting) {
            let (qty, decision) = desk.trade.as_ref().map_or((fill.qty, 0), |trade| (trade.held().max(fill.qty), trade.decision));
            let purpose = if resting { ParentPurpose::Target } else { ParentPurpose::Stop };
            self.cost_decided(fill.symbol, fill.side, purpose, qty, decision, None);
        }
        let Some(desk) = self.desks.get_mut(&fill.symbol) else { return };
        desk.quoting.costs.fill(fill.side, now, fill.price, fill.qty, fill.role, fee);
        desk.quoting.shadows.on_own_fill(fill.id, now, fill.qty);
    }

    pub(super) fn cost_is_open(&self, symbol: Symbol, side: Side) -> bool {
        self.desks.get(&symbol).is_some_and(|desk| desk.quoting.costs.is_open(side))
    }

    /// Nothing more is sent for the parent of this side: it is filled, given up, or passed on.
    pub fn cost_finished(&mut self, symbol: Symbol, side: Side) {
        let now = self.now;
        let Some(desk) = self.desks.get_mut(&symbol) else { return };
        let price = desk.touch().map(|touch| touch.bid).or_else(|| desk.mark());
        let rules = desk.instrument.as_ref().zip(price).filter(|_| side == Side::Sell);
        let orderable = |missed: Qty| rules.map_or(missed, |(instrument, price)| instrument.sellable(missed, price));
        desk.quoting.costs.finished(side, now, desk.market.mid(), orderable);
    }

    pub(super) fn adopt_fill_model(&mut self, learned: &FillModelLearned, out: &mut Vec<Effect>) {
        let scores = format!(
            "Brier {:.4} fitted, {:.4} analytic, {:.4} base rate on {} later quotes",
            learned.brier_fitted, learned.brier_analytic, learned.brier_base, learned.judged_on
        );
        let text = match learned.coefficients {
            Some(coefficients) => {
                self.fill_model = FillModel::Fitted(coefficients);
                format!("fill model: fitted on {} quotes ({scores})", learned.fitted_on)
            }
            None => {
                self.fill_model = FillModel::Analytic;
                format!("fill model: analytic, fitting is no better ({scores})")
            }
        };
        self.alert(Severity::Info, text, out);
    }
}

/// Some of the smallest orders; `None` when the instrument takes nothing of that size.
fn shadow_qty(instrument: &Instrument, price: Price) -> Option<Qty> {
    let notional = Money::from_raw(instrument.min_notional.raw().max(1).saturating_mul(SHADOW_NOTIONALS));
    let least = notional.buys_at(price).max(instrument.min_qty);
    Some(least.floor_to(instrument.step).max(instrument.step)).filter(|qty| qty.is_positive())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::samples::btcusdt;
    use crate::domain::{BookSnapshot, DepthDiff, Level, NewOrder, OrderId, OrderKind, PublicTrade, Role, TradeId};
    use crate::engine::Settings;
    use crate::protocol::{Event, FillSampleRecord, OrderCostRecord, QuoteOption, RunOpened, Stamp, VenueEvent};
    use crate::trading::costs::Reference;
    use crate::trading::execution::Purpose;

    /// One market, one-second bars, quotes followed for six seconds.
    struct Scene {
        engine: Engine,
        seq: u64,
        book_id: u64,
        effects: Vec<Effect>,
    }

    fn symbol() -> Symbol {
        "BTCUSDT".parse().unwrap()
    }

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(1_767_225_600_000 + ms)
    }

    impl Scene {
        fn new(maker: bool) -> Self {
            let text = include_str!("../../benches/settings.json");
            let mut settings: Settings = serde_json::from_str(text).unwrap();
            settings.symbols = vec![symbol()];
            settings.time_scale.bar = "1s".parse().unwrap();
            settings.execution.entry_deadline_ms = 6_000;
            settings.maker.enabled = maker;
            let mut scene = Self { engine: Engine::new(settings), seq: 0, book_id: 1, effects: Vec::new() };
            let opened = RunOpened {
                run: RunId(7),
                mode: Mode::Paper,
                venue: String::new(),
                code_version: String::new(),
                settings: String::new(),
                settings_hash: String::new(),
                carried: None,
            };
            scene.apply(0, Event::RunOpened(Box::new(opened)));
            scene.apply(0, Event::Venue(VenueEvent::Instruments(vec![btcusdt()])));
            let book = BookSnapshot { last_update_id: 1, bids: levels(&["100", "99.99"]), asks: levels(&["100.02", "100.03"]) };
            scene.market(0, MarketData::Snapshot(book));
            scene
        }

        fn apply(&mut self, ms: i64, event: Event) {
            self.seq += 1;
            self.engine.apply(Stamp { seq: self.seq, at: at(ms) }, event, &mut self.effects);
        }

        fn market(&mut self, ms: i64, data: MarketData) {
            let update = MarketUpdate { symbol: symbol(), exchange_time: Some(at(ms)), local_time: at(ms), data };
            self.apply(ms, Event::Market(update));
        }

        fn trade(&mut self, ms: i64, price: &str, qty: &str, buyer_is_maker: bool) {
            let trade = PublicTrade { id: TradeId(self.seq), price: price.parse().unwrap(), qty: qty.parse().unwrap(), buyer_is_maker };
            self.market(ms, MarketData::Trade(trade));
        }

        fn bid_gone(&mut self, ms: i64, price: &str) {
            self.book_id += 1;
            let level = Level { price: price.parse().unwrap(), qty: Qty::ZERO };
            let diff = DepthDiff { first_update_id: self.book_id, last_update_id: self.book_id, bids: vec![level], asks: vec![] };
            self.market(ms, MarketData::Depth(diff));
        }

        /// One unit sold and one bought a second at the touch.
        fn run(&mut self, from: i64, until: i64) {
            for ms in (from..until).step_by(1_000) {
                self.trade(ms, "100", "1", true);
                self.trade(ms + 100, "100.02", "1", false);
                self.apply(ms + 500, Event::Tick);
            }
        }

        fn samples(&self) -> Vec<&FillSampleRecord> {
            let records = self.effects.iter().filter_map(|e| if let Effect::Persist(record) = e { Some(record.as_ref()) } else { None });
            records.filter_map(|r| if let Record::FillSample(sample) = r { Some(sample.as_ref()) } else { None }).collect()
        }

        fn costs(&self) -> Vec<&OrderCostRecord> {
            let records = self.effects.iter().filter_map(|e| if let Effect::Persist(record) = e { Some(record.as_ref()) } else { None });
            records.filter_map(|r| if let Record::OrderCost(cost) = r { Some(cost.as_ref()) } else { None }).collect()
        }
    }

    fn levels(prices: &[&str]) -> Vec<Level> {
        prices.iter().map(|price| Level { price: price.parse().unwrap(), qty: "5".parse().unwrap() }).collect()
    }

    fn fill(side: Side, price: &str, qty: &str, sequence: u64) -> VenueFill {
        VenueFill {
            id: ClientOrderId { run: RunId(7), sequence },
            order_id: OrderId(1),
            trade_id: TradeId(1),
            symbol: symbol(),
            side,
            price: price.parse().unwrap(),
            qty: qty.parse().unwrap(),
            role: Role::Maker,
            fee: Qty::ZERO,
            fee_asset: "USDT".parse().unwrap(),
            at: at(0),
        }
    }

    #[test]
    fn a_bar_follows_a_quote_and_its_sample_is_kept() {
        let mut scene = Scene::new(true);
        scene.run(1_000, 120_000);
        let samples = scene.samples();
        assert!(samples.len() > 10, "{}", samples.len());
        assert!(samples.iter().all(|s| s.run == RunId(7) && !s.own && s.facts.horizon_secs == 6.0));
        for option in [QuoteOption::Join, QuoteOption::Deeper, QuoteOption::Improve] {
            for side in [Side::Buy, Side::Sell] {
                assert!(samples.iter().any(|s| s.option == option && s.side == side), "{option:?} {side:?}");
            }
        }
        // Five units are before a joined quote and one is sold a second; an improved one is met by nobody here.
        let joined: Vec<_> = samples.iter().filter(|s| s.option == QuoteOption::Join).collect();
        assert!(
            joined.iter().all(|s| (s.facts.queue_ahead - 5.0).abs() < 1e-9 && (s.facts.volume_per_sec - 1.0).abs() < 0.15),
            "{joined:?}"
        );
        assert!(samples.iter().filter(|s| s.option == QuoteOption::Improve).all(|s| s.filled()), "trades at the touch pass it");
        assert!(samples.iter().filter(|s| s.option == QuoteOption::Deeper).all(|s| !s.filled() && s.missed_move_bps == Some(0.0)));
    }

    #[test]
    fn advice_waits_for_a_book_and_trades_and_the_switch_decides_who_makes() {
        let mut scene = Scene::new(true);
        let ask = |scene: &Scene| {
            scene.engine.advise(symbol(), Side::Buy, "1".parse().unwrap(), Span::from_secs(20), Missing::Taken { drift_bps: 0.0 })
        };
        assert_eq!(ask(&scene), None, "no trades were seen");
        scene.run(1_000, 40_000);
        let choice = ask(&scene).unwrap();
        assert_eq!(choice.options.len(), 4);
        assert!(!choice.takes(), "{choice:?}");
        assert!(scene.engine.visible_depth(symbol(), Side::Buy).to_string() == "10" && scene.engine.maker_rules().enabled);
        let mut taker = Scene::new(false);
        taker.run(1_000, 40_000);
        assert!(ask(&taker).unwrap().takes());
    }

    #[test]
    fn a_parent_order_is_followed_from_its_decision_to_its_record() {
        let mut scene = Scene::new(true);
        scene.run(1_000, 20_000);
        let qty: Qty = "1".parse().unwrap();
        let id = ClientOrderId { run: RunId(7), sequence: 3 };
        let choice = scene.engine.advise(symbol(), Side::Buy, qty, Span::from_secs(6), Missing::Taken { drift_bps: 0.0 }).unwrap();
        scene.engine.cost_decided(symbol(), Side::Buy, ParentPurpose::Entry, qty, 9, Some(&choice));
        scene.engine.cost_child_sent(symbol(), Side::Buy, id, qty, Some("100".parse().unwrap()), Span::from_secs(6));
        scene.run(20_000, 22_000);
        scene.engine.cost_fill(&fill(Side::Buy, "100", "1", 3), "0.1".parse().unwrap());
        scene.engine.cost_finished(symbol(), Side::Buy);
        // Sold again at a resting target, which nobody decided.
        scene.engine.cost_fill(&fill(Side::Sell, "100.02", "1", 4), Money::ZERO);
        scene.engine.cost_finished(symbol(), Side::Sell);
        scene.run(22_000, 90_000);
        let costs = scene.costs();
        assert_eq!(
            costs.iter().map(|c| (c.purpose, c.decision, c.children)).collect::<Vec<_>>(),
            [(ParentPurpose::Entry, 9, 1), (ParentPurpose::Target, 0, 0)]
        );
        // A cent better than the mid against a cent worse, both at ten bps of fees.
        assert_eq!(costs[0].saved.unwrap().to_string(), "0.02002");
        assert_eq!(costs[0].chosen, Some(choice.chosen));
        assert!(costs.iter().all(|c| c.markouts.after_60s.is_some()));
        let own: Vec<_> = scene.samples().into_iter().filter(|s| s.own).collect();
        assert_eq!((own.len(), own[0].filled(), own[0].option), (1, true, QuoteOption::Join));
    }

    #[test]
    fn when_the_run_stops_everything_is_written() {
        let mut scene = Scene::new(true);
        scene.run(1_000, 20_000);
        scene.engine.cost_decided(symbol(), Side::Buy, ParentPurpose::Entry, "1".parse().unwrap(), 1, None);
        scene.engine.cost_fill(&fill(Side::Buy, "100", "1", 1), Money::ZERO);
        scene.engine.cost_finished(symbol(), Side::Buy);
        scene.apply(20_000, Event::Command(crate::protocol::Command::Stop));
        scene.apply(20_100, Event::Tick);
        let costs = scene.costs();
        assert!(costs.len() == 1 && costs[0].markouts.after_60s.is_none() && costs[0].saved.is_some());
    }

    #[test]
    fn a_book_that_is_lost_ends_advice_and_what_was_followed_has_no_outcome() {
        let mut scene = Scene::new(true);
        scene.run(1_000, 20_000);
        scene.bid_gone(20_000, "99.99");
        let lost_at = at(20_001);
        let open = scene.engine.desks[&symbol()].quoting.shadows.has_open();
        let known = scene.samples().len();
        scene.market(20_001, MarketData::Interrupted);
        scene.run(20_100, 60_000);
        let advice = scene.engine.advise(symbol(), Side::Buy, Qty::from_raw(1), Span::from_secs(1), Missing::Lost { edge_bps: 1.0 });
        assert_eq!(advice, None);
        assert!(open && !scene.engine.desks[&symbol()].quoting.shadows.has_open());
        // The book is back with another price: nothing of before is judged by it.
        scene.book_id += 1;
        let book = BookSnapshot { last_update_id: scene.book_id, bids: levels(&["90", "89.99"]), asks: levels(&["90.02", "90.03"]) };
        scene.market(60_000, MarketData::Snapshot(book));
        scene.run(60_100, 90_000);
        let samples = scene.samples();
        let before: Vec<_> = samples[known..].iter().filter(|s| s.at < lost_at).collect();
        assert!(!before.is_empty() && before.iter().all(|s| s.filled()), "{before:?}");
        for sample in before {
            let filled = sample.at + sample.filled_after.unwrap();
            assert_eq!(sample.adverse_bps.is_some(), filled + Span::from_secs(10) < lost_at, "{sample:?}");
        }
    }

    #[test]
    fn a_markout_that_was_due_while_the_book_was_lost_is_unknown() {
        let mut scene = Scene::new(true);
        scene.run(1_000, 20_000);
        scene.engine.cost_decided(symbol(), Side::Buy, ParentPurpose::Entry, "1".parse().unwrap(), 1, None);
        scene.engine.cost_fill(&fill(Side::Buy, "100", "1", 1), Money::ZERO);
        scene.engine.cost_finished(symbol(), Side::Buy);
        scene.run(20_000, 22_000);
        scene.market(22_000, MarketData::Interrupted);
        scene.run(22_100, 40_000);
        let book = BookSnapshot { last_update_id: 9, bids: levels(&["90"]), asks: levels(&["90.02"]) };
        scene.market(40_000, MarketData::Snapshot(book));
        scene.run(40_100, 90_000);
        let markouts = scene.costs()[0].markouts;
        assert!((markouts.after_1s.unwrap() - 1.0).abs() < 1e-9 && markouts.after_10s.is_none(), "{markouts:?}");
        assert!((markouts.after_60s.unwrap() + 999.0).abs() < 1e-9, "{markouts:?}");
    }

    /// An order of one unit sold at the ask of 100.02, where five are shown; one is bought there a second.
    fn rests(mode: Mode) -> (Scene, ClientOrderId) {
        let mut scene = Scene::new(true);
        scene.engine.settings.mode = mode;
        scene.run(1_000, 20_000);
        let (qty, price) = ("1".parse().unwrap(), "100.02".parse().unwrap());
        let id = ClientOrderId { run: RunId(7), sequence: 3 };
        let order = NewOrder { id, symbol: symbol(), side: Side::Sell, qty, kind: OrderKind::LimitMaker { price } };
        let reference = Reference { mid: price, touch: price, sent_touch: price };
        let now = scene.engine.now;
        scene.engine.orders.reduce(order, Purpose::Exit, reference, now);
        scene.engine.cost_child_sent(symbol(), Side::Sell, id, qty, Some(price), Span::from_secs(60));
        (scene, id)
    }

    #[test]
    fn a_resting_order_is_judged_from_its_place_in_the_queue() {
        let queue = |choice: &Choice, scene: &Scene, ahead: f64| {
            let market = scene.engine.desks[&symbol()].quote_market(scene.engine.now, Side::Sell).unwrap();
            let facts = market.facts("100.02".parse().unwrap(), "1".parse().unwrap(), Span::from_secs(3)).unwrap();
            let expected = scene.engine.fill_model.probability(&crate::protocol::FillFacts { queue_ahead: ahead, ..facts });
            assert!((choice.options[0].fill_probability - expected).abs() < 1e-12, "{choice:?}");
        };
        // Nobody trades at the last moment: it must be filled in three seconds, or the market is five bps away.
        let (left, missing) = (Span::from_secs(3), Missing::Taken { drift_bps: 5.0 });
        for (mode, unfollowed) in [(Mode::Paper, 5.0), (Mode::Live, 4.0)] {
            let (mut scene, id) = rests(mode);
            scene.run(20_000, 24_000);
            // Four of the five before it are bought.
            queue(&scene.engine.advise_resting(id, left, missing).unwrap(), &scene, 1.0);
            queue(&scene.engine.advise(symbol(), Side::Sell, "1".parse().unwrap(), left, missing).unwrap(), &scene, 5.0);
            scene.run(24_000, 26_000);
            let choice = scene.engine.advise_resting(id, left, missing).unwrap();
            queue(&choice, &scene, 0.0);
            assert_eq!(choice.chosen.option, QuoteOption::Join, "{choice:?}");
            scene.engine.desks.get_mut(&symbol()).unwrap().quoting.shadows.lose();
            queue(&scene.engine.advise_resting(id, left, missing).unwrap(), &scene, unfollowed);
        }
    }

    #[test]
    fn an_order_that_is_out_is_not_filled_by_what_others_trade() {
        let (mut scene, id) = rests(Mode::Paper);
        scene.run(20_000, 40_000);
        assert_eq!(scene.engine.desks[&symbol()].quoting.shadows.ahead_of(id), Some(Qty::ZERO));
        scene.engine.orders.refused(id, at(40_000));
        scene.run(40_000, 42_000);
        assert_eq!(scene.engine.desks[&symbol()].quoting.shadows.ahead_of(id), None, "over, and filled as a hypothetical one");
    }
}
