//! Responses, as the openai SDKs and Codex speak it: nothing is kept by the provider.

use serde_json::{Value, json};

use super::{
    Call, Ending, Event, Finish, Heard, Judged, Mode, Talk, Thinking, Turn, Usage, arguments, chat, demand, list,
    number, text,
};

pub(super) fn body(talk: &Talk, mode: Mode) -> Value {
    let mut input: Vec<Value> = Vec::new();
    for turn in &talk.turns {
        match turn {
            Turn::User(said) => {
                input.push(json!({"role": "user", "content": [{"type": "input_text", "text": said}]}));
            }
            Turn::Picture(said, png) => input.push(json!({"role": "user", "content": [
                {"type": "input_text", "text": said},
                {"type": "input_image", "image_url": format!("data:image/png;base64,{png}"), "detail": "auto"},
            ]})),
            Turn::Assistant(said) => input.push(json!({"role": "assistant", "content": said})),
            Turn::Kept(items) => input.extend(items.iter().cloned()),
            Turn::Results(results) => {
                input.extend(
                    results.iter().map(
                        |(call, gave)| json!({"type": "function_call_output", "call_id": call.id, "output": gave}),
                    ),
                );
            }
        }
    }
    let mut body = json!({"model": talk.model, "input": input, "store": false});
    if mode == Mode::Stream {
        body["stream"] = true.into();
    }
    if let Some(system) = talk.system {
        body["instructions"] = system.into();
    }
    if !talk.tools.is_empty() {
        let tools = talk.tools.iter().map(|tool| {
            json!({"type": "function", "name": tool.name, "description": "A tool.",
                "parameters": tool.parameters, "strict": true})
        });
        body["tools"] = tools.collect();
    }
    if let Some(name) = talk.forced {
        body["tool_choice"] = json!({"type": "function", "name": name});
    }
    if let Some(schema) = &talk.schema {
        body["text"] = json!({"format": {"type": "json_schema", "name": "answer", "schema": schema, "strict": true}});
    }
    if talk.thinking == Thinking::Hard {
        body["reasoning"] = json!({"effort": "high", "summary": "auto"});
        body["include"] = json!(["reasoning.encrypted_content"]);
    }
    if let Some(most) = talk.max_output {
        body["max_output_tokens"] = most.into();
    }
    body
}

pub(super) fn hear(answer: &Value) -> Heard {
    assert_eq!(answer["object"], "response", "{answer}");
    let items = list(answer, "/output");
    let of = |kind: &'static str| items.iter().filter(move |item| item["type"] == kind);
    let calls: Vec<Call> = of("function_call")
        .map(|item| {
            chat::assert_portable(text(item, "/call_id"));
            Call {
                id: text(item, "/call_id").to_owned(),
                name: text(item, "/name").to_owned(),
                arguments: arguments(text(item, "/arguments")),
            }
        })
        .collect();
    let finish = match (text(answer, "/status"), text(answer, "/incomplete_details/reason")) {
        _ if !calls.is_empty() => Finish::Calls,
        ("completed", _) => Finish::Stop,
        ("incomplete", "max_output_tokens") => Finish::Length,
        ("incomplete", "content_filter") => Finish::Withheld,
        (status, reason) => Finish::Other(format!("{status} {reason}")),
    };
    Heard {
        text: of("message").flat_map(|item| list(item, "/content")).map(|part| text(part, "/text")).collect(),
        thoughts: of("reasoning")
            .flat_map(|item| list(item, "/summary").iter().chain(list(item, "/content")))
            .map(|part| text(part, "/text"))
            .collect(),
        calls,
        finish,
        usage: Usage {
            input: number(answer, "/usage/input_tokens"),
            cached: number(answer, "/usage/input_tokens_details/cached_tokens"),
            output: number(answer, "/usage/output_tokens"),
            reasoning: number(answer, "/usage/output_tokens_details/reasoning_tokens"),
        },
        kept: items.to_vec(),
    }
}

/// What is open, and what has been said of it.
#[derive(Default)]
struct Reading {
    done: Vec<Value>,
    item: Option<Value>,
    part: Option<Value>,
    said: String,
}

