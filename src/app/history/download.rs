//! The download: what is missing of a series, page by page, from the first source that answers. A page and its progress are durable
//! together before the next is asked for.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::stored::{Stretch, missing, without};
use super::trades::TradeCandles;
use crate::app::clock;
use crate::app::failure::{Failure, Outcome};
use crate::domain::{Candle, Interval, Span, Symbol, Timestamp};
use crate::protocol::{CandleSource, HistoryPage, HistorySpan};
use crate::store::{Bulk, Store, StoreError, WriterHandle};
use crate::venue::binance::RestClient;
use crate::venue::history::{Block, SourceError, Sources, Window, grid_floor};

/// Our estimate of the venue's clock may be off by half a round trip.
const CLOCK_MARGIN: Span = Span::from_millis(500);
/// Nobody told the time: this box's clock is believed up to here.
const UNTOLD_CLOCK_MARGIN: Span = Span::from_secs(60);
const KEPT_WITHIN: Duration = Duration::from_secs(60);
/// Pages are kept together this often, or when there are this many candles.
const KEEP_EVERY: Duration = Duration::from_millis(700);
const MOST_TOGETHER: usize = 20_000;
const STOP_SEEN_WITHIN: Duration = Duration::from_millis(50);

/// Where pages are kept: the file itself, or the lane of a running writer.
#[derive(Clone, Copy)]
pub struct Shelf<'a> {
    pub store: &'a Store,
    pub writer: Option<&'a WriterHandle>,
}

impl Shelf<'_> {
    fn keep(&self, page: HistoryPage) -> Outcome {
        let Some(writer) = self.writer else { return Ok(self.store.keep_history(&page)?) };
        let ticket = writer.bulk(Bulk::History(Box::new(page)))?;
        if writer.wait(ticket, KEPT_WITHIN) { Ok(()) } else { Err(Failure::failed("the data file did not keep the candles")) }
    }
}

/// One series to bring.
#[derive(Debug, Clone)]
pub struct Ask {
    pub symbol: Symbol,
    pub interval: Interval,
    pub since: Timestamp,
    pub until: Timestamp,
    /// In this order.
    pub chain: Vec<CandleSource>,
}

/// Who looks on, and who may stop it.
pub struct Follow<'a> {
    /// Candles asked for so far, candles to ask for, candles that came.
    pub progress: &'a mut dyn FnMut(u64, u64, u64),
    pub stop: &'a AtomicBool,
}

/// A row that was not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadHistory {
    pub source: CandleSource,
    pub open_time: Option<Timestamp>,
    pub reason: String,
}

/// A source that did not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    pub source: CandleSource,
    pub cause: String,
    pub next_step: &'static str,
}

/// What a download did.
#[derive(Debug, Clone, Default)]
pub struct Fetched {
    pub new_rows: u64,
    pub bad: Vec<BadHistory>,
    pub off_grid: u64,
    pub used: BTreeSet<CandleSource>,
    /// What no source told.
    pub missing: Vec<Stretch>,
    pub troubles: Vec<Trouble>,
}

/// Why a download ended early; what came before is kept.
#[derive(Debug)]
pub enum HistoryFault {
    /// It was asked to.
    Stopped,
    Source {
        source: CandleSource,
        error: SourceError,
    },
    /// The data file.
    File(Failure),
}

impl From<StoreError> for HistoryFault {
    fn from(error: StoreError) -> Self {
        Self::File(error.into())
    }
}

impl From<Failure> for HistoryFault {
    fn from(failure: Failure) -> Self {
        Self::File(failure)
    }
}

/// Downloads from one venue's sources. Several may run at once.
pub struct Download<'a> {
    pub sources: &'a Sources,
    shelf: Shelf<'a>,
    /// Tries of one page, and the pause after the first; it doubles.
    attempts: u32,
    pause: Duration,
    clock: Option<&'a RestClient>,
}

impl<'a> Download<'a> {
    /// Asks the venue for its time.
    pub async fn new(sources: &'a Sources, shelf: Shelf<'a>, attempts: u32, pause: Duration) -> Self {
        Self { sources, shelf, attempts, pause, clock: sources.measured_clock().await }
    }

    /// Whether the venue, or its mirror, told the time.
    pub fn knows_the_time(&self) -> bool {
        self.clock.is_some()
    }

    /// What closed before this moment of the venue's clock is certainly closed.
    pub fn now(&self) -> Timestamp {
        self.clock.map_or_else(|| clock::now() - UNTOLD_CLOCK_MARGIN, |client| client.venue_now() - CLOCK_MARGIN)
    }

