//! Parent orders summed up: fill ratio, fees, slippage, mark-outs, and what maker logic saved against taking everything at its decision.
//!
//! The figure to judge by is the one all in: orders for which waiting cost most are those that never filled, and a mean over what filled
//! does not have them.

use serde::Serialize;

use super::metrics::mean;
use crate::domain::{Money, Role};
use crate::protocol::{OrderCostRecord, ParentPurpose, QuoteOption};

/// Means weigh every parent alike; money is summed. `None` where nothing was to be averaged.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct CostSummary {
    pub parents: usize,
    pub entries: usize,
    pub exits: usize,
    pub targets: usize,
    pub stops: usize,
    /// Parents that were filled at least in part.
    pub filled: usize,
    /// Filled share of the wanted notional.
    pub fill_ratio: Option<f64>,
    /// Share of the filled notional that was filled as maker.
    pub maker_share: Option<f64>,
    pub fees: Money,
    pub slippage: Money,
    pub slippage_bps: Option<f64>,
    pub markout_1s_bps: Option<f64>,
    pub markout_10s_bps: Option<f64>,
    pub markout_60s_bps: Option<f64>,
    /// From the first child to the first fill, seconds.
    pub queue_wait_secs: Option<f64>,
    /// Entries and exits of which it is known what they saved all in (`OrderCostRecord::saved_all_in`), misses at the mid where they were
    /// given up. In money, and the mean in bps of what was wanted with its 95 % confidence interval (Student's t over parents).
    pub saved_all_in_of: usize,
    pub saved_all_in: Money,
    pub saved_all_in_bps: Option<f64>,
    pub saved_all_in_bps_interval: Option<(f64, f64)>,
    /// The same on what filled alone, over those that filled at least in part: what waiting cost on the rest is not in it.
    pub saved_on_filled: Money,
    pub saved_on_filled_bps: Option<f64>,
    pub saved_on_filled_bps_interval: Option<(f64, f64)>,
    /// Of parents that were not filled whole: how far the mid ran away from them.
    pub missed: usize,
    pub missed_move_bps: Option<f64>,
    /// What was chosen first: join, improve, deeper, take.
    pub chosen: [usize; 4],
}

/// Sums up parent orders of any markets.
#[must_use]
pub fn summary(records: &[OrderCostRecord]) -> CostSummary {
    let of = |purpose| records.iter().filter(|record| record.purpose == purpose).count();
    let over = |value: fn(&OrderCostRecord) -> Option<f64>| mean(&records.iter().filter_map(value).collect::<Vec<_>>());
    // Guards begin with their fill: beside taking at that moment they save by construction, and say nothing.
    let chosen_ways = || records.iter().filter(|record| matches!(record.purpose, ParentPurpose::Entry | ParentPurpose::Exit));
    let all_in: Vec<f64> = chosen_ways().filter_map(OrderCostRecord::saved_all_in_bps).collect();
    let on_filled: Vec<f64> = chosen_ways().filter_map(|record| record.saved_bps).collect();
    let wanted = notional(records, |r| r.wanted);
    let filled = notional(records, |r| r.filled);
    let mut chosen = [0; 4];
    for quote in records.iter().filter_map(|record| record.chosen) {
        chosen[match quote.option {
            QuoteOption::Join => 0,
            QuoteOption::Improve => 1,
            QuoteOption::Deeper => 2,
            QuoteOption::Take => 3,
        }] += 1;
    }
    CostSummary {
        parents: records.len(),
        entries: of(ParentPurpose::Entry),
        exits: of(ParentPurpose::Exit),
        targets: of(ParentPurpose::Target),
        stops: of(ParentPurpose::Stop),
        filled: records.iter().filter(|record| record.filled.is_positive()).count(),
        fill_ratio: ratio(filled, wanted),
        maker_share: ratio(notional(records, |r| filled_as(r, Role::Maker)), filled),
        fees: records.iter().map(|record| record.fees).sum(),
        slippage: records.iter().map(|record| record.slippage).sum(),
        slippage_bps: over(|r| r.slippage_bps),
        markout_1s_bps: over(|r| r.markouts.after_1s),
        markout_10s_bps: over(|r| r.markouts.after_10s),
        markout_60s_bps: over(|r| r.markouts.after_60s),
        queue_wait_secs: over(|r| r.queue_wait().map(|wait| wait.secs_f64())),
        saved_all_in_of: all_in.len(),
        saved_all_in: chosen_ways().filter_map(OrderCostRecord::saved_all_in).sum(),
        saved_all_in_bps: mean(&all_in),
        saved_all_in_bps_interval: interval_95(&all_in),
        saved_on_filled: chosen_ways().filter_map(|record| record.saved).sum(),
        saved_on_filled_bps: mean(&on_filled),
        saved_on_filled_bps_interval: interval_95(&on_filled),
        missed: records.iter().filter(|record| record.missed.is_positive()).count(),
        missed_move_bps: over(|r| r.missed_move_bps),
        chosen,
    }
}

