//! `generationConfig`, and what stands beside it.

use serde_json::{Number, Value, json};

use super::{adapted, as_map};
use crate::dialect::gemini::schema::{Language, Order};
use crate::dialect::gemini::{DIALECT, wire};
use crate::dialect::{Adaptions, Object, Off, ReasoningStyle, Target, adapt};
use crate::ir::{
    Budget, Dialect, Effort, Losses, OutputFormat, ReasoningAsk, Request, Sampling, Severity, ThinkingMode, Visibility,
};

/// The log probabilities that Google gives a token at most.
const MOST_LOGPROBS: u64 = 20;

/// Writes `generationConfig` as it came in this dialect.
pub(super) fn own(request: &Request) -> Object {
    let mut config = Object::new();
    sampling(&request.sampling, &mut config);
    config.put_some("maxOutputTokens", request.max_output);
    config.put_some("candidateCount", request.candidates);
    if !request.stop.is_empty() {
        config.put("stopSequences", request.stop.clone());
    }
    if let Some(logprobs) = request.logprobs {
        config.put_some("responseLogprobs", logprobs.enabled);
        config.put_some("logprobs", logprobs.top);
    }
    match request.carry.noted_as(DIALECT, "modalities") {
        Some(said) => config.put("responseModalities", said.clone()),
        None => modalities(request, &mut config),
    }
    if let Some(output) = &request.output {
        wire::own_output_to(output, &mut config);
    }
    config.put_some("thinkingConfig", request.reasoning.as_ref().map(wire::own_thinking_to));
    if let Some(rest) = as_map(request.carry.field(DIALECT, "generationConfig")) {
        config.put_defaults(rest);
    }
    config
}

fn sampling(sampling: &Sampling, config: &mut Object) {
    config.put_some("temperature", sampling.temperature.clone());
    config.put_some("topP", sampling.top_p.clone());
    config.put_some("topK", sampling.top_k.clone());
    config.put_some("presencePenalty", sampling.presence_penalty.clone());
    config.put_some("frequencyPenalty", sampling.frequency_penalty.clone());
    config.put_some("seed", sampling.seed.clone());
}

fn modalities(request: &Request, config: &mut Object) {
    if !request.modalities.is_empty() {
        let words: Vec<String> = request.modalities.iter().map(|word| word.to_ascii_uppercase()).collect();
        config.put("responseModalities", words);
    }
}

/// Writes `generationConfig` for a request of another dialect, but for the form of the answer.
pub(super) fn foreign(request: &Request, target: &Target, adaptions: &mut Adaptions, losses: &mut Losses) -> Object {
    let can = &target.can;
    let mut config = Object::new();
    let mut asked = adapt::sampling(&request.sampling, can, losses);
    if !can.penalties {
        leave_out("frequency_penalty", &mut asked.frequency_penalty, losses);
        leave_out("presence_penalty", &mut asked.presence_penalty, losses);
    }
    if asked.logit_bias.is_some() {
        losses.ignored("logit_bias", DIALECT);
    }
    asked.seed = asked.seed.map(|seed| small_seed(seed, losses));
    sampling(&asked, &mut config);
    config.put_some("maxOutputTokens", adapt::max_output(request, can, losses));
    config.put_some("candidateCount", request.candidates.filter(|count| *count != 1));
    let stop = adapt::stop(request, can, adaptions, losses);
    if !stop.is_empty() {
        config.put("stopSequences", stop.to_vec());
    }
    let logprobs = request.logprobs.filter(|logprobs| logprobs.enabled != Some(false));
    if logprobs.is_some() && !can.logprobs {
        losses.add(Severity::Ignored, "logprobs", "are not given by this model");
    } else if let Some(logprobs) = logprobs {
        config.put("responseLogprobs", true);
        let top = logprobs.top.filter(|top| *top > 0);
        if top.is_some_and(|top| top > MOST_LOGPROBS) {
            losses.approximated("top_logprobs", format!("is at most {MOST_LOGPROBS} for this model"));
        }
        config.put_some("logprobs", top.map(|top| top.min(MOST_LOGPROBS)));
    }
    if request.modalities.iter().any(|word| word != "text") {
        modalities(request, &mut config);
    }
    thinking(request, target, &mut config, losses);
    config
}

/// A penalty that the model does not take. None at all is what 0 says.
fn leave_out(name: &str, penalty: &mut Option<Number>, losses: &mut Losses) {
    if penalty.take().is_some_and(|penalty| penalty.as_f64() != Some(0.0)) {
        losses.add(Severity::Ignored, name, "cannot be set for this model");
    }
}

/// Google's seeds have 32 bits.
fn small_seed(seed: Number, losses: &mut Losses) -> Number {
    if seed.as_i64().is_some_and(|seed| i32::try_from(seed).is_ok()) {
        return seed;
    }
    losses.approximated("seed", "has more than 32 bits: the lowest 31 are sent");
    let bits = seed.as_u64().or_else(|| seed.as_i64().map(i64::unsigned_abs)).unwrap_or(0);
    Number::from(bits & 0x7fff_ffff)
}

