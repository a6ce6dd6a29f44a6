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
            if self.desks.contains_key(&symbol) || !qty.is_positive() {
                continue;
            }
            let Some((asset, postings)) = self.ledger.write_off(self.now, symbol, self.settings.quote, qty) else { continue };
            *self.foreign.entry(asset).or_default() += qty;
            self.realised -= cost;
            out.push(Effect::Persist(Box::new(Record::Postings(postings))));
            let quote = self.settings.quote;
            let text = format!(
                "{symbol} is no longer among the symbols: {qty} {asset}, which cost {cost} {quote}, are written off and stay on the account"
            );
            self.alert(Severity::Warning, text, out);
        }
    }

    /// After the venue has stated its markets: which of ours are not among them.
    pub(super) fn name_unknown_markets(&mut self, out: &mut Vec<Effect>) {
        let unknown: Vec<Symbol> = self.desks.iter().filter(|(_, desk)| desk.instrument.is_none()).map(|(symbol, _)| *symbol).collect();
        for symbol in unknown {
            let Some(desk) = self.desks.get(&symbol) else { continue };
            let held = desk.trade.is_some() || self.orders.live_of(symbol).next().is_some();
            let next = match (held, desk.dust_qty.is_positive()) {
                (true, _) => "a position or an order there is NOT managed and nothing new is opened: look at the venue",
                (false, true) => {
                    "a rest is held there that has no price, and nothing new is opened: take it out of the symbols and start again"
                }
                (false, false) => "the other markets go on without it: take it out of the symbols and start again",
            };
            self.alert(Severity::Critical, format!("the venue does not know the market {symbol}; {next}"), out);
        }
    }
}

/// Whether this is the venue's list of markets.
pub(super) const fn lists_markets(news: &VenueEvent) -> bool {
    matches!(news, VenueEvent::Instruments(_))
}
