//! Reaching a provider: where, with what, and whether at all.
//!
//! [`breaker`], [`classify`] and [`retry`] decide and do no I/O; [`endpoint`] and [`headers`] say what is sent;
//! [`client`] sends it.

pub mod breaker;
pub mod classify;
pub mod client;
pub mod endpoint;
pub mod headers;
pub mod posthog;
pub mod retry;
