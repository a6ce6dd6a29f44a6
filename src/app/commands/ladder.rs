//! `huracan ladder`: where going live stands, what the next rung asks for, and the two steps by hand.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::data_file;
use super::running::connect;
use crate::app::Context;
use crate::app::cli::LadderCommand;
use crate::app::clock;
use crate::app::failure::{ExitKind, Failure, Outcome};
use crate::app::output::table;
use crate::app::run::ladder::stored;
use crate::protocol::{Command, GateUnit, LadderView, Rung, RungGate, View};
use crate::trading::risk::Ladder;

const TAKEN_WITHIN: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(20);

#[derive(Debug, Serialize)]
struct Standing {
    venue: String,
    /// False: read from the data file; gates of the moment (books, clock) are as they were last.
    running: bool,
    #[serde(flatten)]
    ladder: LadderView,
}

pub fn ladder(context: &Context, command: Option<LadderCommand>) -> Outcome {
    match command {
        None => show(context),
        Some(LadderCommand::Climb) => climb(context),
        Some(LadderCommand::StepBack) => step_back(context),
    }
}

fn show(context: &Context) -> Outcome {
    let standing = match connect(context) {
        Ok(mut line) => of_box(line.view()?)?,
        Err(failure) if failure.kind == ExitKind::Usage => return Err(failure),
        Err(_) => of_file(context)?,
    };
    context.out.answer(&standing, || text(&standing))
}

fn of_box(view: View) -> Outcome<Standing> {
    let mode = view.mode;
    let ladder = view.ladder.ok_or_else(|| Failure::usage(format!("the box runs in mode {mode}, which has no ladder: it is for live")))?;
    Ok(Standing { venue: view.venue, running: true, ladder })
}

fn of_file(context: &Context) -> Outcome<Standing> {
    let store = data_file::reading(context)?;
    let (venue, ladder) = match stored(&store)? {
        Some((scope, ladder)) => (scope.venue, ladder),
        None => ("no live run yet".to_owned(), Ladder::new(clock::now())),
    };
    let view = ladder.view(clock::now(), &context.config.ladder, &context.config.limits, usize::MAX);
    Ok(Standing { venue, running: false, ladder: view })
}

fn climb(context: &Context) -> Outcome {
    let mut line = connect(context)?;
    let before = of_box(line.view()?)?;
    let Some(next) = before.ladder.next else {
        return Err(Failure::refused(format!("{} is the highest rung", before.ladder.rung)));
    };
    let failed: Vec<&RungGate> = before.ladder.gates.iter().filter(|gate| !gate.passed).collect();
    if !failed.is_empty() {
        let names: Vec<&str> = failed.iter().map(|gate| gate.name.as_str()).collect();
        let names = names.join("; ");
        context.out.answer(&before, || text(&before))?;
        return Err(Failure::refused(format!("not climbed to {next}; gates that did not pass: {names}")));
    }
    line.order(Command::Climb)?;
    moved(context, &mut line, next, &format!("not climbed to {next}: see huracan ladder"))
}

fn step_back(context: &Context) -> Outcome {
    let mut line = connect(context)?;
    let before = of_box(line.view()?)?;
    let Some(below) = before.ladder.rung.previous() else {
        return Err(Failure::refused(format!("{} is the lowest rung", before.ladder.rung)));
    };
    line.order(Command::StepBack)?;
    moved(context, &mut line, below, &format!("not stepped back to {below}: see huracan ladder"))
}

/// Waits until the box stands on `rung`, and says what that means.
fn moved(context: &Context, line: &mut crate::app::control::Line, rung: Rung, otherwise: &str) -> Outcome {
    let asked = Instant::now();
    loop {
        let standing = of_box(line.view()?)?;
        if standing.ladder.rung == rung {
            return context.out.answer(&standing, || text(&standing));
        }
        if asked.elapsed() >= TAKEN_WITHIN {
            return Err(Failure::refused(otherwise.to_owned()));
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// The ladder in one line, for `status`.
pub fn line(view: &View) -> Option<String> {
    let ladder = view.ladder.as_ref()?;
    let restart = if ladder.restart_needed { "; start the box again to go on there" } else { "" };
    let next = ladder.next.map_or_else(String::new, |next| {
        let passed = ladder.gates.iter().filter(|gate| gate.passed).count();
        format!("; {next} next, {passed} of {} gates passed", ladder.gates.len())
    });
    Some(format!("ladder: {}, it {}{restart}{next}", ladder.rung, ladder.rung.meaning()))
}

fn text(standing: &Standing) -> String {
    let ladder = &standing.ladder;
    let mut lines = vec![
        format!("{}: {} since {}; it {}", standing.venue, ladder.rung, ladder.since, ladder.rung.meaning()),
        format!("allocated capital {}", ladder.allocated_capital),
    ];
    if ladder.restart_needed {
        lines.push("stop the box and start it again to go on there".to_owned());
    }
    if let Some(next) = ladder.next {
        let mut rows = vec![[format!("to {next}"), "now".into(), "limit".into(), String::new()].to_vec()];
        rows.extend(ladder.gates.iter().map(gate_row));
        lines.push(table(&rows));
    }
    if !ladder.changes.is_empty() {
        let mut rows = vec![["moved", "from", "to", "because"].map(str::to_owned).to_vec()];
        let change = |c: &crate::protocol::RungChange| vec![c.at.to_string(), c.from.to_string(), c.to.to_string(), c.reason.to_string()];
        rows.extend(ladder.changes.iter().rev().map(change));
        lines.push(table(&rows));
    }
    lines.join("\n")
}

/// A condition: what it is, how it stands, what it has to be, and whether that is so.
fn gate_row(gate: &RungGate) -> Vec<String> {
    let value = gate.value.map_or_else(|| "unknown".to_owned(), |value| gate.unit.words(value));
    let limit = match (gate.unit, gate.at_most) {
        (GateUnit::YesNo, _) => gate.unit.words(gate.limit),
        (_, true) => format!("at most {}", gate.limit),
        (_, false) => format!("at least {}", gate.limit),
    };
    vec![gate.name.clone(), value, limit, if gate.passed { "pass" } else { "FAIL" }.to_owned()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Money, Timestamp};

    fn gate(name: &str, value: f64, limit: f64, at_most: bool, unit: GateUnit) -> RungGate {
        let passed = if at_most { value <= limit } else { value >= limit };
        RungGate { name: name.to_owned(), value: Some(value), at_most, limit, passed, unit }
    }

    #[test]
    fn gates_read_as_what_has_to_be_so_and_those_that_passed_are_counted() {
        let gates = vec![
            gate("trading not halted", 0.0, 1.0, false, GateUnit::YesNo),
            gate("books with a gap now", 0.0, 0.0, true, GateUnit::Count),
            gate("hours of market data", 1.5, 24.0, false, GateUnit::Measure),
        ];
        let rows: Vec<String> = gates.iter().map(|gate| gate_row(gate).join("|")).collect();
        assert_eq!(
            rows,
            ["trading not halted|no|yes|FAIL", "books with a gap now|0|at most 0|pass", "hours of market data|1.500|at least 24|FAIL"]
        );
        let ladder = LadderView {
            rung: Rung::DataOnly,
            since: Timestamp::EPOCH,
            allocated_capital: Money::ZERO,
            restart_needed: false,
            next: Some(Rung::Paper),
            gates,
            changes: Vec::new(),
        };
        let said = line(&View { ladder: Some(ladder), ..View::default() }).unwrap();
        assert!(said.ends_with("; paper next, 1 of 3 gates passed"), "{said}");
    }
}
