//! What is known of a call when it has ended.

use std::time::SystemTime;

use uuid::Uuid;

/// One call, as it ended. Bodies are held by reference: nothing is decoded or copied to make one.
#[derive(Clone, Debug)]
pub struct Generation {
    /// Made once; with the timestamp it tells PostHog a repeated event from a new one.
    pub uuid: Uuid,
    /// When the call began.
    pub timestamp: SystemTime,
}

impl Generation {
    /// How many bytes are held for it, about: what a buffer's bound counts.
    pub fn held_bytes(&self) -> usize {
        size_of::<Self>()
    }
}