fn thinking(request: &Request, target: &Target, config: &mut Object, losses: &mut Losses) {
    let Some(ask) = &request.reasoning else { return };
    losses.report_carry(&ask.carry, DIALECT, "reasoning.", &["type", "generate_summary"]);
    let mut thinking = Object::new();
    match &target.can.reasoning {
        ReasoningStyle::None => {
            let effort = ask.as_effort();
            if !ask.is_off() && (effort.is_some() || ask.budget.is_some() || ask.mode.is_some()) {
                losses.ignored("reasoning", DIALECT);
            } else {
                adapt::lose_visibility(ask, DIALECT, losses);
            }
            return;
        }
        ReasoningStyle::Effort { levels } | ReasoningStyle::Adaptive { levels, .. } => {
            if let Some(effort) = ask.as_effort() {
                let known = [Effort::Minimal, Effort::Low, Effort::Medium, Effort::High];
                let levels = if levels.is_empty() { &known[..] } else { levels };
                let nearest = adapt::nearest_effort(&effort, levels);
                if nearest != effort {
                    let reason = format!("is {} for this model, not {}", nearest.as_str(), effort.as_str());
                    losses.approximated("reasoning", reason);
                }
                thinking.put("thinkingLevel", nearest.as_str().to_ascii_uppercase());
            }
        }
        ReasoningStyle::Budget { min, max, off } => {
            if let Some(tokens) = budget(ask, *min, *max, *off, losses) {
                thinking.put("thinkingBudget", tokens);
            }
        }
    }
    if shows_thoughts(ask, request.spoken_in) {
        thinking.put("includeThoughts", true);
    }
    if !thinking.is_empty() {
        config.put("thinkingConfig", thinking);
    }
}

fn budget(ask: &ReasoningAsk, min: u64, max: u64, off: Off, losses: &mut Losses) -> Option<Value> {
    if ask.is_off() {
        return match off {
            Off::Said => Some(json!(0)),
            Off::Omitted => None,
            Off::Never => {
                losses.approximated("reasoning", "cannot be switched off for this model: as little as it takes");
                Some(json!(min))
            }
        };
    }
    match ask.as_budget() {
        Some(Budget::Tokens(tokens)) => {
            let taken = tokens.clamp(min, max);
            if taken != tokens && ask.budget.is_some() {
                losses.approximated("reasoning", format!("is {taken} tokens for this model, not {tokens}"));
            }
            Some(json!(taken))
        }
        Some(Budget::Dynamic) => Some(json!(-1)),
        None => matches!(ask.mode, Some(ThinkingMode::On | ThinkingMode::Adaptive)).then(|| json!(-1)),
    }
}

/// Responses shows thoughts when it is asked to; callers of the others who ask for thinking see it.
fn shows_thoughts(ask: &ReasoningAsk, spoken_in: Option<Dialect>) -> bool {
    match ask.visibility {
        Some(Visibility::Hidden) => false,
        Some(Visibility::Auto | Visibility::Concise | Visibility::Detailed) => true,
        None => !ask.is_off() && spoken_in != Some(Dialect::OpenAiResponses),
    }
}

/// Writes the form of the answer.
pub(super) fn output(request: &Request, target: &Target, config: &mut Object, losses: &mut Losses) {
    let Some(output) = &request.output else { return };
    losses.report_carry(&output.carry, DIALECT, "", &["type"]);
    match &output.format {
        OutputFormat::Text => {}
        OutputFormat::JsonObject => config.put("responseMimeType", "application/json"),
        OutputFormat::JsonSchema { schema, .. } => {
            config.put("responseMimeType", "application/json");
            let Some(schema) = schema else { return };
            let adapted = adapted(schema, target, Order::Said, || "response_format".to_owned(), losses);
            let key = match adapted.language {
                Language::OpenApi => "responseSchema",
                Language::Json => "responseJsonSchema",
            };
            config.put_some(key, adapted.schema);
        }
        OutputFormat::Other(_) => {
            losses.refused("response_format", format!("has a form that does not exist in {DIALECT}"));
        }
    }
}

/// What stands beside `generationConfig`, and what has no place at all.
pub(super) fn beside(request: &Request, body: &mut Object, losses: &mut Losses) {
    match request.service_tier.as_deref() {
        None | Some("auto") => {}
        Some("default" | "standard" | "standard_only") => body.put("serviceTier", "standard"),
        Some(tier @ ("flex" | "priority")) => body.put("serviceTier", tier),
        Some(_) => losses.ignored("service_tier", DIALECT),
    }
    if request.parallel_tool_calls == Some(false) {
        losses.ignored("parallel_tool_calls", DIALECT);
    }
    let unsaid = [
        ("verbosity", request.verbosity.is_some()),
        ("user", request.user.is_some()),
        ("safety_identifier", request.safety_identifier.is_some()),
        ("prompt_cache_key", request.prompt_cache_key.is_some()),
        ("prompt_cache_retention", request.prompt_cache_retention.is_some()),
        ("metadata", request.metadata.as_ref().is_some_and(|metadata| !metadata.is_empty())),
        ("store", request.store == Some(true)),
    ];
    for (name, _) in unsaid.into_iter().filter(|(_, said)| *said) {
        losses.ignored(name, DIALECT);
    }
    losses.report_carry(&request.carry, DIALECT, "", &[]);
}
