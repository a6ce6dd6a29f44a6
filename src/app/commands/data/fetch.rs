//! `huracan data fetch`: candles from the venue and its stand-ins, only those that are missing, several series at once, each on its own.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use super::super::data_file;
use super::super::moment::moment;
use super::gap_list::{ListedGap, keep_gaps};
use crate::app::Context;
use crate::app::cli::SourceArg;
use crate::app::clock;
use crate::app::failure::{Failure, Outcome};
use crate::app::history::{
    Ask, BadHistory, CHAIN, Download, Fetched, Follow, HistoryFault, Shelf, Stored, Trouble, client_of, raised, sources, venue_of,
};
use crate::app::output::{Output, table};
use crate::app::training::{KnownInstrument, keep_instrument};
use crate::domain::{Interval, Symbol, Timestamp};
use crate::protocol::CandleSource;
use crate::store::Store;
use crate::venue::history::grid_floor;

/// Rounds over series that failed; the pause before each doubles.
const ROUNDS: u32 = 3;
/// Rows that the text for people names by series; the JSON has all.
const SHOWN: usize = 5;

#[derive(Debug)]
pub struct Wanted {
    pub symbols: Vec<Symbol>,
    pub interval: Option<Interval>,
    pub since: String,
    pub until: Option<String>,
    pub source: Option<SourceArg>,
    pub trades: bool,
    pub venue: Option<String>,
}

#[derive(Debug, Serialize)]
struct BadRow {
    source: CandleSource,
    open_time: Option<Timestamp>,
    reason: String,
}

#[derive(Debug, Serialize)]
struct Series {
    symbol: Symbol,
    interval: Interval,
    /// Candles of the asked range in the file, and how many of them came now.
    rows: u64,
    new_rows: u64,
    first_time: Option<Timestamp>,
    last_time: Option<Timestamp>,
    gaps: Vec<ListedGap>,
    /// Whose candles these are, joined by `+`.
    source: String,
    off_grid: u64,
    bad_rows: Vec<BadRow>,
    seconds: f64,
}

#[derive(Debug, Serialize)]
struct FailureReport {
    symbol: Symbol,
    interval: Interval,
    source: Option<CandleSource>,
    cause: String,
    next_step: String,
    /// Candles that should be there and are not, as far as the range tells.
    missing: u64,
}

#[derive(Debug, Serialize)]
struct Answer {
    series: Vec<Series>,
    failures: Vec<FailureReport>,
    /// Sources that were asked and did not answer, though another one did.
    troubles: Vec<FailureReport>,
    stopped: bool,
}

/// What a series came to.
struct Ended {
    fetched: Fetched,
    fault: Option<HistoryFault>,
    seconds: f64,
}

impl Ended {
    /// True when asking again may bring more.
    fn may_be_asked_again(&self) -> bool {
        match &self.fault {
            Some(HistoryFault::Source { error, .. }) => error.leads_on(),
            Some(_) => false,
            None => !self.fetched.missing.is_empty() && !self.fetched.troubles.is_empty(),
        }
    }
}

