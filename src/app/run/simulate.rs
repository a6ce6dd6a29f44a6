//! The whole box in simulated time: the demo's market and its engine, learning first, without a socket or a file.
//!
//! The same days and seed give the same run, to the last bit of the fingerprint: nothing here reads a clock.

use std::cell::RefCell;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use serde::Serialize;

use super::learner::adoptions;
use super::quoting::QuoteReport;
use super::summary::{Summary, VenueStatement};
use crate::app::Context;
use crate::app::cli::{SimulateArgs, SwitchArg};
use crate::app::commands::bar;
use crate::app::config::engine_settings;
use crate::app::failure::{Failure, Outcome};
use crate::app::training::{self, train_config};
use crate::domain::{Instrument, MarketData, MarketUpdate, RunId, Span, Symbol, Timestamp};
use crate::engine::{Engine, Settings};
use crate::learning::drive::{PaperVenue, Session};
use crate::learning::{Lineage, Progress, SymbolSeries, TrainOutcome, Watch, train};
use crate::market::KEPT_CANDLES;
use crate::matching::flow::{Flow, FlowConfig};
use crate::protocol::{Command, Effect, Event, Learned, Mode, ModelRecord, Probe, RunOpened, Stamp, WarmUp};

const DAY: Span = Span::from_secs(86_400);
/// Market data is made in pieces of this length.
const PIECE: Span = Span::from_secs(5);
/// A live box measures its clock about as often.
const CLOCK_EVERY: Span = Span::from_secs(30);
/// Every simulation begins at the same moment: 2026-01-01.
const ORIGIN: Timestamp = Timestamp::from_millis(1_767_225_600_000);

pub fn simulate(context: &Context, args: &SimulateArgs) -> Outcome {
    let seed = args.seed.unwrap_or(context.config.demo.seed);
    let mut settings = engine_settings(&context.config, Mode::Demo, false);
    if let Some(maker) = args.maker {
        settings.maker.enabled = maker == SwitchArg::On;
    }
    let mut flow = FlowConfig::usual(seed, ORIGIN);
    flow.edge = context.config.demo.edge;
    flow.symbols.retain(|s| settings.symbols.contains(&s.instrument.symbol));
    // As the venue of a live box, this one has the fees that are configured.
    flow.symbols.iter_mut().for_each(|s| s.instrument.fees = context.config.fees());
    let instruments: Vec<Instrument> = flow.symbols.iter().map(|s| s.instrument.clone()).collect();
    if instruments.len() != settings.symbols.len() {
        return Err(Failure::usage("demo.symbols names a market that the synthetic exchange does not have"));
    }
    let start = ORIGIN + DAY.times(i64::from(context.config.demo.history_days));
    let mut world = World { flow: Flow::new(flow), instruments, settings, start, seed };
    let begun = Instant::now();
    let outcome = world.learn(context)?;
    context.out.remark(&format!("learned from {} days in {:.1} s", context.config.demo.history_days, begun.elapsed().as_secs_f64()));
    let (summary, quotes) = world.trade(context, args, outcome)?;
    context.out.remark(&format!("{} days in {:.1} s", args.days, begun.elapsed().as_secs_f64()));
    let answer = Simulation { summary, quotes };
    context.out.answer(&answer, || format!("{}\n{}", answer.quotes.text(), answer.summary.text()))
}

/// What a simulation prints: the summary of a run, and what its quotes and orders cost.
#[derive(Serialize)]
struct Simulation {
    #[serde(flatten)]
    summary: Summary,
    #[serde(flatten)]
    quotes: QuoteReport,
}

struct World {
    flow: Flow,
    instruments: Vec<Instrument>,
    settings: Settings,
    /// The end of what is learned from, and the beginning of trading.
    start: Timestamp,
    seed: u64,
}

impl World {
    fn learn(&mut self, context: &Context) -> Outcome<TrainOutcome> {
        let interval = self.settings.time_scale.bar;
        let series: Vec<SymbolSeries> = self
            .instruments
            .iter()
            .map(|instrument| {
                let candles = self.flow.candles(instrument.symbol, interval, ORIGIN, self.start);
                SymbolSeries { symbol: instrument.symbol, instrument: instrument.clone(), interval, candles }
            })
            .collect();
        let mut config = train_config(&context.config, &self.settings.time_scale);
        training::seed(&mut config, self.seed);
        let lineage = Lineage {
            created: self.start,
            code_version: env!("CARGO_PKG_VERSION").to_owned(),
            trees_parent: None,
            policy_parent: None,
            first_episode: 0,
        };
        let shown = bar(context.out, 1);
        let mut progress = |p: Progress| {
            shown.set_message(format!("training: {}", p.stage));
            shown.set_length(p.total);
            shown.set_position(p.done);
        };
        let outcome = train(&series, &config, &lineage, &mut Watch { progress: &mut progress, cancelled: &AtomicBool::new(false) })?;
        shown.finish_and_clear();
        Ok(outcome)
    }

