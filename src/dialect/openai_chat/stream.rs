//! Chat completions as a stream: `chat.completion.chunk` objects, then `[DONE]`.

mod decoder;
mod encoder;
mod open;

pub use decoder::Decoder;
pub use encoder::Encoder;
