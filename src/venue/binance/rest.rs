//! The REST calls, in the house's words.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::clock::{ClockSample, LocalClock};
use super::endpoint::{Credentials, Endpoint};
use super::error::{Call, ClientError};
use super::http::{Http, SharedHttp, Terms};
use super::limiter::Urgency;
use super::query::Query;
use super::rest_wire::{
    AccountWire, BookTickerWire, CommissionWire, DepthSnapshotWire, ExchangeInfoWire, KlineWire, MyTradeWire, OrderWire, PublicTradeWire,
    open_orders,
};
use crate::domain::{
    Asset, Balance, BookSnapshot, Candle, ClientOrderId, FeeRates, Instrument, Interval, NewOrder, OrderId, OrderKind, Price, PublicTrade,
    Qty, Quote, Role, Side, Symbol, TimeInForce, Timestamp, TradeId,
};
use crate::protocol::{VenueFill, VenueOrder};
use crate::venue::market_frame::levels;

/// Candles or trades of one page.
const PAGE: u32 = 1_000;

/// The REST client; clones share connections, clock and request budget.
#[derive(Clone)]
pub struct RestClient {
    http: SharedHttp,
}

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
}

const fn get(path: &'static str) -> Call {
    Call { method: "GET", path }
}

impl RestClient {
    /// Opens no connection yet. Without credentials only public calls work.
    ///
    /// # Errors
    /// When the TLS transport cannot be set up.
    pub fn new(endpoint: Endpoint, credentials: Option<Credentials>, clock: LocalClock) -> Result<Self, ClientError> {
        Ok(Self { http: Arc::new(Http::new(endpoint, credentials, clock)?) })
    }

    pub(super) fn http(&self) -> &SharedHttp {
        &self.http
    }

    /// The venue's time now, by the last clock measurement.
    #[must_use]
    pub fn venue_now(&self) -> Timestamp {
        self.http.clock.venue_now()
    }

    pub async fn server_time(&self) -> Result<Timestamp, ClientError> {
        self.http.server_time().await
    }

    /// Measures the venue's clock by several round trips and keeps the best.
    pub async fn sample_clock(&self) -> Result<ClockSample, ClientError> {
        self.http.measure_clock().await
    }

    /// The markets' rules, in the order asked. `fees` fills the instruments until the account's own are known.
    pub async fn exchange_info(&self, symbols: &[Symbol], fees: FeeRates) -> Result<Vec<Instrument>, ClientError> {
        const CALL: Call = get("/api/v3/exchangeInfo");
        let info: ExchangeInfoWire = self.http.call(CALL, Query::new().with("symbols", symbol_list(symbols)), Terms::public(20)).await?;
        if let Some(limit) = info.weight_per_minute() {
            self.http.limiter.set_limit(limit);
        }
        let mut found: Vec<Instrument> = info.symbols.into_iter().filter_map(|s| s.instrument(fees)).collect();
        let place = |i: &Instrument| symbols.iter().position(|s| *s == i.symbol).unwrap_or(usize::MAX);
        found.retain(|i| symbols.contains(&i.symbol));
        found.sort_by_key(place);
        let missing = symbols.iter().any(|s| !found.iter().any(|i| i.symbol == *s));
        if missing { Err(ClientError::Contradiction { call: CALL, what: "a market without price and lot filters" }) } else { Ok(found) }
    }

    /// Finished candles with `start <= open_time <= end`, oldest first; at most `limit` (1,000).
    pub async fn klines(
        &self,
        symbol: Symbol,
        interval: Interval,
        start: Option<Timestamp>,
        end: Option<Timestamp>,
        limit: u32,
    ) -> Result<Vec<Candle>, ClientError> {
        let query = Query::new()
            .with("symbol", symbol)
            .with("interval", interval)
            .with_some("startTime", start.map(Timestamp::millis))
            .with_some("endTime", end.map(Timestamp::millis))
            .with("limit", limit.min(PAGE));
        if self.http.clock.latest().is_none() {
            self.sample_clock().await?;
        }
        let rows: Vec<KlineWire> = self.http.call(get("/api/v3/klines"), query, Terms::public(2)).await?;
        let now = self.venue_now();
        let finished: Vec<Candle> = rows.iter().filter(|k| k.close_time() < now).map(KlineWire::candle).collect();
        let sound: Vec<Candle> = finished.iter().filter(|c| c.is_sound()).copied().collect();
        if sound.len() < finished.len() {
            tracing::warn!(%symbol, left_out = finished.len() - sound.len(), "the venue sent impossible candles");
        }
        Ok(sound)
    }

