//! `cancelReplace`: a cancel and a placement in one request. Filters and open-order counts are checked before the cancel; the two are not
//! one: the cancel may succeed and the placement fail.

use super::hall::{ACCOUNT, Hall};
use super::params::Params;
use super::placement::{Named, Placement, Restriction, client_id, restriction};
use super::refusal::ApiError;
use super::trading::Accepted;

/// What happens after a failed cancel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    StopOnFailure,
    AllowFailure,
}

/// A request to replace an order.
pub(super) struct Replacement<'a> {
    mode: Mode,
    order: Named<'a>,
    only: Option<Restriction>,
    request_id: Option<&'a str>,
    /// Cancel even when too many orders were placed.
    cancel_when_limited: bool,
    placement: Placement,
}

impl<'a> Replacement<'a> {
    pub fn parse(params: &'a Params, symbols: &[crate::domain::Symbol]) -> Result<Self, ApiError> {
        Ok(Self {
            mode: match params.required("cancelReplaceMode")? {
                "STOP_ON_FAILURE" => Mode::StopOnFailure,
                "ALLOW_FAILURE" => Mode::AllowFailure,
                _ => return Err(ApiError::BadData("cancelReplaceMode")),
            },
            order: Named::under(params, symbols, "cancelOrderId", "cancelOrigClientOrderId")?,
            only: restriction(params)?,
            request_id: client_id(params, "cancelNewClientOrderId")?,
            cancel_when_limited: match params.text("orderRateLimitExceededMode")? {
                None | Some("DO_NOTHING") => false,
                Some("CANCEL_ONLY") => true,
                Some(_) => return Err(ApiError::BadData("orderRateLimitExceededMode")),
            },
            placement: Placement::parse(params, symbols)?,
        })
    }
}

/// How one half went.
enum Half {
    Done(String),
    Failed(ApiError),
    NotAttempted,
}

impl Half {
    fn of(outcome: Result<String, ApiError>) -> Self {
        outcome.map_or_else(Self::Failed, Self::Done)
    }

    const fn result(&self) -> &'static str {
        match self {
            Self::Done(_) => "SUCCESS",
            Self::Failed(_) => "FAILURE",
            Self::NotAttempted => "NOT_ATTEMPTED",
        }
    }

    fn response(&self) -> String {
        match self {
            Self::Done(body) => body.clone(),
            Self::Failed(error) => error.body(),
            Self::NotAttempted => "null".to_owned(),
        }
    }
}

impl Hall {
    pub fn replace(&mut self, wanted: &Replacement<'_>) -> Result<Accepted, ApiError> {
        self.pump();
        let now = self.now();
        let request = self.sized(&wanted.placement)?;
        self.exchange.screen(ACCOUNT, &request)?;
        let limited = self.orders.admit(now).err();
        if let Some(error) = limited {
            if !wanted.cancel_when_limited {
                return Err(error);
            }
            let cancel = Half::of(self.cancel(wanted.order, wanted.only, wanted.request_id));
            return Err(failed(&cancel, &Half::Failed(error), true));
        }
        let cancel = Half::of(self.cancel(wanted.order, wanted.only, wanted.request_id));
        if matches!(cancel, Half::Failed(_)) && wanted.mode == Mode::StopOnFailure {
            self.orders.add(now);
            return Err(failed(&cancel, &Half::NotAttempted, false));
        }
        let mut counts = (0, 0);
        let placed = self.place(&wanted.placement, matches!(cancel, Half::Done(_))).map(|accepted| {
            counts = accepted.counts;
            accepted.body
        });
        let placed = Half::of(placed);
        if matches!(placed, Half::Failed(_)) {
            self.orders.add(now);
        }
        match (&cancel, &placed) {
            (Half::Done(_), Half::Done(_)) => Ok(Accepted { body: both(&cancel, &placed), counts }),
            _ => Err(failed(&cancel, &placed, false)),
        }
    }
}

fn failed(cancel: &Half, placed: &Half, limited: bool) -> ApiError {
    let one = matches!(cancel, Half::Done(_)) || matches!(placed, Half::Done(_));
    ApiError::Replace { both: !one, limited, data: both(cancel, placed) }
}

fn both(cancel: &Half, placed: &Half) -> String {
    format!(
        "{{\"cancelResult\":\"{}\",\"newOrderResult\":\"{}\",\"cancelResponse\":{},\"newOrderResponse\":{}}}",
        cancel.result(),
        placed.result(),
        cancel.response(),
        placed.response()
    )
}
