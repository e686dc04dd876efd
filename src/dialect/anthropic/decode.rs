//! From Messages: a caller's request, a provider's whole answer.

use serde_json::{Map, Value};

use super::{DIALECT, blocks, wire};
use crate::dialect::{Fields, Path};
use crate::fault::Fault;
use crate::ir::{
    Carry, Choice, FunctionTool, Message, Opaque, Part, ProviderTool, Request, Response, Role, Sampling, Tool, reattach,
};

/// Reads a request.
pub(super) fn request(body: Value) -> Result<Request, Fault> {
    let mut fields = Fields::of(body, Path::ROOT)?;
    let mut notes = Carry::NONE;
    let model = fields.required_string("model")?;
    let mut messages = Vec::new();
    let list = Path::ROOT.key("messages");
    for (index, value) in fields.array("messages")?.ok_or_else(|| list.missing())?.into_iter().enumerate() {
        messages.push(message(value, list.index(index))?.at(index));
    }
    reattach(&mut messages);

    let instructions = instructions(&mut fields)?;
    let tools = offered_tools(&mut fields, &mut notes)?;
    let (tool_choice, parallel_tool_calls) = match fields.take("tool_choice") {
        Some(value) => {
            let (choice, parallel) = wire::tool_choice_from(value, Path::ROOT.key("tool_choice"))?;
            (Some(choice), parallel)
        }
        None => (None, None),
    };
    let (reasoning, output) = wire::thinking_from(&mut fields)?;
    let stop = match fields.strings("stop_sequences")? {
        Some(list) if list.is_empty() => {
            fields.put_back("stop_sequences", Value::Array(Vec::new()));
            Vec::new()
        }
        list => list.unwrap_or_default(),
    };
    let (user, metadata) = metadata(&mut fields)?;
    let mut request = Request {
        spoken_in: Some(DIALECT),
        model,
        stream: fields.boolean("stream")?,
        instructions,
        messages,
        tools,
        tool_choice,
        parallel_tool_calls,
        reasoning,
        output,
        sampling: Sampling {
            temperature: fields.number("temperature")?,
            top_p: fields.number("top_p")?,
            top_k: fields.number("top_k")?,
            ..Sampling::default()
        },
        stop,
        max_output: fields.count("max_tokens")?,
        service_tier: fields.string("service_tier")?,
        user,
        metadata,
        ..Request::default()
    };
    request.carry = fields.carry(DIALECT);
    request.carry.merge(notes);
    Ok(request)
}

type Labels = Map<String, Value>;

/// Reads `metadata`: the end user, and what stands beside.
fn metadata(fields: &mut Fields<'_>) -> Result<(Option<String>, Option<Labels>), Fault> {
    let Some(metadata) = fields.object("metadata")? else { return Ok((None, None)) };
    let mut metadata = Fields::of_map(metadata, Path::ROOT.key("metadata"));
    let user = metadata.string("user_id")?;
    let rest = metadata.rest();
    let says_more = !rest.is_empty() || user.is_none();
    Ok((user, says_more.then_some(rest)))
}

fn instructions(fields: &mut Fields<'_>) -> Result<Option<Message>, Fault> {
    let mut notes = Carry::NONE;
    let path = Path::ROOT.key("system");
    let parts = match fields.take("system") {
        None => return Ok(None),
        Some(Value::String(text)) => vec![Part::text(text)],
        Some(Value::Array(list)) => {
            notes.note(DIALECT, "content", "blocks");
            let blocks = list.into_iter().enumerate();
            let blocks = blocks.map(|(index, value)| Ok(blocks::read(value, path.index(index))?.at(index)));
            blocks.collect::<Result<_, Fault>>()?
        }
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) => {
            return Err(path.invalid("a string or an array of text blocks"));
        }
    };
    Ok(Some(Message { carry: notes, ..Message::new(Role::System, parts) }))
}

