//! Views for tests: one of an ordinary trading day, and wild ones from a seed.

use crate::domain::*;
use crate::protocol::*;

/// One position, an entry and a target order, two symbols, decisions of every kind; fixed for golden screens.
pub fn trading() -> View {
    let now = at("23:54:14");
    View {
        at: now,
        started: Timestamp::from_nanos(now.nanos() - 7_500_000_000_000),
        mode: Mode::Demo,
        run: RunId(0x1f),
        venue: "simulated exchange at 127.0.0.1".into(),
        trading: TradingState::Active,
        ladder: None,
        account: None,
        time_scale: "5s bars, horizon 45 s, bracket 1.5 sigma, break-even win rate 54 %".into(),
        bar: Interval::from_secs(5),
        models: vec![
            ModelView { id: "3f2a9c0155".into(), kind: ModelKind::Trees, role: ModelRole::Champion, gates_passed: true },
            ModelView { id: "77aa0b1c99".into(), kind: ModelKind::Policy, role: ModelRole::Shadow, gates_passed: false },
        ],
        exploration_percent: Some(1.0),
        learning: LearningView { stage: "trees".into(), done: 5, total: 5, finished: true, failure: None },
        equity: Some(money("10012.3456")),
        start_equity: Some(money("10000")),
        day_pnl: Some(money("12.3456")),
        net_pnl: Some(money("12.3456")),
        fees: money("1.2"),
        drawdown: Some(Bps::from_bps(12)),
        quote_asset: "USDT".into(),
        equity_line: equity_line(now),
        positions: vec![position()],
        orders: vec![
            order(1, "ETHUSDT", Side::Buy, "entry", "2501.11", "0.4", OrderState::Open),
            order(2, "BTCUSDT", Side::Sell, "target", "61900.50", "0.00162", OrderState::PartiallyFilled),
        ],
        decisions: decisions(),
        symbols: vec![
            market("BTCUSDT", 61_837.63, 0.01, 40),
            SymbolView { regime: Regime::Trend, change_bps: Some(Bps::from_bps(-31)), ..market("ETHUSDT", 2_501.12, 0.01, 40) },
        ],
        health: HealthView {
            verdict: HealthVerdict::Degraded,
            reasons: vec!["feed of ETHUSDT is 4.1 s old, limit 3 s".into()],
            clock_offset: Some(Span::from_nanos(-1_272_000)),
            round_trip: Some(Span::from_millis(3)),
            reconciled: true,
            market_stream_up: true,
            user_stream_up: true,
            ..HealthView::default()
        },
        alerts: vec![Alert {
            at: at("23:54:01"),
            severity: Severity::Warning,
            text: "ETHUSDT: two updates missing, book fetched again".into(),
        }],
        counters: counters(),
        mismatches: Vec::new(),
        exposed: ExposedView::default(),
        has_traded: true,
        dust: None,
        remembered: 1_388,
        limits: Vec::new(),
        halt: None,
        limit_answer: None,
    }
}

fn counters() -> Counters {
    Counters {
        decisions: 1_204,
        refusals: 31,
        orders: 12,
        fills: 9,
        maker_fills: 7,
        taker_fills: 2,
        trades_closed: 4,
        trades_won: 3,
        episodes: 4,
        ..Counters::default()
    }
}

fn position() -> PositionView {
    PositionView {
        symbol: symbol("BTCUSDT"),
        qty: qty("0.00162"),
        entry_price: price("61785.10"),
        mark: Some(price("61837.63")),
        unrealised: Some(money("1.23")),
        unrealised_bps: Some(Bps::from_f64(8.5)),
        stop: Some(price("61700.00")),
        target: Some(price("61900.50")),
        opened: at("23:53:52"),
        held: Span::from_secs(22),
        exploration: true,
    }
}

