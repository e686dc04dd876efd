//! Events that would be too large.

use proptest::prelude::*;
use serde_json::value::RawValue;

use super::*;
use crate::analytics::event::cut::{Cut, LIMIT, fit};
use crate::analytics::event::sound::sound;

fn message(text: &str) -> Value {
    json!({"role": "user", "content": text})
}

fn texts(told: &Value) -> Vec<String> {
    told["$ai_input"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| message["content"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn the_longest_texts_are_cut_first_and_the_event_says_so() {
    let request = json!({"messages": [
        message("short"),
        message(&"a ".repeat(1_000_000)),
        message(&"b ".repeat(600_000)),
        message(&"c ".repeat(1_000)),
    ]});
    let call = whole(Dialect::OpenAiChat, &request, &json!({"choices": [{"message": {"content": "An answer."}}]}));
    let bytes = event(&call);
    assert!(bytes.len() <= LIMIT && bytes.len() > LIMIT - 2048, "{}", bytes.len());
    let told = properties(&call);
    assert_eq!(told["llm_gateway_cut"], "texts");
    let texts = texts(&told);
    assert_eq!(texts[0], "short");
    assert_eq!(texts[3].len(), 2_000);
    assert!(texts[1].ends_with("… [cut]") && texts[2].ends_with("… [cut]"));
    assert!(texts[1].len().abs_diff(texts[2].len()) <= 1, "both are cut to one length");
    assert_eq!(told["$ai_output_choices"][0]["content"][0]["text"], "An answer.");
}

#[test]
fn an_event_that_fits_is_whole() {
    let call = whole(Dialect::OpenAiChat, &json!({"messages": [message(&"a ".repeat(400_000))]}), &json!({}));
    let told = properties(&call);
    assert_eq!(told.get("llm_gateway_cut"), None);
    assert_eq!(texts(&told)[0].len(), 800_000);
}

#[test]
fn texts_are_cut_between_characters_and_escapes() {
    for unit in ["é ", "🎈", "\\", "\"", "\u{1}", "a\n", "日本"] {
        for shift in 0..13 {
            let text = "x".repeat(shift) + &unit.repeat(300);
            let content = format!("\"text\":{}", json!(text)).into_bytes();
            let (cut, how) = fit(content, 250);
            assert!(how == Cut::Texts && cut.len() <= 250 && cut.len() > 230, "{unit:?}");
            let told: Value = serde_json::from_str(&format!("{{{}}}", String::from_utf8(cut).unwrap())).unwrap();
            assert!(text.starts_with(told["text"].as_str().unwrap().strip_suffix("… [cut]").unwrap()), "{unit:?}");
        }
    }
}

#[test]
fn escaped_surrogates_are_cut_in_pairs() {
    for shift in 0..13 {
        let content = format!(r#""text":"{}{}""#, "x".repeat(shift), r"\ud83c\udf88".repeat(100)).into_bytes();
        let (cut, _) = fit(content, 250);
        let told: Value = serde_json::from_str(&format!("{{{}}}", String::from_utf8(cut).unwrap())).unwrap();
        assert!(told["text"].as_str().unwrap().trim_start_matches('x').starts_with("🎈"));
    }
}

#[test]
fn content_of_too_many_texts_goes_as_a_whole() {
    let request = json!({"messages": vec![message("hi"); 200_000]});
    let call = whole(Dialect::OpenAiChat, &request, &json!({}));
    assert!(event(&call).len() <= LIMIT);
    let told = properties(&call);
    assert_eq!(told["llm_gateway_cut"], "content");
    assert_eq!(told.get("$ai_input"), None);
    assert_eq!(told["$ai_model"], "model-served");
}

#[test]
fn what_callers_and_providers_name_is_bounded() {
    let long = "é".repeat(100_000);
    let mut call = generation(Dialect::OpenAiChat);
    call.asked.model = Some(long.clone());
    call.asked.session = Some(long.clone());
    call.seen.model = Some(long.clone());
    call.seen.finish = Some(long.clone());
    call.seen.service_tier = Some(long.clone());
    call.seen.usage = Some(Usage { original: Some(Opaque::new(Dialect::OpenAiChat, json!(long))), ..Usage::default() });
    call.end.failure = Some(Failure { code: "invalid_value", message: long.clone() });
    call.seen.response_id = Some(long.clone());
    call.served.as_mut().unwrap().model = ModelId::from(long.as_str());
    assert!(event(&call).len() < 16_000, "{}", event(&call).len());
    let span = crate::analytics::event::span::span(&call);
    assert!(span.len() < 8_000, "{}", span.len());
    assert!(call.held_bytes() > 3 * long.len(), "what is held counts");
}

/// Strings as JSON spells them, piece by piece.
fn spelled(pieces: &'static [&'static str]) -> impl Strategy<Value = String> {
    proptest::collection::vec(proptest::sample::select(pieces), 0..400).prop_map(|pieces| pieces.concat())
}

const PIECES: [&str; 10] = ["a", "é", "日", "🎈", r"\n", r"\\", r#"\""#, r"\u00e9", r"\ud83c\udf88", r"\u007f"];
const HALVES: [&str; 8] = [r"\ud83c", r"\udf88", r"\\", "a", r"\u00e9", "🎈", r"\ud83c\udf88", r"\n"];

proptest! {
    #[test]
    fn a_text_is_never_cut_where_it_would_not_be_json_any_more(
        text in spelled(&PIECES),
        other in spelled(&PIECES),
        limit in 150_usize..400,
    ) {
        let content = format!(r#""text":"{text}","list":["{other}"]"#);
        let (cut, _) = fit(content.clone().into_bytes(), limit);
        prop_assert!(cut.len() <= limit);
        let cut: Value = serde_json::from_str(&format!("{{{}}}", String::from_utf8(cut).unwrap())).unwrap();
        let whole: Value = serde_json::from_str(&format!("{{{content}}}")).unwrap();
        if let (Some(cut), Some(whole)) = (cut["text"].as_str(), whole["text"].as_str()) {
            prop_assert!(whole.starts_with(cut.trim_end_matches("… [cut]")));
        }
    }

    #[test]
    fn halves_of_characters_are_cut_between_escapes_too(text in spelled(&HALVES), limit in 100_usize..400) {
        let (cut, _) = fit(format!(r#""text":"{text}""#).into_bytes(), limit);
        let cut = format!("{{{}}}", String::from_utf8(cut).unwrap());
        serde_json::from_str::<&RawValue>(&cut).unwrap();
        serde_json::from_str::<Value>(&sound(&cut)).unwrap();
        let (cut, _) = fit(sound(&format!(r#""text":"{text}""#)).into_owned().into_bytes(), limit);
        serde_json::from_slice::<Value>(&[b"{", cut.as_slice(), b"}"].concat()).unwrap();
    }
}