    /// All finished candles with `from <= open_time < until`, by pages; `progress` gets (candles expected so far, candles expected).
    pub async fn klines_range(
        &self,
        symbol: Symbol,
        interval: Interval,
        from: Timestamp,
        until: Timestamp,
        mut progress: impl FnMut(u64, u64) + Send,
    ) -> Result<Vec<Candle>, ClientError> {
        let length = interval.span().nanos();
        let expected = |to: Timestamp| (to.since(from).nanos() / length).max(0).unsigned_abs();
        let total = expected(until);
        let mut candles: Vec<Candle> = Vec::with_capacity(total.min(1 << 22) as usize);
        let last_moment = Timestamp::from_nanos(until.nanos() - 1);
        let mut next = from;
        while next < until {
            let page = self.klines(symbol, interval, Some(next), Some(last_moment), PAGE).await?;
            let fresh = page.iter().filter(|c| c.open_time >= next && c.open_time < until);
            candles.extend(fresh);
            // The page starts at the first candle that exists after `next`, so a hole never stops the walk.
            match candles.last().map(|c| c.open_time + interval.span()) {
                Some(after) if after > next => next = after,
                _ => break,
            }
            progress(expected(next).min(total), total);
        }
        Ok(candles)
    }

    pub async fn depth(&self, symbol: Symbol, limit: u32) -> Result<BookSnapshot, ClientError> {
        let weight = match limit {
            0..=100 => 5,
            101..=500 => 25,
            501..=1_000 => 50,
            _ => 250,
        };
        let query = Query::new().with("symbol", symbol).with("limit", limit);
        let wire: DepthSnapshotWire = self.http.call(get("/api/v3/depth"), query, Terms::public(weight)).await?;
        Ok(BookSnapshot { last_update_id: wire.last_update_id, bids: levels(wire.bids), asks: levels(wire.asks) })
    }

    /// The latest public trades, oldest first.
    pub async fn trades(&self, symbol: Symbol, limit: u32) -> Result<Vec<(Timestamp, PublicTrade)>, ClientError> {
        let query = Query::new().with("symbol", symbol).with("limit", limit);
        let rows: Vec<PublicTradeWire> = self.http.call(get("/api/v3/trades"), query, Terms::public(25)).await?;
        Ok(rows.iter().map(PublicTradeWire::trade).collect())
    }

    pub async fn book_ticker(&self, symbols: &[Symbol]) -> Result<Vec<(Symbol, Quote)>, ClientError> {
        let query = Query::new().with("symbols", symbol_list(symbols));
        let rows: Vec<BookTickerWire> = self.http.call(get("/api/v3/ticker/bookTicker"), query, Terms::public(4)).await?;
        Ok(rows.iter().map(BookTickerWire::quote).collect())
    }

    /// Sends an order once. An error's `fate()` says whether it may still be live.
    pub async fn place(&self, order: &NewOrder, opening: bool) -> Result<Placed, ClientError> {
        const CALL: Call = Call { method: "POST", path: "/api/v3/order" };
        let (kind, time_in_force) = match order.kind {
            OrderKind::LimitMaker { .. } => ("LIMIT_MAKER", None),
            OrderKind::Limit { time_in_force, .. } => ("LIMIT", Some(time_in_force)),
            OrderKind::Market => ("MARKET", None),
            OrderKind::StopLoss { .. } => ("STOP_LOSS", None),
            OrderKind::StopLossLimit { time_in_force, .. } => ("STOP_LOSS_LIMIT", Some(time_in_force)),
            OrderKind::TakeProfit { .. } => ("TAKE_PROFIT", None),
            OrderKind::TakeProfitLimit { time_in_force, .. } => ("TAKE_PROFIT_LIMIT", Some(time_in_force)),
        };
        let query = Query::new()
            .with("symbol", order.symbol)
            .with("side", side_name(order.side))
            .with("type", kind)
            .with_some("timeInForce", time_in_force.map(time_in_force_name))
            .with("quantity", order.qty)
            .with_some("price", order.kind.price())
            .with_some("stopPrice", order.kind.stop())
            .with("newClientOrderId", order.id)
            .with("newOrderRespType", "FULL");
        let urgency = if opening { Urgency::Opening } else { Urgency::Protective };
        let wire: OrderWire = self.http.call(CALL, query, Terms { signed: true, weight: 1, urgency, repeatable: false }).await?;
        if wire.our_id() != Some(order.id) || wire.symbol() != order.symbol {
            return Err(ClientError::Contradiction { call: CALL, what: "a placement answered for another order" });
        }
        Ok(wire.placed(order.id))
    }

