//! Requests of every kind, for every pair.

use serde_json::{Value, json};

use super::{End, assert_linear, bytes_of_a_stream, list, map, request, request_refused_by, request_to, stream, talk};
use crate::dialect::Dialect;

#[test]
fn tools_of_every_kind_take_as_long_as_their_bytes() {
    let function = |name: String| json!({"type": "function", "function": {"name": name, "strict": true, "parameters": {"type": "object", "properties": {"a": {"type": "string"}}}}});
    assert_linear("tools", |count| {
        let tools = list(count, |number| function(format!("tool_{number}")));
        request(Dialect::OpenAiChat, &json!({"model": "m", "messages": [], "tools": tools}));
    });
    assert_linear("tools whose names are changed, some of them allowed", |count| {
        let tools = list(count, |number| function(format!("a.tool:{number}")));
        let allowed =
            list(count, |number| json!({"type": "function", "function": {"name": format!("a.tool:{number}")}}));
        let choice = json!({"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": allowed}});
        request(Dialect::OpenAiChat, &json!({"model": "m", "messages": [], "tools": tools, "tool_choice": choice}));
    });
    assert_linear("custom tools", |count| {
        let tools = list(count, |number| json!({"type": "custom", "name": format!("tool_{number}")}));
        request(Dialect::OpenAiResponses, &json!({"model": "m", "input": "x", "tools": tools}));
    });
    assert_linear("provider-run tools", |count| {
        let tools = list(count, |number| json!({"type": format!("later_{number}")}));
        let others = [Dialect::OpenAiChat, Dialect::Anthropic, Dialect::Gemini];
        request_refused_by(&others, Dialect::OpenAiResponses, &json!({"model": "m", "input": "x", "tools": tools}));
    });
    assert_linear("namespaces", |count| {
        let tools = list(
            count,
            |number| json!({"type": "namespace", "name": format!("n{number}"), "tools": [{"type": "function", "name": "f", "parameters": {}}]}),
        );
        request(Dialect::OpenAiResponses, &json!({"model": "m", "input": "x", "tools": tools}));
    });
    assert_linear("declarations", |count| {
        let tools = list(
            count,
            |number| json!({"functionDeclarations": [{"name": format!("f{number}"), "parameters": {"type": "OBJECT"}}]}),
        );
        request(Dialect::Gemini, &json!({"contents": [{"parts": [{"text": "x"}]}], "tools": tools}));
    });
}

