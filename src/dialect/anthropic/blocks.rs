//! Content blocks, each with both directions: what stands in messages, in tool results and in answers.

use serde_json::{Map, Value, json};

use super::{DIALECT, wire};
use crate::dialect::{Fields, Object, Path};
use crate::fault::Fault;
use crate::ir::{
    CallKind, Carry, Content, Media, MediaKind, Origin, Outcome, Part, Reasoning, Seal, SealKind, Source, Text,
    TextKind, ToolCall, ToolResult, mark,
};

/// Reads one block. One that is not known here, or that only Anthropic understands, stays as it is.
pub(super) fn read(value: Value, path: Path<'_>) -> Result<Part, Fault> {
    let mut fields = Fields::of(value, path)?;
    match fields.peek_str("type").unwrap_or_default() {
        "text" => text(fields),
        "image" => media(fields, MediaKind::Image),
        "document" => media(fields, MediaKind::Document),
        "search_result" => search_result(fields),
        "thinking" => thinking(fields),
        "redacted_thinking" => redacted(fields),
        "tool_use" => tool_use(fields),
        "tool_result" => tool_result(fields),
        _ => {
            let kind = fields.required_string("type")?;
            Ok(opaque(kind, fields))
        }
    }
}

/// A summary that stands for what was said before (`compaction`) is text for all others.
pub(super) fn tell_summary(part: &mut Part) {
    let Content::Opaque(block) = &part.content else { return };
    let summary = block.value.get("content").and_then(Value::as_str).filter(|summary| !summary.is_empty());
    if let (true, Some(summary)) = (block.type_name() == "compaction", summary) {
        let text = Part::text(summary).content;
        let whole = block.value.clone();
        part.content = text;
        part.carry.note(DIALECT, "block", whole);
    }
}

fn opaque(kind: String, fields: Fields<'_>) -> Part {
    let mut whole = Map::from_iter([("type".to_owned(), Value::from(kind))]);
    whole.extend(fields.rest());
    Part::opaque(DIALECT, whole.into())
}

fn text(mut fields: Fields<'_>) -> Result<Part, Fault> {
    fields.forget("type");
    let cache = wire::cache_from(&mut fields);
    let text = fields.required_string("text")?;
    let citations = match fields.array("citations")? {
        Some(list) if list.is_empty() => {
            fields.put_back("citations", Value::Array(list));
            Vec::new()
        }
        Some(list) => list.into_iter().map(wire::citation_from).collect(),
        None => Vec::new(),
    };
    let content = Content::Text(Text { text, citations, logprobs: Vec::new() });
    Ok(Part { cache, ..Part::new(content).carrying(fields.carry(DIALECT)) })
}

fn media(mut fields: Fields<'_>, kind: MediaKind) -> Result<Part, Fault> {
    let here = fields.path();
    let original = fields.required("source")?;
    let mut source = Fields::of(original.clone(), here.key("source"))?;
    let Some(read) = source_from(&mut source)? else {
        // A source of a new kind: the block is understood by Anthropic only.
        fields.put_back("source", original);
        let word = fields.required_string("type")?;
        return Ok(opaque(word, fields));
    };
    fields.forget("type");
    let cache = wire::cache_from(&mut fields);
    let name = match kind {
        MediaKind::Document => fields.string("title")?,
        MediaKind::Image | MediaKind::Audio | MediaKind::Video => None,
    };
    let mut carry = fields.carry(DIALECT);
    match read {
        (_, Form::AsWritten) => carry.note(DIALECT, "source", original),
        (_, Form::Plain) => {
            let rest = source.rest();
            if !rest.is_empty() {
                carry.note(DIALECT, "source_rest", rest);
            }
        }
    }
    let content = Content::Media(Media { kind, source: read.0, detail: None, name });
    Ok(Part { cache, ..Part::new(content).carrying(carry) })
}

/// Whether a source can be written again from what was read of it.
enum Form {
    Plain,
    AsWritten,
}

fn source_from(fields: &mut Fields<'_>) -> Result<Option<(Source, Form)>, Fault> {
    let kind = fields.required_string("type")?;
    let source = match kind.as_str() {
        "base64" => Source::Base64 {
            mime: fields.string("media_type")?.unwrap_or_default(),
            data: fields.required_string("data")?,
        },
        "url" => match Source::from_url(fields.required_string("url")?) {
            url @ Source::Url { .. } => url,
            bytes @ (Source::Base64 { .. } | Source::FileId { .. } | Source::Text { .. }) => {
                return Ok(Some((bytes, Form::AsWritten)));
            }
        },
        "file" => Source::FileId { origin: Origin::Anthropic, id: fields.required_string("file_id")? },
        "text" => Source::Text { text: fields.required_string("data")? },
        "content" => match fields.required("content")? {
            Value::String(text) => return Ok(Some((Source::Text { text }, Form::AsWritten))),
            Value::Array(blocks) => {
                return Ok(texts_of(&blocks).map(|text| (Source::Text { text }, Form::AsWritten)));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
                return Err(fields.invalid("content", "a string or an array of content blocks"));
            }
        },
        _ => return Ok(None),
    };
    Ok(Some((source, Form::Plain)))
}

