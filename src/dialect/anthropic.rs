//! Anthropic's `POST /v1/messages`.

pub mod attribution;
pub(in crate::dialect) mod error;
pub mod models;
pub(in crate::dialect) mod peek;
pub(crate) mod tap;
