//! The synthetic market seen from outside.

use std::collections::BTreeMap;

use super::*;
use crate::domain::{Level, Qty};

fn origin() -> Timestamp {
    Timestamp::from_millis(1_767_225_600_000)
}
fn flow(seed: u64, edge: f64) -> Flow {
    Flow::new(FlowConfig { edge, ..FlowConfig::usual(seed, origin()) })
}
fn after(secs: i64) -> Timestamp {
    origin() + Span::from_secs(secs)
}
fn btc() -> Symbol {
    "BTCUSDT".parse().unwrap()
}
fn eth() -> Symbol {
    "ETHUSDT".parse().unwrap()
}
fn interval(secs: i64) -> Interval {
    Interval::from_secs(secs).unwrap()
}

#[test]
fn the_seed_decides_and_nothing_else() {
    let day = |seed| flow(seed, 0.0).updates(&[btc(), eth()], after(90_000), after(90_010));
    assert_eq!(day(1), day(1));
    assert_ne!(day(1), day(2));
    let mut used = flow(1, 0.0);
    used.candles(btc(), interval(60), after(0), after(7_200));
    used.updates(&[eth()], after(500_000), after(500_005));
    assert_eq!(used.updates(&[btc(), eth()], after(90_000), after(90_010)), day(1));
}

#[test]
fn overlapping_calls_agree_in_the_overlap() {
    let mut flow = flow(3, 0.1);
    let (a, b) = (Timestamp::from_nanos(after(3_590).nanos() + 33_333_333), after(3_615));
    let both = [btc(), eth()];
    let whole = flow.updates(&both, after(3_580), after(3_620));
    let inside: Vec<MarketUpdate> = whole.into_iter().filter(|update| a <= update.local_time && update.local_time < b).collect();
    assert_eq!(flow.updates(&both, a, b), inside);
}

