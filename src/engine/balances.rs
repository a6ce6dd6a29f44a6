//! What the venue says the account holds, against the books: compared regularly, halted upon, and accepted by a person.

use std::collections::BTreeSet;

use super::Engine;
use crate::domain::{Asset, Balance, Money, Qty, Side, Span, Symbol, TradeId};
use crate::protocol::{BalanceMismatch, Effect, Mode, OrderState, Record, Request, Severity, VenueFill};
use crate::trading::costs::Reference;
use crate::trading::execution::{Order, Purpose};
use crate::trading::risk::HaltReason;

/// How long books and venue may differ (fills are on their way) before trading halts.
const MISMATCH_PATIENCE: Span = Span::from_secs(10);
/// Shortest time between two questions for the account.
const ACCOUNT_EVERY: Span = Span::from_secs(1);
/// Between two comparisons with the venue while nothing seems wrong.
const COMPARE_EVERY: Span = Span::from_secs(60);

impl Engine {
    pub(super) fn on_balances(&mut self, balances: &[Balance], out: &mut Vec<Effect>) {
        for balance in balances {
            self.balances.insert(balance.asset, *balance);
        }
        if !self.ledger.is_opened() {
            return;
        }
        let Some(BalanceMismatch { asset, venue, books }) = self.mismatches().next() else {
            self.mismatch_since = None;
            return;
        };
        if self.mismatch_since.is_none() {
            (self.mismatch_since, self.mismatch_told) = (Some(self.now), false);
        } else if self.mismatch_stands() {
            let reason = HaltReason::BalanceMismatch { asset, venue, books };
            if self.breakers.halted().is_some() && !self.halted_by_mismatch() && !self.mismatch_told {
                self.mismatch_told = true;
                self.alert(Severity::Critical, format!("{reason}: resuming accepts it as moved from outside"), out);
            }
            self.halt(reason, out);
        }
    }

    /// Whether resuming accepts what the venue states: whatever halted, while the difference stands.
    pub(super) fn resume_accepts(&self) -> bool {
        self.halted_by_mismatch() || (self.breakers.halted().is_some() && self.mismatch_stands())
    }

    /// Venue and books have differed for longer than fills on their way explain.
    fn mismatch_stands(&self) -> bool {
        self.mismatch_since.is_some_and(|since| self.now.since(since) >= MISMATCH_PATIENCE)
    }

    fn halted_by_mismatch(&self) -> bool {
        matches!(self.breakers.halted(), Some(HaltReason::BalanceMismatch { .. }))
    }

    /// Open orders and balances are compared with the venue's every minute, and while they differ (a fill on its way explains most
    /// differences) at a pace that leaves the venue's request limits to orders.
    pub(super) fn ask_account(&mut self, out: &mut Vec<Effect>) {
        let pause = self.now.since(self.account_asked);
        let doubted = self.mismatch_since.is_some() && self.breakers.halted().is_none() && pause >= ACCOUNT_EVERY;
        if doubted || (self.reconciled && pause >= COMPARE_EVERY) {
            self.account_asked = self.now;
            out.push(Effect::Send(Request::Account));
        }
    }

    /// A person has seen that the venue holds another amount and resumes: it is booked as a transfer, outside the result. Not while
    /// orders live, whose fills would explain it.
    pub(super) fn accept_balances(&mut self, out: &mut Vec<Effect>) -> bool {
        let mismatches: Vec<_> = self.mismatches().collect();
        // A guard that rests explains no difference unless its own coins differ.
        let differs = |symbol| self.instrument(symbol).is_none_or(|i| mismatches.iter().any(|m| m.asset == i.base));
        let rests = |o: &Order| o.new.side == Side::Sell && o.state == OrderState::Open && !differs(o.new.symbol);
        if !mismatches.is_empty() && self.orders.live().any(|o| !rests(o)) {
            let text = "the venue's balances are not accepted while orders are working: they may explain the difference";
            self.alert(Severity::Warning, text.to_owned(), out);
            return false;
        }
        let unpriced = |m: &&BalanceMismatch| m.venue < m.books && self.symbol_of(m.asset).is_some() && self.mark_of(m.asset).is_none();
        if let Some(BalanceMismatch { asset, .. }) = mismatches.iter().find(unpriced) {
            let text = format!("the missing {asset} has no price yet: nothing is accepted; resume again when its market is up");
            self.alert(Severity::Warning, text, out);
            return false;
        }
        // Nobody pays anything into the rehearsal's account, and a lost fill moves both coins.
        let quote = self.settings.quote;
        let one_way = mismatches.iter().all(|m| m.asset == quote) || mismatches.iter().all(|m| m.asset != quote && m.venue > m.books);
        if !mismatches.is_empty()
            && one_way
            && self.settings.mode == Mode::Live
            && self.halted_by_mismatch()
            && let Some(ladder) = self.ladder.as_mut()
        {
            ladder.was_transfer();
        }
        for BalanceMismatch { asset, venue, books } in mismatches {
            let amount = venue - books;
            if asset == self.settings.quote {
                let postings = self.ledger.transfer(self.now, asset, amount);
                out.push(Effect::Persist(Box::new(Record::Postings(postings))));
                self.breakers.shift(Money::from_quote(amount));
            } else {
                let left = self.part_with(asset, amount, out);
                *self.foreign.entry(asset).or_default() += left;
            }
            self.alert(Severity::Warning, format!("{amount} {asset} accepted as moved from outside"), out);
        }
        self.dirty = true;
        true
    }

