//! Everything that can go wrong between a trader and its exchange goes wrong, and afterwards the trader's orders, money and books are the
//! exchange's, and what is held is guarded there.
//!
//! The engine, the client and the exchange's server are the product's own, in one process, in real time. Faults come in an order that a
//! seed decides, while orders fly. `HURACAN_FAULT_SEEDS` names the seeds (`1` unless told, such as
//! `1,2,3,4,5`).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use huracan::domain::{BookSnapshot, Bps, FeeRates, MarketData, MarketUpdate, OrderId, Qty, RunId, Symbol, Timestamp, TradeId};
use huracan::engine::Settings;
use huracan::market::OrderBook;
use huracan::matching::flow::FlowConfig;
use huracan::protocol::{Command, Effect, Event, ModelRole, OrderState, Record, TradingState};
use huracan::venue::binance::{RestClient, StreamRules, TradesOf};
use huracan::venue::exchange::{ExchangeServer, Fault, FaultDoor, FaultRule, Form, MarketSource, Phase, Running, ServerConfig};

use crate::guarding::{Guarding, guarding};
use crate::real_time::{self, AtExchange};

/// Levels of a book that must agree.
const LEVELS: usize = 20;
/// Books that are remembered until the exchange's own of the same update id is there to compare with.
const BOOKS_KEPT: usize = 600;
/// Faults of requests wait for such a request.
const STRIKES_WITHIN: Duration = Duration::from_secs(90);
/// The firewall's page silences the client for two minutes: nothing else could strike after it.
const LAST: &str = "firewall page";
/// An order whose placement never arrived is given up a minute after it was made, and the firewall wants two minutes of silence.
const SETTLES_WITHIN: Duration = Duration::from_secs(240);

/// Bars of a second and short waits, so that something is always under way.
fn settings() -> Settings {
    let mut settings = real_time::settings();
    settings.limits.cool_down_ms = 200;
    settings.limits.max_data_age_ms = 3_000;
    settings.execution.entry_deadline_ms = 1_500;
    // More cancels to go wrong.
    settings.execution.offer_exits = true;
    settings
}

/// An exchange whose fees make entries rest, so that there is something to cancel.
fn listed(seed: u64, origin: Timestamp) -> ServerConfig {
    let mut flow = FlowConfig::usual(seed, origin);
    let (maker, taker) = (Bps::from_bps(-2), Bps::from_bps(10));
    flow.symbols.iter_mut().for_each(|s| s.instrument.fees = FeeRates { maker, taker });
    ServerConfig { market: MarketSource::Synthetic(flow), ..ServerConfig::synthetic(seed, origin) }
}

/// The trader, and what it was told.
struct Trader {
    desk: AtExchange,
    books: BTreeMap<Symbol, Followed>,
    fills: Vec<(Symbol, TradeId, OrderId, Qty)>,
    orders: BTreeMap<String, (OrderState, Symbol)>,
    notes: Vec<String>,
}

/// A book folded from what the client passed on, with its recent past.
#[derive(Default)]
struct Followed {
    book: OrderBook,
    past: VecDeque<BookSnapshot>,
}

impl Followed {
    fn take(&mut self, update: &MarketUpdate) {
        self.book.apply(update);
        if self.book.is_valid() && matches!(update.data, MarketData::Depth(_) | MarketData::Snapshot(_)) {
            if self.past.len() == BOOKS_KEPT {
                self.past.pop_front();
            }
            let (bids, asks) = (self.book.bids(LEVELS), self.book.asks(LEVELS));
            self.past.push_back(BookSnapshot { last_update_id: self.book.last_update_id(), bids, asks });
        }
    }
}

impl Trader {
    fn start(exchange: &Running, seed: u64) -> Self {
        let streams = StreamRules { silent_after: Duration::from_secs(3), ..StreamRules::default() };
        let desk = AtExchange::connect(exchange, settings(), streams);
        let opened = desk.opened(RunId(0xfa17_0000 + seed), None);
        let books = desk.engine.settings().symbols.iter().map(|symbol| (*symbol, Followed::default())).collect();
        let mut trader = Self { desk, books, fills: Vec::new(), orders: BTreeMap::new(), notes: Vec::new() };
        trader.apply(opened);
        trader
    }

