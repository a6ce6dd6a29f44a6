//! Drives the open trade of one market: asks it for the next step, does it, until it waits; books it when it is complete.

use super::Engine;
use crate::domain::{Episode, ExitReason, NewOrder, OrderKind, Price, Qty, Side, Span, Symbol};
use crate::protocol::{CostRecord, Effect, Record, Refusal, Severity};
use crate::trading::costs::{Reference, breakdown, touch_for};
use crate::trading::execution::{Decided, Purpose, Step, Touch, Trade};
use crate::trading::risk::approve;

/// Steps one event may cause in one market; more would be a loop.
const STEPS_MAX: usize = 8;

impl Engine {
    /// Does what the trade wants now. Returns the refusal that stopped its first order, if one did.
    pub(super) fn work(&mut self, symbol: Symbol, out: &mut Vec<Effect>) -> Option<Refusal> {
        let mut refused = None;
        for _ in 0..STEPS_MAX {
            let desk = self.desks.get_mut(&symbol)?;
            let touch = desk.touch();
            let instrument = desk.instrument.as_ref()?;
            let trade = desk.trade.as_mut()?;
            match trade.drive(self.now, touch, instrument, &self.orders, &self.settings.execution) {
                Step::Wait => return refused,
                Step::Enter { qty, kind, taker } => {
                    if let Err(refusal) = self.open(symbol, qty, kind, taker, out) {
                        refused = Some(refusal);
                        self.note_refusal(&refusal);
                        if let Some(trade) = self.desks.get_mut(&symbol).and_then(|d| d.trade.as_mut()) {
                            trade.stop_entering();
                        }
                    }
                }
                Step::PlaceTarget { qty, price } => {
                    // A resting exit is decided at its own price: its fill has neither spread nor slippage.
                    let reference = Reference { mid: price, touch: price, sent_touch: price };
                    self.reduce(symbol, qty, OrderKind::LimitMaker { price }, Purpose::Target, reference, out);
                }
                Step::SellNow { qty } => {
                    let decided = self.desks.get(&symbol).and_then(|d| d.trade.as_ref()).and_then(|t| t.exit_at);
                    let reference = reference(decided.or(touch), touch, Side::Sell, true);
                    self.reduce(symbol, qty, OrderKind::Market, Purpose::Exit, reference, out);
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
                    self.drop_trade(symbol, out);
                    return refused;
                }
            }
            self.dirty = true;
        }
        refused
    }

    /// False when the cancel is not sent now.
    fn cancel(&mut self, id: crate::domain::ClientOrderId, out: &mut Vec<Effect>) -> bool {
        let Some(request) = self.orders.cancel(id, self.now) else { return false };
        self.dirty = true;
        out.push(Effect::Send(request));
        self.keep_order(id, out);
        true
    }

    fn open(&mut self, symbol: Symbol, qty: Qty, kind: OrderKind, taker: bool, out: &mut Vec<Effect>) -> Result<(), Refusal> {
        let order = NewOrder { id: self.next_order_id(), symbol, side: Side::Buy, qty, kind };
        let desk = self.desks.get(&symbol).ok_or(Refusal::NoInstrument)?;
        let approved = approve(order, &self.situation(symbol, desk), &self.settings.limits)?;
        let touch = desk.touch();
        let decided = desk.trade.as_ref().map(|t| t.decided_at);
        let reference = reference(decided.or(touch), touch, Side::Buy, taker);
        let request = self.orders.open(approved, reference, self.now);
        let now = self.now;
        self.openings.retain(|at| now.since(*at) < Span::from_secs(60));
        self.openings.push_back(now);
        self.sent(symbol, order, request, out);
        Ok(())
    }

    fn reduce(&mut self, symbol: Symbol, qty: Qty, kind: OrderKind, purpose: Purpose, reference: Reference, out: &mut Vec<Effect>) {
        let order = NewOrder { id: self.next_order_id(), symbol, side: Side::Sell, qty, kind };
        let request = self.orders.reduce(order, purpose, reference, self.now);
        self.sent(symbol, order, request, out);
    }

    fn sent(&mut self, symbol: Symbol, order: NewOrder, request: crate::protocol::Request, out: &mut Vec<Effect>) {
        self.counters.orders += 1;
        if let Some(trade) = self.desks.get_mut(&symbol).and_then(|d| d.trade.as_mut()) {
            trade.sent(order.id, self.now);
        }
        self.keep_order(order.id, out);
        out.push(Effect::Send(request));
    }

    pub(super) fn keep_order(&mut self, id: crate::domain::ClientOrderId, out: &mut Vec<Effect>) {
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
        out.push(Effect::Persist(Box::new(Record::Cost(cost))));
        out.push(Effect::Persist(Box::new(Record::Episode(episode))));
        self.alert(Severity::Info, format!("{symbol}: closed by {exit}, net {:.4} {}", split.net, self.settings.quote), out);
        self.dirty = true;
        self.sweep(symbol, out);
    }

    /// Nothing (or only dust) was bought: what was paid stays paid, what was got stays held.
    fn drop_trade(&mut self, symbol: Symbol, out: &mut Vec<Effect>) {
        let Some(desk) = self.desks.get_mut(&symbol) else { return };
        let Some(trade) = desk.trade.take() else { return };
        desk.dust_qty += trade.held();
        desk.dust_cost += trade.entry.value;
        self.realised -= trade.entry.fees;
        if trade.entry.filled.is_positive() {
            desk.last_exit = Some(self.now);
        }
        self.dirty = true;
        self.sweep(symbol, out);
    }

    /// Sells what trades left behind once the venue takes that much: commissions in base coins leave a little each time, and many
    /// littles would become a position that nobody manages and that counts against every limit.
    fn sweep(&mut self, symbol: Symbol, out: &mut Vec<Effect>) {
        let Some(desk) = self.desks.get(&symbol).filter(|desk| desk.trade.is_none()) else { return };
        let (Some(instrument), Some(touch)) = (desk.instrument.as_ref(), desk.touch()) else { return };
        let qty = instrument.tradable(desk.dust_qty, touch.bid);
        if qty.is_positive() && self.orders.live_of(symbol).next().is_none() {
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
        let plan = crate::trading::execution::Plan { qty: Qty::ZERO, target, stop, hold, exploration: false };
        let touch = desk.touch().unwrap_or(Touch { bid: price, ask: price });
        let mut trade =
            Trade::new(symbol, Decided { number: 0, at: now, touch, regime: desk.market.regime(), vector: Vec::new() }, plan, rules);
        trade.stop_entering();
        desk.trade = Some(trade);
    }
}

/// The prices an order is judged by: decided at one market, sent into another.
fn reference(decided: Option<Touch>, sent: Option<Touch>, side: Side, taker: bool) -> Reference {
    let side_of = |t: Touch| touch_for(side, taker, t.bid, t.ask);
    let decided_touch = decided.map_or(Price::ZERO, side_of);
    Reference { mid: decided.map_or(Price::ZERO, Touch::mid), touch: decided_touch, sent_touch: sent.map_or(decided_touch, side_of) }
}
