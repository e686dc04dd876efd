//! From generateContent: a caller's request, a provider's whole answer.

mod answer;

use std::collections::{HashMap, HashSet, VecDeque};

use serde_json::{Map, Value, json};

use super::parts::part_from;
use super::wire::{self, list, open};
use super::{DIALECT, schema};
use crate::dialect::{Delivery, Fields, Path, RequestHead};
use crate::fault::Fault;
use crate::ir::{
    Carry, Content, FunctionTool, LogprobsAsk, Message, Opaque, Origin, Part, ProviderTool, Reasoning, ReasoningText,
    Request, Role, Sampling, TextKind, Tool, mark, reattach,
};

pub(super) use answer::{call_id, feedback_finish, response};

/// Reads a request.
pub(super) fn request(body: Value, head: &RequestHead) -> Result<Request, Fault> {
    let mut fields = open(body, Path::ROOT)?;
    // `countTokens` takes a whole request in place of contents.
    if let Some(inner) = fields.take("generateContentRequest") {
        fields = open(inner, Path::ROOT)?;
    }
    let mut notes = Carry::NONE;
    let model = match &head.model {
        Some(model) => model.clone(),
        None => {
            let named = fields.peek_str("model").map(|model| model.strip_prefix("models/").unwrap_or(model));
            named.unwrap_or_default().to_owned()
        }
    };
    let mut messages = Vec::new();
    let contents = Path::ROOT.key("contents");
    for (index, value) in list(&mut fields, "contents")?.ok_or_else(|| contents.missing())?.into_iter().enumerate() {
        messages.push(content(value, contents.index(index))?.at(index));
    }
    match_calls(&mut messages);
    reattach(&mut messages);
    join_thoughts(&mut messages);
    let instructions = match fields.take("systemInstruction") {
        Some(value) => Some(instructions(value, Path::ROOT.key("systemInstruction"))?),
        None => None,
    };
    let tools = tools(&mut fields, &mut notes)?;
    let tool_choice = tool_choice(&mut fields)?;
    let service_tier = match fields.string("serviceTier")? {
        Some(tier) if tier.eq_ignore_ascii_case("standard") => {
            notes.note(DIALECT, "serviceTier", tier);
            Some("default".to_owned())
        }
        tier => tier,
    };
    let mut request = Request {
        spoken_in: Some(DIALECT),
        model,
        stream: head.delivery.map(Delivery::is_stream),
        instructions,
        messages,
        tools,
        tool_choice,
        service_tier,
        metadata: fields.object("labels")?,
        store: fields.boolean("store")?,
        ..Request::default()
    };
    if let Some(config) = fields.take("generationConfig") {
        let rest = generation_config(config, &mut request, &mut notes)?;
        if let Some(rest) = rest {
            fields.put_back("generationConfig", rest.into());
        }
    }
    request.carry = fields.carry(DIALECT);
    request.carry.merge(notes);
    Ok(request)
}

fn content(value: Value, path: Path<'_>) -> Result<Message, Fault> {
    let mut fields = open(value, path)?;
    let word = fields.string("role")?;
    let Some((role, note)) = wire::role_from(word.as_deref()) else {
        return Err(fields.invalid("role", "\"user\" or \"model\""));
    };
    let places = path.key("parts");
    let mut parts = Vec::new();
    let mut notes = Carry::NONE;
    match list(&mut fields, "parts")? {
        None => notes.note(DIALECT, "no_parts", true),
        Some(values) => {
            for (index, value) in values.into_iter().enumerate() {
                parts.push(part_from(value, places.index(index))?.at(index));
            }
        }
    }
    if let Some(note) = note {
        notes.note(DIALECT, "role", note);
    }
    let mut carry = fields.carry(DIALECT);
    carry.merge(notes);
    Ok(Message { carry, ..Message::new(role, parts) })
}

/// Reads `systemInstruction`: its role means nothing.
fn instructions(value: Value, path: Path<'_>) -> Result<Message, Fault> {
    let mut fields = open(value, path)?;
    let role = fields.string("role")?;
    let places = path.key("parts");
    let mut parts = Vec::new();
    for (index, value) in list(&mut fields, "parts")?.unwrap_or_default().into_iter().enumerate() {
        parts.push(part_from(value, places.index(index))?.at(index));
    }
    let mut carry = fields.carry(DIALECT);
    if let Some(role) = role {
        carry.note(DIALECT, "role", role);
    }
    Ok(Message { carry, ..Message::new(Role::System, parts) })
}

