//! Faults at work: on a request before and after it is executed, on sockets, on the clock, on the market.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use serde_json::value::RawValue;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::armed::Asked;
use super::door::{Door, locked};
use super::faults::{Fault, FaultError, FaultRule, Form, Phase};
use super::gate::{Peer, Standing, Switch};
use super::refusal::ApiError;
use super::reply::Reply;
use crate::domain::{Span, Symbol};
use crate::matching::SymbolStatus;

/// How often faults that strike by themselves are looked for.
const LOOK_EVERY: Duration = Duration::from_millis(5);
const UNKNOWN: &str = "Unknown error, please check your request or try again later.";
const BAD_GATEWAY: &str =
    "<html>\n<head><title>502 Bad Gateway</title></head>\n<body>\n<center><h1>502 Bad Gateway</h1></center>\n</body>\n</html>\n";

/// What faults hold in force after they struck, until it ends or is cleared.
#[derive(Default)]
pub(super) struct Held {
    /// Order ids that queries do not show, each until its moment.
    hidden: BTreeMap<u64, Instant>,
    halted: BTreeSet<Symbol>,
    frozen: Vec<Arc<Switch>>,
}

impl Door {
    /// # Errors
    /// When a rule makes no sense or names a symbol that is not listed.
    pub fn inject(&self, rules: Vec<FaultRule>) -> Result<(), FaultError> {
        for rule in &rules {
            match rule.fault {
                Fault::SymbolStatus { symbol, .. } if !self.symbols.contains(&symbol) => return Err(FaultError::Symbol(symbol)),
                _ => {}
            }
        }
        self.faults.add(rules)
    }

    /// Forgets the rules, and takes back what they hold: bans, hidden orders, clock steps, halts. A connection that was struck stays so.
    pub async fn clear_faults(&self) {
        self.faults.clear();
        self.clock.unstep();
        locked(&self.callers).pardon();
        let halted = {
            let mut held = locked(&self.held);
            held.hidden.clear();
            std::mem::take(&mut held.halted)
        };
        for symbol in halted {
            self.set_phase(symbol, Phase::Trading).await;
        }
    }

    /// Carries a request through its faults. `None`: the connection was thrown, nothing can be answered.
    pub async fn carry(&self, peer: &Peer, asked: Asked<'_>, run: impl Future<Output = Reply>) -> Option<Reply> {
        let faults = self.faults.at_request(asked);
        for fault in &faults {
            match fault {
                Fault::Delay { ms } => sleep(Duration::from_millis(*ms)).await,
                Fault::Disconnect => return self.throw(&peer.switch, Standing::Closed),
                Fault::HalfOpen => return self.throw(&peer.switch, Standing::Frozen),
                Fault::ErrorBefore { status, body } => return Some(before(*status, body.as_deref())),
                Fault::RateLimited { retry_after_secs } => return Some(self.limited(*retry_after_secs)),
                Fault::Banned { retry_after_secs } => return Some(self.banned(peer.addr.ip(), *retry_after_secs)),
                Fault::Malformed { form: form @ Form::ForbiddenPage } => return Some(spoilt(403, *form)),
                Fault::Malformed { form: form @ Form::Huge } => return Some(spoilt(400, *form)),
                _ => {}
            }
        }
        let mut reply = self.conceal(asked, run.await);
        for fault in faults {
            match fault {
                Fault::ErrorAfter { status, body } => {
                    reply = body.map_or_else(|| Reply::error(status, -1000, UNKNOWN), |body| Reply::new(status, body));
                }
                Fault::ResetAfter => return self.throw(&peer.switch, Standing::Reset),
                Fault::HiddenOrder { ms } if reply.is_done() => self.hide(&reply.body, Duration::from_millis(ms)),
                Fault::Malformed { form } => reply.spoilt = Some(form),
                _ => {}
            }
        }
        Some(reply)
    }

    /// Throws the switch; gives the answer that cannot be sent.
    pub fn throw<T>(&self, switch: &Arc<Switch>, standing: Standing) -> Option<T> {
        switch.throw(standing);
        if standing == Standing::Frozen {
            locked(&self.held).frozen.push(Arc::clone(switch));
        }
        None
    }

    /// Ends the connections that would never end by themselves.
    pub fn thaw(&self) {
        locked(&self.held).frozen.drain(..).for_each(|switch| switch.throw(Standing::Closed));
    }

    fn limited(&self, secs: u32) -> Reply {
        let now_ms = self.clock.steady().millis();
        let msg = "Too much request weight used; current limit is 6000 request weight per 1 MINUTE. Please use WebSocket Streams for live updates to avoid polling the API.";
        Reply { retry: Some((u64::from(secs), now_ms + i64::from(secs) * 1_000)), ..Reply::error(429, -1003, msg) }
    }

    fn banned(&self, from: IpAddr, secs: u32) -> Reply {
        let now = self.clock.steady();
        let mut callers = locked(&self.callers);
        callers.ban(from, now + Span::from_secs(i64::from(secs)));
        callers.admit(from, 0, now).err().map_or_else(|| self.limited(secs), Reply::from)
    }

