//! generateContent as a stream: whole `GenerateContentResponse`s, each with a piece, as server-sent events or as the
//! elements of one JSON array. There is no last word: the connection ends.

mod decoder;
mod encoder;

pub use decoder::Decoder;
pub use encoder::Encoder;
