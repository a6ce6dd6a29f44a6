//! The engine's loop: one queue in, one total order, effects out. It waits only here, and never for the network or the disk.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::mpsc::{Receiver, Sender, error::TrySendError};

use super::courier::Courier;
use super::recorder::Recorder;
use super::screen::Shared;
use super::summary::VenueStatement;
use super::watchdog::Heart;
use crate::app::clock;
use crate::domain::{Asset, Price, Qty, Span, Symbol, Timestamp};
use crate::engine::{Engine, PnlReport, Snapshot};
use crate::learning::drive::PaperVenue;
use crate::protocol::{Alert, Command, Effect, Event, FailureKind, Probe, Request, RunOpened, Severity, Stamp, Stream, VenueEvent};
use crate::venue::binance::RestClient;

/// Events taken in one go before the screen and the clock are looked at.
const BATCH: usize = 256;
const VIEW_EVERY: Duration = Duration::from_millis(66);
/// How long a stopping run waits for its entries to be cancelled, and for venue and books to agree.
const FAREWELL: Duration = Duration::from_secs(10);

/// Who performs requests.
pub enum Performer {
    /// A venue over the wire; opening orders pass the courier.
    Venue { requests: Sender<Request>, courier: Courier },
    /// `matching` in process, made once the venue has stated its instruments; only book snapshots go over the wire.
    Paper { venue: Option<Box<PaperVenue>>, snapshot: Option<Box<Snapshot>>, requests: Sender<Request> },
}

pub struct EngineLoop {
    pub engine: Engine,
    pub recorder: Recorder,
    pub performer: Performer,
    pub inbox: Receiver<Event>,
    pub runtime: Handle,
    pub rest: RestClient,
    /// The account can be asked.
    pub signed: bool,
    pub shared: Arc<Shared>,
    /// Beats with every event and every wait.
    pub heart: Heart,
    pub deadline: Option<Instant>,
    pub paper_capital: Qty,
    pub paper_latency: Span,
}

/// What was found at the end.
pub struct Closing {
    pub pnl: PnlReport,
    pub venue_net_pnl: Option<crate::domain::Money>,
}

pub struct Ended {
    engine: Engine,
    recorder: Recorder,
    closing: Closing,
    /// Why the run could not go on, if it ended by itself.
    pub refusal: Option<String>,
}

impl Ended {
    pub fn into_parts(self) -> (Engine, Recorder, Closing) {
        (self.engine, self.recorder, self.closing)
    }
}

impl EngineLoop {
    pub fn run(self, opened: RunOpened) -> Ended {
        let mut running = Running { looped: self, seq: 0, last: Timestamp::EPOCH, held: Vec::new(), shown: Instant::now(), refusal: None };
        running.step(Event::RunOpened(Box::new(opened)));
        running.flush();
        while !running.must_stop() {
            running.turn(Duration::from_millis(100));
        }
        running.farewell()
    }
}

/// The loop with what it keeps between turns.
struct Running {
    looped: EngineLoop,
    seq: u64,
    last: Timestamp,
    /// Opening orders that wait for the hand-over of their journal entry.
    held: Vec<Request>,
    shown: Instant,
    refusal: Option<String>,
}

impl Running {
    fn must_stop(&self) -> bool {
        self.refusal.is_some() || self.looped.shared.must_stop() || self.looped.deadline.is_some_and(|d| Instant::now() >= d)
    }

    /// Waits for something to happen (at most `longest`), takes it and everything behind it, and lets its effects out.
    fn turn(&mut self, longest: Duration) {
        self.looped.heart.beat();
        let wait = self.wait(longest);
        let first = {
            let inbox = &mut self.looped.inbox;
            self.looped.runtime.block_on(async { tokio::time::timeout(wait, inbox.recv()).await })
        };
        match first {
            Ok(Some(event)) => {
                self.take(event);
                for _ in 1..BATCH {
                    match self.looped.inbox.try_recv() {
                        Ok(event) => self.take(event),
                        Err(_) => break,
                    }
                }
            }
            Ok(None) => std::thread::sleep(wait),
            Err(_) => {}
        }
        self.deliver_paper();
        if self.looped.engine.next_deadline().is_some_and(|due| due <= clock::now()) {
            self.step(Event::Tick);
        }
        self.flush();
        if self.shown.elapsed() >= VIEW_EVERY {
            self.shown = Instant::now();
            self.looped.shared.publish(self.looped.engine.view());
        }
    }

