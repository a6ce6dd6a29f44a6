//! How long a halt takes until the venue has confirmed its last cancel, while the way to the venue is bad.
//!
//! `HURACAN_HALTS` sets how often each fault is tried (1 unless told). Measured and printed, never asserted in milliseconds: what must hold is
//! that no entry is left at the exchange, and that what is held keeps its stop there.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use huracan::domain::{Side, Symbol};
use huracan::venue::binance::RestClient;

use crate::exchange_process::{Attended, ExchangeProcess, program};

/// (name, the rule that the exchange is given just before the halt).
const FAULTS: [(&str, &str); 6] = [
    ("none", "[]"),
    ("slow", r#"[{"fault":{"delay":{"ms":400}},"on":"rest","times":20}]"#),
    ("cancel done, answer lost", r#"[{"fault":"reset_after","on":"rest","method":"DELETE","times":1}]"#),
    ("cancel not done, 503", r#"[{"fault":{"error_before":{"status":503}},"on":"rest","method":"DELETE","times":2}]"#),
    ("cancel done, 504", r#"[{"fault":{"error_after":{"status":504}},"on":"rest","method":"DELETE","times":1}]"#),
    ("user stream breaks", r#"[{"fault":"disconnect","on":"user_streams","times":1}]"#),
];

/// Fees that make entries rest instead of taking.
const REBATE: [&str; 4] = ["--set", "venue.maker_fee_bps=-2", "--set", "venue.taker_fee_bps=10"];

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
    /// Entries that rest at the exchange.
    fn entries(&self) -> usize {
        let symbols = ["BTCUSDT", "ETHUSDT", "SOLUSDT"].map(|s| s.parse::<Symbol>().unwrap());
        self.runtime.block_on(async {
            self.client.sample_clock().await.unwrap();
            let mut count = 0;
            for symbol in symbols {
                count += self.client.open_orders(symbol).await.unwrap().ours.iter().filter(|o| o.side == Side::Buy).count();
            }
            count
        })
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
        let mut waits = Vec::new();
        for _ in 0..times {
            site.until("an entry rests", |site| site.entries() > 0);
            site.faults(rules);
            let (done, answer) = said(site.folder.path(), "halt");
            assert!(done, "{name}: {answer}");
            site.faults("[]");
            assert_eq!(site.entries(), 0, "{name}: {answer}");
            waits.extend(answer["last_ack_ms"].as_u64());
            assert!(said(site.folder.path(), "resume").0, "{name}");
        }
        waits.sort_unstable();
        println!("{name}: {} of {times} halts had something to cancel; last confirmation after {waits:?} ms", waits.len());
    }
}
