//! What a person may ask of a running box.

use serde::{Deserialize, Serialize};

use super::{LimitName, LimitValue};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Stop opening: entries are cancelled, exits and protection stay.
    Halt,
    /// Allow entries again; latched safety stops are re-armed by this alone. After a balance mismatch, and while no order lives, what the
    /// venue holds is accepted as moved from outside.
    Resume,
    /// Halt, and close every position at the market.
    Flatten,
    /// The program is about to stop: no new entries, resting entries are cancelled, positions stay.
    Stop,
    /// Go one rung up the ladder, if all its gates pass.
    Climb,
    /// Go one rung down the ladder.
    StepBack,
    /// A limit gets another value. A tighter one holds at once; a looser one must be `confirmed` (by the typed word) and holds after the
    /// delay of the settings.
    SetLimit { name: LimitName, value: LimitValue, confirmed: bool },
    /// A looser value that waits for its delay is withdrawn.
    KeepLimit { name: LimitName },
}
