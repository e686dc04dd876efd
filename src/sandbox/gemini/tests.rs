//! generateContent as Google answers it, and as it refuses it.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use serde_json::{Value, json};

use crate::config::providers::Kind;
use crate::sandbox::testing::{Provider, Said, city, with};

const WHOLE: &str = "/v1beta/models/gemini-3-pro-preview:generateContent";
const OLDER: &str = "/v1beta/models/gemini-2.5-flash:generateContent";
const EVENTS: &str = "/v1beta/models/gemini-3-pro-preview:streamGenerateContent?alt=sse";
const ARRAY: &str = "/v1beta/models/gemini-3-pro-preview:streamGenerateContent";

fn ask(target: &str, body: &Value) -> Said {
    Provider::new(Kind::Gemini).post(target, body)
}

fn plain() -> Value {
    json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]})
}

fn tools() -> Value {
    let function = json!({"name": "weather", "parametersJsonSchema": city()});
    with(plain(), "/tools", json!([{"functionDeclarations": [function]}]))
}

fn said(text: &str) -> Value {
    with(plain(), "/contents/0/parts/0/text", text.into())
}

fn answered(request: &Value, answer: &Value) -> Value {
    let content = answer["candidates"][0]["content"].clone();
    let calls = content["parts"].as_array().unwrap().iter().filter_map(|part| part.get("functionCall"));
    let responses: Vec<_> = calls.map(|call| json!({"functionResponse": {"id": call["id"], "name": call["name"], "response": {"output": "sunny"}}})).collect();
    let mut contents = request["contents"].as_array().unwrap().clone();
    contents.push(content);
    contents.push(json!({"role": "user", "parts": responses}));
    with(request.clone(), "/contents", contents.into())
}

#[test]
fn a_whole_answer_has_its_fields_and_its_usage_adds_up() {
    let answer = ask(WHOLE, &plain()).json();
    assert_eq!(
        answer.as_object().unwrap().keys().collect::<Vec<_>>(),
        ["candidates", "usageMetadata", "modelVersion", "responseId"]
    );
    let candidate = &answer["candidates"][0];
    assert_eq!(candidate["finishReason"], "STOP");
    assert!(candidate["content"]["parts"][0]["thoughtSignature"].is_string());
    let usage = |name: &str| answer["usageMetadata"][name].as_u64().unwrap();
    assert_eq!(
        usage("totalTokenCount"),
        usage("promptTokenCount") + usage("candidatesTokenCount") + usage("thoughtsTokenCount")
    );
}

#[test]
fn both_forms_of_a_stream_hold_the_same_pieces() {
    let request = with(plain(), "/generationConfig", json!({"thinkingConfig": {"includeThoughts": true}}));
    let events = ask(EVENTS, &request);
    assert!(events.text().starts_with("data: {") && events.text().ends_with("\r\n\r\n"));
    let events = events.events();
    let array: Vec<Value> = serde_json::from_str(&ask(ARRAY, &request).text()).unwrap();
    assert_eq!(events.len(), array.len());
    assert_eq!(events[0]["candidates"][0]["content"]["parts"][0]["thought"], true);
    let text = |chunks: &[Value]| -> String {
        let parts = chunks.iter().map(|chunk| &chunk["candidates"][0]["content"]["parts"][0]);
        parts.filter(|part| part.get("thought").is_none()).filter_map(|part| part["text"].as_str()).collect()
    };
    assert_eq!(text(&events), text(&array));
    assert!(text(&events).contains("“hi”"));
    let (last, before) = events.split_last().unwrap();
    assert_eq!(last["candidates"][0]["finishReason"], "STOP");
    assert_eq!(last["candidates"][0]["content"]["parts"][0]["text"], "", "the signature has a part of its own");
    assert!(before.iter().all(|chunk| chunk["candidates"][0].get("finishReason").is_none()));
}

