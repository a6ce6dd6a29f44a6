//! Watches the engine's thread from a thread of its own, with a connection of its own: entries must not rest unwatched.
//!
//! The engine's loop beats; a loop that has nothing to do beats several times a second. When the beats stay away, or the thread dies of a
//! panic, the entries that rest at the venue are cancelled: those of this run and those that it took over, and nothing else. A guard is
//! never touched, nor is any sale, nor anybody else's order. An entry that is partly filled stays: the guard of what it bought comes with
//! the rest, and nobody is there to place another.
//!
//! Silence is measured in what this thread has waited awake: a computer or process that stood still as a whole accuses nobody.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::app::clock;
use crate::domain::{ClientOrderId, RunId, Side, Symbol, Timestamp};
use crate::protocol::VenueOrder;
use crate::venue::binance::{ClientError, Credentials, Endpoint, RestClient};

/// How patient the watch is.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Between two looks at the heart.
    pub look_every: Duration,
    /// So long without a beat the engine is silent. Its longest lawful pause, one question to the venue at the end of a run, is half of it.
    pub silent_after: Duration,
    /// The longest pause between two questions to the venue while the engine is silent.
    pub ask_every: Duration,
    /// After a death: nothing may have rested for so long. The venue refuses what was signed more than 5 s ago.
    pub settled_after: Duration,
    /// After a death: the program ends then, whatever the venue says.
    pub give_up_after: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            look_every: Duration::from_secs(1),
            silent_after: Duration::from_secs(10),
            ask_every: Duration::from_secs(10),
            settled_after: Duration::from_secs(6),
            give_up_after: Duration::from_secs(120),
        }
    }
}

/// Whose entries, and where.
pub struct Guarded {
    pub run: RunId,
    /// Orders of earlier runs that this one took over.
    pub carried: BTreeSet<ClientOrderId>,
    pub symbols: Vec<Symbol>,
    pub endpoint: Endpoint,
    pub credentials: Credentials,
    /// The venue's ban as the run's own client knows it.
    pub bans: watch::Receiver<Option<Timestamp>>,
}

/// The engine's side: a sign of life costs one addition.
#[derive(Debug, Clone, Default)]
pub struct Heart(Arc<AtomicU64>);

impl Heart {
    pub fn beat(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn beats(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Runs,
    Ended,
    Died,
}

/// The thread that watches. Dropped while its owner panics, it cancels what rests before it lets go; else it just ends.
pub struct Watchdog {
    heart: Heart,
    life: watch::Sender<Life>,
    thread: Option<JoinHandle<()>>,
}

impl Watchdog {
    /// # Errors
    /// When the thread or its runtime can not be had.
    pub fn start(guarded: Guarded, patience: Patience) -> std::io::Result<Self> {
        let (heart, (life, lives)) = (Heart::default(), watch::channel(Life::Runs));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let watch = Watch { guarded, patience, heart: heart.clone(), life: lives };
        let thread = std::thread::Builder::new().name("watchdog".into()).spawn(move || runtime.block_on(watch.stand()))?;
        Ok(Self { heart, life, thread: Some(thread) })
    }

    pub fn heart(&self) -> Heart {
        self.heart.clone()
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.life.send_replace(if std::thread::panicking() { Life::Died } else { Life::Ended });
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the watchdog failed");
        }
    }
}

/// Since when nothing was heard.
#[derive(Debug, Default)]
struct Silence {
    beats: u64,
    looks: u32,
    lasted: Duration,
}

impl Silence {
    /// A look that comes `waited` after the last one. True when the engine has been silent for `patience.silent_after`.
    fn look(&mut self, beats: u64, waited: Duration, patience: &Patience) -> bool {
        if beats != self.beats {
            *self = Self { beats, ..Self::default() };
            return false;
        }
        self.looks = self.looks.saturating_add(1);
        // Whoever slept longer than it meant to was not awake to hear.
        self.lasted = self.lasted.saturating_add(waited.min(patience.look_every * 2));
        self.looks > 1 && self.lasted >= patience.silent_after
    }
}

/// What a question to the venue came to, the better news first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Found {
    /// No entry rests that is to be cancelled.
    Nothing,
    /// Some did; the next question tells whether they are gone.
    Entries,
    /// The venue did not answer everything.
    Trouble,
}

struct Watch {
    guarded: Guarded,
    patience: Patience,
    heart: Heart,
    life: watch::Receiver<Life>,
}

impl Watch {
    async fn stand(self) {
        let (mut silence, mut looked) = (Silence::default(), Instant::now());
        let mut alarm: Option<Alarm> = None;
        loop {
            // It wakes when its time is up, or the engine's end is told.
            let _woken = tokio::time::timeout(self.patience.look_every, self.end_is_told()).await;
            if self.is_over().await {
                return;
            }
            let waited = looked.elapsed();
            looked = Instant::now();
            if !silence.look(self.heart.beats(), waited, &self.patience) {
                if alarm.take().is_some() {
                    tracing::warn!("the engine beats again; it hears from the venue which of its entries were cancelled");
                }
                continue;
            }
            let alarm = alarm.get_or_insert_with(|| {
                tracing::error!(
                    seconds = self.patience.silent_after.as_secs(),
                    "THE ENGINE IS SILENT: its entries are cancelled, its guards stay. If it stays so, stop the program and start it again"
                );
                Alarm::default()
            });
            if alarm.next.is_none_or(|next| Instant::now() >= next) {
                // The venue may let it wait for long; the end of the run does not.
                let found = tokio::select! {
                    found = self.cancel_entries(alarm, || self.heart.beats() == silence.beats) => found,
                    () = self.end_is_told() => Found::Trouble,
                };
                alarm.next = Some(Instant::now() + alarm.pause(found, &self.patience));
            }
        }
    }

