//! Records of every kind for this room's tests, consistent with each other.

use super::file::Store;
use super::identity::{FileKind, Identity, Scope};
use super::journal::{Appender, JournalEntry};
use super::reading::content_id;
use super::records;
use crate::domain::{
    Candle, ClientOrderId, Episode, ExitReason, Gap, Interval, Level, MarketData, MarketUpdate, Money, NewOrder, OrderId, OrderKind,
    Origin, Price, PublicTrade, Qty, Quote, Regime, Role, RunId, Side, Span, Symbol, Timestamp, TradeId,
};
use crate::protocol::{
    Account, CandleSource, CarryRecord, CostRecord, DecisionRecord, Effect, Event, EvidenceRecord, FillFacts, FillRecord, FillSampleRecord,
    GapReason, GapRecord, GapState, GateRecord, HealthRecord, HealthVerdict, HistoryPage, HistorySpan, Markouts, Mode, ModelKind,
    ModelRecord, NeighbourRecord, OrderCostRecord, OrderRecord, OrderState, ParentPurpose, PlannedQuote, PostingRecord, QuoteOption,
    Record, Request, RunRecord, Stamp, TakerCounterfactual, Testimony, VenueFill, Verdict, Witness,
};

/// Entries that `fill` journals.
pub(super) const JOURNALED: usize = 1_500;

pub(super) fn demo() -> Identity {
    Identity { kind: FileKind::Demo, scope: Scope { mode: Mode::Demo, venue: "simulated".into(), account: "demo".into() } }
}

pub(super) fn symbol() -> Symbol {
    "BTCUSDT".parse().unwrap()
}

fn at(step: u64) -> Timestamp {
    Timestamp::from_millis(1_723_161_254_087 + 137 * step as i64)
}

/// A small repeatable scatter.
fn wobble(step: u64, range: u64) -> u64 {
    (step.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407) >> 33) % range
}

fn price(step: u64) -> Price {
    Price::from_raw((6_183_763 + wobble(step, 900) as i64) * 1_000_000)
}

fn qty(step: u64) -> Qty {
    Qty::from_raw((1 + i128::from(wobble(step, 5_000))) * 1_000)
}

pub(super) fn candles(count: u64) -> Vec<Candle> {
    let start = Timestamp::from_millis(1_723_161_240_000);
    let candle = |i| {
        let (open, close) = (price(i), price(i + 1));
        Candle {
            open_time: start + Interval::MINUTE.span().times(i as i64),
            open,
            high: open.max(close).shifted(crate::domain::Bps::ZERO),
            low: Price::from_raw(open.min(close).raw() - 1_000_000 * wobble(i + 7, 300) as i64),
            close,
            volume: qty(i) + qty(i + 9),
            taker_buy_volume: (i % 5 != 0).then(|| qty(i)),
            trades: wobble(i, 2_000) as u32,
        }
    };
    (0..count).map(candle).collect()
}

/// Market events as a busy stream has them, an order intent among every fifty.
pub(super) fn entries(count: usize) -> Vec<JournalEntry> {
    let entry = |seq: u64| {
        let level = |n| Level { price: price(n), qty: qty(n) };
        let data = match seq % 3 {
            0 => MarketData::Quote(Quote { update_id: 49_000_000_000 + seq, bid: level(seq), ask: level(seq + 1) }),
            _ => MarketData::Trade(PublicTrade {
                id: TradeId(3_700_000_000 + seq),
                price: price(seq),
                qty: qty(seq),
                buyer_is_maker: seq.is_multiple_of(2),
            }),
        };
        let update =
            MarketUpdate { symbol: symbol(), exchange_time: Some(at(seq)), local_time: at(seq) + Span::from_nanos(2_345_678), data };
        let effects = if seq % 50 == 7 { vec![Effect::Send(Request::Place { order: new_order(seq), opening: true })] } else { Vec::new() };
        JournalEntry { stamp: Stamp { seq, at: at(seq) + Span::from_nanos(2_399_001) }, event: Event::Market(update), effects }
    };
    (0..count as u64).map(entry).collect()
}

fn new_order(n: u64) -> NewOrder {
    let id = ClientOrderId { run: RunId(1), sequence: n };
    NewOrder { id, symbol: symbol(), side: Side::Buy, qty: qty(n), kind: OrderKind::LimitMaker { price: price(n) } }
}

pub(super) fn open_order(n: u64) -> OrderRecord {
    OrderRecord {
        order: new_order(n),
        order_id: Some(OrderId(n + 900)),
        state: OrderState::Open,
        filled: Qty::ZERO,
        created: at(n),
        updated: at(n + 1),
        arrival_mid: price(n),
    }
}

pub(super) fn orders() -> Vec<OrderRecord> {
    (0..4).map(|n| OrderRecord { state: OrderState::Filled, filled: new_order(n).qty, ..open_order(n) }).chain([open_order(4)]).collect()
}

