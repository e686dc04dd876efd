//! How a Claude model is told to think, and how many tokens that leaves for the answer.
//!
//! Older models take a budget, which must stay under `max_tokens`, goes with no forced tool, no prefill and little
//! sampling, and in a tool loop wants the turn's first thoughts back. Newer ones think adaptively and take a word; the
//! newest do so beside a forced tool, too.

use serde_json::{Number, Value};

use crate::dialect::anthropic::{DIALECT, wire};
use crate::dialect::{Capabilities, Object, Off, ReasoningStyle, adapt};
use crate::ir::{Budget, Effort, Losses, ReasoningAsk, Request, Sampling, Severity, Visibility};

/// Why a model that must call a tool does not think.
const FORCED: &str = "cannot go together with a tool that must be called";

/// What of a conversation keeps a model from thinking by a budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Obstacles {
    /// A tool must be called.
    pub(super) forced_tool: bool,
    /// The answer continues a message.
    pub(super) prefill: bool,
    /// The thoughts that began the current tool loop are gone.
    pub(super) lost_thoughts: bool,
}

/// What to send.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Thinking {
    /// `thinking`.
    pub(super) config: Option<Value>,
    /// `output_config.effort`.
    pub(super) effort: Option<Effort>,
    /// `max_tokens`.
    pub(super) max_tokens: u64,
    /// It is told to think, which limits sampling.
    pub(super) thinks: bool,
}

impl Obstacles {
    fn reason(self) -> Option<&'static str> {
        if self.forced_tool {
            Some(FORCED)
        } else if self.prefill {
            Some("cannot go together with an answer that continues a message")
        } else if self.lost_thoughts {
            Some("cannot go on in the middle of a tool loop without the thoughts that began it")
        } else {
            None
        }
    }
}

/// Decides it.
pub(super) fn plan(request: &Request, can: &Capabilities, obstacles: Obstacles, losses: &mut Losses) -> Thinking {
    let asked_tokens = adapt::max_output(request, can, losses);
    let clamp = |tokens: u64| can.max_output.map_or(tokens, |most| tokens.min(most));
    let mut plan = Thinking {
        config: None,
        effort: None,
        max_tokens: asked_tokens.unwrap_or_else(|| clamp(can.default_output)),
        thinks: false,
    };
    let Some(ask) = &request.reasoning else { return plan };
    let wants = !ask.is_off() && (ask.mode.is_some() || ask.effort.is_some() || ask.budget.is_some());
    match &can.reasoning {
        ReasoningStyle::None => {
            if wants {
                losses.ignored("reasoning", DIALECT);
            }
        }
        ReasoningStyle::Effort { levels } => plan.effort = effort(ask, levels, losses).filter(|_| wants),
        ReasoningStyle::Adaptive { levels, off } => {
            if wants && obstacles.forced_tool && !can.forced_tools_beside_thoughts {
                losses.add(Severity::Ignored, "reasoning", FORCED);
                plan.effort = effort(ask, levels, losses);
            } else if wants {
                plan.config = Some(config("adaptive", ask));
                plan.thinks = true;
                plan.effort = effort(ask, levels, losses);
            } else if ask.is_off() {
                match off {
                    Off::Said => plan.config = Some(Object::typed("disabled").into()),
                    Off::Omitted => {}
                    Off::Never => {
                        losses.approximated(
                            "reasoning",
                            "cannot be switched off for this model: it is told to think least",
                        );
                        plan.effort = levels.first().cloned();
                    }
                }
            }
        }
        ReasoningStyle::Budget { min, max, off } => {
            let always = ask.is_off() && *off == Off::Never;
            if always {
                losses.approximated("reasoning", "cannot be switched off for this model: it is told to think least");
            } else if ask.is_off() && *off == Off::Said {
                plan.config = Some(Object::typed("disabled").into());
            }
            if wants || always {
                let explicit = asked_tokens.is_some();
                if let Some(reason) = obstacles.reason() {
                    losses.add(Severity::Ignored, "reasoning", reason);
                } else if let Some(tokens) = budget(ask, *min, *max, &mut plan, explicit, can, losses) {
                    plan.config = Some(config_with_budget(ask, tokens));
                    plan.thinks = true;
                }
            }
        }
    }
    // Nothing is shown where nothing is thought.
    let shown = ask.visibility.as_ref().is_some_and(|shown| *shown != Visibility::Hidden);
    if shown && !wants && !ask.is_off() {
        losses.ignored("reasoning.summary", DIALECT);
    }
    plan
}

fn config(kind: &str, ask: &ReasoningAsk) -> Value {
    Object::typed(kind).with_some("display", wire::display_to(ask.visibility.as_ref())).into()
}

