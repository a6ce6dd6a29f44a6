//! Credentials by reference: the settings say where they are, never what they are.

use std::path::Path;

use crate::app::config::Config;
use crate::app::failure::{Failure, Outcome};
use crate::venue::binance::Credentials;

/// The key pair, and the name under which this account's records are kept (never the secret).
pub struct Account {
    pub credentials: Credentials,
    pub name: String,
}

/// Reads the key pair from the files or the environment that the settings name.
pub fn credentials(config: &Config) -> Outcome<Account> {
    let key = read(&config.venue.api_key_file, &config.venue.api_key_env)?;
    let secret = read(&config.venue.api_secret_file, &config.venue.api_secret_env)?;
    let name = account_name(&key);
    Ok(Account { credentials: Credentials::new(&key, &secret), name })
}

/// The first letters of the key tell accounts apart; they open nothing.
pub fn account_name(key: &str) -> String {
    key.trim().chars().take(8).collect()
}

fn read(file: &Path, variable: &str) -> Outcome<String> {
    let text = if file.as_os_str().is_empty() {
        std::env::var(variable).map_err(|_| {
            Failure::usage(format!(
                "no API key: set the environment variable {variable}, or name a file in venue.api_key_file / api_secret_file"
            ))
        })?
    } else {
        std::fs::read_to_string(file).map_err(|e| Failure::usage(format!("cannot read {}: {e}", file.display())))?
    };
    if text.trim().is_empty() { Err(Failure::usage(format!("{variable} is empty"))) } else { Ok(text.trim().to_owned()) }
}
