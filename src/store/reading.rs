//! What is read from and put into the file directly, outside the writer's stream.

use std::ops::{Bound, RangeBounds};

use redb::WriteTransaction;
use sha2::{Digest, Sha256};

use super::candles::{self, CandleSeries};
use super::codec;
use super::error::StoreError;
use super::file::Store;
use super::journal::{self, JournalReader};
use super::records;
use super::schema::{Key, Table};
use crate::domain::{Candle, Episode, Interval, RunId, Symbol, Timestamp};
use crate::protocol::{
    CarryRecord, CostRecord, DecisionRecord, FillRecord, FillSampleRecord, HealthRecord, ModelRecord, OrderCostRecord, OrderRecord,
    PostingRecord, RunRecord,
};

impl Store {
    /// Candles with open times in `[from, until)`, oldest first.
    pub fn candles(&self, symbol: Symbol, interval: Interval, from: Timestamp, until: Timestamp) -> Result<Vec<Candle>, StoreError> {
        self.read(|txn| candles::between(txn, symbol, interval, from, until))
    }

    /// Every candle series in the file, by symbol and interval.
    pub fn candle_series(&self) -> Result<Vec<CandleSeries>, StoreError> {
        self.read(candles::series)
    }

    /// Adds candles, in transactions of a few days; one of the same open time replaces the stored one. For commands that run
    /// alone: beside a running writer its bulk lane does this.
    pub fn put_candles(&self, symbol: Symbol, interval: Interval, new: &[Candle]) -> Result<(), StoreError> {
        for days in candles::by_commit(candles::packed(new, interval)) {
            self.write(|txn| candles::merge_days(txn, symbol, interval, &days))?;
        }
        Ok(())
    }

    /// All orders of this scope, by run and sequence.
    pub fn orders(&self) -> Result<Vec<OrderRecord>, StoreError> {
        self.read(|txn| Table::Orders.all(txn, &self.scope().key()))
    }

    /// All fills of this scope, by symbol and trade id.
    pub fn fills(&self) -> Result<Vec<FillRecord>, StoreError> {
        self.read(|txn| Table::Fills.all(txn, &self.scope().key()))
    }

    /// All ledger postings of this scope, by run and entry.
    pub fn postings(&self) -> Result<Vec<PostingRecord>, StoreError> {
        let entries: Vec<Vec<PostingRecord>> = self.read(|txn| Table::Ledger.all(txn, &self.scope().key()))?;
        Ok(entries.into_iter().flatten().collect())
    }

    /// The last `count` decisions of this scope, newest first.
    pub fn decisions(&self, count: usize) -> Result<Vec<DecisionRecord>, StoreError> {
        self.read(|txn| Table::Decisions.last(txn, &self.scope().key(), count))
    }

    /// The last `count` changes of health of this scope, newest first.
    pub fn health_events(&self, count: usize) -> Result<Vec<HealthRecord>, StoreError> {
        self.read(|txn| Table::HealthEvents.last(txn, &self.scope().key(), count))
    }

    /// The costs of trades of this scope that closed at `from` or later, oldest first.
    pub fn costs(&self, from: Timestamp) -> Result<Vec<CostRecord>, StoreError> {
        self.read(|txn| {
            let mut found = Vec::new();
            Table::Costs.each(txn, self.scope().key().time(from).as_slice(), &self.scope().key().after_all(), |key, row| {
                found.push(Table::Costs.decoded(key, row)?);
                Ok(true)
            })?;
            Ok(found)
        })
    }

    /// What parent orders of this scope cost that were finished at `from` or later, oldest first.
    pub fn order_costs(&self, from: Timestamp) -> Result<Vec<OrderCostRecord>, StoreError> {
        self.read(|txn| {
            let mut found = Vec::new();
            Table::OrderCosts.each(txn, self.scope().key().time(from).as_slice(), &self.scope().key().after_all(), |key, row| {
                found.push(Table::OrderCosts.decoded(key, row)?);
                Ok(true)
            })?;
            Ok(found)
        })
    }

    /// The newest `count` followed quotes of all scopes, oldest first.
    pub fn fill_samples(&self, count: usize) -> Result<Vec<FillSampleRecord>, StoreError> {
        let mut found: Vec<FillSampleRecord> = self.read(|txn| Table::FillSamples.last(txn, &Key::new(), count))?;
        found.reverse();
        Ok(found)
    }

