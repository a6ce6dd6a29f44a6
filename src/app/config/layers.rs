//! The layers and their merging. The built-in text is the schema: a key that is not in it does not exist.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::Config;
use crate::app::failure::{Failure, Outcome};

/// The built-in settings.
pub const DEFAULT: &str = include_str!("../../../config/default.toml");

/// The prefix of environment variables that set keys: `HURACAN__LIMITS__MAX_DAILY_LOSS`.
const ENV_PREFIX: &str = "HURACAN__";

/// Merges all layers and checks the result. `env` are the process's variables, `sets` are `key=value` flags.
pub fn load(files: &[PathBuf], env: impl Iterator<Item = (String, String)>, sets: &[String]) -> Outcome<Config> {
    let values: Table = toml::from_str(DEFAULT).map_err(|e| Failure::usage(format!("the built-in settings: {e}")))?;
    let mut merged = Merged { values, set_by: BTreeMap::new() };
    for file in files {
        let text = std::fs::read_to_string(file)
            .map_err(|e| Failure::usage(format!("cannot read {}: {e}; check the path, or run `huracan config init`", file.display())))?;
        let layer: Table =
            toml::from_str(&text).map_err(|e| Failure::usage(format!("{}: {}", file.display(), e.to_string().trim_end())))?;
        merged.merge(layer, &Source::File(file))?;
    }
    let mut variables: Vec<(String, String)> = env.filter(|(name, _)| name.starts_with(ENV_PREFIX)).collect();
    variables.sort();
    for (name, value) in variables {
        let key = name[ENV_PREFIX.len()..].to_lowercase().replace("__", ".");
        merged.set(&key, &value, &Source::Environment(&name))?;
    }
    for pair in sets {
        let (key, value) = pair.split_once('=').ok_or_else(|| Failure::usage(format!("--set {pair}: write it as key=value")))?;
        merged.set(key.trim(), value.trim(), &Source::Flag)?;
    }
    let config = merged.read()?;
    super::resolve::check(&config)?;
    Ok(config)
}

/// Where a key was set, for messages.
enum Source<'a> {
    File(&'a Path),
    Environment(&'a str),
    Flag,
}

impl std::fmt::Display for Source<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(name) => f.write_str(name),
            Self::Flag => f.write_str("--set"),
        }
    }
}

/// The layers so far.
struct Merged {
    values: Table,
    /// Which layer set a key last, for messages; the built-in ones are not in it.
    set_by: BTreeMap<String, String>,
}

impl Merged {
    fn merge(&mut self, layer: Table, source: &Source) -> Outcome {
        merge(&mut self.values, layer, "", source, &mut self.set_by)
    }

    fn set(&mut self, path: &str, text: &str, source: &Source) -> Outcome {
        // A value that does not read as TOML is a plain word.
        let parsed = toml::from_str::<Table>(&format!("v = {text}")).ok().and_then(|mut t| t.remove("v"));
        let mut layer = parsed.unwrap_or_else(|| Value::String(text.to_owned()));
        for key in path.rsplit('.') {
            layer = Value::Table(Table::from_iter([(key.to_owned(), layer)]));
        }
        match layer {
            Value::Table(layer) => self.merge(layer, source),
            _ => Err(unknown(path, source)),
        }
    }

    /// A value that does not read is named by its key and by who set it.
    fn read(self) -> Outcome<Config> {
        let set_by = self.set_by;
        serde_path_to_error::deserialize(Value::Table(self.values)).map_err(|error: serde_path_to_error::Error<toml::de::Error>| {
            let path = error.path().to_string();
            // An element of a list was set with its list.
            let key = path.split('[').next().unwrap_or(&path);
            let source = set_by.get(key).map_or("settings", String::as_str);
            Failure::usage(format!("{source}: {path}: {}", error.inner().message()))
        })
    }
}

fn merge(base: &mut Table, layer: Table, prefix: &str, source: &Source, set_by: &mut BTreeMap<String, String>) -> Outcome {
    for (key, value) in layer {
        let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        refuse_secret(&path, &value, source)?;
        match (base.get_mut(&key), value) {
            (None, _) => return Err(unknown(&path, source)),
            (Some(Value::Table(inner)), Value::Table(layer)) => merge(inner, layer, &path, source, set_by)?,
            (Some(Value::Table(_)), _) => return Err(Failure::usage(format!("{source}: {path} is a section, not a value"))),
            (Some(_), Value::Table(_)) => return Err(Failure::usage(format!("{source}: {path} is a value, not a section"))),
            (Some(held), value) => {
                *held = fitted(held, value);
                set_by.insert(path, source.to_string());
            }
        }
    }
    Ok(())
}

/// Money and rates are text, so that they are exact; people may still write numbers.
fn fitted(held: &Value, value: Value) -> Value {
    match (held, value) {
        (Value::String(_), Value::Integer(number)) => Value::String(number.to_string()),
        (Value::String(_), Value::Float(number)) => Value::String(number.to_string()),
        (Value::Float(_), Value::Integer(number)) => Value::Float(number as f64),
        (_, value) => value,
    }
}

