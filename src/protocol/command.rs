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

impl std::fmt::Display for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Halt => f.write_str("halt"),
            Self::Resume => f.write_str("resume"),
            Self::Flatten => f.write_str("flatten"),
            Self::Stop => f.write_str("stop"),
            Self::Climb => f.write_str("climb the ladder"),
            Self::StepBack => f.write_str("step back on the ladder"),
            Self::SetLimit { name, value, confirmed } => {
                write!(f, "limit {name} {value}{}", if *confirmed { ", loosening confirmed" } else { "" })
            }
            Self::KeepLimit { name } => write!(f, "keep limit {name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_of_people_read_as_plain_words() {
        let value = LimitValue::Money("150".parse().unwrap());
        let loosen = |confirmed| Command::SetLimit { name: LimitName::MaxDailyLoss, value, confirmed }.to_string();
        assert_eq!(loosen(true), "limit max_daily_loss 150.00, loosening confirmed");
        assert_eq!(loosen(false), "limit max_daily_loss 150.00");
        assert_eq!(Command::KeepLimit { name: LimitName::MaxOpenOrders }.to_string(), "keep limit max_open_orders");
        assert_eq!(Command::StepBack.to_string(), "step back on the ladder");
    }
}
