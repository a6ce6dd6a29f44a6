//! `huracan models`: what was trained, from what, and how it was judged.

use serde::Serialize;

use super::data_file;
use crate::app::Context;
use crate::app::cli::ModelsCommand;
use crate::app::failure::{Failure, Outcome};
use crate::app::output::table;
use crate::domain::{Symbol, Timestamp};
use crate::protocol::{GateRecord, ModelKind, ModelRecord};

/// Characters of an id in tables.
const SHORT_ID: usize = 12;

pub fn models(context: &Context, command: &ModelsCommand) -> Outcome {
    match command {
        ModelsCommand::List => list(context),
        ModelsCommand::Show { id } => show(context, id),
    }
}

/// A stored model without its bytes.
#[derive(Debug, Serialize)]
struct Shown {
    id: String,
    kind: ModelKind,
    created: Timestamp,
    code_version: String,
    symbols: Vec<Symbol>,
    data_id: String,
    parent: Option<String>,
    feature_version: u16,
    gates_passed: bool,
    gates: Vec<GateRecord>,
    artifact_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<serde_json::Value>,
}

#[derive(Debug, Serialize)]
struct List {
    models: Vec<Shown>,
}

fn shown(model: ModelRecord, report: Option<serde_json::Value>) -> Shown {
    Shown {
        id: model.id,
        kind: model.kind,
        created: model.created,
        code_version: model.code_version,
        symbols: model.symbols,
        data_id: model.data_id,
        parent: model.parent,
        feature_version: model.feature_version,
        gates_passed: model.gates_passed,
        gates: model.gates,
        artifact_bytes: model.artifact.len() as u64,
        report,
    }
}

fn list(context: &Context) -> Outcome {
    let models = data_file::reading(context)?.models()?;
    let answer = List { models: models.into_iter().map(|model| shown(model, None)).collect() };
    context.out.answer(&answer, || {
        if answer.models.is_empty() {
            return "no models yet; huracan train makes them".to_owned();
        }
        let mut rows = vec![["id", "kind", "created", "symbols", "gates"].map(str::to_owned).to_vec()];
        rows.extend(answer.models.iter().map(|m| {
            let gates = if m.gates_passed { "passed".to_owned() } else { format!("failed {}", failed(&m.gates)) };
            vec![short(&m.id).to_owned(), kind(m.kind).to_owned(), m.created.to_string(), joined(&m.symbols), gates]
        }));
        table(&rows)
    })
}

fn show(context: &Context, id: &str) -> Outcome {
    let store = data_file::reading(context)?;
    let models = store.models()?;
    let found = named(models.iter().map(|model| model.id.as_str()), id)?.to_owned();
    let model = store.model(&found)?;
    let report = serde_json::from_str(&model.report)?;
    let answer = shown(model, Some(report));
    context.out.answer(&answer, || {
        let mut rows = vec![
            vec!["id".to_owned(), answer.id.clone()],
            vec!["kind".to_owned(), kind(answer.kind).to_owned()],
            vec!["created".to_owned(), answer.created.to_string()],
            vec!["program".to_owned(), answer.code_version.clone()],
            vec!["symbols".to_owned(), joined(&answer.symbols)],
            vec!["data".to_owned(), answer.data_id.clone()],
            vec!["parent".to_owned(), answer.parent.clone().unwrap_or_else(|| "none".to_owned())],
            vec!["size".to_owned(), format!("{} bytes", answer.artifact_bytes)],
        ];
        rows.extend(answer.gates.iter().map(gate_row));
        let report = answer.report.as_ref().and_then(|report| serde_json::to_string_pretty(report).ok()).unwrap_or_default();
        format!("{}\n{report}", table(&rows))
    })
}

/// A gate as a row: what it is about, and its verdict with numbers.
pub fn gate_row(gate: &GateRecord) -> Vec<String> {
    let verdict = if gate.passed { "passed" } else { "failed" };
    vec![format!("gate {}", gate.name), format!("{verdict}: {:.3}, at least {:.3} is needed", gate.value, gate.limit)]
}

/// The one id that begins with `start`.
fn named<'a>(ids: impl Iterator<Item = &'a str>, start: &str) -> Outcome<&'a str> {
    let found: Vec<&str> = ids.filter(|id| id.starts_with(start)).collect();
    match found.as_slice() {
        [one] => Ok(one),
        [] => Err(Failure::failed(format!("no model begins with {start}; huracan models list shows those there are"))),
        many => Err(Failure::usage(format!("{} models begin with {start}; write more of the id", many.len()))),
    }
}

pub fn short(id: &str) -> &str {
    id.get(..SHORT_ID).unwrap_or(id)
}

pub const fn kind(kind: ModelKind) -> &'static str {
    match kind {
        ModelKind::Trees => "trees",
        ModelKind::Policy => "policy",
    }
}

fn joined(symbols: &[Symbol]) -> String {
    symbols.iter().map(Symbol::to_string).collect::<Vec<_>>().join(", ")
}

fn failed(gates: &[GateRecord]) -> String {
    gates.iter().filter(|gate| !gate.passed).map(|gate| gate.name.as_str()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_of_an_id_is_enough_when_it_is_the_only_one() {
        let ids = ["ab12", "ab34", "cd56"];
        let find = |start| named(ids.iter().copied(), start);
        assert_eq!(find("c").unwrap(), "cd56");
        assert!(find("ab").unwrap_err().to_string().contains("2 models"));
        assert!(find("x").unwrap_err().to_string().contains("models list"));
    }
}
