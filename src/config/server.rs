//! Listeners, workers, sizes.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde::Deserialize;

use super::value::{self, Wrong};

/// `[server]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// The address that callers reach.
    pub host: IpAddr,
    /// The port that callers reach; 0 takes a free one.
    pub port: u16,
    /// Where operators reach `/health/actors` and `/metrics`. In `dev` they are on the one port.
    pub admin_addr: SocketAddr,
    /// HTTP worker threads; 0: one for each core.
    pub workers: usize,
    /// The largest request body, in bytes.
    #[serde(deserialize_with = "value::at_least_one")]
    pub body_limit: usize,
    /// How long a request's body may take to arrive.
    #[serde(deserialize_with = "value::positive")]
    pub body_timeout: Duration,
    /// The most bytes of request bodies held at one time, over all requests.
    #[serde(deserialize_with = "value::at_least_one")]
    pub body_memory: usize,
    /// How long a caller may take nothing of what it is sent before its connection is closed.
    #[serde(deserialize_with = "value::positive")]
    pub write_timeout: Duration,
    /// The largest whole answer that is held until it is complete, in bytes.
    #[serde(deserialize_with = "value::at_least_one")]
    pub answer_limit: usize,
    /// The most bytes of whole answers held at one time, over all requests.
    #[serde(deserialize_with = "value::at_least_one")]
    pub answer_memory: usize,
}

impl Server {
    pub(super) fn check(&self) -> Result<(), Wrong> {
        if self.workers > MOST_WORKERS {
            return Err(Wrong::new(
                "server.workers",
                format!("expected at most {MOST_WORKERS}; 0 takes one for each core"),
            ));
        }
        if self.body_limit > self.body_memory {
            return Err(Wrong::clash("server.body_limit", "it is more than", "server.body_memory"));
        }
        if self.answer_limit > self.answer_memory {
            return Err(Wrong::clash("server.answer_limit", "it is more than", "server.answer_memory"));
        }
        Ok(())
    }

    /// What matters only where operators have a listener of their own.
    pub(super) fn check_listeners(&self) -> Result<(), Wrong> {
        let admin = self.admin_addr;
        let same_address = admin.ip() == self.host || admin.ip().is_unspecified() || self.host.is_unspecified();
        if self.port != 0 && admin.port() == self.port && same_address {
            return Err(Wrong::clash(
                "server.admin_addr",
                "operators cannot share a port with callers, who have",
                "server.port",
            ));
        }
        Ok(())
    }
}

/// More threads than any machine has use for.
const MOST_WORKERS: usize = 1024;
