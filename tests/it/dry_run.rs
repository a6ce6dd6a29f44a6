//! The dry run through the product's own client: the simulated exchange checks each order, and none is placed.

use std::time::{Duration, Instant};

use huracan::domain::{Qty, RunId, Symbol};
use huracan::engine::{Settings, Snapshot};
use huracan::protocol::{Effect, Event, Mode, ModelRole, Request, VenueEvent};
use huracan::trading::risk::{Ladder, LadderRules};
use huracan::venue::binance::StreamRules;
use huracan::venue::exchange::{ExchangeServer, Running};

use crate::real_time::{self, AtExchange};

/// Enough answers to have seen every market.
const ANSWERS: u32 = 6;

fn settings() -> Settings {
    let mut settings = real_time::settings();
    (settings.mode, settings.exploration) = (Mode::Live, None);
    settings.ladder = Some(LadderRules::default());
    settings
}

struct Trader {
    desk: AtExchange,
    sent: Vec<Request>,
    tested: Vec<VenueEvent>,
}

impl Trader {
    fn start(exchange: &Running) -> Self {
        let desk = AtExchange::connect(exchange, settings(), StreamRules::default());
        let ladder: Ladder = serde_json::from_str(r#"{"rung":"dry_run","since":0,"changes":[],"evidence":{}}"#).unwrap();
        let carried = Snapshot { ladder: Some(ladder), ..Snapshot::default() };
        let opened = desk.opened(RunId(0xd2f), Some(serde_json::to_string(&carried).unwrap()));
        let mut trader = Self { desk, sent: Vec::new(), tested: Vec::new() };
        trader.apply(opened);
        trader
    }

    fn apply(&mut self, event: Event) {
        if let Event::Venue(news @ VenueEvent::Tested { .. }) = &event {
            self.tested.push(news.clone());
        }
        let sent = |effect| if let Effect::Send(request) = effect { Some(request) } else { None };
        self.sent.extend(self.desk.apply(event).into_iter().filter_map(sent));
    }

    async fn until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) {
        let end = Instant::now() + Duration::from_secs(90);
        while !holds(self) {
            assert!(Instant::now() < end, "never happened: {what}: {:?}", self.desk.engine.view().decisions.first());
            if let Some(event) = self.desk.hear().await {
                self.apply(event);
            }
            if self.desk.is_due() {
                self.apply(Event::Tick);
            }
        }
    }

    fn in_row(&self) -> u32 {
        self.desk.engine.snapshot().ladder.unwrap().evidence().tests_in_row
    }
}

async fn dry_run() {
    let exchange = ExchangeServer::start_synthetic(7, real_time::two_days_ago()).await.unwrap();
    let mut trader = Trader::start(&exchange);
    trader.until("the account is stated", |t| t.desk.engine.view().health.reconciled).await;
    let lessons = trader.desk.lessons(ModelRole::Champion).await;
    lessons.into_iter().for_each(|lesson| trader.apply(lesson));
    trader.until("answers to test orders", |t| t.in_row() >= ANSWERS).await;
    assert!(trader.sent.iter().all(|request| !matches!(request, Request::Place { .. } | Request::Cancel { .. })), "nothing is placed");
    // A price off the grid: the venue's rules, known here, refuse it.
    let mut order = trader.sent.iter().find_map(|r| if let Request::Test { order } = r { Some(*order) } else { None }).unwrap();
    order.qty = Qty::from_raw(order.qty.raw() + 1);
    let before = trader.tested.len();
    trader.desk.send(Request::Test { order });
    trader.until("a refusal", |t| t.tested[before..].iter().any(|n| matches!(n, VenueEvent::Tested { refused: Some(_), .. }))).await;
    let row = trader.desk.engine.snapshot().ladder.unwrap();
    assert!(!row.evidence().filter_refusals.is_empty(), "{:?}", trader.tested);
    let symbols: Vec<Symbol> = trader.desk.engine.settings().symbols.clone();
    for symbol in symbols {
        assert!(trader.desk.rest.open_orders(symbol).await.unwrap().ours.is_empty(), "the exchange has none of {symbol}");
    }
    trader.desk.end().await;
    exchange.stop().await;
}

#[test]
fn the_venue_checks_every_order_and_has_none() {
    real_time::run(dry_run());
}
