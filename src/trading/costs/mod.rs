//! What trading costs: before an order (fill probability, the cheapest way), and after it (where the money went, what a taker had paid).
//!
//! *Takes*: the book's levels, public trades, fees, fills and mids. *Gives*: a `Choice` among ways to quote, `OrderCostRecord`s with their
//! counterfactual, `FillSampleRecord`s of followed quotes, and the `Breakdown` of a round trip.
//!
//! Reads in this order: `breakdown` (a closed trade) > `depth` (walking the book, slicing) > `intensity` (who takes how much) >
//! `fill_model` and `calibration` > `adverse` (what fills cost afterwards) > `choice` (the cheapest way) > `markout`, `order_cost` (what a
//! parent order cost) and `shadow_quotes` (quotes that are only followed) > `maker_rules` (configuration).
//!
//! Invariants
//! 1. gross - fees - spread - slippage - impact = net, to the last unit (`breakdown::tests::the_identity_holds_to_the_last_unit`).
//! 2. A fill probability is between 0 and 1, grows with time and volume and falls with the queue
//!    (`fill_model::tests::time_and_volume_help_and_a_queue_does_not`), for any input (`fill_model::tests::no_input_breaks_it`).
//! 3. Money is exact: a walk's value is the sum of its levels (`depth::tests::a_walk_takes_level_after_level`), and counterfactual less
//!    real cost is what was saved (`order_cost::tests::what_was_saved_is_the_difference_of_two_exact_costs`), for a part by the levels that
//!    the part would have taken (`order_cost::tests::a_part_is_compared_with_the_cheapest_levels_of_the_book`).
//! 4. Selection is charged once: what fills lose, misses gain, so a market without drift has no further cost of missing
//!    (`choice::tests::selection_is_charged_once`).
//! 5. A followed quote fills only behind its whole queue, or when the market trades through it
//!    (`shadow_quotes::tests::the_whole_queue_trades_first`); a real one only by its real fills
//!    (`shadow_quotes::tests::only_its_real_fills_fill_an_order_that_is_out`).
//! 6. What a gap in the data hides is unknown, not guessed from what came after it
//!    (`markout::tests::a_mid_that_comes_late_is_the_mid_of_another_moment`,
//!    `shadow_quotes::tests::what_was_followed_while_the_book_was_lost_has_no_outcome`).
//!
//! *Never*: charge a cost twice; send an order; read a clock.

mod adverse;
mod breakdown;
mod calibration;
mod choice;
mod depth;
mod fill_model;
mod intensity;
mod maker_rules;
mod markout;
mod order_cost;
mod quote_market;
mod shadow_quotes;

pub use adverse::AdverseSelection;
pub use breakdown::{Breakdown, Leg, Reference, break_even_win_rate, breakdown, expected_round_trip_bps, touch_for};
pub use calibration::{FillBin, FillCalibration};
pub use choice::{Choice, ChoiceInput, Missing, choose};
pub use depth::{Slice, TakerBook, Walk, slice, slices, taker_cost, walk};
pub use fill_model::{FillModel, fill_features};
pub use intensity::{Rates, TradeIntensity};
pub use maker_rules::MakerRules;
pub use markout::MarkoutClock;
pub use order_cost::{OrderCostTracker, ParentDecided};
pub use quote_market::{QuoteMarket, RestingQuote};
pub use shadow_quotes::{FollowedQuote, ShadowQuotes};
