//! Exact decimal numbers: `Price`, `Qty`, `Money`, `Bps`.
//!
//! | type | raw | unit of raw | range | why |
//! |---|---|---|---|---|
//! | `Price` | i64 | 1e-8 | ± 9.2e10 | the finest tick of the venue is 1e-8 |
//! | `Qty` | i128 | 1e-8 | ± 1.7e30 | micro-priced coins trade in more than 1e11 units |
//! | `Money` | i128 | 1e-16 | ± 1.7e22 | `Price × Qty` is exact, so nothing is ever rounded in the ledger |
//! | `Bps` | i64 | 1e-4 bps = 1e-8 | | a fee of 0.75 bps is exact |
//!
//! `+`, `-` and `neg` saturate at the range's end, which is 10^9 times any real balance; products are checked.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Why a text is not a number of the wanted type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    #[error("empty number")]
    Empty,
    #[error("'{0}' is not a plain decimal number")]
    Malformed(String),
    #[error("'{0}' has more than {1} decimals")]
    TooFine(String, u32),
    #[error("'{0}' is out of range")]
    OutOfRange(String),
}

/// A price in quote units per base unit, in steps of 1e-8.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Price(i64);

/// A quantity of an asset, in steps of 1e-8; signed, so that flows and short positions fit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Qty(i128);

/// An amount of quote currency, in steps of 1e-16: wide and fine enough that every notional is exact.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Money(i128);

/// A signed rate in basis points, in steps of 1e-4 bps; a maker rebate is negative.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Bps(i64);

const RATE_ONE: i128 = 100_000_000;

impl Price {
    pub const DECIMALS: u32 = 8;
    pub const ZERO: Self = Self(0);
    pub const MAX: Self = Self(i64::MAX);

    #[must_use]
    pub const fn from_raw(raw: i64) -> Self {
        Self(raw)
    }
    #[must_use]
    pub const fn raw(self) -> i64 {
        self.0
    }
    #[must_use]
    pub const fn is_positive(self) -> bool {
        self.0 > 0
    }
    /// The named door to floats (features, models, drawing). Quote units.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        self.0 as f64 / 1e8
    }
    /// `self × qty`, exact; `None` beyond the range of `Money`.
    #[must_use]
    pub fn notional(self, qty: Qty) -> Option<Money> {
        i128::from(self.0).checked_mul(qty.0).map(Money)
    }
    /// The point half way between two prices, exact to 1e-8 (rounded down).
    #[must_use]
    pub fn midpoint(self, other: Self) -> Self {
        Self(((i128::from(self.0) + i128::from(other.0)) / 2) as i64)
    }
    /// `self` moved by `rate` (positive = up), rounded towards zero.
    #[must_use]
    pub fn shifted(self, rate: Bps) -> Self {
        let moved = i128::from(self.0) * (RATE_ONE + i128::from(rate.0)) / RATE_ONE;
        Self(moved.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64)
    }
    /// The signed distance from `reference` to `self`; zero when `reference` is zero.
    #[must_use]
    pub fn distance_bps(self, reference: Self) -> Bps {
        if reference.0 == 0 {
            return Bps::ZERO;
        }
        let diff = (i128::from(self.0) - i128::from(reference.0)) * RATE_ONE;
        Bps((diff / i128::from(reference.0)).clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64)
    }
}

impl Qty {
    pub const DECIMALS: u32 = 8;
    pub const ZERO: Self = Self(0);

    #[must_use]
    pub const fn from_raw(raw: i128) -> Self {
        Self(raw)
    }
    #[must_use]
    pub const fn raw(self) -> i128 {
        self.0
    }
    #[must_use]
    pub const fn is_positive(self) -> bool {
        self.0 > 0
    }
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
    #[must_use]
    pub const fn abs(self) -> Self {
        Self(self.0.abs())
    }
    /// The named door to floats. Base units.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        self.0 as f64 / 1e8
    }
    /// The largest multiple of `step` that is not above `self`; `self` when `step` is zero.
    #[must_use]
    pub fn floor_to(self, step: Self) -> Self {
        if step.0 <= 0 { self } else { Self(self.0 - self.0.rem_euclid(step.0)) }
    }
    /// `self × rate`, rounded towards zero to 1e-8 (how the venue rounds commissions in the base asset).
    #[must_use]
    pub fn at_rate(self, rate: Bps) -> Self {
        Self(self.0.saturating_mul(i128::from(rate.0)) / RATE_ONE)
    }
}

