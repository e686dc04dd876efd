//! A door that a scripted reply stands at until the test opens it.

use std::sync::Arc;

use tokio::sync::watch;

/// Closed at first; once opened it stays open. Clones are the same door.
#[derive(Clone, Debug)]
pub struct Gate(Arc<watch::Sender<bool>>);

impl Default for Gate {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }
}

impl Gate {
    /// A closed gate.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets everybody through, now and later.
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    pub(super) async fn passed(&self) {
        // It can't fail: `self` keeps the sender alive.
        let _ = self.0.subscribe().wait_for(|open| *open).await;
    }
}
