use super::*;
use crate::domain::samples::btcusdt;
use crate::domain::{Bps, ClientOrderId, ExitReason, Instrument, OrderId, RunId, Side};
use crate::protocol::VenueFill;
use crate::trading::ledger::Ledger;
use proptest::prelude::*;

const HOUR: i64 = 3_600_000;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(1_767_225_600_000 + ms)
}

fn asset(name: &str) -> Asset {
    name.parse().unwrap()
}

fn eth() -> Instrument {
    Instrument { symbol: asset("ETHUSDT"), base: asset("ETH"), ..btcusdt() }
}

/// What a ledger was told, as it is stored.
#[derive(Default)]
struct Kept {
    ledger: Ledger,
    fills: Vec<FillRecord>,
    postings: Vec<PostingRecord>,
    costs: Vec<CostRecord>,
    strays: BTreeSet<(Symbol, Timestamp)>,
}

#[derive(Debug, Clone, Copy)]
enum Paid {
    Base,
    Quote,
    Other,
}

impl Kept {
    fn opened(capital: &str) -> Self {
        let mut kept = Self::default();
        kept.transfer(0, capital);
        kept
    }

    fn transfer(&mut self, ms: i64, amount: &str) {
        self.postings.extend(self.ledger.transfer(at(ms), asset("USDT"), amount.parse().unwrap()));
    }

    fn fill(&mut self, ms: i64, instrument: &Instrument, side: Side, (price, qty): (Price, Qty), role: Role, paid: Paid) {
        let rate = Bps::from_bps(if role == Role::Maker { -1 } else { 10 });
        let (fee, fee_asset) = match paid {
            Paid::Base => (qty.at_rate(rate), instrument.base),
            Paid::Quote => (price.notional(qty).unwrap().at_rate(rate).to_quote(), instrument.quote),
            Paid::Other => (qty.at_rate(rate), asset(if instrument.base.as_str() == "ETH" { "BTC" } else { "ETH" })),
        };
        let number = self.fills.len() as u64 + 1;
        let fill = VenueFill {
            id: ClientOrderId::default(),
            order_id: OrderId(number),
            trade_id: TradeId(number),
            symbol: instrument.symbol,
            side,
            price,
            qty,
            role,
            fee,
            fee_asset,
            at: at(ms),
        };
        self.postings.extend(self.ledger.apply_fill(&fill, instrument).unwrap());
        self.fills.push(FillRecord { fill, run: RunId(1), arrival_mid: price });
    }

    fn books(&self) -> Books<'_> {
        Books { quote: asset("USDT"), fills: &self.fills, postings: &self.postings, costs: &self.costs, strays: &self.strays }
    }

    fn table(&self, since: i64, marks: &BTreeMap<Symbol, Price>) -> PnlTable {
        pnl_table(&self.books(), at(since), marks)
    }

    fn ledger_net(&self, marks: &BTreeMap<Symbol, Price>) -> Option<Money> {
        let symbol = |base: Asset| [btcusdt(), eth()].into_iter().find(|i| i.base == base).map(|i| i.symbol);
        self.ledger.net_pnl(asset("USDT"), |base| marks.get(&symbol(base)?).copied())
    }
}

fn cost(ms: i64, net: &str, exploration: bool) -> CostRecord {
    let zero = Money::ZERO;
    CostRecord {
        symbol: btcusdt().symbol,
        entry_time: at(ms - 1),
        exit_time: at(ms),
        qty: "1".parse().unwrap(),
        entry_price: "100".parse().unwrap(),
        exit_price: "100".parse().unwrap(),
        gross: net.parse().unwrap(),
        fees: zero,
        spread: zero,
        slippage: zero,
        impact: zero,
        net: net.parse().unwrap(),
        exit: ExitReason::Target,
        held: Span::ZERO,
        exploration,
    }
}

