//! Every remembered order by id, found in constant time.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::OrderView;
use crate::domain::OrderId;

/// An order with what the exchange alone needs to know.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub view: OrderView,
    /// Its market's place.
    pub market: usize,
    /// The order of which one cancels the other.
    pub twin: Option<OrderId>,
}

/// Ids count up, so that spreading their low bits is all the hashing they need. The map is asked, never iterated.
#[derive(Debug, Clone, Default)]
pub(super) struct CountHasher(u64);

impl Hasher for CountHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }
    fn write_u64(&mut self, value: u64) {
        self.0 = (self.0 ^ value).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(26);
    }
}

/// Records live in places that are used again, so that a record never moves while it is remembered.
#[derive(Debug, Clone, Default)]
pub(super) struct Orders {
    places: Vec<Option<Record>>,
    free: Vec<usize>,
    index: HashMap<OrderId, usize, BuildHasherDefault<CountHasher>>,
}

impl Orders {
    pub(super) fn insert(&mut self, record: Record) {
        let id = record.view.order_id;
        let place = match self.free.pop() {
            Some(place) => {
                self.places[place] = Some(record);
                place
            }
            None => {
                self.places.push(Some(record));
                self.places.len() - 1
            }
        };
        self.index.insert(id, place);
    }

    pub(super) fn remove(&mut self, id: OrderId) {
        if let Some(place) = self.index.remove(&id) {
            self.places[place] = None;
            self.free.push(place);
        }
    }

    pub(super) fn get(&self, id: OrderId) -> Option<&Record> {
        self.places[*self.index.get(&id)?].as_ref()
    }

    pub(super) fn get_mut(&mut self, id: OrderId) -> Option<&mut Record> {
        self.places[*self.index.get(&id)?].as_mut()
    }

    pub(super) fn view(&self, id: OrderId) -> Option<&OrderView> {
        self.get(id).map(|record| &record.view)
    }
}
