//! The signed calls: orders, lists and the account, in the house's words.

use std::collections::BTreeSet;

use super::error::{Call, ClientError};
use super::http::Terms;
use super::limiter::RateLimit;
use super::lists::{self, ListOf, OrderList};
use super::orders::{self, ORDER};
use super::query::Query;
use super::replace::{self, Replaced, WhenNotCancelled};
use super::rest::{PAGE, RestClient, get};
use super::rest_wire::{CommissionWire, MyTradeWire};
use super::rules::Filter;
use super::rules_wire::{MyFiltersWire, RateLimitWire};
use crate::domain::{
    Asset, Balance, Bps, ClientOrderId, FeeRates, NewOrder, NewOrderList, OrderId, OrderListId, OrderStatus, Price, Qty, Role, Side, Span,
    Symbol, Timestamp, TradeId,
};
use crate::protocol::{VenueFill, VenueOrder};

/// The widest span of one question.
const WIDEST: Span = Span::from_secs(24 * 3_600);

/// What a placement's answer states.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    pub order: VenueOrder,
    /// Immediate fills; later ones come by the user stream.
    pub fills: Vec<VenueFill>,
}

/// Open orders: ours by id, others by count.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OpenOrders {
    pub ours: Vec<VenueOrder>,
    pub foreign: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountState {
    /// Absolute, every asset the venue lists.
    pub balances: Vec<Balance>,
    /// The account's general rates; `account_commission` knows a market's.
    pub fees: Option<FeeRates>,
}

/// A trade of this account; the venue names its order by the venue's id only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountTrade {
    pub order_id: OrderId,
    pub trade_id: TradeId,
    pub symbol: Symbol,
    pub side: Side,
    pub price: Price,
    pub qty: Qty,
    pub role: Role,
    pub fee: Qty,
    pub fee_asset: Asset,
    pub at: Timestamp,
}

impl AccountTrade {
    /// The same as a fill of our order `id`.
    #[must_use]
    pub fn into_fill(self, id: ClientOrderId) -> VenueFill {
        let Self { order_id, trade_id, symbol, side, price, qty, role, fee, fee_asset, at } = self;
        VenueFill { id, order_id, trade_id, symbol, side, price, qty, role, fee, fee_asset, at }
    }
}

/// Which trades of the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TradesOf {
    Order(OrderId),
    /// This trade id and later.
    From(TradeId),
    /// The newest, one page.
    Latest,
    /// From this moment on.
    Since(Timestamp),
    /// The newest up to this moment, one page.
    Until(Timestamp),
    /// Between two moments, both included, at most 24 h apart.
    Between(Timestamp, Timestamp),
    /// An order's, from a trade id on.
    OrderFrom(OrderId, TradeId),
}

/// Which orders of the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrdersOf {
    /// The newest.
    Latest,
    /// This id of the venue and later.
    From(OrderId),
    /// Between two moments, both included, at most 24 h apart.
    Between(Timestamp, Timestamp),
}

/// An order of the account, whoever placed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountOrder {
    /// Ours, if it is ours.
    pub id: Option<ClientOrderId>,
    /// As its maker named it.
    pub client_id: String,
    pub order_id: OrderId,
    pub list: Option<OrderListId>,
    pub symbol: Symbol,
    pub side: Side,
    pub status: OrderStatus,
    /// Zero for orders without a limit.
    pub price: Price,
    /// The price that sets it off; zero for orders that wait for none.
    pub stop: Price,
    /// It waits until another order of its list has filled.
    pub pending: bool,
    pub qty: Qty,
    pub filled: Qty,
    pub created: Timestamp,
    /// When it changed last.
    pub at: Timestamp,
}

/// One family of rates; a fill pays (maker or taker) + (buyer or seller).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    pub maker: Bps,
    pub taker: Bps,
    pub buyer: Bps,
    pub seller: Bps,
}

/// What this account pays in a market, by family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commission {
    pub standard: Rates,
    pub special: Rates,
    pub tax: Rates,
    /// The asset that lowers the standard family when fees are paid in it, and the factor as the venue states it.
    pub discount: Option<(Asset, Qty)>,
}

