//! How many tokens a request would be: asked of the provider in its words, told to the caller in its own.
//!
//! Anthropic (`/v1/messages/count_tokens`), Google (`:countTokens`) and OpenAI (`/responses/input_tokens`) count
//! themselves. Servers that speak chat completions only have nobody to ask: for those there is an [`estimate`].

use serde_json::{Map, Value, json};

use super::{Strictness, codecs};
use crate::dialect::{Dialect, EncodedRequest, RequestHead, Target};
use crate::fault::{Fault, FaultKind};
use crate::ir::{Content, Losses, Media, Message, Output, OutputFormat, Part, Request, Source, Tool};

/// English prose and JSON have about four bytes in a token, by the vendors' own rule of thumb.
const BYTES_PER_TOKEN: usize = 4;

/// What a message is wrapped in, at OpenAI.
const TOKENS_PER_MESSAGE: usize = 4;

/// A picture of 1024 × 1024 pixels at OpenAI, looked at closely.
const TOKENS_PER_PICTURE: usize = 765;

/// A page of a document is seen and read.
const TOKENS_PER_PAGE: usize = 1_500;

/// A page of a document in base64, very roughly.
const BYTES_PER_PAGE: usize = 100_000;

/// A request for a count, as it goes to a provider.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// The body; none where the provider cannot be asked.
    pub body: Option<Vec<u8>>,
    /// What was left out or said otherwise.
    pub losses: Losses,
}

/// Reads a caller's request for a count.
///
/// # Errors
/// 400: it is not JSON, or a field cannot be read.
pub fn decode(caller: Dialect, body: &[u8], head: &RequestHead) -> Result<Request, Fault> {
    let mut body = codecs::parse(body)?;
    if caller == Dialect::Gemini {
        // A whole request in place of the contents.
        let inner = ["generateContentRequest", "generate_content_request"].iter().find_map(|name| {
            let inner = body.get_mut(*name)?;
            inner.is_object().then(|| inner.take())
        });
        body = inner.unwrap_or(body);
        // The path names the model, and whatever it stands for here counts.
        if let Value::Object(request) = &mut body {
            request.shift_remove("model");
        }
    }
    codecs::decode_value(caller, body, head)
}

/// Writes it for a provider.
///
/// # Errors
/// 400, as for a request for an answer.
pub fn encode(request: &Request, target: &Target, strictness: Strictness) -> Result<Question, Fault> {
    let EncodedRequest { body, losses, .. } = codecs::encode_value(request, target, strictness)?;
    let body = match (target.dialect, body) {
        (Dialect::OpenAiChat, _) => None,
        (Dialect::Anthropic, body) => Some(only(body, ANTHROPIC_COUNTS)),
        (Dialect::OpenAiResponses, body) => Some(only(body, OPENAI_COUNTS)),
        (Dialect::Gemini, Value::Object(mut inner)) => {
            inner.insert("model".to_owned(), format!("models/{}", target.model).into());
            Some(json!({ "generateContentRequest": inner }))
        }
        (Dialect::Gemini, body) => Some(body),
    };
    Ok(Question { body: body.map(|body| codecs::bytes(&body)), losses })
}

/// What Anthropic's count takes of a request.
const ANTHROPIC_COUNTS: &[&str] = &[
    "model",
    "messages",
    "system",
    "tools",
    "tool_choice",
    "thinking",
    "cache_control",
    "output_config",
    "mcp_servers",
];

/// What OpenAI's count takes of a request.
const OPENAI_COUNTS: &[&str] = &[
    "model",
    "input",
    "instructions",
    "parallel_tool_calls",
    "reasoning",
    "text",
    "tool_choice",
    "tools",
    "truncation",
];

fn only(body: Value, members: &[&str]) -> Value {
    match body {
        Value::Object(all) => {
            let kept: Map<_, _> = all.into_iter().filter(|(name, _)| members.contains(&name.as_str())).collect();
            Value::Object(kept)
        }
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => other,
    }
}

/// The provider's count.
///
/// # Errors
/// 502: there is none in its answer.
pub fn read(provider: Dialect, body: &[u8]) -> Result<u64, Fault> {
    let member = match provider {
        Dialect::Anthropic | Dialect::OpenAiResponses | Dialect::OpenAiChat => "input_tokens",
        Dialect::Gemini => "totalTokens",
    };
    let said = serde_json::from_slice::<Value>(body).ok();
    said.as_ref().and_then(|said| said.get(member)?.as_u64()).ok_or_else(|| {
        let said = format!("the provider's count of tokens cannot be read: \"{member}\" is missing or no number");
        Fault::new(FaultKind::UpstreamError, said)
    })
}

/// A count as the caller reads it.
pub fn tell(caller: Dialect, tokens: u64) -> Vec<u8> {
    let body = match caller {
        Dialect::Anthropic => json!({ "input_tokens": tokens }),
        Dialect::Gemini => json!({ "totalTokens": tokens }),
        Dialect::OpenAiChat | Dialect::OpenAiResponses => {
            json!({ "object": "response.input_tokens", "input_tokens": tokens })
        }
    };
    body.to_string().into_bytes()
}

/// A guess at a request's tokens, in time linear in its size.
pub fn estimate(request: &Request) -> u64 {
    let said: usize = request.instructions.iter().chain(&request.messages).map(message).sum();
    let tools: usize = request.tools.iter().map(tool).sum();
    let form = request.output.as_ref().map_or(0, output);
    u64::try_from(said + tools + form).unwrap_or(u64::MAX)
}

