//! Lowering an order's quantity in place. Source: Binance, order amend keep priority FAQ.

use std::sync::Arc;

use super::exchange::Exchange;
use super::list::ListChange;
use super::rules::check_lot;
use super::{AccountId, Amendment, OrderRef, Phase, Reject, Report, ReportKind};
use crate::domain::{OrderId, Qty, Symbol, Timestamp};

impl Exchange {
    /// Lowers an open order's quantity to `qty`; its place in the queue stays. Of an OCO pair both are lowered. Without `client_id` the
    /// order gets a new one made from its id.
    ///
    /// # Errors
    /// The first rule that the request breaks; the order is unchanged then.
    #[allow(clippy::too_many_arguments, reason = "an order is named by account, symbol and reference, as everywhere here")]
    pub fn amend(
        &mut self,
        now: Timestamp,
        account: AccountId,
        symbol: Symbol,
        order: OrderRef<'_>,
        qty: Qty,
        client_id: Option<&str>,
        reports: &mut Vec<Report>,
    ) -> Result<Amendment, Reject> {
        let id = self.check_amend(account, symbol, order, qty, client_id)?;
        let twin = self.orders.get(id).and_then(|record| record.twin);
        let amendment = self.lower(now, id, qty, client_id).ok_or(Reject::AmendUnknown)?;
        let renamed = amendment.client_id != amendment.old_client_id;
        self.amendments.entry(id).or_default().push(amendment.clone());
        self.tell_amended(now, &amendment, reports);
        if let Some(twin) = twin
            && let Some(other) = self.orders.view(twin).filter(|order| !order.status.is_final())
        {
            let same = Arc::clone(&other.client_id);
            if let Some(amendment) = self.lower(now, twin, qty, Some(&*same)) {
                self.tell_amended(now, &amendment, reports);
                self.amendments.entry(twin).or_default().push(amendment);
            }
        }
        if let Some(list_id) = self.orders.view(id).and_then(|order| order.list_id).filter(|_| renamed) {
            if let Some(list) = self.lists.all.get_mut(&list_id) {
                list.legs.iter_mut().filter(|leg| leg.0 == id).for_each(|leg| leg.1 = Arc::clone(&amendment.client_id));
                list.updated_at = now;
            }
            self.tell_list(now, list_id, ListChange::Renamed, reports);
        }
        Ok(amendment)
    }

    fn check_amend(
        &self,
        account: AccountId,
        symbol: Symbol,
        order: OrderRef<'_>,
        qty: Qty,
        client_id: Option<&str>,
    ) -> Result<OrderId, Reject> {
        let place = self.place_of(symbol).ok_or(Reject::UnknownSymbol)?;
        let market = &self.markets[place];
        let order = self.order(account, symbol, order).filter(|order| !order.status.is_final()).ok_or(Reject::AmendUnknown)?;
        if !market.status().takes_cancels() {
            return Err(Reject::AmendClosed);
        }
        check_lot(&market.instrument, qty)?;
        if qty > order.qty {
            return Err(Reject::AmendIncrease);
        }
        if qty == order.qty {
            return Err(Reject::AmendSame);
        }
        if qty <= order.filled {
            return Err(Reject::AmendFilled);
        }
        if let Some(price) = order.kind.price() {
            market.rules.check_notional(&market.instrument, order.kind, price, qty)?;
        }
        if order.amends >= market.rules.max_amends {
            return Err(Reject::TooManyAmends);
        }
        let taken = |id: &str| *order.client_id != *id && self.accounts.get(&account).is_some_and(|c| c.open_as(place, id).is_some());
        if client_id.is_some_and(taken) {
            return Err(Reject::DuplicateClientId);
        }
        Ok(order.order_id)
    }

    fn lower(&mut self, now: Timestamp, id: OrderId, qty: Qty, client_id: Option<&str>) -> Option<Amendment> {
        let record = self.orders.get(id)?;
        let (place, account, order) = (record.market, record.view.account, &record.view);
        let name: Arc<str> = client_id.map_or_else(|| format!("auto-{}-{}", id.0, order.amends + 1).into(), Arc::from);
        let amendment = Amendment {
            order_id: id,
            number: self.counters.report + 1,
            old_client_id: Arc::clone(&order.client_id),
            client_id: Arc::clone(&name),
            old_qty: order.qty,
            qty,
            at: now,
        };
        if let (Phase::Working, Some(price)) = (order.phase, order.kind.price()) {
            self.markets[place].queue.reduce(order.side, price, id, order.qty - qty);
        }
        if let (Some(customer), Some(record)) = (self.accounts.get_mut(&account), self.orders.get(id)) {
            customer.closed(place, &record.view);
        }
        self.relock(id, |order| {
            order.qty = qty;
            order.client_id = name;
            order.amends += 1;
            order.updated_at = now;
        });
        if let (Some(customer), Some(record)) = (self.accounts.get_mut(&account), self.orders.get(id)) {
            customer.opened(place, &record.view);
        }
        Some(amendment)
    }

    fn tell_amended(&mut self, now: Timestamp, amendment: &Amendment, reports: &mut Vec<Report>) {
        let old_client_id = Arc::clone(&amendment.old_client_id);
        self.tell(now, amendment.order_id, ReportKind::Amended { old_client_id }, reports);
    }
}
