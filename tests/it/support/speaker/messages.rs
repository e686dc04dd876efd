//! Messages, as the anthropic SDKs speak it.

use serde_json::{Value, json};

use super::{
    Call, Ending, Event, Finish, Heard, Judged, Mode, Said, Talk, Thinking, Turn, Usage, chat, demand, list, number,
    text,
};

pub(super) fn body(talk: &Talk, mode: Mode) -> Value {
    let messages: Vec<Value> = talk
        .turns
        .iter()
        .map(|turn| match turn {
            Turn::User(said) => json!({"role": "user", "content": said}),
            Turn::Picture(said, png) => json!({"role": "user", "content": [
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": png}},
                {"type": "text", "text": said},
            ]}),
            Turn::Assistant(said) => json!({"role": "assistant", "content": said}),
            Turn::Kept(blocks) => json!({"role": "assistant", "content": blocks}),
            Turn::Results(results) => {
                let blocks = results
                    .iter()
                    .map(|(call, gave)| json!({"type": "tool_result", "tool_use_id": call.id, "content": gave}));
                json!({"role": "user", "content": blocks.collect::<Vec<_>>()})
            }
        })
        .collect();
    let mut body = json!({"model": talk.model, "max_tokens": talk.max_output.unwrap_or(4_096), "messages": messages});
    if mode == Mode::Stream {
        body["stream"] = true.into();
    }
    if let Some(system) = talk.system {
        body["system"] = system.into();
    }
    if !talk.tools.is_empty() {
        let tools = talk
            .tools
            .iter()
            .map(|tool| json!({"name": tool.name, "description": "A tool.", "input_schema": tool.parameters}));
        body["tools"] = tools.collect();
    }
    if let Some(name) = talk.forced {
        body["tool_choice"] = json!({"type": "tool", "name": name});
    }
    if let Some(schema) = &talk.schema {
        body["output_config"] = json!({"format": {"type": "json_schema", "schema": schema}});
    }
    if talk.thinking == Thinking::Hard {
        body["thinking"] = json!({"type": "enabled", "budget_tokens": 2_048});
    }
    body
}

pub(super) fn hear(answer: &Value) -> Heard {
    assert_eq!((&answer["type"], &answer["role"]), (&json!("message"), &json!("assistant")), "{answer}");
    let blocks = list(answer, "/content");
    let of = |kind: &'static str| blocks.iter().filter(move |block| block["type"] == kind);
    let calls: Vec<Call> = of("tool_use")
        .map(|block| {
            chat::assert_portable(text(block, "/id"));
            assert!(block["input"].is_object(), "{block}");
            Call {
                id: text(block, "/id").to_owned(),
                name: text(block, "/name").to_owned(),
                arguments: block["input"].clone(),
            }
        })
        .collect();
    let finish = match text(answer, "/stop_reason") {
        _ if !calls.is_empty() => Finish::Calls,
        "end_turn" | "stop_sequence" => Finish::Stop,
        "max_tokens" => Finish::Length,
        "refusal" => Finish::Withheld,
        other => Finish::Other(other.to_owned()),
    };
    let usage = &answer["usage"];
    let cached = number(usage, "/cache_read_input_tokens");
    Heard {
        text: of("text").map(|block| text(block, "/text")).collect(),
        thoughts: of("thinking").map(|block| text(block, "/thinking")).collect(),
        calls,
        finish,
        usage: Usage {
            input: number(usage, "/input_tokens") + cached + number(usage, "/cache_creation_input_tokens"),
            cached,
            output: number(usage, "/output_tokens"),
            reasoning: number(usage, "/output_tokens_details/thinking_tokens"),
        },
        kept: blocks.to_vec(),
    }
}

pub(super) fn error(body: &Value) -> Said {
    assert_eq!(body["type"], "error", "{body}");
    let error = &body["error"];
    assert!(error["message"].is_string() && error["type"].is_string(), "{body}");
    Said { message: text(error, "/message").to_owned(), kind: text(error, "/type").to_owned() }
}

