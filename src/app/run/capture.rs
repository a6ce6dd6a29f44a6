//! Recorded markets in simulated time: the capture's own clock drives everything, `matching` fills the orders.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::log;
use super::recorder::Recorder;
use super::screen::{FinishOnDrop, Screen, Shared};
use super::start::{Opening, ended, new_run_id};
use super::summary::{Summary, VenueStatement};
use crate::app::Context;
use crate::app::cli::{RunArgs, SpeedArg};
use crate::app::config::engine_settings;
use crate::app::failure::{Failure, Outcome};
use crate::domain::{Candle, Instrument, MarketData, MarketUpdate, Symbol, Timestamp};
use crate::engine::Engine;
use crate::learning::drive::{PaperVenue, Session};
use crate::market::merge_by_local_time;
use crate::protocol::{Command, Event, Learned, Mode, Probe};
use crate::store::Writer;
use crate::venue::capture::{CaptureError, CaptureReader};
use crate::venue::infer_instrument;

/// Prices looked at to infer an instrument's grains.
const SAMPLE: usize = 20_000;
const VIEW_EVERY: Duration = Duration::from_millis(66);

pub fn run(context: Context, args: &RunArgs) -> Outcome {
    let mut settings = engine_settings(&context.config, Mode::Paper, true);
    let instruments = instruments(&context, args)?;
    settings.symbols = instruments.iter().map(|i| i.symbol).collect();
    let Some(quote) = instruments.first().map(|i| i.quote) else {
        return Err(Failure::failed("the captures hold no market data"));
    };
    if let Some(other) = instruments.iter().find(|i| i.quote != quote) {
        return Err(Failure::usage(format!("{} is quoted in {}, the others in {quote}: replay them apart", other.symbol, other.quote)));
    }
    settings.quote = quote;
    let data_file = context.config.data_file(Mode::Paper);
    let ring = log::start(&context.config, &log::file(&context.config, &data_file))?;
    let names: Vec<String> = args.replay.iter().map(|p| p.file_name().unwrap_or_default().to_string_lossy().into_owned()).collect();
    // A capture is a venue of its own and each replay an account of its own: nothing mixes with paper trading on the live market.
    let run = new_run_id()?;
    let opening = Opening::new(&context, Mode::Paper, &format!("capture {}", names.join(" + ")), &run.to_string(), false)?;
    let shared = Shared::new();
    let screen = if args.headless { None } else { Some(Screen { ring }) };
    let speed = args.speed;
    let deadline = args.duration.map(|d| context.started + d);
    let job = Job { run, files: args.replay.clone(), settings, instruments, opening, speed, deadline, shared: Arc::clone(&shared) };
    let config = context.config.clone();
    let model = args.model;
    let worker = std::thread::Builder::new().name("engine".into()).spawn(move || replay(job, &config, model))?;
    if let Some(screen) = screen {
        screen.show(&shared)?;
        shared.request_stop();
    } else {
        shared.stop_on_signals()?;
    }
    let summary = ended(worker)?;
    shared.heard(context.out.answer(&summary, || summary.text()))
}

struct Job {
    run: crate::domain::RunId,
    files: Vec<std::path::PathBuf>,
    settings: crate::engine::Settings,
    instruments: Vec<Instrument>,
    opening: Opening,
    speed: SpeedArg,
    deadline: Option<Instant>,
    shared: Arc<Shared>,
}

fn replay(job: Job, config: &crate::app::config::Config, model: crate::app::cli::ModelArg) -> Outcome<Summary> {
    let _finish = FinishOnDrop(Arc::clone(&job.shared));
    let run = job.run;
    let latency = crate::domain::Span::from_millis(i64::from(config.paper.latency_ms));
    let writer = Writer::start(job.opening.store.clone(), run, |_| {})?;
    let recorder = RefCell::new(Recorder::new(writer.handle()));
    let sink = Box::new(|engine: &Engine, stamp, event: &Event, effects: &[crate::protocol::Effect]| {
        let mut recorder = recorder.borrow_mut();
        recorder.take(stamp, event.clone(), effects.to_vec());
        if recorder.waiting() >= 512
            && let Err(error) = recorder.flush_patiently(engine)
        {
            tracing::error!(%error, "the journal is not complete");
        }
    });
    let capital = config.paper.capital.to_quote();
    let venue = PaperVenue::new(job.instruments.clone(), job.settings.quote, capital, latency);
    let mut session = Session::new(Engine::new(job.settings.clone()), venue, sink);
    let lines = Arc::new(AtomicU64::new(0));
    let mut updates = merged(&job.files, &lines)?;
    let mut pace = Pace::new(job.speed);
    let mut opened = false;
    let mut shown = Instant::now();
    let models = job.opening.newest_models(&job.settings)?;
    for update in &mut updates {
        if job.shared.must_stop() || job.deadline.is_some_and(|d| Instant::now() >= d) {
            break;
        }
        match update {
            Ok(update) => {
                if !opened {
                    opened = true;
                    open(&mut session, &job, run, update.local_time, &models, model);
                }
                pace.wait_for(update.local_time);
                session.market(update);
            }
            Err(error) => {
                tracing::warn!(%error, "a capture line is left out");
                let now = session.now();
                session.apply(now, Event::Probe(Probe::Unreadable { lines: 1 }));
            }
        }
        if shown.elapsed() >= VIEW_EVERY {
            shown = Instant::now();
            job.shared.publish(session.engine.view());
        }
    }
    finish(session, &job, &recorder, writer, run, lines.load(Ordering::Relaxed), &models)
}

