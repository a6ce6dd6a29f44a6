//! `huracan limits`: the limits of the running box, and their change while it runs.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::running::connect;
use super::status::limits_text;
use crate::app::Context;
use crate::app::cli::LimitsCommand;
use crate::app::failure::{Failure, Outcome};
use crate::protocol::{Command, LimitAnswer, LimitName, LimitView};
use crate::trading::risk::LimitRow;

/// Who loosens a limit types this.
const WORD: &str = "loosen";
const PATIENCE: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(20);

pub fn limits(context: &Context, command: Option<&LimitsCommand>) -> Outcome {
    match command {
        None => list(context),
        Some(LimitsCommand::Set { name, value, confirm }) => {
            let name = named(name)?;
            let value = LimitRow::of(name).parse(value).ok_or_else(|| Failure::usage(format!("{name} can not be '{value}'")))?;
            let confirmed = match confirm.as_deref() {
                None => false,
                Some(WORD) => true,
                Some(other) => return Err(Failure::usage(format!("--confirm {other}: the word is {WORD}"))),
            };
            ask(context, Command::SetLimit { name, value, confirmed })
        }
        Some(LimitsCommand::Keep { name }) => ask(context, Command::KeepLimit { name: named(name)? }),
    }
}

fn named(text: &str) -> Outcome<LimitName> {
    let nearest =
        || LimitName::ALL.iter().max_by(|a, b| strsim::jaro_winkler(a.key(), text).total_cmp(&strsim::jaro_winkler(b.key(), text)));
    text.parse().map_err(|error| match nearest() {
        Some(near) => Failure::usage(format!("{error}; the nearest is {near}")),
        None => Failure::usage(error),
    })
}

fn list(context: &Context) -> Outcome {
    #[derive(Serialize)]
    struct Listed {
        limits: Vec<LimitView>,
    }
    let listed = Listed { limits: connect(context)?.view()?.limits };
    context.out.answer(&listed, || limits_text(&listed.limits))
}

/// Has the engine change a limit and waits for its answer; a refusal is a safety rule's.
fn ask(context: &Context, command: Command) -> Outcome {
    let mut line = connect(context)?;
    let before = line.view()?.limit_answer.map_or(0, |answer| answer.number);
    line.order(command)?;
    let asked = Instant::now();
    while asked.elapsed() < PATIENCE {
        if let Some(answer) = line.view()?.limit_answer.filter(|answer| answer.number > before) {
            return told(context, &answer);
        }
        std::thread::sleep(LOOK_EVERY);
    }
    Err(Failure::failed("the engine has not answered; see huracan limits"))
}

fn told(context: &Context, answer: &LimitAnswer) -> Outcome {
    if answer.accepted {
        return context.out.answer(answer, || answer.text.clone());
    }
    let hint = if answer.text.contains("typed word") { format!(": add --confirm {WORD}") } else { String::new() };
    Err(Failure::refused(format!("{}{hint}", answer.text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_limit_names_the_nearest() {
        assert_eq!(named("max_exposure").unwrap(), LimitName::MaxExposure);
        assert!(named("max_exposur").unwrap_err().to_string().contains("the nearest is max_exposure"));
    }
}
