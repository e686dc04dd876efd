//! The gateway as its callers and operators see it: real HTTP, real stores, simulated providers.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod actors;
mod auth;
mod breaker;
mod cli;
mod keys;
mod layers;
mod migrate;
mod native;
mod outage;
mod process;
mod sandbox;
mod streams;
mod support;
mod upstream;