    /// Episodes by number, shared by all scopes.
    pub fn episodes(&self, numbers: impl RangeBounds<u64>) -> Result<Vec<Episode>, StoreError> {
        let from = match numbers.start_bound() {
            Bound::Included(first) => Key::new().number(*first).as_slice().to_vec(),
            Bound::Excluded(before) => Key::new().number(*before).after_all(),
            Bound::Unbounded => Vec::new(),
        };
        let until = match numbers.end_bound() {
            Bound::Included(last) => Key::new().number(*last).after_all(),
            Bound::Excluded(end) => Key::new().number(*end).as_slice().to_vec(),
            Bound::Unbounded => Key::new().after_all(),
        };
        if until < from {
            return Ok(Vec::new());
        }
        self.read(|txn| {
            let mut found = Vec::new();
            Table::TradeMemory.each(txn, &from, &until, |key, row| {
                found.push(Table::TradeMemory.decoded(key, row)?);
                Ok(true)
            })?;
            Ok(found)
        })
    }

    /// One more than the highest episode number; 0 without episodes.
    pub fn episode_count(&self) -> Result<u64, StoreError> {
        let last: Vec<Episode> = self.read(|txn| Table::TradeMemory.last(txn, &Key::new(), 1))?;
        Ok(last.first().map_or(0, |episode| episode.number + 1))
    }

    /// All models, oldest first, without checking their bytes: `model` does.
    pub fn models(&self) -> Result<Vec<ModelRecord>, StoreError> {
        let mut models: Vec<ModelRecord> = self.read(|txn| Table::Models.all(txn, &Key::new()))?;
        models.sort_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
        Ok(models)
    }

    /// One model, its artifact checked against its id.
    pub fn model(&self, id: &str) -> Result<ModelRecord, StoreError> {
        let model = match self.read(|txn| Table::Models.get::<ModelRecord>(txn, &Key::new().text(id))) {
            Ok(Some(model)) => model,
            Ok(None) => return Err(StoreError::NoModel { id: id.to_owned() }),
            Err(StoreError::DamagedRow { .. }) => {
                return Err(StoreError::ModelDamaged { id: id.to_owned(), actual: "something else".to_owned() });
            }
            Err(other) => return Err(other),
        };
        check_model(&model)?;
        Ok(model)
    }

    /// Keeps a model; false when it is there already, unchanged. The id must be the hash of the artifact.
    pub fn put_model(&self, model: &ModelRecord) -> Result<bool, StoreError> {
        check_model(model)?;
        self.write(|txn| put_model(txn, model))
    }

    /// All runs of this scope, oldest first.
    pub fn runs(&self) -> Result<Vec<RunRecord>, StoreError> {
        let mut runs: Vec<RunRecord> = self.read(|txn| Table::Runs.all(txn, &self.scope().key()))?;
        runs.sort_by_key(|run| (run.opened, run.run));
        Ok(runs)
    }

    pub fn run(&self, run: RunId) -> Result<Option<RunRecord>, StoreError> {
        self.read(|txn| Table::Runs.get(txn, &records::run_key(self.scope(), run)))
    }

    /// Keeps a run, durable when this returns; replaces what was known of it.
    pub fn put_run(&self, run: &RunRecord) -> Result<(), StoreError> {
        self.write(|txn| records::put_run(txn, self.scope(), run))
    }

    /// The trading state the last run of this scope left.
    pub fn carry(&self) -> Result<Option<CarryRecord>, StoreError> {
        self.read(|txn| Table::Carry.get(txn, &self.scope().key()))
    }

    /// The journal of a run, from its first entry; `None` when it has none.
    pub fn journal(&self, run: RunId) -> Result<Option<JournalReader>, StoreError> {
        JournalReader::open(self, run)
    }

    /// Runs with a journal and how many entries each has.
    pub fn journaled_runs(&self) -> Result<Vec<(RunId, u64)>, StoreError> {
        Ok(self.read(journal::heads)?.into_iter().map(|(run, head)| (run, head.entries)).collect())
    }

    /// A named value of the application.
    pub fn meta(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(|txn| Table::Meta.get(txn, &meta_key(name)))
    }

    pub fn put_meta(&self, name: &str, value: &[u8]) -> Result<(), StoreError> {
        self.write(|txn| put_meta(txn, name, value))
    }

    /// The state of the demo's simulated exchange, as that exchange wrote it.
    pub fn demo_venue(&self) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(|txn| Table::DemoVenue.get(txn, &Key::new()))
    }

    pub fn put_demo_venue(&self, state: &[u8]) -> Result<(), StoreError> {
        self.write(|txn| put_demo_venue(txn, state))
    }

    /// SHA-256 in hex over the stored bytes of episodes `[0, count)`: what `Learned::Memory` names.
    pub fn episodes_hash(&self, count: u64) -> Result<String, StoreError> {
        let mut hash = Sha256::new();
        for episode in self.episodes(..count)? {
            hash.update(codec::encode(&episode));
        }
        Ok(hex::encode(hash.finalize()))
    }
}

