//! Trades in parts, driven by scripts: large positions, parts that are sold, buys that nobody has heard of.

use super::script_tests::{Desk, id};
use super::*;
use crate::domain::{ExitReason, Side, Span};
use crate::protocol::OrderState;
use crate::trading::costs::Slice;

/// Bought in three parts, each with its guard (3, 7, 11), in a book that shows as much as the position.
fn bought_in_parts() -> Desk {
    let mut desk = Desk::new();
    let part = |ms, qty: &str| Slice { after: Span::from_millis(ms), qty: qty.parse().unwrap() };
    desk.trade.spread(vec![part(0, "0.4"), part(2_000, "0.3"), part(4_000, "0.3")]);
    desk.see(0, "100").fill(1, "0.4", "100").see(2_000, "100").fill(5, "0.3", "100").see(4_000, "100").fill(9, "0.3", "100");
    desk.see(4_100, "100").visible_bids = "1".parse().unwrap();
    desk
}

#[test]
fn without_hurry_a_large_position_is_sold_guard_by_guard_and_what_waits_stays_guarded() {
    let mut desk = bought_in_parts();
    let bought = desk.steps.len();
    desk.trade.request_exit(ExitReason::Signal);
    desk.see(5_000, "100");
    assert_eq!(desk.steps[bought..], ["5000 replace 3", "5000 exit 13 0.4"]);
    desk.canceled(3, 5_010).fill(13, "0.4", "100").see(5_020, "100").see(6_990, "100");
    assert_eq!((desk.steps.len(), desk.cover().stopped()), (bought + 2, "0.6".parse().unwrap()));
    desk.see(7_000, "100").canceled(7, 7_010).fill(14, "0.3", "100").see(7_020, "100");
    assert_eq!(desk.steps[bought + 2..], ["7000 replace 7", "7000 exit 14 0.3"]);
    // The book has filled up: the rest is not large any more.
    desk.visible_bids = "2".parse().unwrap();
    desk.see(7_030, "100").canceled(11, 7_040).fill(15, "0.3", "100").see(7_050, "100");
    assert_eq!(desk.steps[bought + 4..], ["7030 replace 11", "7030 exit 15 0.3", "7050 Close { reason: Signal }"]);
}

#[test]
fn in_a_hurry_a_large_position_is_sold_at_once() {
    let sold = |hurry: fn(&mut Desk)| {
        let mut desk = bought_in_parts();
        let bought = desk.steps.len();
        hurry(&mut desk);
        desk.steps[bought..].iter().filter(|step| step.contains(" exit ")).cloned().collect::<Vec<_>>()
    };
    let flattened = sold(|desk| {
        desk.trade.request_exit(ExitReason::Flatten);
        desk.see(5_000, "100");
    });
    assert_eq!(flattened, ["5000 exit 13 0.4", "5000 exit 14 0.3", "5000 exit 15 0.3"]);
    let pressed = sold(|desk| {
        desk.trade.request_exit(ExitReason::Signal);
        desk.see(5_000, "100").trade.request_exit(ExitReason::Flatten);
        desk.see(5_100, "100");
    });
    assert_eq!(pressed, ["5000 exit 13 0.4", "5100 exit 14 0.3", "5100 exit 15 0.3"], "a person does not wait");
    let fallen = sold(|desk| {
        desk.trade.request_exit(ExitReason::Signal);
        desk.see(5_000, "100").see(5_100, "99.4");
    });
    assert_eq!(fallen, ["5000 exit 13 0.4", "5100 exit 14 0.3", "5100 exit 15 0.3"], "nor does a stop");
}

/// A first part is bought and guarded (3, 4); the second (5) was sent, and nothing is heard of it.
fn with_a_silent_buy() -> Desk {
    let mut desk = Desk::new();
    let part = |ms, qty: &str| Slice { after: Span::from_millis(ms), qty: qty.parse().unwrap() };
    desk.trade.spread(vec![part(0, "0.4"), part(2_000, "0.6")]);
    desk.see(0, "100").fill(1, "0.4", "100").see(1_000, "100").silent = true;
    desk.see(2_000, "100").silent = false;
    desk
}

