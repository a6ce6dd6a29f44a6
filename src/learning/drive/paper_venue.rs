//! The venue in process: the engine's requests reach `matching` after a delay, its reports come back after another.
//!
//! Where the market's news comes late, a request waits until the news has come as far as the request had on the venue's clock: it meets the
//! book that it would have met there, and no trade from before it came.

use std::collections::BTreeMap;

use super::feed_lag::FeedLag;
use crate::domain::{Asset, Balance, ClientOrderId, Instrument, MarketUpdate, NewOrder, OrderStatus, Qty, Span, Symbol, Timestamp};
use crate::engine::Snapshot;
use crate::matching::{
    AccountId, DelayQueue, Exchange, ExchangeConfig, Leg, ListRequest, OrderRef, OrderView, Reject, Report, ReportKind, Rules, Terms,
    TradeFilter,
};
use crate::protocol::{FailureKind, Request, Stream, VenueEvent, VenueFill, VenueOrder, VenueRefusal};

const ACCOUNT: AccountId = AccountId(1);

/// One account at an exchange made of rules.
#[derive(Debug)]
pub struct PaperVenue {
    exchange: Exchange,
    instruments: Vec<Instrument>,
    latency: Span,
    feed: FeedLag,
    /// With the moment at which each reaches the venue.
    requests: DelayQueue<(Timestamp, Request)>,
    /// When the last request is performed: none overtakes another.
    last_due: Timestamp,
    news: DelayQueue<VenueEvent>,
    /// Orders that a previous run left: this venue never saw them, so it states their end.
    left_over: Vec<VenueEvent>,
}

impl PaperVenue {
    /// Opens an account with `capital` of `quote`; every way takes `latency`.
    #[must_use]
    pub fn new(instruments: Vec<Instrument>, quote: Asset, capital: Qty, latency: Span) -> Self {
        let mut exchange = Exchange::new(ExchangeConfig::new(instruments.clone()));
        exchange.open_account(ACCOUNT, &[(quote, capital)]);
        Self::around(exchange, instruments, latency, Vec::new())
    }

    /// The account that a previous run left, or a fresh one: a run that never heard of its account left nothing to resume.
    #[must_use]
    pub fn continued(instruments: Vec<Instrument>, carried: Option<&Snapshot>, quote: Asset, capital: Qty, latency: Span) -> Self {
        match carried.filter(|snapshot| snapshot.ledger.is_opened()) {
            Some(snapshot) => Self::resume(instruments, snapshot, latency),
            None => Self::new(instruments, quote, capital, latency),
        }
    }

    /// Opens the account that a previous run left: its holdings, and its open orders stated as cancelled.
    fn resume(instruments: Vec<Instrument>, snapshot: &Snapshot, latency: Span) -> Self {
        let mut exchange = Exchange::new(ExchangeConfig::new(instruments.clone()));
        let holdings: Vec<(Asset, Qty)> = snapshot.ledger.holdings().collect();
        exchange.open_account(ACCOUNT, &holdings);
        exchange.continue_trades_after(snapshot.ledger.last_trade());
        let left_over = snapshot
            .orders
            .live()
            .map(|o| {
                VenueEvent::Order(VenueOrder {
                    id: o.new.id,
                    order_id: o.order_id.unwrap_or_default(),
                    symbol: o.new.symbol,
                    side: o.new.side,
                    status: OrderStatus::Canceled,
                    qty: o.new.qty,
                    filled: o.filled,
                    at: o.updated,
                })
            })
            .collect();
        Self::around(exchange, instruments, latency, left_over)
    }

    fn around(exchange: Exchange, instruments: Vec<Instrument>, latency: Span, left_over: Vec<VenueEvent>) -> Self {
        let (requests, news) = (DelayQueue::new(), DelayQueue::new());
        Self { exchange, instruments, latency, feed: FeedLag::default(), requests, last_due: Timestamp::EPOCH, news, left_over }
    }

    /// The venue states its markets anew: other fees, grains, or whether they trade.
    pub fn set_instruments(&mut self, instruments: Vec<Instrument>) {
        instruments.iter().for_each(|instrument| self.exchange.set_instrument(instrument.clone()));
        self.instruments = instruments;
    }

