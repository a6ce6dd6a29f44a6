//! Drives the open trade of one market: asks it for the next step, does it, until it waits; books it when it is complete.

use super::Engine;
use super::desk::Desk;
use crate::domain::{Bps, ClientOrderId, Episode, ExitReason, Money, NewOrder, OrderKind, Price, Qty, Side, Span, Symbol};
use crate::protocol::{CostRecord, Effect, Record, Refusal, Request, Severity};
use crate::trading::costs::{Reference, breakdown, touch_for};
use crate::trading::execution::{Bracket, Cover, Decided, Phase, Purpose, Scene, Step, Touch, Trade};
use crate::trading::risk::approve;

/// Steps one event may cause in one market; more would be a loop.
const STEPS_MAX: usize = 8;
/// Between two tries to sell what trades left behind.
const SWEEP_PAUSE: Span = Span::from_secs(60);
const SWEEP_DOUBLINGS: u32 = 6;

impl Engine {
    /// Does what the trade wants now. Returns the refusal that stopped its first order, if one did.
    pub(super) fn work(&mut self, symbol: Symbol, out: &mut Vec<Effect>) -> Option<Refusal> {
        let mut refused = None;
        for _ in 0..STEPS_MAX {
            let desk = self.desks.get_mut(&symbol)?;
            let (touch, visible_bids) = (desk.touch(), desk.visible_bids());
            let instrument = desk.instrument.as_ref()?;
            let Some(trade) = desk.trade.as_mut() else {
                self.remove_strays(symbol, out);
                self.sweep(symbol, out);
                return refused;
            };
            let (execution, maker) = (&self.settings.execution, &self.settings.maker);
            let alone = self.foreign.get(&instrument.base).is_none_or(|qty| !qty.is_positive());
            let scene = Scene { now: self.now, touch, instrument, orders: &self.orders, rules: execution, maker, alone, visible_bids };
            let before = (trade.phase, trade.keeps());
            let step = trade.drive(&scene);
            let after = (trade.phase, trade.keeps());
            self.note_phases(symbol, before, after);
            // Until the venue has stated the account, what was sent before the last stop may have sold it already.
            if !self.met && self.sells_or_guards(step) {
                return refused;
            }
            match step {
                Step::Wait => return refused,
                Step::Quote { qty } => {
                    let bought = self.quote(symbol, qty, out);
                    refused = self.unless_refused(symbol, bought).or(refused);
                }
                Step::Take { qty } => {
                    let bought = self.take(symbol, qty, out);
                    refused = self.unless_refused(symbol, bought).or(refused);
                }
                Step::Reconsider(id) => {
                    if !self.reconsider(symbol, id, out) {
                        return refused;
                    }
                }
                Step::QuoteExit { qty } => self.quote_exit(symbol, qty),
                Step::Protect { qty, target, stop } => self.protect(symbol, qty, target, stop, out),
                Step::Replace { old, qty } => {
                    self.begin_part(symbol);
                    if !self.replace(symbol, old, qty, out) {
                        return refused;
                    }
                }
                Step::SellNow { qty } => {
                    self.begin_part(symbol);
                    let reference = self.leaving_reference(symbol);
                    let id = self.reduce(symbol, qty, OrderKind::Market, Purpose::Exit, reference, out);
                    self.cost_child_sent(symbol, Side::Sell, id, qty, None, Span::ZERO);
                }
                Step::Cancel(id) => {
                    if !self.cancel(id, out) {
                        // Refused a moment ago: time brings the next try.
                        return refused;
                    }
                }
                Step::Close { reason } => {
                    self.close(symbol, reason, out);
                    return refused;
                }
                Step::Drop => {
                    self.drop_trade(symbol);
                    return refused;
                }
            }
            self.dirty = true;
        }
        refused
    }

    /// Whether a step sells, guards, or takes a guard away.
    fn sells_or_guards(&self, step: Step) -> bool {
        match step {
            Step::Protect { .. } | Step::Replace { .. } | Step::SellNow { .. } => true,
            Step::Cancel(id) => self.orders.get(id).is_some_and(|order| order.new.side == Side::Sell),
            _ => false,
        }
    }

    /// Guards without a position guard nothing: somebody's late word revived them.
    fn remove_strays(&mut self, symbol: Symbol, out: &mut Vec<Effect>) {
        if self.orders.live_of(symbol).next().is_none() {
            return;
        }
        let cover = Cover::of(&self.orders, symbol, None);
        for stray in cover.guards.iter().filter(|g| !g.awaited && g.purpose != Purpose::Exit) {
            self.cancel(stray.by, out);
        }
    }

