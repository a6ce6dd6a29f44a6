//! The writer: one thread that makes things durable, in two lanes.
//!
//! Lane one carries the run's stream: journal entries and the records they caused, in one transaction. A batch with an order
//! intent commits at once, taking with it whatever is queued; the rest commits every [`QUIET_COMMIT`] at the latest.
//! Lane two carries bulk (candles, models, episodes) in small transactions, each only while lane one has nothing due.
//!
//! A failure (disk full, I/O error) is final: nothing more is accepted, waiters are released, and the text is kept. The caller
//! goes on cancelling.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::bulk::{Bulk, Piece};
use super::error::{StoreError, full_text};
use super::file::Store;
use super::journal::{Appender, JournalEntry};
use super::records;
use crate::domain::RunId;
use crate::protocol::Record;

/// The longest that a batch without an order intent waits for company.
pub const QUIET_COMMIT: Duration = Duration::from_millis(50);

/// Entries and records that may wait: minutes of a busy market. Beyond it the disk is too slow to trade on.
const MAX_PENDING: usize = 200_000;

/// Pieces of bulk that may wait: far more than ten years of minutes, so only a loop that never waits meets it.
const MAX_BULK_PIECES: usize = 10_000;

/// Entries and records per transaction.
const MAX_GROUP: usize = 20_000;

/// A place in the writer's queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket {
    lane: Lane,
    number: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lane {
    Stream,
    Bulk,
}

/// Why the writer did not take something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriterError {
    #[error("{pending} pieces of work wait for the disk; it is too slow")]
    Full { pending: usize },
    #[error("the data file failed: {0}; free the disk and start huracan again")]
    Failed(String),
    #[error("journal entry {found} does not follow {expected}")]
    OutOfOrder { expected: u64, found: u64 },
    #[error("the writer is stopped")]
    Stopped,
    #[error("model {id} does not hash to its id")]
    WrongModel { id: String },
}

/// How the writer stands; handed to the callback after each commit and at a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriterStatus {
    /// The last journal sequence on disk.
    pub durable_seq: Option<u64>,
    /// Entries and records not yet on disk.
    pub pending: usize,
    pub error: Option<String>,
}

impl WriterStatus {
    #[must_use]
    pub const fn healthy(&self) -> bool {
        self.error.is_none()
    }
}

/// The thread; `stop` it to know that everything is on disk. Dropping it stops it too.
pub struct Writer {
    handle: WriterHandle,
    thread: Option<JoinHandle<()>>,
}

/// Hands work to the writer from any thread; never waits for the disk unless asked to.
#[derive(Clone)]
pub struct WriterHandle {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    work: Condvar,
    done: Condvar,
    /// Durable sequence + 1; 0 before the first.
    durable_end: AtomicU64,
}

#[derive(Default)]
struct State {
    stream: VecDeque<Batch>,
    bulk: VecDeque<Piece>,
    /// When the oldest batch of the stream was queued.
    oldest: Option<Instant>,
    urgent: usize,
    pending: usize,
    /// Tickets given and reached, by lane.
    given: [u64; 2],
    reached: [u64; 2],
    /// The sequence the next journal entry must have; `None` before the first.
    next_seq: Option<u64>,
    stopping: bool,
    ended: bool,
    failed: Option<String>,
}

struct Batch {
    entries: Vec<JournalEntry>,
    records: Vec<Record>,
    urgent: bool,
}

enum Work {
    Stream(Vec<Batch>),
    Bulk(Box<Piece>),
    Nothing,
}

