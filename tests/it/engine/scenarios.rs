//! One small story for each limit and each stop, told line by line in the files of tests/data/scenarios: quiet before, tripped, acted upon, and shown by
//! `huracan status`. Prices are bps from the market's price at the start, spreads are bps.
//!
//! | line | what happens |
//! |---|---|
//! | `set KEY VALUE` | a setting, before `start` |
//! | `markets A B` | those that are traded, before `start` |
//! | `start` | the run opens, the venue states the account, a model trades, every market is quoted at 0 with a spread of 2 |
//! | `quote M MID SPREAD` | the quote; it is repeated twice a second until the next one |
//! | `book M MID SPREAD` | a snapshot of the book |
//! | `silence M` | no more quotes |
//! | `trade M PRICE` | a public trade of a seller, large enough to fill what rests above |
//! | `clock MS`, `store failed`, `credentials refused` | a probe, or what the venue says of our key |
//! | `venue error`, `venue balance AMOUNT`, `venue overfill` | a failure, another quote balance until trading halts, the last order filled twice |
//! | `deny MARKET` | the venue takes no order lists any more, and the resting ones are cancelled |
//! | `halt`, `resume`, `flatten`, `stop`, `limit NAME VALUE [loosen]`, `keep NAME` | a person |
//! | `wait SECONDS`, `moment` | time; a moment is 600 ms |
//! | `until entries N`, `until positions N`, `until closed N` | time, until so many are there; fails after two minutes |
//! | `expect ...` | `quiet`, `tripped`, `state WORD`, `entries N`, `positions N`, `exit REASON`, `refusal TEXT`, `status TEXT`, `holds M FROM TO` (at the mark), `guarded M` |

use std::collections::BTreeMap;
use std::path::PathBuf;

use huracan::app::status_text;
use huracan::domain::{
    Balance, Bps, ExitReason, Level, MarketData, MarketUpdate, Money, Price, PublicTrade, Qty, Quote, Span, Symbol, TradeId,
};
use huracan::engine::Settings;
use huracan::protocol::{
    Command, Event, FailureKind, Learned, LimitName, LimitState, ModelRole, Probe, Record, Request, TradingState, VenueEvent, VenueFill,
    Verdict, WarmUp,
};
use huracan::trading::risk::{ACTIONS, Cause, LimitRow, Stop};

use super::guard::is_exposed;
use crate::desk::{Desk, bar, model, settings};

const PATIENCE: i64 = 120;

/// One market as the story tells it.
struct Market {
    base: Price,
    quote: Option<(Price, Price)>,
}

struct Story {
    settings: Settings,
    cause: Cause,
    desk: Option<Desk>,
    markets: BTreeMap<Symbol, Market>,
    updates: u64,
    /// Decisions that were looked at.
    seen: usize,
    /// The quote balance that the venue states, whatever is so, until trading halts.
    insists: Option<Qty>,
    was_quiet: bool,
    has_tripped: bool,
}

/// Wide enough for everything, so that each story sets the one limit it tells of.
fn calm() -> Settings {
    let mut settings = settings();
    settings.time_scale.horizon_bars = 1_000;
    (settings.time_scale.target_sigma, settings.time_scale.stop_sigma) = (100.0, 10.0);
    settings.decision.exit_gross_below_bps = -1e9;
    settings.exploration = None;
    settings.limits.max_drawdown_bps = Bps::from_bps(9_000);
    settings.limits.max_clock_drift_ms = 500;
    settings.limits.max_exposure = "9000".parse().unwrap();
    settings.limits.max_position_notional = "3000".parse().unwrap();
    settings.limits.streak_pause_ms = 60_000;
    settings.limits.loosen_delay_ms = 10_000;
    settings
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/scenarios")
}

