//! Bulk work, cut into transactions so small that an order intent never waits long behind one.

use redb::WriteTransaction;

use super::candles::{self, DAYS_PER_COMMIT};
use super::error::StoreError;
use super::history;
use super::identity::Scope;
use super::reading::{check_model, put_demo_venue, put_meta, put_model};
use super::records;
use super::schema::{Key, Table};
use super::writer::WriterError;
use crate::domain::{Candle, Episode, Interval, Symbol};
use crate::protocol::{HistoryPage, ModelRecord, RunRecord};

const EPISODES_PER_COMMIT: usize = 500;

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
}

/// One transaction's worth.
pub(super) enum Piece {
    Days { symbol: Symbol, interval: Interval, days: Vec<(i64, Vec<Candle>)> },
    History(Box<HistoryPage>),
    Episodes(Vec<Episode>),
    Model(Box<ModelRecord>),
    Run(Box<RunRecord>),
    Meta { name: String, value: Vec<u8> },
    DemoVenue(Vec<u8>),
}

impl Bulk {
    pub(super) fn into_pieces(self) -> Result<Vec<Piece>, WriterError> {
        Ok(match self {
            Self::Candles { symbol, interval, candles } => candles::by_day(&candles)
                .chunks(DAYS_PER_COMMIT)
                .map(|days| Piece::Days { symbol, interval, days: days.to_vec() })
                .collect(),
            Self::History(page) => vec![Piece::History(page)],
            Self::Episodes(episodes) => episodes.chunks(EPISODES_PER_COMMIT).map(|some| Piece::Episodes(some.to_vec())).collect(),
            Self::Model(model) => {
                check_model(&model).map_err(|_| WriterError::WrongModel { id: model.id.clone() })?;
                vec![Piece::Model(model)]
            }
            Self::Run(run) => vec![Piece::Run(run)],
            Self::Meta { name, value } => vec![Piece::Meta { name, value }],
            Self::DemoVenue(state) => vec![Piece::DemoVenue(state)],
        })
    }
}

impl Piece {
    pub fn apply(&self, txn: &WriteTransaction, scope: &Scope) -> Result<(), StoreError> {
        match self {
            Self::Days { symbol, interval, days } => candles::merge_days(txn, *symbol, *interval, days),
            Self::History(page) => history::keep_page(txn, page),
            Self::Episodes(episodes) => {
                episodes.iter().try_for_each(|episode| Table::TradeMemory.put(txn, &Key::new().number(episode.number), episode))
            }
            Self::Model(model) => put_model(txn, model).map(drop),
            Self::Run(run) => records::put_run(txn, scope, run),
            Self::Meta { name, value } => put_meta(txn, name, value),
            Self::DemoVenue(state) => put_demo_venue(txn, state),
        }
    }
}