/// The texts of blocks, if they are nothing but texts.
fn texts_of(blocks: &[Value]) -> Option<String> {
    let text = |block: &Value| match block.get("type")?.as_str()? {
        "text" => Some(block.get("text")?.as_str()?.to_owned()),
        _ => None,
    };
    let texts: Option<Vec<String>> = blocks.iter().map(text).collect();
    texts.map(|texts| texts.join("\n"))
}

/// Reads a search result of the caller's own: elsewhere it is a document that says where it comes from.
fn search_result(fields: Fields<'_>) -> Result<Part, Fault> {
    let whole = Value::Object(fields.rest());
    let field = |key: &str| whole.get(key).and_then(Value::as_str);
    let content = whole.get("content").and_then(Value::as_array).and_then(|blocks| texts_of(blocks));
    let Some(text) = content else { return Ok(Part::opaque(DIALECT, whole)) };
    let text = match field("source") {
        Some(source) => format!("Source: {source}\n\n{text}"),
        None => text,
    };
    let name = field("title").map(str::to_owned);
    let media = Media { kind: MediaKind::Document, source: Source::Text { text }, detail: None, name };
    Ok(Part::new(Content::Media(media)).carrying(Carry::NONE.noted(DIALECT, "block", whole)))
}

fn thinking(mut fields: Fields<'_>) -> Result<Part, Fault> {
    fields.forget("type");
    let text = fields.required_string("thinking")?;
    let mut minted = false;
    let seal = match fields.string("signature")? {
        Some(signature) if signature.is_empty() => {
            fields.put_back("signature", signature.into());
            None
        }
        Some(signature) => {
            minted = mark::is_minted(&signature);
            Seal::read(Origin::Anthropic, SealKind::Signature, signature)
        }
        None => None,
    };
    // Others only ever show their thoughts retold.
    let kind = match seal.as_ref().map(|seal| seal.origin) {
        Some(Origin::OpenAi | Origin::Gemini) => TextKind::Summary,
        Some(Origin::Anthropic) | None => TextKind::Full,
    };
    let mut reasoning = if text.is_empty() { Reasoning::default() } else { Reasoning::of(kind, text) };
    reasoning.id = seal.as_ref().and_then(|seal| seal.item.clone());
    let mut carry = fields.carry(DIALECT).noted(DIALECT, "block", "thinking");
    if minted {
        carry.note(DIALECT, "minted", true);
    }
    Ok(Part::new(Content::Reasoning(reasoning)).sealed(seal).carrying(carry))
}

fn redacted(mut fields: Fields<'_>) -> Result<Part, Fault> {
    fields.forget("type");
    let data = fields.required_string("data")?;
    let minted = mark::is_minted(&data);
    let seal = Seal::read(Origin::Anthropic, SealKind::Redacted, data);
    let reasoning = Reasoning { id: seal.as_ref().and_then(|seal| seal.item.clone()), texts: Vec::new() };
    let mut carry = fields.carry(DIALECT);
    if minted {
        carry.note(DIALECT, "minted", true);
    }
    Ok(Part::new(Content::Reasoning(reasoning)).sealed(seal).carrying(carry))
}

fn tool_use(mut fields: Fields<'_>) -> Result<Part, Fault> {
    fields.forget("type");
    let cache = wire::cache_from(&mut fields);
    let call = ToolCall {
        id: fields.required_string("id")?,
        name: fields.required_string("name")?,
        arguments: fields.take("input").map(|input| input.to_string()).unwrap_or_default(),
        kind: CallKind::Function,
    };
    Ok(Part { cache, ..Part::new(Content::ToolCall(call)).carrying(fields.carry(DIALECT)) })
}

fn tool_result(mut fields: Fields<'_>) -> Result<Part, Fault> {
    fields.forget("type");
    let cache = wire::cache_from(&mut fields);
    let call_id = fields.required_string("tool_use_id")?;
    let outcome = match fields.boolean("is_error")? {
        Some(true) => Outcome::Failure,
        Some(false) => {
            fields.put_back("is_error", false.into());
            Outcome::Success
        }
        None => Outcome::Success,
    };
    let mut notes = Carry::NONE;
    let parts = content(&mut fields, &mut notes)?;
    let mut carry = fields.carry(DIALECT);
    carry.merge(notes);
    let result = ToolResult { call_id, name: None, parts, outcome, kind: CallKind::Function };
    Ok(Part { cache, ..Part::new(Content::ToolResult(result)).carrying(carry) })
}

/// Reads `content`: a string, a list of blocks, or nothing; notes which.
pub(super) fn content(fields: &mut Fields<'_>, notes: &mut Carry) -> Result<Vec<Part>, Fault> {
    match fields.take("content") {
        None => {
            notes.note(DIALECT, "content", "absent");
            Ok(Vec::new())
        }
        Some(Value::String(text)) => Ok(vec![Part::text(text)]),
        Some(Value::Array(list)) => {
            notes.note(DIALECT, "content", "blocks");
            let here = fields.path();
            let path = here.key("content");
            let blocks = list.into_iter().enumerate();
            blocks.map(|(index, value)| Ok(read(value, path.index(index))?.at(index))).collect()
        }
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) => {
            Err(fields.invalid("content", "a string or an array of content blocks"))
        }
    }
}