impl Writer {
    /// Starts the thread for one run. `on_status` is called on it after each commit of the stream and at a failure; it must not block.
    pub fn start(store: Store, run: RunId, on_status: impl Fn(WriterStatus) + Send + 'static) -> Result<Self, StoreError> {
        let shared = Arc::new(Shared {
            state: Mutex::new(State::default()),
            work: Condvar::new(),
            done: Condvar::new(),
            durable_end: AtomicU64::new(0),
        });
        let handle = WriterHandle { shared: Arc::clone(&shared) };
        let body = move || {
            let ending = Ending(Arc::clone(&shared));
            serve(&store, run, &shared, &on_status);
            drop(ending);
        };
        let thread = std::thread::Builder::new().name("store".to_owned()).spawn(body);
        let failed = |source: std::io::Error| StoreError::File { doing: "start the writer of", source: Box::new(source) };
        Ok(Self { handle, thread: Some(thread.map_err(failed)?) })
    }

    #[must_use]
    pub fn handle(&self) -> WriterHandle {
        self.handle.clone()
    }

    /// Commits everything that is queued and ends the thread; the error says what did not reach the disk.
    pub fn stop(mut self) -> Result<(), WriterError> {
        self.finish();
        match self.handle.status().error {
            Some(text) => Err(WriterError::Failed(text)),
            None => Ok(()),
        }
    }

    fn finish(&mut self) {
        self.handle.shared.lock().stopping = true;
        self.handle.shared.work.notify_all();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread is already recorded as its failure.
            let _ = thread.join();
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.finish();
    }
}

impl WriterHandle {
    /// Queues journal entries with the records they caused: one transaction for all of them. `urgent` when an order waits for
    /// it. Never blocks on the disk.
    pub fn append(&self, entries: Vec<JournalEntry>, records: Vec<Record>, urgent: bool) -> Result<Ticket, WriterError> {
        let mut state = self.shared.lock();
        let size = entries.len() + records.len();
        state.admit(size)?;
        let mut expected = state.next_seq;
        for entry in &entries {
            match expected {
                Some(seq) if seq != entry.stamp.seq => return Err(WriterError::OutOfOrder { expected: seq, found: entry.stamp.seq }),
                _ => expected = Some(entry.stamp.seq + 1),
            }
        }
        state.next_seq = expected;
        state.pending += size;
        state.urgent += usize::from(urgent);
        state.oldest.get_or_insert_with(Instant::now);
        state.stream.push_back(Batch { entries, records, urgent });
        let ticket = state.ticket(Lane::Stream, 1);
        drop(state);
        self.shared.work.notify_one();
        Ok(ticket)
    }

    /// Queues bulk for lane two. The ticket is reached when all of it is on disk.
    pub fn bulk(&self, bulk: Bulk) -> Result<Ticket, WriterError> {
        let pieces = bulk.into_pieces()?;
        let mut state = self.shared.lock();
        state.admit(0)?;
        if !state.bulk.is_empty() && state.bulk.len() + pieces.len() > MAX_BULK_PIECES {
            return Err(WriterError::Full { pending: state.bulk.len() });
        }
        let ticket = state.ticket(Lane::Bulk, pieces.len() as u64);
        state.bulk.extend(pieces);
        drop(state);
        self.shared.work.notify_one();
        Ok(ticket)
    }

    /// The last journal sequence on disk; `None` before the first.
    #[must_use]
    pub fn durable_seq(&self) -> Option<u64> {
        self.shared.durable_end.load(Ordering::Acquire).checked_sub(1)
    }

    #[must_use]
    pub fn is_durable(&self, ticket: Ticket) -> bool {
        self.shared.lock().has_reached(ticket)
    }

    /// Waits until the ticket is on disk: true; false after `limit` or when the writer failed.
    #[must_use]
    pub fn wait(&self, ticket: Ticket, limit: Duration) -> bool {
        let until = |state: &mut State| !state.has_reached(ticket) && !state.ended;
        let waited = self.shared.done.wait_timeout_while(self.shared.lock(), limit, until);
        waited.unwrap_or_else(PoisonError::into_inner).0.has_reached(ticket)
    }

    #[must_use]
    pub fn status(&self) -> WriterStatus {
        self.shared.lock().status(self.durable_seq())
    }
}

