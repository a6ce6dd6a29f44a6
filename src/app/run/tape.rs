//! The tape: keeps what the markets say for later training, on a thread of its own, and sees to it that old data go.
//!
//! The engine's thread only copies an update into a bounded queue. Packing happens here, and a block reaches the disk in the writer's
//! bulk lane, so an order intent never waits for it. When the queue is full the data are lost, counted, and the recording says
//! so where it happened: an interruption. Every few minutes the book as it stands is recorded as a snapshot, so that a recording can
//! be read from any of its moments, also after its beginning has gone.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::app::config::Config;
use crate::app::failure::Outcome;
use crate::domain::{BookSnapshot, MarketData, MarketUpdate, Span, Symbol, Timestamp};
use crate::market::{Applied, OrderBook};
use crate::store::{Bulk, CaptureBlock, Store, WriterHandle, is_recorded};

/// Updates that may wait for the tape: several seconds of ten busy markets.
const QUEUE: usize = 16_384;
/// A block is handed over when it has this many events, or when its first is this old.
const BLOCK_EVENTS: usize = 2_048;
const BLOCK_AGE: Duration = Duration::from_secs(60);
/// Market time between snapshots of a book that nothing interrupted.
const SNAPSHOT_EVERY: Span = Span::from_secs(600);
/// How often old data are looked for.
const TIDY_EVERY: Duration = Duration::from_secs(600);
const HOUR: Span = Span::from_secs(3_600);

enum Heard {
    Update(Box<MarketUpdate>),
    Stop,
}

/// The end that the engine's thread holds.
pub struct Tape {
    queue: SyncSender<Heard>,
    thread: Option<JoinHandle<()>>,
    enabled: bool,
    /// Markets that lost data since, with how much.
    lost: BTreeMap<Symbol, u64>,
}

impl Tape {
    /// Starts the thread. Without recording it only keeps the data file tidy.
    pub fn start(store: Store, writer: WriterHandle, config: &Config) -> Outcome<Self> {
        let (queue, heard) = sync_channel(QUEUE);
        let keeper = Keeper {
            store,
            writer,
            keep: HOUR.times(24 * i64::from(config.record.keep_days)),
            max_bytes: u64::from(config.record.max_mib) << 20,
            journal: (config.journal.market_hours > 0).then(|| HOUR.times(i64::from(config.journal.market_hours))),
        };
        let thread = std::thread::Builder::new().name("tape".into()).spawn(move || Recording::new(keeper).serve(&heard))?;
        Ok(Self { queue, thread: Some(thread), enabled: config.record.enabled, lost: BTreeMap::new() })
    }

    /// Never waits: what the tape cannot take is lost, and the recording will say so.
    pub fn hear(&mut self, update: &MarketUpdate) {
        if !self.enabled || !is_recorded(&update.data) {
            return;
        }
        if let Some(lost) = self.lost.get(&update.symbol).copied() {
            let broken = MarketUpdate { data: MarketData::Interrupted, exchange_time: None, ..update.clone() };
            if self.offer(broken) {
                self.lost.remove(&update.symbol);
                tracing::warn!(symbol = %update.symbol, lost, "the recording has a hole: it did not keep up");
            }
        }
        if self.lost.contains_key(&update.symbol) || !self.offer(update.clone()) {
            *self.lost.entry(update.symbol).or_default() += 1;
        }
    }

    fn offer(&self, update: MarketUpdate) -> bool {
        match self.queue.try_send(Heard::Update(Box::new(update))) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
        }
    }

    /// Hands over what is left and ends the thread.
    pub fn stop(mut self) {
        self.finish();
    }

    fn finish(&mut self) {
        if let Some(thread) = self.thread.take() {
            // A thread that ended already takes no word; it has said why in the log.
            let _ = self.queue.send(Heard::Stop);
            if thread.join().is_err() {
                tracing::error!("the recording failed: market data since its last block are not kept");
            }
        }
    }
}

impl Drop for Tape {
    fn drop(&mut self) {
        self.finish();
    }
}

/// Where blocks go, and what may stay.
struct Keeper {
    store: Store,
    writer: WriterHandle,
    keep: Span,
    max_bytes: u64,
    journal: Option<Span>,
}

impl Keeper {
    fn hand_over(&self, bulk: Bulk) {
        if let Err(error) = self.writer.bulk(bulk) {
            tracing::warn!(%error, "recorded market data are lost");
        }
    }

