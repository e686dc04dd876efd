//! Forms of answers, and schemas, as OpenAI refuses them.

use serde_json::{Value, json};

use super::{chat, city, plain, responses, with};

/// Both formats' answers to a request for this form.
fn asked(model: &str, schema: &Value, strict: bool) -> [(u16, String); 2] {
    let inner = json!({"name": "c", "schema": schema, "strict": strict});
    let format = json!({"type": "json_schema", "json_schema": inner});
    let mut text = json!({"type": "json_schema"});
    text.as_object_mut().unwrap().extend(inner.as_object().unwrap().clone());
    let asked = chat(&with(with(plain(), "/response_format", format), "/model", model.into()));
    [asked, responses(&json!({"model": model, "input": "hi", "text": {"format": text}}))].map(|said| said.refusal())
}

#[test]
fn a_form_is_an_object_without_choices_at_its_top() {
    for (schema, message) in [
        (json!({"type": "array", "items": {"type": "string"}}), "got 'type: \"array\"'"),
        (json!({"anyOf": [city()]}), "got 'type: \"None\"'"),
        (json!({"type": "object", "properties": {}, "anyOf": []}), "at the top level"),
    ] {
        for strict in [true, false] {
            for (status, words) in asked("gpt-4.1", &schema, strict) {
                assert!(status == 400 && words.contains(message), "wanted {message}, got {status} {words}");
            }
        }
    }
}

#[test]
fn what_is_held_to_the_letter_has_the_keywords_of_the_guide_only() {
    let member = |inner: Value| json!({"type": "object", "properties": {"a": inner}, "required": ["a"], "additionalProperties": false});
    for (inner, message) in [
        (json!({"type": "string", "minLength": 1}), "'minLength' is not permitted"),
        (json!({"oneOf": [{"type": "string"}]}), "'oneOf' is not permitted"),
        (json!({"type": "string", "format": "uri"}), "'uri' is not a valid format"),
        (json!({"enum": ["a"]}), "schema must have a 'type' key"),
        (json!({"type": "array"}), "array schema missing items"),
        (json!({"$ref": "#", "description": "d"}), "$ref cannot have keywords {'description'}"),
    ] {
        for (status, words) in asked("gpt-4.1", &member(inner.clone()), true) {
            assert!(status == 400 && words.contains(message), "wanted {message}, got {status} {words}");
        }
        for (status, words) in asked("gpt-4.1", &member(inner), false) {
            assert_eq!(status, 200, "{words}");
        }
    }
}

#[test]
fn a_function_has_no_choices_at_its_top() {
    let parameters = json!({"type": "object", "properties": {}, "anyOf": [{"required": []}]});
    let function = json!({"type": "function", "name": "f", "parameters": parameters});
    let tool = json!({"type": "function", "function": {"name": "f", "parameters": parameters}});
    for said in [
        chat(&with(plain(), "/tools", json!([tool]))),
        responses(&json!({"model": "gpt-4.1", "input": "hi", "tools": [function]})),
    ] {
        let (status, words) = said.refusal();
        assert!(status == 400 && words.contains("not have 'oneOf'/'anyOf'"), "{status} {words}");
    }
}

#[test]
fn json_of_any_form_is_asked_for_by_name_and_not_of_the_oldest_models() {
    for (model, text, status) in [("gpt-4.1", "hi", 400), ("gpt-4.1", "Json!", 200), ("gpt-4-0613", "Json!", 400)] {
        let message = json!([{"role": "user", "content": text}]);
        let asked = json!({"model": model, "messages": message, "response_format": {"type": "json_object"}});
        assert_eq!(chat(&asked).refusal().0, status, "{model} {text}");
        let asked = json!({"model": model, "input": message, "instructions": "JSON", "text": {"format": {"type": "json_object"}}});
        assert_eq!(responses(&asked).refusal().0, status, "{model} {text}");
    }
}