    /// Brings what is missing. An answer may still lack something: then `missing` says what and `troubles` why.
    pub async fn run(&self, ask: &Ask, watch: &mut Follow<'_>) -> Result<Fetched, HistoryFault> {
        let (symbol, interval) = (ask.symbol, ask.interval);
        tokio::select! {
            learned = self.learn_listing(ask) => learned?,
            () = raised(watch.stop) => return Err(HistoryFault::Stopped),
        }
        let whole = (ask.since, ask.until.min(grid_floor(self.now(), interval)));
        let mut walk = Walk { ask, fetched: Fetched::default(), told: 0, total: 0 };
        for source in ask.chain.iter().copied().filter(|source| self.sources.has(*source)) {
            let wanted = missing(self.shelf.store, symbol, interval, whole, source.is_elsewhere())?;
            walk.total = walk.told + wanted.iter().map(|stretch| slots(interval, *stretch)).sum::<u64>();
            (watch.progress)(walk.told, walk.total, walk.fetched.new_rows);
            let mut pages = Pages::new(self, source, (symbol, interval));
            // What came is kept before anything else is decided.
            let done = self.walk(&mut walk, &mut pages, &wanted, watch).await;
            pages.flush()?;
            match done {
                Err(HistoryFault::Source { source, error }) if error.leads_on() => {
                    let (cause, next_step) = (full_text(&error), error.next_step());
                    tracing::warn!(%symbol, %source, %cause, "a source does not answer");
                    walk.fetched.troubles.push(Trouble { source, cause, next_step });
                }
                other => other?,
            }
        }
        walk.fetched.missing = missing(self.shelf.store, symbol, interval, whole, true)?;
        let lacking: u64 = walk.fetched.missing.iter().map(|stretch| slots(interval, *stretch)).sum();
        (watch.progress)(walk.total.saturating_sub(lacking), walk.total, walk.fetched.new_rows);
        Ok(walk.fetched)
    }

    /// One source over all that is wanted of it.
    async fn walk(
        &self,
        walk: &mut Walk<'_>,
        pages: &mut Pages<'_>,
        wanted: &[Stretch],
        watch: &mut Follow<'_>,
    ) -> Result<(), HistoryFault> {
        let Ask { symbol, interval, .. } = *walk.ask;
        let mut fold = TradeCandles::new(interval);
        for (from, until) in wanted.iter().copied() {
            let mut at = from;
            while at < until {
                let window = Window { interval, from: at, until, now: self.now() };
                let asked = tokio::select! {
                    asked = self.patiently(pages.source, symbol, window, &mut fold) => asked,
                    () = raised(watch.stop) => return Err(HistoryFault::Stopped),
                };
                let block = asked.map_err(|error| HistoryFault::Source { source: pages.source, error })?;
                let next = block.until;
                if block.told {
                    walk.told += slots(interval, (block.from, block.until));
                    pages.take(block, &mut walk.fetched)?;
                }
                (watch.progress)(walk.told, walk.total, walk.fetched.new_rows);
                // It has nothing more to tell: the rest is forming.
                if next <= at {
                    break;
                }
                at = next;
            }
        }
        Ok(())
    }

    /// One answer of a source, asked again while that may help.
    async fn patiently(&self, source: CandleSource, symbol: Symbol, window: Window, fold: &mut TradeCandles) -> Result<Block, SourceError> {
        let mut attempt = 0;
        loop {
            let asked = match (source, self.sources.archive()) {
                (CandleSource::Trades, Some(archive)) => fold.block(archive, symbol, window).await,
                _ => self.sources.block(source, symbol, window).await,
            };
            attempt += 1;
            match asked {
                Err(error) if error.may_pass() && attempt < self.attempts => {
                    tracing::info!(%symbol, %source, attempt, error = %full_text(&error), "asking again");
                    tokio::time::sleep(self.pause * (1 << (attempt - 1).min(6))).await;
                }
                other => return other,
            }
        }
    }

    /// Asks one source for one stretch of a series, keeps what comes, and gives the blocks without what was kept.
    pub async fn ask_for(
        &self,
        source: CandleSource,
        (symbol, interval): (Symbol, Interval),
        (from, until): Stretch,
        fetched: &mut Fetched,
    ) -> Result<Vec<(Stretch, bool)>, HistoryFault> {
        let mut fold = TradeCandles::new(interval);
        let mut pages = Pages::new(self, source, (symbol, interval));
        let (mut at, mut answers) = (from, Vec::new());
        while at < until {
            let window = Window { interval, from: at, until, now: self.now() };
            let asked = self.patiently(source, symbol, window, &mut fold).await;
            let block = asked.map_err(|error| HistoryFault::Source { source, error })?;
            let next = block.until;
            answers.push(((block.from, block.until), block.told));
            if block.told {
                pages.take(block, fetched)?;
            }
            if next <= at {
                break;
            }
            at = next;
        }
        pages.flush()?;
        Ok(answers)
    }

