//! The nodes that requests, answers and streams have in common.

use serde_json::{Value, json};

use crate::dialect::Object;
use crate::dialect::openai_responses::decode::is_own;
use crate::dialect::openai_responses::namespace::{self, Namespaces};
use crate::dialect::openai_responses::{DIALECT, wire};
use crate::ir::{
    Attach, CallKind, Carry, Content, Losses, Media, MediaKind, Origin, Part, Reasoning, Seal, SealKind, Source, Text,
    TextKind, ToolCall, mark,
};

/// An id of an item that has none. It bears the mark, so that a conversation that brings it back goes through the codec,
/// which takes it out: OpenAI knows its own ids only. Always the same one for the same answer.
pub(in crate::dialect::openai_responses) fn item_id(prefix: &str, answer: &str, index: usize) -> String {
    format!("{prefix}_{}", mark::call_id(&[answer, &index.to_string()]))
}

/// Adds the carried fields of a node, minted ids excepted.
pub(in crate::dialect::openai_responses) fn put_own(object: &mut Object, carry: &Carry) {
    let Some(rest) = carry.rest_for(DIALECT) else { return };
    for (key, value) in rest {
        let minted = key == "id" && value.as_str().is_some_and(|id| id.contains(mark::MARK));
        if !minted {
            object.put_default(key, value.clone());
        }
    }
}

/// A part of a message or of a tool's output that came in this dialect, as it came.
pub(super) fn content_part(part: &Part) -> Option<Value> {
    let kind = part.carry.noted_as(DIALECT, "type").and_then(Value::as_str);
    let mut object = match &part.content {
        Content::Text(text) => {
            let mut object = Object::typed(kind.unwrap_or("input_text")).with("text", text.text.as_str());
            put_beside(&mut object, text);
            object
        }
        Content::Refusal(refusal) => Object::typed("refusal").with("refusal", refusal.as_str()),
        Content::Media(media) => media_part(media, &part.carry)?,
        Content::Opaque(opaque) => return opaque.for_dialect(DIALECT).cloned(),
        Content::ToolCall(_) | Content::ToolResult(_) | Content::Reasoning(_) => return None,
    };
    put_own(&mut object, &part.carry);
    Some(object.into())
}

/// Annotations and log probabilities, where there are any.
fn put_beside(object: &mut Object, text: &Text) {
    let len = u64::try_from(text.text.chars().count()).unwrap_or(u64::MAX);
    let citations: Vec<Value> = text.citations.iter().filter_map(|citation| wire::citation_to(citation, len)).collect();
    if !citations.is_empty() {
        object.put("annotations", citations);
    }
    if !text.logprobs.is_empty() {
        object.put("logprobs", wire::logprobs_to(&text.logprobs));
    }
}

/// Writes a medium; `None` if Responses has no form for such a source.
pub(super) fn media_part(media: &Media, carry: &Carry) -> Option<Object> {
    let object = match (media.kind, &media.source) {
        (MediaKind::Image, Source::Url { url, .. }) => Object::typed("input_image").with("image_url", url.as_str()),
        (MediaKind::Image, Source::Base64 { mime, data }) => {
            Object::typed("input_image").with("image_url", format!("data:{mime};base64,{data}"))
        }
        (MediaKind::Image, Source::FileId { origin: Origin::OpenAi, id }) => {
            Object::typed("input_image").with("file_id", id.as_str())
        }
        (MediaKind::Audio, Source::Base64 { mime, data }) => {
            let format = match mime.strip_prefix("audio/").unwrap_or(mime) {
                "mpeg" => "mp3",
                "x-wav" | "wave" => "wav",
                other => other,
            };
            let mut inner = Object::new().with("data", data.as_str()).with("format", format);
            if let Some(Value::Object(rest)) = carry.noted_as(DIALECT, "inner") {
                inner.put_defaults(rest);
            }
            return Some(Object::typed("input_audio").with("input_audio", inner));
        }
        (MediaKind::Document, Source::Base64 { mime, data }) => {
            let data = if mime.is_empty() { data.clone() } else { format!("data:{mime};base64,{data}") };
            Object::typed("input_file").with("file_data", data)
        }
        // A data URL of another form than the usual.
        (MediaKind::Document, Source::Url { url, .. }) if url.starts_with("data:") => {
            Object::typed("input_file").with("file_data", url.as_str())
        }
        (MediaKind::Document, Source::Url { url, .. }) => Object::typed("input_file").with("file_url", url.as_str()),
        (MediaKind::Document, Source::FileId { origin: Origin::OpenAi, id }) => {
            Object::typed("input_file").with("file_id", id.as_str())
        }
        (MediaKind::Document, Source::Text { text }) => {
            return Some(Object::typed("input_text").with("text", text.as_str()));
        }
        (
            MediaKind::Image | MediaKind::Audio | MediaKind::Video | MediaKind::Document,
            Source::Url { .. } | Source::Base64 { .. } | Source::FileId { .. } | Source::Text { .. },
        ) => return None,
    };
    let name = media.name.clone().filter(|_| media.kind == MediaKind::Document);
    Some(object.with_some("filename", name).with_some("detail", media.detail.clone()))
}