#[test]
fn a_buy_that_nobody_has_heard_of_holds_up_neither_sale_nor_guard() {
    let mut flattened = with_a_silent_buy();
    flattened.trade.request_exit(ExitReason::Flatten);
    flattened.see(6_990, "100");
    assert_eq!(flattened.steps.len(), 2, "it may answer yet: {:?}", flattened.steps);
    flattened.see(7_000, "100").canceled(3, 7_010).fill(9, "0.4", "100").see(7_020, "100").see(20_000, "100");
    assert_eq!(flattened.steps[2..], ["7000 replace 3", "7000 exit 9 0.4"], "and it is not closed while more may be bought");
    // It lives after all, and a part of it was bought.
    flattened.accepted(&[id(5)], 30_000);
    flattened.see(30_000, "100").fill(5, "0.1", "100").canceled(5, 30_010).see(30_020, "100");
    assert_eq!(flattened.steps[4..], ["30000 cancel 5", "30020 exit 10 0.1"]);
    let mut bare = with_a_silent_buy();
    bare.fill(3, "0.1", "101").expired(4).see(2_500, "95").see(7_100, "95");
    assert_eq!(bare.steps[2..], ["7100 replace 3", "7100 exit 9 0.3"], "nothing watches its stop but this");
    let mut unguarded = with_a_silent_buy();
    unguarded.canceled(3, 2_100).see(2_110, "100").see(7_110, "100");
    assert_eq!(unguarded.steps[2..], ["7110 target 9 0.4 @ 101 / 99.5"]);
}

#[test]
fn an_entry_in_many_parts_never_has_more_stops_than_the_venue_takes() {
    let mut desk = Desk::new();
    let part = |n: i64| Slice { after: Span::from_millis(1_000 * n), qty: "0.1".parse().unwrap() };
    desk.trade.spread((0..10).map(part).collect());
    let mut most = 0;
    for ms in (0..15_000).step_by(50) {
        desk.see(ms, "100");
        let stops = |desk: &Desk| desk.orders.live().filter(|o| o.new.kind.stop().is_some()).count();
        most = most.max(stops(&desk));
        let buys: Vec<(u64, String)> =
            desk.orders.live().filter(|o| o.new.side == Side::Buy).map(|o| (o.new.id.sequence, o.new.qty.to_string())).collect();
        for (buy, qty) in &buys {
            desk.fill(*buy, qty, "100");
        }
        let ended: Vec<u64> = desk.orders.live().filter(|o| o.state == OrderState::CancelSent).map(|o| o.new.id.sequence).collect();
        for order in ended {
            desk.canceled(order, ms);
        }
    }
    assert_eq!((most, desk.trade.held().to_string().as_str(), desk.cover().stopped()), (5, "1", desk.trade.held()));
}

#[test]
fn a_part_is_sold_in_the_place_of_the_guard_and_the_rest_is_guarded_anew() {
    let mut desk = Desk::holding();
    desk.trade.hold_at_most("0.7".parse().unwrap());
    desk.see(1_000, "100").see(1_010, "100");
    assert_eq!(desk.steps[1..], ["1000 replace 3", "1000 exit 5 0.3"]);
    desk.canceled(3, 1_020).fill(5, "0.3", "100").see(1_100, "100");
    assert_eq!(desk.steps[3..], ["1100 target 6 0.7 @ 101 / 99.5"]);
    assert_eq!((desk.trade.phase, desk.trade.keeps(), desk.cover().stopped()), (Phase::Holding, None, "0.7".parse().unwrap()));
    desk.fill(6, "0.7", "101").expired(7).see(2_000, "101");
    assert_eq!(desk.last(), "2000 Close { reason: Target }");
}

