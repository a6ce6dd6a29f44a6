//! How far each limit is used: the measures that enforcement acts on and people see.

use super::Engine;
use super::desk::Desk;
use crate::domain::{Bps, Money, Price, Side, Span, Symbol};
use crate::protocol::{LimitName, LimitValue, Refusal, VenueEvent, VenueRefusal};
use crate::trading::execution::Purpose;
use crate::trading::risk::{Correlation, MIN_BARS, PortfolioRisk, limit_of};

const MINUTE: Span = Span::from_secs(60);

/// Markets and what each holds, in money.
pub(super) type Held = Vec<(Symbol, Money)>;

impl Engine {
    /// Holdings at their marks, with what open buys may add; `None` while a mark is missing.
    pub(super) fn committed(&self) -> Option<Held> {
        let mut held = self.holdings()?;
        for order in self.orders.live().filter(|order| order.new.side == Side::Buy) {
            let value = order.new.kind.price()?.notional(order.remaining())?;
            match held.iter_mut().find(|(symbol, _)| *symbol == order.new.symbol) {
                Some((_, sum)) => *sum += value,
                None => held.push((order.new.symbol, value)),
            }
        }
        Some(held)
    }

    /// Holdings at their marks, in the order of the names; `None` while a mark is missing.
    pub(super) fn holdings(&self) -> Option<Held> {
        let holding = self.desks.iter().map(|(symbol, desk)| (*symbol, desk, desk.held())).filter(|(_, _, qty)| !qty.is_zero());
        holding.map(|(symbol, desk, qty)| Some((symbol, desk.mark()?.notional(qty)?))).collect()
    }

    /// What is held in the markets that move with `symbol`, itself included.
    pub(super) fn cluster_value(&self, symbol: Symbol, held: &Held) -> Money {
        let cluster = self.cluster_of(symbol, held);
        held.iter().filter(|(market, _)| cluster.contains(market)).map(|(_, value)| *value).sum()
    }

    /// The held markets that move with `symbol`, itself included.
    pub(super) fn cluster_of(&self, symbol: Symbol, held: &Held) -> Vec<Symbol> {
        let markets: Vec<Symbol> = held.iter().map(|(market, _)| *market).collect();
        let threshold = f64::from(self.settings.limits.cluster_correlation_percent) / 100.0;
        self.guard.correlation.cluster(symbol, &markets, threshold)
    }

    pub(super) fn portfolio_risk(&self, symbol: Symbol, held: &Held) -> Option<PortfolioRisk> {
        self.guard.correlation.portfolio(&weights(held), symbol, self.settings.time_scale.bar)
    }

    /// The quote coin's distance from its peg, never negative; `None` without fresh data of its market.
    pub(super) fn depeg(&self) -> Option<Bps> {
        let limits = &self.settings.limits;
        let market = &self.desks.get(&limits.stablecoin_symbol?)?.market;
        let fresh = market.feed_age(self.now)? <= Span::from_millis(i64::from(limits.max_data_age_ms));
        let off = market.mid().filter(|_| fresh)?.distance_bps(Price::from_raw(100_000_000));
        Some(off.max(-off))
    }

    /// How much of a limit of size these holdings use; `None` for another limit, or when something is unknown.
    pub(super) fn size_of(&self, name: LimitName, held: &Held) -> Option<LimitValue> {
        let sum = || held.iter().map(|(_, value)| *value).sum::<Money>();
        let of_equity = |value: Money| {
            let equity = self.capital_at_work().filter(|equity| equity.is_positive())?;
            Some(LimitValue::Bps(value.ratio_bps(equity)))
        };
        match name {
            LimitName::MaxPositionNotional => {
                Some(LimitValue::Money(held.iter().map(|(_, value)| value.abs()).max().unwrap_or(Money::ZERO)))
            }
            LimitName::MaxExposure => Some(LimitValue::Money(held.iter().map(|(_, value)| value.abs()).sum())),
            LimitName::MaxNetExposure => Some(LimitValue::Money(sum().abs())),
            LimitName::MaxClusterExposureBps => {
                of_equity(held.iter().map(|(symbol, _)| self.cluster_value(*symbol, held)).max().unwrap_or(Money::ZERO))
            }
            LimitName::MaxPortfolioVolatilityBps => {
                let equity = self.capital_at_work().filter(|equity| equity.is_positive())?;
                let moves = self.guard.correlation.daily_volatility(&weights(held), self.settings.time_scale.bar)?;
                Some(LimitValue::Bps(Bps::from_f64(moves / equity.to_f64() * 1e4)))
            }
            LimitName::MaxHeatBps => {
                let heat = |(symbol, _): &(Symbol, Money)| self.heat_of(*symbol);
                of_equity(held.iter().map(heat).sum::<Option<Money>>()?)
            }
            _ => None,
        }
    }

    /// The measure of one market; `None` for a limit that has none there, or when it is unknown.
    pub(super) fn market_usage(&self, name: LimitName, desk: &Desk) -> Option<LimitValue> {
        match name {
            LimitName::MaxPositionNotional => {
                let held = desk.held();
                if held.is_zero() {
                    return Some(LimitValue::Money(Money::ZERO));
                }
                Some(LimitValue::Money(desk.mark()?.notional(held)?.abs()))
            }
            LimitName::MaxSpreadBps => desk.touch().map(|touch| LimitValue::Bps(touch.ask.distance_bps(touch.bid))),
            LimitName::MaxDataAgeMs => desk.market.feed_age(self.now).map(millis),
            LimitName::MaxQuoteBookGapBps => desk.market.quote_gap().map(LimitValue::Bps),
            LimitName::MaxVolatilityPercent => desk.market.volatility_percent().map(LimitValue::Percent),
            LimitName::MaxTradeLoss => {
                let trade = desk.trade.as_ref().filter(|trade| trade.held().is_positive())?;
                let pnl = trade.pnl_at(desk.executable(trade.held())?)?;
                Some(LimitValue::Money((-pnl).max(Money::ZERO)))
            }
            _ => None,
        }
    }