/// Two fills for each finished order.
pub(super) fn fills() -> Vec<FillRecord> {
    let fill = |n: u64| {
        let order = new_order(n / 2);
        let half = Qty::from_raw(order.qty.raw() / 2);
        let qty = if n.is_multiple_of(2) { half } else { order.qty - half };
        let fill = VenueFill {
            id: order.id,
            order_id: OrderId(n / 2 + 900),
            trade_id: TradeId(5_000 + n),
            symbol: symbol(),
            side: Side::Buy,
            price: price(n),
            qty,
            role: Role::Maker,
            fee: Qty::from_raw(12),
            fee_asset: "BNB".parse().unwrap(),
            at: at(n),
        };
        FillRecord { fill, run: RunId(1), arrival_mid: price(n) }
    };
    (0..8).map(fill).collect()
}

pub(super) fn postings() -> Vec<PostingRecord> {
    let line = |entry: u64, account, amount: Qty| PostingRecord {
        entry,
        at: at(entry),
        account,
        asset: "USDT".parse().unwrap(),
        amount,
        trade_id: Some(TradeId(5_000 + entry)),
    };
    (0..8).flat_map(|n| [line(n, Account::Venue, qty(n)), line(n, Account::Trading(symbol()), -qty(n))]).collect()
}

pub(super) fn episodes() -> Vec<Episode> {
    let episode = |number: u64| Episode {
        number,
        symbol: symbol(),
        origin: Origin::Real,
        entry_time: at(number),
        known_at: at(number + 5),
        vector: vec![0.25, -1.5, number as f32],
        feature_version: 1,
        regime: Regime::Trend,
        gross_bps: 12.5,
        cost_bps: 20.0,
        net_bps: -7.5,
        held: Span::from_secs(40),
        worst_bps: -9.0,
        best_bps: 14.0,
        exit: ExitReason::Target,
    };
    (0..4).map(episode).collect()
}

pub(super) fn costs() -> Vec<CostRecord> {
    let cost = |n: u64| CostRecord {
        symbol: symbol(),
        entry_time: at(n),
        exit_time: at(n + 4),
        qty: qty(n),
        entry_price: price(n),
        exit_price: price(n + 1),
        gross: Money::from_raw(500),
        fees: Money::from_raw(100),
        spread: Money::from_raw(20),
        slippage: Money::from_raw(30),
        impact: Money::ZERO,
        net: Money::from_raw(350),
        exit: ExitReason::Stop,
        held: Span::from_secs(9),
        exploration: false,
    };
    (0..3).map(cost).collect()
}

pub(super) fn health() -> Vec<HealthRecord> {
    let health = |n: u64| HealthRecord { at: at(n), verdict: HealthVerdict::Degraded, reasons: vec![format!("feed is late ({n})")] };
    (0..2).map(health).collect()
}

pub(super) fn carry() -> CarryRecord {
    CarryRecord { run: RunId(1), at: at(3), state: "{\"position\":\"0.5\"}".into() }
}

fn decision(number: u64) -> DecisionRecord {
    DecisionRecord {
        number,
        run: RunId(1),
        at: at(number),
        symbol: symbol(),
        verdict: Verdict::StandAside,
        reasons: vec!["forecast -3.1 bps is below 4.0".into()],
        evidence: EvidenceRecord {
            mid: price(number),
            spread: crate::domain::Bps::from_f64(0.2),
            regime: Regime::Range,
            forecast_net_bps: Some(-3.1),
            threshold_bps: 4.0,
            policy_enter: None,
            neighbours: vec![NeighbourRecord { episode: 1, similarity: 0.9, net_bps: -2.0 }],
            recall_net_bps: Some(-2.0),
            vector: vec![0.5; 8],
        },
        exploration: false,
    }
}

pub(super) fn model(seed: u8) -> ModelRecord {
    let artifact: Vec<u8> = (0..4_000_u32).map(|i| (i.wrapping_mul(31) >> 3) as u8 ^ seed).collect();
    ModelRecord {
        id: content_id(&artifact),
        kind: ModelKind::Trees,
        created: at(u64::from(seed)),
        code_version: "0.1.0".into(),
        symbols: vec![symbol()],
        data_id: "ab".repeat(32),
        parent: None,
        feature_version: 1,
        gates: vec![GateRecord { name: "auc".into(), value: 0.56, limit: 0.53, passed: true }],
        gates_passed: true,
        report: "{}".into(),
        artifact,
    }
}

pub(super) fn run(n: u64) -> RunRecord {
    RunRecord {
        run: RunId(n),
        mode: Mode::Demo,
        venue: "simulated".into(),
        opened: at(n),
        closed: None,
        code_version: "0.1.0".into(),
        settings_hash: "cd".repeat(32),
        models: Vec::new(),
        fingerprint: None,
        events: n,
        effects: 0,
        replayable: true,
        summary: None,
    }
}

