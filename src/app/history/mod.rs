//! What commands and runs share about history: which sources a venue has, what of a series is missing, the download that brings it,
//! and the gaps that stay.

mod download;
mod gaps;
mod stored;
#[cfg(test)]
mod tests;
mod trades;

pub use download::{Ask, BadHistory, Download, Fetched, Follow, HistoryFault, Shelf, Trouble, raised};
pub use gaps::{reconciled, repair};
pub use stored::{Stored, each_chunk, without};
pub use trades::TradeCandles;

use super::clock;
use super::config::{Config, HistoryConfig};
use super::failure::{Failure, Outcome};
use super::run::bans;
use crate::protocol::CandleSource;
use crate::store::Store;
use crate::venue::binance::{Endpoint, RestClient, monotonic_clock};
use crate::venue::history::{Addresses, Sources};

/// Whom to ask, in this order, until somebody answers.
pub const CHAIN: [CandleSource; 5] =
    [CandleSource::Rest, CandleSource::Mirror, CandleSource::Archive, CandleSource::Kraken, CandleSource::Coinbase];

/// The sources of the venue behind `rest`. Binance's mirror and archive, and other exchanges, stand in for Binance alone: another venue
/// has its own market, and only the addresses that the settings name.
pub fn sources(config: &Config, venue: &Endpoint, rest: RestClient) -> Outcome<Sources> {
    let usual = if venue.rest == Endpoint::binance().rest { Addresses::of_binance() } else { Addresses::default() };
    let HistoryConfig { mirror, archive, kraken, coinbase, .. } = &config.history;
    let chosen = |named: &str, usual: Option<String>| match named {
        "" => usual,
        "none" => None,
        named => Some(named.to_owned()),
    };
    let addresses = Addresses {
        mirror: chosen(mirror, usual.mirror),
        archive: chosen(archive, usual.archive),
        kraken: chosen(kraken, usual.kraken),
        coinbase: chosen(coinbase, usual.coinbase),
    };
    Sources::new(rest, &addresses, std::sync::Arc::new(clock::now))
        .map_err(|error| Failure::usage(format!("{:#}", anyhow::Error::from(error))))
}

/// The venue that history is asked of: the one named, else `history.rest`, else the one that is traded on.
pub fn venue_of(config: &Config, named: Option<&str>) -> Outcome<Endpoint> {
    let url = url_of(config, named);
    if url.is_empty() { Ok(Endpoint::binance()) } else { Endpoint::from_rest_url(url).map_err(Failure::usage) }
}

/// That venue's client for downloads. A ban that a run was told, and kept in the data file, holds for it too.
pub fn client_of(config: &Config, named: Option<&str>, store: &Store) -> Outcome<RestClient> {
    let url = url_of(config, named);
    let banned_until = bans::kept(store, if url.is_empty() { "Binance" } else { url })?;
    Ok(RestClient::for_downloads(venue_of(config, named)?, monotonic_clock(), banned_until)?)
}

fn url_of<'a>(config: &'a Config, named: Option<&'a str>) -> &'a str {
    named.unwrap_or(if config.history.rest.is_empty() { &config.venue.url } else { &config.history.rest })
}
