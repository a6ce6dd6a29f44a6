//! The rules: each looks at the evidence and says nothing or one sentence with a verdict.

use serde::{Deserialize, Serialize};

use super::{Health, WINDOW};
use crate::domain::{Span, Timestamp};
use crate::protocol::{FailureKind, HealthVerdict, Stream};

/// From when on evidence counts as trouble; configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HealthLimits {
    /// A feed older than this is late, milliseconds.
    pub feed_late_ms: u32,
    /// A stream down for longer than this is critical, milliseconds.
    pub stream_down_ms: u32,
    /// Change of the clock offset that is worth a word, milliseconds.
    pub clock_drift_ms: u32,
    /// Failures or refusals within five minutes that make a degraded box.
    pub failures: u32,
    /// Entries waiting for the data file that make a degraded box.
    pub store_pending: u32,
}

impl Default for HealthLimits {
    fn default() -> Self {
        Self { feed_late_ms: 5_000, stream_down_ms: 30_000, clock_drift_ms: 250, failures: 5, store_pending: 20_000 }
    }
}

/// A clock that is further off than this was never set.
const CLOCK_FAR: Span = Span::from_secs(60);

type Rule = fn(&Health, Timestamp) -> Option<(HealthVerdict, String)>;

pub(super) const RULES: &[Rule] =
    &[store_failed, credentials, stream_down, feed_late, gaps, clock_far, clock, failures, refusals, unreadable, store_behind];

fn store_failed(h: &Health, _: Timestamp) -> Option<(HealthVerdict, String)> {
    h.store_failed.then(|| (HealthVerdict::Critical, "the data file can not be written".to_owned()))
}

fn credentials(h: &Health, now: Timestamp) -> Option<(HealthVerdict, String)> {
    let seen = h.failures.get(&FailureKind::Credentials)?.recent(now, Span::from_secs(60));
    (seen > 0).then(|| (HealthVerdict::Critical, "the venue does not accept the API key".to_owned()))
}

fn stream_down(h: &Health, now: Timestamp) -> Option<(HealthVerdict, String)> {
    let limit = Span::from_millis(i64::from(h.limits.stream_down_ms));
    let (stream, down) = h.links.iter().filter(|(_, link)| !link.up).find_map(|(stream, link)| Some((*stream, now.since(link.since?))))?;
    let name = match stream {
        Stream::Market => "market",
        Stream::User => "user data",
    };
    let verdict = if down > limit { HealthVerdict::Critical } else { HealthVerdict::Degraded };
    Some((verdict, format!("{name} stream down for {:.0} s", down.secs_f64())))
}

fn feed_late(h: &Health, now: Timestamp) -> Option<(HealthVerdict, String)> {
    let limit = Span::from_millis(i64::from(h.limits.feed_late_ms));
    let (symbol, age) = h.feeds.iter().map(|(symbol, at)| (symbol, now.since(*at))).max_by_key(|(_, age)| *age)?;
    (age > limit).then(|| (HealthVerdict::Degraded, format!("{symbol}: no market data for {:.1} s", age.secs_f64())))
}

fn gaps(h: &Health, now: Timestamp) -> Option<(HealthVerdict, String)> {
    let seen = h.gaps.recent(now, WINDOW);
    (seen > 0).then(|| (HealthVerdict::Degraded, format!("{seen} book gaps in 5 minutes")))
}

/// Everything here is dated by this box: the day of the loss limits, every deadline, and what the next run reads of them.
fn clock_far(h: &Health, _: Timestamp) -> Option<(HealthVerdict, String)> {
    let (offset, _) = h.clock()?;
    let way = if offset > Span::ZERO { "ahead of" } else { "behind" };
    let text = || format!("the clock is {:.0} s {way} the venue's: set it and start again", offset.abs().secs_f64());
    (offset.abs() > CLOCK_FAR).then(|| (HealthVerdict::Critical, text()))
}

fn clock(h: &Health, _: Timestamp) -> Option<(HealthVerdict, String)> {
    let drift = h.clock_drift()?.abs();
    let limit = Span::from_millis(i64::from(h.limits.clock_drift_ms));
    (drift > limit).then(|| (HealthVerdict::Degraded, format!("clock offset moved by {} ms", drift.millis())))
}

