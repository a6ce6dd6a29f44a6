use super::*;

fn limits() -> Limits {
    let big: Money = "1000000".parse().unwrap();
    Limits {
        max_order_notional: big,
        max_position_notional: big,
        max_exposure: big,
        max_daily_loss: "100".parse().unwrap(),
        max_drawdown_bps: Bps::from_bps(500),
        max_data_age_ms: 1,
        max_open_orders: 1,
        max_spread_bps: Bps::ZERO,
        cool_down_ms: 0,
        max_clock_drift_ms: 0,
        ..Limits::default()
    }
}

fn mark(breakers: &mut Breakers, seconds: i64, equity: &str) -> Option<String> {
    breakers.on_mark(Timestamp::from_millis(seconds * 1_000), equity.parse().ok(), &limits()).map(|halt| halt.to_string())
}

/// The first mark holds for three seconds, so that the day has its start.
fn run(marks: &[(i64, &str)]) -> (Breakers, Vec<String>) {
    let mut breakers = Breakers::default();
    let start = [0, 1, 2].map(|later| (marks[0].0 + later, marks[0].1));
    let halts = start.iter().chain(&marks[1..]).filter_map(|(seconds, equity)| mark(&mut breakers, *seconds, equity)).collect();
    (breakers, halts)
}

#[test]
fn the_daily_loss_halts_once_and_stays() {
    let (breakers, halts) = run(&[(0, "10000"), (10, "9901"), (11, "9900"), (12, "9899"), (13, "12000")]);
    assert_eq!(halts, ["daily loss 101.00 reached its limit 100.00"]);
    assert!(breakers.halted().is_some(), "a profit does not re-arm");
}

#[test]
fn a_halt_lifted_while_the_equity_is_unknown_leaves_both_limits_on() {
    let (mut breakers, _) = run(&[(0, "10000"), (10, "9900"), (12, "9900")]);
    let mut mark = |seconds: i64, equity: Option<&str>| {
        let equity = equity.and_then(|text| text.parse().ok());
        breakers.on_mark(Timestamp::from_millis(seconds * 1_000), equity, &limits()).map(|h| h.to_string())
    };
    assert_eq!(mark(13, None), None);
    breakers.resume();
    let mut mark = |seconds: i64, equity: &str| {
        breakers.on_mark(Timestamp::from_millis(seconds * 1_000), equity.parse().ok(), &limits()).map(|h| h.to_string())
    };
    assert_eq!(mark(14, "9900"), None, "the day's loss begins again");
    assert_eq!(mark(15, "9801"), None);
    assert_eq!(mark(16, "9800"), None);
    assert_eq!(mark(17, "9800").as_deref(), Some("daily loss 100.00 reached its limit 100.00"));
}

#[test]
fn what_was_lost_over_midnight_while_nobody_looked_counts_today() {
    let evening = 86_400 - 7_200;
    let (breakers, halts) = run(&[(evening, "10000"), (evening + 1, "10000"), (evening + 2, "10000"), (86_400 + 3_600, "9950")]);
    assert_eq!((breakers.day_pnl(), halts.len()), ("-50".parse().ok(), 0));
    let (_, halts) = run(&[(evening, "10000"), (evening + 1, "10000"), (evening + 2, "10000"), (90_000, "9900"), (90_002, "9900")]);
    assert_eq!(halts, ["daily loss 100.00 reached its limit 100.00"]);
    let seen: Vec<(i64, &str)> = (86_390..86_400).map(|s| (s, "10000")).chain((86_400..86_410).map(|s| (s, "9950"))).collect();
    assert_eq!(run(&seen).0.day_pnl(), Some(Money::ZERO), "a day that was watched begins where it begins");
}

#[test]
fn one_bad_mark_halts_nobody() {
    let (_, halts) = run(&[(0, "10000"), (10, "5000"), (11, "10000"), (12, "5000"), (13, "10000")]);
    assert!(halts.is_empty());
}

