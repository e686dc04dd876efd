//! The form in which a request wants its answer.

use super::Carry;
use serde_json::Value;

/// The form of the answer (`response_format`, `text.format`, `output_config.format`, `responseSchema`).
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// Which.
    pub format: OutputFormat,
    /// Fields that the codec does not know, and how it was written.
    pub carry: Carry,
}

/// The forms.
#[derive(Clone, Debug, PartialEq)]
pub enum OutputFormat {
    /// Said to be plain text.
    Text,
    /// Any JSON object.
    JsonObject,
    /// JSON by a schema.
    JsonSchema {
        /// The schema's name; OpenAI demands one, others have none.
        name: Option<String>,
        /// What it is for.
        description: Option<String>,
        /// The schema, keys in their order.
        schema: Option<Value>,
        /// Whether to hold it exactly.
        strict: Option<bool>,
    },
    /// Another media type or form, as its dialect named it (chat's `grammar`, Gemini's `text/x.enum`).
    Other(super::Opaque),
}
