//! Random requests, answers and streams, as any caller or provider might mean them.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod answers;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::{Number, Value, json};

use crate::ir::{
    AllowedMode, Budget, CacheHint, CallKind, Carry, Content, CustomTool, Effort, FunctionTool, LogprobsAsk, Media,
    MediaKind, Message, Origin, Outcome, Output, OutputFormat, Part, Reasoning, ReasoningAsk, ReasoningText, Request,
    Role, Sampling, Seal, SealKind, Source, TextKind, ThinkingMode, Tool, ToolCall, ToolChoice, ToolMode, ToolRef,
    ToolResult, Visibility,
};

pub(crate) use answers::{response, stream};

/// Words with all that JSON, SSE and markup care for, but without line breaks, which joining adds, and never blank, which
/// some vendors refuse and nobody misses.
pub(crate) fn text() -> impl Strategy<Value = String> {
    "[a-z0-9äß😀\"\\\\{}][a-z0-9 .,:äß😀\"\\\\{}\\[\\]]{0,15}"
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![6 => "[a-z_]{1,10}", 1 => "[a-z]{70,90}", 1 => "[a-z0-9][a-z.:/ -]{1,20}", 1 => "[äß]{1,3}"]
}

fn arguments() -> impl Strategy<Value = String> {
    let object = vec(("[a-z]{1,6}", text()), 0..3).prop_map(|fields| {
        Value::Object(fields.into_iter().map(|(key, text)| (key, text.into())).collect()).to_string()
    });
    prop_oneof![object, Just("{ \"a\" : [1, 2.50, null] }".to_owned())]
}

fn image() -> impl Strategy<Value = Part> {
    let source = prop_oneof![
        Just(Source::Base64 { mime: "image/png".to_owned(), data: "iVBORw0KGgo=".to_owned() }),
        Just(Source::Url { url: "https://example.com/a.png".to_owned(), mime: None }),
    ];
    (source, option::of(Just("low".to_owned()))).prop_map(|(source, detail)| {
        Part::new(Content::Media(Media { kind: MediaKind::Image, source, detail, name: None }))
    })
}

fn document() -> impl Strategy<Value = Part> {
    Just(Part::new(Content::Media(Media {
        kind: MediaKind::Document,
        source: Source::Base64 { mime: "application/pdf".to_owned(), data: "JVBERi0xLjQK".to_owned() },
        detail: None,
        name: Some("a.pdf".to_owned()),
    })))
}

fn cached(part: impl Strategy<Value = Part>) -> impl Strategy<Value = Part> {
    (part, prop::bool::weighted(0.1)).prop_map(|(mut part, is_cached)| {
        part.cache = is_cached.then(|| CacheHint { ttl: crate::ir::CacheTtl::FiveMinutes, carry: Carry::NONE });
        part
    })
}

fn seal() -> impl Strategy<Value = Seal> {
    prop_oneof![
        Just(Seal::new(Origin::Anthropic, SealKind::Signature, "EqQBCkYIBxgC")),
        Just(Seal::new(Origin::Anthropic, SealKind::Redacted, "EmwKAhgB")),
        Just(Seal::new(Origin::OpenAi, SealKind::Encrypted, "gAAAAABo")),
        Just(Seal::new(Origin::Gemini, SealKind::Thought, "CiQBjz1rXw==")),
    ]
}

/// What the model thought: in the open, sealed, or sealed only.
fn thought() -> impl Strategy<Value = Part> {
    (vec(text(), 0..3), option::of(seal()), any::<bool>()).prop_map(|(texts, seal, summary)| {
        let kind = if summary { TextKind::Summary } else { TextKind::Full };
        let mut texts: Vec<ReasoningText> = texts.into_iter().map(|text| ReasoningText { kind, text }).collect();
        let seal = match seal {
            // Redacted thoughts have no words.
            Some(seal) if seal.kind == SealKind::Redacted => {
                texts.clear();
                Some(seal)
            }
            None if texts.is_empty() => Some(Seal::new(Origin::OpenAi, SealKind::Encrypted, "gAAAAAB")),
            seal => seal,
        };
        Part::new(Content::Reasoning(Reasoning { id: None, texts })).sealed(seal)
    })
}

/// A call and what it gave. The tool's place among the tools, and its id's tail, are set by the conversation.
fn step() -> impl Strategy<Value = (usize, String, String, Vec<Part>, bool)> {
    let id = prop_oneof!["call_[a-zA-Z0-9]{1,24}", "[a-zA-Z0-9_.:|=-]{1,70}"];
    (
        any::<prop::sample::Index>(),
        id,
        arguments(),
        vec(prop_oneof![4 => text().prop_map(Part::text), 1 => image()], 1..3),
        any::<bool>(),
    )
        .prop_map(|(tool, id, arguments, parts, failed)| (tool.index(1_000), id, arguments, parts, failed))
}

