//! Double entry: every fill is a balanced set of postings, and everything owned or owed is a sum of postings.
//!
//! *Takes / gives*: fills and stated balances in; postings, balances and marked P&L out. Marks are arguments.
//!
//! Invariants
//! 1. Per asset, all postings sum to zero (`tests::debits_equal_credits`).
//! 2. A (symbol, trade id) is applied once (`tests::a_repeated_trade_changes_nothing`,
//!    `tests/it/engine/late_news.rs::a_fill_repeated_a_thousand_fills_later_changes_nothing`).
//! 3. Balances equal a dumb re-sum of the fills (`tests::balances_equal_a_re_sum_of_the_fills`).
//!
//! *Never*: floats, a price of its own.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::domain::{Asset, Instrument, Money, Price, Qty, Side, Symbol, Timestamp, TradeId};
use crate::protocol::{Account, PostingRecord, VenueFill};

/// Trade ids remembered per symbol for deduplication; the venue repeats only recent ones.
const TRADES_REMEMBERED: usize = 256;

/// The books of one account at one venue.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ledger {
    entries: u64,
    /// Sum of postings by account and asset, sorted for a stable order.
    #[serde(with = "as_pairs")]
    sums: BTreeMap<(Account, Asset), Qty>,
    #[serde(with = "as_pairs")]
    applied: BTreeMap<Symbol, BTreeSet<TradeId>>,
}

impl Ledger {
    /// Applies a fill. `None` when it was applied before; postings otherwise.
    pub fn apply_fill(&mut self, fill: &VenueFill, instrument: &Instrument) -> Option<Vec<PostingRecord>> {
        let seen = self.applied.entry(fill.symbol).or_default();
        if !seen.insert(fill.trade_id) {
            return None;
        }
        if seen.len() > TRADES_REMEMBERED {
            seen.pop_first();
        }
        let quote = fill.price.notional(fill.qty).unwrap_or(Money::ZERO).to_quote();
        let (base_in, quote_in) = match fill.side {
            Side::Buy => (fill.qty, -quote),
            Side::Sell => (-fill.qty, quote),
        };
        let trading = Account::Trading(fill.symbol);
        let lines = [
            (Account::Venue, instrument.base, base_in),
            (trading, instrument.base, -base_in),
            (Account::Venue, instrument.quote, quote_in),
            (trading, instrument.quote, -quote_in),
            (Account::Venue, fill.fee_asset, -fill.fee),
            (Account::Fees, fill.fee_asset, fill.fee),
        ];
        Some(self.post(fill.at, Some(fill.trade_id), &lines))
    }

    /// Whether a trade is older than everything that a full memory of its symbol holds (trade ids grow): it can not be told from one
    /// that was applied before.
    #[must_use]
    pub fn is_forgotten(&self, symbol: Symbol, trade_id: TradeId) -> bool {
        let seen = self.applied.get(&symbol).filter(|seen| seen.len() >= TRADES_REMEMBERED);
        seen.and_then(BTreeSet::first).is_some_and(|oldest| trade_id < *oldest)
    }

    /// Records money that came from outside (negative: that left).
    pub fn transfer(&mut self, at: Timestamp, asset: Asset, amount: Qty) -> Vec<PostingRecord> {
        self.post(at, None, &[(Account::Venue, asset, amount), (Account::Capital, asset, -amount)])
    }

    /// Records bought coins that were taken out: as a sale at `price` whose proceeds left. Gives the postings and the proceeds, in quote.
    pub fn withdraw(&mut self, at: Timestamp, qty: Qty, price: Price, instrument: &Instrument) -> (Vec<PostingRecord>, Qty) {
        let value = price.notional(qty).unwrap_or(Money::ZERO).to_quote();
        let trading = Account::Trading(instrument.symbol);
        let lines = [
            (Account::Venue, instrument.base, -qty),
            (trading, instrument.base, qty),
            (Account::Capital, instrument.quote, value),
            (trading, instrument.quote, -value),
        ];
        (self.post(at, None, &lines), value)
    }

