//! A bar closed: gather the evidence, decide, ask risk, and record all of it.

use super::{Engine, desk::Desk};
use crate::domain::{Bps, Candle, Money, Origin, Qty, Side, Span, Symbol};
use crate::market::features::WARM_UP;
use crate::memory::{Summary, situation};
use crate::protocol::{DecisionRecord, DecisionView, Effect, EvidenceRecord, Mode, NeighbourRecord, Record, Refusal, Verdict};
use crate::trading::decision::{Choice, Decision, Evidence, Standing, decide};
use crate::trading::execution::{Decided, Phase, Plan, Purpose, Trade};
use crate::trading::risk::{Prospect, Situation};

const MINUTE: Span = Span::from_secs(60);
/// Decisions kept for the screen.
const SHOWN: usize = 50;

impl Engine {
    pub(super) fn on_bar(&mut self, symbol: Symbol, candle: &Candle, out: &mut Vec<Effect>) {
        self.counters.candles += 1;
        self.guard.correlation.on_close(symbol, self.settings.time_scale.bar, candle.open_time, candle.close);
        if self.opened.is_none() || !self.settings.symbols.contains(&symbol) {
            return;
        }
        self.quote_bar(symbol);
        let evidence = match self.evidence(symbol) {
            Ok(evidence) => evidence,
            Err(refusal) => {
                self.counters.refusals += 1;
                self.note_missing(symbol, refusal);
                return;
            }
        };
        let standing = self.standing(symbol);
        let decision = decide(&evidence, standing, &self.settings.decision, self.settings.exploration.as_ref());
        self.counters.decisions += 1;
        self.next_decision += 1;
        let number = self.next_decision;
        let verdict = self.carry_out(symbol, number, &evidence, &decision, out);
        self.record_decision(symbol, number, verdict, decision, evidence, out);
    }

    /// Everything a decision stands on; a missing piece is a refusal.
    fn evidence(&self, symbol: Symbol) -> Result<Evidence, Refusal> {
        let desk = self.desks.get(&symbol).ok_or(Refusal::NoInstrument)?;
        let have = desk.market.candles().len().min(WARM_UP) as u32;
        let features = desk.market.features().ok_or(Refusal::WarmingUp { have, need: WARM_UP as u32 })?;
        let touch = desk.touch().ok_or(if desk.market.book().is_fed() { Refusal::BookInvalid } else { Refusal::NoPrice })?;
        let raw = &features.values;
        let vector = situation(raw);
        let recalled = self.memory.recall(&vector, self.now, self.settings.decision.recall_neighbours as usize, |_| true);
        let summary = Summary::of(&recalled);
        let forecast = self.models.forecast(raw);
        let sigma = self.settings.time_scale.horizon_sigma(desk.market.volatility_bps().unwrap_or(0.0));
        Ok(Evidence {
            mid: touch.mid(),
            spread: touch.ask.distance_bps(touch.bid),
            regime: desk.market.regime(),
            forecast_net_bps: forecast.map(|f| f.net_bps),
            threshold_bps: forecast.map_or(0.0, |f| f.threshold_bps),
            win_probability: forecast.and_then(|f| f.win_probability),
            cost_bps: forecast.map_or(0.0, |f| f.cost_bps),
            model_may_trade: forecast.is_some_and(|f| f.may_trade),
            policy_enter: self.models.policy_enter(raw, sigma),
            recall_net_bps: summary.as_ref().map(|s| s.net_bps),
            recall_weight: summary.as_ref().map_or(0.0, |s| s.effective_n),
            neighbours: recalled
                .iter()
                .map(|n| NeighbourRecord { episode: n.number, similarity: n.similarity, net_bps: n.net_bps })
                .collect(),
            vector,
        })
    }

    fn standing(&self, symbol: Symbol) -> Standing {
        match self.desks.get(&symbol).and_then(|d| d.trade.as_ref()).map(|t| t.phase) {
            // Dust on its way out: its fill must not meet a new trade.
            None if self.orders.live_of(symbol).next().is_some() => Standing::Busy,
            None => Standing::Flat,
            Some(Phase::Holding) => Standing::Long,
            Some(_) => Standing::Busy,
        }
    }

    fn carry_out(&mut self, symbol: Symbol, number: u64, evidence: &Evidence, decision: &Decision, out: &mut Vec<Effect>) -> Verdict {
        match decision.choice {
            Choice::Hold => Verdict::Hold,
            Choice::StandAside => Verdict::StandAside,
            Choice::Exit(reason) => {
                if let Some(trade) = self.desks.get_mut(&symbol).and_then(|d| d.trade.as_mut()) {
                    trade.request_exit(reason);
                }
                Verdict::Exit(reason)
            }
            Choice::Enter { exploration } => match self.enter(symbol, number, evidence, exploration, out) {
                Ok(()) => Verdict::Enter,
                Err(refusal) => {
                    self.counters.refusals += 1;
                    Verdict::Refused(refusal)
                }
            },
        }
    }

