//! What commands and runs share about learning: its settings, and the rules of a market that is in the data file.

use serde::{Deserialize, Serialize};

use super::config::Config;
use super::failure::Outcome;
use crate::domain::{FeeRates, Instrument, Interval, Symbol, Timestamp};
use crate::engine::TimeScale;
use crate::learning::{Bracket, GateLimits, TrainConfig};
use crate::store::Store;
use crate::venue::infer_instrument;

/// Training rows in one horizon. Their outcomes overlap, which the purge before each test allows for; a week of minutes is then enough.
const ROWS_PER_HORIZON: u32 = 10;

/// How models are trained for this time scale: the bracket that will be traded, the assumed spread, the gates, the seed.
#[must_use]
pub fn train_config(config: &Config, time_scale: &TimeScale) -> TrainConfig {
    let mut train = TrainConfig {
        bracket: Bracket {
            horizon_bars: time_scale.horizon_bars,
            hold_bars: time_scale.horizon_bars,
            target_sigma: time_scale.target_sigma,
            stop_sigma: time_scale.stop_sigma,
        },
        half_spread_bps: config.learning.half_spread_bps,
        gates: GateLimits {
            min_sharpe: config.gates.min_sharpe,
            min_profit_factor: config.gates.min_profit_factor,
            min_trades: config.gates.min_trades,
        },
        ..TrainConfig::default()
    };
    train.rows.stride_bars = Some((time_scale.horizon_bars / ROWS_PER_HORIZON).max(1));
    seed(&mut train, config.learning.seed);
    train
}

/// One seed for everything in a training run that draws random numbers.
pub fn seed(train: &mut TrainConfig, seed: u64) {
    train.trees.seed = seed;
    train.policy.ppo.seed = seed;
}

/// Takes rows closer together when there are few candles, down to one for each: their number is then enough, though they overlap more.
#[must_use]
pub fn with_rows_from(mut train: TrainConfig, candles: usize) -> TrainConfig {
    let wanted = u32::try_from(candles / (2 * train.rows.min_rows).max(1)).unwrap_or(u32::MAX).max(1);
    train.rows.stride_bars = train.rows.stride_bars.map(|stride| stride.min(wanted));
    train
}

/// A market's rules as the data file keeps them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownInstrument {
    #[serde(flatten)]
    pub instrument: Instrument,
    /// True when only candles were there to tell them.
    pub inferred: bool,
    /// What was assumed, a sentence each.
    pub notes: Vec<String>,
}

/// The rules of `symbol`: as stored, else as its candles of `interval` show. Inferred rules carry the fees in force, as they have none.
pub fn instrument_of(store: &Store, symbol: Symbol, interval: Interval, fees: FeeRates) -> Outcome<KnownInstrument> {
    if let Some(mut known) = stored_instrument(store, symbol)? {
        if known.inferred {
            known.instrument.fees = fees;
        }
        return Ok(known);
    }
    let candles = store.candles(symbol, interval, Timestamp::EPOCH, Timestamp::MAX)?;
    let (instrument, notes) = infer_instrument(symbol, &candles, fees);
    Ok(KnownInstrument { instrument, inferred: true, notes })
}

/// What is kept of `symbol`, if anything is.
pub fn stored_instrument(store: &Store, symbol: Symbol) -> Outcome<Option<KnownInstrument>> {
    let bytes = store.meta(&name(symbol))?;
    Ok(bytes.map(|bytes| serde_json::from_slice(&bytes)).transpose()?)
}

pub fn keep_instrument(store: &Store, known: &KnownInstrument) -> Outcome {
    store.put_meta(&name(known.instrument.symbol), &serde_json::to_vec(known)?)?;
    Ok(())
}

fn name(symbol: Symbol) -> String {
    format!("instrument/{symbol}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::config;
    use crate::domain::Bps;
    use crate::protocol::Mode;
    use crate::store::{FileKind, Identity, Scope};

    #[test]
    fn training_uses_the_bracket_that_is_traded() {
        let config = config::load(&[], std::iter::empty(), &["learning.seed=9".to_owned()]).unwrap();
        let train = train_config(&config, &config.time_scale);
        assert_eq!((train.bracket.horizon_bars, train.bracket.hold_bars), (60, 60));
        assert_eq!((train.trees.seed, train.policy.ppo.seed, train.gates.min_trades), (9, 9, 100));
        assert!(train.check().is_ok());
        let stride = |candles| with_rows_from(train.clone(), candles).rows.stride_bars;
        assert_eq!((stride(43_200), stride(10_080), stride(5_720), stride(0)), (Some(6), Some(3), Some(1), Some(1)));
    }

    #[test]
    fn inferred_rules_take_the_fees_in_force_and_told_rules_keep_theirs() {
        let dir = tempfile::tempdir().unwrap();
        let scope = Scope { mode: Mode::Backtest, venue: String::new(), account: String::new() };
        let store = Store::open(&dir.path().join("x.redb"), &Identity { kind: FileKind::Real, scope }).unwrap();
        let symbol: Symbol = "ADABTC".parse().unwrap();
        let fees = |bps| FeeRates { maker: Bps::from_bps(bps), taker: Bps::from_bps(bps) };
        let mut known = instrument_of(&store, symbol, Interval::MINUTE, fees(10)).unwrap();
        assert!(known.inferred && known.instrument.quote.as_str() == "BTC");
        keep_instrument(&store, &known).unwrap();
        assert_eq!(instrument_of(&store, symbol, Interval::MINUTE, fees(3)).unwrap().instrument.fees, fees(3));
        known.inferred = false;
        keep_instrument(&store, &known).unwrap();
        assert_eq!(instrument_of(&store, symbol, Interval::MINUTE, fees(3)).unwrap(), known);
    }
}
