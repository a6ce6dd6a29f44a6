//! How long a halt takes until the venue has confirmed its last cancel, while the way to the venue is bad.
//!
//! `HURACAN_HALTS` sets how often each fault is tried (1 unless told); more often when it did not strike, or nothing was there to cancel.
//! Measured and printed, never asserted in milliseconds: what must hold is that no entry is left at the exchange, and that what is held
//! keeps its guards there.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use huracan::domain::{ClientOrderId, OrderStatus, Side, Symbol};
use huracan::venue::binance::{OrdersOf, RestClient};

use crate::exchange_process::{Attended, ExchangeProcess, program};
use crate::guarding::{Guarding, guarding};

/// (name, the rule that the exchange is given just before the halt).
const FAULTS: [(&str, &str); 6] = [
    ("none", "[]"),
    ("slow", r#"[{"fault":{"delay":{"ms":400}},"on":"rest","times":20}]"#),
    ("cancel done, answer lost", r#"[{"fault":"reset_after","on":"rest","method":"DELETE","times":1}]"#),
    ("cancel not done, 503", r#"[{"fault":{"error_before":{"status":503}},"on":"rest","method":"DELETE","times":2}]"#),
    ("cancel done, 504", r#"[{"fault":{"error_after":{"status":504}},"on":"rest","method":"DELETE","times":1}]"#),
    ("user stream breaks", r#"[{"fault":"disconnect","on":"user_streams","times":1}]"#),
];

/// Halts beyond those that were asked for, until a fault has struck one that had something to cancel.
const MORE: u32 = 6;

/// Fees that make entries rest instead of taking.
const REBATE: [&str; 4] = ["--set", "venue.maker_fee_bps=-2", "--set", "venue.taker_fee_bps=10"];

fn symbols() -> [Symbol; 3] {
    ["BTCUSDT", "ETHUSDT", "SOLUSDT"].map(|s| s.parse().unwrap())
}

struct Site {
    exchange: ExchangeProcess,
    _trader: Attended,
    folder: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
    client: RestClient,
}

fn start() -> Site {
    let folder = tempfile::tempdir().unwrap();
    let exchange = ExchangeProcess::start(|command| command.args(["--seed", "12"]).args(REBATE));
    let trader = exchange
        .trader()
        .args(["run", "--mode", "demo", "--headless", "--json", "--set", "demo.history_days=3", "--venue", &exchange.rest, "--data"])
        .arg(folder.path().join("trader.redb"))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let client = exchange.client();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    Site { exchange, _trader: Attended(trader), folder, runtime, client }
}

fn said(folder: &Path, command: &str) -> (bool, serde_json::Value) {
    let output = program().args([command, "--json", "--data"]).arg(folder.join("trader.redb")).stderr(Stdio::null()).output().unwrap();
    (output.status.success(), serde_json::from_slice(&output.stdout).unwrap_or_default())
}

impl Site {
    /// Orders of one side that stand or wait at the exchange, those that wait for an entry left out.
    fn open(&self, side: Side) -> BTreeMap<ClientOrderId, Symbol> {
        self.runtime.block_on(async {
            self.client.sample_clock().await.unwrap();
            let mut open = BTreeMap::new();
            for symbol in symbols() {
                let orders = self.client.all_orders(symbol, OrdersOf::Latest).await.unwrap();
                let standing = orders.into_iter().filter(|o| o.side == side && !o.status.is_final() && !o.pending);
                open.extend(standing.filter_map(|o| Some((o.id?, symbol))));
            }
            open
        })
    }

    /// Entries that rest at the exchange.
    fn entries(&self) -> usize {
        self.open(Side::Buy).len()
    }

    /// What is held is guarded, and by the same orders as before: one may have ended by a trade of its own or its twin's, or in favour of
    /// a sale. A part of an entry gets a guard of its own a moment after the entry's end.
    fn keeps_its_guards(&self, name: &str, before: &BTreeMap<ClientOrderId, Symbol>) {
        let after = self.open(Side::Sell);
        for (id, symbol) in before.iter().filter(|(id, _)| !after.contains_key(id)) {
            let orders = self.runtime.block_on(self.client.all_orders(*symbol, OrdersOf::Latest)).unwrap();
            let place = orders.iter().position(|o| o.id == Some(*id)).unwrap();
            let sold = orders[place..].iter().any(|o| o.side == Side::Sell && o.filled.is_positive());
            let ended = orders[place].status;
            assert!(ended != OrderStatus::Canceled || sold, "{name}: {symbol} lost its guard {id}: {:?}", &orders[place..]);
        }
        let exposed = || self.runtime.block_on(guarding(&self.client, &symbols())).into_iter().filter(Guarding::is_exposed);
        let begun = Instant::now();
        while let Some(market) = exposed().next() {
            assert!(begun.elapsed() < Duration::from_secs(10), "{name}: nobody guards {}", market.told());
            std::thread::sleep(Duration::from_millis(700));
        }
    }

    fn faults(&self, rules: &str) {
        let url = format!("{}/control/faults", self.exchange.rest);
        self.runtime.block_on(async {
            let web = reqwest::Client::new();
            web.delete(&url).send().await.unwrap();
            if rules != "[]" {
                assert!(web.post(&url).body(rules.to_owned()).send().await.unwrap().status().is_success(), "{rules}");
            }
        });
    }

    /// Whether every fault that was given has struck.
    fn all_struck(&self) -> bool {
        let url = format!("{}/control/faults", self.exchange.rest);
        let listed = self.runtime.block_on(async { reqwest::get(&url).await.unwrap().text().await.unwrap() });
        let rules: serde_json::Value = serde_json::from_str(&listed).unwrap();
        rules.as_array().unwrap().iter().all(|rule| rule["fired"].as_u64().unwrap() > 0)
    }

    fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !holds(self) {
            assert!(begun.elapsed() < Duration::from_secs(180), "never happened: {what}");
            // The exchange counts requests by address, the trader's among them.
            std::thread::sleep(Duration::from_millis(700));
        }
    }
}

#[test]
fn a_halt_ends_when_the_venue_has_confirmed_the_last_cancel_whatever_the_way() {
    let times: u32 = std::env::var("HURACAN_HALTS").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    let site = start();
    for (name, rules) in FAULTS {
        let (mut waits, mut struck, mut halts) = (Vec::new(), 0, 0);
        while halts < times || waits.is_empty() || struck == 0 {
            assert!(halts < times + MORE, "{name}: struck {struck} of {halts} halts, {} had something to cancel", waits.len());
            site.until("an entry rests", |site| site.entries() > 0);
            let guards = site.open(Side::Sell);
            site.faults(rules);
            let (done, answer) = said(site.folder.path(), "halt");
            assert!(done, "{name}: {answer}");
            struck += u32::from(site.all_struck());
            site.faults("[]");
            assert_eq!(site.entries(), 0, "{name}: {answer}");
            site.keeps_its_guards(name, &guards);
            waits.extend(answer["last_ack_ms"].as_u64());
            assert!(said(site.folder.path(), "resume").0, "{name}");
            halts += 1;
        }
        waits.sort_unstable();
        println!("{name}: struck {struck} of {halts} halts, {} had something to cancel; last confirmation after {waits:?} ms", waits.len());
    }
}
