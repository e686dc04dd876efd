//! Requests and answers of other dialects in this one.

use super::*;
use crate::dialect::{Adaptions, Capabilities, EncodedRequest, Off, ReasoningStyle};
use crate::ir::{
    Attach, CacheHint, CacheTtl, CallKind, Carry, Choice, Citation, CustomTool, Delta, Finish, FunctionTool,
    LogprobsAsk, Media, Message, Output, Part, PartAt, Reasoning, ReasoningAsk, Response, Sampling, Seal, SealKind,
    Text, TextKind, ThinkingMode, ToolCall, ToolChoice, ToolRef, ToolResult, Usage, Visibility,
};

fn target() -> Target {
    Target::unlimited(DIALECT, "gemini-3-pro-preview")
}

fn encode(request: &Request) -> EncodedRequest {
    Codec::encode_request(request, &target())
}

fn foreign(messages: Vec<Message>) -> Request {
    Request { spoken_in: Some(Dialect::Anthropic), model: "m".to_owned(), messages, ..Request::default() }
}

fn user(text: &str) -> Message {
    Message::new(Role::User, vec![Part::text(text)])
}

fn call(id: &str, name: &str, arguments: &str) -> Part {
    let kind = CallKind::Function;
    Part::new(Content::ToolCall(ToolCall {
        id: id.to_owned(),
        name: name.to_owned(),
        arguments: arguments.to_owned(),
        kind,
    }))
}

fn result(id: &str, parts: Vec<Part>, outcome: Outcome) -> Part {
    Part::new(Content::ToolResult(ToolResult {
        call_id: id.to_owned(),
        name: None,
        parts,
        outcome,
        kind: CallKind::Function,
    }))
}

fn image(source: Source) -> Part {
    Part::new(Content::Media(Media { kind: MediaKind::Image, source, detail: None, name: None }))
}

fn png() -> Part {
    image(Source::Base64 { mime: "image/png".to_owned(), data: "AAAA".to_owned() })
}

fn thoughts(text: &str, seal: Option<Seal>) -> Part {
    Part::new(Content::Reasoning(Reasoning::of(TextKind::Full, text))).sealed(seal)
}

fn tool(name: &str, parameters: Value) -> Tool {
    Tool::Function(FunctionTool {
        name: name.to_owned(),
        description: Some("Does it.".to_owned()),
        parameters: Some(parameters),
        strict: None,
        cache: None,
        carry: Carry::NONE,
    })
}