#[test]
fn a_schema_takes_as_long_as_its_bytes() {
    let with = |schema: Value| {
        let tools = json!([{"type": "function", "function": {"name": "f", "parameters": schema}}]);
        let format = json!({"type": "json_schema", "json_schema": {"name": "n", "schema": schema}});
        request(Dialect::OpenAiChat, &json!({"model": "m", "messages": [], "tools": tools, "response_format": format}));
        // Their forms bind: OpenAI is asked to hold them.
        let declared = json!([{"functionDeclarations": [{"name": "f", "parametersJsonSchema": schema}]}]);
        let config = json!({"responseMimeType": "application/json", "responseJsonSchema": schema});
        let contents = json!([{"role": "user", "parts": [{"text": "x"}]}]);
        request(Dialect::Gemini, &json!({"contents": contents, "tools": declared, "generationConfig": config}));
    };
    assert_linear("properties", |count| {
        let all = list(count, |number| format!("p{number}").into());
        let properties = map(count, |number| (format!("p{number}"), json!({"type": ["string", "null"], "not": {}})));
        with(json!({"type": "object", "properties": properties, "required": all}));
    });
    assert_linear("alternatives", |count| {
        with(
            json!({"anyOf": list(count, |number| json!({"const": number})), "oneOf": list(count, |number| json!({"enum": [number]}))}),
        );
    });
    assert_linear("all of many", |count| {
        let all = list(
            count,
            |number| json!({"type": "object", "properties": {format!("p{number}"): {"type": "string"}}, "required": [format!("p{number}")]}),
        );
        with(json!({"allOf": all}));
    });
    assert_linear("all of one in another, with many properties", |count| {
        let properties = map(count, |number| (format!("p{number}"), json!({"type": "string"})));
        // JSON is read to a depth of 128.
        let depth = (count / 150).min(50);
        let open = r#"{"allOf":["#.repeat(depth);
        let close = r#"],"properties":{"deeper":{"type":"string"}}}"#.repeat(depth);
        let schema = format!(r#"{open}{{"type":"object","properties":{properties}}}{close}"#);
        let tools = format!(r#"[{{"type":"function","function":{{"name":"f","parameters":{schema}}}}}]"#);
        let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"x"}}],"tools":{tools}}}"#);
        request_to(Dialect::OpenAiChat, Dialect::Gemini, body.as_bytes());
    });
    assert_linear("references", |count| {
        let properties = map(count, |number| (format!("p{number}"), json!({"$ref": format!("#/$defs/d{number}")})));
        let definitions = map(count, |number| (format!("d{number}"), json!({"type": "string"})));
        with(json!({"type": "object", "properties": properties, "$defs": definitions}));
    });
    assert_linear("a chain of references", |count| {
        let definitions =
            map(count, |number| (format!("d{number}"), json!({"$ref": format!("#/$defs/d{}", number + 1)})));
        with(json!({"$ref": "#/$defs/d0", "$defs": definitions}));
    });
    assert_linear("references that double at each step", |count| {
        let definitions = map(count, |number| {
            let next = json!({"$ref": format!("#/$defs/d{}", number + 1)});
            (format!("d{number}"), json!({"type": "object", "properties": {"a": next, "b": next}}))
        });
        with(json!({"$ref": "#/$defs/d0", "$defs": definitions}));
    });
    assert_linear("one large definition, referred to again and again", |count| {
        let large = map(count, |number| (format!("p{number}"), json!({"type": "string"})));
        let properties = map(count, |number| (format!("p{number}"), json!({"$ref": "#/$defs/d"})));
        with(
            json!({"type": "object", "properties": properties, "$defs": {"d": {"type": "object", "properties": large}}}),
        );
    });
}

#[test]
fn a_conversation_takes_as_long_as_its_bytes() {
    assert_linear("messages", |count| {
        let role = |number: usize| if number.is_multiple_of(2) { "user" } else { "assistant" };
        request(
            Dialect::OpenAiChat,
            &talk(&list(count, |number| json!({"role": role(number), "content": "x", "name": "n"}))),
        );
    });
    assert_linear("system messages in the middle", |count| {
        let role = |number: usize| if number.is_multiple_of(2) { "user" } else { "system" };
        request(Dialect::OpenAiChat, &talk(&list(count, |number| json!({"role": role(number), "content": "x"}))));
    });
    let call = |id: String| {
        let call = json!({"id": id, "type": "function", "function": {"name": "a.f", "arguments": "{\"a\":1}"}});
        json!({"role": "assistant", "content": null, "tool_calls": [call]})
    };
    let gave = |id: String| json!({"role": "tool", "tool_call_id": id, "content": "done"});
    assert_linear("calls and results", |count| {
        let id = |number: usize| format!("call.{number}");
        let messages = list(2 * count, |number| if number % 2 == 0 { call(id(number)) } else { gave(id(number - 1)) });
        request(Dialect::OpenAiChat, &talk(&messages));
    });
    assert_linear("calls of one id, and results for it", |count| {
        let id = || "call_1".to_owned();
        let messages = list(2 * count, |number| if number < count { call(id()) } else { gave(id()) });
        request(Dialect::OpenAiChat, &talk(&messages));
    });
    assert_linear("results without calls", |count| {
        // Gemini's results bear the names of the calls.
        let messages = list(count, |number| gave(format!("call_{number}")));
        request_refused_by(&[Dialect::Gemini], Dialect::OpenAiChat, &talk(&messages));
    });
    assert_linear("calls in one message", |count| {
        let calls =
            list(count, |number| json!({"type": "tool_use", "id": format!("t{number}"), "name": "f", "input": {}}));
        let results =
            list(count, |number| json!({"type": "tool_result", "tool_use_id": format!("t{number}"), "content": "x"}));
        let messages = json!([{"role": "user", "content": "x"}, {"role": "assistant", "content": calls}, {"role": "user", "content": results}]);
        request(Dialect::Anthropic, &json!({"model": "m", "max_tokens": 1, "messages": messages}));
    });
    assert_linear("calls without ids", |count| {
        let calls = list(count, |_| json!({"functionCall": {"name": "f", "args": {}}}));
        let results = list(count, |_| json!({"functionResponse": {"name": "f", "response": {"output": 1}}}));
        let contents = json!([{"role": "user", "parts": [{"text": "x"}]}, {"role": "model", "parts": calls}, {"role": "user", "parts": results}]);
        request(Dialect::Gemini, &json!({"contents": contents}));
    });
    assert_linear("parts, each with something that is lost", |count| {
        let parts = list(
            count,
            |number| json!({"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}, format!("later{number}"): 1}),
        );
        request(
            Dialect::Anthropic,
            &json!({"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": parts}]}),
        );
    });
    assert_linear("thoughts with seals of ours", |count| {
        use crate::ir::{Attach, Origin, Seal, SealKind};
        let seal = |number: usize| {
            Seal::new(Origin::Gemini, SealKind::Thought, "c2ln").attached(Attach::Call(format!("c{number}"))).capsule()
        };
        let items = list(2 * count, |number| {
            if number % 2 == 0 {
                json!({"type": "reasoning", "id": format!("rs_{number}"), "summary": [], "encrypted_content": seal(number)})
            } else {
                json!({"type": "function_call", "call_id": format!("c{}", number - 1), "name": "f", "arguments": "{}"})
            }
        });
        request(Dialect::OpenAiResponses, &json!({"model": "m", "input": items}));
    });
    assert_linear("fields that nobody knows", |count| {
        let mut body = map(count, |number| (format!("later_{number}"), json!(number)));
        body["model"] = "m".into();
        body["messages"] = json!([]);
        request(Dialect::OpenAiChat, &body);
    });
    assert_linear("stop sequences", |count| {
        let stop = list(count, |number| format!("s{number}").into());
        // Those who take some only have the gateway look for the others, which it does for 64.
        let refusing = [Dialect::OpenAiResponses, Dialect::Gemini];
        request_refused_by(&refusing, Dialect::OpenAiChat, &json!({"model": "m", "messages": [], "stop": stop}));
    });
}