/// Writes `content` as it was noted.
pub(super) fn put_content(object: &mut Object, notes: &Carry, blocks: Vec<Value>, parts: &[Part]) {
    match (notes.noted_as(DIALECT, "content").and_then(Value::as_str), parts) {
        (Some("absent"), _) => {}
        (Some(_), _) => object.put("content", blocks),
        (None, [only]) if only.as_text().is_some() => object.put("content", only.as_text().unwrap_or_default()),
        (None, _) => object.put("content", blocks),
    }
}

/// Writes a block that was read from this dialect, as it was. `None` for what this dialect has no block for.
pub(super) fn write(part: &Part) -> Option<Value> {
    let object = match &part.content {
        Content::Text(text) => {
            if let Some(whole) = part.carry.noted_as(DIALECT, "block") {
                return Some(whole.clone());
            }
            let mut object = Object::typed("text").with("text", text.text.as_str());
            put_citations(&mut object, text);
            object
        }
        Content::Refusal(words) => Object::typed("text").with("text", words.as_str()),
        Content::Media(media) => match part.carry.noted_as(DIALECT, "block") {
            Some(whole) => return Some(whole.clone()),
            None => media_to(media, &part.carry)?,
        },
        Content::ToolCall(call) => {
            let input = serde_json::from_str::<Value>(&call.arguments);
            let input = match input {
                Ok(input) => Some(input),
                Err(_) if call.arguments.is_empty() => None,
                Err(_) => Some(json!({"raw_arguments": call.arguments})),
            };
            call_to(call, &call.name).with_some("input", input)
        }
        Content::ToolResult(result) => {
            let mut object = Object::typed("tool_result").with("tool_use_id", result.call_id.as_str());
            let blocks = result.parts.iter().filter_map(write).collect();
            put_content(&mut object, &part.carry, blocks, &result.parts);
            if result.outcome == Outcome::Failure {
                object.put("is_error", true);
            }
            object
        }
        Content::Reasoning(reasoning) => {
            let seal = part.seal.as_ref().filter(|seal| seal.origin == Origin::Anthropic);
            match seal {
                Some(seal) if seal.kind == SealKind::Redacted => {
                    Object::typed("redacted_thinking").with("data", seal.data.as_str())
                }
                Some(_) | None => Object::typed("thinking")
                    .with("thinking", reasoning.joined())
                    .with_some("signature", seal.map(|seal| seal.data.as_str())),
            }
        }
        Content::Opaque(opaque) => return opaque.for_dialect(DIALECT).cloned(),
    };
    let object = object.with_some("cache_control", part.cache.as_ref().map(wire::cache_to));
    Some(object.carrying(&part.carry, DIALECT).into())
}

fn put_citations(object: &mut Object, text: &Text) {
    let own = text.citations.iter().filter_map(|citation| citation.original.as_ref()?.for_dialect(DIALECT).cloned());
    let citations: Vec<Value> = own.collect();
    if !citations.is_empty() {
        object.put("citations", citations);
    }
}

/// Writes a call without its input.
pub(super) fn call_to(call: &ToolCall, name: &str) -> Object {
    Object::typed("tool_use").with("id", call.id.as_str()).with("name", name)
}

/// Writes a medium; `None` if Messages has no form for it.
pub(super) fn media_to(media: &Media, carry: &Carry) -> Option<Object> {
    let kind = match media.kind {
        MediaKind::Image => "image",
        MediaKind::Document => "document",
        MediaKind::Audio | MediaKind::Video => return None,
    };
    let source = match carry.noted_as(DIALECT, "source") {
        Some(whole) => whole.clone(),
        None => {
            let mut source = source_to(media)?;
            if let Some(Value::Object(rest)) = carry.noted_as(DIALECT, "source_rest") {
                source.put_defaults(rest);
            } else if let Source::Text { .. } = media.source {
                source.put("media_type", "text/plain");
            }
            source.into()
        }
    };
    let title = media.name.as_deref().filter(|_| media.kind == MediaKind::Document);
    Some(Object::typed(kind).with("source", source).with_some("title", title))
}

fn source_to(media: &Media) -> Option<Object> {
    match &media.source {
        Source::Base64 { mime, data } => {
            let mime = (!mime.is_empty()).then_some(mime.as_str());
            Some(Object::typed("base64").with_some("media_type", mime).with("data", data.as_str()))
        }
        Source::Url { url, .. } => Some(Object::typed("url").with("url", url.as_str())),
        Source::FileId { origin: Origin::Anthropic, id } => Some(Object::typed("file").with("file_id", id.as_str())),
        Source::Text { text } if media.kind == MediaKind::Document => {
            Some(Object::typed("text").with("data", text.as_str()))
        }
        Source::FileId { .. } | Source::Text { .. } => None,
    }
}
