//! What a caller calls a field: codecs know it by its place and name in the in-between representation, and whoever reads a
//! refusal looks for it in what was written.

use serde_json::Value;

use crate::dialect::Dialect;
use crate::ir::{Content, Message, Part, Request, Tool};

/// The caller's own path for a field: `input[3].content[0]` for `messages[2].content[0]`, `max_output_tokens` for
/// `max_tokens`.
pub(super) fn called(request: &Request, field: &str) -> String {
    let Some(caller) = request.spoken_in else { return field.to_owned() };
    if let Some((number, rest)) = indexed(field, "messages") {
        return in_message(caller, request, number, rest);
    }
    if let Some(rest) = field.strip_prefix("system.")
        && let Some((number, rest)) = indexed(rest, "content")
    {
        return in_instructions(caller, request, number) + rest;
    }
    if let Some((number, rest)) = indexed(field, "tools") {
        return tool(caller, request, number, rest);
    }
    if field == "reasoning.summary" && caller == Dialect::Gemini {
        return "generationConfig.thinkingConfig.includeThoughts".to_owned();
    }
    let end = field.find(['.', '[']).unwrap_or(field.len());
    let (head, rest) = field.split_at(end);
    match word(caller, request, head, rest) {
        Some(own) => format!("{own}{rest}"),
        None => field.to_owned(),
    }
}

/// The number and what follows, if the path begins with an element of this list.
fn indexed<'f>(field: &'f str, list: &str) -> Option<(usize, &'f str)> {
    let (number, rest) = field.strip_prefix(list)?.strip_prefix('[')?.split_once(']')?;
    Some((number.parse().ok()?, rest))
}

fn in_message(caller: Dialect, request: &Request, number: usize, rest: &str) -> String {
    let Some(message) = request.messages.get(number) else { return format!("messages[{number}]{rest}") };
    let place = message.place.0;
    let list = match caller {
        Dialect::OpenAiChat | Dialect::Anthropic => format!("messages[{place}]"),
        Dialect::OpenAiResponses if is_noted(request, "input", "string") => "input".to_owned(),
        Dialect::OpenAiResponses => format!("input[{place}]"),
        Dialect::Gemini => format!("contents[{place}]"),
    };
    let part = rest.strip_prefix('.').and_then(|rest| indexed(rest, "content"));
    match part.and_then(|(part, rest)| Some((message.parts.get(part)?, rest))) {
        Some((part, rest)) => {
            let rest = match (caller, rest) {
                (Dialect::Anthropic, ".filename") => ".title",
                (Dialect::Gemini, ".filename") => ".displayName",
                (_, rest) => rest,
            };
            format!("{list}{}{rest}", in_part(caller, message, part))
        }
        None => format!("{list}{rest}"),
    }
}

fn in_instructions(caller: Dialect, request: &Request, number: usize) -> String {
    let message = request.instructions.as_ref();
    let place = message.and_then(|message| message.parts.get(number)).map_or(0, |part| part.place.0);
    match caller {
        Dialect::OpenAiChat | Dialect::OpenAiResponses => "instructions".to_owned(),
        Dialect::Anthropic if message.is_some_and(|message| message.carry.has_note(caller, "content")) => {
            format!("system[{place}]")
        }
        Dialect::Anthropic => "system".to_owned(),
        Dialect::Gemini => format!("systemInstruction.parts[{place}]"),
    }
}

/// A tool, and what of it. Dialects that group tools are read as one list.
fn tool(caller: Dialect, request: &Request, number: usize, rest: &str) -> String {
    let carry = match request.tools.get(number) {
        Some(Tool::Provider(tool)) => return format!("{}{rest}", tool.field),
        Some(Tool::Function(tool)) => &tool.carry,
        Some(Tool::Custom(tool)) => &tool.carry,
        None => return format!("tools[{number}]{rest}"),
    };
    let place = match caller {
        Dialect::OpenAiChat | Dialect::Anthropic => format!("tools[{number}]"),
        Dialect::OpenAiResponses => in_namespaces(request, number),
        Dialect::Gemini => in_declarations(request, number),
    };
    let rest = match (caller, rest) {
        (Dialect::OpenAiChat, ".parameters") => ".function.parameters",
        (Dialect::OpenAiChat, ".strict") => ".function.strict",
        (Dialect::OpenAiChat, ".format") => ".custom.format",
        (Dialect::Anthropic, ".parameters") => ".input_schema",
        (Dialect::Gemini, ".parameters") if !carry.has_note(caller, "parameters") => ".parametersJsonSchema",
        (Dialect::OpenAiChat | Dialect::OpenAiResponses | Dialect::Anthropic | Dialect::Gemini, rest) => rest,
    };
    format!("{place}{rest}")
}

