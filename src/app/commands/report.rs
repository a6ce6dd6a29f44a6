//! `huracan report`: what was made, by day, market and strategy, from the records of the data file.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::data_file;
use super::moment::moment;
use crate::app::Context;
use crate::app::clock;
use crate::app::failure::Outcome;
use crate::app::output::table;
use crate::domain::{Asset, ExitReason, Money, Price, Qty, Symbol, Timestamp};
use crate::engine::Snapshot;
use crate::learning::order_costs::{CostSummary, summary};
use crate::learning::{Books, DayRow, PnlTable, Strategy, StrategyRow, Sums, SymbolRow, TradeSums, Transfer, pnl_table, strategy};
use crate::protocol::{Account, AccountView, CostRecord, FxMark, Mode};
use crate::store::Store;
use crate::trading::currency::{AccountCurrency, FxMarks};

/// Decisions that are looked through for the newest mid of each market.
const DECISIONS: usize = 10_000;
/// Rows of transfers in the text for people; the JSON lists all.
const SHOWN_TRANSFERS: usize = 10;

#[derive(Debug, Serialize)]
struct Answer {
    since: Timestamp,
    accounts: Vec<AccountReport>,
}

/// Everything about one (mode, venue, account).
#[derive(Debug, Serialize)]
struct AccountReport {
    mode: Mode,
    venue: String,
    account: String,
    quote: Asset,
    /// The currency of the `_account` amounts, and its newest rate.
    currency: Option<Asset>,
    fx: Option<FxMark>,
    fx_age_ms: Option<i64>,
    days: Vec<Day>,
    symbols: Vec<SymbolLine>,
    strategies: Vec<StrategyRow>,
    transfers: Vec<Transfer>,
    equity: Vec<(Timestamp, Money)>,
    #[serde(flatten)]
    total: Sums,
    fees: Money,
    net: Money,
    net_account: Option<Money>,
    unrealised: Option<Money>,
    unrealised_account: Option<Money>,
    /// `net` and `unrealised` together: since the beginning, the ledger's own result.
    net_marked: Option<Money>,
    other_fees: Vec<(Asset, Qty)>,
    /// The same since the beginning: what `equity` leaves out.
    all_other_fees: Vec<(Asset, Qty)>,
    trades: Vec<TradeLine>,
    /// What orders cost against the mid, and what maker logic saved.
    order_costs: CostSummary,
}

#[derive(Debug, Serialize)]
struct Day {
    #[serde(flatten)]
    row: DayRow,
    fees: Money,
    fee_bps: Option<f64>,
    win_rate: Option<f64>,
    mean_net: Option<Money>,
    /// At the day's own last rate.
    net_account: Option<Money>,
}

#[derive(Debug, Serialize)]
struct SymbolLine {
    #[serde(flatten)]
    row: SymbolRow,
    fees: Money,
    mark: Option<Price>,
    mark_time: Option<Timestamp>,
    mark_age_ms: Option<i64>,
}

#[derive(Debug, Serialize)]
struct TradeLine {
    symbol: Symbol,
    strategy: Strategy,
    entry_time: Timestamp,
    exit_time: Timestamp,
    qty: Qty,
    entry_price: Price,
    exit_price: Price,
    gross: Money,
    fees: Money,
    net: Money,
    exit: ExitReason,
}

pub fn report(context: &Context, since: Option<&str>) -> Outcome {
    let now = clock::now();
    let since = since.map_or(Ok(Timestamp::EPOCH), |text| moment(text, now))?;
    let store = data_file::reading(context)?;
    let currency = context.config.account.currency();
    let mut accounts = Vec::new();
    for scope in store.scopes()? {
        accounts.extend(account(&store.seen_by(scope), since, now, currency.as_ref())?);
    }
    let answer = Answer { since, accounts };
    context.out.answer(&answer, || text(&answer))
}

