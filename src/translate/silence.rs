//! Nothing is lost in silence, nothing is sent that the provider refuses, and what is refused is named as its caller wrote it.

use serde_json::{Value, json};

use super::{Strictness, Upstream, decode, encode};
use crate::dialect::{Capabilities, Dialect, RequestHead, Target};
use crate::fault::Fault;

const CHAT: Dialect = Dialect::OpenAiChat;
const RESPONSES: Dialect = Dialect::OpenAiResponses;
const MESSAGES: Dialect = Dialect::Anthropic;
const GEMINI: Dialect = Dialect::Gemini;

fn to(caller: Dialect, target: &Target, body: &Value) -> Result<Upstream, Fault> {
    let head = RequestHead { model: Some("m".to_owned()), ..RequestHead::default() };
    encode(&decode(caller, body.to_string().as_bytes(), &head).unwrap(), target, Strictness::Report)
}

/// What the provider gets, and what the caller is told of.
fn sent(caller: Dialect, provider: Dialect, body: &Value) -> (Value, String) {
    let upstream = to(caller, &Target::unlimited(provider, "m"), body).unwrap();
    (serde_json::from_slice(&upstream.body).unwrap(), upstream.losses.header().unwrap_or_default())
}

/// The fields of all losses, and of the refusal.
fn lost(caller: Dialect, target: &Target, body: &Value) -> Vec<String> {
    match to(caller, target, body) {
        Ok(upstream) => upstream.losses.iter().map(|loss| loss.field.clone()).collect(),
        Err(fault) => vec![fault.param.unwrap()],
    }
}

/// Another vendor's dialect.
fn others(caller: Dialect) -> impl Iterator<Item = Target> {
    Dialect::ALL
        .into_iter()
        .filter(move |provider| *provider != caller)
        .map(|provider| Target::unlimited(provider, "m"))
}

const PNG: &str = "data:image/png;base64,AAAA";

#[test]
fn pictures_in_instructions_are_carried_or_refused() {
    let user = json!({"role": "user", "content": "x"});
    let shown = json!([{"type": "input_text", "text": "Look."}, {"type": "input_image", "image_url": PNG}]);
    for role in ["system", "developer"] {
        let body = json!({"model": "m", "input": [{"role": role, "content": shown}, user]});
        for target in others(RESPONSES) {
            assert_eq!(lost(RESPONSES, &target, &body), ["input[0].content[1]"], "{}", target.dialect);
        }
    }
    let gemini = json!({"systemInstruction": {"parts": [{"text": "Look."}, {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]},
        "contents": [{"role": "user", "parts": [{"text": "x"}]}]});
    for provider in [CHAT, MESSAGES] {
        let target = Target::unlimited(provider, "m");
        assert_eq!(lost(GEMINI, &target, &gemini), ["systemInstruction.parts[1]"], "{provider}");
    }
    let (body, ignored) = sent(GEMINI, RESPONSES, &gemini);
    assert_eq!(body["input"][0]["role"], "system");
    assert_eq!(body["input"][0]["content"][0], json!({"type": "input_text", "text": "Look."}));
    assert_eq!(body["input"][0]["content"][1]["image_url"], PNG);
    assert_eq!((body.get("instructions"), ignored.as_str()), (None, ""));
    let chat = json!({"model": "m", "messages": [
        {"role": "system", "content": [{"type": "text", "text": "Look."}, {"type": "image_url", "image_url": {"url": PNG}}]}, user]});
    assert_eq!(sent(CHAT, RESPONSES, &chat).0["input"][0]["content"][1]["image_url"], PNG);
}

#[test]
fn loose_fields_are_reported_wherever_they_stand() {
    let chat_tool = |more: Value| {
        let mut tool = json!({"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}});
        super::table::put_over(&mut tool, &more);
        json!({"model": "m", "messages": [{"role": "user", "content": "x"}], "tools": [tool]})
    };
    let chosen = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}],
        "tools": [{"name": "f", "input_schema": {"type": "object"}}], "tool_choice": {"type": "any", "loose": 1}});
    let custom = json!({"model": "m", "messages": [{"role": "user", "content": "x"}],
        "tools": [{"type": "custom", "custom": {"name": "f", "loose": 1}, "outer": 1}]});
    let responses = |more: Value| {
        let mut body = json!({"model": "m", "input": "x"});
        super::table::put_over(&mut body, &more);
        body
    };
    let result = json!([{"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "x", "loose": 1}]}]);
    let messages = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}],
        "system": [{"type": "text", "text": "x", "loose": 1}]});
    let gemini = json!({"contents": [{"role": "user", "parts": [{"text": "x"}]}],
        "systemInstruction": {"parts": [{"text": "x"}], "loose": 1}});
    let named = json!({"model": "m", "messages": [{"role": "system", "content": "x", "name": "n"}, {"role": "user", "content": "x"}]});
    for (caller, body, fields) in [
        (CHAT, chat_tool(json!({"loose": 1})), &["tools[0].loose"][..]),
        (CHAT, chat_tool(json!({"function": {"loose": 1}})), &["tools[0].function.loose"]),
        (MESSAGES, chosen, &["tool_choice.loose"]),
        (CHAT, custom, &["tools[0].outer", "tools[0].custom.loose"]),
        (CHAT, named, &["messages[0].name"]),
        (RESPONSES, responses(json!({"reasoning": {"effort": "low", "loose": 1}})), &["reasoning.loose"]),
        (RESPONSES, responses(json!({"tools": [{"type": "custom", "name": "f", "loose": 1}]})), &["tools[0].loose"]),
        (RESPONSES, responses(json!({"input": result})), &["input[1].output.loose"]),
        (MESSAGES, messages, &["system[0].loose"]),
        (GEMINI, gemini, &["systemInstruction.loose"]),
    ] {
        for target in others(caller) {
            let lost = lost(caller, &target, &body);
            for field in fields {
                assert!(lost.iter().any(|lost| lost == field), "{field} on its way to {}: {lost:?}", target.dialect);
            }
        }
    }
}