/// Gives calls and results without an id one: results belong to the calls of the turn before them, by their names and in
/// their order. The ids depend on nothing that comes later, so that they stay the same as a conversation grows.
fn match_calls(messages: &mut [Message]) {
    let mut open: HashMap<String, VecDeque<String>> = HashMap::new();
    let mut answered: HashSet<String> = HashSet::new();
    let mut in_model_turn = false;
    let mut count = 0_usize;
    for message in messages {
        let is_model = message.role == Role::Assistant;
        if is_model && !in_model_turn {
            open.clear();
            answered.clear();
        }
        in_model_turn = is_model;
        for part in &mut message.parts {
            match &mut part.content {
                Content::ToolCall(call) => {
                    count += 1;
                    if call.id.is_empty() {
                        call.id = mark::call_id(&["request", &count.to_string(), &call.name]);
                    }
                    open.entry(call.name.clone()).or_default().push_back(call.id.clone());
                }
                Content::ToolResult(result) if result.call_id.is_empty() => {
                    let name = result.name.clone().unwrap_or_default();
                    let queue = open.get_mut(&name);
                    let next = queue
                        .and_then(|queue| std::iter::from_fn(|| queue.pop_front()).find(|id| !answered.contains(id)));
                    count += 1;
                    result.call_id = next.unwrap_or_else(|| mark::call_id(&["unasked", &count.to_string(), &name]));
                }
                Content::ToolResult(result) => {
                    answered.insert(result.call_id.clone());
                }
                Content::Text(_)
                | Content::Refusal(_)
                | Content::Media(_)
                | Content::Reasoning(_)
                | Content::Opaque(_) => {}
            }
        }
    }
}

/// A streamed answer of another vendor comes back in pieces: thoughts, and at last their seal alone. Put together, they
/// are again what that vendor sealed.
fn join_thoughts(messages: &mut [Message]) {
    // Of each run of thoughts without a seal: where its first part is, and its words.
    let mut run: Option<(usize, usize, String)> = None;
    let mut gone: HashSet<(usize, usize)> = HashSet::new();
    let mut of_run: Vec<(usize, usize)> = Vec::new();
    for (place, message) in messages.iter_mut().enumerate() {
        if message.role != Role::Assistant {
            run = None;
        }
        for (number, part) in message.parts.iter_mut().enumerate() {
            let Content::Reasoning(reasoning) = &mut part.content else {
                run = None;
                continue;
            };
            match &part.seal {
                None => {
                    if run.is_none() {
                        of_run.clear();
                    }
                    of_run.push((place, number));
                    let (_, _, words) = run.get_or_insert((place, number, String::new()));
                    words.push_str(&reasoning.joined());
                }
                Some(seal) => {
                    if let Some((_, _, mut words)) = run.take().filter(|_| seal.origin != Origin::Gemini) {
                        words.push_str(&reasoning.joined());
                        reasoning.texts = vec![ReasoningText { kind: TextKind::Full, text: words }];
                        gone.extend(of_run.drain(..));
                    }
                }
            }
        }
    }
    if gone.is_empty() {
        return;
    }
    for (place, message) in messages.iter_mut().enumerate() {
        let mut number = 0;
        message.parts.retain(|_| {
            number += 1;
            !gone.contains(&(place, number - 1))
        });
    }
}

/// Reads `tools`. One entry may hold several functions, and provider-run tools beside them: the note says how they stood.
fn tools(fields: &mut Fields<'_>, notes: &mut Carry) -> Result<Vec<Tool>, Fault> {
    let Some(values) = list(fields, "tools")? else { return Ok(Vec::new()) };
    let mut tools = Vec::new();
    let mut groups = Vec::with_capacity(values.len());
    let places = Path::ROOT.key("tools");
    for (index, value) in values.into_iter().enumerate() {
        let path = places.index(index);
        let mut group = open(value, path)?;
        let declarations = list(&mut group, "functionDeclarations")?;
        let functions = path.key("functionDeclarations");
        let count = declarations.as_ref().map(Vec::len);
        for (number, value) in declarations.into_iter().flatten().enumerate() {
            tools.push(Tool::Function(function(value, functions.index(number))?));
        }
        let others = group.rest();
        groups.push(json!([count, others.len()]));
        for (key, value) in others {
            let original = Opaque::new(DIALECT, Map::from_iter([(key.clone(), value)]).into());
            tools.push(Tool::Provider(ProviderTool { name: key, field: path.to_string(), original }));
        }
    }
    notes.note(DIALECT, "tools", groups);
    Ok(tools)
}

