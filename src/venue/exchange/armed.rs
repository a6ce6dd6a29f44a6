//! The rules in force: which of them strikes a request, a message or a moment, and how often each has.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::faults::{Fault, FaultDoor, FaultError, FaultRule};

/// Rules held at once, spent ones included.
const MOST_RULES: usize = 1_000;

#[derive(Default)]
pub(super) struct Faults {
    rules: Mutex<Vec<Armed>>,
    /// Anything to look at: the usual answer is no, and costs nothing.
    any: AtomicBool,
}

struct Armed {
    rule: FaultRule,
    from: Instant,
    until: Option<Instant>,
    /// Strikes left; `None` as long as time lasts.
    left: Option<u32>,
    fired: u64,
    /// Matching requests and messages so far: the place in the random sequence.
    seen: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Stage {
    Waiting,
    Active,
    Spent,
}

/// A rule as `GET /control/faults` shows it.
#[derive(Serialize)]
struct Listed<'a> {
    #[serde(flatten)]
    rule: &'a FaultRule,
    stage: Stage,
    fired: u64,
}

/// A request as rules see it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub door: FaultDoor,
    pub method: Option<&'a str>,
    /// REST path below `/api/v3/`, or WebSocket API method.
    pub path: &'a str,
    /// It places orders.
    pub places: bool,
}

impl Faults {
    /// # Errors
    /// When a rule makes no sense or there are too many; then none is taken.
    pub fn add(&self, rules: Vec<FaultRule>) -> Result<(), FaultError> {
        rules.iter().try_for_each(FaultRule::check)?;
        let mut armed = self.lock();
        if armed.len() + rules.len() > MOST_RULES {
            return Err(FaultError::TooMany(MOST_RULES));
        }
        let now = Instant::now();
        armed.extend(rules.into_iter().map(|rule| Armed::new(rule, now)));
        self.any.store(!armed.is_empty(), Ordering::Release);
        Ok(())
    }

    /// Forgets every rule and gives them.
    pub fn clear(&self) -> Vec<FaultRule> {
        let mut armed = self.lock();
        self.any.store(false, Ordering::Release);
        armed.drain(..).map(|armed| armed.rule).collect()
    }

    /// Every rule with its stage and how often it struck, as a JSON array.
    pub fn list(&self) -> String {
        let now = Instant::now();
        let armed = self.lock();
        super::wire::json(&armed.iter().map(|armed| armed.listed(now)).collect::<Vec<_>>())
    }

    pub fn is_quiet(&self) -> bool {
        !self.any.load(Ordering::Acquire)
    }

    /// What strikes this request.
    pub fn at_request(&self, asked: Asked<'_>) -> Vec<Fault> {
        self.strike(|rule| {
            let here = rule.on == Some(asked.door) || rule.on.is_none() && rule.fault.concerns(asked.door);
            // Without a path a connection of the WebSocket API is struck at the rule's time.
            let socket_alone = asked.door == FaultDoor::WsApi && rule.fault.is_of_a_connection() && rule.path.is_none();
            let method = rule.method.as_deref().is_none_or(|method| asked.method.is_some_and(|m| m.eq_ignore_ascii_case(method)));
            let place = asked.places || !matches!(rule.fault, Fault::HiddenOrder { .. });
            here && !socket_alone && method && place && !rule.fault.is_of_the_exchange() && matches(rule, asked.path)
        })
    }

    /// What strikes a stream message; `name` is its stream, or its event type on a user data stream.
    pub fn at_message(&self, door: FaultDoor, name: &str) -> Vec<Fault> {
        self.strike(|rule| {
            let here = rule.on.is_none_or(|on| on == door) && rule.fault.concerns(door) && rule.method.is_none();
            let socket_alone = rule.fault.is_of_a_connection() && rule.path.is_none();
            here && !socket_alone && !rule.fault.is_of_the_exchange() && matches(rule, name)
        })
    }

    /// What strikes now by itself: faults of the exchange, and of connections where `open` says that there are some.
    pub fn at_moment(&self, open: impl Fn(Option<FaultDoor>) -> bool) -> Vec<FaultRule> {
        let mut struck = Vec::new();
        self.strike(|rule| {
            let alone = rule.fault.is_of_the_exchange()
                || rule.fault.is_of_a_connection() && rule.path.is_none() && rule.on != Some(FaultDoor::Rest) && open(rule.on);
            if alone {
                struck.push(rule.clone());
            }
            alone
        });
        struck
    }

