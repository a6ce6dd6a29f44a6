//! `status`, `halt`, `resume`, `flatten`, `tail`, `attach`: the commands that speak with a running box.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::status::status_text;
use crate::app::Context;
use crate::app::control::{AskError, Line, NotSent, kill_file, socket_path};
use crate::app::failure::{Failure, Outcome};
use crate::protocol::{Alert, Command, LogLine, Mode, TradingState, View};
use crate::tui::{self, Options, Wiring};

/// How long the venue may take to confirm every cancel before the command says that it has not.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(20);
const TAIL_EVERY: Duration = Duration::from_millis(250);
const DRAW_EVERY: Duration = Duration::from_millis(100);

/// What a halt or a flatten came to.
#[derive(Debug, Serialize)]
struct StoodDown {
    /// Entries that were open when it was asked for and are not any more.
    cancelled: u32,
    /// From the engine's taking of it to the venue's last word, milliseconds; `None` when there was nothing to cancel or close.
    last_ack_ms: Option<i64>,
    /// Orders that are still open (targets and exits stay on a halt).
    open_orders: usize,
    positions: usize,
}

/// The box of the named data file; without a name, the one that runs.
pub(super) fn connect(context: &Context) -> Outcome<Line> {
    connect_to(context).map(|(_, line)| line)
}

/// The same, with its data file.
fn connect_to(context: &Context) -> Outcome<(PathBuf, Line)> {
    let candidates: Vec<PathBuf> = match context.config.data_file(Mode::Paper) {
        named if named == context.config.data_file(Mode::Demo) => vec![named],
        real => vec![real, context.config.data_file(Mode::Demo)],
    };
    let mut trouble = None;
    let mut found = Vec::new();
    for file in candidates {
        match Line::open(&socket_path(&file)) {
            Ok(line) => found.push((file, line)),
            Err(error) => {
                trouble.get_or_insert(error);
            }
        }
    }
    match (found.len(), trouble) {
        (0, Some(error)) => Err(error.into()),
        (0, None) => Err(Failure::failed("no box runs here")),
        (1, _) => Ok(found.remove(0)),
        _ => {
            let names: Vec<String> = found.iter().map(|(file, _)| file.display().to_string()).collect();
            Err(Failure::usage(format!("two boxes run here ({}): name one with --data", names.join(", "))))
        }
    }
}

pub fn status(context: &Context) -> Outcome {
    let mut view = connect(context)?.view()?;
    // Candles and books are for the screen; a status is read by people and scripts.
    for symbol in &mut view.symbols {
        symbol.candles.clear();
        symbol.book = Default::default();
    }
    view.equity_line.clear();
    context.out.answer(&view, || status_text(&view))
}

/// Stops opening and waits until the venue has confirmed every cancel.
pub fn halt(context: &Context) -> Outcome {
    stand_down(context, Command::Halt)
}

/// Halts and closes every position, and waits until that is so.
pub fn flatten(context: &Context) -> Outcome {
    stand_down(context, Command::Flatten)
}