/// A call's item, without its own id and status. `group` and `name` are the namespace and the name as they are sent; what
/// the call noted of its own comes first.
pub(in crate::dialect::openai_responses) fn call_item(
    part: &Part,
    call: &ToolCall,
    group: Option<&str>,
    name: &str,
) -> Object {
    let (group, name) = namespace::noted(&part.carry).map_or((group, name), |(group, name)| (Some(group), name));
    let (kind, key) = match call.kind {
        CallKind::Function => ("function_call", "arguments"),
        CallKind::Custom => ("custom_tool_call", "input"),
    };
    Object::typed(kind)
        .with("call_id", call.id.as_str())
        .with("name", name)
        .with_some("namespace", group)
        .with(key, call.arguments.as_str())
}

/// A reasoning item, without its id. The thoughts of other vendors' models are all summaries here: `content` is shown by no
/// caller, and Codex does not send it back.
pub(in crate::dialect::openai_responses) fn reasoning_item(
    part: &Part,
    reasoning: &Reasoning,
    encrypted: Option<String>,
) -> Object {
    let own = is_own(&part.carry);
    let mut object = Object::typed("reasoning");
    let (mut summary, mut content) = (Vec::new(), Vec::new());
    for text in &reasoning.texts {
        match text.kind {
            TextKind::Full if own => content.push(json!({"type": "reasoning_text", "text": text.text})),
            TextKind::Full | TextKind::Summary => summary.push(json!({"type": "summary_text", "text": text.text})),
        }
    }
    for (key, texts) in [("summary", summary), ("content", content)] {
        match part.carry.noted_as(DIALECT, key) {
            Some(noted) => object.put(key, noted.clone()),
            None if !texts.is_empty() => object.put(key, texts),
            None => {}
        }
    }
    object.put_some("encrypted_content", encrypted);
    if !own {
        object.put_default("summary", json!([]));
    }
    object
}

/// A reasoning item that holds nothing but the seal of another item, on its way through this dialect.
pub(in crate::dialect::openai_responses) fn capsule_item(id: String, seal: &Seal, attach: Attach) -> Value {
    let capsule = seal.attached(attach).capsule();
    json!({"type": "reasoning", "id": id, "summary": [], "encrypted_content": capsule})
}

/// An image that the model made. `None`: it has no form here.
pub(in crate::dialect::openai_responses) fn image_item(media: &Media, id: String, carry: &Carry) -> Option<Value> {
    let (MediaKind::Image, Source::Base64 { mime, data }) = (media.kind, &media.source) else { return None };
    let mut object = Object::typed("image_generation_call").with("result", data.as_str());
    put_own(&mut object, carry);
    object.put_default("id", id.into());
    object.put_default("status", "completed".into());
    if !is_own(carry) {
        object.put("output_format", mime.strip_prefix("image/").unwrap_or("png"));
    }
    Some(object.into())
}

/// A text of an answer.
pub(in crate::dialect::openai_responses) fn text_part(text: &Text, carry: &Carry) -> Value {
    let kind = carry.noted_as(DIALECT, "type").and_then(Value::as_str).unwrap_or("output_text");
    let mut object = Object::typed(kind).with("text", text.text.as_str());
    put_beside(&mut object, text);
    object.put_carried(carry, DIALECT);
    if !is_own(carry) {
        object.put_default("annotations", json!([]));
        object.put_default("logprobs", json!([]));
    }
    object.into()
}

/// Forms an answer's items out of its parts.
#[derive(Debug)]
pub(in crate::dialect::openai_responses) struct Items<'a> {
    answer: &'a str,
    groups: &'a Namespaces,
    losses: &'a mut Losses,
    /// The message that is being formed: what it says of itself, and its parts.
    message: Option<(Object, Vec<Value>)>,
    out: Vec<Value>,
}