impl CostSummary {
    /// Lines for people.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let percent = |share: Option<f64>| share.map_or("unknown".to_owned(), |s| format!("{:.1} %", s * 100.0));
        let bps = |value: Option<f64>| value.map_or("unknown".to_owned(), |v| format!("{v:+.2}"));
        let [join, improve, deeper, take] = self.chosen;
        let between = |interval: Option<(f64, f64)>| interval.map_or(String::new(), |(low, high)| format!(" [{low:+.2}, {high:+.2}]"));
        vec![
            format!(
                "{} parent orders ({} entries, {} exits, {} targets, {} stops), {} filled by notional, {} of that as maker",
                self.parents,
                self.entries,
                self.exits,
                self.targets,
                self.stops,
                percent(self.fill_ratio),
                percent(self.maker_share)
            ),
            format!("chosen: {join} join, {improve} improve, {deeper} deeper, {take} take"),
            format!(
                "against the mid {} bps, fees {:.4}; mark-outs {} / {} / {} bps after 1 / 10 / 60 s",
                bps(self.slippage_bps),
                self.fees,
                bps(self.markout_1s_bps),
                bps(self.markout_10s_bps),
                bps(self.markout_60s_bps)
            ),
            format!(
                "saved against taking, all in: {} bps{} (95 %, Student's t), {:.4} in money, over {} of {} entries and exits",
                bps(self.saved_all_in_bps),
                between(self.saved_all_in_bps_interval),
                self.saved_all_in,
                self.saved_all_in_of,
                self.entries + self.exits
            ),
            format!(
                "of that on what filled: {} bps{} (of those that filled; misses are not in it), {:.4} in money",
                bps(self.saved_on_filled_bps),
                between(self.saved_on_filled_bps_interval),
                self.saved_on_filled
            ),
            format!("{} parents were not filled whole; the market ran away by {} bps", self.missed, bps(self.missed_move_bps)),
        ]
    }
}

/// Mean and 95 % confidence interval of independent values, by Student's t; `None` with fewer than two.
fn interval_95(values: &[f64]) -> Option<(f64, f64)> {
    let centre = mean(values).filter(|_| values.len() > 1)?;
    let freedom = values.len() - 1;
    let variance = values.iter().map(|v| (v - centre).powi(2)).sum::<f64>() / freedom as f64;
    let half = student_t_975(freedom) * (variance / values.len() as f64).sqrt();
    half.is_finite().then_some((centre - half, centre + half))
}

