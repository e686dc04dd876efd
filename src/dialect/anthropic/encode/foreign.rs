//! A request of another dialect.

use serde_json::{Value, json};

use super::{messages, schema, thinking};
use crate::dialect::adapt::{self, JsonTool};
use crate::dialect::anthropic::{DIALECT, wire};
use crate::dialect::{Adaptions, EncodedRequest, Object, StructuredOutput, Target};
use crate::ir::{
    CustomTool, Effort, FunctionTool, Losses, OutputFormat, Request, Severity, Tool, ToolChoice, ToolMode,
};

/// The longest `metadata.user_id`, in characters (Anthropic's reference).
const USER_ID_MAX: usize = 256;

/// Writes a request.
pub(super) fn request(request: &Request, target: &Target) -> EncodedRequest {
    let mut losses = Losses::new();
    let mut names = adapt::ToolNames::new(&target.can);
    let mut adaptions = Adaptions::default();
    adapt::refuse_what_is_beyond(request, target, &mut losses);
    let mut conversation = messages::write(request, target, &mut names, &mut losses);
    let mut offer = Offer::of(request, target, &mut names, &mut adaptions, &mut losses);
    let format = output(request, target, &mut offer, &mut adaptions, &mut losses);
    conversation.obstacles.forced_tool = offer.is_forced();
    let plan = thinking::plan(request, &target.can, conversation.obstacles, &mut losses);

    let mut body = Object::new().with("model", target.model.as_str()).with("max_tokens", plan.max_tokens);
    body.put_some("system", conversation.system);
    body.put("messages", conversation.messages);
    offer.put(&mut body, request, &mut names);
    body.put_some("thinking", plan.config);
    let config =
        Object::new().with_some("effort", plan.effort.as_ref().map(Effort::as_str)).with_some("format", format);
    if !config.is_empty() {
        body.put("output_config", config);
    }
    let mut sampling = adapt::sampling(&request.sampling, &target.can, &mut losses);
    if plan.thinks {
        thinking::limit_sampling(&mut sampling, &mut losses);
    }
    body.put_some("temperature", sampling.temperature);
    body.put_some("top_p", sampling.top_p);
    body.put_some("top_k", sampling.top_k);
    put_stop(&mut body, request, target, &mut adaptions, &mut losses);
    if request.stream == Some(true) {
        body.put("stream", true);
    }
    put_user(&mut body, request, &mut losses);
    body.put_some("service_tier", tier(request, &mut losses));
    report_the_rest(request, &mut losses);
    adaptions.tool_names = names.into_adaptions().tool_names;
    EncodedRequest { body: body.into(), losses, adaptions }
}

/// The tools, and which must be used.
struct Offer {
    tools: Vec<Value>,
    choice: Option<ToolChoice>,
}

impl Offer {
    fn of(
        request: &Request,
        target: &Target,
        names: &mut adapt::ToolNames,
        adaptions: &mut Adaptions,
        losses: &mut Losses,
    ) -> Self {
        let allowed = match request.tool_choice.as_ref().map(|choice| &choice.mode) {
            Some(ToolMode::Allowed { tools, .. }) => Some(adapt::allowed_names(tools)),
            Some(ToolMode::Auto | ToolMode::None | ToolMode::Required | ToolMode::Named(_) | ToolMode::Provider(_))
            | None => None,
        };
        if allowed.is_some() {
            losses.approximated("tool_choice", "allows some of the tools: only those are sent");
        }
        let mut tools = Vec::with_capacity(request.tools.len());
        for (index, tool) in request.tools.iter().enumerate() {
            if allowed.as_ref().is_some_and(|allowed| !allowed.contains(tool.name())) {
                continue;
            }
            match tool {
                Tool::Function(tool) => tools.push(function(tool, index, target, names, losses)),
                Tool::Custom(tool) => {
                    adaptions.custom_tools.push(tool.name.clone());
                    tools.push(custom(tool, index, target, names, losses));
                }
                Tool::Provider(_) => {}
            }
        }
        // Anthropic refuses a choice where there is nothing to choose from.
        let choice = request.tool_choice.clone().filter(|_| !tools.is_empty());
        Self { tools, choice }
    }