    /// The present measure of a limit: the worst of the traded markets where it is theirs.
    pub(super) fn usage(&self, name: LimitName) -> Option<LimitValue> {
        match name {
            LimitName::MaxOrderNotional => {
                let entries = self.orders.live().filter(|order| order.purpose == Purpose::Entry);
                let notional = entries.filter_map(|order| order.new.kind.price()?.notional(order.new.qty));
                Some(LimitValue::Money(notional.max().unwrap_or(Money::ZERO)))
            }
            LimitName::MinCashReserveBps => {
                let equity = self.capital_at_work().filter(|equity| equity.is_positive())?;
                Some(LimitValue::Bps(self.cash()?.ratio_bps(equity)))
            }
            LimitName::MaxOpenOrders => {
                Some(LimitValue::Count(self.orders.live().filter(|order| order.purpose == Purpose::Entry).count() as u32))
            }
            LimitName::MaxOrdersPerMinute => {
                Some(LimitValue::Count(self.openings.iter().filter(|at| self.now.since(**at) < MINUTE).count() as u32))
            }
            LimitName::MaxDepegBps => self.depeg().map(LimitValue::Bps),
            LimitName::MaxClockDriftMs => self.health.clock_drift().map(|drift| millis(drift.abs())),
            LimitName::MaxHourlyLoss => self.breakers.hourly_loss().map(LimitValue::Money),
            LimitName::MaxDailyLoss => self.breakers.daily_loss().map(LimitValue::Money),
            LimitName::MaxDrawdownBps => self.breakers.drawdown().map(LimitValue::Bps),
            LimitName::MaxLosingStreak => Some(LimitValue::Count(self.losing_streak())),
            LimitName::MaxVenueErrorsPerMinute => Some(LimitValue::Count(self.breakers.venue_errors(self.now))),
            LimitName::MaxUnprotected => Some(LimitValue::MoneySeconds(self.breakers.unprotected().0)),
            LimitName::PriceCollarBps | LimitName::CoolDownMs => None,
            LimitName::MaxSpreadBps
            | LimitName::MaxDataAgeMs
            | LimitName::MaxQuoteBookGapBps
            | LimitName::MaxVolatilityPercent
            | LimitName::MaxTradeLoss => self.worst_market(name),
            _ => self.size_of(name, &self.committed()?),
        }
    }

    fn worst_market(&self, name: LimitName) -> Option<LimitValue> {
        let traded = self.settings.symbols.iter().filter_map(|symbol| self.desks.get(symbol));
        let measures = traded.filter_map(|desk| self.market_usage(name, desk));
        measures.max_by(|a, b| a.to_f64().total_cmp(&b.to_f64()))
    }

    /// Losing trades in a row, none once their pause is over.
    fn losing_streak(&self) -> u32 {
        let pause = Span::from_millis(i64::from(self.settings.limits.streak_pause_ms));
        match self.breakers.losing_streak() {
            (streak, Some(last)) if self.now.since(last) < pause => streak,
            _ => 0,
        }
    }

    /// What risk said no to is remembered under its limit.
    pub(super) fn note_refusal(&mut self, refusal: &Refusal) {
        if let Some(name) = limit_of(refusal) {
            self.guard.watches.refuse(name, self.now);
        }
    }

    /// Refusals but those of post-only orders, and failures on the way (unknown outcomes among them), count against the venue, once a request.
    pub(super) fn note_venue_error(&mut self, news: &VenueEvent) {
        use crate::protocol::FailureKind::{Network, RateLimit, Server};
        use VenueRefusal::{DuplicateId, NotAttempted, WouldTake};
        // A list is one request, told for each of its orders.
        let counts = match news {
            VenueEvent::Refused { id, reason, .. } => {
                !matches!(reason, WouldTake | DuplicateId | NotAttempted) && !self.orders.is_follower(*id)
            }
            // What was on the way is told as a failure of its own.
            VenueEvent::Unknown { .. } => false,
            VenueEvent::Failure { kind, .. } => matches!(kind, Network | RateLimit | Server),
            _ => false,
        };
        if counts {
            self.breakers.on_venue_error(self.now);
        }
    }

    /// History came: how markets move together is learned from what is known of all of them, unless something newer is known.
    pub(super) fn learn_correlation(&mut self) {
        let mut closes: Vec<_> = self
            .desks
            .iter()
            .flat_map(|(symbol, desk)| desk.market.candles().iter().map(|candle| (candle.open_time, *symbol, candle.close)))
            .collect();
        closes.sort_unstable_by_key(|(time, symbol, _)| (*time, *symbol));
        let mut learned = Correlation::default();
        for (time, symbol, close) in closes {
            learned.on_close(symbol, self.settings.time_scale.bar, time, close);
        }
        let known = &self.guard.correlation;
        if learned.newest() >= known.newest() && (learned.bars() >= MIN_BARS || known.bars() < MIN_BARS) {
            self.guard.correlation = learned;
        }
    }
}

fn weights(held: &Held) -> Vec<(Symbol, f64)> {
    held.iter().map(|(symbol, value)| (*symbol, value.to_f64())).collect()
}

fn millis(span: Span) -> LimitValue {
    LimitValue::Millis(u32::try_from(span.millis().max(0)).unwrap_or(u32::MAX))
}
