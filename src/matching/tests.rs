//! The exchange seen from outside: one statement a test.

mod conditional;
mod lists;
mod own_account;
mod random;
mod rules;

use super::*;
use crate::domain::{
    BookSnapshot, Bps, DepthDiff, FeeRates, Instrument, Level, MarketData, MarketUpdate, OrderId, OrderKind, OrderStatus, Price,
    PublicTrade, Qty, Quote, Side, Symbol, TimeInForce, Timestamp, TradeId,
};

const US: AccountId = AccountId(1);
const THEM: AccountId = AccountId(2);

fn name(text: &str) -> Symbol {
    text.parse().unwrap()
}
fn price(text: &str) -> Price {
    text.parse().unwrap()
}
fn qty(text: &str) -> Qty {
    text.parse().unwrap()
}
fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}
fn btc() -> Instrument {
    Instrument {
        symbol: name("BTCUSDT"),
        base: name("BTC"),
        quote: name("USDT"),
        trading: true,
        tick: price("0.01"),
        step: qty("0.001"),
        min_qty: qty("0.001"),
        max_qty: qty("100"),
        min_notional: "5".parse().unwrap(),
        max_notional: "1000000".parse().unwrap(),
        fees: FeeRates { maker: Bps::from_bps(-1), taker: Bps::from_bps(10) },
    }
}
fn level(at: &str, size: &str) -> Level {
    Level { price: price(at), qty: qty(size) }
}
fn update(data: MarketData) -> MarketUpdate {
    MarketUpdate { symbol: name("BTCUSDT"), exchange_time: None, local_time: at(1), data }
}
fn quote(bid: Level, ask: Level) -> MarketUpdate {
    update(MarketData::Quote(Quote { update_id: 1, bid, ask }))
}
fn trade(at: &str, size: &str, buyer_is_maker: bool) -> MarketUpdate {
    update(MarketData::Trade(PublicTrade { id: TradeId(9), price: price(at), qty: qty(size), buyer_is_maker }))
}
fn snapshot() -> MarketUpdate {
    update(MarketData::Snapshot(BookSnapshot {
        last_update_id: 10,
        bids: vec![level("100", "1"), level("99.5", "2"), level("99", "5")],
        asks: vec![level("101", "1"), level("102", "2"), level("103", "5")],
    }))
}
fn limit(at: &str, time_in_force: TimeInForce) -> OrderKind {
    OrderKind::Limit { price: price(at), time_in_force }
}
fn gtc(at: &str) -> OrderKind {
    limit(at, TimeInForce::Gtc)
}
fn maker(at: &str) -> OrderKind {
    OrderKind::LimitMaker { price: price(at) }
}
fn request(client_id: &str, side: Side, size: &str, kind: OrderKind) -> OrderRequest {
    OrderRequest { client_id: client_id.to_owned(), symbol: name("BTCUSDT"), side, qty: qty(size), kind }
}

/// An exchange with a displayed book and two customers of 1000 USDT and 10 BTC each.
struct Venue {
    exchange: Exchange,
    reports: Vec<Report>,
}

impl Venue {
    fn new() -> Self {
        let mut exchange = Exchange::new(ExchangeConfig::new(vec![btc()]));
        for account in [US, THEM] {
            exchange.open_account(account, &[(name("USDT"), qty("1000")), (name("BTC"), qty("10"))]);
        }
        let mut venue = Self { exchange, reports: Vec::new() };
        venue.market(&snapshot());
        venue
    }
    fn market(&mut self, update: &MarketUpdate) {
        self.exchange.on_market(update, &mut self.reports);
    }
    fn submit(&mut self, account: AccountId, request: &OrderRequest) -> Result<OrderId, Reject> {
        self.exchange.submit(at(2), account, request, &mut self.reports)
    }
    fn place(&mut self, client_id: &str, side: Side, size: &str, kind: OrderKind) -> Result<OrderId, Reject> {
        self.submit(US, &request(client_id, side, size, kind))
    }
    fn order(&self, id: OrderId) -> &OrderView {
        self.exchange.order(US, name("BTCUSDT"), OrderRef::Id(id)).unwrap()
    }
    /// "kind qty@price" of every report since the last call.
    fn told(&mut self) -> Vec<String> {
        let text = |report: &Report| match &report.kind {
            ReportKind::List(news) => format!("List {:?}", news.change),
            ReportKind::Fill(fill) => format!("{:?} {}@{} fee {} {}", fill.role, fill.qty, fill.price, fill.fee, fill.fee_asset),
            other => format!("{other:?}"),
        };
        self.reports.drain(..).map(|report| text(&report)).collect()
    }
    fn balance(&self, account: AccountId, asset: &str) -> (String, String) {
        let balance = self.exchange.balances(account).into_iter().find(|b| b.asset == name(asset)).unwrap();
        (balance.free.to_string(), balance.locked.to_string())
    }
}

