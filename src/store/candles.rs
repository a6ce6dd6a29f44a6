//! Candles, packed: one blob per symbol, interval and UTC day, at about a fifth of their plain size.
//!
//! A blob is a header (count, first and last time) and LZ4 over variable-length integers, column by column. Times count
//! intervals where they lie on the grid; prices and volumes are divided by the largest unit they share (the tick, the step),
//! each open follows from the close before it, and high and low are kept as distances from the body.

use std::collections::BTreeMap;

use redb::{ReadTransaction, WriteTransaction};
use serde::{Deserialize, Serialize};

use super::codec;
use super::error::StoreError;
use super::schema::{Key, KeyParts, Table};
use crate::domain::{Candle, Interval, Price, Qty, Symbol, Timestamp};

/// One series as listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CandleSeries {
    pub symbol: Symbol,
    pub interval: Interval,
    pub count: u64,
    /// Open times of the first and last candle.
    pub first: Timestamp,
    pub last: Timestamp,
    /// What its packed days take in the file, without the file's own overhead.
    pub bytes: u64,
}

/// What can be told of a blob without unpacking it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Header {
    count: u32,
    first: Timestamp,
    last: Timestamp,
}

/// Days and candles per transaction: an urgent commit never waits for more than this much importing, or than one day where a day holds more.
const DAYS_PER_COMMIT: usize = 4;
const CANDLES_PER_COMMIT: usize = 10_000;

/// The most a day can unpack to; a second-by-second day takes about 2 MB.
const MAX_UNPACKED: u32 = 64 << 20;

/// A UTC day of candles as it will lie in the file. Packing is most of the work of an import; it is done by whoever brings the candles, before
/// the transaction, so that an urgent commit waits for the writing alone.
pub(super) struct PackedDay {
    day: i64,
    count: usize,
    body: Vec<u8>,
}

/// Candles by UTC day, packed, in the order of days; of two with the same open time the later one counts.
pub(super) fn packed(candles: &[Candle], interval: Interval) -> Vec<PackedDay> {
    let mut days: BTreeMap<i64, BTreeMap<Timestamp, Candle>> = BTreeMap::new();
    for candle in candles {
        days.entry(candle.open_time.day()).or_default().insert(candle.open_time, *candle);
    }
    days.into_iter()
        .filter_map(|(day, candles)| {
            let candles: Vec<Candle> = candles.into_values().collect();
            Some(PackedDay { day, count: candles.len(), body: day_body(&candles, interval)? })
        })
        .collect()
}

/// Adds candles to what is stored; a candle of the same open time replaces the stored one. One transaction's worth.
pub(super) fn merge_days(txn: &WriteTransaction, symbol: Symbol, interval: Interval, days: &[PackedDay]) -> Result<(), StoreError> {
    for PackedDay { day, body, .. } in days {
        let key = day_key(symbol, interval, *day);
        let Some(held) = Table::Candles.held(txn, &key)? else {
            Table::Candles.put_bytes(txn, &key, body.clone())?;
            continue;
        };
        let both = [unpack_body(key.as_slice(), &held)?.1, unpack_body(key.as_slice(), body)?.1];
        let merged: BTreeMap<Timestamp, Candle> = both.into_iter().flatten().map(|candle| (candle.open_time, candle)).collect();
        put_day(txn, &key, interval, &merged.into_values().collect::<Vec<Candle>>())?;
    }
    Ok(())
}

/// Takes away the candles with open times in `[from, until)`.
pub(super) fn remove_between(
    txn: &WriteTransaction,
    symbol: Symbol,
    interval: Interval,
    from: Timestamp,
    until: Timestamp,
) -> Result<(), StoreError> {
    let (first, last) = (day_key(symbol, interval, from.day()), day_key(symbol, interval, until.day()));
    for (key, row) in Table::Candles.held_between(txn, first.as_slice(), &last.after_all())? {
        let (_, mut candles) = unpack_row(key.as_slice(), &row)?;
        let before = candles.len();
        candles.retain(|c| c.open_time < from || until <= c.open_time);
        if candles.is_empty() {
            Table::Candles.remove(txn, &key)?;
        } else if candles.len() < before {
            put_day(txn, &key, interval, &candles)?;
        }
    }
    Ok(())
}