    /// An entry that risk refuses ends; what was bought of it stays.
    fn unless_refused(&mut self, symbol: Symbol, bought: Result<(), Refusal>) -> Option<Refusal> {
        let refusal = bought.err()?;
        self.note_refusal(&refusal);
        if let Some(trade) = self.desks.get_mut(&symbol).and_then(|d| d.trade.as_mut()) {
            trade.stop_entering();
        }
        Some(refusal)
    }

    /// False when the cancel is not sent now.
    pub(super) fn cancel(&mut self, id: ClientOrderId, out: &mut Vec<Effect>) -> bool {
        let Some(request) = self.orders.cancel(id, self.now) else { return false };
        out.push(Effect::Send(request));
        self.keep_orders_of(id, out);
        true
    }

    pub(super) fn open(
        &mut self,
        symbol: Symbol,
        qty: Qty,
        kind: OrderKind,
        taker: bool,
        out: &mut Vec<Effect>,
    ) -> Result<ClientOrderId, Refusal> {
        let order = NewOrder { id: self.next_order_id(), symbol, side: Side::Buy, qty, kind };
        let ids = self.list_ids();
        let desk = self.desks.get(&symbol).ok_or(Refusal::NoInstrument)?;
        let approved = approve(order, &self.situation(symbol, desk), &self.settings.limits)?;
        let touch = desk.touch();
        // A taker pays the touch; the collar is only how much worse it may become.
        let paid = if taker { touch.map(|t| t.ask) } else { order.kind.price() };
        let bracket = guard_behind(desk, &order, paid.ok_or(Refusal::NoPrice)?, ids)?;
        let decided = desk.trade.as_ref().map(|t| t.decided_at);
        let reference = reference(decided.or(touch), touch, Side::Buy, taker);
        let request = self.orders.open(approved, Some(bracket), reference, self.now);
        let now = self.now;
        self.openings.retain(|at| now.since(*at) < Span::from_secs(60));
        self.openings.push_back(now);
        self.sent(symbol, order.id, Purpose::Entry, request, out);
        Ok(order.id)
    }

    fn reduce(
        &mut self,
        symbol: Symbol,
        qty: Qty,
        kind: OrderKind,
        purpose: Purpose,
        reference: Reference,
        out: &mut Vec<Effect>,
    ) -> ClientOrderId {
        let order = NewOrder { id: self.next_order_id(), symbol, side: Side::Sell, qty, kind };
        let request = self.orders.reduce(order, purpose, reference, self.now);
        self.sent(symbol, order.id, purpose, request, out);
        order.id
    }

    /// Legal at any time: what guards a position needs no approval.
    fn protect(&mut self, symbol: Symbol, qty: Qty, target: Price, stop: Price, out: &mut Vec<Effect>) {
        let bracket = Bracket::new(self.list_ids(), symbol, qty, target, stop);
        let desk = self.desks.get(&symbol);
        let touch = desk.and_then(|d| d.touch());
        let offered = desk.and_then(|d| d.trade.as_ref()).filter(|t| matches!(t.phase, Phase::Exiting { .. }));
        let left = offered.map(|trade| trade.left(self.now));
        let judged_by = offered.map(|trade| reference(trade.exit_at.or(touch), touch, Side::Sell, false));
        let request = self.orders.protect(bracket, judged_by, self.now);
        self.sent(symbol, bracket.above.id, Purpose::Target, request, out);
        if let Some(left) = left {
            self.cost_child_sent(symbol, Side::Sell, bracket.above.id, qty, Some(target), left);
        }
    }

    /// False when it is not sent now.
    fn replace(&mut self, symbol: Symbol, old: ClientOrderId, qty: Qty, out: &mut Vec<Effect>) -> bool {
        let order = NewOrder { id: self.next_order_id(), symbol, side: Side::Sell, qty, kind: OrderKind::Market };
        let reference = self.leaving_reference(symbol);
        let Some(request) = self.orders.replace(old, order, reference, self.now) else { return false };
        self.keep_orders_of(old, out);
        self.sent(symbol, order.id, Purpose::Exit, request, out);
        self.cost_child_sent(symbol, Side::Sell, order.id, qty, None, Span::ZERO);
        true
    }