    fn apply(&mut self, event: Event) {
        if let Event::Market(update) = &event
            && let Some(followed) = self.books.get_mut(&update.symbol)
        {
            followed.take(update);
        }
        for effect in self.desk.apply(event) {
            match effect {
                Effect::Send(_) => {}
                Effect::Alert(alert) => self.notes.push(format!("{:?} {}", alert.severity, alert.text)),
                Effect::Persist(record) => match *record {
                    Record::Fill(kept) => self.fills.push((kept.fill.symbol, kept.fill.trade_id, kept.fill.order_id, kept.fill.qty)),
                    Record::Order(kept) => drop(self.orders.insert(kept.order.id.to_string(), (kept.state, kept.order.symbol))),
                    _ => {}
                },
                Effect::Carry { .. } => {}
            }
        }
    }

    /// Lives for a while, or until something holds.
    async fn live(&mut self, longest: Duration, until: impl Fn(&Self) -> bool) -> bool {
        let end = Instant::now() + longest;
        while Instant::now() < end {
            if until(self) {
                return true;
            }
            if let Some(event) = self.desk.hear().await {
                self.apply(event);
            }
            if self.desk.is_due() {
                self.apply(Event::Tick);
            }
        }
        until(self)
    }

    fn open(&self) -> BTreeSet<String> {
        self.orders.iter().filter(|(_, (state, _))| !state.is_final()).map(|(id, _)| id.clone()).collect()
    }
}

/// What the exchange says, asked by a client of its own.
#[derive(Debug, PartialEq, Eq)]
struct Statement {
    fills: BTreeSet<(Symbol, TradeId, OrderId, Qty)>,
    open: BTreeSet<String>,
    totals: BTreeMap<String, Qty>,
}

async fn stated(client: &RestClient, symbols: &[Symbol]) -> Statement {
    let mut statement = Statement { fills: BTreeSet::new(), open: BTreeSet::new(), totals: BTreeMap::new() };
    for symbol in symbols {
        let trades = client.my_trades(*symbol, TradesOf::From(TradeId(0))).await.unwrap();
        statement.fills.extend(trades.iter().map(|t| (*symbol, t.trade_id, t.order_id, t.qty)));
        statement.open.extend(client.open_orders(*symbol).await.unwrap().ours.iter().map(|o| o.id.to_string()));
    }
    let balances = client.account().await.unwrap().balances;
    statement.totals = balances.iter().filter(|b| !b.total().is_zero()).map(|b| (b.asset.to_string(), b.total())).collect();
    statement
}

fn believed(trader: &Trader) -> Statement {
    let ledger = trader.desk.engine.snapshot().ledger;
    let totals = ledger.holdings().filter(|(_, qty)| !qty.is_zero()).map(|(asset, qty)| (asset.to_string(), qty)).collect();
    Statement { fills: trader.fills.iter().copied().collect(), open: trader.open(), totals }
}

