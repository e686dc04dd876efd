//! The paths at which vendors serve their dialects.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::borrow::Cow;

use super::{Delivery, Dialect, Operation};
use crate::ids::ModelId;

/// RFC 3986's unreserved characters stay as they are in a path segment.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The path below a vendor's base URL. `None` for what has no endpoint: chat completions cannot be counted.
pub fn path(dialect: Dialect, operation: Operation, delivery: Delivery, model: &ModelId) -> Option<Cow<'static, str>> {
    let fixed = match (dialect, operation) {
        (Dialect::OpenAiChat, Operation::Generate) => "/chat/completions",
        (Dialect::OpenAiChat, Operation::CountTokens) => return None,
        (Dialect::OpenAiResponses, Operation::Generate) => "/responses",
        (Dialect::OpenAiResponses, Operation::CountTokens) => "/responses/input_tokens",
        (Dialect::Anthropic, Operation::Generate) => "/v1/messages",
        (Dialect::Anthropic, Operation::CountTokens) => "/v1/messages/count_tokens",
        (Dialect::Gemini, operation) => {
            let id = model.as_str();
            let model = utf8_percent_encode(id.strip_prefix("models/").unwrap_or(id), SEGMENT);
            let method = match (operation, delivery) {
                (Operation::CountTokens, _) => "countTokens",
                (Operation::Generate, Delivery::Whole) => "generateContent",
                (Operation::Generate, Delivery::Events | Delivery::JsonArray) => "streamGenerateContent",
            };
            return Some(Cow::Owned(format!("/v1beta/models/{model}:{method}")));
        }
    };
    Some(Cow::Borrowed(fixed))
}
