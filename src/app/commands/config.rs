//! `huracan config`: the settings, written, shown and explained.

use std::io::Write;
use std::path::Path;

use serde::Serialize;

use super::data_file;
use crate::app::Context;
use crate::app::cli::ConfigCommand;
use crate::app::config::{Config, DEFAULT};
use crate::app::failure::{Failure, Outcome};
use crate::app::output::table;
use crate::domain::Bps;
use crate::engine::TimeScale;
use crate::protocol::Action;
use crate::trading::risk::{ACTIONS, Cause};

const FILE: &str = "huracan.toml";
/// The spread that the explanation assumes, as the check at start does.
const TYPICAL_SPREAD: Bps = Bps::from_bps(1);

pub fn config(context: &Context, command: &ConfigCommand) -> Outcome {
    match command {
        ConfigCommand::Init => init(context, Path::new(FILE)),
        ConfigCommand::Show => context.out.answer(&Shown::of(&context.config), || shown_text(&context.config)),
        ConfigCommand::Check => check(context),
    }
}

/// The settings, and what is done at each limit and stop.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    config: &'a Config,
    action_table: Vec<ShownAction>,
}

#[derive(Debug, Serialize)]
struct ShownAction {
    cause: &'static str,
    /// As set, for a limit.
    limit: Option<String>,
    action: Action,
    /// What the settings may choose.
    choices: &'static [Action],
    what: &'static str,
}

impl<'a> Shown<'a> {
    fn of(config: &'a Config) -> Self {
        let action_table = ACTIONS
            .iter()
            .map(|row| ShownAction {
                cause: row.cause.key(),
                limit: match row.cause {
                    Cause::Limit(name) => Some(config.limits.get(name).map_or_else(|| "off".to_owned(), |value| value.to_string())),
                    Cause::Stop(_) => None,
                },
                action: config.actions.of(row.cause),
                choices: row.choices,
                what: row.cause.what(),
            })
            .collect();
        Self { config, action_table }
    }
}

/// The settings as they load again, and the table of actions in comments.
fn shown_text(config: &Config) -> String {
    let mut rows = vec![["limit or stop", "set to", "action", "may be", "what it is"].map(str::to_owned).to_vec()];
    rows.extend(Shown::of(config).action_table.into_iter().map(|row| {
        let choices: Vec<&str> = row.choices.iter().map(|choice| choice.key()).collect();
        let limit = row.limit.unwrap_or_else(|| "-".to_owned());
        vec![row.cause.to_owned(), limit, row.action.to_string(), choices.join(" "), row.what.to_owned()]
    }));
    let actions: Vec<String> = table(&rows).lines().map(|line| format!("# {line}")).collect();
    // Every value of the configuration has a TOML form; the empty text is never reached.
    format!("{}\n\n{}", toml::to_string(config).unwrap_or_default().trim_end(), actions.join("\n"))
}

#[derive(Debug, Serialize)]
struct Written<'a> {
    file: &'a Path,
}

fn init(context: &Context, path: &Path) -> Outcome {
    write_default(path)?;
    context.out.answer(&Written { file: path }, || format!("wrote {}; use it with --config {}", path.display(), path.display()))
}

fn write_default(path: &Path) -> Outcome {
    let mut file = std::fs::File::create_new(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::AlreadyExists => {
            Failure::failed(format!("{} exists already and is left as it is; move it away first", path.display()))
        }
        _ => Failure::failed(format!("cannot create {}: {e}", path.display())),
    })?;
    Ok(file.write_all(DEFAULT.as_bytes())?)
}

#[derive(Debug, Serialize)]
struct Explained {
    data_file: String,
    venue: String,
    credentials: &'static str,
    symbols: Vec<String>,
    time_scale: String,
    break_even: f64,
    demo_time_scale: String,
    demo_break_even: f64,
    meaning: Vec<String>,
}