impl Story {
    fn new(cause: Cause) -> Self {
        Self {
            settings: calm(),
            cause,
            desk: None,
            markets: BTreeMap::new(),
            updates: 1,
            seen: 0,
            insists: None,
            was_quiet: false,
            has_tripped: false,
        }
    }

    /// The venue takes no order lists any more, and somebody cancels those that rest.
    fn deny(&mut self, market: Symbol) {
        let desk = self.desk();
        let venue = &mut desk.session.venue;
        venue.set_rules(market, huracan::matching::Rules { max_order_lists: 0, ..huracan::matching::Rules::default() });
        let resting: Vec<String> = venue.open_orders(market).iter().map(|order| order.client_id.to_string()).collect();
        let now = desk.now();
        if let Some(id) = resting.iter().find_map(|id| id.parse().ok()) {
            desk.session.venue.send(now, Request::Cancel { id, symbol: market, order_id: None });
        }
    }

    fn desk(&mut self) -> &mut Desk {
        self.desk.as_mut().expect("the story has started")
    }

    fn tell(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |text: &str| text.parse::<i64>().unwrap_or_else(|_| panic!("{text} is no number"));
        match words.as_slice() {
            ["set", key, value] => self.set(key, value),
            ["markets", names @ ..] => self.settings.symbols = names.iter().map(|name| name.parse().unwrap()).collect(),
            ["start"] => self.start(),
            ["quote", market, mid, spread] => self.quote(market.parse().unwrap(), number(mid), number(spread)),
            ["book", market, mid, spread] => self.book(market.parse().unwrap(), number(mid), number(spread)),
            ["silence", market] => self.markets.get_mut(&market.parse().unwrap()).unwrap().quote = None,
            ["trade", market, price] => self.trade(market.parse().unwrap(), number(price)),
            ["clock", ms] => {
                let probe = Probe::Clock { offset: Span::from_millis(number(ms)), round_trip: Span::from_millis(3) };
                self.desk().apply(Event::Probe(probe));
            }
            ["store", "failed"] => self.desk().apply(Event::Probe(Probe::Store { pending: 0, healthy: false })),
            ["credentials", "refused"] => self.fail(FailureKind::Credentials),
            ["venue", "error"] => self.fail(FailureKind::Server),
            ["venue", "balance", amount] => self.insists = amount.parse().ok(),
            ["venue", "overfill"] => self.overfill(),
            ["deny", market] => self.deny(market.parse().unwrap()),
            ["halt"] => self.desk().command(Command::Halt),
            ["resume"] => self.desk().command(Command::Resume),
            ["flatten"] => self.desk().command(Command::Flatten),
            ["stop"] => self.desk().command(Command::Stop),
            ["limit", name, value, word @ ..] => {
                let name: LimitName = name.parse().unwrap();
                let value = LimitRow::of(name).parse(value).unwrap();
                self.desk().command(Command::SetLimit { name, value, confirmed: word == ["loosen"] });
            }
            ["keep", name] => self.desk().command(Command::KeepLimit { name: name.parse().unwrap() }),
            ["moment"] => self.wait(600),
            ["wait", seconds] => self.wait(1_000 * number(seconds)),
            ["until", what, count] => self.until(what, number(count) as usize),
            ["expect", what @ ..] => self.expect(what, line),
            _ => panic!("nobody understands '{line}'"),
        }
    }

    /// A setting by its key, as the file of settings has it.
    fn set(&mut self, key: &str, value: &str) {
        let mut json = serde_json::to_value(&self.settings).unwrap();
        let (section, name) = key.split_once('.').unwrap();
        let section = json.get_mut(section).unwrap_or_else(|| panic!("no section {key}"));
        let old = section.get(name).cloned().unwrap_or_default();
        let plain = serde_json::Value::String(value.to_owned());
        let number =
            value.parse::<f64>().ok().and_then(|n| if n.fract() == 0.0 { serde_json::to_value(n as i64).ok() } else { Some(n.into()) });
        let candidates = [Some(plain), number];
        let fits = candidates.into_iter().flatten().find_map(|candidate| {
            section[name] = candidate;
            let mut whole = serde_json::to_value(&self.settings).unwrap();
            whole[key.split_once('.').unwrap().0] = section.clone();
            serde_json::from_value::<Settings>(whole).ok()
        });
        self.settings = fits.unwrap_or_else(|| panic!("{key} can not be {value} (it was {old})"));
    }

