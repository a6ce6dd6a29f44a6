//! Every remembered order by id, found in constant time.

use std::collections::VecDeque;

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

/// Records live in places that are used again, so that a record never moves while it is remembered. Ids count up: an id's place is found
/// by its distance from the oldest remembered one.
#[derive(Debug, Clone, Default)]
pub(super) struct Orders {
    places: Vec<Option<Record>>,
    free: Vec<usize>,
    /// The oldest id of `index`.
    first: u64,
    /// Places by id from `first` on; `None` for a forgotten order.
    index: VecDeque<Option<usize>>,
}

impl Orders {
    pub(super) fn insert(&mut self, record: Record) {
        let id = record.view.order_id.0;
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
        if self.index.is_empty() {
            self.first = id;
        }
        while id < self.first {
            self.index.push_front(None);
            self.first -= 1;
        }
        let at = (id - self.first) as usize;
        while self.index.len() <= at {
            self.index.push_back(None);
        }
        self.index[at] = Some(place);
    }

    pub(super) fn remove(&mut self, id: OrderId) {
        let Some(place) = self.place(id) else { return };
        self.places[place] = None;
        self.free.push(place);
        self.index[(id.0 - self.first) as usize] = None;
        while self.index.front().is_some_and(Option::is_none) {
            self.index.pop_front();
            self.first += 1;
        }
    }

    pub(super) fn get(&self, id: OrderId) -> Option<&Record> {
        self.places[self.place(id)?].as_ref()
    }

    pub(super) fn get_mut(&mut self, id: OrderId) -> Option<&mut Record> {
        let place = self.place(id)?;
        self.places[place].as_mut()
    }

    pub(super) fn view(&self, id: OrderId) -> Option<&OrderView> {
        self.get(id).map(|record| &record.view)
    }

    fn place(&self, id: OrderId) -> Option<usize> {
        let distance = usize::try_from(id.0.checked_sub(self.first)?).ok()?;
        self.index.get(distance).copied().flatten()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{Money, OrderKind, OrderStatus, Qty, Side, Timestamp};
    use crate::matching::{AccountId, Phase, SelfTradeMode, Terms};

    fn record(id: u64) -> Record {
        let view = OrderView {
            account: AccountId(1),
            order_id: OrderId(id),
            list_id: None,
            client_id: "c".into(),
            symbol: "BTCUSDT".parse().unwrap(),
            side: Side::Buy,
            qty: Qty::ZERO,
            kind: OrderKind::Market,
            status: OrderStatus::Open,
            phase: Phase::Working,
            expiry: None,
            self_trade: SelfTradeMode::None,
            terms: Terms::default(),
            filled: Qty::ZERO,
            filled_quote: Money::ZERO,
            prevented: Qty::ZERO,
            prevented_match: None,
            amends: 0,
            created_at: Timestamp::EPOCH,
            updated_at: Timestamp::EPOCH,
            working_at: None,
        };
        Record { view, market: 0, twin: None }
    }

    proptest! {
        #[test]
        fn orders_are_found_as_in_a_sorted_map(acts in proptest::collection::vec((1..60_u64, any::<bool>()), 1..120)) {
            let (mut orders, mut map) = (Orders::default(), std::collections::BTreeSet::new());
            for (id, comes) in acts {
                match (comes, map.contains(&id)) {
                    (true, false) => {
                        orders.insert(record(id));
                        map.insert(id);
                    }
                    (false, _) => {
                        orders.remove(OrderId(id));
                        map.remove(&id);
                    }
                    (true, true) => {}
                }
                for id in 0..61 {
                    prop_assert_eq!(orders.view(OrderId(id)).map(|order| order.order_id.0), map.get(&id).copied());
                }
            }
        }
    }
}
