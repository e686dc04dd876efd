//! Bounds how long a caller may take nothing of what it is sent.

use std::any::Any;
use std::time::Duration;

/// Has the system end this connection once its other end has taken nothing for so long: the HTTP library writes when it can, and
/// would wait for ever. To the call under way, that is a caller who left (tcp(7), `TCP_USER_TIMEOUT`).
#[cfg(target_os = "linux")]
pub(super) fn bound_writes(connection: &dyn Any, patience: Duration) {
    let Some(stream) = connection.downcast_ref::<tokio::net::TcpStream>() else { return };
    // Zero would be the system's own patience, of a quarter of an hour and more.
    let patience_ms = u32::try_from(patience.as_millis()).unwrap_or(u32::MAX).max(1);
    if let Err(error) = rustix::net::sockopt::set_tcp_user_timeout(stream, patience_ms) {
        tracing::debug!(error = %error, "a connection goes without server.write_timeout");
    }
}

/// Other systems have no such option.
#[cfg(not(target_os = "linux"))]
pub(super) fn bound_writes(_: &dyn Any, _: Duration) {}