#[test]
fn a_tool_loop_with_signatures_finishes() {
    let provider = Provider::new(Kind::Gemini);
    let request = with(tools(), "/contents/0/parts/0/text", "weather in parallel [[sandbox:steps=2]]".into());
    let first = provider.post(WHOLE, &request).json();
    let parts = first["candidates"][0]["content"]["parts"].clone();
    assert!(parts[0]["thoughtSignature"].is_string() && parts[1].get("thoughtSignature").is_none());
    let second_request = answered(&request, &first);
    let second = provider.post(WHOLE, &second_request).json();
    let last = provider.post(WHOLE, &answered(&second_request, &second)).json();
    assert!(last["candidates"][0]["content"]["parts"][0]["text"].as_str().unwrap().contains("sunny"));
}

#[test]
fn gemini_3_wants_a_signature_it_made_or_the_stand_in() {
    let provider = Provider::new(Kind::Gemini);
    let next = answered(&tools(), &provider.post(WHOLE, &tools()).json());
    let at = "/contents/1/parts/0/thoughtSignature";
    let signature = next.pointer(at).unwrap().as_str().unwrap().to_owned();
    provider.post(WHOLE, &next).json();
    provider.post(WHOLE, &with(next.clone(), at, signature.replace('+', "-").replace('/', "_").into())).json();
    provider.post(WHOLE, &with(next.clone(), at, "skip_thought_signature_validator".into())).json();
    let missing = with(next.clone(), at, Value::Null);
    assert!(provider.post(WHOLE, &missing).refusal().1.starts_with("Function call is missing a thought_signature"));
    provider.post(OLDER, &missing).json();
    let foreign = with(next.clone(), at, "Rm9yZWlnbg==".into());
    assert_eq!(provider.post(WHOLE, &foreign).refusal().1, "Corrupted thought signature.");
    let mut contents = missing["contents"].as_array().unwrap().clone();
    contents.push(json!({"role": "model", "parts": [{"text": "sunny"}]}));
    contents.push(json!({"role": "user", "parts": [{"text": "thanks"}]}));
    provider.post(WHOLE, &with(missing, "/contents", contents.into())).json();
}

#[test]
fn endings_have_googles_names() {
    for (magic, reason) in [("safety", "SAFETY"), ("finish=MALFORMED_FUNCTION_CALL", "MALFORMED_FUNCTION_CALL")] {
        let answer = ask(WHOLE, &said(&format!("[[sandbox:{magic}]]"))).json();
        assert_eq!(answer["candidates"][0]["finishReason"], reason);
    }
    let blocked = ask(WHOLE, &said("[[sandbox:block]]")).json();
    assert_eq!((&blocked["promptFeedback"]["blockReason"], blocked.get("candidates")), (&json!("SAFETY"), None));
    let short = ask(
        OLDER,
        &with(plain(), "/generationConfig", json!({"maxOutputTokens": 4, "thinkingConfig": {"thinkingBudget": 0}})),
    )
    .json();
    assert_eq!(
        (&short["candidates"][0]["finishReason"], &short["usageMetadata"]["candidatesTokenCount"]),
        (&json!("MAX_TOKENS"), &json!(4))
    );
    let cached = ask(WHOLE, &said("a long prompt [[sandbox:cached=2]]")).json();
    assert_eq!(cached["usageMetadata"]["cachedContentTokenCount"], 2);
}

#[test]
fn both_spellings_of_a_name_are_read() {
    let request = json!({
        "contents": {"parts": [{"text": "hi"}]},
        "system_instruction": {"parts": [{"text": "be brief"}]},
        "generation_config": {"response_mime_type": "application/json", "response_json_schema": city()},
    });
    let request = with(request.clone(), "/contents", json!([request["contents"]]));
    assert_eq!(
        ask(OLDER, &request).json()["candidates"][0]["content"]["parts"][0]["text"],
        r#"{"city":"sandbox city"}"#
    );
}

