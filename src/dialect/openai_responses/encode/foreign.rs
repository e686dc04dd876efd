//! A conversation of another dialect as Responses' `instructions` and `input`.

use serde_json::{Value, json};

use super::node::media_part;
use crate::dialect::openai_responses::{DIALECT, wire};
use crate::dialect::{Object, Target, adapt};
use crate::ir::{
    CallKind, Carry, Content, Losses, Media, Message, Outcome, Part, Reasoning, Request, Role, Source, ToolCall,
    ToolResult, mark,
};

/// What writing a foreign conversation needs.
struct Writer<'a> {
    target: &'a Target,
    names: &'a mut adapt::ToolNames,
    losses: &'a mut Losses,
    out: Vec<Value>,
}

/// Writes `instructions` and `input`.
pub(super) fn conversation(
    request: &Request,
    target: &Target,
    names: &mut adapt::ToolNames,
    losses: &mut Losses,
) -> (Option<String>, Vec<Value>) {
    let mut writer = Writer { target, names, losses, out: Vec::with_capacity(request.messages.len()) };
    let instructions = request.instructions.as_ref().and_then(|message| writer.instructions(message));
    let turns = adapt::turns(&request.messages);
    for turn in &turns {
        match turn.side {
            Role::System | Role::Developer => {
                for (index, message) in &turn.messages {
                    writer.words(message, format_args!("messages[{index}]"));
                }
            }
            Role::User | Role::Tool => writer.user(turn),
            Role::Assistant => writer.assistant(turn),
        }
    }
    let is_prefill = turns.last().is_some_and(|turn| turn.side == Role::Assistant);
    if is_prefill && !target.can.prefill {
        let field = format!("messages[{}]", request.messages.len().saturating_sub(1));
        writer.losses.approximated(field, "is answered by this model, not continued");
    }
    (instructions, writer.out)
}

