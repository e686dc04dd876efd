//! A conversation of another dialect as Messages' turns.
//!
//! What stands before the conversation's first word is `system`. One user turn holds the results of tools first, as
//! Anthropic demands, then what the user says. System messages in the middle go where Anthropic takes them, behind a user's
//! turn, or, to models that take none, into it.

use base64::Engine as _;
use serde_json::{Value, json};

use super::thinking::{Obstacles, needs_thoughts};
use crate::dialect::anthropic::{DIALECT, blocks, wire};
use crate::dialect::{Object, Target, adapt};
use crate::ir::{
    Content, Losses, Media, MediaKind, Message, Outcome, Part, Request, Role, SealKind, Severity, Source, ToolCall,
    ToolResult, mark,
};

/// What a model that continues no message is asked to do instead.
const GO_ON: &str = "Continue.";

/// A written conversation.
pub(super) struct Conversation {
    pub(super) system: Option<Value>,
    pub(super) messages: Vec<Value>,
    pub(super) obstacles: Obstacles,
}

struct Writer<'a> {
    target: &'a Target,
    names: &'a mut adapt::ToolNames,
    losses: &'a mut Losses,
    out: Vec<(Role, Vec<Value>)>,
}

/// Neighbouring turns of users, tools and the system.
#[derive(Default)]
struct Run {
    results: Vec<Value>,
    said: Vec<Value>,
    words: Vec<Value>,
    has_user: bool,
    moved: Option<usize>,
}

/// Forms Messages' turns.
pub(super) fn write(
    request: &Request,
    target: &Target,
    names: &mut adapt::ToolNames,
    losses: &mut Losses,
) -> Conversation {
    let mut writer = Writer { target, names, losses, out: Vec::new() };
    let mut system = Vec::new();
    if let Some(instructions) = &request.instructions {
        system.append(&mut writer.words(instructions, "system"));
    }
    let first = request.messages.iter().position(|message| !message.role.is_instructions());
    let leading = first.unwrap_or(request.messages.len());
    for (index, message) in request.messages[..leading].iter().enumerate() {
        system.append(&mut writer.words(message, format_args!("messages[{index}]")));
    }
    let turns = adapt::turns_in_pairs(&request.messages, writer.losses);
    writer.turns(&turns[usize::from(leading > 0)..]);
    writer.begin_with_a_user(&mut system);
    let prefill = writer.end_with_a_user(request);
    let messages: Vec<Value> = writer
        .out
        .into_iter()
        .map(|(role, content)| {
            Object::new().with("role", wire::role_to(role)).with("content", shortest(content)).into()
        })
        .collect();
    let lost_thoughts = needs_thoughts(&messages);
    Conversation {
        system: (!system.is_empty()).then(|| shortest(system)),
        obstacles: Obstacles { forced_tool: false, prefill, lost_thoughts },
        messages,
    }
}