#[test]
fn a_grammar_that_nothing_holds_the_model_to_is_reported() {
    let format = json!({"type": "grammar", "syntax": "lark", "definition": "start: \"a\""});
    let body = json!({"model": "m", "input": "x", "tools": [{"type": "custom", "name": "f", "format": format}]});
    let plain = json!({"model": "m", "input": "x", "tools": [{"type": "custom", "name": "f"}]});
    for mut target in others(RESPONSES) {
        target.can.custom_tools = false;
        assert_eq!(lost(RESPONSES, &target, &body), ["tools[0].format"], "{}", target.dialect);
        assert!(lost(RESPONSES, &target, &plain).is_empty(), "{}", target.dialect);
    }
    assert!(lost(RESPONSES, &Target::unlimited(CHAT, "m"), &body).is_empty());
}

#[test]
fn results_follow_their_calls_at_once_whatever_stands_between() {
    let call = |id: &str| json!({"type": "function_call", "call_id": id, "name": "f", "arguments": "{}"});
    let result = |id: &str| json!({"type": "function_call_output", "call_id": id, "output": id});
    let system = |text: &str| json!({"role": "developer", "content": text});
    let user = json!({"role": "user", "content": "go"});
    let body = json!({"model": "m", "input": [user, call("c1"), call("c2"), system("one"), result("c1"), system("two"),
        user, result("c2")]});
    let (chat, _) = sent(RESPONSES, CHAT, &body);
    let roles: Vec<_> =
        chat["messages"].as_array().unwrap().iter().map(|message| message["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["user", "assistant", "tool", "tool", "developer", "developer", "user"]);
    let (gemini, _) = sent(RESPONSES, GEMINI, &body);
    let contents = gemini["contents"].as_array().unwrap();
    let results = contents[2]["parts"].as_array().unwrap();
    assert!(contents[1]["parts"][0].get("functionCall").is_some());
    assert_eq!(results.iter().filter(|part| part.get("functionResponse").is_some()).count(), 2);
    let (messages, _) = sent(RESPONSES, MESSAGES, &body);
    let kinds: Vec<_> = messages["messages"][2]["content"]
        .as_array()
        .unwrap()
        .iter()
        .map(|block| block["type"].as_str().unwrap())
        .collect();
    assert_eq!(kinds[..2], ["tool_result", "tool_result"]);
    for provider in [CHAT, GEMINI, MESSAGES] {
        let lost = lost(RESPONSES, &Target::unlimited(provider, "m"), &body);
        assert!(lost.iter().any(|field| field.starts_with("input[")), "{provider}: {lost:?}");
    }
}

#[test]
fn a_choice_between_no_tools_is_left_out_and_said() {
    let forced = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}], "tools": [],
        "tool_choice": {"type": "any", "disable_parallel_tool_use": true}});
    let (chat, ignored) = sent(MESSAGES, CHAT, &forced);
    assert_eq!((chat.get("tool_choice"), chat.get("parallel_tool_calls")), (None, None));
    assert!(ignored.split(',').any(|name| name == "tool_choice"), "{ignored}");
    let auto = json!({"model": "m", "input": "x", "tool_choice": "auto", "parallel_tool_calls": true});
    for target in others(RESPONSES) {
        assert!(lost(RESPONSES, &target, &auto).is_empty(), "{}", target.dialect);
    }
}

