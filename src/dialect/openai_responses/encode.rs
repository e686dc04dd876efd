//! Into Responses: a request for a provider, a whole answer for a caller.

mod answer;
mod foreign;
mod node;
mod own;
mod tools;

use std::borrow::Cow;

use serde_json::{Value, json};

use super::{DIALECT, wire};
use crate::dialect::adapt::{self, JsonTool};
use crate::dialect::{Adaptions, EncodedRequest, Object, ReasoningStyle, Target};
use crate::ir::{
    Budget, Effort, Losses, Message, Part, ReasoningAsk, Request, Sampling, ThinkingMode, Tool, Visibility,
};

pub(super) use answer::{head, response};
pub(super) use node::{
    Items, call_item, capsule_item, image_item, item_id, own_id, put_own, reasoning_item, text_part,
};

/// The least that OpenAI takes for `max_output_tokens`.
const OUTPUT_MIN: u64 = 16;
/// The service tiers that OpenAI knows.
const TIERS: [&str; 5] = ["auto", "default", "flex", "scale", "priority"];

/// Writes a request.
pub(super) fn request(request: &Request, target: &Target) -> EncodedRequest {
    if request.is_foreign_to(DIALECT) { foreign_request(request, target) } else { own_request(request, target) }
}

fn own_request(request: &Request, target: &Target) -> EncodedRequest {
    let mut losses = Losses::new();
    let note = |key: &str| request.carry.noted_as(DIALECT, key).cloned();
    let mut body = Object::new().with("model", target.model.as_str());
    let words = |message: &Message| message.parts.iter().filter_map(Part::as_text).collect::<String>();
    body.put_some("instructions", request.instructions.as_ref().map(words));
    body.put_some("input", own::input(request, target, &mut losses));
    let tools = tools::own(request);
    if !tools.is_empty() {
        body.put("tools", tools);
    }
    let mut name = |reference: &crate::ir::ToolRef| (reference.kind, reference.name.clone());
    body.put_some(
        "tool_choice",
        request.tool_choice.as_ref().and_then(|choice| wire::tool_choice_to(choice, &mut name)),
    );
    shared_parameters(&mut body, request, &request.sampling);
    body.put_some("frequency_penalty", request.sampling.frequency_penalty.clone());
    body.put_some("presence_penalty", request.sampling.presence_penalty.clone());
    body.put_some("max_output_tokens", request.max_output);
    body.put_some("stream", request.stream);
    body.put_some("service_tier", request.service_tier.clone());
    body.put_some("metadata", request.metadata.clone());
    body.put_some("store", request.store);
    if let Some(ask) = &request.reasoning {
        body.put("reasoning", own_reasoning(ask));
    }
    if let Some(rest) = note("text") {
        let mut text = Object::new()
            .with_some("format", request.output.as_ref().and_then(|output| wire::output_to(output, None)))
            .with_some("verbosity", request.verbosity.clone());
        if let Value::Object(rest) = &rest {
            text.put_defaults(rest);
        }
        body.put("text", text);
    }
    for key in ["include", "top_logprobs", "truncation", "background", "stream_options"] {
        body.put_some(key, note(key));
    }
    body.put_some("top_logprobs", request.logprobs.and_then(|ask| ask.top));
    body.put_carried(&request.carry, DIALECT);
    EncodedRequest { body: body.into(), losses, adaptions: Adaptions::default() }
}

fn own_reasoning(ask: &ReasoningAsk) -> Value {
    Object::new()
        .with_some("effort", ask.effort.as_ref().map(Effort::as_str))
        .with_some("summary", ask.visibility.as_ref().and_then(wire::visibility_to))
        .carrying(&ask.carry, DIALECT)
        .into()
}

/// All that is written in the same way, wherever the request came from.
fn shared_parameters(body: &mut Object, request: &Request, sampling: &Sampling) {
    body.put_some("parallel_tool_calls", request.parallel_tool_calls);
    body.put_some("temperature", sampling.temperature.clone());
    body.put_some("top_p", sampling.top_p.clone());
    adapt::openai::put_users(body, request, DIALECT);
    body.put_some("prompt_cache_key", request.prompt_cache_key.clone());
    body.put_some("prompt_cache_retention", request.prompt_cache_retention.clone());
}

