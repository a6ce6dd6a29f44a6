//! A depth update read straight from its bytes, in the one form in which the venue writes it.
//!
//! Most of a market's bytes are depth. In the usual form, keys in the venue's order and nothing between them, there is nothing to look for: every
//! level is two runs of digits. Whatever is written otherwise is left to the general reader, so both give the same
//! (`tests::it_reads_what_the_general_reader_reads_or_leaves_it`).

use super::market_frame::DEPTH_STREAMS;
use crate::domain::{DepthDiff, Level, Price, Qty, Symbol};

/// Room for the levels of a usual update.
const USUAL_LEVELS: usize = 24;

/// A depth update as it stands in its frame; the time is the venue's number.
#[derive(Debug, PartialEq)]
pub(super) struct DepthFrame {
    pub symbol: Symbol,
    pub time: i64,
    pub diff: DepthDiff,
}

/// Reads `{"stream":…,"data":{"e":"depthUpdate",…}}`; `None` for every other form.
pub(super) fn read_depth(json: &str) -> Option<DepthFrame> {
    let mut text = Text(json.as_bytes());
    text.expect(b"{\"stream\":\"")?;
    let (_, kind) = text.quoted()?.split_once('@')?;
    if !DEPTH_STREAMS.contains(&kind) {
        return None;
    }
    text.expect(b",\"data\":{\"e\":\"depthUpdate\",\"E\":")?;
    let time = i64::try_from(text.integer()?).ok()?;
    text.expect(b",\"s\":\"")?;
    let symbol = text.quoted()?.parse().ok()?;
    text.expect(b",\"U\":")?;
    let first_update_id = text.integer()?;
    text.expect(b",\"u\":")?;
    let last_update_id = text.integer()?;
    text.expect(b",\"b\":[")?;
    let bids = text.levels()?;
    text.expect(b",\"a\":[")?;
    let asks = text.levels()?;
    text.expect(b"}}")?;
    text.0.is_empty().then_some(DepthFrame { symbol, time, diff: DepthDiff { first_update_id, last_update_id, bids, asks } })
}

/// What is left to read.
struct Text<'a>(&'a [u8]);

impl<'a> Text<'a> {
    fn expect(&mut self, wanted: &[u8]) -> Option<()> {
        self.0 = self.0.strip_prefix(wanted)?;
        Some(())
    }

    /// Up to the closing quote, which is taken too; nothing with an escape or a control character in it.
    fn quoted(&mut self) -> Option<&'a str> {
        let end = self.0.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=31))?;
        let (inside, rest) = self.0.split_at(end);
        self.0 = rest.strip_prefix(b"\"")?;
        std::str::from_utf8(inside).ok()
    }

    /// At most eighteen digits without a leading zero.
    fn integer(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        let mut count = 0;
        while let Some(digit) = self.0.get(count).map(|byte| byte.wrapping_sub(b'0')).filter(|digit| *digit < 10) {
            value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
            count += 1;
        }
        let plain = (1..=18).contains(&count) && (self.0[0] != b'0' || count == 1);
        self.0 = &self.0[count..];
        plain.then_some(value)
    }

    /// Pairs up to the closing bracket, which is taken too.
    fn levels(&mut self) -> Option<Vec<Level>> {
        if let Some(rest) = self.0.strip_prefix(b"]") {
            self.0 = rest;
            return Some(Vec::new());
        }
        let mut levels = Vec::with_capacity(USUAL_LEVELS);
        loop {
            self.expect(b"[\"")?;
            let price = self.decimal()?;
            self.expect(b",\"")?;
            let qty = self.decimal()?;
            let price = i64::try_from(price).ok().filter(|price| *price > 0)?;
            levels.push(Level { price: Price::from_raw(price), qty: Qty::from_raw(i128::from(qty)) });
            let (closing, rest) = self.0.split_first_chunk::<2>()?;
            self.0 = rest;
            match closing {
                b"]," => {}
                b"]]" => return Some(levels),
                _ => return None,
            }
        }
    }

    /// Digits with exactly eight decimals, as the venue writes prices and quantities, and the closing quote; in units of 1e-8.
    fn decimal(&mut self) -> Option<u64> {
        const { assert!(Price::DECIMALS == 8 && Qty::DECIMALS == 8) };
        let mut whole = 0_u64;
        let mut count = 0;
        loop {
            let digit = self.0.get(count)?.wrapping_sub(b'0');
            if digit > 9 {
                break;
            }
            whole = whole.wrapping_mul(10).wrapping_add(u64::from(digit));
            count += 1;
        }
        // Ten digits and eight decimals fit into a word.
        if !(1..=10).contains(&count) || self.0[count] != b'.' {
            return None;
        }
        let (fraction, rest) = self.0[count + 1..].split_first_chunk::<8>()?;
        self.0 = rest.strip_prefix(b"\"")?;
        Some(whole * 100_000_000 + eight_digits(*fraction)?)
    }
}

