//! The conversation as Gemini's `contents`.
//!
//! Two ways: [`own`] writes what came in this dialect as it came; [`foreign`] forms turns out of what came in another:
//! instructions beside the conversation, users and model taking turns, the results of functions in a content of their own
//! right after the calls, in the calls' order.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::dialect::gemini::parts::{Minted, media_to, mime_by_address, part_to};
use crate::dialect::gemini::{DIALECT, wire};
use crate::dialect::{Object, Target, adapt};
use crate::ir::{
    Content, Losses, Media, Message, Origin, Outcome, Part, Request, Role, Source, ToolCall, ToolResult, mark,
};

/// What Google documents for calls that another model made
/// (<https://ai.google.dev/gemini-api/docs/thought-signatures>).
const STAND_IN: &str = "skip_thought_signature_validator";

/// Writes contents that came in this dialect. Another vendor's thoughts, which an answer of ours brought here, are taken
/// out; calls of such a conversation get the stand-in.
pub(super) fn own(messages: &[Message], target: &Target, losses: &mut Losses) -> Vec<Value> {
    let is_foreign = |part: &Part| {
        let minted = match &part.content {
            Content::ToolCall(call) => mark::is_minted(&call.id) && !part.carry.has_note(DIALECT, "no_id"),
            Content::Text(_)
            | Content::Refusal(_)
            | Content::Media(_)
            | Content::ToolResult(_)
            | Content::Reasoning(_)
            | Content::Opaque(_) => false,
        };
        minted || part.seal.as_ref().is_some_and(|seal| seal.origin != Origin::Gemini)
    };
    let wants_stand_ins = target.can.signed_calls
        && messages.iter().any(|message| message.role == Role::Assistant && message.parts.iter().any(is_foreign));
    let called = call_places(messages);
    let mut contents = Vec::with_capacity(messages.len());
    for message in messages {
        let mut parts = Vec::with_capacity(message.parts.len());
        let mut has_call = false;
        for part in in_order_of_calls(&message.parts, &called) {
            let mut signature = part.seal.as_ref().and_then(|seal| seal.for_origin(Origin::Gemini)).map(str::to_owned);
            if part.seal.is_some() && signature.is_none() {
                losses.ignored("reasoning", DIALECT);
                if matches!(part.content, Content::Reasoning(_)) {
                    continue;
                }
            }
            if matches!(part.content, Content::ToolCall(_))
                && !std::mem::replace(&mut has_call, true)
                && wants_stand_ins
            {
                signature.get_or_insert_with(|| STAND_IN.to_owned());
            }
            parts.extend(part_to(part, signature, Minted::LeftOut));
        }
        if parts.is_empty() && !message.parts.is_empty() {
            continue;
        }
        let mut object = Object::new();
        match message.carry.noted_as(DIALECT, "role") {
            Some(Value::Null) => {}
            Some(word) => object.put("role", word.clone()),
            None => object.put("role", wire::role_to(message.role)),
        }
        if !message.carry.has_note(DIALECT, "no_parts") {
            object.put("parts", parts);
        }
        contents.push(object.carrying(&message.carry, DIALECT).into());
    }
    contents
}

/// The places of the calls in the conversation, by id.
fn call_places(messages: &[Message]) -> HashMap<&str, (usize, &str)> {
    let calls = messages.iter().flat_map(|message| &message.parts).filter_map(|part| part.content.as_tool_call());
    calls.enumerate().map(|(place, call)| (call.id.as_str(), (place, call.name.as_str()))).collect()
}

/// The parts as they are to be sent: without the ids that were minted here, results match their calls by their order only.
fn in_order_of_calls<'p>(parts: &'p [Part], called: &HashMap<&str, (usize, &str)>) -> Vec<&'p Part> {
    let result = |part: &Part| {
        let id = part.content.as_tool_result()?.call_id.as_str();
        Some((called.get(id).map_or(usize::MAX, |(place, _)| *place), mark::is_minted(id)))
    };
    let mut results: Vec<(usize, &Part)> = parts.iter().filter_map(|part| Some((result(part)?.0, part))).collect();
    if !parts.iter().any(|part| result(part).is_some_and(|(_, minted)| minted)) {
        return parts.iter().collect();
    }
    results.sort_by_key(|(place, _)| *place);
    let mut results = results.into_iter().map(|(_, part)| part);
    parts.iter().map(|part| if result(part).is_some() { results.next().unwrap_or(part) } else { part }).collect()
}