    /// What a venue states when one connects: instruments, streams, the account.
    pub fn connect(&mut self, at: Timestamp) -> Vec<VenueEvent> {
        let mut news = vec![
            VenueEvent::Instruments(self.instruments.clone()),
            VenueEvent::Link { stream: Stream::Market, up: true },
            VenueEvent::Link { stream: Stream::User, up: true },
        ];
        news.append(&mut self.left_over);
        news.push(VenueEvent::Reconciled { at, balances: self.balances(), open: Vec::new(), foreign_orders: 0 });
        news
    }

    /// Shows the exchange what the market did. Fills of resting orders are reported after the delay.
    pub fn on_market(&mut self, update: &MarketUpdate) {
        let made = update.local_time - self.feed.see(update);
        let mut reports = Vec::new();
        self.exchange.on_late_market(update, made, &mut reports);
        self.report(reports, made, update.local_time + self.latency);
    }

    /// Takes a request; false when it is none of this venue's (book snapshots come from the data).
    pub fn send(&mut self, at: Timestamp, request: Request) -> bool {
        if matches!(request, Request::Snapshot { .. }) {
            return false;
        }
        let arrives = at + self.latency;
        self.last_due = self.last_due.max(arrives + self.feed.last());
        self.requests.push(self.last_due, (arrives, request));
        true
    }