fn stand_down(context: &Context, command: Command) -> Outcome {
    let mut line = connect(context)?;
    let before = line.view()?.halt.map(|halt| halt.asked);
    let asked = Instant::now();
    line.order(command)?;
    let mut told = asked;
    loop {
        let view = line.view()?;
        // A halt that was in force before is not asked for again; a flatten is.
        let taken = matches!(view.trading, TradingState::Halted { .. })
            && (command == Command::Halt || view.halt.as_ref().map(|h| h.asked) != before);
        let fresh = view.halt.as_ref().filter(|halt| Some(halt.asked) != before);
        let outstanding = view.halt.as_ref().map_or(0, |halt| halt.outstanding);
        let done = taken && outstanding == 0;
        let waited = asked.elapsed();
        if done || waited >= CONFIRMED_WITHIN {
            let answer = StoodDown {
                cancelled: fresh.map_or(0, |halt| halt.cancelled),
                last_ack_ms: fresh.and_then(|halt| Some(halt.last_ack?.since(halt.asked).millis())).filter(|_| done),
                open_orders: view.orders.len(),
                positions: view.positions.len(),
            };
            context.out.answer(&answer, || stood_down_text(command, &answer))?;
            if done {
                return Ok(());
            }
            return Err(Failure::failed(format!(
                "after {} s the venue has not confirmed everything ({outstanding} left); the box keeps trying: see huracan status",
                waited.as_secs()
            )));
        }
        if told.elapsed() >= Duration::from_secs(2) {
            told = Instant::now();
            context.out.remark(&format!("waiting for the venue: {outstanding} outstanding, {} positions open", view.positions.len()));
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

fn stood_down_text(command: Command, answer: &StoodDown) -> String {
    let what = if command == Command::Halt { "halted" } else { "halted and flattened" };
    let when = answer.last_ack_ms.map_or_else(String::new, |ms| format!(", the last confirmation after {ms} ms"));
    format!("{what}: {} entries cancelled{when}; {} orders and {} positions remain", answer.cancelled, answer.open_orders, answer.positions)
}

/// Allows entries again.
pub fn resume(context: &Context) -> Outcome {
    #[derive(Serialize)]
    struct Resumed<'a> {
        trading: &'a TradingState,
    }
    let (file, mut line) = connect_to(context)?;
    let switch = kill_file(&file);
    if switch.exists() {
        return Err(Failure::refused(NotSent::Held(switch)));
    }
    line.order(Command::Resume)?;
    let asked = Instant::now();
    loop {
        let view = line.view()?;
        let halted = matches!(view.trading, TradingState::Halted { .. });
        if !halted || asked.elapsed() >= Duration::from_secs(5) {
            context.out.answer(&Resumed { trading: &view.trading }, || format!("trading: {:?}", view.trading).to_lowercase())?;
            return if halted { Err(Failure::refused("a rule halted trading again: see huracan status")) } else { Ok(()) };
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Prints alerts and decisions as they come, until it is stopped.
pub fn tail(context: &Context) -> Outcome {
    #[derive(Serialize)]
    #[serde(rename_all = "snake_case")]
    enum News<'a> {
        Alert(&'a Alert),
        Decision(&'a crate::protocol::DecisionView),
    }
    let mut line = connect(context)?;
    let mut seen = (line.view()?.at, Vec::new(), Vec::new());
    loop {
        let view = match line.view() {
            Ok(view) => view,
            Err(AskError::Broken(_)) => {
                context.out.remark("the box has ended");
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        // News of the instant that was seen last may have come in two pictures.
        let alerts = view.alerts.iter().rev().filter(|a| a.at > seen.0 || a.at == seen.0 && !seen.1.contains(*a));
        let decisions = view.decisions.iter().rev().filter(|d| d.at > seen.0 || d.at == seen.0 && !seen.2.contains(*d));
        for alert in alerts {
            context.out.answer(&News::Alert(alert), || format!("{}  {:?}  {}", alert.at, alert.severity, alert.text))?;
        }
        for decision in decisions {
            let text = || format!("{}  {}  {:?}: {}", decision.at, decision.symbol, decision.verdict, decision.reasons.join("; "));
            context.out.answer(&News::Decision(decision), text)?;
        }
        seen = (view.at, view.alerts, view.decisions);
        std::thread::sleep(TAIL_EVERY);
    }
}

/// The terminal of a box that runs elsewhere on this computer; leaving it stops nothing.
pub fn attach(context: &Context) -> Outcome {
    let mut line = connect(context)?;
    let picture: Arc<Mutex<(Arc<View>, Vec<LogLine>)>> = Arc::new(Mutex::new((Arc::new(line.view()?), line.logs()?)));
    let ended = Arc::new(AtomicBool::new(false));
    let line = Arc::new(Mutex::new(line));
    let fetcher = {
        let (picture, ended, line) = (Arc::clone(&picture), Arc::clone(&ended), Arc::clone(&line));
        std::thread::Builder::new().name("fetcher".into()).spawn(move || {
            while !ended.load(std::sync::atomic::Ordering::Relaxed) {
                let mut line = line.lock().unwrap_or_else(PoisonError::into_inner);
                let fetched = line.view().and_then(|view| Ok((Arc::new(view), line.logs()?)));
                drop(line);
                match fetched {
                    Ok(fetched) => *picture.lock().unwrap_or_else(PoisonError::into_inner) = fetched,
                    Err(_) => ended.store(true, std::sync::atomic::Ordering::Relaxed),
                }
                std::thread::sleep(DRAW_EVERY);
            }
        })?
    };
    let wiring = Wiring {
        view: {
            let picture = Arc::clone(&picture);
            Arc::new(move || Arc::clone(&picture.lock().unwrap_or_else(PoisonError::into_inner).0))
        },
        logs: Arc::new(move || picture.lock().unwrap_or_else(PoisonError::into_inner).1.clone()),
        command: Arc::new(move |command| {
            line.lock().unwrap_or_else(PoisonError::into_inner).order(command).map_err(|error| error.to_string())
        }),
    };
    let options = Options { colour: std::env::var_os("NO_COLOR").is_none(), guide: false, attached: true };
    let exit = tui::run(&wiring, options, &ended);
    ended.store(true, std::sync::atomic::Ordering::Relaxed);
    if fetcher.join().is_err() {
        return Err(Failure::failed("the connection to the box failed"));
    }
    exit?;
    Ok(())
}
