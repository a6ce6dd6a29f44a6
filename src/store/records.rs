//! Records as the engine hands them over, into their tables. Applying the same record twice changes nothing.

use redb::{ReadableTable, ReadableTableMetadata, WriteTransaction};
use serde::Serialize;

use super::codec;
use super::error::{Doing, StoreError};
use super::identity::Scope;
use super::schema::{Key, Table};
use crate::domain::{ClientOrderId, RunId, Symbol, TradeId};
use crate::protocol::{FillRecord, PostingRecord, Record, RunRecord};

/// Followed quotes that are kept: months of two markets on minute bars, about 40 MiB.
pub(super) const FILL_SAMPLES_KEPT: u64 = 200_000;

/// Stores one record of `run` in its table.
pub(super) fn apply(txn: &WriteTransaction, scope: &Scope, run: RunId, record: &Record) -> Result<(), StoreError> {
    match record {
        Record::Order(order) => Table::Orders.put(txn, &order_key(scope, order.id()), order),
        Record::Fill(fill) => apply_fill(txn, scope, fill),
        Record::Postings(postings) => apply_postings(txn, scope, run, postings),
        Record::Decision(decision) => {
            let key = scope.key().time(decision.at).number(decision.run.0).number(decision.number);
            Table::Decisions.put(txn, &key, decision)
        }
        Record::Episode(episode) => Table::TradeMemory.put(txn, &Key::new().number(episode.number), episode),
        Record::Cost(cost) => {
            let front = scope.key().time(cost.exit_time).text(cost.symbol.as_str()).time(cost.entry_time);
            append(txn, Table::Costs, &front, cost)
        }
        Record::Health(health) => append(txn, Table::HealthEvents, &scope.key().time(health.at), health),
        Record::OrderCost(cost) => {
            let front = scope.key().time(cost.finished).text(cost.symbol.as_str()).time(cost.decided);
            append(txn, Table::OrderCosts, &front, cost.as_ref())
        }
        Record::FillSample(sample) => {
            append(txn, Table::FillSamples, &Key::new().time(sample.at).text(sample.symbol.as_str()), sample.as_ref())?;
            keep_newest(txn, Table::FillSamples, FILL_SAMPLES_KEPT)
        }
        Record::Carry(carry) => Table::Carry.put(txn, &scope.key(), carry),
    }
}

pub(super) fn order_key(scope: &Scope, id: ClientOrderId) -> Key {
    scope.key().number(id.run.0).number(id.sequence)
}

pub(super) fn fill_key(scope: &Scope, symbol: Symbol, trade: TradeId) -> Key {
    scope.key().text(symbol.as_str()).number(trade.0)
}

pub(super) fn entry_key(scope: &Scope, run: RunId, entry: u64) -> Key {
    scope.key().number(run.0).number(entry)
}

pub(super) fn run_key(scope: &Scope, run: RunId) -> Key {
    scope.key().number(run.0)
}

pub(super) fn put_run(txn: &WriteTransaction, scope: &Scope, run: &RunRecord) -> Result<(), StoreError> {
    Table::Runs.put(txn, &run_key(scope, run.run), run)
}

/// A trade is applied once: the venue may state it again, on the stream and in an answer, and the first word stays.
fn apply_fill(txn: &WriteTransaction, scope: &Scope, fill: &FillRecord) -> Result<(), StoreError> {
    let key = fill_key(scope, fill.fill.symbol, fill.fill.trade_id);
    match Table::Fills.held(txn, &key)? {
        None => Table::Fills.put(txn, &key, fill),
        Some(held) if held == codec::encode(fill) => Ok(()),
        Some(_) => {
            tracing::warn!(symbol = %fill.fill.symbol, trade = fill.fill.trade_id.0, "the venue stated a trade twice with different contents; the first is kept");
            Ok(())
        }
    }
}

/// One row per entry of the ledger, so that an entry is there whole or not at all.
fn apply_postings(txn: &WriteTransaction, scope: &Scope, run: RunId, postings: &[PostingRecord]) -> Result<(), StoreError> {
    for lines in postings.chunk_by(|a, b| a.entry == b.entry) {
        Table::Ledger.put(txn, &entry_key(scope, run, lines[0].entry), lines)?;
    }
    Ok(())
}

/// Takes the first rows of a table away until it has no more than `most`.
fn keep_newest(txn: &WriteTransaction, table: Table, most: u64) -> Result<(), StoreError> {
    let mut open = table.open(txn)?;
    while open.len().doing("count rows")? > most {
        open.pop_first().doing("remove a row")?;
    }
    Ok(())
}

