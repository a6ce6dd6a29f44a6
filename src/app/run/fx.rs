//! Asks the venue for the rate of the account's currency, once a minute.

use std::time::Duration;

use tokio::sync::mpsc::Sender;

use crate::app::clock;
use crate::domain::Symbol;
use crate::protocol::{Event, FxMark, Probe};
use crate::venue::binance::RestClient;

const EVERY: Duration = Duration::from_secs(60);

/// Until the engine's queue is closed. A rate that does not come is not made up: the last one ages.
pub async fn ask(rest: RestClient, pair: Symbol, source: String, events: Sender<Event>) {
    let mut failing = false;
    while !events.is_closed() {
        // The last trade says how old its price is; a ticker would always be of now.
        match rest.trades(pair, 1).await {
            Ok(trades) => {
                if let Some((at, trade)) = trades.last() {
                    failing = false;
                    let mark = FxMark { pair, rate: trade.price, source: source.clone(), at: (*at).min(clock::now()) };
                    // A full queue hears the next one.
                    let _ = events.try_send(Event::Probe(Probe::Fx(mark)));
                }
            }
            Err(error) if failing => tracing::debug!(%error, %pair, "no rate of the account's currency"),
            Err(error) => {
                failing = true;
                tracing::warn!(%error, %pair, "no rate of the account's currency: amounts in it are unknown");
            }
        }
        tokio::time::sleep(EVERY).await;
    }
}
