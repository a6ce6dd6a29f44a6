//! Recorded market data, packed: some seconds of one market in one block, a few bytes a level.
//!
//! A block is a header and DEFLATE over columns of variable-length integers: kinds, arrival times, venue times, ids, level counts,
//! prices, quantities. Prices and quantities count the largest unit they share (tick, step); ids follow from the event before; a
//! level's price is its distance from the level before it, the first one's from where its side last began.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use serde::{Deserialize, Serialize};

use super::candles::{grain, put, take};
use crate::domain::{BookSnapshot, DepthDiff, Level, MarketData, MarketUpdate, Price, PublicTrade, Qty, Symbol, Timestamp, TradeId};

/// A block never unpacks to more than this; a snapshot of 5,000 levels a side takes 40 kB.
const MAX_UNPACKED: u64 = 64 << 20;

/// One market's data of some seconds, packed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaptureBlock {
    pub(super) symbol: Symbol,
    pub(super) header: BlockHeader,
    pub(super) packed: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct BlockHeader {
    /// Arrival of the first and of the last event.
    pub first: Timestamp,
    pub last: Timestamp,
    pub events: u32,
}

/// What a block keeps: the low bits of its kind byte. Bit 3: the event has a venue time; bit 4: the buyer of a trade was its maker.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Snapshot = 0,
    Depth = 1,
    Trade = 2,
    Interrupted = 3,
}

const TIMED: u8 = 8;
const BUYER_IS_MAKER: u8 = 16;

impl Kind {
    const fn of(data: &MarketData) -> Option<Self> {
        match data {
            MarketData::Snapshot(_) => Some(Self::Snapshot),
            MarketData::Depth(_) => Some(Self::Depth),
            MarketData::Trade(_) => Some(Self::Trade),
            MarketData::Interrupted => Some(Self::Interrupted),
            MarketData::Quote(_) | MarketData::Candle { .. } => None,
        }
    }

    const fn from_byte(byte: u8) -> Option<Self> {
        match byte & 7 {
            0 => Some(Self::Snapshot),
            1 => Some(Self::Depth),
            2 => Some(Self::Trade),
            3 => Some(Self::Interrupted),
            _ => None,
        }
    }
}

/// Whether a recording keeps this: snapshots, diffs, trades and interruptions. Quotes repeat what the diffs say.
#[must_use]
pub const fn is_recorded(data: &MarketData) -> bool {
    Kind::of(data).is_some()
}

impl CaptureBlock {
    /// Packs what is recorded of `updates`, all of them of `symbol`; `None` when that is nothing.
    #[must_use]
    pub fn pack(symbol: Symbol, updates: &[MarketUpdate]) -> Option<Self> {
        let kept: Vec<(Kind, &MarketUpdate)> = updates.iter().filter_map(|update| Some((Kind::of(&update.data)?, update))).collect();
        let (first, last) = (kept.first()?.1.local_time, kept.last()?.1.local_time);
        let mut columns = Columns::new(&kept);
        for (kind, update) in &kept {
            columns.event(*kind, update);
        }
        let header = BlockHeader { first, last, events: kept.len() as u32 };
        Some(Self { symbol, header, packed: deflated(&columns.joined()) })
    }

    /// Every event in its order; `None` for bytes that `pack` never made.
    #[must_use]
    pub(super) fn unpack(&self) -> Option<Vec<MarketUpdate>> {
        let mut plain = Vec::new();
        DeflateDecoder::new(self.packed.as_slice()).take(MAX_UNPACKED + 1).read_to_end(&mut plain).ok()?;
        if plain.len() as u64 > MAX_UNPACKED {
            return None;
        }
        let mut reading = Reading::open(&plain)?;
        let mut updates = Vec::new();
        while !reading.kinds.is_empty() {
            updates.push(reading.event(self.symbol)?);
        }
        let told = BlockHeader { first: updates.first()?.local_time, last: updates.last()?.local_time, events: updates.len() as u32 };
        (reading.is_done() && told == self.header).then_some(updates)
    }

    /// Bytes on disk, keys and seals aside.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.packed.len()
    }

    #[must_use]
    pub const fn events(&self) -> u32 {
        self.header.events
    }
}

fn deflated(plain: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::with_capacity(plain.len() / 2), Compression::default());
    encoder.write_all(plain).and_then(|()| encoder.finish()).expect("writing to memory does not fail")
}

/// Where the last event stood: the next one is told by its distance.
#[derive(Default)]
struct Before {
    local: i128,
    exchange: i128,
    update_id: i128,
    trade_id: i128,
    trade_price: i128,
    /// Where bids and asks last began.
    sides: [i128; 2],
}

#[derive(Clone, Copy)]
struct Units {
    local: i128,
    exchange: i128,
    price: i128,
    qty: i128,
}