    fn is_forced(&self) -> bool {
        use crate::ir::AllowedMode;
        match self.choice.as_ref().map(|choice| &choice.mode) {
            Some(ToolMode::Required | ToolMode::Named(_) | ToolMode::Allowed { mode: AllowedMode::Required, .. }) => {
                true
            }
            Some(
                ToolMode::Auto
                | ToolMode::None
                | ToolMode::Allowed { mode: AllowedMode::Auto, .. }
                | ToolMode::Provider(_),
            )
            | None => false,
        }
    }

    fn put(self, body: &mut Object, request: &Request, names: &mut adapt::ToolNames) {
        if self.tools.is_empty() {
            return;
        }
        body.put("tools", self.tools);
        // Several calls at once are what Anthropic does when nothing is said.
        let parallel = request.parallel_tool_calls.filter(|parallel| !parallel);
        let choice = match self.choice {
            None if parallel.is_some() => Some(ToolChoice::new(ToolMode::Auto)),
            other => other,
        };
        if let Some(choice) = choice {
            let parallel = parallel.filter(|_| choice.mode != ToolMode::None);
            let mut name = |name: &str| names.wire(name).into_owned();
            body.put_some("tool_choice", wire::tool_choice_to(&choice, parallel, &mut name));
        }
    }
}

fn custom(
    tool: &CustomTool,
    index: usize,
    target: &Target,
    names: &mut adapt::ToolNames,
    losses: &mut Losses,
) -> Value {
    function(&adapt::custom_as_function(tool), index, target, names, losses)
}

fn function(
    tool: &FunctionTool,
    index: usize,
    target: &Target,
    names: &mut adapt::ToolNames,
    losses: &mut Losses,
) -> Value {
    let strict = tool.strict == Some(true);
    let by_schema = tool.parameters.as_ref().filter(|_| strict).and_then(schema::strict);
    let is_strict = by_schema.is_some() && target.can.structured_output == StructuredOutput::Native;
    if strict && !is_strict && tool.parameters.is_some() {
        losses.approximated(format!("tools[{index}].strict"), "cannot be held by this model for such a schema");
    }
    let adapted = by_schema.filter(|_| is_strict).unwrap_or_else(|| schema::plain(tool.parameters.as_ref()));
    if adapted.changed {
        let reason = "has keywords that Anthropic does not take: they are said in its description";
        losses.approximated(format!("tools[{index}].parameters"), reason);
    }
    if let Some(key) = schema::strange_key(&adapted.schema) {
        let reason = refusal_of(key, &tool.name);
        losses.refused(format!("tools[{index}].parameters"), reason);
    }
    losses.report_carry(&tool.carry, DIALECT, format_args!("tools[{index}]."), &["type"]);
    Object::new()
        .with("name", names.wire(&tool.name).into_owned())
        .with_some("description", tool.description.clone())
        .with("input_schema", adapted.schema)
        .with_some("strict", is_strict.then_some(true))
        .with_some("cache_control", tool.cache.as_ref().map(wire::cache_to))
        .into()
}

/// Why a tool cannot be sent: Anthropic would refuse the whole request, and name neither.
fn refusal_of(key: &str, tool: &str) -> String {
    format!(
        "has the property {key:?} in tool {tool}, which {DIALECT} does not take: name it with 1 to 64 letters, digits, \".\", \
         \"_\" or \"-\""
    )
}