fn message(message: &Message) -> usize {
    TOKENS_PER_MESSAGE + message.name.as_deref().map_or(0, tokens) + message.parts.iter().map(part).sum::<usize>()
}

fn part(part: &Part) -> usize {
    match &part.content {
        Content::Text(text) => tokens(&text.text),
        Content::Refusal(text) => tokens(text),
        Content::Media(seen) => media(seen),
        Content::ToolCall(call) => tokens(&call.name) + tokens(&call.arguments),
        Content::ToolResult(result) => result.parts.iter().map(self::part).sum(),
        // Thoughts of earlier turns are left out by their providers, and seals are no text.
        Content::Reasoning(_) => 0,
        Content::Opaque(opaque) => json_tokens(&opaque.value),
    }
}

fn media(media: &Media) -> usize {
    use crate::ir::MediaKind::{Audio, Document, Image, Video};
    match (media.kind, &media.source) {
        (_, Source::Text { text }) => tokens(text),
        (Image, _) => TOKENS_PER_PICTURE,
        (Document | Audio | Video, Source::Base64 { data, .. }) => {
            TOKENS_PER_PAGE * data.len().div_ceil(BYTES_PER_PAGE)
        }
        (Document | Audio | Video, Source::Url { .. } | Source::FileId { .. }) => TOKENS_PER_PAGE,
    }
}

fn tool(tool: &Tool) -> usize {
    let description = |text: &Option<String>| text.as_deref().map_or(0, tokens);
    match tool {
        Tool::Function(function) => {
            let parameters = function.parameters.as_ref().map_or(0, json_tokens);
            tokens(&function.name) + description(&function.description) + parameters
        }
        Tool::Custom(custom) => {
            tokens(&custom.name) + description(&custom.description) + custom.format.as_ref().map_or(0, json_tokens)
        }
        Tool::Provider(run) => tokens(&run.name),
    }
}

fn output(output: &Output) -> usize {
    match &output.format {
        OutputFormat::JsonSchema { schema: Some(schema), .. } => json_tokens(schema),
        OutputFormat::JsonSchema { schema: None, .. }
        | OutputFormat::Text
        | OutputFormat::JsonObject
        | OutputFormat::Other(_) => 0,
    }
}

fn tokens(text: &str) -> usize {
    text.len().div_ceil(BYTES_PER_TOKEN)
}

fn json_tokens(value: &Value) -> usize {
    codecs::bytes(value).len().div_ceil(BYTES_PER_TOKEN)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn asked(body: &Value) -> Request {
        decode(Dialect::Anthropic, body.to_string().as_bytes(), &RequestHead::default()).unwrap()
    }

    #[test]
    fn a_count_asks_for_no_answer() {
        let body = json!({"model": "claude-sonnet-4-5", "messages": [{"role": "user", "content": "hi"}], "stop_sequences": ["x"]});
        let target = Target::unlimited(Dialect::Anthropic, "claude-sonnet-4-5");
        let mut request = asked(&body);
        request.spoken_in = None;
        let question = encode(&request, &target, Strictness::Report).unwrap();
        let sent: Value = serde_json::from_slice(&question.body.unwrap()).unwrap();
        assert_eq!(sent.get("max_tokens"), None);
        assert_eq!(sent.get("stop_sequences"), None);
        assert_eq!(sent["model"], "claude-sonnet-4-5");
    }

    #[test]
    fn the_model_within_a_question_of_googles_is_that_of_the_path() {
        let inner = json!({"model": "models/g", "contents": [{"role": "user", "parts": [{"text": "hi"}]}]});
        let head = RequestHead { model: Some("g".to_owned()), ..RequestHead::default() };
        let body = json!({"generateContentRequest": inner}).to_string();
        let request = decode(Dialect::Gemini, body.as_bytes(), &head).unwrap();
        for provider in Dialect::ALL {
            let question = encode(&request, &Target::unlimited(provider, "m"), Strictness::Refuse).unwrap();
            assert_eq!(question.losses.header(), None);
        }
    }

    #[test]
    fn nobody_is_asked_where_only_chat_is_spoken() {
        let body = json!({"model": "m", "messages": [{"role": "user", "content": "four bytes to a token"}]});
        let request = asked(&body);
        let target = Target::unlimited(Dialect::OpenAiChat, "m");
        assert_eq!(encode(&request, &target, Strictness::Report).unwrap().body, None);
        assert_eq!(estimate(&request), 4 + 6);
    }

    #[test]
    fn a_picture_is_not_counted_by_its_bytes() {
        let picture = |data: String| {
            let source = json!({"type": "base64", "media_type": "image/png", "data": data});
            estimate(&asked(&json!({"model": "m", "messages": [
                {"role": "user", "content": [{"type": "image", "source": source}]}]})))
        };
        assert_eq!(picture("A".repeat(4)), picture("A".repeat(400_000)));
    }

    #[test]
    fn a_count_that_cannot_be_read_is_the_providers_fault() {
        assert_eq!(read(Dialect::Gemini, br#"{"totalTokens": 7}"#).unwrap(), 7);
        for rubbish in [&b""[..], b"[]", b"{}", br#"{"totalTokens": "many"}"#, b"<html>"] {
            assert_eq!(read(Dialect::Gemini, rubbish).unwrap_err().kind, FaultKind::UpstreamError);
        }
    }
}