    fn trade(mut self, context: &Context, args: &SimulateArgs, outcome: TrainOutcome) -> Outcome<(Summary, QuoteReport)> {
        let capital = context.config.paper.capital.to_quote();
        let latency = Span::from_millis(i64::from(context.config.paper.latency_ms));
        let venue = PaperVenue::new(self.instruments.clone(), self.settings.quote, capital, latency);
        let kept = RefCell::new(QuoteReport::default());
        let sink = Box::new(|_: &Engine, _: Stamp, _: &Event, effects: &[Effect]| kept.borrow_mut().hear(effects));
        let mut session = Session::new(Engine::new(self.settings.clone()), venue, sink);
        let models = vec![outcome.trees, outcome.policy];
        let run = RunId(self.seed);
        self.open(&mut session, run, &models, args, outcome.episodes)?;
        let end = self.start + DAY.times(i64::from(args.days));
        let hours = u64::from(args.days) * 24;
        let shown = bar(context.out, hours);
        let (mut now, mut clock_due, mut fit_due) = (self.start, self.start, self.start + DAY);
        let symbols = self.settings.symbols.clone();
        while now < end {
            let until = (now + PIECE).min(end);
            // Both ends are exclusive of what the last piece had.
            for update in self.flow.updates(&symbols, now + Span::from_nanos(1), until + Span::from_nanos(1)) {
                session.market(update);
            }
            now = until;
            if now >= fit_due {
                // As the workshop of a live box does at each start.
                fit_due = now + DAY;
                let learned = kept.borrow_mut().fit();
                if let Some(learned) = learned {
                    session.apply(now, Event::Learned(Learned::FillModel(Box::new(learned))));
                }
            }
            if now >= clock_due {
                clock_due = now + CLOCK_EVERY;
                session.apply(now, Event::Probe(Probe::Clock { offset: Span::ZERO, round_trip: Span::from_millis(2) }));
                let hour = u64::try_from(now.since(self.start).nanos() / Span::from_secs(3_600).nanos()).unwrap_or(0);
                shown.set_position(hour);
                shown.set_message(format!("{} trades", session.engine.counters().trades_closed));
            }
        }
        shown.finish_and_clear();
        session.apply(now, Event::Command(Command::Stop));
        // Cancels need their way there and back.
        session.advance(now + Span::from_secs(2));
        let marks = session.engine.marks();
        let bases = self.instruments.iter().map(|i| (i.base, i.symbol)).collect();
        let statement = VenueStatement { totals: session.venue.totals(), mids: marks.clone(), bases };
        let pnl = session.engine.pnl(&marks);
        let mut summary = Summary::of(&session.engine, run, 0, &pnl, statement.net_pnl(&session.engine), &models);
        // Nothing is kept to replay from; the same command gives the same run.
        summary.replayable = false;
        drop(session);
        let mut report = kept.into_inner();
        report.close();
        Ok((summary, report))
    }

    fn open(
        &mut self,
        session: &mut Session,
        run: RunId,
        models: &[ModelRecord],
        args: &SimulateArgs,
        episodes: Vec<crate::domain::Episode>,
    ) -> Outcome {
        let (at, interval) = (self.start, self.settings.time_scale.bar);
        let opened = RunOpened {
            run,
            mode: self.settings.mode,
            venue: format!("synthetic market of seed {}", self.seed),
            code_version: env!("CARGO_PKG_VERSION").to_owned(),
            settings: serde_json::to_string(&self.settings)?,
            settings_hash: String::new(),
            carried: None,
        };
        session.apply(at, Event::RunOpened(Box::new(opened)));
        session.apply(at, Event::Probe(Probe::Clock { offset: Span::ZERO, round_trip: Span::from_millis(2) }));
        session.connect(at);
        for adopted in adoptions(models, args.model) {
            session.apply(at, Event::Learned(Learned::Model(Box::new(adopted))));
        }
        session.apply(at, Event::Learned(Learned::Shadow(episodes)));
        for symbol in self.settings.symbols.clone() {
            let candles = self.flow.candles(symbol, interval, at - interval.span().times(KEPT_CANDLES as i64), at);
            session.apply(at, Event::Learned(Learned::WarmUp(WarmUp { symbol, interval, candles })));
            self.show_book(session, symbol);
        }
        session.apply(at, Event::Learned(Learned::Finished));
        Ok(())
    }

    fn show_book(&mut self, session: &mut Session, symbol: Symbol) {
        if let Some(book) = self.flow.snapshot(symbol, self.start) {
            let data = MarketData::Snapshot(book);
            session.market(MarketUpdate { symbol, exchange_time: None, local_time: self.start, data });
        }
    }
}