fn put_day(txn: &WriteTransaction, key: &Key, interval: Interval, all: &[Candle]) -> Result<(), StoreError> {
    day_body(all, interval).map_or(Ok(()), |body| Table::Candles.put_bytes(txn, key, body))
}

/// A row's content; `None` without candles.
fn day_body(all: &[Candle], interval: Interval) -> Option<Vec<u8>> {
    let header = Header { count: all.len() as u32, first: all.first()?.open_time, last: all.last()?.open_time };
    let mut body = codec::encode(&header);
    body.extend(lz4_flex::compress_prepend_size(&pack(all, interval)));
    Some(body)
}

/// Days as they are committed together.
pub(super) fn by_commit(days: Vec<PackedDay>) -> Vec<Vec<PackedDay>> {
    let mut commits: Vec<Vec<PackedDay>> = Vec::new();
    let mut held = 0;
    for day in days {
        held += day.count;
        match commits.last_mut() {
            Some(last) if last.len() < DAYS_PER_COMMIT && held <= CANDLES_PER_COMMIT => last.push(day),
            _ => {
                held = day.count;
                commits.push(vec![day]);
            }
        }
    }
    commits
}

/// Candles with open times in `[from, until)`, oldest first.
pub(super) fn between(
    txn: &ReadTransaction,
    symbol: Symbol,
    interval: Interval,
    from: Timestamp,
    until: Timestamp,
) -> Result<Vec<Candle>, StoreError> {
    let mut found = Vec::new();
    if until <= from {
        return Ok(found);
    }
    let (first, last) = (day_key(symbol, interval, from.day()), day_key(symbol, interval, until.day()));
    Table::Candles.each(txn, first.as_slice(), &last.after_all(), |key, row| {
        let (_, day) = unpack_row(key, row)?;
        found.extend(day.into_iter().filter(|c| from <= c.open_time && c.open_time < until));
        Ok(true)
    })?;
    Ok(found)
}

/// Every series in the file, by symbol and interval.
pub(super) fn series(txn: &ReadTransaction) -> Result<Vec<CandleSeries>, StoreError> {
    let mut all: BTreeMap<(Symbol, Interval), CandleSeries> = BTreeMap::new();
    Table::Candles.each(txn, &[], &Key::new().after_all(), |key, row| {
        let body = Table::Candles.unsealed(key, row)?;
        let (header, _) = codec::decode_front::<Header>(body).map_err(|e| Table::Candles.unreadable(key, e))?;
        let (symbol, interval, _) = key_parts(key).ok_or_else(|| damaged(key))?;
        let new = CandleSeries { symbol, interval, count: 0, first: header.first, last: header.last, bytes: 0 };
        let entry = all.entry((symbol, interval)).or_insert(new);
        entry.bytes += (key.len() + row.len()) as u64;
        entry.count += u64::from(header.count);
        entry.last = header.last;
        Ok(true)
    })?;
    Ok(all.into_values().collect())
}

/// A stored day with what its key claims, for verification.
pub(super) fn stored_day(key: &[u8], row: &[u8]) -> Result<(i64, Vec<Candle>), StoreError> {
    let (_, _, day) = key_parts(key).ok_or_else(|| damaged(key))?;
    let (header, candles) = unpack_row(key, row)?;
    let told = Header { count: candles.len() as u32, first: header.first, last: header.last };
    let ends = (candles.first().map(|c| c.open_time), candles.last().map(|c| c.open_time));
    if told != header || ends != (Some(header.first), Some(header.last)) {
        return Err(damaged(key));
    }
    Ok((day, candles))
}

