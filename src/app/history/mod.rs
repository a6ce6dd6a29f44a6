//! What commands and runs share about history: which sources a venue has, what of a series is missing, the download that brings it,
//! and the gaps that stay.

mod download;
mod gaps;
mod stored;
#[cfg(test)]
mod tests;
mod trades;

pub use download::{Ask, BadHistory, Download, Fetched, Follow, HistoryFault, Shelf, Trouble};
pub use gaps::{reconciled, repair};
pub use stored::{Stored, each_chunk};
pub use trades::TradeCandles;

use super::clock;
use super::config::{Config, HistoryConfig};
use super::failure::{Failure, Outcome};
use crate::protocol::CandleSource;
use crate::venue::binance::{Endpoint, RestClient};
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
    let url = named.unwrap_or(if config.history.rest.is_empty() { &config.venue.url } else { &config.history.rest });
    if url.is_empty() { Ok(Endpoint::binance()) } else { Endpoint::from_rest_url(url).map_err(Failure::usage) }
}
