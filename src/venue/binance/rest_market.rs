//! The rarer public calls: single and aggregated trades of the past, averages and tickers.

use super::error::{Call, ClientError};
use super::http::Terms;
use super::market_wire::{AggTradeWire, AveragePriceWire, BookTickerWire, PriceWire, PublicTradeWire, Ticker24hWire};
use super::number::Lenient;
use super::query::Query;
use super::rest::{PAGE, RestClient, get, symbol_list};
use crate::domain::{Level, Money, Price, PublicTrade, Qty, Quote, Symbol, Timestamp, TradeId};

/// Trades of one taker at one price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AggTrade {
    pub id: u64,
    pub price: Price,
    pub qty: Qty,
    /// The first and the last of them; very old ones name none.
    pub trades: Option<(TradeId, TradeId)>,
    pub at: Timestamp,
    pub buyer_is_maker: bool,
}

/// Which aggregated trades.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AggTradesOf {
    /// The newest.
    Latest,
    /// This id and later.
    From(u64),
    /// Between two moments, both included; the oldest first.
    Between(Timestamp, Timestamp),
}

/// The volume-weighted price of the last minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AveragePrice {
    pub minutes: u32,
    pub price: Price,
    pub close_time: Option<Timestamp>,
}

/// The last 24 hours of a market.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticker24h {
    pub symbol: Symbol,
    pub open: Price,
    pub high: Price,
    pub low: Price,
    pub last: Price,
    pub weighted_average: Price,
    pub bid: Level,
    pub ask: Level,
    pub volume: Qty,
    pub quote_volume: Money,
    pub open_time: Timestamp,
    pub close_time: Timestamp,
    pub trades: u64,
}

impl RestClient {
    /// Public trades from an id on (the newest without one), oldest first; at most 1,000.
    pub async fn historical_trades(
        &self,
        symbol: Symbol,
        from: Option<TradeId>,
        limit: u32,
    ) -> Result<Vec<(Timestamp, PublicTrade)>, ClientError> {
        let query = Query::new().with("symbol", symbol).with_some("fromId", from.map(|id| id.0)).with("limit", limit.min(PAGE));
        let rows: Vec<PublicTradeWire> = self.http.call(get("/api/v3/historicalTrades"), query, Terms::download(25)).await?;
        Ok(rows.iter().map(PublicTradeWire::trade).collect())
    }

    /// Aggregated trades, oldest first; at most 1,000.
    pub async fn agg_trades(&self, symbol: Symbol, of: AggTradesOf, limit: u32) -> Result<Vec<AggTrade>, ClientError> {
        let query = Query::new().with("symbol", symbol).with("limit", limit.min(PAGE));
        let query = match of {
            AggTradesOf::Latest => query,
            AggTradesOf::From(id) => query.with("fromId", id),
            AggTradesOf::Between(from, until) => query.with("startTime", from.millis()).with("endTime", until.millis()),
        };
        let rows: Vec<AggTradeWire> = self.http.call(get("/api/v3/aggTrades"), query, Terms::download(4)).await?;
        Ok(rows.iter().map(AggTradeWire::trade).collect())
    }

    /// Also keeps the price: percentage bands of the market's rules are measured from it.
    pub async fn average_price(&self, symbol: Symbol) -> Result<AveragePrice, ClientError> {
        let query = Query::new().with("symbol", symbol);
        let wire: AveragePriceWire = self.http.call(get("/api/v3/avgPrice"), query, Terms::public(2)).await?;
        let average = wire.average();
        self.http.rules.refer(symbol, average.price, self.venue_now());
        Ok(average)
    }

    /// Last prices, of all markets when none is named. A market that cannot be read is left out.
    pub async fn last_prices(&self, symbols: &[Symbol]) -> Result<Vec<(Symbol, Price)>, ClientError> {
        let rows: Vec<Lenient<PriceWire>> = self.of_markets(get("/api/v3/ticker/price"), symbols, 4).await?;
        Ok(rows.into_iter().filter_map(|r| r.0).map(|r| (r.symbol, r.price.0)).collect())
    }

    /// Best bid and ask, of all markets when none is named. A market that cannot be read is left out.
    pub async fn book_ticker(&self, symbols: &[Symbol]) -> Result<Vec<(Symbol, Quote)>, ClientError> {
        let rows: Vec<Lenient<BookTickerWire>> = self.of_markets(get("/api/v3/ticker/bookTicker"), symbols, 4).await?;
        Ok(rows.into_iter().filter_map(|r| r.0).map(|r| r.quote()).collect())
    }

    /// The last 24 hours, of all markets when none is named. A market that cannot be read is left out.
    pub async fn tickers_24h(&self, symbols: &[Symbol]) -> Result<Vec<Ticker24h>, ClientError> {
        let weight = match symbols.len() {
            1..=20 => 2,
            21..=100 => 40,
            _ => 80,
        };
        let rows: Vec<Lenient<Ticker24hWire>> = self.of_markets(get("/api/v3/ticker/24hr"), symbols, weight).await?;
        Ok(rows.into_iter().filter_map(|r| r.0).map(|r| r.ticker()).collect())
    }

    async fn of_markets<T: serde::de::DeserializeOwned>(&self, call: Call, symbols: &[Symbol], weight: u32) -> Result<Vec<T>, ClientError> {
        let query = if symbols.is_empty() { Query::new() } else { Query::new().with("symbols", symbol_list(symbols)) };
        self.http.call(call, query, Terms::public(weight)).await
    }
}
