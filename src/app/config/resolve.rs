//! From what was written to what a run needs, with the checks that need more than one key.

use super::{AccountConfig, Config};
use crate::app::failure::{ExitKind, Failure, Outcome};
use crate::app::training::train_config;
use crate::domain::{Bps, Money};
use crate::engine::{Settings, TimeScale};
use crate::learning::LearningError;
use crate::protocol::Mode;
use crate::trading::costs::MakerRules;
use crate::trading::risk::LadderRules;

/// Spread assumed for the break-even check before a book is seen.
const TYPICAL_SPREAD: Bps = Bps::from_bps(1);

/// The engine's settings for a mode. `replay`: a capture, which decides on short bars.
#[must_use]
pub fn engine_settings(config: &Config, mode: Mode, replay: bool) -> Settings {
    let (symbols, quote) = config.markets_of(mode);
    let demo = mode == Mode::Demo;
    let mut time_scale = if demo { config.demo.time_scale.clone() } else { config.time_scale.clone() };
    if replay {
        time_scale.bar = config.replay.bar;
    }
    let mut limits = config.limits.clone();
    if demo {
        limits.cool_down_ms = config.demo.exploration.cool_down_ms;
        // At its fees the demo loses most trades, by design and with its own small allowance: a streak says nothing there.
        limits.max_losing_streak = None;
    }
    if demo || replay || mode == Mode::Backtest {
        // Neither the synthetic market nor stored data has the coin's own market.
        limits.stablecoin_symbol = None;
    }
    if replay {
        // A recording may hold differences alone: there is nothing to compare them with.
        limits.max_quote_book_gap_bps = None;
    }
    Settings {
        mode,
        symbols: symbols.to_vec(),
        quote,
        time_scale,
        limits,
        actions: config.actions.clone(),
        sizing: config.sizing.clone(),
        execution: if demo { config.demo.execution.clone() } else { config.execution.clone() },
        maker: config.maker.clone(),
        decision: config.decision.clone(),
        exploration: demo.then(|| config.demo.exploration.allowance()),
        health: config.health.clone(),
        graph_from: config.memory.graph_from,
        ladder: (mode == Mode::Live).then(|| config.ladder.clone()),
        account: config.account.currency(),
    }
}

pub(super) fn check(config: &Config) -> Outcome {
    check_maker(&config.maker)?;
    check_ladder(&config.ladder)?;
    check_account(&config.account)?;
    check_limits(config)?;
    check_time_scale("time_scale", &config.time_scale, config)?;
    check_time_scale("demo.time_scale", &config.demo.time_scale, config)?;
    check_learning("time_scale", &config.time_scale, config)?;
    check_learning("demo.time_scale", &config.demo.time_scale, config)?;
    let percent = config.demo.exploration.equity_percent;
    if !(0.0..=1.0).contains(&percent) {
        return Err(Failure::usage(format!("demo.exploration.equity_percent is {percent}: at most 1")));
    }
    for (name, percent) in [("decision.position_percent", config.decision.position_percent)] {
        if !(percent > 0.0 && percent <= 100.0) {
            return Err(Failure::usage(format!("{name} is {percent}: above 0, at most 100")));
        }
    }
    if config.markets.symbols.is_empty() || config.demo.symbols.is_empty() {
        return Err(Failure::usage("markets.symbols and demo.symbols need at least one symbol"));
    }
    if config.paper.latency_ms == 0 {
        return Err(Failure::usage(
            "paper.latency_ms is 0: above 0; an order that takes no time fills at the price it was decided on, which no market gives",
        ));
    }
    if !["error", "warn", "info", "debug", "trace"].contains(&config.log.level.as_str()) {
        return Err(Failure::usage(format!("log.level is {}: error, warn, info, debug or trace", config.log.level)));
    }
    Ok(())
}

