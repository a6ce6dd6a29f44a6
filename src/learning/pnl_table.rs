//! What was made, by day, market and strategy: stored postings, fills and trades folded into tables, exact to the last unit.
//!
//! A position is carried at average cost. A commission in the base asset is booked as sold at its fill's price and paid as a fee. What
//! was realised, less fees, plus what is unrealised at the marks is the ledger's own net result. Fees that were paid in another asset than
//! base and quote have no value on record: nets by day and market are before them, `unrealised` and what is unassigned after, at the marks.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::{Asset, Money, Price, Qty, Role, Span, Symbol, Timestamp, TradeId};
use crate::protocol::{Account, CostRecord, FillRecord, PostingRecord};

const DAY: Span = Span::from_secs(86_400);
/// Points of the equity line at most.
const LINE_POINTS: usize = 500;

/// The records of one account, in any order.
#[derive(Debug, Clone, Copy)]
pub struct Books<'a> {
    pub quote: Asset,
    pub fills: &'a [FillRecord],
    pub postings: &'a [PostingRecord],
    pub costs: &'a [CostRecord],
    /// Closed trades that no decision opened, by market and exit.
    pub strays: &'a BTreeSet<(Symbol, Timestamp)>,
}

/// What opened a trade.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// The boosted trees, which alone may open.
    Trees,
    /// The demo's allowance to act without a proven edge.
    Exploration,
    /// A fill that no decision asked for, managed to its end.
    Stray,
    /// Open positions, dust and orders that came to nothing: what belongs to no closed trade.
    Unassigned,
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Trees => "trees",
            Self::Exploration => "exploration",
            Self::Stray => "stray",
            Self::Unassigned => "unassigned",
        })
    }
}

/// Fills added up. Fees are negative where they were rebates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Sums {
    pub maker_fills: u64,
    pub taker_fills: u64,
    /// Notional of all fills.
    pub volume: Money,
    /// Proceeds less average cost, before fees.
    pub realised: Money,
    pub maker_fees: Money,
    pub taker_fees: Money,
}

impl Sums {
    #[must_use]
    pub fn fees(&self) -> Money {
        self.maker_fees + self.taker_fees
    }

    /// Realised less fees.
    #[must_use]
    pub fn net(&self) -> Money {
        self.realised - self.fees()
    }

    fn add(&mut self, fill: &Booked, realised: Money) {
        match fill.role {
            Some(Role::Maker) => (self.maker_fills, self.maker_fees) = (self.maker_fills + 1, self.maker_fees + fill.fee),
            Some(Role::Taker) => (self.taker_fills, self.taker_fees) = (self.taker_fills + 1, self.taker_fees + fill.fee),
            None => {}
        }
        self.volume += fill.volume;
        self.realised += realised;
    }
}

/// Closed trades added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TradeSums {
    pub trades: u64,
    pub won: u64,
    /// At arrival mids.
    pub trades_gross: Money,
    pub trades_fees: Money,
    pub trades_net: Money,
}

impl TradeSums {
    fn add(&mut self, cost: &CostRecord) {
        self.trades += 1;
        self.won += u64::from(cost.net.is_positive());
        self.trades_gross += cost.gross;
        self.trades_fees += cost.fees;
        self.trades_net += cost.net;
    }

    /// Share of trades that won, 0 to 1.
    #[must_use]
    pub fn win_rate(&self) -> Option<f64> {
        (self.trades > 0).then(|| self.won as f64 / self.trades as f64)
    }

    #[must_use]
    pub fn mean_net(&self) -> Option<Money> {
        (self.trades > 0).then(|| Money::from_raw(self.trades_net.raw() / i128::from(self.trades)))
    }
}