/// `None` for an account whose books were never opened.
fn account(store: &Store, since: Timestamp, now: Timestamp, currency: Option<&AccountCurrency>) -> Outcome<Option<AccountReport>> {
    let (fills, postings, costs) = (store.fills()?, store.postings()?, store.costs(Timestamp::EPOCH)?);
    // The books are opened with the quote currency.
    let capital = postings.iter().filter(|line| line.account == Account::Capital).min_by_key(|line| (line.at, line.entry));
    let Some(quote) = capital.map(|line| line.asset) else { return Ok(None) };
    let strays = strays(store, &costs)?;
    let marks = marks(store)?;
    let books = Books { quote, fills: &fills, postings: &postings, costs: &costs, strays: &strays };
    let prices = marks.iter().map(|(symbol, (_, price))| (*symbol, *price)).collect();
    let table = pnl_table(&books, since, &prices);
    let state = store.carry()?.and_then(|carry| serde_json::from_str::<Snapshot>(&carry.state).ok());
    let rates = Rates { marks: state.map(|state| state.fx).unwrap_or_default(), currency, now };
    let trades = costs.iter().filter(|cost| cost.exit_time >= since).map(|cost| trade(cost, &strays)).collect();
    let ends = Ends { marks, trades, order_costs: summary(&store.order_costs(since)?) };
    let scope = store.scope();
    Ok(Some(assembled((scope.mode, scope.venue.clone(), scope.account.clone()), quote, table, &rates, ends)))
}

/// Trades that a stray fill opened remember no situation.
fn strays(store: &Store, costs: &[CostRecord]) -> Outcome<BTreeSet<(Symbol, Timestamp)>> {
    if costs.is_empty() {
        return Ok(BTreeSet::new());
    }
    let blank = store.episodes(..)?.into_iter().filter(|episode| episode.vector.is_empty());
    Ok(blank.map(|episode| (episode.symbol, episode.known_at)).collect())
}

/// The newest mid of each market that a decision saw.
fn marks(store: &Store) -> Outcome<BTreeMap<Symbol, (Timestamp, Price)>> {
    let mut marks = BTreeMap::new();
    for decision in store.decisions(DECISIONS)? {
        marks.entry(decision.symbol).or_insert((decision.at, decision.evidence.mid));
    }
    Ok(marks)
}

fn trade(cost: &CostRecord, strays: &BTreeSet<(Symbol, Timestamp)>) -> TradeLine {
    TradeLine {
        symbol: cost.symbol,
        strategy: strategy(cost, strays),
        entry_time: cost.entry_time,
        exit_time: cost.exit_time,
        qty: cost.qty,
        entry_price: cost.entry_price,
        exit_price: cost.exit_price,
        gross: cost.gross,
        fees: cost.fees,
        net: cost.net,
        exit: cost.exit,
    }
}

/// The way into the account's own currency.
struct Rates<'a> {
    marks: FxMarks,
    currency: Option<&'a AccountCurrency>,
    now: Timestamp,
}

impl Rates<'_> {
    fn newest(&self) -> Option<&FxMark> {
        self.marks.newest(self.currency?.pair)
    }

    /// An amount of today; unknown without a rate that is young enough.
    fn today(&self, amount: Money) -> Option<Money> {
        let currency = self.currency?;
        currency.convert(amount, self.marks.fresh(currency, self.now)?.rate)
    }

    /// An amount of a past day by that day's last rate; of today by a fresh one.
    fn of(&self, day: i64, amount: Money) -> Option<Money> {
        if day == self.now.day() {
            return self.today(amount);
        }
        let currency = self.currency?;
        currency.convert(amount, self.marks.of_day(currency.pair, day)?.rate)
    }
}

/// What goes into the report beside the tables.
struct Ends {
    marks: BTreeMap<Symbol, (Timestamp, Price)>,
    trades: Vec<TradeLine>,
    order_costs: CostSummary,
}

