//! The exchange rules alone: orders and market updates a second, one symbol and ten.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use huracan::domain::{
    BookSnapshot, Bps, DepthDiff, FeeRates, Instrument, Level, MarketData, MarketUpdate, Money, OrderKind, Price, PublicTrade, Qty, Side,
    Symbol, TimeInForce, Timestamp, TradeId,
};
use huracan::matching::{AccountId, Exchange, ExchangeConfig, OrderRef, OrderRequest, Report};

const ACCOUNTS: [AccountId; 2] = [AccountId(1), AccountId(2)];
const AT: Timestamp = Timestamp::from_millis(1_704_067_200_000);
const ONE: i64 = 100_000_000;
/// Orders placed in one round.
const ROUND: u64 = 100;

fn instrument(nth: usize) -> Instrument {
    let name = |text: String| text.parse::<Symbol>().expect("a short name");
    Instrument {
        symbol: name(format!("C{nth}USDT")),
        base: name(format!("C{nth}")),
        quote: name("USDT".to_owned()),
        trading: true,
        tick: Price::from_raw(ONE / 100),
        step: Qty::from_raw(1_000),
        min_qty: Qty::from_raw(1_000),
        max_qty: Qty::ZERO,
        min_notional: Money::ZERO,
        max_notional: Money::ZERO,
        fees: FeeRates { maker: Bps::from_bps(10), taker: Bps::from_bps(10) },
    }
}

fn price(ticks: i64) -> Price {
    Price::from_raw(100 * ONE + ticks * ONE / 100)
}

fn qty(lots: i128) -> Qty {
    Qty::from_raw(lots * 1_000_000)
}

fn update(symbol: Symbol, data: MarketData) -> MarketUpdate {
    MarketUpdate { symbol, exchange_time: None, local_time: AT, data }
}

/// A venue with a hundred levels a side in every symbol, and two rich customers.
struct Venue {
    exchange: Exchange,
    symbols: Vec<Symbol>,
    reports: Vec<Report>,
    turn: u64,
}

impl Venue {
    fn new(symbols: usize) -> Self {
        let instruments: Vec<Instrument> = (0..symbols).map(instrument).collect();
        let names: Vec<Symbol> = instruments.iter().map(|i| i.symbol).collect();
        let mut assets: Vec<_> = instruments.iter().map(|i| (i.base, Qty::from_raw(1 << 90))).collect();
        assets.push((instruments[0].quote, Qty::from_raw(1 << 90)));
        let mut exchange = Exchange::new(ExchangeConfig::new(instruments));
        ACCOUNTS.iter().for_each(|account| exchange.open_account(*account, &assets));
        let side = |sign: i64| (1..=100).map(|n| Level { price: price(sign * n), qty: qty(1_000_000) }).collect::<Vec<_>>();
        let mut reports = Vec::new();
        for symbol in &names {
            let book = BookSnapshot { last_update_id: 1, bids: side(-1), asks: side(1) };
            exchange.on_market(&update(*symbol, MarketData::Snapshot(book)), &mut reports);
        }
        Self { exchange, symbols: names, reports, turn: 1 }
    }

    fn next(&mut self) -> (u64, Symbol) {
        self.turn += 1;
        (self.turn, self.symbols[self.turn as usize % self.symbols.len()])
    }

    fn rest_and_cancel(&mut self) {
        for _ in 0..ROUND {
            let (turn, symbol) = self.next();
            let kind = OrderKind::LimitMaker { price: price(-1 - (turn % 90) as i64) };
            let request = OrderRequest { client_id: format!("b{turn}"), symbol, side: Side::Buy, qty: qty(1), kind };
            let id = self.exchange.submit(AT, ACCOUNTS[0], &request, &mut self.reports).expect("accepted");
            self.exchange.cancel(AT, ACCOUNTS[0], symbol, OrderRef::Id(id), &mut self.reports).expect("open");
        }
        black_box(&self.reports);
        self.reports.clear();
    }

    fn take(&mut self) {
        for _ in 0..ROUND {
            let (turn, symbol) = self.next();
            let side = if turn.is_multiple_of(2) { Side::Buy } else { Side::Sell };
            let request = OrderRequest { client_id: format!("t{turn}"), symbol, side, qty: qty(1), kind: OrderKind::Market };
            self.exchange.submit(AT, ACCOUNTS[(turn % 2) as usize], &request, &mut self.reports).expect("filled");
        }
        black_box(&self.reports);
        self.reports.clear();
    }

    /// Two customers trade with each other inside the spread.
    fn meet(&mut self) {
        for _ in 0..ROUND / 2 {
            let (turn, symbol) = self.next();
            for (account, side) in [(ACCOUNTS[0], Side::Buy), (ACCOUNTS[1], Side::Sell)] {
                let kind = OrderKind::Limit { price: price(0), time_in_force: TimeInForce::Gtc };
                let request = OrderRequest { client_id: format!("m{turn}"), symbol, side, qty: qty(1), kind };
                self.exchange.submit(AT, account, &request, &mut self.reports).expect("accepted");
            }
        }
        black_box(&self.reports);
        self.reports.clear();
    }

    /// Eight market updates for every resting order that comes and goes.
    fn market(&mut self) {
        for _ in 0..ROUND / 10 {
            let (turn, symbol) = self.next();
            let kind = OrderKind::LimitMaker { price: price(-50) };
            let request = OrderRequest { client_id: format!("q{turn}"), symbol, side: Side::Buy, qty: qty(1), kind };
            let id = self.exchange.submit(AT, ACCOUNTS[0], &request, &mut self.reports).expect("accepted");
            for n in 0..8_i64 {
                let (turn, _) = self.next();
                let data = if n % 4 == 3 {
                    MarketData::Trade(PublicTrade { id: TradeId(turn), price: price(-1), qty: qty(1), buyer_is_maker: true })
                } else {
                    let level = vec![Level { price: price(-2 - n * 7), qty: qty(900_000 + i128::from(turn % 99)) }];
                    MarketData::Depth(DepthDiff { first_update_id: 1, last_update_id: turn, bids: level, asks: Vec::new() })
                };
                self.exchange.on_market(&update(symbol, data), &mut self.reports);
            }
            self.exchange.cancel(AT, ACCOUNTS[0], symbol, OrderRef::Id(id), &mut self.reports).expect("open");
        }
        black_box(&self.reports);
        self.reports.clear();
    }
}

fn matching(c: &mut Criterion) {
    for symbols in [1, 10] {
        let mut group = c.benchmark_group(format!("matching/{symbols}_symbols"));
        let mut venue = Venue::new(symbols);
        group.throughput(Throughput::Elements(ROUND));
        group.bench_function("rest_and_cancel", |b| b.iter(|| venue.rest_and_cancel()));
        group.bench_function("take", |b| b.iter(|| venue.take()));
        group.bench_function("meet", |b| b.iter(|| venue.meet()));
        group.bench_function("market_and_orders", |b| b.iter(|| venue.market()));
        group.finish();
    }
}

criterion_group!(benches, matching);
criterion_main!(benches);