pub(super) fn judge(events: &[Event]) -> Judged {
    let mut reading = Reading::default();
    let mut head: Option<Value> = None;
    for (number, Event { name, data }) in events.iter().enumerate() {
        let event = super::json(data)?;
        let kind = text(&event, "/type").to_owned();
        demand(name.as_deref() == Some(kind.as_str()), || format!("event {name:?} is of type {kind}"))?;
        let place = event["sequence_number"].as_u64();
        demand(place == u64::try_from(number).ok(), || format!("the {number}th event has number {place:?}"))?;
        let rest = &events[number + 1..];
        if kind == "error" {
            return failed(&event, rest);
        }
        if let Some(status) = kind.strip_prefix("response.").filter(|one| matches!(*one, "completed" | "incomplete")) {
            demand(rest.is_empty(), || format!("something follows {kind}"))?;
            let whole = event["response"].clone();
            demand(reading.item.is_none(), || "the response ends inside of an item".to_owned())?;
            demand(whole["status"] == status, || format!("{kind} with status {}", whole["status"]))?;
            demand(whole["output"] == json!(reading.done), || {
                format!("the items were {}, the whole has {}", json!(reading.done), whole["output"])
            })?;
            demand(whole["usage"].is_object(), || format!("no usage in {whole}"))?;
            demand(head.is_some_and(|head| head == whole["id"]), || "the id changed".to_owned())?;
            return Ok(Ending::Whole(whole));
        }
        match (number, kind.as_str()) {
            (0, "response.created") => head = Some(event["response"]["id"].clone()),
            (1, "response.in_progress") => {}
            (0 | 1, _) => return Err(format!("the stream begins with {kind}")),
            _ => reading.take(&kind, &event)?,
        }
    }
    Err("the stream ended without response.completed or an error".to_owned())
}

/// The service sends `error`, then the response as failed.
fn failed(event: &Value, rest: &[Event]) -> Judged {
    let [last] = rest else { return Err(format!("{} events follow the error", rest.len())) };
    let failed = super::json(&last.data)?;
    demand(failed["type"] == "response.failed", || format!("{failed} follows the error"))?;
    demand(failed["response"]["status"] == "failed", || format!("{failed} has not failed"))?;
    demand(failed["response"]["error"]["message"].is_string(), || format!("{failed} does not say why"))?;
    Ok(Ending::Failed(chat::error(event)))
}

impl Reading {
    fn take(&mut self, kind: &str, event: &Value) -> Result<(), String> {
        if kind == "response.output_item.added" {
            demand(self.item.is_none(), || format!("an item is open already: {event}"))?;
            demand(event["output_index"] == self.done.len(), || format!("item {} is {event}", self.done.len()))?;
            self.item = Some(event["item"].clone());
            self.said.clear();
            return Ok(());
        }
        let item = self.item.as_mut().ok_or_else(|| format!("{kind} outside of an item"))?;
        demand(event["output_index"] == self.done.len(), || format!("item {} is open: {event}", self.done.len()))?;
        if kind == "response.output_item.done" {
            demand(self.part.is_none(), || format!("an item ends inside of a part: {event}"))?;
            demand(event["item"]["id"] == item["id"] && event["item"]["type"] == item["type"], || {
                format!("{item} became {event}")
            })?;
            for member in ["arguments", "input"].iter().filter(|member| event["item"][*member].is_string()) {
                demand(event["item"][*member] == self.said.as_str(), || format!("not as said: {event}"))?;
            }
            self.item = None;
            self.done.push(event["item"].clone());
            return Ok(());
        }
        demand(event["item_id"] == item["id"], || format!("{event} is of another item than {item}"))?;
        match kind {
            "response.content_part.added" | "response.reasoning_summary_part.added" => {
                demand(self.part.is_none(), || format!("a part is open already: {event}"))?;
                self.part = Some(event["part"].clone());
                self.said.clear();
            }
            "response.content_part.done" | "response.reasoning_summary_part.done" => {
                demand(self.part.take().is_some(), || format!("no part is open: {event}"))?;
                let part = &event["part"];
                let said = ["text", "refusal"].iter().find_map(|member| part[*member].as_str());
                demand(said == Some(self.said.as_str()), || format!("not as said ({:?}): {event}", self.said))?;
            }
            _ if kind.ends_with(".delta") => self.said.push_str(text(event, "/delta")),
            _ if kind.ends_with(".done") => {
                let said = ["text", "refusal", "arguments", "input"].iter().find_map(|member| event[*member].as_str());
                demand(said == Some(self.said.as_str()), || format!("not as said ({:?}): {event}", self.said))?;
            }
            "response.output_text.annotation.added" => {}
            _ => return Err(format!("there is no event {kind} in an item")),
        }
        Ok(())
    }
}
