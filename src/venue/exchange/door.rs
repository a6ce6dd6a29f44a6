//! What every connection shares: the way to the exchange's thread, keys, clock, limits, faults, and who is connected.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::armed::Faults;
use super::auth::Keys;
use super::clock::Clock;
use super::config::DoorRules;
use super::fanout::ConnectionId;
use super::faults::FaultDoor;
use super::floor::Floor;
use super::gate::{Peer, Standing, Switch};
use super::limits::{Callers, Line};
use super::refusal::ApiError;
use super::strike::Held;
use crate::domain::Symbol;

pub(super) struct Door {
    pub floor: Floor,
    pub keys: Keys,
    pub clock: Clock,
    pub callers: Mutex<Callers>,
    pub rules: DoorRules,
    pub shutdown: tokio::sync::watch::Receiver<bool>,
    pub faults: Faults,
    pub symbols: Vec<Symbol>,
    /// What faults hold in force after they struck.
    pub held: Mutex<Held>,
    sockets: Mutex<BTreeMap<ConnectionId, Arc<Socket>>>,
}

/// A WebSocket connection as others see it.
pub(super) struct Socket {
    pub door: FaultDoor,
    pub switch: Arc<Switch>,
    /// It has heard user data.
    pub user: AtomicBool,
}

impl Socket {
    pub fn new(door: FaultDoor, peer: &Peer) -> Arc<Self> {
        Arc::new(Self { door, switch: Arc::clone(&peer.switch), user: AtomicBool::new(false) })
    }

    pub fn is_at(&self, door: Option<FaultDoor>) -> bool {
        match door {
            Some(FaultDoor::UserStreams) => self.user.load(Ordering::Relaxed),
            Some(door) => self.door == door,
            None => true,
        }
    }
}

impl Door {
    pub fn new(
        floor: Floor,
        keys: Keys,
        rules: DoorRules,
        clock: Clock,
        symbols: Vec<Symbol>,
        shutdown: tokio::sync::watch::Receiver<bool>,
    ) -> Self {
        Self {
            floor,
            keys,
            clock,
            callers: Mutex::new(Callers::new(rules.first_ban)),
            rules,
            shutdown,
            faults: Faults::default(),
            symbols,
            held: Mutex::default(),
            sockets: Mutex::default(),
        }
    }

    pub fn admit(&self, from: &Peer, weight: u32) -> Result<(), ApiError> {
        locked(&self.callers).admit(from.addr.ip(), weight, self.clock.steady())
    }

    /// Counts `weight` and gives the minute's sum.
    pub fn charge(&self, from: &Peer, weight: u32) -> u32 {
        locked(&self.callers).add(from.addr.ip(), weight, self.clock.steady())
    }

    /// Counts a WebSocket connection, or turns it away.
    pub fn connect(&self, from: &Peer, line: Line) -> Result<(), ApiError> {
        locked(&self.callers).connect(from.addr.ip(), line, self.clock.steady())
    }

    pub fn entered(&self, id: ConnectionId, socket: Arc<Socket>) {
        locked(&self.sockets).insert(id, socket);
    }

    pub fn left(&self, id: ConnectionId) {
        locked(&self.sockets).remove(&id);
    }

    /// Open sockets at this door; `None`: at any. Those that a fault has already struck do not count.
    pub fn sockets(&self, door: Option<FaultDoor>) -> Vec<Arc<Socket>> {
        let open = |socket: &&Arc<Socket>| socket.is_at(door) && socket.switch.standing() == Standing::Open;
        locked(&self.sockets).values().filter(open).cloned().collect()
    }
}

/// A panic elsewhere does not lock everybody out.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
