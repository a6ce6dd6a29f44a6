//! The plug is pulled: an exchange in its own process, a trader killed at random moments, and nothing lost or doubled.
//!
//! `HURACAN_KILLS` sets how often (2 unless told); the seed of the moments is printed.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use huracan::domain::{Asset, OrderId, Qty, Symbol, TradeId};
use huracan::engine::Snapshot;
use huracan::protocol::Mode;
use huracan::store::{Scope, Store};
use huracan::venue::binance::{Credentials, Endpoint, RestClient, TradesOf, monotonic_clock};

const SEED: u64 = 20_261_122;

struct Exchange {
    process: Child,
    rest: String,
    key: String,
    secret: String,
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn exchange(folder: &Path) -> Exchange {
    let mut process = Command::new(env!("CARGO_BIN_EXE_huracan"))
        .args(["exchange", "--json", "--seed", "11", "--state"])
        .arg(folder.join("exchange.state"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let ready: serde_json::Value = serde_json::from_str(&line).unwrap();
    let text = |key: &str| ready[key].as_str().unwrap().to_owned();
    Exchange { rest: text("rest"), key: text("api_key"), secret: text("api_secret"), process }
}

fn trader(folder: &Path, exchange: &Exchange, length: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_huracan"));
    // Three days are enough to learn from, and download in a second.
    command
        .args(["run", "--mode", "demo", "--headless", "--json", "--for", length, "--set", "demo.history_days=3", "--venue", &exchange.rest])
        .arg("--data")
        .arg(folder.join("trader.redb"))
        .env("HURACAN_API_KEY", &exchange.key)
        .env("HURACAN_API_SECRET", &exchange.secret);
    command
}

fn client(exchange: &Exchange) -> RestClient {
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        // Another test of this process was first.
    }
    let endpoint = Endpoint::from_rest_url(&exchange.rest).unwrap();
    RestClient::new(endpoint, Some(Credentials::new(&exchange.key, &exchange.secret)), monotonic_clock()).unwrap()
}

/// What the exchange says: trades by symbol and id, open orders, and totals by asset.
struct Truth {
    trades: BTreeSet<(Symbol, TradeId, OrderId, Qty)>,
    open: BTreeSet<String>,
    totals: Vec<(Asset, Qty)>,
}

async fn truth(client: &RestClient, symbols: &[Symbol]) -> Truth {
    client.sample_clock().await.unwrap();
    let mut truth = Truth { trades: BTreeSet::new(), open: BTreeSet::new(), totals: Vec::new() };
    for symbol in symbols {
        let trades = client.my_trades(*symbol, TradesOf::From(TradeId(0))).await.unwrap();
        truth.trades.extend(trades.iter().map(|t| (*symbol, t.trade_id, t.order_id, t.qty)));
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
fn compare(file: &Path, exchange: &Exchange, truth: &Truth) {
    let scope = Scope { mode: Mode::Demo, venue: exchange.rest.clone(), account: exchange.key.chars().take(8).collect() };
    let store = Store::open_read_only(file, scope).unwrap();
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

#[test]
fn a_killed_trader_finds_its_orders_and_money_again() {
    let kills: u32 = std::env::var("HURACAN_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(2);
    let folder = tempfile::tempdir().unwrap();
    let exchange = exchange(folder.path());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let client = client(&exchange);
    let file = folder.path().join("trader.redb");
    let mut random = SEED;
    let mut trades_seen = 0;
    println!("{kills} kills, seed {SEED}");
    for kill in 0..kills {
        let mut process = trader(folder.path(), &exchange, "10m").stdout(Stdio::null()).spawn().unwrap();
        let begun = Instant::now();
        // After the first fill (of this life, too), at a random moment of the next seconds.
        loop {
            std::thread::sleep(Duration::from_millis(100));
            let trades = runtime.block_on(truth(&client, &symbols())).trades.len();
            if trades > trades_seen {
                break;
            }
            assert!(begun.elapsed() < Duration::from_secs(180), "the trader does not trade");
        }
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        std::thread::sleep(Duration::from_millis((random >> 33) % 4_000));
        process.kill().unwrap();
        process.wait().unwrap();

        let output = trader(folder.path(), &exchange, "6s").stderr(Stdio::inherit()).output().unwrap();
        assert!(output.status.success());
        let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let pnl = ["net_pnl", "ledger_net_pnl", "venue_net_pnl"].map(|key| summary[key].as_str().map(str::to_owned));
        assert!(pnl[0].is_some() && pnl[0] == pnl[1] && pnl[1] == pnl[2], "after kill {}: {pnl:?}", kill + 1);
        assert_eq!(summary["halts"], 0, "nothing to halt about");
        let truth = runtime.block_on(truth(&client, &symbols()));
        println!(
            "kill {}: {} trades, {} open orders, net {}",
            kill + 1,
            truth.trades.len(),
            truth.open.len(),
            pnl[0].as_deref().unwrap_or("?")
        );
        compare(&file, &exchange, &truth);
        trades_seen = truth.trades.len();
    }
}