/// Limits, actions and sizes that can not be meant are named, all of them.
fn check_limits(config: &Config) -> Outcome {
    let mut said = config.limits.contradictions();
    said.extend(config.actions.contradictions());
    said.extend(config.sizing.contradictions(config.limits.max_drawdown_bps));
    if said.is_empty() { Ok(()) } else { Err(Failure::usage(said.join("; "))) }
}

fn check_maker(maker: &MakerRules) -> Outcome {
    if !(maker.depth_share_percent > 0.0 && maker.depth_share_percent <= 100.0) {
        return Err(Failure::usage(format!("maker.depth_share_percent is {}: above 0, at most 100", maker.depth_share_percent)));
    }
    if maker.twap_parts == 0 {
        return Err(Failure::usage("maker.twap_parts must be above 0"));
    }
    Ok(())
}

fn check_ladder(rules: &LadderRules) -> Outcome {
    if rules.allocated_capital <= Money::ZERO {
        return Err(Failure::usage("ladder.allocated_capital must be above 0"));
    }
    if !(0.0..=1.0).contains(&rules.book_valid_share) || !(0.0..=1.0).contains(&rules.drawdown_share) {
        return Err(Failure::usage("ladder.book_valid_share and ladder.drawdown_share are shares: from 0 to 1"));
    }
    let numbers = [rules.data_hours, rules.clock_drift_ms, rules.slippage_bps];
    if numbers.iter().any(|number| !(number.is_finite() && *number >= 0.0)) || !rules.paper_net_bps.is_finite() {
        return Err(Failure::usage("ladder.data_hours, clock_drift_ms and slippage_bps must be 0 or above"));
    }
    Ok(())
}

/// A currency needs its pair, and the other way round.
fn check_account(account: &AccountConfig) -> Outcome {
    let unused = account.currency.is_empty() && account.fx_symbol.is_empty();
    if unused || account.currency().is_some() && account.fx_max_age_ms > 0 {
        return Ok(());
    }
    Err(Failure::usage(
        "account.currency and account.fx_symbol go together, such as GBP and GBPUSDT, and account.fx_max_age_ms is above 0; leave both \
         names empty to count in the quote currency",
    ))
}

/// The bracket must be able to earn its costs, or say plainly (by its own limit) that it can not.
fn check_time_scale(name: &str, scale: &TimeScale, config: &Config) -> Outcome {
    if scale.horizon_bars == 0 || !(scale.target_sigma > 0.0 && scale.stop_sigma > 0.0 && scale.typical_minute_bps > 0.0) {
        return Err(Failure::usage(format!("{name}: horizon, target, stop and typical volatility must be above 0")));
    }
    let break_even = scale.break_even(config.fees(), TYPICAL_SPREAD);
    if break_even > scale.max_break_even {
        return Err(Failure::refused(format!(
            "{name}: this bracket breaks even at {:.0} % winners, the limit is {:.0} %: hold longer, widen the target, or lower the fees \
             ({name}.max_break_even overrules)",
            break_even * 100.0,
            scale.max_break_even * 100.0
        )));
    }
    Ok(())
}

/// What training would refuse is refused before anything starts: a run would try to learn for ever.
fn check_learning(name: &str, scale: &TimeScale, config: &Config) -> Outcome {
    for (key, days) in [("learning.lookback_days", config.learning.lookback_days), ("demo.history_days", config.demo.history_days)] {
        if days == 0 {
            return Err(Failure::usage(format!("{key} is 0: at least 1")));
        }
    }
    train_config(config, scale).check().map_err(|error| match error {
        LearningError::Setting { name: setting, value, expected } => {
            Failure::usage(format!("{} is {value}: {expected}", key_of(setting, name)))
        }
        other => Failure::of(ExitKind::Usage, other),
    })
}