    /// Finds what is too old or too much; the writer removes it in small transactions.
    fn tidy(&self, now: Timestamp) {
        match self.store.old_captures(now - self.keep, self.max_bytes) {
            Ok(old) if old.is_empty() => {}
            Ok(old) => self.hand_over(Bulk::RemoveCaptures(old)),
            Err(error) => tracing::warn!(%error, "recordings are not looked through for old ones"),
        }
        let Some(hours) = self.journal else { return };
        match self.store.old_journal(now - hours) {
            Ok(old) if old.is_empty() => {}
            Ok(old) => self.hand_over(Bulk::CutJournal(old)),
            Err(error) => tracing::warn!(%error, "journals are not looked through for old market events"),
        }
    }
}

/// One market's block that still grows.
#[derive(Default)]
struct Growing {
    updates: Vec<MarketUpdate>,
    since: Option<Instant>,
    book: OrderBook,
    /// Arrival of the last snapshot, the venue's or our own.
    based: Option<Timestamp>,
}

impl Growing {
    fn add(&mut self, update: MarketUpdate) {
        let applied = self.book.apply(&update);
        let at = update.local_time;
        if matches!(update.data, MarketData::Snapshot(_)) {
            self.based = Some(at);
        }
        let symbol = update.symbol;
        self.updates.push(update);
        self.since.get_or_insert_with(Instant::now);
        if applied == Applied::Diff && self.based.is_some_and(|based| at.since(based) >= SNAPSHOT_EVERY) {
            self.based = Some(at);
            let book = &self.book;
            let snapshot = BookSnapshot { last_update_id: book.last_update_id(), bids: book.bids(usize::MAX), asks: book.asks(usize::MAX) };
            self.updates.push(MarketUpdate { symbol, exchange_time: None, local_time: at, data: MarketData::Snapshot(snapshot) });
        }
    }

    fn is_due(&self) -> bool {
        self.updates.len() >= BLOCK_EVENTS || self.since.is_some_and(|since| since.elapsed() >= BLOCK_AGE)
    }

    fn take(&mut self, symbol: Symbol) -> Option<CaptureBlock> {
        self.since = None;
        CaptureBlock::pack(symbol, &std::mem::take(&mut self.updates))
    }
}

struct Recording {
    keeper: Keeper,
    markets: BTreeMap<Symbol, Growing>,
}

impl Recording {
    const fn new(keeper: Keeper) -> Self {
        Self { keeper, markets: BTreeMap::new() }
    }