    /// The prices that a sale at the market is judged by.
    fn leaving_reference(&self, symbol: Symbol) -> Reference {
        let desk = self.desks.get(&symbol);
        // Without a book: by what was known last.
        let known = desk.and_then(Desk::mark).map(|mark| Touch { bid: mark, ask: mark });
        let touch = desk.and_then(|d| d.touch()).or(known);
        let decided = desk.and_then(|d| d.trade.as_ref()).and_then(|t| t.exit_at);
        reference(decided.or(touch), touch, Side::Sell, true)
    }

    fn list_ids(&mut self) -> [ClientOrderId; 3] {
        [self.next_order_id(), self.next_order_id(), self.next_order_id()]
    }

    fn sent(&mut self, symbol: Symbol, id: ClientOrderId, purpose: Purpose, request: Request, out: &mut Vec<Effect>) {
        let touch = self.desks.get(&symbol).and_then(|d| d.touch());
        if let Some(trade) = self.desks.get_mut(&symbol).and_then(|d| d.trade.as_mut()) {
            trade.sent(id, purpose, self.now);
            if purpose == Purpose::Entry {
                trade.kept(touch, self.now);
            }
        }
        let orders: Vec<ClientOrderId> = match &request {
            Request::PlaceList { list, .. } => list.legs.orders().map(|order| order.id).collect(),
            _ => vec![id],
        };
        for id in orders {
            self.counters.orders += 1;
            self.keep_order(id, out);
        }
        out.push(Effect::Send(request));
    }

    /// Keeps an order and those of its list.
    fn keep_orders_of(&mut self, id: ClientOrderId, out: &mut Vec<Effect>) {
        for id in self.orders.with_siblings(id) {
            self.keep_order(id, out);
        }
    }

    pub(super) fn keep_order(&mut self, id: ClientOrderId, out: &mut Vec<Effect>) {
        self.dirty = true;
        if let Some(record) = self.orders.record(id) {
            out.push(Effect::Persist(Box::new(Record::Order(record))));
        }
    }

    /// Books a complete round trip: realised result, its costs, and the episode that memory keeps.
    fn close(&mut self, symbol: Symbol, exit: ExitReason, out: &mut Vec<Effect>) {
        let origin = self.origin();
        let Some(desk) = self.desks.get_mut(&symbol) else { return };
        let Some(trade) = desk.trade.take() else { return };
        desk.last_exit = Some(self.now);
        let entry = trade.entry.share(trade.exit.filled);
        let split = breakdown(&entry, &trade.exit);
        desk.dust_qty += trade.held();
        desk.dust_cost += trade.entry.value - entry.value;
        self.realised += split.net;
        self.breakers.on_trade(self.now, split.net);
        self.counters.trades_closed += 1;
        self.counters.trades_won += u64::from(split.net.is_positive());
        let opened = trade.opened.unwrap_or(trade.decided);
        let notional = entry.value;
        let bps = |money: crate::domain::Money| if notional.is_zero() { 0.0 } else { money.to_f64() / notional.to_f64() * 1e4 };
        let episode = Episode {
            number: self.next_episode,
            symbol,
            origin,
            entry_time: trade.decided,
            known_at: self.now,
            vector: trade.vector.clone(),
            feature_version: crate::market::features::VERSION,
            regime: trade.regime,
            gross_bps: bps(split.gross),
            cost_bps: bps(split.gross - split.net),
            net_bps: bps(split.net),
            held: self.now.since(opened),
            worst_bps: trade.worst_bps,
            best_bps: trade.best_bps,
            exit,
        };
        self.next_episode += 1;
        self.counters.episodes += 1;
        if let Err(error) = self.memory.add(episode.clone()) {
            self.alert(Severity::Warning, format!("the episode is not recalled: {error}"), out);
        }
        let cost = CostRecord {
            symbol,
            entry_time: opened,
            exit_time: self.now,
            qty: trade.exit.filled,
            entry_price: entry.average_price(),
            exit_price: trade.exit.average_price(),
            gross: split.gross,
            fees: split.fees,
            spread: split.spread,
            slippage: split.slippage,
            impact: split.impact,
            net: split.net,
            exit,
            held: self.now.since(opened),
            exploration: trade.plan.exploration,
        };
        self.cost_finished(symbol, Side::Sell);
        out.push(Effect::Persist(Box::new(Record::Cost(cost))));
        out.push(Effect::Persist(Box::new(Record::Episode(episode))));
        self.alert(Severity::Info, format!("{symbol}: closed by {exit}, net {:.4} {}", split.net, self.settings.quote), out);
        self.dirty = true;
    }