#[test]
fn white_space_that_a_provider_refuses_is_reported() {
    let body = |text: &str| json!({"model": "m", "messages": [{"role": "user", "content": [{"type": "text", "text": "x"}, {"type": "text", "text": text}]}]});
    let target = Target::unlimited(MESSAGES, "m");
    assert_eq!(lost(CHAT, &target, &body("\n")), ["messages[0].content[1]"]);
    assert!(lost(CHAT, &target, &body("")).is_empty());
}

#[test]
fn labels_and_modalities_that_openai_refuses_are_reported_or_refused() {
    let labelled = json!({"model": "m", "max_tokens": 99, "metadata": {"user_id": "u", "later": 1}, "messages": [{"role": "user", "content": "x"}]});
    let pictures = json!({"contents": [{"role": "user", "parts": [{"text": "x"}]}], "generationConfig": {"responseModalities": ["TEXT", "IMAGE"]}});
    for provider in [CHAT, RESPONSES] {
        let target = Target::unlimited(provider, "m");
        assert_eq!(lost(MESSAGES, &target, &labelled), ["metadata"], "{provider}");
        assert_eq!(lost(GEMINI, &target, &pictures), ["generationConfig.responseModalities"], "{provider}");
    }
}

#[test]
fn a_message_that_holds_nothing_is_named_and_an_empty_text_beside_others_is_not() {
    let chat = |middle: Value| {
        json!({"model": "m", "messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}, middle,
            {"role": "assistant", "content": "z"}, {"role": "user", "content": "go"}]})
    };
    for (empty, is_named) in [
        (json!({"role": "user", "content": ""}), true),
        (json!({"role": "user", "content": [{"type": "text", "text": ""}, {"type": "text", "text": ""}]}), true),
        (json!({"role": "assistant", "content": ""}), true),
        (json!({"role": "assistant", "content": null}), true),
        (json!({"role": "assistant"}), true),
        (json!({"role": "user", "content": []}), true),
        (json!({"role": "system", "content": ""}), false),
        (json!({"role": "user", "content": [{"type": "text", "text": ""}, {"type": "text", "text": "q"}]}), false),
    ] {
        for target in others(CHAT) {
            let lost = lost(CHAT, &target, &chat(empty.clone()));
            assert_eq!(lost.iter().any(|field| field == "messages[2]"), is_named, "{empty} to {}", target.dialect);
        }
    }
    let (user, model) = (json!({"role": "user", "content": "x"}), json!({"role": "assistant", "content": []}));
    let messages = json!({"model": "m", "max_tokens": 9, "messages": [user, model, user]});
    let items = json!({"model": "m", "input": [user, {"type": "message", "role": "assistant", "content": []}, user]});
    let contents = json!({"contents": [{"role": "user", "parts": [{"text": "x"}]}, {"role": "model", "parts": []},
        {"role": "user", "parts": [{"text": "x"}]}]});
    for (caller, body, name) in
        [(MESSAGES, messages, "messages[1]"), (RESPONSES, items, "input[1]"), (GEMINI, contents, "contents[1]")]
    {
        for target in others(caller) {
            let lost = lost(caller, &target, &body);
            assert!(lost.iter().any(|field| field == name), "{caller} to {}: {lost:?}", target.dialect);
        }
    }
}