impl Money {
    pub const DECIMALS: u32 = 16;
    pub const ZERO: Self = Self(0);
    /// Raw units in 1e-8 of a quote unit: the grain of a venue's balances.
    const VENUE_GRAIN: i128 = 100_000_000;

    #[must_use]
    pub const fn from_raw(raw: i128) -> Self {
        Self(raw)
    }
    #[must_use]
    pub const fn raw(self) -> i128 {
        self.0
    }
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
    #[must_use]
    pub const fn is_positive(self) -> bool {
        self.0 > 0
    }
    #[must_use]
    pub const fn abs(self) -> Self {
        Self(self.0.abs())
    }
    /// A balance of the quote asset read as money; exact.
    #[must_use]
    pub fn from_quote(balance: Qty) -> Self {
        Self(balance.0.saturating_mul(Self::VENUE_GRAIN))
    }
    /// This money as a venue balance (1e-8), rounded towards zero.
    #[must_use]
    pub fn to_quote(self) -> Qty {
        Qty(self.0 / Self::VENUE_GRAIN)
    }
    /// The named door to floats. Quote units.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        self.0 as f64 / 1e16
    }
    /// `self × rate`, rounded towards zero to 1e-16.
    #[must_use]
    pub fn at_rate(self, rate: Bps) -> Self {
        let whole = self.0 / RATE_ONE;
        let rest = self.0 % RATE_ONE;
        let rate = i128::from(rate.0);
        Self(whole.saturating_mul(rate).saturating_add(rest * rate / RATE_ONE))
    }
    /// `self × part / whole`, rounded towards zero; `self` when `whole` is zero. The rest stays with the caller, so sums stay exact.
    #[must_use]
    pub fn share(self, part: Qty, whole: Qty) -> Self {
        if whole.0 == 0 || part == whole {
            return self;
        }
        match self.0.checked_mul(part.0) {
            Some(product) => Self(product / whole.0),
            // Split so that the product fits: quotient and remainder of the cost by the whole quantity.
            None => {
                let (quotient, rest) = (self.0 / whole.0, self.0 % whole.0);
                let head = quotient.saturating_mul(part.0);
                let tail = (rest as f64 * (part.0 as f64 / whole.0 as f64)) as i128;
                Self(head.saturating_add(tail))
            }
        }
    }
    /// The quantity this money buys at `price`, rounded down to 1e-8; zero for a non-positive price.
    #[must_use]
    pub fn buys_at(self, price: Price) -> Qty {
        if price.0 <= 0 { Qty::ZERO } else { Qty(self.0 / i128::from(price.0)) }
    }
    /// `self / base` as a rate; zero when `base` is zero.
    #[must_use]
    pub fn ratio_bps(self, base: Self) -> Bps {
        if base.0 == 0 {
            return Bps::ZERO;
        }
        let ratio = self.0 as f64 / base.0 as f64 * RATE_ONE as f64;
        Bps(ratio.clamp(i64::MIN as f64, i64::MAX as f64) as i64)
    }
}

impl Bps {
    pub const DECIMALS: u32 = 4;
    pub const ZERO: Self = Self(0);

    #[must_use]
    pub const fn from_raw(raw: i64) -> Self {
        Self(raw)
    }
    /// Whole basis points.
    #[must_use]
    pub const fn from_bps(bps: i64) -> Self {
        Self(bps * 10_000)
    }
    #[must_use]
    pub const fn raw(self) -> i64 {
        self.0
    }
    /// Basis points as a float.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        self.0 as f64 / 1e4
    }
    /// From float basis points, to the nearest 1e-4 bps; for configuration and model output, never for money.
    #[must_use]
    pub fn from_f64(bps: f64) -> Self {
        if bps.is_finite() { Self((bps * 1e4).round().clamp(-9e18, 9e18) as i64) } else { Self::ZERO }
    }
}