/// The key of a training setting; the bracket that is learned is the one that is traded.
fn key_of(setting: &str, scale: &str) -> String {
    match setting.split_once('.') {
        Some(("bracket", leaf)) => format!("{scale}.{leaf}"),
        Some(_) => setting.to_owned(),
        None => format!("learning.{setting}"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::load;
    use crate::app::failure::ExitKind;
    use crate::trading::risk::ACTIONS;

    fn refusal(set: &str) -> (ExitKind, String) {
        let failure = load(&[], std::iter::empty(), &[set.to_owned()]).expect_err(set);
        (failure.kind, failure.to_string())
    }

    #[test]
    fn limits_that_contradict_are_refused() {
        assert_eq!(refusal("limits.max_order_notional=5000").0, ExitKind::Usage);
        assert_eq!(refusal("limits.max_position_notional=5000").0, ExitKind::Usage);
        assert_eq!(refusal("limits.max_daily_loss=0").0, ExitKind::Usage);
        assert_eq!(refusal("limits.max_hourly_loss=0").0, ExitKind::Usage);
        assert_eq!(refusal("limits.max_losing_streak=0").0, ExitKind::Usage);
        assert_eq!(refusal("limits.min_cash_reserve_bps=10000").0, ExitKind::Usage);
        assert_eq!(refusal("maker.depth_share_percent=0").0, ExitKind::Usage);
        assert_eq!(refusal("maker.twap_parts=0").0, ExitKind::Usage);
        assert_eq!(refusal("demo.exploration.equity_percent=2").0, ExitKind::Usage);
        assert_eq!(refusal("ladder.allocated_capital=0").0, ExitKind::Usage);
        assert_eq!(refusal("ladder.book_valid_share=1.1").0, ExitKind::Usage);
        assert_eq!(refusal("account.currency=GBP").0, ExitKind::Usage);
        assert_eq!(refusal("paper.latency_ms=0").0, ExitKind::Usage);
        assert_eq!(refusal("actions.max_daily_loss=block_entries").0, ExitKind::Usage);
        assert_eq!(refusal("sizing.kelly_fraction=0.6").0, ExitKind::Usage);
        let (kind, said) = refusal("limits.max_hourly_loss=300");
        assert!(kind == ExitKind::Usage && said.contains("limits.max_hourly_loss") && said.contains("limits.max_daily_loss"), "{said}");
    }

    #[test]
    fn the_built_in_actions_are_those_of_the_table() {
        let config = load(&[], std::iter::empty(), &[]).unwrap();
        for row in ACTIONS {
            assert_eq!(config.actions.of(row.cause), row.usual, "{}", row.cause.key());
        }
        let text: toml::Table = toml::from_str(super::super::DEFAULT).unwrap();
        let named = text["actions"].as_table().unwrap();
        let free: BTreeSet<&str> = ACTIONS.iter().filter(|row| row.choices.len() > 1).map(|row| row.cause.key()).collect();
        assert_eq!(named.keys().map(String::as_str).collect::<BTreeSet<_>>(), free, "every choice has its key");
    }

    #[test]
    fn what_training_would_refuse_is_refused_at_start_by_its_key() {
        for (set, key) in [
            ("gates.min_sharpe=-1000", "gates.min_sharpe is -1000: "),
            ("gates.min_profit_factor=0.5", "gates.min_profit_factor is 0.5: "),
            ("gates.min_trades=0", "gates.min_trades is 0: "),
            ("learning.half_spread_bps=-1", "learning.half_spread_bps is -1: "),
            ("learning.lookback_days=0", "learning.lookback_days is 0: "),
            ("demo.history_days=0", "demo.history_days is 0: "),
            ("time_scale.target_sigma=inf", "time_scale.target_sigma is inf: "),
            ("demo.time_scale.target_sigma=inf", "demo.time_scale.target_sigma is inf: "),
        ] {
            let (kind, said) = refusal(set);
            assert!(kind == ExitKind::Usage && said.starts_with(key), "{set}: {said}");
        }
    }

    #[test]
    fn a_bracket_that_can_not_earn_its_costs_is_refused() {
        let (kind, text) = refusal("time_scale.horizon_bars=3");
        assert_eq!(kind, ExitKind::Refused);
        assert!(text.contains("breaks even at"), "{text}");
    }
}