fn assembled((mode, venue, account): (Mode, String, String), quote: Asset, table: PnlTable, rates: &Rates, ends: Ends) -> AccountReport {
    let days: Vec<Day> = table.days.into_iter().map(|row| day(row, rates)).collect();
    let symbols = table.symbols.into_iter().map(|row| {
        let mark = ends.marks.get(&row.symbol);
        let (mark, mark_time) = (mark.map(|(_, price)| *price), mark.map(|(at, _)| *at));
        let mark_age_ms = mark_time.map(|at| rates.now.since(at).millis());
        SymbolLine { fees: row.sums.fees(), mark, mark_time, mark_age_ms, row }
    });
    AccountReport {
        mode,
        venue,
        account,
        quote,
        currency: rates.currency.map(|currency| currency.currency),
        fx: rates.newest().cloned(),
        fx_age_ms: rates.newest().map(|mark| rates.now.since(mark.at).millis()),
        // Each day counts at its own rate; one unknown day makes the sum unknown.
        net_account: rates.currency.and_then(|_| days.iter().map(|day| day.net_account).sum()),
        days,
        symbols: symbols.collect(),
        order_costs: ends.order_costs,
        strategies: table.strategies,
        transfers: table.transfers,
        equity: table.equity,
        fees: table.total.fees(),
        total: table.total,
        net: table.net,
        unrealised: table.unrealised,
        unrealised_account: table.unrealised.and_then(|amount| rates.today(amount)),
        net_marked: table.unrealised.map(|unrealised| table.net + unrealised),
        other_fees: table.other_fees,
        all_other_fees: table.all_other_fees,
        trades: ends.trades,
    }
}

fn day(row: DayRow, rates: &Rates) -> Day {
    let (fees, volume) = (row.sums.fees(), row.sums.volume.to_f64());
    Day {
        fees,
        fee_bps: (volume > 0.0).then(|| fees.to_f64() / volume * 1e4),
        win_rate: row.trades.win_rate(),
        mean_net: row.trades.mean_net(),
        net_account: rates.of(row.day.day(), row.net),
        row,
    }
}

fn text(answer: &Answer) -> String {
    if answer.accounts.is_empty() {
        return "no books were opened in this file yet: nothing was traded".to_owned();
    }
    answer.accounts.iter().map(account_text).collect::<Vec<_>>().join("\n\n")
}

fn account_text(report: &AccountReport) -> String {
    let mut parts = vec![format!("{} on {} ({}), in {}", report.mode, report.venue, report.account, report.quote)];
    if let Some(currency) = report.currency {
        parts.push(match (&report.fx, report.fx_age_ms) {
            (Some(fx), Some(age)) => format!("{currency} by {} {} of {}, {} s old", fx.pair, fx.rate, fx.source, age / 1_000),
            _ => format!("{currency}: no rate is known"),
        });
    }
    parts.push(days_text(report));
    parts.push(symbols_text(report));
    if !report.strategies.is_empty() {
        let mut rows = vec![header(&["strategy", "trades", "won", "gross", "fees", "net"])];
        rows.extend(report.strategies.iter().map(|s| {
            let (sums, name) = (&s.trades, s.strategy.to_string());
            let mut row = vec![name, sums.trades.to_string(), rate(sums.win_rate())];
            row.extend([money(sums.trades_gross), money(sums.trades_fees), money(s.net)]);
            row
        }));
        parts.push(table(&rows));
    }
    if !report.transfers.is_empty() {
        let mut rows = vec![header(&["moved", "asset", "amount", ""])];
        let skip = report.transfers.len().saturating_sub(SHOWN_TRANSFERS);
        rows.extend(report.transfers.iter().skip(skip).map(|moved| {
            let what = match (moved.opening, moved.amount.is_positive()) {
                (true, _) => "opening balance",
                (_, true) => "deposit",
                _ => "withdrawal",
            };
            vec![moved.at.to_string(), moved.asset.to_string(), moved.amount.to_string(), what.to_owned()]
        }));
        parts.push(table(&rows));
    }
    let named = |fees: &[(Asset, Qty)]| fees.iter().map(|(asset, qty)| format!("{qty} {asset}")).collect::<Vec<_>>().join(", ");
    if !report.other_fees.is_empty() {
        parts.push(format!("fees in other assets, not in the nets by day and market: {}", named(&report.other_fees)));
    }
    if !report.all_other_fees.is_empty() {
        parts.push(format!("equity is before all fees in other assets since the beginning: {}", named(&report.all_other_fees)));
    }
    if report.order_costs.parents > 0 {
        parts.push("orders".to_owned());
        parts.extend(report.order_costs.lines().into_iter().map(|line| format!("  {line}")));
    }
    parts.join("\n")
}

