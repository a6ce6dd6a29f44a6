//! What a running trader makes of the signals that a shell and a broken connection send.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::exchange_process::{Attended, ExchangeProcess, program};

fn answers(folder: &Path) -> bool {
    let asked = program().args(["status", "--json", "--data"]).arg(folder.join("trader.redb")).stderr(Stdio::null()).output().unwrap();
    asked.status.success()
}

fn signal(name: &str, process: u32) {
    assert!(Command::new("kill").args([name, &process.to_string()]).status().unwrap().success());
}

#[test]
fn a_hang_up_stops_nothing_and_a_termination_after_it_ends_the_run_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let exchange = ExchangeProcess::start(|command| command.args(["--seed", "14"]));
    let mut trader = exchange.trader();
    trader.args(["run", "--mode", "demo", "--headless", "--json", "--set", "demo.history_days=3", "--venue", &exchange.rest, "--data"]);
    let mut trader = Attended(trader.arg(folder.path().join("trader.redb")).stdout(Stdio::null()).spawn().unwrap());
    let until = Instant::now() + Duration::from_secs(60);
    while !answers(folder.path()) {
        assert!(Instant::now() < until, "the trader does not answer");
        std::thread::sleep(Duration::from_millis(200));
    }
    for _ in 0..3 {
        signal("-HUP", trader.0.id());
        std::thread::sleep(Duration::from_millis(300));
    }
    assert_eq!(trader.0.try_wait().unwrap(), None, "positions are still watched");
    assert!(answers(folder.path()));
    signal("-TERM", trader.0.id());
    assert_eq!(trader.0.wait().unwrap().code(), Some(0));
}