    /// Cancels by our id; asking twice does no harm, so trouble on the way is retried.
    pub async fn cancel(&self, id: ClientOrderId, symbol: Symbol) -> Result<VenueOrder, ClientError> {
        const CALL: Call = Call { method: "DELETE", path: "/api/v3/order" };
        let query = Query::new().with("symbol", symbol).with("origClientOrderId", id);
        let terms = Terms { signed: true, weight: 1, urgency: Urgency::Protective, repeatable: true };
        let wire: OrderWire = self.http.call(CALL, query, terms).await?;
        if wire.our_id() == Some(id) { Ok(wire.order(id)) } else { Err(ClientError::Contradiction { call: CALL, what: "another order" }) }
    }

    /// One order of ours, by our id.
    pub async fn query(&self, id: ClientOrderId, symbol: Symbol) -> Result<VenueOrder, ClientError> {
        let query = Query::new().with("symbol", symbol).with("origClientOrderId", id);
        let wire: OrderWire = self.http.call(get("/api/v3/order"), query, Terms::private(4)).await?;
        Ok(wire.order(id))
    }

    /// This account's trades, oldest first, all pages.
    pub async fn my_trades(&self, symbol: Symbol, of: TradesOf) -> Result<Vec<AccountTrade>, ClientError> {
        let (order, weight) = match of {
            TradesOf::Order(id) => (Some(id.0), 5),
            TradesOf::From(_) => (None, 20),
        };
        let mut from = match of {
            TradesOf::Order(_) => None,
            TradesOf::From(id) => Some(id.0),
        };
        let (mut all, mut seen) = (Vec::new(), BTreeSet::new());
        loop {
            let query = Query::new().with("symbol", symbol).with_some("orderId", order).with_some("fromId", from).with("limit", PAGE);
            let rows: Vec<MyTradeWire> = self.http.call(get("/api/v3/myTrades"), query, Terms::private(weight)).await?;
            let before = all.len();
            all.extend(rows.iter().map(MyTradeWire::trade).filter(|t| seen.insert(t.trade_id)));
            if rows.len() < PAGE as usize || all.len() == before {
                return Ok(all);
            }
            from = all.last().map(|t| t.trade_id.0 + 1);
        }
    }

    pub async fn open_orders(&self, symbol: Symbol) -> Result<OpenOrders, ClientError> {
        let query = Query::new().with("symbol", symbol);
        let rows: Vec<OrderWire> = self.http.call(get("/api/v3/openOrders"), query, Terms::private(6)).await?;
        Ok(open_orders(&rows))
    }

    pub async fn account(&self) -> Result<AccountState, ClientError> {
        let wire: AccountWire = self.http.call(get("/api/v3/account"), Query::new(), Terms::private(20)).await?;
        Ok(wire.state())
    }

    /// What this account pays in this market: all families, the dearer side, no discount.
    pub async fn account_commission(&self, symbol: Symbol) -> Result<FeeRates, ClientError> {
        let query = Query::new().with("symbol", symbol);
        let wire: CommissionWire = self.http.call(get("/api/v3/account/commission"), query, Terms::private(20)).await?;
        Ok(wire.fees())
    }
}

fn symbol_list(symbols: &[Symbol]) -> String {
    let quoted: Vec<String> = symbols.iter().map(|s| format!("\"{s}\"")).collect();
    format!("[{}]", quoted.join(","))
}

const fn side_name(side: Side) -> &'static str {
    match side {
        Side::Buy => "BUY",
        Side::Sell => "SELL",
    }
}

const fn time_in_force_name(time_in_force: TimeInForce) -> &'static str {
    match time_in_force {
        TimeInForce::Gtc => "GTC",
        TimeInForce::Ioc => "IOC",
        TimeInForce::Fok => "FOK",
    }
}
