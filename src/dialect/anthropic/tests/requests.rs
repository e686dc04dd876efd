//! Requests of other dialects, written for Anthropic.

use super::*;

#[test]
fn a_foreign_conversation_becomes_turns_of_user_and_assistant() {
    let signed = Seal::new(Origin::Anthropic, SealKind::Signature, "EqQB");
    let hidden = Seal::new(Origin::Anthropic, SealKind::Redacted, "EmwK");
    let png = || Source::Base64 { mime: "image/png".to_owned(), data: "iVBO".to_owned() };
    let mut cached = Part::text("Look");
    cached.cache = Some(CacheHint { ttl: CacheTtl::OneHour, carry: Carry::NONE });
    let request = foreign(vec![
        Message::new(Role::System, vec![Part::text("Be brief.")]),
        Message::new(Role::Developer, vec![Part::text("In French.")]),
        Message::new(Role::User, vec![cached, media(MediaKind::Image, png()), Part::text(" \n")]),
        Message::new(
            Role::Assistant,
            vec![
                thought("Hm.", Some(signed)),
                Part::new(Content::Reasoning(Reasoning::default())).sealed(Some(hidden)),
                thought("Gone.", Some(Seal::new(Origin::OpenAi, SealKind::Encrypted, "gAAA"))),
                Part::text("Yes."),
            ],
        ),
        Message::new(Role::Assistant, vec![call("call_1", "look", ""), call("odd:id", "look", "{\"x\": 1}")]),
        Message::new(Role::Tool, vec![result("call_1", vec![Part::text("seen")], Outcome::Success)]),
        Message::new(
            Role::Tool,
            vec![result("odd:id", vec![Part::text("boom"), media(MediaKind::Image, png())], Outcome::Failure)],
        ),
        user("Well?"),
    ]);
    let encoded = Codec::encode_request(&request, &target());
    let odd = mark::portable_id("odd:id").into_owned();
    let image = json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"}});
    let expected = json!({
        "model": "claude-x",
        "max_tokens": 8192,
        "system": [{"type": "text", "text": "Be brief."}, {"type": "text", "text": "In French."}],
        "messages": [
            {"role": "user", "content": [
                {"type": "text", "text": "Look", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
                image,
            ]},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "Hm.", "signature": "EqQB"},
                {"type": "redacted_thinking", "data": "EmwK"},
                {"type": "text", "text": "Yes."},
                {"type": "tool_use", "id": "call_1", "name": "look", "input": {}},
                {"type": "tool_use", "id": odd, "name": "look", "input": {"x": 1}},
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "call_1", "content": "seen"},
                {"type": "tool_result", "tool_use_id": odd, "is_error": true, "content": [
                    {"type": "text", "text": "boom"}, image,
                ]},
                {"type": "text", "text": "Well?"},
            ]},
        ],
    });
    assert_eq!(written(&encoded.body), written(&expected));
    assert_eq!(encoded.losses.header().as_deref(), Some("messages,reasoning"));
    assert_eq!(encoded.losses.refusal(), None);
}

#[test]
fn system_messages_in_the_middle_go_where_anthropic_takes_them() {
    let system = |text: &str| Message::new(Role::System, vec![Part::text(text)]);
    let request = foreign(vec![
        user("One"),
        system("Be kind."),
        Message::new(Role::Assistant, vec![Part::text("Two")]),
        system("Be loud."),
        user("Three"),
    ]);
    let mut target = target();
    let reminded = Codec::encode_request(&request, &target);
    let tagged = |text: &str| json!({"type": "text", "text": format!("<system-reminder>\n{text}\n</system-reminder>")});
    let expected = json!([
        {"role": "user", "content": [{"type": "text", "text": "One"}, tagged("Be kind.")]},
        {"role": "assistant", "content": "Two"},
        {"role": "user", "content": [tagged("Be loud."), {"type": "text", "text": "Three"}]},
    ]);
    assert_eq!(written(&reminded.body["messages"]), written(&expected));
    assert_eq!(reminded.losses.iter().count(), 2);

    target.can.mid_conversation_system = true;
    let placed = Codec::encode_request(&request, &target);
    let expected = json!([
        {"role": "user", "content": "One"},
        {"role": "system", "content": "Be kind."},
        {"role": "assistant", "content": "Two"},
        {"role": "user", "content": "Three"},
        {"role": "system", "content": "Be loud."},
    ]);
    assert_eq!(written(&placed.body["messages"]), written(&expected));
    assert_eq!(placed.losses.iter().map(|loss| loss.field.as_str()).collect::<Vec<_>>(), ["messages[4]"]);
}