#[test]
fn of_several_guards_the_one_that_fits_is_sold() {
    let sold = |keep: &str| {
        let mut desk = bought_in_parts();
        let bought = desk.steps.len();
        desk.trade.hold_at_most(keep.parse().unwrap());
        desk.see(5_000, "100").see(5_010, "100");
        desk.steps[bought..].to_vec()
    };
    assert_eq!(sold("0.7"), ["5000 replace 7", "5000 exit 13 0.3"]);
    assert_eq!(sold("0.9"), ["5000 replace 7", "5000 exit 13 0.1"]);
    assert_eq!(sold("0.65"), ["5000 replace 3", "5000 exit 13 0.4"], "what would stay of the guard is too little for one");
    assert_eq!(sold("0.5"), ["5000 replace 3", "5000 exit 13 0.4", "5000 replace 7", "5000 exit 14 0.1"]);
    assert_eq!(sold("1"), [""; 0]);
}

#[test]
fn a_part_is_not_sold_twice_whatever_is_refused_or_asked_again() {
    let mut desk = Desk::holding();
    desk.trade.hold_at_most("0.7".parse().unwrap());
    desk.see(1_000, "100").trade.hold_at_most("0.8".parse().unwrap());
    desk.see(1_010, "100");
    assert_eq!(desk.steps.len(), 3, "{:?}", desk.steps);
    // The guard is gone and the sale refused: the whole is guarded again, and the sale tried at its own pace.
    desk.trade.exit_refused(Purpose::Exit);
    desk.canceled(3, 1_020).canceled(5, 1_020).see(1_100, "100").see(1_990, "100").see(2_000, "100");
    assert_eq!(desk.steps[3..], ["1100 target 6 1 @ 101 / 99.5", "2000 replace 6", "2000 exit 8 0.3"]);
}

#[test]
fn a_part_whose_sale_ends_unfilled_is_guarded_before_it_is_tried_again() {
    let mut desk = Desk::holding();
    desk.trade.hold_at_most("0.7".parse().unwrap());
    desk.see(1_000, "100").canceled(3, 1_010);
    for ms in (1_020..3_000).step_by(10) {
        let sale = desk.orders.live().find(|o| o.purpose == Purpose::Exit).map(|o| o.new.id.sequence);
        sale.into_iter().for_each(|sale| {
            desk.expired(sale);
        });
        let asked: Vec<u64> = desk.orders.live().filter(|o| o.state == OrderState::CancelSent).map(|o| o.new.id.sequence).collect();
        for guard in asked {
            desk.canceled(guard, ms);
        }
        desk.see(ms, "100");
    }
    let told: Vec<&str> = desk.steps[3..9].iter().map(String::as_str).collect();
    assert_eq!(told[..3], ["1100 target 6 1 @ 101 / 99.5", "1500 replace 6", "1500 exit 8 0.3"]);
    assert_eq!(told[3..], ["1600 target 9 1 @ 101 / 99.5", "2000 replace 9", "2000 exit 11 0.3"]);
}

#[test]
fn a_part_is_sold_although_its_guard_is_refused() {
    let mut desk = Desk::holding();
    desk.canceled(3, 10).refused(10, 900, "100");
    desk.trade.hold_at_most("0.7".parse().unwrap());
    desk.see(910, "100");
    assert_eq!(desk.last(), "910 exit 7 0.3");
}

#[test]
fn an_entry_of_which_less_is_to_be_held_buys_no_more() {
    let mut desk = Desk::new();
    desk.see(0, "100").fill(1, "0.5", "100").trade.hold_at_most("0.2".parse().unwrap());
    desk.see(10, "100").canceled(1, 20).see(30, "100").see(130, "100");
    assert_eq!(desk.steps[1..], ["10 cancel 1", "30 exit 5 0.3", "130 target 6 0.2 @ 101 / 99.5"]);
}

