//! What is said when there is nothing to say yet. It may stand between two events, or before the first.

use super::{Delivery, Dialect};

/// The bytes of a keepalive. A whole answer has none: nothing of it goes out before all of it is there.
pub fn keepalive(dialect: Dialect, delivery: Delivery) -> &'static [u8] {
    match (delivery, dialect) {
        (Delivery::Whole, _) => b"",
        (Delivery::JsonArray, _) => b"\n",
        (Delivery::Events, Dialect::OpenAiChat | Dialect::OpenAiResponses) => b": keepalive\n\n",
        (Delivery::Events, Dialect::Anthropic) => b"event: ping\ndata: {\"type\": \"ping\"}\n\n",
        // Google's Python SDK takes every line that is not empty for JSON, comments too.
        (Delivery::Events, Dialect::Gemini) => b"\n",
    }
}