pub fn fetch(context: &Context, wanted: &Wanted) -> Outcome {
    let _already_logging = tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter("warn").try_init();
    let config = &context.config;
    let interval = wanted.interval.unwrap_or(config.time_scale.bar);
    let mut symbols = if wanted.symbols.is_empty() { config.markets.symbols.clone() } else { wanted.symbols.clone() };
    let mut seen = BTreeSet::new();
    symbols.retain(|symbol| seen.insert(*symbol));
    let now = clock::now();
    let since = grid_floor(moment(&wanted.since, now)?, interval);
    let until = wanted.until.as_deref().map(|text| moment(text, now)).transpose()?.unwrap_or(now);
    if since >= now || since >= until {
        return Err(Failure::usage(format!("--since {} is not before the end", wanted.since)));
    }
    let endpoint = venue_of(config, wanted.venue.as_deref())?;
    let store = data_file::writing(context)?;
    let client = client_of(config, wanted.venue.as_deref(), &store)?;
    let sources = sources(config, &endpoint, client)?;
    let chain = chain(wanted)?;
    if !chain.iter().any(|source| sources.has(*source)) {
        return Err(Failure::usage(format!("{} has no such source; name its address in [history]", endpoint.rest)));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let asks: Vec<Ask> = symbols.iter().map(|symbol| Ask { symbol: *symbol, interval, since, until, chain: chain.clone() }).collect();
    let answer = runtime.block_on(async {
        let pause = Duration::from_millis(u64::from(config.history.pause_ms));
        let shelf = Shelf { store: &store, writer: None };
        let download = Download::new(&sources, shelf, config.history.attempts, pause).await;
        let stop = stop_on_interrupt();
        let ended = Fetching { context, store: &store, download: &download, stop: &stop }.run(&asks).await;
        report(&store, &asks, ended, stop.load(Ordering::Relaxed))
    })?;
    let (stopped, failed) = (answer.stopped, answer.failures.len());
    context.out.answer(&answer, || text(&answer))?;
    match (stopped, failed) {
        (true, _) => Err(Failure::failed("stopped; what came is stored, the same command goes on from there")),
        (false, 0) => Ok(()),
        (false, _) => Err(Failure::failed(format!("{failed} of {} series are not complete; what came is stored", asks.len()))),
    }
}

fn chain(wanted: &Wanted) -> Outcome<Vec<CandleSource>> {
    match (wanted.trades, wanted.source) {
        (true, None | Some(SourceArg::Archive)) => Ok(vec![CandleSource::Trades]),
        (true, Some(_)) => Err(Failure::usage("--trades reads the archive: leave --source out")),
        (false, None) => Ok(CHAIN.to_vec()),
        (false, Some(source)) => Ok(vec![source.into()]),
    }
}

/// Set by Ctrl-C or the system's request to end.
pub fn stop_on_interrupt() -> Arc<AtomicBool> {
    use tokio::signal::unix::{SignalKind, signal};
    let stop = Arc::new(AtomicBool::new(false));
    let set = Arc::clone(&stop);
    if let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) {
        tokio::spawn(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            set.store(true, Ordering::Relaxed);
        });
    }
    stop
}

struct Fetching<'a> {
    context: &'a Context,
    store: &'a Store,
    download: &'a Download<'a>,
    stop: &'a AtomicBool,
}

