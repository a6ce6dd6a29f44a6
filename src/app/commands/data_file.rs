//! Opening the data file for commands.

use std::path::PathBuf;

use crate::app::Context;
use crate::app::clock;
use crate::app::failure::Outcome;
use crate::protocol::Mode;
use crate::store::{FileKind, Identity, ReadSource, Scope, Store};

/// The file that was named, or the one of paper and live.
pub fn path(context: &Context) -> PathBuf {
    context.config.data_file(Mode::Paper)
}

/// Opens for reading: the file, or the snapshot beside one in use. When none was named and only the demo's exists, that one.
pub fn reading(context: &Context) -> Outcome<Store> {
    let mut path = path(context);
    let demo = context.config.data_file(Mode::Demo);
    if !path.exists() && demo.exists() {
        context.out.remark(&format!("reading {}, as there is no {}", demo.display(), path.display()));
        path = demo;
    }
    let (store, source) = Store::open_for_reading(&path, scope())?;
    if let ReadSource::Snapshot { taken } = source {
        let age = clock::now().since(taken).millis() / 1_000;
        context.out.remark(&format!("a running huracan holds {}: reading its snapshot, {age} s old", path.display()));
    }
    Ok(store)
}

/// Opens for writing; a new file serves paper and live, an existing one stays what it is.
pub fn writing(context: &Context) -> Outcome<Store> {
    let path = path(context);
    let kind = if path.exists() { Store::open_read_only(&path, scope())?.kind() } else { FileKind::Real };
    Ok(Store::open(&path, &Identity { kind, scope: scope() })?)
}

/// Commands have no orders of their own.
pub fn scope() -> Scope {
    Scope { mode: Mode::Backtest, venue: "none".to_owned(), account: "none".to_owned() }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::app::cli::Global;
    use crate::app::config;
    use crate::app::output::Output;

    /// A context over the data file at `path`.
    pub fn context(path: &std::path::Path) -> Context {
        let mut config = config::load(&[], std::iter::empty(), &[]).unwrap();
        config.data.file = path.to_owned();
        let global = Global { json: true, config: Vec::new(), set: Vec::new(), data: Some(path.to_owned()) };
        Context { global, config, out: Output { json: true }, started: std::time::Instant::now() }
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
