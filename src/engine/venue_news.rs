//! The venue spoke: fills into ledger and trade, orders into their table, balances against the books.

use super::Engine;
use crate::domain::{Balance, ClientOrderId, Instrument, Money, OrderId, OrderStatus, Qty, Side};
use crate::protocol::{
    Effect, FailureKind, FillRecord, Record, Request, Severity, Stream, VenueEvent, VenueFill, VenueOrder, VenueRefusal,
};
use crate::trading::costs::Reference;
use crate::trading::execution::{Change, Purpose};
use crate::trading::risk::HaltReason;

impl Engine {
    pub(super) fn on_venue(&mut self, news: VenueEvent, out: &mut Vec<Effect>) {
        self.note_venue_error(&news);
        match news {
            VenueEvent::Instruments(instruments) => {
                for instrument in instruments {
                    if let Some(desk) = self.desks.get_mut(&instrument.symbol) {
                        desk.instrument = Some(instrument);
                    }
                }
            }
            VenueEvent::Link { stream, up } => {
                // Fills go unheard until the account is stated again: nothing opens meanwhile.
                self.reconciled &= stream != Stream::User || up;
                self.health.on_link(stream, up, self.now);
            }
            VenueEvent::Accepted { id, order_id, at: _ } => {
                self.cancel_revived(id, order_id, out);
                let change = self.orders.accepted(id, order_id, self.now);
                self.after(change, out);
            }
            VenueEvent::Refused { id, reason, message } => self.on_refused(id, reason, &message, out),
            VenueEvent::Unknown { id } => {
                let change = self.orders.outcome_unknown(id, self.now);
                self.alert(Severity::Warning, format!("order {id}: outcome unknown, asking the venue"), out);
                self.after(change, out);
            }
            VenueEvent::Fill(fill) => self.on_fill(&fill, out),
            VenueEvent::Order(stated) => self.on_stated(&stated, out),
            VenueEvent::Missing { id } => {
                let change = self.orders.missing(id, self.now);
                self.after(change, out);
            }
            VenueEvent::CancelRefused { id, message } => {
                let change = self.orders.cancel_refused(id, self.now);
                self.alert(Severity::Info, format!("order {id}: cancel refused ({message}), asking the venue"), out);
                self.after(change, out);
            }
            VenueEvent::Archived { id } => {
                let change = self.orders.archived(id, self.now);
                self.alert(Severity::Warning, format!("order {id}: ended long ago with nothing filled, the venue has put it away"), out);
                self.after(change, out);
            }
            VenueEvent::Balances { balances, .. } => self.on_balances(&balances, out),
            VenueEvent::Reconciled { balances, open, foreign_orders, .. } => self.on_reconciled(&balances, &open, foreign_orders, out),
            VenueEvent::Tested { id, refused } => self.on_tested(id, refused, out),
            VenueEvent::Failure { kind, message } => {
                self.health.on_failure(kind, self.now);
                self.alert(Severity::Warning, message, out);
            }
        }
    }

    fn on_refused(&mut self, id: ClientOrderId, reason: VenueRefusal, message: &str, out: &mut Vec<Effect>) {
        if reason == VenueRefusal::DuplicateId {
            // Our id is live already: a repeated request, not a refusal. Ask what became of it.
            let change = self.orders.outcome_unknown(id, self.now);
            return self.after(change, out);
        }
        if self.orders.is_follower(id) || reason == VenueRefusal::NotAttempted {
            let change = self.orders.refused(id, self.now);
            return self.after(change, out);
        }
        self.counters.venue_refusals += 1;
        let order = self.orders.get(id).map(|o| (o.new.symbol, o.purpose));
        let repriced = reason == VenueRefusal::WouldTake && order.is_some_and(|(_, purpose)| purpose == Purpose::Entry);
        if !repriced {
            self.health.on_venue_refusal(self.now);
            self.alert(Severity::Warning, format!("order {id} refused: {message}"), out);
            if let Some((symbol, purpose)) = order
                && let Some(trade) = self.desks.get_mut(&symbol).and_then(|d| d.trade.as_mut())
            {
                match purpose {
                    Purpose::Entry => trade.stop_entering(),
                    Purpose::Target | Purpose::Stop | Purpose::Exit => trade.exit_refused(purpose),
                }
            }
        }
        if reason == VenueRefusal::Credentials {
            self.health.on_failure(FailureKind::Credentials, self.now);
        }
        let change = self.orders.refused(id, self.now);
        self.after(change, out);
    }

    fn on_stated(&mut self, stated: &VenueOrder, out: &mut Vec<Effect>) {
        let open = matches!(stated.status, OrderStatus::Open | OrderStatus::PartiallyFilled);
        if open {
            self.cancel_revived(stated.id, stated.order_id, out);
        }
        let change = self.orders.stated(stated, self.now);
        if open && change == Change::Stranger {
            self.on_stranger(stated, out);
        }
        self.after(change, out);
    }

