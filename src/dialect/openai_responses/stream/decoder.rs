//! Reads a provider's Responses stream.
//!
//! Events name their item by `output_index` (its `item_id` is another one in each event at some servers), and begin and end
//! everything. What a `…done` event has beyond the pieces that came is told then: some servers send items whole. Opaque
//! items are told when they are done; the progress of tools that the provider runs means nothing elsewhere.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::open::{Item, Parts};
use crate::dialect::openai_responses::decode;
use crate::dialect::openai_responses::{DIALECT, wire};
use crate::dialect::{Fields, Path, StreamDecoder};
use crate::fault::Fault;
use crate::ir::{ApiError, Carry, Event, Start, TextKind};

/// The most items that may be open at once: more is nonsense, and would be memory given away.
const MOST: usize = 1_024;

/// Reads one stream.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    started: bool,
    over: bool,
    /// Whether any item has come.
    has_items: bool,
    /// Billed searches of the web that were seen.
    searches: u64,
    items: BTreeMap<u64, Item>,
    parts: Parts,
}

/// An event, as far as any is read.
#[derive(Debug, Deserialize)]
struct Wire<'a> {
    #[serde(borrow, default)]
    r#type: Option<Cow<'a, str>>,
    #[serde(default)]
    output_index: Option<u64>,
    #[serde(default)]
    content_index: Option<u64>,
    #[serde(default)]
    summary_index: Option<u64>,
    #[serde(default)]
    delta: Option<Value>,
    #[serde(default)]
    text: Option<Value>,
    #[serde(default)]
    refusal: Option<Value>,
    #[serde(default)]
    arguments: Option<Value>,
    #[serde(default)]
    input: Option<Value>,
    #[serde(default)]
    logprobs: Option<Value>,
    #[serde(default)]
    annotation: Option<Value>,
    #[serde(default)]
    part: Option<Value>,
    #[serde(default)]
    item: Option<Value>,
    #[serde(default)]
    response: Option<Value>,
    #[serde(default)]
    error: Option<Value>,
}

impl StreamDecoder for Decoder {
    fn push(&mut self, data: &str, out: &mut Vec<Event>) {
        let data = data.trim();
        // Some servers end with chat's last word. It says nothing here.
        if self.over || data == "[DONE]" {
            return;
        }
        let event = match serde_json::from_str::<Wire<'_>>(data) {
            Ok(event) => event,
            Err(error) => return self.fail(ApiError::nonsense(error), out),
        };
        if let Err(fault) = self.event(event, data, out) {
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
        out.push(Event::Error(Box::new(error)));
    }