/// Where Google's callers wrote a function: groups hold so many functions, and so many other tools.
fn in_declarations(request: &Request, mut number: usize) -> String {
    let groups = request.carry.noted_as(Dialect::Gemini, "tools").and_then(Value::as_array);
    for (place, group) in groups.into_iter().flatten().enumerate() {
        let count = |at: usize| group.get(at).and_then(Value::as_u64).and_then(|count| usize::try_from(count).ok());
        let functions = count(0).unwrap_or(0);
        if number < functions {
            return format!("tools[{place}].functionDeclarations[{number}]");
        }
        number = number.saturating_sub(functions + count(1).unwrap_or(0));
    }
    format!("tools[{number}]")
}

/// Where callers of Responses wrote a tool: namespaces hold several, and items of the input offer more.
fn in_namespaces(request: &Request, number: usize) -> String {
    let noted = |key: &str| request.carry.noted_as(Dialect::OpenAiResponses, key);
    let count = noted("tools").and_then(Value::as_u64).and_then(|count| usize::try_from(count).ok());
    if count.is_some_and(|count| number >= count) {
        return "input".to_owned();
    }
    let group = |tool: &Tool| {
        let carry = match tool {
            Tool::Function(tool) => &tool.carry,
            Tool::Custom(tool) => &tool.carry,
            Tool::Provider(_) => return None,
        };
        carry.noted_as(Dialect::OpenAiResponses, "group")?.get("number")?.as_u64()
    };
    let (mut place, mut inner, mut open) = (0, 0, None);
    for (index, tool) in request.tools.iter().take(number + 1).enumerate() {
        let this = group(tool);
        if index > 0 && (this.is_none() || this != open) {
            (place, inner) = (place + 1, 0);
        } else if index > 0 {
            inner += 1;
        }
        open = this;
    }
    if open.is_some() { format!("tools[{place}].tools[{inner}]") } else { format!("tools[{place}]") }
}

fn is_noted(request: &Request, key: &str, word: &str) -> bool {
    request.carry.noted_as(Dialect::OpenAiResponses, key).and_then(|note| note.as_str()) == Some(word)
}

/// Where a part stands in its message.
fn in_part(caller: Dialect, message: &Message, part: &Part) -> String {
    let place = part.place.0;
    let has_note = |key: &str| message.carry.has_note(caller, key);
    match caller {
        Dialect::OpenAiChat => match &part.content {
            Content::ToolCall(_) => format!(".tool_calls[{place}]"),
            Content::Refusal(_) if !part.carry.has_note(caller, "in_content") => ".refusal".to_owned(),
            Content::Reasoning(_)
                if part.carry.noted_as(caller, "field").is_some_and(|field| field == "reasoning_details") =>
            {
                format!(".reasoning_details[{place}]")
            }
            Content::Reasoning(_) => ".reasoning_content".to_owned(),
            Content::ToolResult(_) => ".content".to_owned(),
            // A message whose role is not known is one node.
            Content::Opaque(opaque) if opaque.value.get("role").is_some() => String::new(),
            Content::Text(_) | Content::Media(_) | Content::Opaque(_) | Content::Refusal(_) if has_note("content") => {
                format!(".content[{place}]")
            }
            Content::Text(_) | Content::Media(_) | Content::Opaque(_) | Content::Refusal(_) => ".content".to_owned(),
        },
        // All items but messages are one part.
        Dialect::OpenAiResponses if matches!(part.content, Content::ToolResult(_)) => ".output".to_owned(),
        Dialect::OpenAiResponses if !has_note("own") => String::new(),
        Dialect::OpenAiResponses if has_note("content") => ".content".to_owned(),
        Dialect::OpenAiResponses => format!(".content[{place}]"),
        Dialect::Anthropic if has_note("content") => format!(".content[{place}]"),
        Dialect::Anthropic => ".content".to_owned(),
        Dialect::Gemini => format!(".parts[{place}]"),
    }
}

