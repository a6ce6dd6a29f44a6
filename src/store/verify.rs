//! Verification: recomputes from the records what must be true of a data file.

use std::collections::BTreeMap;
use std::path::Path;

use redb::{ReadTransaction, ReadableTableMetadata};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::candles;
use super::captures::{self, CaptureId, Indexed};
use super::error::{Doing, StoreError};
use super::file::Store;
use super::identity::Scope;
use super::journal::{self, Head};
use super::pages;
use super::reading::check_model;
use super::records::{entry_key, fill_key, order_key, run_key};
use super::retention::{JournalCut, cut_of};
use super::schema::{Key, KeyParts, Table};
use crate::domain::{Asset, Candle, ClientOrderId, Episode, Money, Qty, RunId};
use crate::protocol::{
    CarryRecord, CostRecord, DecisionRecord, FillRecord, FillSampleRecord, GapRecord, HealthRecord, HistorySpan, Mode, ModelRecord,
    OrderCostRecord, OrderRecord, PostingRecord, RunRecord,
};

/// How much the shares of two amounts may differ from the shares of their sum.
const ROUNDED: Money = Money::from_raw(2);

/// What was found; every number is counted, none remembered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyReport {
    /// Rows by table.
    pub tables: Vec<(String, u64)>,
    pub journal_runs: u64,
    pub journal_blocks: u64,
    pub journal_entries: u64,
    pub checks: Vec<Check>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    pub name: String,
    pub ok: bool,
    /// What was looked at, or the first fault and how many there are.
    pub detail: String,
}

impl VerifyReport {
    #[must_use]
    pub fn sound(&self) -> bool {
        self.checks.iter().all(|check| check.ok)
    }
}

/// Verifies the file at `path`, which nobody may be using. An error means that it could not even be opened.
pub fn verify(path: &Path) -> Result<VerifyReport, StoreError> {
    let anyone = Scope { mode: Mode::Backtest, venue: String::new(), account: String::new() };
    // Held open, so that nobody writes meanwhile.
    let store = Store::open_read_only(path, anyone)?;
    let mut report = store.verify()?;
    let detail = pages::damage(path);
    let name = "every page matches its checksum".to_owned();
    report.checks.push(Check { name, ok: detail.is_none(), detail: detail.unwrap_or_else(|| "all pages".to_owned()) });
    Ok(report)
}

impl Store {
    /// Verifies the records of the open file, all scopes.
    pub fn verify(&self) -> Result<VerifyReport, StoreError> {
        let mut work = Verification::default();
        let mut tables = Vec::new();
        for table in Table::ALL {
            let outcome = self.read(|txn| work.table(txn, *table));
            let rows = outcome.unwrap_or_else(|fault| {
                // The file layer itself could not walk the table.
                work.rows.fault(|| format!("{}: {}", table.name(), super::error::full_text(&fault)));
                0
            });
            tables.push((table.name().to_owned(), rows));
        }
        let (journal_runs, journal_blocks, journal_entries) = work.journal(self);
        work.orders_against_fills();
        let checks = work.checks();
        Ok(VerifyReport { tables, journal_runs, journal_blocks, journal_entries, checks })
    }
}

/// One rule, the number of things it was applied to, and what broke it.
#[derive(Debug, Default)]
struct Tally {
    seen: u64,
    faults: u64,
    first: Option<String>,
}

impl Tally {
    fn fault(&mut self, text: impl FnOnce() -> String) {
        self.faults += 1;
        self.first.get_or_insert_with(text);
    }

    fn check(&mut self, holds: bool, text: impl FnOnce() -> String) {
        self.seen += 1;
        if !holds {
            self.fault(text);
        }
    }

    fn report(self, name: &str, unit: &str) -> Check {
        let detail = match self.first {
            None => format!("{} {unit}", self.seen),
            Some(first) => format!("{} of {} {unit}; first: {first}", self.faults, self.seen.max(self.faults)),
        };
        Check { name: name.to_owned(), ok: self.faults == 0, detail }
    }
}

#[derive(Debug, Default)]
struct Verification {
    rows: Tally,
    blocks: Tally,
    captures: Tally,
    ledger: Tally,
    fills: Tally,
    order_sums: Tally,
    order_costs: Tally,
    models: Tally,
    days: Tally,
    episodes: Tally,
    /// By scope (the front of its keys) and order: final quantity, and the sum of fills.
    final_orders: BTreeMap<(Vec<u8>, ClientOrderId), Qty>,
    filled: BTreeMap<(Vec<u8>, ClientOrderId), Qty>,
    next_episode: u64,
}

