//! What a request says, as PostHog shows it: messages with roles and contents, tools, parameters.
//!
//! The messages stay as the caller's dialect has them, which is what PostHog's own wrappers of the vendors' SDKs send; only
//! Google's parts are told in the others' words.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::google;
use super::json::{Json, text};
use super::redact;
use crate::dialect::Dialect;

/// A request's members that are told. All dialects' names are apart.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(super) struct Request<'a> {
    messages: Option<&'a RawValue>,
    input: Option<&'a RawValue>,
    contents: Option<&'a RawValue>,
    system: Option<&'a RawValue>,
    instructions: Option<&'a RawValue>,
    #[serde(alias = "systemInstruction")]
    system_instruction: Option<&'a RawValue>,
    tools: Option<&'a RawValue>,
    functions: Option<&'a RawValue>,
    #[serde(alias = "generationConfig")]
    generation_config: Option<&'a RawValue>,
    temperature: Option<&'a RawValue>,
    max_tokens: Option<&'a RawValue>,
    max_completion_tokens: Option<&'a RawValue>,
    max_output_tokens: Option<&'a RawValue>,
    top_p: Option<&'a RawValue>,
    frequency_penalty: Option<&'a RawValue>,
    presence_penalty: Option<&'a RawValue>,
    n: Option<&'a RawValue>,
    stop: Option<&'a RawValue>,
    stream: Option<&'a RawValue>,
}

/// Google's place for parameters.
#[derive(Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct GenerationConfig<'a> {
    temperature: Option<&'a RawValue>,
    #[serde(alias = "maxOutputTokens")]
    max_output_tokens: Option<&'a RawValue>,
    #[serde(alias = "topP")]
    top_p: Option<&'a RawValue>,
    #[serde(alias = "frequencyPenalty")]
    frequency_penalty: Option<&'a RawValue>,
    #[serde(alias = "presencePenalty")]
    presence_penalty: Option<&'a RawValue>,
    #[serde(alias = "candidateCount")]
    candidate_count: Option<&'a RawValue>,
    #[serde(alias = "stopSequences")]
    stop_sequences: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct Message<'a> {
    #[serde(default)]
    role: Option<&'a RawValue>,
    #[serde(default)]
    content: Option<&'a RawValue>,
    #[serde(default)]
    tool_calls: Option<&'a RawValue>,
    #[serde(default)]
    tool_call_id: Option<&'a RawValue>,
    #[serde(default)]
    name: Option<&'a RawValue>,
    #[serde(default)]
    audio: Option<&'a RawValue>,
    #[serde(default)]
    refusal: Option<&'a RawValue>,
}

/// What of an item of Responses decides how it is told.
#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct Item<'a> {
    #[serde(default, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(default)]
    role: Option<&'a RawValue>,
    #[serde(default)]
    content: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Kind<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Option<std::borrow::Cow<'a, str>>,
}

const USER: &str = "\"user\"";
const SYSTEM: &str = "\"system\"";
const EMPTY: &str = "\"\"";

/// Members of an MCP tool that hold credentials.
const MCP_CREDENTIALS: [&str; 2] = ["headers", "authorization"];

impl<'a> Request<'a> {
    /// Reads a body; none where it is no JSON object, or names something twice.
    pub(super) fn read(body: &'a str) -> Option<Self> {
        object(body)
    }

    /// Writes `$ai_input`.
    pub(super) fn messages(&self, dialect: Dialect, json: &mut Json) {
        json.open(b'[');
        match dialect {
            Dialect::OpenAiChat => each_message(self.messages, json, chat_message),
            Dialect::Anthropic => {
                if let Some(system) = said(self.system) {
                    message(SYSTEM, system, json);
                }
                each_message(self.messages, json, plain_message);
            }
            Dialect::OpenAiResponses => self.items(json),
            Dialect::Gemini => {
                if let Some(system) = said(self.system_instruction) {
                    google::instruction(system, json);
                }
                google::contents(self.contents, json);
            }
        }
        json.close(b']');
    }

    /// Responses' items, after its instructions: these join the first system message, as PostHog's wrapper has it.
    fn items(&self, json: &mut Json) {
        let Some(input) = self.input else { return };
        if let Some(instructions) = said(self.instructions) {
            message(SYSTEM, instructions, json);
        }
        if input.get().starts_with('[') {
            each(Some(input), |raw| item(raw, json));
        } else {
            message(USER, input.get(), json);
        }
    }