/// That the settings are valid was checked when they were loaded; this says what they mean.
fn check(context: &Context) -> Outcome {
    let config = &context.config;
    let break_even = |scale: &TimeScale| scale.break_even(config.fees(), TYPICAL_SPREAD);
    let describe = |scale: &TimeScale| scale.describe(config.fees(), TYPICAL_SPREAD);
    let answer = Explained {
        data_file: data_file::path(context).display().to_string(),
        venue: if config.venue.url.is_empty() { "Binance spot".to_owned() } else { config.venue.url.clone() },
        credentials: credentials(config),
        symbols: config.markets.symbols.iter().map(ToString::to_string).collect(),
        time_scale: describe(&config.time_scale),
        break_even: break_even(&config.time_scale),
        demo_time_scale: describe(&config.demo.time_scale),
        demo_break_even: break_even(&config.demo.time_scale),
        meaning: meaning(config),
    };
    context.out.answer(&answer, || {
        let rows = [
            ("data file", &answer.data_file),
            ("venue", &answer.venue),
            ("credentials", &answer.credentials.to_owned()),
            ("symbols", &answer.symbols.join(", ")),
            ("time scale", &answer.time_scale),
            ("demo", &answer.demo_time_scale),
        ];
        let rows: Vec<Vec<String>> = rows.iter().map(|(name, value)| vec![(*name).to_owned(), (*value).clone()]).collect();
        format!("the settings are valid\n{}\n{}", table(&rows), answer.meaning.join("\n"))
    })
}

/// Whether the pair can be found where the settings say; never what it is.
fn credentials(config: &Config) -> &'static str {
    let venue = &config.venue;
    let there = |file: &Path, variable: &str| {
        if file.as_os_str().is_empty() { std::env::var_os(variable).is_some_and(|v| !v.is_empty()) } else { file.exists() }
    };
    match (there(&venue.api_key_file, &venue.api_key_env), there(&venue.api_secret_file, &venue.api_secret_env)) {
        (true, true) => "found",
        (false, false) => "none",
        _ => "only one of key and secret",
    }
}

/// The limits as sentences.
fn meaning(config: &Config) -> Vec<String> {
    let (limits, quote) = (&config.limits, config.markets.quote);
    vec![
        format!(
            "fees: maker {} bps, taker {} bps until the account's own are known",
            config.venue.maker_fee_bps, config.venue.taker_fee_bps
        ),
        format!(
            "an order is at most {} {quote}, a position {}, all positions together {}",
            limits.max_order_notional, limits.max_position_notional, limits.max_exposure
        ),
        format!(
            "a loss of {} {quote} in a day, or a drawdown of {} bps, halts trading until you resume",
            limits.max_daily_loss, limits.max_drawdown_bps
        ),
        format!("one full position is {} % of equity", config.decision.position_percent),
        format!(
            "a model trades after a Sharpe of {}, a profit factor of {} and {} trades out of sample; others stay in shadow",
            config.gates.min_sharpe, config.gates.min_profit_factor, config.gates.min_trades
        ),
        format!("training looks back {} days", config.learning.lookback_days),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::config::load;
    use crate::protocol::LimitName;

    #[test]
    fn an_existing_file_is_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        write_default(&path).unwrap();
        std::fs::write(&path, "mine").unwrap();
        assert!(write_default(&path).unwrap_err().to_string().contains("exists already"));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
    }

    #[test]
    fn the_action_of_every_limit_is_shown() {
        let config = load(&[], std::iter::empty(), &["actions.max_daily_loss=flatten".to_owned()]).unwrap();
        let text = shown_text(&config);
        let row = |name: &str| text.lines().find(|line| line.starts_with(&format!("# {name} "))).map(str::to_owned);
        assert!(row("max_daily_loss").unwrap().contains("  flatten         cancel_entries flatten  "), "{text}");
        assert!(row("max_depeg_bps").unwrap().contains("off"), "{text}");
        assert!(LimitName::ALL.iter().all(|name| row(name.key()).is_some()));
        let json = serde_json::to_value(Shown::of(&config)).unwrap();
        assert_eq!(json["action_table"].as_array().unwrap().len(), ACTIONS.len());
        assert_eq!(json["limits"]["max_daily_loss"], "200");
    }

    #[test]
    fn what_is_shown_loads_again_as_the_same_settings() {
        let dir = tempfile::tempdir().unwrap();
        let config = load(&[], std::iter::empty(), &["limits.max_daily_loss=112.5".to_owned()]).unwrap();
        let path = dir.path().join("shown.toml");
        std::fs::write(&path, shown_text(&config)).unwrap();
        assert_eq!(load(&[path], std::iter::empty(), &[]).unwrap(), config);
    }
}