fn pair(free: &str, locked: &str) -> (String, String) {
    (free.to_owned(), locked.to_owned())
}

#[test]
fn a_resting_buy_locks_quote_and_a_cancel_frees_it() {
    let mut venue = Venue::new();
    let id = venue.place("a", Side::Buy, "2", gtc("99.50")).unwrap();
    assert_eq!(venue.balance(US, "USDT"), pair("801", "199"));
    let last = venue.exchange.cancel(at(3), US, name("BTCUSDT"), OrderRef::Client("a"), &mut venue.reports).unwrap();
    assert_eq!((last.order_id, last.status, last.updated_at), (id, OrderStatus::Canceled, at(3)));
    assert_eq!(venue.balance(US, "USDT"), pair("1000", "0"));
    assert_eq!(venue.told(), ["Accepted", "Canceled"]);
}

#[test]
fn a_taker_walks_the_book_and_pays_the_fee_in_what_it_receives() {
    let mut venue = Venue::new();
    let id = venue.place("a", Side::Buy, "2", OrderKind::Market).unwrap();
    assert_eq!(venue.told(), ["Accepted", "Taker 1@101 fee 0.001 BTC", "Taker 1@102 fee 0.001 BTC"]);
    assert_eq!(venue.balance(US, "USDT"), pair("797", "0"));
    assert_eq!(venue.balance(US, "BTC"), pair("11.998", "0"));
    assert_eq!((venue.order(id).status, venue.order(id).filled_quote.to_string()), (OrderStatus::Filled, "203".to_owned()));
    let id = venue.place("b", Side::Sell, "1", limit("99", TimeInForce::Ioc)).unwrap();
    assert_eq!(venue.told(), ["Accepted", "Taker 1@100 fee 0.1 USDT"]);
    assert_eq!(venue.balance(US, "USDT"), pair("896.9", "0"));
    assert_eq!(venue.order(id).status, OrderStatus::Filled);
}

#[test]
fn a_maker_fill_pays_a_rebate_when_the_fee_is_negative() {
    let mut venue = Venue::new();
    venue.place("a", Side::Buy, "2", maker("100.50")).unwrap();
    venue.market(&trade("100.50", "0.5", true));
    assert_eq!(venue.told(), ["Accepted", "Maker 0.5@100.5 fee -0.00005 BTC"]);
    assert_eq!(venue.balance(US, "USDT"), pair("799", "150.75"));
    assert_eq!(venue.balance(US, "BTC"), pair("10.50005", "0"));
}

#[test]
fn a_limit_that_crosses_takes_then_rests_and_is_not_filled_by_what_it_took() {
    let mut venue = Venue::new();
    let id = venue.place("a", Side::Buy, "3", gtc("101")).unwrap();
    assert_eq!(venue.told(), ["Accepted", "Taker 1@101 fee 0.001 BTC"]);
    venue.market(&update(MarketData::Depth(DepthDiff {
        first_update_id: 11,
        last_update_id: 11,
        bids: vec![level("98", "1")],
        asks: vec![],
    })));
    assert_eq!(venue.order(id).status, OrderStatus::PartiallyFilled);
    assert!(venue.told().is_empty());
    venue.market(&update(MarketData::Depth(DepthDiff {
        first_update_id: 12,
        last_update_id: 12,
        bids: vec![],
        asks: vec![level("101", "0.7")],
    })));
    assert_eq!(venue.told(), ["Maker 0.7@101 fee -0.00007 BTC"]);
}