fn unpack_row(key: &[u8], row: &[u8]) -> Result<(Header, Vec<Candle>), StoreError> {
    unpack_body(key, Table::Candles.unsealed(key, row)?)
}

fn unpack_body(key: &[u8], body: &[u8]) -> Result<(Header, Vec<Candle>), StoreError> {
    let (header, packed) = codec::decode_front::<Header>(body).map_err(|e| Table::Candles.unreadable(key, e))?;
    let plain = super::journal::inflate(packed, MAX_UNPACKED).ok_or_else(|| damaged(key))?;
    let candles = unpack(&plain).ok_or_else(|| damaged(key))?;
    Ok((header, candles))
}

fn damaged(key: &[u8]) -> StoreError {
    StoreError::DamagedRow { table: Table::Candles.name(), key: hex::encode(key) }
}

fn day_key(symbol: Symbol, interval: Interval, day: i64) -> Key {
    Key::new().text(symbol.as_str()).signed(interval.secs()).signed(day)
}

fn key_parts(key: &[u8]) -> Option<(Symbol, Interval, i64)> {
    let mut parts = KeyParts(key);
    Some((parts.text()?.parse().ok()?, Interval::from_secs(parts.signed()?)?, parts.signed()?))
}

fn pack(candles: &[Candle], interval: Interval) -> Vec<u8> {
    let time_unit = grain(candles.iter().map(|c| i128::from(c.open_time.nanos())), i128::from(interval.span().nanos()));
    let price_unit = grain(candles.iter().flat_map(|c| [c.open, c.high, c.low, c.close]).map(|p| i128::from(p.raw())), 0);
    let volume_unit = grain(candles.iter().flat_map(|c| [Some(c.volume), c.taker_buy_volume]).flatten().map(Qty::raw), 0);
    let mut out = Vec::with_capacity(candles.len() * 16 + 32);
    for number in [candles.len() as i128, time_unit, price_unit, volume_unit] {
        put(&mut out, number);
    }
    let mut before = 0;
    for candle in candles {
        let time = i128::from(candle.open_time.nanos()) / time_unit;
        put(&mut out, time - before);
        before = time;
    }
    let price = |p: Price| i128::from(p.raw()) / price_unit;
    let mut close = 0;
    for candle in candles {
        put(&mut out, price(candle.open) - close);
        close = price(candle.close);
    }
    for candle in candles {
        put(&mut out, price(candle.close) - price(candle.open));
    }
    for candle in candles {
        put(&mut out, price(candle.high) - price(candle.open.max(candle.close)));
    }
    for candle in candles {
        put(&mut out, price(candle.open.min(candle.close)) - price(candle.low));
    }
    for candle in candles {
        put(&mut out, candle.volume.raw() / volume_unit);
    }
    for candle in candles {
        match candle.taker_buy_volume {
            Some(volume) => {
                put(&mut out, 1);
                put(&mut out, volume.raw() / volume_unit);
            }
            None => put(&mut out, 0),
        }
    }
    for candle in candles {
        put(&mut out, i128::from(candle.trades));
    }
    out
}

