//! Chat completions, as the openai SDKs speak it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{
    Call, Ending, Event, Finish, Heard, Judged, Mode, Said, Talk, Thinking, Turn, Usage, arguments, demand, list,
    number, text,
};

pub(super) fn body(talk: &Talk, mode: Mode) -> Value {
    let mut messages: Vec<Value> = Vec::new();
    if let Some(system) = talk.system {
        messages.push(json!({"role": "system", "content": system}));
    }
    for turn in &talk.turns {
        match turn {
            Turn::User(said) => messages.push(json!({"role": "user", "content": said})),
            Turn::Picture(said, png) => messages.push(json!({"role": "user", "content": [
                {"type": "text", "text": said},
                {"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{png}")}},
            ]})),
            Turn::Assistant(said) => messages.push(json!({"role": "assistant", "content": said})),
            Turn::Kept(kept) => messages.extend(kept.iter().cloned()),
            Turn::Results(results) => messages.extend(
                results.iter().map(|(call, gave)| json!({"role": "tool", "tool_call_id": call.id, "content": gave})),
            ),
        }
    }
    let mut body = json!({"model": talk.model, "messages": messages});
    if mode == Mode::Stream {
        body["stream"] = true.into();
        body["stream_options"] = json!({"include_usage": true});
    }
    if !talk.tools.is_empty() {
        let tools = talk.tools.iter().map(|tool| {
            json!({"type": "function", "function": {
                "name": tool.name, "description": "A tool.", "parameters": tool.parameters, "strict": true}})
        });
        body["tools"] = tools.collect();
    }
    if let Some(name) = talk.forced {
        body["tool_choice"] = json!({"type": "function", "function": {"name": name}});
    }
    if let Some(schema) = &talk.schema {
        let schema = json!({"name": "answer", "schema": schema, "strict": true});
        body["response_format"] = json!({"type": "json_schema", "json_schema": schema});
    }
    if talk.thinking == Thinking::Hard {
        body["reasoning_effort"] = "high".into();
    }
    if let Some(most) = talk.max_output {
        body["max_completion_tokens"] = most.into();
    }
    body
}

pub(super) fn hear(answer: &Value) -> Heard {
    assert_eq!(answer["object"], "chat.completion", "{answer}");
    let message = &answer["choices"][0]["message"];
    assert_eq!(message["role"], "assistant", "{answer}");
    let calls: Vec<Call> = list(message, "/tool_calls")
        .iter()
        .map(|call| {
            assert_eq!(call["type"], "function", "{call}");
            assert_portable(text(call, "/id"));
            Call {
                id: text(call, "/id").to_owned(),
                name: text(call, "/function/name").to_owned(),
                arguments: arguments(text(call, "/function/arguments")),
            }
        })
        .collect();
    let finish = match text(answer, "/choices/0/finish_reason") {
        _ if !calls.is_empty() => Finish::Calls,
        "stop" => Finish::Stop,
        "length" => Finish::Length,
        "content_filter" => Finish::Withheld,
        other => Finish::Other(other.to_owned()),
    };
    Heard {
        text: text(message, "/content").to_owned(),
        thoughts: text(message, "/reasoning_content").to_owned(),
        calls,
        finish,
        usage: Usage {
            input: number(answer, "/usage/prompt_tokens"),
            cached: number(answer, "/usage/prompt_tokens_details/cached_tokens"),
            output: number(answer, "/usage/completion_tokens"),
            reasoning: number(answer, "/usage/completion_tokens_details/reasoning_tokens"),
        },
        kept: vec![message.clone()],
    }
}

/// An id that may go to any provider later.
pub(super) fn assert_portable(id: &str) {
    let fits = !id.is_empty() && id.len() <= 40;
    assert!(fits && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte)), "id {id:?}");
}

/// Holds for Responses, too.
pub(super) fn error(body: &Value) -> Said {
    let error = &body["error"];
    assert!(error["message"].is_string() && error["type"].is_string(), "{body}");
    assert!(error.get("code").is_some() && error.get("param").is_some(), "{body}");
    Said { message: text(error, "/message").to_owned(), kind: text(error, "/type").to_owned() }
}

#[derive(Default)]
struct Choice {
    message: Map<String, Value>,
    calls: Vec<Value>,
    details: Vec<Value>,
    finish: Option<Value>,
}

