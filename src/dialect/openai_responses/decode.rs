//! From Responses: a caller's request, a provider's whole answer.

mod answer;
mod item;
mod tools;

use serde_json::{Value, json};

use super::{DIALECT, wire};
use crate::dialect::{Fields, Path};
use crate::fault::Fault;
use crate::ir::{
    Carry, Effort, LogprobsAsk, Message, Output, Part, ReasoningAsk, Request, Role, Sampling, Tool, reattach,
};

pub(super) use answer::{OutputItem, failure, finish, output_item, response, searches};
pub(super) use item::{content_part, is_own};

/// Fields that stand for a conversation which the provider keeps.
const KEPT_BY_THE_PROVIDER: [&str; 3] = ["previous_response_id", "conversation", "prompt"];

/// Reads a request.
pub(super) fn request(body: Value) -> Result<Request, Fault> {
    let mut fields = Fields::of(body, Path::ROOT)?;
    let mut notes = Carry::NONE;
    let model = fields.required_string("model")?;
    let mut tools = tools::offered(&mut fields)?;
    notes.note(DIALECT, "tools", tools.len());
    let messages = input(&mut fields, &mut tools, &mut notes)?;
    let instructions = fields.string("instructions")?.map(|text| Message::new(Role::System, vec![Part::text(text)]));
    let (output, verbosity) = text(&mut fields, &mut notes)?;
    let logprobs = include(&mut fields, &mut notes)?;
    // Nothing is lost of these elsewhere: what they say is done anyway.
    for (key, harmless) in [("truncation", json!("disabled")), ("background", json!(false))] {
        if fields.peek(key) == Some(&harmless) {
            fields.forget(key);
            notes.note(DIALECT, key, harmless);
        }
    }
    if let Some(options) = fields.take("stream_options") {
        notes.note(DIALECT, "stream_options", options);
    }
    let mut request = Request {
        spoken_in: Some(DIALECT),
        model,
        stream: fields.boolean("stream")?,
        instructions,
        messages,
        tools,
        tool_choice: fields.take("tool_choice").map(wire::tool_choice_from),
        parallel_tool_calls: fields.boolean("parallel_tool_calls")?,
        reasoning: reasoning(&mut fields)?,
        output,
        verbosity,
        sampling: Sampling {
            temperature: fields.number("temperature")?,
            top_p: fields.number("top_p")?,
            frequency_penalty: fields.number("frequency_penalty")?,
            presence_penalty: fields.number("presence_penalty")?,
            ..Sampling::default()
        },
        max_output: fields.count("max_output_tokens")?,
        logprobs,
        service_tier: fields.string("service_tier")?,
        user: fields.string("user")?,
        safety_identifier: fields.string("safety_identifier")?,
        prompt_cache_key: fields.string("prompt_cache_key")?,
        prompt_cache_retention: fields.string("prompt_cache_retention")?,
        metadata: fields.object("metadata")?,
        store: fields.boolean("store")?,
        ..Request::default()
    };
    request.carry = fields.carry(DIALECT);
    request.carry.merge(notes);
    Ok(request)
}

/// Reads `input`: a text, or a list of items. Tools that are offered in its middle (`additional_tools`) go to the others.
fn input(fields: &mut Fields<'_>, tools: &mut Vec<Tool>, notes: &mut Carry) -> Result<Vec<Message>, Fault> {
    let list = Path::ROOT.key("input");
    let items = match fields.take("input") {
        Some(Value::String(text)) => {
            notes.note(DIALECT, "input", "string");
            return Ok(vec![Message::new(Role::User, vec![Part::text(text)])]);
        }
        Some(Value::Array(items)) => items,
        None if KEPT_BY_THE_PROVIDER.iter().any(|key| fields.peek(key).is_some()) => {
            notes.note(DIALECT, "input", "absent");
            return Ok(Vec::new());
        }
        None => return Err(list.missing()),
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) => {
            return Err(list.invalid("a string or an array of items"));
        }
    };
    let mut messages = Vec::with_capacity(items.len());
    let mut additional = Vec::new();
    for (index, value) in items.into_iter().enumerate() {
        let here = list.index(index);
        if value.get("type").and_then(Value::as_str) == Some("additional_tools") {
            additional.push(json!([messages.len(), value]));
            tools.extend(tools::additional(value, here)?);
        } else {
            messages.push(item::input_item(value, here)?.at(index));
        }
    }
    if !additional.is_empty() {
        notes.note(DIALECT, "additional_tools", additional);
    }
    // An item whose seal goes to another one is gone after this: the places of additional tools are before that.
    reattach(&mut messages);
    Ok(messages)
}

/// Reads `text`: the answer's form and how wordy it is.
fn text(fields: &mut Fields<'_>, notes: &mut Carry) -> Result<(Option<Output>, Option<String>), Fault> {
    let Some(text) = fields.take("text") else { return Ok((None, None)) };
    let path = Path::ROOT.key("text");
    let mut text = Fields::of(text, path)?;
    let output = match text.take("format") {
        Some(format) => Some(wire::output_from(format, path.key("format"))?),
        None => None,
    };
    let verbosity = text.string("verbosity")?;
    notes.note(DIALECT, "text", text.rest());
    Ok((output, verbosity))
}

/// Reads `include` and `top_logprobs`. What else `include` may hold belongs to tools that OpenAI runs.
fn include(fields: &mut Fields<'_>, notes: &mut Carry) -> Result<Option<LogprobsAsk>, Fault> {
    let mut ask = LogprobsAsk { enabled: None, top: fields.count("top_logprobs")? };
    if let Some(list) = fields.strings("include")? {
        ask.enabled = list.iter().any(|word| word == wire::INCLUDE_LOGPROBS).then_some(true);
        notes.note(DIALECT, "include", list);
    }
    // Codex and others always say 0, which asks for nothing.
    if ask.top == Some(0) && ask.enabled.is_none() {
        notes.note(DIALECT, "top_logprobs", 0);
        ask.top = None;
    }
    Ok((ask != LogprobsAsk::default()).then_some(ask))
}

fn reasoning(fields: &mut Fields<'_>) -> Result<Option<ReasoningAsk>, Fault> {
    let Some(value) = fields.take("reasoning") else { return Ok(None) };
    let mut fields = Fields::of(value, Path::ROOT.key("reasoning"))?;
    let effort = fields.string("effort")?.map(|word| Effort::from_word(&word));
    let visibility = fields.peek_str("summary").and_then(wire::visibility_from);
    if visibility.is_some() {
        fields.forget("summary");
    }
    Ok(Some(ReasoningAsk { effort, visibility, carry: fields.carry(DIALECT), ..ReasoningAsk::default() }))
}
