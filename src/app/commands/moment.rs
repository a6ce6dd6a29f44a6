//! Moments as people write them.

use crate::app::failure::{Failure, Outcome};
use crate::domain::{Interval, Timestamp};

/// `2024-01-31`, `2024-01-31T12:00`, a time with a zone, or a length before `now` such as `30d`. Without a zone: UTC.
pub fn moment(text: &str, now: Timestamp) -> Outcome<Timestamp> {
    if let Ok(length) = text.parse::<Interval>() {
        return Ok(now - length.span());
    }
    let utc = jiff::tz::TimeZone::UTC;
    let zoned = text.parse::<jiff::Timestamp>().ok();
    let plain = || text.parse::<jiff::civil::DateTime>().ok()?.to_zoned(utc.clone()).ok().map(|z| z.timestamp());
    let nanos = zoned.or_else(plain).and_then(|time| i64::try_from(time.as_nanosecond()).ok());
    nanos.map(Timestamp::from_nanos).ok_or_else(|| {
        Failure::usage(format!("'{text}' is not a moment; write a day such as 2024-01-31 (UTC), or a length before now such as 30d"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_times_and_lengths_are_moments() {
        let now = Timestamp::from_millis(1_700_000_000_000);
        let at = |text: &str| moment(text, now).unwrap().millis();
        assert_eq!(at("2024-01-31"), 1_706_659_200_000);
        assert_eq!(at("2024-01-31T12:00"), 1_706_702_400_000);
        assert_eq!(at("2024-01-31T13:00:00+01:00"), 1_706_702_400_000);
        assert_eq!(at("2d"), 1_700_000_000_000 - 2 * 86_400_000);
        assert!(moment("soon", now).unwrap_err().to_string().contains("'soon' is not a moment"));
    }
}
