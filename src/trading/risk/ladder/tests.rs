use super::*;
use crate::domain::{ExitReason, Money, Qty};

const HOUR: i64 = 3_600_000;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(1_767_225_600_000 + ms)
}

/// A ladder that was put on a rung.
pub fn standing_on(rung: Rung) -> Ladder {
    Ladder { rung, ..Ladder::new(at(0)) }
}

fn limits() -> Limits {
    Limits { max_drawdown_bps: Bps::from_bps(1_000), ..Limits::default() }
}

fn sight() -> Sight {
    Sight {
        broken_books: 0,
        clock_drift: Some(Span::from_millis(10)),
        mismatches: Some(0),
        drawdown: Some(Bps::from_bps(10)),
        halted: false,
    }
}

/// A trade of 100 at one price: (net, slippage).
fn cost(ms: i64, net: &str, slippage: &str) -> CostRecord {
    let zero = Money::ZERO;
    CostRecord {
        symbol: "BTCUSDT".parse().unwrap(),
        entry_time: at(ms - 1),
        exit_time: at(ms),
        qty: "1".parse::<Qty>().unwrap(),
        entry_price: "100".parse().unwrap(),
        exit_price: "100".parse().unwrap(),
        gross: zero,
        fees: zero,
        spread: zero,
        slippage: slippage.parse().unwrap(),
        impact: zero,
        net: net.parse().unwrap(),
        exit: ExitReason::Target,
        held: Span::ZERO,
        exploration: false,
    }
}

/// Whatever `rung` asks for is there; the evidence ends at 30 hours.
fn ready_for(rung: Rung) -> Ladder {
    let mut ladder = standing_on(rung.previous().unwrap());
    for second in (0..=25 * 3_600).step_by(5) {
        ladder.look(at(second * 1_000), sight());
    }
    (0..30).for_each(|trade| ladder.on_trade(&cost(29 * HOUR + trade, "0.01", "0.01")));
    (0..20).for_each(|_| ladder.on_test(at(29 * HOUR), None));
    ladder
}

type Spoil = fn(&mut Ladder);

const UNPROTECTED: &str = "positions unprotected for too long, in a week";

/// (rung, gate, what makes it fail).
const SPOILT: &[(Rung, &str, Spoil)] = &[
    (Rung::Paper, "trading not halted", |l| see(l, Sight { halted: true, ..sight() })),
    (Rung::Full, "trading not halted", |l| see(l, Sight { halted: true, ..sight() })),
    (Rung::Paper, "hours of market data", |l| l.evidence.watched = Span::from_secs(24 * 3_600 - 1)),
    (Rung::Paper, "share of the time with valid books", |l| l.evidence.valid = Span::from_secs(24 * 3_600)),
    (Rung::Paper, "share of the time with valid books", |l| (l.evidence.valid, l.evidence.watched) = (Span::ZERO, Span::ZERO)),
    (Rung::Paper, "books with a gap now", |l| see(l, Sight { broken_books: 1, ..sight() })),
    (Rung::Paper, "clock drift, ms", |l| see(l, Sight { clock_drift: None, ..sight() })),
    (Rung::Paper, "clock drift, ms", |l| see(l, Sight { clock_drift: Some(Span::from_millis(-251)), ..sight() })),
    (Rung::DryRun, "paper trades closed", |l| l.evidence.trades.truncate(29)),
    (Rung::DryRun, "paper trades closed", |l| l.evidence.trades[0].at = at(30 * HOUR - 31 * 24 * HOUR)),
    (Rung::DryRun, "mean net of the paper trades, bps", |l| l.on_trade(&cost(30 * HOUR, "-5", "0"))),
    (Rung::DryRun, "mean net of the paper trades, bps", |l| l.evidence.trades.clear()),
    (Rung::DryRun, "mismatches and overfills", |l| l.changes.push_back(change(RungReason::Overfill))),
    (Rung::DryRun, "mismatches and overfills", |l| l.changes.push_back(change(RungReason::BalanceMismatch))),
    (Rung::Smallest, "test orders taken in a row", |l| l.on_test(at(30 * HOUR), Some(VenueRefusal::RateLimit))),
    (Rung::Smallest, "test orders refused by filters in a day", |l| l.on_test(at(7 * HOUR), Some(VenueRefusal::Filter))),
    (Rung::Smallest, "assets on which venue and books differ", |l| see(l, Sight { mismatches: None, ..sight() })),
    (Rung::Tenth, "assets on which venue and books differ", |l| see(l, Sight { mismatches: Some(1), ..sight() })),
    (Rung::Tenth, "live trades closed", |l| l.evidence.trades.truncate(19)),
    (Rung::Half, "live trades closed", |l| l.evidence.trades.truncate(19)),
    (Rung::Tenth, "mean slippage of the live trades, bps", |l| l.on_trade(&cost(30 * HOUR, "1", "5"))),
    (Rung::Tenth, UNPROTECTED, |l| l.changes.push_back(change(RungReason::Unprotected))),
    (Rung::Full, UNPROTECTED, |l| l.changes.push_back(change(RungReason::Unprotected))),
    (Rung::Half, "deepest drawdown, share of its limit", |l| l.evidence.worst_drawdown = Bps::from_bps(501)),
    (Rung::Full, "deepest drawdown, share of its limit", |l| {
        see(l, Sight { drawdown: Some(Bps::from_bps(999)), ..sight() });
    }),
];

fn see(ladder: &mut Ladder, sight: Sight) {
    ladder.look(at(30 * HOUR), sight);
}

