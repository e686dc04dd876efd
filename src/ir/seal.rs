//! Signatures and encrypted thoughts: made by one vendor, carried through any dialect, given back to that vendor only.
//!
//! A [`Seal`] in its maker's dialect is written as it came. In another vendor's dialect it travels inside a *capsule*: a
//! minted text that bears the mark, stands where that dialect's callers echo signatures, and says whose seal it is, of
//! what kind, and what it belongs to. Where each dialect puts capsules:
//!
//! | dialect | place |
//! |---|---|
//! | chat | an entry of the assistant message's `reasoning_details`: `signature` of `reasoning.text`, or `data` of `reasoning.encrypted` |
//! | Responses | `encrypted_content` of a `reasoning` item |
//! | Messages | `signature` of a `thinking` block, or `data` of a `redacted_thinking` block |
//! | Gemini | `thoughtSignature` of a thought part |
//!
//! A decoder of requests reads every such place with [`Seal::read`] and calls [`reattach`] once at its end. An encoder of
//! answers asks [`Seal::text_for`]; seals of text and tool calls (Gemini's) get a reasoning node of their own in front of
//! the part, or, for text, after it (whole messages have it in front: no message may end in a thought). An encoder of *requests* writes a seal only if its origin is the target's
//! ([`Seal::for_origin`]), and reports it otherwise.

use super::{Content, Message, Origin, Part, Role, mark};
use serde_json::{Value, json};

/// A signature, or an encrypted form of thoughts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seal {
    /// Who made it and can read it.
    pub origin: Origin,
    /// What it is.
    pub kind: SealKind,
    /// As its maker wrote it.
    pub data: String,
    /// The id of the item that it seals (OpenAI's `rs_...`), for dialects that have no place for it.
    pub item: Option<String>,
    /// What it belongs to, other than the part that it is on. Only set between [`Seal::read`] and [`reattach`].
    pub attach: Attach,
}

/// What a seal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SealKind {
    /// Anthropic's `signature` of a thinking block.
    Signature,
    /// Anthropic's `redacted_thinking.data`.
    Redacted,
    /// OpenAI's `encrypted_content` of a reasoning item.
    Encrypted,
    /// Gemini's `thoughtSignature`.
    Thought,
}

/// What a seal belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Attach {
    /// The part that it is on.
    #[default]
    Own,
    /// The tool call with this id.
    Call(String),
    /// The text before it in the same turn; if there is none, an empty one.
    Text,
    /// The text after it in the same turn.
    NextText,
}

impl Seal {
    /// A seal on the part that it belongs to.
    pub fn new(origin: Origin, kind: SealKind, data: impl Into<String>) -> Self {
        Self { origin, kind, data: data.into(), item: None, attach: Attach::Own }
    }

    /// Reads a text that stood where a dialect keeps its signatures: a capsule of ours, or else the vendor's own.
    /// `None` for a capsule that cannot be read: it is ours, so the vendor could make nothing of it.
    pub fn read(origin: Origin, kind: SealKind, text: String) -> Option<Self> {
        if !mark::is_minted(&text) {
            return Some(Self::new(origin, kind, text));
        }
        let value: Value = serde_json::from_slice(&mark::open_capsule(&text)?).ok()?;
        let field = |key: &str| value.get(key).and_then(Value::as_str);
        let attach = match field("c") {
            Some(id) => Attach::Call(id.to_owned()),
            None if field("t") == Some("next") => Attach::NextText,
            None if field("t").is_some() => Attach::Text,
            None => Attach::Own,
        };
        Some(Self {
            origin: Origin::from_name(field("o")?)?,
            kind: SealKind::from_name(field("k")?)?,
            data: field("d")?.to_owned(),
            item: field("i").map(str::to_owned),
            attach,
        })
    }

    /// How it is written in a dialect of `origin` at a place for `kind`: as it is for its maker, else as a capsule.
    pub fn text_for(&self, origin: Origin, kind: SealKind) -> String {
        if self.origin == origin && self.kind == kind && self.attach == Attach::Own {
            return self.data.clone();
        }
        self.capsule()
    }

    /// The capsule, wherever it is going.
    pub fn capsule(&self) -> String {
        let mut value = json!({"o": self.origin.name(), "k": self.kind.name(), "d": self.data});
        if let Some(item) = &self.item {
            value["i"] = Value::from(item.as_str());
        }
        match &self.attach {
            Attach::Own => {}
            Attach::Call(id) => value["c"] = Value::from(id.as_str()),
            Attach::Text => value["t"] = Value::from("text"),
            Attach::NextText => value["t"] = Value::from("next"),
        }
        mark::capsule(value.to_string().as_bytes())
    }

    /// The same seal, said to belong to something else than the node that carries it.
    #[must_use]
    pub fn attached(&self, attach: Attach) -> Self {
        Self { attach, ..self.clone() }
    }

    /// The vendor's own text, if this vendor made it.
    pub fn for_origin(&self, origin: Origin) -> Option<&str> {
        (self.origin == origin).then_some(self.data.as_str())
    }
}