fn failures(h: &Health, now: Timestamp) -> Option<(HealthVerdict, String)> {
    let seen: usize = h.failures.values().map(|f| f.recent(now, WINDOW)).sum();
    (seen >= h.limits.failures as usize).then(|| (HealthVerdict::Degraded, format!("{seen} failures in 5 minutes")))
}

fn refusals(h: &Health, now: Timestamp) -> Option<(HealthVerdict, String)> {
    let seen = h.venue_refusals.recent(now, WINDOW);
    (seen >= h.limits.failures as usize).then(|| (HealthVerdict::Degraded, format!("the venue refused {seen} orders in 5 minutes")))
}

fn unreadable(h: &Health, now: Timestamp) -> Option<(HealthVerdict, String)> {
    let seen = h.unreadable.recent(now, WINDOW);
    (seen > 0).then(|| (HealthVerdict::Degraded, format!("{seen} unreadable messages in 5 minutes")))
}

fn store_behind(h: &Health, _: Timestamp) -> Option<(HealthVerdict, String)> {
    (h.store_pending > h.limits.store_pending)
        .then(|| (HealthVerdict::Degraded, format!("{} entries wait for the data file", h.store_pending)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use HealthVerdict::{Critical, Degraded, Healthy};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    type Feed = fn(&mut Health);

    #[test]
    fn every_rule_fires_and_stays_quiet() {
        let cases: [(&str, Feed, Feed, HealthVerdict); 11] = [
            ("store failed", |h| h.on_store(0, true), |h| h.on_store(0, false), Critical),
            (
                "credentials",
                |h| h.on_failure(FailureKind::Credentials, at(39)),
                |h| h.on_failure(FailureKind::Credentials, at(41)),
                Critical,
            ),
            ("stream down", |h| h.on_link(Stream::User, true, at(0)), |h| h.on_link(Stream::User, false, at(69)), Critical),
            (
                "feed late",
                |h| h.on_market("BTCUSDT".parse().unwrap(), at(95)),
                |h| h.on_market("BTCUSDT".parse().unwrap(), at(94)),
                Degraded,
            ),
            ("gaps", |_| (), |h| h.on_gap(at(99)), Degraded),
            (
                "clock",
                |h| {
                    h.on_clock(Span::from_millis(-1272), Span::ZERO, at(1));
                    h.on_clock(Span::from_millis(-1022), Span::ZERO, at(2));
                },
                |h| {
                    h.on_clock(Span::from_millis(-1272), Span::ZERO, at(1));
                    h.on_clock(Span::from_millis(-1021), Span::ZERO, at(2));
                },
                Degraded,
            ),
            (
                "clock far",
                |h| h.on_clock(Span::from_secs(60), Span::ZERO, at(1)),
                |h| h.on_clock(Span::from_secs(-36_000), Span::ZERO, at(1)),
                Critical,
            ),
            (
                "failures",
                |h| (0..4).for_each(|_| h.on_failure(FailureKind::Network, at(90))),
                |h| (0..5).for_each(|_| h.on_failure(FailureKind::Network, at(90))),
                Degraded,
            ),
            (
                "refusals",
                |h| (0..4).for_each(|_| h.on_venue_refusal(at(90))),
                |h| (0..5).for_each(|_| h.on_venue_refusal(at(90))),
                Degraded,
            ),
            ("unreadable", |h| h.on_unreadable(0, at(90)), |h| h.on_unreadable(1, at(90)), Degraded),
            ("store behind", |h| h.on_store(20_000, true), |h| h.on_store(20_001, true), Degraded),
        ];
        for (name, quiet, loud, expected) in cases {
            let mut health = Health::new(HealthLimits::default());
            quiet(&mut health);
            assert_eq!(health.verdict(at(100)).0, Healthy, "{name} quiet");
            let mut health = Health::new(HealthLimits::default());
            loud(&mut health);
            let (verdict, reasons) = health.verdict(at(100));
            assert_eq!((verdict, reasons.len()), (expected, 1), "{name}: {reasons:?}");
        }
    }
}
