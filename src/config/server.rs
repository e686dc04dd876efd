//! Listeners, workers, sizes.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde::Deserialize;

/// `[server]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// The address that callers reach.
    pub host: IpAddr,
    /// The port that callers reach; 0 takes a free one.
    pub port: u16,
    /// Where operators reach `/health/actors`, `/metrics` and `/console`. In `dev` they are on the one port.
    pub admin_addr: SocketAddr,
    /// HTTP worker threads; 0: one for each core.
    pub workers: usize,
    /// The largest request body, in bytes.
    pub body_limit: usize,
    /// How long a request's body may take to arrive.
    #[serde(with = "humantime_serde")]
    pub body_timeout: Duration,
    /// The largest whole answer that is held until it is complete, in bytes.
    pub answer_limit: usize,
    /// The most bytes of whole answers held at one time, over all requests.
    pub answer_memory: usize,
}