    /// Before its first candle a market has none: asked once, by one request, and kept.
    async fn learn_listing(&self, ask: &Ask) -> Result<(), HistoryFault> {
        let source = match ask.chain.iter().find(|source| matches!(source, CandleSource::Rest | CandleSource::Mirror)) {
            Some(source) if self.sources.has(*source) => *source,
            _ => return Ok(()),
        };
        let spans = self.shelf.store.history_spans(ask.symbol, ask.interval)?;
        if spans.iter().any(|span| span.start <= ask.since && ask.since < span.end && span.source != CandleSource::Import) {
            return Ok(());
        }
        match self.sources.first_candle(source, ask.symbol, ask.interval).await {
            Ok(Some(first)) if first > ask.since => {
                let told: Vec<Stretch> = spans.iter().map(|span| (span.start, span.end)).collect();
                for (start, end) in without(&[(ask.since, first)], &told) {
                    let place = self.sources.place(source).unwrap_or("").to_owned();
                    let span = HistorySpan { start, end, source, place, at: clock::now() };
                    let (symbol, interval) = (ask.symbol, ask.interval);
                    self.shelf.keep(HistoryPage { symbol, interval, candles: Vec::new(), span, replace: false })?;
                }
                Ok(())
            }
            Err(error) if !error.leads_on() => Err(HistoryFault::Source { source, error }),
            // Trouble meets the first page as well, and is told there.
            _ => Ok(()),
        }
    }
}

/// Where a download stands.
struct Walk<'a> {
    ask: &'a Ask,
    fetched: Fetched,
    /// Candles asked for so far, and altogether.
    told: u64,
    total: u64,
}

/// Blocks of one source that follow each other, kept together about once a second: a kill loses that much work and no order.
struct Pages<'a> {
    shelf: Shelf<'a>,
    place: String,
    source: CandleSource,
    series: (Symbol, Interval),
    held: Option<(Stretch, Vec<Candle>)>,
    flushed: Instant,
}

impl<'a> Pages<'a> {
    fn new(download: &Download<'a>, source: CandleSource, series: (Symbol, Interval)) -> Self {
        let place = download.sources.place(source).unwrap_or("").to_owned();
        Self { shelf: download.shelf, place, source, series, held: None, flushed: Instant::now() }
    }

    fn take(&mut self, block: Block, fetched: &mut Fetched) -> Outcome {
        let Block { from, until, sifted, .. } = block;
        fetched.new_rows += sifted.candles.len() as u64;
        fetched.off_grid += sifted.off_grid;
        if !sifted.candles.is_empty() {
            fetched.used.insert(self.source);
        }
        let source = self.source;
        fetched.bad.extend(sifted.bad.into_iter().map(|bad| BadHistory {
            source,
            open_time: bad.open_time,
            reason: bad.fault.to_string(),
        }));
        match &mut self.held {
            Some((stretch, candles)) if stretch.1 == from => {
                stretch.1 = until;
                candles.extend(sifted.candles);
            }
            _ => {
                self.flush()?;
                self.held = Some(((from, until), sifted.candles));
            }
        }
        let many = self.held.as_ref().is_some_and(|(_, candles)| candles.len() >= MOST_TOGETHER);
        if many || self.flushed.elapsed() >= KEEP_EVERY { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Outcome {
        self.flushed = Instant::now();
        let Some(((start, end), candles)) = self.held.take().filter(|((start, end), _)| start < end) else { return Ok(()) };
        let (symbol, interval) = self.series;
        let foreign = |held: &HistorySpan| held.source.is_elsewhere() && held.start < end && start < held.end;
        let replace = !self.source.is_elsewhere() && self.shelf.store.history_spans(symbol, interval)?.iter().any(foreign);
        let span = HistorySpan { start, end, source: self.source, place: self.place.clone(), at: clock::now() };
        self.shelf.keep(HistoryPage { symbol, interval, candles, span, replace })
    }
}

fn slots(interval: Interval, (from, until): Stretch) -> u64 {
    u64::try_from(until.since(from).nanos() / interval.span().nanos()).unwrap_or(0)
}

/// Ends when `stop` is set.
pub async fn raised(stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        tokio::time::sleep(STOP_SEEN_WITHIN).await;
    }
}

pub(super) fn full_text(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