impl<'a> Items<'a> {
    /// Of the answer with this id.
    pub(in crate::dialect::openai_responses) fn new(
        answer: &'a str,
        groups: &'a Namespaces,
        losses: &'a mut Losses,
    ) -> Self {
        Self { answer, groups, losses, message: None, out: Vec::new() }
    }

    /// All items.
    pub(in crate::dialect::openai_responses) fn finish(mut self) -> Vec<Value> {
        self.flush();
        self.out
    }

    fn id(&self, prefix: &str) -> String {
        item_id(prefix, self.answer, self.out.len())
    }

    fn flush(&mut self) {
        if let Some((object, content)) = self.message.take() {
            self.out.push(object.with("content", content).into());
        }
    }

    fn push(&mut self, item: Value) {
        self.flush();
        self.out.push(item);
    }

    /// Adds a part to the message, which begins if there is none, or if the part says that it begins one.
    fn speak(&mut self, carry: &Carry, content: Value) {
        let head = carry.noted_as(DIALECT, "item").and_then(Value::as_object);
        if head.is_some() || self.message.is_none() {
            self.flush();
            let mut object = Object::typed("message");
            if let Some(head) = head {
                object.put_defaults(head);
            }
            object.put_default("id", self.id("msg").into());
            object.put_default("status", "completed".into());
            object.put_default("role", "assistant".into());
            self.message = Some((object, Vec::new()));
        }
        if let Some((_, parts)) = &mut self.message {
            parts.push(content);
        }
    }

    /// Adds a part of the answer.
    pub(in crate::dialect::openai_responses) fn add(&mut self, part: &Part) {
        match &part.content {
            Content::Text(text) => {
                let without_address = |citation: &&crate::ir::Citation| wire::citation_to(citation, 0).is_none();
                if text.citations.iter().any(|citation| without_address(&citation)) {
                    self.losses.ignored("annotations", DIALECT);
                }
                self.speak(&part.carry, text_part(text, &part.carry));
                self.seal(part, Attach::Text);
            }
            Content::Refusal(words) => {
                let object = Object::typed("refusal").with("refusal", words.as_str()).carrying(&part.carry, DIALECT);
                self.speak(&part.carry, object.into());
                self.seal(part, Attach::Text);
            }
            Content::ToolCall(call) => {
                self.flush();
                self.seal(part, Attach::Call(call.id.clone()));
                let (group, name) = self.groups.split(&call.name);
                let mut object = call_item(part, call, group, name);
                if call.arguments.is_empty() && call.kind == CallKind::Function && !is_own(&part.carry) {
                    object.put("arguments", "{}");
                }
                object.put_carried(&part.carry, DIALECT);
                if !is_own(&part.carry) {
                    let prefix = if call.kind == CallKind::Custom { "ctc" } else { "fc" };
                    object.put_default("id", self.id(prefix).into());
                    object.put_default("status", "completed".into());
                }
                self.push(object.into());
            }
            Content::Reasoning(reasoning) => {
                self.flush();
                let id = own_id(reasoning, &part.carry).unwrap_or_else(|| self.id("rs"));
                let encrypted = part.seal.as_ref().map(|seal| seal.text_for(Origin::OpenAi, SealKind::Encrypted));
                let mut object = reasoning_item(part, reasoning, encrypted);
                object.put_carried(&part.carry, DIALECT);
                if reasoning.id.is_some() || !is_own(&part.carry) {
                    object.put("id", id);
                }
                self.push(object.into());
            }
            Content::Media(media) => {
                self.flush();
                match image_item(media, self.id("ig"), &part.carry) {
                    Some(item) => self.push(item),
                    None => self.losses.ignored("content", DIALECT),
                }
            }
            Content::Opaque(opaque) => match opaque.for_dialect(DIALECT) {
                Some(own) if part.carry.has_note(DIALECT, "in_message") => self.speak(&part.carry, own.clone()),
                Some(own) => self.push(own.clone()),
                None => self.losses.ignored(opaque.type_name(), DIALECT),
            },
            Content::ToolResult(_) => self.losses.ignored("content", DIALECT),
        }
    }

    fn seal(&mut self, part: &Part, attach: Attach) {
        if let Some(seal) = &part.seal {
            self.flush();
            let item = capsule_item(self.id("rs"), seal, attach);
            self.push(item);
        }
    }
}

/// The item's id, if OpenAI gave it.
pub(in crate::dialect::openai_responses) fn own_id(reasoning: &Reasoning, carry: &Carry) -> Option<String> {
    reasoning.id.clone().filter(|_| is_own(carry))
}
