//! The plug is pulled: an exchange in its own process, a trader killed at random moments, and nothing lost or doubled.
//!
//! `HURACAN_KILLS` sets how often (2 unless told), `HURACAN_KILL_SEED` the moments.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use huracan::domain::{Asset, OrderId, Qty, Span, Symbol, Timestamp, TradeId};
use huracan::engine::Snapshot;
use huracan::protocol::Mode;
use huracan::store::Store;
use huracan::venue::binance::{RestClient, TradesOf};

use crate::exchange_process::ExchangeProcess;
use crate::guarding::{Guarding, guarding};

const SEED: u64 = 20_261_122;

fn trader(folder: &Path, exchange: &ExchangeProcess, length: &str) -> Command {
    let mut command = exchange.trader();
    // Three days are enough to learn from, and download in a second.
    command
        .args(["run", "--mode", "demo", "--headless", "--json", "--for", length, "--set", "demo.history_days=3", "--venue", &exchange.rest])
        .arg("--data")
        .arg(folder.join("trader.redb"));
    command
}

/// After many starts in a minute the exchange's request limit makes the next one wait for the minute's end.
const SETTLING: Span = Span::from_secs(75);

/// What the exchange says: trades by symbol and id, when the newest was made, open orders, and totals by asset.
struct Truth {
    trades: BTreeSet<(Symbol, TradeId, OrderId, Qty)>,
    newest: Timestamp,
    open: BTreeSet<String>,
    totals: Vec<(Asset, Qty)>,
}

async fn truth(client: &RestClient, symbols: &[Symbol]) -> Truth {
    client.sample_clock().await.unwrap();
    let mut truth = Truth { trades: BTreeSet::new(), newest: Timestamp::EPOCH, open: BTreeSet::new(), totals: Vec::new() };
    for symbol in symbols {
        let trades = client.my_trades(*symbol, TradesOf::From(TradeId(0))).await.unwrap();
        truth.trades.extend(trades.iter().map(|t| (*symbol, t.trade_id, t.order_id, t.qty)));
        truth.newest = trades.iter().map(|t| t.at).fold(truth.newest, Timestamp::max);
        let open = client.open_orders(*symbol).await.unwrap();
        assert_eq!(open.foreign, 0, "every order is ours");
        truth.open.extend(open.ours.iter().map(|o| o.id.to_string()));
    }
    truth.totals = client.account().await.unwrap().balances.iter().map(|b| (b.asset, b.total())).collect();
    truth
}

fn symbols() -> Vec<Symbol> {
    ["BTCUSDT", "ETHUSDT", "SOLUSDT"].map(|s| s.parse().unwrap()).to_vec()
}

/// The stopped trader's file says what the exchange says.
fn compare(file: &Path, exchange: &ExchangeProcess, truth: &Truth) {
    let store = Store::open_read_only(file, exchange.scope(Mode::Demo)).unwrap();
    let fills: BTreeSet<_> =
        store.fills().unwrap().into_iter().map(|f| (f.fill.symbol, f.fill.trade_id, f.fill.order_id, f.fill.qty)).collect();
    assert_eq!(fills, truth.trades, "every trade of the exchange is in the file, once");
    let open: BTreeSet<String> = store.orders().unwrap().iter().filter(|o| !o.state.is_final()).map(|o| o.order.id.to_string()).collect();
    assert_eq!(open, truth.open, "the same orders are open");
    let snapshot: Snapshot = serde_json::from_str(&store.carry().unwrap().unwrap().state).unwrap();
    for (asset, total) in &truth.totals {
        assert_eq!(snapshot.ledger.venue_balance(*asset), *total, "{asset}");
    }
    let report = store.verify().unwrap();
    let bad: Vec<_> = report.checks.iter().filter(|c| !c.ok).collect();
    assert!(bad.is_empty(), "{bad:?}");
}

/// Random numbers from a printed seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

struct Site {
    folder: tempfile::TempDir,
    exchange: ExchangeProcess,
    runtime: tokio::runtime::Runtime,
    client: RestClient,
}

impl Site {
    fn trades(&self) -> usize {
        self.runtime.block_on(truth(&self.client, &symbols())).trades.len()
    }

    /// A life that ends without a word after `lived`.
    fn life(&self, lived: Duration) -> Vec<Guarding> {
        let mut process = trader(self.folder.path(), &self.exchange, "10m").stdout(Stdio::null()).spawn().unwrap();
        std::thread::sleep(lived);
        process.kill().unwrap();
        process.wait().unwrap();
        // Requests that had left arrive; from now on nobody watches but the exchange.
        std::thread::sleep(Duration::from_millis(100));
        self.runtime.block_on(guarding(&self.client, &symbols()))
    }

