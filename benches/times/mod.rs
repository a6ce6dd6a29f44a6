//! Latencies in nanoseconds, kept in a high dynamic range histogram, and told in one form.

use std::io::Write;
use std::time::Duration;

use hdrhistogram::Histogram;

/// Latencies of one kind of work; three significant digits.
pub struct Times(Histogram<u64>);

impl Times {
    pub fn new() -> Self {
        Self(Histogram::new_with_bounds(1, 3_600_000_000_000, 3).expect("an hour in nanoseconds, three digits"))
    }

    pub fn add(&mut self, took: Duration) {
        self.0.saturating_record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX).max(1));
    }

    pub fn len(&self) -> u64 {
        self.0.len()
    }

    /// `name  count  p50 p99 p99.9 max`, in microseconds.
    pub fn tell(&self, out: &mut impl Write, name: &str) {
        let micros = |nanos: u64| nanos as f64 / 1_000.0;
        let at = |percent: f64| micros(self.0.value_at_percentile(percent));
        let (p50, p99, p999, max) = (at(50.0), at(99.0), at(99.9), micros(self.0.max()));
        let count = self.0.len();
        writeln!(out, "  {name:<34} {count:>9}  p50 {p50:>10.2}  p99 {p99:>10.2}  p99.9 {p999:>10.2}  max {max:>11.2} us")
            .expect("standard output");
    }
}
