//! The order machine: one visible table of legal transitions.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::domain::{ClientOrderId, NewOrder, OrderId, OrderStatus, Qty, Timestamp, TradeId};
use crate::protocol::OrderState;
use crate::trading::costs::Reference;

/// What can happen to an order. Only the `Venue…` events end it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OrderEvent {
    /// The venue took it.
    VenueOpen,
    /// A fill that leaves a rest.
    VenuePartFilled,
    /// The last fill.
    VenueFilled,
    VenueCanceled,
    VenueExpired,
    /// It never was live.
    VenueRefused,
    /// We asked for its cancel.
    CancelSent,
    /// The venue would not cancel; it is queried.
    CancelRefused,
    /// A request's outcome is unknown.
    OutcomeUnknown,
}

/// The table. `None`: not legal from here (late or repeated news), the order stays as it is.
#[must_use]
#[rustfmt::skip]
pub fn next(state: OrderState, event: OrderEvent) -> Option<OrderState> {
    use OrderEvent as E;
    use OrderState as S;
    match (state, event) {
        (S::Submitted | S::Unknown, E::VenueOpen)                                      => Some(S::Open),
        (S::CancelSent, E::VenueOpen)                                                  => Some(S::CancelSent), // its ack came after our cancel
        (S::Submitted | S::Open | S::PartiallyFilled | S::Unknown, E::VenuePartFilled) => Some(S::PartiallyFilled),
        (S::CancelSent, E::VenuePartFilled)                                            => Some(S::CancelSent),
        (S::Canceled, E::VenuePartFilled)                                              => Some(S::Canceled), // it traded before the cancel arrived
        (S::Expired, E::VenuePartFilled)                                               => Some(S::Expired),
        (S::Submitted | S::Open | S::PartiallyFilled | S::CancelSent | S::Unknown, E::VenueFilled) => Some(S::Filled),
        (S::Canceled | S::Expired, E::VenueFilled)                                     => Some(S::Filled), // the venue's fills win
        (S::Submitted | S::Open | S::PartiallyFilled | S::CancelSent | S::Unknown, E::VenueCanceled) => Some(S::Canceled),
        (S::Submitted | S::Open | S::PartiallyFilled | S::CancelSent | S::Unknown, E::VenueExpired) => Some(S::Expired),
        (S::Submitted | S::Unknown | S::CancelSent, E::VenueRefused)                   => Some(S::Rejected),
        (S::Submitted | S::Open | S::PartiallyFilled | S::Unknown, E::CancelSent)      => Some(S::CancelSent),
        (S::CancelSent, E::CancelRefused)                                              => Some(S::Unknown), // perhaps filled: ask
        (S::Submitted | S::CancelSent, E::OutcomeUnknown)                              => Some(S::Unknown),
        _ => None,
    }
}

/// Why an order exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    Entry,
    Target,
    /// The venue's own watch over a holding.
    Stop,
    Exit,
}

impl std::fmt::Display for Purpose {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Entry => "entry",
            Self::Target => "target",
            Self::Stop => "stop",
            Self::Exit => "exit",
        })
    }
}

/// Which order of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Leg {
    /// The others wait until it has filled as a whole.
    Working,
    Above,
    Below,
}

/// An order's place in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Listed {
    pub list: ClientOrderId,
    pub leg: Leg,
}

/// One order of ours with everything known about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    pub new: NewOrder,
    pub order_id: Option<OrderId>,
    pub state: OrderState,
    pub purpose: Purpose,
    #[serde(default)]
    pub listed: Option<Listed>,
    /// Sum of the fills applied here.
    pub filled: Qty,
    /// What the venue says is filled; above `filled` while fills are still on their way.
    pub venue_filled: Qty,
    /// The venue's word that it ended, kept until all its fills have arrived.
    pub ended: Option<OrderStatus>,
    pub trades: BTreeSet<TradeId>,
    pub reference: Reference,
    pub created: Timestamp,
    pub updated: Timestamp,
    /// When we last asked about it or asked for its cancel.
    pub asked: Timestamp,
    /// Refused cancels in a row, and the last of them: each doubles the pause before the next.
    #[serde(default)]
    pub refused_cancels: u32,
    #[serde(default)]
    pub cancel_refused: Timestamp,
}

impl Order {
    #[must_use]
    pub fn is_final(&self) -> bool {
        self.state.is_final()
    }

    /// In the venue's book by its own word, and nothing is asked of it.
    #[must_use]
    pub const fn is_resting(&self) -> bool {
        matches!(self.state, OrderState::Open | OrderState::PartiallyFilled)
    }

    /// What may still trade.
    #[must_use]
    pub fn remaining(&self) -> Qty {
        if self.is_final() { Qty::ZERO } else { self.new.qty - self.filled }
    }

    /// Applies an event by the table; false when it is not legal from here.
    pub fn apply(&mut self, event: OrderEvent, at: Timestamp) -> bool {
        #[cfg(test)]
        super::word_tests::note(self.state, event);
        let Some(state) = next(self.state, event) else { return false };
        self.state = state;
        self.updated = at;
        true
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use OrderEvent as E;
    use OrderState as S;

    pub const STATES: [S; 9] =
        [S::Submitted, S::Open, S::PartiallyFilled, S::CancelSent, S::Unknown, S::Filled, S::Canceled, S::Rejected, S::Expired];
    pub const EVENTS: [E; 9] = [
        E::VenueOpen,
        E::VenuePartFilled,
        E::VenueFilled,
        E::VenueCanceled,
        E::VenueExpired,
        E::VenueRefused,
        E::CancelSent,
        E::CancelRefused,
        E::OutcomeUnknown,
    ];

    #[test]
    fn only_the_venue_ends_an_order() {
        for state in STATES.into_iter().filter(|s| !s.is_final()) {
            for event in [E::CancelSent, E::CancelRefused, E::OutcomeUnknown] {
                assert!(!next(state, event).is_some_and(S::is_final), "{state:?} {event:?}");
            }
        }
    }

    #[test]
    fn filled_and_rejected_are_the_end() {
        for event in EVENTS {
            assert_eq!(next(S::Filled, event), None);
            assert_eq!(next(S::Rejected, event), None);
        }
    }

    #[test]
    fn a_fill_after_a_cancel_counts() {
        assert_eq!(next(S::Canceled, E::VenueFilled), Some(S::Filled));
        assert_eq!(next(S::Canceled, E::VenuePartFilled), Some(S::Canceled));
    }

    #[test]
    fn every_live_state_can_end_in_every_way_the_venue_knows() {
        for state in STATES.into_iter().filter(|s| !s.is_final()) {
            for event in [E::VenueFilled, E::VenueCanceled, E::VenueExpired] {
                assert!(next(state, event).is_some_and(S::is_final), "{state:?} {event:?}");
            }
        }
    }
}
