//! Candles into training rows: the features known at a bar's close, and what a trade decided there would have made.
//!
//! Features come from the builder that the engine uses, fed in the same order. A short hole in the candles is read by it as silence and a
//! long one starts its warm-up again; a label never crosses any hole: such rows are left out and counted, nothing is filled in.

use serde::{Deserialize, Serialize};

use super::config::TrainConfig;
use super::error::LearningError;
use super::labels::{self, CostAssumption, Label};
use super::progress::Watch;
use super::series::{Bars, SymbolSeries, data_id};
use crate::domain::{Interval, Regime, Symbol, Timestamp};
use crate::market::features::{FeatureBuilder, Micro, NAMES, WARM_UP, constant_columns};

/// Candles between two reports of progress.
const REPORT_EVERY: usize = 5_000;

/// One moment to learn from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    /// Index of the series, and of the bar at whose close it was decided.
    pub series: usize,
    pub bar: usize,
    pub at: Timestamp,
    pub regime: Regime,
    /// Volatility of one bar, known at `at`.
    pub bar_sigma_bps: f64,
    /// Mean share of its trade's bars that is not shared with the trades of other rows, above 0 to 1: overlapping outcomes count less.
    pub weight: f64,
    pub label: Label,
}

/// All rows in order of time (ties in order of series) with their features.
#[derive(Debug, Clone)]
pub struct Dataset {
    pub names: Vec<String>,
    /// Raw features, row-major, `names.len()` a row; NaN where the source does not tell.
    pub features: Vec<f32>,
    pub rows: Vec<Row>,
    pub bars: Vec<Bars>,
    /// Of each series.
    pub symbols: Vec<Symbol>,
    pub costs: Vec<CostAssumption>,
    /// End of the gapless stretch that each row's bar is in.
    pub stretch_end: Vec<usize>,
    pub interval: Interval,
    pub report: DatasetReport,
}

/// What became of the candles.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct DatasetReport {
    /// SHA-256 of the candles.
    pub data_id: String,
    pub candles: usize,
    pub rows: usize,
    pub stride_bars: usize,
    /// Places where candles are missing.
    pub holes: usize,
    /// Rows left out because the data (or a gapless stretch) ended before their trade did.
    pub without_outcome: usize,
    pub from: Timestamp,
    pub to: Timestamp,
    /// Features that never vary or are never told.
    pub constant_features: Vec<String>,
    /// Median volatility of one bar over the rows, and the win rate that the bracket needs there to break even.
    pub median_bar_sigma_bps: f64,
    pub break_even_win_rate: f64,
}

impl Dataset {
    /// The rows that `config` asks for.
    pub fn build(series: &[SymbolSeries], config: &TrainConfig, watch: &mut Watch) -> Result<Self, LearningError> {
        let interval = check_series(series, config)?;
        let stride = stride(series, config);
        let mut out = Self {
            names: NAMES.iter().map(|n| (*n).to_owned()).collect(),
            features: Vec::new(),
            rows: Vec::new(),
            bars: series.iter().map(Bars::of).collect(),
            symbols: series.iter().map(|s| s.symbol).collect(),
            costs: series.iter().map(|s| CostAssumption::taker(&s.instrument, config.half_spread_bps)).collect(),
            stretch_end: Vec::new(),
            interval,
            report: DatasetReport {
                candles: series.iter().map(|s| s.candles.len()).sum(),
                stride_bars: stride,
                ..DatasetReport::default()
            },
        };
        let mut seen = 0;
        for (index, one) in series.iter().enumerate() {
            out.add_series(one, index, config, &mut seen, watch)?;
        }
        watch.step("features", seen, out.report.candles)?;
        if out.rows.len() < config.rows.min_rows {
            let candles_needed = candles_needed(config, stride);
            return Err(LearningError::TooFewRows { have: out.rows.len(), need: config.rows.min_rows, candles_needed });
        }
        out.sort_by_time();
        out.describe(series, config);
        Ok(out)
    }