    fn start(&mut self) {
        assert_eq!(self.settings.limits.contradictions(), [""; 0]);
        let mut desk = Desk::closed(3, self.settings.clone());
        desk.open(None);
        desk.clock();
        desk.connect();
        desk.apply(Event::Learned(Learned::Model(Box::new(model(ModelRole::Champion)))));
        let now = desk.now();
        for symbol in self.settings.watched() {
            let candles = if self.settings.symbols.contains(&symbol) {
                desk.flow.candles(symbol, bar(), now - Span::from_secs(5 * 200), now)
            } else {
                Vec::new()
            };
            let base = candles.last().map_or(Price::from_raw(100_000_000), |candle| candle.close);
            self.markets.insert(symbol, Market { base, quote: None });
            desk.apply(Event::Learned(Learned::WarmUp(WarmUp { symbol, interval: bar(), candles })));
        }
        desk.apply(Event::Learned(Learned::Finished));
        self.desk = Some(desk);
        for symbol in self.settings.watched() {
            self.quote(symbol, 0, 2);
            self.trade(symbol, 0);
        }
        self.wait(200);
    }

    fn at(&self, market: Symbol, bps: i64) -> Price {
        self.markets[&market].base.shifted(Bps::from_bps(bps))
    }

    /// Prices on the grid of the market.
    fn touch(&self, market: Symbol, mid: i64, spread: i64) -> (Price, Price) {
        let half = Bps::from_raw(spread * 5_000);
        let mid = self.at(market, mid);
        // The traded markets have ticks of a cent; a coin at its peg has finer ones.
        let grain = if mid.raw() > 1_000_000_000 { 1_000_000_i64 } else { 10_000 };
        let snap = |price: Price| Price::from_raw(price.raw() / grain * grain);
        let bid = snap(mid.shifted(-half));
        (bid, snap(mid.shifted(half)).max(bid + Price::from_raw(grain)))
    }

    fn send(&mut self, symbol: Symbol, data: MarketData) {
        let at = self.desk().now();
        self.desk().session.market(MarketUpdate { symbol, exchange_time: Some(at), local_time: at, data });
    }

    fn quote(&mut self, market: Symbol, mid: i64, spread: i64) {
        let touch = self.touch(market, mid, spread);
        self.markets.get_mut(&market).unwrap().quote = Some(touch);
        self.repeat(market);
    }

    fn repeat(&mut self, market: Symbol) {
        let Some((bid, ask)) = self.markets[&market].quote else { return };
        self.updates += 1;
        let level = |price| Level { price, qty: "100000".parse().unwrap() };
        self.send(market, MarketData::Quote(Quote { update_id: self.updates, bid: level(bid), ask: level(ask) }));
    }

    fn book(&mut self, market: Symbol, mid: i64, spread: i64) {
        let (bid, ask) = self.touch(market, mid, spread);
        self.updates += 1;
        let level = |price| vec![Level { price, qty: "100000".parse().unwrap() }];
        let book = huracan::domain::BookSnapshot { last_update_id: self.updates, bids: level(bid), asks: level(ask) };
        self.send(market, MarketData::Snapshot(book));
    }

    fn trade(&mut self, market: Symbol, price: i64) {
        self.updates += 1;
        let price = self.touch(market, price, 0).0;
        let trade = PublicTrade { id: TradeId(self.updates), price, qty: "100000".parse().unwrap(), buyer_is_maker: true };
        self.send(market, MarketData::Trade(trade));
    }