    /// Given up here, alive there: nobody would manage it.
    fn cancel_revived(&mut self, id: ClientOrderId, order_id: OrderId, out: &mut Vec<Effect>) {
        if let Some(request) = self.orders.cancel_revived(id, order_id, self.now) {
            self.alert(Severity::Warning, format!("order {id} came alive after it was given up: cancelling"), out);
            out.push(Effect::Send(request));
        }
    }

    /// An open order by an id like ours that is not in the book. Nobody here would manage a buy. A sale of one of this file's runs left just
    /// before a kill, or while the file could not be written: what it would sell is guarded anew. Any other sale may guard a position that
    /// another file knows: nobody here takes that away.
    fn on_stranger(&mut self, stated: &VenueOrder, out: &mut Vec<Effect>) {
        let VenueOrder { id, symbol, order_id, side, .. } = *stated;
        if side == Side::Sell && id.run != self.run && !self.earlier_runs.contains(&id.run) {
            if self.strangers.insert(id) {
                let text = format!(
                    "order {id} sells by an id like ours and is unknown here: left alone; cancel it at the venue if no other huracan trades on this \
                     account, for its coins are locked"
                );
                self.alert(Severity::Warning, text, out);
            }
            return;
        }
        self.alert(Severity::Warning, format!("order {id} is ours but unknown here: cancelling"), out);
        out.push(Effect::Send(Request::Cancel { id, symbol, order_id: Some(order_id) }));
    }

    fn on_fill(&mut self, fill: &VenueFill, out: &mut Vec<Effect>) {
        let Some(instrument) = self.instrument(fill.symbol).cloned() else {
            return self.alert(Severity::Critical, format!("{}: a fill of an unknown instrument is not booked", fill.symbol), out);
        };
        // An order remembers all its trades, the ledger only the latest of a symbol: what is older than those, of an order that is
        // no longer in the book, was booked in its time.
        let repeated = match self.orders.get(fill.id) {
            Some(order) => order.trades.contains(&fill.trade_id),
            None => self.ledger.is_forgotten(fill.symbol, fill.trade_id),
        };
        if repeated {
            return;
        }
        let reference = self.orders.get(fill.id).map(|o| o.reference);
        let Some(postings) = self.ledger.apply_fill(&self.booked(fill, &instrument), &instrument) else { return };
        self.note_foreign_fee(fill, &instrument, out);
        let change = self.orders.fill(fill);
        let purpose = self.orders.get(fill.id).map(|o| o.purpose);
        let opening = purpose.map_or(fill.side == Side::Buy, |purpose| purpose == Purpose::Entry);
        // Sent while nothing was known of the market: it is judged by its own price.
        let reference = reference.filter(|reference| reference.mid.is_positive()).unwrap_or(Reference {
            mid: fill.price,
            touch: fill.price,
            sent_touch: fill.price,
        });
        self.counters.fills += 1;
        match fill.role {
            crate::domain::Role::Maker => self.counters.maker_fills += 1,
            crate::domain::Role::Taker => self.counters.taker_fills += 1,
        }
        let fee_value = if self.is_foreign_fee(fill, &instrument) { Money::ZERO } else { self.fee_value(fill, out) };
        self.fees += fee_value;
        if opening && self.desks.get(&fill.symbol).is_some_and(|d| d.trade.is_none()) {
            self.adopt_stray_buy(fill.symbol, fill.price);
        }
        let beside = if Self::is_paid_beside(fill, &instrument) { fee_value } else { Money::ZERO };
        self.cost_fill(fill, fee_value);
        if let Some(desk) = self.desks.get_mut(&fill.symbol) {
            match desk.trade.as_mut() {
                Some(trade) => trade.on_fill(fill, purpose, reference, &instrument, beside),
                None => {
                    // Sold without a trade: dust left the account.
                    let owed = desk.dust_qty < Qty::ZERO;
                    let cost = if owed { Money::ZERO } else { desk.dust_cost.share(fill.qty.min(desk.dust_qty), desk.dust_qty) };
                    desk.dust_qty -= fill.qty;
                    desk.dust_cost -= cost;
                    desk.sweeps = 0;
                    let settled = Money::from_quote(fill.price.notional(fill.qty).unwrap_or(Money::ZERO).to_quote());
                    self.realised += settled - cost - fee_value;
                }
            }
        }
        self.pay_beside(fill, &instrument, beside);
        let arrival_mid = reference.mid;
        out.push(Effect::Persist(Box::new(Record::Fill(FillRecord { fill: fill.clone(), run: self.run, arrival_mid }))));
        out.push(Effect::Persist(Box::new(Record::Postings(postings))));
        if change == Change::Stranger {
            self.alert(Severity::Warning, format!("{}: fill of an order that is not in the book: booked", fill.id), out);
        }
        self.after(change, out);
        self.dirty = true;
        self.mark(out);
        self.work(fill.symbol, out);
    }