#[test]
fn two_quick_orders_cannot_take_the_same_quantity() {
    let mut venue = Venue::new();
    venue.place("a", Side::Buy, "1", OrderKind::Market).unwrap();
    venue.submit(THEM, &request("a", Side::Buy, "1", OrderKind::Market)).unwrap();
    assert_eq!(venue.told(), ["Accepted", "Taker 1@101 fee 0.001 BTC", "Accepted", "Taker 1@102 fee 0.001 BTC"]);
}

#[test]
fn ioc_expires_its_rest_and_fok_fills_whole_or_not_at_all() {
    let mut venue = Venue::new();
    venue.place("a", Side::Buy, "2", limit("101", TimeInForce::Ioc)).unwrap();
    assert_eq!(venue.told(), ["Accepted", "Taker 1@101 fee 0.001 BTC", "Expired(UnfilledIoc)"]);
    venue.place("b", Side::Buy, "3", limit("102", TimeInForce::Fok)).unwrap();
    assert_eq!(venue.told(), ["Accepted", "Expired(UnfilledFok)"]);
    venue.place("c", Side::Buy, "2", limit("102", TimeInForce::Fok)).unwrap();
    assert_eq!(venue.told(), ["Accepted", "Taker 2@102 fee 0.002 BTC"]);
    assert_eq!(venue.balance(US, "USDT"), pair("695", "0"));
}

#[test]
fn a_market_order_ends_with_the_book_or_with_the_funds() {
    let mut venue = Venue::new();
    venue.place("a", Side::Sell, "9", OrderKind::Market).unwrap();
    assert_eq!(venue.told().last().unwrap(), "Expired(Liquidity)");
    let mut venue = Venue::new();
    venue.exchange.open_account(AccountId(3), &[(name("USDT"), qty("150"))]);
    venue.submit(AccountId(3), &request("a", Side::Buy, "5", OrderKind::Market)).unwrap();
    assert_eq!(venue.told(), ["Accepted", "Taker 1@101 fee 0.001 BTC", "Taker 0.48@102 fee 0.00048 BTC", "Expired(Funds)"]);
    assert_eq!(venue.balance(AccountId(3), "USDT"), pair("0.04", "0"));
}

#[test]
fn with_quotes_alone_a_market_orders_rest_fills_worse_by_the_impact() {
    let mut venue = Venue::new();
    venue.market(&update(MarketData::Interrupted));
    venue.market(&quote(level("100", "1"), level("100.01", "1")));
    venue.place("a", Side::Sell, "3", OrderKind::Market).unwrap();
    assert_eq!(venue.told(), ["Accepted", "Taker 1@100 fee 0.1 USDT", "Taker 2@99.95 fee 0.1999 USDT"]);
}

#[test]
fn with_quotes_alone_a_resting_order_fills_when_the_quote_crosses() {
    let mut venue = Venue::new();
    venue.market(&update(MarketData::Interrupted));
    venue.market(&quote(level("100", "1"), level("100.01", "1")));
    venue.place("a", Side::Buy, "1", maker("99")).unwrap();
    venue.market(&quote(level("99", "4"), level("99.01", "4")));
    assert_eq!(venue.told(), ["Accepted"]);
    venue.market(&quote(level("98.99", "4"), level("99", "4")));
    assert_eq!(venue.told(), ["Maker 1@99 fee -0.0001 BTC"]);
}

#[test]
fn customers_trade_with_each_other_under_one_trade_id() {
    let mut venue = Venue::new();
    venue.place("a", Side::Sell, "2", maker("100.50")).unwrap();
    venue.submit(THEM, &request("b", Side::Buy, "1.5", gtc("100.50"))).unwrap();
    assert_eq!(venue.told(), ["Accepted", "Accepted", "Taker 1.5@100.5 fee 0.0015 BTC", "Maker 1.5@100.5 fee -0.015075 USDT"]);
    let of = |account| venue.exchange.trades(account, name("BTCUSDT"), TradeFilter::default())[0].trade_id;
    assert_eq!(of(US), of(THEM));
}

