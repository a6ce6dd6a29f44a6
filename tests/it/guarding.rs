//! What of the holdings has a stop at the exchange, market by market, as the exchange itself says.

use huracan::domain::{Asset, Qty, Side, Symbol};
use huracan::venue::binance::{OrdersOf, RestClient};

/// Quote value below which nothing can be sold, so that no stop can guard it.
pub const SELLABLE: f64 = 6.0;

/// One market at one moment.
pub struct Guarding {
    pub symbol: Symbol,
    /// Quote value held, and of it what no stop guards although it could be sold.
    pub held: f64,
    pub exposed: f64,
    /// Entries that rest or take.
    pub open_buys: usize,
    /// An entry that has bought a part and still rests: its guard comes with the whole.
    pub part_bought: bool,
    /// How long ago the last order changed, ms: a guard that was about to be placed.
    pub changed_ago_ms: i64,
    /// The newest orders: side, stop, filled of quantity, state.
    pub story: Vec<String>,
}

impl Guarding {
    pub fn is_held(&self) -> bool {
        self.held >= SELLABLE
    }

    pub fn is_exposed(&self) -> bool {
        self.exposed > 0.0
    }

    /// For a failure.
    pub fn told(&self) -> String {
        let Self { symbol, held, exposed, part_bought, changed_ago_ms, .. } = self;
        let story = self.story.join("\n");
        format!("{symbol}: {exposed:.2} of {held:.2} exposed, part bought: {part_bought}, changed {changed_ago_ms} ms ago\n{story}")
    }
}

async fn totals(client: &RestClient) -> Vec<(Asset, Qty)> {
    client.account().await.unwrap().balances.iter().map(|b| (b.asset, b.total())).collect()
}

/// Holdings and orders of one moment: the exchange trades on while it is asked.
pub async fn guarding(client: &RestClient, symbols: &[Symbol]) -> Vec<Guarding> {
    loop {
        let before = totals(client).await;
        let found = guarding_of(client, symbols, &before).await;
        if totals(client).await == before {
            return found;
        }
    }
}

async fn guarding_of(client: &RestClient, symbols: &[Symbol], totals: &[(Asset, Qty)]) -> Vec<Guarding> {
    let mut markets = Vec::new();
    for (symbol, quote) in client.book_ticker(symbols).await.unwrap() {
        let base = symbol.as_str().trim_end_matches("USDT");
        let held: Qty = totals.iter().filter(|(asset, _)| asset.as_str() == base).map(|(_, qty)| *qty).sum();
        let orders = client.all_orders(symbol, OrdersOf::Latest).await.unwrap();
        let (mut stops, mut open_buys, mut part_bought) = (Qty::ZERO, 0, false);
        for order in orders.iter().filter(|o| !o.status.is_final() && !o.pending) {
            match order.side {
                Side::Sell if order.stop.is_positive() => stops += order.qty - order.filled,
                Side::Sell => {}
                Side::Buy => {
                    open_buys += 1;
                    part_bought |= order.filled.is_positive();
                }
            }
        }
        let worth = |qty: Qty| qty.to_f64() * quote.bid.price.to_f64();
        let bare = worth(held - stops);
        let story = orders.iter().rev().take(9).map(|o| {
            let age = client.venue_now().since(o.at).millis();
            format!("{symbol} {:?} price {} stop {} {} of {} {:?} {age} ms ago", o.side, o.price, o.stop, o.filled, o.qty, o.status)
        });
        let last = orders.iter().map(|o| o.at).max().unwrap_or_default();
        markets.push(Guarding {
            symbol,
            held: worth(held),
            exposed: if bare >= SELLABLE { bare } else { 0.0 },
            open_buys,
            part_bought,
            changed_ago_ms: client.venue_now().since(last).millis(),
            story: story.collect(),
        });
    }
    markets
}
