//! Whose an event is, and what headers say of it.

use super::*;
use crate::analytics::event::hints::{LONGEST_KEY, LONGEST_VALUE, MOST};

const IDS: [&str; 3] = ["$ai_trace_id", "$ai_session_id", "$ai_parent_id"];
const UUID: &str = "01920000-0000-7000-8000-000000000001";

fn asked_for(end_user: Option<&str>, session: Option<&str>) -> Generation {
    let mut call = generation(Dialect::OpenAiChat);
    call.asked.end_user = end_user.map(str::to_owned);
    call.asked.session = session.map(str::to_owned);
    call
}

fn oauth(mut call: Generation) -> Generation {
    let mut principal = Principal::clone(&call.caller);
    principal.credential = Credential::OAuth { application: None };
    call.caller = Arc::new(principal);
    call
}

/// The distinct id, the trace and the session.
fn identity(call: &Generation) -> (String, String, Value) {
    let event = read(call);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (
        text(&event["distinct_id"]),
        text(&event["properties"]["$ai_trace_id"]),
        event["properties"]["$ai_session_id"].clone(),
    )
}

#[test]
fn the_end_user_is_the_person_and_the_trace() {
    let (distinct, trace, session) = identity(&asked_for(Some("user_distinct_id_123"), None));
    assert_eq!((distinct.as_str(), trace.as_str()), ("user_distinct_id_123", "user_distinct_id_123"));
    assert_eq!(session, Value::Null);
}

#[test]
fn without_an_end_user_the_owner_is_the_person_and_the_call_a_trace_of_its_own() {
    let (distinct, trace, _) = identity(&asked_for(None, None));
    assert_eq!((distinct.as_str(), trace.as_str()), ("owner@example.com", UUID));
}

#[test]
fn an_oauth_tokens_user_is_the_person_whatever_is_said() {
    let (distinct, trace, _) = identity(&oauth(asked_for(Some("somebody"), None)));
    assert_eq!((distinct.as_str(), trace.as_str()), ("owner@example.com", "somebody"));
}

#[test]
fn nobody_known_is_no_person() {
    let mut call = asked_for(None, None);
    let mut principal = Principal::clone(&call.caller);
    (principal.distinct_id, principal.team) = (None, None);
    call.caller = Arc::new(principal);
    call.team = None;
    let event = read(&call);
    assert_eq!(event["distinct_id"], UUID);
    assert_eq!(event["properties"]["$process_person_profile"], false);
    assert_eq!((event["properties"].get("team_id"), event["properties"].get("$groups")), (None, None));
    assert_eq!(properties(&asked_for(None, None)).get("$process_person_profile"), None);
}

#[test]
fn an_id_that_no_url_may_have_is_a_trace_by_its_hash_and_stays_the_person() {
    for id in ["jane doe", "{\"a\": 1}", "a/b", "a?b=c", "jané", "a#b", &"x".repeat(201)] {
        let (distinct, trace, _) = identity(&asked_for(Some(id), None));
        if id.len() <= 200 {
            assert_eq!(distinct, id);
        }
        let parsed = Uuid::parse_str(&trace).unwrap();
        assert_eq!(parsed.get_version_num(), 5, "{id}");
        assert_eq!(identity(&asked_for(Some(id), None)).1, trace, "the same id is the same trace");
    }
    for id in ["jane@example.com", "018f-_~.@()!':|", "42"] {
        assert_eq!(identity(&asked_for(Some(id), None)).1, id);
    }
}

#[test]
fn claude_codes_user_and_session_are_one_trace() {
    let one = identity(&asked_for(Some("account"), Some("session-1")));
    assert_eq!((one.0.as_str(), &one.2), ("account", &json!("session-1")));
    assert_eq!(Uuid::parse_str(&one.1).unwrap().get_version_num(), 5);
    assert_eq!(identity(&asked_for(Some("account"), Some("session-1"))), one);
    assert_ne!(identity(&asked_for(Some("account"), Some("session-2"))).1, one.1);
}

#[test]
fn a_person_that_posthog_could_not_keep_has_a_hash_for_a_name() {
    for id in ["x".repeat(10_000), "a\u{0}b".to_owned(), "line\nline".to_owned()] {
        let (distinct, ..) = identity(&asked_for(Some(&id), None));
        assert_eq!(Uuid::parse_str(&distinct).unwrap().get_version_num(), 5);
    }
}

