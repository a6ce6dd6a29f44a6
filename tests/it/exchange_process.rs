//! The simulated exchange in a process of its own, and the program that trades there from outside.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use huracan::protocol::Mode;
use huracan::store::Scope;
use huracan::venue::binance::RestClient;

use crate::real_time;

/// The program that is tested.
pub fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_huracan"))
}

/// A process that is ended when it is no longer needed.
pub struct Attended(pub Child);

impl Drop for Attended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Lives as long as this.
pub struct ExchangeProcess {
    _process: Attended,
    pub rest: String,
    pub ws: String,
    pub ws_api: String,
    pub key: String,
    pub secret: String,
}

impl ExchangeProcess {
    /// `prepare` adds to `huracan exchange --json`.
    pub fn start(prepare: impl FnOnce(&mut Command) -> &mut Command) -> Self {
        let mut command = program();
        command.args(["exchange", "--json"]).stdout(Stdio::piped());
        let mut process = Attended(prepare(&mut command).spawn().unwrap());
        let mut line = String::new();
        BufReader::new(process.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: serde_json::Value = serde_json::from_str(&line).unwrap();
        let text = |key: &str| ready[key].as_str().unwrap().to_owned();
        let (rest, ws, ws_api) = (text("rest"), text("ws"), text("ws_api"));
        Self { _process: process, rest, ws, ws_api, key: text("api_key"), secret: text("api_secret") }
    }

    /// The program with this exchange's key.
    pub fn trader(&self) -> Command {
        let mut command = program();
        command.env("HURACAN_API_KEY", &self.key).env("HURACAN_API_SECRET", &self.secret);
        command
    }

    /// A client of one's own, beside the trader's.
    pub fn client(&self) -> RestClient {
        real_time::client(&self.rest, &self.key, &self.secret)
    }

    /// Under which a trader here keeps its records.
    pub fn scope(&self, mode: Mode) -> Scope {
        Scope { mode, venue: self.rest.clone(), account: self.key.chars().take(8).collect() }
    }
}