const COLUMNS: usize = 6;
const LOCAL: usize = 0;
const EXCHANGE: usize = 1;
const IDS: usize = 2;
const COUNTS: usize = 3;
const PRICES: usize = 4;
const QUANTITIES: usize = 5;

struct Columns {
    units: Units,
    kinds: Vec<u8>,
    columns: [Vec<u8>; COLUMNS],
    before: Before,
}

impl Columns {
    fn new(kept: &[(Kind, &MarketUpdate)]) -> Self {
        let levels = |update: &MarketUpdate| match &update.data {
            MarketData::Snapshot(s) => [s.bids.clone(), s.asks.clone()].concat(),
            MarketData::Depth(d) => [d.bids.clone(), d.asks.clone()].concat(),
            MarketData::Trade(t) => vec![Level { price: t.price, qty: t.qty }],
            _ => Vec::new(),
        };
        let all: Vec<Level> = kept.iter().flat_map(|(_, update)| levels(update)).collect();
        let units = Units {
            local: grain(kept.iter().map(|(_, u)| i128::from(u.local_time.nanos())), 0),
            exchange: grain(kept.iter().filter_map(|(_, u)| u.exchange_time).map(|t| i128::from(t.nanos())), 0),
            price: grain(all.iter().map(|l| i128::from(l.price.raw())), 0),
            qty: grain(all.iter().map(|l| l.qty.raw()), 0),
        };
        Self { units, kinds: Vec::with_capacity(kept.len()), columns: Default::default(), before: Before::default() }
    }

    fn event(&mut self, kind: Kind, update: &MarketUpdate) {
        let local = i128::from(update.local_time.nanos()) / self.units.local;
        put(&mut self.columns[LOCAL], local - self.before.local);
        self.before.local = local;
        let mut byte = kind as u8;
        if let Some(time) = update.exchange_time {
            byte |= TIMED;
            let exchange = i128::from(time.nanos()) / self.units.exchange;
            put(&mut self.columns[EXCHANGE], exchange - self.before.exchange);
            self.before.exchange = exchange;
        }
        match &update.data {
            MarketData::Snapshot(snapshot) => {
                self.id(snapshot.last_update_id);
                self.book([&snapshot.bids, &snapshot.asks]);
            }
            MarketData::Depth(diff) => {
                put(&mut self.columns[IDS], i128::from(diff.first_update_id) - self.before.update_id);
                self.before.update_id = i128::from(diff.first_update_id);
                self.id(diff.last_update_id);
                self.book([&diff.bids, &diff.asks]);
            }
            MarketData::Trade(trade) => {
                byte |= if trade.buyer_is_maker { BUYER_IS_MAKER } else { 0 };
                put(&mut self.columns[IDS], i128::from(trade.id.0) - self.before.trade_id);
                self.before.trade_id = i128::from(trade.id.0);
                let price = i128::from(trade.price.raw()) / self.units.price;
                put(&mut self.columns[PRICES], price - self.before.trade_price);
                self.before.trade_price = price;
                put(&mut self.columns[QUANTITIES], trade.qty.raw() / self.units.qty);
            }
            _ => {}
        }
        self.kinds.push(byte);
    }

    fn id(&mut self, id: u64) {
        put(&mut self.columns[IDS], i128::from(id) - self.before.update_id);
        self.before.update_id = i128::from(id);
    }

    fn book(&mut self, sides: [&[Level]; 2]) {
        for (side, levels) in sides.into_iter().enumerate() {
            put(&mut self.columns[COUNTS], levels.len() as i128);
            let mut before = self.before.sides[side];
            for (place, level) in levels.iter().enumerate() {
                let price = i128::from(level.price.raw()) / self.units.price;
                put(&mut self.columns[PRICES], price - before);
                put(&mut self.columns[QUANTITIES], level.qty.raw() / self.units.qty);
                before = price;
                if place == 0 {
                    self.before.sides[side] = price;
                }
            }
        }
    }

    /// Units, the length of each column, then the columns.
    fn joined(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for unit in [self.units.local, self.units.exchange, self.units.price, self.units.qty] {
            put(&mut out, unit);
        }
        let columns = || std::iter::once(&self.kinds).chain(&self.columns);
        columns().for_each(|column| put(&mut out, column.len() as i128));
        columns().for_each(|column| out.extend_from_slice(column));
        out
    }
}

/// The counterpart of `Columns`.
struct Reading<'a> {
    units: Units,
    kinds: &'a [u8],
    columns: [&'a [u8]; COLUMNS],
    before: Before,
}

