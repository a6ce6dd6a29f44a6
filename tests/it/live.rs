//! Going live from outside: a live run against an exchange in its own process begins at the rung that the file keeps, and the report
//! says what the ledger says.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Output, Stdio};
use std::time::{Duration, Instant};

use huracan::domain::{Money, Price, Qty, RunId, Span, Symbol};
use huracan::protocol::{Event, FxMark, Mode, ModelRole, Probe, Record};
use huracan::store::{FileKind, Identity, Scope, Store, Writer};
use huracan::trading::currency::AccountCurrency;
use serde_json::Value;

use crate::desk::{Desk, settings};
use crate::exchange_process::{ExchangeProcess, program};

fn live(folder: &Path, exchange: &ExchangeProcess, length: &str) -> Child {
    exchange
        .trader()
        .args(["run", "--mode", "live", "--headless", "--json", "--for", length, "--venue", &exchange.rest, "--data"])
        .arg(folder.join("live.redb"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn asked(folder: &Path, args: &[&str]) -> Output {
    program().args(args).args(["--json", "--data"]).arg(folder.join("live.redb")).output().unwrap()
}

fn json(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}\n{}", String::from_utf8_lossy(&output.stderr)))
}

#[test]
fn a_live_account_begins_at_the_lowest_rung_and_climbs_only_when_it_may() {
    let folder = tempfile::tempdir().unwrap();
    let exchange = ExchangeProcess::start(|command| command.args(["--seed", "12"]).stderr(Stdio::null()));
    let running = live(folder.path(), &exchange, "12s");
    let end = Instant::now() + Duration::from_secs(30);
    let climb = loop {
        let output = asked(folder.path(), &["ladder", "climb"]);
        if output.status.code() == Some(3) {
            break output;
        }
        assert!(Instant::now() < end, "{output:?}");
        std::thread::sleep(Duration::from_millis(200));
    };
    let said = String::from_utf8_lossy(&climb.stderr).into_owned();
    assert!(said.contains("not climbed to paper") && said.contains("hours of market data"), "{said}");
    assert_eq!((json(&climb)["rung"].as_str(), json(&climb)["running"].as_bool()), (Some("data_only"), Some(true)));
    assert_eq!(asked(folder.path(), &["ladder", "step-back"]).status.code(), Some(3), "there is no lower rung");
    let ended = running.wait_with_output().unwrap();
    let summary = json(&ended);
    assert_eq!((summary["mode"].as_str(), summary["rung"].as_str()), (Some("paper"), Some("data_only")), "{summary}");
    assert_eq!((summary["orders"].as_u64(), summary["equity"].as_str()), (Some(0), Some("1000")), "the allocated capital, on paper");
    let kept = json(&asked(folder.path(), &["ladder"]));
    assert_eq!((kept["rung"].as_str(), kept["running"].as_bool()), (Some("data_only"), Some(false)));
    let watched = kept["gates"].as_array().unwrap().iter().find(|gate| gate["name"] == "hours of market data").unwrap();
    assert!(watched["value"].as_f64().is_some() && watched["passed"] == false, "{watched}");
    // The live books were not touched.
    assert!(Store::open_read_only(&folder.path().join("live.redb"), exchange.scope(Mode::Live)).unwrap().carry().unwrap().is_none());
}

/// Everything that a session kept, in a data file.
fn stored(folder: &Path, desk: &Desk) {
    let scope = Scope { mode: Mode::Demo, venue: "here".to_owned(), account: "me".to_owned() };
    let store = Store::open(&folder.join("live.redb"), &Identity { kind: FileKind::Demo, scope }).unwrap();
    let writer = Writer::start(store, RunId(1), |_| {}).unwrap();
    let state = desk.session.engine.carry().map(Record::Carry);
    let ticket = writer.handle().append(Vec::new(), desk.records().into_iter().chain(state).collect(), true).unwrap();
    assert!(writer.handle().wait(ticket, Duration::from_secs(20)));
    writer.stop().unwrap();
}

#[test]
fn the_report_of_a_session_is_its_ledger() {
    let folder = tempfile::tempdir().unwrap();
    let account = AccountCurrency { currency: "GBP".parse().unwrap(), pair: "GBPUSDT".parse().unwrap(), invert: false, max_age_ms: 60_000 };
    let mut desk = Desk::with(51, huracan::engine::Settings { account: Some(account), ..settings() }, ModelRole::Shadow);
    let mark = FxMark { pair: "GBPUSDT".parse().unwrap(), rate: "1.25".parse().unwrap(), source: "a test".into(), at: desk.now() };
    desk.apply(Event::Probe(Probe::Fx(mark)));
    desk.run_until("trades", |d| d.costs().len() >= 6 && !d.session.engine.view().positions.is_empty());
    stored(folder.path(), &desk);
    let pounds = ["--set", "account.currency=GBP", "--set", "account.fx_symbol=GBPUSDT"];
    let report = json(&asked(folder.path(), &[&["report"][..], &pounds[..]].concat()));
    let report = &report["accounts"][0];
    let money = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{value} in {report}")).parse::<Money>().unwrap();
    // The report marks at the newest decisions, which carry the mid.
    let mut marks: BTreeMap<Symbol, Price> = BTreeMap::new();
    marks.extend(desk.decisions().iter().map(|d| (d.symbol, d.evidence.mid)));
    assert_eq!(money(&report["net_marked"]), desk.session.engine.pnl(&marks).ledger_net_pnl.unwrap());
    assert_eq!(money(&report["fees"]), desk.pnl().fees);
    let sum = |rows: &Value| rows.as_array().unwrap().iter().map(|row| money(&row["net"])).sum::<Money>();
    assert_eq!([sum(&report["days"]), sum(&report["symbols"]), sum(&report["strategies"])], [money(&report["net"]); 3]);
    assert_eq!(report["trades"].as_array().unwrap().len(), desk.costs().len());
    let parents = desk.records().iter().filter(|r| matches!(r, Record::OrderCost(_))).count();
    assert_eq!(report["order_costs"]["parents"].as_u64(), Some(parents as u64));
    assert_eq!(report["strategies"][0]["strategy"], "exploration");
    // That day is over: it counts at its own last rate, but what is held counts today, for which there is none.
    let day = &report["days"][0];
    assert_eq!(money(&day["net_account"]).raw(), money(&day["net"]).raw() * 100 / 125);
    assert_eq!((report["unrealised_account"].as_str(), report["fx"]["source"].as_str()), (None, Some("a test")));
    assert_eq!(report["transfers"][0]["amount"].as_str().unwrap().parse::<Qty>().unwrap(), "10000".parse().unwrap());
    let people = program().arg("report").arg("--data").arg(folder.path().join("live.redb")).output();
    let text = String::from_utf8(people.unwrap().stdout).unwrap();
    for word in ["2026-01-01", "win rate", "maker fees", "exploration", "opening balance", "average cost"] {
        assert!(text.contains(word), "{word}:\n{text}");
    }
    let later = desk.now() + Span::from_secs(86_400);
    let none = json(&asked(folder.path(), &["report", "--since", &later.to_string()[..10]]));
    assert_eq!((none["accounts"][0]["days"].as_array().unwrap().len(), none["accounts"][0]["net"].as_str()), (0, Some("0")));
}