    /// Sizes the position, opens the trade, and sends its first order if risk agrees.
    fn enter(&mut self, symbol: Symbol, number: u64, evidence: &Evidence, exploration: bool, out: &mut Vec<Effect>) -> Result<(), Refusal> {
        let equity = self.breakers.equity().ok_or(Refusal::EquityUnknown)?;
        let cap = self.rung_cap(symbol)?;
        let equity = cap.map_or(equity, |(_, cap)| cap.basis(equity));
        let notional = self.position_size(symbol, equity, evidence, exploration)?;
        let notional = self.on_rung(cap, notional)?;
        let desk = self.desks.get(&symbol).ok_or(Refusal::NoInstrument)?;
        let instrument = desk.instrument.as_ref().ok_or(Refusal::NoInstrument)?;
        let touch = desk.touch().ok_or(Refusal::NoPrice)?;
        let sigma = desk.market.volatility_bps().ok_or(Refusal::WarmingUp { have: 0, need: WARM_UP as u32 })?;
        let qty = instrument.tradable(notional.buys_at(touch.bid), touch.bid);
        if !qty.is_positive() {
            return Err(Refusal::BelowMinimum { notional, limit: instrument.min_notional });
        }
        let (target, stop) = self.settings.time_scale.bracket(sigma);
        // A bracket of less than a tick is no bracket.
        let tick = Bps::from_f64(2e4 * instrument.tick.to_f64() / touch.bid.to_f64());
        let net_bps = evidence.forecast_net_bps.unwrap_or(0.0);
        let gross_bps = evidence.forecast_net_bps.map_or(0.0, |net| net + evidence.cost_bps);
        let plan = Plan {
            qty,
            target: target.max(tick),
            stop: stop.max(tick),
            hold: self.settings.time_scale.hold(),
            exploration,
            gross_bps,
            net_bps,
        };
        let children = self.settings.maker.children(qty, self.visible_depth(symbol, Side::Buy), instrument.step);
        if self.only_tests() {
            return self.test_order(symbol, plan, touch, out);
        }
        let decided = Decided { number, at: self.now, touch, regime: evidence.regime, vector: evidence.vector.clone() };
        let mut trade = Trade::new(symbol, decided, plan, &self.settings.execution);
        trade.spread(children);
        if let Some(desk) = self.desks.get_mut(&symbol) {
            desk.trade = Some(trade);
        }
        self.dirty = true;
        match self.work(symbol, out) {
            Some(refusal) => Err(refusal),
            None => Ok(()),
        }
    }

    /// The notional of a new position: a share of the equity within what sizing allows; an exploring one is small already.
    fn position_size(&self, symbol: Symbol, equity: Money, evidence: &Evidence, exploration: bool) -> Result<Money, Refusal> {
        let percent = |p: f64| equity.at_rate(Bps::from_f64(p * 100.0));
        if let (Some(allowance), true) = (&self.settings.exploration, exploration) {
            // The allowance is for all symbols together.
            return Ok(percent(allowance.equity_percent / self.settings.symbols.len().max(1) as f64));
        }
        let limits = &self.settings.limits;
        let desk = self.desks.get(&symbol);
        // An order of just the largest size by the bid would be refused when it takes.
        let touch = desk.and_then(|desk| desk.touch()).ok_or(Refusal::NoPrice)?;
        let dearer = touch.ask.shifted(self.settings.execution.taker_collar_bps).distance_bps(touch.bid);
        let largest = limits.max_order_notional - limits.max_order_notional.at_rate(dearer);
        let wanted = percent(self.settings.decision.position_percent).min(largest);
        let scale = &self.settings.time_scale;
        let bar_sigma = desk.and_then(|desk| desk.market.volatility_bps());
        let (target, stop) = scale.bracket(bar_sigma.unwrap_or(0.0));
        let prospect = Prospect {
            equity,
            wanted,
            daily_volatility_bps: bar_sigma.map(|sigma| sigma * (86_400.0 / scale.bar.secs() as f64).sqrt()),
            win_probability: evidence.win_probability,
            win_bps: target.to_f64() - evidence.cost_bps,
            loss_bps: stop.to_f64() + evidence.cost_bps,
            drawdown: self.breakers.drawdown(),
        };
        self.settings.sizing.size(&prospect, limits.max_drawdown_bps)
    }

