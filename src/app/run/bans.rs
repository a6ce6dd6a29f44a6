//! A ban outlives a restart: what the venue says is kept in the data file, and read before anything is sent.

use tokio::sync::watch;

use crate::app::failure::Outcome;
use crate::domain::Timestamp;
use crate::store::{Bulk, Store, WriterHandle};

/// Addresses are banned, whatever the account: one entry a venue. Milliseconds as text; empty: no ban.
fn name(venue: &str) -> String {
    format!("ban_until/{venue}")
}

/// The end of the ban that an earlier start was told, in the venue's time.
pub fn kept(store: &Store, venue: &str) -> Outcome<Option<Timestamp>> {
    let bytes = store.meta(&name(venue)).map_err(super::start::store_failure)?;
    Ok(bytes.and_then(|b| std::str::from_utf8(&b).ok()?.parse().ok()).map(Timestamp::from_millis))
}

/// Keeps every change until the client is gone.
pub async fn keep(mut bans: watch::Receiver<Option<Timestamp>>, writer: WriterHandle, venue: String) {
    // What was told before this began is kept too.
    bans.mark_changed();
    while bans.changed().await.is_ok() {
        let until = *bans.borrow_and_update();
        let value = until.map_or(String::new(), |until| until.millis().to_string()).into_bytes();
        if let Err(error) = writer.bulk(Bulk::Meta { name: name(&venue), value }) {
            tracing::warn!(%error, "the venue's ban is not kept: a restart would not know of it");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::RunId;
    use crate::protocol::Mode;
    use crate::store::{FileKind, Identity, Scope, Writer};

    #[tokio::test]
    async fn a_ban_is_known_after_a_restart_and_forgotten_after_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let scope = Scope { mode: Mode::Live, venue: "Binance".to_owned(), account: "a".to_owned() };
        let store = Store::open(&folder.path().join("x.redb"), &Identity { kind: FileKind::Real, scope }).unwrap();
        let until = Timestamp::from_millis(1_700_000_000_000);
        for (told, other) in [(Some(until), Some(until)), (None, Some(until))] {
            let writer = Writer::start(store.clone(), RunId(1), |_| {}).unwrap();
            let (sender, bans) = watch::channel(other);
            let keeping = tokio::spawn(keep(bans, writer.handle(), "Binance".to_owned()));
            sender.send_replace(told);
            while kept(&store, "Binance").unwrap() != told {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            drop(sender);
            keeping.await.unwrap();
            writer.stop().unwrap();
        }
        assert_eq!(kept(&store, "another venue").unwrap(), None);
    }
}
