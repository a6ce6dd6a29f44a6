//! Numbers and times as people read them: grouped thousands, signs, natural decimals, human ages. Rounded half away from zero.

use crate::domain::{Bps, Money, Price, Qty, Span, Timestamp};

/// What stands for a number that is not known.
pub const UNKNOWN: &str = "-";

/// `raw / 10^scale` with `decimals` decimals and grouped thousands; a plus sign when `signed` and the shown value is above zero.
#[must_use]
pub fn decimal(raw: i128, scale: u32, decimals: u32, signed: bool) -> String {
    let decimals = decimals.min(scale);
    let grain = 10_u128.pow(scale - decimals);
    let magnitude = raw.unsigned_abs();
    let rounded = magnitude / grain + u128::from(magnitude % grain >= grain.div_ceil(2) && grain > 1);
    let unit = 10_u128.pow(decimals);
    let (whole, part) = (rounded / unit, rounded % unit);
    let sign = match (rounded, raw < 0, signed) {
        (0, _, _) => "",
        (_, true, _) => "-",
        (_, false, true) => "+",
        _ => "",
    };
    let places = decimals as usize;
    let tail = if decimals == 0 { String::new() } else { format!(".{part:0places$}") };
    format!("{sign}{}{tail}", grouped(whole))
}

/// Thousands separated by commas.
#[must_use]
pub fn grouped(whole: u128) -> String {
    let digits = whole.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[must_use]
pub fn count(n: u64) -> String {
    grouped(u128::from(n))
}

/// "3 orders", "1 order", "no order".
#[must_use]
pub fn counted(n: usize, one: &str, many: &str) -> String {
    match n {
        0 => format!("no {one}"),
        1 => format!("1 {one}"),
        n => format!("{} {many}", grouped(n as u128)),
    }
}

/// Two decimals; four below one, where cents would hide the number.
#[must_use]
pub fn money(amount: Money) -> String {
    decimal(amount.raw(), Money::DECIMALS, money_decimals(amount), false)
}

/// As `money`, with a sign.
#[must_use]
pub fn pnl(amount: Money) -> String {
    decimal(amount.raw(), Money::DECIMALS, money_decimals(amount), true)
}

fn money_decimals(amount: Money) -> u32 {
    let one = 10_u128.pow(Money::DECIMALS);
    if amount.raw() != 0 && amount.raw().unsigned_abs() < one { 4 } else { 2 }
}

#[must_use]
pub fn price(price: Price, decimals: u32) -> String {
    decimal(i128::from(price.raw()), Price::DECIMALS, decimals, false)
}

/// The decimals a price is written with, trailing zeros aside.
#[must_use]
pub fn decimals_of(price: Price) -> u32 {
    let mut raw = price.raw();
    let mut decimals = Price::DECIMALS;
    if raw == 0 {
        return 0;
    }
    while decimals > 0 && raw % 10 == 0 {
        raw /= 10;
        decimals -= 1;
    }
    decimals
}

/// The decimals that show every one of these prices in full.
pub fn natural_decimals(prices: impl IntoIterator<Item = Price>) -> u32 {
    prices.into_iter().map(decimals_of).max().unwrap_or(0)
}

/// All decimals that matter, none that do not.
#[must_use]
pub fn qty(qty: Qty) -> String {
    let mut text = decimal(qty.raw(), Qty::DECIMALS, Qty::DECIMALS, false);
    text.truncate(text.trim_end_matches('0').trim_end_matches('.').len());
    text
}

/// With exactly these decimals, so that a column lines up.
#[must_use]
pub fn qty_at(qty: Qty, decimals: u32) -> String {
    decimal(qty.raw(), Qty::DECIMALS, decimals, false)
}

/// The decimals that show every one of these quantities in full.
pub fn natural_qty_decimals(quantities: impl IntoIterator<Item = Qty>) -> u32 {
    let decimals = |q: Qty| self::qty(q).rsplit_once('.').map_or(0, |(_, part)| part.len() as u32);
    quantities.into_iter().map(decimals).max().unwrap_or(0)
}

/// Signed, one decimal.
#[must_use]
pub fn bps(rate: Bps) -> String {
    decimal(i128::from(rate.raw()), Bps::DECIMALS, 1, true)
}

/// A spread in bps, unsigned, two decimals: good books quote below one.
#[must_use]
pub fn spread(rate: Bps) -> String {
    format!("{} bps", decimal(i128::from(rate.raw()), Bps::DECIMALS, 2, false))
}

/// A model's forecast in bps, signed, one decimal.
#[must_use]
pub fn forecast(bps_value: f64) -> String {
    if bps_value.is_finite() { bps(Bps::from_f64(bps_value)) } else { UNKNOWN.to_owned() }
}

/// A rate as percent, two decimals.
#[must_use]
pub fn percent(rate: Bps, signed: bool) -> String {
    format!("{} %", decimal(i128::from(rate.raw()), Bps::DECIMALS + 2, 2, signed))
}

/// A percentage that comes as a float: at most two decimals.
#[must_use]
pub fn percent_value(value: f64) -> String {
    let text = format!("{value:.2}");
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

/// A length of time by its two largest units: "0.3 s", "45 s", "3m 05s", "2h 05m", "4d 3h".
#[must_use]
pub fn age(span: Span) -> String {
    let millis = span.millis();
    let sign = if millis < 0 { "-" } else { "" };
    let millis = millis.unsigned_abs();
    let secs = millis / 1000;
    match secs {
        0..=9 => format!("{sign}{}.{} s", secs, millis % 1000 / 100),
        10..=59 => format!("{sign}{secs} s"),
        60..=3_599 => format!("{sign}{}m {:02}s", secs / 60, secs % 60),
        3_600..=86_399 => format!("{sign}{}h {:02}m", secs / 3_600, secs % 3_600 / 60),
        _ => format!("{sign}{}d {}h", grouped(u128::from(secs / 86_400)), secs % 86_400 / 3_600),
    }
}

/// A small signed length: milliseconds below ten seconds, else as `age`.
#[must_use]
pub fn offset(span: Span) -> String {
    if span.abs().millis() >= 10_000 {
        return age(span);
    }
    format!("{} ms", decimal(i128::from(span.nanos()), 6, 1, true))
}

/// Time of day, UTC.
#[must_use]
pub fn clock(at: Timestamp) -> String {
    let secs = at.millis().div_euclid(1000).rem_euclid(86_400);
    format!("{:02}:{:02}:{:02}", secs / 3_600, secs / 60 % 60, secs % 60)
}

/// The day, UTC, ISO 8601.
#[must_use]
pub fn date(at: Timestamp) -> String {
    at.to_string().chars().take(10).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn m(text: &str) -> Money {
        text.parse().unwrap()
    }

    #[test]
    fn money_groups_thousands_and_keeps_small_amounts_visible() {
        assert_eq!(money(m("10012.345")), "10,012.35");
        assert_eq!(money(m("-1234567.1")), "-1,234,567.10");
        assert_eq!(pnl(m("0.0423")), "+0.0423");
        assert_eq!(pnl(m("-12.3")), "-12.30");
        assert_eq!(pnl(Money::ZERO), "0.00");
    }

    #[test]
    fn what_rounds_to_zero_carries_no_sign() {
        assert_eq!(pnl(m("-0.00001")), "0.0000");
        assert_eq!(bps(Bps::from_f64(-0.01)), "0.0");
    }

    #[test]
    fn prices_keep_the_decimals_of_their_market() {
        let p = |t: &str| t.parse::<Price>().unwrap();
        let decimals = natural_decimals([p("61837.5"), p("61837.63"), p("61838")]);
        assert_eq!(decimals, 2);
        assert_eq!(price(p("61838"), decimals), "61,838.00");
        assert_eq!(price(p("0.00001234"), natural_decimals([p("0.00001234")])), "0.00001234");
        assert_eq!(natural_decimals([]), 0);
    }

    #[test]
    fn quantities_and_rates_are_short() {
        assert_eq!(qty("0.00162000".parse().unwrap()), "0.00162");
        assert_eq!(qty("12000".parse().unwrap()), "12,000");
        assert_eq!(percent(Bps::from_bps(42), true), "+0.42 %");
        assert_eq!(percent(Bps::from_bps(-1234), false), "-12.34 %");
        assert_eq!(percent_value(1.0), "1 %");
        assert_eq!(forecast(12.34), "+12.3");
        assert_eq!(forecast(f64::NAN), UNKNOWN);
    }

    #[test]
    fn ages_read_as_people_say_them() {
        let text = |ms: i64| age(Span::from_millis(ms));
        assert_eq!(
            [text(320), text(1_250), text(45_000), text(185_000), text(7_500_000), text(356_400_000)],
            ["0.3 s", "1.2 s", "45 s", "3m 05s", "2h 05m", "4d 3h"]
        );
        assert_eq!(offset(Span::from_nanos(-1_272_000)), "-1.3 ms");
        assert_eq!(clock(Timestamp::from_millis(1_723_161_254_087)), "23:54:14");
        assert_eq!(date(Timestamp::from_millis(1_723_161_254_087)), "2024-08-08");
        assert_eq!(clock(Timestamp::from_millis(-1)), "23:59:59");
    }

    proptest! {
        #[test]
        fn a_formatted_number_is_within_half_a_grain(raw in any::<i64>(), decimals in 0_u32..=8) {
            let text = decimal(i128::from(raw), 8, decimals, true).replace(',', "");
            let shown: f64 = text.parse().unwrap();
            let value = raw as f64 / 1e8;
            prop_assert!((shown - value).abs() <= 0.5 * 10_f64.powi(-(decimals as i32)) + value.abs() * 1e-12);
        }

        #[test]
        fn every_number_has_a_text(raw in any::<i128>(), nanos in any::<i64>(), value in any::<f64>()) {
            let span = Span::from_nanos(nanos);
            let all = [money(Money::from_raw(raw)), pnl(Money::from_raw(raw)), qty(Qty::from_raw(raw)), age(span), offset(span)];
            prop_assert!(all.iter().all(|t| !t.is_empty()));
            prop_assert!(!forecast(value).is_empty() && !date(Timestamp::from_nanos(nanos)).is_empty());
        }
    }
}