macro_rules! arithmetic {
    ($type:ident, $raw:ty) => {
        impl Add for $type {
            type Output = Self;
            fn add(self, other: Self) -> Self {
                Self(self.0.saturating_add(other.0))
            }
        }
        impl Sub for $type {
            type Output = Self;
            fn sub(self, other: Self) -> Self {
                Self(self.0.saturating_sub(other.0))
            }
        }
        impl Neg for $type {
            type Output = Self;
            fn neg(self) -> Self {
                Self(self.0.saturating_neg())
            }
        }
        impl AddAssign for $type {
            fn add_assign(&mut self, other: Self) {
                *self = *self + other;
            }
        }
        impl SubAssign for $type {
            fn sub_assign(&mut self, other: Self) {
                *self = *self - other;
            }
        }
        impl Sum for $type {
            fn sum<I: Iterator<Item = Self>>(items: I) -> Self {
                items.fold(Self(0), Add::add)
            }
        }
        impl FromStr for $type {
            type Err = NumberError;
            fn from_str(text: &str) -> Result<Self, NumberError> {
                let raw = parse_decimal(text, Self::DECIMALS)?;
                <$raw>::try_from(raw).map(Self).map_err(|_| NumberError::OutOfRange(text.to_owned()))
            }
        }
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_decimal(f, i128::from(self.0), Self::DECIMALS)
            }
        }
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_decimal(f, i128::from(self.0), Self::DECIMALS)
            }
        }
        impl Serialize for $type {
            /// A decimal string for people, the raw integer for the data file.
            fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
                if !out.is_human_readable() {
                    return self.0.serialize(out);
                }
                let mut room = [0; DECIMAL_ROOM];
                let text = trimmed(decimal(i128::from(self.0).unsigned_abs(), Self::DECIMALS, &mut room));
                if self.0 >= 0 { out.serialize_str(text) } else { out.collect_str(self) }
            }
        }
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
                if input.is_human_readable() {
                    let text = std::borrow::Cow::<'de, str>::deserialize(input)?;
                    text.parse().map_err(de::Error::custom)
                } else {
                    <$raw>::deserialize(input).map(Self)
                }
            }
        }
    };
}

arithmetic!(Price, i64);
arithmetic!(Qty, i128);
arithmetic!(Money, i128);
arithmetic!(Bps, i64);

/// Plain decimals only: optional sign, digits, optional fraction. Trailing zeros beyond `decimals` are accepted.
fn parse_decimal(text: &str, decimals: u32) -> Result<i128, NumberError> {
    let malformed = || NumberError::Malformed(text.chars().take(40).collect());
    let (negative, digits) = match text.as_bytes() {
        [] => return Err(NumberError::Empty),
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        all => (false, all),
    };
    if let Some(raw) = parse_short(digits, decimals) {
        return Ok(if negative { -raw } else { raw });
    }
    let mut raw: i128 = 0;
    let mut fraction: Option<u32> = None;
    let mut seen = false;
    for &byte in digits {
        match byte {
            b'0'..=b'9' => {
                seen = true;
                let digit = i128::from(byte - b'0');
                match fraction.as_mut() {
                    Some(count) if *count == decimals => {
                        if digit != 0 {
                            return Err(NumberError::TooFine(text.to_owned(), decimals));
                        }
                        continue;
                    }
                    Some(count) => *count += 1,
                    None => {}
                }
                raw = raw.checked_mul(10).and_then(|r| r.checked_add(digit)).ok_or_else(|| NumberError::OutOfRange(text.to_owned()))?;
            }
            b'.' if fraction.is_none() => fraction = Some(0),
            _ => return Err(malformed()),
        }
    }
    if !seen {
        return Err(malformed());
    }
    let missing = decimals - fraction.unwrap_or(0);
    let raw = raw.checked_mul(10_i128.pow(missing)).ok_or_else(|| NumberError::OutOfRange(text.to_owned()))?;
    Ok(if negative { -raw } else { raw })
}