    fn strike(&self, mut wanted: impl FnMut(&FaultRule) -> bool) -> Vec<Fault> {
        if self.is_quiet() {
            return Vec::new();
        }
        let now = Instant::now();
        self.lock().iter_mut().filter_map(|armed| armed.strike(now, &mut wanted)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Armed>> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Armed {
    fn new(rule: FaultRule, now: Instant) -> Self {
        let from = now + Duration::from_millis(rule.after_ms);
        let until = rule.for_ms.map(|ms| from + Duration::from_millis(ms));
        // A status lasts until it ends; everything else that is given a while strikes all through it.
        let once = rule.for_ms.is_none() || rule.fault.is_of_the_exchange();
        let left = rule.times.or(if once { Some(1) } else { None });
        Self { rule, from, until, left, fired: 0, seen: 0 }
    }

    fn is_active(&self, now: Instant) -> bool {
        now >= self.from && self.until.is_none_or(|until| now < until) && self.left != Some(0)
    }

    fn strike(&mut self, now: Instant, wanted: &mut impl FnMut(&FaultRule) -> bool) -> Option<Fault> {
        if !self.is_active(now) || !wanted(&self.rule) {
            return None;
        }
        // A draw is used up by a match only: other traffic does not move the sequence.
        self.seen += 1;
        if let Some(one_in) = self.rule.one_in
            && !mixed(self.rule.seed, self.seen).is_multiple_of(u64::from(one_in.get()))
        {
            return None;
        }
        self.fired += 1;
        self.left = self.left.map(|left| left - 1);
        Some(self.rule.fault.clone())
    }

    fn listed(&self, now: Instant) -> Listed<'_> {
        let stage = match self.is_active(now) {
            true => Stage::Active,
            false if now < self.from => Stage::Waiting,
            false => Stage::Spent,
        };
        Listed { rule: &self.rule, stage, fired: self.fired }
    }
}

fn matches(rule: &FaultRule, name: &str) -> bool {
    match rule.path.as_deref() {
        None => true,
        Some(path) => path.strip_suffix('*').map_or(path == name, |start| name.starts_with(start)),
    }
}

/// The `n`th number of the sequence of `seed` (splitmix64).
const fn mixed(seed: u64, n: u64) -> u64 {
    let mut z = seed.wrapping_add(n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rest(path: &str) -> Asked<'_> {
        Asked { door: FaultDoor::Rest, method: Some("GET"), path, places: false }
    }

    #[test]
    fn a_rule_strikes_what_it_names_as_often_as_it_says() {
        let faults = Faults::default();
        assert!(faults.is_quiet());
        let rules = vec![
            FaultRule::new(Fault::Delay { ms: 1 }).request("GET", "ord*").times(2),
            FaultRule::new(Fault::Drop),
            FaultRule { after_ms: 60_000, ..FaultRule::new(Fault::ResetAfter) },
            FaultRule::new(Fault::HiddenOrder { ms: 1 }),
        ];
        faults.add(rules).unwrap();
        assert!(faults.at_request(rest("time")).is_empty());
        assert!(faults.at_request(Asked { method: Some("POST"), ..rest("order") }).is_empty());
        assert_eq!(faults.at_request(rest("order")), [Fault::Delay { ms: 1 }]);
        assert_eq!(faults.at_request(rest("orderList")), [Fault::Delay { ms: 1 }]);
        assert!(faults.at_request(rest("order")).is_empty(), "twice is all");
        assert_eq!(faults.at_request(Asked { places: true, ..rest("order") }), [Fault::HiddenOrder { ms: 1 }]);
        assert_eq!(faults.at_message(FaultDoor::MarketStreams, "btcusdt@trade"), [Fault::Drop]);
        let listed: serde_json::Value = serde_json::from_str(&faults.list()).unwrap();
        let stages: Vec<_> =
            listed.as_array().unwrap().iter().map(|rule| (rule["stage"].as_str().unwrap(), rule["fired"].as_u64().unwrap())).collect();
        assert_eq!(stages, [("spent", 2), ("spent", 1), ("waiting", 0), ("spent", 1)]);
        faults.clear();
        assert_eq!(faults.list(), "[]");
    }

    #[test]
    fn the_seed_alone_chooses_which_messages_are_struck() {
        let struck = |seed| {
            let faults = Faults::default();
            let one_in = std::num::NonZeroU32::new(4);
            faults.add(vec![FaultRule { one_in, seed, ..FaultRule::new(Fault::Drop).for_ms(60_000) }]).unwrap();
            (0..400).map(|_| !faults.at_message(FaultDoor::UserStreams, "executionReport").is_empty()).collect::<Vec<_>>()
        };
        assert_eq!(struck(7), struck(7));
        assert_ne!(struck(7), struck(8));
        assert!((60..140).contains(&struck(7).iter().filter(|hit| **hit).count()));
    }

    #[test]
    fn sockets_are_struck_at_the_rules_time_and_messages_by_their_name() {
        let faults = Faults::default();
        faults.add(vec![FaultRule::new(Fault::Disconnect).on(FaultDoor::UserStreams)]).unwrap();
        assert!(faults.at_moment(|_| false).is_empty() && faults.at_message(FaultDoor::UserStreams, "x").is_empty());
        assert_eq!(faults.at_moment(|on| on == Some(FaultDoor::UserStreams)).len(), 1);
        faults.add(vec![FaultRule::new(Fault::Disconnect).path("executionReport")]).unwrap();
        assert!(faults.at_moment(|_| true).is_empty());
        assert_eq!(faults.at_message(FaultDoor::UserStreams, "executionReport"), [Fault::Disconnect]);
    }
}
