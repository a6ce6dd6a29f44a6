//! What of the user stream's messages is news: two connections overlap, and the venue itself repeats and reorders.
//!
//! An event counts once, by its identity. A fill is always told. An order is told only forward: never with less filled than before, never as
//! open after its end (source: pitfalls 8 and 9 of the venue's issue trackers; cumulative `z` and the execution id `I` are documented).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::domain::{Asset, Balance, ClientOrderId, OrderId, Qty, Symbol, Timestamp};
use crate::protocol::VenueEvent;

/// Identities and orders remembered: hours of busy trading.
const REMEMBERED: usize = 4_096;

/// What makes two messages the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Identity {
    /// One execution of one order; the last is its kind and trade, hashed, for venues that do not number executions apart.
    Execution(Symbol, u64, OrderId, u64),
    /// The hash of a message without a number of its own.
    Text(u64),
}

#[derive(Debug, Default)]
pub(super) struct NewsFilter {
    seen: Recent<Identity>,
    orders: BTreeMap<ClientOrderId, Progress>,
    order_ages: VecDeque<ClientOrderId>,
    /// When each asset's balance last changed.
    balances: BTreeMap<Asset, Timestamp>,
}

#[derive(Debug, Clone, Copy)]
struct Progress {
    filled: Qty,
    ended: bool,
}

/// A set that forgets its oldest.
#[derive(Debug)]
struct Recent<T> {
    set: BTreeSet<T>,
    ages: VecDeque<T>,
}

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self { set: BTreeSet::new(), ages: VecDeque::new() }
    }
}

impl<T: Ord + Copy> Recent<T> {
    /// False when it is there already.
    fn insert(&mut self, item: T) -> bool {
        if !self.set.insert(item) {
            return false;
        }
        self.ages.push_back(item);
        if self.ages.len() > REMEMBERED
            && let Some(oldest) = self.ages.pop_front()
        {
            self.set.remove(&oldest);
        }
        true
    }
}

impl NewsFilter {
    /// After a hole the account is stated anew and the venue may count anew: nothing that was seen counts any more.
    pub fn forget(&mut self) {
        *self = Self::default();
    }

    /// False when this message was here before.
    pub fn is_news(&mut self, identity: Identity) -> bool {
        self.seen.insert(identity)
    }

    /// What of an event is to be told; `None`: nothing.
    pub fn forward(&mut self, event: VenueEvent) -> Option<VenueEvent> {
        match event {
            VenueEvent::Order(order) => {
                let ended = order.status.is_final();
                let before = self.orders.get(&order.id).copied();
                if before.is_some_and(|b| order.filled < b.filled || (b.ended && !ended)) {
                    return None;
                }
                self.remember(order.id, Progress { filled: order.filled, ended });
                Some(VenueEvent::Order(order))
            }
            VenueEvent::Balances { at, mut balances } => {
                balances.retain(|balance| self.is_fresh(balance, at));
                (!balances.is_empty()).then_some(VenueEvent::Balances { at, balances })
            }
            other => Some(other),
        }
    }

    fn is_fresh(&mut self, balance: &Balance, at: Timestamp) -> bool {
        let last = self.balances.entry(balance.asset).or_insert(at);
        let fresh = at >= *last;
        *last = at.max(*last);
        fresh
    }

