//! The command line as people type it; nothing here touches the world.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::domain::{Interval, Symbol};
use crate::protocol::{CandleSource, Mode};

/// A crypto trading engine in one binary with one data file. Without a command it runs the demo.
#[derive(Debug, Parser)]
#[command(name = "huracan", version, about, propagate_version = true)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(flatten)]
    pub run: RunArgs,
    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Answer in JSON on standard output.
    #[arg(long, global = true)]
    pub json: bool,
    /// A settings file; may be given several times, later ones win.
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Vec<PathBuf>,
    /// One setting, such as limits.max_daily_loss=100.
    #[arg(long, global = true, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// The data file.
    #[arg(long, global = true, value_name = "FILE")]
    pub data: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Trade: the demo (default), paper, or live.
    Run(RunArgs),
    /// The demo's whole box in simulated time: no socket, no file, days in minutes.
    Simulate(SimulateArgs),
    /// Run the simulated exchange as its own process.
    Exchange(ExchangeArgs),
    /// Import, download, list and check candles.
    #[command(subcommand)]
    Data(DataCommand),
    /// Rebuild the order book of captures; report gaps and the final top levels.
    Book { captures: Vec<PathBuf> },
    /// Train the models on stored candles and judge them out of sample.
    Train(TrainArgs),
    /// Run the engine over stored candles.
    Backtest(BacktestArgs),
    /// The stored models.
    #[command(subcommand)]
    Models(ModelsCommand),
    /// The memory of trades.
    #[command(subcommand)]
    Memory(MemoryCommand),
    /// How the running box stands.
    Status,
    /// The limits of the running box: how far each is used, and their change.
    Limits {
        #[command(subcommand)]
        command: Option<LimitsCommand>,
    },
    /// Stop opening in the running box; done when the venue has confirmed every cancel.
    Halt,
    /// Let the running box open again.
    Resume,
    /// Halt the running box and close every position at the market.
    Flatten,
    /// Where going live stands, and what its next rung asks for.
    Ladder {
        #[command(subcommand)]
        command: Option<LadderCommand>,
    },
    /// What was made, by day, market and strategy.
    Report {
        /// First day, such as 2024-01-31, or a length such as 30d.
        #[arg(long)]
        since: Option<String>,
    },
    /// Print the running box's alerts and decisions as they come.
    Tail,
    /// The terminal of the running box; leaving it stops nothing.
    Attach,
    /// Replay a run from its journal (the newest, if none is named).
    Replay {
        run: Option<String>,
        /// Recompute every effect and compare it with the journal.
        #[arg(long)]
        verify: bool,
    },
    /// Copy the data file, consistently, while it is in use or not.
    Backup { dest: PathBuf },
    /// Check every table of a data file.
    Verify { file: Option<PathBuf> },
    /// Give back the unused space of a data file.
    Compact,
    /// The settings.
    #[command(subcommand)]
    Config(ConfigCommand),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ModeArg {
    Demo,
    Paper,
    Live,
}

impl From<ModeArg> for Mode {
    fn from(mode: ModeArg) -> Self {
        match mode {
            ModeArg::Demo => Self::Demo,
            ModeArg::Paper => Self::Paper,
            ModeArg::Live => Self::Live,
        }
    }
}

/// Which models may trade.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum ModelArg {
    /// Only one that passed its gates.
    #[default]
    Champion,
    /// Also one that failed them; demo and paper only.
    Shadow,
}

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SwitchArg {
    On,
    Off,
}

/// A source of history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SourceArg {
    /// The venue.
    Rest,
    /// The venue's address for public data alone.
    Mirror,
    /// The venue's files of finished days and months.
    Archive,
    /// Another exchange, kept as such.
    Kraken,
    /// Another exchange, kept as such.
    Coinbase,
}