#[test]
fn white_space_at_the_end_of_a_prefill_is_reported_where_it_is_cut_off() {
    let body = |text: &str| json!({"model": "m", "messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": text}]});
    assert_eq!(lost(CHAT, &Target::unlimited(MESSAGES, "m"), &body("So: ")), ["messages[1]"]);
    assert!(lost(CHAT, &Target::unlimited(MESSAGES, "m"), &body("So:")).is_empty());
    assert!(lost(CHAT, &Target::unlimited(GEMINI, "m"), &body("So: ")).is_empty());
}

#[test]
fn a_files_name_is_reported_where_it_has_no_place() {
    let file =
        json!({"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0xLjQK"}});
    let chat = json!({"model": "m", "messages": [{"role": "user", "content": [file]}]});
    assert_eq!(lost(CHAT, &Target::unlimited(GEMINI, "m"), &chat), ["messages[0].content[0].filename"]);
    assert!(lost(CHAT, &Target::unlimited(MESSAGES, "m"), &chat).is_empty());
    let text = json!({"type": "document", "title": "notes", "source": {"type": "text", "media_type": "text/plain", "data": "x"}});
    let messages = json!({"model": "m", "max_tokens": 99, "messages": [{"role": "user", "content": [text]}]});
    for target in others(MESSAGES) {
        assert_eq!(lost(MESSAGES, &target, &messages), ["messages[0].content[0].title"], "{}", target.dialect);
    }
}

#[test]
fn what_is_wrong_with_a_tool_is_said_in_its_callers_words() {
    let patterned =
        json!({"type": "object", "properties": {"a": {"type": "string", "pattern": "^a+$", "not": {"const": "b"}}}});
    let function = json!({"type": "function", "name": "f", "parameters": patterned});
    let chat = json!({"model": "m", "messages": [{"role": "user", "content": "x"}],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": patterned}}]});
    let responses = json!({"model": "m", "input": "x", "tools": [
        {"type": "namespace", "name": "n", "tools": [{"type": "function", "name": "a"}, {"type": "function", "name": "b"}]},
        function,
        {"type": "namespace", "name": "o", "tools": [{"type": "function", "name": "a"}, function]}]});
    let messages = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}],
        "tools": [{"name": "f", "input_schema": patterned}]});
    for (caller, body, fields) in [
        (CHAT, chat, &["tools[0].function.parameters"][..]),
        (RESPONSES, responses, &["tools[1].parameters", "tools[2].tools[1].parameters"]),
        (MESSAGES, messages, &["tools[0].input_schema"]),
    ] {
        let lost = lost(caller, &Target::unlimited(GEMINI, "m"), &body);
        assert_eq!(lost, fields, "{caller}");
    }
    let contents = json!([{"role": "user", "parts": [{"text": "x"}]}]);
    let gemini = json!({"contents": contents, "tools": [{"functionDeclarations": [{"name": "e"}]},
        {"functionDeclarations": [{"name": "f", "loose": 1}]}, {"googleSearch": {}}]});
    assert_eq!(lost(GEMINI, &Target::unlimited(CHAT, "m"), &gemini), ["tools[2]"]);
    let search = json!({"model": "m", "input": "x", "tools": [
        {"type": "namespace", "name": "n", "tools": [{"type": "function", "name": "a"}, {"type": "function", "name": "b"}]},
        {"type": "web_search"}]});
    assert_eq!(lost(RESPONSES, &Target::unlimited(MESSAGES, "m"), &search), ["tools[1]"]);
    let strict = |tools: Value| {
        let head = RequestHead { model: Some("m".to_owned()), ..RequestHead::default() };
        let body = json!({"contents": contents, "tools": tools}).to_string();
        let request = decode(GEMINI, body.as_bytes(), &head).unwrap();
        encode(&request, &Target::unlimited(CHAT, "m"), Strictness::Refuse).unwrap_err().param.unwrap()
    };
    let declared = json!([{"functionDeclarations": [{"name": "e"}, {"name": "d"}]}, {"functionDeclarations": [{"name": "f", "loose": 1}]}]);
    assert_eq!(strict(declared), "tools[1].functionDeclarations[0].loose");
}

