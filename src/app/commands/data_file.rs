//! Opening the data file for commands.

use std::path::{Path, PathBuf};

use crate::app::Context;
use crate::app::clock;
use crate::app::failure::Outcome;
use crate::protocol::Mode;
use crate::store::{FileKind, Identity, ReadSource, Scope, Store};

/// The file that was named, or the one of paper and live.
pub fn path(context: &Context) -> PathBuf {
    context.config.data_file(Mode::Paper)
}

/// The same, but the demo's when none was named and only that exists.
pub fn existing(context: &Context) -> PathBuf {
    let path = path(context);
    let demo = context.config.data_file(Mode::Demo);
    if path.exists() || !demo.exists() {
        return path;
    }
    context.out.remark(&format!("taking {}, as there is no {}", demo.display(), path.display()));
    demo
}

/// Opens the existing file for reading, or the snapshot beside one in use.
pub fn reading(context: &Context) -> Outcome<Store> {
    let path = existing(context);
    let (store, source) = Store::open_for_reading(&path, scope())?;
    if let ReadSource::Snapshot { taken } = source {
        let age = clock::now().since(taken).millis() / 1_000;
        context.out.remark(&format!("a running huracan holds {}: reading its snapshot, {age} s old", path.display()));
    }
    Ok(store)
}

/// Opens for writing; a new file serves paper and live, an existing one stays what it is.
pub fn writing(context: &Context) -> Outcome<Store> {
    writing_to(&path(context))
}

pub fn writing_to(path: &Path) -> Outcome<Store> {
    let kind = if path.exists() { Store::open_read_only(path, scope())?.kind() } else { FileKind::Real };
    Ok(Store::open(path, &Identity { kind, scope: scope() })?)
}

/// Commands have no orders of their own.
pub fn scope() -> Scope {
    Scope { mode: Mode::Backtest, venue: "none".to_owned(), account: "none".to_owned() }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::app::config;
    use crate::app::output::Output;

    /// A context over the data file at `path`.
    pub fn context(path: &std::path::Path) -> Context {
        let mut config = config::load(&[], std::iter::empty(), &[]).unwrap();
        config.data.file = path.to_owned();
        Context { config, out: Output { json: true }, started: std::time::Instant::now() }
    }

    #[test]
    fn a_writing_command_keeps_the_kind_of_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let demo = dir.path().join("demo.redb");
        drop(Store::open(&demo, &Identity { kind: FileKind::Demo, scope: scope() }).unwrap());
        assert_eq!(writing(&context(&demo)).unwrap().kind(), FileKind::Demo);
        assert_eq!(reading(&context(&demo)).unwrap().kind(), FileKind::Demo);
        let new = dir.path().join("new.redb");
        assert_eq!(writing(&context(&new)).unwrap().kind(), FileKind::Real);
    }

    #[test]
    fn a_missing_file_is_named() {
        let said = reading(&context(std::path::Path::new("/none/x.redb"))).err().unwrap().to_string();
        assert!(said.contains("/none/x.redb does not exist"), "{said}");
    }
}