/// The answer's form: `output_config.format` where the model has it, else a tool that it must call.
fn output(
    request: &Request,
    target: &Target,
    offer: &mut Offer,
    adaptions: &mut Adaptions,
    losses: &mut Losses,
) -> Option<Value> {
    let output = request.output.as_ref()?;
    losses.report_carry(&output.carry, DIALECT, "", &["type"]);
    if let OutputFormat::JsonSchema { schema: Some(schema), .. } = &output.format
        && target.can.structured_output == StructuredOutput::Native
        && let Some(adapted) = schema::strict(schema)
    {
        if adapted.changed {
            let reason = "has keywords that Anthropic does not take: they are said in descriptions";
            losses.approximated("response_format", reason);
        }
        return Some(json!({"type": "json_schema", "schema": adapted.schema}));
    }
    let JsonTool { tool, choice } = JsonTool::of(request, target, adaptions, losses)?;
    let input = schema::plain(tool.parameters.as_ref()).schema;
    if let Some(key) = schema::strange_key(&input) {
        losses.refused("response_format", refusal_of(key, &tool.name));
    }
    offer.tools.push(json!({"name": tool.name, "description": tool.description, "input_schema": input}));
    offer.choice = Some(choice);
    None
}

/// Stop sequences. Anthropic refuses blank ones: those are looked for here.
fn put_stop(body: &mut Object, request: &Request, target: &Target, adaptions: &mut Adaptions, losses: &mut Losses) {
    let asked = adapt::stop(request, &target.can, adaptions, losses);
    let (blank, words): (Vec<String>, Vec<String>) =
        asked.iter().filter(|stop| !stop.is_empty()).cloned().partition(|stop| stop.trim().is_empty());
    if !blank.is_empty() {
        losses.approximated("stop", "holds white space only: the answer is cut there after it was generated");
        // A few different ones at most: white space that repeats itself is found by its shortest.
        adaptions.stop.extend(blank.into_iter().take(8));
    }
    if !words.is_empty() {
        body.put("stop_sequences", words);
    }
}

fn put_user(body: &mut Object, request: &Request, losses: &mut Losses) {
    let (field, user) = match (&request.user, &request.safety_identifier) {
        (Some(user), other) => {
            if other.is_some() {
                losses.ignored("safety_identifier", DIALECT);
            }
            ("user", user)
        }
        (None, Some(user)) => ("safety_identifier", user),
        (None, None) => return,
    };
    if user.chars().count() > USER_ID_MAX {
        losses.add(Severity::Ignored, field, format!("is longer than {USER_ID_MAX} characters"));
        return;
    }
    body.put("metadata", json!({"user_id": user}));
}

fn tier(request: &Request, losses: &mut Losses) -> Option<&'static str> {
    match request.service_tier.as_deref()? {
        "auto" => Some("auto"),
        "default" | "standard" | "standard_only" => Some("standard_only"),
        "priority" => {
            losses.approximated("service_tier", "is auto at Anthropic, which uses priority where there is any");
            Some("auto")
        }
        _ => {
            losses.ignored("service_tier", DIALECT);
            None
        }
    }
}

/// What Messages has no place for.
fn report_the_rest(request: &Request, losses: &mut Losses) {
    let sampling = &request.sampling;
    let said = [
        ("frequency_penalty", sampling.frequency_penalty.as_ref().is_some_and(|number| number.as_f64() != Some(0.0))),
        ("presence_penalty", sampling.presence_penalty.as_ref().is_some_and(|number| number.as_f64() != Some(0.0))),
        ("seed", sampling.seed.is_some()),
        ("logit_bias", sampling.logit_bias.as_ref().is_some_and(|bias| !bias.is_empty())),
        ("logprobs", request.logprobs.is_some_and(|ask| ask.enabled != Some(false))),
        ("verbosity", request.verbosity.is_some()),
        ("prompt_cache_key", request.prompt_cache_key.is_some()),
        ("prompt_cache_retention", request.prompt_cache_retention.is_some()),
        ("metadata", request.metadata.as_ref().is_some_and(|metadata| !metadata.is_empty())),
        ("store", request.store == Some(true)),
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
    if let Some(ask) = &request.reasoning {
        losses.report_carry(&ask.carry, DIALECT, "reasoning.", &[]);
    }
    losses.report_carry(&request.carry, DIALECT, "", &[]);
}
