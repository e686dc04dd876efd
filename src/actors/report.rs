//! What operators see of an actor: `/health/actors`.

use serde::Serialize;

/// One actor, as its handle knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ActorReport {
    /// What sort of actor: `provider`, `lane`, `auth`.
    pub kind: &'static str,
    /// Which of its sort.
    pub name: String,
    /// Whether it takes messages.
    pub state: ActorState,
    /// How often it was restarted after a panic.
    pub restarts: u64,
    /// Messages sent and not yet handled, as counted by the handle.
    pub mailbox_depth: usize,
    /// Milliseconds since it last answered a ping; none: it has not answered one yet.
    pub last_pong_ms: Option<u64>,
    /// What its last panic said.
    pub last_error: Option<String>,
    /// What works worse, or not at all, while it is down.
    pub degrades: &'static str,
}

/// Whether an actor takes messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ActorState {
    /// It does.
    Running,
    /// It panicked and waits for its restart; messages queue.
    Restarting,
    /// It has ended for good.
    Stopped,
}