#[test]
fn a_day_of_two_round_trips_is_as_computed_by_hand() {
    let (mut kept, btc) = (Kept::opened("1000"), btcusdt());
    let (one, two) = ("1".parse().unwrap(), "2".parse().unwrap());
    kept.fill(HOUR, &btc, Side::Buy, ("100".parse().unwrap(), one), Role::Taker, Paid::Quote);
    kept.fill(2 * HOUR, &btc, Side::Buy, ("110".parse().unwrap(), one), Role::Maker, Paid::Quote);
    kept.fill(25 * HOUR, &btc, Side::Sell, ("120".parse().unwrap(), one), Role::Taker, Paid::Quote);
    kept.transfer(26 * HOUR, "-50");
    kept.costs = vec![cost(25 * HOUR, "14", false), cost(25 * HOUR + 1, "-1", true)];
    kept.strays = BTreeSet::from([(btc.symbol, at(25 * HOUR))]);
    let table = kept.table(0, &BTreeMap::from([(btc.symbol, "130".parse().unwrap())]));
    // Average cost 105; fees 0.1, a rebate of 0.011, and 0.12.
    assert_eq!((table.total.realised, table.total.maker_fees), ("15".parse().unwrap(), "-0.011".parse().unwrap()));
    assert_eq!((table.total.taker_fees, table.net), ("0.22".parse().unwrap(), "14.791".parse().unwrap()));
    let row = &table.symbols[0];
    assert_eq!((row.held, row.average_cost, row.unrealised), (one, "105".parse().ok(), "25".parse().ok()));
    let days: Vec<String> = table.days.iter().map(|d| format!("{} {} {} {}", d.net, d.trades.trades, d.transfers, d.equity)).collect();
    assert_eq!(days, ["-0.089 0 1000 999.911", "14.88 2 -50 964.791"]);
    let named: Vec<String> = table.strategies.iter().map(|row| format!("{} {}", row.strategy, row.net)).collect();
    assert_eq!(named, ["exploration -1", "stray 14", "unassigned 1.791"]);
    let moved: Vec<(bool, Qty)> = table.transfers.iter().map(|t| (t.opening, t.amount)).collect();
    assert_eq!(moved, [(true, "1000".parse().unwrap()), (false, "-50".parse().unwrap())]);
    assert_eq!(table.equity.last(), Some(&(at(26 * HOUR), "964.791".parse().unwrap())));
    assert_eq!(kept.table(0, &BTreeMap::new()).unrealised, None, "a holding without a mark");
    let later = kept.table(24 * HOUR, &BTreeMap::new());
    assert_eq!((later.net, later.days.len(), later.symbols[0].average_cost), ("14.88".parse().unwrap(), 1, "105".parse().ok()));
    kept.fill(27 * HOUR, &btc, Side::Sell, ("100".parse().unwrap(), two), Role::Taker, Paid::Base);
    let short = &kept.table(0, &BTreeMap::new()).symbols[0];
    assert_eq!((short.held.to_string().as_str(), short.average_cost), ("-1.002", "100".parse().ok()), "sold more than was held");
}

#[test]
fn fees_in_another_coin_are_no_gain_of_nobodys() {
    let (mut kept, btc) = (Kept::opened("1000"), btcusdt());
    let one = "1".parse().unwrap();
    kept.fill(HOUR, &btc, Side::Buy, ("100".parse().unwrap(), one), Role::Taker, Paid::Other);
    kept.fill(25 * HOUR, &btc, Side::Sell, ("110".parse().unwrap(), one), Role::Taker, Paid::Other);
    // Twice a thousandth of an ether at 5,000: the trade made nothing.
    kept.costs = vec![CostRecord { fees: "10".parse().unwrap(), ..cost(25 * HOUR, "0", false) }];
    let marks = BTreeMap::from([(eth().symbol, "5000".parse().unwrap())]);
    let named = |table: &PnlTable| table.strategies.iter().map(|row| format!("{} {}", row.strategy, row.net)).collect::<Vec<_>>();
    let table = kept.table(0, &marks);
    assert_eq!((table.net, named(&table)), ("10".parse().unwrap(), vec!["trees 0".to_owned()]), "the days are before those fees");
    assert_eq!((table.unrealised, kept.ledger_net(&marks)), ("-10".parse().ok(), Some(Money::ZERO)));
    let unknown = kept.table(0, &BTreeMap::new());
    assert_eq!((unknown.unrealised, named(&unknown)), (None, vec!["trees 0".to_owned()]), "without a mark nothing is said of the rest");
    let fee: Qty = "0.001".parse().unwrap();
    let later = kept.table(24 * HOUR, &marks);
    assert_eq!((table.other_fees, later.other_fees), (vec![(asset("ETH"), fee + fee)], vec![(asset("ETH"), fee)]));
    assert_eq!(later.all_other_fees, [(asset("ETH"), fee + fee)], "equity leaves out those of before as well");
}

#[test]
fn a_day_without_a_fill_ends_as_the_day_before() {
    let (mut kept, btc) = (Kept::opened("1000"), btcusdt());
    let one = "1".parse().unwrap();
    kept.fill(HOUR, &btc, Side::Buy, ("100".parse().unwrap(), one), Role::Taker, Paid::Quote);
    kept.fill(2 * HOUR, &btc, Side::Sell, ("120".parse().unwrap(), one), Role::Taker, Paid::Quote);
    kept.fill(100 * HOUR, &btc, Side::Buy, ("100".parse().unwrap(), one), Role::Taker, Paid::Quote);
    kept.fill(101 * HOUR, &btc, Side::Sell, ("200".parse().unwrap(), one), Role::Taker, Paid::Quote);
    kept.costs = vec![cost(50 * HOUR, "1", false), cost(26 * HOUR, "19", false)];
    let equity =
        |since: i64| -> Vec<String> { kept.table(since, &BTreeMap::new()).days.iter().map(|day| day.equity.to_string()).collect() };
    assert_eq!(equity(0), ["1019.78", "1019.78", "1019.78", "1119.48"]);
    assert_eq!(equity(24 * HOUR), ["1019.78", "1019.78", "1119.48"]);
}

#[test]
fn an_empty_account_has_an_empty_table() {
    let table = Kept::default().table(0, &BTreeMap::new());
    assert_eq!((table.net, table.unrealised, table.days.len()), (Money::ZERO, Some(Money::ZERO), 0));
}