    /// Nothing (or only dust) was bought: what was paid stays paid, what was got stays held.
    fn drop_trade(&mut self, symbol: Symbol) {
        let Some(desk) = self.desks.get_mut(&symbol) else { return };
        let Some(trade) = desk.trade.take() else { return };
        desk.dust_qty += trade.held();
        desk.dust_cost += trade.entry.value;
        self.realised -= trade.entry.fees;
        if trade.entry.filled.is_positive() {
            desk.last_exit = Some(self.now);
        }
        self.cost_finished(symbol, Side::Buy);
        self.dirty = true;
    }

    /// Sells what trades left behind once the venue takes that much: commissions in base coins leave a little each time, and many
    /// littles would become a position that nobody manages and that counts against every limit.
    fn sweep(&mut self, symbol: Symbol, out: &mut Vec<Effect>) {
        let Some(desk) = self.desks.get_mut(&symbol).filter(|desk| self.met && desk.trade.is_none()) else { return };
        let (Some(instrument), Some(touch)) = (desk.instrument.as_ref(), desk.touch()) else { return };
        let qty = instrument.tradable(desk.dust_qty, touch.bid);
        // What the books do not explain may be the last sweep.
        let explained = self.mismatch_since.is_none();
        let pause = SWEEP_PAUSE.times(1 << desk.sweeps.saturating_sub(1).min(SWEEP_DOUBLINGS));
        let is_due = desk.swept.is_none_or(|swept| self.now.since(swept) >= pause);
        if qty.is_positive() && explained && is_due && self.orders.live_of(symbol).next().is_none() {
            (desk.swept, desk.sweeps) = (Some(self.now), desk.sweeps.saturating_add(1));
            let reference = reference(Some(touch), Some(touch), Side::Sell, true);
            self.reduce(symbol, qty, OrderKind::Market, Purpose::Exit, reference, out);
        }
    }

    /// A fill for which no trade is open: bought coins get a trade that manages and ends them, sold ones reduce the dust.
    pub(super) fn adopt_stray_buy(&mut self, symbol: Symbol, price: Price) {
        let hold = self.settings.time_scale.hold();
        let rules = &self.settings.execution;
        let now = self.now;
        let Some(desk) = self.desks.get_mut(&symbol) else { return };
        let sigma = desk.market.volatility_bps().unwrap_or(self.settings.time_scale.typical_minute_bps);
        let (target, stop) = self.settings.time_scale.bracket(sigma);
        let plan = crate::trading::execution::Plan { qty: Qty::ZERO, target, stop, hold, exploration: false, gross_bps: 0.0, net_bps: 0.0 };
        let touch = desk.touch().unwrap_or(Touch { bid: price, ask: price });
        let mut trade =
            Trade::new(symbol, Decided { number: 0, at: now, touch, regime: desk.market.regime(), vector: Vec::new() }, plan, rules);
        trade.stop_entering();
        desk.trade = Some(trade);
    }
}

/// What will guard an entry from the moment it has filled at about `price`: its quantity less the largest commission the venue may keep of
/// it. An entry whose guard the venue would refuse for its size is not made.
fn guard_behind(desk: &Desk, order: &NewOrder, price: Price, ids: [ClientOrderId; 3]) -> Result<Bracket, Refusal> {
    let instrument = desk.instrument.as_ref().ok_or(Refusal::NoInstrument)?;
    let trade = desk.trade.as_ref().ok_or(Refusal::NoPrice)?;
    let (target, stop) = trade.bracket(price, instrument);
    let rate = instrument.fees.maker.max(instrument.fees.taker).max(Bps::ZERO);
    let kept = order.qty.at_rate(rate) + if rate > Bps::ZERO { Qty::from_raw(1) } else { Qty::ZERO };
    let qty = instrument.tradable(order.qty - kept, stop);
    if !qty.is_positive() {
        let notional = stop.notional(order.qty - kept).unwrap_or(Money::ZERO);
        return Err(Refusal::BelowMinimum { notional, limit: instrument.min_notional });
    }
    Ok(Bracket::new(ids, order.symbol, qty, target, stop))
}

/// The prices an order is judged by: decided at one market, sent into another.
fn reference(decided: Option<Touch>, sent: Option<Touch>, side: Side, taker: bool) -> Reference {
    let side_of = |t: Touch| touch_for(side, taker, t.bid, t.ask);
    let decided_touch = decided.map_or(Price::ZERO, side_of);
    Reference { mid: decided.map_or(Price::ZERO, Touch::mid), touch: decided_touch, sent_touch: sent.map_or(decided_touch, side_of) }
}