fn open(
    session: &mut Session,
    job: &Job,
    run: crate::domain::RunId,
    at: Timestamp,
    models: &[crate::protocol::ModelRecord],
    model: crate::app::cli::ModelArg,
) {
    session.apply(at, Event::RunOpened(Box::new(job.opening.run_opened(run, &job.settings, None))));
    session.connect(at);
    for adopted in super::learner::adoptions(models, model) {
        session.apply(at, Event::Learned(Learned::Model(Box::new(adopted))));
    }
    session.apply(at, Event::Learned(Learned::Finished));
}

fn finish(
    mut session: Session,
    job: &Job,
    recorder: &RefCell<Recorder>,
    writer: Writer,
    run: crate::domain::RunId,
    lines: u64,
    models: &[crate::protocol::ModelRecord],
) -> Outcome<Summary> {
    let now = session.now();
    session.apply(now, Event::Command(Command::Stop));
    // Cancels need their way there and back.
    session.advance(now + crate::domain::Span::from_secs(2));
    job.shared.publish(session.engine.view());
    let marks = session.engine.marks();
    let bases = job.instruments.iter().map(|i| (i.base, i.symbol)).collect();
    let statement = VenueStatement { totals: session.venue.totals(), mids: marks.clone(), bases };
    let pnl = session.engine.pnl(&marks);
    let mut summary = Summary::of(&session.engine, run, lines, &pnl, statement.net_pnl(&session.engine), models);
    let mut recorder = recorder.borrow_mut();
    recorder.flush_patiently(&session.engine)?;
    drop(session);
    summary.replayable = recorder.complete;
    job.opening.close_run(&writer.handle(), run, &job.settings, &summary, &recorder)?;
    writer.stop()?;
    job.opening.store.snapshot()?;
    Ok(summary)
}

/// All captures as one stream in the order of arrival; counts lines on the way.
fn merged(files: &[std::path::PathBuf], lines: &Arc<AtomicU64>) -> Outcome<Box<dyn Iterator<Item = Result<MarketUpdate, CaptureError>>>> {
    let mut readers = Vec::new();
    for file in files {
        let lines = Arc::clone(lines);
        let reader = CaptureReader::open(file).map_err(|e| Failure::of(crate::app::failure::ExitKind::Failed, e))?;
        readers.push(reader.inspect(move |_| {
            lines.fetch_add(1, Ordering::Relaxed);
        }));
    }
    Ok(Box::new(merge_by_local_time(readers)))
}

/// The instruments of the captures: stored ones where there are any, otherwise inferred from the prices seen.
fn instruments(context: &Context, args: &RunArgs) -> Outcome<Vec<Instrument>> {
    let fees = context.config.fees();
    let mut samples: std::collections::BTreeMap<Symbol, Vec<Candle>> = std::collections::BTreeMap::new();
    for file in &args.replay {
        let reader = CaptureReader::open(file).map_err(|e| Failure::usage(format!("{e}")))?;
        for update in reader.take(SAMPLE).flatten() {
            let sample = samples.entry(update.symbol).or_default();
            if let MarketData::Trade(trade) = &update.data {
                let price = trade.price;
                sample.push(Candle {
                    open_time: update.local_time,
                    open: price,
                    high: price,
                    low: price,
                    close: price,
                    volume: trade.qty,
                    taker_buy_volume: None,
                    trades: 1,
                });
            }
        }
    }
    let mut instruments = Vec::new();
    for (symbol, sample) in samples {
        let (instrument, _) = infer_instrument(symbol, &sample, fees);
        context.out.remark(&format!(
            "{symbol}: tick {} and step {} are inferred from {} trades, no minimum notional is known, fees {} / {} bps are from the settings",
            instrument.tick,
            instrument.step,
            sample.len(),
            fees.maker,
            fees.taker
        ));
        instruments.push(instrument);
    }
    Ok(instruments)
}

/// Keeps a replay at its speed.
struct Pace {
    factor: Option<i64>,
    start: Option<(Timestamp, Instant)>,
}

impl Pace {
    fn new(speed: SpeedArg) -> Self {
        let factor = match speed {
            SpeedArg::One => Some(1),
            SpeedArg::Ten => Some(10),
            SpeedArg::Max => None,
        };
        Self { factor, start: None }
    }

    fn wait_for(&mut self, at: Timestamp) {
        let Some(factor) = self.factor else { return };
        let (first, begun) = *self.start.get_or_insert((at, Instant::now()));
        let due = Duration::from_nanos(u64::try_from(at.since(first).nanos() / factor).unwrap_or(0));
        if let Some(rest) = due.checked_sub(begun.elapsed()) {
            std::thread::sleep(rest);
        }
    }
}
