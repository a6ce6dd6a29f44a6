//! `huracan data fetch`: candles from the venue, only those that are missing, stored page by page.

use indicatif::ProgressBar;
use serde::Serialize;

use super::super::moment::moment;
use super::super::{data_file, progress};
use crate::app::Context;
use crate::app::clock;
use crate::app::failure::{ExitKind, Failure, Outcome};
use crate::app::training::{KnownInstrument, keep_instrument};
use crate::domain::{Candle, FeeRates, Interval, Symbol, Timestamp, find_gaps};
use crate::store::Store;
use crate::venue::binance::{Endpoint, RestClient, monotonic_clock};

/// Candles that are stored at a time: a download that breaks off goes on from there.
const CHUNK: i64 = 10_000;

#[derive(Debug)]
pub struct Wanted {
    pub symbol: Symbol,
    pub interval: Interval,
    pub since: String,
    pub venue: Option<String>,
}

#[derive(Debug, Serialize)]
struct Answer {
    symbol: Symbol,
    interval: Interval,
    since: Timestamp,
    /// Candles that were there before, and those that came.
    stored_before: u64,
    candles: u64,
    instrument: KnownInstrument,
}

pub fn fetch(context: &Context, wanted: &Wanted) -> Outcome {
    let now = clock::now();
    let since = moment(&wanted.since, now)?.floor_to(wanted.interval);
    if since >= now {
        return Err(Failure::usage(format!("--since {} is not in the past", wanted.since)));
    }
    let url = wanted.venue.as_deref().unwrap_or(&context.config.venue.url);
    let endpoint = if url.is_empty() { Endpoint::binance() } else { Endpoint::from_rest_url(url).map_err(Failure::usage)? };
    let address = endpoint.rest.clone();
    let client = RestClient::new(endpoint, None, monotonic_clock())?;
    let store = data_file::writing(context)?;
    let held = store.candles(wanted.symbol, wanted.interval, since, now)?;
    let missing = missing(&held, wanted.interval, since, now);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let bar = progress::bar(context.out, 0).with_message(format!("{} {}", wanted.symbol, wanted.interval));
    let mut download = Download { client, store: &store, symbol: wanted.symbol, interval: wanted.interval, bar: &bar, stored: 0 };
    let done = runtime.block_on(download.run(&missing, context.config.fees()));
    let candles = download.stored;
    bar.finish_and_clear();
    let instrument = done.map_err(|failure| {
        let hint = match candles {
            0 => format!("{address} delivered nothing"),
            _ => format!("{address} did not deliver all of it; {candles} candles are stored, the same command goes on from there"),
        };
        Failure::of(ExitKind::Failed, anyhow::anyhow!("{failure}").context(hint))
    })?;
    let answer = Answer { symbol: wanted.symbol, interval: wanted.interval, since, stored_before: held.len() as u64, candles, instrument };
    context.out.answer(&answer, || {
        format!("{} {}: {} candles fetched, {} were there already", answer.symbol, answer.interval, answer.candles, answer.stored_before)
    })
}

struct Download<'a> {
    client: RestClient,
    store: &'a Store,
    symbol: Symbol,
    interval: Interval,
    bar: &'a ProgressBar,
    stored: u64,
}

impl Download<'_> {
    async fn run(&mut self, missing: &[(Timestamp, Timestamp)], fees: FeeRates) -> Outcome<KnownInstrument> {
        let found = self.client.exchange_info(&[self.symbol], fees).await?;
        let instrument = found.into_iter().next().ok_or_else(|| Failure::failed(format!("the venue does not know {}", self.symbol)))?;
        let known = KnownInstrument { instrument, inferred: false, notes: Vec::new() };
        keep_instrument(self.store, &known)?;
        let length = self.interval.span().nanos();
        let expected = |from: Timestamp, to: Timestamp| u64::try_from(to.since(from).nanos() / length).unwrap_or(0);
        self.bar.set_length(missing.iter().map(|(from, to)| expected(*from, *to)).sum());
        for (from, to) in missing {
            let mut from = *from;
            while from < *to {
                let until = (from + self.interval.span().times(CHUNK)).min(*to);
                let begun = self.bar.position();
                let page = self.client.klines_range(self.symbol, self.interval, from, until, |done, _| self.bar.set_position(begun + done));
                let candles = page.await?;
                self.store.put_candles(self.symbol, self.interval, &candles)?;
                self.stored += candles.len() as u64;
                self.bar.set_position(begun + expected(from, until));
                from = until;
            }
        }
        Ok(known)
    }
}

/// The ranges `[from, to)` of open times that `held` (within `[since, now)`) does not cover.
fn missing(held: &[Candle], interval: Interval, since: Timestamp, now: Timestamp) -> Vec<(Timestamp, Timestamp)> {
    let (Some(first), Some(last)) = (held.first(), held.last()) else { return vec![(since, now)] };
    let mut ranges = vec![(since, first.open_time)];
    ranges.extend(find_gaps(held, interval).iter().map(|gap| (gap.start, gap.end)));
    ranges.push((last.open_time + interval.span(), now));
    ranges.retain(|(from, to)| from < to);
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Price, Qty};

    fn held(minutes: &[i64]) -> Vec<Candle> {
        let price = Price::from_raw(1);
        let at = |minute: &i64| Candle {
            open_time: Timestamp::from_millis(minute * 60_000),
            open: price,
            high: price,
            low: price,
            close: price,
            volume: Qty::ZERO,
            taker_buy_volume: None,
            trades: 0,
        };
        minutes.iter().map(at).collect()
    }

    #[test]
    fn only_what_is_missing_is_fetched() {
        let at = |minute: i64| Timestamp::from_millis(minute * 60_000);
        let ranges = |minutes: &[i64]| missing(&held(minutes), Interval::MINUTE, at(0), at(10));
        assert_eq!(ranges(&[]), [(at(0), at(10))]);
        assert_eq!(ranges(&[2, 3, 6]), [(at(0), at(2)), (at(4), at(6)), (at(7), at(10))]);
        assert_eq!(ranges(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]), []);
    }
}
