//! How a bench's run begins: its settings, and the event that opens it.

use huracan::domain::RunId;
use huracan::engine::Settings;
use huracan::protocol::{Event, Mode, RunOpened};

pub fn settings() -> Settings {
    serde_json::from_str(include_str!("../settings.json")).expect("the bench's settings are valid")
}

pub fn opened(settings: &Settings) -> Event {
    Event::RunOpened(Box::new(RunOpened {
        run: RunId(1),
        mode: Mode::Paper,
        venue: "bench".to_owned(),
        code_version: String::new(),
        settings: serde_json::to_string(settings).expect("settings print"),
        settings_hash: String::new(),
        carried: None,
    }))
}