    /// What the venue should hold for us of `asset`.
    #[must_use]
    pub fn venue_balance(&self, asset: Asset) -> Qty {
        self.sum(Account::Venue, asset)
    }

    /// What was brought in of `asset`, less what was taken out.
    #[must_use]
    pub fn capital(&self, asset: Asset) -> Qty {
        -self.sum(Account::Capital, asset)
    }

    #[must_use]
    pub fn sum(&self, account: Account, asset: Asset) -> Qty {
        self.sums.get(&(account, asset)).copied().unwrap_or(Qty::ZERO)
    }

    /// Assets the venue holds for us, with amounts, in name order.
    pub fn holdings(&self) -> impl Iterator<Item = (Asset, Qty)> + '_ {
        self.sums.iter().filter(|((account, _), qty)| *account == Account::Venue && !qty.is_zero()).map(|((_, asset), qty)| (*asset, *qty))
    }

    /// Everything held, marked in `quote`; `None` when `mark` has no price for something held.
    pub fn equity(&self, quote: Asset, mark: impl Fn(Asset) -> Option<Price>) -> Option<Money> {
        self.holdings().map(|(asset, qty)| value(asset, qty, quote, &mark)).sum()
    }

    /// Equity less capital: what trading has made since the books were opened; `None` when a mark is missing.
    pub fn net_pnl(&self, quote: Asset, mark: impl Fn(Asset) -> Option<Price>) -> Option<Money> {
        let counts = |account: &Account| matches!(account, Account::Venue | Account::Capital);
        let changed = self.sums.iter().filter(|((account, _), qty)| counts(account) && !qty.is_zero());
        changed.map(|((_, asset), qty)| value(*asset, *qty, quote, &mark)).sum()
    }

    /// The highest trade id that was applied, over all symbols; 0 before the first.
    #[must_use]
    pub fn last_trade(&self) -> TradeId {
        self.applied.values().filter_map(|seen| seen.last()).max().copied().unwrap_or_default()
    }

    /// The highest applied trade id of each market that was traded.
    #[must_use]
    pub fn last_trades(&self) -> Vec<(Symbol, TradeId)> {
        self.applied.iter().filter_map(|(symbol, seen)| Some((*symbol, *seen.last()?))).collect()
    }

    #[must_use]
    pub fn is_opened(&self) -> bool {
        self.entries > 0
    }

    /// What is left of a market's coins is given up: as if sold for nothing. `None` when the market was never traded. Gives the coin.
    pub fn write_off(&mut self, at: Timestamp, symbol: Symbol, quote: Asset, qty: Qty) -> Option<(Asset, Vec<PostingRecord>)> {
        let trading = Account::Trading(symbol);
        // The quote may have been another one when it was traded.
        let is_base = |asset: &Asset| *asset != quote && symbol.as_str().starts_with(asset.as_str());
        let asset = self.sums.keys().find(|(account, asset)| *account == trading && is_base(asset)).map(|(_, asset)| *asset)?;
        Some((asset, self.post(at, None, &[(Account::Venue, asset, -qty), (trading, asset, qty)])))
    }

    fn post(&mut self, at: Timestamp, trade_id: Option<TradeId>, lines: &[(Account, Asset, Qty)]) -> Vec<PostingRecord> {
        self.entries += 1;
        let entry = self.entries;
        let mut postings = Vec::with_capacity(lines.len());
        for &(account, asset, amount) in lines.iter().filter(|(_, _, amount)| !amount.is_zero()) {
            *self.sums.entry((account, asset)).or_default() += amount;
            postings.push(PostingRecord { entry, at, account, asset, amount, trade_id });
        }
        postings
    }
}

