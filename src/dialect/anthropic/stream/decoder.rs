//! Reads a provider's Messages stream.
//!
//! Blocks become parts. Those that only Anthropic understands are held until they are whole. What the last events say of usage is
//! laid over what the first one said.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::dialect::anthropic::{DIALECT, blocks, decode, wire};
use crate::dialect::kept::Kept;
use crate::dialect::{Fields, Path, StreamDecoder};
use crate::fault::Fault;
use crate::ir::{
    ApiError, Carry, Content, Delta, Event, Finish, Opaque, Origin, Part, PartAt, Seal, SealKind, Start, TextKind,
    Usage, weight,
};

/// The most blocks that may be open at a time: Anthropic has one.
const MOST: usize = 64;

/// Reads one stream.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    started: bool,
    over: bool,
    next: u32,
    open: BTreeMap<u64, Open>,
    usage: Option<Usage>,
    finish: Option<Finish>,
    /// Loose fields of the answer that came at its end.
    carry: Carry,
    kept: Kept,
}

/// An open block.
#[derive(Clone, Debug)]
enum Open {
    Text(PartAt),
    Thinking(PartAt),
    Call {
        at: PartAt,
        /// The input that stood in the block's start, for servers that send it so.
        initial: String,
        /// Whether any of the input has come in pieces.
        begun: bool,
    },
    /// Complete from its start.
    Whole(PartAt),
    Held {
        block: Map<String, Value>,
        input: String,
    },
}

impl StreamDecoder for Decoder {
    fn push(&mut self, data: &str, out: &mut Vec<Event>) {
        if self.over {
            return;
        }
        let event = match serde_json::from_str::<Value>(data) {
            Ok(event) => event,
            Err(error) => return self.fail(ApiError::nonsense(error), out),
        };
        if let Err(fault) = self.event(event, out) {
            self.fail(ApiError::nonsense(fault.message), out);
        }
    }

    fn finish(&mut self, out: &mut Vec<Event>) {
        if !self.over {
            self.fail(ApiError::cut(), out);
        }
    }
}

impl Decoder {
    /// Nothing read yet.
    pub fn new() -> Self {
        Self::default()
    }

    fn fail(&mut self, error: ApiError, out: &mut Vec<Event>) {
        self.over = true;
        self.open.clear();
        out.push(Event::Error(Box::new(error)));
    }

    fn event(&mut self, event: Value, out: &mut Vec<Event>) -> Result<(), Fault> {
        let mut fields = Fields::of(event, Path::ROOT)?;
        let kind = fields.required_string("type")?;
        match kind.as_str() {
            "ping" => {
                out.push(Event::Ping);
                return Ok(());
            }
            "error" => {
                let error = wire::stream_error_from(&fields.required("error")?);
                self.fail(error, out);
                return Ok(());
            }
            "message_start" if self.started => return Err(fields.invalid("type", "another: the message has begun")),
            "message_start" => return self.start(fields, out),
            _ if !self.started => return Err(fields.invalid("type", "message_start first")),
            _ => {}
        }
        match kind.as_str() {
            "content_block_start" => self.block_start(fields, out),
            "content_block_delta" => self.block_delta(fields, out),
            "content_block_stop" => self.block_stop(&mut fields, out),
            "message_delta" => self.message_delta(fields, out),
            "message_stop" => {
                self.stop(out);
                Ok(())
            }
            _ => {
                let mut whole = Map::from_iter([("type".to_owned(), Value::from(kind))]);
                whole.extend(fields.rest());
                out.push(Event::Opaque(Box::new(Opaque::new(DIALECT, whole.into()))));
                Ok(())
            }
        }
    }

