//! Each limit in a running engine: set tight it is the reason that is shown, as it is it stays quiet.

use huracan::domain::{Bps, ExitReason, Money};
use huracan::engine::Settings;
use huracan::protocol::{Command, LimitName, LimitValue, ModelRole, OrderState, Refusal, Request, Verdict};

use crate::desk::{Desk, settings};

type Tighten = fn(&mut Settings);
type Shown = fn(&Refusal) -> bool;

/// (limit, how it is made to bind, the refusal that shows it).
const CASES: [(&str, Tighten, Shown); 9] = [
    ("heat", |s| s.limits.max_heat_bps = Some(Bps::from_raw(1)), |r| matches!(r, Refusal::Heat { .. })),
    ("reserve", |s| s.limits.min_cash_reserve_bps = Some(Bps::from_bps(9_999)), |r| matches!(r, Refusal::CashReserve { .. })),
    ("rate", |s| s.limits.max_orders_per_minute = Some(1), |r| matches!(r, Refusal::OrderRate { .. })),
    ("collar", |s| s.limits.price_collar_bps = Some(Bps::ZERO), |r| matches!(r, Refusal::PriceCollar { .. })),
    ("hour", |s| s.limits.max_hourly_loss = "0.01".parse().ok(), |r| matches!(r, Refusal::HourlyLoss { .. })),
    (
        "streak",
        |s| (s.limits.max_losing_streak, s.limits.streak_pause_ms) = (Some(1), 600_000),
        |r| matches!(r, Refusal::LosingStreak { .. }),
    ),
    ("volatility", |s| s.limits.max_volatility_percent = Some(1), |r| matches!(r, Refusal::Volatile { .. })),
    ("spread", |s| s.limits.max_spread_bps = Bps::ZERO, |r| matches!(r, Refusal::SpreadTooWide { .. })),
    ("order", |s| s.limits.max_position_notional = "10".parse().unwrap(), |r| matches!(r, Refusal::PositionLimit { .. })),
];

fn refusals(desk: &Desk) -> Vec<Refusal> {
    let refused = |verdict| if let Verdict::Refused(refusal) = verdict { Some(refusal) } else { None };
    desk.decisions().into_iter().filter_map(|d| refused(d.verdict)).collect()
}

fn wide() -> Settings {
    let mut settings = settings();
    settings.limits.max_heat_bps = Some(Bps::from_bps(500));
    settings.limits.min_cash_reserve_bps = Some(Bps::from_bps(100));
    settings.limits.max_orders_per_minute = Some(1_000);
    settings.limits.price_collar_bps = Some(Bps::from_bps(100));
    settings.limits.max_hourly_loss = "1000".parse().ok();
    settings.limits.max_losing_streak = Some(1_000);
    settings.limits.max_volatility_percent = Some(10_000);
    settings.limits.max_trade_loss = "1000".parse().ok();
    settings
}

#[test]
fn each_limit_binds_when_it_is_tight_and_says_so() {
    for (name, tighten, shown) in CASES {
        let mut settings = wide();
        tighten(&mut settings);
        let mut desk = Desk::with(5, settings, ModelRole::Shadow);
        desk.run_until(name, |d| refusals(d).iter().any(shown));
    }
}

#[test]
fn wide_limits_refuse_nothing() {
    let mut desk = Desk::with(5, wide(), ModelRole::Shadow);
    desk.run_until("trades", |d| d.costs().len() >= 6);
    let limits: Vec<Refusal> = refusals(&desk).into_iter().filter(|r| CASES.iter().any(|(_, _, shown)| shown(r))).collect();
    assert!(limits.is_empty(), "{limits:?}");
}

#[test]
fn a_trade_that_loses_too_much_is_closed() {
    let mut settings = wide();
    // Less than the fee of the entry: every position has lost it from the beginning.
    settings.limits.max_trade_loss = "0.0001".parse::<Money>().ok();
    let mut desk = Desk::with(5, settings, ModelRole::Shadow);
    desk.run_until("a trade closed by its loss", |d| d.costs().iter().any(|c| c.exit == ExitReason::LossLimit));
    let quick = desk.costs().iter().filter(|c| c.exit == ExitReason::LossLimit).all(|c| c.held.millis() < 5_000);
    assert!(quick, "two marks a second apart are enough: {:?}", desk.costs());
}

