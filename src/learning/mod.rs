//! The workshop: from candles to judged models. Its results enter the engine as events.
//!
//! *Takes*: `SymbolSeries` (finished candles of each market), a `TrainConfig`, a `Lineage` (time, code version, parents), a `Watch`
//! (progress and cancellation). *Gives*: `TrainOutcome`: a `ModelRecord` of the trees and one of the policy, each with gates and a JSON report;
//! shadow trades as `Episode`s; every trial as an `Experiment`; or a `LearningError` that names what is missing.
//!
//! The way of the data: `series` (checked, cut at holes) > `dataset` (features and `labels`) > `walk_forward` (`splits`, `rule`) >
//! `train_trees` (`equity`, `metrics`, `gates`), and beside it `shadow_market` > `shadow_env` > `train_policy`. From followed quotes
//! `fill_fit` makes the fill model; `order_costs` sums up what parent orders cost.
//!
//! Invariants
//! 1. No outcome that is learned from reaches into a test (`splits::tests::no_outcome_learned_from_reaches_into_the_test`,
//!    `walk_forward::tests::the_past_does_not_depend_on_the_future`).
//! 2. A row knows nothing of later candles (`dataset::tests::a_row_knows_nothing_of_later_candles`), a label nothing behind its exit
//!    (`labels::tests::nothing_after_the_exit_matters`).
//! 3. A feature that copies the label stops the training (`walk_forward::tests::the_label_as_a_feature_stops_the_training`); permuted
//!    labels have no edge (`walk_forward::tests::permuted_labels_have_no_edge`); older features forecast no better
//!    (`walk_forward::tests::older_features_do_not_forecast_better`).
//! 4. Costs are charged once on each side (`labels::tests::the_target_fills_at_its_price_and_costs_are_charged_once_a_side`), and the
//!    policy's rewards sum to net results (`shadow_env::tests::rewards_sum_to_what_the_trades_made_net`).
//! 5. Labels and the exchange agree on how a trade ends (`shadow_market::tests::without_a_spread_the_exchange_agrees_with_the_label`).
//! 6. Candles leave as they entered (`dataset::tests::candles_leave_the_feature_stage_as_they_entered`); a missing candle is never made up
//!    (`dataset::tests::a_long_hole_restarts_the_warm_up_and_no_label_crosses_it`).
//! 7. Without trades no gate passes (`gates::tests::no_trades_fail_every_gate`); each gate has a case that passes and one that fails.
//! 8. The same input gives the same models (`train::tests::the_same_input_gives_the_same_outcome`).
//! 9. A fill model is judged on quotes newer than all outcomes it was fitted on
//!    (`fill_fit::tests::the_judged_part_is_newer_than_all_outcomes_of_the_fitted_part`) and used only when it beats what it replaces
//!    (`fill_fit::tests::a_fit_that_does_not_beat_both_is_reported_and_not_used`).
//! 10. The result by day, market and strategy is the ledger's own, to the last unit
//!     (`pnl_table::tests::the_tables_equal_the_ledger_and_a_dumb_re_sum`).
//!
//! *Never*: be called by `engine`; import venue, store or tui; read a clock or a file; let a result loosen a gate.
//!
//! Decisions
//! - Fees come from the instrument, so there is one truth; labels assume that both sides take, as no maker fill may be taken for granted.
//! - A threshold is chosen on rows that the trees were not fitted on: in-sample forecasts flatter themselves.
//! - A fold whose validation part lost at every threshold stands aside: zero trades are a result, and fail the gates.
//! - The policy that was judged is kept as it is; the trees for use are fitted once more on everything, and never scored.

mod config;
mod dataset;
pub mod drive;
mod equity;
mod error;
mod fill_fit;
#[cfg(test)]
mod fixture;
mod gates;
mod labels;
mod leak;
mod metrics;
pub mod order_costs;
mod pnl_table;
mod progress;
mod rule;
mod series;
mod shadow_env;
mod shadow_market;
mod splits;
mod train;
mod train_policy;
mod train_trees;
mod walk_forward;

pub use config::{PolicyConfig, RowConfig, TrainConfig, WalkForwardConfig};
pub use dataset::{Dataset, DatasetReport, Row};
pub use equity::{Marked, Trade, marked};
pub use error::LearningError;
pub use fill_fit::{FillFit, FillSample, FillScore, MIN_FILL_SAMPLES, MOST_FILL_SAMPLES, fit_fill_model};
pub use gates::{GateLimits, all_passed, judge};
pub use labels::{Bracket, CostAssumption, Label, label};
pub use leak::LeakLimits;
pub use metrics::{Performance, TradeResult, TradeStats, Usage, mean};
pub use pnl_table::{Books, DayRow, PnlTable, Strategy, StrategyRow, Sums, SymbolRow, TradeSums, Transfer, pnl_table, strategy};
pub use progress::{Progress, Watch};
pub use series::{Bars, SymbolSeries, data_id};
pub use shadow_market::{ShadowMarket, Standing};
pub use splits::{Fold, Window, folds};
pub use train::{Experiment, Lineage, TrainOutcome, train};
pub use train_policy::{PolicyReport, TrainedPolicy, train_policy};
pub use train_trees::{TrainedTrees, TreesReport, train_trees};
pub use walk_forward::{FoldReport, WalkForward};