/// What a machine word holds, which is nearly every number of a market: five times as fast. `None` leaves it to the long way, errors included.
fn parse_short(digits: &[u8], decimals: u32) -> Option<i128> {
    const POWERS: [u64; 17] = {
        let mut powers = [1; 17];
        let mut at = 1;
        while at < powers.len() {
            powers[at] = powers[at - 1] * 10;
            at += 1;
        }
        powers
    };
    if digits.len() > 19 {
        return None;
    }
    let (mut raw, mut point) = (0_u64, None);
    for (at, byte) in digits.iter().enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit < 10 {
            raw = raw.wrapping_mul(10).wrapping_add(u64::from(digit));
        } else if *byte == b'.' && point.is_none() {
            point = Some(at);
        } else {
            return None;
        }
    }
    // Nineteen digits fit; a text of nothing but a point has none.
    let count = digits.len() - usize::from(point.is_some());
    let fraction = point.map_or(0, |at| digits.len() - at - 1);
    let missing = (decimals as usize).checked_sub(fraction).filter(|_| count > 0)?;
    Some(i128::from(raw) * i128::from(*POWERS.get(missing)?))
}

/// The shortest plain decimal: no exponent, no trailing zeros; honours the formatter's precision by truncation.
fn write_decimal(f: &mut fmt::Formatter<'_>, raw: i128, decimals: u32) -> fmt::Result {
    let width = decimals as usize;
    let mut room = [0; DECIMAL_ROOM];
    let text = decimal(raw.unsigned_abs(), decimals, &mut room);
    let text = match f.precision() {
        Some(0) => &text[..text.len() - width - 1],
        Some(wanted) if wanted < width => &text[..text.len() - (width - wanted)],
        Some(_) => text,
        None => trimmed(text),
    };
    f.pad_integral(raw >= 0, "", text)
}

/// The digits of any 128-bit number and a point.
const DECIMAL_ROOM: usize = 40;

/// `magnitude` units of `10^-decimals`, with all decimals; `decimals` is 1 to 19. Prices and quantities are printed by the hundred with every
/// order that is kept or sent, so this neither allocates nor divides wide numbers that are narrow.
fn decimal(magnitude: u128, decimals: u32, room: &mut [u8; DECIMAL_ROOM]) -> &str {
    let unit = 10_u64.pow(decimals);
    let (mut whole, part) = match u64::try_from(magnitude) {
        Ok(narrow) => (u128::from(narrow / unit), narrow % unit),
        Err(_) => (magnitude / u128::from(unit), (magnitude % u128::from(unit)) as u64),
    };
    let mut start = digits(part, decimals, DECIMAL_ROOM, room) - 1;
    room[start] = b'.';
    // Of a wide number nineteen digits at a time fit into a word.
    while let Err(_) = u64::try_from(whole) {
        start = digits((whole % u128::from(WORD_UNIT)) as u64, WORD_DIGITS, start, room);
        whole /= u128::from(WORD_UNIT);
    }
    start = digits(whole as u64, 1, start, room);
    std::str::from_utf8(&room[start..]).expect("digits and a point are ASCII")
}

const WORD_DIGITS: u32 = 19;
const WORD_UNIT: u64 = 10_u64.pow(WORD_DIGITS);

/// Writes a number so that it ends before `end`, with at least `width` digits; gives where it starts.
fn digits(mut number: u64, width: u32, end: usize, room: &mut [u8; DECIMAL_ROOM]) -> usize {
    let mut start = end;
    while number > 0 || end - start < width as usize {
        start -= 1;
        room[start] = b'0' + (number % 10) as u8;
        number /= 10;
    }
    start
}