#[test]
fn conversations_that_anthropic_would_refuse_begin_and_end_with_the_user() {
    let assistant = |text: &str| Message::new(Role::Assistant, vec![Part::text(text)]);
    let mut target = target();
    let prefilled = Codec::encode_request(&foreign(vec![user("JSON, please"), assistant("{ \n")]), &target);
    assert_eq!(prefilled.body["messages"][1], json!({"role": "assistant", "content": "{"}));
    assert_eq!(prefilled.losses.iter().map(|loss| loss.field.as_str()).collect::<Vec<_>>(), ["messages[1]"]);

    target.can.prefill = false;
    let asked = Codec::encode_request(&foreign(vec![assistant("Hi"), assistant("there")]), &target);
    let roles: Vec<&str> =
        asked.body["messages"].as_array().unwrap().iter().map(|message| message["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["user", "assistant", "user"]);
    assert_eq!(asked.losses.iter().count(), 2);

    let only_system = foreign(vec![Message::new(Role::System, vec![Part::text("Tell a joke.")])]);
    let body = Codec::encode_request(&only_system, &target).body;
    assert_eq!((body.get("system"), &body["messages"]), (None, &json!([{"role": "user", "content": "Tell a joke."}])));
}

#[test]
fn documents_take_the_forms_that_anthropic_has() {
    let of = |source: Source| {
        let request = foreign(vec![Message::new(Role::User, vec![media(MediaKind::Document, source)])]);
        let encoded = Codec::encode_request(&request, &target());
        assert!(encoded.losses.is_empty());
        encoded.body["messages"][0]["content"][0]["source"].clone()
    };
    let base64 = |mime: &str, data: &str| Source::Base64 { mime: mime.to_owned(), data: data.to_owned() };
    let text = json!({"type": "text", "media_type": "text/plain", "data": "a,b"});
    assert_eq!(of(base64("text/csv", "YSxi")), text);
    assert_eq!(of(Source::Text { text: "a,b".to_owned() }), text);
    let pdf = json!({"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="});
    assert_eq!(of(base64("", "JVBERi0=")), pdf);
    assert_eq!(of(base64("application/pdf", "JVBERi0=")), pdf);
    let url = "https://example.com/a.pdf";
    assert_eq!(of(Source::Url { url: url.to_owned(), mime: None }), json!({"type": "url", "url": url}));
    let theirs = Source::FileId { origin: Origin::OpenAi, id: "file-1".to_owned() };
    let request = foreign(vec![Message::new(Role::User, vec![media(MediaKind::Document, theirs)])]);
    let losses = Codec::encode_request(&request, &target()).losses;
    assert_eq!(losses.refusal().map(|loss| loss.field.as_str()), Some("messages[0].content[0]"));
}

#[test]
fn tools_of_all_kinds_are_offered_and_chosen() {
    let long = "n".repeat(200);
    let mut strict = FunctionTool {
        name: "strict".to_owned(),
        description: Some("Holds.".to_owned()),
        parameters: Some(json!({"type": "object", "properties": {"n": {"type": "integer", "minimum": 0}}})),
        strict: Some(true),
        cache: None,
        carry: Carry::NONE,
    };
    let sql = CustomTool { name: "sql".to_owned(), description: None, format: None, carry: Carry::NONE };
    let mut request = foreign(vec![user("Go")]);
    request.tools = vec![Tool::Function(strict.clone()), Tool::Custom(sql), function(&long, json!({"properties": {}}))];
    request.parallel_tool_calls = Some(false);
    let encoded = Codec::encode_request(&request, &target());
    let tools = encoded.body["tools"].as_array().unwrap();
    assert_eq!(tools[0]["strict"], true);
    assert_eq!(tools[0]["input_schema"]["properties"]["n"]["description"], "It must match {\"minimum\":0}");
    assert_eq!(tools[1]["input_schema"]["required"], json!(["input"]));
    assert_eq!(tools[2]["name"].as_str().unwrap().len(), 128);
    assert_eq!(encoded.body["tool_choice"], json!({"type": "auto", "disable_parallel_tool_use": true}));
    assert_eq!(encoded.adaptions.custom_tools, ["sql"]);
    assert_eq!(encoded.adaptions.tool_names.values().collect::<Vec<_>>(), [&long]);

    let named = |name: &str| ToolRef { kind: CallKind::Function, name: name.to_owned() };
    let mode = crate::ir::AllowedMode::Required;
    request.parallel_tool_calls = None;
    let cases = [
        (ToolMode::Auto, json!({"type": "auto"}), 3),
        (ToolMode::Required, json!({"type": "any"}), 3),
        (ToolMode::None, json!({"type": "none"}), 3),
        (ToolMode::Named(named("strict")), json!({"type": "tool", "name": "strict"}), 3),
        (ToolMode::Allowed { mode, tools: vec![named("strict")] }, json!({"type": "any"}), 1),
    ];
    for (mode, expected, count) in cases {
        request.tool_choice = Some(ToolChoice::new(mode));
        let body = Codec::encode_request(&request, &target()).body;
        assert_eq!((&body["tool_choice"], body["tools"].as_array().unwrap().len()), (&expected, count));
    }
    request.tools.clear();
    assert_eq!(Codec::encode_request(&request, &target()).body.get("tool_choice"), None);

    // A map of any keys cannot be strict.
    strict.parameters = Some(json!({"type": "object", "additionalProperties": {"type": "string"}}));
    request.tools = vec![Tool::Function(strict)];
    let encoded = Codec::encode_request(&request, &target());
    assert_eq!(encoded.body["tools"][0].get("strict"), None);
    assert!(encoded.losses.iter().any(|loss| loss.field == "tools[0].strict"));
}

#[test]
fn json_comes_by_output_config_or_by_a_tool_that_must_be_called() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]});
    let format = |schema: &Value| OutputFormat::JsonSchema {
        name: Some("answer".to_owned()),
        description: None,
        schema: Some(schema.clone()),
        strict: Some(true),
    };
    let ask = |format: OutputFormat, tools: Vec<Tool>, structured_output: StructuredOutput| {
        let mut request = foreign(vec![user("Go")]);
        request.output = Some(Output { format, carry: Carry::NONE });
        request.tools = tools;
        let mut target = target();
        target.can.structured_output = structured_output;
        Codec::encode_request(&request, &target)
    };
    let native = ask(format(&schema), Vec::new(), StructuredOutput::Native);
    assert_eq!(native.body["output_config"]["format"]["schema"]["additionalProperties"], false);
    assert_eq!((native.adaptions.json_tool, native.losses.is_empty()), (None, true));

    let forced = ask(format(&schema), Vec::new(), StructuredOutput::ForcedTool);
    assert_eq!(forced.adaptions.json_tool.as_deref(), Some("final_answer"));
    assert_eq!(forced.body["tools"][0]["input_schema"], schema);
    assert_eq!(forced.body["tool_choice"], json!({"type": "tool", "name": "final_answer"}));

    let any = ask(OutputFormat::JsonObject, vec![function("final_answer", schema)], StructuredOutput::Native);
    assert_eq!(any.adaptions.json_tool.as_deref(), Some("final_answer_"));
    assert_eq!(any.body["tool_choice"], json!({"type": "any"}));

    let list = ask(format(&json!({"type": "array"})), Vec::new(), StructuredOutput::ForcedTool);
    assert_eq!(list.body["tools"][0]["input_schema"]["properties"]["value"], json!({"type": "array"}));
    assert!(list.adaptions.wrapped);
}

