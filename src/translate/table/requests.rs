//! What becomes of each field of a request.

use serde_json::{Value, json};

use super::{Fate, Probe, put_over, table};
use crate::dialect::{Dialect, RequestHead, Target};
use crate::ir::{Loss, Severity};
use crate::translate::{Strictness, decode, encode};

pub(super) fn table_of(caller: Dialect) -> String {
    let plain = plain(caller);
    let rows = probes(caller).into_iter().map(|probe| {
        let others = Dialect::ALL.into_iter().filter(|provider| *provider != caller);
        let fates = others.map(|provider| fate(caller, provider, &plain, &probe)).collect();
        (probe.label.to_owned(), fates)
    });
    table(caller, "field", &rows.collect::<Vec<_>>())
}

fn plain(caller: Dialect) -> Value {
    match caller {
        Dialect::OpenAiChat => json!({"model": "m", "messages": [{"role": "user", "content": "hello"}]}),
        Dialect::OpenAiResponses => json!({"model": "m", "input": [{"role": "user", "content": "hello"}]}),
        Dialect::Anthropic => {
            json!({"model": "m", "max_tokens": 20_000, "messages": [{"role": "user", "content": "hello"}]})
        }
        Dialect::Gemini => json!({"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}),
    }
}

/// The request for this provider, and the losses; or why there is none.
fn sent(caller: Dialect, provider: Dialect, body: &Value) -> Result<(String, Vec<Loss>), String> {
    let head = RequestHead { model: Some("m".to_owned()), ..RequestHead::default() };
    let request = decode(caller, body.to_string().as_bytes(), &head).unwrap_or_else(|fault| panic!("{body}: {fault}"));
    // All kinds of media: what a model takes of them is the catalog's business.
    let mut target = Target::unlimited(provider, "m");
    (target.can.audio, target.can.video) = (true, provider == Dialect::Gemini);
    match encode(&request, &target, Strictness::Report) {
        Ok(upstream) => {
            let undone = format!("{:?}", upstream.adaptions);
            let losses = upstream.losses.iter().cloned().collect();
            Ok((String::from_utf8(upstream.body).unwrap() + &undone, losses))
        }
        Err(fault) => Err(generally(&fault.message, fault.param.as_deref(), provider)),
    }
}

/// A reason without the place and the provider's name.
fn generally(reason: &str, field: Option<&str>, provider: Dialect) -> String {
    let place = field.filter(|field| field.contains('['));
    let reason = place.and_then(|place| reason.strip_prefix(place)).unwrap_or(reason).trim_start();
    let (named, spoken) = (provider.to_string(), super::title(provider));
    let general = reason.replace(&format!("exist in {named}"), "exist there").replace(&named, "that provider");
    general
        .replace(&format!("that {spoken} does not take"), "that is not taken there")
        .replace(&format!("that {spoken} do not take"), "that is not taken there")
}

fn fate(caller: Dialect, provider: Dialect, plain: &Value, probe: &Probe) -> Fate {
    let mut body = plain.clone();
    put_over(&mut body, &probe.said);
    let (before, _) = sent(caller, provider, plain).unwrap();
    let (after, losses) = match sent(caller, provider, &body) {
        Ok(sent) => sent,
        Err(reason) => return Fate::Refused(reason),
    };
    let arrived = !probe.needle.is_empty() && after.to_lowercase().contains(&probe.needle.to_lowercase());
    let approximated = losses.iter().find(|loss| loss.severity == Severity::Approximated);
    match losses.iter().find(|loss| loss.severity == Severity::Ignored) {
        // Several things may be said of one: what was left out counts.
        Some(_) if !arrived => return Fate::Reported,
        _ => {}
    }
    if let Some(loss) = approximated {
        return Fate::Approximated(Some(loss.reason.clone()));
    }
    if arrived || (probe.needle.is_empty() && after != before) {
        return Fate::Carried;
    }
    if after != before {
        return Fate::Approximated(None);
    }
    assert!(NEEDLESS.contains(&probe.label), "{} is lost silently from {caller} to {provider}", probe.label);
    Fate::Needless
}

/// What need not be said elsewhere, since it is what happens there anyway, or concerns only how the answer is told.
const NEEDLESS: &[&str] = &[
    "`stream_options`",
    "`stream`",
    "`background: false`, `truncation: disabled`",
    "`include: reasoning.encrypted_content`",
    "`thinking: adaptive`",
    "`tool_choice: auto`",
    "`toolConfig` `AUTO`",
    "`parallel_tool_calls: true`",
    "`response_format: text`",
];

fn probe(label: &'static str, needle: &'static str, said: Value) -> Probe {
    Probe { label, said, needle }
}

fn schema() -> Value {
    json!({"type": "object", "properties": {"needle": {"type": "string"}}, "required": ["needle"], "additionalProperties": false})
}

fn long() -> String {
    format!("needle.{}", "x".repeat(140))
}

fn probes(caller: Dialect) -> Vec<Probe> {
    match caller {
        Dialect::OpenAiChat => chat(),
        Dialect::OpenAiResponses => responses(),
        Dialect::Anthropic => messages(),
        Dialect::Gemini => generate_content(),
    }
}

fn chat() -> Vec<Probe> {
    let talk = |messages: Value| json!({"messages": messages});
    let asks = |content: Value| json!({"messages": [{"role": "user", "content": content}]});
    let tool = |name: &str| json!({"type": "function", "function": {"name": name, "description": "d", "parameters": schema()}});
    let with_tool = |more: Value| {
        let mut said = json!({"tools": [tool("f"), tool("g")]});
        put_over(&mut said, &more);
        said
    };
    let call = json!({"role": "assistant", "content": null, "tool_calls": [
        {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{\"needle\": 1}"}},
        {"id": "call_2", "type": "function", "function": {"name": "f", "arguments": "{}"}}]});
    let results = [
        json!({"role": "tool", "tool_call_id": "call_1", "content": "needle"}),
        json!({"role": "tool", "tool_call_id": "call_2", "content": [{"type": "text", "text": "two"}]}),
    ];
    let user = json!({"role": "user", "content": "hello"});
    vec![
        probe(
            "`messages`: system, developer, first",
            "needle",
            talk(json!([{"role": "developer", "content": "needle"}, user])),
        ),
        probe(
            "system in the middle",
            "needle",
            talk(json!([user, {"role": "assistant", "content": "a"}, {"role": "system", "content": "needle"}, user])),
        ),
        probe("assistant last (prefill)", "needle", talk(json!([user, {"role": "assistant", "content": "needle"}]))),
        probe("`name` of a speaker", "needle", talk(json!([{"role": "user", "name": "needle", "content": "hello"}]))),
        probe(
            "`refusal` in the history",
            "needle",
            talk(json!([user, {"role": "assistant", "content": null, "refusal": "needle"}, user])),
        ),
        probe(
            "`reasoning_content` in the history",
            "needle",
            talk(json!([user, {"role": "assistant", "content": "a", "reasoning_content": "needle"}, user])),
        ),
        probe(
            "image, by URL",
            "needle.png",
            asks(json!([{"type": "image_url", "image_url": {"url": "https://example.com/needle.png"}}])),
        ),
        probe(
            "image, base64",
            "bmVlZGxl",
            asks(json!([{"type": "image_url", "image_url": {"url": "data:image/png;base64,bmVlZGxl"}}])),
        ),
        probe(
            "image `detail`",
            "\"high\"",
            asks(
                json!([{"type": "image_url", "image_url": {"url": "data:image/png;base64,bmVlZGxl", "detail": "high"}}]),
            ),
        ),
        probe(
            "audio in",
            "bmVlZGxl",
            asks(json!([{"type": "input_audio", "input_audio": {"data": "bmVlZGxl", "format": "wav"}}])),
        ),
        probe(
            "file, base64 PDF",
            "bmVlZGxl",
            asks(
                json!([{"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,bmVlZGxl"}}]),
            ),
        ),
        probe("file, by id", "needle", asks(json!([{"type": "file", "file": {"file_id": "file-needle"}}]))),
        probe(
            "`cache_control` on a part",
            "ephemeral",
            asks(json!([{"type": "text", "text": "hello", "cache_control": {"type": "ephemeral"}}])),
        ),
        probe("tool calls, results", "needle", talk(json!([user, call, results[0], results[1]]))),
        probe("`tools`: functions", "needle", with_tool(json!({}))),
        probe("names over a limit", "", json!({"tools": [tool(&long())]})),
        probe(
            "`strict`",
            "\"strict\":true",
            json!({"tools": [{"type": "function", "function": {"name": "f", "strict": true, "parameters": schema()}}]}),
        ),
        probe(
            "custom tools",
            "needle",
            json!({"tools": [{"type": "custom", "custom": {"name": "needle", "description": "d"}}]}),
        ),
        probe("`web_search_options`", "needle", json!({"web_search_options": {"search_context_size": "needle"}})),
        probe("`functions` (deprecated)", "needle", json!({"functions": [{"name": "needle", "parameters": {}}]})),
        probe("`tool_choice: auto`", "", with_tool(json!({"tool_choice": "auto"}))),
        probe("`tool_choice: none`", "", with_tool(json!({"tool_choice": "none"}))),
        probe("`tool_choice: required`", "", with_tool(json!({"tool_choice": "required"}))),
        probe(
            "`tool_choice`: one",
            "",
            with_tool(json!({"tool_choice": {"type": "function", "function": {"name": "f"}}})),
        ),
        probe(
            "`tool_choice`: some",
            "allowed",
            with_tool(
                json!({"tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "f"}}]}}}),
            ),
        ),
        probe("`parallel_tool_calls: false`", "parallel", with_tool(json!({"parallel_tool_calls": false}))),
        probe("`response_format: json_object`", "json", json!({"response_format": {"type": "json_object"}})),
        probe(
            "`response_format: json_schema`",
            "needle",
            json!({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "strict": true, "schema": schema()}}}),
        ),
        probe("`temperature`", "0.731", json!({"temperature": 0.731})),
        probe("`temperature` over 1", "1.731", json!({"temperature": 1.731})),
        probe("`top_p`", "0.731", json!({"top_p": 0.731})),
        probe("`top_k` (others' servers)", "731", json!({"top_k": 731})),
        probe("`frequency_penalty`", "0.731", json!({"frequency_penalty": 0.731})),
        probe("`presence_penalty`", "0.731", json!({"presence_penalty": 0.731})),
        probe("`seed`", "731", json!({"seed": 731})),
        probe("`logit_bias`", "731", json!({"logit_bias": {"731": 5}})),
        probe("`stop`", "\"needle\"", json!({"stop": ["needle"]})),
        probe("`max_completion_tokens`, `max_tokens`", "731", json!({"max_completion_tokens": 731})),
        probe("`n`", "731", json!({"n": 731})),
        probe("`logprobs`, `top_logprobs`", "\"top_logprobs\":13", json!({"logprobs": true, "top_logprobs": 13})),
        probe("`reasoning_effort`", "\"low\"", json!({"reasoning_effort": "low"})),
        probe("`verbosity`", "\"low\"", json!({"verbosity": "low"})),
        probe("`prediction`", "needle", json!({"prediction": {"type": "content", "content": "needle"}})),
        probe(
            "`modalities: audio`, `audio`",
            "needle",
            json!({"modalities": ["text", "audio"], "audio": {"voice": "needle", "format": "wav"}}),
        ),
        probe("`service_tier`", "flex", json!({"service_tier": "flex"})),
        probe("`user`", "needle", json!({"user": "needle"})),
        probe("`safety_identifier`", "needle", json!({"safety_identifier": "needle"})),
        probe("`prompt_cache_key`", "needle", json!({"prompt_cache_key": "needle"})),
        probe("`prompt_cache_retention`", "24h", json!({"prompt_cache_retention": "24h"})),
        probe("`metadata`", "needle", json!({"metadata": {"needle": "x"}})),
        probe("`store`", "store", json!({"store": true})),
        probe("`stream`", "", json!({"stream": true})),
        probe("`stream_options`", "", json!({"stream_options": {"include_usage": true}})),
        probe("a field of tomorrow", "needle", json!({"tomorrow": "needle"})),
    ]
}

fn responses() -> Vec<Probe> {
    let talk = |input: Value| json!({"input": input});
    let asks = |content: Value| json!({"input": [{"role": "user", "content": content}]});
    let tool = |name: &str| json!({"type": "function", "name": name, "description": "d", "parameters": schema()});
    let user = json!({"role": "user", "content": "hello"});
    let call = json!({"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{\"needle\": 1}"});
    let with_tool = |more: Value| {
        let mut said = json!({"tools": [tool("f"), tool("g")]});
        put_over(&mut said, &more);
        said
    };
    vec![
        probe("`instructions`", "needle", json!({"instructions": "needle"})),
        probe(
            "system, developer in the middle",
            "needle",
            talk(
                json!([user, {"role": "assistant", "content": "a"}, {"role": "developer", "content": "needle"}, user]),
            ),
        ),
        probe("assistant last", "needle", talk(json!([user, {"role": "assistant", "content": "needle"}]))),
        probe(
            "`input_image`, by URL",
            "needle.png",
            asks(json!([{"type": "input_image", "image_url": "https://example.com/needle.png"}])),
        ),
        probe(
            "`input_image`, base64",
            "bmVlZGxl",
            asks(json!([{"type": "input_image", "image_url": "data:image/png;base64,bmVlZGxl"}])),
        ),
        probe(
            "`input_file`, base64 PDF",
            "bmVlZGxl",
            asks(
                json!([{"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,bmVlZGxl"}]),
            ),
        ),
        probe(
            "`input_file`, by URL",
            "needle.pdf",
            asks(json!([{"type": "input_file", "file_url": "https://example.com/needle.pdf"}])),
        ),
        probe("`input_file`, by id", "needle", asks(json!([{"type": "input_file", "file_id": "file-needle"}]))),
        probe(
            "`function_call`, its output",
            "needle",
            talk(json!([user, call, {"type": "function_call_output", "call_id": "call_1", "output": "done"}])),
        ),
        probe(
            "output with an image",
            "bmVlZGxl",
            talk(
                json!([user, call, {"type": "function_call_output", "call_id": "call_1", "output": [{"type": "input_image", "image_url": "data:image/png;base64,bmVlZGxl"}]}]),
            ),
        ),
        probe(
            "`custom_tool_call`, its output",
            "needle",
            talk(
                json!([user, {"type": "custom_tool_call", "call_id": "call_1", "name": "f", "input": "needle"}, {"type": "custom_tool_call_output", "call_id": "call_1", "output": "done"}]),
            ),
        ),
        probe(
            "`reasoning` items",
            "needle",
            talk(
                json!([user, {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "needle"}], "encrypted_content": "gAAA"}, {"role": "assistant", "content": "a"}, user]),
            ),
        ),
        probe(
            "items of provider-run tools in the history",
            "needle",
            talk(
                json!([user, {"type": "web_search_call", "id": "ws_needle", "status": "completed"}, {"role": "assistant", "content": "a"}, user]),
            ),
        ),
        probe("`item_reference`", "needle", talk(json!([{"type": "item_reference", "id": "needle"}, user]))),
        probe("`previous_response_id`", "needle", json!({"previous_response_id": "resp_needle"})),
        probe("`conversation`", "needle", json!({"conversation": "conv_needle"})),
        probe("`prompt`", "needle", json!({"prompt": {"id": "needle"}})),
        probe("`tools`: functions", "needle", with_tool(json!({}))),
        probe("names over a limit", "", json!({"tools": [tool(&long())]})),
        probe(
            "`strict`",
            "\"strict\":true",
            json!({"tools": [{"type": "function", "name": "f", "strict": true, "parameters": schema()}]}),
        ),
        probe("custom tools", "needle", json!({"tools": [{"type": "custom", "name": "needle"}]})),
        probe(
            "`namespace` tools",
            "needle",
            json!({"tools": [{"type": "namespace", "name": "n", "description": "d", "tools": [tool("needle")]}]}),
        ),
        probe("provider-run tools", "needle", json!({"tools": [{"type": "web_search"}]})),
        probe("`tool_choice: auto`", "", with_tool(json!({"tool_choice": "auto"}))),
        probe("`tool_choice: none`", "", with_tool(json!({"tool_choice": "none"}))),
        probe("`tool_choice: required`", "", with_tool(json!({"tool_choice": "required"}))),
        probe("`tool_choice`: one", "", with_tool(json!({"tool_choice": {"type": "function", "name": "f"}}))),
        probe(
            "`tool_choice`: some",
            "allowed",
            with_tool(
                json!({"tool_choice": {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "f"}]}}),
            ),
        ),
        probe("`parallel_tool_calls: false`", "parallel", with_tool(json!({"parallel_tool_calls": false}))),
        probe("`max_tool_calls`", "731", json!({"max_tool_calls": 731})),
        probe("`text.format: json_object`", "json", json!({"text": {"format": {"type": "json_object"}}})),
        probe(
            "`text.format: json_schema`",
            "needle",
            json!({"text": {"format": {"type": "json_schema", "name": "n", "strict": true, "schema": schema()}}}),
        ),
        probe("`text.verbosity`", "\"low\"", json!({"text": {"verbosity": "low"}})),
        probe("`reasoning.effort`", "\"low\"", json!({"reasoning": {"effort": "low"}})),
        probe("`reasoning.summary`, beside an effort", "", json!({"reasoning": {"effort": "low", "summary": "auto"}})),
        probe("`reasoning.summary` alone", "", json!({"reasoning": {"summary": "auto"}})),
        probe("`include: reasoning.encrypted_content`", "", json!({"include": ["reasoning.encrypted_content"]})),
        probe("`temperature`", "0.731", json!({"temperature": 0.731})),
        probe("`top_p`", "0.731", json!({"top_p": 0.731})),
        probe(
            "`top_logprobs`",
            "\"top_logprobs\":13",
            json!({"top_logprobs": 13, "include": ["message.output_text.logprobs"]}),
        ),
        probe("`max_output_tokens`", "731", json!({"max_output_tokens": 731})),
        probe("`truncation: auto`", "truncation", json!({"truncation": "auto"})),
        probe(
            "`background: false`, `truncation: disabled`",
            "",
            json!({"background": false, "truncation": "disabled"}),
        ),
        probe(
            "`context_management`",
            "731",
            json!({"context_management": [{"type": "compaction", "compact_threshold": 731}]}),
        ),
        probe("`service_tier`", "flex", json!({"service_tier": "flex"})),
        probe("`user`", "needle", json!({"user": "needle"})),
        probe("`safety_identifier`", "needle", json!({"safety_identifier": "needle"})),
        probe("`prompt_cache_key`", "needle", json!({"prompt_cache_key": "needle"})),
        probe("`prompt_cache_retention`", "24h", json!({"prompt_cache_retention": "24h"})),
        probe("`metadata`", "needle", json!({"metadata": {"needle": "x"}})),
        probe("`store`", "store", json!({"store": true})),
        probe("`stream`", "", json!({"stream": true})),
        probe("a field of tomorrow", "needle", json!({"tomorrow": "needle"})),
    ]
}

