//! The account's own currency: takes the rate, shows the figures in it.

use super::Engine;
use crate::domain::Money;
use crate::engine::PnlReport;
use crate::protocol::{AccountView, FxMark};

impl Engine {
    /// A rate of another pair, or one that is no rate, changes nothing.
    pub(super) fn on_fx(&mut self, mark: &FxMark) {
        let wanted = self.settings.account.as_ref().is_some_and(|account| account.pair == mark.pair);
        if wanted && self.fx.take(mark.clone()) {
            self.dirty = true;
        }
    }

    pub(super) fn account_view(&self, pnl: &PnlReport) -> Option<AccountView> {
        let account = self.settings.account.as_ref()?;
        let rate = self.fx.fresh(account, self.now).map(|mark| mark.rate);
        let shown = |amount: Option<Money>| account.convert(amount?, rate?);
        let known = |amount: Option<Money>| amount.filter(|_| self.ledger.is_opened());
        let mark = self.fx.newest(account.pair);
        Some(AccountView {
            currency: account.currency,
            mark: mark.cloned(),
            age: mark.map(|mark| self.now.since(mark.at)),
            equity: shown(known(pnl.equity)),
            day_pnl: shown(self.breakers.day_pnl()),
            net_pnl: shown(known(pnl.net_pnl)),
            fees: shown(Some(self.fees)),
        })
    }
}