#[test]
fn parameters_without_an_equivalent_are_reported_and_those_that_matter_refused() {
    let mut request = foreign(vec![user("Go")]);
    request.sampling = Sampling {
        temperature: serde_json::Number::from_f64(1.5),
        seed: Some(7.into()),
        presence_penalty: serde_json::Number::from_f64(0.5),
        ..Sampling::default()
    };
    request.stop = vec!["END".to_owned(), "\n\n".to_owned()];
    request.max_output = Some(500);
    request.user = Some("u1".to_owned());
    request.service_tier = Some("flex".to_owned());
    request.stream = Some(true);
    let encoded = Codec::encode_request(&request, &target());
    let expected = json!({"model": "claude-x", "max_tokens": 500, "messages": [{"role": "user", "content": "Go"}],
        "temperature": 1.0, "stop_sequences": ["END"], "stream": true, "metadata": {"user_id": "u1"}});
    assert_eq!(written(&encoded.body), written(&expected));
    assert_eq!(encoded.adaptions.stop, ["\n\n"]);
    let header = encoded.losses.header();
    assert_eq!(header.as_deref(), Some("temperature,stop,service_tier,presence_penalty,seed"));

    for (change, field) in [
        (Request { candidates: Some(2), ..request.clone() }, "n"),
        (Request { modalities: vec!["text".to_owned(), "audio".to_owned()], ..request.clone() }, "modalities"),
    ] {
        let losses = Codec::encode_request(&change, &target()).losses;
        assert_eq!(losses.refusal().map(|loss| loss.field.as_str()), Some(field));
    }
    let mut fixed = target();
    fixed.can = Capabilities { sampler: Sampler::Fixed, max_output: Some(100), ..fixed.can };
    let body = Codec::encode_request(&request, &fixed).body;
    assert_eq!((body.get("temperature"), &body["max_tokens"]), (None, &json!(100)));
}