    fn serve(mut self, heard: &Receiver<Heard>) {
        // By the venue's own time: a box whose clock is wrong must not take all it has for old.
        let mut venue_time: Option<Timestamp> = None;
        let mut tidied: Option<Instant> = None;
        loop {
            match heard.recv_timeout(Duration::from_secs(1)) {
                Ok(Heard::Update(update)) => {
                    let symbol = update.symbol;
                    venue_time = venue_time.max(update.exchange_time);
                    let market = self.markets.entry(symbol).or_default();
                    market.add(*update);
                    if market.is_due() {
                        self.hand_over(symbol);
                    }
                }
                Ok(Heard::Stop) | Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    let due: Vec<Symbol> = self.markets.iter().filter(|(_, market)| market.is_due()).map(|(symbol, _)| *symbol).collect();
                    due.into_iter().for_each(|symbol| self.hand_over(symbol));
                }
            }
            if let Some(now) = venue_time.filter(|_| tidied.is_none_or(|at| at.elapsed() >= TIDY_EVERY)) {
                tidied = Some(Instant::now());
                self.keeper.tidy(now);
            }
        }
        let all: Vec<Symbol> = self.markets.keys().copied().collect();
        all.into_iter().for_each(|symbol| self.hand_over(symbol));
    }

    fn hand_over(&mut self, symbol: Symbol) {
        if let Some(block) = self.markets.get_mut(&symbol).and_then(|market| market.take(symbol)) {
            self.keeper.hand_over(Bulk::Capture(block));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::commands::data_file::tests::context;
    use crate::domain::RunId;
    use crate::matching::flow::{Flow, FlowConfig};
    use crate::store::{FileKind, Identity, Scope, Writer};

    fn store(path: &std::path::Path) -> Store {
        let scope = Scope { mode: crate::protocol::Mode::Paper, venue: "Binance".into(), account: "paper".into() };
        Store::open(path, &Identity { kind: FileKind::Real, scope }).unwrap()
    }

    /// Twelve minutes of two markets, a snapshot first.
    fn market() -> Vec<MarketUpdate> {
        let mut flow = Flow::new(FlowConfig::usual(3, Timestamp::from_millis(1_767_225_600_000)));
        let symbols: Vec<Symbol> = flow.config().symbols.iter().take(2).map(|s| s.instrument.symbol).collect();
        let from = flow.origin() + Span::from_secs(600);
        let snapshots = symbols.iter().map(|symbol| MarketUpdate {
            symbol: *symbol,
            exchange_time: None,
            local_time: from,
            data: MarketData::Snapshot(flow.snapshot(*symbol, from).unwrap()),
        });
        let mut all: Vec<MarketUpdate> = snapshots.collect();
        all.extend(flow.updates(&symbols, from + Span::from_nanos(1), from + Span::from_secs(720)));
        all
    }

    fn book(updates: impl Iterator<Item = MarketUpdate>) -> OrderBook {
        let mut book = OrderBook::new();
        updates.for_each(|update| _ = book.apply(&update));
        book
    }

    fn record(store: &Store, config: &Config, updates: &[MarketUpdate]) {
        let writer = Writer::start(store.clone(), RunId(1), |_| {}).unwrap();
        let mut tape = Tape::start(store.clone(), writer.handle(), config).unwrap();
        for update in updates {
            tape.hear(update);
            // The queue is for a live market's pace.
            while tape.lost.contains_key(&update.symbol) {
                std::thread::sleep(Duration::from_millis(1));
                tape.lost.clear();
                tape.hear(update);
            }
        }
        tape.stop();
        writer.stop().unwrap();
    }

    #[test]
    fn what_a_market_said_is_recorded_whole_and_gives_the_same_book_from_its_start_and_from_its_middle() {
        let dir = tempfile::tempdir().unwrap();
        let context = context(&dir.path().join("x.redb"));
        let (store, updates) = (store(&dir.path().join("x.redb")), market());
        record(&store, &context.config, &updates);
        let symbol = updates[0].symbol;
        let of_market = || updates.iter().filter(|u| u.symbol == symbol && is_recorded(&u.data)).cloned();
        let from = |at| store.captured("Binance", symbol, at, Timestamp::MAX).map(Result::unwrap).collect::<Vec<_>>();
        let recorded = from(Timestamp::EPOCH);
        let own = recorded.iter().skip(1).filter(|u| matches!(u.data, MarketData::Snapshot(_))).count();
        assert_eq!(own, 1, "one snapshot of our own in twelve minutes");
        let without_own =
            recorded.iter().enumerate().filter(|(i, u)| *i == 0 || !matches!(u.data, MarketData::Snapshot(_))).map(|(_, u)| u.clone());
        assert_eq!(without_own.collect::<Vec<_>>(), of_market().collect::<Vec<_>>());
        let expected = book(of_market());
        for start in [Timestamp::EPOCH, updates[0].local_time + Span::from_secs(300)] {
            let again = book(from(start).into_iter());
            assert!(again.is_valid(), "readable from {start}");
            assert_eq!(
                (again.bids(500), again.asks(500), again.last_update_id()),
                (expected.bids(500), expected.asks(500), expected.last_update_id())
            );
        }
    }

    #[test]
    fn a_full_queue_leaves_a_hole_that_the_recording_tells() {
        let updates = market();
        let (queue, heard) = sync_channel(3);
        let mut tape = Tape { queue, thread: None, enabled: true, lost: BTreeMap::new() };
        let of_one: Vec<&MarketUpdate> = updates.iter().filter(|u| u.symbol == updates[0].symbol && is_recorded(&u.data)).take(8).collect();
        of_one[..5].iter().for_each(|update| tape.hear(update));
        let mut kept: Vec<MarketUpdate> = Vec::new();
        let drain = |kept: &mut Vec<MarketUpdate>| {
            kept.extend(heard.try_iter().filter_map(|h| if let Heard::Update(u) = h { Some(*u) } else { None }))
        };
        drain(&mut kept);
        of_one[5..7].iter().for_each(|update| tape.hear(update));
        drain(&mut kept);
        assert_eq!(kept.len(), 6);
        assert_eq!(kept[3].data, MarketData::Interrupted);
        assert_eq!(&kept[5], of_one[6]);
    }

    #[test]
    fn recording_can_be_turned_off_and_old_data_go_at_the_start() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = context(&dir.path().join("x.redb")).config;
        let (store, updates) = (store(&dir.path().join("x.redb")), market());
        config.record.enabled = false;
        record(&store, &config, &updates[..2_000]);
        assert!(store.capture_series().unwrap().is_empty());
        config.record.enabled = true;
        record(&store, &config, &updates[..2_000]);
        assert_eq!(store.capture_series().unwrap().len(), 2);
        config.record.max_mib = 0;
        config.record.enabled = false;
        record(&store, &config, &[]);
        assert_eq!(store.capture_series().unwrap().len(), 2, "before the venue tells its time nothing is old");
        config.record.enabled = true;
        record(&store, &config, &updates[..2]);
        assert!(store.capture_series().unwrap().iter().all(|series| series.first >= updates[0].local_time), "{:?}", store.capture_series());
    }
}
