#![expect(clippy::unwrap_used, reason = "a test may panic")]

use actix_http::header::{HeaderName, HeaderValue};
use secrecy::SecretString;

use super::{Asked, Endpoint, Transport};
use crate::config::providers::{Kind, Upstream};
use crate::dialect::{Delivery, Dialect, Operation};
use crate::ids::ModelId;
use crate::upstream::classify::CallError;

fn endpoint(kind: Kind, base_url: &str) -> Endpoint {
    let api_key = Some(SecretString::from("sk-ours"));
    let upstream = Upstream { base_url: base_url.parse().unwrap(), api_key, include_usage: true, responses: true };
    Endpoint::new(kind, &upstream).unwrap().unwrap()
}

fn uri(kind: Kind, base_url: &str, asked: &Asked<'_>) -> Result<String, CallError> {
    endpoint(kind, base_url).uri(asked).map(|uri| uri.to_string())
}

#[test]
fn each_endpoint_is_where_the_vendors_sdk_would_call_it() {
    use Delivery::{Events, JsonArray, Whole};
    use Operation::{CountTokens, Generate};
    let model = ModelId::from("the-model");
    for (kind, base, dialect, operation, delivery, expected) in [
        (
            Kind::OpenAi,
            "https://api.openai.com/v1",
            Dialect::OpenAiChat,
            Generate,
            Whole,
            "http://api.openai.com:443/v1/chat/completions",
        ),
        (
            Kind::OpenAi,
            "https://api.openai.com/v1/",
            Dialect::OpenAiChat,
            Generate,
            Events,
            "http://api.openai.com:443/v1/chat/completions",
        ),
        (
            Kind::OpenAi,
            "http://localhost:1234",
            Dialect::OpenAiResponses,
            Generate,
            Whole,
            "http://localhost:1234/responses",
        ),
        (
            Kind::OpenAi,
            "http://[::1]:1234/a/b/",
            Dialect::OpenAiResponses,
            CountTokens,
            Whole,
            "http://[::1]:1234/a/b/responses/input_tokens",
        ),
        (
            Kind::Anthropic,
            "https://api.anthropic.com",
            Dialect::Anthropic,
            Generate,
            Events,
            "http://api.anthropic.com:443/v1/messages",
        ),
        (
            Kind::Anthropic,
            "https://api.anthropic.com/",
            Dialect::Anthropic,
            CountTokens,
            Whole,
            "http://api.anthropic.com:443/v1/messages/count_tokens",
        ),
        (
            Kind::Gemini,
            "https://g.co",
            Dialect::Gemini,
            Generate,
            Whole,
            "http://g.co:443/v1beta/models/the-model:generateContent",
        ),
        (
            Kind::Gemini,
            "https://g.co/",
            Dialect::Gemini,
            Generate,
            JsonArray,
            "http://g.co:443/v1beta/models/the-model:streamGenerateContent",
        ),
        (
            Kind::Gemini,
            "https://g.co",
            Dialect::Gemini,
            Generate,
            Events,
            "http://g.co:443/v1beta/models/the-model:streamGenerateContent?alt=sse",
        ),
        (
            Kind::Gemini,
            "https://g.co",
            Dialect::Gemini,
            CountTokens,
            Whole,
            "http://g.co:443/v1beta/models/the-model:countTokens",
        ),
    ] {
        let asked = Asked { dialect, operation, delivery, model: &model, query: "" };
        assert_eq!(uri(kind, base, &asked).unwrap(), expected);
    }
}

#[test]
fn a_model_cannot_leave_its_place_in_the_path() {
    for (model, written) in [
        ("models/gemini-2.5-pro", "gemini-2.5-pro"),
        ("../../v1/files?x=1#", "..%2F..%2Fv1%2Ffiles%3Fx%3D1%23"),
        ("ä b\r\n", "%C3%A4%20b%0D%0A"),
    ] {
        let (model, query) = (ModelId::from(model), "");
        let asked = Asked {
            dialect: Dialect::Gemini,
            operation: Operation::Generate,
            delivery: Delivery::Whole,
            model: &model,
            query,
        };
        let expected = format!("http://g.co:443/v1beta/models/{written}:generateContent");
        assert_eq!(uri(Kind::Gemini, "https://g.co", &asked).unwrap(), expected);
    }
}

