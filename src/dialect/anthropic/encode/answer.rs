//! A whole answer as a message.

use serde_json::{Value, json};

use crate::dialect::anthropic::{DIALECT, blocks, wire};
use crate::dialect::{Asked, Encoded, Object, adapt};
use crate::ir::{
    Attach, Choice, Content, Losses, Origin, Part, Reasoning, Response, Seal, SealKind, Text, Usage, mark,
};

/// How a thought is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::dialect::anthropic) enum ThoughtBlock {
    /// A `thinking` block with this signature.
    Thinking(String),
    /// A `redacted_thinking` block with this data.
    Redacted(String),
}

/// Writes an answer.
pub(in crate::dialect::anthropic) fn response(response: &Response, asked: &Asked) -> Encoded {
    let mut losses = Losses::new();
    if let Some(error) = &response.error {
        return Encoded { body: wire::error_to(error), losses };
    }
    let default = Choice::default();
    let choice = response.choices.first().unwrap_or(&default);
    if response.choices.len() > 1 {
        losses.ignored("n", DIALECT);
    }
    let is_own = choice.finish.as_ref().is_some_and(|finish| finish.word_for(DIALECT).is_some())
        || response.carry.loose().is_some_and(|(dialect, _)| dialect == DIALECT);
    let mut writer = Writer { is_own, content: Vec::new(), held: wire::Held::default(), losses: &mut losses };
    let last = choice.parts.len().saturating_sub(1);
    choice.parts.iter().enumerate().for_each(|(place, part)| writer.part(part, place, place == last));
    let Writer { content, held, .. } = writer;

    let mut body = Object::new()
        .with("id", response.id.as_deref().unwrap_or(&asked.fallback_id))
        .with("type", "message")
        .with("role", "assistant")
        .with("model", response.model.as_deref().unwrap_or(&asked.request.model))
        .with("content", content);
    if let Some(finish) = &choice.finish {
        let (word, details) = wire::finish_to(finish, held);
        body.put("stop_reason", word);
        body.put_some("stop_sequence", finish.stop_sequence.clone());
        body.put_some("stop_details", details);
    }
    let tier = response.service_tier.as_deref();
    if tier.is_some_and(|tier| !wire::has_tier(tier)) {
        losses.approximated("service_tier", wire::NO_SUCH_TIER);
    }
    body.put_some("usage", response.usage.as_ref().map(|usage| wire::usage_to(usage, tier)));
    body.put_carried(&response.carry, DIALECT);
    if !is_own {
        body.put_default("stop_reason", Value::Null);
        body.put_default("stop_sequence", Value::Null);
        body.put_default("usage", wire::usage_to(&Usage::default(), tier));
    }
    Encoded { body: body.into(), losses }
}

struct Writer<'a> {
    is_own: bool,
    content: Vec<Value>,
    held: wire::Held,
    losses: &'a mut Losses,
}

