//! The cheapest way to get an order done, by expected cost against the mid.
//!
//! | way | when it is done | when it is not |
//! |---|---|---|
//! | join, improve, deeper | maker fee - what the price is better than the mid + adverse selection | taker at the deadline, or the edge is lost |
//! | take | taker fee + the visible book's average price against the mid | |
//!
//! `cost = p x done + (1 - p) x missed`, in bps of the notional; fees are signed, so a rebate lowers the cost.
//!
//! Selection is charged once. In a market without drift the mid's expected way is 0, so what it moves against us when we are filled it
//! moves away when we are not: `p x adverse = (1 - p) x (what a late taker pays more)`. The measured loss after fills stands for
//! both; a caller who expects a drift (its forecast, to the deadline) adds that to the cost of being late.

use super::adverse::AdverseSelection;
use super::depth::taker_cost;
use super::fill_model::FillModel;
use super::quote_market::QuoteMarket;
use crate::domain::{FeeRates, Money, Price, Qty, Side, Span};
use crate::protocol::{PlannedQuote, QuoteOption, TakerCounterfactual};

/// Resting must be expected to cost this much less than taking: waiting for less is not worth what may happen meanwhile.
const WORTH_WAITING_BPS: f64 = 0.1;

/// What happens to an order that is not filled in time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Missing {
    /// It takes at the deadline; until then the mid is expected to move away by this much, bps.
    Taken { drift_bps: f64 },
    /// It is given up, and with it an edge of this much, bps.
    Lost { edge_bps: f64 },
}

#[derive(Debug, Clone, Copy)]
pub struct ChoiceInput<'a> {
    pub market: &'a QuoteMarket,
    pub qty: Qty,
    pub fees: FeeRates,
    /// Until the deadline.
    pub left: Span,
    pub missing: Missing,
    pub adverse: &'a AdverseSelection,
    pub model: &'a FillModel,
}

/// Every way that is open, and the cheapest of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    pub options: Vec<PlannedQuote>,
    pub chosen: PlannedQuote,
    pub mid: Price,
    pub bid: Price,
    pub ask: Price,
    /// Of the whole quantity, now.
    pub taker: TakerCounterfactual,
}

impl Choice {
    /// The same market, but nothing is waited for.
    #[must_use]
    pub fn taking(mut self) -> Self {
        if let Some(take) = self.options.iter().find(|quote| quote.option == QuoteOption::Take) {
            self.chosen = *take;
        }
        self
    }

    #[must_use]
    pub fn takes(&self) -> bool {
        self.chosen.option == QuoteOption::Take
    }
}

/// Weighs the ways; among equal ones the first of join, improve, deeper wins, and taking when none of them is clearly cheaper. `None`
/// without a touch or a quantity.
#[must_use]
pub fn choose(input: &ChoiceInput) -> Option<Choice> {
    let market = input.market;
    let (own, other) = market.touch()?;
    let mid = own.midpoint(other);
    let taker = taker_cost(market.side, &market.other, input.qty, mid, input.fees.taker)?;
    let take_bps = per_notional(taker.cost, mid, input.qty)?;
    let missed_bps = match input.missing {
        Missing::Taken { drift_bps } => take_bps + drift_bps,
        Missing::Lost { edge_bps } => edge_bps,
    };
    let mut options = Vec::with_capacity(4);
    for option in [QuoteOption::Join, QuoteOption::Improve, QuoteOption::Deeper] {
        let Some(price) = market.price_of(option) else { continue };
        let fill_probability = input.model.probability(&market.facts(price, input.qty, input.left)?);
        let done_bps = maker_bps(input, price, mid)? + input.adverse.expected_bps(option);
        let expected_cost_bps = fill_probability * done_bps + (1.0 - fill_probability) * missed_bps;
        options.push(PlannedQuote { option, price, fill_probability, expected_cost_bps });
    }
    let take = PlannedQuote { option: QuoteOption::Take, price: taker.worst, fill_probability: 1.0, expected_cost_bps: take_bps };
    let cheapest = options.iter().min_by(|a, b| a.expected_cost_bps.total_cmp(&b.expected_cost_bps)).copied();
    let chosen = cheapest.filter(|quote| quote.expected_cost_bps <= take_bps - WORTH_WAITING_BPS).unwrap_or(take);
    options.push(take);
    let (bid, ask) = if market.side == Side::Buy { (own, other) } else { (other, own) };
    Some(Choice { options, chosen, mid, bid, ask, taker })
}

/// Fee and price of a maker fill against the mid.
fn maker_bps(input: &ChoiceInput, price: Price, mid: Price) -> Option<f64> {
    let (value, at_mid) = (price.notional(input.qty)?, mid.notional(input.qty)?);
    let paid = match input.market.side {
        Side::Buy => value - at_mid,
        Side::Sell => at_mid - value,
    };
    per_notional(paid + value.at_rate(input.fees.maker), mid, input.qty)
}

fn per_notional(cost: Money, mid: Price, qty: Qty) -> Option<f64> {
    let notional = mid.notional(qty).filter(|notional| notional.is_positive())?;
    Some(cost.to_f64() / notional.to_f64() * 1e4)
}

#[cfg(test)]
mod tests {
    use super::super::intensity::Rates;
    use super::super::quote_market::tests::{level, market};
    use super::*;
    use crate::domain::Bps;

    const NO_DRIFT: Missing = Missing::Taken { drift_bps: 0.0 };

