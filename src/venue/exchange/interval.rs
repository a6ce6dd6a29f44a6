//! Candle lengths that the exchange serves.

use crate::domain::Interval;

/// Binance's fixed-length intervals up to three days, and `5s`, which is ours: the demo trades five-second bars.
/// Weeks and months start on calendar days, not on multiples of their length: `grid` knows them.
const SERVED: [&str; 15] = ["1s", "5s", "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d"];

/// Case-sensitive; `None` for an interval that is not served.
pub(super) fn kline_interval(text: &str) -> Option<Interval> {
    if SERVED.contains(&text) { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_seconds_are_served_and_months_are_not() {
        assert_eq!(kline_interval("5s").unwrap().secs(), 5);
        for text in SERVED {
            assert!(kline_interval(text).is_some(), "{text}");
        }
        for text in ["1M", "1w", "7m", "1H", ""] {
            assert!(kline_interval(text).is_none(), "{text}");
        }
    }
}