    fn fail(&mut self, kind: FailureKind) {
        self.desk().apply(Event::Venue(VenueEvent::Failure { kind, message: "so the story goes".to_owned() }));
    }

    fn balance(&mut self, free: Qty) {
        let at = self.desk().now();
        let balances = vec![Balance { asset: "USDT".parse().unwrap(), free, locked: Qty::ZERO }];
        self.desk().apply(Event::Venue(VenueEvent::Balances { at, balances }));
    }

    /// The last fill once more, as another trade.
    fn overfill(&mut self) {
        let last = self.desk().records().into_iter().rev().find_map(|record| match record {
            Record::Fill(fill) => Some(fill.fill),
            _ => None,
        });
        let fill = last.expect("something was filled");
        self.desk().apply(Event::Venue(VenueEvent::Fill(VenueFill { trade_id: TradeId(u64::MAX), ..fill })));
    }

    fn wait(&mut self, ms: i64) {
        let end = self.desk().now() + Span::from_millis(ms);
        while self.desk().now() < end {
            let insists = self.insists.filter(|_| self.desk.as_ref().unwrap().session.engine.counters().halts == 0);
            // An answer of the venue takes 100 ms: in shorter steps none goes by unseen.
            let step = Span::from_millis(if insists.is_some() { 50 } else { 500 });
            let next = (self.desk().now() + step).min(end);
            if let Some(free) = insists {
                while self.desk().session.venue.pop_due(next).is_some() {}
                self.balance(free);
            }
            self.desk().session.advance(next);
            self.desk().session.apply(next, Event::Tick);
            let markets: Vec<Symbol> = self.markets.keys().copied().collect();
            markets.into_iter().for_each(|market| self.repeat(market));
        }
    }

    fn count(&mut self, what: &str) -> usize {
        let view = self.desk().session.engine.view();
        match what {
            "entries" => view.orders.iter().filter(|order| order.purpose == "entry").count(),
            "positions" => view.positions.len(),
            "closed" => view.counters.trades_closed as usize,
            _ => panic!("nobody counts {what}"),
        }
    }

    fn until(&mut self, what: &str, count: usize) {
        for _ in 0..4 * PATIENCE {
            if self.count(what) == count {
                // What was sent arrives.
                return self.wait(200);
            }
            self.wait(250);
        }
        panic!("there never were {count} {what}, but {}\n{}", self.count(what), self.status());
    }

    fn status(&mut self) -> String {
        status_text(&self.desk().session.engine.view())
    }

    fn expect(&mut self, what: &[&str], line: &str) {
        let status = self.status();
        let view = self.desk().session.engine.view();
        match what {
            ["quiet"] => {
                assert!(!self.is_tripped(&status), "{line}\n{status}");
                self.was_quiet = true;
            }
            ["tripped"] => {
                assert!(self.was_quiet, "it was never seen quiet");
                assert!(self.is_tripped(&status), "{line}\n{status}");
                self.has_tripped = true;
            }
            ["state", word] => {
                let state = match view.trading {
                    TradingState::Halted { .. } => "halted".to_owned(),
                    TradingState::Reducing { .. } => "reducing".to_owned(),
                    other => format!("{other:?}").to_lowercase(),
                };
                assert_eq!(state, **word, "{status}");
            }
            [count @ ("entries" | "positions" | "closed"), wanted] => {
                assert_eq!(self.count(count).to_string(), **wanted, "{line}\n{status}")
            }
            ["exit", reason @ ..] => {
                let exit: Option<ExitReason> = self.desk().costs().last().map(|cost| cost.exit);
                assert_eq!(exit.map(|exit| exit.to_string()), Some(reason.join(" ")), "{status}");
            }
            ["holds", market, from, to] => {
                let held = self.holds(market.parse().unwrap());
                assert!((from.parse().unwrap()..=to.parse().unwrap()).contains(&held), "{line}: {held}\n{status}");
            }
            ["guarded", market] => {
                let market = market.parse().unwrap();
                assert!(!is_exposed(self.desk(), market), "{line}\n{status}");
            }
            ["refusal", text @ ..] => self.expect_refusal(&text.join(" ")),
            ["status", text @ ..] => assert!(squeezed(&status).contains(&text.join(" ")), "{line}\n{status}"),
            _ => panic!("nobody understands '{line}'"),
        }
    }