impl RestClient {
    /// Sends an order once. An error's `fate()` says whether it may still be live. An opening order that would break a rule of its market
    /// is not sent; an exit is left to the venue's judgement.
    pub async fn place(&self, order: &NewOrder, opening: bool) -> Result<Placed, ClientError> {
        self.keeps_rules(Call { method: "POST", path: ORDER }, order, opening)?;
        orders::place(&*self.http, order, opening).await
    }

    pub(super) fn keeps_rules(&self, call: Call, order: &NewOrder, opening: bool) -> Result<(), ClientError> {
        if !opening {
            return Ok(());
        }
        self.http.rules.check(order, self.venue_now()).map_err(|source| ClientError::AgainstRules { call, source })
    }

    /// Lets the venue check an order without placing it.
    pub async fn test_order(&self, order: &NewOrder) -> Result<(), ClientError> {
        orders::test(&*self.http, order).await
    }

    /// As `test_order`; the rates that the order would be charged.
    pub async fn test_order_commission(&self, order: &NewOrder) -> Result<Commission, ClientError> {
        orders::test_commission(&*self.http, order).await
    }

    /// Cancels by our id; asking twice does no harm, so trouble on the way is retried.
    pub async fn cancel(&self, id: ClientOrderId, symbol: Symbol) -> Result<VenueOrder, ClientError> {
        orders::cancel(&*self.http, id, symbol).await
    }

    /// Cancels `old` and places `new` in one request, sent once. Each half is settled by itself.
    pub async fn cancel_replace(
        &self,
        old: ClientOrderId,
        new: &NewOrder,
        when: WhenNotCancelled,
        opening: bool,
    ) -> Result<Replaced, ClientError> {
        self.keeps_rules(Call { method: "POST", path: "/api/v3/order/cancelReplace" }, new, opening)?;
        replace::replace(&*self.http, old, new, when, opening).await
    }

    /// Makes a resting order smaller in its place in the queue; `qty` is its new whole quantity. Sent once.
    pub async fn amend(&self, id: ClientOrderId, symbol: Symbol, qty: Qty) -> Result<VenueOrder, ClientError> {
        orders::amend(&*self.http, id, symbol, qty).await
    }

    /// Cancels every order of a market, other programs' too. None open is no error.
    pub async fn cancel_all(&self, symbol: Symbol) -> Result<OpenOrders, ClientError> {
        orders::cancel_all(&*self.http, symbol).await
    }

    /// One order of ours, by our id.
    pub async fn query(&self, id: ClientOrderId, symbol: Symbol) -> Result<VenueOrder, ClientError> {
        orders::query(&*self.http, id, symbol).await
    }

    pub async fn open_orders(&self, symbol: Symbol) -> Result<OpenOrders, ClientError> {
        orders::open(&*self.http, symbol).await
    }

    /// Orders of a market, ended ones too, oldest first; one page of 1,000.
    pub async fn all_orders(&self, symbol: Symbol, of: OrdersOf) -> Result<Vec<AccountOrder>, ClientError> {
        let query = Query::new().with("symbol", symbol).with("limit", PAGE);
        let query = match of {
            OrdersOf::Latest => query,
            OrdersOf::From(id) => query.with("orderId", id.0),
            OrdersOf::Between(from, until) => between(get("/api/v3/allOrders"), query, from, until)?,
        };
        orders::all(&*self.http, query).await
    }

    /// Sends a list once. An error's `fate()` says whether it may still be live.
    pub async fn place_list(&self, list: &NewOrderList, opening: bool) -> Result<OrderList, ClientError> {
        for order in list.legs.orders() {
            self.keeps_rules(Call { method: "POST", path: "/api/v3/orderList" }, order, opening)?;
        }
        lists::place(&*self.http, list, opening).await
    }

    pub async fn query_list(&self, list: ListOf) -> Result<OrderList, ClientError> {
        lists::query(&*self.http, list).await
    }

    /// Cancels a whole list; asking twice does no harm.
    pub async fn cancel_list(&self, list: ListOf, symbol: Symbol) -> Result<OrderList, ClientError> {
        lists::cancel(&*self.http, list, symbol).await
    }