    fn wait(&self, longest: Duration) -> Duration {
        let paper = match &self.looped.performer {
            Performer::Paper { venue: Some(venue), .. } => venue.next_due(),
            _ => None,
        };
        let due = self.looped.engine.next_deadline().into_iter().chain(paper).min();
        let until = due.map_or(i64::MAX, |due| due.since(clock::now()).nanos()).max(0);
        longest.min(Duration::from_nanos(until.unsigned_abs()))
    }

    /// An event from outside. On paper the market reaches `matching` first: it fills what the engine hears of later.
    fn take(&mut self, event: Event) {
        if let Performer::Paper { venue, .. } = &mut self.looped.performer {
            match (&event, venue) {
                (Event::Market(update), Some(venue)) => venue.on_market(update),
                (Event::Venue(news), _) if !is_public(news) => return,
                _ => {}
            }
        }
        let instruments = match &event {
            Event::Venue(VenueEvent::Instruments(instruments)) => Some(instruments.clone()),
            _ => None,
        };
        self.step(event);
        if let Some(instruments) = instruments {
            self.refusal = self.refusal.take().or_else(|| self.without_markets());
            self.open_paper(instruments);
        }
    }

    /// A run whose markets the venue does not know has nothing to do.
    fn without_markets(&self) -> Option<String> {
        let known: Vec<Symbol> = self.looped.engine.bases().into_values().collect();
        let symbols = &self.looped.engine.settings().symbols;
        let names = || symbols.iter().map(Symbol::as_str).collect::<Vec<_>>().join(", ");
        let none = !symbols.iter().any(|symbol| known.contains(symbol));
        none.then(|| format!("the venue knows none of these markets: {}; correct the symbols and start again", names()))
    }

    fn open_paper(&mut self, instruments: Vec<crate::domain::Instrument>) {
        let (capital, latency) = (self.looped.paper_capital, self.looped.paper_latency);
        let quote = self.looped.engine.settings().quote;
        let Performer::Paper { venue, snapshot, .. } = &mut self.looped.performer else { return };
        if let Some(venue) = venue {
            return venue.set_instruments(instruments);
        }
        let opened = PaperVenue::continued(instruments, snapshot.take().as_deref(), quote, capital, latency);
        let opened = venue.insert(Box::new(opened));
        let news = opened.connect(clock::now());
        // Instruments and the market link are the real venue's to state.
        for news in news.into_iter().filter(|n| matches!(n, VenueEvent::Order(_) | VenueEvent::Reconciled { .. })) {
            self.step(Event::Venue(news));
        }
    }

    fn deliver_paper(&mut self) {
        loop {
            let Performer::Paper { venue: Some(venue), .. } = &mut self.looped.performer else { return };
            let Some((_, news)) = venue.pop_due(clock::now()) else { return };
            self.step(Event::Venue(news));
        }
    }

    fn step(&mut self, event: Event) {
        self.looped.heart.beat();
        self.seq += 1;
        self.last = self.last.max(clock::now());
        let stamp = Stamp { seq: self.seq, at: self.last };
        let mut effects = Vec::new();
        self.looped.engine.apply(stamp, event.clone(), &mut effects);
        // What may leave at once leaves before the journal's entry is made.
        for effect in &effects {
            match effect {
                Effect::Send(request) => self.perform(*request),
                Effect::Alert(alert) => log_alert(alert),
                Effect::Persist(_) | Effect::Carry { .. } => {}
            }
        }
        if let Performer::Venue { courier, .. } = &self.looped.performer {
            courier.may_open(self.looped.engine.may_open());
        }
        self.looped.recorder.take(stamp, event, effects);
    }

    /// Opening orders wait for the disk; everything else leaves at once, whatever the disk does.
    fn perform(&mut self, request: Request) {
        let now = self.last;
        match &mut self.looped.performer {
            Performer::Paper { venue, requests, .. } => {
                let taken = venue.as_mut().is_some_and(|venue| venue.send(now, request));
                if !taken && matches!(request, Request::Snapshot { .. }) {
                    send_now(requests, request);
                }
            }
            Performer::Venue { requests, .. } => match request {
                Request::Place { opening: true, .. } | Request::PlaceList { opening: true, .. } => self.held.push(request),
                _ => send_now(requests, request),
            },
        }
    }

    fn flush(&mut self) {
        let handed = self.looped.recorder.flush(&self.looped.engine);
        let held = std::mem::take(&mut self.held);
        match (handed, &self.looped.performer) {
            (Ok(Some(ticket)), Performer::Venue { courier, .. }) => held.into_iter().for_each(|request| courier.send(ticket, request)),
            (Ok(_), _) => {}
            (Err(error), _) => {
                tracing::error!(%error, "the data file does not take the journal: trading halts");
                self.step(Event::Venue(VenueEvent::Failure { kind: FailureKind::Store, message: error.to_string() }));
                self.step(Event::Probe(Probe::Store { pending: 0, healthy: false }));
                self.refuse(held);
            }
        }
    }

