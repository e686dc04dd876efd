//! A provider's whole answer.

use serde_json::{Map, Value, json};

use crate::dialect::gemini::DIALECT;
use crate::dialect::gemini::grounding::{self, Texts};
use crate::dialect::gemini::parts::part_from;
use crate::dialect::gemini::wire::{self, list, open};
use crate::dialect::{Fields, Path};
use crate::fault::Fault;
use crate::ir::{Carry, Choice, Content, Finish, Part, Response, Text, mark};

/// The id of a call that came without one: the same whether the answer was streamed or not.
pub(in crate::dialect::gemini) fn call_id(response: Option<&str>, choice: u32, call: usize, name: &str) -> String {
    mark::call_id(&[response.unwrap_or_default(), &choice.to_string(), &call.to_string(), name])
}

/// Why an answer without candidates ended: its prompt was blocked.
pub(in crate::dialect::gemini) fn feedback_finish(feedback: Option<&Value>) -> Option<Finish> {
    feedback.and_then(wire::blocked_from)
}

/// Reads a whole answer.
pub(in crate::dialect::gemini) fn response(body: Value) -> Result<Response, Fault> {
    let mut fields = open(body, Path::ROOT)?;
    let id = fields.string("responseId")?;
    let model = fields.string("modelVersion")?;
    let places = Path::ROOT.key("candidates");
    let mut choices = Vec::new();
    let candidates = list(&mut fields, "candidates")?;
    let blocked = feedback_finish(fields.peek("promptFeedback"));
    let mut notes = Carry::NONE;
    match (candidates, blocked) {
        (Some(values), blocked) => {
            if values.is_empty() {
                notes.note(DIALECT, "candidates", json!([]));
                choices.extend(blocked.map(blocked_choice));
            }
            for (index, value) in values.into_iter().enumerate() {
                choices.push(candidate(open(value, places.index(index))?, index, id.as_deref())?);
            }
        }
        (None, Some(blocked)) => choices.push(blocked_choice(blocked)),
        (None, None) => return Err(places.missing()),
    }
    let searches =
        choices.iter().filter_map(|choice| choice.carry.field(DIALECT, "groundingMetadata").and_then(wire::searches));
    let searches = searches.reduce(u64::saturating_add);
    let mut usage = fields.take("usageMetadata").map(|usage| wire::usage_from(usage, searches));
    let service_tier = usage.as_mut().and_then(|usage| usage.service_tier.take());
    let mut carry = fields.carry(DIALECT);
    carry.merge(notes);
    Ok(Response { id, model, created: None, choices, usage, service_tier, error: None, carry })
}

/// There is no candidate on the wire; the reason stands in `promptFeedback`, which is carried.
fn blocked_choice(finish: Finish) -> Choice {
    let carry = Carry::NONE.noted(DIALECT, "blocked", true);
    Choice { index: 0, parts: Vec::new(), finish: Some(finish), carry }
}

fn candidate(mut fields: Fields<'_>, place: usize, response: Option<&str>) -> Result<Choice, Fault> {
    let mut notes = Carry::NONE;
    let index = match wire::count(&mut fields, "index")? {
        Some(index) => u32::try_from(index).map_err(|_| fields.invalid("index", "a small number"))?,
        None => {
            notes.note(DIALECT, "no_index", true);
            u32::try_from(place).unwrap_or(u32::MAX)
        }
    };
    let here = fields.path();
    let mut parts = Vec::new();
    match fields.take("content") {
        None => notes.note(DIALECT, "no_content", true),
        Some(content) => {
            let path = here.key("content");
            let mut content = open(content, path)?;
            match content.string("role")? {
                Some(role) if role == "model" => {}
                role => notes.note(DIALECT, "role", role),
            }
            let values = list(&mut content, "parts")?;
            if values.is_none() {
                notes.note(DIALECT, "no_parts", true);
            }
            let places = path.key("parts");
            for (index, value) in values.into_iter().flatten().enumerate() {
                parts.push(part_from(value, places.index(index))?);
            }
            let rest: Map<String, Value> = content.rest();
            if !rest.is_empty() {
                notes.note(DIALECT, "content", rest);
            }
        }
    }
    name_calls(&mut parts, index, response);
    annotate(&fields, &mut parts);
    let message = fields.string("finishMessage")?;
    let finish = match fields.string("finishReason")? {
        Some(word) => {
            let has_calls = parts.iter().any(|part| matches!(part.content, Content::ToolCall(_)));
            Some(wire::finish_from(word, message, has_calls))
        }
        None => {
            if let Some(message) = message {
                fields.put_back("finishMessage", message.into());
            }
            None
        }
    };
    let mut carry = fields.carry(DIALECT);
    carry.merge(notes);
    Ok(Choice { index, parts, finish, carry })
}

fn name_calls(parts: &mut [Part], choice: u32, response: Option<&str>) {
    let calls = parts.iter_mut().filter_map(|part| match &mut part.content {
        Content::ToolCall(call) => Some(call),
        Content::Text(_)
        | Content::Refusal(_)
        | Content::Media(_)
        | Content::ToolResult(_)
        | Content::Reasoning(_)
        | Content::Opaque(_) => None,
    });
    for (number, call) in calls.enumerate() {
        if call.id.is_empty() {
            call.id = call_id(response, choice, number, &call.name);
        }
    }
}

/// Puts citations and log probabilities on the text. They stay among the loose fields too, as Google wrote them.
fn annotate(fields: &Fields<'_>, parts: &mut [Part]) {
    let texts = parts.iter_mut().enumerate().filter_map(|(place, part)| match &mut part.content {
        Content::Text(text) => Some((place, text)),
        Content::Refusal(_)
        | Content::Media(_)
        | Content::ToolCall(_)
        | Content::ToolResult(_)
        | Content::Reasoning(_)
        | Content::Opaque(_) => None,
    });
    let mut texts: Vec<(usize, &mut Text)> = texts.collect();
    // The signature may stand on an empty text at the end.
    if texts.iter().any(|(_, text)| !text.text.is_empty()) {
        texts.retain(|(_, text)| !text.text.is_empty());
    }
    let (grounding, cited) = (fields.peek("groundingMetadata"), fields.peek("citationMetadata"));
    if grounding.is_some() || cited.is_some() {
        let places = Texts::of(texts.iter().map(|(place, text)| (Some(*place), text.text.as_str())));
        let citations = grounding::citations_from(grounding, cited, &places);
        for (number, citation) in citations {
            if let Some((_, text)) = texts.get_mut(number) {
                text.citations.push(citation);
            }
        }
    }
    let Some((_, text)) = texts.last_mut() else { return };
    if let Some(logprobs) = fields.peek("logprobsResult").and_then(wire::logprobs_from) {
        text.logprobs = logprobs;
    }
}