/// The counterpart of `pack`; `None` for bytes that it never made.
fn unpack(bytes: &[u8]) -> Option<Vec<Candle>> {
    let mut rest = bytes;
    let mut next = || take(&mut rest);
    let (count, time_unit, price_unit, volume_unit) = (usize::try_from(next()?).ok()?, next()?, next()?, next()?);
    // Every candle takes at least eight bytes, so a damaged count cannot ask for more memory than there are bytes.
    if count > bytes.len() / 8 {
        return None;
    }
    let mut column = |count: usize| (0..count).map(|_| next()).collect::<Option<Vec<i128>>>();
    let (times, opens, closes) = (column(count)?, column(count)?, column(count)?);
    let (highs, lows, volumes) = (column(count)?, column(count)?, column(count)?);
    let takers: Vec<Option<i128>> = (0..count)
        .map(|_| match next()? {
            0 => Some(None),
            _ => next().map(Some),
        })
        .collect::<Option<_>>()?;
    let price = |units: i128| i64::try_from(units.checked_mul(price_unit)?).ok().map(Price::from_raw);
    let qty = |units: i128| units.checked_mul(volume_unit).map(Qty::from_raw);
    let (mut time, mut last_close) = (0_i128, 0_i128);
    let mut candles = Vec::with_capacity(count);
    for i in 0..count {
        time = time.checked_add(times[i])?;
        let open = last_close.checked_add(opens[i])?;
        let close = open.checked_add(closes[i])?;
        last_close = close;
        candles.push(Candle {
            open_time: Timestamp::from_nanos(i64::try_from(time.checked_mul(time_unit)?).ok()?),
            open: price(open)?,
            high: price(open.max(close).checked_add(highs[i])?)?,
            low: price(open.min(close).checked_sub(lows[i])?)?,
            close: price(close)?,
            volume: qty(volumes[i])?,
            taker_buy_volume: match takers[i] {
                Some(units) => Some(qty(units)?),
                None => None,
            },
            trades: u32::try_from(next()?).ok()?,
        });
    }
    rest.is_empty().then_some(candles)
}

/// The largest unit that divides every number and `start`; 1 when they are all zero.
pub(super) fn grain(numbers: impl Iterator<Item = i128>, start: i128) -> i128 {
    let mut unit = start.unsigned_abs();
    for number in numbers {
        let (mut a, mut b) = (unit, number.unsigned_abs());
        while b != 0 {
            (a, b) = (b, a % b);
        }
        unit = a;
        if unit == 1 {
            break;
        }
    }
    i128::try_from(unit).unwrap_or(1).max(1)
}

/// Seven bits a byte, small numbers of either sign first.
pub(super) fn put(out: &mut Vec<u8>, number: i128) {
    let mut left = ((number << 1) ^ (number >> 127)) as u128;
    while left >= 128 {
        out.push((left as u8 & 127) | 128);
        left >>= 7;
    }
    out.push(left as u8);
}