#[test]
fn a_tool_of_the_callers_keeps_its_name_beside_the_one_that_gives_the_answer() {
    let tool = |name: &str| json!({"type": "function", "function": {"name": name, "parameters": {"type": "object"}}});
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": false});
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "x"}], "tools": [tool("final_answer")],
        "response_format": {"type": "json_schema", "json_schema": {"name": "r", "schema": schema}}});
    let can = Capabilities { json_beside_tools: false, ..Capabilities::unlimited(GEMINI) };
    let upstream = to(CHAT, &Target { can, ..Target::unlimited(GEMINI, "m") }, &body).unwrap();
    let sent: Value = serde_json::from_slice(&upstream.body).unwrap();
    let declared = sent["tools"][0]["functionDeclarations"].as_array().unwrap();
    let names: Vec<_> = declared.iter().map(|function| function["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["final_answer", "final_answer_"]);
    assert_eq!(upstream.adaptions.json_tool.as_deref(), Some("final_answer_"));
}

#[test]
fn results_without_ids_go_back_to_google_in_the_order_of_their_calls() {
    let id = |number: &str| crate::ir::mark::call_id(&["r", number]);
    let call = |number: &str| json!({"functionCall": {"id": id(number), "name": number, "args": {}}});
    let result =
        |number: &str| json!({"functionResponse": {"id": id(number), "name": number, "response": {"output": number}}});
    let body = json!({"contents": [{"role": "user", "parts": [{"text": "x"}]}, {"role": "model", "parts": [call("a"), call("b")]},
        {"role": "user", "parts": [result("b"), {"text": "and"}, result("a")]}]});
    let (sent, _) = sent(GEMINI, GEMINI, &body);
    let parts = sent["contents"][2]["parts"].as_array().unwrap();
    let names: Vec<_> = parts.iter().map(|part| part["functionResponse"]["name"].as_str().unwrap_or("-")).collect();
    assert_eq!(names, ["a", "-", "b"]);
    assert!(parts[0]["functionResponse"].get("id").is_none());
}

#[test]
fn keys_tools_and_messages_keep_their_order_at_every_provider() {
    let order = ["zeta", "alpha", "mid"];
    let schema = r#"{"type":"object","properties":{"zeta":{"type":"string"},"alpha":{"type":"number"},"mid":{"type":"boolean"}},"required":["zeta","alpha","mid"]}"#;
    let tool = |name: &str| format!(r#"{{"type":"function","function":{{"name":"{name}","parameters":{schema}}}}}"#);
    let messages = r#"[{"role":"user","content":"first"},{"role":"assistant","content":"second"},{"role":"user","content":"third"}]"#;
    let body = format!(r#"{{"tools":[{},{}],"messages":{messages},"model":"m"}}"#, tool("b_tool"), tool("a_tool"));
    let request = decode(CHAT, body.as_bytes(), &RequestHead::default()).unwrap();
    for provider in Dialect::ALL {
        let target = Target::unlimited(provider, "m");
        let once = encode(&request, &target, Strictness::Report).unwrap().body;
        assert_eq!(once, encode(&request, &target, Strictness::Report).unwrap().body, "{provider}");
        let text = String::from_utf8(once).unwrap();
        for words in [&order[..], &["b_tool", "a_tool"], &["first", "second", "third"]] {
            let places: Vec<_> = words.iter().map(|word| text.find(&format!("\"{word}\"")).unwrap()).collect();
            assert!(places.is_sorted(), "{provider}: {words:?} in {text}");
        }
    }
}