type Turn = (Vec<Part>, Vec<Part>, Vec<(usize, String, String, Vec<Part>, bool)>, Option<String>, bool);

fn turn() -> impl Strategy<Value = Turn> {
    let user = vec(
        prop_oneof![6 => cached(text().prop_map(Part::text)).boxed(), 1 => image().boxed(), 1 => document().boxed()],
        1..4,
    );
    let model = vec(prop_oneof![3 => text().prop_map(Part::text).boxed(), 1 => thought().boxed()], 0..3);
    (user, model, vec(step(), 0..3), option::weighted(0.1, text()), any::<bool>())
}

fn tools() -> impl Strategy<Value = Vec<Tool>> {
    let schema = prop_oneof![
        Just(None),
        Just(Some(json!({"type": "object", "properties": {}}))),
        Just(Some(json!({
            "type": "object",
            "properties": {"a": {"type": ["string", "null"], "pattern": "^x"}, "b": {"$ref": "#/$defs/b"}},
            "required": ["a"],
            "additionalProperties": false,
            "$defs": {"b": {"type": "array", "items": {"enum": [1, 2]}}},
        }))),
    ];
    let tool = (name(), option::of(text()), schema, option::of(any::<bool>()), prop::bool::weighted(0.2));
    vec(tool, 1..4).prop_map(|tools| {
        let named = tools.into_iter().enumerate().map(|(place, (name, description, parameters, strict, custom))| {
            let name = format!("{name}{place}");
            if custom {
                return Tool::Custom(CustomTool { name, description, format: None, carry: Carry::NONE });
            }
            Tool::Function(FunctionTool { name, description, parameters, strict, cache: None, carry: Carry::NONE })
        });
        named.collect()
    })
}

fn reference(tools: &[Tool], place: usize) -> ToolRef {
    let tool = &tools[place % tools.len()];
    let kind = if matches!(tool, Tool::Custom(_)) { CallKind::Custom } else { CallKind::Function };
    ToolRef { kind, name: tool.name().to_owned() }
}

fn choice(tools: &[Tool], which: usize) -> Option<ToolChoice> {
    let some = || reference(tools, which);
    let mode = match which % 7 {
        0 => ToolMode::Auto,
        1 => ToolMode::None,
        2 => ToolMode::Required,
        3 => ToolMode::Named(some()),
        4 => ToolMode::Allowed { mode: AllowedMode::Auto, tools: vec![some()] },
        5 => ToolMode::Allowed { mode: AllowedMode::Required, tools: vec![some()] },
        _ => return None,
    };
    Some(ToolChoice::new(mode))
}

fn output() -> impl Strategy<Value = Option<Output>> {
    let schema = prop_oneof![
        Just(json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]})),
        Just(
            json!({"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}, "required": ["a"]})
        ),
        Just(json!({"type": "array", "items": {"type": "string"}})),
    ];
    let format = prop_oneof![
        Just(OutputFormat::Text),
        Just(OutputFormat::JsonObject),
        (schema, option::of(any::<bool>())).prop_map(|(schema, strict)| OutputFormat::JsonSchema {
            name: Some("answer".to_owned()),
            description: None,
            schema: Some(schema),
            strict,
        }),
    ];
    option::weighted(0.3, format.prop_map(|format| Output { format, carry: Carry::NONE }))
}

fn reasoning() -> impl Strategy<Value = Option<ReasoningAsk>> {
    let effort = prop_oneof![Just(Effort::None), Just(Effort::Low), Just(Effort::High)];
    let ask = prop_oneof![
        effort.prop_map(|effort| ReasoningAsk { effort: Some(effort), ..ReasoningAsk::default() }),
        (1_024_u64..20_000).prop_map(|tokens| ReasoningAsk {
            mode: Some(ThinkingMode::On),
            budget: Some(Budget::Tokens(tokens)),
            ..ReasoningAsk::default()
        }),
        Just(ReasoningAsk {
            mode: Some(ThinkingMode::Adaptive),
            visibility: Some(Visibility::Auto),
            ..ReasoningAsk::default()
        }),
        Just(ReasoningAsk { mode: Some(ThinkingMode::Off), ..ReasoningAsk::default() }),
    ];
    option::weighted(0.4, ask)
}