impl Verification {
    /// Walks one table; gives the number of rows.
    fn table(&mut self, txn: &ReadTransaction, table: Table) -> Result<u64, StoreError> {
        let mut rows = 0;
        let walked = table.each(txn, &[], &Key::new().after_all(), |key, row| {
            rows += 1;
            let outcome = self.row(txn, table, key, row);
            self.rows.check(outcome.is_ok(), || outcome.map_or_else(|fault| super::error::full_text(&fault), |()| String::new()));
            Ok(true)
        });
        if let Err(fault) = walked {
            self.rows.fault(|| format!("{}: {}", table.name(), super::error::full_text(&fault)));
        }
        let counted = match table.read(txn)? {
            Some(open) => open.len().doing("count rows")?,
            None => 0,
        };
        if counted != rows {
            self.rows.fault(|| format!("{} has {rows} rows, its header counts {counted}", table.name()));
        }
        Ok(rows)
    }

    /// Decodes one row and applies the rules of its table.
    fn row(&mut self, txn: &ReadTransaction, table: Table, key: &[u8], row: &[u8]) -> Result<(), StoreError> {
        match table {
            // Blocks are checked along their chains.
            Table::Journal => {}
            Table::JournalHeads => readable::<Head>(table, key, row)?,
            Table::JournalCuts => readable::<JournalCut>(table, key, row)?,
            Table::Captures => {
                let (id, _) = captures::stored_block(key, row)?;
                let indexed = captures::is_indexed(txn, &id)?;
                self.captures.check(indexed, || format!("a block of {} is not in the index", id.symbol));
            }
            Table::CaptureIndex => {
                let held: Indexed = table.decoded(key, row)?;
                let stored = match CaptureId::of_index_key(key) {
                    Some(id) => captures::is_stored(txn, &id)?,
                    None => false,
                };
                self.captures
                    .check(stored && held.header.first <= held.header.last, || "the index names a block that is not there".to_owned());
            }
            Table::Candles => {
                let (day, candles) = candles::stored_day(key, row)?;
                self.days.check(day_is_sound(day, &candles), || format!("day {day}: candles are unsound, out of order or of another day"));
            }
            Table::FetchProgress => readable::<HistorySpan>(table, key, row)?,
            Table::Gaps => readable::<GapRecord>(table, key, row)?,
            Table::Orders => self.order(key, &table.decoded(key, row)?),
            Table::Fills => self.fill(key, &table.decoded(key, row)?),
            Table::Ledger => self.entry(key, &table.decoded::<Vec<PostingRecord>>(key, row)?),
            Table::Decisions => readable::<DecisionRecord>(table, key, row)?,
            Table::Costs => readable::<CostRecord>(table, key, row)?,
            Table::OrderCosts => self.order_cost(&table.decoded(key, row)?),
            Table::FillSamples => readable::<FillSampleRecord>(table, key, row)?,
            Table::HealthEvents => readable::<HealthRecord>(table, key, row)?,
            Table::TradeMemory => self.episode(key, &table.decoded(key, row)?),
            Table::Models => self.model(&table.decoded(key, row)?),
            Table::Runs => {
                let run: RunRecord = table.decoded(key, row)?;
                let own = scope_of(key).is_some_and(|scope| run_key(&scope, run.run).as_slice() == key);
                self.rows.check(own, || format!("run {} is kept under another key", run.run));
            }
            Table::Carry => readable::<CarryRecord>(table, key, row)?,
            Table::DemoVenue => readable::<Vec<u8>>(table, key, row)?,
            Table::Meta => {
                table.unsealed(key, row)?;
            }
        }
        Ok(())
    }

    fn order(&mut self, key: &[u8], order: &OrderRecord) {
        let Some(scope) = scope_of(key).filter(|scope| order_key(scope, order.id()).as_slice() == key) else {
            return self.order_sums.fault(|| format!("order {} is kept under another key", order.id()));
        };
        if order.state.is_final() {
            self.final_orders.insert((scope.key().as_slice().to_vec(), order.id()), order.filled);
        }
    }