/// Writes `systemInstruction` as it came in this dialect.
pub(super) fn own_instructions(instructions: &Message) -> Value {
    let parts: Vec<Value> = instructions.parts.iter().filter_map(|part| part_to(part, None, Minted::LeftOut)).collect();
    let role = instructions.carry.noted_as(DIALECT, "role").cloned();
    Object::new().with_some("role", role).with("parts", parts).carrying(&instructions.carry, DIALECT).into()
}

/// A written conversation.
pub(super) struct Conversation {
    /// `contents`.
    pub(super) contents: Vec<Value>,
    /// `systemInstruction`.
    pub(super) system: Option<Value>,
}

/// What writing a foreign conversation needs.
struct Writer<'a> {
    target: &'a Target,
    names: &'a mut adapt::ToolNames,
    losses: &'a mut Losses,
    /// The names of called functions, and the places of the calls in the conversation, by id.
    called: HashMap<&'a str, (usize, &'a str)>,
    out: Vec<(&'static str, Vec<Value>)>,
}

/// Forms Gemini's contents out of a conversation of another dialect.
pub(super) fn foreign(
    request: &Request,
    target: &Target,
    names: &mut adapt::ToolNames,
    losses: &mut Losses,
) -> Conversation {
    let called = call_places(&request.messages);
    let mut writer = Writer { target, names, losses, called, out: Vec::with_capacity(request.messages.len()) };
    let mut system = Vec::new();
    if let Some(instructions) = &request.instructions {
        writer.words(instructions, || "system".to_owned(), &mut system);
    }
    let turns = adapt::turns_in_pairs(&request.messages, writer.losses);
    let turns = adapt::results_first(turns, writer.losses);
    for (number, turn) in turns.iter().enumerate() {
        match turn.side {
            Role::System | Role::Developer => {
                let mut words = Vec::new();
                for (index, message) in &turn.messages {
                    writer.words(message, || format!("messages[{index}]"), &mut words);
                }
                if number == 0 {
                    system.append(&mut words);
                } else if !words.is_empty() {
                    let field = format!("messages[{}]", turn.index());
                    writer.losses.approximated(
                        field,
                        "stands in the middle, where Gemini takes no system messages: sent as the user's",
                    );
                    writer.push("user", words);
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
    if writer.out.is_empty() && !system.is_empty() {
        writer
            .losses
            .approximated("messages", "has only instructions, which Gemini does not answer: sent as the user's");
        writer.push("user", std::mem::take(&mut system));
    }
    // Gemini takes calls only behind a user's turn. The model's words alone may come first.
    let is_call = |part: &Value| part.get("functionCall").is_some();
    if writer.out.first().is_some_and(|(role, parts)| *role == "model" && parts.iter().any(is_call)) {
        let words = adapt::user_before_the_assistant(writer.losses);
        writer.out.insert(0, ("user", vec![json!({"text": words})]));
    }
    // Not by `json!`, which would copy all parts once more.
    let content = |(role, parts): (&str, Vec<Value>)| Object::new().with("role", role).with("parts", parts).into();
    let contents = writer.out.into_iter().map(content).collect();
    Conversation { contents, system: (!system.is_empty()).then(|| Object::new().with("parts", system).into()) }
}

impl Writer<'_> {
    /// Adds a content, or adds to the last one of the same role.
    fn push(&mut self, role: &'static str, mut parts: Vec<Value>) {
        if parts.is_empty() {
            return;
        }
        // Results come in a content of their own, so that the first part tells.
        let are_results = |parts: &[Value]| parts.first().is_some_and(|part| part.get("functionResponse").is_some());
        match self.out.last_mut() {
            Some((last, known)) if *last == role && !are_results(&parts) && !are_results(known) => {
                known.append(&mut parts)
            }
            Some(_) | None => self.out.push((role, parts)),
        }
    }

    /// Instructions: text only.
    fn words(&mut self, message: &Message, field: impl Fn() -> String, out: &mut Vec<Value>) {
        for (place, part) in message.parts.iter().enumerate() {
            let here = || format!("{}.content[{place}]", field());
            self.report(part, message.role, here);
            adapt::refuse_in_instructions(part, here, DIALECT, self.losses);
            out.extend(part.as_text().filter(|text| !text.is_empty()).map(|text| json!({"text": text})));
        }
    }

    fn user(&mut self, turn: &adapt::Turn<'_>) {
        let mut results = Vec::new();
        let mut shown = Vec::new();
        let mut said = Vec::new();
        for index in turn.named() {
            self.losses.ignored(format!("messages[{index}].name"), DIALECT);
        }
        for (message, place, part) in turn.parts() {
            let field = || format!("messages[{message}].content[{place}]");
            if let Content::ToolResult(result) = &part.content {
                if part.cache.is_some() {
                    self.losses.ignored("cache_control", DIALECT);
                }
                results.extend(self.result(result, &mut shown, field));
            } else {
                self.report(part, Role::User, field);
                said.extend(self.content(part, field));
            }
        }
        results.sort_by_key(|(place, _)| *place);
        self.push("user", results.into_iter().map(|(_, result)| result).collect());
        shown.append(&mut said);
        self.push("user", shown);
    }

    /// A function's result, and the place of its call. Media that cannot stand inside of it go to `shown`.
    fn result(
        &mut self,
        result: &ToolResult,
        shown: &mut Vec<Value>,
        field: impl Fn() -> String,
    ) -> Option<(usize, Value)> {
        let called = self.called.get(result.call_id.as_str()).copied();
        let Some((place, name)) = called.or_else(|| Some((usize::MAX, result.name.as_deref()?))) else {
            self.losses.refused(
                field(),
                format!("answers the tool call {}, which is not in the conversation", result.call_id),
            );
            return None;
        };
        let name = self.names.wire(name).into_owned();
        let mut texts = Vec::new();
        let mut inside = Vec::new();
        let mut outside = Vec::new();
        for part in &result.parts {
            match &part.content {
                Content::Text(text) => texts.push(text.text.as_str()),
                Content::Media(media) => {
                    let goes_in = self.target.can.media_in_results && matches!(media.source, Source::Base64 { .. });
                    if goes_in { &mut inside } else { &mut outside }.extend(self.content(part, &field));
                }
                Content::Refusal(_)
                | Content::ToolCall(_)
                | Content::ToolResult(_)
                | Content::Reasoning(_)
                | Content::Opaque(_) => self.report(part, Role::Tool, &field),
            }
        }
        let mut text = texts.join("\n");
        if !outside.is_empty() {
            self.losses.approximated(
                field(),
                "holds media that cannot stand in a result of this model: they follow the results",
            );
            if text.is_empty() {
                "See the attachment after the results.".clone_into(&mut text);
            }
            shown.push(json!({"text": format!("Attached to the result of {name}:")}));
            shown.append(&mut outside);
        }
        let key = match result.outcome {
            Outcome::Success => "output",
            Outcome::Failure => "error",
        };
        let mut inner = Object::new()
            .with_some("id", wire_id(&result.call_id))
            .with("name", name)
            .with("response", Object::new().with(key, text));
        if !inside.is_empty() {
            inner.put("parts", inside);
        }
        Some((place, Object::new().with("functionResponse", inner).into()))
    }

    fn assistant(&mut self, turn: &adapt::Turn<'_>) {
        let mut parts = Vec::new();
        let mut has_call = false;
        let seal_of =
            |part: &Part| part.seal.as_ref().and_then(|seal| seal.for_origin(self.target.origin)).map(str::len);
        let is_its_own = turn.parts().any(|(_, _, part)| seal_of(part).is_some());
        for (message, place, part) in turn.parts() {
            let field = || format!("messages[{message}].content[{place}]");
            self.report(part, Role::Assistant, field);
            let signature = part.seal.as_ref().and_then(|seal| seal.for_origin(self.target.origin));
            match &part.content {
                Content::Text(text) if text.text.is_empty() && signature.is_none() => {}
                Content::Text(text) => {
                    parts.push(signed(Object::new().with("text", text.text.as_str()), signature));
                }
                Content::Refusal(text) if text.is_empty() => {}
                Content::Refusal(text) => parts.push(json!({"text": text})),
                Content::Reasoning(reasoning) if signature.is_some() => {
                    let thought = Object::new().with("text", reasoning.joined()).with("thought", true);
                    parts.push(signed(thought, signature));
                }
                // A summary of what the seals in the same turn hold: Google does not want it back.
                Content::Reasoning(_) if is_its_own && part.seal.is_none() => {}
                Content::Reasoning(_) => self.losses.ignored("reasoning", DIALECT),
                Content::ToolCall(call) => {
                    // All steps get it, not only the current turn's: what is sent once stays the same as the
                    // conversation grows, or no cache would know it again.
                    let is_first = !std::mem::replace(&mut has_call, true);
                    let stand_in = (is_first && self.target.can.signed_calls).then_some(STAND_IN);
                    let call = self.call(call, field);
                    parts.push(signed(call, signature.or(stand_in)));
                }
                Content::Media(_) => parts.extend(self.content(part, field)),
                Content::ToolResult(_) | Content::Opaque(_) => {}
            }
        }
        self.push("model", parts);
    }

    fn call(&mut self, call: &ToolCall, field: impl Fn() -> String) -> Object {
        let arguments = adapt::arguments_as_object(call.kind, &call.arguments, field, self.losses);
        let inner = Object::new()
            .with_some("id", wire_id(&call.id))
            .with("name", self.names.wire(&call.name).as_ref())
            .with("args", arguments);
        Object::new().with("functionCall", inner)
    }

    /// A part of what the user says.
    fn content(&mut self, part: &Part, field: impl Fn() -> String) -> Option<Value> {
        let media = match &part.content {
            Content::Text(text) if text.text.is_empty() => return None,
            Content::Text(text) => return Some(json!({"text": text.text})),
            Content::Refusal(text) => return Some(json!({"text": text})),
            Content::Media(media) => media,
            Content::ToolCall(_) | Content::ToolResult(_) | Content::Reasoning(_) | Content::Opaque(_) => return None,
        };
        if !adapt::takes_media(media.kind, &field, self.target, self.losses) {
            return None;
        }
        let mut named = Media { detail: None, ..adapt::plainly_typed(media) };
        if let Source::Url { url, mime } = &mut named.source {
            if !url.starts_with("https://") {
                self.losses
                    .refused(field(), "is at an address that Gemini does not fetch: only public https addresses are");
                return None;
            }
            *mime = mime.take().or_else(|| mime_by_address(url).map(str::to_owned));
        }
        if media.detail.as_deref().is_some_and(|detail| detail != "auto") {
            self.losses.ignored(format!("{}.detail", field()), DIALECT);
        }
        // Google's own API refuses `displayName`.
        adapt::lose_name(media, &field, DIALECT, self.losses);
        let Some(object) = media_to(&named, &part.carry) else {
            self.losses.refused(field(), "is a file of another provider, which Gemini cannot read");
            return None;
        };
        Some(object.into())
    }

    /// Reports what a part says beyond its content.
    fn report(&mut self, part: &Part, role: Role, field: impl Fn() -> String) {
        if part.cache.is_some() {
            self.losses.ignored("cache_control", DIALECT);
        }
        if part.seal.as_ref().is_some_and(|seal| seal.for_origin(self.target.origin).is_none()) {
            self.losses.ignored("reasoning", DIALECT);
        }
        if let Content::Opaque(opaque) = &part.content {
            adapt::lose_opaque(opaque, role, field(), DIALECT, self.losses);
        }
    }
}

fn signed(object: Object, signature: Option<&str>) -> Value {
    object.with_some("thoughtSignature", signature).into()
}

/// The id of a call for Google: none, if it was minted here. Calls and results are then matched by their order.
fn wire_id(id: &str) -> Option<String> {
    let id = mark::portable_id(id);
    (!mark::is_minted(&id)).then(|| id.into_owned())
}
