//! The gateway as its callers and operators see it: real HTTP, real stores, simulated providers.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod actors;
mod analytics;
mod auth;
mod bad_input;
mod breaker;
mod claude_code;
mod cli;
mod documents;
mod errors;
mod events;
mod fallback;
mod growth;
mod keys;
mod layers;
mod limits;
mod migrate;
mod native;
mod operators;
mod outage;
mod pressure;
mod process;
mod prove;
mod reload;
mod sandbox;
mod shutdown;
mod streams;
mod support;
mod translate;
mod upstream;