    /// Coins that left from outside: the owner's first, then what trades left over, then the open trade's, each taken out at the mark. Gives
    /// what is still to be booked as not ours.
    fn part_with(&mut self, asset: Asset, amount: Qty, out: &mut Vec<Effect>) -> Qty {
        let theirs = self.foreign.get(&asset).copied().unwrap_or_default().max(Qty::ZERO);
        let missing = -amount - theirs;
        let Some((symbol, price)) = self.symbol_of(asset).zip(self.mark_of(asset)).filter(|_| missing.is_positive()) else { return amount };
        let Some(desk) = self.desks.get_mut(&symbol) else { return amount };
        let Some(instrument) = desk.instrument.clone() else { return amount };
        let mut taken = missing.min(desk.dust_qty).max(Qty::ZERO);
        if taken.is_positive() {
            let cost = desk.dust_cost.share(taken, desk.dust_qty);
            desk.dust_qty -= taken;
            desk.dust_cost -= cost;
            self.realised += Money::from_quote(price.notional(taken).unwrap_or_default().to_quote()) - cost;
            self.post_withdrawal(symbol, taken, price, out);
        }
        let desk = self.desks.get_mut(&symbol);
        if let Some(trade) = desk.and_then(|desk| desk.trade.as_mut()) {
            let qty = (missing - taken).min(trade.held());
            if qty.is_positive() {
                let (mid, now) = (price, self.now);
                let fill = VenueFill {
                    id: crate::domain::ClientOrderId { run: self.run, sequence: 0 },
                    order_id: crate::domain::OrderId(0),
                    trade_id: TradeId(0),
                    symbol,
                    side: Side::Sell,
                    price,
                    qty,
                    fee: Qty::ZERO,
                    fee_asset: instrument.quote,
                    role: crate::domain::Role::Taker,
                    at: now,
                };
                trade.on_fill(&fill, Some(Purpose::Exit), Reference { mid, touch: mid, sent_touch: mid }, &instrument, Money::ZERO);
                self.post_withdrawal(symbol, qty, price, out);
                taken += qty;
            }
        }
        amount + taken
    }

    fn post_withdrawal(&mut self, symbol: Symbol, qty: Qty, price: crate::domain::Price, out: &mut Vec<Effect>) {
        let Some(instrument) = self.instrument(symbol).cloned() else { return };
        let (postings, value) = self.ledger.withdraw(self.now, qty, price, &instrument);
        out.push(Effect::Persist(Box::new(Record::Postings(postings))));
        self.breakers.shift(-Money::from_quote(value));
    }

    /// Traded assets of which the venue states another amount than the books.
    pub(super) fn mismatches(&self) -> impl Iterator<Item = BalanceMismatch> + '_ {
        let bases = self.desks.values().filter_map(|d| d.instrument.as_ref()).map(|i| i.base);
        let traded: BTreeSet<Asset> = bases.chain([self.settings.quote]).collect();
        traded.into_iter().filter_map(|asset| {
            let venue = self.balances.get(&asset)?.total();
            let books = self.ledger.venue_balance(asset) + self.foreign.get(&asset).copied().unwrap_or(Qty::ZERO);
            (venue != books).then_some(BalanceMismatch { asset, venue, books })
        })
    }
}