    fn fees(maker: f64, taker: f64) -> FeeRates {
        FeeRates { maker: Bps::from_f64(maker), taker: Bps::from_f64(taker) }
    }

    struct Case {
        market: QuoteMarket,
        fees: FeeRates,
        left: i64,
        missing: Missing,
        adverse: AdverseSelection,
    }

    impl Case {
        fn new(ask: &str) -> Self {
            let fees = fees(10.0, 10.0);
            Self { market: market(Side::Buy, ask), fees, left: 5_000, missing: NO_DRIFT, adverse: AdverseSelection::default() }
        }

        fn choose(&self) -> Choice {
            let input = ChoiceInput {
                market: &self.market,
                qty: "1".parse().unwrap(),
                fees: self.fees,
                left: Span::from_millis(self.left),
                missing: self.missing,
                adverse: &self.adverse,
                model: &FillModel::Analytic,
            };
            choose(&input).unwrap()
        }

        fn chosen(&self) -> QuoteOption {
            self.choose().chosen.option
        }
    }

    #[test]
    fn the_table() {
        let usual = || Case::new("100.01");
        let quick = |mut case: Case| {
            // 0.2 s left, and the mid is expected to run away by 5 bps.
            (case.left, case.missing) = (200, Missing::Taken { drift_bps: 5.0 });
            case
        };
        let informed = |bps: f64| {
            let mut case = usual();
            for option in [QuoteOption::Join, QuoteOption::Improve, QuoteOption::Deeper] {
                (0..2_000).for_each(|_| case.adverse.add(option, bps));
            }
            case
        };
        let busy = |mut case: Case| {
            case.market.rates = Rates { trades_per_sec: 20.0, volume_per_sec: 40.0 };
            case
        };
        let cases = [
            ("equal fees, patience: the spread is earned", usual(), QuoteOption::Join),
            ("a wide spread leaves room before the queue", Case::new("100.3"), QuoteOption::Improve),
            ("a busy market reaches the next level", busy(usual()), QuoteOption::Deeper),
            ("no time and a market that runs away", quick(usual()), QuoteOption::Take),
            ("informed sellers cost more than the spread", informed(5.0), QuoteOption::Take),
            ("a rebate pays even for informed sellers", Case { fees: fees(-0.5, 8.0), ..informed(5.0) }, QuoteOption::Join),
            ("a dear maker fee", Case { fees: fees(12.0, 10.0), ..usual() }, QuoteOption::Take),
            (
                "nobody sells",
                Case { market: QuoteMarket { rates: Rates::default(), ..usual().market }, ..quick(usual()) },
                QuoteOption::Take,
            ),
            ("a small edge is not worth taking for", Case { missing: Missing::Lost { edge_bps: 6.0 }, ..usual() }, QuoteOption::Deeper),
        ];
        for (name, case, expected) in cases {
            assert_eq!(case.chosen(), expected, "{name}: {:?}", case.choose().options);
        }
    }

    #[test]
    fn the_cost_of_each_way_is_as_computed_by_hand() {
        let mut case = Case::new("100.02");
        (case.fees, case.missing) = (fees(-1.0, 8.0), Missing::Taken { drift_bps: 0.5 });
        let choice = case.choose();
        let take = choice.options.last().unwrap();
        // Mid 100.01: one tick is 0.9999 bps; the fee is of the price, not of the mid.
        assert!((take.expected_cost_bps - (0.9999 + 8.0008)).abs() < 1e-3, "{take:?}");
        let join = &choice.options[0];
        let p = join.fill_probability;
        let expected = p * (-0.9999 - 0.9999) + (1.0 - p) * (take.expected_cost_bps + 0.5);
        assert!((join.expected_cost_bps - expected).abs() < 1e-3, "{join:?}");
        assert_eq!(
            (choice.bid.to_string(), choice.ask.to_string(), choice.mid.to_string()),
            ("100".into(), "100.02".into(), "100.01".into())
        );
        assert_eq!(choice.taking().chosen.option, QuoteOption::Take);
    }

    #[test]
    fn selection_is_charged_once() {
        let mut case = Case::new("100.01");
        let cost = |case: &Case| case.choose().options[0];
        let before = cost(&case);
        (0..100_000).for_each(|_| case.adverse.add(QuoteOption::Join, 1.0));
        let after = cost(&case);
        let charged = after.expected_cost_bps - before.expected_cost_bps;
        assert!((charged - before.fill_probability * case.adverse.expected_bps(QuoteOption::Join)).abs() < 1e-9, "{charged}");
    }

    #[test]
    fn a_book_too_thin_makes_taking_dear_and_no_book_no_choice() {
        let mut thin = Case::new("100.01");
        thin.market.other = vec![level("100.01", "0.1"), level("103", "0.1")];
        let choice = thin.choose();
        assert!(!choice.taker.complete && !choice.takes(), "{choice:?}");
        thin.market.other.clear();
        let input = ChoiceInput {
            market: &thin.market,
            qty: "1".parse().unwrap(),
            fees: thin.fees,
            left: Span::from_secs(1),
            missing: NO_DRIFT,
            adverse: &thin.adverse,
            model: &FillModel::Analytic,
        };
        assert_eq!(choose(&input), None);
        assert_eq!(choose(&ChoiceInput { qty: Qty::ZERO, market: &market(Side::Sell, "100.01"), ..input }), None);
    }
}
