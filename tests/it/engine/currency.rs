//! The account's own currency: figures by a marked rate, unknown without one.

use huracan::domain::Timestamp;
use huracan::engine::Settings;
use huracan::protocol::{AccountView, Event, FxMark, ModelRole, Probe};
use huracan::trading::currency::AccountCurrency;

use crate::desk::{Desk, settings};

fn in_pounds() -> Settings {
    let account =
        AccountCurrency { currency: "GBP".parse().unwrap(), pair: "GBPUSDT".parse().unwrap(), invert: false, max_age_ms: 120_000 };
    Settings { account: Some(account), ..settings() }
}

fn tell(desk: &mut Desk, pair: &str, rate: &str, at: Timestamp) {
    let mark = FxMark { pair: pair.parse().unwrap(), rate: rate.parse().unwrap(), source: "a test".into(), at };
    desk.apply(Event::Probe(Probe::Fx(mark)));
}

fn shown(desk: &Desk) -> AccountView {
    desk.session.engine.view().account.unwrap()
}

#[test]
fn figures_follow_the_rate_and_become_unknown_with_its_age() {
    let mut desk = Desk::with(14, in_pounds(), ModelRole::Shadow);
    assert_eq!((shown(&desk).equity, shown(&desk).mark), (None, None), "no rate is not one to one");
    let at = desk.now();
    tell(&mut desk, "EURUSDT", "1.1", at);
    tell(&mut desk, "GBPUSDT", "0", at);
    assert_eq!(shown(&desk).mark, None, "neither is a rate of this account");
    tell(&mut desk, "GBPUSDT", "1.25", at);
    assert_eq!((shown(&desk).equity, shown(&desk).net_pnl), ("8000".parse().ok(), "0".parse().ok()));
    desk.run_until("a trade", |d| !d.costs().is_empty());
    let (view, fees) = (shown(&desk), desk.session.engine.view().fees);
    assert_eq!(view.fees.map(|f| f.raw()), Some(fees.raw() * 100 / 125));
    assert!(view.age.unwrap().millis() > 0 && view.mark.unwrap().source == "a test");
    desk.run(121);
    let old = shown(&desk);
    assert_eq!((old.equity, old.day_pnl, old.fees), (None, None, None), "an old rate is no rate");
    assert!(old.mark.is_some(), "it is shown with its age");
}

#[test]
fn the_rate_survives_a_restart() {
    let mut desk = Desk::with(15, in_pounds(), ModelRole::Shadow);
    let at = desk.now();
    tell(&mut desk, "GBPUSDT", "1.25", at);
    let next = desk.crash().restart();
    assert_eq!(shown(&next).mark.unwrap().rate.to_string(), "1.25");
}