/// Without zeros at the end of the decimals.
fn trimmed(text: &str) -> &str {
    text.trim_end_matches('0').trim_end_matches('.')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn notional_is_exact() {
        let price: Price = "61837.63000001".parse().unwrap();
        let qty: Qty = "0.00000003".parse().unwrap();
        assert_eq!(price.notional(qty).unwrap().to_string(), "0.0018551289000003");
        let micro: Price = "0.00000001".parse().unwrap();
        let many: Qty = "900000000000".parse().unwrap();
        assert_eq!(micro.notional(many).unwrap().to_string(), "9000");
    }

    #[test]
    fn malformed_numbers_are_refused() {
        for text in ["", "-", ".", "1e-5", "1,5", "0.123456789", "NaN", "99999999999999999999999"] {
            assert!(text.parse::<Price>().is_err(), "{text}");
        }
        assert_eq!("1.500000000000".parse::<Price>().unwrap(), Price::from_raw(150_000_000));
    }

    #[test]
    fn rates_and_shares_round_towards_zero() {
        let money: Money = "1000".parse().unwrap();
        assert_eq!(money.at_rate(Bps::from_f64(7.5)).to_string(), "0.75");
        assert_eq!(money.at_rate(Bps::from_f64(-0.5)).to_string(), "-0.05");
        let third = money.share(Qty::from_raw(1), Qty::from_raw(3));
        assert_eq!(third.to_string(), "333.3333333333333333");
        assert_eq!("101".parse::<Price>().unwrap().distance_bps("100".parse().unwrap()), Bps::from_bps(100));
    }

    #[test]
    fn precision_truncates_for_display() {
        let money: Money = "-12.3456".parse().unwrap();
        assert_eq!(format!("{money:.2}"), "-12.34");
        assert_eq!(format!("{money:>8.1}"), "   -12.3");
        assert_eq!(format!("{:.0}", Money::ZERO), "0");
    }

    proptest! {
        /// Leading zeros send the same number the long way.
        #[test]
        fn a_printed_number_is_what_division_says(raw in any::<i128>(), narrow in 0_u32..128, decimals in 1_u32..19, places in 0_usize..20) {
            struct Printed(i128, u32);
            impl fmt::Display for Printed {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    write_decimal(f, self.0, self.1)
                }
            }
            let raw = raw >> narrow;
            let (unit, magnitude, width) = (10_u128.pow(decimals), raw.unsigned_abs(), decimals as usize);
            let whole = format!("{}{}.{:0width$}", if raw < 0 { "-" } else { "" }, magnitude / unit, magnitude % unit);
            let cut = if places == 0 { whole.len() - width - 1 } else { whole.len() - width + places.min(width) };
            prop_assert_eq!(format!("{:.places$}", Printed(raw, decimals)), &whole[..cut]);
            prop_assert_eq!(Printed(raw, decimals).to_string(), whole.trim_end_matches('0').trim_end_matches('.'));
            let money = Money::from_raw(raw);
            prop_assert_eq!(serde_json::to_string(&money).unwrap(), format!("\"{money}\""));
        }

        #[test]
        fn the_short_way_reads_what_the_long_way_reads(text in "[-+]?[0-9]{0,12}(\\.[0-9]{0,9})?", decimals in prop::sample::select(vec![4_u32, 8, 16])) {
            let (sign, digits) = text.split_at(usize::from(text.starts_with(['-', '+'])));
            let long = format!("{sign}{:0>20}{digits}", "");
            match (parse_decimal(&text, decimals), parse_decimal(&long, decimals)) {
                (Ok(short), Ok(long)) => prop_assert_eq!(short, long),
                (short, long) => prop_assert!(short.is_err() && (long.is_err() || !digits.bytes().any(|b| b.is_ascii_digit()))),
            }
        }
    }

    proptest! {
        #[test]
        fn text_and_binary_forms_round_trip(raw in any::<i64>(), wide in -(10_i128.pow(36))..10_i128.pow(36)) {
            let price = Price::from_raw(raw);
            prop_assert_eq!(price.to_string().parse::<Price>().unwrap(), price);
            let money = Money::from_raw(wide);
            prop_assert_eq!(serde_json::from_str::<Money>(&serde_json::to_string(&money).unwrap()).unwrap(), money);
            let bytes = bincode::serde::encode_to_vec(money, bincode::config::standard()).unwrap();
            let (back, _): (Money, usize) = bincode::serde::decode_from_slice(&bytes, bincode::config::standard()).unwrap();
            prop_assert_eq!(back, money);
        }

        #[test]
        fn shares_never_exceed_the_whole(cost in 0_i128..10_i128.pow(30), part in 0_i128..10_i128.pow(15), rest in 1_i128..10_i128.pow(15)) {
            let share = Money::from_raw(cost).share(Qty::from_raw(part), Qty::from_raw(part + rest));
            prop_assert!(share.raw() >= 0 && share.raw() <= cost);
        }
    }
}
