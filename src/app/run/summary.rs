//! What a run prints at its end.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use crate::app::failure::{Failure, Outcome};
use crate::domain::{Asset, Balance, Money, Price, Qty, RunId, Symbol};
use crate::engine::{Engine, PnlReport};
use crate::protocol::{Counters, GateRecord, HealthVerdict, Mode, ModelKind, ModelRecord, Rung, Severity};

/// Alerts looked through for why the venue was never met.
const NEWEST: usize = 4;

#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    pub mode: Mode,
    pub run: RunIdText,
    /// Where the ladder stands at the end; live only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rung: Option<Rung>,
    /// Lines of the captures; 0 on a live market.
    pub lines: u64,
    pub unreadable: u64,
    #[serde(flatten)]
    pub counters: Counters,
    /// Of all trades, open ones at the mark, since the books of this account were opened in this data file.
    pub net_pnl: Option<Money>,
    /// The same from the ledger's postings.
    pub ledger_net_pnl: Option<Money>,
    /// The same from the venue's own final statement.
    pub venue_net_pnl: Option<Money>,
    pub equity: Option<Money>,
    pub fees: Money,
    pub models: Vec<ModelSummary>,
    pub clock_offset_ms: Option<f64>,
    /// Hexadecimal: JSON numbers do not hold 64 bits.
    pub fingerprint: String,
    pub replayable: bool,
    /// Of a run over the wire only: what is recorded or simulated has no venue that could fail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standing: Option<Standing>,
}

/// How a run and its venue stood at the end.
#[derive(Debug, Clone, Serialize)]
pub struct Standing {
    /// The venue stated orders and balances at least once; until then nothing is known of the account.
    pub agreed: bool,
    pub health: HealthVerdict,
    /// Sentences; empty when healthy.
    pub reasons: Vec<String>,
    /// Where it is told in full.
    pub log: PathBuf,
}

impl Standing {
    /// # Errors
    /// When the run never agreed with its venue: whatever it was started for, it did not do it.
    pub fn agreement(&self) -> Outcome {
        if self.agreed {
            return Ok(());
        }
        Err(Failure::failed(format!(
            "the run never agreed with the venue about orders and balances; check its address and, for an account, key and secret; the log {} \
             says what came back",
            self.log.display()
        )))
    }

    fn lines(&self) -> Vec<String> {
        if self.health == HealthVerdict::Healthy {
            return Vec::new();
        }
        let head = format!("health {}; log {}", self.health, self.log.display());
        [head].into_iter().chain(self.reasons.iter().map(|reason| format!("  {reason}"))).collect()
    }
}

#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct RunIdText(pub String);

#[derive(Debug, Clone, Serialize)]
pub struct ModelSummary {
    pub id: String,
    pub kind: ModelKind,
    pub gates_passed: bool,
    pub gates: Vec<GateRecord>,
}

/// What the venue stated at the end.
#[derive(Debug, Clone, Default)]
pub struct VenueStatement {
    pub totals: BTreeMap<Asset, Qty>,
    pub mids: BTreeMap<Symbol, Price>,
    /// Which symbol prices an asset.
    pub bases: BTreeMap<Asset, Symbol>,
}

impl VenueStatement {
    pub fn of(balances: &[Balance], mids: BTreeMap<Symbol, Price>, bases: BTreeMap<Asset, Symbol>) -> Self {
        Self { totals: balances.iter().map(|b| (b.asset, b.total())).collect(), mids, bases }
    }

    /// What the venue's balances are worth beyond what the books were opened with.
    pub fn net_pnl(&self, engine: &Engine) -> Option<Money> {
        let quote = engine.settings().quote;
        let mut sum = Money::from_quote(-engine.capital());
        for (asset, total) in &self.totals {
            let ours = *total - engine.foreign().get(asset).copied().unwrap_or(Qty::ZERO);
            if *asset == quote {
                sum += Money::from_quote(ours);
            } else if !ours.is_zero() {
                let mid = self.mids.get(self.bases.get(asset)?)?;
                sum += mid.notional(ours)?;
            }
        }
        Some(sum)
    }
}

impl Summary {
    pub fn of(engine: &Engine, run: RunId, lines: u64, pnl: &PnlReport, venue_net_pnl: Option<Money>, models: &[ModelRecord]) -> Self {
        let view = engine.view();
        Self {
            mode: view.mode,
            run: RunIdText(run.to_string()),
            rung: engine.rung(),
            lines,
            unreadable: view.health.unreadable,
            counters: engine.counters().clone(),
            net_pnl: pnl.net_pnl,
            ledger_net_pnl: pnl.ledger_net_pnl,
            venue_net_pnl,
            equity: pnl.equity,
            fees: pnl.fees,
            models: models
                .iter()
                .map(|m| ModelSummary { id: m.id.clone(), kind: m.kind, gates_passed: m.gates_passed, gates: m.gates.clone() })
                .collect(),
            clock_offset_ms: view.health.clock_offset.map(|o| (o.nanos() as f64 / 1e5).round() / 10.0),
            fingerprint: format!("{:016x}", engine.fingerprint()),
            replayable: true,
            standing: None,
        }
    }

    /// Of a run over the wire. Money that the venue never confirmed is not known.
    pub fn stood(&mut self, engine: &Engine) {
        let (agreed, view) = (engine.has_met_venue(), engine.view());
        let (mut health, mut reasons) = (view.health.verdict, view.health.reasons);
        if !agreed {
            (self.net_pnl, self.ledger_net_pnl, self.equity) = (None, None, None);
            health = HealthVerdict::Critical;
            reasons.insert(0, "orders and balances were never compared with the venue".to_owned());
            for said in view.alerts.into_iter().filter(|alert| alert.severity != Severity::Info).take(NEWEST) {
                if !reasons.contains(&said.text) {
                    reasons.push(said.text);
                }
            }
        }
        self.standing = Some(Standing { agreed, health, reasons, log: PathBuf::new() });
    }

    pub fn text(&self) -> String {
        let money = |m: Option<Money>| m.map_or("unknown".to_owned(), |m| m.to_string());
        let c = &self.counters;
        let mut lines = vec![
            format!("run {} ({}{})", self.run.0, self.mode, self.rung.map_or_else(String::new, |rung| format!(", ladder at {rung}"))),
            format!(
                "{} candles, {} decisions, {} refusals, {} orders, {} fills ({} maker, {} taker), {} trades closed",
                c.candles, c.decisions, c.refusals, c.orders, c.fills, c.maker_fills, c.taker_fills, c.trades_closed
            ),
            format!(
                "net {} (ledger {}, venue {}), fees {}, equity {}",
                money(self.net_pnl),
                money(self.ledger_net_pnl),
                money(self.venue_net_pnl),
                self.fees,
                money(self.equity)
            ),
        ];
        if self.lines > 0 {
            lines.push(format!("{} lines, {} unreadable, {} gaps", self.lines, self.unreadable, c.gaps));
        }
        for model in &self.models {
            let verdict = if model.gates_passed { "passed its gates" } else { "failed its gates" };
            lines.push(format!("model {:.12} ({:?}) {verdict}", model.id, model.kind));
            for gate in &model.gates {
                let mark = if gate.passed { "pass" } else { "FAIL" };
                lines.push(format!("  {mark}  {} {:.3} (limit {})", gate.name, gate.value, gate.limit));
            }
        }
        lines.extend(self.standing.iter().flat_map(Standing::lines));
        if c.trades_closed == 0 {
            lines.push("no trade was closed".to_owned());
        }
        lines.push(format!("fingerprint {}", self.fingerprint));
        lines.join("\n")
    }
}
