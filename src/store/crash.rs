//! Power cuts at every sync: what is left must be a prefix of history, events and records together.

use super::backends::LyingDisk;
use super::file::Store;
use super::journal::Appender;
use super::{records, samples};
use crate::domain::RunId;
use crate::protocol::Record;

mod tests {
    use super::*;

    const RUN: RunId = RunId(9);
    const STEPS: usize = 12;

    /// Each step is one event and the order it caused, in one transaction. Gives the steps that were confirmed before the cut.
    fn work(disk: &LyingDisk, cut: u64) -> Option<usize> {
        let store = Store::open_backend(disk.clone(), &samples::demo()).unwrap();
        let mut confirmed = (disk.syncs() < cut).then_some(0);
        let mut appender = store.write(|txn| Appender::start(txn, RUN)).unwrap();
        for (i, entry) in samples::entries(STEPS).iter().enumerate() {
            store
                .write(|txn| {
                    appender.extend(txn, std::slice::from_ref(entry))?;
                    records::apply(txn, store.scope(), RUN, &Record::Order(samples::open_order(i as u64)))?;
                    appender.flush(txn)
                })
                .unwrap();
            if disk.syncs() < cut {
                confirmed = Some(i + 1);
            }
        }
        confirmed
    }

    #[test]
    fn every_cut_leaves_a_prefix() {
        let whole = LyingDisk::default();
        work(&whole, u64::MAX);
        let entries = samples::entries(STEPS);
        for cut in 1..=whole.syncs() + 1 {
            let disk = LyingDisk::cut_at(cut);
            let confirmed = work(&disk, cut);
            for left in [disk.after_crash(), disk.after_crash_with_header()] {
                let store = match Store::open_backend(left, &samples::demo()) {
                    Ok(store) => store,
                    Err(fault) => {
                        assert_eq!(confirmed, None, "cut {cut}: {fault}");
                        continue;
                    }
                };
                let journal: Vec<_> = store.journal(RUN).unwrap().into_iter().flatten().map(Result::unwrap).collect();
                assert_eq!(journal, entries[..journal.len()], "cut {cut}");
                assert!(journal.len() >= confirmed.unwrap_or(0), "cut {cut}: {} of {confirmed:?} confirmed steps are left", journal.len());
                assert_eq!(store.orders().unwrap().len(), journal.len(), "cut {cut}: an event without its record");
                assert!(store.verify().unwrap().sound());
            }
        }
    }
}