#[test]
fn each_refusal_has_its_cause() {
    use Reject::{
        DuplicateClientId, InsufficientBalance, LotSize, MarketClosed, NoLiquidity, Notional, PriceFilter, UnknownAccount, UnknownOrder,
        UnknownSymbol, WouldTake,
    };
    let mut venue = Venue::new();
    venue.place("live", Side::Buy, "1", gtc("99")).unwrap();
    venue.told();
    let cases = [
        (request("r", Side::Buy, "1", gtc("99.005")), PriceFilter),
        (request("r", Side::Buy, "1", gtc("0")), PriceFilter),
        (request("r", Side::Buy, "0.0005", gtc("99")), LotSize),
        (request("r", Side::Buy, "0", gtc("99")), LotSize),
        (request("r", Side::Buy, "-1", gtc("99")), LotSize),
        (request("r", Side::Buy, "101", gtc("99")), LotSize),
        (request("r", Side::Buy, "0.05", gtc("99")), Notional),
        (request("r", Side::Sell, "0.04", OrderKind::Market), Notional),
        (request("r", Side::Sell, "10", gtc("100000.01")), Notional),
        (request("r", Side::Buy, "1", maker("101")), WouldTake),
        (request("r", Side::Sell, "1", maker("100")), WouldTake),
        (request("r", Side::Buy, "10", gtc("95")), InsufficientBalance),
        (request("r", Side::Sell, "10.001", OrderKind::Market), InsufficientBalance),
        (request("live", Side::Buy, "1", gtc("99")), DuplicateClientId),
        (OrderRequest { symbol: name("ETHUSDT"), ..request("r", Side::Buy, "1", gtc("99")) }, UnknownSymbol),
    ];
    let before = venue.exchange.balances(US);
    for (wanted, reject) in cases {
        assert_eq!(venue.submit(US, &wanted), Err(reject), "{wanted:?}");
        assert_eq!(venue.told(), [format!("Rejected({reject:?})")]);
    }
    assert_eq!(venue.submit(AccountId(7), &request("r", Side::Buy, "1", gtc("99"))), Err(UnknownAccount));
    let unknown = venue.exchange.cancel(at(3), THEM, name("BTCUSDT"), OrderRef::Client("live"), &mut venue.reports);
    assert_eq!(unknown, Err(UnknownOrder));
    venue.market(&update(MarketData::Interrupted));
    assert_eq!(venue.place("r", Side::Sell, "1", gtc("101")), Err(NoLiquidity));
    venue.exchange.set_instrument(Instrument { trading: false, ..btc() });
    assert_eq!(venue.place("r", Side::Sell, "1", gtc("101")), Err(MarketClosed));
    assert_eq!(venue.exchange.status(name("BTCUSDT")), Some(SymbolStatus::Break));
    assert_eq!(venue.exchange.balances(US), before);
    assert_eq!(venue.exchange.open_orders(US, None).len(), 1);
}

#[test]
fn too_many_open_orders_are_refused() {
    let mut exchange =
        Exchange::new(ExchangeConfig { rules: Rules { max_orders: 1, ..Rules::default() }, ..ExchangeConfig::new(vec![btc()]) });
    exchange.open_account(US, &[(name("BTC"), qty("10"))]);
    let mut reports = Vec::new();
    exchange.on_market(&snapshot(), &mut reports);
    assert!(exchange.submit(at(1), US, &request("a", Side::Sell, "1", gtc("102")), &mut reports).is_ok());
    assert_eq!(exchange.submit(at(1), US, &request("b", Side::Sell, "1", gtc("102")), &mut reports), Err(Reject::TooManyOrders));
}

#[test]
fn a_client_id_may_be_used_again_once_its_order_is_final() {
    let mut venue = Venue::new();
    let first = venue.place("a", Side::Buy, "1", OrderKind::Market).unwrap();
    let second = venue.place("a", Side::Buy, "1", gtc("99")).unwrap();
    let newest = venue.exchange.order(US, name("BTCUSDT"), OrderRef::Client("a")).unwrap();
    assert!(first < second && newest.order_id == second);
    assert_eq!(venue.exchange.all_orders(US, name("BTCUSDT")).len(), 2);
}

#[test]
fn a_final_order_cannot_be_cancelled() {
    let mut venue = Venue::new();
    let id = venue.place("a", Side::Buy, "1", OrderKind::Market).unwrap();
    let again = venue.exchange.cancel(at(3), US, name("BTCUSDT"), OrderRef::Id(id), &mut venue.reports);
    assert_eq!(again, Err(Reject::UnknownOrder));
}