impl Writer<'_> {
    /// Instructions are one text here. Where they are more, they are the first message of the input.
    fn instructions(&mut self, message: &Message) -> Option<String> {
        if message.parts.iter().any(|part| part.as_text().is_none()) {
            self.words(message, "system");
            return None;
        }
        for (place, part) in message.parts.iter().enumerate() {
            self.report(part, Role::System, || format!("system.content[{place}]"));
        }
        let texts: Vec<&str> = message.parts.iter().filter_map(Part::as_text).filter(|text| !text.is_empty()).collect();
        (!texts.is_empty()).then(|| texts.join("\n\n"))
    }

    /// System and developer messages, where they stand: text, pictures and files.
    fn words(&mut self, message: &Message, field: impl std::fmt::Display) {
        let mut content = Vec::new();
        for (place, part) in message.parts.iter().enumerate() {
            let here = || format!("{field}.content[{place}]");
            self.report(part, message.role, here);
            content.extend(self.content(part, here));
        }
        self.speak(message.role, content);
    }

    fn speak(&mut self, role: Role, content: Vec<Value>) {
        if !content.is_empty() {
            self.out.push(Object::typed("message").with("role", wire::role_to(role)).with("content", content).into());
        }
    }

    /// Tool results first, then what the user says.
    fn user(&mut self, turn: &adapt::Turn<'_>) {
        let mut said = Vec::new();
        for (message, place, part) in turn.parts() {
            let field = || format!("messages[{message}].content[{place}]");
            self.report(part, Role::User, field);
            match &part.content {
                Content::ToolResult(result) => self.result(result, field),
                Content::Text(_)
                | Content::Refusal(_)
                | Content::Media(_)
                | Content::ToolCall(_)
                | Content::Reasoning(_)
                | Content::Opaque(_) => said.extend(self.content(part, field)),
            }
        }
        for (index, message) in turn.messages.iter().filter(|(_, message)| message.name.is_some()) {
            if message.role == Role::User {
                self.losses.ignored(format!("messages[{index}].name"), DIALECT);
            }
        }
        self.speak(Role::User, said);
    }

    fn result(&mut self, result: &ToolResult, field: impl Fn() -> String) {
        let kind = match result.kind {
            CallKind::Custom if self.target.can.custom_tools => "custom_tool_call_output",
            CallKind::Custom | CallKind::Function => "function_call_output",
        };
        let mut parts = Vec::new();
        for part in &result.parts {
            self.report(part, Role::Tool, &field);
            parts.extend(self.content(part, &field));
        }
        // Responses has no field for it, but models should know.
        let failed = result.outcome == Outcome::Failure;
        let is_text = parts.iter().all(|part| part.get("type").and_then(Value::as_str) == Some("input_text"));
        let output = if is_text {
            let texts: Vec<&str> = parts.iter().filter_map(|part| part.get("text")?.as_str()).collect();
            let prefix = if failed { "Error: " } else { "" };
            Value::from(format!("{prefix}{}", texts.join("\n")))
        } else {
            if failed {
                parts.insert(0, json!({"type": "input_text", "text": "Error:"}));
            }
            Value::from(parts)
        };
        let id = mark::portable_id(&result.call_id);
        self.out.push(Object::typed(kind).with("call_id", id).with("output", output).into());
    }

    fn assistant(&mut self, turn: &adapt::Turn<'_>) {
        let mut said = Vec::new();
        for (message, place, part) in turn.parts() {
            let field = || format!("messages[{message}].content[{place}]");
            self.report(part, Role::Assistant, field);
            match &part.content {
                Content::Text(text) if !text.text.is_empty() => {
                    said.push(json!({"type": "output_text", "text": text.text}));
                }
                Content::Refusal(words) => said.push(json!({"type": "refusal", "refusal": words})),
                Content::ToolCall(call) => {
                    self.speak(Role::Assistant, std::mem::take(&mut said));
                    let item = self.call(call);
                    self.out.push(item);
                }
                Content::Reasoning(reasoning) => {
                    if let Some(item) = self.thoughts(part, reasoning) {
                        self.speak(Role::Assistant, std::mem::take(&mut said));
                        self.out.push(item);
                    }
                }
                Content::Media(_) => self.losses.ignored(field(), DIALECT),
                Content::Text(_) | Content::ToolResult(_) | Content::Opaque(_) => {}
            }
        }
        self.speak(Role::Assistant, said);
    }

    /// Thoughts go back to the vendor that made them, and to no other.
    fn thoughts(&mut self, part: &Part, reasoning: &Reasoning) -> Option<Value> {
        let seal = part.seal.as_ref().filter(|seal| seal.for_origin(self.target.origin).is_some());
        let Some(seal) = seal else {
            self.losses.ignored("reasoning", DIALECT);
            return None;
        };
        let summary: Vec<Value> =
            reasoning.texts.iter().map(|text| json!({"type": "summary_text", "text": text.text})).collect();
        let item = Object::typed("reasoning")
            .with_some("id", seal.item.clone())
            .with("summary", summary)
            .with("encrypted_content", seal.data.as_str());
        Some(item.into())
    }

    fn call(&mut self, call: &ToolCall) -> Value {
        let id = mark::portable_id(&call.id);
        let name = self.names.wire(&call.name);
        if call.kind == CallKind::Custom && self.target.can.custom_tools {
            return json!({"type": "custom_tool_call", "call_id": id, "name": name, "input": call.arguments});
        }
        let arguments = adapt::arguments_as_json(call.kind, &call.arguments);
        json!({"type": "function_call", "call_id": id, "name": name, "arguments": arguments})
    }

    /// A part of what the user says, or of what a tool gave.
    fn content(&mut self, part: &Part, field: impl Fn() -> String) -> Option<Value> {
        match &part.content {
            Content::Text(text) if text.text.is_empty() => None,
            Content::Text(text) => Some(json!({"type": "input_text", "text": text.text})),
            Content::Refusal(text) => Some(json!({"type": "input_text", "text": text})),
            Content::Media(media) => {
                if !adapt::takes_media(media.kind, &field, self.target, self.losses) {
                    return None;
                }
                if matches!(media.source, Source::Text { .. }) {
                    // It is told as text.
                    adapt::lose_name(media, &field, DIALECT, self.losses);
                }
                let media = adapt::plainly_typed(media);
                let named = Media { name: adapt::openai::file_name(&media), ..media };
                let Some(object) = media_part(&named, &Carry::NONE) else {
                    self.losses.refused(field(), "is a medium in a form that Responses does not take");
                    return None;
                };
                self.losses.report_carry(&part.carry, DIALECT, format_args!("{}.", field()), &["type"]);
                Some(object.into())
            }
            Content::ToolCall(_) | Content::ToolResult(_) | Content::Reasoning(_) | Content::Opaque(_) => None,
        }
    }

    /// Reports what a part says beyond its content.
    fn report(&mut self, part: &Part, role: Role, field: impl Fn() -> String) {
        if part.cache.is_some() {
            self.losses.ignored("cache_control", DIALECT);
        }
        let is_strange = part.seal.as_ref().is_some_and(|seal| seal.for_origin(self.target.origin).is_none());
        match &part.content {
            Content::Opaque(opaque) => adapt::lose_opaque(opaque, role, field(), DIALECT, self.losses),
            Content::Text(_) | Content::ToolCall(_) if is_strange => self.losses.ignored("reasoning", DIALECT),
            Content::Reasoning(_)
            | Content::Text(_)
            | Content::Refusal(_)
            | Content::Media(_)
            | Content::ToolCall(_)
            | Content::ToolResult(_) => {}
        }
    }
}
