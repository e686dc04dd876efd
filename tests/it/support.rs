//! What the integration tests stand on.
//!
//! Everything here is real: databases, sockets, processes. Nothing waits for time to pass; what has to be waited for is
//! a condition with a deadline (see [`wait`]).

pub(crate) mod binary;
pub(crate) mod endpoints;
pub(crate) mod gateway;
pub(crate) mod keys;
pub(crate) mod own_postgres;
pub(crate) mod own_redis;
pub(crate) mod port;
pub(crate) mod postgres;
pub(crate) mod posthog;
pub(crate) mod proxy;
pub(crate) mod raw_client;
pub(crate) mod raw_upstream;
pub(crate) mod speaker;
pub(crate) mod sqlite;
pub(crate) mod wait;