fn function(value: Value, path: Path<'_>) -> Result<FunctionTool, Fault> {
    let mut fields = open(value, path)?;
    let name = fields.required_string("name")?;
    let description = fields.string("description")?;
    let mut notes = Carry::NONE;
    let parameters = match (fields.take("parameters"), fields.peek("parametersJsonSchema").is_some()) {
        (None, false) => None,
        (None, true) => fields.take("parametersJsonSchema"),
        (Some(original), is_both) => {
            if is_both {
                return Err(fields.invalid("parameters", "absent where parametersJsonSchema is there"));
            }
            let converted = schema::to_json_schema(&original);
            notes.note(DIALECT, "parameters", original);
            Some(converted)
        }
    };
    let mut carry = fields.carry(DIALECT);
    carry.merge(notes);
    Ok(FunctionTool { name, description, parameters, strict: None, cache: None, carry })
}

/// Reads `toolConfig`; what is not about calling functions stays.
fn tool_choice(fields: &mut Fields<'_>) -> Result<Option<crate::ir::ToolChoice>, Fault> {
    let Some(config) = fields.take("toolConfig") else { return Ok(None) };
    let path = Path::ROOT.key("toolConfig");
    let mut config = open(config, path)?;
    let choice = match config.take("functionCallingConfig") {
        Some(value) => Some(wire::tool_choice_from(value, path.key("functionCallingConfig"))?),
        None => None,
    };
    let rest = config.rest();
    if choice.is_none() || !rest.is_empty() {
        fields.put_back("toolConfig", rest.into());
    }
    Ok(choice)
}

/// Reads `generationConfig`, and gives what is left of it, if there is any or if it was empty.
fn generation_config(
    value: Value,
    request: &mut Request,
    notes: &mut Carry,
) -> Result<Option<Map<String, Value>>, Fault> {
    let path = Path::ROOT.key("generationConfig");
    let mut config = open(value, path)?;
    if let Some(thinking) = config.take("thinkingConfig") {
        request.reasoning = Some(wire::thinking_from(thinking, path.key("thinkingConfig"))?);
    }
    request.output = wire::output_from(&mut config)?;
    request.sampling = Sampling {
        temperature: wire::number(&mut config, "temperature")?,
        top_p: wire::number(&mut config, "topP")?,
        top_k: wire::number(&mut config, "topK")?,
        frequency_penalty: wire::number(&mut config, "frequencyPenalty")?,
        presence_penalty: wire::number(&mut config, "presencePenalty")?,
        seed: wire::number(&mut config, "seed")?,
        logit_bias: None,
    };
    request.max_output = wire::count(&mut config, "maxOutputTokens")?;
    request.candidates = wire::count(&mut config, "candidateCount")?;
    if let Some(stop) = config.strings("stopSequences")? {
        if stop.is_empty() {
            config.put_back("stopSequences", json!([]));
        }
        request.stop = stop;
    }
    let logprobs =
        LogprobsAsk { enabled: config.boolean("responseLogprobs")?, top: wire::count(&mut config, "logprobs")? };
    request.logprobs = (logprobs != LogprobsAsk::default()).then_some(logprobs);
    if let Some(modalities) = config.strings("responseModalities")? {
        request.modalities = modalities.iter().map(|word| word.to_ascii_lowercase()).collect();
        if modalities.is_empty()
            || request.modalities.iter().zip(&modalities).any(|(low, said)| low.to_ascii_uppercase() != *said)
        {
            notes.note(DIALECT, "modalities", modalities);
        }
    }
    let rest = config.rest();
    let says_nothing_else = request.reasoning.is_none()
        && request.output.is_none()
        && request.sampling == Sampling::default()
        && request.max_output.is_none()
        && request.candidates.is_none()
        && request.stop.is_empty()
        && request.logprobs.is_none()
        && request.modalities.is_empty();
    Ok((!rest.is_empty() || says_nothing_else).then_some(rest))
}

/// Thoughts that an answer holds in one part.
pub(super) fn thought(text: String) -> Part {
    Part::new(Content::Reasoning(Reasoning::of(TextKind::Summary, text)))
}