impl From<SourceArg> for CandleSource {
    fn from(source: SourceArg) -> Self {
        match source {
            SourceArg::Rest => Self::Rest,
            SourceArg::Mirror => Self::Mirror,
            SourceArg::Archive => Self::Archive,
            SourceArg::Kraken => Self::Kraken,
            SourceArg::Coinbase => Self::Coinbase,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum SpeedArg {
    #[value(name = "1")]
    #[default]
    One,
    #[value(name = "10")]
    Ten,
    Max,
}

#[derive(Debug, Clone, Args, Default)]
pub struct RunArgs {
    #[arg(long, value_enum)]
    pub mode: Option<ModeArg>,
    /// A venue that runs elsewhere, by its REST address.
    #[arg(long, value_name = "URL")]
    pub venue: Option<String>,
    /// No terminal; log to the log file, print a summary at the end.
    #[arg(long)]
    pub headless: bool,
    /// Stop after this long, counted from the start of the program.
    #[arg(long = "for", value_name = "10m", value_parser = duration)]
    pub duration: Option<std::time::Duration>,
    /// Recorded market data instead of a live market (paper only); may be given several times.
    #[arg(long, value_name = "CAPTURE")]
    pub replay: Vec<PathBuf>,
    #[arg(long, value_enum, default_value_t)]
    pub model: ModelArg,
    /// Seed of the demo's market and of training.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Speed of a replay.
    #[arg(long, value_enum, default_value_t)]
    pub speed: SpeedArg,
}

#[derive(Debug, Args)]
pub struct SimulateArgs {
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=366))]
    pub days: u32,
    /// Seed of the market and of training.
    #[arg(long)]
    pub seed: Option<u64>,
    #[arg(long, value_enum, default_value_t)]
    pub model: ModelArg,
    /// Overrules maker.enabled: off takes everything at once, for comparison.
    #[arg(long, value_enum)]
    pub maker: Option<SwitchArg>,
}

#[derive(Debug, Args)]
pub struct ExchangeArgs {
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS")]
    pub listen: std::net::SocketAddr,
    /// Keep accounts and orders in this file.
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,
    #[arg(long)]
    pub seed: Option<u64>,
    /// Recorded market data instead of the synthetic market; may be given several times.
    #[arg(long, value_name = "CAPTURE")]
    pub replay: Vec<PathBuf>,
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10))]
    pub speed: u32,
    /// Exchange clock less this computer's, milliseconds.
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    pub skew_ms: i64,
    /// What shall go wrong, as a JSON array of rules; while it runs, `/control/faults` takes more.
    #[arg(long, value_name = "FILE")]
    pub faults: Option<PathBuf>,
    /// A public key of the account beside its HMAC pair: PEM, RSA or Ed25519; may be given several times.
    #[arg(long, value_name = "FILE")]
    pub public_key: Vec<PathBuf>,
    /// Refuse parameters that an endpoint does not read (-1104).
    #[arg(long)]
    pub strict: bool,
}

#[derive(Debug, Subcommand)]
pub enum DataCommand {
    /// Import captures and candle files.
    Import {
        #[arg(required = true)]
        files: Vec<PathBuf>,
        #[arg(long)]
        symbol: Option<Symbol>,
        #[arg(long)]
        interval: Option<Interval>,
        /// The instrument's rules (TOML) instead of inferred ones.
        #[arg(long, value_name = "FILE")]
        instrument: Option<PathBuf>,
    },
    /// Download what is missing of candles; cut off, it goes on where it was.
    Fetch {
        /// May name several; without any, those of the settings.
        #[arg(long, num_args = 1.., value_delimiter = ',')]
        symbol: Vec<Symbol>,
        /// Without it, the decision bar of the settings.
        #[arg(long)]
        interval: Option<Interval>,
        /// First day, such as 2024-01-31, or a length such as 30d.
        #[arg(long)]
        since: String,
        /// The end, exclusive; without it, now.
        #[arg(long)]
        until: Option<String>,
        /// Only this source, instead of one after the other until one answers.
        #[arg(long, value_enum)]
        source: Option<SourceArg>,
        /// Fold the candles from the archive's trades.
        #[arg(long)]
        trades: bool,
        #[arg(long, value_name = "URL")]
        venue: Option<String>,
    },
    /// Ask the venue and its archive again for every gap.
    Repair {
        /// May name several; without any, all that are stored.
        #[arg(long, num_args = 1.., value_delimiter = ',')]
        symbol: Vec<Symbol>,
        #[arg(long)]
        interval: Option<Interval>,
        #[arg(long, value_enum)]
        source: Option<SourceArg>,
        #[arg(long, value_name = "URL")]
        venue: Option<String>,
    },
    /// What is stored.
    List,
    /// Gaps and unsound candles of what is stored.
    Check,
    /// The recorded depth and trades: list them, or write them as capture files.
    Captures {
        /// Write one capture file per market into this folder.
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
        #[arg(long)]
        symbol: Vec<Symbol>,
        /// First moment, such as 2024-01-31, or a length such as 2h.
        #[arg(long)]
        since: Option<String>,
    },
    /// Write candles as csv.gz files that import reads back.
    Export {
        #[arg(long)]
        out: PathBuf,
    },
}

