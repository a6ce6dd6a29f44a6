//! History from outside: the exchange serves it, `data fetch` brings it, `data check` finds it whole, `data export` gives it back.

use std::path::Path;
use std::process::{Output, Stdio};

use crate::exchange_process::{ExchangeProcess, program};

fn huracan(folder: &Path, args: &[&str]) -> (Output, serde_json::Value) {
    let output = program().current_dir(folder).args(args).arg("--json").output().unwrap();
    let answer = serde_json::from_slice(&output.stdout).unwrap_or_default();
    (output, answer)
}

#[test]
fn days_of_history_are_fetched_whole_checked_exported_and_imported_again() {
    let folder = tempfile::tempdir().unwrap();
    let serve = ["--set", "demo.history_days=3"];
    let exchange = ExchangeProcess::start(|command| command.current_dir(folder.path()).args(serve).stderr(Stdio::null()));
    let fetch = |symbols: &[&str]| {
        let mut args = vec![
            "data",
            "fetch",
            "--venue",
            &exchange.rest,
            "--interval",
            "1m",
            "--since",
            "2d",
            "--set",
            "history.pause_ms=10",
            "--symbol",
        ];
        args.extend(symbols);
        huracan(folder.path(), &args)
    };
    let (output, answer) = fetch(&["BTCUSDT", "ETHUSDT"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(answer["failures"], serde_json::json!([]));
    for series in answer["series"].as_array().unwrap() {
        let rows = series["rows"].as_u64().unwrap();
        assert!((2_879..=2_881).contains(&rows) && series["new_rows"] == rows, "{series}");
        assert_eq!((series["source"].as_str(), series["gaps"].as_array().map(Vec::len)), (Some("rest"), Some(0)), "{series}");
    }
    // One market that does not exist stops no other, and is named with what to do.
    let (output, answer) = fetch(&["NOPEUSDT", "SOLUSDT", "BTCUSDT"]);
    assert_eq!(output.status.code(), Some(1));
    let failures = answer["failures"].as_array().unwrap();
    assert!(
        failures.len() == 1 && failures[0]["symbol"] == "NOPEUSDT" && failures[0]["next_step"].as_str().unwrap().contains("name"),
        "{failures:?}"
    );
    let rows: Vec<u64> = answer["series"].as_array().unwrap().iter().map(|s| s["new_rows"].as_u64().unwrap()).collect();
    assert!(rows[0] == 0 && rows[1] >= 2_879 && rows[2] <= 2, "{rows:?}");
    let (output, check) = huracan(folder.path(), &["data", "check"]);
    assert!(output.status.success());
    for series in check["series"].as_array().unwrap() {
        assert!(series["rows"].as_u64() >= Some(2_879), "{series}");
        let clean = [&series["gaps"], &series["repaired"]].map(|list| list.as_array().map(Vec::len));
        assert_eq!((clean, &series["unsound"], &series["off_grid"]), ([Some(0), Some(0)], &0.into(), &0.into()), "{series}");
        assert_eq!(series["sources"].as_array().map(Vec::len), Some(1), "{series}");
    }
    let (output, exported) = huracan(folder.path(), &["data", "export", "--out", "out"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let files: Vec<&str> = exported["files"].as_array().unwrap().iter().map(|f| f["file"].as_str().unwrap()).collect();
    assert_eq!(files.len(), 3);
    for file in &files {
        let (output, _) = huracan(folder.path(), &["data", "import", file, "--data", "again.redb"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let (output, again) = huracan(folder.path(), &["data", "export", "--out", "again", "--data", "again.redb"]);
    assert!(output.status.success());
    for file in again["files"].as_array().unwrap().iter().map(|f| f["file"].as_str().unwrap()) {
        let name = Path::new(file).file_name().unwrap();
        assert_eq!(
            std::fs::read(folder.path().join("out").join(name)).unwrap(),
            std::fs::read(folder.path().join(file)).unwrap(),
            "{file}"
        );
    }
    let (output, listed) = huracan(folder.path(), &["data", "list", "--data", "again.redb"]);
    assert!(output.status.success());
    assert_eq!(listed["series"][0]["sources"][0]["source"], "import", "{listed}");
}