/// The 97.5 % quantile of Student's t: tabulated up to four degrees of freedom, then the Cornish-Fisher expansion about the normal
/// quantile (Abramowitz and Stegun 26.7.5), which is right to 0.2 %.
fn student_t_975(freedom: usize) -> f64 {
    const NORMAL: f64 = 1.959_963_984_540_054;
    const FEW: [f64; 5] = [f64::INFINITY, 12.706_2, 4.302_7, 3.182_4, 2.776_4];
    if let Some(t) = FEW.get(freedom) {
        return *t;
    }
    let (z, v) = (NORMAL, freedom as f64);
    let (z3, z5, z7) = (z.powi(3), z.powi(5), z.powi(7));
    z + (z3 + z) / (4.0 * v)
        + (5.0 * z5 + 16.0 * z3 + 3.0 * z) / (96.0 * v * v)
        + (3.0 * z7 + 19.0 * z5 + 17.0 * z3 - 15.0 * z) / (384.0 * v * v * v)
}

const fn filled_as(record: &OrderCostRecord, role: Role) -> crate::domain::Qty {
    match role {
        Role::Maker => record.maker_qty,
        Role::Taker => record.taker_qty,
    }
}

fn notional(records: &[OrderCostRecord], qty: impl Fn(&OrderCostRecord) -> crate::domain::Qty) -> Money {
    records.iter().filter_map(|record| record.arrival_mid.notional(qty(record))).sum()
}

