#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fmt::Write as _;
use std::time::Duration;

use super::*;
use crate::dialect::position::ResponseHead;
use crate::fault::FaultKind;

const KINDS: [FaultKind; 22] = [
    FaultKind::InvalidJson,
    FaultKind::MissingParameter,
    FaultKind::InvalidParameter,
    FaultKind::ModelNotFound,
    FaultKind::UnsupportedParameter,
    FaultKind::InvalidApiKey,
    FaultKind::InsufficientScope,
    FaultKind::ProductAccessDenied,
    FaultKind::ModelNotAllowed,
    FaultKind::NotFound,
    FaultKind::MethodNotAllowed,
    FaultKind::SlowBody,
    FaultKind::RequestTooLarge,
    FaultKind::UnsupportedMediaType,
    FaultKind::RateLimitExceeded,
    FaultKind::Internal,
    FaultKind::UpstreamError,
    FaultKind::AnswerTooLarge,
    FaultKind::UpstreamAuthFailed,
    FaultKind::ProviderUnavailable,
    FaultKind::GatewayUnavailable,
    FaultKind::RequestTimeout,
];

fn id() -> RequestId {
    RequestId::from("req-1")
}

fn cut() -> Fault {
    Fault::new(FaultKind::UpstreamError, "the stream was cut")
}

/// Compares with a golden file of the project's own; `UPDATE_GOLDEN=1` writes it anew.
fn golden(path: &str, actual: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(path);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, actual).unwrap();
    }
    assert_eq!(actual, std::fs::read_to_string(&path).unwrap(), "{}", path.display());
}

#[test]
fn every_row_of_the_contracts_table_is_rendered_in_every_dialect() {
    for dialect in Dialect::ALL {
        let mut table = String::new();
        for kind in KINDS {
            let fault = Fault::new(kind, "what to do");
            let status = status(dialect, &fault);
            let body = body(dialect, &fault, status, &id());
            let value: Value = serde_json::from_slice(&body).unwrap();
            assert!(is_native(dialect, &body), "{dialect} does not know its own {value}");
            writeln!(table, "{status} {value}").unwrap();
        }
        golden(&format!("errors/{dialect}/table.txt"), &table);
    }
}

#[test]
fn a_field_and_a_time_are_said_where_the_dialect_has_a_place() {
    let fault =
        Fault::new(FaultKind::RateLimitExceeded, "later").at("model").retry_after(Duration::from_millis(33_400));
    for dialect in Dialect::ALL {
        let body = body(dialect, &fault, 429, &id());
        golden(&format!("errors/{dialect}/param_and_retry.json"), std::str::from_utf8(&body).unwrap());
    }
}

