//! The first stored form of an `Exchange`, from before conditional orders and lists; still read.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::exchange::{Counters, Exchange};
use super::{AccountId, ExchangeConfig, Execution, OrderView, Phase, Rules, SelfTradeMode, Terms};
use crate::domain::{
    Asset, Balance, Bps, Instrument, Money, OrderId, OrderKind, OrderStatus, Price, Qty, Role, Side, Symbol, Timestamp, TradeId,
};

/// Fields in the order in which they were written.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FirstForm {
    config: FirstConfig,
    accounts: Vec<(AccountId, Vec<Balance>)>,
    orders: Vec<FirstOrder>,
    trades: Vec<FirstTrade>,
    last_order: u64,
    last_trade: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct FirstConfig {
    instruments: Vec<Instrument>,
    impact: Bps,
    max_open_orders: usize,
    history: usize,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct FirstOrder {
    account: AccountId,
    order_id: OrderId,
    client_id: Arc<str>,
    symbol: Symbol,
    side: Side,
    qty: Qty,
    kind: OrderKind,
    status: OrderStatus,
    filled: Qty,
    filled_quote: Money,
    created_at: Timestamp,
    updated_at: Timestamp,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct FirstTrade {
    trade_id: TradeId,
    account: AccountId,
    order_id: OrderId,
    symbol: Symbol,
    side: Side,
    price: Price,
    qty: Qty,
    role: Role,
    fee: Qty,
    fee_asset: Asset,
    cumulative_qty: Qty,
    cumulative_quote: Money,
    at: Timestamp,
}

impl From<FirstForm> for Exchange {
    /// Every order of that time works, and none of them met its own account.
    fn from(first: FirstForm) -> Self {
        let FirstConfig { instruments, impact, max_open_orders, history } = first.config;
        let rules = Rules { max_orders: max_open_orders, ..Rules::default() };
        let mut exchange = Self::new(ExchangeConfig { instruments, impact, rules, history });
        let reports = (first.orders.len() * 2 + first.trades.len()) as u64;
        exchange.counters = Counters { order: first.last_order, trade: first.last_trade, report: reports, ..Counters::default() };
        exchange.trades = first.trades.into_iter().map(Execution::from).collect();
        for (id, balances) in first.accounts {
            exchange.restore_account(id, &balances);
        }
        first.orders.into_iter().for_each(|order| exchange.restore(order.into()));
        exchange
    }
}

impl From<FirstOrder> for OrderView {
    fn from(order: FirstOrder) -> Self {
        Self {
            account: order.account,
            order_id: order.order_id,
            list_id: None,
            client_id: order.client_id,
            symbol: order.symbol,
            side: order.side,
            qty: order.qty,
            kind: order.kind,
            status: order.status,
            phase: Phase::Working,
            expiry: None,
            self_trade: SelfTradeMode::ExpireTaker,
            terms: Terms::default(),
            filled: order.filled,
            filled_quote: order.filled_quote,
            prevented: Qty::ZERO,
            prevented_match: None,
            amends: 0,
            created_at: order.created_at,
            updated_at: order.updated_at,
            working_at: Some(order.created_at),
        }
    }
}

impl From<FirstTrade> for Execution {
    fn from(trade: FirstTrade) -> Self {
        Self {
            trade_id: trade.trade_id,
            account: trade.account,
            order_id: trade.order_id,
            list_id: None,
            symbol: trade.symbol,
            side: trade.side,
            price: trade.price,
            qty: trade.qty,
            role: trade.role,
            fee: trade.fee,
            fee_asset: trade.fee_asset,
            cumulative_qty: trade.cumulative_qty,
            cumulative_quote: trade.cumulative_quote,
            at: trade.at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::FeeRates;
    use crate::matching::OrderRef;

    #[test]
    fn an_exchange_of_the_first_form_goes_on() {
        let symbol: Symbol = "BTCUSDT".parse().unwrap();
        let (quote, price) = ("USDT".parse().unwrap(), "99".parse().unwrap());
        let instrument = Instrument {
            symbol,
            base: "BTC".parse().unwrap(),
            quote,
            trading: true,
            tick: "0.01".parse().unwrap(),
            step: "0.001".parse().unwrap(),
            min_qty: Qty::ZERO,
            max_qty: Qty::ZERO,
            min_notional: Money::ZERO,
            max_notional: Money::ZERO,
            fees: FeeRates { maker: Bps::from_bps(10), taker: Bps::from_bps(10) },
        };
        let order = FirstOrder {
            account: AccountId(1),
            order_id: OrderId(7),
            client_id: "old".into(),
            symbol,
            side: Side::Buy,
            qty: "1".parse().unwrap(),
            kind: OrderKind::LimitMaker { price },
            status: OrderStatus::Open,
            filled: Qty::ZERO,
            filled_quote: Money::ZERO,
            created_at: Timestamp::EPOCH,
            updated_at: Timestamp::EPOCH,
        };
        let balance = Balance { asset: quote, free: "1".parse().unwrap(), locked: "99".parse().unwrap() };
        let first = FirstForm {
            config: FirstConfig { instruments: vec![instrument], impact: Bps::from_bps(5), max_open_orders: 3, history: 10 },
            accounts: vec![(AccountId(1), vec![balance])],
            orders: vec![order],
            trades: vec![],
            last_order: 7,
            last_trade: 2,
        };
        let bytes = bincode::serde::encode_to_vec(&first, bincode::config::standard()).unwrap();
        let back: FirstForm = bincode::serde::decode_from_slice(&bytes, bincode::config::standard()).unwrap().0;
        let mut exchange = Exchange::from(back);
        assert_eq!(exchange.balances(AccountId(1)), [balance]);
        assert_eq!(exchange.rules(symbol).unwrap().max_orders, 3);
        let canceled = exchange.cancel(Timestamp::EPOCH, AccountId(1), symbol, OrderRef::Client("old"), &mut Vec::new()).unwrap();
        assert_eq!((canceled.order_id, exchange.balances(AccountId(1))[0].locked), (OrderId(7), Qty::ZERO));
    }
}
