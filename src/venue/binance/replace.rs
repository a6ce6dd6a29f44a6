//! Cancel one order and place another in one request; each half has its own outcome.
//!
//! Source: Binance rest-api.md, `order/cancelReplace`: 200 both done; -2022 (400) neither or not known; -2021 (409) one of them.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::error::{Call, ClientError, Fate};
use super::http::{Terms, VenueErrorWire};
use super::orders::{ask, order_params};
use super::rest_account::Placed;
use super::rest_wire::{Cancelled, OrderWire};
use super::transport::{Ask, Transport};
use crate::domain::{ClientOrderId, NewOrder};
use crate::protocol::{VenueOrder, VenueRefusal};

/// What became of one half.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leg<T> {
    Done(T),
    /// Certain: it was not done.
    Refused {
        reason: VenueRefusal,
        message: String,
    },
    /// Certain: the venue did not try.
    NotAttempted,
    /// Not proven: ask.
    Unknown,
}

/// What became of both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaced {
    pub cancelled: Leg<VenueOrder>,
    pub placed: Leg<Placed>,
}

/// What happens to the new order when the old one cannot be cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenNotCancelled {
    Stop,
    PlaceAnyway,
}

/// An error means that neither half is settled by what was answered; its `fate()` holds for both.
pub(super) async fn replace(
    via: &impl Transport,
    old: ClientOrderId,
    new: &NewOrder,
    when: WhenNotCancelled,
    opening: bool,
) -> Result<Replaced, ClientError> {
    let ask = replacement(old, new, when, opening);
    match via.ask::<ReplacedWire>(&ask).await {
        Ok(wire) => Ok(wire.settle(ask.call, old, new.id)),
        Err(ClientError::Venue { call, status, code: code @ (-2021 | -2022), message, data }) => {
            match data.as_deref().and_then(|d| serde_json::from_str::<ReplacedWire>(d).ok()) {
                Some(wire) => Ok(wire.settle(call, old, new.id)),
                // Something may have been done, and what is not told.
                None => Ok(untold(status, code, message)),
            }
        }
        Err(error) => Err(error),
    }
}

pub(super) fn replacement(old: ClientOrderId, new: &NewOrder, when: WhenNotCancelled, opening: bool) -> Ask {
    let mode = match when {
        WhenNotCancelled::Stop => "STOP_ON_FAILURE",
        WhenNotCancelled::PlaceAnyway => "ALLOW_FAILURE",
    };
    let query = order_params(new).with("cancelReplaceMode", mode).with("cancelOrigClientOrderId", old);
    ask("POST", "/api/v3/order/cancelReplace", "order.cancelReplace", query, Terms::placement(1, opening))
}

fn untold(status: u16, code: i64, message: String) -> Replaced {
    tracing::warn!(status, code, message, "a replacement's answer does not say what was done");
    Replaced { cancelled: Leg::Unknown, placed: Leg::Unknown }
}

/// The answer of 200, and `data` of 400 and 409.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReplacedWire {
    cancel_result: String,
    new_order_result: String,
    #[serde(default)]
    cancel_response: Option<Box<RawValue>>,
    #[serde(default)]
    new_order_response: Option<Box<RawValue>>,
}

impl ReplacedWire {
    fn settle(&self, call: Call, old: ClientOrderId, new: ClientOrderId) -> Replaced {
        let cancelled = |text: &str| {
            let told: Cancelled = serde_json::from_str(text).ok()?;
            told.orders().find(|o| o.our_id() == Some(old)).map(|o| o.order(old))
        };
        let placed = |text: &str| {
            let told: OrderWire = serde_json::from_str(text).ok()?;
            (told.our_id() == Some(new)).then(|| told.placed(new))
        };
        Replaced {
            cancelled: leg(call, &self.cancel_result, self.cancel_response.as_deref(), cancelled),
            placed: leg(call, &self.new_order_result, self.new_order_response.as_deref(), placed),
        }
    }
}