fn message(value: Value, path: Path<'_>) -> Result<Message, Fault> {
    let mut fields = Fields::of(value, path)?;
    let word = fields.required_string("role")?;
    let Some(role) = wire::role_from(&word) else {
        return Err(fields.invalid("role", "\"user\", \"assistant\" or \"system\""));
    };
    if fields.peek("content").is_none() && role != Role::System {
        return Err(fields.missing("content"));
    }
    let mut notes = Carry::NONE;
    let mut parts = blocks::content(&mut fields, &mut notes)?;
    if role == Role::Assistant {
        parts.iter_mut().for_each(blocks::tell_summary);
    }
    let mut carry = fields.carry(DIALECT);
    carry.merge(notes);
    Ok(Message { carry, ..Message::new(role, parts) })
}

/// Reads `tools`, and `mcp_servers`, whose tools Anthropic calls by itself.
fn offered_tools(fields: &mut Fields<'_>, notes: &mut Carry) -> Result<Vec<Tool>, Fault> {
    let mut tools = Vec::new();
    if let Some(values) = fields.array("tools")? {
        if values.is_empty() {
            fields.put_back("tools", Value::Array(Vec::new()));
        }
        let list = Path::ROOT.key("tools");
        for (index, value) in values.into_iter().enumerate() {
            tools.push(tool(value, list.index(index))?);
        }
    }
    if let Some(servers) = fields.take("mcp_servers") {
        notes.note(DIALECT, "mcp_servers", true);
        let original = Opaque::new(DIALECT, servers);
        let name = "mcp_servers".to_owned();
        tools.push(Tool::Provider(ProviderTool { field: name.clone(), name, original }));
    }
    Ok(tools)
}

fn tool(value: Value, path: Path<'_>) -> Result<Tool, Fault> {
    let mut fields = Fields::of(value, path)?;
    let mut notes = Carry::NONE;
    match fields.string("type")? {
        None => {}
        Some(kind) if kind == "custom" => notes.note(DIALECT, "type", kind),
        Some(kind) => {
            let mut whole = Map::from_iter([("type".to_owned(), Value::from(kind.as_str()))]);
            whole.extend(fields.rest());
            return Ok(Tool::Provider(ProviderTool {
                name: kind,
                field: path.to_string(),
                original: Opaque::new(DIALECT, whole.into()),
            }));
        }
    }
    let name = fields.required_string("name")?;
    let description = fields.string("description")?;
    let parameters = fields.take("input_schema");
    let strict = fields.boolean("strict")?;
    let cache = wire::cache_from(&mut fields);
    let mut carry = fields.carry(DIALECT);
    carry.merge(notes);
    Ok(Tool::Function(FunctionTool { name, description, parameters, strict, cache, carry }))
}

/// Reads a whole answer.
pub(super) fn response(body: Value) -> Result<Response, Fault> {
    let mut fields = Fields::of(body, Path::ROOT)?;
    if fields.peek_str("type") == Some("error") {
        let error = wire::stream_error_from(&fields.required("error")?);
        return Ok(Response { error: Some(error), ..Response::default() });
    }
    head(&mut fields);
    let list = Path::ROOT.key("content");
    let blocks = fields.array("content")?.ok_or_else(|| list.missing())?.into_iter().enumerate();
    let parts = blocks.map(|(index, block)| blocks::read(block, list.index(index))).collect::<Result<_, _>>()?;
    let finish = match fields.string("stop_reason")? {
        Some(word) => {
            let mut finish = wire::finish_from(word);
            finish.stop_sequence = fields.string("stop_sequence")?;
            finish.details = fields.take("stop_details").map(|details| Opaque::new(DIALECT, details));
            Some(finish)
        }
        None => None,
    };
    let usage = fields.take("usage");
    Ok(Response {
        id: fields.string("id")?,
        model: fields.string("model")?,
        created: None,
        choices: vec![Choice { index: 0, parts, finish, carry: Carry::NONE }],
        service_tier: usage.as_ref().and_then(wire::tier_from),
        usage: usage.map(wire::usage_from),
        error: None,
        carry: fields.carry(DIALECT),
    })
}

/// Takes what every answer begins with and what says nothing.
pub(super) fn head(fields: &mut Fields<'_>) {
    for (key, word) in [("type", "message"), ("role", "assistant")] {
        if fields.peek_str(key) == Some(word) {
            fields.forget(key);
        }
    }
}