    fn fill(&mut self, key: &[u8], record: &FillRecord) {
        let fill = &record.fill;
        let scope = scope_of(key).filter(|scope| fill_key(scope, fill.symbol, fill.trade_id).as_slice() == key);
        self.fills.check(scope.is_some() && fill.qty.is_positive(), || {
            format!("trade {} of {} has no quantity, or is kept under another key", fill.trade_id.0, fill.symbol)
        });
        if let Some(scope) = scope {
            *self.filled.entry((scope.key().as_slice().to_vec(), fill.id)).or_default() += fill.qty;
        }
    }

    fn entry(&mut self, key: &[u8], lines: &[PostingRecord]) {
        let mut sums: BTreeMap<Asset, Qty> = BTreeMap::new();
        for line in lines {
            *sums.entry(line.asset).or_default() += line.amount;
        }
        let number = lines.first().map_or(0, |line| line.entry);
        let run = KeyParts(key).scope().and_then(|(_, mut rest)| rest.number());
        let own = scope_of(key).zip(run).is_some_and(|(scope, run)| entry_key(&scope, RunId(run), number).as_slice() == key);
        let balanced = own && lines.iter().all(|line| line.entry == number) && sums.values().all(|sum| sum.is_zero());
        self.ledger.check(balanced, || match sums.iter().find(|(_, sum)| !sum.is_zero()) {
            Some((asset, sum)) => format!("entry {number} is out of balance by {sum} {asset}"),
            None => format!("entry {number} is kept under another key"),
        });
    }

    /// Every filled unit has one role, and what was saved is what taking as much would have cost less what it really cost: all of the
    /// taker's cost when all was filled, and of a part at most its share, because a book gets dearer with depth.
    fn order_cost(&mut self, cost: &OrderCostRecord) {
        let roles = cost.maker_qty + cost.taker_qty == cost.filled && cost.filled + cost.missed == cost.wanted;
        let taking = cost.saved.map(|saved| saved + cost.slippage + cost.fees);
        let saved = match (cost.taker.filter(|_| cost.filled.is_positive()), taking) {
            (Some(taker), Some(taking)) if cost.missed.is_zero() => taking == taker.cost,
            (Some(taker), Some(taking)) => taking <= taker.cost.share(cost.filled, cost.wanted) + ROUNDED,
            (taker, taking) => taker.is_none() && taking.is_none(),
        };
        self.order_costs.check(roles && saved, || {
            format!(
                "decision {} of {}: {} filled, {} saved do not add up",
                cost.decision,
                cost.symbol,
                cost.filled,
                cost.saved.unwrap_or_default()
            )
        });
    }

    fn episode(&mut self, key: &[u8], episode: &Episode) {
        let expected = self.next_episode;
        let own = Key::new().number(episode.number).as_slice() == key;
        self.episodes.check(own && episode.number == expected, || format!("episode {} stands where {expected} belongs", episode.number));
        self.next_episode = episode.number.saturating_add(1);
    }

    fn model(&mut self, model: &ModelRecord) {
        let outcome = check_model(model);
        self.models.check(outcome.is_ok(), || format!("model {} does not hash to its id", model.id));
    }

    /// Filled is what the fills sum to, for every order that is over; a fill of an order nobody knows is a fault too.
    fn orders_against_fills(&mut self) {
        for (order, filled) in &self.final_orders {
            let sum = self.filled.get(order).copied().unwrap_or_default();
            self.order_sums.check(*filled == sum, || format!("order {} says {filled} filled, its fills sum to {sum}", order.1));
        }
    }

    /// Walks the chain of every run. Gives runs, blocks and entries.
    fn journal(&mut self, store: &Store) -> (u64, u64, u64) {
        let listed = store.read(|txn| Ok((journal::runs_with_blocks(txn)?, blocks_told(txn)?)));
        let (with_blocks, told) = match listed {
            Ok(listed) => listed,
            Err(fault) => {
                self.blocks.fault(|| super::error::full_text(&fault));
                return (0, 0, 0);
            }
        };
        let found: BTreeMap<_, u64> = with_blocks.into_iter().collect();
        let (mut blocks, mut entries) = (0, 0);
        let mut runs: Vec<_> = found.keys().chain(told.keys()).copied().collect();
        runs.sort_unstable();
        runs.dedup();
        for run in &runs {
            let here = found.get(run).copied().unwrap_or(0);
            blocks += here;
            self.blocks.seen += here;
            if let Some(head) = told.get(run).filter(|head| **head != here) {
                self.blocks.fault(|| format!("run {run} has {here} blocks, head and cut count {head}"));
            }
            let walked = store
                .journal(*run)
                .and_then(|reader| reader.into_iter().flatten().try_fold(0_u64, |count, entry| entry.map(|_| count + 1)));
            match walked {
                Ok(count) => entries += count,
                Err(fault) => self.blocks.fault(|| super::error::full_text(&fault)),
            }
        }
        (runs.len() as u64, blocks, entries)
    }