    /// What risk looks at, for an order of `symbol`.
    pub(super) fn situation<'a>(&'a self, symbol: Symbol, desk: &'a Desk) -> Situation<'a> {
        let touch = desk.touch();
        let open_buys = |only: Option<Symbol>| -> Qty {
            self.orders.live().filter(|o| o.new.side == Side::Buy && only.is_none_or(|s| o.new.symbol == s)).map(|o| o.remaining()).sum()
        };
        let held = desk.held();
        let entries = self.orders.live().filter(|o| o.purpose == Purpose::Entry).count();
        let committed = self.committed();
        Situation {
            halted: self.breakers.halted().is_some(),
            reducing: self.guard.is_reducing(),
            stopping: self.stopping,
            reconciled: self.reconciled,
            health_critical: self.health.verdict(self.now).0 == crate::protocol::HealthVerdict::Critical,
            instrument: desk.instrument.as_ref(),
            bid: touch.map(|t| t.bid),
            ask: touch.map(|t| t.ask),
            book_valid: desk.market.book().is_valid() || !desk.market.book().is_fed(),
            data_age: desk.market.feed_age(self.now),
            clock_drift: self.health.clock_drift(),
            equity: self.capital_at_work(),
            free_quote: self.free_quote(),
            cash: self.cash(),
            unpriced_fee: self.unpriced_fee,
            daily_loss: self.breakers.daily_loss(),
            drawdown: self.breakers.drawdown(),
            unknown_qty: self.orders.unknown_qty(symbol),
            committed_qty: held + open_buys(Some(symbol)),
            exposure: self.exposure(),
            open_orders: entries as u32,
            since_exit: desk.last_exit.map(|exit| self.now.since(exit)),
            stop_distance: desk.trade.as_ref().map(|trade| trade.plan.stop),
            heat: self.heat(),
            opened_last_minute: u32::try_from(self.openings.iter().filter(|at| self.now.since(**at) < MINUTE).count()).unwrap_or(u32::MAX),
            hourly_loss: self.breakers.hourly_loss(),
            losing_streak: self.breakers.losing_streak().0,
            since_loss: self.breakers.losing_streak().1.map(|at| self.now.since(at)),
            volatility_percent: desk.market.volatility_percent(),
            net_exposure: committed.as_ref().map(|held| held.iter().map(|(_, value)| *value).sum()),
            cluster_exposure: committed.as_ref().map(|held| self.cluster_value(symbol, held)),
            portfolio: committed.as_ref().and_then(|held| self.portfolio_risk(symbol, held)),
            quote_gap: desk.market.quote_gap(),
            depeg: self.depeg(),
            venue_errors: self.breakers.venue_errors(self.now),
            unprotected: self.breakers.unprotected().0,
        }
    }

    fn record_decision(
        &mut self,
        symbol: Symbol,
        number: u64,
        verdict: Verdict,
        decision: Decision,
        evidence: Evidence,
        out: &mut Vec<Effect>,
    ) {
        let exploration = decision.choice == Choice::Enter { exploration: true };
        let mut reasons = decision.reasons;
        if let Verdict::Refused(refusal) = verdict {
            reasons.insert(0, refusal.to_string());
        }
        let view = DecisionView {
            at: self.now,
            symbol,
            verdict,
            reasons: reasons.clone(),
            forecast_net_bps: evidence.forecast_net_bps,
            exploration,
        };
        if self.decisions.len() == SHOWN {
            self.decisions.pop_back();
        }
        self.decisions.push_front(view);
        let record = DecisionRecord {
            number,
            run: self.run,
            at: self.now,
            symbol,
            verdict,
            reasons,
            exploration,
            evidence: EvidenceRecord {
                mid: evidence.mid,
                spread: evidence.spread,
                regime: evidence.regime,
                forecast_net_bps: evidence.forecast_net_bps,
                threshold_bps: evidence.threshold_bps,
                policy_enter: evidence.policy_enter,
                neighbours: evidence.neighbours,
                recall_net_bps: evidence.recall_net_bps,
                vector: evidence.vector,
            },
        };
        out.push(Effect::Persist(Box::new(Record::Decision(record))));
    }

    /// Shows why nothing was decided, once per reason in a row.
    fn note_missing(&mut self, symbol: Symbol, refusal: Refusal) {
        let verdict = Verdict::Refused(refusal);
        let text = refusal.to_string();
        let last = self.decisions.iter_mut().find(|d| d.symbol == symbol);
        if let Some(last) = last
            && let Verdict::Refused(previous) = last.verdict
            && std::mem::discriminant(&previous) == std::mem::discriminant(&refusal)
        {
            (last.at, last.verdict, last.reasons) = (self.now, verdict, vec![text]);
            return;
        }
        if self.decisions.len() == SHOWN {
            self.decisions.pop_back();
        }
        let view = DecisionView { at: self.now, symbol, verdict, reasons: vec![text], forecast_net_bps: None, exploration: false };
        self.decisions.push_front(view);
    }

    /// Episodes of this run are labelled by where their fills come from.
    pub(super) fn origin(&self) -> Origin {
        match self.settings.mode {
            Mode::Demo | Mode::Live => Origin::Real,
            Mode::Paper => Origin::Paper,
            Mode::Backtest => Origin::Shadow,
        }
    }
}
