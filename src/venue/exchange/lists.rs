//! Placing, cancelling and finding order lists, for REST and the WebSocket API alike.

use super::hall::{ACCOUNT, Hall};
use super::params::Params;
use super::placement::{
    ABOVE, BELOW, PENDING, PENDING_ABOVE, PENDING_BELOW, ResponseType, WORKING, client_id, leg, limit_price, self_trade, side, symbol,
    time_in_force,
};
use super::refusal::ApiError;
use super::trading::{Accepted, fills, placed_body};
use super::wire::json;
use super::wire_list::ListAnswer;
use super::wire_order::Canceled;
use crate::domain::{OrderKind, OrderListId, Price, Qty, Side, Symbol};
use crate::matching::{Leg, ListRef, ListRequest, ListShape, ListView, OrderRef, OrderRequest, Reject, Terms};

/// Which way a list is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ListForm {
    Oco,
    Oto,
    Otoco,
    /// The deprecated form: `price`, `stopPrice`, `stopLimitPrice`.
    OldOco,
}

/// A list that is asked for, and how much the answer shall tell.
pub(super) struct ListPlacement {
    request: ListRequest,
    response: ResponseType,
}

impl ListPlacement {
    pub fn parse(params: &Params, symbols: &[Symbol], form: ListForm) -> Result<Self, ApiError> {
        let symbol = symbol(params, symbols)?;
        let one = |names| leg(params, symbol, names);
        let shape = match form {
            ListForm::Oco => ListShape::Oco { above: one(&ABOVE)?, below: one(&BELOW)? },
            ListForm::Oto => ListShape::Oto { working: one(&WORKING)?, pending: one(&PENDING)? },
            ListForm::Otoco => ListShape::Otoco { working: one(&WORKING)?, above: one(&PENDING_ABOVE)?, below: one(&PENDING_BELOW)? },
            ListForm::OldOco => old_oco(params, symbol)?,
        };
        if shape.legs().iter().any(|leg| leg.terms.quote_qty.is_some()) {
            return Err(ApiError::Combination);
        }
        let client_id = client_id(params, "listClientOrderId")?.unwrap_or_default().to_owned();
        Ok(Self { request: ListRequest { client_id, shape }, response: ResponseType::parse(params, ResponseType::Result)? })
    }
}

/// A post-only order and a stop order around the market.
fn old_oco(params: &Params, symbol: Symbol) -> Result<ListShape, ApiError> {
    for (name, what) in
        [("trailingDelta", "Trailing stop orders"), ("limitIcebergQty", "Iceberg orders"), ("stopIcebergQty", "Iceberg orders")]
    {
        if params.get(name).is_some() {
            return Err(ApiError::NotSupported(what));
        }
    }
    let (side, terms) = (side(params, "side")?, Terms { self_trade: self_trade(params)?, ..Terms::default() });
    let qty: Qty = params.required_decimal("quantity")?;
    let leg = |kind, name| {
        let client_id = client_id(params, name)?.unwrap_or_default().to_owned();
        Ok::<_, ApiError>(Leg { request: OrderRequest { client_id, symbol, side, qty, kind }, terms })
    };
    let stop: Price = limit_price(params, "stopPrice")?;
    let stop = match params.text("stopLimitPrice")? {
        None => OrderKind::StopLoss { stop },
        Some(_) => OrderKind::StopLossLimit {
            stop,
            price: limit_price(params, "stopLimitPrice")?,
            time_in_force: time_in_force(params, "stopLimitTimeInForce")?,
        },
    };
    let limit = leg(OrderKind::LimitMaker { price: limit_price(params, "price")? }, "limitClientOrderId")?;
    let stop = leg(stop, "stopClientOrderId")?;
    Ok(match side {
        Side::Sell => ListShape::Oco { above: limit, below: stop },
        Side::Buy => ListShape::Oco { above: stop, below: limit },
    })
}

impl Hall {
    pub fn place_list(&mut self, wanted: &ListPlacement) -> Result<Accepted, ApiError> {
        self.pump();
        let now = self.now();
        self.orders.admit(now)?;
        let mut reports = Vec::new();
        let id = self.exchange.submit_list(now, ACCOUNT, &wanted.request, &mut reports)?;
        let fills = fills(&reports);
        let list = self.list(ListRef::Id(id)).ok_or(ApiError::Unknown)?;
        let orders: Vec<String> = list
            .legs
            .iter()
            .filter_map(|(id, _)| self.exchange.order(ACCOUNT, list.symbol, OrderRef::Id(*id)))
            .map(|order| placed_body(order, wanted.response, &fills))
            .collect();
        let body = ListAnswer::of(list).with_reports(&orders);
        let mut counts = (0, 0);
        for _ in &orders {
            counts = self.orders.add(now);
        }
        self.note(reports, None);
        Ok(Accepted { body, counts })
    }

    pub fn cancel_list(
        &mut self,
        symbol: Symbol,
        id: Option<OrderListId>,
        client_id: Option<&str>,
        request_id: Option<&str>,
    ) -> Result<String, ApiError> {
        self.pump();
        let unknown = || ApiError::Rejected { code: -2011, message: "Unknown order list sent.".into() };
        let by = named(id, client_id).ok_or(ApiError::OneOf("orderListId", "listClientOrderId"))?;
        let request_id = self.request_id(request_id);
        let (now, mut reports) = (self.now(), Vec::new());
        let list = self.exchange.cancel_list(now, ACCOUNT, symbol, by, &mut reports).map_err(|reject| match reject {
            Reject::UnknownOrder => unknown(),
            other => other.into(),
        })?;
        self.note(reports, Some(&request_id));
        let orders: Vec<String> = list
            .legs
            .iter()
            .filter_map(|(id, _)| self.exchange.order(ACCOUNT, symbol, OrderRef::Id(*id)))
            .map(|order| json(&Canceled::of(order, &request_id)))
            .collect();
        Ok(ListAnswer::of(&list).with_reports(&orders))
    }

    pub fn query_list(&self, id: Option<OrderListId>, client_id: Option<&str>) -> Result<String, ApiError> {
        let by = named(id, client_id).ok_or(ApiError::OneOf("orderListId", "origClientOrderId"))?;
        self.list(by).map(|list| json(&ListAnswer::of(list))).ok_or(ApiError::NoSuchList)
    }

    fn list(&self, list: ListRef<'_>) -> Option<&ListView> {
        self.exchange.order_list(ACCOUNT, list)
    }
}

/// The list id wins.
fn named(id: Option<OrderListId>, client_id: Option<&str>) -> Option<ListRef<'_>> {
    id.map(ListRef::Id).or(client_id.map(ListRef::Client))
}