    fn checks(self) -> Vec<Check> {
        vec![
            self.rows.report("every row is readable and as it was written", "rows"),
            self.blocks.report("the journal is complete and unchanged", "blocks"),
            self.captures.report("recorded market data are whole and indexed", "blocks and index rows"),
            self.ledger.report("postings sum to zero per entry and asset", "entries"),
            self.fills.report("each trade is applied once", "fills"),
            self.order_sums.report("finished orders are filled by their fills", "orders"),
            self.order_costs.report("order costs add up", "parent orders"),
            self.models.report("models hash to their ids", "models"),
            self.days.report("candles are sound and in order", "days"),
            self.episodes.report("episodes are numbered without gaps", "episodes"),
        ]
    }
}

/// How many blocks each run has, as its head and its cut tell.
fn blocks_told(txn: &ReadTransaction) -> Result<BTreeMap<RunId, u64>, StoreError> {
    let mut told = BTreeMap::new();
    for (run, head) in journal::heads(txn)? {
        let gone = cut_of(txn, run)?.map_or(0, |cut| cut.blocks);
        told.insert(run, head.blocks.saturating_sub(gone));
    }
    Ok(told)
}

fn readable<T: DeserializeOwned>(table: Table, key: &[u8], row: &[u8]) -> Result<(), StoreError> {
    table.decoded::<T>(key, row).map(|_| ())
}

fn day_is_sound(day: i64, candles: &[Candle]) -> bool {
    candles.iter().all(|c| c.is_sound() && c.open_time.day() == day) && candles.is_sorted_by(|a, b| a.open_time < b.open_time)
}

