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

/// Reads the key pair from the files or the environment that the settings name. The secret may be a private key in PEM.
pub fn credentials(config: &Config) -> Outcome<Account> {
    let (key_file, secret_file) = (&config.venue.api_key_file, &config.venue.api_secret_file);
    let key = read(key_file, &config.venue.api_key_env)?;
    if !secret_file.as_os_str().is_empty() {
        only_mine(secret_file)?;
    }
    let secret = read(secret_file, &config.venue.api_secret_env)?;
    let name = account_name(&key);
    let source = if secret_file.as_os_str().is_empty() { config.venue.api_secret_env.clone() } else { secret_file.display().to_string() };
    let credentials = Credentials::recognise(&key, &secret).map_err(|error| Failure::usage(format!("{source}: {error}")))?;
    Ok(Account { credentials, name })
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

/// A secret that other users of the box can read is no secret.
fn only_mine(file: &Path) -> Outcome {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(file).map_err(|e| Failure::usage(format!("cannot read {}: {e}", file.display())))?.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "{} can be read by other users of this box (mode {:03o}): chmod 600 {}, and make a new key if anyone may have read it",
        file.display(),
        mode & 0o777,
        file.display()
    )))
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const SECRET: &str = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j";
    const ED25519: &str =
        "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIIJEYWtGBrhACmb9Dvy+qa8WEf0lQOl1s4CLIAB9m89u\n-----END PRIVATE KEY-----\n";

    fn with_files(folder: &Path, secret: &str, mode: u32) -> Config {
        let (key_file, secret_file) = (folder.join("key"), folder.join("secret"));
        std::fs::write(&key_file, "vmPUZE6mv9SD5VNHk4Hl\n").unwrap();
        drop(std::fs::remove_file(&secret_file));
        std::fs::write(&secret_file, secret).unwrap();
        std::fs::set_permissions(&secret_file, Permissions::from_mode(mode)).unwrap();
        let sets = [format!("venue.api_key_file={}", key_file.display()), format!("venue.api_secret_file={}", secret_file.display())];
        crate::app::config::load(&[], std::iter::empty(), &sets).unwrap()
    }

    #[test]
    fn a_secret_that_others_can_read_is_refused_with_the_way_out() {
        let folder = tempfile::tempdir().unwrap();
        for mode in [0o644, 0o640, 0o604, 0o620] {
            let said = credentials(&with_files(folder.path(), SECRET, mode)).err().unwrap().to_string();
            assert!(said.contains("chmod 600") && said.contains(&format!("{mode:03o}")) && !said.contains(SECRET), "{said}");
        }
        let account = credentials(&with_files(folder.path(), SECRET, 0o600)).unwrap();
        assert_eq!((account.name.as_str(), format!("{:?}", account.credentials)), ("vmPUZE6m", "Credentials(hidden)".to_owned()));
    }

    #[test]
    fn a_private_key_file_is_taken_and_a_damaged_one_is_named_without_its_text() {
        let folder = tempfile::tempdir().unwrap();
        assert!(credentials(&with_files(folder.path(), ED25519, 0o400)).is_ok());
        let said = credentials(&with_files(folder.path(), &ED25519[..60], 0o600)).err().unwrap().to_string();
        assert!(said.contains("secret: the private key's text is damaged") && !said.contains("MC4CAQAw"), "{said}");
    }

    #[test]
    fn shown_settings_name_the_files_and_never_what_is_in_them() {
        let folder = tempfile::tempdir().unwrap();
        let config = with_files(folder.path(), SECRET, 0o600);
        let shown = format!("{}\n{config:?}\n{}", toml::to_string(&config).unwrap(), serde_json::to_string(&config).unwrap());
        assert!(shown.contains("api_secret_file") && !shown.contains(SECRET) && !shown.contains("vmPUZE6mv9"), "{shown}");
    }
}