/// One UTC day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayRow {
    /// Its midnight.
    pub day: Timestamp,
    #[serde(flatten)]
    pub sums: Sums,
    pub net: Money,
    #[serde(flatten)]
    pub trades: TradeSums,
    /// Money moved in (negative: out) that day.
    pub transfers: Money,
    /// At the day's end, open positions at cost.
    pub equity: Money,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SymbolRow {
    pub symbol: Symbol,
    #[serde(flatten)]
    pub sums: Sums,
    pub net: Money,
    #[serde(flatten)]
    pub trades: TradeSums,
    pub held: Qty,
    /// `None` while nothing is held.
    pub average_cost: Option<Price>,
    /// `None` when something is held and has no mark.
    pub unrealised: Option<Money>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StrategyRow {
    pub strategy: Strategy,
    #[serde(flatten)]
    pub trades: TradeSums,
    /// Of its closed trades, all their fees taken off; of what is unassigned, the rest of the account's net result.
    pub net: Money,
}

/// Money that moved from or to outside: no part of any result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    pub at: Timestamp,
    pub asset: Asset,
    /// Negative: it left.
    pub amount: Qty,
    /// The balance that the books were opened with.
    pub opening: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PnlTable {
    /// Oldest first, days without an entry left out.
    pub days: Vec<DayRow>,
    pub symbols: Vec<SymbolRow>,
    /// Nothing is unassigned while fees in other assets have no mark: how much is not known.
    pub strategies: Vec<StrategyRow>,
    /// Oldest first.
    pub transfers: Vec<Transfer>,
    /// Capital plus net result with open positions at cost, oldest first.
    pub equity: Vec<(Timestamp, Money)>,
    pub total: Sums,
    /// `total` realised less fees.
    pub net: Money,
    /// Of everything held now; `None` when something has no mark.
    pub unrealised: Option<Money>,
    /// Fees that were paid in assets other than base and quote: not in `net`, valued at the marks in `unrealised`.
    pub other_fees: Vec<(Asset, Qty)>,
    /// The same since the beginning of the books: what `equity` leaves out.
    pub all_other_fees: Vec<(Asset, Qty)>,
}

/// A fill as the ledger booked it.
struct Booked {
    at: Timestamp,
    symbol: Symbol,
    /// `None`: coins that were taken out or written off, which is no trade.
    role: Option<Role>,
    volume: Money,
    /// What the position changes by, and what that cost (negative: brought).
    change: Qty,
    value: Money,
    /// Commission in quote money, of those in base and quote.
    fee: Money,
    other_fee: Option<(Asset, Qty)>,
}

/// A position at average cost; both are negative for a short one.
#[derive(Debug, Clone, Copy, Default)]
struct Position {
    qty: Qty,
    cost: Money,
}

impl Position {
    /// Changes the position; gives what that realised. Whatever a share rounds off stays in the cost of the rest.
    fn change(&mut self, qty: Qty, value: Money) -> Money {
        let same_side = self.qty.is_zero() || self.qty.is_positive() == qty.is_positive();
        if same_side || qty.is_zero() {
            (self.qty, self.cost) = (self.qty + qty, self.cost + value);
            return Money::ZERO;
        }
        let closing = if qty.abs() > self.qty.abs() { -self.qty } else { qty };
        let (closed_value, closed_cost) = (value.share(closing, qty), self.cost.share(-closing, self.qty));
        self.qty += qty;
        self.cost = self.cost - closed_cost + (value - closed_value);
        -closed_value - closed_cost
    }

    fn average(&self) -> Option<Price> {
        let raw = self.cost.raw().checked_div(self.qty.raw())?;
        i64::try_from(raw).ok().map(Price::from_raw)
    }
}

/// Folds the records into tables. Rows count what happened at `since` or later; positions, and so average costs, come from everything.
/// `marks` by market; a holding without one makes its result unknown.
#[must_use]
pub fn pnl_table(books: &Books, since: Timestamp, marks: &BTreeMap<Symbol, Price>) -> PnlTable {
    let mut folding = Folding { since, ..Folding::default() };
    for entry in &entries(books) {
        match entry {
            Entry::Fill(fill) => folding.fill(fill),
            Entry::Transfer(transfer) => folding.transfer(*transfer, books.quote),
        }
    }
    for cost in books.costs.iter().filter(|cost| cost.exit_time >= since) {
        folding.day(cost.exit_time).trades.add(cost);
        folding.symbols.entry(cost.symbol).or_default().2.add(cost);
        let strategy = strategy(cost, books.strays);
        folding.strategies.entry(strategy).or_default().add(cost);
    }
    folding.into_table(books, marks)
}

/// What opened a closed trade.
#[must_use]
pub fn strategy(cost: &CostRecord, strays: &BTreeSet<(Symbol, Timestamp)>) -> Strategy {
    match (cost.exploration, strays.contains(&(cost.symbol, cost.exit_time))) {
        (true, _) => Strategy::Exploration,
        (_, true) => Strategy::Stray,
        _ => Strategy::Trees,
    }
}

#[derive(Default)]
struct Folding {
    since: Timestamp,
    days: BTreeMap<i64, DayRow>,
    symbols: BTreeMap<Symbol, (Position, Sums, TradeSums)>,
    strategies: BTreeMap<Strategy, TradeSums>,
    transfers: Vec<Transfer>,
    other_fees: BTreeMap<Asset, Qty>,
    all_other_fees: BTreeMap<Asset, Qty>,
    equity: Vec<(Timestamp, Money)>,
    total: Sums,
    /// Capital plus everything realised.
    worth: Money,
    /// The same before the first row.
    before: Money,
    opened: BTreeSet<Asset>,
}

impl Folding {
    fn day(&mut self, at: Timestamp) -> &mut DayRow {
        let midnight = Timestamp::EPOCH + DAY.times(at.day());
        let (sums, trades) = (Sums::default(), TradeSums::default());
        // Without an entry the day ends as the one before it did.
        let equity = self.days.range(..at.day()).next_back().map_or(self.before, |(_, row)| row.equity);
        let (net, transfers) = (Money::ZERO, Money::ZERO);
        self.days.entry(at.day()).or_insert(DayRow { day: midnight, sums, net, trades, transfers, equity })
    }

    fn fill(&mut self, fill: &Booked) {
        let (position, sums, _) = self.symbols.entry(fill.symbol).or_default();
        let realised = position.change(fill.change, fill.value);
        self.worth += realised - fill.fee;
        if let Some((asset, qty)) = fill.other_fee {
            *self.all_other_fees.entry(asset).or_default() += qty;
        }
        if fill.at < self.since {
            self.before = self.worth;
            return;
        }
        if let Some((asset, qty)) = fill.other_fee {
            *self.other_fees.entry(asset).or_default() += qty;
        }
        sums.add(fill, realised);
        self.total.add(fill, realised);
        let worth = self.worth;
        let day = self.day(fill.at);
        day.sums.add(fill, realised);
        (day.net, day.equity) = (day.sums.net(), worth);
        self.equity.push((fill.at, worth));
    }

    fn transfer(&mut self, mut transfer: Transfer, quote: Asset) {
        transfer.opening = self.opened.insert(transfer.asset);
        let amount = if transfer.asset == quote { Money::from_quote(transfer.amount) } else { Money::ZERO };
        self.worth += amount;
        if transfer.at < self.since {
            self.before = self.worth;
            return;
        }
        self.transfers.push(transfer);
        let worth = self.worth;
        let day = self.day(transfer.at);
        (day.transfers, day.equity) = (day.transfers + amount, worth);
        self.equity.push((transfer.at, worth));
    }

    fn into_table(self, books: &Books, marks: &BTreeMap<Symbol, Price>) -> PnlTable {
        let symbols: Vec<SymbolRow> = self
            .symbols
            .into_iter()
            .map(|(symbol, (position, sums, trades))| {
                let worth = match position.qty.is_zero() {
                    true => Some(Money::ZERO),
                    false => marks.get(&symbol).and_then(|mark| mark.notional(position.qty)),
                };
                let unrealised = worth.map(|worth| worth - position.cost);
                SymbolRow { symbol, sums, net: sums.net(), trades, held: position.qty, average_cost: position.average(), unrealised }
            })
            .collect();
        let bases = bases(books);
        let other_fees: Vec<(Asset, Qty)> = self.other_fees.into_iter().collect();
        // An asset that was only ever paid as a fee has its market by name.
        let market = |asset: &Asset| bases.get(asset).copied().or_else(|| format!("{asset}{}", books.quote).parse().ok());
        let other: Option<Money> = other_fees.iter().map(|(asset, qty)| marks.get(&market(asset)?)?.notional(*qty)).sum();
        let unrealised: Option<Money> = symbols.iter().map(|row| row.unrealised).sum();
        let assigned: Money = self.strategies.values().map(|sums| sums.trades_net).sum();
        let mut strategies: Vec<StrategyRow> =
            self.strategies.into_iter().map(|(strategy, trades)| StrategyRow { strategy, net: trades.trades_net, trades }).collect();
        // Trades have paid those fees: without them the rest would show as a gain what they cost.
        if let Some(rest) = other.map(|other| self.total.net() - other - assigned).filter(|rest| !rest.is_zero()) {
            strategies.push(StrategyRow { strategy: Strategy::Unassigned, trades: TradeSums::default(), net: rest });
        }
        PnlTable {
            days: self.days.into_values().collect(),
            symbols,
            strategies,
            transfers: self.transfers,
            equity: thinned(self.equity),
            net: self.total.net(),
            total: self.total,
            unrealised: unrealised.zip(other).map(|(held, fees)| held - fees),
            other_fees,
            all_other_fees: self.all_other_fees.into_iter().collect(),
        }
    }
}

/// Every n-th point and the last.
fn thinned(points: Vec<(Timestamp, Money)>) -> Vec<(Timestamp, Money)> {
    let step = points.len().div_ceil(LINE_POINTS).max(1);
    let last = points.len().saturating_sub(1);
    points.into_iter().enumerate().filter(|(at, _)| at % step == 0 || *at == last).map(|(_, point)| point).collect()
}

enum Entry {
    Fill(Booked),
    Transfer(Transfer),
}

/// Which market prices an asset: from the postings of trades in it.
fn bases(books: &Books) -> BTreeMap<Asset, Symbol> {
    let traded = |line: &PostingRecord| match line.account {
        Account::Trading(symbol) if line.asset != books.quote => Some((line.asset, symbol)),
        _ => None,
    };
    books.postings.iter().filter_map(traded).collect()
}

/// The ledger's entries in the order of their time.
fn entries(books: &Books) -> Vec<Entry> {
    let fills: BTreeMap<(Symbol, TradeId), &FillRecord> = books.fills.iter().map(|f| ((f.fill.symbol, f.fill.trade_id), f)).collect();
    let mut found: Vec<(Timestamp, u64, Entry)> = Vec::new();
    for lines in books.postings.chunk_by(|a, b| a.entry == b.entry) {
        let (at, entry) = (lines[0].at, lines[0].entry);
        if let Some(symbol) = lines.iter().find_map(|line| if let Account::Trading(symbol) = line.account { Some(symbol) } else { None }) {
            found.push((at, entry, Entry::Fill(booked(lines, symbol, books.quote, &fills))));
        }
        let moved = lines.iter().filter(|line| line.account == Account::Capital);
        let moved = moved.map(|line| Transfer { at, asset: line.asset, amount: -line.amount, opening: false });
        found.extend(moved.map(|transfer| (at, entry, Entry::Transfer(transfer))));
    }
    found.sort_by_key(|(at, entry, _)| (*at, *entry));
    found.into_iter().map(|(_, _, entry)| entry).collect()
}

fn booked(lines: &[PostingRecord], symbol: Symbol, quote: Asset, fills: &BTreeMap<(Symbol, TradeId), &FillRecord>) -> Booked {
    let trading = |is_quote: bool| -> Qty {
        let of = |line: &&PostingRecord| line.account == Account::Trading(symbol) && (line.asset == quote) == is_quote;
        -lines.iter().filter(of).map(|line| line.amount).sum::<Qty>()
    };
    let (base_in, quote_in) = (trading(false), Money::from_quote(trading(true)));
    let no_trade = lines[0].trade_id.is_none();
    let base = lines.iter().find(|l| l.account == Account::Trading(symbol) && l.asset != quote).map(|l| l.asset);
    let fill = lines[0].trade_id.and_then(|id| fills.get(&(symbol, id)));
    let price = fill.map_or_else(|| price_of(quote_in, base_in), |fill| fill.fill.price);
    let mut booked = Booked {
        at: lines[0].at,
        symbol,
        role: (!no_trade).then(|| fill.map_or(Role::Taker, |fill| fill.fill.role)),
        volume: if no_trade { Money::ZERO } else { quote_in.abs() },
        change: base_in,
        value: -quote_in,
        fee: Money::ZERO,
        other_fee: None,
    };
    for fee in lines.iter().filter(|line| line.account == Account::Fees) {
        if fee.asset == quote {
            booked.fee += Money::from_quote(fee.amount);
        } else if Some(fee.asset) == base {
            let worth = price.notional(fee.amount).unwrap_or(Money::ZERO);
            booked.change -= fee.amount;
            booked.value -= worth;
            booked.fee += worth;
        } else {
            booked.other_fee = Some((fee.asset, fee.amount));
        }
    }
    booked
}

fn price_of(quote: Money, base: Qty) -> Price {
    let raw = quote.raw().checked_div(base.raw()).map_or(0, i128::abs);
    Price::from_raw(i64::try_from(raw).unwrap_or(0))
}

#[cfg(test)]
mod tests;