impl SealKind {
    fn name(self) -> &'static str {
        match self {
            Self::Signature => "sig",
            Self::Redacted => "red",
            Self::Encrypted => "enc",
            Self::Thought => "tho",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        match name {
            "sig" => Some(Self::Signature),
            "red" => Some(Self::Redacted),
            "enc" => Some(Self::Encrypted),
            "tho" => Some(Self::Thought),
            _ => None,
        }
    }
}

/// Puts seals that travelled on reasoning nodes of their own back on the text or the tool call that they belong to, and
/// takes those nodes away. Linear in the conversation's size.
pub fn reattach(messages: &mut [Message]) {
    let travelling = |part: &Part| part.seal.as_ref().is_some_and(|seal| seal.attach != Attach::Own);
    if !messages.iter().any(|message| message.parts.iter().any(travelling)) {
        return;
    }
    let mut for_calls = std::collections::HashMap::new();
    let mut last_text: Option<(usize, usize)> = None;
    let mut for_texts = Vec::new();
    let mut for_next: Option<Seal> = None;
    for (place, message) in messages.iter_mut().enumerate() {
        if message.role != Role::Assistant {
            (last_text, for_next) = (None, None);
            continue;
        }
        let mut kept: Vec<Part> = Vec::with_capacity(message.parts.len());
        for mut part in message.parts.drain(..) {
            let Some(seal) = part.seal.take_if(|seal| seal.attach != Attach::Own) else {
                if part.as_text().is_some() {
                    let at = (place, kept.len());
                    last_text = Some(at);
                    for_texts.extend(for_next.take().map(|seal| (at, seal)));
                }
                kept.push(part);
                continue;
            };
            match &seal.attach {
                Attach::Call(id) => {
                    for_calls.insert(id.clone(), Seal { attach: Attach::Own, ..seal });
                }
                Attach::NextText => for_next = Some(Seal { attach: Attach::Own, ..seal }),
                Attach::Text | Attach::Own => {
                    let at = *last_text.get_or_insert_with(|| {
                        kept.push(Part::text(""));
                        (place, kept.len() - 1)
                    });
                    for_texts.push((at, Seal { attach: Attach::Own, ..seal }));
                }
            }
            if let Content::Reasoning(reasoning) = &part.content
                && !reasoning.texts.is_empty()
            {
                kept.push(part);
            }
        }
        message.parts = kept;
    }
    for ((message, part), seal) in for_texts {
        if let Some(part) = messages.get_mut(message).and_then(|message| message.parts.get_mut(part)) {
            part.seal = Some(seal);
        }
    }
    for part in messages.iter_mut().flat_map(|message| &mut message.parts) {
        if let Content::ToolCall(call) = &part.content
            && let Some(seal) = for_calls.remove(&call.id)
        {
            part.seal = Some(seal);
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::ir::{CallKind, Reasoning, ToolCall};

    #[test]
    fn a_seal_is_bare_at_home_and_in_a_capsule_abroad() {
        let seal = Seal::new(Origin::Anthropic, SealKind::Signature, "EqQB+/==");
        assert_eq!(seal.text_for(Origin::Anthropic, SealKind::Signature), "EqQB+/==");
        let abroad = seal.text_for(Origin::OpenAi, SealKind::Encrypted);
        assert!(mark::is_minted(&abroad));
        assert_eq!(Seal::read(Origin::OpenAi, SealKind::Encrypted, abroad).unwrap(), seal);
    }

    #[test]
    fn a_capsule_that_was_damaged_is_no_seal_at_all() {
        let text = format!("{}AAAA", mark::MARK);
        assert_eq!(Seal::read(Origin::OpenAi, SealKind::Encrypted, text), None);
    }

    #[test]
    fn a_seal_in_front_of_a_text_comes_back_to_that_text() {
        let seal = Seal::new(Origin::Gemini, SealKind::Thought, "sig");
        let read = Seal::read(Origin::Anthropic, SealKind::Redacted, seal.attached(Attach::NextText).capsule());
        let carrier = Part::new(Content::Reasoning(Reasoning::default())).sealed(read);
        let mut messages = [
            Message::new(Role::Assistant, vec![Part::text("one"), carrier, Part::text("two")]),
            Message::new(Role::User, vec![Part::text("three")]),
        ];
        reattach(&mut messages);
        assert_eq!(messages[0].parts, [Part::text("one"), Part::text("two").sealed(Some(seal))]);
    }

    #[test]
    fn travelling_seals_come_back_to_their_calls_and_texts() {
        let call = |id: &str| {
            Part::new(Content::ToolCall(ToolCall {
                id: id.to_owned(),
                name: "f".to_owned(),
                arguments: String::new(),
                kind: CallKind::Function,
            }))
        };
        let carrier = |attach: Attach| {
            let seal = Seal::new(Origin::Gemini, SealKind::Thought, "sig").attached(attach);
            let read = Seal::read(Origin::OpenAi, SealKind::Encrypted, seal.capsule());
            Part::new(Content::Reasoning(Reasoning::default())).sealed(read)
        };
        let parts =
            vec![carrier(Attach::Call("b".to_owned())), Part::text("hi"), carrier(Attach::Text), call("a"), call("b")];
        let mut messages = [Message::new(Role::Assistant, parts)];
        reattach(&mut messages);
        let sealed: Vec<bool> = messages[0].parts.iter().map(|part| part.seal.is_some()).collect();
        assert_eq!(sealed, [true, false, true]);
    }
}