/// Two that were filled, the second in part, and one that was missed.
pub(super) fn order_costs() -> Vec<OrderCostRecord> {
    let cost = |n: u64| {
        let wanted = Qty::from_raw(2 * qty(n).raw());
        let filled = [wanted, qty(n), Qty::ZERO][n as usize % 3];
        let taker = TakerCounterfactual {
            vwap: price(n),
            worst: price(n + 1),
            fee: Money::from_raw(70),
            cost: Money::from_raw(300),
            complete: true,
        };
        let (slippage, fees) = (Money::from_raw(-20), Money::from_raw(15));
        let was_filled = filled.is_positive();
        OrderCostRecord {
            run: RunId(1),
            decision: n,
            symbol: symbol(),
            side: Side::Buy,
            purpose: ParentPurpose::Entry,
            decided: at(n),
            finished: at(n + 9),
            arrival_mid: price(n),
            arrival_bid: price(n),
            arrival_ask: price(n + 1),
            wanted,
            filled,
            average_price: price(n),
            children: 2,
            first_sent: Some(at(n)),
            first_fill: was_filled.then(|| at(n + 2)),
            last_fill: was_filled.then(|| at(n + 3)),
            maker_qty: filled,
            taker_qty: Qty::ZERO,
            fees,
            slippage,
            slippage_bps: was_filled.then_some(-0.25),
            markouts: Markouts { after_1s: Some(0.5), after_10s: None, after_60s: Some(-1.25) },
            taker: Some(taker),
            saved: was_filled.then(|| taker.cost.share(filled, wanted) - slippage - fees),
            saved_bps: was_filled.then_some(2.5),
            chosen: Some(PlannedQuote { option: QuoteOption::Join, price: price(n), fill_probability: 0.5, expected_cost_bps: 8.5 }),
            missed: wanted - filled,
            missed_move_bps: (filled != wanted).then_some(3.0),
        }
    };
    (0..3).map(cost).collect()
}

pub(super) fn fill_samples() -> Vec<FillSampleRecord> {
    let facts = FillFacts { queue_ahead: 2.0, qty: 1.0, volume_per_sec: 0.5, horizon_secs: 6.0, ..FillFacts::default() };
    let sample = |n: u64| FillSampleRecord {
        run: RunId(1),
        symbol: symbol(),
        at: at(n),
        side: Side::Buy,
        option: QuoteOption::Deeper,
        price: price(n),
        qty: qty(n),
        own: n == 3,
        facts,
        filled_after: n.is_multiple_of(2).then(|| Span::from_millis(900)),
        markouts: Markouts::default(),
        adverse_bps: n.is_multiple_of(2).then_some(0.75),
        missed_move_bps: (!n.is_multiple_of(2)).then_some(-2.0),
    };
    (0..4).map(sample).collect()
}

/// One record of each kind, different by `seed`.
pub(super) fn records(seed: u64) -> Vec<Record> {
    let n = seed as usize;
    vec![
        Record::Order(orders().swap_remove(n % 5)),
        Record::Fill(fills().swap_remove(n % 8)),
        Record::Postings(postings()[n % 8 * 2..n % 8 * 2 + 2].to_vec()),
        Record::Decision(decision(seed % 5)),
        Record::Episode(episodes().swap_remove(n % 4)),
        Record::Cost(costs().swap_remove(n % 3)),
        Record::OrderCost(Box::new(order_costs().swap_remove(n % 3))),
        Record::FillSample(Box::new(fill_samples().swap_remove(n % 4))),
        Record::Health(health().swap_remove(n % 2)),
        Record::Carry(carry()),
    ]
}

/// Something in every table.
fn gap() -> GapRecord {
    let witness = Witness { source: CandleSource::Rest, place: "host".to_owned(), at: at(60), answer: Testimony::Absent };
    GapRecord {
        symbol: symbol(),
        interval: Interval::MINUTE,
        gap: Gap { start: at(20), end: at(30), missing: 10 },
        found: at(60),
        reason: GapReason::NotAtSource,
        state: GapState::Found,
        witnesses: vec![witness],
    }
}

pub(super) fn fill(store: &Store) {
    store
        .write(|txn| {
            for record in (0..40).flat_map(records) {
                records::apply(txn, store.scope(), RunId(1), &record)?;
            }
            Ok(())
        })
        .unwrap();
    if store.journal(RunId(1)).unwrap().is_none() {
        store
            .write(|txn| {
                let mut appender = Appender::start(txn, RunId(1))?;
                appender.extend(txn, &entries(JOURNALED))?;
                appender.flush(txn)
            })
            .unwrap();
    }
    store.put_candles(symbol(), Interval::MINUTE, &candles(2_000)).unwrap();
    let recorded = super::recording::CaptureBlock::pack(symbol(), &super::recording::tests::stream(1_723_161_254_000, 300)).unwrap();
    store.write(|txn| super::captures::put(txn, &store.scope().venue, &recorded)).unwrap();
    store.put_gaps(symbol(), Interval::MINUTE, &[gap()]).unwrap();
    let span = HistorySpan { start: at(0), end: at(50), source: CandleSource::Archive, place: "host".to_owned(), at: at(60) };
    let page = HistoryPage { symbol: symbol(), interval: Interval::MINUTE, candles: Vec::new(), span, replace: false };
    store.keep_history(&page).unwrap();
    store.put_model(&model(1)).unwrap();
    store.put_run(&run(1)).unwrap();
    store.put_meta("note", b"hello").unwrap();
    store.put_demo_venue(&[7; 100]).unwrap();
}