/// Every fault of the exchange, at least once, with the name that a failure shows.
fn every_fault() -> Vec<(&'static str, FaultRule)> {
    use Fault::*;
    use FaultDoor::{MarketStreams, Rest, UserStreams};
    let rule = FaultRule::new;
    let btc: Symbol = "BTCUSDT".parse().unwrap();
    // Lists and replacements are placements, too.
    let placing = |fault: Fault| rule(fault).on(Rest).request("POST", "order*");
    let cancelling = |fault: Fault| rule(fault).on(Rest).request("DELETE", "order");
    let malformed = |form| Malformed { form };
    vec![
        ("disconnected market stream", rule(Disconnect).on(MarketStreams)),
        ("disconnected user stream", rule(Disconnect).on(UserStreams)),
        ("disconnected placement", placing(Disconnect)),
        ("half-open market stream", rule(HalfOpen).on(MarketStreams)),
        ("half-open user stream", rule(HalfOpen).on(UserStreams)),
        ("late market", rule(Delay { ms: 300 }).on(MarketStreams).times(20)),
        ("late account", rule(Delay { ms: 900 }).on(UserStreams).times(3)),
        ("late placements", placing(Delay { ms: 800 }).times(3)),
        ("lost depth", rule(Drop).on(MarketStreams).path("btcusdt@depth*").times(3)),
        ("lost reports", rule(Drop).on(UserStreams).path("executionReport").times(3)),
        ("doubled market", rule(Duplicate).on(MarketStreams).times(40)),
        ("doubled reports", rule(Duplicate).on(UserStreams).times(4)),
        ("disordered market", rule(Reorder).on(MarketStreams).times(20)),
        ("disordered reports", rule(Reorder).on(UserStreams).times(6)),
        ("placement refused by a full server", placing(ErrorBefore { status: 503, body: None }).times(2)),
        ("cancel refused by a proxy", cancelling(ErrorBefore { status: 502, body: None }).times(2)),
        ("placement done, answer lost", placing(ErrorAfter { status: 503, body: None }).times(2)),
        ("cancel done, answer lost", cancelling(ErrorAfter { status: 500, body: None }).times(2)),
        ("placement done, connection reset", placing(ResetAfter).times(2)),
        ("cancel done, connection reset", cancelling(ResetAfter).times(2)),
        ("hidden order", placing(HiddenOrder { ms: 2_500 }).times(2)),
        ("rate limit", rule(RateLimited { retry_after_secs: 1 }).on(Rest).times(2)),
        ("ban", rule(Banned { retry_after_secs: 2 }).on(Rest)),
        ("clock ahead", rule(ClockStep { ms: 3_000 })),
        ("clock back", rule(ClockStep { ms: -3_000 })),
        ("halted symbol", rule(SymbolStatus { symbol: btc, status: Phase::Halt }).for_ms(1_500)),
        ("broken symbol", rule(SymbolStatus { symbol: btc, status: Phase::Break }).for_ms(1_500)),
        ("cancels only", rule(SymbolStatus { symbol: btc, status: Phase::CancelOnly }).for_ms(1_500)),
        ("server shutdown", rule(ServerShutdown { ms: 300 })),
        ("firewall page", placing(malformed(Form::ForbiddenPage))),
        ("100 kB of error", placing(malformed(Form::Huge))),
        ("empty answer", placing(malformed(Form::Empty))),
        ("half an answer", placing(malformed(Form::Truncated))),
        ("null", placing(malformed(Form::Null))),
        ("unknown words", placing(malformed(Form::UnknownWord))),
        ("scientific numbers", placing(malformed(Form::Scientific))),
        ("half a stream message", rule(malformed(Form::Truncated)).on(MarketStreams).times(3)),
        ("half a report", rule(malformed(Form::Truncated)).on(UserStreams).times(2)),
        ("unknown words in reports", rule(malformed(Form::UnknownWord)).on(UserStreams).times(2)),
    ]
}

/// A shuffle that a seed decides.
fn shuffled<T>(mut items: Vec<T>, seed: u64) -> Vec<T> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    for last in (1..items.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        items.swap(last, (state >> 33) as usize % (last + 1));
    }
    items
}

/// The book that the client's messages fold to is the exchange's, at an update id that both have.
async fn books_agree(trader: &mut Trader, client: &RestClient) {
    for symbol in trader.desk.engine.settings().symbols.clone() {
        let mut agreed = false;
        for _ in 0..100 {
            let theirs = client.depth(symbol, LEVELS as u32).await.unwrap();
            trader.live(Duration::from_millis(250), |_| false).await;
            let ours = trader.books[&symbol].past.iter().find(|book| book.last_update_id == theirs.last_update_id);
            if let Some(ours) = ours {
                assert_eq!((&ours.bids, &ours.asks), (&theirs.bids, &theirs.asks), "{symbol} at {}", theirs.last_update_id);
                agreed = true;
                break;
            }
        }
        assert!(agreed, "{symbol}: no book of an update id that both have; ours is valid: {}", trader.books[&symbol].book.is_valid());
    }
}

/// Faults that were given and have not struck yet.
fn unfired(exchange: &Running) -> Vec<String> {
    let listed: serde_json::Value = serde_json::from_str(&exchange.faults()).unwrap();
    listed.as_array().unwrap().iter().filter(|rule| rule["fired"] == 0).map(|rule| rule["fault"].to_string()).collect()
}