pub(super) fn judge(events: &[Event]) -> Judged {
    let mut choices: BTreeMap<u64, Choice> = BTreeMap::new();
    let mut head: Option<[Value; 4]> = None;
    let mut usage = Value::Null;
    let mut events = events.iter();
    while let Some(event) = events.next() {
        demand(event.name.is_none(), || format!("chat names no events: {event:?}"))?;
        if event.data == "[DONE]" {
            demand(events.next().is_none(), || "something follows [DONE]".to_owned())?;
            demand(!choices.is_empty(), || "there was no choice at all".to_owned())?;
            return whole(choices, head, usage);
        }
        let chunk = super::json(&event.data)?;
        if chunk.get("error").is_some_and(|error| !error.is_null()) {
            demand(events.next().is_none(), || "something follows the error".to_owned())?;
            return Ok(Ending::Failed(error(&chunk)));
        }
        let own = ["id", "object", "created", "model"].map(|name| chunk[name].clone());
        demand(own[0].is_string() && own[2].is_u64() && own[3].is_string(), || format!("a chunk's head: {chunk}"))?;
        demand(own[1] == "chat.completion.chunk", || format!("object of {chunk}"))?;
        let first = head.get_or_insert_with(|| own.clone());
        demand(*first == own, || format!("the head changed from {first:?} to {own:?}"))?;
        let said = chunk["choices"].as_array().ok_or_else(|| format!("no choices in {chunk}"))?;
        if chunk["usage"].is_object() {
            demand(said.is_empty(), || format!("usage stands beside choices: {chunk}"))?;
            demand(usage.is_null(), || "usage came twice".to_owned())?;
            demand(choices.values().all(|choice| choice.finish.is_some()), || "usage came early".to_owned())?;
            usage = chunk["usage"].clone();
        } else {
            demand(!said.is_empty(), || format!("a chunk without choices or usage: {chunk}"))?;
        }
        for choice in said {
            let index = choice["index"].as_u64().ok_or_else(|| format!("no index in {choice}"))?;
            take(choices.entry(index).or_default(), choice)?;
        }
    }
    Err("the stream ended without [DONE] or an error".to_owned())
}

fn take(choice: &mut Choice, said: &Value) -> Result<(), String> {
    demand(choice.finish.is_none(), || format!("{said} comes after the choice's finish"))?;
    let delta = said["delta"].as_object().ok_or_else(|| format!("no delta in {said}"))?;
    let is_first = choice.message.is_empty();
    demand(is_first == (delta.get("role") == Some(&json!("assistant"))), || format!("the role in {said}"))?;
    for (name, value) in delta {
        match (name.as_str(), value) {
            (_, Value::Null) => {}
            ("role", role) => drop(choice.message.insert("role".to_owned(), role.clone())),
            ("tool_calls", Value::Array(calls)) => {
                for call in calls {
                    add_call(&mut choice.calls, call)?;
                }
            }
            ("reasoning_details", Value::Array(details)) => {
                for detail in details {
                    add_detail(&mut choice.details, detail);
                }
            }
            (_, Value::String(more)) => append(&mut choice.message, name, more),
            (_, other) => drop(choice.message.insert(name.clone(), other.clone())),
        }
    }
    if !said["finish_reason"].is_null() {
        choice.finish = Some(said["finish_reason"].clone());
    }
    Ok(())
}

fn append(object: &mut Map<String, Value>, name: &str, more: &str) {
    let before = object.get(name).and_then(Value::as_str).unwrap_or_default();
    let all = format!("{before}{more}");
    object.insert(name.to_owned(), all.into());
}

fn add_call(calls: &mut Vec<Value>, piece: &Value) -> Result<(), String> {
    let index = usize::try_from(number(piece, "/index")).unwrap();
    demand(piece["index"].is_u64() && index <= calls.len(), || format!("the index of {piece}"))?;
    if index == calls.len() {
        let named = !text(piece, "/id").is_empty() && !text(piece, "/function/name").is_empty();
        demand(named && piece["type"] == "function", || format!("a call begins without id, type or name: {piece}"))?;
        let function = json!({"name": piece["function"]["name"], "arguments": text(piece, "/function/arguments")});
        calls.push(json!({"id": piece["id"], "type": "function", "function": function}));
        return Ok(());
    }
    demand(piece.get("id").is_none_or(Value::is_null), || format!("a call is named twice: {piece}"))?;
    let function = &mut calls[index]["function"];
    let all = format!("{}{}", text(function, "/arguments"), text(piece, "/function/arguments"));
    function["arguments"] = all.into();
    Ok(())
}

/// As OpenRouter's clients do: pieces of one index are one entry.
fn add_detail(details: &mut Vec<Value>, piece: &Value) {
    let same = details.iter_mut().find(|detail| piece["index"].is_u64() && detail["index"] == piece["index"]);
    let (Some(Value::Object(detail)), Some(piece_of)) = (same, piece.as_object()) else {
        details.push(piece.clone());
        return;
    };
    for (name, value) in piece_of {
        match value.as_str() {
            Some(more) if matches!(name.as_str(), "text" | "summary" | "data") => append(detail, name, more),
            Some(_) | None => drop(detail.insert(name.clone(), value.clone())),
        }
    }
}

fn whole(choices: BTreeMap<u64, Choice>, head: Option<[Value; 4]>, usage: Value) -> Judged {
    let [id, _, created, model] = head.ok_or("no chunk came")?;
    let mut all = Vec::new();
    for (index, mut choice) in choices {
        let finish = choice.finish.ok_or_else(|| format!("choice {index} has no finish"))?;
        if !choice.calls.is_empty() {
            choice.message.insert("tool_calls".to_owned(), choice.calls.into());
        }
        if !choice.details.is_empty() {
            choice.message.insert("reasoning_details".to_owned(), choice.details.into());
        }
        all.push(json!({"index": index, "message": choice.message, "finish_reason": finish}));
    }
    Ok(Ending::Whole(json!({
        "id": id, "object": "chat.completion", "created": created, "model": model, "choices": all, "usage": usage})))
}