fn config_with_budget(ask: &ReasoningAsk, tokens: u64) -> Value {
    let object = Object::typed("enabled").with("budget_tokens", tokens);
    object.with_some("display", wire::display_to(ask.visibility.as_ref())).into()
}

fn effort(ask: &ReasoningAsk, levels: &[Effort], losses: &mut Losses) -> Option<Effort> {
    let asked = ask.as_effort()?;
    let nearest = adapt::nearest_effort(&asked, levels);
    if ask.effort.is_none() {
        losses.approximated("reasoning", format!("is an effort for this model, not a budget: {}", nearest.as_str()));
    } else if nearest != asked {
        losses.approximated("reasoning", format!("is {} for this model, not {}", nearest.as_str(), asked.as_str()));
    }
    Some(nearest)
}

/// The budget, made to fit between what the model takes and `max_tokens`, which grows if the caller did not say it.
fn budget(
    ask: &ReasoningAsk,
    min: u64,
    max: u64,
    plan: &mut Thinking,
    explicit: bool,
    can: &Capabilities,
    losses: &mut Losses,
) -> Option<u64> {
    let asked = match ask.as_budget() {
        Some(Budget::Tokens(tokens)) => tokens,
        Some(Budget::Dynamic) | None => Effort::Medium.tokens(),
    };
    let mut tokens = asked.clamp(min, max.max(min));
    if !explicit {
        let whole = tokens.saturating_add(can.default_output);
        plan.max_tokens = can.max_output.map_or(whole, |most| whole.min(most));
    }
    if tokens >= plan.max_tokens {
        // A quarter is left for the answer.
        tokens = plan.max_tokens - plan.max_tokens / 4;
        if tokens < min || tokens >= plan.max_tokens {
            let reason = format!("takes at least {min} tokens, which max_tokens does not leave");
            losses.add(Severity::Ignored, "reasoning", reason);
            return None;
        }
    }
    let was_said = matches!(ask.budget, Some(Budget::Tokens(said)) if said > 0) || ask.effort.is_some();
    if was_said && tokens != asked {
        losses.approximated("reasoning", format!("is a budget of {tokens} tokens here, not {asked}"));
    }
    Some(tokens)
}

/// Takes away the sampling parameters that do not go together with thinking.
pub(super) fn limit_sampling(sampling: &mut Sampling, losses: &mut Losses) {
    let at_least = |number: &Number, least: f64| number.as_f64().is_some_and(|number| number >= least);
    let mut lose = |name: &str| losses.add(Severity::Ignored, name, "cannot be set while this model thinks");
    if sampling.temperature.as_ref().is_some_and(|temperature| temperature.as_f64() != Some(1.0)) {
        sampling.temperature = None;
        lose("temperature");
    }
    if sampling.top_p.as_ref().is_some_and(|top_p| !at_least(top_p, 0.95)) {
        sampling.top_p = None;
        lose("top_p");
    }
    if sampling.top_k.take().is_some() {
        lose("top_k");
    }
}

