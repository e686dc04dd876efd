//! Google's `generateContent` and `streamGenerateContent`.

pub(in crate::dialect) mod error;
pub mod models;
pub(in crate::dialect) mod peek;
pub(crate) mod tap;