#[test]
fn a_long_line_is_thinned_and_keeps_its_ends() {
    let points: Vec<(Timestamp, Money)> = (0..1_234).map(|n| (at(n), Money::from_raw(i128::from(n)))).collect();
    let thin = thinned(points.clone());
    assert!(thin.len() <= LINE_POINTS + 1 && thin.first() == points.first() && thin.last() == points.last());
}

proptest! {
    #[test]
    fn the_tables_equal_the_ledger_and_a_dumb_re_sum(
        fills in prop::collection::vec((any::<bool>(), any::<bool>(), any::<bool>(), 0_u8..3, 1_i64..100_000, 1_i128..1_000_000, 0_i64..40), 0..80),
        btc_mark in 1_i64..100_000, eth_mark in 1_i64..100_000,
    ) {
        let (mut kept, pair) = (Kept::opened("100000"), [btcusdt(), eth()]);
        let (mut cash, mut held) = (Money::ZERO, BTreeMap::<Asset, Qty>::new());
        let mut ms = 0;
        for (first, buy, maker, paid, price, steps, hours) in fills {
            ms += hours * HOUR / 4;
            let instrument = &pair[usize::from(first)];
            let (price, qty) = (Price::from_raw(price * 1_000_000), Qty::from_raw(steps * 1_000));
            let (side, role) = (if buy { Side::Buy } else { Side::Sell }, if maker { Role::Maker } else { Role::Taker });
            kept.fill(ms, instrument, side, (price, qty), role, [Paid::Base, Paid::Quote, Paid::Other][usize::from(paid)]);
            let fill = &kept.fills.last().unwrap().fill;
            let settled = Money::from_quote(price.notional(qty).unwrap().to_quote());
            let (sign, paid) = if buy { (qty, -settled) } else { (-qty, settled) };
            cash += paid;
            *held.entry(instrument.base).or_default() += sign;
            match fill.fee_asset.as_str() {
                "USDT" => cash += Money::from_quote(-fill.fee),
                _ => *held.entry(fill.fee_asset).or_default() -= fill.fee,
            }
        }
        let marks = BTreeMap::from([(pair[0].symbol, Price::from_raw(btc_mark * 1_000_000)), (pair[1].symbol, Price::from_raw(eth_mark * 1_000_000))]);
        let worth: Money = held.iter().map(|(base, qty)| {
            let symbol = pair.iter().find(|i| i.base == *base).unwrap().symbol;
            marks[&symbol].notional(*qty).unwrap()
        }).sum();
        let table = kept.table(0, &marks);
        let unrealised = table.unrealised.unwrap();
        prop_assert_eq!(table.net + unrealised, cash + worth);
        prop_assert_eq!(Some(table.net + unrealised), kept.ledger_net(&marks));
        let by_day: Money = table.days.iter().map(|d| d.net).sum();
        let by_symbol: Money = table.symbols.iter().map(|s| s.net).sum();
        let by_strategy: Money = table.strategies.iter().map(|s| s.net).sum();
        let worth_of = |base: Asset| marks[&pair.iter().find(|i| i.base == base).unwrap().symbol];
        let other: Money = table.other_fees.iter().map(|(paid, qty)| worth_of(*paid).notional(*qty).unwrap()).sum();
        prop_assert_eq!([by_day, by_symbol, by_strategy + other], [table.net; 3]);
        let fills: u64 = table.days.iter().map(|d| d.sums.maker_fills + d.sums.taker_fills).sum();
        prop_assert_eq!(fills, kept.fills.len() as u64);
        if let Some(last) = table.days.last() {
            prop_assert_eq!(last.equity, Money::from_quote("100000".parse().unwrap()) + table.net);
        }
    }
}

#[test]
fn coins_that_were_taken_out_are_neither_traded_nor_still_there() {
    let mut kept = Kept::opened("1000");
    let btc = Instrument { fees: crate::domain::FeeRates { maker: Bps::ZERO, taker: Bps::ZERO }, ..btcusdt() };
    kept.fill(HOUR, &btc, Side::Buy, ("100".parse().unwrap(), "1".parse().unwrap()), Role::Maker, Paid::Other);
    let (postings, value) = kept.ledger.withdraw(at(2 * HOUR), "1".parse().unwrap(), "110".parse().unwrap(), &btc);
    kept.postings.extend(postings);
    assert_eq!(value, "110".parse().unwrap());
    let books = Books { quote: asset("USDT"), fills: &kept.fills, postings: &kept.postings, costs: &kept.costs, strays: &kept.strays };
    let table = pnl_table(&books, Timestamp::EPOCH, &BTreeMap::new());
    assert_eq!((table.total.maker_fills, table.total.taker_fills, table.total.volume), (1, 0, "100".parse().unwrap()));
    assert_eq!(table.total.realised, "10".parse().unwrap());
    assert_eq!(table.transfers.last().map(|t| (t.asset, t.amount)), Some((asset("USDT"), "-110".parse().unwrap())));
    assert_eq!(table.equity.last().map(|(_, worth)| *worth), Some("900".parse().unwrap()), "what the ledger holds");
    assert_eq!(kept.ledger.capital(asset("USDT")), "890".parse().unwrap());
}