fn messages() -> Vec<Probe> {
    let talk = |messages: Value| json!({"messages": messages});
    let asks = |content: Value| json!({"messages": [{"role": "user", "content": content}]});
    let tool = |name: &str| json!({"name": name, "description": "d", "input_schema": schema()});
    let user = json!({"role": "user", "content": "hello"});
    let call = json!({"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"needle": 1}}]});
    let gave = |more: Value| {
        let mut block = json!({"type": "tool_result", "tool_use_id": "toolu_1", "content": "done"});
        put_over(&mut block, &more);
        json!({"messages": [user, call, {"role": "user", "content": [block]}]})
    };
    let thought = |block: Value| json!({"messages": [user, {"role": "assistant", "content": [block, {"type": "text", "text": "a"}]}, user]});
    let with_tool = |more: Value| {
        let mut said = json!({"tools": [tool("f"), tool("g")]});
        put_over(&mut said, &more);
        said
    };
    vec![
        probe("`system`", "needle", json!({"system": "needle"})),
        probe(
            "`system` role in the middle",
            "needle",
            talk(json!([user, {"role": "assistant", "content": "a"}, {"role": "system", "content": "needle"}, user])),
        ),
        probe("assistant last (prefill)", "needle", talk(json!([user, {"role": "assistant", "content": "needle"}]))),
        probe(
            "`cache_control`",
            "ephemeral",
            asks(json!([{"type": "text", "text": "hello", "cache_control": {"type": "ephemeral"}}])),
        ),
        probe(
            "image, by URL",
            "needle.png",
            asks(json!([{"type": "image", "source": {"type": "url", "url": "https://example.com/needle.png"}}])),
        ),
        probe(
            "image, base64",
            "bmVlZGxl",
            asks(
                json!([{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "bmVlZGxl"}}]),
            ),
        ),
        probe(
            "document, base64 PDF",
            "bmVlZGxl",
            asks(
                json!([{"type": "document", "title": "a.pdf", "source": {"type": "base64", "media_type": "application/pdf", "data": "bmVlZGxl"}}]),
            ),
        ),
        probe(
            "document, PDF by URL",
            "needle.pdf",
            asks(json!([{"type": "document", "source": {"type": "url", "url": "https://example.com/needle.pdf"}}])),
        ),
        probe(
            "document, text",
            "needle",
            asks(
                json!([{"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "needle"}}]),
            ),
        ),
        probe(
            "document, `citations` wanted",
            "citations",
            asks(
                json!([{"type": "document", "citations": {"enabled": true}, "source": {"type": "text", "media_type": "text/plain", "data": "x"}}]),
            ),
        ),
        probe(
            "`search_result`",
            "needle",
            asks(
                json!([{"type": "search_result", "source": "https://example.com", "title": "t", "content": [{"type": "text", "text": "needle"}]}]),
            ),
        ),
        probe("`tool_use`, `tool_result`", "needle", gave(json!({}))),
        probe("`tool_result`: `is_error`", "error", gave(json!({"is_error": true}))),
        probe(
            "`tool_result` with an image",
            "bmVlZGxl",
            gave(
                json!({"content": [{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "bmVlZGxl"}}]}),
            ),
        ),
        probe(
            "`thinking`, signed",
            "needle",
            thought(json!({"type": "thinking", "thinking": "needle", "signature": "EqQB"})),
        ),
        probe("`redacted_thinking`", "needle", thought(json!({"type": "redacted_thinking", "data": "needle"}))),
        probe(
            "blocks of provider-run tools in the history",
            "needle",
            thought(
                json!({"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "needle"}}),
            ),
        ),
        probe("`tools`", "needle", with_tool(json!({}))),
        probe("names over a limit", "", json!({"tools": [tool(&"needle".repeat(20))]})),
        probe(
            "`strict`",
            "\"strict\":true",
            json!({"tools": [{"name": "f", "strict": true, "input_schema": schema()}]}),
        ),
        probe(
            "tool's `cache_control`",
            "ephemeral",
            json!({"tools": [{"name": "f", "input_schema": schema(), "cache_control": {"type": "ephemeral"}}]}),
        ),
        probe(
            "tool's `input_examples`",
            "example",
            json!({"tools": [{"name": "f", "input_schema": schema(), "input_examples": [{"example": 1}]}]}),
        ),
        probe(
            "provider-run tools",
            "needle",
            json!({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}),
        ),
        probe("`tool_choice: auto`", "", with_tool(json!({"tool_choice": {"type": "auto"}}))),
        probe("`tool_choice: none`", "", with_tool(json!({"tool_choice": {"type": "none"}}))),
        probe("`tool_choice: any`", "", with_tool(json!({"tool_choice": {"type": "any"}}))),
        probe("`tool_choice`: one", "", with_tool(json!({"tool_choice": {"type": "tool", "name": "f"}}))),
        probe(
            "`disable_parallel_tool_use`",
            "parallel",
            with_tool(json!({"tool_choice": {"type": "auto", "disable_parallel_tool_use": true}})),
        ),
        probe(
            "`output_config.format`",
            "needle",
            json!({"output_config": {"format": {"type": "json_schema", "schema": schema()}}}),
        ),
        probe("`thinking: enabled`, a budget", "7310", json!({"thinking": {"type": "enabled", "budget_tokens": 7310}})),
        probe("`thinking: adaptive`", "", json!({"thinking": {"type": "adaptive"}})),
        probe("`thinking: disabled`", "", json!({"thinking": {"type": "disabled"}})),
        probe("`output_config.effort`", "\"low\"", json!({"output_config": {"effort": "low"}})),
        probe(
            "`output_config.task_budget`",
            "7310",
            json!({"output_config": {"task_budget": {"type": "tokens", "total": 7310}}}),
        ),
        probe("`temperature`", "0.731", json!({"temperature": 0.731})),
        probe("`top_p`", "0.731", json!({"top_p": 0.731})),
        probe("`top_k`", "731", json!({"top_k": 731})),
        probe("`stop_sequences`", "\"needle\"", json!({"stop_sequences": ["needle"]})),
        probe("`max_tokens`", "731", json!({"max_tokens": 731})),
        probe("`metadata.user_id`", "needle", json!({"metadata": {"user_id": "needle"}})),
        probe("`service_tier`", "", json!({"service_tier": "standard_only"})),
        probe(
            "`context_management`",
            "clear",
            json!({"context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]}}),
        ),
        probe(
            "`mcp_servers`",
            "needle",
            json!({"mcp_servers": [{"type": "url", "name": "needle", "url": "https://example.com/mcp"}]}),
        ),
        probe("`container`", "needle", json!({"container": "needle"})),
        probe("`stream`", "", json!({"stream": true})),
        probe("a field of tomorrow", "needle", json!({"tomorrow": "needle"})),
    ]
}

fn generate_content() -> Vec<Probe> {
    let talk = |contents: Value| json!({"contents": contents});
    let asks = |part: Value| json!({"contents": [{"role": "user", "parts": [part]}]});
    let says = |part: Value| json!({"contents": [{"role": "user", "parts": [{"text": "hello"}]}, {"role": "model", "parts": [part]}, {"role": "user", "parts": [{"text": "more"}]}]});
    let config = |config: Value| json!({"generationConfig": config});
    let google = json!({"type": "OBJECT", "properties": {"needle": {"type": "STRING", "nullable": true}}, "required": ["needle"]});
    let tool = |name: &str| json!({"name": name, "description": "d", "parameters": google});
    let with_tool = |calling: Value| json!({"tools": [{"functionDeclarations": [tool("f"), tool("g")]}], "toolConfig": {"functionCallingConfig": calling}});
    let call = json!({"role": "model", "parts": [{"functionCall": {"name": "f", "args": {"needle": 1}}}]});
    let user = json!({"role": "user", "parts": [{"text": "hello"}]});
    vec![
        probe("`systemInstruction`", "needle", json!({"systemInstruction": {"parts": [{"text": "needle"}]}})),
        probe("model last (prefill)", "needle", talk(json!([user, {"role": "model", "parts": [{"text": "needle"}]}]))),
        probe(
            "image, `inlineData`",
            "bmVlZGxl",
            asks(json!({"inlineData": {"mimeType": "image/png", "data": "bmVlZGxl"}})),
        ),
        probe(
            "image, `fileData` by HTTPS",
            "needle.png",
            asks(json!({"fileData": {"mimeType": "image/png", "fileUri": "https://example.com/needle.png"}})),
        ),
        probe(
            "`fileData`, an uploaded file",
            "needle",
            asks(
                json!({"fileData": {"mimeType": "image/png", "fileUri": "https://generativelanguage.googleapis.com/v1beta/files/needle"}}),
            ),
        ),
        probe(
            "PDF, `inlineData`",
            "bmVlZGxl",
            asks(json!({"inlineData": {"mimeType": "application/pdf", "data": "bmVlZGxl"}})),
        ),
        probe(
            "audio, `inlineData`",
            "bmVlZGxl",
            asks(json!({"inlineData": {"mimeType": "audio/wav", "data": "bmVlZGxl"}})),
        ),
        probe(
            "video, `inlineData`",
            "bmVlZGxl",
            asks(json!({"inlineData": {"mimeType": "video/mp4", "data": "bmVlZGxl"}})),
        ),
        probe(
            "`functionCall`, `functionResponse`",
            "needle",
            talk(
                json!([user, call, {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"output": "done"}}}]}]),
            ),
        ),
        probe("thought parts", "needle", says(json!({"text": "needle", "thought": true}))),
        probe("`thoughtSignature`", "bmVlZGxl", says(json!({"text": "a", "thoughtSignature": "bmVlZGxl"}))),
        probe(
            "`executableCode` in the history",
            "needle",
            says(json!({"executableCode": {"language": "PYTHON", "code": "needle"}})),
        ),
        probe(
            "`functionDeclarations`, `parameters`",
            "needle",
            json!({"tools": [{"functionDeclarations": [tool("f")]}]}),
        ),
        probe(
            "`parametersJsonSchema`",
            "needle",
            json!({"tools": [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": schema()}]}]}),
        ),
        probe("names over a limit", "", json!({"tools": [{"functionDeclarations": [tool("needle.name:with-signs")]}]})),
        probe("`googleSearch`, `codeExecution`, `urlContext`", "needle", json!({"tools": [{"googleSearch": {}}]})),
        probe("`toolConfig` `AUTO`", "", with_tool(json!({"mode": "AUTO"}))),
        probe("`toolConfig` `NONE`", "", with_tool(json!({"mode": "NONE"}))),
        probe("`toolConfig` `ANY`", "", with_tool(json!({"mode": "ANY"}))),
        probe("`allowedFunctionNames`", "", with_tool(json!({"mode": "ANY", "allowedFunctionNames": ["f"]}))),
        probe(
            "`responseSchema`",
            "needle",
            config(json!({"responseMimeType": "application/json", "responseSchema": google})),
        ),
        probe(
            "`responseJsonSchema`",
            "needle",
            config(json!({"responseMimeType": "application/json", "responseJsonSchema": schema()})),
        ),
        probe("`responseMimeType: application/json`", "json", config(json!({"responseMimeType": "application/json"}))),
        probe(
            "`responseMimeType: text/x.enum`",
            "needle",
            config(
                json!({"responseMimeType": "text/x.enum", "responseSchema": {"type": "STRING", "enum": ["needle", "x"]}}),
            ),
        ),
        probe("`responseModalities: IMAGE`", "image", config(json!({"responseModalities": ["TEXT", "IMAGE"]}))),
        probe("`thinkingBudget`", "7310", config(json!({"thinkingConfig": {"thinkingBudget": 7310}}))),
        probe("`thinkingLevel`", "\"low\"", config(json!({"thinkingConfig": {"thinkingLevel": "LOW"}}))),
        probe(
            "`includeThoughts`",
            "",
            config(json!({"thinkingConfig": {"thinkingBudget": 7310, "includeThoughts": true}})),
        ),
        probe("`temperature`", "0.731", config(json!({"temperature": 0.731}))),
        probe("`topP`", "0.731", config(json!({"topP": 0.731}))),
        probe("`topK`", "731", config(json!({"topK": 731}))),
        probe("`frequencyPenalty`", "0.731", config(json!({"frequencyPenalty": 0.731}))),
        probe("`presencePenalty`", "0.731", config(json!({"presencePenalty": 0.731}))),
        probe("`seed`", "731", config(json!({"seed": 731}))),
        probe("`stopSequences`", "\"needle\"", config(json!({"stopSequences": ["needle"]}))),
        probe("`maxOutputTokens`", "731", config(json!({"maxOutputTokens": 731}))),
        probe("`candidateCount`", "\"n\":3", config(json!({"candidateCount": 3}))),
        probe(
            "`responseLogprobs`, `logprobs`",
            "\"top_logprobs\":13",
            config(json!({"responseLogprobs": true, "logprobs": 13})),
        ),
        probe("`mediaResolution`", "LOW", config(json!({"mediaResolution": "MEDIA_RESOLUTION_LOW"}))),
        probe(
            "`speechConfig`",
            "needle",
            config(json!({"speechConfig": {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "needle"}}}})),
        ),
        probe(
            "`safetySettings`",
            "HARM",
            json!({"safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}]}),
        ),
        probe("`cachedContent`", "needle", json!({"cachedContent": "cachedContents/needle"})),
        probe("`labels`", "needle", json!({"labels": {"needle": "x"}})),
        probe("`serviceTier`", "flex", json!({"serviceTier": "flex"})),
        probe("`store`", "store", json!({"store": true})),
        probe("a field of tomorrow", "needle", json!({"tomorrow": "needle"})),
    ]
}
