//! The market spoke: fold it, notice gaps, close bars, watch the bracket.

use super::Engine;
use crate::domain::{MarketData, MarketUpdate};
use crate::protocol::{Effect, Request, Severity};

impl Engine {
    pub(super) fn on_market(&mut self, update: &MarketUpdate, out: &mut Vec<Effect>) {
        let symbol = update.symbol;
        let Some(desk) = self.desks.get_mut(&symbol) else { return };
        if !matches!(update.data, MarketData::Interrupted) {
            self.health.on_market(symbol, self.now);
        }
        let gaps = desk.market.book().counts().gaps;
        let contradictions = desk.market.quality().contradictions;
        let finished = desk.market.on_update(update);
        let contradicted = desk.market.quality().contradictions > contradictions;
        let gapped = desk.market.book().counts().gaps > gaps;
        if let (Some(trade), Some(mid)) = (desk.trade.as_mut(), desk.market.mid()) {
            trade.on_mark(mid);
        }
        if gapped {
            self.counters.gaps += 1;
            self.health.on_gap(self.now);
            let why = if contradicted { "the book contradicts the quotes" } else { "book updates are missing" };
            self.alert(Severity::Warning, format!("{symbol}: {why}; fetching a new snapshot"), out);
            out.push(Effect::Send(Request::Snapshot { symbol }));
        }
        for candle in finished {
            self.on_bar(symbol, &candle, out);
        }
        self.work(symbol, out);
    }
}