impl Fetching<'_> {
    /// All series, a few at a time; those that failed again at the end, after a pause.
    async fn run(&self, asks: &[Ask]) -> Vec<Ended> {
        let mut ended: Vec<Option<Ended>> = asks.iter().map(|_| None).collect();
        let bars = bars(self.context.out);
        let at_once = usize::try_from(self.context.config.history.parallel).unwrap_or(1).max(1);
        for round in 0..ROUNDS {
            let again = |done: &Option<Ended>| done.as_ref().is_none_or(Ended::may_be_asked_again);
            let due: Vec<usize> = (0..asks.len()).filter(|index| again(&ended[*index])).collect();
            if due.is_empty() || self.stop.load(Ordering::Relaxed) {
                break;
            }
            if round > 0 {
                self.rest(round).await;
            }
            let work = due.into_iter().map(|index| {
                let bar = bars.add(series_bar(&asks[index]));
                async move { (index, self.one(&asks[index], &bar).await) }
            });
            let mut running = futures_util::stream::iter(work).buffer_unordered(at_once);
            while let Some((index, mut done)) = running.next().await {
                if let Some(before) = ended[index].take() {
                    done.fetched.new_rows += before.fetched.new_rows;
                    done.fetched.off_grid += before.fetched.off_grid;
                    done.fetched.bad.extend(before.fetched.bad);
                    done.seconds += before.seconds;
                }
                ended[index] = Some(done);
            }
        }
        ended
            .into_iter()
            .map(|done| done.unwrap_or(Ended { fetched: Fetched::default(), fault: Some(HistoryFault::Stopped), seconds: 0.0 }))
            .collect()
    }

    /// The pause before another round.
    async fn rest(&self, round: u32) {
        let until = tokio::time::Instant::now() + Duration::from_millis(u64::from(self.context.config.history.pause_ms)) * (1 << round);
        while tokio::time::Instant::now() < until && !self.stop.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn one(&self, ask: &Ask, bar: &ProgressBar) -> Ended {
        let begun = std::time::Instant::now();
        let rows = RefCell::new(0);
        let mut progress = |done: u64, total: u64, new: u64| {
            *rows.borrow_mut() = new;
            bar.set_length(total);
            bar.set_position(done);
        };
        let learned = tokio::select! {
            learned = self.learn_rules(ask) => learned,
            () = raised(self.stop) => Err(HistoryFault::Stopped),
        };
        let done = match learned {
            Ok(()) => self.download.run(ask, &mut Follow { progress: &mut progress, stop: self.stop }).await,
            Err(fault) => Err(fault),
        };
        bar.finish_and_clear();
        let seconds = begun.elapsed().as_secs_f64();
        match done {
            Ok(fetched) => Ended { fetched, fault: None, seconds },
            Err(fault) => Ended { fetched: Fetched { new_rows: *rows.borrow(), ..Fetched::default() }, fault: Some(fault), seconds },
        }
    }

    /// The market's rules, where the venue tells them: backtests trade by them. Without them the candles will have to do.
    async fn learn_rules(&self, ask: &Ask) -> Result<(), HistoryFault> {
        if !ask.chain.contains(&CandleSource::Rest) || !self.download.knows_the_time() {
            return Ok(());
        }
        match self.download.sources.rest().exchange_info(&[ask.symbol], self.context.config.fees()).await {
            Ok(found) => {
                for instrument in found {
                    keep_instrument(self.store, &KnownInstrument { instrument, inferred: false, notes: Vec::new() })?;
                }
                Ok(())
            }
            Err(error) => {
                // Whatever it is, the candles meet it too, or it does not matter to them.
                tracing::info!(symbol = %ask.symbol, %error, "the market's rules are not told");
                Ok(())
            }
        }
    }
}

fn bars(out: Output) -> MultiProgress {
    MultiProgress::with_draw_target(if out.json { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() })
}

fn series_bar(ask: &Ask) -> ProgressBar {
    let template = "{msg:18} {wide_bar} {pos}/{len} candles  {per_sec}  {eta} left";
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(0).with_style(style).with_message(format!("{} {}", ask.symbol, ask.interval))
}

fn report(store: &Store, asks: &[Ask], ended: Vec<Ended>, stopped: bool) -> Outcome<Answer> {
    let mut answer = Answer { series: Vec::new(), failures: Vec::new(), troubles: Vec::new(), stopped };
    for (ask, ended) in asks.iter().zip(ended) {
        let Ended { fetched, fault, seconds } = ended;
        let (symbol, interval) = (ask.symbol, ask.interval);
        let stored = Stored::of(store, symbol, interval, (ask.since, ask.until))?;
        let gaps = keep_gaps(store, symbol, interval)?;
        let inside = |gap: &ListedGap| gap.start < ask.until && ask.since < gap.end;
        let spans = store.history_spans(symbol, interval)?;
        let within = stored.first.zip(stored.last);
        let whose: BTreeSet<CandleSource> =
            spans.iter().filter(|s| within.is_some_and(|(first, last)| s.start <= last && first < s.end)).map(|s| s.source).collect();
        let length = interval.span().nanos();
        let missing: u64 = fetched.missing.iter().map(|(from, to)| u64::try_from(to.since(*from).nanos() / length).unwrap_or(0)).sum();
        let told = |trouble: &Trouble| FailureReport {
            symbol,
            interval,
            source: Some(trouble.source),
            cause: trouble.cause.clone(),
            next_step: trouble.next_step.to_owned(),
            missing: 0,
        };
        match why(fault, &fetched, missing) {
            Some((source, cause, next_step)) => {
                answer.failures.push(FailureReport { symbol, interval, source, cause, next_step: next_step.to_owned(), missing });
            }
            None => answer.troubles.extend(fetched.troubles.iter().map(told)),
        }
        answer.series.push(Series {
            symbol,
            interval,
            rows: stored.rows,
            new_rows: fetched.new_rows,
            first_time: stored.first,
            last_time: stored.last,
            gaps: gaps.into_iter().filter(inside).collect(),
            source: whose.iter().map(CandleSource::to_string).collect::<Vec<_>>().join("+"),
            off_grid: stored.off_grid,
            bad_rows: fetched.bad.into_iter().map(bad_row).collect(),
            seconds,
        });
    }
    Ok(answer)
}

