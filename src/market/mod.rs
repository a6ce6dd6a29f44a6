//! The ground: folds what a market says into order book, candles, feed quality, one feature vector and the regime.
//!
//! *Takes / gives*: `MarketUpdate`s of one symbol in the order of arrival, and time; `MarketState` answers what is known.
//!
//! Invariants
//! 1. A book with missing updates is no book (`book::tests::a_gap_invalidates_until_a_snapshot_that_the_kept_diffs_continue`), and a market
//!    that had a book is not priced without one (`state::tests::the_mid_needs_a_valid_book_once_there_was_one`).
//! 2. The levels are those of a plain map told of every change (`book::tests::the_book_equals_a_plain_map`).
//! 3. Only finished candles leave, each once (`bars::tests::silent_minutes_repeat_the_close_but_nothing_comes_before_the_first_trade`,
//!    `state::tests::given_candles_win_over_trades_and_repeated_ones_are_not_taken`).
//! 4. A book whose best prices contradict the quotes for a second is no book (`state::tests::a_book_that_contradicts_the_quotes_is_given_up`),
//!    and one that agrees is never doubted (`touch::tests::a_true_book_is_quiet_in_any_interleaving`).
//! 5. Features do not look ahead, do not depend on where the history starts, and leave the candles as they were (see `features`).
//!
//! *Never*: a position, an unfinished candle, a clock, a venue's wire format.

pub mod bars;
pub mod book;
pub mod features;
mod ladder;
pub mod merge;
pub mod quality;
pub mod regime;
mod state;
mod touch;

pub use bars::BarBuilder;
pub use book::{Applied, BookCounts, OrderBook};
pub use features::{FeatureBuilder, FeatureVector, Micro};
pub use merge::merge_by_local_time;
pub use quality::{ClockOffset, FeedQuality};
pub use state::{KEPT_CANDLES, MarketState};
pub use touch::TouchCheck;