fn decisions() -> Vec<DecisionView> {
    let decision = |time: &str, name: &str, verdict, forecast, reasons: &[&str]| DecisionView {
        at: at(time),
        symbol: symbol(name),
        verdict,
        reasons: reasons.iter().map(|r| (*r).to_owned()).collect(),
        forecast_net_bps: forecast,
        exploration: false,
    };
    let spread = Refusal::SpreadTooWide { spread: Bps::from_f64(6.5), limit: Bps::from_bps(5) };
    vec![
        decision(
            "23:54:10",
            "BTCUSDT",
            Verdict::Hold,
            Some(4.2),
            &["target and stop are in place", "forecast still above the exit threshold of 0 bps net of costs"],
        ),
        decision(
            "23:54:10",
            "ETHUSDT",
            Verdict::Enter,
            Some(9.8),
            &["forecast +9.8 bps net against a threshold of 6.0", "14 of 20 alike trades won"],
        ),
        decision("23:54:05", "ETHUSDT", Verdict::Refused(spread), Some(7.1), &[]),
        decision("23:53:52", "BTCUSDT", Verdict::StandAside, Some(-2.0), &["forecast is below the threshold"]),
        decision("23:53:40", "BTCUSDT", Verdict::Exit(ExitReason::Target), None, &["target filled as maker"]),
    ]
}

pub fn log_lines(count: usize) -> Vec<LogLine> {
    let kinds = [
        (Severity::Info, "huracan::venue::stream", "subscribed to BTCUSDT and ETHUSDT"),
        (Severity::Warning, "huracan::market::book", "ETHUSDT: update 120 missing, book fetched again"),
        (Severity::Critical, "huracan::store", "the data file cannot be written: no space left on device; trading is halted until it can"),
    ];
    (0..count)
        .map(|i| {
            let (severity, target, text) = kinds[i % 3];
            LogLine { at: Timestamp::from_millis(1_723_161_200_000 + i as i64 * 250), severity, target: target.into(), text: text.into() }
        })
        .collect()
}

fn order(sequence: u64, name: &str, side: Side, purpose: &str, at: &str, amount: &str, state: OrderState) -> OrderView {
    OrderView {
        id: ClientOrderId { run: RunId(0x1f), sequence },
        symbol: symbol(name),
        side,
        qty: qty(amount),
        filled: Qty::ZERO,
        price: Some(price(at)),
        state,
        age: Span::from_millis(4_200),
        purpose: purpose.into(),
    }
}

fn market(name: &str, last: f64, tick: f64, count: i64) -> SymbolView {
    let grid = |value: f64| Price::from_raw(((value / tick).round() * tick * 1e8).round() as i64 / 1_000_000 * 1_000_000);
    let wave = |i: i64| last * (1.0 + 0.0006 * (i as f64 * 0.35).sin() + 0.00003 * (i - count) as f64);
    let candle = |i: i64| {
        let (open, close) = (wave(i), wave(i + 1));
        Candle {
            open_time: Timestamp::from_millis(1_723_161_250_000 - (count - i) * 5_000),
            open: grid(open),
            high: grid(open.max(close) * 1.00012),
            low: grid(open.min(close) * 0.99988),
            close: grid(close),
            volume: Qty::from_raw(i128::from(100_000_000 + (i * 7_919 % 13) * 90_000_000)),
            taker_buy_volume: None,
            trades: 3,
        }
    };
    let level = |offset: i64, amount: i128| Level { price: grid(last + offset as f64 * tick), qty: Qty::from_raw(amount * 10_000_000) };
    SymbolView {
        symbol: symbol(name),
        last: Some(grid(last)),
        bid: Some(grid(last)),
        ask: Some(grid(last + tick)),
        spread: Some(Bps::from_f64(0.02)),
        change_bps: Some(Bps::from_bps(42)),
        regime: Regime::Range,
        feed_age: Some(Span::from_millis(320)),
        book_valid: true,
        gaps: 1,
        candles: (0..count).map(candle).collect(),
        book: BookView {
            bids: (0..12).map(|i| level(-i * i - i, i128::from(12 - (i * 5 % 7)))).collect(),
            asks: vec![level(1, 4), level(7, 9), level(9, 2), level(15, 12), level(21, 5), level(33, 8), level(40, 1), level(52, 10)],
        },
    }
}

fn equity_line(now: Timestamp) -> Vec<(Timestamp, f64)> {
    let value = |i: i64| 10_000.0 + i as f64 * 0.06 + 5.0 * (i as f64 / 14.0).sin();
    (0..180).map(|i| (Timestamp::from_nanos(now.nanos() - (180 - i) * 40_000_000_000), value(i))).collect()
}

