//! The stream of Responses: read from a provider, written for a caller.

mod decoder;
mod encoder;
mod open;
mod record;

pub use decoder::Decoder;
pub use encoder::Encoder;