fn foreign_request(request: &Request, target: &Target) -> EncodedRequest {
    let mut losses = Losses::new();
    let mut names = adapt::ToolNames::new(&target.can);
    let mut adaptions = Adaptions::default();
    adapt::refuse_what_is_beyond(request, target, &mut losses);
    let mut body = Object::new().with("model", target.model.as_str());
    let (instructions, mut items) = foreign::conversation(request, target, &mut names, &mut losses);
    // The word has to be in the input: instructions do not count.
    if adapt::openai::wants_the_word(request, None, &mut losses) {
        let content = json!([{"type": "input_text", "text": adapt::openai::JSON_PLEASE}]);
        items.insert(0, Object::typed("message").with("role", "developer").with("content", content).into());
    }
    body.put_some("instructions", instructions);
    body.put("input", items);
    let by_tool = JsonTool::for_form(request, target, &mut adaptions, &mut losses);
    let offered = tools::foreign(request, by_tool.as_ref(), target, &mut names, &mut losses);
    // OpenAI refuses a choice where there is nothing to choose from.
    if !offered.is_empty() {
        body.put("tools", offered);
        let mut name = |reference: &crate::ir::ToolRef| {
            let kind = if target.can.custom_tools { reference.kind } else { crate::ir::CallKind::Function };
            (kind, names.wire(&reference.name).into_owned())
        };
        let choice = by_tool.as_ref().map(|by_tool| &by_tool.choice).or(request.tool_choice.as_ref());
        body.put_some("tool_choice", choice.and_then(|choice| wire::tool_choice_to(choice, &mut name)));
    }
    let sampling = adapt::sampling(&request.sampling, &target.can, &mut losses);
    shared_parameters(&mut body, request, &sampling);
    body.put_some("max_output_tokens", max_output(request, target, &mut losses));
    // Stop sequences have no field here; the target says so, and the answer is cut.
    let stop = adapt::stop(request, &target.can, &mut adaptions, &mut losses);
    if !stop.is_empty() {
        adaptions.stop = stop.to_vec();
        losses.approximated("stop", "has no equivalent: the answer is cut after it was generated");
    }
    if request.stream == Some(true) {
        body.put("stream", true);
    }
    let thinks = think(&mut body, request, target, &mut losses);
    put_text(&mut body, request, &mut adaptions, &mut losses);
    put_include(&mut body, request, thinks);
    // Other dialects' callers do not know of answers that are kept.
    body.put("store", request.store.unwrap_or(false));
    put_labels(&mut body, request, &mut losses);
    report_the_rest(request, &sampling, &mut losses);
    adaptions.tool_names = names.into_adaptions().tool_names;
    for tool in request.tools.iter().filter(|_| !target.can.custom_tools) {
        if let Tool::Custom(tool) = tool {
            adaptions.custom_tools.push(tool.name.clone());
        }
    }
    EncodedRequest { body: body.into(), losses, adaptions }
}

fn max_output(request: &Request, target: &Target, losses: &mut Losses) -> Option<u64> {
    let most = adapt::max_output(request, &target.can, losses)?;
    if most < OUTPUT_MIN {
        losses.approximated("max_tokens", format!("is at least {OUTPUT_MIN} for this model, not {most}"));
    }
    Some(most.max(OUTPUT_MIN))
}

/// Writes `reasoning`. Says whether the model thinks at all.
fn think(body: &mut Object, request: &Request, target: &Target, losses: &mut Losses) -> bool {
    let levels: &[Effort] = match &target.can.reasoning {
        ReasoningStyle::None => {
            let asks = request.reasoning.as_ref().is_some_and(|ask| {
                !ask.is_off() && (ask.effort.is_some() || ask.budget.is_some() || ask.mode.is_some())
            });
            if asks {
                losses.ignored("reasoning", DIALECT);
            } else if let Some(ask) = &request.reasoning {
                adapt::lose_visibility(ask, DIALECT, losses);
            }
            return false;
        }
        ReasoningStyle::Effort { levels } | ReasoningStyle::Adaptive { levels, .. } => levels,
        ReasoningStyle::Budget { .. } => &[],
    };
    let Some(ask) = &request.reasoning else { return true };
    let mut object = Object::new();
    if let Some(effort) = ask.as_effort() {
        let nearest = adapt::nearest_effort(&effort, levels);
        if nearest != effort {
            let reason = format!("is {} for this model, not {}", nearest.as_str(), effort.as_str());
            losses.approximated("reasoning", reason);
        }
        object.put("effort", nearest.as_str());
    }
    object.put_some("summary", summary(ask));
    losses.report_carry(&ask.carry, DIALECT, "reasoning.", &[]);
    if !object.is_empty() {
        body.put("reasoning", object);
    }
    true
}

