//! The word that everything which stands should end.

use tokio::sync::watch;

/// Heard by everything that stands; clones hear the same word.
#[derive(Clone)]
pub(super) struct Stop(watch::Receiver<bool>);

/// Gives the word.
pub(super) struct Stopper(watch::Sender<bool>);

pub(super) fn stop() -> (Stopper, Stop) {
    let (sender, receiver) = watch::channel(false);
    (Stopper(sender), Stop(receiver))
}

impl Stopper {
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// Returns once the word was given, or can no longer be given.
    pub async fn told(&mut self) {
        // An error means that the other side is gone: stop as well.
        drop(self.0.wait_for(|stopped| *stopped).await);
    }
}