impl Shared {
    /// State is plain counters and queues: valid at every step, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for work, urgent first; `Nothing` when it is time to end.
    fn next_work(&self) -> Work {
        let mut state = self.lock();
        loop {
            let due = state.oldest.map(|since| QUIET_COMMIT.saturating_sub(since.elapsed()));
            let now = state.urgent > 0 || state.stopping || state.pending >= MAX_GROUP || due == Some(Duration::ZERO);
            if !state.stream.is_empty() && now {
                return Work::Stream(state.take_group());
            }
            if let Some(piece) = state.bulk.pop_front() {
                return Work::Bulk(Box::new(piece));
            }
            if state.stopping {
                return Work::Nothing;
            }
            state = match due {
                Some(left) => self.work.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0,
                None => self.work.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }
}

impl State {
    fn admit(&self, size: usize) -> Result<(), WriterError> {
        match &self.failed {
            Some(text) => Err(WriterError::Failed(text.clone())),
            None if self.stopping || self.ended => Err(WriterError::Stopped),
            None if self.pending > 0 && self.pending + size > MAX_PENDING => Err(WriterError::Full { pending: self.pending }),
            None => Ok(()),
        }
    }

    fn ticket(&mut self, lane: Lane, steps: u64) -> Ticket {
        self.given[lane as usize] += steps;
        Ticket { lane, number: self.given[lane as usize] }
    }

    const fn has_reached(&self, ticket: Ticket) -> bool {
        self.reached[ticket.lane as usize] >= ticket.number
    }

    /// The oldest batches, as many as one transaction should hold.
    fn take_group(&mut self) -> Vec<Batch> {
        let mut group = Vec::new();
        let mut size = 0;
        while let Some(batch) = self.stream.pop_front_if(|_| size < MAX_GROUP) {
            size += batch.entries.len() + batch.records.len();
            self.urgent -= usize::from(batch.urgent);
            group.push(batch);
        }
        // What is left has waited as long, so it stays due.
        if self.stream.is_empty() {
            self.oldest = None;
        }
        group
    }

    fn status(&self, durable_seq: Option<u64>) -> WriterStatus {
        WriterStatus { durable_seq, pending: self.pending, error: self.failed.clone() }
    }
}

fn serve(store: &Store, run: RunId, shared: &Shared, on_status: &dyn Fn(WriterStatus)) {
    let mut appender: Option<Appender> = None;
    loop {
        let outcome = match shared.next_work() {
            Work::Nothing => return,
            Work::Stream(group) => commit(store, run, &mut appender, &group).map(|()| reached_stream(shared, &group)),
            Work::Bulk(piece) => store.write(|txn| piece.apply(txn, store.scope())).map(|()| {
                let mut state = shared.lock();
                state.reached[Lane::Bulk as usize] += 1;
                None
            }),
        };
        shared.done.notify_all();
        match outcome {
            Ok(Some(status)) => on_status(status),
            Ok(None) => {}
            Err(fault) => {
                let mut state = shared.lock();
                let text = full_text(&fault);
                tracing::error!(error = %text, "the data file cannot be written");
                state.failed = Some(text);
                let status = state.status(shared.durable_end.load(Ordering::Acquire).checked_sub(1));
                drop(state);
                on_status(status);
                return;
            }
        }
    }
}

/// One transaction: the journal of all batches, then their records.
fn commit(store: &Store, run: RunId, appender: &mut Option<Appender>, group: &[Batch]) -> Result<(), StoreError> {
    store.write(|txn| {
        let journal = match appender {
            Some(journal) => journal,
            None => appender.insert(Appender::start(txn, run)?),
        };
        for batch in group {
            journal.extend(txn, &batch.entries)?;
            for record in &batch.records {
                records::apply(txn, store.scope(), run, record)?;
            }
        }
        journal.flush(txn)
    })
}

fn reached_stream(shared: &Shared, group: &[Batch]) -> Option<WriterStatus> {
    if let Some(last) = group.iter().rev().find_map(|batch| batch.entries.last()) {
        shared.durable_end.store(last.stamp.seq + 1, Ordering::Release);
    }
    let mut state = shared.lock();
    state.reached[Lane::Stream as usize] += group.len() as u64;
    state.pending -= group.iter().map(|batch| batch.entries.len() + batch.records.len()).sum::<usize>();
    Some(state.status(shared.durable_end.load(Ordering::Acquire).checked_sub(1)))
}

/// However the thread ends, nobody waits for it afterwards.
struct Ending(Arc<Shared>);

impl Drop for Ending {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.ended = true;
        if std::thread::panicking() {
            state.failed.get_or_insert_with(|| "the writer stopped unexpectedly".to_owned());
        }
        drop(state);
        self.0.done.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Interval, Timestamp};
    use crate::store::backends::{BreakableDisk, LyingDisk};
    use crate::store::samples;
    use std::sync::mpsc;

    const RUN: RunId = RunId(5);
    const LONG: Duration = Duration::from_secs(60);

    fn memory() -> Store {
        Store::open_backend(redb::backends::InMemoryBackend::new(), &samples::demo()).unwrap()
    }

    #[test]
    fn what_was_appended_is_in_the_journal_and_the_tables() {
        let store = memory();
        let writer = Writer::start(store.clone(), RUN, |_| {}).unwrap();
        let entries = samples::entries(400);
        for (i, some) in entries.chunks(10).enumerate() {
            writer.handle().append(some.to_vec(), samples::records(i as u64), i % 3 == 0).unwrap();
        }
        writer.stop().unwrap();
        let journal: Result<Vec<_>, _> = store.journal(RUN).unwrap().unwrap().collect();
        assert_eq!(journal.unwrap(), entries);
        assert!(!store.orders().unwrap().is_empty() && !store.fills().unwrap().is_empty());
    }

    #[test]
    fn a_reached_ticket_means_the_entries_survive_a_crash() {
        let disk = LyingDisk::default();
        let store = Store::open_backend(disk.clone(), &samples::demo()).unwrap();
        let (told, statuses) = mpsc::channel();
        let writer = Writer::start(store, RUN, move |status| told.send(status).unwrap()).unwrap();
        let handle = writer.handle();
        let entries = samples::entries(60);
        for (i, some) in entries.chunks(3).enumerate() {
            let ticket = handle.append(some.to_vec(), Vec::new(), i % 2 == 0).unwrap();
            assert!(handle.wait(ticket, LONG));
            let last = some.last().unwrap().stamp.seq;
            assert_eq!(handle.durable_seq(), Some(last));
            let survivor = Store::open_backend(disk.after_crash(), &samples::demo()).unwrap();
            let kept: Result<Vec<_>, _> = survivor.journal(RUN).unwrap().unwrap().collect();
            assert_eq!(kept.unwrap(), entries[..(i + 1) * 3]);
        }
        writer.stop().unwrap();
        let seqs: Vec<_> = statuses.iter().map(|s| s.durable_seq).collect();
        assert!(seqs.is_sorted() && seqs.last() == Some(&Some(59)), "{seqs:?}");
    }

    #[test]
    fn an_urgent_batch_takes_everything_before_it_along() {
        let writer = Writer::start(memory(), RUN, |_| {}).unwrap();
        let handle = writer.handle();
        let entries = samples::entries(20);
        let quiet = handle.append(entries[..10].to_vec(), Vec::new(), false).unwrap();
        let urgent = handle.append(entries[10..].to_vec(), Vec::new(), true).unwrap();
        assert!(handle.wait(urgent, LONG));
        assert!(handle.is_durable(quiet));
        assert_eq!(handle.status(), WriterStatus { durable_seq: Some(19), pending: 0, error: None });
    }

    #[test]
    fn bulk_arrives_whole_beside_the_stream() {
        let store = memory();
        let writer = Writer::start(store.clone(), RUN, |_| {}).unwrap();
        let handle = writer.handle();
        let candles = samples::candles(40_000);
        let bulk = handle.bulk(Bulk::Candles { symbol: samples::symbol(), interval: Interval::MINUTE, candles: candles.clone() }).unwrap();
        let model = handle.bulk(Bulk::Model(Box::new(samples::model(2)))).unwrap();
        let urgent = handle.append(samples::entries(1), Vec::new(), true).unwrap();
        assert!(handle.wait(urgent, LONG) && handle.wait(model, LONG) && handle.is_durable(bulk));
        let stored = store.candles(samples::symbol(), Interval::MINUTE, Timestamp::EPOCH, Timestamp::MAX).unwrap();
        assert_eq!(stored, candles);
        let mut wrong = samples::model(3);
        wrong.artifact[0] ^= 1;
        assert!(matches!(handle.bulk(Bulk::Model(Box::new(wrong))), Err(WriterError::WrongModel { .. })));
        writer.stop().unwrap();
        assert_eq!(store.models().unwrap().len(), 1);
    }

    #[test]
    fn an_intent_goes_before_all_bulk_that_waits() {
        let shared =
            Shared { state: Mutex::new(State::default()), work: Condvar::new(), done: Condvar::new(), durable_end: AtomicU64::new(0) };
        let handle = WriterHandle { shared: Arc::new(shared) };
        let candles = samples::candles(20_000);
        handle.bulk(Bulk::Candles { symbol: samples::symbol(), interval: Interval::MINUTE, candles }).unwrap();
        let entries = samples::entries(2);
        handle.append(entries[..1].to_vec(), Vec::new(), false).unwrap();
        assert!(matches!(handle.shared.next_work(), Work::Bulk(_)), "nothing is urgent yet");
        handle.append(entries[1..].to_vec(), Vec::new(), true).unwrap();
        assert!(matches!(handle.shared.next_work(), Work::Stream(group) if group.len() == 2));
        assert!(matches!(handle.shared.next_work(), Work::Bulk(_)));
    }

    #[test]
    fn a_full_disk_is_told_once_and_for_all_and_nobody_hangs() {
        let disk = BreakableDisk::default();
        let store = Store::open_backend(disk.clone(), &samples::demo()).unwrap();
        let (told, statuses) = mpsc::channel();
        let writer = Writer::start(store, RUN, move |status| told.send(status).unwrap()).unwrap();
        let handle = writer.handle();
        let entries = samples::entries(30);
        let first = handle.append(entries[..10].to_vec(), Vec::new(), true).unwrap();
        assert!(handle.wait(first, LONG));
        disk.break_now();
        let second = handle.append(entries[10..20].to_vec(), Vec::new(), true).unwrap();
        assert!(!handle.wait(second, LONG));
        let status = handle.status();
        assert!(!status.healthy() && status.error.as_ref().unwrap().contains("no space left"), "{status:?}");
        assert_eq!((status.durable_seq, status.pending), (Some(9), 10));
        assert!(matches!(handle.append(entries[20..].to_vec(), Vec::new(), true), Err(WriterError::Failed(_))));
        assert!(matches!(writer.stop(), Err(WriterError::Failed(_))));
        assert!(!statuses.iter().last().unwrap().healthy());
    }

    #[test]
    fn gaps_overflow_and_late_work_are_refused() {
        let writer = Writer::start(memory(), RUN, |_| {}).unwrap();
        let handle = writer.handle();
        let entries = samples::entries(10);
        handle.append(entries[..5].to_vec(), Vec::new(), false).unwrap();
        let gap = handle.append(entries[6..].to_vec(), Vec::new(), false);
        assert_eq!(gap, Err(WriterError::OutOfOrder { expected: 5, found: 6 }));
        handle.append(entries[5..].to_vec(), Vec::new(), false).unwrap();
        let state = State { pending: MAX_PENDING, ..State::default() };
        assert_eq!(state.admit(1), Err(WriterError::Full { pending: MAX_PENDING }));
        writer.stop().unwrap();
        assert_eq!(handle.append(Vec::new(), Vec::new(), false), Err(WriterError::Stopped));
    }
}