/// Markets in which something is held that could be sold and has no stop.
async fn exposed(client: &RestClient, symbols: &[Symbol]) -> Vec<String> {
    guarding(client, symbols).await.iter().filter(|market| market.is_exposed()).map(Guarding::told).collect()
}

async fn survive(seed: u64) -> String {
    let exchange = ExchangeServer::start(listed(100 + seed, real_time::two_days_ago())).await.unwrap();
    let mut trader = Trader::start(&exchange, seed);
    let reconciled = |t: &Trader| t.desk.engine.view().health.reconciled;
    assert!(trader.live(Duration::from_secs(20), reconciled).await, "the account is stated: {:?}", trader.notes);
    let lessons = trader.desk.lessons(ModelRole::Shadow).await;
    lessons.into_iter().for_each(|lesson| trader.apply(lesson));
    assert!(trader.live(Duration::from_secs(60), |t| t.fills.len() >= 3).await, "it trades: {:?}", trader.notes);
    let (last, others): (Vec<_>, Vec<_>) = every_fault().into_iter().partition(|(name, _)| *name == LAST);
    for (name, fault) in shuffled(others, seed) {
        trader.notes.push(format!("-- {name}"));
        exchange.inject(fault).unwrap();
        trader.live(Duration::from_millis(900), |_| false).await;
    }
    let all_but_the_last = trader.live(STRIKES_WITHIN, |_| unfired(&exchange).is_empty()).await;
    if all_but_the_last {
        last.into_iter().for_each(|(_, fault)| exchange.inject(fault).unwrap());
    }
    let struck = all_but_the_last && trader.live(STRIKES_WITHIN, |_| unfired(&exchange).is_empty()).await;
    let state = trader.desk.engine.view();
    assert!(
        struck,
        "seed {seed}: never struck: {:?}\n{:?} {:?}\n{:?}\n{}",
        unfired(&exchange),
        state.trading,
        state.health,
        state.decisions.iter().take(6).map(|d| (d.symbol, d.reasons.first().cloned())).collect::<Vec<_>>(),
        trader.notes.join("\n")
    );
    // Nothing new; what is under way comes to its end.
    trader.notes.push("-- no more faults".to_owned());
    trader.apply(Event::Command(Command::Stop));
    let client = real_time::client(&exchange.rest, &exchange.api_key, &exchange.api_secret);
    client.sample_clock().await.unwrap();
    let symbols = trader.desk.engine.settings().symbols.clone();
    let end = Instant::now() + SETTLES_WITHIN;
    loop {
        // Both clients share the exchange's limits: what is asked too often is not answered.
        trader.live(Duration::from_secs(3), |_| false).await;
        let (ours, theirs) = (believed(&trader), stated(&client, &symbols).await);
        let exposed = if ours == theirs { exposed(&client, &symbols).await } else { Vec::new() };
        if ours == theirs && exposed.is_empty() {
            break;
        }
        let notes = trader.notes.join("\n");
        assert!(Instant::now() < end, "seed {seed}: exposed {exposed:#?}\nbelieved {ours:#?}\nstated {theirs:#?}\n{notes}");
    }
    books_agree(&mut trader, &client).await;
    assert_eq!(trader.fills.len(), trader.fills.iter().collect::<BTreeSet<_>>().len(), "no fill is booked twice");
    let view = trader.desk.engine.view();
    assert!(!matches!(view.trading, TradingState::Halted { .. }), "{:?}", view.trading);
    let said = format!("seed {seed}: {} orders, {} fills, {} alerts", trader.orders.len(), trader.fills.len(), trader.notes.len());
    trader.desk.end().await;
    exchange.stop().await;
    said
}

#[test]
fn after_every_fault_orders_money_and_books_are_the_exchanges() {
    let wanted = std::env::var("HURACAN_FAULT_SEEDS").unwrap_or_else(|_| "1".to_owned());
    let seeds = wanted.split(',').map(|seed| seed.trim().parse::<u64>().unwrap());
    for seed in seeds {
        println!("{}", real_time::run(survive(seed)));
    }
}