    /// At the mark.
    fn holds(&mut self, market: Symbol) -> Money {
        let view = self.desk().session.engine.view();
        let position = view.positions.iter().find(|position| position.symbol == market);
        position.and_then(|position| position.mark?.notional(position.qty)).unwrap_or(Money::ZERO)
    }

    /// A decision since the last such line was refused with these words.
    fn expect_refusal(&mut self, text: &str) {
        let decisions = self.desk().decisions();
        let said: Vec<String> = decisions[self.seen..]
            .iter()
            .filter_map(|decision| if let Verdict::Refused(refusal) = decision.verdict { Some(refusal.to_string()) } else { None })
            .collect();
        self.seen = decisions.len();
        assert!(said.iter().any(|refusal| refusal.contains(text)), "'{text}' is not among {said:?}");
    }

    /// As `huracan status` shows it: the limit's row, or the state that the stop leads to.
    fn is_tripped(&mut self, status: &str) -> bool {
        let view = self.desk().session.engine.view();
        match self.cause {
            Cause::Limit(name) => {
                let shown = status.lines().find(|row| row.starts_with(&format!("{name} "))).expect("every limit has a row");
                let limit = view.limits.iter().find(|limit| limit.name == name).unwrap();
                let tripped = limit.state == LimitState::Tripped;
                assert_eq!(shown.contains("TRIPPED"), tripped, "{shown}");
                assert!(!tripped || limit.times > 0 && limit.last_tripped.is_some(), "{limit:?}");
                tripped
            }
            Cause::Stop(Stop::HealthCritical) => status.contains("health CRITICAL"),
            Cause::Stop(Stop::ProgramEnds) => status.contains(": stopping;"),
            Cause::Stop(_) => status.contains("HALTED: ") && status.contains("halted since "),
        }
    }
}

/// Runs of blanks as one.
fn squeezed(text: &str) -> String {
    text.split(' ').filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

fn tell(cause: Cause) {
    let path = folder().join(format!("{}.txt", cause.key()));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut story = Story::new(cause);
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| story.tell(line)));
        assert!(told.is_ok(), "{}: at '{line}'", cause.key());
    }
    assert!(story.was_quiet && story.has_tripped, "{}: a story sees its cause quiet, then tripped", cause.key());
    let opened = !story.desk().openings().is_empty();
    assert!(opened || story.cause == Cause::Limit(LimitName::MaxPortfolioVolatilityBps), "{}: nothing ever opened", cause.key());
}

#[test]
fn every_limit_and_stop_has_a_scenario() {
    let missing: Vec<&str> =
        ACTIONS.iter().map(|row| row.cause.key()).filter(|key| !folder().join(format!("{key}.txt")).exists()).collect();
    assert!(missing.is_empty(), "no scenario: {missing:?}");
    let known: Vec<String> = ACTIONS.iter().map(|row| format!("{}.txt", row.cause.key())).collect();
    let files = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let strange: Vec<String> = files.filter(|file| !known.contains(file)).collect();
    assert!(strange.is_empty(), "nobody plays {strange:?}");
}

#[test]
fn each_limit_is_quiet_trips_acts_and_is_shown() {
    let failed: Vec<&str> =
        ACTIONS.iter().filter(|row| std::panic::catch_unwind(|| tell(row.cause)).is_err()).map(|row| row.cause.key()).collect();
    assert!(failed.is_empty(), "these went otherwise: {failed:?}");
}
