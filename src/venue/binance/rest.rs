//! The client and its public market calls, in the house's words. `rest_account` holds the signed ones, `rest_market` the rarer public ones.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::clock::{ClockSample, LocalClock};
use super::endpoint::{Credentials, Endpoint};
use super::error::{Call, ClientError};
use super::http::{Http, SharedHttp, Terms};
use super::market_wire::{DepthSnapshotWire, KlineWire, PublicTradeWire, levels};
use super::orders;
use super::query::Query;
use super::rules::{ExchangeRules, MarketRules};
use super::rules_wire::ExchangeInfoWire;
use crate::domain::{BookSnapshot, Candle, FeeRates, Instrument, Interval, PublicTrade, Symbol, Timestamp};

/// Candles or trades of one page.
pub(super) const PAGE: u32 = 1_000;

/// The longest pause of a download. The venue counts by the minute, so that its budget is there again within one; what takes longer is a ban.
const DOWNLOAD_WAIT: Duration = Duration::from_secs(61);

/// The REST client; clones share connections, clock and request budget.
#[derive(Clone)]
pub struct RestClient {
    pub(super) http: SharedHttp,
}

pub(super) const fn get(path: &'static str) -> Call {
    Call { method: "GET", path }
}

const EXCHANGE_INFO: Call = get("/api/v3/exchangeInfo");

impl RestClient {
    /// Opens no connection yet. Without credentials only public calls work.
    ///
    /// # Errors
    /// When the TLS transport cannot be set up.
    pub fn new(endpoint: Endpoint, credentials: Option<Credentials>, clock: LocalClock) -> Result<Self, ClientError> {
        Self::remembering(endpoint, credentials, clock, None)
    }

    /// As `new`, with a ban that an earlier start was told (`bans`): nothing is sent before its end, a time of the venue.
    ///
    /// # Errors
    /// When the TLS transport cannot be set up.
    pub fn remembering(
        endpoint: Endpoint,
        credentials: Option<Credentials>,
        clock: LocalClock,
        banned_until: Option<Timestamp>,
    ) -> Result<Self, ClientError> {
        Self::over(Http::new(endpoint, credentials, clock, banned_until, None)?)
    }

    /// For public data that somebody else may tell as well: a call that the venue's ban would hold back for longer than a minute fails
    /// with `ClientError::Limited` instead of waiting.
    ///
    /// # Errors
    /// When the TLS transport cannot be set up.
    pub fn for_downloads(endpoint: Endpoint, clock: LocalClock, banned_until: Option<Timestamp>) -> Result<Self, ClientError> {
        Self::over(Http::new(endpoint, None, clock, banned_until, Some(DOWNLOAD_WAIT))?)
    }

    fn over(http: Http) -> Result<Self, ClientError> {
        let client = Self { http: Arc::new(http) };
        if let Some(until) = *client.bans().borrow() {
            tracing::warn!(until_ms = until.millis(), "an earlier start was banned by the venue; nothing is sent before the ban ends");
        }
        Ok(client)
    }

    /// When the venue lets this address send again, in its time; `None` while it does. Changes are told, so that they can be kept.
    #[must_use]
    pub fn bans(&self) -> watch::Receiver<Option<Timestamp>> {
        self.http.limiter.bans()
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
        orders::server_time(&*self.http).await
    }

    /// Measures the venue's clock by several round trips and keeps the best.
    pub async fn sample_clock(&self) -> Result<ClockSample, ClientError> {
        self.http.measure_clock().await
    }

    pub async fn ping(&self) -> Result<(), ClientError> {
        orders::ping(&*self.http).await
    }

    /// The markets' rules, in the order asked. `fees` fills the instruments until the account's own are known.
    pub async fn exchange_info(&self, symbols: &[Symbol], fees: FeeRates) -> Result<Vec<Instrument>, ClientError> {
        let rules = self.exchange_rules(symbols, fees).await?;
        let of = |symbol: &Symbol| rules.markets.iter().find(|m| m.symbol == *symbol)?.instrument.clone();
        let what = "a market without price and lot filters";
        symbols.iter().map(|s| of(s).ok_or(ClientError::Contradiction { call: EXCHANGE_INFO, what })).collect()
    }

    /// As `exchange_info`, of those markets that the venue knows: one that it does not know is left out. The venue refuses a question about
    /// several when it does not know one of them, so that they are then asked for one by one.
    pub async fn known_markets(&self, symbols: &[Symbol], fees: FeeRates) -> Result<Vec<Instrument>, ClientError> {
        match self.exchange_info(symbols, fees).await {
            Err(error) if error.is_unknown_market() => {}
            told => return told,
        }
        let mut known = Vec::with_capacity(symbols.len());
        for symbol in symbols.iter().filter(|_| symbols.len() > 1) {
            match self.exchange_info(&[*symbol], fees).await {
                Err(error) if error.is_unknown_market() => {}
                told => known.extend(told?),
            }
        }
        Ok(known)
    }

    /// Everything `exchangeInfo` says about these markets (all of them, when none is named). Limits and rules are kept: from now on calls
    /// obey the limits, and opening orders are checked against the rules before they are sent.
    pub async fn exchange_rules(&self, symbols: &[Symbol], fees: FeeRates) -> Result<ExchangeRules, ClientError> {
        let query = if symbols.is_empty() { Query::new() } else { Query::new().with("symbols", symbol_list(symbols)) };
        let info: ExchangeInfoWire = self.http.call(EXCHANGE_INFO, query, Terms::public(20)).await?;
        let rules = info.rules(fees);
        self.http.limiter.learn(&rules.limits, self.venue_now());
        self.http.rules.learn(&rules.markets);
        if rules.unreadable > 0 {
            tracing::warn!(markets = rules.unreadable, "the venue lists markets that cannot be read; they are left out");
        }
        Ok(rules)
    }

    /// A market's rules as they were read last.
    #[must_use]
    pub fn market_rules(&self, symbol: Symbol) -> Option<MarketRules> {
        self.http.rules.of(symbol)
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
        let rows: Vec<KlineWire> = self.http.call(get("/api/v3/klines"), query, Terms::download(2)).await?;
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
        let wire: DepthSnapshotWire = self.http.call(get("/api/v3/depth"), query, Terms::download(weight)).await?;
        Ok(BookSnapshot { last_update_id: wire.last_update_id, bids: levels(wire.bids), asks: levels(wire.asks) })
    }

    /// The latest public trades, oldest first.
    pub async fn trades(&self, symbol: Symbol, limit: u32) -> Result<Vec<(Timestamp, PublicTrade)>, ClientError> {
        let query = Query::new().with("symbol", symbol).with("limit", limit);
        let rows: Vec<PublicTradeWire> = self.http.call(get("/api/v3/trades"), query, Terms::download(25)).await?;
        Ok(rows.iter().map(PublicTradeWire::trade).collect())
    }
}

pub(super) fn symbol_list(symbols: &[Symbol]) -> String {
    let quoted: Vec<String> = symbols.iter().map(|s| format!("\"{s}\"")).collect();
    format!("[{}]", quoted.join(","))
}
