//! Placing, cancelling and finding orders, for REST and the WebSocket API alike.

use super::hall::{ACCOUNT, Hall};
use super::placement::{Named, Placement, ResponseType, Restriction};
use super::refusal::ApiError;
use super::wire::json;
use super::wire_order::{Ack, Canceled, Fill, Placed, Queried};
use crate::domain::{OrderStatus, Symbol};
use crate::matching::{Execution, OrderRef, OrderRequest, OrderView, Reject, ReportKind};

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
    pub fn place(&mut self, placement: &Placement) -> Result<Accepted, ApiError> {
        self.pump();
        let now = self.now();
        self.orders.admit(now)?;
        let request = self.sized(placement)?;
        let mut reports = Vec::new();
        let placed = self.exchange.submit(now, ACCOUNT, &request, &mut reports);
        let fills: Vec<Execution> = reports
            .iter()
            .filter_map(|report| match &report.kind {
                ReportKind::Fill(execution) if execution.account == ACCOUNT => Some(execution.clone()),
                _ => None,
            })
            .collect();
        let id = placed?;
        let counts = self.orders.add(now);
        self.note(reports, None);
        let order = self.exchange.order(ACCOUNT, request.symbol, OrderRef::Id(id)).ok_or(ApiError::Unknown)?;
        let body = match placement.response {
            ResponseType::Ack => json(&Ack::of(order)),
            ResponseType::Result => json(&Placed::of(order, None)),
            ResponseType::Full => json(&Placed::of(order, Some(fills.iter().map(Fill::of).collect()))),
        };
        Ok(Accepted { body, counts })
    }

    /// All rules, tried on a copy; nothing happens.
    pub fn try_out(&mut self, placement: &Placement) -> Result<(), ApiError> {
        self.pump();
        let request = self.sized(placement)?;
        self.exchange.clone().submit(self.now(), ACCOUNT, &request, &mut Vec::new())?;
        Ok(())
    }

    /// The request with its quantity: given, or what the quote money buys from the book as it stands.
    fn sized(&self, placement: &Placement) -> Result<OrderRequest, ApiError> {
        let mut request = placement.request.clone();
        if let Some(quote) = placement.quote_qty {
            let qty = self.exchange.quantity_for_quote(ACCOUNT, request.symbol, request.side, quote);
            request.qty = qty.ok_or(Reject::NoLiquidity)?;
        }
        Ok(request)
    }

    pub fn cancel(&mut self, order: Named<'_>, only: Option<Restriction>, request_id: Option<&str>) -> Result<String, ApiError> {
        self.pump();
        let found = self.find(order).filter(|order| !order.status.is_final()).ok_or(Reject::UnknownOrder)?;
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
        let request_id = request_id.map_or_else(|| format!("cancel-{}", self.next_number()), str::to_owned);
        let mut reports = Vec::new();
        let canceled = self.exchange.cancel(self.now(), ACCOUNT, order.symbol, id, &mut reports);
        self.note(reports, Some(&request_id));
        Ok(json(&Canceled::of(&canceled?, &request_id)))
    }

    /// Cancels every open order of the symbol; none is refused as Binance does.
    pub fn cancel_all(&mut self, symbol: Symbol) -> Result<String, ApiError> {
        self.pump();
        let open: Vec<_> = self.exchange.open_orders(ACCOUNT, Some(symbol)).iter().map(|order| order.order_id).collect();
        if open.is_empty() {
            return Err(Reject::UnknownOrder.into());
        }
        let bodies: Result<Vec<String>, ApiError> =
            open.into_iter().map(|id| self.cancel(Named { symbol, order_id: Some(id), client_id: None }, None, None)).collect();
        Ok(format!("[{}]", bodies?.join(",")))
    }

    pub fn query(&self, order: Named<'_>) -> Result<String, ApiError> {
        self.find(order).map(|order| json(&Queried::of(order))).ok_or(ApiError::NoSuchOrder)
    }

    fn find(&self, order: Named<'_>) -> Option<&OrderView> {
        let by = match (order.order_id, order.client_id) {
            (Some(id), _) => OrderRef::Id(id),
            (None, client_id) => OrderRef::Client(client_id?),
        };
        let found = self.exchange.order(ACCOUNT, order.symbol, by)?;
        order.client_id.is_none_or(|client_id| *found.client_id == *client_id).then_some(found)
    }
}
