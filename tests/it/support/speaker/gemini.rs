//! generateContent, as the google-genai SDKs speak it.

use serde_json::{Value, json};

use super::{
    Call, Ending, Finish, Heard, Judged, Said, Talk, Thinking, Turn, Usage, chat, demand, events, list, number, text,
};

pub(super) fn body(talk: &Talk) -> Value {
    let contents: Vec<Value> = talk
        .turns
        .iter()
        .map(|turn| match turn {
            Turn::User(said) => json!({"role": "user", "parts": [{"text": said}]}),
            Turn::Picture(said, png) => json!({"role": "user", "parts": [
                {"text": said}, {"inlineData": {"mimeType": "image/png", "data": png}}]}),
            Turn::Assistant(said) => json!({"role": "model", "parts": [{"text": said}]}),
            Turn::Kept(parts) => json!({"role": "model", "parts": parts}),
            Turn::Results(results) => {
                let parts = results.iter().map(|(call, gave)| {
                    json!({"functionResponse": {"id": call.id, "name": call.name, "response": {"result": gave}}})
                });
                json!({"role": "user", "parts": parts.collect::<Vec<_>>()})
            }
        })
        .collect();
    let mut config = json!({});
    if let Some(schema) = &talk.schema {
        config["responseMimeType"] = "application/json".into();
        config["responseJsonSchema"] = schema.clone();
    }
    if talk.thinking == Thinking::Hard {
        // Google's models take a budget up to 2.5, and a word since 3.
        let (name, much) = if talk.model.contains("2.5") {
            ("thinkingBudget", json!(2_048))
        } else {
            ("thinkingLevel", json!("high"))
        };
        config["thinkingConfig"] = json!({"includeThoughts": true, name: much});
    }
    if let Some(most) = talk.max_output {
        config["maxOutputTokens"] = most.into();
    }
    let mut body = json!({"contents": contents, "generationConfig": config});
    if let Some(system) = talk.system {
        body["systemInstruction"] = json!({"parts": [{"text": system}]});
    }
    if !talk.tools.is_empty() {
        let functions = talk
            .tools
            .iter()
            .map(|tool| json!({"name": tool.name, "description": "A tool.", "parametersJsonSchema": tool.parameters}));
        body["tools"] = json!([{"functionDeclarations": functions.collect::<Vec<_>>()}]);
    }
    if let Some(name) = talk.forced {
        body["toolConfig"] = json!({"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": [name]}});
    }
    body
}

pub(super) fn hear(answer: &Value) -> Heard {
    let parts = list(answer, "/candidates/0/content/parts");
    let texts = |thought: bool| {
        let of = parts.iter().filter(move |part| (part["thought"] == true) == thought);
        of.map(|part| text(part, "/text")).collect::<String>()
    };
    let calls: Vec<Call> = parts
        .iter()
        .filter_map(|part| part.get("functionCall"))
        .map(|call| Call {
            id: text(call, "/id").to_owned(),
            name: text(call, "/name").to_owned(),
            arguments: call.get("args").cloned().unwrap_or_else(|| json!({})),
        })
        .collect();
    for call in calls.iter().filter(|call| !call.id.is_empty()) {
        chat::assert_portable(&call.id);
    }
    let finish = match text(answer, "/candidates/0/finishReason") {
        _ if !calls.is_empty() => Finish::Calls,
        "STOP" => Finish::Stop,
        "MAX_TOKENS" => Finish::Length,
        "SAFETY" | "PROHIBITED_CONTENT" => Finish::Withheld,
        other => Finish::Other(other.to_owned()),
    };
    let reasoning = number(answer, "/usageMetadata/thoughtsTokenCount");
    Heard {
        text: texts(false),
        thoughts: texts(true),
        calls,
        finish,
        usage: Usage {
            input: number(answer, "/usageMetadata/promptTokenCount"),
            cached: number(answer, "/usageMetadata/cachedContentTokenCount"),
            output: number(answer, "/usageMetadata/candidatesTokenCount") + reasoning,
            reasoning,
        },
        kept: parts.to_vec(),
    }
}

