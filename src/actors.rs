//! Long-lived parts with a mailbox each, behind small cloneable handles.
//!
//! No address, message or mailbox error leaves this module: callers see handles and their reports.

pub mod analytics;
pub mod auth;
pub mod guarded;
pub mod lane;
pub mod limiter;
pub mod provider;
pub mod report;