#[test]
fn the_history_is_bounded_and_forgets_the_oldest() {
    let mut exchange = Exchange::new(ExchangeConfig { history: 2, ..ExchangeConfig::new(vec![btc()]) });
    exchange.open_account(US, &[(name("BTC"), qty("10"))]);
    let mut reports = Vec::new();
    exchange.on_market(&snapshot(), &mut reports);
    for client_id in ["a", "b", "c"] {
        exchange.submit(at(1), US, &request(client_id, Side::Sell, "1", gtc("102")), &mut reports).unwrap();
        exchange.cancel(at(1), US, name("BTCUSDT"), OrderRef::Client(client_id), &mut reports).unwrap();
    }
    let known = |client_id| exchange.order(US, name("BTCUSDT"), OrderRef::Client(client_id)).is_some();
    assert_eq!([known("a"), known("b"), known("c")], [false, true, true]);
}

#[test]
fn a_restart_keeps_accounts_orders_and_fills() {
    let mut venue = Venue::new();
    let resting = venue.place("rest", Side::Buy, "2", gtc("100")).unwrap();
    venue.place("take", Side::Sell, "1", limit("99.50", TimeInForce::Ioc)).ok();
    let symbol = name("BTCUSDT");
    let json = serde_json::to_string(&venue.exchange).unwrap();
    let bytes = bincode::serde::encode_to_vec(&venue.exchange, bincode::config::standard()).unwrap();
    let from_bytes: Exchange = bincode::serde::decode_from_slice(&bytes, bincode::config::standard()).unwrap().0;
    for mut back in [serde_json::from_str::<Exchange>(&json).unwrap(), from_bytes] {
        assert_eq!(back.balances(US), venue.exchange.balances(US));
        assert_eq!(back.all_orders(US, symbol), venue.exchange.all_orders(US, symbol));
        assert_eq!(back.trades(US, symbol, TradeFilter::default()), venue.exchange.trades(US, symbol, TradeFilter::default()));
        let mut reports = Vec::new();
        assert_eq!(back.submit(at(5), US, &request("new", Side::Buy, "1", gtc("99")), &mut reports), Err(Reject::NoLiquidity));
        reports.clear();
        back.on_market(&snapshot(), &mut reports);
        back.on_market(&trade("100", "2.5", true), &mut reports);
        assert_eq!(reports[0].order_id, resting, "behind the displayed quantity of 1, the trade of 2.5 leaves 1.5");
        assert_eq!(reports[0].order.filled, qty("1.5"));
        assert!(back.submit(at(5), US, &request("new", Side::Buy, "1", gtc("99")), &mut reports).unwrap() > resting);
    }
}

#[test]
fn money_is_turned_into_a_quantity_by_walking_the_book() {
    let venue = Venue::new();
    let ask = |quote: &str| venue.exchange.quantity_for_quote(US, name("BTCUSDT"), Side::Buy, quote.parse().unwrap()).unwrap().to_string();
    assert_eq!(ask("50.5"), "0.5");
    assert_eq!(ask("203"), "2");
    assert_eq!(venue.exchange.quantity_for_quote(US, name("BTCUSDT"), Side::Sell, "199".parse().unwrap()), Some(qty("1.994")));
}

#[test]
fn a_print_without_a_price_or_a_quantity_is_no_trade() {
    let mut venue = Venue::new();
    venue.market(&trade("100.50", "0.001", true));
    venue.place("bid", Side::Buy, "1", gtc("99")).unwrap();
    venue.place("stop", Side::Sell, "1", OrderKind::StopLoss { stop: price("98") }).unwrap();
    venue.place("ask", Side::Sell, "1", gtc("103")).unwrap();
    venue.told();
    for (at, size) in [("0", "1"), ("0", "0"), ("97", "0"), ("104", "0"), ("-1", "1")] {
        venue.market(&trade(at, size, true));
        assert!(venue.told().is_empty(), "{at} {size}");
    }
    assert_eq!(venue.exchange.reference_price(name("BTCUSDT")), Some(price("100.50")));
    venue.market(&update(MarketData::Snapshot(BookSnapshot {
        last_update_id: 11,
        bids: vec![level("0", "9")],
        asks: vec![level("101", "1")],
    })));
    assert!(venue.exchange.best(name("BTCUSDT")).is_none(), "a level without a price is no level");
    assert!(venue.told().is_empty());
}