/// How thoughts are to be shown. Who asks in Anthropic's words for thinking, and says no more, wants to see it.
fn summary(ask: &ReasoningAsk) -> Option<&'static str> {
    if ask.is_off() {
        return None;
    }
    match (&ask.visibility, ask.mode, ask.budget) {
        (Some(visibility), ..) => wire::visibility_to(visibility),
        (None, Some(ThinkingMode::On | ThinkingMode::Adaptive), _) => wire::visibility_to(&Visibility::Auto),
        (None, _, Some(Budget::Tokens(_) | Budget::Dynamic)) | (None, Some(ThinkingMode::Off) | None, None) => None,
    }
}

fn put_text(body: &mut Object, request: &Request, adaptions: &mut Adaptions, losses: &mut Losses) {
    let mut text = Object::new();
    if let Some(output) = &request.output {
        let by_tool = adaptions.json_tool.is_some();
        let form =
            if by_tool { Cow::Borrowed(output) } else { adapt::openai::form(output, request, adaptions, losses) };
        match wire::output_to(&form, Some("response")) {
            Some(_) if by_tool => {}
            Some(format) => text.put("format", format),
            None => losses.refused("response_format", format!("has a form that does not exist in {DIALECT}")),
        }
        losses.report_carry(&output.carry, DIALECT, "", &["type"]);
    }
    text.put_some("verbosity", request.verbosity.clone());
    if !text.is_empty() {
        body.put("text", text);
    }
}

fn put_include(body: &mut Object, request: &Request, thinks: bool) {
    let mut include = Vec::new();
    if thinks {
        include.push(wire::INCLUDE_THOUGHTS);
    }
    if let Some(ask) = request.logprobs.filter(|ask| ask.enabled != Some(false)) {
        include.push(wire::INCLUDE_LOGPROBS);
        body.put_some("top_logprobs", ask.top);
    }
    if !include.is_empty() {
        body.put("include", json!(include));
    }
}

fn put_labels(body: &mut Object, request: &Request, losses: &mut Losses) {
    body.put_some("metadata", adapt::labels(request, DIALECT, losses));
    match request.service_tier.as_deref() {
        // Anthropic's word for it.
        Some("standard_only" | "standard") => body.put("service_tier", "default"),
        Some(tier) if TIERS.contains(&tier) => body.put("service_tier", tier),
        Some(_) => losses.ignored("service_tier", DIALECT),
        None => {}
    }
}

/// What Responses has no place for.
fn report_the_rest(request: &Request, sampling: &Sampling, losses: &mut Losses) {
    let not_zero =
        |number: &Option<serde_json::Number>| number.as_ref().is_some_and(|number| number.as_f64() != Some(0.0));
    let said = [
        ("frequency_penalty", not_zero(&sampling.frequency_penalty)),
        ("presence_penalty", not_zero(&sampling.presence_penalty)),
        ("top_k", sampling.top_k.is_some()),
        ("seed", sampling.seed.is_some()),
        ("logit_bias", sampling.logit_bias.as_ref().is_some_and(|bias| !bias.is_empty())),
    ];
    for (name, _) in said.into_iter().filter(|(_, said)| *said) {
        losses.ignored(name, DIALECT);
    }
    if let Some(count) = request.candidates.filter(|count| *count > 1) {
        losses.refused("n", format!("asks for {count} answers, and {DIALECT} gives one"));
    }
    if let Some(other) = request.modalities.iter().find(|modality| *modality != "text") {
        losses.refused("modalities", format!("asks for {other}, and {DIALECT} gives text only"));
    }
    losses.report_carry(&request.carry, DIALECT, "", &[]);
}