impl Writer<'_> {
    fn part(&mut self, part: &Part, place: usize, is_last: bool) {
        match &part.content {
            Content::Text(text) => {
                self.text(part, text);
                self.text_seal(part, is_last);
            }
            Content::Refusal(words) => {
                self.held.refusal = true;
                self.content.push(json!({"type": "text", "text": words}));
            }
            Content::ToolCall(call) => {
                self.held.calls = true;
                self.content.extend(call_seal(part).map(redacted_block));
                let field = || format!("content[{place}].input");
                let input = adapt::arguments_as_object(call.kind, &call.arguments, field, self.losses);
                let object = blocks::call_to(call, &call.name).with("input", input);
                self.content.push(object.carrying(&part.carry, DIALECT).into());
            }
            Content::Reasoning(reasoning) => {
                if is_as_read(part) {
                    self.content.extend(blocks::write(part));
                } else {
                    self.content.extend(thought(part, reasoning));
                }
            }
            Content::Opaque(opaque) => match opaque.for_dialect(DIALECT) {
                Some(own) => self.content.push(own.clone()),
                None => self.losses.ignored(opaque.type_name(), DIALECT),
            },
            Content::Media(_) | Content::ToolResult(_) => match part.carry.loose() {
                Some((DIALECT, _)) => self.content.extend(blocks::write(part)),
                Some(_) | None => self.losses.ignored("content", DIALECT),
            },
        }
    }

    /// A text's seal goes in front of it: clients take an answer's last block for what it says, and Anthropic refuses one that
    /// ends in a thought. That of an empty text, which is not written, goes in front of the text before.
    fn text_seal(&mut self, part: &Part, is_last: bool) {
        let Some(seal) = &part.seal else { return };
        let is_text = |block: &Value| block.get("type").and_then(Value::as_str) == Some("text");
        match self.content.iter().rposition(is_text) {
            Some(place) => self.content.insert(place, redacted_block(seal.attached(Attach::NextText).capsule())),
            None if is_last => self.losses.ignored("reasoning", DIALECT),
            None => self.content.extend(text_seal(part).map(redacted_block)),
        }
    }

    /// A text. An empty one could not be sent back: Anthropic refuses it.
    fn text(&mut self, part: &Part, text: &Text) {
        if text.text.is_empty() && text.citations.is_empty() && !self.is_own {
            return;
        }
        let mut object = Object::typed("text").with("text", text.text.as_str());
        let citations: Vec<Value> = text.citations.iter().filter_map(wire::citation_to).collect();
        if citations.len() < text.citations.len() {
            self.losses.ignored("annotations", DIALECT);
        }
        if !text.logprobs.is_empty() {
            self.losses.ignored("logprobs", DIALECT);
        }
        if !citations.is_empty() {
            object.put("citations", citations);
        }
        self.content.push(object.carrying(&part.carry, DIALECT).into());
    }
}

/// Whether a thought was read from this dialect, and nothing was taken out of it.
fn is_as_read(part: &Part) -> bool {
    let is_foreign = part.seal.as_ref().is_some_and(|seal| seal.origin != Origin::Anthropic);
    let noted = part.carry.loose().is_some_and(|(dialect, _)| dialect == DIALECT);
    noted && !is_foreign && !part.carry.has_note(DIALECT, "minted")
}

fn thought(part: &Part, reasoning: &Reasoning) -> Option<Value> {
    match thought_block(part)? {
        ThoughtBlock::Thinking(signature) => {
            Some(json!({"type": "thinking", "thinking": reasoning.joined(), "signature": signature}))
        }
        ThoughtBlock::Redacted(data) => Some(redacted_block(data)),
    }
}

/// A block of what only its maker can read.
pub(in crate::dialect::anthropic) fn redacted_block(data: String) -> Value {
    json!({"type": "redacted_thinking", "data": data})
}

/// How a thought is written, once all of it is known; `None` if it is nothing.
///
/// Every `thinking` block needs a signature, since callers send it back with one. Thoughts that nobody signed get the bare
/// mark, by which they are known, and left out, when they come back.
pub(in crate::dialect::anthropic) fn thought_block(part: &Part) -> Option<ThoughtBlock> {
    let Content::Reasoning(reasoning) = &part.content else { return None };
    let has_words = !reasoning.texts.is_empty();
    let Some(seal) = &part.seal else {
        return has_words.then(|| ThoughtBlock::Thinking(mark::MARK.to_owned()));
    };
    let seal = Seal { item: seal.item.clone().or_else(|| reasoning.id.clone()), ..seal.clone() };
    // A signature without words is a thought that is not shown (`display: "omitted"`).
    let is_own_signature = seal.origin == Origin::Anthropic && seal.kind == SealKind::Signature;
    Some(if has_words || is_own_signature {
        ThoughtBlock::Thinking(seal.text_for(Origin::Anthropic, SealKind::Signature))
    } else {
        ThoughtBlock::Redacted(seal.text_for(Origin::Anthropic, SealKind::Redacted))
    })
}

/// The seal of a call, to be put before it in a block of its own.
pub(in crate::dialect::anthropic) fn call_seal(part: &Part) -> Option<String> {
    let Content::ToolCall(call) = &part.content else { return None };
    Some(part.seal.as_ref()?.attached(Attach::Call(call.id.clone())).capsule())
}

/// The seal of a text, to be put after it in a block of its own.
pub(in crate::dialect::anthropic) fn text_seal(part: &Part) -> Option<String> {
    Some(part.seal.as_ref()?.attached(Attach::Text).capsule())
}