#[test]
fn one_large_thing_takes_as_long_as_its_bytes() {
    let large = |count: usize, text: &str| text.repeat(count * 100);
    assert_linear("a text", |count| {
        request(Dialect::OpenAiChat, &talk(&json!([{"role": "user", "content": large(count, "a\n\"ä")}])));
    });
    assert_linear("an image", |count| {
        let url = format!("data:image/png;base64,{}", large(count, "QUJD"));
        let parts = json!([{"type": "image_url", "image_url": {"url": url}}]);
        request(Dialect::OpenAiChat, &talk(&json!([{"role": "user", "content": parts}])));
    });
    assert_linear("names and ids", |count| {
        let call = json!({"id": large(count, "i"), "type": "function", "function": {"name": large(count, "n."), "arguments": large(count, "[")}});
        let tool = json!({"type": "function", "function": {"name": large(count, "n."), "parameters": {}}});
        let messages = json!([{"role": "assistant", "content": null, "tool_calls": [call]}]);
        request(Dialect::OpenAiChat, &json!({"model": "m", "messages": messages, "tools": [tool]}));
    });
    assert_linear("a thought with our mark", |count| {
        let block =
            json!({"type": "thinking", "thinking": "x", "signature": format!("lgwMark1{}", large(count, "QUJD"))});
        request(
            Dialect::Anthropic,
            &json!({"model": "m", "max_tokens": 1, "messages": [{"role": "assistant", "content": [block]}]}),
        );
    });
    assert_linear("an event", |count| {
        let delta = json!({"choices": [{"index": 0, "delta": {"role": "assistant", "content": large(count, "a")}}]});
        stream(Dialect::OpenAiChat, [json!({"id": "1", "choices": []}), delta].into_iter(), 1_000);
    });
    assert_linear("a line that does not end", |count| {
        let bytes = format!("data: {}", large(count, "{\"a\":"));
        for provider in Dialect::ALL {
            bytes_of_a_stream(provider, bytes.as_bytes(), 1_000, End::Either);
        }
    });
}