#[test]
fn one_good_mark_is_no_peak() {
    let (spike, halts) = run(&[(0, "10000"), (10, "20000"), (11, "10000"), (12, "9990"), (14, "9990")]);
    assert!(halts.is_empty());
    assert_eq!(spike.drawdown(), Some(Bps::from_bps(10)));
    let (risen, _) = run(&[(0, "10000"), (10, "10200"), (11, "10100"), (12, "10000")]);
    assert_eq!(risen.drawdown(), Some(Money::from_raw(100).ratio_bps(Money::from_raw(10_100))));
}

#[test]
fn the_drawdown_counts_from_the_peak_across_days() {
    let day = 86_400;
    let (_, halts) = run(&[(0, "10000"), (day, "9950"), (2 * day, "9900"), (3 * day, "9499"), (3 * day + 2, "9499")]);
    assert_eq!(halts, ["drawdown 501 bps reached its limit 500 bps"]);
    let (_, quiet) = run(&[(0, "10000"), (day, "9950"), (2 * day, "9900"), (3 * day, "9850"), (4 * day, "9800")]);
    assert!(quiet.is_empty());
}

#[test]
fn a_transfer_is_neither_profit_nor_loss() {
    let (mut breakers, _) = run(&[(0, "10000"), (10, "9950")]);
    breakers.shift("-5000".parse().unwrap());
    assert_eq!((breakers.daily_loss(), breakers.day_pnl()), ("50".parse().ok(), "-50".parse().ok()));
    assert_eq!(breakers.on_mark(Timestamp::from_millis(20_000), "4950".parse().ok(), &limits()), None);
}

#[test]
fn a_transfer_changes_no_drawdown() {
    let (mut breakers, _) = run(&[(0, "1200"), (10, "1140")]);
    assert_eq!(breakers.drawdown(), Some(Bps::from_bps(500)));
    for (amount, equity) in [("-570", "570"), ("3990", "4560"), ("-4408", "152")] {
        breakers.shift(amount.parse().unwrap());
        assert_eq!((breakers.equity(), breakers.drawdown()), (equity.parse().ok(), Some(Bps::from_bps(500))), "{amount}");
        assert_eq!(breakers.daily_loss(), "60".parse().ok(), "what was lost today is money");
    }
    // Of a capital of 1,000 at work: 60 are 600 bps, whatever lies beside it, and the same share of less than all of it.
    let (mut partly, _) = run(&[(0, "1200"), (10, "1140")]);
    partly.begin("1000".parse().ok());
    for (amount, equity) in [("5000", "6140"), ("-5200", "940"), ("-470", "470"), ("4700", "5170")] {
        partly.shift(amount.parse().unwrap());
        assert_eq!((partly.equity(), partly.drawdown()), (equity.parse().ok(), Some(Bps::from_bps(600))), "{amount}");
    }
    // Nothing is left that could have fallen.
    partly.shift("-5170".parse().unwrap());
    assert_eq!(partly.equity(), Some(Money::ZERO));
}

/// Each level holds for three marks.
fn held(levels: &[(i64, &str)]) -> Breakers {
    let mut breakers = Breakers::default();
    for (seconds, equity) in levels {
        (0..3).for_each(|later| drop(mark(&mut breakers, seconds + later, equity)));
    }
    breakers
}

#[test]
fn the_loss_of_the_hour_is_forgotten_after_an_hour() {
    let mut breakers = held(&[(0, "10000"), (60, "10050"), (120, "9990"), (3_600, "9990")]);
    assert_eq!(breakers.hourly_loss(), "60".parse().ok());
    breakers.shift("-1000".parse().unwrap());
    assert_eq!(breakers.hourly_loss(), "60".parse().ok(), "a transfer is no loss");
    breakers.on_mark(Timestamp::from_millis(3_661_000), "8990".parse().ok(), &limits());
    assert_eq!(breakers.hourly_loss(), Some(Money::ZERO));
    assert_eq!(held(&[(0, "10000"), (60, "10050")]).hourly_loss(), Some(Money::ZERO), "a profit is no loss");
    assert_eq!(Breakers::default().hourly_loss(), None, "nothing is known");
}

