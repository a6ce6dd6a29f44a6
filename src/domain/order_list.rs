//! Orders that are placed together and live by each other's fate.

use serde::{Deserialize, Serialize};

use super::{ClientOrderId, NewOrder, OrderListId};

/// A list of ours, complete: nothing is left to choose when it is sent. All legs trade one symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewOrderList {
    pub id: ClientOrderId,
    pub legs: ListLegs,
}

/// How the legs depend on each other. Source: Binance, order list FAQ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ListLegs {
    /// One cancels the other: same side and quantity; `above` trades above the market, `below` below it; one is a limit-maker or
    /// take-profit order, the other a stop-loss order.
    Oco { above: NewOrder, below: NewOrder },
    /// `pending` goes live once `working` (a limit or limit-maker order) is filled as a whole.
    Oto { working: NewOrder, pending: NewOrder },
    /// The two pending orders go live as an `Oco` once `working` is filled as a whole.
    Otoco { working: NewOrder, above: NewOrder, below: NewOrder },
}

impl ListLegs {
    /// Every leg, the working one first.
    pub fn orders(&self) -> impl Iterator<Item = &NewOrder> {
        let (first, second, third) = match self {
            Self::Oco { above, below } => (above, below, None),
            Self::Oto { working, pending } => (working, pending, None),
            Self::Otoco { working, above, below } => (working, above, Some(below)),
        };
        [first, second].into_iter().chain(third)
    }
}

/// What kind of list it is, in the venue's words `OCO` and `OTO` (an OTOCO is an OTO list of three orders).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ListKind {
    Oco,
    Oto,
}

/// Where a list stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ListStatus {
    /// Some leg is live or waits.
    Executing,
    /// Every leg has ended.
    AllDone,
    /// Never was live.
    Rejected,
}

/// The venue's answer to a list: its id and where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListState {
    pub list_id: OrderListId,
    pub kind: ListKind,
    pub status: ListStatus,
}