#[test]
fn headers_set_the_trace_the_session_and_the_parent() {
    let parent: (&str, &[u8]) = ("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    let call = with_headers(asked_for(Some("ann"), None), &[parent]);
    assert_eq!(
        picked(&properties(&call), &IDS),
        json!({"$ai_trace_id": "0af7651916cd43dd8448eb211c80319c", "$ai_parent_id": "b7ad6b7169203331"})
    );
    let call = with_headers(
        asked_for(Some("ann"), Some("of Claude Code")),
        &[parent, ("x-posthog-trace-id", b"trace-1"), ("x-posthog-session-id", b"session-1")],
    );
    assert_eq!(
        picked(&properties(&call), &IDS),
        json!({"$ai_trace_id": "trace-1", "$ai_session_id": "session-1", "$ai_parent_id": "b7ad6b7169203331"})
    );
}

#[test]
fn a_traceparent_that_is_none_says_nothing() {
    for header in [
        &b"00-00000000000000000000000000000000-b7ad6b7169203331-01"[..],
        b"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        b"ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        b"00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
        b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
        b"00-0af7651916cd43dd-b7ad6b7169203331-01",
        b"\xff\xfe",
        b"",
    ] {
        let call = with_headers(asked_for(Some("ann"), None), &[("traceparent", header)]);
        assert_eq!(picked(&properties(&call), &IDS), json!({"$ai_trace_id": "ann"}), "{header:?}");
    }
}

#[test]
fn properties_and_flags_of_headers_are_properties_of_the_event() {
    let call = with_headers(
        generation(Dialect::OpenAiChat),
        &[
            ("x-posthog-property-feature", b"chat"),
            ("x-posthog-property-count", b"12"),
            ("x-posthog-flag-new-model", b"test"),
            ("x-posthog-property-feature", b"said again"),
        ],
    );
    let told = properties(&call);
    assert_eq!(
        picked(&told, &["feature", "count", "$feature/new-model"]),
        json!({"feature": "chat", "count": "12", "$feature/new-model": "test"})
    );
}

#[test]
fn what_has_a_meaning_of_its_own_cannot_be_set() {
    let before = properties(&generation(Dialect::OpenAiChat));
    let call = with_headers(
        generation(Dialect::OpenAiChat),
        &[
            ("x-posthog-property-$ai_model", b"another"),
            ("x-posthog-property-$groups", b"another"),
            ("x-posthog-property-team_id", b"9"),
            ("x-posthog-property-ai_product", b"another"),
            ("x-posthog-property-distinct_id", b"another"),
            ("x-posthog-property-token", b"phc_another"),
            ("x-posthog-property-llm_gateway_request_id", b"another"),
            ("x-posthog-property-", b"nameless"),
            ("x-posthog-flag-", b"nameless"),
            ("x-posthog-team-id", b"9"),
        ],
    );
    assert_eq!(properties(&call), before);
}

#[test]
fn hostile_headers_are_bounded() {
    let names: Vec<String> = (0..5000).map(|number| format!("x-posthog-property-key{number}")).collect();
    let mut headers: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b"value"[..])).collect();
    let long = vec![b'"'; 10 * 1024];
    headers.insert(0, ("x-posthog-property-long", &long));
    let long_name = format!("x-posthog-property-{}", "n".repeat(LONGEST_KEY + 1));
    headers.insert(0, (&long_name, b"value"));
    let told = properties(&with_headers(generation(Dialect::OpenAiChat), &headers));
    let mine = told.as_object().unwrap().keys().filter(|key| key.starts_with("key") || *key == "long").count();
    assert_eq!(mine, MOST);
    assert_eq!(told["long"].as_str().unwrap().len(), LONGEST_VALUE);
    assert!(told.as_object().unwrap().keys().all(|key| key.len() <= LONGEST_KEY));
}

#[test]
fn headers_that_are_no_ascii_stay_valid_json() {
    let cut_in_a_character = "é".repeat(LONGEST_VALUE);
    let call = with_headers(
        generation(Dialect::OpenAiChat),
        &[
            ("x-posthog-property-umlaut", "Köln 🎈".as_bytes()),
            ("x-posthog-property-broken", b"a\xff\xfeb"),
            ("x-posthog-property-tab", b"a\tb\\\"c"),
            ("x-posthog-property-cut", &[b"x", cut_in_a_character.as_bytes()].concat()),
            ("x-posthog-trace-id", "Köln".as_bytes()),
        ],
    );
    let told = properties(&call);
    assert_eq!(told["umlaut"], "Köln 🎈");
    assert_eq!(told["broken"], "a\u{fffd}\u{fffd}b");
    assert_eq!(told["tab"], "a\tb\\\"c");
    let cut = told["cut"].as_str().unwrap();
    assert!(cut.len() <= LONGEST_VALUE && cut.len() > LONGEST_VALUE - 4 && !cut.contains('\u{fffd}'));
    assert_eq!(Uuid::parse_str(told["$ai_trace_id"].as_str().unwrap()).unwrap().get_version_num(), 5);
}
