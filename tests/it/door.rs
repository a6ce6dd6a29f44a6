//! The program from outside: exit codes, bad input, one file for one run, and a replay that recomputes.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use huracan::domain::{Level, MarketData, MarketUpdate, RunId, Span, Timestamp};
use huracan::matching::flow::{Flow, FlowConfig};
use huracan::protocol::{CarryRecord, Mode, Record};
use huracan::store::{FileKind, Identity, Scope, Store, Writer};

use crate::desk::Desk;
use crate::exchange_process::{ExchangeProcess, program};

fn huracan(folder: &Path, args: &[&str]) -> Output {
    program().current_dir(folder).args(args).output().unwrap()
}

fn said(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Three minutes of the synthetic BTCUSDT market as a capture file; our clock is 1,272 ms behind.
fn capture(folder: &Path) -> PathBuf {
    let origin = Timestamp::from_millis(1_704_067_200_000);
    let mut flow = Flow::new(FlowConfig::usual(7, origin));
    let (symbol, from) = ("BTCUSDT".parse().unwrap(), origin + Span::from_secs(600));
    let mut text = String::new();
    let local = |at: Timestamp| (at - Span::from_millis(1_272)).nanos();
    let levels = |levels: &[Level]| {
        let pairs: Vec<String> = levels.iter().map(|l| format!("[\"{}\",\"{}\"]", l.price, l.qty)).collect();
        format!("[{}]", pairs.join(","))
    };
    let book = flow.snapshot(symbol, from).unwrap();
    writeln!(
        text,
        "{} {{\"lastUpdateId\":{},\"bids\":{},\"asks\":{}}}",
        local(from),
        book.last_update_id,
        levels(&book.bids),
        levels(&book.asks)
    )
    .unwrap();
    for MarketUpdate { exchange_time, local_time, data, .. } in flow.updates(&[symbol], from, from + Span::from_secs(180)) {
        let event_ms = exchange_time.unwrap().millis();
        let (stream, data) = match data {
            MarketData::Depth(d) => (
                "depth@100ms",
                format!(
                    "{{\"e\":\"depthUpdate\",\"E\":{event_ms},\"s\":\"BTCUSDT\",\"U\":{},\"u\":{},\"b\":{},\"a\":{}}}",
                    d.first_update_id,
                    d.last_update_id,
                    levels(&d.bids),
                    levels(&d.asks)
                ),
            ),
            MarketData::Trade(t) => (
                "trade",
                format!(
                    "{{\"e\":\"trade\",\"E\":{event_ms},\"s\":\"BTCUSDT\",\"t\":{},\"p\":\"{}\",\"q\":\"{}\",\"T\":{event_ms},\"m\":{},\"M\":true}}",
                    t.id.0, t.price, t.qty, t.buyer_is_maker
                ),
            ),
            _ => continue,
        };
        writeln!(text, "{} {{\"stream\":\"btcusdt@{stream}\",\"data\":{data}}}", local(local_time)).unwrap();
    }
    let path = folder.join("btc.jsonl");
    std::fs::write(&path, text).unwrap();
    path
}

fn json(output: &Output) -> serde_json::Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_capture_is_decided_on_and_its_replay_recomputes_every_effect() {
    let folder = tempfile::tempdir().unwrap();
    let file = capture(folder.path());
    let run = ["run", "--mode", "paper", "--speed", "max", "--headless", "--json", "--replay", file.to_str().unwrap()];
    let summary = json(&huracan(folder.path(), &run));
    assert_eq!((summary["gaps"].as_u64(), summary["unreadable"].as_u64()), (Some(0), Some(0)), "{summary}");
    assert!(summary["decisions"].as_u64() > Some(30), "{summary}");
    let offset = summary["clock_offset_ms"].as_f64().unwrap();
    assert!((offset + 1_272.0).abs() < 1.5, "{offset}");
    let again = json(&huracan(folder.path(), &run));
    let replay = json(&huracan(folder.path(), &["replay", "--verify", "--json"]));
    assert_eq!(replay["identical"], true, "{replay}");
    assert!(replay["effects_compared"].as_u64() > Some(50), "{replay}");
    assert_eq!(replay["events"], again["events"]);
    let verified = huracan(folder.path(), &["verify", "data/huracan.redb", "--json"]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
}

#[test]
fn a_bad_line_costs_itself_only_and_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let file = capture(folder.path());
    let mut lines: Vec<String> = std::fs::read_to_string(&file).unwrap().lines().map(str::to_owned).collect();
    let whole = lines.len() as u64;
    // A trade, so that the book stays whole.
    let trade = lines.iter().rposition(|line| line.contains("@trade")).unwrap();
    lines[trade].truncate(60);
    std::fs::write(&file, lines.join("\n")).unwrap();
    let book = json(&huracan(folder.path(), &["book", "--json", file.to_str().unwrap()]));
    assert_eq!((book["lines"].as_u64(), book["gaps"].as_u64()), (Some(whole), Some(0)), "{book}");
    assert_eq!(book["bids"].as_array().unwrap().len(), 100);
    let run = ["run", "--mode", "paper", "--speed", "max", "--headless", "--json", "--replay", file.to_str().unwrap()];
    assert_eq!(json(&huracan(folder.path(), &run))["unreadable"], 1);
}

#[test]
fn wrong_settings_end_with_code_2_and_say_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.toml"), "[limits]\nmax_dayly_loss = \"5\"\n").unwrap();
    let (code, text) = said(&huracan(folder.path(), &["config", "check", "--config", "a.toml"]));
    assert_eq!(code, Some(2));
    assert!(text.contains("a.toml") && text.contains("limits.max_daily_loss"), "{text}");
    std::fs::write(folder.path().join("b.toml"), "[venue]\napi_secret = \"hunter2\"\n").unwrap();
    let (code, text) = said(&huracan(folder.path(), &["config", "check", "--config", "b.toml"]));
    assert_eq!(code, Some(2));
    assert!(text.contains("HURACAN_API_SECRET") && !text.contains("hunter2"), "{text}");
    assert_eq!(said(&huracan(folder.path(), &["run", "--mode", "live", "--model", "shadow"])).0, Some(3));
    assert_eq!(said(&huracan(folder.path(), &["fly"])).0, Some(2));
}