    /// Whether a commission is paid with other coins than those that the fill brings: neither kept of what is bought nor of the proceeds.
    fn is_paid_beside(fill: &VenueFill, instrument: &Instrument) -> bool {
        let kept = fill.side == Side::Buy && fill.fee_asset == instrument.base;
        !kept && fill.fee_asset != instrument.quote
    }

    /// Coins that paid a commission leave what trades left over of them, at what they were worth. Below nothing they were the owner's: that
    /// much is owed, and marked as the ledger marks it.
    fn pay_beside(&mut self, fill: &VenueFill, instrument: &Instrument, value: Money) {
        let paid_in = self.symbol_of(fill.fee_asset).filter(|_| Self::is_paid_beside(fill, instrument));
        if let Some(desk) = paid_in.and_then(|symbol| self.desks.get_mut(&symbol)) {
            desk.dust_qty -= fill.fee;
            desk.dust_cost -= value;
        }
    }

    /// A commission in an asset that is neither traded nor priced here was paid with coins that are not ours to count.
    fn is_foreign_fee(&self, fill: &VenueFill, instrument: &Instrument) -> bool {
        let known = [instrument.base, instrument.quote, self.settings.quote].contains(&fill.fee_asset);
        !known && !fill.fee.is_zero() && self.symbol_of(fill.fee_asset).is_none()
    }

    /// The fill as the ledger books it.
    fn booked(&self, fill: &VenueFill, instrument: &Instrument) -> VenueFill {
        let fee = if self.is_foreign_fee(fill, instrument) { Qty::ZERO } else { fill.fee };
        VenueFill { fee, ..fill.clone() }
    }

    fn note_foreign_fee(&mut self, fill: &VenueFill, instrument: &Instrument, out: &mut Vec<Effect>) {
        if self.is_foreign_fee(fill, instrument) {
            *self.foreign.entry(fill.fee_asset).or_default() -= fill.fee;
            self.unpriced_fee = Some(fill.fee_asset);
            let text = format!(
                "a fee of {} {} is not in the result, nothing opens: switch {} fees off, or add its market to the symbols, and start again",
                fill.fee, fill.fee_asset, fill.fee_asset
            );
            self.alert(Severity::Critical, text, out);
        }
    }

    /// A commission in quote money; unknown (and said so) for an asset without a mark.
    fn fee_value(&mut self, fill: &VenueFill, out: &mut Vec<Effect>) -> Money {
        if fill.fee_asset == self.settings.quote || fill.fee.is_zero() {
            return Money::from_quote(fill.fee);
        }
        let base = self.instrument(fill.symbol).map(|i| i.base);
        let price = if base == Some(fill.fee_asset) { Some(fill.price) } else { self.mark_of(fill.fee_asset) };
        match price.and_then(|p| p.notional(fill.fee)) {
            Some(value) => value,
            None => {
                self.alert(Severity::Warning, format!("fee of {} {} has no mark: equity is unknown", fill.fee, fill.fee_asset), out);
                Money::ZERO
            }
        }
    }

    fn after(&mut self, change: Change, out: &mut Vec<Effect>) {
        match change {
            Change::None | Change::Stranger => {}
            Change::Updated(id) => {
                self.keep_order(id, out);
                if let Some(symbol) = self.orders.get(id).map(|o| o.new.symbol) {
                    self.work(symbol, out);
                }
            }
            Change::Overfilled(id) => {
                self.keep_order(id, out);
                self.halt(HaltReason::Overfill { id }, out);
            }
        }
    }

    fn on_reconciled(&mut self, balances: &[Balance], open: &[VenueOrder], foreign: u32, out: &mut Vec<Effect>) {
        if !self.ledger.is_opened() && !self.carry_lost {
            self.open_books(balances, out);
        }
        for stated in open {
            self.on_stated(stated, out);
        }
        if foreign > 0 {
            self.alert(Severity::Info, format!("{foreign} open orders of others on this account: left alone"), out);
        }
        self.on_balances(balances, out);
        self.account_asked = self.now;
        self.met = true;
        if !self.reconciled {
            self.reconciled = true;
            self.alert(Severity::Info, "orders and balances agree with the venue".to_owned(), out);
        }
        self.mark(out);
    }

    /// The first statement of the account: the quote balance is our capital, other coins are not ours to trade.
    fn open_books(&mut self, balances: &[Balance], out: &mut Vec<Effect>) {
        for balance in balances {
            if balance.asset == self.settings.quote {
                let postings = self.ledger.transfer(self.now, balance.asset, balance.total());
                out.push(Effect::Persist(Box::new(Record::Postings(postings))));
            } else if !balance.total().is_zero() {
                self.foreign.insert(balance.asset, balance.total());
            }
        }
        self.dirty = true;
    }
}