    /// A life that ends in order: three ways to count the money agree, and the file says what the exchange says. What trades there after
    /// the trader was told to stop is for the next such life to hear of.
    fn settle(&self, kill: u32) -> (usize, String) {
        for again in 0..4 {
            let told_to_stop = Timestamp::from_millis(now_ms()) + SETTLING;
            let length = format!("{}s", SETTLING.secs_f64());
            let output = trader(self.folder.path(), &self.exchange, &length).stderr(Stdio::inherit()).output().unwrap();
            assert!(output.status.success());
            let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
            let pnl = ["net_pnl", "ledger_net_pnl", "venue_net_pnl"].map(|key| summary[key].as_str().map(str::to_owned));
            let told = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(pnl[0].is_some() && pnl[0] == pnl[1] && pnl[1] == pnl[2], "after kill {kill}: {pnl:?} {told}");
            assert_eq!(summary["halts"], 0, "nothing to halt about");
            let truth = self.runtime.block_on(truth(&self.client, &symbols()));
            if truth.newest >= told_to_stop {
                continue;
            }
            let net = pnl[0].as_deref().unwrap_or("?");
            let (trades, open) = (truth.trades.len(), truth.open.len());
            let told = format!("after kill {kill}: {trades} trades, {open} open orders, net {net}; {again} stops beside a trade");
            compare(&self.folder.path().join("trader.redb"), &self.exchange, &truth);
            return (trades, told);
        }
        panic!("after kill {kill}: something traded at every stop");
    }
}

fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

/// What the kills left behind.
#[derive(Default)]
struct Left {
    holding: u32,
    exposed: u32,
    /// Between two requests of the last second.
    caught: u32,
}

impl Left {
    /// What one kill left is what it may leave, in each market for itself. Gives what is worth telling.
    fn count(&mut self, kill: u32, markets: &[Guarding]) -> Vec<String> {
        self.holding += u32::from(markets.iter().any(Guarding::is_held));
        self.exposed += u32::from(markets.iter().any(Guarding::is_exposed));
        let (mut caught, mut told) = (false, Vec::new());
        for market in markets {
            assert!(market.open_buys <= 1, "kill {kill}: two entries in one market: {}", market.told());
            if !market.is_exposed() {
                continue;
            }
            told.push(format!("kill {kill}: {}", market.told()));
            if !market.part_bought {
                caught = true;
                assert!(market.changed_ago_ms < 1_000, "kill {kill}: nobody guards {}", market.told());
            }
        }
        self.caught += u32::from(caught);
        told
    }
}

#[test]
fn a_killed_trader_finds_its_orders_and_money_again_and_leaves_nothing_unguarded() {
    let kills: u32 = std::env::var("HURACAN_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(2);
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("exchange.state");
    let exchange = ExchangeProcess::start(|command| command.args(["--seed", "11", "--state"]).arg(state));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let client = exchange.client();
    let desk = Site { folder, exchange, runtime, client };
    let seed: u64 = std::env::var("HURACAN_KILL_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(SEED);
    println!("{kills} kills, seed {seed}");
    // The first life learns and begins to trade; every other finds its model in the file.
    let (mut dice, begun) = (Dice(seed), Instant::now());
    let mut first = trader(desk.folder.path(), &desk.exchange, "10m").stdout(Stdio::null()).spawn().unwrap();
    while desk.trades() == 0 {
        assert!(begun.elapsed() < Duration::from_secs(180), "the trader does not trade");
        // The exchange counts requests by address, the trader's among them.
        std::thread::sleep(Duration::from_millis(3_000));
    }
    first.kill().unwrap();
    first.wait().unwrap();
    let (mut left, mut trades) = (Left::default(), vec![desk.trades()]);
    // Compared in tens, and at the end.
    let together = kills.clamp(1, 10);
    for kill in 1..=kills {
        // Short lives end in the start-up and its reconciliation, long ones among open trades.
        let markets = desk.life(Duration::from_millis(300 + dice.below(8_000)));
        left.count(kill, &markets).iter().for_each(|told| println!("{told}"));
        if kill % together == 0 {
            let (seen, told) = desk.settle(kill);
            println!("{told}");
            trades.push(seen);
        }
    }
    let Left { holding, exposed, caught } = left;
    println!(
        "{} trades; {holding} of {kills} kills left a holding; unguarded: {exposed}, of these {caught} between two requests of the last \
         second, the others a part of an entry that still rests",
        trades[trades.len() - 1]
    );
    assert!(trades.windows(2).all(|pair| pair[0] < pair[1]), "nothing was traded between two comparisons: {trades:?}");
    assert!(kills < 10 || holding * 2 >= kills, "too few kills left a holding to say anything of its guard: {holding} of {kills}");
}