#[test]
fn what_google_refuses_is_refused_in_its_words() {
    let call = json!({"role": "model", "parts": [{"functionCall": {"name": "weather", "args": {}}}]});
    let response =
        json!({"role": "user", "parts": [{"functionResponse": {"name": "weather", "response": {"output": "a"}}}]});
    let user = plain()["contents"][0].clone();
    let history = |contents: Value| with(tools(), "/contents", contents);
    let parameters = |schema: Value| {
        with(plain(), "/tools", json!([{"functionDeclarations": [{"name": "weather", "parameters": schema}]}]))
    };
    for (request, message) in [
        (with(plain(), "/foo", 1.into()), "Invalid JSON payload received. Unknown name \"foo\": Cannot find field."),
        (
            with(plain(), "/contents/0/parts/0/foo", 1.into()),
            "Unknown name \"foo\" at 'contents[0].parts[0]': Cannot find field.",
        ),
        (
            with(plain(), "/contents/0/parts/0/text", 1.into()),
            "Invalid value at 'contents[0].parts[0].text' (TYPE_STRING), 1",
        ),
        (
            with(plain(), "/contents/0/parts/0", json!({"inlineData": {"mimeType": "image/png", "data": "[missing]"}})),
            "Invalid value at 'contents[0].parts[0].inline_data.data' (TYPE_BYTES), Base64 decoding failed",
        ),
        (with(plain(), "/contents", json!([])), "contents is not specified"),
        (with(plain(), "/contents/0/role", "assistant".into()), "Please use a valid role: user, model."),
        (with(plain(), "/contents/0/parts", json!([])), "contents.parts must not be empty"),
        (
            parameters(city()),
            "Unknown name \"additionalProperties\" at 'tools[0].function_declarations[0].parameters': Cannot find field.",
        ),
        (
            parameters(json!({"type": "object", "properties": {"a": {"$ref": "#/b"}}})),
            "Unknown name \"$ref\" at 'tools[0].function_declarations[0].parameters.properties[a].value'",
        ),
        (parameters(json!({"type": "OBJECT", "properties": {}})), "should be non-empty for OBJECT type"),
        (with(tools(), "/tools/0/functionDeclarations/0/name", "1a".into()), "Invalid function name."),
        (history(json!([user, response])), "function response turn comes immediately after a function call turn"),
        (history(json!([user, call])), "followed by a function response turn"),
        (history(json!([call, response])), "comes immediately after a user turn"),
        (
            history(json!([user, call, user])),
            "number of function response parts is equal to the number of function call parts",
        ),
        (
            with(plain(), "/generationConfig", json!({"responseSchema": {"type": "STRING"}})),
            "only allowed when response_mime_type",
        ),
        (
            with(
                plain(),
                "/generationConfig",
                json!({"thinkingConfig": {"thinkingBudget": 1, "thinkingLevel": "low"}}),
            ),
            "only one of thinking budget and thinking level",
        ),
    ] {
        let (status, said) = ask(WHOLE, &request).refusal();
        assert!(status == 400 && said.contains(message), "wanted {message}, got {status} {said}");
    }
    let unknown = ask("/v1beta/models/gemini-none:generateContent", &plain()).refusal();
    assert!(unknown.0 == 404 && unknown.1.starts_with("models/gemini-none is not found for API version v1beta"));
    let in_array: Value = serde_json::from_str(&ask(ARRAY, &with(plain(), "/foo", 1.into())).text()).unwrap();
    assert_eq!(in_array[0]["error"]["status"], "INVALID_ARGUMENT");
}

#[test]
fn credentials_are_checked_in_header_and_query() {
    let provider = Provider::new(Kind::Gemini);
    let send = |target: &str, headers: &[(&str, String)]| provider.send("POST", target, headers, plain().to_string());
    assert_eq!(send(WHOLE, &[]).refusal().0, 403);
    let wrong = send(WHOLE, &[("x-goog-api-key", "wrong".to_owned())]);
    assert_eq!(wrong.refusal(), (400, "API key not valid. Please pass a valid API key.".to_owned()));
    assert!(wrong.text().contains("API_KEY_INVALID"));
    send(&format!("{WHOLE}?key=sk-sandbox"), &[]).json();
    let count = provider.post("/v1beta/models/gemini-2.5-flash:countTokens", &said("12345678")).json();
    assert_eq!(count["totalTokens"], 2);
}

#[test]
fn files_may_be_in_either_alphabet_of_base64() {
    for data in ["+/8=", "-_8=", "-_8"] {
        let part = json!({"inlineData": {"mimeType": "image/png", "data": data}});
        let said = ask(WHOLE, &with(plain(), "/contents/0/parts/0", part)).json();
        assert_eq!(said["candidates"][0]["finishReason"], "STOP", "{data}: {said}");
    }
}