/// Whether a model that thinks by a budget would miss thoughts: the conversation ends in results of tools, and the turn that
/// began this loop did not begin with thoughts. Later steps of a loop have none of their own. (Anthropic refuses a loop without in the
/// words "a final `assistant` message must start with a thinking block (preceeding the lastmost set of `tool_use` and `tool_result`
/// blocks)", and names the first turn of the loop: mastra-ai/mastra#7799.)
pub(super) fn needs_thoughts(messages: &[Value]) -> bool {
    let has_results = |message: &Value| {
        let blocks = message["content"].as_array().map(Vec::as_slice).unwrap_or_default();
        blocks.iter().any(|block| block["type"] == "tool_result")
    };
    let thinks_first = |message: &Value| {
        let kind = message["content"][0]["type"].as_str().unwrap_or_default();
        matches!(kind, "thinking" | "redacted_thinking")
    };
    let mut messages = messages.iter().rev().filter(|message| message["role"] != "system").peekable();
    let mut beginning = None;
    loop {
        let mut goes_on = false;
        while let Some(message) = messages.next_if(|message| message["role"] == "user") {
            goes_on |= has_results(message);
        }
        if !goes_on {
            break;
        }
        while let Some(message) = messages.next_if(|message| message["role"] == "assistant") {
            beginning = Some(message);
        }
    }
    beginning.is_some_and(|message| !thinks_first(message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::Dialect;

    fn request(ask: ReasoningAsk, max_output: Option<u64>) -> Request {
        Request { reasoning: Some(ask), max_output, ..Request::default() }
    }

    fn tokens(tokens: u64) -> ReasoningAsk {
        ReasoningAsk { budget: Some(Budget::Tokens(tokens)), ..ReasoningAsk::default() }
    }

    fn can(reasoning: ReasoningStyle) -> Capabilities {
        Capabilities { reasoning, max_output: Some(32_000), ..Capabilities::unlimited(Dialect::Anthropic) }
    }

    fn by_budget(off: Off) -> Capabilities {
        can(ReasoningStyle::Budget { min: 1_024, max: 31_999, off })
    }

    #[test]
    fn a_budget_stays_under_the_most_tokens_and_leaves_room_for_an_answer() {
        let cases = [
            (tokens(2_000), None, Some(2_000), 10_192),
            (tokens(30_000), None, Some(30_000), 32_000),
            (tokens(64_000), None, Some(31_999), 32_000),
            (tokens(10_000), Some(8_000), Some(6_000), 8_000),
            (tokens(10_000), Some(1_000), None, 1_000),
            (tokens(100), Some(9_000), Some(1_024), 9_000),
        ];
        for (ask, max_output, budget, max_tokens) in cases {
            let mut losses = Losses::new();
            let plan =
                plan(&request(ask.clone(), max_output), &by_budget(Off::Omitted), Obstacles::default(), &mut losses);
            let sent = plan.config.as_ref().and_then(|config| config["budget_tokens"].as_u64());
            assert_eq!((sent, plan.max_tokens), (budget, max_tokens), "{ask:?} {max_output:?}");
            assert_eq!(losses.is_empty(), ask.budget == budget.map(Budget::Tokens));
        }
    }

    #[test]
    fn newer_models_think_adaptively_and_take_the_nearest_word() {
        let levels = vec![Effort::Low, Effort::High];
        let mut can = can(ReasoningStyle::Adaptive { levels, off: Off::Said });
        can.forced_tools_beside_thoughts = true;
        let ask = ReasoningAsk { effort: Some(Effort::Max), ..ReasoningAsk::default() };
        let mut losses = Losses::new();
        let told =
            plan(&request(ask, None), &can, Obstacles { forced_tool: true, ..Obstacles::default() }, &mut losses);
        assert_eq!(told.config, Some(serde_json::json!({"type": "adaptive"})));
        assert_eq!(told.effort, Some(Effort::High));
        assert_eq!(losses.header().as_deref(), Some("reasoning"));
        can.forced_tools_beside_thoughts = false;
        let ask = ReasoningAsk { effort: Some(Effort::High), ..ReasoningAsk::default() };
        let forced = Obstacles { forced_tool: true, ..Obstacles::default() };
        let (mut losses, asked) = (Losses::new(), request(ask, None));
        let told = plan(&asked, &can, forced, &mut losses);
        assert_eq!((told.config, told.thinks, told.effort), (None, false, Some(Effort::High)));
        assert_eq!(losses.header().as_deref(), Some("reasoning"));
        let off = plan(&request(tokens(0), None), &can, Obstacles::default(), &mut Losses::new());
        assert_eq!(off.config, Some(serde_json::json!({"type": "disabled"})));
    }

    #[test]
    fn thinking_by_a_budget_gives_way_to_what_it_cannot_go_with() {
        for obstacles in [
            Obstacles { forced_tool: true, ..Obstacles::default() },
            Obstacles { prefill: true, ..Obstacles::default() },
            Obstacles { lost_thoughts: true, ..Obstacles::default() },
        ] {
            let mut losses = Losses::new();
            let plan = plan(&request(tokens(2_000), None), &by_budget(Off::Said), obstacles, &mut losses);
            assert_eq!((plan.config, losses.header().as_deref()), (None, Some("reasoning")));
        }
    }

    #[test]
    fn the_turn_that_began_a_tool_loop_is_the_one_that_needs_its_thoughts() {
        let of = |role: &str, kinds: &[&str]| {
            let blocks: Vec<Value> = kinds.iter().map(|kind| serde_json::json!({"type": kind})).collect();
            serde_json::json!({"role": role, "content": blocks})
        };
        let user = || serde_json::json!({"role": "user", "content": "hi"});
        let thinks = || of("assistant", &["thinking", "tool_use"]);
        let calls = || of("assistant", &["tool_use"]);
        let results = || of("user", &["tool_result"]);
        for (messages, misses) in [
            (vec![user()], false),
            (vec![user(), thinks(), results()], false),
            (vec![user(), calls(), results()], true),
            (vec![user(), thinks(), results(), calls(), results()], false),
            (vec![user(), calls(), results(), thinks(), results()], true),
            (vec![user(), calls(), results(), of("assistant", &["text"]), user(), thinks(), results()], false),
            (vec![user(), thinks(), results(), of("assistant", &["text"]), user(), calls(), results()], true),
            // Words beside the results, in a message of their own or not, do not end the loop.
            (vec![user(), calls(), results(), user()], true),
            (vec![user(), calls(), of("user", &["tool_result", "text"])], true),
            (vec![user(), calls(), results(), of("assistant", &["text"])], false),
        ] {
            assert_eq!(needs_thoughts(&messages), misses, "{messages:?}");
        }
    }
}