/// Eight digits at once: neighbours are joined to pairs, pairs to fours, fours to the number (Lemire and Mula's scheme).
fn eight_digits(digits: [u8; 8]) -> Option<u64> {
    let word = u64::from_le_bytes(digits);
    // Every byte is 0x30 to 0x39: the high half is 3, and adding 6 does not carry out of the low half.
    let all_digits = word & 0xf0f0_f0f0_f0f0_f0f0 == 0x3030_3030_3030_3030
        && word.wrapping_add(0x0606_0606_0606_0606) & 0xf0f0_f0f0_f0f0_f0f0 == 0x3030_3030_3030_3030;
    if !all_digits {
        return None;
    }
    let ones = word & 0x0f0f_0f0f_0f0f_0f0f;
    let pairs = (ones.wrapping_mul(10).wrapping_add(ones >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs.wrapping_mul(100).wrapping_add(pairs >> 16)) & 0x0000_ffff_0000_ffff;
    Some((fours.wrapping_mul(10_000).wrapping_add(fours >> 32)) & 0xffff_ffff)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::MarketData;
    use crate::venue::market_frame::{Frame, read_general, venue_time};

    const USUAL: &str = r#"{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1723161255208,"s":"BTCUSDT","U":5,"u":7,"b":[["61737.63000000","0.00000000"],["0.00000001","9999999999.99999999"]],"a":[]}}"#;

    /// What the short way gives, as the general reader would.
    fn short(json: &str) -> Option<Frame> {
        read_depth(json).map(|frame| Frame::Update {
            symbol: frame.symbol,
            exchange_time: Some(venue_time(frame.time)),
            data: MarketData::Depth(frame.diff),
        })
    }

    #[test]
    fn the_usual_form_is_read_and_others_are_left() {
        let frame = read_depth(USUAL).unwrap();
        assert_eq!((frame.symbol.as_str(), frame.time, frame.diff.bids.len(), frame.diff.asks.len()), ("BTCUSDT", 1_723_161_255_208, 2, 0));
        assert_eq!(frame.diff.bids[1].qty.to_string(), "9999999999.99999999");
        assert_eq!(short(USUAL), read_general(USUAL).ok());
        for other in [
            USUAL.replace("61737.63000000", "61737.63"),
            USUAL.replace("61737.63000000", "-1.00000000"),
            USUAL.replace("61737.63000000", "0.00000000"),
            USUAL.replace("\"U\"", " \"U\""),
            USUAL.replace("]]", "],]"),
            USUAL.replace("]]", "]"),
            USUAL.replace("\"a\":[]", "\"a\":[[]]"),
            USUAL.replace("@depth@100ms", "@depth20"),
            USUAL.replace("BTCUSDT", "BTC\\u0055SDT"),
            format!("{USUAL}x"),
            USUAL[..USUAL.len() - 1].to_owned(),
        ] {
            assert_eq!(read_depth(&other), None, "{other}");
        }
    }

    #[test]
    fn eight_digits_are_a_number_and_nothing_else_is() {
        assert_eq!(eight_digits(*b"12345678"), Some(12_345_678));
        assert_eq!((eight_digits(*b"00000000"), eight_digits(*b"99999999")), (Some(0), Some(99_999_999)));
        for place in 0..8 {
            for byte in (0..=u8::MAX).filter(|byte| !byte.is_ascii_digit()) {
                let mut digits = *b"10203040";
                digits[place] = byte;
                assert_eq!(eight_digits(digits), None, "{byte} at {place}");
            }
        }
    }

    proptest! {
        #[test]
        fn it_reads_what_the_general_reader_reads_or_leaves_it(
            bids in prop::collection::vec(("[0-9]{1,12}\\.[0-9]{8}", "[0-9]{1,11}\\.[0-9]{7,9}"), 0..5),
            asks in prop::collection::vec(("[0-9]{1,6}(\\.[0-9]{0,8})?", "[0-9]{1,11}\\.[0-9]{8}"), 0..3),
            ids in any::<(u64, u64, i64)>(),
            cut in 0_usize..400,
            swap in any::<u8>(),
        ) {
            let side = |levels: &[(String, String)]| levels.iter().map(|(p, q)| format!("[\"{p}\",\"{q}\"]")).collect::<Vec<_>>().join(",");
            let json = format!(
                r#"{{"stream":"x@depth@100ms","data":{{"e":"depthUpdate","E":{},"s":"XUSDT","U":{},"u":{},"b":[{}],"a":[{}]}}}}"#,
                ids.2, ids.0, ids.1, side(&bids), side(&asks)
            );
            if let Some(frame) = short(&json) {
                prop_assert_eq!(Some(frame), read_general(&json).ok());
            }
            let mut damaged = json.into_bytes();
            let place = cut % damaged.len();
            damaged[place] = swap & 127;
            let damaged = String::from_utf8(damaged).unwrap();
            if let Some(frame) = short(&damaged) {
                prop_assert_eq!(Some(frame), read_general(&damaged).ok());
            }
        }
    }
}