pub(super) fn take(bytes: &mut &[u8]) -> Option<i128> {
    let mut folded: u128 = 0;
    for shift in (0..128).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        folded |= u128::from(byte & 127).checked_shl(shift)?;
        if byte & 128 == 0 {
            return Some(((folded >> 1) as i128) ^ -((folded & 1) as i128));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Store, samples};
    use proptest::prelude::*;

    #[test]
    fn candles_of_two_days_come_back_by_range_and_are_listed() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("c.redb"), &samples::demo()).unwrap();
        let candles = samples::candles(3_000);
        let symbol = samples::symbol();
        store.put_candles(symbol, Interval::MINUTE, &candles).unwrap();
        store.put_candles(symbol, Interval::MINUTE, &candles[500..600]).unwrap();
        assert_eq!(store.candles(symbol, Interval::MINUTE, Timestamp::EPOCH, Timestamp::MAX).unwrap(), candles);
        let (from, until) = (candles[1_400].open_time, candles[1_500].open_time);
        assert_eq!(store.candles(symbol, Interval::MINUTE, from, until).unwrap(), candles[1_400..1_500]);
        assert!(store.candles(symbol, Interval::MINUTE, until, from).unwrap().is_empty());
        let listed = store.candle_series().unwrap();
        let [listed] = listed.as_slice() else { panic!("one series") };
        assert_eq!((listed.symbol, listed.interval, listed.count), (symbol, Interval::MINUTE, 3_000));
        assert_eq!((listed.first, listed.last), (candles[0].open_time, candles[2_999].open_time));
        assert!((3_000..300_000).contains(&listed.bytes), "{}", listed.bytes);
    }

    #[test]
    fn a_commit_holds_few_days_and_few_candles() {
        let series = |interval: Interval, count: i64| -> Vec<Candle> {
            let start = Timestamp::from_millis(1_700_006_400_000).floor_to(Interval::from_secs(86_400).unwrap());
            let one = samples::candles(1)[0];
            (0..count).map(|n| Candle { open_time: start + interval.span().times(n), ..one }).collect()
        };
        let sizes = |interval: Interval, count| -> Vec<(usize, usize)> {
            let commits = by_commit(packed(&series(interval, count), interval));
            commits.iter().map(|days| (days.len(), days.iter().map(|day| day.count).sum())).collect()
        };
        assert_eq!(sizes(Interval::MINUTE, 10 * 1_440), [(4, 5_760), (4, 5_760), (2, 2_880)]);
        assert_eq!(sizes(Interval::from_secs(20).unwrap(), 4 * 4_320), [(2, 8_640), (2, 8_640)]);
        assert_eq!(sizes(Interval::from_secs(5).unwrap(), 3 * 17_280), [(1, 17_280); 3]);
        assert_eq!(sizes(Interval::MINUTE, 0), []);
    }

    #[test]
    fn of_two_candles_with_one_time_the_later_counts() {
        let candles = samples::candles(3);
        let later = Candle { trades: 77, ..candles[1] };
        let days = packed(&[candles[2], candles[1], candles[0], later], Interval::MINUTE);
        let kept: Vec<Candle> = days.iter().flat_map(|day| unpack_body(&[], &day.body).unwrap().1).collect();
        assert_eq!(kept, [candles[0], later, candles[2]]);
    }

    fn any_candle() -> impl Strategy<Value = Candle> {
        // Times on and off the grid, around the epoch and around a day's end; prices and volumes to the ends of their range.
        let price = prop_oneof![4 => (1_i64..1 << 40).prop_map(|p| p * 10_000), 1 => any::<i64>()];
        let volume = prop_oneof![4 => (0_i128..1 << 50).prop_map(|v| v * 1_000), 1 => any::<i128>()];
        let time = prop_oneof![6 => (0_i64..40).prop_map(|m| 1_700_006_400_000 + (m - 20) * 60_000), 1 => -3_i64..3];
        (time, [price.clone(), price.clone(), price.clone(), price], volume.clone(), proptest::option::of(volume), any::<u32>()).prop_map(
            |(time, p, volume, taker_buy_volume, trades)| Candle {
                open_time: Timestamp::from_millis(time),
                open: Price::from_raw(p[0]),
                high: Price::from_raw(p[1]),
                low: Price::from_raw(p[2]),
                close: Price::from_raw(p[3]),
                volume: Qty::from_raw(volume),
                taker_buy_volume: taker_buy_volume.map(Qty::from_raw),
                trades,
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn merging_equals_a_plain_map(batches in prop::collection::vec(prop::collection::vec(any_candle(), 0..30), 1..5)) {
            let store = Store::open_backend(redb::backends::InMemoryBackend::new(), &samples::demo()).unwrap();
            let mut reference = BTreeMap::new();
            for batch in &batches {
                store.put_candles(samples::symbol(), Interval::MINUTE, batch).unwrap();
                reference.extend(batch.iter().map(|c| (c.open_time, *c)));
            }
            let stored = store.candles(samples::symbol(), Interval::MINUTE, Timestamp::from_nanos(i64::MIN), Timestamp::MAX).unwrap();
            prop_assert_eq!(stored, reference.into_values().collect::<Vec<_>>());
        }

        #[test]
        fn garbage_never_unpacks_into_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = unpack(&bytes);
        }

        #[test]
        fn numbers_of_any_size_round_trip(number in any::<i128>()) {
            let mut bytes = Vec::new();
            put(&mut bytes, number);
            let mut rest = bytes.as_slice();
            prop_assert_eq!(take(&mut rest), Some(number));
            prop_assert!(rest.is_empty());
        }
    }
}
