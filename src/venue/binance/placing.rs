//! Placements, replacements and cancels performed: every answer becomes the venue's word about each order that it concerns.

use super::account::Account;
use super::error::{Call, ClientError, Fate};
use super::lists;
use super::orders;
use super::outbox::described;
use super::replace::{self, Leg, WhenNotCancelled};
use super::rest_account::Placed;
use crate::domain::{ClientOrderId, NewOrder, NewOrderList, Symbol};
use crate::protocol::{FailureKind, VenueEvent, VenueRefusal};

impl Account {
    pub async fn place(&self, order: NewOrder, opening: bool) {
        self.live().insert(order.id, order.symbol);
        let listening = self.listening();
        match self.sent(&order, opening).await {
            Ok(placed) => {
                self.owe_report(order.id, listening);
                self.tell_placed(placed).await;
            }
            Err(error) => self.tell_not_placed(&[order.id], &error).await,
        }
    }

    /// All orders of a list or none of them.
    pub async fn place_list(&self, list: NewOrderList, opening: bool) {
        let ids: Vec<ClientOrderId> = list.legs.orders().map(|order| order.id).collect();
        self.live().extend(list.legs.orders().map(|order| (order.id, order.symbol)));
        let listening = self.listening();
        match self.sent_list(&list, opening).await {
            Ok(told) => {
                let stated: Vec<ClientOrderId> = told.iter().map(|placed| placed.order.id).collect();
                // The first works at once; what waits for it may be reported later.
                if let Some(first) = ids.first().filter(|id| stated.contains(id)) {
                    self.owe_report(*first, listening);
                }
                for placed in told {
                    self.tell_placed(placed).await;
                }
                // Taken, and of this one nothing was said.
                for id in ids.into_iter().filter(|id| !stated.contains(id)) {
                    self.out.venue(VenueEvent::Unknown { id }).await;
                }
            }
            Err(error) => self.tell_not_placed(&ids, &error).await,
        }
    }

    /// The old order's end, then the new one's fate; each half is told by itself.
    pub async fn replace(&self, old: ClientOrderId, order: NewOrder) {
        self.live().insert(order.id, order.symbol);
        let listening = self.listening();
        let replaced = match replace::replace(&self.desk, old, &order, WhenNotCancelled::Stop, false).await {
            Ok(replaced) => replaced,
            Err(error) => {
                let message = refusal_text(&error);
                self.tell_not_placed(&[order.id], &error).await;
                self.out.venue(VenueEvent::CancelRefused { id: old, message }).await;
                return self.query(old, order.symbol).await;
            }
        };
        let id = order.id;
        match replaced.placed {
            Leg::Done(placed) => {
                self.owe_report(id, listening);
                self.tell_placed(placed).await;
            }
            Leg::Refused { reason, message } => self.refused(id, reason, message).await,
            Leg::NotAttempted => {
                let message = "the order that it was to replace was not cancelled".to_owned();
                self.refused(id, VenueRefusal::NotAttempted, message).await;
            }
            Leg::Unknown => self.out.venue(VenueEvent::Unknown { id }).await,
        }
        match replaced.cancelled {
            Leg::Done(ended) => {
                self.tell(VenueEvent::Order(ended.clone())).await;
                self.tell_fills_or_fail(&ended).await;
            }
            Leg::Refused { message, .. } => {
                self.out.venue(VenueEvent::CancelRefused { id: old, message }).await;
                self.query(old, order.symbol).await;
            }
            Leg::NotAttempted | Leg::Unknown => self.query(old, order.symbol).await,
        }
    }

    pub async fn cancel(&self, id: ClientOrderId, symbol: Symbol) {
        let error = match orders::cancel_with_list(&self.desk, id, symbol).await {
            Ok(ended) => {
                // The ends first: whoever waits for them must not wait for the trade list.
                for order in &ended {
                    self.tell(VenueEvent::Order(order.clone())).await;
                }
                for order in &ended {
                    self.tell_fills_or_fail(order).await;
                }
                return;
            }
            Err(error) => error,
        };
        if !error.is_unknown_order() {
            self.out.failed(&error).await;
        }
        self.out.venue(VenueEvent::CancelRefused { id, message: refusal_text(&error) }).await;
        self.query(id, symbol).await;
    }

    /// Has an order checked, here and by the venue; nothing is placed.
    pub async fn test(&self, order: NewOrder) {
        let call = Call { method: "POST", path: "/api/v3/order/test" };
        let tested = match self.rest.keeps_rules(call, &order, true) {
            Ok(()) => self.rest.test_order(&order).await,
            Err(error) => Err(error),
        };
        let refused = match tested {
            Ok(()) => None,
            Err(error) => match error.fate() {
                Fate::Refused(reason) => Some((reason, refusal_text(&error))),
                // No answer is no evidence.
                Fate::Unknown => return self.out.failed(&error).await,
            },
        };
        self.out.venue(VenueEvent::Tested { id: order.id, refused }).await;
    }

    async fn tell_placed(&self, placed: Placed) {
        let id = placed.order.id;
        self.out.venue(VenueEvent::Accepted { id, order_id: placed.order.order_id, at: placed.order.at }).await;
        for fill in placed.fills {
            self.out.venue(VenueEvent::Fill(fill)).await;
        }
        if placed.order.status.is_final() {
            self.tell(VenueEvent::Order(placed.order)).await;
        }
    }

    async fn tell_not_placed(&self, ids: &[ClientOrderId], error: &ClientError) {
        let fate = error.fate();
        if fate == Fate::Unknown || error.kind() != FailureKind::Server {
            self.out.failed(error).await;
        }
        for &id in ids {
            match fate {
                Fate::Unknown => self.out.venue(VenueEvent::Unknown { id }).await,
                Fate::Refused(reason) => self.refused(id, reason, refusal_text(error)).await,
            }
        }
    }

    async fn refused(&self, id: ClientOrderId, reason: VenueRefusal, message: String) {
        // A duplicate id is an order of ours that lives.
        if reason != VenueRefusal::DuplicateId {
            self.live().remove(&id);
        }
        self.out.venue(VenueEvent::Refused { id, reason, message }).await;
    }

    async fn sent(&self, order: &NewOrder, opening: bool) -> Result<Placed, ClientError> {
        self.rest.keeps_rules(Call { method: "POST", path: orders::ORDER }, order, opening)?;
        orders::place(&self.desk, order, opening).await
    }

    async fn sent_list(&self, list: &NewOrderList, opening: bool) -> Result<Vec<Placed>, ClientError> {
        for order in list.legs.orders() {
            self.rest.keeps_rules(Call { method: "POST", path: "/api/v3/orderList" }, order, opening)?;
        }
        Ok(lists::place(&self.desk, list, opening).await?.orders)
    }
}

/// The venue's own words if it spoke.
fn refusal_text(error: &ClientError) -> String {
    match error {
        ClientError::Venue { code, message, .. } => format!("{message} ({code})"),
        other => described(other),
    }
}