#[test]
fn the_query_passes_as_it_is_except_for_the_key() {
    let model = ModelId::from("m");
    let sent = |query| {
        let asked = Asked {
            dialect: Dialect::Anthropic,
            operation: Operation::Generate,
            delivery: Delivery::Whole,
            model: &model,
            query,
        };
        uri(Kind::Anthropic, "http://a", &asked)
            .map(|uri| uri.split_once('?').map_or(String::new(), |(_, query)| query.to_owned()))
    };
    assert_eq!(sent("beta=true").unwrap(), "beta=true");
    assert_eq!(sent("key=phx_1&beta=true&x=%20&key=2&k%65y=3&keyring=4").unwrap(), "beta=true&x=%20&keyring=4");
    assert_eq!(sent("key=phx_1").unwrap(), "");
    assert!(matches!(sent("a b"), Err(CallError::Unsupported(_))));
}

#[test]
fn alt_sse_is_not_said_twice() {
    let model = ModelId::from("m");
    let asked = Asked {
        dialect: Dialect::Gemini,
        operation: Operation::Generate,
        delivery: Delivery::Events,
        model: &model,
        query: "key=x&alt=sse",
    };
    assert!(uri(Kind::Gemini, "http://g", &asked).unwrap().ends_with("?alt=sse"));
}

#[test]
fn a_dialect_that_the_provider_does_not_speak_is_refused() {
    let model = ModelId::from("m");
    for (kind, dialect, operation) in [
        (Kind::Anthropic, Dialect::OpenAiChat, Operation::Generate),
        (Kind::OpenAi, Dialect::Gemini, Operation::Generate),
        (Kind::Gemini, Dialect::Anthropic, Operation::CountTokens),
        (Kind::OpenAi, Dialect::OpenAiChat, Operation::CountTokens),
    ] {
        let asked = Asked { dialect, operation, delivery: Delivery::Whole, model: &model, query: "" };
        assert!(matches!(uri(kind, "http://a", &asked), Err(CallError::Unsupported(_))), "{dialect}");
    }
}

fn sent(kind: Kind, callers: &[(&'static str, &'static str)]) -> Vec<String> {
    let callers: Vec<(HeaderName, HeaderValue)> =
        callers.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect();
    let headers = endpoint(kind, "http://localhost:99/v1").headers(&callers);
    let mut lines: Vec<String> = headers
        .iter()
        .filter(|(name, _)| name.as_str() != "user-agent")
        .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())))
        .collect();
    lines.sort();
    lines
}

#[test]
fn the_providers_credential_replaces_the_callers() {
    let callers = [
        ("authorization", "Bearer phx_caller"),
        ("x-api-key", "phx_caller"),
        ("x-goog-api-key", "phx_caller"),
        ("cookie", "a=b"),
        ("openai-organization", "theirs"),
        ("host", "gateway"),
        ("accept-encoding", "gzip"),
        ("expect", "100-continue"),
    ];
    for (kind, credential) in [
        (Kind::OpenAi, "authorization: Bearer sk-ours"),
        (Kind::Anthropic, "x-api-key: sk-ours"),
        (Kind::Gemini, "x-goog-api-key: sk-ours"),
    ] {
        let mut expected =
            vec!["accept-encoding: identity", "content-type: application/json", "host: localhost:99", credential];
        if kind == Kind::Anthropic {
            expected.push("anthropic-version: 2023-06-01");
        }
        expected.sort_unstable();
        assert_eq!(sent(kind, &callers), expected);
    }
}

#[test]
fn anthropics_headers_pass_byte_for_byte() {
    let sent = sent(
        Kind::Anthropic,
        &[("anthropic-version", "2099-01-01"), ("anthropic-beta", "a-1, b-2"), ("anthropic-beta", "c-3")],
    );
    for line in ["anthropic-version: 2099-01-01", "anthropic-beta: a-1, b-2", "anthropic-beta: c-3"] {
        assert!(sent.contains(&line.to_owned()), "{line} in {sent:?}");
    }
    assert_eq!(sent.iter().filter(|line| line.starts_with("anthropic-version")).count(), 1);
}

#[test]
fn settings_that_cannot_work_are_refused_with_a_sentence() {
    let upstream = |base_url: &str, key: Option<&str>| Upstream {
        base_url: base_url.parse().unwrap(),
        api_key: key.map(SecretString::from),
        include_usage: true,
        responses: true,
    };
    assert!(Endpoint::new(Kind::OpenAi, &upstream("ftp://a", Some("k"))).is_err());
    assert!(Endpoint::new(Kind::OpenAi, &upstream("http://a", Some("line\nbreak"))).is_err());
    assert!(Endpoint::new(Kind::OpenAi, &upstream("http://a", None)).unwrap().is_none());
    assert_eq!(endpoint(Kind::OpenAi, "https://a").origin().transport, Transport::Tls);
    let debug = format!("{:?}", endpoint(Kind::OpenAi, "https://a"));
    assert!(!debug.contains("sk-ours"), "{debug}");
}
