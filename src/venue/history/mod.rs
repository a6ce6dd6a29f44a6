//! Where history comes from: the venue, its mirror, its archive of files, and other exchanges, all asked in the same way.
//!
//! A question is a series and a window of open times; the answer is a [`Block`]: candles, and the stretch of which they are all that the
//! source has. What to keep, whom to ask next and what is missing is decided by whoever asks.

mod archive;
mod elsewhere;
mod error;
mod rows;
#[cfg(test)]
pub(crate) mod tests;
mod trade_rows;
mod web;

pub use archive::{Archive, trades_whole_until};
pub use error::SourceError;
pub use rows::{BadRow, ReadRow, Row, RowFault, Sifted, Window, grid_floor, sift};
pub use trade_rows::{TradeFile, is_trades, read_trades};
pub use web::Downloaded;

use elsewhere::{Coinbase, Kraken};
use web::Web;

use crate::domain::{Interval, Symbol, Timestamp};
use crate::protocol::CandleSource;
use crate::venue::binance::{Endpoint, EndpointError, KLINE_PAGE, LocalClock, RestClient};

/// One answer of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The candles are all that the source has of `[from, until)`.
    pub from: Timestamp,
    pub until: Timestamp,
    pub sifted: Sifted,
    /// False: the source has no file of this stretch, which says nothing about the candles.
    pub told: bool,
}

impl Block {
    fn untold(from: Timestamp, until: Timestamp) -> Self {
        Self { from, until, sifted: Sifted::default(), told: false }
    }
}

/// Base addresses of what may be asked when the venue does not answer; `None`: not asked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Addresses {
    pub mirror: Option<String>,
    pub archive: Option<String>,
    pub kraken: Option<String>,
    pub coinbase: Option<String>,
}

impl Addresses {
    /// Binance spot's own, and two other exchanges'.
    #[must_use]
    pub fn of_binance() -> Self {
        Self {
            mirror: Some("https://data-api.binance.vision".to_owned()),
            archive: Some("https://data.binance.vision".to_owned()),
            kraken: Some("https://api.kraken.com".to_owned()),
            coinbase: Some("https://api.exchange.coinbase.com".to_owned()),
        }
    }
}

/// All sources of one venue's history. Clones share connections and request budgets.
#[derive(Clone)]
pub struct Sources {
    rest: RestClient,
    mirror: Option<RestClient>,
    archive: Option<Archive>,
    kraken: Option<Kraken>,
    coinbase: Option<Coinbase>,
}