fn scope_of(key: &[u8]) -> Option<Scope> {
    KeyParts(key).scope().map(|(scope, _)| scope)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Price;
    use crate::protocol::Record;
    use crate::store::records;
    use crate::store::samples;

    fn filled() -> Store {
        let store = Store::open_backend(redb::backends::InMemoryBackend::new(), &samples::demo()).unwrap();
        samples::fill(&store);
        store
    }

    /// The only check that fails, with its detail.
    fn only_fault(store: &Store) -> String {
        let report = store.verify().unwrap();
        let bad: Vec<_> = report.checks.into_iter().filter(|check| !check.ok).collect();
        assert_eq!(bad.len(), 1, "{bad:?}");
        format!("{}: {}", bad[0].name, bad[0].detail)
    }

    fn put(store: &Store, record: Record) {
        store.write(|txn| records::apply(txn, store.scope(), RunId(1), &record)).unwrap();
    }

    #[test]
    fn a_sound_file_passes_and_everything_is_counted() {
        let store = filled();
        let report = store.verify().unwrap();
        assert!(report.sound(), "{report:?}");
        assert_eq!((report.journal_runs, report.journal_entries), (1, samples::JOURNALED as u64));
        let rows = |name: &str| report.tables.iter().find(|(table, _)| table == name).unwrap().1;
        assert_eq!((rows("orders"), rows("fills"), rows("models")), (samples::orders().len() as u64, samples::fills().len() as u64, 1));
        assert!(report.checks.iter().all(|check| !check.detail.starts_with("0 ")), "a check looked at nothing: {report:?}");
    }

    #[test]
    fn an_unbalanced_entry_is_reported() {
        let store = filled();
        let mut lines = samples::postings()[..2].to_vec();
        lines.iter_mut().for_each(|line| line.entry = 900);
        lines[0].amount += Qty::from_raw(1);
        put(&store, Record::Postings(lines));
        assert!(only_fault(&store).contains("entry 900 is out of balance by 0.00000001"), "{}", only_fault(&store));
    }

    #[test]
    fn an_order_that_disagrees_with_its_fills_is_reported() {
        let store = filled();
        let mut order = samples::orders().into_iter().find(|order| order.state.is_final()).unwrap();
        order.filled += Qty::from_raw(5);
        put(&store, Record::Order(order));
        assert!(only_fault(&store).contains("its fills sum to"));
    }

    #[test]
    fn an_order_cost_that_does_not_add_up_is_reported() {
        let store = filled();
        let mut cost = samples::order_costs().remove(0);
        cost.saved = cost.saved.map(|saved| saved + Money::from_raw(1));
        put(&store, Record::OrderCost(Box::new(cost)));
        assert!(only_fault(&store).contains("do not add up"));
    }

    #[test]
    fn a_part_of_an_order_saves_at_most_its_share() {
        let mut part = samples::order_costs().remove(1);
        assert!(part.filled.is_positive() && part.missed.is_positive());
        let share = part.saved.unwrap();
        for (saved, sound) in [(share, true), (share - Money::from_raw(40), true), (share + Money::from_raw(3), false)] {
            let store = filled();
            part.saved = Some(saved);
            put(&store, Record::OrderCost(Box::new(part.clone())));
            assert_eq!(store.verify().unwrap().sound(), sound, "{saved}");
        }
    }

    #[test]
    fn a_hole_in_the_episodes_and_an_unsound_candle_are_reported() {
        let store = filled();
        let mut episode = samples::episodes().remove(0);
        episode.number = 50;
        put(&store, Record::Episode(episode));
        assert!(only_fault(&store).contains("episode 50 stands where"));

        let store = filled();
        let mut candle = samples::candles(1)[0];
        candle.high = Price::from_raw(1);
        store.put_candles(samples::symbol(), crate::domain::Interval::MINUTE, &[candle]).unwrap();
        assert!(only_fault(&store).contains("unsound"));
    }

    #[test]
    fn a_changed_weight_is_reported() {
        let store = filled();
        let mut model = samples::model(1);
        model.artifact[3] ^= 0x10;
        store.write(|txn| Table::Models.put(txn, &Key::new().text(&model.id), &model)).unwrap();
        assert!(only_fault(&store).contains("does not hash to its id"));
    }

    #[test]
    fn a_flipped_byte_in_a_journal_block_on_disk_is_reported() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("huracan.redb");
        let store = Store::open(&path, &samples::demo()).unwrap();
        samples::fill(&store);
        let mut block = Vec::new();
        store
            .read(|txn| {
                Table::Journal.each(txn, &[], &Key::new().after_all(), |_, body| {
                    block = body.to_vec();
                    Ok(false)
                })
            })
            .unwrap();
        drop(store);
        assert!(verify(&path).unwrap().sound());
        let mut bytes = std::fs::read(&path).unwrap();
        let inside = &block[block.len() / 2..block.len() / 2 + 48];
        let places: Vec<_> = bytes.windows(inside.len()).enumerate().filter(|(_, w)| *w == inside).map(|(at, _)| at).collect();
        assert!(!places.is_empty());
        // Older versions of the page may lie in free space: damage them all.
        for at in places {
            bytes[at] ^= 1;
        }
        std::fs::write(&path, &bytes).unwrap();
        let report = verify(&path).unwrap();
        let check = &report.checks[1];
        assert!(!check.ok && check.detail.contains("checksum"), "{report:?}");
        // For trading the same file is refused at the door.
        let fault = Store::open(&path, &samples::demo()).err().unwrap();
        assert!(matches!(fault, StoreError::Corrupt { .. }) && fault.to_string().contains(".snapshot"), "{fault}");
    }

    #[test]
    fn no_damage_is_silently_fine() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("huracan.redb");
        samples::fill(&Store::open(&path, &samples::demo()).unwrap());
        let whole = std::fs::read(&path).unwrap();
        let content = |path: &Path| -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
            let store = Store::open_read_only(path, samples::demo().scope).ok()?;
            let mut rows = Vec::new();
            for table in Table::ALL {
                store
                    .read(|txn| {
                        table.each(txn, &[], &Key::new().after_all(), |key, row| {
                            rows.push((key.to_vec(), row.to_vec()));
                            Ok(true)
                        })
                    })
                    .ok()?;
            }
            Some(rows)
        };
        let expected = content(&path).unwrap();
        let bad = dir.path().join("bad.redb");
        let mut found = 0;
        // Only pages with content: a step that is no divisor of the page size visits all parts of them.
        for place in (0..whole.len()).step_by(1_021).filter(|place| whole[*place] != 0) {
            let mut bytes = whole.clone();
            bytes[place] ^= 1 << (place % 8);
            std::fs::write(&bad, &bytes).unwrap();
            match verify(&bad) {
                Ok(report) if report.sound() => assert_eq!(content(&bad).as_ref(), Some(&expected), "byte {place}"),
                _ => found += 1,
            }
        }
        assert!(found > 0);
    }
}
