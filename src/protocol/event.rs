//! Everything that can happen to the engine: the total order that is journaled and replayed.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Command, FxMark, Mode, VenueEvent};
use crate::domain::{Candle, Episode, Interval, MarketUpdate, RunId, Span, Symbol, Timestamp};

/// Where an event stands in the run's total order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Stamp {
    pub seq: u64,
    pub at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// Always the first event of a run.
    RunOpened(Box<RunOpened>),
    Market(MarketUpdate),
    Venue(VenueEvent),
    /// Time passed and nothing else happened.
    Tick,
    Probe(Probe),
    Command(Command),
    Learned(Learned),
}

/// What a run starts from. Together with the events that follow it determines everything.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunOpened {
    pub run: RunId,
    pub mode: Mode,
    /// The venue's address or the capture's name, as shown.
    pub venue: String,
    pub code_version: String,
    /// The engine's settings as JSON, and their SHA-256.
    pub settings: String,
    pub settings_hash: String,
    /// The trading state carried over from the previous run of this (mode, venue, account): `Engine::snapshot` as JSON.
    pub carried: Option<String>,
}

/// A measurement of the box itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Probe {
    /// Ours minus the venue's clock (negative: ours is behind), and the round trip that measured it.
    Clock { offset: Span, round_trip: Span },
    /// The data file's writer: how far behind, and whether it still works.
    Store { pending: u32, healthy: bool },
    /// Market messages that could not be read, since the last such probe.
    Unreadable { lines: u32 },
    /// The rate between the quote currency and the account's own.
    Fx(FxMark),
}

/// Results from the workshop. Payloads are not journaled: replay takes them from the data file and checks their hash.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Learned {
    Progress {
        stage: String,
        done: u64,
        total: u64,
    },
    Failed {
        stage: String,
        message: String,
    },
    Model(Box<ModelAdopted>),
    /// The first `count` episodes of the data file; `hash` over their encoded bytes.
    Memory {
        count: u64,
        hash: String,
        #[serde(skip)]
        episodes: Arc<Vec<Episode>>,
    },
    /// Shadow trades of a training run; the engine numbers and keeps them.
    Shadow(Vec<Episode>),
    /// A graph over the first `covers` episodes, built outside; `hash` over their vectors.
    IndexReady {
        covers: u64,
        hash: u64,
        #[serde(skip)]
        graph: Carried,
    },
    /// History that fills the candle rings before trading starts.
    WarmUp(WarmUp),
    /// The workshop is done: nothing more is coming.
    Finished,
    /// How likely quotes are filled, with its scores.
    FillModel(Box<super::FillModelLearned>),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WarmUp {
    pub symbol: Symbol,
    pub interval: Interval,
    pub candles: Vec<Candle>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelAdopted {
    /// Content hash of the artifact, hex SHA-256: the model's id.
    pub id: String,
    pub kind: ModelKind,
    pub role: ModelRole,
    pub gates_passed: bool,
    #[serde(skip)]
    pub artifact: Blob,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelKind {
    /// Boosted trees that forecast the net edge.
    Trees,
    /// The PPO policy.
    Policy,
}

/// What a model may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelRole {
    /// Passed its gates: its choices trade.
    Champion,
    /// Decides on live events without orders of its own.
    Shadow,
    /// Failed its gates but was let in by `--model shadow`: trades demo or paper, labelled.
    ShadowTrading,
}

/// Something built outside that only its maker and its user know (a search graph). It is named by the fields beside it, so all are equal here.
#[derive(Clone, Default)]
pub struct Carried(pub Option<Arc<dyn std::any::Any + Send + Sync>>);

impl PartialEq for Carried {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl fmt::Debug for Carried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "carried" } else { "not carried" })
    }
}

/// Shared bytes, compared by content.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Blob(pub Arc<Vec<u8>>);

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{MarketData, PublicTrade, TradeId};

    #[test]
    fn events_round_trip_through_the_codec_format() {
        let trade = PublicTrade { id: TradeId(7), price: "61837.63".parse().unwrap(), qty: "0.02".parse().unwrap(), buyer_is_maker: true };
        let events = [
            Event::Tick,
            Event::Command(Command::Halt),
            Event::Probe(Probe::Clock { offset: Span::from_millis(-1272), round_trip: Span::from_millis(3) }),
            Event::Learned(Learned::Progress { stage: "trees".into(), done: 1, total: 5 }),
            Event::Market(MarketUpdate {
                symbol: "BTCUSDT".parse().unwrap(),
                exchange_time: Some(Timestamp::from_millis(1)),
                local_time: Timestamp::from_millis(2),
                data: MarketData::Trade(trade),
            }),
        ];
        for event in events {
            let bytes = bincode::serde::encode_to_vec(&event, bincode::config::standard()).unwrap();
            let (back, _): (Event, usize) = bincode::serde::decode_from_slice(&bytes, bincode::config::standard()).unwrap();
            assert_eq!(back, event);
        }
    }
}