#[test]
fn a_stream_ends_with_its_dialects_error_wherever_it_was_cut() {
    let head = ResponseHead { id: "resp_1".to_owned(), model: Some("gpt-5".to_owned()), created_at: Some(7) };
    let cuts = [
        ("before_anything", Open::Nothing),
        ("between_lines", Open::Event(EventData::There)),
        ("behind_the_name", Open::Event(EventData::Missing)),
        ("in_a_name", Open::Fragment(b"event: content_bl".to_vec())),
        ("in_a_field", Open::Fragment(b"dat".to_vec())),
        ("before_the_data", Open::Fragment(b"data: ".to_vec())),
        ("in_the_data", Open::Fragment(br#"data: {"type":"x","delta":{"text":"Hel"#.to_vec())),
        ("behind_the_data", Open::Fragment(br#"data: {"type":"x"}"#.to_vec())),
        ("in_done", Open::Fragment(b"data: [DO".to_vec())),
        ("in_a_giant", Open::TooLarge),
    ];
    for dialect in Dialect::ALL {
        for (name, open) in &cuts {
            let position = Position {
                open: open.clone(),
                response: Some(head.clone()),
                sequence_number: Some(4),
                ..Position::default()
            };
            let ending = event(dialect, Delivery::Events, &cut(), &id(), &position);
            let before = match open {
                Open::Fragment(line) => std::str::from_utf8(line).unwrap(),
                Open::Event(EventData::There) => "data: {}\n",
                Open::Event(EventData::Missing) => "event: x\n",
                Open::Nothing | Open::TooLarge => "",
            };
            let text = format!("{before}{}", std::str::from_utf8(&ending).unwrap());
            golden(&format!("errors/{dialect}/cut_{name}.txt"), &text);
            assert!(!text.contains("[DONE]"));
            if *name != "in_done" {
                assert!(raises(dialect, &text), "{dialect} {name}:\n{text}");
            }
        }
    }
}

/// Whether the official SDKs raise an error on this stream, by the rules in this module's table.
fn raises(dialect: Dialect, text: &str) -> bool {
    let (mut name, mut data) = ("", Vec::new());
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("event: ") {
            name = rest;
        } else if let Some(rest) = line.strip_prefix("data:") {
            data.push(rest.trim());
        } else if line.is_empty() {
            let value: Option<Value> = serde_json::from_str(&data.join("\n")).ok();
            let error = value.as_ref().and_then(|value| value.get("error"));
            let message = error.and_then(|error| error.get("message")).and_then(Value::as_str);
            let first = value.as_ref().and_then(Value::as_object).and_then(|object| object.keys().next());
            let raised = message == Some("the stream was cut")
                && match dialect {
                    Dialect::OpenAiChat => name.is_empty() || name == "error",
                    Dialect::OpenAiResponses => name == "error",
                    Dialect::Anthropic => {
                        name == "error" && value.as_ref().is_some_and(|value| value["type"] == "error")
                    }
                    Dialect::Gemini => first.map(String::as_str) == Some("error"),
                };
            if raised {
                return true;
            }
            (name, data) = ("", Vec::new());
        }
    }
    false
}

#[test]
fn an_array_ends_as_valid_json_wherever_it_was_cut() {
    let cuts = [
        ("", Open::Nothing, Array::Unopened),
        ("[", Open::Nothing, Array::Empty),
        (r#"[{"a":1}"#, Open::Nothing, Array::Filled),
        (r#"[{"a":1},"#, Open::Nothing, Array::Comma),
        (r#"[{"a":"x"#, Open::Fragment(br#"{"a":"x"#.to_vec()), Array::Empty),
        (r#"[{"a":1},{"#, Open::Fragment(b"{".to_vec()), Array::Comma),
    ];
    for (before, open, array) in cuts {
        let position = Position { open, array, ..Position::default() };
        let ending = event(Dialect::Gemini, Delivery::JsonArray, &cut(), &id(), &position);
        let text = format!("{before}{}", std::str::from_utf8(&ending).unwrap());
        let value: Value = serde_json::from_str(&text).unwrap();
        let last = value.as_array().unwrap().last().unwrap();
        assert_eq!(last["error"]["status"], "UNAVAILABLE", "{text}");
    }
}

#[test]
fn a_providers_error_is_read_in_its_dialect_and_in_no_other() {
    let openai = br#"{"error":{"message":"m","type":"t","param":"p","code":"c"}}"#;
    let anthropic = br#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"r"}"#;
    let google = br#"[{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED","details":[{"reason":"R"}]}}]"#;

    let error = parse(Dialect::OpenAiChat, 400, openai).unwrap();
    assert_eq!((error.status, error.message.as_str(), error.kind.as_deref()), (400, "m", Some("t")));
    assert_eq!((error.code.as_deref(), error.param.as_deref()), (Some("c"), Some("p")));
    let error = parse(Dialect::Anthropic, 529, anthropic).unwrap();
    assert_eq!((error.status, error.kind.as_deref()), (529, Some("overloaded_error")));
    let error = parse(Dialect::Gemini, 0, google).unwrap();
    assert_eq!(
        (error.status, error.kind.as_deref(), error.code.as_deref()),
        (429, Some("RESOURCE_EXHAUSTED"), Some("R"))
    );

    assert!(!is_native(Dialect::Anthropic, openai));
    for dialect in Dialect::ALL {
        for body in ["", "<html>", "{}", r#"{"error":"no"}"#, r#"{"error":null}"#, r#"{"message":"m"}"#] {
            assert!(!is_native(dialect, body.as_bytes()), "{dialect} {body}");
        }
    }
}

#[test]
fn a_refusal_of_our_own_credential_is_recognised() {
    for dialect in Dialect::ALL {
        for status in [401, 402, 403] {
            assert!(refuses_credential(dialect, status, b""));
        }
        assert!(!refuses_credential(dialect, 404, b""));
        assert!(!refuses_credential(dialect, 400, br#"{"type":"error","error":{"type":"t","message":"bad"}}"#));
    }
    let google = br#"{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID"}]}}"#;
    assert!(refuses_credential(Dialect::Gemini, 400, google));
    let credit = br#"{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the API."}}"#;
    assert!(refuses_credential(Dialect::Anthropic, 400, credit));
}