#[test]
fn one_odd_mark_makes_no_loss_and_hides_none() {
    // The first mark of a minute is odd.
    for (odd, loss) in [("20000", "0"), ("1", "0"), ("9999", "0")] {
        let mut breakers = held(&[(0, "10000")]);
        let halts = [(60, odd), (61, "10000"), (62, "10000"), (63, "10000")].map(|(at, equity)| mark(&mut breakers, at, equity));
        assert_eq!(halts, [const { None }; 4]);
        assert_eq!(breakers.hourly_loss(), loss.parse().ok(), "{odd}");
    }
    let mut risen = held(&[(0, "10000")]);
    for (at, equity) in [(60, "1"), (61, "10050"), (62, "10050"), (63, "9990")] {
        mark(&mut risen, at, equity);
    }
    assert_eq!(risen.hourly_loss(), "60".parse().ok(), "an odd low one hides no height");
    // The first mark of a day is odd.
    let day = 86_400;
    for odd in ["20000", "5000"] {
        let mut breakers = held(&[(0, "10000"), (day - 9, "10000")]);
        let halts = [(day, odd), (day + 1, "10000"), (day + 2, "10000"), (day + 3, "9950"), (day + 4, "9950")];
        assert_eq!(halts.map(|(at, equity)| mark(&mut breakers, at, equity)), [const { None }; 5], "{odd}");
        assert_eq!((breakers.daily_loss(), breakers.day_pnl()), ("50".parse().ok(), "-50".parse().ok()), "{odd}");
        assert!(mark(&mut breakers, day + 5, "9899").is_none() && mark(&mut breakers, day + 6, "9899").is_some(), "{odd}");
    }
}

#[test]
fn a_day_that_is_being_sampled_outlives_a_restart() {
    let mut breakers = Breakers::default();
    for (at, equity) in [(0, "20000"), (1, "10000")] {
        mark(&mut breakers, at, equity);
    }
    breakers.shift("500".parse().unwrap());
    let mut kept: Breakers = serde_json::from_str(&serde_json::to_string(&breakers).unwrap()).unwrap();
    assert_eq!(kept, breakers);
    mark(&mut kept, 2, "10490");
    assert_eq!(kept.day_pnl(), "-10".parse().ok());
    let mut old = serde_json::to_value(&kept).unwrap();
    let fields = old.as_object_mut().unwrap();
    for name in ["day_sample", "minute_sample"] {
        assert!(fields.remove(name).is_some(), "{name} is kept");
    }
    assert_eq!(serde_json::from_value::<Breakers>(old).unwrap(), kept, "a state without them reads");
}

#[test]
fn a_trade_without_a_loss_ends_the_streak() {
    let mut breakers = Breakers::default();
    let at = Timestamp::from_millis;
    for (ms, net) in [(1, "-1"), (2, "-0.0001")] {
        breakers.on_trade(at(ms), net.parse().unwrap());
    }
    assert_eq!(breakers.losing_streak(), (2, Some(at(2))));
    breakers.on_trade(at(3), Money::ZERO);
    assert_eq!(breakers.losing_streak(), (0, Some(at(2))));
}

#[test]
fn a_loss_that_a_trade_made_needs_no_second_mark() {
    let (mut breakers, _) = run(&[(0, "10000")]);
    breakers.on_trade(Timestamp::from_millis(4_000), "-150".parse().unwrap());
    let halt = breakers.on_mark(Timestamp::from_millis(4_000), "9850".parse().ok(), &limits());
    assert!(matches!(halt, Some(HaltReason::DailyLoss { .. })));
}