    fn remember(&mut self, id: ClientOrderId, progress: Progress) {
        if self.orders.insert(id, progress).is_none() {
            self.order_ages.push_back(id);
            if self.order_ages.len() > REMEMBERED
                && let Some(oldest) = self.order_ages.pop_front()
            {
                self.orders.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::user_wire::{QuoteAssets, UserMessage, read_user_message};
    use super::*;
    use crate::domain::{OrderStatus, TradeId};

    /// (sequence, execution kind, status, last, cumulative, trade, execution id)
    type Line = (u64, &'static str, &'static str, u32, u32, i64, u64);

    /// Four orders: filled in three trades; partly filled and cancelled; expired by the self-trade rule; filled at once.
    const SCRIPT: &[Line] = &[
        (1, "NEW", "NEW", 0, 0, -1, 1),
        (1, "TRADE", "PARTIALLY_FILLED", 2, 2, 70, 2),
        (2, "NEW", "NEW", 0, 0, -1, 3),
        (1, "TRADE", "PARTIALLY_FILLED", 3, 5, 71, 4),
        (2, "TRADE", "PARTIALLY_FILLED", 4, 4, 72, 5),
        (3, "NEW", "NEW", 0, 0, -1, 6),
        (3, "TRADE_PREVENTION", "EXPIRED_IN_MATCH", 0, 0, -1, 7),
        (1, "TRADE", "FILLED", 5, 10, 73, 8),
        (2, "CANCELED", "CANCELED", 0, 4, -1, 9),
        (4, "NEW", "NEW", 0, 0, -1, 10),
        (4, "TRADE", "FILLED", 10, 10, 74, 11),
    ];

    fn json((sequence, kind, status, last, filled, trade, execution): Line) -> String {
        let ours = format!("h000000000000001f-{sequence:x}");
        let (c, original) = if kind == "CANCELED" { ("web_1".to_owned(), ours) } else { (ours, String::new()) };
        format!(
            r#"{{"subscriptionId":0,"event":{{"e":"executionReport","E":9,"s":"BTCUSDT","c":"{c}","C":"{original}","S":"BUY","q":"10",
            "x":"{kind}","X":"{status}","i":{sequence},"l":"{last}","z":"{filled}","L":"1","n":"0","N":"BTC","T":9,"t":{trade},"m":false,
            "I":{execution},"r":"NONE"}}}}"#
        )
    }

    /// What a reader that believes everything ends with: per order its fills, its highest z, and the last status told.
    type Ends = BTreeMap<ClientOrderId, (BTreeMap<TradeId, Qty>, Qty, OrderStatus)>;

    fn told(lines: impl Iterator<Item = Line>) -> (Ends, Vec<VenueEvent>) {
        let (mut filter, mut ends, mut all) = (NewsFilter::default(), Ends::new(), Vec::new());
        for line in lines {
            let news = read_user_message(&json(line), &QuoteAssets::new()).unwrap();
            let UserMessage::Events(events) = news.message else { panic!("{line:?}") };
            if !filter.is_news(news.identity.unwrap()) {
                continue;
            }
            for event in events.into_iter().filter_map(|event| filter.forward(event)) {
                match &event {
                    VenueEvent::Fill(fill) => {
                        let end = ends.entry(fill.id).or_insert((BTreeMap::new(), Qty::ZERO, OrderStatus::Open));
                        assert!(end.0.insert(fill.trade_id, fill.qty).is_none(), "a fill is told once");
                    }
                    VenueEvent::Order(order) => {
                        let end = ends.entry(order.id).or_insert((BTreeMap::new(), Qty::ZERO, OrderStatus::Open));
                        assert!(order.filled >= end.1 && (order.status.is_final() || !end.2.is_final()), "an order only goes forward");
                        (end.1, end.2) = (order.filled, order.status);
                    }
                    other => panic!("{other:?}"),
                }
                all.push(event);
            }
        }
        (ends, all)
    }

    #[test]
    fn the_script_in_order_is_told_whole() {
        let (ends, all) = told(SCRIPT.iter().copied());
        assert_eq!(all.len(), SCRIPT.len() + 5, "each trade is a fill and an order");
        let statuses: Vec<OrderStatus> = ends.values().map(|end| end.2).collect();
        assert_eq!(statuses, [OrderStatus::Filled, OrderStatus::Canceled, OrderStatus::Expired, OrderStatus::Filled]);
        for (fills, filled, _) in ends.values() {
            assert_eq!(fills.values().copied().sum::<Qty>(), *filled);
        }
    }

    proptest! {
        /// Any permutation with any repetition ends in the same fills, the same cumulative quantity and the same final state.
        #[test]
        fn order_and_repetition_of_messages_change_nothing(
            shuffled in Just(SCRIPT.iter().chain(SCRIPT).chain(&SCRIPT[3..9]).copied().collect::<Vec<Line>>()).prop_shuffle(),
        ) {
            prop_assert_eq!(told(shuffled.into_iter()).0, told(SCRIPT.iter().copied()).0);
        }
    }

    #[test]
    fn an_older_balance_is_not_told_after_a_newer_one() {
        let mut filter = NewsFilter::default();
        let at = Timestamp::from_millis;
        let balances = |at, free: &str| {
            let balance = Balance { asset: "BTC".parse().unwrap(), free: free.parse().unwrap(), locked: Qty::ZERO };
            VenueEvent::Balances { at, balances: vec![balance] }
        };
        assert!(filter.forward(balances(at(5), "1")).is_some());
        assert!(filter.forward(balances(at(4), "2")).is_none());
        assert!(filter.forward(balances(at(5), "3")).is_some(), "two changes within a millisecond");
    }

    #[test]
    fn the_memory_is_bounded_and_forgets_its_oldest() {
        let mut filter = NewsFilter::default();
        for n in 0..(REMEMBERED as u64 + 10) {
            assert!(filter.is_news(Identity::Text(n)));
        }
        assert!(!filter.is_news(Identity::Text(20)) && filter.is_news(Identity::Text(0)));
        assert_eq!(filter.seen.set.len(), REMEMBERED);
        filter.forget();
        assert!(filter.is_news(Identity::Text(20)));
    }
}