#[test]
fn others_coins_are_not_sold_with_a_part() {
    let mut desk = Desk::holding();
    desk.alone = false;
    desk.trade.hold_at_most("0.7".parse().unwrap());
    desk.see(1_000, "100").canceled(3, 1_010).see(1_020, "100").see(1_120, "100");
    assert_eq!(desk.steps[1..], ["1000 cancel 3", "1020 exit 5 0.3", "1120 target 6 0.7 @ 101 / 99.5"]);
    let mut many = bought_in_parts();
    let bought = many.steps.len();
    many.alone = false;
    many.trade.hold_at_most("0.9".parse().unwrap());
    many.see(5_000, "100").see(5_010, "100").canceled(7, 5_020).see(5_030, "100").see(5_040, "100");
    assert_eq!(many.steps[bought..], ["5000 cancel 7", "5030 exit 13 0.1"], "the other guards stay");
    let mut leaving = bought_in_parts();
    leaving.alone = false;
    leaving.trade.request_exit(ExitReason::Signal);
    leaving
        .see(5_000, "100")
        .see(5_010, "100")
        .canceled(3, 5_020)
        .see(5_030, "100")
        .fill(13, "0.4", "100")
        .see(5_600, "100")
        .see(7_030, "100");
    assert_eq!(leaving.steps[bought..], ["5000 cancel 3", "5030 exit 13 0.4", "7030 cancel 7"]);
}

#[test]
fn a_part_that_nobody_takes_is_guarded_while_the_others_wait() {
    let mut desk = bought_in_parts();
    desk.alone = false;
    desk.trade.request_exit(ExitReason::Signal);
    desk.see(5_000, "100").canceled(3, 5_010).refused(5_020, 40_000, "100");
    assert!(desk.steps.iter().any(|step| step.contains(" target ") && step.contains(" 0.4 @ ")), "{:?}", desk.steps);
}

#[test]
fn a_book_that_is_lost_hurries_nobody() {
    let mut desk = bought_in_parts();
    desk.trade.request_exit(ExitReason::Signal);
    desk.see(5_000, "100").canceled(3, 5_010).fill(13, "0.4", "100");
    assert_eq!(desk.blind(5_100), Step::Wait);
    assert!(matches!(desk.blind(7_000), Step::Replace { .. }));
    assert!(desk.trade.has_patience());
    desk.trade.request_exit(ExitReason::LossLimit);
    assert!(!desk.trade.has_patience());
    assert!(matches!(desk.blind(7_010), Step::Replace { .. }));
}

#[test]
fn a_buy_whose_cancel_is_refused_is_cancelled_again_and_holds_up_nothing() {
    let mut desk = with_a_silent_buy();
    desk.canceled(3, 2_100).see(2_110, "100").see(7_110, "100").accepted(&[id(5)], 8_000);
    desk.see(8_000, "100").cancel_refused(5, 8_010).accepted(&[id(5)], 8_020);
    desk.see(12_000, "100").see(13_000, "100");
    let cancels: Vec<&String> = desk.steps.iter().filter(|step| step.ends_with("cancel 5")).collect();
    assert_eq!(cancels.len(), 2, "{:?}", desk.steps);
    // While it is being entered, too: out of what was bought, whatever the venue says of the rest.
    let mut entering = Desk::new();
    entering.see(0, "100").fill(1, "0.4", "100").trade.request_exit(ExitReason::Flatten);
    entering.see(10, "100").cancel_refused(1, 20).accepted(&[id(1)], 20);
    entering.see(30, "100");
    assert_eq!(entering.steps[1..], ["10 cancel 1", "30 exit 5 0.4"]);
    // Nor does a sale that is refused hold up the cancel.
    entering.trade.exit_refused(Purpose::Exit);
    entering.canceled(5, 40).see(600, "100");
    assert_eq!(entering.steps[3..], ["600 cancel 1"]);
    let mut guarding = Desk::new();
    guarding.see(0, "100").fill(1, "0.4", "100").trade.hold_at_most("0.4".parse().unwrap());
    guarding.see(10, "100").cancel_refused(1, 20).accepted(&[id(1)], 20);
    guarding.see(30, "100");
    for _ in 0..3 {
        guarding.trade.exit_refused(Purpose::Target);
    }
    guarding.canceled(5, 40).see(600, "100");
    assert_eq!(guarding.steps[1..], ["10 cancel 1", "30 target 5 0.4 @ 101 / 99.5", "600 cancel 1"], "nor a guard that is refused");
}