#[test]
fn updates_come_in_order_with_gap_free_ids() {
    let updates = flow(4, 0.0).updates(&[btc()], after(0), after(120));
    assert!(updates.is_sorted_by_key(|update| update.local_time));
    let mut next_diff = None;
    let mut last_trade = None;
    let (mut quotes, mut trades) = (0, 0);
    for update in &updates {
        match &update.data {
            MarketData::Depth(diff) => {
                assert!(next_diff.is_none_or(|next| diff.first_update_id == next) && diff.last_update_id >= diff.first_update_id);
                next_diff = Some(diff.last_update_id + 1);
            }
            MarketData::Trade(trade) => {
                assert!(last_trade < Some(trade.id), "trade ids rise");
                last_trade = Some(trade.id);
                trades += 1;
            }
            MarketData::Quote(quote) => {
                assert!(quote.bid.price < quote.ask.price);
                quotes += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(trades >= 120 && quotes > 100, "{trades} {quotes}");
}

fn fold(book: &mut [BTreeMap<Price, Qty>; 2], bids: &[Level], asks: &[Level]) {
    for (side, levels) in [bids, asks].into_iter().enumerate() {
        for level in levels {
            if level.qty.is_zero() {
                book[side].remove(&level.price)
            } else {
                book[side].insert(level.price, level.qty)
            };
        }
    }
}

#[test]
fn a_snapshot_and_the_diffs_give_the_next_snapshot() {
    let mut flow = flow(5, 0.0);
    for symbol in [btc(), "SOLUSDT".parse().unwrap()] {
        let (from, to) = (Timestamp::from_nanos(after(3_550).nanos() + 1), after(3_650));
        let start = flow.snapshot(symbol, from).unwrap();
        let end = flow.snapshot(symbol, to).unwrap();
        assert!(start.bids.len() >= 100 && start.asks.len() >= 100);
        assert!(start.bids.is_sorted_by(|a, b| a.price > b.price) && start.asks.is_sorted_by(|a, b| a.price < b.price));
        let mut book = [BTreeMap::new(), BTreeMap::new()];
        fold(&mut book, &start.bids, &start.asks);
        let mut last_id = start.last_update_id;
        let mut best = None;
        for update in flow.updates(&[symbol], from, Timestamp::from_nanos(to.nanos() + 1)) {
            match update.data {
                MarketData::Depth(diff) => {
                    assert_eq!(diff.first_update_id, last_id + 1);
                    last_id = diff.last_update_id;
                    fold(&mut book, &diff.bids, &diff.asks);
                }
                MarketData::Quote(quote) => best = Some(quote),
                MarketData::Trade(trade) => {
                    let edge = if trade.buyer_is_maker { book[0].last_key_value() } else { book[1].first_key_value() };
                    assert_eq!(edge.map(|(price, _)| *price), Some(trade.price), "a trade is at the best price of its moment");
                }
                other => panic!("{other:?}"),
            }
        }
        let mut expected = [BTreeMap::new(), BTreeMap::new()];
        fold(&mut expected, &end.bids, &end.asks);
        assert_eq!((book, last_id), (expected, end.last_update_id));
        assert_eq!(best.map(|quote| (quote.bid, quote.ask)), Some((end.bids[0], end.asks[0])));
        assert_eq!(flow.mid(symbol, to), Some(end.bids[0].price.midpoint(end.asks[0].price)));
    }
}

#[test]
fn candles_are_the_sums_of_the_trades() {
    let mut flow = flow(6, 0.2);
    let (from, to) = (after(3_500), after(3_707));
    for secs in [1, 5, 60] {
        let mut expected: Vec<Candle> = Vec::new();
        let first = ceiling(from, interval(secs));
        for update in flow.updates(&[eth()], first, to.floor_to(interval(secs))) {
            let MarketData::Trade(trade) = update.data else { continue };
            let open_time = update.local_time.floor_to(interval(secs));
            let bought = if trade.buyer_is_maker { Qty::ZERO } else { trade.qty };
            let fresh = Candle {
                open_time,
                open: trade.price,
                high: trade.price,
                low: trade.price,
                close: trade.price,
                volume: Qty::ZERO,
                taker_buy_volume: Some(Qty::ZERO),
                trades: 0,
            };
            if expected.last().is_none_or(|candle| candle.open_time != open_time) {
                expected.push(fresh);
            }
            let candle = expected.last_mut().unwrap();
            candle.high = candle.high.max(trade.price);
            candle.low = candle.low.min(trade.price);
            candle.close = trade.price;
            candle.volume += trade.qty;
            candle.taker_buy_volume = candle.taker_buy_volume.map(|sum| sum + bought);
            candle.trades += 1;
        }
        let candles = flow.candles(eth(), interval(secs), from, to);
        assert_eq!(candles, expected);
        assert_eq!(candles.len() as i64, (to.floor_to(interval(secs)).since(first)).nanos() / interval(secs).span().nanos());
        assert!(candles.iter().all(Candle::is_sound));
    }
}

#[test]
fn nothing_exists_before_the_origin_or_for_an_unknown_symbol() {
    let mut flow = flow(7, 0.0);
    let unknown = "XRPUSDT".parse().unwrap();
    assert!(flow.snapshot(btc(), after(-1)).is_none() && flow.mid(unknown, after(5)).is_none());
    assert!(flow.candles(unknown, interval(60), after(0), after(600)).is_empty());
    assert_eq!(flow.candles(btc(), interval(60), after(-600), after(600)).len(), 10);
    assert!(flow.candles(btc(), interval(60), after(600), after(0)).is_empty());
}

/// Log returns of closes.
fn returns(candles: &[Candle]) -> Vec<f64> {
    candles.windows(2).map(|w| libm::log(w[1].close.to_f64() / w[0].close.to_f64())).collect()
}

/// Pearson's correlation.
fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
    let (ma, mb) = (mean(a), mean(b));
    let cross: f64 = a.iter().zip(b).map(|(x, y)| (x - ma) * (y - mb)).sum();
    let square = |v: &[f64], m: f64| v.iter().map(|x| (x - m) * (x - m)).sum::<f64>();
    cross / (square(a, ma) * square(b, mb)).sqrt()
}

#[test]
fn returns_look_like_a_market() {
    let mut flow = flow(8, 0.0);
    let days = 20;
    let mut minutes = |symbol| returns(&flow.candles(symbol, Interval::MINUTE, after(0), after(days * 86_400)));
    let (a, b) = (minutes(btc()), minutes(eth()));
    let n = a.len();
    let squares: Vec<f64> = a.iter().map(|r| r * r).collect();
    for lag in [1, 10, 60] {
        assert!(correlation(&squares[lag..], &squares[..n - lag]) > 0.03, "volatility clusters at lag {lag}");
    }
    let square = squares.iter().sum::<f64>() / n as f64;
    let kurtosis = squares.iter().map(|s| s * s).sum::<f64>() / n as f64 / (square * square);
    assert!(kurtosis > 4.0 && kurtosis < 40.0, "{kurtosis}");
    let together = correlation(&a, &b);
    assert!((0.3..0.9).contains(&together), "{together}");
    let daily = square.sqrt() * 1_440_f64.sqrt();
    assert!((0.018..0.034).contains(&daily), "a day's deviation is about the configured 0.025: {daily}");
}

#[test]
fn edge_shows_in_causal_features() {
    let predictability = |edge: f64| {
        let candles = flow(9, edge).candles(btc(), interval(30), after(0), after(3 * 86_400));
        let share = |candle: &Candle| candle.taker_buy_volume.map_or(0.0, Qty::to_f64) / candle.volume.to_f64();
        let shares: Vec<f64> = candles.iter().skip(1).map(share).collect();
        let next = returns(&candles[1..]);
        correlation(&shares[..next.len()], &next)
    };
    let (none, some) = (predictability(0.0), predictability(0.2));
    assert!(none.abs() < 0.04 && some > 0.08, "{none} {some}");
}

/// Keeps an order near each best price for ten minutes and folds everything into an exchange.
#[test]
fn an_exchange_fed_by_the_market_shows_its_book_and_fills_makers_and_takers() {
    use crate::domain::{OrderKind, Role, Side};
    use crate::matching::{AccountId, Exchange, ExchangeConfig, OrderRequest, ReportKind};

    let mut flow = flow(11, 0.0);
    let instruments = flow.config().symbols.iter().map(|symbol| symbol.instrument.clone()).collect();
    let mut exchange = Exchange::new(ExchangeConfig::new(instruments));
    let us = AccountId(1);
    let funds = |text: &str| text.parse::<Qty>().unwrap();
    exchange.open_account(us, &[("USDT".parse().unwrap(), funds("1000000")), ("BTC".parse().unwrap(), funds("10"))]);
    let snapshot = flow.snapshot(btc(), after(0)).unwrap();
    let first = MarketUpdate { symbol: btc(), exchange_time: None, local_time: after(0), data: MarketData::Snapshot(snapshot) };
    let mut reports = Vec::new();
    exchange.on_market(&first, &mut reports);
    for step in 0..120 {
        let (from, to) = (after(step * 5), after(step * 5 + 5));
        for update in flow.updates(&[btc()], from, to) {
            exchange.on_market(&update, &mut reports);
        }
        let book = flow.snapshot(btc(), Timestamp::from_nanos(to.nanos() - 1)).unwrap();
        assert_eq!(exchange.best(btc()), Some((book.bids[0], book.asks[0])));
        let side = if step % 2 == 0 { Side::Buy } else { Side::Sell };
        let price = if side == Side::Buy { book.bids[0].price } else { book.asks[0].price };
        let kind = if step % 5 == 0 { OrderKind::Market } else { OrderKind::LimitMaker { price } };
        let request = OrderRequest { client_id: format!("n{step}"), symbol: btc(), side, qty: funds("0.01"), kind };
        exchange.submit(to, us, &request, &mut reports).unwrap();
    }
    let fills = |role: Role| reports.iter().filter(|report| matches!(&report.kind, ReportKind::Fill(fill) if fill.role == role)).count();
    assert_eq!(fills(Role::Taker), 24);
    assert!(fills(Role::Maker) > 40, "{}", fills(Role::Maker));
}