    async fn end_is_told(&self) {
        let mut life = self.life.clone();
        // Nobody left to tell it is an end too.
        let _told = life.wait_for(|life| *life != Life::Runs).await.is_ok();
    }

    /// Whether the engine's thread has come to its end; if that was a bad one, what it left is seen to.
    async fn is_over(&self) -> bool {
        let life = *self.life.borrow();
        if life == Life::Died {
            self.after_death().await;
        }
        life != Life::Runs
    }

    /// The thread is gone; what it had sent may still arrive. The program waits for this.
    async fn after_death(&self) {
        tracing::error!("THE ENGINE'S THREAD DIED: its entries are cancelled, its guards stay; start the program again");
        let (begun, mut settled, mut alarm) = (Instant::now(), None, Alarm::default());
        while begun.elapsed() < self.patience.give_up_after {
            let left = self.patience.give_up_after.saturating_sub(begun.elapsed());
            match tokio::time::timeout(left, self.cancel_entries(&mut alarm, || true)).await {
                Ok(Found::Nothing) => {
                    if settled.get_or_insert_with(Instant::now).elapsed() >= self.patience.settled_after {
                        return tracing::error!("the watchdog has seen to it that no entry rests at the venue");
                    }
                }
                _ => settled = None,
            }
            tokio::time::sleep(self.patience.look_every).await;
        }
        tracing::error!("entries may still rest at the venue: look there, and cancel them by hand");
    }

    /// Asks for the open orders and cancels the entries among them, as long as `go_on` holds.
    async fn cancel_entries(&self, alarm: &mut Alarm, go_on: impl Fn() -> bool) -> Found {
        let client = match alarm.client(&self.guarded).await {
            Ok(client) => client,
            Err(error) => return alarm.trouble(&error),
        };
        let mut found = Found::Nothing;
        for &symbol in &self.guarded.symbols {
            let open = match client.open_orders(symbol).await {
                Ok(open) => open.ours,
                // Nothing rests in a market that is not there.
                Err(error) if error.is_unknown_market() => continue,
                Err(error) => {
                    found = alarm.trouble(&error);
                    continue;
                }
            };
            for order in &open {
                match self.guarded.kind(order) {
                    Kind::Other => continue,
                    Kind::BegunEntry => {
                        alarm.leave(order);
                        continue;
                    }
                    Kind::Entry => {}
                }
                if !go_on() {
                    return found;
                }
                let done = match client.cancel(order.id, symbol).await {
                    Ok(ended) => told(order, &ended),
                    // Ended between question and cancel.
                    Err(error) if error.is_unknown_order() => Found::Entries,
                    Err(error) => alarm.trouble(&error),
                };
                found = found.max(done);
            }
        }
        if found != Found::Trouble {
            alarm.failures = 0;
        }
        found
    }
}

/// What a resting order is to this watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It goes.
    Entry,
    /// An entry that has bought something.
    BegunEntry,
    /// A guard, a sale, or somebody else's.
    Other,
}

impl Guarded {
    /// Spot is long or flat: what buys is an entry.
    fn kind(&self, order: &VenueOrder) -> Kind {
        let ours = order.id.run == self.run || self.carried.contains(&order.id);
        match (ours && order.side == Side::Buy, order.filled.is_positive()) {
            (true, false) => Kind::Entry,
            (true, true) => Kind::BegunEntry,
            (false, _) => Kind::Other,
        }
    }
}

fn told(order: &VenueOrder, ended: &VenueOrder) -> Found {
    if ended.filled.is_positive() {
        tracing::error!(
            order = %order.id, symbol = %order.symbol, bought = %ended.filled,
            "the watchdog cancelled an entry that had just begun to fill: NOTHING GUARDS what it bought until the engine runs again"
        );
    } else {
        tracing::error!(order = %order.id, symbol = %order.symbol, "the watchdog cancelled an entry");
    }
    Found::Entries
}

/// What is remembered from one question to the next.
#[derive(Default)]
struct Alarm {
    /// Made anew for every alarm: nothing of it is old.
    client: Option<RestClient>,
    /// When the venue is asked again.
    next: Option<Instant>,
    failures: u32,
    /// Partly filled entries that were told.
    left: BTreeSet<ClientOrderId>,
}

impl Alarm {
    async fn client(&mut self, guarded: &Guarded) -> Result<RestClient, ClientError> {
        if let Some(client) = &self.client {
            return Ok(client.clone());
        }
        let banned_until = *guarded.bans.borrow();
        let client =
            RestClient::remembering(guarded.endpoint.clone(), Some(guarded.credentials.clone()), Arc::new(clock::now), banned_until)?;
        client.sample_clock().await?;
        self.client = Some(client.clone());
        Ok(client)
    }

    fn trouble(&mut self, error: &ClientError) -> Found {
        self.failures = self.failures.saturating_add(1);
        tracing::error!(%error, failures = self.failures, "the watchdog could not see to it that no entry rests; it tries again");
        Found::Trouble
    }

    fn leave(&mut self, order: &VenueOrder) {
        if self.left.insert(order.id) {
            tracing::error!(
                order = %order.id, symbol = %order.symbol, bought = %order.filled, of = %order.qty,
                "an entry is partly filled: it stays, because the guard of what it bought comes with the rest"
            );
        }
    }

    /// Entries are looked after at once, trouble with growing pauses, and late arrivals now and then.
    fn pause(&self, found: Found, patience: &Patience) -> Duration {
        match found {
            Found::Nothing => patience.ask_every,
            Found::Entries => patience.look_every,
            Found::Trouble => patience.look_every.saturating_mul(1 << self.failures.min(8)).min(patience.ask_every),
        }
    }
}

#[cfg(test)]
mod tests;
