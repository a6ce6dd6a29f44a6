//! The same events, the same machine.

use crate::desk::Desk;

#[test]
fn the_same_events_give_the_same_fingerprint() {
    let run = |seed| {
        let mut desk = Desk::ready(seed);
        desk.run(600);
        desk
    };
    let (first, second, other) = (run(1), run(1), run(2));
    assert!(first.costs().len() >= 10, "only {} trades in ten minutes", first.costs().len());
    assert_eq!(first.session.engine.fingerprint(), second.session.engine.fingerprint());
    assert!(*first.journal.borrow() == *second.journal.borrow(), "equal fingerprints over different journals");
    assert_eq!(first.session.engine.view(), second.session.engine.view());
    assert_ne!(first.session.engine.fingerprint(), other.session.engine.fingerprint());
}