impl<'a> Reading<'a> {
    fn open(plain: &'a [u8]) -> Option<Self> {
        let mut rest = plain;
        let mut unit = || take(&mut rest).filter(|unit| *unit > 0);
        let units = Units { local: unit()?, exchange: unit()?, price: unit()?, qty: unit()? };
        let mut lengths = [0; COLUMNS + 1];
        for length in &mut lengths {
            *length = usize::try_from(take(&mut rest)?).ok()?;
        }
        let mut column = |length: usize| {
            let (column, after) = rest.split_at_checked(length)?;
            rest = after;
            Some(column)
        };
        let kinds = column(lengths[0])?;
        let mut columns = [&[][..]; COLUMNS];
        for (held, length) in columns.iter_mut().zip(&lengths[1..]) {
            *held = column(*length)?;
        }
        rest.is_empty().then_some(Self { units, kinds, columns, before: Before::default() })
    }

    fn is_done(&self) -> bool {
        self.columns.iter().all(|column| column.is_empty())
    }

    fn next(&mut self, column: usize) -> Option<i128> {
        take(&mut self.columns[column])
    }

    fn event(&mut self, symbol: Symbol) -> Option<MarketUpdate> {
        let (byte, rest) = self.kinds.split_first()?;
        self.kinds = rest;
        self.before.local = self.before.local.checked_add(self.next(LOCAL)?)?;
        let local_time = moment(self.before.local, self.units.local)?;
        let exchange_time = if byte & TIMED != 0 {
            self.before.exchange = self.before.exchange.checked_add(self.next(EXCHANGE)?)?;
            Some(moment(self.before.exchange, self.units.exchange)?)
        } else {
            None
        };
        let data = match Kind::from_byte(*byte)? {
            Kind::Snapshot => {
                let last_update_id = self.id()?;
                MarketData::Snapshot(BookSnapshot { last_update_id, bids: self.side(0)?, asks: self.side(1)? })
            }
            Kind::Depth => {
                let (first_update_id, last_update_id) = (self.id()?, self.id()?);
                MarketData::Depth(DepthDiff { first_update_id, last_update_id, bids: self.side(0)?, asks: self.side(1)? })
            }
            Kind::Trade => {
                self.before.trade_id = self.before.trade_id.checked_add(self.next(IDS)?)?;
                self.before.trade_price = self.before.trade_price.checked_add(self.next(PRICES)?)?;
                MarketData::Trade(PublicTrade {
                    id: TradeId(u64::try_from(self.before.trade_id).ok()?),
                    price: self.price(self.before.trade_price)?,
                    qty: self.qty()?,
                    buyer_is_maker: byte & BUYER_IS_MAKER != 0,
                })
            }
            Kind::Interrupted => MarketData::Interrupted,
        };
        Some(MarketUpdate { symbol, exchange_time, local_time, data })
    }

    fn id(&mut self) -> Option<u64> {
        self.before.update_id = self.before.update_id.checked_add(self.next(IDS)?)?;
        u64::try_from(self.before.update_id).ok()
    }

    fn side(&mut self, side: usize) -> Option<Vec<Level>> {
        // Every level takes at least two bytes, so a damaged count cannot ask for more memory than there are bytes.
        let count = usize::try_from(self.next(COUNTS)?).ok().filter(|count| *count <= self.columns[PRICES].len())?;
        let mut levels = Vec::with_capacity(count);
        let mut price = self.before.sides[side];
        for place in 0..count {
            price = price.checked_add(self.next(PRICES)?)?;
            if place == 0 {
                self.before.sides[side] = price;
            }
            levels.push(Level { price: self.price(price)?, qty: self.qty()? });
        }
        Some(levels)
    }

    fn price(&self, units: i128) -> Option<Price> {
        i64::try_from(units.checked_mul(self.units.price)?).ok().map(Price::from_raw)
    }

    fn qty(&mut self) -> Option<Qty> {
        self.next(QUANTITIES)?.checked_mul(self.units.qty).map(Qty::from_raw)
    }
}