#[test]
fn a_tool_loop_whose_thoughts_were_dropped_goes_on_without_thinking() {
    let mut request = foreign(vec![
        user("Go"),
        Message::new(Role::Assistant, vec![call("c1", "f", "{}")]),
        Message::new(Role::Tool, vec![result("c1", vec![Part::text("x")], Outcome::Success)]),
    ]);
    request.reasoning = Some(ReasoningAsk { effort: Some(Effort::Low), ..ReasoningAsk::default() });
    let encoded = Codec::encode_request(&request, &target());
    assert_eq!(encoded.body.get("thinking"), None);
    assert_eq!(encoded.losses.header().as_deref(), Some("reasoning"));

    let seal = Some(Seal::new(Origin::Anthropic, SealKind::Signature, "EqQB"));
    request.messages[1].parts.insert(0, thought("Hm.", seal));
    request.sampling.temperature = serde_json::Number::from_f64(0.5);
    let encoded = Codec::encode_request(&request, &target());
    assert_eq!(encoded.body["thinking"], json!({"type": "enabled", "budget_tokens": 1024}));
    assert_eq!(encoded.losses.header().as_deref(), Some("temperature"));

    request.messages[1].parts.remove(0);
    let mut adaptive = target();
    adaptive.can.reasoning = ReasoningStyle::Adaptive { levels: vec![Effort::Low], off: Off::Said };
    let crate::dialect::EncodedRequest { body, losses, .. } = Codec::encode_request(&request, &adaptive);
    assert_eq!((&body["thinking"], &body["output_config"]), (&json!({"type": "adaptive"}), &json!({"effort": "low"})));
    assert_eq!((body.get("temperature"), losses.header().as_deref()), (None, Some("temperature")));
}

#[test]
fn thinking_is_asked_for_in_neutral_words() {
    let ask = |thinking: Value, effort: Value| {
        let body = json!({"model": "x", "messages": [], "thinking": thinking, "output_config": effort});
        Codec::decode_request(body, &head()).unwrap().reasoning.unwrap()
    };
    let enabled = ask(json!({"type": "enabled", "budget_tokens": 5000}), json!({}));
    assert_eq!((enabled.budget, enabled.as_effort()), (Some(Budget::Tokens(5000)), Some(Effort::Medium)));
    let adaptive = ask(json!({"type": "adaptive"}), json!({"effort": "max"}));
    assert_eq!(adaptive.as_effort(), Some(Effort::Max));
    assert!(ask(json!({"type": "disabled"}), json!({"effort": "high"})).is_off());
}

#[test]
fn a_long_conversation_is_written_in_linear_time() {
    let messages = (0..20_001).map(|number| {
        let role = if number % 2 == 0 { Role::User } else { Role::Assistant };
        Message::new(role, vec![Part::text("x"), Part::text(" ")])
    });
    let encoded = Codec::encode_request(&foreign(messages.collect()), &target());
    assert_eq!(encoded.body["messages"].as_array().unwrap().len(), 20_001);
}
