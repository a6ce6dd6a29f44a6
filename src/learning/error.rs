//! Why training gave no models.

use crate::domain::{Symbol, Timestamp};
use crate::models::ModelError;

#[derive(Debug, thiserror::Error)]
pub enum LearningError {
    #[error("{symbol}: {have} candles, training needs at least {need}; fetch or import more history")]
    TooFewCandles { symbol: Symbol, have: usize, need: usize },
    #[error("{have} training rows, at least {need} are needed ({candles_needed} candles without gaps); fetch or import more history")]
    TooFewRows { have: usize, need: usize, candles_needed: usize },
    #[error("no market to learn from: name at least one symbol with candles")]
    NoSeries,
    #[error("{symbol}: candle {index} at {at} is unsound, out of order or off its interval")]
    UnsoundCandle { symbol: Symbol, index: usize, at: Timestamp },
    #[error("the markets have different candle intervals")]
    MixedIntervals,
    #[error("feature '{feature}' tells the label by itself (AUC {auc:.3}, correlation {correlation:.3}): it must be leaking the future")]
    LeakSuspected { feature: String, auc: f64, correlation: f64 },
    #[error("setting {name} = {value} is out of range: {expected}")]
    Setting { name: &'static str, value: f64, expected: &'static str },
    #[error("the model could not be trained")]
    Model(#[source] ModelError),
    #[error("the report could not be written")]
    Report(#[source] serde_json::Error),
    #[error("training was cancelled")]
    Cancelled,
}
