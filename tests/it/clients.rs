//! Programs of other people trade at the simulated exchange: their clients unmodified, with only the addresses changed.
//!
//! Each session in the folder beside this one talks through one client and prints what it did. A session whose interpreter or package is not
//! there is left out, and said so. `HURACAN_PYTHON` names the interpreter that has the packages.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use huracan::domain::{PublicTrade, Timestamp};

use crate::exchange_process::{Attended, ExchangeProcess};

const ASKING: Duration = Duration::from_secs(5);
const SESSION: Duration = Duration::from_secs(300);

/// An exchange of its own for each session, with the addresses and keys under the names that sessions read.
fn exchange(folder: &Path) -> (ExchangeProcess, Vec<(&'static str, String)>) {
    let exchange = ExchangeProcess::start(|command| command.current_dir(folder).args(["--seed", "7"]).stderr(Stdio::null()));
    wait_for_trades(&exchange);
    let names = vec![
        ("HURACAN_REST", exchange.rest.clone()),
        ("HURACAN_WS", exchange.ws.clone()),
        ("HURACAN_WS_API", exchange.ws_api.clone()),
        ("HURACAN_API_KEY", exchange.key.clone()),
        ("HURACAN_API_SECRET", exchange.secret.clone()),
    ];
    (exchange, names)
}

/// An exchange that has just started knows the trades of the minute that has begun, and its price band begins with the next one: sessions
/// find a market that has traded for a while.
fn wait_for_trades(exchange: &ExchangeProcess) {
    let (client, begun) = (exchange.client(), Instant::now());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let newest = |trades: &[(Timestamp, PublicTrade)]| trades.last().map(|(_, trade)| trade.id);
    let mut first = None;
    loop {
        let trades = runtime.block_on(client.trades("BTCUSDT".parse().unwrap(), 20)).unwrap();
        let is_new = newest(&trades) > *first.get_or_insert(newest(&trades));
        if trades.len() == 20 && is_new {
            return;
        }
        assert!(begun.elapsed() < SESSION, "the market does not trade");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Runs to its end or for `patience`; whether it succeeded, and what it printed.
fn run(mut command: Command, patience: Duration) -> Option<(bool, String)> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("said");
    let said = std::fs::File::create(&path).unwrap();
    command.stdin(Stdio::null()).stdout(said.try_clone().unwrap()).stderr(said);
    let mut process = Attended(command.spawn().ok()?);
    let begun = Instant::now();
    let ended = loop {
        match process.0.try_wait().unwrap() {
            Some(status) => break status.success(),
            None if begun.elapsed() > patience => break false,
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    Some((ended, std::fs::read_to_string(&path).unwrap()))
}

/// The interpreter of the session, if `package` is there.
fn interpreter(session: &Path, package: &str) -> Option<Command> {
    let python = session.extension().is_some_and(|e| e == "py");
    let program = if python { std::env::var_os("HURACAN_PYTHON").unwrap_or_else(|| "python3".into()) } else { "node".into() };
    // Asks whether it is installed; to load it can take longer than the whole question may.
    let load =
        if python { format!("import importlib.metadata as m; m.version('{package}')") } else { format!("require.resolve('{package}')") };
    let mut asking = Command::new(&program);
    asking.args([if python { "-c" } else { "-e" }, &load]);
    run(asking, ASKING).is_some_and(|(found, _)| found).then(|| Command::new(program))
}

/// `package` is what must be there, `install` what to say when it is not.
fn trades_through(session: &str, package: &str, install: &str) {
    let session: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests", "clients", session].iter().collect();
    let Some(mut command) = interpreter(&session, package) else {
        say(&format!("left out: {package} is not installed ({install})"));
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let (_exchange, names) = exchange(folder.path());
    // A proxy would not find the exchange: it listens on this machine only.
    command.arg(&session).current_dir(folder.path()).envs(names).env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1");
    // Sessions share a module; its compiled form must not be left in the tree.
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    let (ended, said) = run(command, SESSION).unwrap();
    assert!(ended && said.lines().last().is_some_and(|line| line.starts_with("ok ")), "{}\n{said}", session.display());
    say(&format!("{}: {}", said.lines().next().unwrap(), said.lines().last().unwrap()));
}

/// Past the harness, which keeps what a passing test prints.
fn say(text: &str) {
    let mut terminal = std::io::stderr();
    writeln!(terminal, "{text}").unwrap();
}

const PYTHON: &str = "HURACAN_PYTHON names the interpreter";

#[test]
fn ccxt_trades_here() {
    trades_through("ccxt_session.py", "ccxt", &format!("pip install ccxt; {PYTHON}"));
}

#[test]
fn ccxt_pro_trades_here() {
    trades_through("ccxt_pro_session.py", "ccxt", &format!("pip install ccxt; {PYTHON}"));
}

#[test]
fn python_binance_trades_here() {
    trades_through("python_binance_session.py", "python-binance", &format!("pip install python-binance; {PYTHON}"));
}

#[test]
fn binance_connector_trades_here() {
    trades_through("binance_connector_session.py", "binance-connector", &format!("pip install binance-connector; {PYTHON}"));
}

#[test]
fn binance_sdk_trades_here() {
    trades_through("binance_sdk_session.py", "binance-sdk-spot", &format!("pip install binance-sdk-spot; {PYTHON}"));
}

const NODE: &str = "NODE_PATH names the folder node_modules";

#[test]
fn the_npm_package_binance_trades_here() {
    trades_through("node_binance_session.mjs", "binance", &format!("npm install binance; {NODE}"));
}

#[test]
fn the_npm_package_binance_spot_trades_here() {
    trades_through("node_spot_session.mjs", "@binance/spot", &format!("npm install @binance/spot; {NODE}"));
}

#[test]
fn the_npm_package_binance_connector_trades_here() {
    trades_through("node_connector_session.mjs", "@binance/connector", &format!("npm install @binance/connector; {NODE}"));
}

#[test]
fn the_npm_package_node_binance_api_trades_here() {
    trades_through("node_binance_api_session.mjs", "node-binance-api", &format!("npm install node-binance-api; {NODE}"));
}
