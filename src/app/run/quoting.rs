//! What a simulated run's quotes and parent orders came to.

use serde::Serialize;

use crate::learning::order_costs::{CostSummary, summary};
use crate::learning::{FillFit, FillSample, MOST_FILL_SAMPLES, fit_fill_model};
use crate::protocol::{Effect, FillModelLearned, OrderCostRecord, Record};
use crate::trading::costs::{FillBin, FillCalibration, FillModel};

/// The fill model in use, against every quote that was followed while it was in use: what it said before, and what came.
#[derive(Debug, Clone, Default, Serialize)]
pub struct InUse {
    pub quotes: u64,
    pub base_rate: Option<f64>,
    pub brier: Option<f64>,
    pub skill: Option<f64>,
    pub reliability: Vec<FillBin>,
}

#[derive(Debug, Default, Serialize)]
pub struct QuoteReport {
    pub order_costs: CostSummary,
    pub fill_model: InUse,
    /// The last fit, judged out of sample; `None` before there were enough quotes.
    pub fill_fit: Option<FillFit>,
    #[serde(skip)]
    parents: Vec<OrderCostRecord>,
    /// The newest quotes, as many as a fit uses, and as many again before the older ones are dropped.
    #[serde(skip)]
    samples: Vec<FillSample>,
    #[serde(skip)]
    model: FillModel,
    #[serde(skip)]
    calibration: FillCalibration,
}

impl QuoteReport {
    pub fn hear(&mut self, effects: &[Effect]) {
        for effect in effects {
            let Effect::Persist(record) = effect else { continue };
            match record.as_ref() {
                Record::OrderCost(cost) => self.parents.push(cost.as_ref().clone()),
                Record::FillSample(sample) => {
                    self.calibration.add(self.model.probability(&sample.facts), sample.filled());
                    if self.samples.len() == 2 * MOST_FILL_SAMPLES {
                        self.samples.drain(..MOST_FILL_SAMPLES);
                    }
                    self.samples.push(FillSample::from(sample.as_ref()));
                }
                _ => {}
            }
        }
    }

    /// Learns from what was followed so far.
    pub fn fit(&mut self) -> Option<FillModelLearned> {
        let fit = fit_fill_model(&self.samples)?;
        let learned = fit.learned();
        self.model = learned.coefficients.map_or(FillModel::Analytic, FillModel::Fitted);
        self.fill_fit = Some(fit);
        Some(learned)
    }

    /// The run is over.
    pub fn close(&mut self) {
        self.order_costs = summary(&self.parents);
        let calibration = &self.calibration;
        self.fill_model = InUse {
            quotes: calibration.count(),
            base_rate: calibration.base_rate(),
            brier: calibration.brier(),
            skill: calibration.skill(),
            reliability: calibration.reliability(),
        };
    }

    pub fn text(&self) -> String {
        let number = |value: Option<f64>| value.map_or("unknown".to_owned(), |v| format!("{v:.4}"));
        let used = &self.fill_model;
        let mut lines = self.order_costs.lines();
        lines.push(format!(
            "fill model in use: {} quotes followed, {} filled, Brier {}, skill {}",
            used.quotes,
            number(used.base_rate),
            number(used.brier),
            number(used.skill)
        ));
        for bin in &used.reliability {
            lines.push(format!("  said {:.3}, came {:.3} ({} quotes)", bin.forecast, bin.observed, bin.count));
        }
        if let Some(fit) = &self.fill_fit {
            lines.push(format!(
                "last fit on {} quotes, judged on {} later ones: Brier {:.4} fitted, {:.4} analytic, {:.4} base rate; {}",
                fit.fitted_on,
                fit.judged_on,
                fit.fitted.brier,
                fit.analytic.brier,
                fit.brier_base,
                if fit.used { "used" } else { "not used" }
            ));
        }
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{RunId, Side, Span, Timestamp};
    use crate::protocol::{FillFacts, FillSampleRecord, QuoteOption};

    fn sample(n: u64) -> Effect {
        let facts = FillFacts {
            queue_ahead: (n % 7) as f64,
            qty: 1.0,
            trades_per_sec: 1.0,
            volume_per_sec: 1.0,
            horizon_secs: 5.0,
            ..FillFacts::default()
        };
        let filled = facts.queue_ahead < 3.0;
        Effect::Persist(Box::new(Record::FillSample(Box::new(FillSampleRecord {
            run: RunId(1),
            symbol: "BTCUSDT".parse().unwrap(),
            at: Timestamp::from_millis(10_000 * n as i64),
            side: Side::Buy,
            option: QuoteOption::Join,
            price: "1".parse().unwrap(),
            qty: "1".parse().unwrap(),
            own: false,
            facts,
            filled_after: filled.then_some(Span::from_secs(1)),
            markouts: Default::default(),
            adverse_bps: None,
            missed_move_bps: None,
        }))))
    }

    #[test]
    fn quotes_are_scored_by_the_model_of_their_time_and_learned_from() {
        let mut report = QuoteReport::default();
        report.hear(&(0..600).map(sample).collect::<Vec<_>>());
        assert!(report.fit().is_some_and(|learned| learned.coefficients.is_some()));
        report.hear(&(600..700).map(sample).collect::<Vec<_>>());
        report.close();
        assert_eq!(report.fill_model.quotes, 700);
        assert!(report.fill_model.skill > Some(0.3), "{:?}", report.fill_model);
        let text = report.text();
        assert!(text.contains("0 parent orders") && text.contains("fill model in use: 700 quotes") && text.contains("; used"), "{text}");
    }
}