fn moment(units: i128, unit: i128) -> Option<Timestamp> {
    i64::try_from(units.checked_mul(unit)?).ok().map(Timestamp::from_nanos)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub fn symbol() -> Symbol {
        "BTCUSDT".parse().unwrap()
    }

    /// A book, then ten diffs and ten trades a second, as a busy market has them.
    pub fn stream(from_ms: i64, count: u64) -> Vec<MarketUpdate> {
        let level = |n: u64| Level {
            price: Price::from_raw((6_183_763 + (n * 7_919 % 900) as i64) * 1_000_000),
            qty: Qty::from_raw(i128::from(n * 104_729 % 5_000) * 1_000),
        };
        let update = |n: u64| {
            let at = Timestamp::from_millis(from_ms + 50 * n as i64);
            let levels = |from: u64, count: u64| (from..from + count).map(level).collect::<Vec<_>>();
            let data = match n {
                0 => MarketData::Snapshot(BookSnapshot { last_update_id: 1_000, bids: levels(1, 100), asks: levels(200, 100) }),
                n if n % 2 == 1 => MarketData::Depth(DepthDiff {
                    first_update_id: 1_001 + 10 * (n / 2),
                    last_update_id: 1_010 + 10 * (n / 2),
                    bids: levels(n, n % 9),
                    asks: levels(n + 50, n % 7),
                }),
                n if n % 400 == 200 => MarketData::Interrupted,
                n => MarketData::Trade(PublicTrade {
                    id: TradeId(900 + n),
                    price: level(n).price,
                    qty: level(n).qty,
                    buyer_is_maker: n % 4 == 0,
                }),
            };
            let exchange_time = (n > 0).then_some(at);
            MarketUpdate {
                symbol: symbol(),
                exchange_time,
                local_time: Timestamp::from_nanos(at.nanos() + 2_345_678 + (n as i64 * 37) % 911),
                data,
            }
        };
        (0..count).map(update).collect()
    }

    #[test]
    fn what_is_packed_comes_back_whole_and_small() {
        let updates = stream(1_723_161_254_000, 1_000);
        let block = CaptureBlock::pack(symbol(), &updates).unwrap();
        assert_eq!(block.unpack().unwrap(), updates);
        let levels: usize = updates.iter().map(|u| if let MarketData::Depth(d) = &u.data { d.bids.len() + d.asks.len() } else { 1 }).sum();
        assert!(block.bytes() < levels * 6, "{} bytes for {} events with {levels} levels", block.bytes(), updates.len());
    }

    #[test]
    fn quotes_and_candles_are_left_out() {
        let level = Level { price: Price::from_raw(1), qty: Qty::from_raw(1) };
        let quote = MarketData::Quote(crate::domain::Quote { update_id: 1, bid: level, ask: level });
        let quote = MarketUpdate { symbol: symbol(), exchange_time: None, local_time: Timestamp::EPOCH, data: quote };
        assert_eq!(CaptureBlock::pack(symbol(), std::slice::from_ref(&quote)), None);
        let mut updates = stream(1_000, 20);
        let expected = updates.clone();
        updates.insert(7, quote);
        assert_eq!(CaptureBlock::pack(symbol(), &updates).unwrap().unpack().unwrap(), expected);
    }

    fn any_update() -> impl Strategy<Value = MarketUpdate> {
        let time =
            prop_oneof![5 => 1_700_000_000_000_000_000_i64..1_700_000_900_000_000_000, 1 => any::<i64>()].prop_map(Timestamp::from_nanos);
        let price = prop_oneof![4 => (1_i64..1 << 40).prop_map(|p| p * 10_000), 1 => any::<i64>()].prop_map(Price::from_raw);
        let qty = prop_oneof![4 => (0_i128..1 << 50).prop_map(|v| v * 1_000), 1 => any::<i128>()].prop_map(Qty::from_raw);
        let levels = prop::collection::vec((price.clone(), qty.clone()).prop_map(|(price, qty)| Level { price, qty }), 0..12);
        let book = (any::<u64>(), any::<u64>(), levels.clone(), levels);
        let data = prop_oneof![
            book.clone().prop_map(|(id, _, bids, asks)| MarketData::Snapshot(BookSnapshot { last_update_id: id, bids, asks })),
            book.prop_map(|(first_update_id, last_update_id, bids, asks)| {
                MarketData::Depth(DepthDiff { first_update_id, last_update_id, bids, asks })
            }),
            (any::<u64>(), price, qty, any::<bool>()).prop_map(|(id, price, qty, buyer_is_maker)| MarketData::Trade(PublicTrade {
                id: TradeId(id),
                price,
                qty,
                buyer_is_maker
            })),
            Just(MarketData::Interrupted),
        ];
        (time.clone(), proptest::option::of(time), data).prop_map(|(local_time, exchange_time, data)| MarketUpdate {
            symbol: symbol(),
            exchange_time,
            local_time,
            data,
        })
    }

    proptest! {
        #[test]
        fn anything_recorded_round_trips(updates in prop::collection::vec(any_update(), 1..40)) {
            let block = CaptureBlock::pack(symbol(), &updates).unwrap();
            prop_assert_eq!(block.unpack(), Some(updates));
        }

        #[test]
        fn garbage_never_unpacks_into_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), events in any::<u32>()) {
            let header = BlockHeader { first: Timestamp::EPOCH, last: Timestamp::EPOCH, events };
            let _ = CaptureBlock { symbol: symbol(), header, packed: deflated(&bytes) }.unpack();
            let _ = CaptureBlock { symbol: symbol(), header, packed: bytes }.unpack();
        }
    }
}