#[derive(Debug, Args)]
pub struct TrainArgs {
    #[arg(long)]
    pub symbol: Vec<Symbol>,
    #[arg(long)]
    pub lookback_days: Option<u32>,
    #[arg(long)]
    pub interval: Option<Interval>,
    #[arg(long)]
    pub seed: Option<u64>,
}

#[derive(Debug, Args)]
pub struct BacktestArgs {
    #[arg(long)]
    pub symbol: Vec<Symbol>,
    #[arg(long)]
    pub since: Option<String>,
    #[arg(long)]
    pub until: Option<String>,
    #[arg(long)]
    pub interval: Option<Interval>,
    /// Both fees, instead of the instrument's.
    #[arg(long)]
    pub fee_bps: Option<f64>,
}

#[derive(Debug, Subcommand)]
pub enum ModelsCommand {
    List,
    /// One model with its gates, lineage and report; the first characters of its id are enough.
    Show {
        id: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum MemoryCommand {
    /// The trades most like the newest decision of a symbol.
    Search {
        #[arg(long)]
        symbol: Option<Symbol>,
        #[arg(long, default_value_t = 16)]
        count: usize,
    },
    Show {
        number: u64,
    },
    Stats,
}

#[derive(Debug, Clone, Copy, Subcommand)]
pub enum LadderCommand {
    /// Go one rung up, if every gate passes.
    Climb,
    /// Go one rung down.
    StepBack,
}

#[derive(Debug, Subcommand)]
pub enum LimitsCommand {
    /// Change a limit: tighter at once; looser with `--confirm loosen`, after limits.loosen_delay_ms.
    Set {
        name: String,
        value: String,
        /// The word that loosens.
        #[arg(long, value_name = "WORD")]
        confirm: Option<String>,
    },
    /// Withdraw a looser value that is still waiting.
    Keep { name: String },
}

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Write the built-in settings, with their comments, to huracan.toml.
    Init,
    /// The settings in force, after all layers.
    Show,
    /// Check the settings and say what they mean.
    Check,
}

fn duration(text: &str) -> Result<std::time::Duration, String> {
    let interval: Interval = text.parse().map_err(|_| format!("'{text}' is not a duration; write 90s, 10m or 2h"))?;
    Ok(std::time::Duration::from_secs(interval.secs().unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn run_is_the_command_without_a_command() {
        let bare = Cli::parse_from(["huracan", "--mode", "paper", "--for", "3m", "--json"]);
        assert!(bare.command.is_none() && bare.global.json);
        assert_eq!(bare.run.mode, Some(ModeArg::Paper));
        let named = Cli::parse_from(["huracan", "run", "--for", "90s", "--json", "--data", "x.redb"]);
        let Some(Command::Run(run)) = named.command else { panic!("run") };
        assert_eq!(run.duration.map(|d| d.as_secs()), Some(90));
        assert_eq!(named.global.data, Some("x.redb".into()));
    }
}