fn ratio(part: Money, whole: Money) -> Option<f64> {
    whole.is_positive().then(|| part.to_f64() / whole.to_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Price, Qty, RunId, Side, Timestamp};
    use crate::protocol::{Markouts, PlannedQuote};

    /// One unit at 100, saved `saved` bps.
    fn record(filled: &str, maker: &str, saved: f64) -> OrderCostRecord {
        let qty = |text: &str| text.parse::<Qty>().unwrap();
        let price: Price = "100".parse().unwrap();
        let (filled, maker) = (qty(filled), qty(maker));
        let some = filled.is_positive();
        let money = |bps: f64| Money::from_raw((filled.to_f64() * bps / 100.0 * 1e16) as i128);
        OrderCostRecord {
            run: RunId(1),
            decision: 1,
            symbol: "BTCUSDT".parse().unwrap(),
            side: Side::Buy,
            purpose: ParentPurpose::Entry,
            decided: Timestamp::EPOCH,
            finished: Timestamp::EPOCH,
            arrival_mid: price,
            arrival_bid: price,
            arrival_ask: price,
            wanted: qty("1"),
            filled,
            average_price: price,
            children: 1,
            first_sent: Some(Timestamp::EPOCH),
            first_fill: some.then(|| Timestamp::from_millis(1_500)),
            last_fill: None,
            maker_qty: maker,
            taker_qty: filled - maker,
            fees: money(10.0),
            slippage: money(-1.0),
            slippage_bps: some.then_some(-1.0),
            markouts: Markouts { after_10s: some.then_some(0.5), ..Markouts::default() },
            taker: None,
            saved: some.then(|| money(saved)),
            saved_bps: some.then_some(saved),
            chosen: Some(PlannedQuote { option: QuoteOption::Join, price, fill_probability: 0.5, expected_cost_bps: 9.0 }),
            missed: qty("1") - filled,
            missed_move_bps: (filled < qty("1")).then_some(4.0),
        }
    }

    #[test]
    fn the_sum_equals_the_hand_calculation() {
        let got = summary(&[record("1", "1", 2.0), record("1", "0.5", 4.0), record("0", "0", 0.0), record("0.5", "0", 3.0)]);
        assert_eq!((got.parents, got.entries, got.filled, got.missed, got.chosen), (4, 4, 3, 2, [4, 0, 0, 0]));
        assert_eq!((got.fill_ratio, got.maker_share), (Some(2.5 / 4.0), Some(1.5 / 2.5)));
        assert_eq!(
            (got.fees.to_string(), got.slippage.to_string(), got.saved_on_filled.to_string()),
            ("0.25".into(), "-0.025".into(), "0.075".into())
        );
        assert_eq!(
            (got.saved_on_filled_bps, got.markout_10s_bps, got.markout_1s_bps, got.missed_move_bps),
            (Some(3.0), Some(0.5), None, Some(4.0))
        );
        assert_eq!(got.queue_wait_secs, Some(1.5));
        // Sigma 1, two degrees of freedom: 4.3027 / sqrt 3.
        let (low, high) = got.saved_on_filled_bps_interval.unwrap();
        assert!((high - 3.0 - 4.3027 / 3.0_f64.sqrt()).abs() < 1e-9 && (low + high - 6.0).abs() < 1e-9);
        // All in: 2, 4, nothing filled and 4 bps away, half of it 3 saved and half of it 4 away.
        assert_eq!((got.saved_all_in.to_string(), got.saved_all_in_of), ("0.015".into(), 4));
        assert!((got.saved_all_in_bps.unwrap() - (2.0 + 4.0 - 4.0 - 0.5) / 4.0).abs() < 1e-9);
        assert_eq!(got.lines().len(), 6);
    }

    #[test]
    fn the_orders_that_never_filled_are_in_the_figure_all_in() {
        let missed = OrderCostRecord { missed_move_bps: Some(9.0), ..record("0", "0", 0.0) };
        let mut records = vec![record("1", "1", 0.1); 50];
        records.extend(vec![record("1", "0", -2.5); 30]);
        records.extend(vec![missed.clone(); 20]);
        let got = summary(&records);
        // (50 x 0.1 - 30 x 2.5) / 80, and with twenty times -9 over all hundred.
        assert!((got.saved_on_filled_bps.unwrap() + 0.875).abs() < 1e-9, "{got:?}");
        assert!((got.saved_all_in_bps.unwrap() + 2.5).abs() < 1e-9 && got.saved_all_in_of == 100, "{got:?}");
        assert_eq!((got.saved_on_filled.to_string(), got.saved_all_in.to_string()), ("-0.7".into(), "-2.5".into()));
        // Sum of squares about -2.5: 50 x 2.6^2 + 30 x 0 + 20 x 6.5^2 = 1183, over 99 and again over 100.
        let half = student_t_975(99) * (1_183.0_f64 / 99.0 / 100.0).sqrt();
        let (low, high) = got.saved_all_in_bps_interval.unwrap();
        assert!((high + 2.5 - half).abs() < 1e-9 && (low + 2.5 + half).abs() < 1e-9);
        assert!(got.lines()[3].starts_with("saved against taking, all in: -2.50 bps ["), "{:?}", got.lines());
        // A market that came nearer gives; an unknown end, and guards, tell nothing.
        let nearer = OrderCostRecord { missed_move_bps: Some(-3.0), ..missed.clone() };
        assert!((summary(&[nearer]).saved_all_in_bps.unwrap() - 3.0).abs() < 1e-9);
        let unknown = OrderCostRecord { missed_move_bps: None, ..missed.clone() };
        let guard = OrderCostRecord { purpose: ParentPurpose::Stop, ..missed };
        assert_eq!((summary(&[unknown]).saved_all_in_of, summary(&[guard]).saved_all_in_bps), (0, None));
    }

    #[test]
    fn nothing_has_no_ratio_and_one_order_no_interval() {
        assert_eq!(summary(&[]), CostSummary::default());
        let one = summary(&[record("1", "1", 2.0)]);
        assert_eq!((one.saved_all_in_of, one.saved_all_in_bps_interval, one.saved_on_filled_bps_interval), (1, None, None));
    }

    #[test]
    fn the_quantiles_are_those_of_the_tables() {
        for (freedom, t) in [(1, 12.706), (4, 2.776), (5, 2.571), (10, 2.228), (30, 2.042), (120, 1.980)] {
            assert!((student_t_975(freedom) / t - 1.0).abs() < 0.002, "{freedom}: {}", student_t_975(freedom));
        }
    }
}
