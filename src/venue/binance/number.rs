//! Values of REST and WebSocket API answers: numbers as text or bare, with or without an exponent, always exact; and list elements
//! that cost only themselves when they cannot be read.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::Deserialize;
use serde::de::{self, DeserializeOwned, Deserializer, Visitor};
use serde_json::value::RawValue;

/// Exponents beyond this are nonsense (and would make a long text).
const LARGEST_EXPONENT: i32 = 40;

/// A number in quotes or bare; `1e-05` is `0.00001`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Num<T>(pub T);

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for Num<T> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct Any<T>(PhantomData<T>);
        impl<T: FromStr<Err: fmt::Display>> Visitor<'_> for Any<T> {
            type Value = Num<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Num<T>, E> {
                let parsed = match plain(text) {
                    Some(plain) => plain.parse(),
                    None => text.parse(),
                };
                parsed.map(Num).map_err(E::custom)
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Num<T>, E> {
                self.visit_str(&number.to_string())
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Num<T>, E> {
                self.visit_str(&number.to_string())
            }
            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Num<T>, E> {
                // The shortest decimal that means this float: up to 15 digits it is what was written.
                self.visit_str(&number.to_string())
            }
        }
        input.deserialize_any(Any(PhantomData))
    }
}

/// The plain decimal of a number with an exponent, exactly; `None` when it has none or is malformed.
fn plain(text: &str) -> Option<String> {
    let (mantissa, exponent) = text.split_once(['e', 'E'])?;
    let exponent: i32 = exponent.parse().ok().filter(|e: &i32| e.abs() <= LARGEST_EXPONENT)?;
    let (sign, digits) = match mantissa.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", mantissa),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = format!("{whole}{fraction}");
    if all.is_empty() || all.len() > 60 || !all.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let point = i32::try_from(whole.len()).ok()? + exponent;
    let shifted = if point <= 0 {
        format!("0.{}{all}", "0".repeat(point.unsigned_abs() as usize))
    } else if (point as usize) < all.len() {
        format!("{}.{}", &all[..point as usize], &all[point as usize..])
    } else {
        format!("{all}{}", "0".repeat(point as usize - all.len()))
    };
    Some(format!("{sign}{shifted}"))
}

/// An element that is `None` when it is not what was expected.
#[derive(Debug)]
pub(super) struct Lenient<T>(pub Option<T>);

impl<'de, T: DeserializeOwned> Deserialize<'de> for Lenient<T> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(input)?;
        Ok(Self(serde_json::from_str(raw.get()).ok()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{Price, Qty};

    #[test]
    fn numbers_with_exponents_and_without_quotes_are_exact() {
        for (text, wanted) in [
            (r#""1e-05""#, "0.00001"),
            ("1e-05", "0.00001"),
            (r#""1.5E-7""#, "0.00000015"),
            (r#""12.5e3""#, "12500"),
            (r#""1.25e1""#, "12.5"),
            ("0.1", "0.1"),
            ("100", "100"),
            (r#""60000.10""#, "60000.1"),
        ] {
            assert_eq!(serde_json::from_str::<Num<Price>>(text).unwrap().0.to_string(), wanted, "{text}");
        }
        assert_eq!(serde_json::from_str::<Num<Qty>>("-1e2").unwrap().0.to_string(), "-100");
        for bad in
            ["null", "[]", "{}", "true", r#""""#, r#""e5""#, r#""1e""#, r#""1e999""#, r#""1e-9""#, r#""0x10""#, r#""1,5""#, r#""NaN""#]
        {
            assert!(serde_json::from_str::<Num<Price>>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_unreadable_element_costs_itself() {
        let read: Vec<Lenient<Num<Price>>> = serde_json::from_str(r#"["1",{"a":[1]},"x","2"]"#).unwrap();
        assert_eq!(read.into_iter().filter_map(|e| e.0).map(|n| n.0.to_string()).collect::<Vec<_>>(), ["1", "2"]);
    }

    proptest! {
        #[test]
        fn an_exponent_moves_the_point_and_nothing_else(raw in 1_i64..1_000_000_000_000, shift in -8_i32..9) {
            let price = Price::from_raw(raw);
            let text = format!("\"{}e{}\"", raw, -8);
            prop_assert_eq!(serde_json::from_str::<Num<Price>>(&text).unwrap().0, price);
            let moved = format!("\"{price}e{shift}\"");
            let there_and_back = plain(moved.trim_matches('"')).map(|p| format!("{p}e{}", -shift)).and_then(|p| plain(&p)).unwrap();
            prop_assert_eq!(there_and_back.parse::<Price>().unwrap(), price);
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,30}") {
            let _ = plain(&text);
        }
    }
}