fn leg<T>(call: Call, result: &str, response: Option<&RawValue>, read: impl Fn(&str) -> Option<T>) -> Leg<T> {
    let text = response.map_or("null", RawValue::get);
    match result {
        "SUCCESS" => read(text).map_or(Leg::Unknown, Leg::Done),
        "NOT_ATTEMPTED" => Leg::NotAttempted,
        "FAILURE" => {
            let Ok(told) = serde_json::from_str::<VenueErrorWire>(text) else { return Leg::Unknown };
            let error = told.error(call, 400);
            match (error.fate(), error) {
                (Fate::Refused(reason), ClientError::Venue { code, message, .. }) => {
                    Leg::Refused { reason, message: format!("{message} ({code})") }
                }
                _ => Leg::Unknown,
            }
        }
        _ => Leg::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{OrderStatus, RunId};

    const OLD: ClientOrderId = ClientOrderId { run: RunId(0x1f), sequence: 1 };
    const NEW: ClientOrderId = ClientOrderId { run: RunId(0x1f), sequence: 2 };
    const CALL: Call = Call { method: "POST", path: "/api/v3/order/cancelReplace" };

    pub fn cancelled() -> String {
        r#"{"symbol":"BTCUSDT","origClientOrderId":"h000000000000001f-1","orderId":4,"orderListId":-1,"clientOrderId":"x","transactTime":5,
            "price":"2.0","origQty":"1.0","executedQty":"0.25","status":"CANCELED","timeInForce":"GTC","type":"LIMIT","side":"BUY"}"#
            .to_owned()
    }

    pub fn placed() -> String {
        cancelled()
            .replace("\"origClientOrderId\":\"h000000000000001f-1\",", "")
            .replace("\"x\"", "\"h000000000000001f-2\"")
            .replace("CANCELED", "NEW")
    }

    fn settled(cancel: &str, cancel_response: &str, new: &str, new_response: &str) -> Replaced {
        let text = format!(
            r#"{{"cancelResult":"{cancel}","newOrderResult":"{new}","cancelResponse":{cancel_response},"newOrderResponse":{new_response}}}"#
        );
        serde_json::from_str::<ReplacedWire>(&text).unwrap().settle(CALL, OLD, NEW)
    }

    #[test]
    fn each_half_is_settled_by_itself() {
        let both = settled("SUCCESS", &cancelled(), "SUCCESS", &placed());
        assert!(matches!(&both.cancelled, Leg::Done(o) if o.status == OrderStatus::Canceled && o.id == OLD));
        assert!(matches!(&both.placed, Leg::Done(p) if p.order.id == NEW));
        let gone = r#"{"code":-2011,"msg":"Unknown order sent."}"#;
        let stopped = settled("FAILURE", gone, "NOT_ATTEMPTED", "null");
        assert!(matches!(&stopped.cancelled, Leg::Refused { message, .. } if message.contains("-2011")));
        assert_eq!(stopped.placed, Leg::NotAttempted);
        let poor = r#"{"code":-2010,"msg":"Account has insufficient balance for requested action."}"#;
        let half = settled("SUCCESS", &cancelled(), "FAILURE", poor);
        assert!(matches!(&half.cancelled, Leg::Done(_)));
        assert!(matches!(&half.placed, Leg::Refused { reason: VenueRefusal::InsufficientBalance, .. }));
    }

    #[test]
    fn a_half_that_is_not_proven_is_unknown() {
        let timeout = r#"{"code":-1007,"msg":"Timeout waiting for response from backend server."}"#;
        for (result, response) in [("SUCCESS", "null"), ("SUCCESS", timeout), ("FAILURE", timeout), ("FAILURE", "null"), ("MAYBE", "null")]
        {
            assert_eq!(settled("SUCCESS", &cancelled(), result, response).placed, Leg::Unknown, "{result} {response}");
        }
        let other = placed().replace("-2\"", "-3\"");
        assert_eq!(settled("SUCCESS", &cancelled(), "SUCCESS", &other).placed, Leg::Unknown);
    }
}