impl Writer<'_> {
    fn turns(&mut self, mut rest: &[adapt::Turn<'_>]) {
        while let Some((turn, after)) = rest.split_first() {
            if turn.side == Role::Assistant {
                self.assistant(turn);
                rest = after;
            } else {
                let end = rest.iter().position(|turn| turn.side == Role::Assistant).unwrap_or(rest.len());
                self.run(&rest[..end]);
                rest = &rest[end..];
            }
        }
    }

    /// What stands between two turns of the assistant.
    fn run(&mut self, turns: &[adapt::Turn<'_>]) {
        let mut run = Run { has_user: turns.iter().any(|turn| turn.side == Role::User), ..Run::default() };
        let in_place = self.target.can.mid_conversation_system && run.has_user;
        for turn in turns {
            if turn.side != Role::System {
                if !run.words.is_empty() {
                    run.moved = run.moved.or(Some(turn.index()));
                }
                self.user(turn, &mut run);
                continue;
            }
            for (index, message) in &turn.messages {
                let field = format!("messages[{index}]");
                let words = self.words(message, &field);
                if words.is_empty() {
                    continue;
                }
                if in_place {
                    run.words.extend(words);
                } else {
                    self.losses
                        .approximated(field, "is said as the user's, since this model takes no system message there");
                    run.said.extend(words.into_iter().map(as_reminder));
                }
            }
        }
        if let Some(index) = run.moved {
            self.losses
                .approximated(format!("messages[{index}]"), "comes before the system message that stood before it");
        }
        let mut content = run.results;
        content.append(&mut run.said);
        if content.is_empty() {
            // Nothing of the user's is left that the words could follow.
            content.extend(run.words.drain(..).map(as_reminder));
        }
        self.put(Role::User, content);
        self.put(Role::System, run.words);
    }

    /// Adds to the conversation; neighbours of one role become one message.
    fn put(&mut self, role: Role, mut content: Vec<Value>) {
        if content.is_empty() {
            return;
        }
        match self.out.last_mut().filter(|(last, _)| *last == role) {
            Some((_, blocks)) => blocks.append(&mut content),
            None => self.out.push((role, content)),
        }
    }

    /// Anthropic's conversations begin with the user.
    fn begin_with_a_user(&mut self, system: &mut Vec<Value>) {
        match self.out.first() {
            Some((Role::User, _)) => {}
            Some(_) => {
                let words = adapt::user_before_the_assistant(self.losses);
                self.out.insert(0, (Role::User, vec![text_block(words)]));
            }
            None => {
                if let Some(words) = system.pop() {
                    self.losses
                        .approximated("messages", "holds nothing but instructions: the last are said as the user's");
                    self.out.push((Role::User, vec![words]));
                }
            }
        }
    }

    /// Whether the answer continues the last message. Models that cannot are asked to go on.
    fn end_with_a_user(&mut self, request: &Request) -> bool {
        let Some((Role::Assistant, content)) = self.out.last_mut() else { return false };
        let field = format!("messages[{}]", request.messages.len().saturating_sub(1));
        if content.iter().any(|block| block["type"] == "tool_use") {
            // Calls without results: Anthropic refuses that, and says so best.
            return false;
        }
        if !self.target.can.prefill {
            self.losses.approximated(field, "is answered by this model, not continued");
            self.out.push((Role::User, vec![text_block(GO_ON)]));
            return false;
        }
        // Anthropic takes no prefill that ends in white space.
        if let Some(Value::String(text)) = content.last_mut().and_then(|block| block.get_mut("text")) {
            let kept = text.trim_end().len();
            if kept < text.len() {
                let reason = "ends in white space, which this provider does not take: it is cut off";
                self.losses.approximated(field, reason);
            }
            text.truncate(kept);
        }
        true
    }

    /// Instructions: text only.
    fn words(&mut self, message: &Message, field: impl std::fmt::Display) -> Vec<Value> {
        let mut words = Vec::new();
        for (place, part) in message.parts.iter().enumerate() {
            let here = || format!("{field}.content[{place}]");
            match &part.content {
                Content::Text(text) => words.extend(self.text(&text.text, part, here)),
                Content::Refusal(text) => words.extend(self.text(text, part, here)),
                Content::Opaque(opaque) => adapt::lose_opaque(opaque, message.role, here(), DIALECT, self.losses),
                Content::Media(_) | Content::ToolCall(_) | Content::ToolResult(_) => {
                    let what = part.content.describe();
                    self.losses.refused(here(), format!("is {what}, which {DIALECT} does not take in instructions"));
                }
                Content::Reasoning(_) => self.losses.ignored("reasoning", DIALECT),
            }
        }
        words
    }

    fn user(&mut self, turn: &adapt::Turn<'_>, run: &mut Run) {
        for index in turn.named() {
            self.losses.ignored(format!("messages[{index}].name"), DIALECT);
        }
        for (message, place, part) in turn.parts() {
            let field = || format!("messages[{message}].content[{place}]");
            match &part.content {
                Content::ToolResult(result) => {
                    let block = self.result(result, part, field);
                    run.results.push(block);
                }
                Content::Text(_)
                | Content::Refusal(_)
                | Content::Media(_)
                | Content::ToolCall(_)
                | Content::Reasoning(_)
                | Content::Opaque(_) => run.said.extend(self.said(part, Role::User, &field)),
            }
        }
    }

    fn result(&mut self, result: &ToolResult, part: &Part, field: impl Fn() -> String) -> Value {
        let content: Vec<Value> = result.parts.iter().filter_map(|part| self.said(part, Role::Tool, &field)).collect();
        let id = mark::portable_id(&result.call_id).into_owned();
        let mut object = Object::typed("tool_result").with("tool_use_id", id);
        if !content.is_empty() {
            object.put("content", shortest(content));
        }
        if result.outcome == Outcome::Failure {
            object.put("is_error", true);
        }
        object.put_some("cache_control", part.cache.as_ref().map(wire::cache_to));
        object.into()
    }

    /// A part of what the model is told.
    fn said(&mut self, part: &Part, role: Role, field: &impl Fn() -> String) -> Option<Value> {
        match &part.content {
            Content::Text(text) => self.text(&text.text, part, field),
            Content::Refusal(text) => self.text(text, part, field),
            Content::Media(media) => self.media(media, part, field),
            Content::Opaque(opaque) => {
                adapt::lose_opaque(opaque, role, field(), DIALECT, self.losses);
                None
            }
            Content::Reasoning(_) => {
                self.losses.ignored("reasoning", DIALECT);
                None
            }
            Content::ToolCall(_) | Content::ToolResult(_) => {
                self.losses.refused(field(), format!("is {}, which cannot stand there", part.content.describe()));
                None
            }
        }
    }

    /// A text, unless it is blank: Anthropic refuses those.
    fn text(&mut self, text: &str, part: &Part, field: impl FnOnce() -> String) -> Option<Value> {
        if text.trim().is_empty() {
            if !text.is_empty() {
                self.losses.add(Severity::Ignored, field(), "is white space only, which this provider does not take");
            }
            if part.cache.is_some() {
                self.losses.ignored("cache_control", DIALECT);
            }
            return None;
        }
        let object = Object::typed("text").with("text", text);
        Some(object.with_some("cache_control", part.cache.as_ref().map(wire::cache_to)).into())
    }

    fn media(&mut self, media: &Media, part: &Part, field: &impl Fn() -> String) -> Option<Value> {
        if !adapt::takes_media(media.kind, field, self.target, self.losses) {
            return None;
        }
        if media.detail.as_deref().is_some_and(|detail| detail != "auto") {
            self.losses.ignored(format!("{}.detail", field()), DIALECT);
        }
        let fitting = fitting(adapt::plainly_typed(media));
        match blocks::media_to(&fitting, &crate::ir::Carry::NONE) {
            Some(object) => Some(object.with_some("cache_control", part.cache.as_ref().map(wire::cache_to)).into()),
            None => {
                let what = media.kind.describe();
                self.losses.refused(field(), format!("is {what} in a form that {DIALECT} does not take"));
                None
            }
        }
    }

    /// One message for the whole turn, in order but for the calls: nothing may stand between those and their results.
    fn assistant(&mut self, turn: &adapt::Turn<'_>) {
        let mut blocks = Vec::new();
        for index in turn.named() {
            self.losses.ignored(format!("messages[{index}].name"), DIALECT);
        }
        for (message, place, part) in turn.parts() {
            let field = || format!("messages[{message}].content[{place}]");
            if part.seal.as_ref().is_some_and(|seal| seal.for_origin(self.target.origin).is_none()) {
                self.losses.ignored("reasoning", DIALECT);
            }
            let block = match &part.content {
                Content::Text(text) => self.text(&text.text, part, field),
                Content::Refusal(text) => self.text(text, part, field),
                Content::ToolCall(call) => Some(self.call(call, part, field)),
                Content::Reasoning(_) => self.thought(part),
                Content::Media(_) | Content::ToolResult(_) => {
                    self.losses.ignored(field(), DIALECT);
                    None
                }
                Content::Opaque(opaque) => {
                    adapt::lose_opaque(opaque, Role::Assistant, field(), DIALECT, self.losses);
                    None
                }
            };
            blocks.extend(block.map(|block| (message, place, block)));
        }
        if let Some((message, place, _)) = adapt::calls_last(&mut blocks, |(.., block)| block["type"] == "tool_use") {
            let field = format!("messages[{message}].content[{place}]");
            self.losses.approximated(field, "comes before the tool calls that stood before it");
        }
        self.put(Role::Assistant, blocks.into_iter().map(|(.., block)| block).collect());
    }

    /// A thought that this vendor signed.
    fn thought(&mut self, part: &Part) -> Option<Value> {
        let Content::Reasoning(reasoning) = &part.content else { return None };
        let Some(seal) = part.seal.as_ref().filter(|seal| seal.for_origin(self.target.origin).is_some()) else {
            self.losses.ignored("reasoning", DIALECT);
            return None;
        };
        let object = match seal.kind {
            SealKind::Redacted => Object::typed("redacted_thinking").with("data", seal.data.as_str()),
            SealKind::Signature | SealKind::Encrypted | SealKind::Thought => {
                Object::typed("thinking").with("thinking", reasoning.joined()).with("signature", seal.data.as_str())
            }
        };
        Some(object.into())
    }

    fn call(&mut self, call: &ToolCall, part: &Part, field: impl FnOnce() -> String) -> Value {
        let input = adapt::arguments_as_object(call.kind, &call.arguments, field, self.losses);
        let object = Object::typed("tool_use")
            .with("id", mark::portable_id(&call.id).into_owned())
            .with("name", self.names.wire(&call.name).into_owned())
            .with("input", input);
        object.with_some("cache_control", part.cache.as_ref().map(wire::cache_to)).into()
    }
}

/// A document that is text is text for Anthropic too, whose base64 is for PDFs only.
fn fitting(mut media: Media) -> Media {
    let Source::Base64 { mime, data } = &mut media.source else { return media };
    if media.kind != MediaKind::Document {
        return media;
    }
    let is_text = mime.starts_with("text/") || matches!(mime.as_str(), "application/json" | "application/xml");
    let text = || String::from_utf8(mark::lenient_base64().decode(&data).ok()?).ok();
    if let Some(text) = is_text.then(text).flatten() {
        media.source = Source::Text { text };
    } else if mime.is_empty() {
        "application/pdf".clone_into(mime);
    }
    media
}

/// A system message for models that take none in the middle.
fn as_reminder(mut block: Value) -> Value {
    if let Some(Value::String(text)) = block.get_mut("text") {
        *text = format!("<system-reminder>\n{text}\n</system-reminder>");
    }
    block
}

fn text_block(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

/// A string if it is one plain text, else the list.
fn shortest(mut blocks: Vec<Value>) -> Value {
    match blocks.as_mut_slice() {
        [one] if one["type"] == "text" && one.as_object().is_some_and(|map| map.len() == 2) => one["text"].take(),
        _ => Value::Array(blocks),
    }
}
