//! What clients of each dialect count on in a stream, event by event, read without the codecs.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::dialect::Dialect;

pub(super) fn check(dialect: Dialect, text: &str) -> Result<(), String> {
    let events: Vec<(Option<&str>, &str)> =
        text.split("\n\n").filter(|event| !event.is_empty() && !event.starts_with(':')).map(event).collect();
    match dialect {
        Dialect::OpenAiChat => chat(&events),
        Dialect::OpenAiResponses => responses(&events),
        Dialect::Anthropic => messages(&events),
        Dialect::Gemini => gemini(&events),
    }
}

fn event(text: &str) -> (Option<&str>, &str) {
    match text.strip_prefix("event: ").and_then(|rest| rest.split_once('\n')) {
        Some((name, data)) => (Some(name), data.strip_prefix("data: ").unwrap_or_default()),
        None => (None, text.strip_prefix("data: ").unwrap_or_default()),
    }
}

fn value(data: &str) -> Result<Value, String> {
    serde_json::from_str(data).map_err(|error| format!("{error}: {data}"))
}

fn that(holds: bool, what: &str, data: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(format!("{what}: {data}")) }
}

fn chat(events: &[(Option<&str>, &str)]) -> Result<(), String> {
    let Some(((_, last), chunks)) = events.split_last() else { return Err("nothing came".to_owned()) };
    that(*last == "[DONE]", "the end", last)?;
    let (mut finished, mut usage) = (false, false);
    for (number, (name, data)) in chunks.iter().enumerate() {
        let chunk = value(data)?;
        that(name.is_none() && chunk["object"] == "chat.completion.chunk", "a chunk", data)?;
        that(!usage, "something after the usage", data)?;
        let choices = chunk["choices"].as_array().ok_or("no choices")?;
        let Some(choice) = choices.first() else {
            usage = chunk["usage"].is_object();
            that(usage && finished, "empty choices", data)?;
            continue;
        };
        that(number > 0 || choice["delta"]["role"] == "assistant", "no role at first", data)?;
        that(!finished, "something after the finish reason", data)?;
        finished = choice["finish_reason"].is_string();
    }
    that(finished && usage, "no finish reason or no usage", last)
}

fn messages(events: &[(Option<&str>, &str)]) -> Result<(), String> {
    let (mut index, mut open, mut kinds) = (0, None, Vec::new());
    for (name, data) in events {
        let event = value(data)?;
        let kind = event["type"].as_str().unwrap_or_default().to_owned();
        that(*name == Some(kind.as_str()), "another name", data)?;
        match kind.as_str() {
            "content_block_start" => {
                that(open.is_none() && event["index"] == index, "a block in a block", data)?;
                open = event["content_block"]["type"].as_str().map(str::to_owned);
            }
            "content_block_delta" => {
                let fits = matches!(
                    (open.as_deref(), event["delta"]["type"].as_str()),
                    (Some("text"), Some("text_delta" | "citations_delta"))
                        | (Some("thinking"), Some("thinking_delta" | "signature_delta"))
                        | (Some("tool_use"), Some("input_json_delta"))
                );
                that(fits && event["index"] == index, "a delta that does not fit", data)?;
            }
            "content_block_stop" => {
                that(open.take().is_some() && event["index"] == index, "a stop without a start", data)?;
                index += 1;
            }
            _ => {
                that(open.is_none(), "in a block", data)?;
                kinds.push(kind);
            }
        }
    }
    that(kinds == ["message_start", "message_delta", "message_stop"], "the frame", &kinds.join(" "))
}

fn gemini(events: &[(Option<&str>, &str)]) -> Result<(), String> {
    let mut finished = false;
    for (name, data) in events {
        let chunk = value(data)?;
        that(name.is_none() && !finished, "something after the end", data)?;
        let candidates = chunk["candidates"].as_array().ok_or("no candidates")?;
        for candidate in candidates {
            let parts = candidate["content"]["parts"].as_array().ok_or("no parts")?;
            that(!parts.is_empty() && candidate["content"]["role"] == "model", "an empty content", data)?;
            finished = candidate["finishReason"].is_string();
        }
        that(!finished || chunk["usageMetadata"].is_object(), "no usage at the end", data)?;
    }
    that(finished, "no end", "")
}

fn responses(events: &[(Option<&str>, &str)]) -> Result<(), String> {
    let (mut items, mut open) = (Vec::new(), None::<Value>);
    let mut texts = BTreeMap::<(String, u64), String>::new();
    for (number, (name, data)) in events.iter().enumerate() {
        let event = value(data)?;
        let kind = event["type"].as_str().unwrap_or_default();
        that(*name == Some(kind) && event["sequence_number"] == number, "another name or number", data)?;
        match kind {
            "response.created" => that(number == 0, "created late", data)?,
            "response.in_progress" => that(number == 1, "in progress late", data)?,
            "response.output_item.added" => {
                that(open.is_none() && event["output_index"] == items.len(), "an item in an item", data)?;
                open = Some(event["item"].clone());
            }
            "response.output_item.done" => {
                let begun = open.take().ok_or("an end without a beginning")?;
                that(
                    begun["id"] == event["item"]["id"] && begun["type"] == event["item"]["type"],
                    "another item",
                    data,
                )?;
                for (text, whole) in std::mem::take(&mut texts).into_values().zip(texts_of(&event["item"])) {
                    that(text == whole, "the pieces are not the whole", data)?;
                }
                items.push(event["item"].clone());
            }
            "response.completed" | "response.incomplete" | "response.failed" => {
                that(number + 1 == events.len() && open.is_none(), "the end", data)?;
                that(event["response"]["output"] == Value::Array(items.clone()), "another output", data)?;
            }
            _ => {
                that(open.is_some(), "outside of an item", data)?;
                if let Some(delta) = event["delta"].as_str() {
                    let place = event["content_index"].as_u64().or(event["summary_index"].as_u64()).unwrap_or(0);
                    let family = kind.trim_end_matches(".delta").to_owned();
                    texts.entry((family, place)).or_default().push_str(delta);
                }
            }
        }
    }
    that(events.last().is_some_and(|(_, data)| data.contains("\"response\":{")), "no end", "")
}

fn texts_of(item: &Value) -> Vec<String> {
    let list = |key: &str| item[key].as_array().cloned().unwrap_or_default();
    let inner = list("content").into_iter().chain(list("summary"));
    let inner = inner.filter_map(|part| Some(part["text"].as_str().or(part["refusal"].as_str())?.to_owned()));
    let whole = [&item["arguments"], &item["input"]].into_iter().filter_map(|text| Some(text.as_str()?.to_owned()));
    inner.chain(whole).collect()
}