/// A view of extremes: every number may be at the end of its range, every text long, wide or hostile.
pub fn wild(seed: u64) -> View {
    let mut dice = Dice(seed);
    let base = trading();
    let at = dice.time();
    View {
        at,
        started: dice.time(),
        mode: [Mode::Demo, Mode::Paper, Mode::Live, Mode::Backtest][dice.below(4)],
        venue: dice.text(),
        trading: [
            TradingState::Starting,
            TradingState::Active,
            TradingState::Halted { reason: dice.text() },
            TradingState::Stopping,
            TradingState::Reconnecting,
        ][dice.below(5)]
        .clone(),
        time_scale: dice.text(),
        bar: Interval::from_secs(dice.next() as i64 >> dice.below(63)),
        models: (0..dice.below(4)).map(|i| ModelView { id: dice.text(), ..base.models[i % 2].clone() }).collect(),
        exploration_percent: [None, Some(1.0), Some(f64::MAX), Some(-0.0)][dice.below(4)],
        learning: LearningView {
            stage: dice.text(),
            done: dice.next(),
            total: dice.next() >> dice.below(64),
            finished: dice.below(2) == 0,
            failure: dice.maybe(Dice::text),
        },
        equity: dice.maybe(Dice::money),
        start_equity: dice.maybe(Dice::money),
        day_pnl: dice.maybe(Dice::money),
        net_pnl: dice.maybe(Dice::money),
        fees: dice.money(),
        drawdown: dice.maybe(Dice::rate),
        quote_asset: dice.text(),
        equity_line: (0..dice.below(240)).map(|_| (dice.time(), dice.float())).collect(),
        positions: (0..dice.below(9)).map(|_| dice.position(&base.positions[0])).collect(),
        orders: (0..dice.below(9)).map(|i| dice.order(&base.orders[i % 2])).collect(),
        decisions: (0..dice.below(50)).map(|i| dice.decision(&base.decisions[i % 5])).collect(),
        symbols: (0..dice.below(4)).map(|i| dice.market(&base.symbols[i % 2])).collect(),
        health: HealthView {
            verdict: [HealthVerdict::Healthy, HealthVerdict::Degraded, HealthVerdict::Critical][dice.below(3)],
            reasons: (0..dice.below(5)).map(|_| dice.text()).collect(),
            clock_offset: dice.maybe(Dice::span),
            round_trip: dice.maybe(Dice::span),
            store_pending: dice.next() as u32,
            unreadable: dice.next(),
            failures: (0..dice.below(5)).map(|_| (dice.text(), dice.next())).collect(),
            ..HealthView::default()
        },
        alerts: (0..dice.below(50)).map(|_| Alert { at: dice.time(), severity: Severity::Critical, text: dice.text() }).collect(),
        has_traded: dice.below(2) == 0,
        exposed: ExposedView { now: dice.money(), lasting: dice.span(), ..ExposedView::default() },
        remembered: dice.next(),
        mismatches: (0..dice.below(4))
            .map(|_| BalanceMismatch { asset: "BTC".parse().unwrap(), venue: dice.qty(), books: dice.qty() })
            .collect(),
        counters: Counters { decisions: dice.next(), fills: dice.next(), trades_won: dice.next(), events: u64::MAX, ..Counters::default() },
        ..base
    }
}

/// A small seeded generator (splitmix64) with a taste for extremes.
pub struct Dice(pub u64);