#[test]
fn a_file_in_use_or_of_another_world_is_refused_with_code_3() {
    let folder = tempfile::tempdir().unwrap();
    let file = capture(folder.path());
    let held = folder.path().join("held.redb");
    let identity = |kind, mode| Identity { kind, scope: Scope { mode, venue: "x".to_owned(), account: "x".to_owned() } };
    let run = |data: &Path| {
        let data = data.to_str().unwrap();
        said(&huracan(
            folder.path(),
            &["run", "--mode", "paper", "--speed", "max", "--headless", "--data", data, "--replay", file.to_str().unwrap()],
        ))
    };
    let store = Store::open(&held, &identity(FileKind::Real, Mode::Paper)).unwrap();
    let (code, text) = run(&held);
    assert_eq!(code, Some(3), "{text}");
    drop(store);
    let demo = folder.path().join("demo.redb");
    drop(Store::open(&demo, &identity(FileKind::Demo, Mode::Demo)).unwrap());
    let (code, text) = run(&demo);
    assert_eq!(code, Some(3), "{text}");
    std::fs::write(folder.path().join("junk.redb"), [7_u8; 5_000]).unwrap();
    let (code, text) = run(&folder.path().join("junk.redb"));
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("junk.redb"), "{text}");
}

#[test]
fn without_a_key_live_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let output = program()
        .current_dir(folder.path())
        .args(["run", "--mode", "live", "--headless", "--for", "1s", "--venue", "http://127.0.0.1:9"])
        .env_remove("HURACAN_API_KEY")
        .output()
        .unwrap();
    let (code, text) = said(&output);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("HURACAN_API_KEY"), "{text}");
}

const NOWHERE: &str = "http://127.0.0.1:9";
const KEY: &str = "key-of-8-letters-and-more";

fn live() -> Scope {
    Scope { mode: Mode::Live, venue: NOWHERE.to_owned(), account: KEY.chars().take(8).collect() }
}

/// A live data file that keeps this trading state.
fn keeping(file: &Path, state: &str) {
    let store = Store::open(file, &Identity { kind: FileKind::Real, scope: live() }).unwrap();
    let writer = Writer::start(store, RunId(1), |_| {}).unwrap();
    let carry = CarryRecord { run: RunId(1), at: Timestamp::EPOCH, state: state.to_owned() };
    let ticket = writer.handle().append(Vec::new(), vec![Record::Carry(carry)], true).unwrap();
    assert!(writer.handle().wait(ticket, Duration::from_secs(20)));
    writer.stop().unwrap();
}