/// Why a series is not complete: source, cause and next step. `None` when it is, or was asked to stop.
fn why(fault: Option<HistoryFault>, fetched: &Fetched, missing: u64) -> Option<(Option<CandleSource>, String, &'static str)> {
    match fault {
        Some(HistoryFault::Stopped) => None,
        Some(HistoryFault::Source { source, error }) => {
            let next_step = error.next_step();
            Some((Some(source), format!("{:#}", anyhow::Error::from(error)), next_step))
        }
        Some(HistoryFault::File(failure)) => {
            let next_step = "free the disk, or check the data file (huracan verify); the same command goes on from there";
            Some((None, failure.to_string(), next_step))
        }
        None if missing == 0 => None,
        None => Some(match fetched.troubles.first() {
            Some(trouble) => {
                let causes: Vec<String> = fetched.troubles.iter().map(|trouble| format!("{}: {}", trouble.source, trouble.cause)).collect();
                (Some(trouble.source), causes.join("; then "), trouble.next_step)
            }
            None => {
                let cause = "no source has told these candles; files of the last days come later".to_owned();
                (None, cause, "run the same command again later, or without --source")
            }
        }),
    }
}

fn bad_row(bad: BadHistory) -> BadRow {
    BadRow { source: bad.source, open_time: bad.open_time, reason: bad.reason }
}

fn text(answer: &Answer) -> String {
    let mut rows = vec![["symbol", "interval", "new", "candles", "first", "last", "gaps", "source"].map(str::to_owned).to_vec()];
    let time = |at: Option<Timestamp>| at.map_or("-".to_owned(), |at| at.to_string());
    rows.extend(answer.series.iter().map(|s| {
        let open = s.gaps.iter().filter(|gap| gap.state != "repaired").count();
        let numbers =
            [s.new_rows.to_string(), s.rows.to_string(), time(s.first_time), time(s.last_time), open.to_string(), s.source.clone()];
        [s.symbol.to_string(), s.interval.to_string()].into_iter().chain(numbers).collect()
    }));
    let mut text = table(&rows);
    for series in &answer.series {
        let name = format!("{} {}", series.symbol, series.interval);
        if series.off_grid > 0 {
            text.push_str(&format!(
                "\n{name}: {} candles do not open on a multiple of the interval; they are kept as they are",
                series.off_grid
            ));
        }
        for bad in series.bad_rows.iter().take(SHOWN) {
            text.push_str(&format!("\n{name}: left out {} from {}: {}", time(bad.open_time), bad.source, bad.reason));
        }
        if series.bad_rows.len() > SHOWN {
            text.push_str(&format!("\n{name}: {} more rows left out (--json lists all)", series.bad_rows.len() - SHOWN));
        }
    }
    let named = |f: &FailureReport| {
        let source = f.source.map_or(String::new(), |source| format!("{source}: "));
        format!("{} {}: {source}{}", f.symbol, f.interval, f.cause)
    };
    for failure in &answer.failures {
        text.push_str(&format!("\nfailed: {}; {}", named(failure), failure.next_step));
    }
    for trouble in &answer.troubles {
        text.push_str(&format!("\nanother source stood in: {}", named(trouble)));
    }
    text
}