impl Dice {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
    fn maybe<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        if self.below(4) == 0 { None } else { Some(make(self)) }
    }
    fn whole(&mut self) -> i64 {
        let some = self.next() as i64 >> self.below(64);
        [0, 1, -1, i64::MAX, i64::MIN, some, some, some][self.below(8)]
    }
    fn wide(&mut self) -> i128 {
        let some = (i128::from(self.whole()) << 62) ^ i128::from(self.whole());
        [0, i128::MAX, i128::MIN, some, some, some][self.below(6)]
    }
    fn float(&mut self) -> f64 {
        let some = self.whole() as f64 / 1e8;
        [0.0, f64::MAX, f64::MIN, f64::MIN_POSITIVE, some, some, some, some][self.below(8)]
    }
    fn time(&mut self) -> Timestamp {
        Timestamp::from_nanos(self.whole())
    }
    fn span(&mut self) -> Span {
        Span::from_nanos(self.whole())
    }
    fn money(&mut self) -> Money {
        Money::from_raw(self.wide())
    }
    fn rate(&mut self) -> Bps {
        Bps::from_raw(self.whole())
    }
    fn qty(&mut self) -> Qty {
        Qty::from_raw(self.wide())
    }
    fn price(&mut self) -> Price {
        Price::from_raw(self.whole())
    }
    fn text(&mut self) -> String {
        let pieces = [
            "",
            "ordinary words here ",
            "币安人生",
            "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}",
            "e\u{301}\u{327}",
            "\u{1b}[2J\n\t\u{7}",
            "\u{200b}\u{202e}",
            "aVeryLongWordWithoutAnyBlankInIt",
        ];
        (0..self.below(12)).map(|_| pieces[self.below(pieces.len())]).collect()
    }
    fn name(&mut self) -> Symbol {
        symbol(["BTCUSDT", "币安人生USDT", "A", "１２３４５６", "ABCDEFGHIJKLMNOPQRSTUVWXYZ01234"][self.below(5)])
    }
    fn position(&mut self, base: &PositionView) -> PositionView {
        PositionView {
            symbol: self.name(),
            qty: self.qty(),
            entry_price: self.price(),
            mark: self.maybe(Self::price),
            unrealised: self.maybe(Self::money),
            unrealised_bps: self.maybe(Self::rate),
            stop: self.maybe(Self::price),
            target: self.maybe(Self::price),
            held: self.span(),
            ..base.clone()
        }
    }
    fn order(&mut self, base: &OrderView) -> OrderView {
        OrderView {
            symbol: self.name(),
            qty: self.qty(),
            filled: self.qty(),
            price: self.maybe(Self::price),
            age: self.span(),
            purpose: self.text(),
            ..base.clone()
        }
    }
    fn decision(&mut self, base: &DecisionView) -> DecisionView {
        DecisionView {
            at: self.time(),
            symbol: self.name(),
            reasons: (0..self.below(6)).map(|_| self.text()).collect(),
            forecast_net_bps: self.maybe(Self::float),
            exploration: self.below(2) == 0,
            ..base.clone()
        }
    }
    fn market(&mut self, base: &SymbolView) -> SymbolView {
        let level = |d: &mut Self| Level { price: d.price(), qty: d.qty() };
        SymbolView {
            symbol: self.name(),
            last: self.maybe(Self::price),
            bid: self.maybe(Self::price),
            ask: self.maybe(Self::price),
            spread: self.maybe(Self::rate),
            change_bps: self.maybe(Self::rate),
            feed_age: self.maybe(Self::span),
            book_valid: self.below(2) == 0,
            gaps: self.next(),
            candles: (0..self.below(120))
                .map(|_| Candle {
                    open_time: self.time(),
                    open: self.price(),
                    high: self.price(),
                    low: self.price(),
                    close: self.price(),
                    volume: self.qty(),
                    taker_buy_volume: None,
                    trades: 0,
                })
                .collect(),
            book: BookView {
                bids: (0..self.below(20)).map(|_| level(self)).collect(),
                asks: (0..self.below(20)).map(|_| level(self)).collect(),
            },
            ..base.clone()
        }
    }
}

/// A time on 2024-08-08, UTC.
fn at(clock: &str) -> Timestamp {
    let part = |i: usize| clock[i..i + 2].parse::<i64>().unwrap();
    Timestamp::from_millis((1_723_075_200 + part(0) * 3_600 + part(3) * 60 + part(6)) * 1_000)
}

fn symbol(text: &str) -> Symbol {
    text.parse().unwrap()
}

fn price(text: &str) -> Price {
    text.parse().unwrap()
}

fn qty(text: &str) -> Qty {
    text.parse().unwrap()
}

fn money(text: &str) -> Money {
    text.parse().unwrap()
}