pub(super) fn error(status: u16, body: &Value) -> Said {
    let error = &body["error"];
    assert_eq!(error["code"], status, "{body}");
    said(body).unwrap_or_else(|fault| panic!("{fault}"))
}

fn said(body: &Value) -> Result<Said, String> {
    let error = &body["error"];
    let complete = error["code"].is_u64() && error["message"].is_string() && error["status"].is_string();
    demand(complete, || format!("this is no error of Google's: {body}"))?;
    Ok(Said { message: text(error, "/message").to_owned(), kind: text(error, "/status").to_owned() })
}

pub(super) fn judge(stream: &str) -> Judged {
    // js-genai fails on a bare line only, python-genai on the event: an error is said both ways.
    let (stream, bare) = match stream.trim_end().rsplit_once('\n') {
        Some((before, last)) if last.starts_with("{\"error\"") => (format!("{before}\n"), Some(last.to_owned())),
        _ => (stream.to_owned(), None),
    };
    let mut whole: Option<Value> = None;
    let events = events(&stream)?;
    let mut events = events.iter();
    while let Some(event) = events.next() {
        demand(event.name.is_none(), || format!("Google names no events: {event:?}"))?;
        let chunk = super::json(&event.data)?;
        if chunk.get("error").is_some() {
            demand(events.next().is_none(), || "something follows the error".to_owned())?;
            demand(bare.as_deref() == Some(event.data.as_str()), || format!("{bare:?} follows {}", event.data))?;
            return Ok(Ending::Failed(said(&chunk)?));
        }
        match &mut whole {
            None => whole = Some(begun(chunk)?),
            Some(whole) => add(whole, &chunk)?,
        }
    }
    let whole = whole.ok_or("the stream is empty")?;
    let ended = list(&whole, "/candidates").iter().all(|candidate| candidate["finishReason"].is_string());
    let blocked = whole["promptFeedback"].is_object();
    demand(blocked || ended && !list(&whole, "/candidates").is_empty(), || format!("it has no end: {whole}"))?;
    demand(whole["usageMetadata"].is_object(), || "no usage".to_owned())?;
    Ok(Ending::Whole(whole))
}

/// The same for a stream that is an array.
pub(super) fn judge_array(stream: &str) -> Judged {
    let Value::Array(mut chunks) = super::json(stream)? else { return Err(format!("{stream:?} is no array")) };
    if let Some(failed) = chunks.last().filter(|last| last.get("error").is_some()) {
        return Ok(Ending::Failed(said(failed)?));
    }
    demand(!chunks.is_empty(), || "the stream is empty".to_owned())?;
    let mut whole = begun(chunks.remove(0))?;
    for chunk in &chunks {
        add(&mut whole, chunk)?;
    }
    Ok(Ending::Whole(whole))
}

fn begun(chunk: Value) -> Result<Value, String> {
    demand(chunk["responseId"].is_string() && chunk["modelVersion"].is_string(), || format!("it begins as {chunk}"))?;
    Ok(chunk)
}

fn add(whole: &mut Value, chunk: &Value) -> Result<(), String> {
    demand(chunk["responseId"] == whole["responseId"], || format!("the id changed in {chunk}"))?;
    if chunk["usageMetadata"].is_object() {
        whole["usageMetadata"] = chunk["usageMetadata"].clone();
    }
    for candidate in list(chunk, "/candidates") {
        let index = number(candidate, "/index");
        let all = whole["candidates"].as_array_mut().ok_or("candidates come late")?;
        let Some(before) = all.iter_mut().find(|before| number(before, "/index") == index) else {
            all.push(candidate.clone());
            continue;
        };
        demand(before["finishReason"].is_null(), || format!("{candidate} comes after its end"))?;
        if !candidate["finishReason"].is_null() {
            before["finishReason"] = candidate["finishReason"].clone();
        }
        for part in list(candidate, "/content/parts") {
            demand(candidate["content"]["role"] == "model", || format!("the role of {candidate}"))?;
            match before["content"]["parts"].as_array_mut() {
                Some(parts) => parts.push(part.clone()),
                None => before["content"] = json!({"role": "model", "parts": [part]}),
            }
        }
    }
    Ok(())
}