fn exposure(text: &str) -> LimitValue {
    LimitValue::Money(text.parse().unwrap())
}

fn set(desk: &mut Desk, value: &str, confirmed: bool) -> bool {
    desk.command(Command::SetLimit { name: LimitName::MaxExposure, value: exposure(value), confirmed });
    desk.session.engine.view().limit_answer.unwrap().accepted
}

fn in_force(desk: &Desk) -> Option<LimitValue> {
    desk.session.engine.settings().limits.get(LimitName::MaxExposure)
}

#[test]
fn a_limit_changes_by_command_and_outlives_the_process() {
    let mut settings = wide();
    settings.limits.loosen_delay_ms = 10_000;
    let mut desk = Desk::with(5, settings, ModelRole::Shadow);
    assert!(set(&mut desk, "2000", false), "tighter needs no word");
    assert_eq!(in_force(&desk), Some(exposure("2000")));
    assert!(!set(&mut desk, "2500", false), "looser does");
    assert!(set(&mut desk, "2500", true));
    desk.run(9);
    assert_eq!(in_force(&desk), Some(exposure("2000")), "and it takes its time");
    assert!(desk.session.engine.view().limits.iter().any(|limit| limit.pending.is_some()));
    desk.command(Command::KeepLimit { name: LimitName::MaxExposure });
    desk.run(20);
    assert_eq!(in_force(&desk), Some(exposure("2000")), "withdrawn");
    assert!(set(&mut desk, "2600", true));
    desk.run(11);
    assert_eq!(in_force(&desk), Some(exposure("2600")));
    assert!(!set(&mut desk, "1000", false), "a position could not be held");
    assert!(set(&mut desk, "2700", true));
    let desk = desk.crash().restart();
    assert_eq!(in_force(&desk), Some(exposure("2600")));
    let waits = desk.session.engine.view().limits.iter().any(|limit| limit.pending.is_some());
    assert!(waits, "what waits goes on waiting");
}

#[test]
fn a_tightened_limit_ends_the_entry_that_rests_beyond_it() {
    let mut desk = Desk::with(5, wide(), ModelRole::Shadow);
    let entry = |d: &Desk| d.session.engine.view().orders.into_iter().find(|o| o.purpose == "entry" && o.state == OrderState::Open);
    desk.run_until("an open entry", |d| entry(d).is_some());
    let open = entry(&desk).unwrap();
    let notional = open.price.unwrap().notional(open.qty).unwrap();
    let sent = desk.requests().len();
    let mut tighten = |name, value| {
        desk.command(Command::SetLimit { name, value: LimitValue::Money(value), confirmed: false });
        assert!(desk.session.engine.view().limit_answer.unwrap().accepted, "{name}");
        desk.requests().iter().skip(sent).any(|r| matches!(r, Request::Cancel { id, .. } if *id == open.id))
    };
    assert!(!tighten(LimitName::MaxDailyLoss, "1999".parse().unwrap()), "a limit of losses says nothing of what rests");
    assert!(tighten(LimitName::MaxOrderNotional, notional - "1".parse().unwrap()));
}

#[test]
fn an_order_of_the_largest_size_is_not_refused_for_what_taking_it_costs() {
    let mut settings = wide();
    settings.decision.position_percent = 50.0;
    settings.limits.max_cluster_exposure_bps = None;
    settings.limits.max_portfolio_volatility_bps = None;
    settings.exploration = None;
    settings.maker.enabled = false;
    let largest: Money = settings.limits.max_order_notional;
    let mut desk = Desk::with(7, settings, ModelRole::Champion);
    desk.run(120);
    let refused = refusals(&desk).into_iter().filter(|r| matches!(r, Refusal::OrderNotional { .. })).count();
    let sizes: Vec<Money> = desk.openings().iter().map(|o| o.kind.price().unwrap().notional(o.qty).unwrap()).collect();
    assert!(refused == 0 && sizes.len() > 3, "{refused} refused, {sizes:?}");
    assert!(sizes.iter().any(|size| size.to_f64() > largest.to_f64() * 0.99), "as large as may be: {sizes:?}");
}