#[test]
fn a_state_that_can_not_be_continued_is_refused_with_code_3_and_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let mut desk = Desk::ready(61);
    desk.run_until("a holding", |d| !d.session.engine.view().positions.is_empty());
    let held = format!("dust: {}", desk.session.engine.snapshot().symbols_in_use(huracan::domain::Money::ZERO, "USDT".parse().unwrap())[0]);
    let state = desk.crash().carried;
    for (state, expected) in [(&state[..], &held[..]), (&state[..state.len() / 2], "restore a backup"), ("", "restore a backup")] {
        let file = folder.path().join(format!("live-{}.redb", state.len()));
        keeping(&file, state);
        let output = program()
            .current_dir(folder.path())
            .args(["run", "--mode", "live", "--headless", "--for", "1s", "--venue", NOWHERE, "--set", "markets.symbols=[\"XRPUSDT\"]"])
            .arg("--data")
            .arg(&file)
            .env("HURACAN_API_KEY", KEY)
            .env("HURACAN_API_SECRET", "secret")
            .output()
            .unwrap();
        let (code, text) = said(&output);
        assert_eq!(code, Some(3), "{text}");
        assert!(text.contains(expected), "{text}");
        let store = Store::open_read_only(&file, live()).unwrap();
        assert_eq!(store.carry().unwrap().unwrap().state, state, "it is still there for whoever mends it");
        assert_eq!(store.runs().unwrap(), [], "no run began");
    }
}

/// A short headless live run; gives the code, what it printed as its summary, and what it complained of.
fn brief(folder: &Path, venue: &str, (key, secret): (&str, &str), time: &str) -> (Option<i32>, String, String) {
    let output = program()
        .current_dir(folder)
        .args(["run", "--mode", "live", "--headless", "--for", time, "--venue", venue, "--data", "live.redb"])
        .env("HURACAN_API_KEY", key)
        .env("HURACAN_API_SECRET", secret)
        .output()
        .unwrap();
    let (code, complaint) = said(&output);
    (code, String::from_utf8_lossy(&output.stdout).into_owned(), complaint)
}

#[test]
fn a_headless_run_that_never_agreed_with_its_venue_fails_and_says_why() {
    let exchange = ExchangeProcess::start(|command| command);
    let (dead, wrong) = ((NOWHERE, (KEY, "secret"), "no connection"), (&exchange.rest[..], (&exchange.key[..], "wrong"), "code -1022"));
    for (venue, credentials, why) in [dead, wrong] {
        let folder = tempfile::tempdir().unwrap();
        let (code, summary, complaint) = brief(folder.path(), venue, credentials, "3s");
        assert_eq!(code, Some(1), "{venue}: {summary}\n{complaint}");
        assert!(complaint.contains("never agreed with the venue") && complaint.contains("live.log"), "{complaint}");
        let unknown = ["net unknown (ledger unknown, venue unknown)", "equity unknown"];
        for words in [&unknown[..], &["health CRITICAL; log live.log", "never compared with the venue", why]].concat() {
            assert!(summary.contains(words), "{venue}: {words}:\n{summary}");
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let (code, summary, complaint) = brief(folder.path(), &exchange.rest, (&exchange.key, &exchange.secret), "8s");
    assert_eq!(code, Some(0), "{summary}\n{complaint}");
    assert!(!summary.contains("unknown") && !summary.contains("never compared"), "{summary}");
}

#[test]
fn a_market_that_the_venue_does_not_know_is_named_and_a_run_of_nothing_else_is_refused() {
    let (folder, exchange) = (tempfile::tempdir().unwrap(), ExchangeProcess::start(|command| command));
    let run = |symbols: &str, file: &str, time: &str| {
        let markets = format!("markets.symbols={symbols}");
        let args = ["run", "--mode", "paper", "--headless", "--for", time, "--venue", &exchange.rest, "--set", &markets, "--data", file];
        said(&huracan(folder.path(), &args))
    };
    let (code, text) = run("[\"GONEUSDT\"]", "gone.redb", "120s");
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("knows none of these markets: GONEUSDT; correct the symbols"), "{text}");
    let (code, text) = run("[\"BTCUSDT\",\"GONEUSDT\"]", "both.redb", "12s");
    assert_eq!(code, Some(0), "{text}");
    let text = std::fs::read_to_string(folder.path().join("both.log")).unwrap();
    assert!(text.contains("does not know the market GONEUSDT"), "{text}");
    assert!(!text.contains("know the market BTCUSDT"), "{text}");
}
