//! OpenAI's `POST /v1/responses`.

pub(in crate::dialect) mod error;
pub(in crate::dialect) mod peek;
pub(crate) mod tap;