    /// Responses' `instructions`.
    pub(super) fn instructions(&self) -> Option<&'a str> {
        said(self.instructions)
    }

    /// Writes `$ai_tools`, if there are any.
    pub(super) fn tools(&self, json: &mut Json) {
        let Some(tools) = said(self.tools).or_else(|| said(self.functions)) else { return };
        json.key("$ai_tools");
        json.open(b'[');
        each_of(tools, |tool| {
            let kind = object::<Kind<'_>>(tool).and_then(|tool| tool.kind);
            let masked: &[&str] = if kind.as_deref() == Some("mcp") { &MCP_CREDENTIALS } else { &[] };
            json.separate();
            let before = json.len();
            if redact::copy_masked(tool, masked, json.bytes()).is_err() {
                json.back_to(before);
                json.bytes().extend_from_slice(b"null");
            }
        });
        json.close(b']');
    }

    /// Writes the members of `$ai_model_parameters`: by the names that PostHog's wrappers know.
    pub(super) fn parameters(&self, dialect: Dialect, json: &mut Json) {
        let config: GenerationConfig<'_> = self.generation_config.and_then(|raw| object(raw.get())).unwrap_or_default();
        let parameters = match dialect {
            Dialect::OpenAiChat | Dialect::OpenAiResponses | Dialect::Anthropic => [
                ("temperature", self.temperature),
                ("max_tokens", self.max_tokens),
                ("max_completion_tokens", self.max_completion_tokens),
                ("max_output_tokens", self.max_output_tokens),
                ("top_p", self.top_p),
                ("frequency_penalty", self.frequency_penalty),
                ("presence_penalty", self.presence_penalty),
                ("n", self.n),
                ("stop", self.stop),
                ("stream", self.stream),
            ],
            Dialect::Gemini => [
                ("temperature", config.temperature),
                ("max_tokens", None),
                ("max_completion_tokens", None),
                ("max_output_tokens", config.max_output_tokens),
                ("top_p", config.top_p),
                ("frequency_penalty", config.frequency_penalty),
                ("presence_penalty", config.presence_penalty),
                ("n", config.candidate_count),
                ("stop", config.stop_sequences),
                ("stream", None),
            ],
        };
        for (name, raw) in parameters {
            if let Some(value) = said(raw) {
                json.key(name);
                copied(value, json);
            }
        }
    }
}

/// An object and nothing else: the JSON library would take an array for one, too.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(members))
            }
        }
        deserializer.deserialize_map(Members(PhantomData)).map(Self)
    }
}

/// Reads members of an object.
pub(super) fn object<'a, T: Deserialize<'a>>(json: &'a str) -> Option<T> {
    serde_json::from_str::<Object<T>>(json).ok().map(|object| object.0)
}

/// A member that is there and not null.
pub(super) fn said(raw: Option<&RawValue>) -> Option<&str> {
    raw.map(RawValue::get).filter(|text| *text != "null")
}

/// Calls `tell` with each element of an array; with the value itself, if it is none.
fn each(raw: Option<&RawValue>, tell: impl FnMut(&str)) {
    if let Some(text) = said(raw) {
        each_of(text, tell);
    }
}

pub(super) fn each_of(text: &str, mut tell: impl FnMut(&str)) {
    match serde_json::from_str::<Vec<&RawValue>>(text) {
        Ok(elements) => elements.iter().for_each(|element| tell(element.get())),
        Err(_) => tell(text),
    }
}

/// Writes a value without its binary parts; null in place of one that cannot be read.
pub(super) fn copied(raw: &str, json: &mut Json) {
    json.separate();
    if raw.starts_with('"') {
        return redact::copy_string(raw, json.bytes());
    }
    let before = json.len();
    if redact::copy(raw, json.bytes()).is_err() {
        json.back_to(before);
        json.bytes().extend_from_slice(b"null");
    }
}

fn message(role: &str, content: &str, json: &mut Json) {
    json.open(b'{');
    json.key("role");
    copied(role, json);
    json.key("content");
    copied(content, json);
    json.close(b'}');
}

/// Writes each message with `tell`, and what is none as if the user had said it.
fn each_message(raw: Option<&RawValue>, json: &mut Json, tell: impl Fn(&Message<'_>, &mut Json)) {
    let Some(raw) = said(raw) else { return };
    // Nearly always all are objects.
    if let Ok(messages) = serde_json::from_str::<Vec<Object<Message<'_>>>>(raw) {
        return messages.iter().for_each(|message| tell(&message.0, json));
    }
    each_of(raw, |raw| match object::<Message<'_>>(raw) {
        Some(message) => tell(&message, json),
        None => message(USER, raw, json),
    });
}

fn chat_message(said_by: &Message<'_>, json: &mut Json) {
    json.open(b'{');
    json.key("role");
    copied(said(said_by.role).unwrap_or(USER), json);
    json.key("content");
    copied(said(said_by.content).unwrap_or("null"), json);
    for (name, value) in [
        ("tool_calls", said_by.tool_calls),
        ("tool_call_id", said_by.tool_call_id),
        ("name", said_by.name),
        ("audio", said_by.audio),
        ("refusal", said_by.refusal),
    ] {
        if let Some(value) = said(value) {
            json.key(name);
            copied(value, json);
        }
    }
    json.close(b'}');
}

fn plain_message(it: &Message<'_>, json: &mut Json) {
    message(said(it.role).unwrap_or(USER), said(it.content).unwrap_or(EMPTY), json);
}

/// An item that is no message is told as it is.
fn item(raw: &str, json: &mut Json) {
    match object::<Item<'_>>(raw) {
        Some(Item { kind: Some(_), role: None, content: None }) => copied(raw, json),
        Some(it) => message(said(it.role).unwrap_or(USER), said(it.content).unwrap_or(EMPTY), json),
        None => message(USER, raw, json),
    }
}

/// Writes a block with one member: `{"type": "text", "text": "Hello"}`.
pub(super) fn told(kind: &str, name: &str, raw: &str, json: &mut Json) {
    json.open(b'{');
    json.member("type", kind);
    json.key(name);
    copied(raw, json);
    json.close(b'}');
}

pub(super) fn is_string(raw: &RawValue) -> bool {
    raw.get().starts_with('"')
}

/// Writes a member whose name may be anything.
pub(super) fn any_member(name: &str, raw: &str, json: &mut Json) {
    json.separate();
    text(json.bytes(), name);
    json.bytes().push(b':');
    copied(raw, json);
}
