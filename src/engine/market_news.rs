//! The market spoke: fold it, notice gaps, close bars, watch the bracket.

use super::Engine;
use super::desk::Desk;
use crate::domain::{MarketData, MarketUpdate, Span, Symbol};
use crate::protocol::{Effect, Request, Severity, Stream};

/// Between two questions for the same book.
const SNAPSHOT_AGAIN: Span = Span::from_secs(10);

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
            self.ask_snapshot(symbol, out);
        }
        self.quote_news(update, out);
        for candle in finished {
            self.on_bar(symbol, &candle, out);
        }
        self.work(symbol, out);
    }

    fn ask_snapshot(&mut self, symbol: Symbol, out: &mut Vec<Effect>) {
        if let Some(desk) = self.desks.get_mut(&symbol) {
            desk.snapshot_asked = self.now;
            out.push(Effect::Send(Request::Snapshot { symbol }));
        }
    }

    /// A book that stays unknown although its stream is up is asked for again: the first question may have found no room.
    pub(super) fn ask_for_books(&mut self, out: &mut Vec<Effect>) {
        if !self.health.is_up(Stream::Market) {
            return;
        }
        let due = |desk: &Desk| {
            let book = desk.market.book();
            book.is_fed() && !book.is_valid() && self.now.since(desk.snapshot_asked) >= SNAPSHOT_AGAIN
        };
        let unknown: Vec<Symbol> = self.desks.iter().filter(|(_, desk)| due(desk)).map(|(symbol, _)| *symbol).collect();
        for symbol in unknown {
            self.ask_snapshot(symbol, out);
        }
    }
}