    /// Orders that were never sent: certain, so they end.
    fn refuse(&mut self, held: Vec<Request>) {
        for request in held {
            for id in request.places() {
                let message = "not sent: the data file is not writable".to_owned();
                let reason = crate::protocol::VenueRefusal::Other;
                self.step(Event::Venue(VenueEvent::Refused { id, reason, message }));
            }
        }
    }

    /// Stops entries, waits for their end, and asks the venue what is left.
    fn farewell(mut self) -> Ended {
        self.step(Event::Command(Command::Stop));
        self.flush();
        let until = Instant::now() + FAREWELL;
        while !self.looped.engine.is_quiet() && Instant::now() < until {
            self.turn(Duration::from_millis(50));
        }
        let closing = self.close();
        self.flush();
        self.looped.shared.publish(self.looped.engine.view());
        Ended { engine: self.looped.engine, recorder: self.looped.recorder, closing, refusal: self.refusal }
    }

    /// The venue's final statement, taken until it agrees with the books or time is up (fills may be on their way).
    fn close(&mut self) -> Closing {
        let until = Instant::now() + FAREWELL;
        loop {
            let statement = self.statement();
            let marks = match &statement {
                Some(statement) if !statement.mids.is_empty() => statement.mids.clone(),
                _ => self.looped.engine.marks(),
            };
            let pnl = self.looped.engine.pnl(&marks);
            let venue_net_pnl = statement.and_then(|s| s.net_pnl(&self.looped.engine));
            let agreed = venue_net_pnl.is_none() || venue_net_pnl == pnl.ledger_net_pnl;
            if agreed || Instant::now() >= until {
                return Closing { pnl, venue_net_pnl };
            }
            let again = Instant::now() + Duration::from_millis(300);
            while Instant::now() < again {
                self.turn(Duration::from_millis(50));
            }
        }
    }

    fn statement(&self) -> Option<VenueStatement> {
        let bases = self.looped.engine.bases();
        let symbols: Vec<Symbol> = bases.values().copied().collect();
        if let Performer::Paper { venue, .. } = &self.looped.performer {
            let totals = venue.as_ref()?.totals();
            return Some(VenueStatement { totals, mids: self.looped.engine.marks(), bases });
        }
        if !self.looped.signed {
            return None;
        }
        self.looped.runtime.block_on(async { asked(&self.looped.rest, &symbols, bases, &self.looped.heart).await })
    }
}

async fn asked(rest: &RestClient, symbols: &[Symbol], bases: BTreeMap<Asset, Symbol>, heart: &Heart) -> Option<VenueStatement> {
    let patience = Duration::from_secs(5);
    let account = tokio::time::timeout(patience, rest.account()).await;
    heart.beat();
    let quotes = tokio::time::timeout(patience, rest.book_ticker(symbols)).await;
    match (account, quotes) {
        (Ok(Ok(account)), Ok(Ok(quotes))) => {
            let mids: BTreeMap<Symbol, Price> = quotes.into_iter().map(|(s, q)| (s, q.bid.price.midpoint(q.ask.price))).collect();
            Some(VenueStatement::of(&account.balances, mids, bases))
        }
        (Ok(Err(error)), _) | (_, Ok(Err(error))) => {
            tracing::warn!(%error, "the venue's final statement is missing");
            None
        }
        _ => {
            tracing::warn!("the venue did not answer in time: no final statement");
            None
        }
    }
}

/// What a venue says of its markets and of itself. On paper its word on the real account is not about the orders that are matched here.
const fn is_public(news: &VenueEvent) -> bool {
    matches!(news, VenueEvent::Instruments(_) | VenueEvent::Link { stream: Stream::Market, .. } | VenueEvent::Failure { .. })
}

fn send_now(requests: &Sender<Request>, request: Request) {
    match requests.try_send(request) {
        Ok(()) => {}
        Err(TrySendError::Full(request)) => tracing::error!(?request, "the request queue is full: the engine will ask again"),
        Err(TrySendError::Closed(request)) => tracing::warn!(?request, "the venue connection has ended"),
    }
}

fn log_alert(alert: &Alert) {
    match alert.severity {
        Severity::Info => tracing::info!("{}", alert.text),
        Severity::Warning => tracing::warn!("{}", alert.text),
        Severity::Critical => tracing::error!("{}", alert.text),
    }
}
