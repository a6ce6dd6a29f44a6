//! Bulk work, cut into transactions so small that an order intent never waits long behind one.

use redb::WriteTransaction;

use super::candles::{self, PackedDay};
use super::captures::{self, CaptureId};
use super::error::StoreError;
use super::history;
use super::identity::Scope;
use super::reading::{check_model, put_demo_venue, put_meta, put_model};
use super::recording::CaptureBlock;
use super::records;
use super::retention::{OldBlocks, cut_journal};
use super::schema::{Key, Table};
use super::writer::WriterError;
use crate::domain::{Candle, Episode, Interval, Symbol};
use crate::protocol::{HistoryPage, ModelRecord, RunRecord};

const EPISODES_PER_COMMIT: usize = 500;
/// Blocks removed in one transaction.
const REMOVED_PER_COMMIT: usize = 64;

/// What may be stored beside the stream of a run.
#[derive(Debug, Clone)]
pub enum Bulk {
    Candles {
        symbol: Symbol,
        interval: Interval,
        candles: Vec<Candle>,
    },
    /// A page of a download: its candles and its progress become durable together.
    History(Box<HistoryPage>),
    Episodes(Vec<Episode>),
    Model(Box<ModelRecord>),
    Run(Box<RunRecord>),
    Meta {
        name: String,
        value: Vec<u8>,
    },
    DemoVenue(Vec<u8>),
    /// Recorded market data of the run's venue.
    Capture(CaptureBlock),
    /// Recorded blocks that are too old or too many.
    RemoveCaptures(Vec<CaptureId>),
    /// Leading blocks of journals.
    CutJournal(Vec<OldBlocks>),
}

/// One transaction's worth.
pub(super) enum Piece {
    Days { symbol: Symbol, interval: Interval, days: Vec<PackedDay> },
    History(Box<HistoryPage>, Vec<PackedDay>),
    Episodes(Vec<Episode>),
    Model(Box<ModelRecord>),
    Run(Box<RunRecord>),
    Meta { name: String, value: Vec<u8> },
    DemoVenue(Vec<u8>),
    Capture(CaptureBlock),
    RemoveCaptures(Vec<CaptureId>),
    CutJournal(OldBlocks),
}

impl Bulk {
    pub(super) fn into_pieces(self) -> Result<Vec<Piece>, WriterError> {
        Ok(match self {
            Self::Candles { symbol, interval, candles } => {
                let some = |days| Piece::Days { symbol, interval, days };
                candles::by_commit(candles::packed(&candles, interval)).into_iter().map(some).collect()
            }
            Self::History(page) => {
                let days = candles::packed(&page.candles, page.interval);
                vec![Piece::History(page, days)]
            }
            Self::Episodes(episodes) => episodes.chunks(EPISODES_PER_COMMIT).map(|some| Piece::Episodes(some.to_vec())).collect(),
            Self::Model(model) => {
                check_model(&model).map_err(|_| WriterError::WrongModel { id: model.id.clone() })?;
                vec![Piece::Model(model)]
            }
            Self::Run(run) => vec![Piece::Run(run)],
            Self::Meta { name, value } => vec![Piece::Meta { name, value }],
            Self::DemoVenue(state) => vec![Piece::DemoVenue(state)],
            Self::Capture(block) => vec![Piece::Capture(block)],
            Self::RemoveCaptures(ids) => ids.chunks(REMOVED_PER_COMMIT).map(|some| Piece::RemoveCaptures(some.to_vec())).collect(),
            Self::CutJournal(old) => old
                .iter()
                .flat_map(|old| old.first_seqs.chunks(REMOVED_PER_COMMIT).map(|some| OldBlocks { run: old.run, first_seqs: some.to_vec() }))
                .map(Piece::CutJournal)
                .collect(),
        })
    }
}

impl Piece {
    pub fn apply(&self, txn: &WriteTransaction, scope: &Scope) -> Result<(), StoreError> {
        match self {
            Self::Days { symbol, interval, days } => candles::merge_days(txn, *symbol, *interval, days),
            Self::History(page, days) => history::keep_page(txn, page, days),
            Self::Episodes(episodes) => {
                episodes.iter().try_for_each(|episode| Table::TradeMemory.put(txn, &Key::new().number(episode.number), episode))
            }
            Self::Model(model) => put_model(txn, model).map(drop),
            Self::Run(run) => records::put_run(txn, scope, run),
            Self::Meta { name, value } => put_meta(txn, name, value),
            Self::DemoVenue(state) => put_demo_venue(txn, state),
            Self::Capture(block) => captures::put(txn, &scope.venue, block),
            Self::RemoveCaptures(ids) => captures::remove(txn, ids),
            Self::CutJournal(old) => cut_journal(txn, old),
        }
    }
}
