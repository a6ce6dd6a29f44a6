//! Markets that are gone: those that the venue does not know, and those that the settings no longer name while a little is held there.

use serde::Deserialize;

use super::Engine;
use crate::domain::{Money, Qty, Symbol, Timestamp};
use crate::protocol::{Effect, Record, Severity, VenueEvent};

/// Of a carried state, what is held besides trades.
#[derive(Deserialize)]
struct Dust {
    desks: Vec<(Symbol, Qty, Money, Option<Timestamp>)>,
}

impl Engine {
    /// What too little to sell left in a market that the settings no longer name leaves the books: nothing here can price it, and a
    /// holding without a price would make the equity unknown. It stays on the account, as coins that are not ours to trade.
    pub(super) fn leave_markets(&mut self, carried: &str, out: &mut Vec<Effect>) {
        let Ok(Dust { desks }) = serde_json::from_str(carried) else { return };
        for (symbol, qty, cost, _) in desks {
            if self.desks.contains_key(&symbol) {
                continue;
            }
            if qty.is_zero() {
                // What coins cost less what they were worth when they paid commissions: nothing is left that it belongs to.
                self.realised -= cost;
            }
            if !qty.is_positive() {
                continue;
            }
            self.write_off(symbol, qty, cost, "is no longer among the symbols", out);
        }
    }

    fn write_off(&mut self, symbol: Symbol, qty: Qty, cost: Money, why: &str, out: &mut Vec<Effect>) {
        let quote = self.settings.quote;
        let Some((asset, postings)) = self.ledger.write_off(self.now, symbol, quote, qty) else { return };
        *self.foreign.entry(asset).or_default() += qty;
        self.realised -= cost;
        out.push(Effect::Persist(Box::new(Record::Postings(postings))));
        let text = format!("{symbol} {why}: {qty} {asset}, which cost {cost} {quote}, are written off and stay on the account");
        self.alert(Severity::Warning, text, out);
    }

    /// After the venue has stated its markets: which of ours are not among them.
    pub(super) fn name_unknown_markets(&mut self, out: &mut Vec<Effect>) {
        let unknown: Vec<Symbol> = self.desks.iter().filter(|(_, desk)| desk.instrument.is_none()).map(|(symbol, _)| *symbol).collect();
        for symbol in unknown {
            let Some(desk) = self.desks.get_mut(&symbol) else { continue };
            let held = desk.trade.is_some() || self.orders.live_of(symbol).next().is_some();
            if !held && desk.dust_qty.is_positive() {
                // A rest without a price would make the equity unknown, and with it every loss limit.
                let (qty, cost) = (std::mem::take(&mut desk.dust_qty), std::mem::take(&mut desk.dust_cost));
                self.write_off(symbol, qty, cost, "is unknown to the venue", out);
                self.dirty = true;
            }
            let next = if held {
                "a position or an order there is NOT managed, the equity is unknown, and so no loss limit holds; nothing new is opened: look at \
                 the venue"
            } else if self.desks.get(&symbol).is_some_and(|desk| desk.dust_qty < Qty::ZERO) {
                "fees were paid in its coin, so the equity is unknown and nothing opens anywhere: keep it among the symbols and start again when \
                 the venue lists it, or begin new books"
            } else {
                "the other markets go on without it: take it out of the symbols and start again"
            };
            self.alert(Severity::Critical, format!("the venue does not know the market {symbol}; {next}"), out);
        }
    }
}

/// Whether this is the venue's list of markets.
pub(super) const fn lists_markets(news: &VenueEvent) -> bool {
    matches!(news, VenueEvent::Instruments(_))
}
