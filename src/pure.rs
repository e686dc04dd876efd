//! The translation core as a crate of its own: what `fuzz/` builds, without the libraries of servers and stores.

pub mod dialect;
pub mod fault;
pub mod ids;
pub mod ir;
pub mod translate;
