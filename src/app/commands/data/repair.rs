//! `huracan data repair`: every gap on record is asked for again, of the venue and of its archive.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::Serialize;

use super::super::{data_file, progress};
use super::fetch::stop_on_interrupt;
use super::gap_list::{ListedGap, current_gaps, keep_gaps};
use crate::app::Context;
use crate::app::cli::SourceArg;
use crate::app::failure::{Failure, Outcome};
use crate::app::history::{
    Ask, CHAIN, Download, Fetched, Follow, HistoryFault, Shelf, client_of, raised, repair as repair_gap, sources, venue_of,
};
use crate::app::output::table;
use crate::domain::{Interval, Symbol};
use crate::protocol::{CandleSource, GapState};
use crate::store::{CandleSeries, Store};

#[derive(Debug)]
pub struct Wanted {
    pub symbols: Vec<Symbol>,
    pub interval: Option<Interval>,
    pub source: Option<SourceArg>,
    pub venue: Option<String>,
}

#[derive(Debug, Serialize)]
struct Repaired {
    symbol: Symbol,
    interval: Interval,
    new_rows: u64,
    repaired: u64,
    proven_absent: u64,
    /// Gaps that nothing is proven of.
    open: u64,
    gaps: Vec<ListedGap>,
}

#[derive(Debug, Serialize)]
struct Answer {
    series: Vec<Repaired>,
    failures: Vec<FailureReport>,
    stopped: bool,
}

#[derive(Debug, Serialize)]
struct FailureReport {
    symbol: Symbol,
    interval: Interval,
    cause: String,
}

pub fn repair(context: &Context, wanted: &Wanted) -> Outcome {
    let config = &context.config;
    let endpoint = venue_of(config, wanted.venue.as_deref())?;
    let store = data_file::writing(context)?;
    let client = client_of(config, wanted.venue.as_deref(), &store)?;
    let sources = sources(config, &endpoint, client)?;
    let chosen = |s: &&CandleSeries| {
        (wanted.symbols.is_empty() || wanted.symbols.contains(&s.symbol)) && wanted.interval.is_none_or(|interval| interval == s.interval)
    };
    let series: Vec<CandleSeries> = store.candle_series()?.iter().filter(chosen).copied().collect();
    if series.is_empty() {
        return Err(Failure::failed("no such candles are stored; huracan data list shows those there are"));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let bar = progress::bar(context.out, series.len() as u64).with_message("asking for gaps");
    let answer = runtime.block_on(async {
        let pause = Duration::from_millis(u64::from(config.history.pause_ms));
        let download = Download::new(&sources, Shelf { store: &store, writer: None }, config.history.attempts, pause).await;
        let stop = stop_on_interrupt();
        let mut answer = Answer { series: Vec::new(), failures: Vec::new(), stopped: false };
        for one in &series {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let named = wanted.source.map(CandleSource::from);
            let work = Repair { store: &store, download: &download, named };
            let done = tokio::select! {
                done = work.series(one, &stop) => done,
                () = raised(&stop) => Err(HistoryFault::Stopped),
            };
            match done {
                Ok(repaired) => answer.series.push(repaired),
                Err(HistoryFault::Stopped) => {}
                Err(HistoryFault::File(failure)) => return Err(failure),
                Err(HistoryFault::Source { error, .. }) => {
                    let cause = format!("{}; {}", error, error.next_step());
                    answer.failures.push(FailureReport { symbol: one.symbol, interval: one.interval, cause });
                }
            }
            bar.inc(1);
        }
        answer.stopped = stop.load(Ordering::Relaxed);
        Ok::<_, Failure>(answer)
    })?;
    bar.finish_and_clear();
    context.out.answer(&answer, || text(&answer))?;
    match (answer.stopped, answer.failures.len()) {
        (true, _) => Err(Failure::failed("stopped; what came is stored, the same command goes on from there")),
        (false, 0) => Ok(()),
        (false, failed) => Err(Failure::failed(format!("{failed} series could not be asked for"))),
    }
}

struct Repair<'a> {
    store: &'a Store,
    download: &'a Download<'a>,
    named: Option<CandleSource>,
}

impl Repair<'_> {
    async fn series(&self, series: &CandleSeries, stop: &std::sync::atomic::AtomicBool) -> Result<Repaired, HistoryFault> {
        let (symbol, interval) = (series.symbol, series.interval);
        let mut fetched = Fetched::default();
        keep_gaps(self.store, symbol, interval)?;
        // What nobody was asked for, and what another exchange stands in for, comes first: it may be all there is to do.
        let chain = self.named.map_or_else(|| CHAIN.iter().copied().filter(|s| !s.is_elsewhere()).collect(), |source| vec![source]);
        let ask = Ask { symbol, interval, since: series.first, until: series.last + interval.span(), chain };
        let whole = self.download.run(&ask, &mut Follow { progress: &mut |_, _, _| {}, stop }).await?;
        fetched.new_rows += whole.new_rows;
        let (mut records, _) = current_gaps(self.store, symbol, interval)?;
        for record in records.iter_mut().filter(|record| record.state == GapState::Found) {
            repair_gap(self.download, record, self.named, &mut fetched).await?;
        }
        self.store.put_gaps(symbol, interval, &records)?;
        let gaps = keep_gaps(self.store, symbol, interval)?;
        let count = |state: &str| gaps.iter().filter(|gap| gap.state == state).count() as u64;
        let (repaired, proven_absent, open) = (count("repaired"), count("proven_absent"), count("found"));
        Ok(Repaired { symbol, interval, new_rows: fetched.new_rows, repaired, proven_absent, open, gaps })
    }
}

fn text(answer: &Answer) -> String {
    let mut rows = vec![["symbol", "interval", "new", "repaired", "proven absent", "open"].map(str::to_owned).to_vec()];
    rows.extend(answer.series.iter().map(|s| {
        let numbers = [s.new_rows, s.repaired, s.proven_absent, s.open].map(|n| n.to_string());
        [s.symbol.to_string(), s.interval.to_string()].into_iter().chain(numbers).collect()
    }));
    let mut text = table(&rows);
    for failure in &answer.failures {
        text.push_str(&format!("\nfailed: {} {}: {}", failure.symbol, failure.interval, failure.cause));
    }
    text
}
