#![expect(clippy::unwrap_used, reason = "a test may panic")]

use super::*;

fn generate(dialect: Dialect, body: &str) -> Result<Peek, Fault> {
    peek(dialect, Operation::Generate, body.as_bytes())
}

fn content_of(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::OpenAiChat | Dialect::Anthropic => "messages",
        Dialect::OpenAiResponses => "input",
        Dialect::Gemini => "contents",
    }
}

fn minimal(dialect: Dialect) -> String {
    match dialect {
        Dialect::Gemini => r#"{"contents":[]}"#.to_owned(),
        Dialect::OpenAiChat | Dialect::OpenAiResponses | Dialect::Anthropic => {
            format!(r#"{{"model":"m","{}":[]}}"#, content_of(dialect))
        }
    }
}

fn refusal(dialect: Dialect, body: &str) -> (FaultKind, Option<String>, String) {
    let fault = generate(dialect, body).unwrap_err();
    (fault.kind, fault.param, fault.message)
}

#[test]
fn chat_tells_all_that_the_gateway_needs() {
    let body = r#"{"user":"u-1","n":2,"temperature":0.5,"max_tokens":7,"max_completion_tokens":9,"stream":true,
        "stream_options":{"include_usage":false},"messages":[{"role":"user","content":"hi"}],"model":"gpt-4.1"}"#;
    let peek = generate(Dialect::OpenAiChat, body).unwrap();
    let model = peek.model.unwrap();
    assert_eq!((model.text.as_str(), &body[model.span]), ("gpt-4.1", r#""gpt-4.1""#));
    assert_eq!(peek.end_user.as_deref(), Some("u-1"));
    assert_eq!((peek.stream, peek.include_usage, peek.choices), (true, Some(false), Some(2)));
    assert_eq!((peek.max_output_tokens, peek.temperature), (Some(9), Some(0.5)));
    assert_eq!((peek.background, peek.marks, peek.stateful), (false, false, None));
    let at = body.find("false").unwrap();
    assert_eq!(peek.stream_options, StreamOptions::IncludeUsage(at..at + 5));
}

#[test]
fn the_other_dialects_tell_it_too() {
    let responses =
        r#"{"model":"gpt-5","input":"hi","max_output_tokens":5,"user":"u","background":true,"stream":false}"#;
    let peek = generate(Dialect::OpenAiResponses, responses).unwrap();
    assert_eq!((peek.max_output_tokens, peek.end_user.as_deref(), peek.background), (Some(5), Some("u"), true));

    let messages = r#"{"model":"claude","max_tokens":3,"messages":[],"stream":true,
        "metadata":{"user_id":"user_d_account_a_session_s"}}"#;
    let peek = generate(Dialect::Anthropic, messages).unwrap();
    assert_eq!((peek.max_output_tokens, peek.stream), (Some(3), true));
    assert_eq!((peek.end_user.as_deref(), peek.session.as_deref()), (Some("a"), Some("s")));

    let gemini =
        r#"{"contents":{"parts":[{"text":"hi"}]},"generation_config":{"maxOutputTokens":4,"candidateCount":2}}"#;
    let peek = generate(Dialect::Gemini, gemini).unwrap();
    assert_eq!((peek.max_output_tokens, peek.choices, peek.model), (Some(4), Some(2), None));
}

#[test]
fn each_dialect_says_which_service_tier_it_asks_for() {
    for dialect in Dialect::ALL {
        let names: &[&str] = match dialect {
            Dialect::OpenAiChat | Dialect::OpenAiResponses | Dialect::Anthropic => &["service_tier"],
            Dialect::Gemini => &["serviceTier", "service_tier"],
        };
        for name in names {
            let body = |value: &str| minimal(dialect).replacen('{', &format!(r#"{{"{name}":{value},"#), 1);
            let asked = |value: &str| generate(dialect, &body(value)).unwrap().service_tier;
            assert_eq!(asked(r#""flex""#).as_deref(), Some("flex"), "{dialect:?}");
            assert_eq!((asked("null"), asked("7")), (None, None), "{dialect:?}");
        }
        assert_eq!(generate(dialect, &minimal(dialect)).unwrap().service_tier, None, "{dialect:?}");
    }
}

#[test]
fn tools_that_the_provider_runs_are_told_from_those_that_the_caller_runs() {
    for (dialect, members, expected) in [
        (Dialect::OpenAiChat, r#""tools":[{"type":"function","function":{"name":"f"}},{"type":"custom"}]"#, false),
        (Dialect::OpenAiChat, r#""web_search_options":null"#, false),
        (Dialect::OpenAiChat, r#""web_search_options":{}"#, true),
        (Dialect::OpenAiChat, r#""tools":[{"type":"function"},{"type":"web_search"}]"#, true),
        (Dialect::OpenAiResponses, r#""tools":[{"type":"function"},{"type":"custom"},{"type":"namespace"}]"#, false),
        (Dialect::OpenAiResponses, r#""tools":[{"type":"function"},{"type":"web_search_preview"}]"#, true),
        (Dialect::OpenAiResponses, r#""tools":[{"server_label":"s","type":"mcp"}]"#, true),
        (Dialect::Anthropic, r#""tools":[{"name":"f","input_schema":{"type":"object"}},{"type":"custom"}]"#, false),
        (Dialect::Anthropic, r#""tools":[{"name":"web_search","type":"web_search_20250305"}]"#, true),
        (Dialect::Anthropic, r#""mcp_servers":[]"#, false),
        (Dialect::Anthropic, r#""mcp_servers":[{"type":"url","name":"s"}]"#, true),
        (Dialect::Gemini, r#""tools":[{"functionDeclarations":[{"name":"f"}]},{"function_declarations":[]}]"#, false),
        (Dialect::Gemini, r#""tools":[{"functionDeclarations":[]},{"googleSearch":{}}]"#, true),
        (Dialect::Gemini, r#""tools":{"code_execution":{}}"#, true),
    ] {
        let body = minimal(dialect).replacen('{', &format!("{{{members},"), 1);
        assert_eq!(generate(dialect, &body).unwrap().runs_tools, expected, "{dialect:?}: {members}");
    }
}

#[test]
fn counting_with_gemini_takes_a_whole_request_in_place_of_contents() {
    let body = br#"{"generateContentRequest":{"model":"models/g","contents":[]}}"#;
    assert!(peek(Dialect::Gemini, Operation::CountTokens, body).is_ok());
    assert!(peek(Dialect::Gemini, Operation::Generate, body).is_err());
}

#[test]
fn a_body_that_is_no_json_object_is_refused_with_its_place() {
    for dialect in Dialect::ALL {
        let cases = [
            ("", "no body"),
            (" \n ", "no body"),
            ("[]", "an array"),
            ("\"a\"", "a string"),
            ("null", "null"),
            ("true", "a boolean"),
            ("12", "a number"),
            ("hello", "line 1 column 1"),
            ("[1,", "line 1 column 3"),
            ("{\"model\":", "line 1 column 9"),
            ("{\"model\":\"a\"}}", "line 1 column 14"),
            ("{\"model\":\"a\",}", "line 1 column 14"),
        ];
        for (body, said) in cases {
            let (kind, param, message) = refusal(dialect, body);
            assert_eq!((kind, param), (FaultKind::InvalidJson, None), "{body}");
            assert!(message.contains(said), "{message}");
        }
        let fault = peek(dialect, Operation::Generate, b"{\"x\":\"\xff\"}").unwrap_err();
        assert_eq!(fault.message, "the body is not valid JSON: it is not UTF-8 at byte 6");
    }
}

#[test]
fn a_model_that_is_missing_or_wrong_is_named() {
    for dialect in [Dialect::OpenAiChat, Dialect::OpenAiResponses, Dialect::Anthropic] {
        let content = content_of(dialect);
        let with = |model: &str| format!(r#"{{{model}"{content}":[]}}"#);
        let cases = [
            (with(""), FaultKind::MissingParameter),
            (with(r#""model":null,"#), FaultKind::MissingParameter),
            (with(r#""model":4,"#), FaultKind::InvalidParameter),
            (with(r#""model":{},"#), FaultKind::InvalidParameter),
            (with(r#""model":" ","#), FaultKind::InvalidParameter),
            (with(r#""model":"a","mod\u0065l":"b","#), FaultKind::InvalidParameter),
        ];
        for (body, expected) in cases {
            let (kind, param, _) = refusal(dialect, &body);
            assert_eq!((kind, param.as_deref()), (expected, Some("model")), "{body}");
        }
    }
}

#[test]
fn content_that_is_missing_or_wrong_is_named() {
    for dialect in Dialect::ALL {
        let content = content_of(dialect);
        let cases = [
            (r#"{"model":"m"}"#.to_owned(), FaultKind::MissingParameter),
            (format!(r#"{{"model":"m","{content}":null}}"#), FaultKind::MissingParameter),
            (format!(r#"{{"model":"m","{content}":7}}"#), FaultKind::InvalidParameter),
            (format!(r#"{{"model":"m","{content}":true}}"#), FaultKind::InvalidParameter),
        ];
        for (body, expected) in cases {
            let (kind, param, _) = refusal(dialect, &body);
            assert_eq!((kind, param.as_deref()), (expected, Some(content)), "{body}");
        }
    }
    assert_eq!(refusal(Dialect::OpenAiChat, r#"{"model":"m","messages":{}}"#).0, FaultKind::InvalidParameter);
    assert_eq!(refusal(Dialect::Anthropic, r#"{"model":"m","messages":"hi"}"#).0, FaultKind::InvalidParameter);
    assert_eq!(refusal(Dialect::OpenAiResponses, r#"{"model":"m","input":{}}"#).0, FaultKind::InvalidParameter);
}

#[test]
fn a_stream_flag_that_is_no_flag_is_named() {
    let (kind, param, _) = refusal(Dialect::OpenAiChat, r#"{"model":"m","messages":[],"stream":"yes"}"#);
    assert_eq!((kind, param.as_deref()), (FaultKind::InvalidParameter, Some("stream")));
    assert!(!generate(Dialect::OpenAiChat, r#"{"model":"m","messages":[],"stream":null}"#).unwrap().stream);
}

#[test]
fn what_the_provider_keeps_is_named_wherever_it_is() {
    use Dialect::{Anthropic, Gemini, OpenAiChat, OpenAiResponses};
    let cases = [
        (OpenAiChat, r#""messages":[{"content":[{"type":"file","file":{"file_id":"file-1"}}]}]"#, "file_id"),
        (OpenAiChat, r#""messages":[{"role":"assistant","audio":{"id":"audio_1"}}]"#, "audio.id"),
        (OpenAiResponses, r#""previous_response_id":"resp_1""#, "previous_response_id"),
        (OpenAiResponses, r#""input":"hi","conversation":{"id":"conv_1"}"#, "conversation"),
        (OpenAiResponses, r#""prompt":{"id":"pmpt_1"}"#, "prompt"),
        (
            OpenAiResponses,
            r#""input":[{"role":"user","content":"a"},{"type":"item_reference","id":"msg_1"}]"#,
            "item_reference",
        ),
        (OpenAiResponses, r#""input":[{"id":"msg_1"}]"#, "item_reference"),
        (
            OpenAiResponses,
            r#""input":[{"role":"user","content":[{"type":"input_file","fil\u0065_id":"f"}]}]"#,
            "file_id",
        ),
        (OpenAiResponses, r#""input":[{"type":"function_call_output","output":[{"file_id":"f"}]}]"#, "file_id"),
        (
            OpenAiResponses,
            r#""input":[],"tools":[{"type":"file_search","vector_store_ids":["vs"]}]"#,
            "vector_store_ids",
        ),
        (OpenAiResponses, r#""input":[],"tools":[{"type":"code_interpreter","container":"cntr_1"}]"#, "container"),
        (OpenAiResponses, r#""input":[],"tools":[{"container":{"type":"auto","file_ids":["f"]}}]"#, "file_ids"),
        (OpenAiResponses, r#""input":[],"tools":[{"environment":{"container_id":"c"}}]"#, "container_id"),
        (Anthropic, r#""messages":[],"container":"c""#, "container"),
        (Anthropic, r#""messages":[],"container":{"id":"c","skills":[]}"#, "container"),
        (Anthropic, r#""messages":[{"content":[{"type":"image","source":{"type":"file","file_id":"f"}}]}]"#, "file_id"),
        (Anthropic, r#""messages":[{"content":[{"type":"container_upload","file_id":"f"}]}]"#, "file_id"),
        (
            Anthropic,
            r#""messages":[{"content":[{"type":"tool_result","content":[{"source":{"file_id":"f"}}]}]}]"#,
            "file_id",
        ),
        (Gemini, r#""contents":[],"cachedContent":"cachedContents/1""#, "cachedContent"),
        (Gemini, r#""contents":[{"parts":[{"file_data":{"file_uri":"files/abc"}}]}]"#, "fileUri"),
        (Gemini, r#""contents":[],"tools":[{"fileSearch":{"fileSearchStoreNames":["s"]}}]"#, "fileSearchStoreNames"),
    ];
    for (dialect, members, field) in cases {
        let body = format!(r#"{{"model":"m",{members}}}"#);
        assert_eq!(generate(dialect, &body).unwrap().stateful, Some(field), "{body}");
    }
}

#[test]
fn what_only_looks_like_something_kept_is_not() {
    use Dialect::{Anthropic, Gemini, OpenAiChat, OpenAiResponses};
    let cases = [
        (OpenAiChat, r#""messages":[{"content":"file_id"}],"tools":[{"function":{"parameters":{"file_id":{}}}}]"#),
        (OpenAiResponses, r#""input":"x","previous_response_id":null,"conversation":null,"prompt":null"#),
        (
            OpenAiResponses,
            r#""input":[{"type":"message","id":"msg_1","content":"x"},{"type":"reasoning","id":"rs_1"}]"#,
        ),
        (OpenAiResponses, r#""input":[{"type":"function_call","id":"fc","arguments":"{\"file_id\":1}"}]"#),
        (OpenAiResponses, r#""input":[],"tools":[{"parameters":{"properties":{"file_id":{"type":"string"}}}}]"#),
        (
            OpenAiResponses,
            r#""input":[],"tools":[{"type":"code_interpreter","container":{"type":"auto","file_ids":[]}}]"#,
        ),
        (Anthropic, r#""messages":[{"content":[{"type":"tool_use","input":{"file_id":"f","container":"c"}}]}]"#),
        (Anthropic, r#""messages":[],"container":{"skills":[{"skill_id":"pptx"}]}"#),
        (Anthropic, r#""messages":[],"container":null"#),
        (Gemini, r#""contents":[{"parts":[{"fileData":{"fileUri":"https://www.youtube.com/watch?v=1"}}]}]"#),
        (Gemini, r#""contents":[{"parts":[{"functionCall":{"args":{"fileUri":"files/x"}}}]}]"#),
    ];
    for (dialect, members) in cases {
        let body = format!(r#"{{"model":"m",{members}}}"#);
        assert_eq!(generate(dialect, &body).unwrap().stateful, None, "{body}");
    }
}

#[test]
fn the_gateways_own_marks_are_found() {
    let body = format!(r#"{{"model":"m","messages":[{{"tool_call_id":"{}_1"}}]}}"#, mark::MARK);
    assert!(generate(Dialect::OpenAiChat, &body).unwrap().marks);
}

#[test]
fn depth_costs_no_stack_and_size_is_linear() {
    for dialect in Dialect::ALL {
        let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
        let wide = format!("[{}0]", "{\"a\":\"b\"},".repeat(200_000));
        for more in [deep, wide] {
            let body = minimal(dialect).replacen('{', &format!(r#"{{"more":{more},"#), 1);
            assert!(generate(dialect, &body).is_ok());
        }
    }
    // Where content is followed, depth has an end, and the end is no crash.
    let nested = format!("{}{}", r#"{"content":["#.repeat(5_000), "]}".repeat(5_000));
    let body = format!(r#"{{"model":"m","messages":[{nested}]}}"#);
    assert_eq!(refusal(Dialect::Anthropic, &body).0, FaultKind::InvalidJson);
}
