//! Ends all calls that are under way, for a gateway that is told a second time to end, or has waited long enough.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

use crate::fault::{Fault, FaultKind};

/// Whether calls that are under way have to end now.
#[derive(Debug, Default)]
pub struct Cut {
    is_made: AtomicBool,
    made: Notify,
}

impl Cut {
    /// Ends them all.
    pub fn make(&self) {
        self.is_made.store(true, Ordering::Release);
        self.made.notify_waiters();
    }

    /// Returns when they have to end, with what the caller is told.
    pub async fn made(&self) -> Fault {
        // Made before the look, so that what is said in between is heard.
        let made = self.made.notified();
        if !self.is_made.load(Ordering::Acquire) {
            made.await;
        }
        Fault::new(FaultKind::GatewayUnavailable, "the gateway is ending and could not wait for this answer; try again")
    }
}
