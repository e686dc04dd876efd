//! Messages as a stream: `message_start`, blocks one after the other, `message_delta`, `message_stop`.

mod decoder;
mod encoder;

pub use decoder::Decoder;
pub use encoder::Encoder;