    fn hide(&self, body: &str, long: Duration) {
        let until = Instant::now() + long;
        let mut ids = BTreeSet::new();
        if let Ok(value) = serde_json::from_str(body) {
            order_ids(&value, &mut ids);
        }
        locked(&self.held).hidden.extend(ids.into_iter().map(|id| (id, until)));
    }

    /// An answer to a query without the orders that are hidden now.
    fn conceal(&self, asked: Asked<'_>, reply: Reply) -> Reply {
        let hidden: BTreeSet<u64> = {
            let (now, mut held) = (Instant::now(), locked(&self.held));
            held.hidden.retain(|_, until| *until > now);
            held.hidden.keys().copied().collect()
        };
        let reads = asked.method.is_none_or(|method| method == "GET") && !asked.places;
        let orders = asked.path.to_lowercase().contains("order") && !asked.path.contains("ancel") && !asked.path.contains("myTrades");
        if hidden.is_empty() || !reads || !orders || !reply.is_done() {
            return reply;
        }
        let shown = |text: &str| {
            let mut ids = BTreeSet::new();
            if let Ok(value) = serde_json::from_str(text) {
                order_ids(&value, &mut ids);
            }
            ids.is_disjoint(&hidden)
        };
        match serde_json::from_str::<Vec<&RawValue>>(&reply.body) {
            Ok(rows) => {
                let rows: Vec<&str> = rows.into_iter().map(RawValue::get).filter(|row| shown(row)).collect();
                let body = format!("[{}]", rows.join(","));
                Reply { body, ..reply }
            }
            Err(_) if shown(&reply.body) => reply,
            Err(_) => ApiError::NoSuchOrder.into(),
        }
    }

    /// Strikes what strikes by itself, until the exchange stops.
    pub async fn watch(self: Arc<Self>) {
        let mut shutdown = self.shutdown.clone();
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = shutdown.changed() => return,
                _ = look.tick() => {}
            }
            if self.faults.is_quiet() {
                continue;
            }
            for rule in self.faults.at_moment(|door| !self.sockets(door).is_empty()) {
                self.strike(rule).await;
            }
        }
    }

    async fn strike(self: &Arc<Self>, rule: FaultRule) {
        match rule.fault {
            Fault::Disconnect => self.sockets(rule.on).iter().for_each(|socket| socket.switch.throw(Standing::Closed)),
            Fault::HalfOpen => {
                for socket in self.sockets(rule.on) {
                    let _nothing_to_say: Option<()> = self.throw(&socket.switch, Standing::Frozen);
                }
            }
            Fault::ClockStep { ms } => self.clock.step(Span::from_millis(ms)),
            Fault::SymbolStatus { symbol, status } => {
                self.set_phase(symbol, status).await;
                if let Some(ms) = rule.for_ms {
                    let door = Arc::clone(self);
                    tokio::spawn(async move {
                        sleep(Duration::from_millis(ms)).await;
                        door.set_phase(symbol, Phase::Trading).await;
                    });
                }
            }
            Fault::ServerShutdown { ms } => self.announce_shutdown(ms).await,
            _ => {}
        }
    }

    /// Tells every socket that it will be closed, and closes it after `ms`.
    async fn announce_shutdown(self: &Arc<Self>, ms: u64) {
        let now = self.clock.now();
        if self.floor.run(move |hall| hall.fanout.announce_shutdown(now)).await.is_err() {
            return;
        }
        let door = Arc::clone(self);
        tokio::spawn(async move {
            sleep(Duration::from_millis(ms)).await;
            if let Err(error) = door.floor.run(|hall| hall.fanout.close_all()).await {
                tracing::debug!(%error, "the exchange closed before its sockets");
            }
        });
    }

    async fn set_phase(&self, symbol: Symbol, phase: Phase) {
        {
            let mut held = locked(&self.held);
            if phase == Phase::Trading {
                held.halted.remove(&symbol)
            } else {
                held.halted.insert(symbol)
            };
        }
        let status = match phase {
            Phase::Trading => SymbolStatus::Trading,
            Phase::Halt => SymbolStatus::Halt,
            Phase::Break => SymbolStatus::Break,
            Phase::CancelOnly => SymbolStatus::CancelOnly,
        };
        let set = self.floor.run(move |hall| hall.exchange.set_status(symbol, status));
        if let Err(error) = set.await {
            tracing::warn!(%error, %symbol, "the status was not changed");
        }
    }
}

fn before(status: u16, body: Option<&str>) -> Reply {
    let usual = match status {
        502 | 504 => BAD_GATEWAY,
        503 => "Service Unavailable",
        _ => "Internal Server Error",
    };
    Reply::new(status, body.unwrap_or(usual).to_owned())
}

fn spoilt(status: u16, form: Form) -> Reply {
    Reply { spoilt: Some(form), ..Reply::new(status, String::new()) }
}

/// Every `orderId` at any depth.
fn order_ids(value: &Value, found: &mut BTreeSet<u64>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| order_ids(item, found)),
        Value::Object(fields) => {
            for (name, value) in fields {
                match value.as_u64() {
                    Some(id) if name == "orderId" => {
                        found.insert(id);
                    }
                    _ => order_ids(value, found),
                }
            }
        }
        _ => {}
    }
}