    fn add_series(
        &mut self,
        series: &SymbolSeries,
        index: usize,
        config: &TrainConfig,
        seen: &mut usize,
        watch: &mut Watch,
    ) -> Result<(), LearningError> {
        let mut builder = FeatureBuilder::new(series.interval);
        let first = self.rows.len();
        let stretches = series.stretches();
        self.report.holes += stretches.len() - 1;
        for stretch in stretches {
            for bar in stretch.clone() {
                if seen.is_multiple_of(REPORT_EVERY) {
                    watch.step("features", *seen, self.report.candles)?;
                }
                *seen += 1;
                builder.push(&series.candles[bar], Micro::default());
                if bar % self.report.stride_bars != 0 {
                    continue;
                }
                let Some((vector, bar_sigma_bps)) = builder.vector().zip(builder.volatility_bps()) else { continue };
                let found = labels::label(&self.bars[index], bar, stretch.end, bar_sigma_bps, &config.bracket, &self.costs[index]);
                let Some(label) = found else {
                    self.report.without_outcome += 1;
                    continue;
                };
                self.features.extend(vector.values);
                self.rows.push(Row { series: index, bar, at: vector.at, regime: builder.regime(), bar_sigma_bps, weight: 1.0, label });
                self.stretch_end.push(stretch.end);
            }
        }
        weigh(&mut self.rows[first..], series.candles.len());
        Ok(())
    }

    fn sort_by_time(&mut self) {
        let mut order: Vec<usize> = (0..self.rows.len()).collect();
        order.sort_by_key(|r| (self.rows[*r].at, self.rows[*r].series));
        self.features = order.iter().flat_map(|r| self.row(*r).to_vec()).collect();
        self.rows = order.iter().map(|r| self.rows[*r]).collect();
        self.stretch_end = order.iter().map(|r| self.stretch_end[*r]).collect();
    }

    fn describe(&mut self, series: &[SymbolSeries], config: &TrainConfig) {
        let matrix: Vec<&[f32]> = self.features.chunks_exact(self.names.len()).collect();
        let constant = constant_columns(&matrix).into_iter().map(str::to_owned).collect();
        let mut sigmas: Vec<f64> = self.rows.iter().map(|r| r.bar_sigma_bps).collect();
        sigmas.sort_by(f64::total_cmp);
        let report = &mut self.report;
        report.data_id = data_id(series);
        report.rows = self.rows.len();
        report.constant_features = constant;
        report.from = self.rows.first().map_or(Timestamp::EPOCH, |r| r.at);
        report.to = self.rows.last().map_or(Timestamp::EPOCH, |r| r.at);
        report.median_bar_sigma_bps = sigmas.get(sigmas.len() / 2).copied().unwrap_or(0.0);
        let rates = self.costs.iter().map(|c| config.bracket.break_even_win_rate(report.median_bar_sigma_bps, c));
        report.break_even_win_rate = rates.fold(0.0, f64::max).min(1e9);
    }

    /// The raw features of row `index`.
    #[must_use]
    pub fn row(&self, index: usize) -> &[f32] {
        &self.features[index * self.names.len()..(index + 1) * self.names.len()]
    }

    /// The features of `rows`, row-major.
    #[must_use]
    pub fn gather(&self, rows: &[usize]) -> Vec<f32> {
        rows.iter().flat_map(|r| self.row(*r)).copied().collect()
    }

    /// The moment after the last row: the end of the period that folds are cut from.
    #[must_use]
    pub fn end(&self) -> Timestamp {
        self.report.to + self.interval.span()
    }
}

/// The series are there, sound, alike in interval and long enough.
fn check_series(series: &[SymbolSeries], config: &TrainConfig) -> Result<Interval, LearningError> {
    let interval = series.first().ok_or(LearningError::NoSeries)?.interval;
    for one in series {
        let need = WARM_UP + config.bracket.hold_bars as usize + 1;
        if one.interval != interval {
            return Err(LearningError::MixedIntervals);
        }
        if one.candles.len() < need {
            return Err(LearningError::TooFewCandles { symbol: one.symbol, have: one.candles.len(), need });
        }
        one.check()?;
    }
    Ok(interval)
}

/// Bars between rows: as asked, but never more rows than allowed.
fn stride(series: &[SymbolSeries], config: &TrainConfig) -> usize {
    let candles: usize = series.iter().map(|s| s.candles.len()).sum();
    let asked = config.rows.stride_bars.unwrap_or((config.bracket.horizon_bars / 3).max(1)) as usize;
    asked.max(candles.div_ceil(config.rows.max_rows))
}

fn candles_needed(config: &TrainConfig, stride: usize) -> usize {
    config.rows.min_rows * stride + WARM_UP + config.bracket.hold_bars as usize
}