fn days_text(report: &AccountReport) -> String {
    let account = report.currency.map_or_else(String::new, |currency| format!("net {currency}"));
    let mut rows = vec![header(&[
        "day",
        "trades",
        "win rate",
        "mean net",
        "maker fees",
        "taker fees",
        "fee bps",
        &net_name(report),
        "equity",
        &account,
    ])];
    rows.extend(report.days.iter().map(|day| {
        let mut row = vec![date(day.row.day), day.row.trades.trades.to_string(), rate(day.win_rate), known(day.mean_net)];
        row.extend([money(day.row.sums.maker_fees), money(day.row.sums.taker_fees)]);
        row.push(day.fee_bps.map_or_else(|| "-".to_owned(), |bps| format!("{bps:.2}")));
        row.extend([money(day.row.net), money(day.row.equity)]);
        row.extend(report.currency.map(|_| unknown(day.net_account)));
        row
    }));
    let trades = report.days.iter().fold(TradeSums::default(), |sum, day| TradeSums {
        trades: sum.trades + day.row.trades.trades,
        won: sum.won + day.row.trades.won,
        trades_gross: sum.trades_gross + day.row.trades.trades_gross,
        trades_fees: sum.trades_fees + day.row.trades.trades_fees,
        trades_net: sum.trades_net + day.row.trades.trades_net,
    });
    let mut total = vec!["total".to_owned(), trades.trades.to_string(), rate(trades.win_rate()), known(trades.mean_net())];
    total.extend([money(report.total.maker_fees), money(report.total.taker_fees)]);
    let volume = report.total.volume.to_f64();
    total.push(if volume > 0.0 { format!("{:.2}", report.fees.to_f64() / volume * 1e4) } else { "-".to_owned() });
    total.extend([money(report.net), String::new()]);
    total.extend(report.currency.map(|_| unknown(report.net_account)));
    rows.push(total);
    table(&rows)
}

fn symbols_text(report: &AccountReport) -> String {
    if report.symbols.is_empty() {
        return "nothing was filled".to_owned();
    }
    let mut rows = vec![header(&[
        "market",
        "fills",
        "maker",
        "realised",
        "fees",
        &net_name(report),
        "held",
        "average cost",
        "mark",
        "of",
        "unrealised",
    ])];
    rows.extend(report.symbols.iter().map(|line| {
        let sums = &line.row.sums;
        let fills = sums.maker_fills + sums.taker_fills;
        let maker = if fills == 0 { "-".to_owned() } else { format!("{:.0} %", sums.maker_fills as f64 / fills as f64 * 100.0) };
        let held = !line.row.held.is_zero();
        let price = |price: Option<Price>| price.filter(|_| held).map_or_else(|| "-".to_owned(), |price| price.to_string());
        let mut row = vec![line.row.symbol.to_string(), fills.to_string(), maker];
        row.extend([money(sums.realised), money(line.fees), money(line.row.net), line.row.held.to_string()]);
        row.extend([price(line.row.average_cost), price(line.mark)]);
        row.push(line.mark_age_ms.filter(|_| held).map_or_else(|| "-".to_owned(), age_text));
        row.push(unknown(line.row.unrealised));
        row
    }));
    table(&rows)
}