/// Why the sources cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetUpError {
    #[error("an address of [history]")]
    Address(#[from] EndpointError),
    #[error("the client of a source")]
    Client(#[from] crate::venue::binance::ClientError),
    #[error("the client of the files")]
    Web(#[from] SourceError),
}

impl Sources {
    /// `rest` is the venue's own client.
    ///
    /// # Errors
    /// When an address is malformed or the transport cannot be set up. Nothing is asked yet.
    pub fn new(rest: RestClient, addresses: &Addresses, clock: LocalClock) -> Result<Self, SetUpError> {
        let web = |address: &Option<String>| -> Result<Option<(String, Web)>, SetUpError> {
            let Some(url) = address else { return Ok(None) };
            let base = Endpoint::from_rest_url(url)?.rest;
            let web = Web::new(&base)?;
            Ok(Some((base, web)))
        };
        let mirror = match &addresses.mirror {
            Some(url) => Some(RestClient::for_downloads(Endpoint::from_rest_url(url)?, clock, None)?),
            None => None,
        };
        Ok(Self {
            rest,
            mirror,
            archive: web(&addresses.archive)?.map(|(base, web)| Archive { base, web }),
            kraken: web(&addresses.kraken)?.map(|(base, web)| Kraken { base, web }),
            coinbase: web(&addresses.coinbase)?.map(|(base, web)| Coinbase { base, web }),
        })
    }

    #[must_use]
    pub fn has(&self, source: CandleSource) -> bool {
        self.place(source).is_some()
    }

    /// The host that is asked.
    #[must_use]
    pub fn place(&self, source: CandleSource) -> Option<&str> {
        let url = match source {
            CandleSource::Rest => Some(self.rest.address()),
            CandleSource::Mirror => self.mirror.as_ref().map(RestClient::address),
            CandleSource::Archive | CandleSource::Trades => self.archive.as_ref().map(|a| a.base.as_str()),
            CandleSource::Kraken => self.kraken.as_ref().map(|k| k.base.as_str()),
            CandleSource::Coinbase => self.coinbase.as_ref().map(|c| c.base.as_str()),
            CandleSource::Import => None,
        }?;
        Some(url.split_once("://").map_or(url, |(_, host)| host))
    }

    #[must_use]
    pub fn archive(&self) -> Option<&Archive> {
        self.archive.as_ref()
    }

    /// The venue's own interface; other calls of a download go there.
    #[must_use]
    pub fn rest(&self) -> &RestClient {
        &self.rest
    }

    /// Candles from the start of the window on, as many as one answer of the source holds.
    ///
    /// # Errors
    /// When the source does not answer, does not know the series, or what it gives is not what it claims. `CandleSource::Trades` and
    /// `Import` are no sources of candles and know no symbol.
    pub async fn block(&self, source: CandleSource, symbol: Symbol, window: Window) -> Result<Block, SourceError> {
        let unknown = || SourceError::UnknownSymbol { place: source.to_string(), symbol };
        match source {
            CandleSource::Rest => page(&self.rest, symbol, window).await,
            CandleSource::Mirror => page(self.mirror.as_ref().ok_or_else(unknown)?, symbol, window).await,
            CandleSource::Archive => self.archive.as_ref().ok_or_else(unknown)?.block(symbol, window).await,
            CandleSource::Kraken => self.kraken.as_ref().ok_or_else(unknown)?.block(symbol, window).await,
            CandleSource::Coinbase => self.coinbase.as_ref().ok_or_else(unknown)?.block(symbol, window).await,
            CandleSource::Trades | CandleSource::Import => Err(unknown()),
        }
    }

    /// The open time of the first candle the venue ever had of a series, by one request; `None` when it has none.
    pub async fn first_candle(&self, source: CandleSource, symbol: Symbol, interval: Interval) -> Result<Option<Timestamp>, SourceError> {
        let client = match source {
            CandleSource::Mirror => self.mirror.as_ref().unwrap_or(&self.rest),
            _ => &self.rest,
        };
        let rows = client.kline_rows(symbol, interval, Timestamp::EPOCH, Timestamp::MAX, 1).await.map_err(|e| venue(client, e))?;
        Ok(rows.into_iter().flatten().next().map(|row| row.candle.open_time))
    }

    /// Measures the venue's clock; `None` when neither the venue nor its mirror tells the time.
    pub async fn measured_clock(&self) -> Option<&RestClient> {
        for client in [Some(&self.rest), self.mirror.as_ref()].into_iter().flatten() {
            // One question first: an address that refuses is not asked five times.
            for _ in 0..3 {
                match client.server_time().await {
                    Ok(_) => {
                        if client.sample_clock().await.is_ok() {
                            return Some(client);
                        }
                    }
                    Err(error) if error.is_transient() => {}
                    Err(_) => break,
                }
            }
        }
        None
    }
}

fn venue(client: &RestClient, source: crate::venue::binance::ClientError) -> SourceError {
    SourceError::Venue { place: client.address().to_owned(), source: Box::new(source) }
}

/// A page of the venue's candles. The page starts at the first candle that exists, so a hole never stops the walk.
async fn page(client: &RestClient, symbol: Symbol, window: Window) -> Result<Block, SourceError> {
    let asked = client.kline_rows(symbol, window.interval, window.from, window.until, KLINE_PAGE).await;
    let rows = asked.map_err(|error| venue(client, error))?;
    let full = rows.len() >= KLINE_PAGE;
    let newest = rows.iter().flatten().map(|row| row.candle.open_time).max();
    let sifted = sift(rows, window);
    let until = match (sifted.forming, newest.filter(|_| full)) {
        (Some(forming), _) => forming,
        // One step after it and not one interval: the next may come early where the venue's clock was put right.
        (None, Some(newest)) => Timestamp::from_millis(newest.millis() + 1).min(window.until),
        (None, None) if full => {
            let url = client.address().to_owned();
            return Err(SourceError::Unreadable { url, detail: "a page without a single readable row".to_owned() });
        }
        (None, None) => window.until,
    };
    Ok(Block { from: window.from, until, sifted, told: true })
}
