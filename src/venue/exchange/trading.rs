//! Placing, cancelling, amending and finding orders, for REST and the WebSocket API alike.

use super::hall::{ACCOUNT, Hall};
use super::placement::{Named, Placement, ResponseType, Restriction};
use super::refusal::ApiError;
use super::wire::json;
use super::wire_list::{AmendedAnswer, ListAnswer};
use super::wire_order::{Ack, Canceled, Fill, Placed, Queried};
use crate::domain::{OrderStatus, Qty, Symbol};
use crate::matching::{Execution, OrderRef, OrderRequest, OrderView, Reject, Report, ReportKind};

/// The answer to an accepted placement, and the orders counted in the windows of 10 seconds and of the day.
pub(super) struct Accepted {
    pub body: String,
    pub counts: (u32, u32),
}

impl From<Reject> for ApiError {
    fn from(reject: Reject) -> Self {
        Self::Rejected { code: reject.code(), message: reject.message() }
    }
}

impl Hall {
    /// `after_cancel`: the second half of a replacement, whose refusal the user data stream tells.
    pub fn place(&mut self, placement: &Placement, after_cancel: bool) -> Result<Accepted, ApiError> {
        self.pump();
        let now = self.now();
        self.orders.admit(now)?;
        let request = self.sized(placement)?;
        let mut reports = Vec::new();
        let placed = self.exchange.place(now, ACCOUNT, &request, placement.terms, &mut reports);
        if after_cancel && placed.is_err() {
            self.note_refusal(std::mem::take(&mut reports));
        }
        let id = placed?;
        let counts = self.orders.add(now);
        let fills = fills(&reports);
        self.note(reports, None);
        let order = self.exchange.order(ACCOUNT, request.symbol, OrderRef::Id(id)).ok_or(ApiError::Unknown)?;
        Ok(Accepted { body: placed_body(order, placement.response, &fills), counts })
    }

    /// All rules; nothing happens.
    pub fn try_out(&mut self, placement: &Placement) -> Result<(), ApiError> {
        self.pump();
        let request = self.sized(placement)?;
        Ok(self.exchange.would_accept(ACCOUNT, &request, placement.terms)?)
    }

    /// The request with its quantity: given, or what the quote money buys from the book as it stands.
    pub fn sized(&self, placement: &Placement) -> Result<OrderRequest, ApiError> {
        let mut request = placement.request.clone();
        if let Some(quote) = placement.terms.quote_qty {
            let qty = self.exchange.quantity_for_quote(ACCOUNT, request.symbol, request.side, quote);
            request.qty = qty.ok_or(Reject::NoLiquidity)?;
        }
        Ok(request)
    }

    /// Cancels an order, and with it the whole list that it belongs to.
    pub fn cancel(&mut self, order: Named<'_>, only: Option<Restriction>, request_id: Option<&str>) -> Result<String, ApiError> {
        self.pump();
        let found = self.find(order)?.filter(|order| !order.status.is_final()).ok_or(Reject::UnknownOrder)?;
        let allowed = match only {
            None => true,
            Some(Restriction::OnlyNew) => found.status == OrderStatus::Open,
            Some(Restriction::OnlyPartiallyFilled) => found.status == OrderStatus::PartiallyFilled,
        };
        if !allowed {
            let message = "Order was not canceled due to cancel restrictions.".to_owned();
            return Err(ApiError::Rejected { code: -2011, message });
        }
        let id = OrderRef::Id(found.order_id);
        let request_id = self.request_id(request_id);
        let mut reports = Vec::new();
        let canceled = self.exchange.cancel(self.now(), ACCOUNT, order.symbol, id, &mut reports);
        self.note(reports, Some(&request_id));
        Ok(json(&Canceled::of(&canceled?, &request_id)))
    }

    /// Cancels every open order and list of the symbol; none is refused as Binance does.
    pub fn cancel_all(&mut self, symbol: Symbol) -> Result<String, ApiError> {
        self.pump();
        let open: Vec<_> = self.exchange.open_orders(ACCOUNT, Some(symbol)).iter().map(|o| (o.order_id, o.list_id)).collect();
        if open.is_empty() {
            return Err(Reject::UnknownOrder.into());
        }
        let (mut bodies, mut lists) = (Vec::new(), Vec::new());
        for (id, list) in open {
            match list {
                None => bodies.push(self.cancel(Named { symbol, order_id: Some(id), client_id: None }, None, None)?),
                Some(list) if lists.contains(&list) => {}
                Some(list) => {
                    lists.push(list);
                    bodies.push(self.cancel_list(symbol, Some(list), None, None)?);
                }
            }
        }
        Ok(format!("[{}]", bodies.join(",")))
    }

    pub fn query(&self, order: Named<'_>) -> Result<String, ApiError> {
        self.find(order)?.map(|order| json(&Queried::of(order))).ok_or(ApiError::NoSuchOrder)
    }

    pub fn amend(&mut self, order: Named<'_>, qty: Qty, client_id: Option<&str>) -> Result<String, ApiError> {
        self.pump();
        let id = self.find(order)?.ok_or(Reject::AmendUnknown)?.order_id;
        let (now, mut reports) = (self.now(), Vec::new());
        let amendment = self.exchange.amend(now, ACCOUNT, order.symbol, OrderRef::Id(id), qty, client_id, &mut reports)?;
        self.note(reports, None);
        let amended = self.exchange.order(ACCOUNT, order.symbol, OrderRef::Id(id)).ok_or(ApiError::Unknown)?;
        let list = amended.list_id.and_then(|list| self.exchange.order_list(ACCOUNT, crate::matching::ListRef::Id(list)));
        Ok(json(&AmendedAnswer::of(&amendment, amended, list.map(ListAnswer::of))))
    }

    /// The client id of a cancel: given, or one of our own.
    pub fn request_id(&self, given: Option<&str>) -> String {
        given.map_or_else(|| format!("cancel-{}", self.next_number()), str::to_owned)
    }

    /// `None` for an order that does not exist; an error when the two ids name different orders.
    pub fn find(&self, order: Named<'_>) -> Result<Option<&OrderView>, ApiError> {
        let by = match (order.order_id, order.client_id) {
            (Some(id), _) => OrderRef::Id(id),
            (None, Some(client_id)) => OrderRef::Client(client_id),
            (None, None) => return Ok(None),
        };
        let Some(found) = self.exchange.order(ACCOUNT, order.symbol, by) else { return Ok(None) };
        if order.client_id.is_some_and(|client_id| *found.client_id != *client_id) {
            return Err(ApiError::OtherClientId);
        }
        Ok(Some(found))
    }
}

/// The account's fills among reports.
pub(super) fn fills(reports: &[Report]) -> Vec<Execution> {
    let fill = |report: &Report| match &report.kind {
        ReportKind::Fill(execution) if execution.account == ACCOUNT => Some(execution.clone()),
        _ => None,
    };
    reports.iter().filter_map(fill).collect()
}

/// The order as its placement is answered; `fills` may hold other orders' too.
pub(super) fn placed_body(order: &OrderView, response: ResponseType, fills: &[Execution]) -> String {
    match response {
        ResponseType::Ack => json(&Ack::of(order)),
        ResponseType::Result => json(&Placed::of(order, None)),
        ResponseType::Full => {
            let own = fills.iter().filter(|fill| fill.order_id == order.order_id);
            json(&Placed::of(order, Some(own.map(Fill::of).collect())))
        }
    }
}
