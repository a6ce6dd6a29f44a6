//! Make before break: the connection that is relied on, and the one that will replace it.
//!
//! A new connection is the spare until its owner finds that it delivers everything; then the old one is closed. When the one that is relied
//! on breaks, a ready spare takes its place at once. Each has an epoch: what an older one still says counts for nothing.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::connection::{Connection, Dialer, Epoch};
use super::socket::{Pauses, SocketError};

/// One connection with what its owner notes about it.
pub(super) struct Line<T> {
    pub connection: Connection,
    pub born: Instant,
    /// Since when it may be relied on.
    pub ready: Option<Instant>,
    life: Duration,
    pub notes: T,
}

/// What the end of a connection means.
#[derive(Debug)]
pub(super) enum Ended {
    /// It was relied on, and nothing takes its place.
    Broken(SocketError),
    /// It was relied on, and the spare took its place.
    Replaced(SocketError),
    /// It was not relied on yet.
    Failed(SocketError),
    /// It was closed before.
    Old,
}

/// What a connection that became ready is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ready {
    /// Nothing else is relied on.
    Alone,
    /// It will replace the one that is relied on.
    Spare,
    Old,
}

pub(super) struct Lines<T> {
    dialer: Dialer,
    pub current: Option<Line<T>>,
    pub spare: Option<Line<T>>,
    epochs: u64,
    pauses: Pauses,
    open_after: Instant,
    renew: bool,
    parting: JoinSet<()>,
}

impl<T: Default> Lines<T> {
    /// Nothing is opened before `open_after`.
    pub fn new(dialer: Dialer, open_after: Instant) -> Self {
        let (current, spare) = (None, None);
        Self { dialer, current, spare, epochs: 0, pauses: Pauses::default(), open_after, renew: false, parting: JoinSet::new() }
    }

    /// Opens what is missing or due.
    pub fn keep_open(&mut self, now: Instant) {
        while self.parting.try_join_next().is_some() {}
        let due = self.current.as_ref().is_none_or(|line| self.renew || now.duration_since(line.born) >= line.life);
        if self.spare.is_some() || !due || now < self.open_after {
            return;
        }
        self.renew = false;
        self.epochs += 1;
        let connection = self.dialer.dial(Epoch(self.epochs));
        self.spare = Some(Line { connection, born: now, ready: None, life: self.dialer.rules.lifetime(), notes: T::default() });
    }

    /// The connection is to be replaced before its time.
    pub fn renew(&mut self) {
        self.renew = true;
    }

    pub fn line(&mut self, epoch: Epoch) -> Option<&mut Line<T>> {
        self.current.iter_mut().chain(self.spare.iter_mut()).find(|line| line.connection.epoch == epoch)
    }

    pub fn is_current(&self, epoch: Epoch) -> bool {
        self.current.as_ref().is_some_and(|line| line.connection.epoch == epoch)
    }

    /// Since when two connections feed.
    pub fn both_since(&self) -> Option<Instant> {
        self.current.as_ref().and(self.spare.as_ref()).and_then(|line| line.ready)
    }

    /// The connection may be relied on from now.
    pub fn ready(&mut self, epoch: Epoch, now: Instant) -> Ready {
        let Some(line) = self.spare.as_mut().filter(|line| line.connection.epoch == epoch) else { return Ready::Old };
        line.ready = Some(now);
        if self.current.is_some() {
            return Ready::Spare;
        }
        self.current = self.spare.take();
        Ready::Alone
    }

    /// The spare takes over and the old connection is closed.
    pub fn replace(&mut self) {
        if let Some(old) = self.current.take() {
            self.part(old);
        }
        self.current = self.spare.take();
        self.pauses = Pauses::default();
    }

    /// A connection ended by itself, or is given up: it is closed where it still stands.
    pub fn ended(&mut self, epoch: Epoch, why: SocketError, now: Instant) -> Ended {
        if self.is_current(epoch) {
            let lived = self.current.take().map_or(Duration::ZERO, |old| self.part(old));
            if self.spare.as_ref().is_some_and(|line| line.ready.is_some()) {
                self.current = self.spare.take();
                return Ended::Replaced(why);
            }
            self.open_after = now + self.pauses.after(lived);
            return Ended::Broken(why);
        }
        match self.spare.take_if(|line| line.connection.epoch == epoch) {
            Some(line) => {
                let lived = self.part(line);
                self.open_after = now + self.pauses.after(lived);
                // What asked for a new connection still does.
                self.renew = self.current.is_some();
                Ended::Failed(why)
            }
            None => Ended::Old,
        }
    }

    /// Closes everything; at the latest after a short time.
    pub async fn close(mut self) {
        for line in self.current.take().into_iter().chain(self.spare.take()) {
            self.parting.spawn(line.connection.closed());
        }
        while self.parting.join_next().await.is_some() {}
    }

    /// Gives how long it had lived.
    fn part(&mut self, line: Line<T>) -> Duration {
        self.parting.spawn(line.connection.closed());
        line.born.elapsed()
    }
}