#[test]
fn a_foreign_tool_loop_becomes_turns_with_stand_ins_and_results_in_the_calls_order() {
    let odd = "functions.look:0";
    let request = foreign(vec![
        Message::new(Role::System, vec![Part::text("Be short.")]),
        user("Look."),
        Message::new(
            Role::Assistant,
            vec![
                thoughts("Hm.", Some(Seal::new(Origin::Anthropic, SealKind::Signature, "EqQB"))),
                Part { cache: Some(CacheHint { ttl: CacheTtl::OneHour, carry: Carry::NONE }), ..Part::text("Yes.") },
                call("toolu_1", "look", "{\"x\": 1}"),
                call(odd, "9 lives", "not json"),
            ],
        ),
        Message::new(Role::Tool, vec![result(odd, vec![Part::text("boom")], Outcome::Failure)]),
        Message::new(Role::Tool, vec![result("toolu_1", vec![Part::text("a"), png()], Outcome::Success)]),
        user("Well?"),
        Message::new(Role::Developer, vec![Part::text("Stay calm.")]),
    ]);
    let encoded = encode(&request);
    let expected = json!({
        "systemInstruction": {"parts": [{"text": "Be short."}]},
        "contents": [
            {"role": "user", "parts": [{"text": "Look."}]},
            {"role": "model", "parts": [
                {"text": "Yes."},
                {"functionCall": {"id": "toolu_1", "name": "look", "args": {"x": 1}},
                 "thoughtSignature": "skip_thought_signature_validator"},
                {"functionCall": {"name": "_9_lives_d35a8d5d", "args": {"raw_arguments": "not json"}}},
            ]},
            {"role": "user", "parts": [
                {"functionResponse": {"id": "toolu_1", "name": "look", "response": {"output": "a"},
                 "parts": [{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]}},
                {"functionResponse": {"name": "_9_lives_d35a8d5d", "response": {"error": "boom"}}},
            ]},
            {"role": "user", "parts": [{"text": "Well?"}, {"text": "Stay calm."}]},
        ],
    });
    let renamed = encoded.adaptions.tool_names.keys().next().unwrap().clone();
    let expected = expected.to_string().replace("_9_lives_d35a8d5d", &renamed);
    assert_eq!(written(&encoded.body), written(&serde_json::from_str(&expected).unwrap()));
    assert!(renamed.starts_with("_9_lives_"));
    assert_eq!(encoded.losses.refusal(), None);
    assert_eq!(encoded.losses.header().as_deref(), Some("reasoning,cache_control,messages"));
}

#[test]
fn older_models_get_no_stand_ins_and_media_after_the_results() {
    let mut older = target();
    (older.can.signed_calls, older.can.media_in_results) = (false, false);
    let request = foreign(vec![
        user("Look."),
        Message::new(Role::Assistant, vec![call("a", "look", "")]),
        Message::new(Role::User, vec![result("a", vec![png()], Outcome::Success), Part::text("Well?")]),
    ]);
    let body = Codec::encode_request(&request, &older).body;
    assert_eq!(body["contents"][1]["parts"], json!([{"functionCall": {"id": "a", "name": "look", "args": {}}}]));
    let results = &body["contents"][2]["parts"];
    assert_eq!(results[0]["functionResponse"]["response"], json!({"output": "See the attachment after the results."}));
    assert_eq!(
        body["contents"][3]["parts"],
        json!([
            {"text": "Attached to the result of look:"},
            {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
            {"text": "Well?"},
        ])
    );
}

#[test]
fn geminis_own_seals_come_back_to_text_calls_and_thoughts() {
    let seal = |data: &str| Some(Seal::new(Origin::Gemini, SealKind::Thought, data));
    let request = foreign(vec![
        user("Look."),
        Message::new(
            Role::Assistant,
            vec![
                thoughts("Hm.", seal("a")),
                Part::text("Yes.").sealed(seal("b")),
                call("c1", "look", "{}").sealed(seal("c")),
            ],
        ),
        Message::new(Role::Tool, vec![result("c1", Vec::new(), Outcome::Success)]),
    ]);
    let encoded = encode(&request);
    assert_eq!(
        encoded.body["contents"][1]["parts"],
        json!([
            {"text": "Hm.", "thought": true, "thoughtSignature": "a"},
            {"text": "Yes.", "thoughtSignature": "b"},
            {"functionCall": {"id": "c1", "name": "look", "args": {}}, "thoughtSignature": "c"},
        ])
    );
    assert!(encoded.losses.is_empty(), "{:?}", encoded.losses);
}

#[test]
fn media_are_sent_where_google_can_get_them_and_refused_where_not() {
    let url = |url: &str| image(Source::Url { url: url.to_owned(), mime: None });
    let detailed = Part::new(Content::Media(Media {
        kind: MediaKind::Image,
        source: Source::Url { url: "https://example.com/b".to_owned(), mime: None },
        detail: Some("high".to_owned()),
        name: None,
    }));
    let good = foreign(vec![Message::new(Role::User, vec![url("https://example.com/a.png?x=1"), detailed, png()])]);
    let encoded = encode(&good);
    assert_eq!(
        encoded.body["contents"][0]["parts"],
        json!([
            {"fileData": {"mimeType": "image/png", "fileUri": "https://example.com/a.png?x=1"}},
            {"fileData": {"fileUri": "https://example.com/b"}},
            {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
        ])
    );
    assert_eq!(encoded.losses.iter().count(), 1);
    let theirs = image(Source::FileId { origin: Origin::OpenAi, id: "file-1".to_owned() });
    for bad in
        [url("http://example.com/a.png"), theirs, Part::opaque(Dialect::Anthropic, json!({"type": "search_result"}))]
    {
        let encoded = encode(&foreign(vec![Message::new(Role::User, vec![bad])]));
        assert_eq!(encoded.losses.refusal().map(|loss| loss.field.as_str()), Some("messages[0].content[0]"));
    }
    let orphan = encode(&foreign(vec![Message::new(Role::Tool, vec![result("x", Vec::new(), Outcome::Success)])]));
    assert_eq!(orphan.losses.refusal().map(|loss| loss.field.as_str()), Some("messages[0].content[0]"));
}

#[test]
fn parameters_of_others_find_their_place_or_are_named() {
    let mut target = target();
    target.can.max_output = Some(100);
    let request = Request {
        spoken_in: Some(Dialect::OpenAiChat),
        messages: vec![user("hi")],
        sampling: Sampling {
            temperature: serde_json::Number::from_f64(0.5),
            top_p: serde_json::Number::from_f64(0.9),
            top_k: Some(3.into()),
            frequency_penalty: Some(1.into()),
            presence_penalty: Some(1.into()),
            seed: Some((1_u64 << 40 | 5).into()),
            logit_bias: Some(serde_json::Map::new()),
        },
        max_output: Some(1_000),
        candidates: Some(2),
        stop: vec!["a".to_owned()],
        logprobs: Some(LogprobsAsk { enabled: Some(true), top: Some(30) }),
        parallel_tool_calls: Some(false),
        service_tier: Some("flex".to_owned()),
        user: Some("u".to_owned()),
        store: Some(true),
        modalities: vec!["text".to_owned(), "audio".to_owned()],
        output: Some(Output { format: OutputFormat::JsonObject, carry: Carry::NONE }),
        ..Request::default()
    };
    let encoded = Codec::encode_request(&request, &target);
    let expected = json!({
        "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
        "generationConfig": {
            "temperature": 0.5, "topP": 0.9, "topK": 3, "frequencyPenalty": 1, "presencePenalty": 1, "seed": 5,
            "maxOutputTokens": 100, "candidateCount": 2, "stopSequences": ["a"], "responseLogprobs": true,
            "logprobs": 20, "responseModalities": ["TEXT", "AUDIO"], "responseMimeType": "application/json",
        },
        "serviceTier": "flex",
    });
    assert_eq!(written(&encoded.body), written(&expected));
    let named = "logit_bias,seed,max_tokens,top_logprobs,parallel_tool_calls,user,store";
    assert_eq!(encoded.losses.header().as_deref(), Some(named));
    let many = Request { stop: vec!["x".to_owned(); 6], ..request };
    let encoded = Codec::encode_request(&many, &target);
    assert_eq!((encoded.body["generationConfig"].get("stopSequences"), encoded.adaptions.stop.len()), (None, 6));
}

#[test]
fn thinking_is_asked_for_as_the_generation_wants_it() {
    let thinking = |reasoning: ReasoningStyle, ask: ReasoningAsk, spoken_in: Dialect| {
        let mut target = target();
        target.can.reasoning = reasoning;
        let request = Request {
            spoken_in: Some(spoken_in),
            reasoning: Some(ask),
            messages: vec![user("x")],
            ..Request::default()
        };
        let encoded = Codec::encode_request(&request, &target);
        (encoded.body.pointer("/generationConfig/thinkingConfig").cloned(), encoded.losses.header().is_some())
    };
    let levels = || ReasoningStyle::Effort { levels: vec![Effort::Low, Effort::High] };
    let budget = |off| ReasoningStyle::Budget { min: 128, max: 32_768, off };
    let effort = |effort| ReasoningAsk { effort: Some(effort), ..ReasoningAsk::default() };
    let tokens = |tokens| ReasoningAsk {
        mode: Some(ThinkingMode::On),
        budget: Some(Budget::Tokens(tokens)),
        ..ReasoningAsk::default()
    };
    let (chat, responses, messages) = (Dialect::OpenAiChat, Dialect::OpenAiResponses, Dialect::Anthropic);
    let shown = |value: Value| Some(value);
    let cases = [
        (levels(), effort(Effort::High), chat, shown(json!({"thinkingLevel": "HIGH", "includeThoughts": true})), false),
        (levels(), effort(Effort::Medium), responses, shown(json!({"thinkingLevel": "LOW"})), true),
        (levels(), tokens(30_000), messages, shown(json!({"thinkingLevel": "HIGH", "includeThoughts": true})), false),
        (levels(), effort(Effort::None), chat, shown(json!({"thinkingLevel": "LOW"})), true),
        (
            budget(Off::Said),
            effort(Effort::Medium),
            chat,
            shown(json!({"thinkingBudget": 8_192, "includeThoughts": true})),
            false,
        ),
        (budget(Off::Said), effort(Effort::None), chat, shown(json!({"thinkingBudget": 0})), false),
        (budget(Off::Never), effort(Effort::None), chat, shown(json!({"thinkingBudget": 128})), true),
        (
            budget(Off::Said),
            tokens(64_000),
            messages,
            shown(json!({"thinkingBudget": 32_768, "includeThoughts": true})),
            true,
        ),
        (ReasoningStyle::None, effort(Effort::High), chat, None, true),
        (ReasoningStyle::None, effort(Effort::None), chat, None, false),
    ];
    for (place, (style, ask, spoken_in, expected, is_reported)) in cases.into_iter().enumerate() {
        assert_eq!(thinking(style, ask, spoken_in), (expected, is_reported), "case {place}");
    }
    let hidden = ReasoningAsk { visibility: Some(Visibility::Hidden), ..effort(Effort::High) };
    assert_eq!(thinking(levels(), hidden, chat).0, Some(json!({"thinkingLevel": "HIGH"})));
}

#[test]
fn tools_and_choices_of_others_are_declared_and_restored() {
    let grammar = Some(json!({"type": "grammar", "syntax": "lark", "definition": "start: /x/"}));
    let request = Request {
        tools: vec![
            tool("look", json!({"type": "object", "properties": {"x": {"type": "string", "not": {}}}})),
            tool("map", json!({"type": "object", "additionalProperties": {"type": "string"}})),
            tool("now", json!({"type": "object", "properties": {}})),
            Tool::Custom(CustomTool { name: "sql".to_owned(), description: None, format: grammar, carry: Carry::NONE }),
        ],
        tool_choice: Some(ToolChoice::new(ToolMode::Allowed {
            mode: AllowedMode::Auto,
            tools: vec![ToolRef { kind: CallKind::Custom, name: "sql".to_owned() }],
        })),
        ..foreign(vec![user("x")])
    };
    let encoded = encode(&request);
    let functions = &encoded.body["tools"][0]["functionDeclarations"];
    assert_eq!(functions[0]["parameters"], json!({"type": "OBJECT", "properties": {"x": {"type": "STRING"}}}));
    assert_eq!(functions[1]["parametersJsonSchema"]["additionalProperties"], json!({"type": "string"}));
    assert_eq!(functions[2], json!({"name": "now", "description": "Does it."}));
    assert_eq!(functions[3]["parameters"]["required"], json!(["input"]));
    let config = json!({"functionCallingConfig": {"mode": "VALIDATED", "allowedFunctionNames": ["sql"]}});
    assert_eq!(encoded.body["toolConfig"], config);
    assert_eq!(encoded.adaptions.custom_tools, ["sql"]);
    assert_eq!(encoded.losses.header().as_deref(), Some("tools"));
    let choice = |mode: ToolMode| {
        let request = Request { tool_choice: Some(ToolChoice::new(mode)), ..request.clone() };
        encode(&request).body.pointer("/toolConfig/functionCallingConfig").cloned()
    };
    let named = ToolRef { kind: CallKind::Function, name: "now".to_owned() };
    assert_eq!(choice(ToolMode::Auto), None);
    assert_eq!(choice(ToolMode::None), Some(json!({"mode": "NONE"})));
    assert_eq!(choice(ToolMode::Required), Some(json!({"mode": "ANY"})));
    assert_eq!(choice(ToolMode::Named(named)), Some(json!({"mode": "ANY", "allowedFunctionNames": ["now"]})));
    let theirs = crate::ir::Opaque::new(Dialect::Anthropic, json!({"type": "web_search_20250305"}));
    let theirs = Tool::Provider(crate::ir::ProviderTool {
        name: "web_search_20250305".to_owned(),
        field: "tools[0]".to_owned(),
        original: theirs,
    });
    let refused = encode(&Request { tools: vec![theirs], ..request });
    assert_eq!(refused.losses.refusal().map(|loss| loss.field.as_str()), Some("tools[0]"));
}

#[test]
fn a_form_of_the_answer_is_a_schema_or_one_more_function() {
    let schema = json!({"type": "object", "properties": {"b": {"type": "string"}, "a": {"type": "string"}}});
    let format =
        OutputFormat::JsonSchema { name: Some("n".to_owned()), description: None, schema: Some(schema), strict: None };
    let request = Request {
        output: Some(Output { format, carry: Carry::NONE }),
        tools: vec![tool("look", json!({"type": "object"}))],
        ..foreign(vec![user("x")])
    };
    let config = encode(&request).body["generationConfig"].clone();
    assert_eq!(config["responseMimeType"], "application/json");
    assert_eq!(config["responseSchema"]["propertyOrdering"], json!(["b", "a"]));
    let mut older = target();
    older.can.json_beside_tools = false;
    let encoded = Codec::encode_request(&request, &older);
    assert_eq!(encoded.body.get("generationConfig"), None);
    assert_eq!(encoded.body["tools"][0]["functionDeclarations"][1]["name"], "final_answer");
    assert_eq!(encoded.body["toolConfig"]["functionCallingConfig"], json!({"mode": "ANY"}));
    let expected = Adaptions { json_tool: Some("final_answer".to_owned()), ..Adaptions::default() };
    assert_eq!(encoded.adaptions, expected);
}

#[test]
fn what_a_model_cannot_take_is_refused() {
    let mut blind = target();
    blind.can = Capabilities { images: false, ..blind.can };
    let request = foreign(vec![Message::new(Role::User, vec![png()])]);
    let losses = Codec::encode_request(&request, &blind).losses;
    assert_eq!(losses.refusal().map(|loss| loss.field.as_str()), Some("messages[0].content[0]"));
}

/// An answer of another vendor, whole and as events.
fn answer() -> (Response, Vec<Event>) {
    let seal = |origin, kind, data: &str| Some(Seal::new(origin, kind, data));
    let citation = Citation {
        url: Some("https://example.com/a".to_owned()),
        title: Some("A".to_owned()),
        cited_text: None,
        span: Some((2, 6)),
        original: None,
    };
    let text = Text { text: "Ja, Köln.".to_owned(), citations: vec![citation.clone()], logprobs: Vec::new() };
    let parts = vec![
        thoughts("Hm. Well.", seal(Origin::Anthropic, SealKind::Signature, "EqQB")),
        Part::new(Content::Reasoning(Reasoning::default())).sealed(seal(Origin::Anthropic, SealKind::Redacted, "xyz")),
        Part::new(Content::Text(text)),
        call("toolu_1", "look", "{\"x\":1}"),
        call("toolu_2", "now", ""),
    ];
    let finish = Finish::said(FinishReason::ToolUse, Dialect::Anthropic, "tool_use");
    let usage = Usage {
        input: Some(100),
        cache_read: Some(70),
        cache_write_5m: Some(10),
        audio_input: Some(5),
        output: Some(20),
        reasoning: Some(15),
        ..Usage::default()
    };
    let at = PartAt::first;
    let head = |part: &Part| {
        let mut head = part.clone();
        head.seal = None;
        match &mut head.content {
            Content::Reasoning(reasoning) => reasoning.texts.clear(),
            Content::Text(text) => *text = Text::default(),
            Content::ToolCall(call) => call.arguments.clear(),
            _ => {}
        }
        Box::new(head)
    };
    let mut events = vec![Event::Start(Box::default())];
    for (number, part) in (0_u32..).zip(&parts) {
        events.push(Event::PartStart(at(number), head(part)));
    }
    // All open at once, and interleaved: the encoder puts them in order.
    let delta = |delta: &str| Delta::Reasoning { text: 0, kind: TextKind::Full, delta: delta.to_owned() };
    events.extend([
        Event::Delta(at(2), Delta::Text("Ja, ".to_owned())),
        Event::Delta(at(0), delta("Hm. ")),
        Event::Delta(at(3), Delta::Arguments("{\"x\":".to_owned())),
        Event::Delta(at(0), delta("Well.")),
        Event::Delta(at(2), Delta::Text("Köln.".to_owned())),
        Event::Delta(at(2), Delta::Citation(Box::new(citation))),
        Event::Delta(at(3), Delta::Arguments("1}".to_owned())),
    ]);
    for (number, part) in (0_u32..).zip(&parts) {
        let seal = part.seal.clone().map(|seal| Event::Delta(at(number), Delta::Seal(Box::new(seal))));
        events.extend(seal);
        events.push(Event::PartStop(at(number), Carry::NONE));
    }
    events.push(Event::Finish(0, Box::new(finish.clone()), Carry::NONE));
    events.push(Event::Usage(Box::new(usage.clone())));
    events.push(Event::End(Carry::NONE));
    let choice = Choice { index: 0, parts, finish: Some(finish), carry: Carry::NONE };
    (Response { choices: vec![choice], usage: Some(usage), ..Response::default() }, events)
}

#[test]
fn an_answer_of_another_vendor_is_googles_in_form() {
    let (response, events) = answer();
    let asked =
        Asked::by(&Request { model: "claude".to_owned(), ..Request::default() }, Delivery::Whole).known_as("id-1");
    let body = Codec::encode_response(&response, &asked).body;
    let parts = body["candidates"][0]["content"]["parts"].as_array().unwrap();
    assert_eq!((parts[0]["text"].as_str(), parts[0]["thought"].as_bool()), (Some("Hm. Well."), Some(true)));
    assert_eq!(parts[3], json!({"functionCall": {"id": "toolu_1", "name": "look", "args": {"x": 1}}}));
    assert_eq!(parts[4]["functionCall"]["args"], json!({}));
    assert_eq!(body["candidates"][0]["finishReason"], "STOP");
    let segment = &body["candidates"][0]["groundingMetadata"]["groundingSupports"][0]["segment"];
    assert_eq!(segment, &json!({"partIndex": 2, "startIndex": 2, "endIndex": 7, "text": ", Kö"}));
    assert_eq!((&body["modelVersion"], &body["responseId"]), (&json!("claude"), &json!("id-1")));
    let usage = json!({
        "promptTokenCount": 100, "cachedContentTokenCount": 70, "candidatesTokenCount": 5, "thoughtsTokenCount": 15,
        "totalTokenCount": 120,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 95}, {"modality": "AUDIO", "tokenCount": 5}],
    });
    assert_eq!(body["usageMetadata"], usage);

    let (heard, text) = through_own_stream::<Codec>(&events, &asked);
    assert_eq!(check_grammar(&heard), Ok(()));
    let last: Value = serde_json::from_str(text.trim().rsplit("data: ").next().unwrap()).unwrap();
    assert_eq!((&last["usageMetadata"], &last["candidates"][0]["finishReason"]), (&usage, &json!("STOP")));
    let mut streamed = heard.into_iter().collect::<Fold>().finish().bare();
    let mut whole = Codec::decode_response(body).unwrap().bare();
    // Google says sources at the end: those of a text that calls have followed are told without their places.
    let sources = streamed.choices[0].parts.pop().unwrap();
    let (Content::Text(sources), Content::Text(text)) = (sources.content, &mut whole.choices[0].parts[2].content)
    else {
        unreachable!("they are texts");
    };
    assert_eq!((sources.text.as_str(), &sources.citations[0].url), ("", &text.citations[0].url));
    text.citations.clear();
    assert_eq!(streamed.choices, whole.choices);
    assert_eq!(streamed.usage, whole.usage);
}

#[test]
fn foreign_seals_travel_through_a_gemini_caller_and_come_back() {
    let (response, events) = answer();
    let whole = Codec::encode_response(&response, &asked()).body["candidates"][0]["content"].clone();
    let (_, text) = through_own_stream::<Codec>(&events, &asked());
    // Google's SDKs keep a content for each chunk.
    let chunks: Vec<Value> = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok())
        .map(|chunk| chunk["candidates"][0]["content"].clone())
        .collect();
    for echoed in [vec![whole], chunks] {
        let mut contents = vec![json!({"role": "user", "parts": [{"text": "Well?"}]})];
        contents.extend(echoed);
        contents.push(json!({"role": "user", "parts": [
            {"functionResponse": {"name": "look", "response": {"output": "x"}}},
            {"functionResponse": {"name": "now", "response": {"output": "y"}}}]}));
        let body = json!({"contents": contents});
        assert!(body.to_string().contains(crate::ir::mark::MARK));
        let request = decode(body);
        let said: Vec<&Part> = request.messages.iter().flat_map(|message| &message.parts).collect();
        let sealed: Vec<_> = said
            .iter()
            .filter_map(|part| match (&part.content, &part.seal) {
                (Content::Reasoning(reasoning), Some(seal)) => Some((reasoning.joined(), seal.clone())),
                _ => None,
            })
            .collect();
        assert_eq!(
            sealed,
            [
                ("Hm. Well.".to_owned(), Seal::new(Origin::Anthropic, SealKind::Signature, "EqQB")),
                (String::new(), Seal::new(Origin::Anthropic, SealKind::Redacted, "xyz")),
            ]
        );
        assert!(sealed.iter().all(|(_, seal)| seal.attach == Attach::Own));
        assert_eq!(said.iter().filter(|part| matches!(part.content, Content::Reasoning(_))).count(), 2);
        let results: Vec<&str> = said
            .iter()
            .filter_map(|part| match &part.content {
                Content::ToolResult(result) => Some(result.call_id.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(results, ["toolu_1", "toolu_2"]);

        // The same conversation with a model of Google's: another's thoughts stay out, and the loop can go on.
        let encoded = encode(&request);
        let text = encoded.body.to_string();
        assert!(!text.contains(crate::ir::mark::MARK) && !text.contains("Hm. Well."));
        let calling = |content: &&Value| content.to_string().contains("functionCall");
        let steps = encoded.body["contents"].as_array().unwrap().iter().filter(calling).count();
        assert_eq!(text.matches("skip_thought_signature_validator").count(), steps);
        assert_eq!(encoded.losses.header().as_deref(), Some("reasoning"));
    }
}

#[test]
fn reasons_that_google_has_no_word_for_are_never_a_clean_stop() {
    let cases = [
        (FinishReason::Pause, "pause_turn", "OTHER"),
        (FinishReason::ContextWindow, "model_context_window_exceeded", "MAX_TOKENS"),
        (FinishReason::Refusal, "refusal", "SAFETY"),
        (FinishReason::Failed, "failed", "OTHER"),
    ];
    for (reason, native, word) in cases {
        let finish = Some(Finish::said(reason, Dialect::Anthropic, native));
        let response = Response { choices: vec![Choice { finish, ..Choice::default() }], ..Response::default() };
        let candidate = Codec::encode_response(&response, &asked()).body["candidates"][0].clone();
        assert_eq!((&candidate["finishReason"], &candidate["finishMessage"]), (&json!(word), &json!(native)));
        assert_eq!(candidate["content"], json!({"parts": [{"text": ""}], "role": "model"}));
    }
}