fn value(asset: Asset, qty: Qty, quote: Asset, mark: &impl Fn(Asset) -> Option<Price>) -> Option<Money> {
    if asset == quote { Some(Money::from_quote(qty)) } else { mark(asset)?.notional(qty) }
}

/// Maps with structured keys as lists of pairs, so that JSON can hold them.
mod as_pairs {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::collections::BTreeMap;

    pub fn serialize<K: Serialize, V: Serialize, S: Serializer>(map: &BTreeMap<K, V>, out: S) -> Result<S::Ok, S::Error> {
        out.collect_seq(map)
    }

    pub fn deserialize<'de, K, V, D>(input: D) -> Result<BTreeMap<K, V>, D::Error>
    where
        K: Deserialize<'de> + Ord,
        V: Deserialize<'de>,
        D: Deserializer<'de>,
    {
        Ok(Vec::<(K, V)>::deserialize(input)?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::samples::btcusdt as instrument;
    use crate::domain::{Bps, ClientOrderId, OrderId, Role};
    use proptest::prelude::*;

    fn fill(trade: u64, side: Side, price: i64, steps: i128, fee_in_base: bool) -> VenueFill {
        let qty = Qty::from_raw(steps * 1_000);
        let price = Price::from_raw(price * 1_000_000);
        let instrument = instrument();
        let rate = Bps::from_bps(10);
        let fee = if fee_in_base { qty.at_rate(rate) } else { price.notional(qty).unwrap().at_rate(rate).to_quote() };
        VenueFill {
            id: ClientOrderId::default(),
            order_id: OrderId(1),
            trade_id: TradeId(trade),
            symbol: instrument.symbol,
            side,
            price,
            qty,
            role: Role::Taker,
            fee,
            fee_asset: if fee_in_base { instrument.base } else { instrument.quote },
            at: Timestamp::EPOCH,
        }
    }

    #[test]
    fn a_round_trip_is_worth_what_the_account_gained() {
        let (mut ledger, btc) = (Ledger::default(), instrument());
        ledger.transfer(Timestamp::EPOCH, btc.quote, "1000".parse().unwrap());
        ledger.apply_fill(&fill(1, Side::Buy, 10_000, 100_000, true), &btc).unwrap();
        assert_eq!(ledger.venue_balance(btc.base).to_string(), "0.999");
        assert_eq!(ledger.venue_balance(btc.quote).to_string(), "900");
        let mark = |_| Some("110".parse().unwrap());
        assert_eq!(ledger.net_pnl(btc.quote, mark).unwrap().to_string(), "9.89");
        assert_eq!(ledger.net_pnl(btc.quote, |_| None), None, "a holding without a mark makes the result unknown");
        ledger.apply_fill(&fill(2, Side::Sell, 11_000, 99_900, false), &btc).unwrap();
        let flat = ledger.net_pnl(btc.quote, |_| None).unwrap();
        assert_eq!(flat.to_string(), "9.78011", "nothing held needs no mark");
    }

    #[test]
    fn a_repeated_trade_changes_nothing() {
        let (mut ledger, btc) = (Ledger::default(), instrument());
        let trade = fill(7, Side::Buy, 10_000, 5, true);
        assert!(ledger.apply_fill(&trade, &btc).is_some());
        let before = ledger.clone();
        assert!(ledger.apply_fill(&trade, &btc).is_none());
        assert_eq!(ledger, before);
    }

    #[test]
    fn what_is_given_up_counts_for_nothing() {
        let (mut ledger, btc) = (Ledger::default(), instrument());
        ledger.transfer(Timestamp::EPOCH, btc.quote, "1000".parse().unwrap());
        ledger.apply_fill(&fill(1, Side::Buy, 10_000, 100_000, true), &btc).unwrap();
        assert_eq!(ledger.write_off(Timestamp::EPOCH, "ETHUSDT".parse().unwrap(), btc.quote, Qty::from_raw(1)), None, "never traded");
        let held = ledger.venue_balance(btc.base);
        let (asset, postings) = ledger.write_off(Timestamp::EPOCH, btc.symbol, btc.quote, held).unwrap();
        assert_eq!((asset, postings.len()), (btc.base, 2));
        assert!(postings.iter().map(|p| p.amount).sum::<Qty>().is_zero());
        assert!(ledger.venue_balance(btc.base).is_zero());
        assert_eq!(ledger.net_pnl(btc.quote, |_| None).unwrap().to_string(), "-100", "no price is needed any more");
    }

    #[test]
    fn a_full_memory_knows_what_is_too_old_for_it() {
        let (mut ledger, btc) = (Ledger::default(), instrument());
        let apply = |ledger: &mut Ledger, trade: u64| ledger.apply_fill(&fill(trade, Side::Buy, 10_000, 5, true), &btc).unwrap();
        let size = TRADES_REMEMBERED as u64;
        (10..9 + size).for_each(|trade| drop(apply(&mut ledger, trade)));
        assert!(!ledger.is_forgotten(btc.symbol, TradeId(9)), "nothing was forgotten yet");
        (9 + size..20 + size).for_each(|trade| drop(apply(&mut ledger, trade)));
        let forgotten = |trade| ledger.is_forgotten(btc.symbol, TradeId(trade));
        assert_eq!([10, 19, 20, 19 + size, 20 + size].map(forgotten), [true, true, false, false, false]);
        assert!(!ledger.is_forgotten("ETHUSDT".parse().unwrap(), TradeId(1)), "each market counts its own trades");
    }

    #[test]
    fn the_books_survive_json() {
        let (mut ledger, btc) = (Ledger::default(), instrument());
        ledger.transfer(Timestamp::EPOCH, btc.quote, "1000".parse().unwrap());
        ledger.apply_fill(&fill(1, Side::Buy, 10_000, 5, true), &btc);
        let text = serde_json::to_string(&ledger).unwrap();
        assert_eq!(serde_json::from_str::<Ledger>(&text).unwrap(), ledger);
    }

    proptest! {
        #[test]
        fn debits_equal_credits(fills in prop::collection::vec((0_u64..40, any::<bool>(), 1_i64..100_000, 1_i128..1_000_000, any::<bool>()), 0..60)) {
            let (mut ledger, btc) = (Ledger::default(), instrument());
            let mut per_asset: BTreeMap<Asset, Qty> = BTreeMap::new();
            for (trade, buy, price, steps, in_base) in fills {
                let side = if buy { Side::Buy } else { Side::Sell };
                for posting in ledger.apply_fill(&fill(trade, side, price, steps, in_base), &btc).unwrap_or_default() {
                    *per_asset.entry(posting.asset).or_default() += posting.amount;
                }
                prop_assert!(per_asset.values().all(|sum| sum.is_zero()));
            }
        }

        #[test]
        fn balances_equal_a_re_sum_of_the_fills(fills in prop::collection::vec((any::<bool>(), 1_i64..100_000, 1_i128..1_000_000, any::<bool>()), 0..60)) {
            let (mut ledger, btc) = (Ledger::default(), instrument());
            let (mut base, mut quote) = (0_i128, 0_i128);
            for (number, (buy, price, steps, in_base)) in fills.into_iter().enumerate() {
                let side = if buy { Side::Buy } else { Side::Sell };
                let f = fill(number as u64, side, price, steps, in_base);
                ledger.apply_fill(&f, &btc).unwrap();
                let paid = i128::from(f.price.raw()) * f.qty.raw() / 100_000_000;
                let sign = if buy { 1 } else { -1 };
                base += sign * f.qty.raw() - if in_base { f.fee.raw() } else { 0 };
                quote -= sign * paid + if in_base { 0 } else { f.fee.raw() };
            }
            prop_assert_eq!(ledger.venue_balance(btc.base).raw(), base);
            prop_assert_eq!(ledger.venue_balance(btc.quote).raw(), quote);
        }
    }
}