    fn start(&mut self, mut fields: Fields<'_>, out: &mut Vec<Event>) -> Result<(), Fault> {
        let path = Path::ROOT.key("message");
        let mut message = Fields::of(fields.required("message")?, path)?;
        decode::head(&mut message);
        // Not known yet, and said again at the end.
        for key in ["stop_reason", "stop_sequence", "stop_details"] {
            message.forget(key);
        }
        let content = message.array("content")?.unwrap_or_default();
        let usage = message.take("usage");
        let service_tier = usage.as_ref().and_then(wire::tier_from);
        self.usage = usage.map(wire::usage_from);
        self.started = true;
        let start = Start {
            id: message.string("id")?,
            model: message.string("model")?,
            created: None,
            usage: self.usage.clone(),
            service_tier,
            carry: message.carry(DIALECT),
        };
        out.push(Event::Start(Box::new(start)));
        let list = path.key("content");
        for (index, block) in content.into_iter().enumerate() {
            let part = blocks::read(block, list.index(index))?;
            let at = self.begin(part, out);
            out.push(Event::PartStop(at, Carry::NONE));
        }
        Ok(())
    }

    fn begin(&mut self, part: Part, out: &mut Vec<Event>) -> PartAt {
        let at = PartAt::first(self.next);
        self.next = self.next.saturating_add(1);
        out.push(Event::PartStart(at, Box::new(part)));
        at
    }

    fn block_start(&mut self, mut fields: Fields<'_>, out: &mut Vec<Event>) -> Result<(), Fault> {
        let index = index(&mut fields)?;
        if self.open.contains_key(&index) {
            return Err(fields.invalid("index", "that of a block that is not open"));
        }
        if self.open.len() >= MOST {
            return Err(fields.invalid("index", "that of an open block: too many are"));
        }
        let mut part = blocks::read(fields.required("content_block")?, Path::ROOT.key("content_block"))?;
        let open = match &mut part.content {
            Content::Opaque(opaque) => {
                self.kept.more(weight(&opaque.value))?;
                let block = opaque.value.as_object_mut().map(std::mem::take).unwrap_or_default();
                Open::Held { block, input: String::new() }
            }
            Content::Text(_) => Open::Text(self.begin(part, out)),
            Content::Reasoning(_) if part.carry.has_note(DIALECT, "block") => {
                part.carry = without_empty_signature(part.carry);
                Open::Thinking(self.begin(part, out))
            }
            Content::ToolCall(call) => {
                let initial = std::mem::take(&mut call.arguments);
                Open::Call { at: self.begin(part, out), initial, begun: false }
            }
            Content::Reasoning(_) | Content::Refusal(_) | Content::Media(_) | Content::ToolResult(_) => {
                Open::Whole(self.begin(part, out))
            }
        };
        self.open.insert(index, open);
        Ok(())
    }

    fn block_delta(&mut self, mut fields: Fields<'_>, out: &mut Vec<Event>) -> Result<(), Fault> {
        let index = index(&mut fields)?;
        let Some(open) = self.open.get_mut(&index) else {
            return Err(fields.invalid("index", "that of an open block"));
        };
        let mut delta = Fields::of(fields.required("delta")?, Path::ROOT.key("delta"))?;
        let kind = delta.required_string("type")?;
        match (kind.as_str(), open) {
            ("text_delta", Open::Text(at)) => {
                let text = delta.required_string("text")?;
                if !text.is_empty() {
                    out.push(Event::Delta(*at, Delta::Text(text)));
                }
            }
            ("citations_delta", Open::Text(at)) => {
                let citation = wire::citation_from(delta.required("citation")?);
                out.push(Event::Delta(*at, Delta::Citation(Box::new(citation))));
            }
            ("thinking_delta", Open::Thinking(at)) => {
                let words = delta.required_string("thinking")?;
                if !words.is_empty() {
                    out.push(Event::Delta(*at, Delta::Reasoning { text: 0, kind: TextKind::Full, delta: words }));
                }
            }
            ("signature_delta", Open::Thinking(at)) => {
                let signature = delta.required_string("signature")?;
                let seal = Some(signature).filter(|signature| !signature.is_empty());
                let seal = seal.and_then(|text| Seal::read(Origin::Anthropic, SealKind::Signature, text));
                out.extend(seal.map(|seal| Event::Delta(*at, Delta::Seal(Box::new(seal)))));
            }
            ("input_json_delta", Open::Call { at, begun, .. }) => {
                let json = delta.required_string("partial_json")?;
                if !json.is_empty() {
                    *begun = true;
                    out.push(Event::Delta(*at, Delta::Arguments(json)));
                }
            }
            ("input_json_delta", Open::Held { input, .. }) => {
                let more = delta.required_string("partial_json")?;
                self.kept.more(more.len())?;
                input.push_str(&more);
            }
            (_, Open::Held { block, .. }) => extend(block, delta.rest(), &mut self.kept)?,
            ("text_delta" | "thinking_delta" | "input_json_delta" | "signature_delta" | "citations_delta", _) => {
                return Err(delta.invalid("type", "that of its block"));
            }
            // A kind that is newer than this code.
            (_, Open::Text(_) | Open::Thinking(_) | Open::Call { .. } | Open::Whole(_)) => {}
        }
        Ok(())
    }