    /// This account's trades, oldest first; all pages but where one is said.
    pub async fn my_trades(&self, symbol: Symbol, of: TradesOf) -> Result<Vec<AccountTrade>, ClientError> {
        const CALL: Call = get("/api/v3/myTrades");
        let order = match of {
            TradesOf::Order(id) | TradesOf::OrderFrom(id, _) => Some(id.0),
            _ => None,
        };
        let base = || Query::new().with("symbol", symbol).with_some("orderId", order).with("limit", PAGE);
        let mut query = match of {
            TradesOf::Order(_) | TradesOf::Latest => base(),
            TradesOf::From(id) | TradesOf::OrderFrom(_, id) => base().with("fromId", id.0),
            TradesOf::Since(from) => base().with("startTime", from.millis()),
            TradesOf::Until(until) => base().with("endTime", until.millis()),
            TradesOf::Between(from, until) => between(CALL, base(), from, until)?,
        };
        let last_moment = if let TradesOf::Between(_, until) = of { until } else { Timestamp::MAX };
        let terms = Terms::private(if order.is_some() { 5 } else { 20 });
        let (mut all, mut seen): (Vec<AccountTrade>, _) = (Vec::new(), BTreeSet::new());
        loop {
            let rows: Vec<MyTradeWire> = self.http.call(CALL, query, terms).await?;
            let before = all.len();
            all.extend(rows.iter().map(MyTradeWire::trade).filter(|t| t.at <= last_moment && seen.insert(t.trade_id)));
            let one_page = matches!(of, TradesOf::Latest | TradesOf::Until(_));
            if one_page || rows.len() < PAGE as usize || all.len() == before {
                return Ok(all);
            }
            // Further pages go by id: a time and an id together are not legal.
            query = base().with_some("fromId", all.last().map(|t| t.trade_id.0 + 1));
        }
    }

    pub async fn account(&self) -> Result<AccountState, ClientError> {
        orders::account(&*self.http).await
    }

    /// What this account pays in this market: all families, the dearer side, no discount.
    pub async fn account_commission(&self, symbol: Symbol) -> Result<FeeRates, ClientError> {
        Ok(self.commission_wire(symbol).await?.fees())
    }

    /// What this account pays in this market, family by family.
    pub async fn commission(&self, symbol: Symbol) -> Result<Commission, ClientError> {
        Ok(self.commission_wire(symbol).await?.commission())
    }

    async fn commission_wire(&self, symbol: Symbol) -> Result<CommissionWire, ClientError> {
        let query = Query::new().with("symbol", symbol);
        self.http.call(get("/api/v3/account/commission"), query, Terms::private(20)).await
    }

    /// The account's order counts and their limits; from now on placements obey them.
    pub async fn order_limits(&self) -> Result<Vec<RateLimit>, ClientError> {
        let wires: Vec<RateLimitWire> = self.http.call(get("/api/v3/rateLimit/order"), Query::new(), Terms::private(40)).await?;
        let limits: Vec<RateLimit> = wires.iter().map(RateLimitWire::limit).collect();
        self.http.limiter.learn(&limits, self.venue_now());
        Ok(limits)
    }

    /// The filters that hold for this account in a market; the only place that shows the most of an asset.
    pub async fn my_filters(&self, symbol: Symbol) -> Result<Vec<Filter>, ClientError> {
        let query = Query::new().with("symbol", symbol);
        let wire: MyFiltersWire = self.http.call(get("/api/v3/myFilters"), query, Terms::private(40)).await?;
        Ok(wire.filters())
    }
}

/// `startTime` and `endTime`; more than a day is refused here, as the venue would.
fn between(call: Call, query: Query, from: Timestamp, until: Timestamp) -> Result<Query, ClientError> {
    if until < from || until.since(from) > WIDEST {
        return Err(ClientError::Illegal { call, what: "a span of time that ends before it begins, or is longer than 24 h" });
    }
    Ok(query.with("startTime", from.millis()).with("endTime", until.millis()))
}
