//! The exchange as one value: rules, market, listeners and state. Owned by the floor's thread; nothing here waits.

use std::collections::BTreeSet;
use std::io;

use super::clock::Clock;
use super::fanout::Fanout;
use super::feeds::Feeds;
use super::limits::OrderCount;
use super::market::Market;
use super::state::{StatePersistence, StoredRef};
use super::wire::json;
use super::wire_list::ListStatusEvent;
use super::wire_user::{AccountPosition, ExecutionReport};
use crate::domain::{Asset, MarketUpdate, Symbol, Timestamp};
use crate::matching::{AccountId, Exchange, Report, ReportKind};

/// The one account.
pub(super) const ACCOUNT: AccountId = AccountId(1);

/// A report on its way to the user data stream.
struct Pending {
    report: Report,
    /// The client id of the cancel request that caused it.
    request_id: Option<String>,
}

pub(super) struct Hall {
    pub exchange: Exchange,
    pub market: Market,
    pub fanout: Fanout,
    pub orders: OrderCount,
    pub clock: Clock,
    pub symbols: Vec<Symbol>,
    /// The thread ends after the next save.
    pub closing: bool,
    feeds: Feeds,
    state: StatePersistence,
    seed: u64,
    origin: Timestamp,
    executions: u64,
    /// Something happened that the saved state does not have.
    changed: bool,
    pending: Vec<Pending>,
    updates: Vec<MarketUpdate>,
}

/// What a hall is made of.
pub(super) struct Parts {
    pub exchange: Exchange,
    pub market: Market,
    pub clock: Clock,
    pub state: StatePersistence,
    pub seed: u64,
    pub origin: Timestamp,
    pub executions: u64,
}

impl Hall {
    /// `opening`: what the market shows at the start.
    pub fn open(parts: Parts, opening: &[MarketUpdate]) -> Self {
        let symbols = parts.exchange.instruments().map(|instrument| instrument.symbol).collect();
        let mut hall = Self {
            exchange: parts.exchange,
            market: parts.market,
            fanout: Fanout::default(),
            orders: OrderCount::new(),
            clock: parts.clock,
            symbols,
            closing: false,
            feeds: Feeds::default(),
            state: parts.state,
            seed: parts.seed,
            origin: parts.origin,
            executions: parts.executions,
            changed: true,
            pending: Vec::new(),
            updates: Vec::new(),
        };
        let mut reports = Vec::new();
        opening.iter().for_each(|update| hall.exchange.on_market(update, &mut reports));
        hall.note(reports, None);
        hall
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Lets the market move up to now: resting orders fill, streams tell.
    pub fn pump(&mut self) {
        let mut updates = std::mem::take(&mut self.updates);
        self.market.advance(self.clock.steady(), &mut updates);
        let mut reports = Vec::new();
        for update in updates.drain(..) {
            self.exchange.on_market(&update, &mut reports);
            self.market.record(&update);
            self.feeds.on_update(&update, &self.market, &mut self.fanout);
        }
        self.updates = updates;
        self.feeds.on_time(&mut self.market, &mut self.fanout);
        self.note(reports, None);
    }

    /// Keeps reports for the user data stream until the state that they belong to is saved.
    pub fn note(&mut self, reports: Vec<Report>, request_id: Option<&str>) {
        for report in reports {
            if matches!(report.kind, ReportKind::Rejected(_)) {
                continue;
            }
            if let ReportKind::Fill(execution) = &report.kind
                && execution.cumulative_qty == execution.qty
            {
                self.orders.first_fill(execution.role, report.at);
            }
            self.executions += 1;
            self.changed = true;
            self.pending.push(Pending { report, request_id: request_id.map(str::to_owned) });
        }
    }

    /// Tells of a refusal, which changed nothing: the second half of a replacement whose first half was done.
    pub fn note_refusal(&mut self, reports: Vec<Report>) {
        let refused = reports.into_iter().filter(|report| matches!(report.kind, ReportKind::Rejected(_)));
        self.pending.extend(refused.map(|report| Pending { report, request_id: None }));
    }

    /// A number for things that need one of their own.
    pub const fn next_number(&self) -> u64 {
        self.executions + 1
    }

    /// Makes everything that happened durable, then tells the user data stream.
    ///
    /// # Errors
    /// When the state could not be saved: nothing is told, and the next call tries again.
    pub fn settle(&mut self) -> io::Result<()> {
        if self.changed && self.state.is_kept() {
            let stored = StoredRef { seed: self.seed, origin: self.origin, executions: self.executions, exchange: &self.exchange };
            self.state.save(&stored.encode()?)?;
        }
        self.changed = false;
        if self.pending.is_empty() {
            return Ok(());
        }
        let now = self.clock.now();
        let mut touched: BTreeSet<Asset> = BTreeSet::new();
        let mut last = Timestamp::EPOCH;
        for Pending { report, request_id } in std::mem::take(&mut self.pending) {
            if let ReportKind::List(news) = &report.kind {
                self.fanout.publish_user(&json(&ListStatusEvent::of(news, now)));
                continue;
            }
            if let Some(instrument) = self.exchange.instrument(report.symbol) {
                touched.extend([instrument.base, instrument.quote]);
            }
            last = last.max(report.at);
            self.fanout.publish_user(&json(&ExecutionReport::of(&report, request_id.as_deref(), now)));
        }
        let mut balances = self.exchange.balances(ACCOUNT);
        balances.retain(|balance| touched.contains(&balance.asset));
        self.fanout.publish_user(&json(&AccountPosition::of(&balances, last, now)));
        Ok(())
    }
}