/// Keeps a checked model unless it is there; a model is never changed.
pub(super) fn put_model(txn: &WriteTransaction, model: &ModelRecord) -> Result<bool, StoreError> {
    let key = Key::new().text(&model.id);
    match Table::Models.held(txn, &key)? {
        Some(_) => Ok(false),
        None => Table::Models.put(txn, &key, model).map(|()| true),
    }
}

pub(super) fn put_meta(txn: &WriteTransaction, name: &str, value: &[u8]) -> Result<(), StoreError> {
    Table::Meta.put(txn, &meta_key(name), value)
}

pub(super) fn put_demo_venue(txn: &WriteTransaction, state: &[u8]) -> Result<(), StoreError> {
    Table::DemoVenue.put(txn, &Key::new(), state)
}

/// Application names live under their own front, so none can meet the store's own.
fn meta_key(name: &str) -> Key {
    Key::new().text("app").text(name)
}

/// The content hash of an artifact: a model's id.
#[must_use]
pub fn content_id(artifact: &[u8]) -> String {
    hex::encode(Sha256::digest(artifact))
}

pub(super) fn check_model(model: &ModelRecord) -> Result<(), StoreError> {
    let actual = content_id(&model.artifact);
    if actual == model.id { Ok(()) } else { Err(StoreError::ModelDamaged { id: model.id.clone(), actual }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::samples;

    fn store() -> Store {
        Store::open_backend(redb::backends::InMemoryBackend::new(), &samples::demo()).unwrap()
    }

    #[test]
    fn a_model_is_kept_once_and_comes_back_whole() {
        let store = store();
        let model = samples::model(1);
        assert!(store.put_model(&model).unwrap());
        assert!(!store.put_model(&model).unwrap());
        assert_eq!(store.model(&model.id).unwrap(), model);
        assert_eq!(store.models().unwrap(), vec![model]);
        assert!(matches!(store.model("beef"), Err(StoreError::NoModel { .. })));
    }

    #[test]
    fn a_changed_weight_is_found_and_the_remedy_named() {
        let store = store();
        let mut model = samples::model(1);
        store.put_model(&model).unwrap();
        model.artifact[10] ^= 1;
        assert!(matches!(store.put_model(&model), Err(StoreError::ModelDamaged { .. })));
        store.write(|txn| Table::Models.put(txn, &Key::new().text(&model.id), &model)).unwrap();
        let fault = store.model(&model.id).unwrap_err();
        assert!(matches!(&fault, StoreError::ModelDamaged { id, .. } if *id == model.id));
        assert!(fault.to_string().contains(&model.id) && fault.to_string().contains("restore"), "{fault}");
    }

    #[test]
    fn episodes_are_read_by_number_and_hashed_over_a_prefix() {
        let store = store();
        samples::fill(&store);
        let all = samples::episodes();
        assert_eq!(store.episodes(..2).unwrap(), all[..2]);
        assert_eq!(store.episodes(1..=2).unwrap(), all[1..=2]);
        #[expect(clippy::reversed_empty_ranges, reason = "an empty range must be answered, not panic")]
        let nothing = store.episodes(5..2).unwrap();
        assert!(nothing.is_empty());
        assert_eq!(store.episode_count().unwrap(), all.len() as u64);
        assert_eq!(store.episodes_hash(2).unwrap(), store.episodes_hash(2).unwrap());
        assert_ne!(store.episodes_hash(2).unwrap(), store.episodes_hash(3).unwrap());
    }

    #[test]
    fn runs_meta_and_the_demo_venue_are_replaced_by_name() {
        let store = store();
        let mut run = samples::run(3);
        store.put_run(&run).unwrap();
        run.events = 99;
        store.put_run(&run).unwrap();
        store.put_run(&samples::run(2)).unwrap();
        assert_eq!(store.run(run.run).unwrap(), Some(run.clone()));
        assert_eq!(store.runs().unwrap(), vec![samples::run(2), run]);
        store.put_meta(".stamp", b"mine").unwrap();
        assert_eq!(store.meta(".stamp").unwrap().as_deref(), Some(&b"mine"[..]));
        assert_eq!(store.meta("other").unwrap(), None);
        store.put_demo_venue(&[1, 2, 3]).unwrap();
        store.put_demo_venue(&[4]).unwrap();
        assert_eq!(store.demo_venue().unwrap(), Some(vec![4]));
    }
}