/// The caller's name for a field of the request, where it is another one.
fn word(caller: Dialect, request: &Request, head: &str, rest: &str) -> Option<&'static str> {
    match (caller, head) {
        (Dialect::OpenAiChat, "max_tokens") if request.carry.has_note(caller, "max_output") => return None,
        (Dialect::Gemini, "system") if rest.is_empty() => return Some("systemInstruction.parts[0]"),
        // Thoughts in the conversation have the name of the wish to think.
        (Dialect::Gemini, "reasoning") if rest.is_empty() => return None,
        _ => {}
    }
    let (_, chat, responses, messages, gemini) = NAMES.into_iter().find(|(name, ..)| *name == head)?;
    let name = match caller {
        Dialect::OpenAiChat => chat,
        Dialect::OpenAiResponses => responses,
        Dialect::Anthropic => messages,
        Dialect::Gemini => gemini,
    };
    (!name.is_empty()).then_some(name)
}

/// All fields that codecs name, and what they are called in chat completions, Responses, Messages and generateContent. Empty: the
/// same, or that format has none.
#[rustfmt::skip]
const NAMES: [(&str, &str, &str, &str, &str); 32] = [
    ("annotations", "", "", "", ""),
    ("cache_control", "", "", "", ""),
    ("frequency_penalty", "", "", "", "generationConfig.frequencyPenalty"),
    ("logit_bias", "", "", "", ""),
    ("logprobs", "", "top_logprobs", "", "generationConfig.responseLogprobs"),
    ("max_tokens", "max_completion_tokens", "max_output_tokens", "", "generationConfig.maxOutputTokens"),
    ("messages", "", "input", "", "contents"),
    ("metadata", "", "", "", "labels"),
    ("modalities", "", "", "", "generationConfig.responseModalities"),
    ("n", "", "", "", "generationConfig.candidateCount"),
    ("parallel_tool_calls", "", "", "tool_choice.disable_parallel_tool_use", ""),
    ("presence_penalty", "", "", "", "generationConfig.presencePenalty"),
    ("prompt_cache_key", "", "", "", ""),
    ("prompt_cache_retention", "", "", "", ""),
    ("reasoning", "", "", "", "generationConfig.thinkingConfig"),
    ("reasoning_details", "", "", "", ""),
    ("response_format", "", "text.format", "output_config.format", "generationConfig.responseMimeType"),
    ("safety_identifier", "", "", "", ""),
    ("seed", "", "", "", "generationConfig.seed"),
    ("service_tier", "", "", "", "serviceTier"),
    ("stop", "", "", "stop_sequences", "generationConfig.stopSequences"),
    ("store", "", "", "", ""),
    ("system", "", "instructions", "", "systemInstruction"),
    ("temperature", "", "", "", "generationConfig.temperature"),
    ("thinking", "", "", "", ""),
    ("tool_choice", "", "", "", "toolConfig.functionCallingConfig"),
    ("tools", "", "", "", ""),
    ("top_k", "", "", "", "generationConfig.topK"),
    ("top_logprobs", "", "", "", "generationConfig.logprobs"),
    ("top_p", "", "", "", "generationConfig.topP"),
    ("user", "", "", "metadata.user_id", ""),
    ("verbosity", "", "text.verbosity", "", ""),
];

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use std::path::{Path, PathBuf};

    use serde_json::{Value, json};

    use super::NAMES;
    use crate::dialect::{Dialect, RequestHead, Target};
    use crate::translate::{Strictness, decode, encode};

    /// The field that a request is refused for, on its way to this provider.
    fn refused(caller: Dialect, provider: Dialect, strictness: Strictness, body: &Value) -> String {
        let request = decode(caller, body.to_string().as_bytes(), &RequestHead::default()).unwrap();
        let fault = encode(&request, &Target::unlimited(provider, "m"), strictness).unwrap_err();
        let field = fault.param.unwrap();
        assert!(fault.message.starts_with(&format!("{field} ")), "{field}: {}", fault.message);
        assert_eq!(fault.kind.status(), 400);
        field
    }

    /// The files that write requests.
    fn encoders() -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src/dialect")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let is_of_answers = path.ends_with("answer.rs") || path.ends_with("node.rs");
                let is_of_answers = is_of_answers || path.to_string_lossy().contains("/stream/");
                let writes = ["/encode", "/adapt"].iter().any(|part| path.to_string_lossy().contains(part));
                if path.is_dir() {
                    folders.push(path);
                } else if writes && !is_of_answers {
                    found.push(path);
                }
            }
        }
        found
    }

    #[test]
    fn every_field_that_an_encoder_names_is_in_the_table() {
        assert!(NAMES.is_sorted(), "as a dictionary");
        let mut named = 0;
        for path in encoders() {
            let text = std::fs::read_to_string(&path).unwrap();
            let said = ["losses.ignored(\"", "losses.approximated(\"", "losses.refused(\""].into_iter();
            for rest in said.flat_map(|said| text.split(said).skip(1)) {
                let field = rest.split(['"', '.', '[']).next().unwrap();
                assert!(NAMES.iter().any(|(name, ..)| *name == field), "{field} of {}", path.display());
                named += 1;
            }
        }
        assert!(named > 40, "only {named} were found");
    }

    #[test]
    fn what_is_refused_has_the_callers_own_path() {
        let text = "x";
        let audio = json!({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}});
        let chat = |message: Value| json!({"model": "m", "messages": [{"role": "system", "content": text}, message]});
        let responses = |items: Value| json!({"model": "m", "input": items});
        let messages = |message: Value| json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": text}, message]});
        let gemini = |contents: Value| json!({"contents": contents});
        let user = json!({"role": "user", "content": text});
        let tools =
            json!({"type": "additional_tools", "role": "developer", "tools": [{"type": "function", "name": "f"}]});
        let (anthropic, openai) = (Dialect::Anthropic, Dialect::OpenAiChat);
        for (caller, provider, body, field) in [
            (
                Dialect::OpenAiChat,
                anthropic,
                chat(json!({"role": "user", "content": [{"type": "text", "text": "x"}, audio]})),
                "messages[1].content[1]",
            ),
            (
                Dialect::OpenAiChat,
                anthropic,
                chat(json!({"role": "function", "name": "f", "content": "x"})),
                "messages[1]",
            ),
            (
                Dialect::OpenAiResponses,
                anthropic,
                responses(
                    json!([user, tools, {"role": "user", "content": [{"type": "input_text", "text": "x"}, audio]}]),
                ),
                "input[2].content[1]",
            ),
            (
                Dialect::OpenAiResponses,
                anthropic,
                responses(json!([user, {"type": "item_reference", "id": "i"}])),
                "input[1]",
            ),
            (
                Dialect::OpenAiResponses,
                anthropic,
                responses(json!([
                {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "c", "output": [audio]}])),
                "input[1].output",
            ),
            (
                anthropic,
                openai,
                messages(
                    json!({"role": "user", "content": [{"type": "text", "text": "x"}, {"type": "container_upload", "file_id": "f"}]}),
                ),
                "messages[1].content[1]",
            ),
            (
                Dialect::Gemini,
                anthropic,
                gemini(json!([{"role": "user", "parts": [{"text": "x"}]}, {"role": "user", "parts": [
                {"text": "x"}, {"inlineData": {"mimeType": "audio/wav", "data": "AAAA"}}]}])),
                "contents[1].parts[1]",
            ),
            (
                Dialect::Gemini,
                anthropic,
                json!({"systemInstruction": {"parts": [{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]},
                "contents": [{"role": "user", "parts": [{"text": "x"}]}]}),
                "systemInstruction.parts[0]",
            ),
            (
                Dialect::Gemini,
                anthropic,
                json!({"generationConfig": {"candidateCount": 3}, "contents": [{"role": "user", "parts": [{"text": "x"}]}]}),
                "generationConfig.candidateCount",
            ),
        ] {
            assert_eq!(refused(caller, provider, Strictness::Report, &body), field, "{body}");
        }
    }

    #[test]
    fn what_a_strict_caller_would_lose_has_the_callers_own_name() {
        let chat = json!({"model": "m", "messages": [{"role": "user", "content": "x", "name": "n"}]});
        let responses = json!({"model": "m", "input": "x", "text": {"verbosity": "low"}});
        let messages = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}],
            "tools": [{"name": "f", "input_schema": {"type": "object"}}], "tool_choice": {"type": "auto", "disable_parallel_tool_use": true}});
        let gemini = |config: Value| json!({"contents": [{"role": "user", "parts": [{"text": "x"}]}], "generationConfig": config});
        for (caller, provider, body, field) in [
            (Dialect::OpenAiChat, Dialect::Gemini, chat, "messages[0].name"),
            (Dialect::OpenAiResponses, Dialect::Gemini, responses, "text.verbosity"),
            (Dialect::Anthropic, Dialect::Gemini, messages, "tool_choice.disable_parallel_tool_use"),
            (Dialect::Gemini, Dialect::Anthropic, gemini(json!({"seed": 3})), "generationConfig.seed"),
            (
                Dialect::Gemini,
                Dialect::Anthropic,
                gemini(json!({"mediaResolution": "MEDIA_RESOLUTION_LOW"})),
                "generationConfig.mediaResolution",
            ),
        ] {
            assert_eq!(refused(caller, provider, Strictness::Refuse, &body), field, "{body}");
        }
    }
}