/// Uniqueness (Lopez de Prado, Advances in Financial Machine Learning, 2018, ch. 4): the mean over a trade's bars of 1 / trades open there.
fn weigh(rows: &mut [Row], bars: usize) {
    let mut change = vec![0_i64; bars + 1];
    for row in rows.iter() {
        change[row.label.entry_bar] += 1;
        change[row.label.exit_bar + 1] -= 1;
    }
    // sums[b]: sum of 1 / (trades open) over the bars before b.
    let (mut open, mut sums) = (0_i64, vec![0.0; bars + 1]);
    for bar in 0..bars {
        open += change[bar];
        sums[bar + 1] = sums[bar] + if open > 0 { 1.0 / open as f64 } else { 0.0 };
    }
    for row in rows {
        let (from, to) = (row.label.entry_bar, row.label.exit_bar + 1);
        row.weight = (sums[to] - sums[from]) / (to - from) as f64;
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    fn config(stride: u32) -> TrainConfig {
        let mut config = TrainConfig::default();
        config.rows.stride_bars = Some(stride);
        config.rows.min_rows = 100;
        config
    }

    fn build(series: &[SymbolSeries], config: &TrainConfig) -> Result<Dataset, LearningError> {
        Dataset::build(series, config, &mut fixture::silent(&mut |_| {}))
    }

    #[test]
    fn candles_leave_the_feature_stage_as_they_entered() {
        let series = [fixture::noise(2_000, 3)];
        let before = series[0].candles.clone();
        let data = build(&series, &config(5)).unwrap();
        assert_eq!(series[0].candles, before);
        assert_eq!(data.report.data_id, data_id(&series));
        let closes: Vec<f64> = before.iter().map(|c| c.close.to_f64()).collect();
        assert_eq!(data.bars[0].close, closes);
    }

    #[test]
    fn a_row_knows_nothing_of_later_candles() {
        let series = fixture::noise(2_000, 3);
        let whole = build(std::slice::from_ref(&series), &config(5)).unwrap();
        let mut cut = series.clone();
        cut.candles.truncate(1_200);
        let part = build(&[cut], &config(5)).unwrap();
        let bits = |d: &Dataset, r: usize| d.row(r).iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        for row in 0..part.rows.len() {
            assert_eq!(bits(&whole, row), bits(&part, row));
            let (a, b) = (whole.rows[row], part.rows[row]);
            assert_eq!((a.at, a.bar_sigma_bps, a.label), (b.at, b.bar_sigma_bps, b.label));
        }
        assert!(part.rows.iter().all(|r| r.label.known_at > r.at && r.label.entry_bar == r.bar + 1));
    }

    #[test]
    fn a_long_hole_restarts_the_warm_up_and_no_label_crosses_it() {
        let mut series = fixture::noise(2_000, 3);
        let without = build(std::slice::from_ref(&series), &config(1)).unwrap();
        series.candles.drain(1_000..1_100);
        let holed = build(&[series], &config(1)).unwrap();
        assert_eq!((without.report.holes, holed.report.holes), (0, 1));
        assert!(holed.rows.iter().all(|r| !(1_000..1_000 + WARM_UP - 1).contains(&r.bar)));
        assert!(holed.rows.iter().all(|r| (r.bar < 1_000) == (r.label.exit_bar < 1_000)));
        assert!(holed.report.without_outcome > without.report.without_outcome);
    }

    #[test]
    fn overlapping_trades_share_their_weight() {
        let data = build(&[fixture::noise(2_000, 3)], &config(1)).unwrap();
        let mean = |d: &Dataset| d.rows.iter().map(|r| r.weight).sum::<f64>() / d.rows.len() as f64;
        assert!(mean(&data) < 0.2, "{}", mean(&data));
        let apart = build(&[fixture::noise(5_000, 3)], &config(30)).unwrap();
        assert!((mean(&apart) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn rows_of_several_markets_are_in_order_of_time() {
        let mut other = fixture::noise(2_000, 4);
        other.symbol = "ETHUSDT".parse().unwrap();
        let data = build(&[fixture::noise(2_000, 3), other], &config(7)).unwrap();
        assert!(data.rows.windows(2).all(|w| (w[0].at, w[0].series) < (w[1].at, w[1].series)));
        assert_eq!(data.features.len(), data.rows.len() * data.names.len());
    }

    #[test]
    fn what_is_missing_is_named_with_the_amount_needed() {
        let few = build(&[fixture::noise(100, 1)], &config(1));
        assert!(matches!(few, Err(LearningError::TooFewCandles { have: 100, need: 159, .. })));
        let short = build(&[fixture::noise(400, 1)], &config(5));
        assert!(matches!(short, Err(LearningError::TooFewRows { need: 100, candles_needed: 658, .. })));
        assert!(matches!(build(&[], &config(1)), Err(LearningError::NoSeries)));
    }

    #[test]
    fn the_row_limit_widens_the_stride() {
        let mut limited = config(1);
        limited.rows.max_rows = 500;
        let data = build(&[fixture::noise(2_000, 3)], &limited).unwrap();
        assert_eq!(data.report.stride_bars, 4);
        assert!(data.rows.len() <= 500);
    }
}