    /// When something is due next.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        self.requests.next_due().into_iter().chain(self.news.next_due()).min()
    }

    /// Performs what has become due and gives the next piece of news, if one is due.
    pub fn pop_due(&mut self, now: Timestamp) -> Option<(Timestamp, VenueEvent)> {
        while let Some((due, (at, request))) = self.requests.pop_due(now) {
            self.perform(at, due + self.latency, request);
        }
        self.news.pop_due(now)
    }

    #[must_use]
    pub fn balances(&self) -> Vec<Balance> {
        self.exchange.balances(ACCOUNT)
    }

    /// From now on the venue's filters of a market are these.
    pub fn set_rules(&mut self, symbol: Symbol, rules: Rules) {
        self.exchange.set_rules(symbol, rules);
    }

    /// Orders that rest or wait there, as the venue has them.
    #[must_use]
    pub fn open_orders(&self, symbol: Symbol) -> Vec<&OrderView> {
        self.exchange.open_orders(ACCOUNT, Some(symbol))
    }

    /// Holdings by asset, for counting what the venue says we made.
    #[must_use]
    pub fn totals(&self) -> BTreeMap<Asset, Qty> {
        self.balances().iter().map(|b| (b.asset, b.total())).collect()
    }

    /// What came `at` the venue; its answer is heard later.
    fn perform(&mut self, at: Timestamp, heard: Timestamp, request: Request) {
        let mut reports = Vec::new();
        match request {
            Request::Test { order } => {
                let checked = self.exchange.would_accept(ACCOUNT, &Leg::from(&order).request, Terms::default());
                let refused = checked.err().map(|reject| (refusal(reject), reject.message()));
                self.news.push(heard, VenueEvent::Tested { id: order.id, refused });
            }
            Request::Place { order, .. } => {
                self.submit(at, heard, &order, &mut reports);
            }
            Request::PlaceList { list, .. } => {
                if let Err(reject) = self.exchange.submit_list(at, ACCOUNT, &ListRequest::from(&list), &mut reports) {
                    for order in list.legs.orders() {
                        let refused = VenueEvent::Refused { id: order.id, reason: refusal(reject), message: reject.message() };
                        self.news.push(heard, refused);
                    }
                }
            }
            Request::Replace { old, order } => self.replace(at, heard, old, &order, &mut reports),
            Request::Cancel { id, symbol, .. } => {
                if let Err(reject) = self.exchange.cancel(at, ACCOUNT, symbol, OrderRef::Client(&id.to_string()), &mut reports) {
                    self.news.push(heard, VenueEvent::CancelRefused { id, message: reject.message() });
                }
            }
            Request::Query { id, symbol } => self.answer(heard, id, symbol),
            Request::Account => {
                let balances = VenueEvent::Balances { at, balances: self.balances() };
                self.news.push(heard, balances);
            }
            Request::Snapshot { .. } => {}
        }
        self.report(reports, at, heard);
    }

    fn submit(&mut self, at: Timestamp, heard: Timestamp, order: &NewOrder, reports: &mut Vec<Report>) {
        let wanted = Leg::from(order).request;
        if let Err(reject) = self.exchange.submit(at, ACCOUNT, &wanted, reports) {
            let refused = VenueEvent::Refused { id: order.id, reason: refusal(reject), message: reject.message() };
            self.news.push(heard, refused);
        }
    }

    /// Filters first, then the old order; without its end the new one is not tried.
    fn replace(&mut self, at: Timestamp, heard: Timestamp, old: ClientOrderId, order: &NewOrder, reports: &mut Vec<Report>) {
        let screened = self.exchange.screen(ACCOUNT, &Leg::from(order).request);
        let cancelled =
            screened.and_then(|()| self.exchange.cancel(at, ACCOUNT, order.symbol, OrderRef::Client(&old.to_string()), reports));
        match cancelled {
            Ok(_) => self.submit(at, heard, order, reports),
            Err(reject) => {
                let message = reject.message();
                let refused = VenueEvent::Refused { id: order.id, reason: VenueRefusal::NotAttempted, message: message.clone() };
                self.news.push(heard, VenueEvent::CancelRefused { id: old, message });
                self.news.push(heard, refused);
            }
        }
    }

    fn answer(&mut self, due: Timestamp, id: ClientOrderId, symbol: Symbol) {
        let Some(order) = self.exchange.order(ACCOUNT, symbol, OrderRef::Client(&id.to_string())).cloned() else {
            return self.news.push(due, VenueEvent::Missing { id });
        };
        let filter = TradeFilter { order_id: Some(order.order_id), ..TradeFilter::default() };
        let fills: Vec<VenueFill> = self.exchange.trades(ACCOUNT, symbol, filter).into_iter().map(|e| fill(id, e)).collect();
        self.news.push(due, VenueEvent::Order(stated(id, &order)));
        for fill in fills {
            self.news.push(due, VenueEvent::Fill(fill));
        }
    }

    fn report(&mut self, reports: Vec<Report>, at: Timestamp, due: Timestamp) {
        let mut traded = false;
        for report in reports {
            let Ok(id) = report.client_id.parse::<ClientOrderId>() else {
                let message = format!("order {} has an id that is not ours", report.client_id);
                self.news.push(due, VenueEvent::Failure { kind: FailureKind::Malformed, message });
                continue;
            };
            let news = match &report.kind {
                ReportKind::Accepted => VenueEvent::Accepted { id, order_id: report.order_id, at: report.at },
                // The answer to the request says it.
                ReportKind::Rejected(_) => continue,
                ReportKind::Fill(execution) => {
                    traded = true;
                    VenueEvent::Fill(fill(id, execution))
                }
                // A leg that becomes live was told as accepted; nothing is amended here.
                ReportKind::Entered | ReportKind::Amended { .. } | ReportKind::List(_) => continue,
                ReportKind::Canceled | ReportKind::Expired(_) | ReportKind::Prevented(_) => VenueEvent::Order(stated(id, &report.order)),
            };
            self.news.push(due, news);
        }
        if traded {
            let balances = VenueEvent::Balances { at, balances: self.balances() };
            self.news.push(due, balances);
        }
    }
}

fn fill(id: ClientOrderId, e: &crate::matching::Execution) -> VenueFill {
    VenueFill {
        id,
        order_id: e.order_id,
        trade_id: e.trade_id,
        symbol: e.symbol,
        side: e.side,
        price: e.price,
        qty: e.qty,
        role: e.role,
        fee: e.fee,
        fee_asset: e.fee_asset,
        at: e.at,
    }
}

fn stated(id: ClientOrderId, order: &OrderView) -> VenueOrder {
    VenueOrder {
        id,
        order_id: order.order_id,
        symbol: order.symbol,
        side: order.side,
        status: order.status,
        qty: order.qty,
        filled: order.filled,
        at: order.updated_at,
    }
}