fn change(reason: RungReason) -> RungChange {
    RungChange { at: at(0), from: Rung::Smallest, to: Rung::DryRun, reason }
}

fn failing(ladder: &Ladder, rung: Rung) -> Vec<String> {
    let gates = ladder.entry_test(rung, at(30 * HOUR), &LadderRules::default(), &limits());
    assert!(!gates.is_empty(), "{rung} asks for nothing");
    gates.into_iter().filter(|gate| !gate.passed).map(|gate| gate.name).collect()
}

#[test]
fn each_gate_passes_and_fails() {
    for (rung, gate, spoil) in SPOILT {
        let mut ladder = ready_for(*rung);
        assert_eq!(failing(&ladder, *rung), [""; 0], "{rung} before {gate}");
        spoil(&mut ladder);
        assert!(failing(&ladder, *rung).iter().any(|name| name == gate), "{rung}: {gate} lets it pass");
        let failed = ladder.climb(at(30 * HOUR), &LadderRules::default(), &limits()).expect_err("not climbed");
        assert!(failed.iter().all(|gate| !gate.passed) && ladder.rung().next() == Some(*rung));
    }
    for rung in &Rung::ALL[1..] {
        let asked = ready_for(*rung).entry_test(*rung, at(30 * HOUR), &LadderRules::default(), &limits());
        let tried = |name: &str| SPOILT.iter().any(|(_, gate, _)| *gate == name);
        assert!(asked.iter().all(|gate| tried(&gate.name)), "a gate of {rung} never fails here");
    }
}

#[test]
fn climbing_takes_one_rung_and_begins_the_evidence_anew() {
    let mut ladder = ready_for(Rung::Tenth);
    assert_eq!(ladder.climb(at(30 * HOUR), &LadderRules::default(), &limits()), Ok(Rung::Tenth));
    assert_eq!((ladder.since(), ladder.evidence()), (at(30 * HOUR), &Evidence::default()));
    assert!(ladder.climb(at(30 * HOUR), &LadderRules::default(), &limits()).is_err(), "nothing was seen on this rung yet");
    let mut top = standing_on(Rung::Full);
    assert_eq!(top.climb(at(0), &LadderRules::default(), &limits()), Err(Vec::new()));
}

#[test]
fn every_reason_steps_back_one_rung_and_is_kept() {
    use RungReason::{BalanceMismatch, DailyLoss, Drawdown, Hand, Overfill, Unprotected, VenueErrors};
    for reason in [DailyLoss, Drawdown, BalanceMismatch, Overfill, VenueErrors, Unprotected, Hand] {
        for rung in Rung::ALL {
            let mut ladder = ready_for(Rung::Full);
            ladder.rung = rung;
            let moved = ladder.step_back(at(5), reason);
            let below = rung.previous().unwrap_or(Rung::DataOnly);
            assert_eq!(moved, RungChange { at: at(5), from: rung, to: below, reason });
            assert_eq!((ladder.rung(), ladder.changes().next_back()), (below, Some(&moved)));
            assert!(ladder.evidence().trades.is_empty());
        }
    }
    assert_eq!(standing_on(Rung::Smallest).step_back(at(0), DailyLoss).to, Rung::DryRun);
}

#[test]
fn a_halt_is_acted_on_once() {
    let mut ladder = standing_on(Rung::Tenth);
    ladder.look(at(0), Sight { halted: true, ..sight() });
    assert!(ladder.meets_halt() && !ladder.meets_halt());
    let text = serde_json::to_string(&ladder).unwrap();
    let mut restored: Ladder = serde_json::from_str(&text).unwrap();
    assert!(!restored.meets_halt(), "a restart is no new halt");
    restored.look(at(1), sight());
    restored.look(at(2), Sight { halted: true, ..sight() });
    assert!(restored.meets_halt());
}

#[test]
fn a_pause_is_not_watched_and_broken_books_are_not_valid() {
    let mut ladder = standing_on(Rung::DataOnly);
    let broken = Sight { broken_books: 1, ..sight() };
    let minutes: Vec<bool> =
        [(0, sight()), (1, sight()), (2, broken), (3, broken), (4, sight()), (5, sight()), (900, sight()), (901, sight())]
            .map(|(second, seen)| ladder.look(at(second * 1_000), seen))
            .to_vec();
    assert_eq!((ladder.evidence().watched, ladder.evidence().valid), (Span::from_secs(6), Span::from_secs(3)));
    assert!(minutes.iter().all(|minute| !minute));
    let told = (902..1_100).filter(|second| ladder.look(at(second * 1_000), sight())).count();
    assert_eq!(told, 3, "once a minute");
}

#[test]
fn what_is_remembered_is_bounded_and_survives_json() {
    let mut ladder = standing_on(Rung::Full);
    for n in 0..2_000 {
        ladder.on_trade(&cost(n, "1", "0.1"));
        ladder.on_test(at(n), Some(VenueRefusal::Filter));
    }
    assert_eq!((ladder.evidence.trades.len(), ladder.evidence.filter_refusals.len()), (TRADES_KEPT, REFUSALS_KEPT));
    let text = serde_json::to_string(&ladder).unwrap();
    assert_eq!(serde_json::from_str::<Ladder>(&text).unwrap(), ladder);
    for n in 0..200 {
        ladder.step_back(at(n), RungReason::Hand);
    }
    assert_eq!(ladder.changes.len(), CHANGES_KEPT);
}