fn number(most: u32) -> impl Strategy<Value = Option<Number>> {
    option::weighted(0.3, (0..=most * 4).prop_map(|quarters| Number::from_f64(f64::from(quarters) / 4.0).unwrap()))
}

fn sampling() -> impl Strategy<Value = Sampling> {
    let whole = option::weighted(0.2, (1_u32..100).prop_map(Number::from));
    (number(2), number(1), whole.clone(), number(2), number(2), whole).prop_map(|all| {
        let (temperature, top_p, top_k, frequency_penalty, presence_penalty, seed) = all;
        Sampling { temperature, top_p, top_k, frequency_penalty, presence_penalty, seed, logit_bias: None }
    })
}

fn words() -> impl Strategy<Value = Request> {
    let word = || option::weighted(0.2, "[a-z0-9]{1,12}");
    (word(), word(), word(), option::weighted(0.2, Just(json!({"k": "v"}))), option::weighted(0.2, any::<bool>()))
        .prop_map(|(user, safety_identifier, prompt_cache_key, metadata, store)| Request {
            user,
            safety_identifier,
            prompt_cache_key,
            metadata: metadata.and_then(|metadata| metadata.as_object().cloned()),
            store,
            ..Request::default()
        })
}

fn limits() -> impl Strategy<Value = Request> {
    let ask = (option::of(any::<bool>()), option::of(0_u64..5)).prop_map(|(enabled, top)| LogprobsAsk { enabled, top });
    (
        vec(text(), 0..5),
        option::weighted(0.5, 1_u64..8_000),
        option::weighted(0.1, 1_u64..3),
        option::weighted(0.1, ask),
        option::weighted(0.2, any::<bool>()),
        option::weighted(0.2, prop_oneof![Just("low".to_owned()), Just("high".to_owned())]),
        any::<bool>(),
    )
        .prop_map(|(stop, max_output, candidates, logprobs, parallel_tool_calls, verbosity, stream)| Request {
            stop,
            max_output,
            candidates,
            logprobs: logprobs.filter(|ask| *ask != LogprobsAsk::default()),
            parallel_tool_calls,
            verbosity,
            stream: stream.then_some(true),
            ..Request::default()
        })
}

/// A request that nobody has spoken yet: each call has its result, and each tool that is called is on offer.
pub(crate) fn request() -> impl Strategy<Value = Request> {
    let talk = (option::of(text()), vec(turn(), 1..4), option::weighted(0.7, tools()), any::<usize>());
    (talk, output(), reasoning(), sampling(), words(), limits()).prop_map(
        |((system, turns, tools, which), output, reasoning, sampling, words, limits)| {
            let tools = tools.unwrap_or_default();
            Request {
                model: "model".to_owned(),
                instructions: system.map(|text| Message::new(Role::System, vec![Part::text(text)])),
                messages: conversation(turns, &tools),
                tool_choice: if tools.is_empty() { None } else { choice(&tools, which) },
                tools,
                output,
                reasoning,
                sampling,
                user: words.user,
                safety_identifier: words.safety_identifier,
                prompt_cache_key: words.prompt_cache_key,
                metadata: words.metadata,
                store: words.store,
                ..limits
            }
        },
    )
}

fn conversation(turns: Vec<Turn>, tools: &[Tool]) -> Vec<Message> {
    let mut messages = Vec::new();
    let mut number = 0;
    for (user, model, steps, aside, grouped) in turns {
        messages.push(Message::new(Role::User, user));
        messages.extend(aside.map(|text| Message::new(Role::System, vec![Part::text(text)])));
        let (mut parts, mut results) = (model, Vec::new());
        for (tool, id, arguments, given, failed) in steps {
            let (kind, name) = match tools {
                [] => (CallKind::Function, "gone".to_owned()),
                tools => {
                    let reference = reference(tools, tool);
                    (reference.kind, reference.name)
                }
            };
            number += 1;
            let id = format!("{id}{number}");
            parts.push(Part::new(Content::ToolCall(ToolCall { id: id.clone(), name, arguments, kind })));
            let outcome = if failed { Outcome::Failure } else { Outcome::Success };
            let result = ToolResult { call_id: id, name: None, parts: given, outcome, kind };
            results.push(Part::new(Content::ToolResult(result)));
        }
        if !parts.is_empty() {
            messages.push(Message::new(Role::Assistant, parts));
        }
        if grouped && !results.is_empty() {
            messages.push(Message::new(Role::User, results));
        } else {
            messages.extend(results.into_iter().map(|result| Message::new(Role::Tool, vec![result])));
        }
    }
    messages.push(Message::new(Role::User, vec![Part::text("go on")]));
    messages
}