/// What the nets by day and market are called: fees in other assets are not in them.
fn net_name(report: &AccountReport) -> String {
    let paid: Vec<String> = report.other_fees.iter().map(|(asset, _)| asset.to_string()).collect();
    if paid.is_empty() { "net".to_owned() } else { format!("net before {} fees", paid.join(", ")) }
}

/// How long ago, in the largest unit that says something.
fn age_text(age_ms: i64) -> String {
    match age_ms / 1_000 {
        seconds @ ..120 => format!("{seconds} s ago"),
        seconds @ ..7_200 => format!("{} min ago", seconds / 60),
        seconds @ ..172_800 => format!("{} h ago", seconds / 3_600),
        seconds => format!("{} days ago", seconds / 86_400),
    }
}

/// The account in its own currency in one line, for `status`.
pub fn account_line(account: &AccountView) -> String {
    let amount = |amount: Option<Money>| amount.map_or_else(|| "unknown".to_owned(), |amount| format!("{amount:.2}"));
    let rate = match (&account.mark, account.age) {
        (Some(mark), Some(age)) => format!("{} {} of {}, {} s old", mark.pair, mark.rate, mark.source, age.millis() / 1_000),
        _ => "no rate is known".to_owned(),
    };
    let (equity, net, today) = (amount(account.equity), amount(account.net_pnl), amount(account.day_pnl));
    format!("in {}: equity {equity}, net {net}, today {today} ({rate})", account.currency)
}

fn header(names: &[&str]) -> Vec<String> {
    names.iter().filter(|name| !name.is_empty()).map(|name| (*name).to_owned()).collect()
}

fn money(amount: Money) -> String {
    format!("{amount:.4}")
}

fn known(amount: Option<Money>) -> String {
    amount.map_or_else(|| "-".to_owned(), money)
}

fn unknown(amount: Option<Money>) -> String {
    amount.map_or_else(|| "unknown".to_owned(), money)
}

fn rate(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{:.0} %", share * 100.0))
}

fn date(day: Timestamp) -> String {
    day.to_string().chars().take(10).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Span;

    const DAY_MS: i64 = 86_400_000;

    fn pounds() -> AccountCurrency {
        AccountCurrency { currency: "GBP".parse().unwrap(), pair: "GBPUSDT".parse().unwrap(), invert: false, max_age_ms: 60_000 }
    }

    fn rates(marks: &[(i64, &str)], now_ms: i64, currency: &AccountCurrency) -> (Option<Money>, Option<Money>) {
        let mut kept = FxMarks::default();
        for (ms, rate) in marks {
            let (pair, at) = (currency.pair, Timestamp::from_millis(*ms));
            kept.take(FxMark { pair, rate: rate.parse().unwrap(), source: "x".into(), at });
        }
        let rates = Rates { marks: kept, currency: Some(currency), now: Timestamp::from_millis(now_ms) };
        let amount = "125".parse().unwrap();
        (rates.of(0, amount), rates.of(1, amount))
    }

    #[test]
    fn each_day_counts_at_its_own_rate_and_today_at_a_fresh_one() {
        let gbp = pounds();
        let yes = |text: &str| text.parse().ok();
        assert_eq!(rates(&[(5, "1.25"), (DAY_MS + 5, "1")], DAY_MS + 60_005, &gbp), (yes("100"), yes("125")));
        assert_eq!(rates(&[(5, "1.25"), (DAY_MS + 5, "1")], DAY_MS + 60_006, &gbp), (yes("100"), None), "too old for today");
        assert_eq!(rates(&[(DAY_MS + 5, "1")], DAY_MS + 5, &gbp), (None, yes("125")), "nothing is known of yesterday");
        assert_eq!(rates(&[], DAY_MS, &gbp), (None, None), "never one to one");
    }

    #[test]
    fn dates_are_utc_days_and_money_is_aligned() {
        assert_eq!(date(Timestamp::EPOCH + Span::from_secs(86_400)), "1970-01-02");
        assert_eq!((money("1.23456".parse().unwrap()), unknown(None)), ("1.2345".to_owned(), "unknown".to_owned()));
    }
}