/// Adds a record under the first free ordinal of its key, unless the very same is there already.
fn append<T: Serialize>(txn: &WriteTransaction, table: Table, front: &Key, record: &T) -> Result<(), StoreError> {
    let body = codec::encode(record);
    for ordinal in 0.. {
        let key = front.clone().number(ordinal);
        let row = table.sealed(key.as_slice(), body.clone());
        let mut open = table.open(txn)?;
        let taken = open.get(key.as_slice()).doing("read a row")?.map(|held| held.value() == row.as_slice());
        match taken {
            Some(true) => break,
            Some(false) => {}
            None => {
                open.insert(key.as_slice(), row.as_slice()).doing("write a row")?;
                break;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;
    use crate::store::{Store, samples};

    #[test]
    fn every_record_is_read_back_from_its_table() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("r.redb"), &samples::demo()).unwrap();
        samples::fill(&store);
        assert_eq!(store.orders().unwrap(), samples::orders());
        assert_eq!(store.fills().unwrap(), samples::fills());
        assert_eq!(store.postings().unwrap(), samples::postings());
        assert_eq!(store.costs(Timestamp::EPOCH).unwrap(), samples::costs());
        assert_eq!(store.order_costs(Timestamp::EPOCH).unwrap(), samples::order_costs());
        assert_eq!(store.fill_samples(99).unwrap(), samples::fill_samples());
        assert_eq!(store.episodes(..).unwrap(), samples::episodes());
        assert_eq!(store.carry().unwrap(), Some(samples::carry()));
        assert_eq!(store.decisions(2).unwrap().iter().map(|d| d.number).collect::<Vec<_>>(), [4, 3]);
        assert_eq!(store.health_events(1).unwrap(), samples::health()[1..]);
    }

    #[test]
    fn applying_everything_twice_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("r.redb"), &samples::demo()).unwrap();
        samples::fill(&store);
        samples::fill(&store);
        assert_eq!(store.fills().unwrap(), samples::fills());
        assert_eq!(store.costs(Timestamp::EPOCH).unwrap(), samples::costs());
        assert_eq!(store.health_events(9).unwrap().len(), samples::health().len());
    }

    #[test]
    fn a_trade_stated_twice_keeps_its_first_word() {
        let store = Store::open_backend(redb::backends::InMemoryBackend::new(), &samples::demo()).unwrap();
        let first = samples::fills().remove(0);
        let mut second = first.clone();
        second.fill.qty = second.fill.qty + second.fill.qty;
        for fill in [&first, &second] {
            store.write(|txn| apply(txn, store.scope(), first.run, &Record::Fill(fill.clone()))).unwrap();
        }
        assert_eq!(store.fills().unwrap(), vec![first]);
    }

    #[test]
    fn two_different_trades_closed_at_one_moment_are_both_kept() {
        let store = Store::open_backend(redb::backends::InMemoryBackend::new(), &samples::demo()).unwrap();
        let first = samples::costs().remove(0);
        let mut second = first.clone();
        second.exploration = !second.exploration;
        for cost in [&first, &second, &first] {
            store.write(|txn| apply(txn, store.scope(), RunId(1), &Record::Cost(cost.clone()))).unwrap();
        }
        assert_eq!(store.costs(Timestamp::EPOCH).unwrap(), vec![first, second]);
    }

    #[test]
    fn of_followed_quotes_the_oldest_go() {
        let store = Store::open_backend(redb::backends::InMemoryBackend::new(), &samples::demo()).unwrap();
        samples::fill(&store);
        let all = samples::fill_samples();
        store.write(|txn| keep_newest(txn, Table::FillSamples, 2)).unwrap();
        assert_eq!(store.fill_samples(99).unwrap(), all[all.len() - 2..]);
        assert_eq!(store.fill_samples(1).unwrap(), all[all.len() - 1..], "the newest are asked for");
    }

    #[test]
    fn paper_and_live_keep_their_orders_apart() {
        let store = Store::open_backend(redb::backends::InMemoryBackend::new(), &samples::demo()).unwrap();
        samples::fill(&store);
        let other = store.seen_by(Scope { account: "other".into(), ..store.scope().clone() });
        assert!(other.orders().unwrap().is_empty() && other.fills().unwrap().is_empty() && other.postings().unwrap().is_empty());
        assert!(other.carry().unwrap().is_none() && other.decisions(9).unwrap().is_empty());
        assert_eq!(other.episodes(..).unwrap(), samples::episodes(), "memory is shared");
    }
}