    fn event(&mut self, event: Wire<'_>, data: &str, out: &mut Vec<Event>) -> Result<(), Fault> {
        let Some(kind) = event.r#type.as_deref() else {
            return match &event.error {
                Some(error) => {
                    self.fail(wire::error_from(error), out);
                    Ok(())
                }
                None => Err(Path::ROOT.key("type").missing()),
            };
        };
        match kind {
            "response.created" | "response.queued" | "response.in_progress" => self.start(event.response, out),
            "response.completed" | "response.incomplete" | "response.failed" | "response.cancelled" => {
                self.end(event.response, kind, out)
            }
            "error" => {
                // The reference has its members flat, the service sends them nested.
                let whole: Value = serde_json::from_str(data).unwrap_or_default();
                let error = whole.get("error").filter(|error| error.is_object()).unwrap_or(&whole);
                self.fail(wire::error_from(error), out);
                Ok(())
            }
            "keepalive" => {
                out.push(Event::Ping);
                Ok(())
            }
            "response.output_item.added" => self.added(event, out),
            "response.output_item.done" => self.done(event, out),
            _ => self.within_item(kind, &event, out),
        }
    }

    fn start(&mut self, response: Option<Value>, out: &mut Vec<Event>) -> Result<(), Fault> {
        let here = Path::ROOT.key("response");
        let mut fields = Fields::of(response.ok_or_else(|| here.missing())?, here)?;
        if std::mem::replace(&mut self.started, true) {
            return Ok(());
        }
        for key in ["object", "status", "output", "usage", "error", "incomplete_details"] {
            fields.forget(key);
        }
        let created = fields.peek("created_at").and_then(Value::as_u64);
        if created.is_some() {
            fields.forget("created_at");
        }
        out.push(Event::Start(Box::new(Start {
            id: fields.string("id")?,
            model: fields.string("model")?,
            created,
            usage: None,
            service_tier: fields.string("service_tier")?,
            carry: fields.carry(DIALECT).noted(DIALECT, "own", true),
        })));
        Ok(())
    }

    /// Where the item is; an answer has to have begun.
    fn place(&self, event: &Wire<'_>) -> Result<u64, Fault> {
        if !self.started {
            return Err(Path::ROOT.key("type").invalid("\"response.created\" first"));
        }
        event.output_index.ok_or_else(|| Path::ROOT.key("output_index").missing())
    }

    fn added(&mut self, event: Wire<'_>, out: &mut Vec<Event>) -> Result<(), Fault> {
        let place = self.place(&event)?;
        let here = Path::ROOT.key("item");
        let item = event.item.ok_or_else(|| here.missing())?;
        self.begin(place, item, here, out)
    }

    fn begin(&mut self, place: u64, item: Value, here: Path<'_>, out: &mut Vec<Event>) -> Result<(), Fault> {
        if let Some(known) = self.items.remove(&place) {
            known.close(&mut self.parts, out);
        }
        if self.items.len() >= MOST {
            return Err(here.invalid(format!("one of at most {MOST} at once")));
        }
        self.has_items = true;
        let item = Item::begin(item, here, &mut self.parts, out)?;
        self.items.insert(place, item);
        Ok(())
    }

    fn done(&mut self, event: Wire<'_>, out: &mut Vec<Event>) -> Result<(), Fault> {
        let place = self.place(&event)?;
        let here = Path::ROOT.key("item");
        let value = event.item.ok_or_else(|| here.missing())?;
        self.searches += u64::from(wire::is_search(&value));
        if !self.items.contains_key(&place) {
            self.begin(place, value.clone(), here, out)?;
        }
        let Some(item) = self.items.remove(&place) else { return Ok(()) };
        item.end(decode::output_item(value, here)?, &mut self.parts, out);
        Ok(())
    }

    /// A piece of an item.
    fn within_item(&mut self, kind: &str, event: &Wire<'_>, out: &mut Vec<Event>) -> Result<(), Fault> {
        let known = matches!(
            kind,
            "response.content_part.added"
                | "response.content_part.done"
                | "response.output_text.delta"
                | "response.output_text.done"
                | "response.output_text.annotation.added"
                | "response.refusal.delta"
                | "response.refusal.done"
                | "response.function_call_arguments.delta"
                | "response.function_call_arguments.done"
                | "response.custom_tool_call_input.delta"
                | "response.custom_tool_call_input.done"
                | "response.reasoning_summary_part.added"
                | "response.reasoning_summary_part.done"
                | "response.reasoning_summary_text.delta"
                | "response.reasoning_summary_text.done"
                | "response.reasoning_text.delta"
                | "response.reasoning_text.done"
        );
        // Newer than this code, or of a tool that the provider runs.
        if !known {
            return Ok(());
        }
        let place = self.place(event)?;
        let Some(item) = self.items.get_mut(&place) else {
            return Err(Path::ROOT.key("output_index").invalid("that of an item that was added"));
        };
        let parts = &mut self.parts;
        let content = event.content_index.unwrap_or(0);
        let summary = event.summary_index.unwrap_or(0);
        match kind {
            "response.content_part.added" => item.part_added(content, required(&event.part, "part")?, parts, out),
            "response.content_part.done" => item.part_done(content, required(&event.part, "part")?, parts, out),
            "response.output_text.delta" => {
                item.text(content, &text(&event.delta, "delta")?, event.logprobs.as_ref(), parts, out)
            }
            "response.output_text.done" => {
                item.whole_text(content, &text(&event.text, "text")?, event.logprobs.as_ref(), parts, out)
            }
            "response.output_text.annotation.added" => {
                item.annotation(content, required(&event.annotation, "annotation")?, parts, out)
            }
            "response.refusal.delta" => item.refusal(content, &text(&event.delta, "delta")?, parts, out),
            "response.refusal.done" => item.whole_refusal(content, &text(&event.refusal, "refusal")?, parts, out),
            "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" => {
                item.arguments(&text(&event.delta, "delta")?, out);
                Ok(())
            }
            "response.function_call_arguments.done" => {
                item.whole_arguments(&text(&event.arguments, "arguments")?, out);
                Ok(())
            }
            "response.custom_tool_call_input.done" => {
                item.whole_arguments(&text(&event.input, "input")?, out);
                Ok(())
            }
            "response.reasoning_summary_text.delta" => {
                item.thought(TextKind::Summary, summary, &text(&event.delta, "delta")?, out)
            }
            "response.reasoning_summary_text.done" => {
                item.whole_thought(TextKind::Summary, summary, &text(&event.text, "text")?, out)
            }
            "response.reasoning_summary_part.done" => {
                let part = required(&event.part, "part")?;
                let words = part.get("text").and_then(Value::as_str).unwrap_or_default();
                item.whole_thought(TextKind::Summary, summary, words, out)
            }
            "response.reasoning_text.delta" => {
                item.thought(TextKind::Full, content, &text(&event.delta, "delta")?, out)
            }
            "response.reasoning_text.done" => {
                item.whole_thought(TextKind::Full, content, &text(&event.text, "text")?, out)
            }
            _ => Ok(()),
        }
    }

    fn end(&mut self, response: Option<Value>, kind: &str, out: &mut Vec<Event>) -> Result<(), Fault> {
        let here = Path::ROOT.key("response");
        let response = response.ok_or_else(|| here.missing())?;
        if kind == "response.failed" {
            let error = decode::failure(&response);
            self.tell_usage(&response, out);
            self.fail(error, out);
            return Ok(());
        }
        if !self.started {
            self.start(Some(response.clone()), out)?;
        }
        let mut fields = Fields::of(response.clone(), here)?;
        // A server that streams nothing says all at the end.
        let items = fields.array("output")?.unwrap_or_default();
        if !self.has_items {
            let list = here.key("output");
            for (index, item) in items.into_iter().enumerate() {
                let here = list.index(index);
                self.searches += u64::from(wire::is_search(&item));
                let place = u64::try_from(index).unwrap_or(u64::MAX);
                self.begin(place, item.clone(), here, out)?;
                if let Some(open) = self.items.remove(&place) {
                    open.end(decode::output_item(item, here)?, &mut self.parts, out);
                }
            }
        }
        for (_, item) in std::mem::take(&mut self.items) {
            item.close(&mut self.parts, out);
        }
        self.tell_usage(&response, out);
        if kind == "response.incomplete" && fields.peek("incomplete_details").is_none() {
            fields.put_back("incomplete_details", serde_json::json!({"reason": "max_output_tokens"}));
        }
        let finish = decode::finish(&fields, self.parts.has_calls);
        out.push(Event::Finish(0, Box::new(finish), Carry::NONE));
        for key in ["id", "object", "model", "created_at", "usage", "service_tier"] {
            fields.forget(key);
        }
        self.over = true;
        out.push(Event::End(fields.carry(DIALECT)));
        Ok(())
    }

    fn tell_usage(&self, response: &Value, out: &mut Vec<Event>) {
        if let Some(usage) = response.get("usage").filter(|usage| usage.is_object())
            && self.started
        {
            let mut usage = wire::usage_from(usage.clone());
            let told = decode::searches(&[], response.get("tool_usage"));
            usage.web_searches = told.or(Some(self.searches).filter(|count| *count > 0));
            // At the beginning it is the one that was asked for: `auto`.
            usage.service_tier = response.get("service_tier").and_then(Value::as_str).map(str::to_owned);
            out.push(Event::Usage(Box::new(usage)));
        }
    }
}

fn required<'v>(value: &'v Option<Value>, key: &str) -> Result<&'v Value, Fault> {
    value.as_ref().ok_or_else(|| Path::ROOT.key(key).missing())
}

fn text<'v>(value: &'v Option<Value>, key: &str) -> Result<Cow<'v, str>, Fault> {
    match value {
        Some(Value::String(text)) => Ok(Cow::Borrowed(text)),
        None | Some(Value::Null) => Ok(Cow::Borrowed("")),
        Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            Err(Path::ROOT.key(key).invalid("a string"))
        }
    }
}