    fn block_stop(&mut self, fields: &mut Fields<'_>, out: &mut Vec<Event>) -> Result<(), Fault> {
        let index = index(fields)?;
        let at = match self.open.remove(&index) {
            Some(Open::Text(at) | Open::Thinking(at) | Open::Whole(at)) => at,
            Some(Open::Call { at, initial, begun }) => {
                if !begun {
                    let whole = if initial.is_empty() { "{}".to_owned() } else { initial };
                    out.push(Event::Delta(at, Delta::Arguments(whole)));
                }
                at
            }
            Some(Open::Held { mut block, input }) => {
                if !input.is_empty() {
                    let value = serde_json::from_str(&input)
                        .map_err(|_| Path::ROOT.key("partial_json").invalid("a JSON document in all"))?;
                    block.insert("input".to_owned(), value);
                }
                self.begin(Part::opaque(DIALECT, block.into()), out)
            }
            None => return Err(fields.invalid("index", "that of an open block")),
        };
        out.push(Event::PartStop(at, Carry::NONE));
        Ok(())
    }

    fn message_delta(&mut self, mut fields: Fields<'_>, out: &mut Vec<Event>) -> Result<(), Fault> {
        if let Some(delta) = fields.take("delta") {
            let mut delta = Fields::of(delta, Path::ROOT.key("delta"))?;
            if let Some(word) = delta.string("stop_reason")? {
                let mut finish = wire::finish_from(word);
                finish.stop_sequence = delta.string("stop_sequence")?;
                finish.details = delta.take("stop_details").map(|details| Opaque::new(DIALECT, details));
                self.finish = Some(finish);
            }
            delta.forget("stop_reason");
            self.kept.merge(&mut self.carry, delta.carry(DIALECT))?;
        }
        if let Some(usage) = fields.take("usage").filter(Value::is_object) {
            let usage = wire::usage_over(self.usage.as_ref(), usage);
            self.usage = Some(usage.clone());
            out.push(Event::Usage(Box::new(usage)));
        }
        self.kept.merge(&mut self.carry, fields.carry(DIALECT))
    }

    fn stop(&mut self, out: &mut Vec<Event>) {
        let Some(finish) = self.finish.take().filter(|_| self.open.is_empty()) else {
            return self.fail(ApiError::cut(), out);
        };
        self.over = true;
        out.push(Event::Finish(0, Box::new(finish), Carry::NONE));
        out.push(Event::End(std::mem::take(&mut self.carry)));
    }
}

fn index(fields: &mut Fields<'_>) -> Result<u64, Fault> {
    fields.count("index")?.ok_or_else(|| fields.missing("index"))
}

/// A block begins with an empty signature, which comes at its end.
fn without_empty_signature(carry: Carry) -> Carry {
    let mut rest = carry.rest_for(DIALECT).cloned().unwrap_or_default();
    rest.shift_remove("signature");
    Carry::of(DIALECT, rest).noted(DIALECT, "block", "thinking")
}

/// Adds the pieces of a delta that is not known here (`compaction_delta`) to its block.
fn extend(block: &mut Map<String, Value>, delta: Map<String, Value>, kept: &mut Kept) -> Result<(), Fault> {
    for (key, value) in delta {
        kept.more(key.len() + weight(&value))?;
        match (block.get_mut(&key), value) {
            (Some(Value::String(known)), Value::String(more)) => known.push_str(&more),
            (_, Value::Null) => {}
            (_, value) => {
                block.insert(key, value);
            }
        }
    }
    Ok(())
}