#[test]
fn money_without_protection_is_counted_by_the_second() {
    let limits = Limits { max_unprotected: "300".parse().ok(), ..limits() };
    let (mut breakers, at) = (Breakers::default(), |ms| Timestamp::from_millis(ms));
    breakers.on_unprotected(at(0), "100".parse().unwrap());
    assert_eq!(breakers.on_mark(at(2_999), None, &limits), None);
    breakers.on_unprotected(at(2_999), Money::ZERO);
    breakers.on_unprotected(at(5_000), "50".parse().unwrap());
    assert_eq!(breakers.on_mark(at(10_998), None, &limits), None, "protected in between: it begins again");
    assert_eq!(breakers.unprotected(), ("299.9".parse().unwrap(), "599.8".parse().unwrap()));
    assert!(matches!(breakers.on_mark(at(11_000), None, &limits), Some(HaltReason::Unprotected { .. })));
    breakers.resume();
    assert_eq!(breakers.on_mark(at(16_999), None, &limits), None);
    assert!(breakers.on_mark(at(17_000), None, &limits).is_some(), "still open: resumed, it has as long again");
}

#[test]
fn errors_of_the_venue_are_forgotten_after_a_minute() {
    let mut breakers = Breakers::default();
    let at = |s: i64| Timestamp::from_millis(s * 1_000);
    (0..3).for_each(|n| breakers.on_venue_error(at(n * 20)));
    assert_eq!([at(59), at(60), at(79), at(100)].map(|now| breakers.venue_errors(now)), [3, 2, 2, 0]);
}

proptest::proptest! {
    #[test]
    fn the_drawdown_is_the_same_share_after_any_transfer(
        peak in 100_i128..100_000_000, kept in 1_i128..12_000, amount in -100_000_000_i128..100_000_000, capital in proptest::option::of(100_i128..100_000_000),
    ) {
        let cents = |cents: i128| Money::from_raw(cents * 100_000_000_000_000);
        let (equity, measure) = (peak * kept / 10_000, capital.map(cents));
        let mut breakers = Breakers { peak: Some(cents(peak)), equity: Some(cents(equity)), measure, ..Breakers::default() };
        let before = breakers.drawdown().unwrap();
        proptest::prop_assume!(equity > 0 && equity + amount > 0 && before < Bps::from_bps(10_000));
        breakers.shift(cents(amount));
        let after = breakers.drawdown().unwrap();
        proptest::prop_assert!((after - before).raw().abs() <= 2, "{before} {after}");
    }

    #[test]
    fn profit_never_trips_a_loss_limit(steps in proptest::collection::vec((1_i64..40_000, 0_i64..500_000_000), 1..200)) {
        let (mut breakers, mut now, mut equity) = (Breakers::default(), 0, Money::from_quote(crate::domain::Qty::from_raw(10_000)));
        let tight = Limits { max_daily_loss: Money::from_raw(1), max_drawdown_bps: Bps::from_raw(1), ..limits() };
        for (ms, gain) in steps {
            now += ms;
            equity += Money::from_raw(i128::from(gain));
            breakers.on_trade(Timestamp::from_millis(now), Money::from_raw(1));
            proptest::prop_assert_eq!(breakers.on_mark(Timestamp::from_millis(now), Some(equity), &tight), None);
            proptest::prop_assert_eq!(breakers.hourly_loss(), Some(Money::ZERO));
            proptest::prop_assert!(breakers.losing_streak().0 == 0);
        }
    }
}

#[test]
fn halting_by_hand_widens_no_limit() {
    let (mut breakers, _) = run(&[(0, "10000"), (10, "9950")]);
    breakers.halt(HaltReason::Hand);
    breakers.resume();
    assert_eq!((breakers.daily_loss(), breakers.day_pnl()), ("50".parse().ok(), "-50".parse().ok()));
}

#[test]
fn resume_starts_the_limit_that_halted_again() {
    let (mut breakers, _) = run(&[(0, "10000"), (10, "9800"), (12, "9800")]);
    breakers.resume();
    assert_eq!(breakers.day_pnl(), "-200".parse().ok(), "the day stays what it was");
    assert_eq!(breakers.daily_loss(), Some(Money::ZERO));
    assert_eq!(breakers.on_mark(Timestamp::from_millis(20_000), "9750".parse().ok(), &limits()), None);
}