/// A key or secret written into a file would be copied, backed up and pasted: it is refused with the way out.
fn refuse_secret(path: &str, value: &Value, source: &Source) -> Outcome {
    let leaf = path.rsplit('.').next().unwrap_or(path);
    let names_secret = ["api_key", "api_secret", "apikey", "secret", "secret_key", "password"].contains(&leaf);
    let looks_secret = leaf.ends_with("_env") && value.as_str().is_some_and(|v| v.len() >= 40);
    if !(names_secret || looks_secret) {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "{source}: {path} holds a secret; settings only say where it is. Put it into the environment variables HURACAN_API_KEY and \
         HURACAN_API_SECRET (venue.api_key_env and venue.api_secret_env may name others), or into files only you can read, named by \
         venue.api_key_file and venue.api_secret_file"
    )))
}

fn unknown(path: &str, source: &Source) -> Failure {
    let known = known_keys();
    let nearest = known.iter().max_by(|a, b| strsim::jaro_winkler(a, path).total_cmp(&strsim::jaro_winkler(b, path)));
    let hint = nearest.map_or(String::new(), |key| format!("; the nearest known one is {key}"));
    Failure::usage(format!("{source}: unknown key {path}{hint}"))
}

/// Every key of the built-in settings, dotted.
fn known_keys() -> Vec<String> {
    fn walk(table: &Table, prefix: &str, keys: &mut Vec<String>) {
        for (key, value) in table {
            let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
            match value {
                Value::Table(inner) => walk(inner, &path, keys),
                _ => keys.push(path),
            }
        }
    }
    let mut keys = Vec::new();
    walk(&toml::from_str(DEFAULT).unwrap_or_default(), "", &mut keys);
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(sets: &[&str]) -> Outcome<Config> {
        load(&[], std::iter::empty(), &sets.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>())
    }

    fn text(result: Outcome<Config>) -> String {
        result.expect_err("refused").to_string()
    }

    #[test]
    fn the_built_in_settings_are_whole_and_valid() {
        let config = with(&[]).unwrap();
        assert_eq!(config.limits.max_order_notional.to_string(), "1000");
        assert_eq!(config.demo.symbols.len(), 3);
    }

    #[test]
    fn later_layers_win_and_numbers_may_be_written_plainly() {
        let env = [("HURACAN__LIMITS__MAX_DAILY_LOSS".to_owned(), "150".to_owned())];
        let config = load(&[], env.into_iter(), &["limits.max_order_notional=12.5".to_owned()]).unwrap();
        assert_eq!((config.limits.max_daily_loss.to_string(), config.limits.max_order_notional.to_string()), ("150".into(), "12.5".into()));
        let both = load(&[], [("HURACAN__DEMO__SEED".to_owned(), "1".to_owned())].into_iter(), &["demo.seed=2".to_owned()]).unwrap();
        assert_eq!(both.demo.seed, 2);
    }

    #[test]
    fn an_unknown_key_names_the_nearest_known_one() {
        assert!(text(with(&["limits.max_dayly_loss=1"])).contains("nearest known one is limits.max_daily_loss"));
        assert!(text(with(&["limits=1"])).contains("is a section"));
    }

    #[test]
    fn a_literal_secret_is_refused_with_the_fix() {
        let said = text(with(&["venue.api_secret=abc"]));
        assert!(said.contains("HURACAN_API_SECRET") && !said.contains("abc"), "{said}");
        let long = "x".repeat(64);
        let said = text(with(&[&format!("venue.api_key_env={long}")]));
        assert!(said.contains("holds a secret") && !said.contains(&long));
    }

    #[test]
    fn a_value_that_does_not_read_names_its_key_and_who_set_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.toml");
        let read = |content: &str, env: &[(&str, &str)]| {
            std::fs::write(&file, content).unwrap();
            let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            text(load(std::slice::from_ref(&file), env.collect::<Vec<_>>().into_iter(), &[]))
        };
        let loss = "[limits]\nmax_daily_loss = \"abc\"\n";
        assert_eq!(read(loss, &[]), format!("{}: limits.max_daily_loss: 'abc' is not a plain decimal number", file.display()));
        let later = read(loss, &[("HURACAN__LIMITS__MAX_DAILY_LOSS", "def")]);
        assert!(later.starts_with("HURACAN__LIMITS__MAX_DAILY_LOSS: limits.max_daily_loss: 'def' "), "{later}");
        let listed = read("[markets]\nsymbols = [\"BTCUSDT\", 7]\n", &[]);
        assert!(listed.starts_with(&format!("{}: markets.symbols[1]: ", file.display())), "{listed}");
        assert!(text(with(&["demo.time_scale.bar=1y"])).starts_with("--set: demo.time_scale.bar: "));
    }

    #[test]
    fn a_wrong_type_says_so() {
        assert!(text(with(&["limits.max_open_orders=many"])).contains("invalid type"));
        assert!(text(with(&["time_scale.bar=1y"])).contains("is not an interval"));
    }
}