fn refusal(reject: Reject) -> VenueRefusal {
    match reject {
        Reject::WouldTake => VenueRefusal::WouldTake,
        Reject::InsufficientBalance => VenueRefusal::InsufficientBalance,
        Reject::DuplicateClientId => VenueRefusal::DuplicateId,
        Reject::MarketClosed | Reject::WrongPhase => VenueRefusal::MarketClosed,
        Reject::PriceFilter
        | Reject::PercentPrice
        | Reject::LotSize
        | Reject::MarketLotSize
        | Reject::Notional
        | Reject::MaxPosition
        | Reject::UnknownSymbol => VenueRefusal::Filter,
        Reject::TooManyOrders | Reject::TooManyAlgoOrders | Reject::TooManyLists => VenueRefusal::RateLimit,
        Reject::UnknownAccount => VenueRefusal::Credentials,
        _ => VenueRefusal::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::samples::btcusdt;
    use crate::domain::{Bps, FeeRates, Level, MarketData, OrderKind, Price, PublicTrade, Quote, RunId, Side, TimeInForce, TradeId};

    fn venue() -> PaperVenue {
        let btc = btcusdt();
        let mut venue = PaperVenue::new(vec![btc], "USDT".parse().unwrap(), "1000".parse().unwrap(), Span::from_millis(50));
        let level = |price: &str| Level { price: price.parse().unwrap(), qty: "5".parse().unwrap() };
        venue.on_market(&MarketUpdate {
            symbol: "BTCUSDT".parse().unwrap(),
            exchange_time: None,
            local_time: Timestamp::EPOCH,
            data: MarketData::Quote(Quote { update_id: 1, bid: level("99.99"), ask: level("100") }),
        });
        venue
    }

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    fn market_buy(sequence: u64) -> NewOrder {
        let id = ClientOrderId { run: RunId(1), sequence };
        NewOrder { id, symbol: "BTCUSDT".parse().unwrap(), side: Side::Buy, qty: "1".parse().unwrap(), kind: OrderKind::Market }
    }

    #[test]
    fn an_order_and_its_fill_each_take_their_way() {
        let mut venue = venue();
        venue.send(at(0), Request::Place { order: market_buy(1), opening: true });
        assert!(venue.pop_due(at(99)).is_none(), "50 ms there, 50 ms back");
        let mut seen = Vec::new();
        while let Some((due, news)) = venue.pop_due(at(100)) {
            seen.push((due.millis(), news));
        }
        assert!(seen.iter().all(|(due, _)| *due == 100));
        let VenueEvent::Fill(fill) = &seen[1].1 else { panic!("{seen:?}") };
        assert_eq!((fill.at, fill.fee.to_string()), (at(50), "0.001".to_owned()));
        assert!(matches!(seen.last().unwrap().1, VenueEvent::Balances { .. }));
    }

    #[test]
    fn a_query_tells_of_unknown_orders_that_they_are_missing() {
        let mut venue = venue();
        let order = market_buy(7);
        venue.send(at(0), Request::Query { id: order.id, symbol: order.symbol });
        assert_eq!(venue.pop_due(at(100)).unwrap().1, VenueEvent::Missing { id: order.id });
    }

    /// Everything that is heard until then.
    fn heard(venue: &mut PaperVenue, until: i64) -> Vec<VenueEvent> {
        std::iter::from_fn(|| venue.pop_due(at(until))).map(|(_, news)| news).collect()
    }

    fn limit(sequence: u64, side: Side, price: &str) -> NewOrder {
        let kind = OrderKind::Limit { price: price.parse().unwrap(), time_in_force: TimeInForce::Gtc };
        NewOrder { side, kind, ..market_buy(sequence) }
    }

    /// A print of the venue's clock, which is two seconds behind.
    fn print(venue: &mut PaperVenue, made: i64, local: i64, price: &str) {
        let (price, qty): (Price, Qty) = (price.parse().unwrap(), "0.5".parse().unwrap());
        venue.on_market(&MarketUpdate {
            symbol: "BTCUSDT".parse().unwrap(),
            exchange_time: Some(at(made - 2_000)),
            local_time: at(local),
            data: MarketData::Trade(PublicTrade { id: TradeId(1), price, qty, buyer_is_maker: true }),
        });
    }

    fn fills(news: &[VenueEvent]) -> usize {
        news.iter().filter(|news| matches!(news, VenueEvent::Fill(_))).count()
    }

    #[test]
    fn markets_that_are_stated_anew_are_traded_as_stated() {
        let mut venue = venue();
        let fees = FeeRates { maker: Bps::from_bps(3), taker: Bps::from_bps(7) };
        let other = Instrument { fees, step: "0.5".parse().unwrap(), ..btcusdt() };
        venue.set_instruments(vec![other.clone()]);
        assert_eq!(venue.connect(at(0))[0], VenueEvent::Instruments(vec![other]));
        venue.send(at(0), Request::Place { order: market_buy(1), opening: true });
        let news = heard(&mut venue, 100);
        let fee = news.iter().find_map(|news| if let VenueEvent::Fill(fill) = news { Some(fill.fee.to_string()) } else { None });
        assert_eq!(fee.as_deref(), Some("0.0007"));
        let off_grid = NewOrder { qty: "1.2".parse().unwrap(), ..market_buy(2) };
        venue.send(at(100), Request::Place { order: off_grid, opening: true });
        let refused = heard(&mut venue, 200);
        assert!(matches!(refused[..], [VenueEvent::Refused { reason: VenueRefusal::Filter, .. }]), "{refused:?}");
        venue.set_instruments(vec![Instrument { trading: false, ..btcusdt() }]);
        venue.send(at(200), Request::Place { order: market_buy(3), opening: true });
        let refused = heard(&mut venue, 300);
        assert!(matches!(refused[..], [VenueEvent::Refused { reason: VenueRefusal::MarketClosed, .. }]), "{refused:?}");
    }

    #[test]
    fn a_replacement_that_breaks_a_filter_leaves_the_old_order_where_it_is() {
        let mut venue = venue();
        let old = limit(1, Side::Buy, "99");
        venue.send(at(0), Request::Place { order: old, opening: true });
        heard(&mut venue, 100);
        let unfit = NewOrder { qty: Qty::from_raw(1), ..market_buy(2) };
        venue.send(at(100), Request::Replace { old: old.id, order: unfit });
        let news = heard(&mut venue, 200);
        let [VenueEvent::CancelRefused { id, .. }, VenueEvent::Refused { id: new, reason: VenueRefusal::NotAttempted, .. }] = &news[..]
        else {
            panic!("{news:?}")
        };
        assert_eq!((*id, *new), (old.id, unfit.id));
        assert_eq!(venue.open_orders(old.symbol).len(), 1, "it still stands");
        venue.send(at(200), Request::Replace { old: old.id, order: market_buy(3) });
        assert_eq!(fills(&heard(&mut venue, 300)), 1);
        assert!(venue.open_orders(old.symbol).is_empty());
    }

    #[test]
    fn a_request_waits_as_long_as_the_news_is_late_and_none_overtakes_another() {
        let mut venue = venue();
        print(&mut venue, 1_000, 1_020, "99.995");
        venue.send(at(1_020), Request::Account);
        assert_eq!(venue.next_due(), Some(at(1_070)), "news in time changes nothing");
        heard(&mut venue, 1_120);
        print(&mut venue, 1_200, 1_620, "99.995");
        venue.send(at(1_620), Request::Account);
        assert_eq!(venue.next_due(), Some(at(2_070)), "400 ms late");
        print(&mut venue, 1_625, 1_645, "99.995");
        venue.send(at(1_650), Request::Query { id: market_buy(1).id, symbol: market_buy(1).symbol });
        assert!(heard(&mut venue, 2_119).is_empty());
        let news = heard(&mut venue, 2_120);
        assert!(matches!(news[..], [VenueEvent::Balances { .. }, VenueEvent::Missing { .. }]), "{news:?}");
    }

    #[test]
    fn a_print_from_before_an_order_came_does_not_fill_it() {
        let mut venue = venue();
        print(&mut venue, 1_000, 1_020, "99.995");
        venue.send(at(1_020), Request::Place { order: limit(1, Side::Buy, "99.99"), opening: true });
        heard(&mut venue, 1_120);
        // The news stood still: it was sold below before the order came, and the print comes long after it.
        print(&mut venue, 1_045, 1_900, "99");
        assert_eq!(fills(&heard(&mut venue, 2_000)), 0);
        print(&mut venue, 1_055, 2_000, "99");
        assert_eq!(fills(&heard(&mut venue, 2_050)), 1, "a print from after it");
    }
}