pub(super) fn judge(events: &[Event]) -> Judged {
    let mut message: Option<Value> = None;
    let mut open: Option<(usize, String)> = None;
    let mut has_delta = false;
    let mut events = events.iter();
    while let Some(Event { name, data }) = events.next() {
        let event = super::json(data)?;
        let kind = text(&event, "/type").to_owned();
        demand(name.as_deref() == Some(kind.as_str()), || format!("event {name:?} is of type {kind}"))?;
        if kind == "error" {
            demand(events.next().is_none(), || "something follows the error".to_owned())?;
            return Ok(Ending::Failed(error(&event)));
        }
        if kind == "ping" {
            continue;
        }
        if kind == "message_start" {
            demand(message.is_none(), || "the message starts twice".to_owned())?;
            let begun = event["message"].clone();
            demand(begun["content"] == json!([]) && begun["stop_reason"].is_null(), || format!("starts as {begun}"))?;
            demand(begun["usage"]["input_tokens"].is_u64(), || format!("no input tokens in {begun}"))?;
            demand(begun["id"].is_string() && begun["model"].is_string(), || format!("starts as {begun}"))?;
            message = Some(begun);
            continue;
        }
        let whole = message.as_mut().ok_or_else(|| format!("{kind} comes before the message's start"))?;
        demand(!has_delta || kind == "message_stop", || format!("{kind} comes after the message's delta"))?;
        let index = usize::try_from(number(&event, "/index")).unwrap();
        match kind.as_str() {
            "content_block_start" => {
                let blocks = whole["content"].as_array_mut().unwrap();
                demand(open.is_none(), || format!("block {index} starts inside of {open:?}"))?;
                demand(index == blocks.len(), || format!("block {index} is the {}th", blocks.len()))?;
                blocks.push(event["content_block"].clone());
                open = Some((index, String::new()));
            }
            "content_block_delta" => {
                let (at, input) = open.as_mut().ok_or_else(|| format!("no block is open for {event}"))?;
                demand(*at == index, || format!("block {at} is open for {event}"))?;
                add(&mut whole["content"][index], &event["delta"], input)?;
            }
            "content_block_stop" => {
                let (at, input) = open.take().ok_or_else(|| format!("no block is open for {event}"))?;
                demand(at == index, || format!("block {at} is open for {event}"))?;
                if whole["content"][index]["type"] == "tool_use" {
                    let input = if input.is_empty() { "{}" } else { input.as_str() };
                    whole["content"][index]["input"] = super::json(input)?;
                }
            }
            "message_delta" => {
                demand(open.is_none(), || format!("the message's delta comes inside of {open:?}"))?;
                demand(event["delta"]["stop_reason"].is_string(), || format!("no stop_reason in {event}"))?;
                demand(event["usage"]["output_tokens"].is_u64(), || format!("no output tokens in {event}"))?;
                for (name, value) in event["delta"].as_object().unwrap() {
                    whole[name] = value.clone();
                }
                for (name, value) in event["usage"].as_object().unwrap().iter().filter(|(_, value)| !value.is_null()) {
                    whole["usage"][name] = value.clone();
                }
                has_delta = true;
            }
            "message_stop" => {
                demand(has_delta, || "the message stops without a reason".to_owned())?;
                demand(events.next().is_none(), || "something follows message_stop".to_owned())?;
                return Ok(Ending::Whole(whole.clone()));
            }
            _ => return Err(format!("there is no event {kind}")),
        }
    }
    Err("the stream ended without message_stop or an error".to_owned())
}

fn add(block: &mut Value, delta: &Value, input: &mut String) -> Result<(), String> {
    let of = text(block, "/type").to_owned();
    let member = match (text(delta, "/type"), of.as_str()) {
        ("text_delta", "text") => "text",
        ("thinking_delta", "thinking") => "thinking",
        ("signature_delta", "thinking") => "signature",
        ("input_json_delta", "tool_use" | "server_tool_use") => {
            input.push_str(text(delta, "/partial_json"));
            return Ok(());
        }
        ("citations_delta", "text") => return Ok(()),
        (delta, block) => return Err(format!("a {delta} for a block of {block}")),
    };
    let more = delta[member].as_str().ok_or_else(|| format!("no {member} in {delta}"))?;
    let all = format!("{}{more}", block[member].as_str().unwrap_or_default());
    block[member] = all.into();
    Ok(())
}
