//! What the simulation says: the same to the same question, whichever wire format it came by.

use serde_json::{Value, json};

use super::directive::{Directives, Wanted};
use super::example;

/// A request, once its own wire format has been checked and taken off.
#[derive(Debug, Default)]
pub(super) struct Ask {
    pub(super) model: String,
    /// The last user turn's text, without directives.
    pub(super) prompt: String,
    pub(super) directives: Directives,
    /// What else the last turn held: `image/png, 68 bytes`.
    pub(super) attachments: Vec<String>,
    /// The texts of the tool results that the conversation ends with.
    pub(super) results: Vec<String>,
    /// How many rounds of tool calls there were since the last user turn.
    pub(super) rounds: usize,
    pub(super) tools: Vec<Tool>,
    pub(super) choice: Choice,
    pub(super) one_call_at_most: bool,
    pub(super) format: Format,
    pub(super) reasons: bool,
    pub(super) max_tokens: Option<u64>,
    pub(super) stops: Vec<String>,
    pub(super) input_tokens: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Tool {
    pub(super) name: String,
    /// Responses only: the group that it belongs to.
    pub(super) namespace: Option<String>,
    pub(super) input: ToolInput,
}

#[derive(Clone, Debug)]
pub(super) enum ToolInput {
    Schema(Value),
    Freeform,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Choice {
    #[default]
    Auto,
    None,
    Required,
    Named(String),
}

#[derive(Debug, Default)]
pub(super) enum Format {
    #[default]
    Text,
    Json,
    Schema(Value),
}

/// An answer, before it is put into a wire format.
#[derive(Clone, Debug)]
pub(super) struct Composed {
    pub(super) reasoning: Option<String>,
    pub(super) text: String,
    pub(super) calls: Vec<Called>,
    pub(super) finish: Finish,
    pub(super) usage: Usage,
}

#[derive(Clone, Debug)]
pub(super) struct Called {
    pub(super) name: String,
    pub(super) namespace: Option<String>,
    pub(super) input: Input,
}

#[derive(Clone, Debug)]
pub(super) enum Input {
    Json(Value),
    Text(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Finish {
    Stop,
    StopSequence(String),
    Length,
    Calls,
    Refusal,
    Safety,
    Blocked,
    /// As the prompt spelled it.
    Forced(String),
}

/// In tokens. The parts don't overlap, but for `cached`, which is a part of `input`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    pub(super) input: u64,
    pub(super) cached: u64,
    pub(super) reasoning: u64,
    /// Text and calls.
    pub(super) output: u64,
}

/// One token for every four characters begun.
pub(super) fn tokens(text: &str) -> u64 {
    u64::try_from(text.chars().count().div_ceil(CHARACTERS)).unwrap_or(u64::MAX)
}

const CHARACTERS: usize = 4;
/// What a model doesn't read.
const UNREAD: [&str; 9] = [
    "type",
    "role",
    "cache_control",
    "signature",
    "thoughtSignature",
    "encrypted_content",
    "tool_use_id",
    "tool_call_id",
    "call_id",
];
/// An image, a document, a sound: whatever its size.
const ATTACHMENT_TOKENS: u64 = 258;

/// The estimate for everything in a part of a request: its texts, and a fixed number for each piece of inline data.
pub(super) fn tokens_in(value: &Value) -> u64 {
    match value {
        Value::String(text) if text.starts_with("data:") => ATTACHMENT_TOKENS,
        Value::String(text) => tokens(text),
        Value::Array(items) => items.iter().map(tokens_in).sum(),
        Value::Object(fields) => fields
            .iter()
            .filter(|(name, _)| !UNREAD.contains(&name.as_str()))
            .map(|(name, value)| if name == "data" { ATTACHMENT_TOKENS } else { tokens_in(value) })
            .sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

/// A text in the pieces that a stream sends it in.
pub(super) fn pieces(text: &str) -> Vec<String> {
    const LONGEST: usize = 16;
    let mut pieces = Vec::new();
    for word in text.split_inclusive(' ') {
        let characters: Vec<char> = word.chars().collect();
        pieces.extend(characters.chunks(LONGEST).map(|piece| piece.iter().collect::<String>()));
    }
    pieces
}

/// The answer.
pub(super) fn compose(ask: &Ask) -> Composed {
    let reasoning = ask.reasons.then(|| {
        format!(
            "The request says {}. A simulation has nothing to think about, so the answer comes at once.",
            quoted(&ask.prompt)
        )
    });
    let mut answer =
        Composed { reasoning, text: String::new(), calls: calls(ask), finish: Finish::Stop, usage: Usage::default() };
    if ask.directives.block {
        (answer.calls, answer.reasoning, answer.finish) = (Vec::new(), None, Finish::Blocked);
    } else if ask.directives.refusal {
        (answer.calls, answer.finish) = (Vec::new(), Finish::Refusal);
        answer.text = "The sandbox was asked to refuse, so it can't help with that.".to_owned();
    } else if ask.directives.safety {
        (answer.calls, answer.finish) = (Vec::new(), Finish::Safety);
        answer.text = "The sandbox began to answer".to_owned();
    } else if answer.calls.is_empty() {
        answer.text = text(ask);
        limit(&mut answer, ask);
    } else {
        answer.finish = Finish::Calls;
        limit(&mut answer, ask);
    }
    if let Some(finish) = &ask.directives.finish {
        answer.finish = Finish::Forced(finish.clone());
    }
    answer.usage = usage(&answer, ask);
    answer
}

fn text(ask: &Ask) -> String {
    if let Some(say) = &ask.directives.say {
        return say.clone();
    }
    match &ask.format {
        Format::Schema(schema) => return example::of(schema).to_string(),
        Format::Json => return json!({"sandbox": "a simulated answer", "prompt": ask.prompt}).to_string(),
        Format::Text => {}
    }
    if let Some(words) = ask.directives.words {
        return (1..=words).map(|word| format!("word{word}")).collect::<Vec<_>>().join(" ");
    }
    let mut text = format!(
        "This is a simulated answer: no model was asked, the sandbox stands in for {}. You said {}.",
        ask.model,
        quoted(&ask.prompt)
    );
    if !ask.attachments.is_empty() {
        text += &format!(" With it came {}.", ask.attachments.join("; "));
    }
    if !ask.results.is_empty() {
        let results: Vec<_> = ask.results.iter().map(|result| quoted(result)).collect();
        text += &format!(" The tools answered {}.", results.join(" and "));
    }
    text
}

fn quoted(text: &str) -> String {
    const LONGEST: usize = 400;
    let start: String = text.chars().take(LONGEST).collect();
    let more = if start.len() < text.len() { "…" } else { "" };
    format!("\u{201c}{start}{more}\u{201d}")
}

fn calls(ask: &Ask) -> Vec<Called> {
    if ask.tools.is_empty() || ask.choice == Choice::None || ask.directives.text_only {
        return Vec::new();
    }
    let steps = ask.directives.steps.unwrap_or(1);
    // A forced choice is honoured on every turn, as the vendors do; else the loop ends after its steps.
    if ask.choice == Choice::Auto && ask.rounds >= steps {
        return Vec::new();
    }
    let mut calls = wanted(ask, steps);
    if ask.one_call_at_most {
        calls.truncate(1);
    }
    calls
}

fn wanted(ask: &Ask, steps: usize) -> Vec<Called> {
    if let Choice::Named(name) = &ask.choice {
        return ask.tools.iter().filter(|tool| &tool.name == name).map(|tool| call(tool, None, 0)).collect();
    }
    let listed = &ask.directives.calls;
    if !listed.is_empty() {
        // With several steps the listed calls are made one after the other, else all at once.
        let now: Vec<&Wanted> =
            if steps > 1 { listed.iter().skip(ask.rounds).take(1).collect() } else { listed.iter().collect() };
        let found = |wanted: &Wanted| {
            ask.tools.iter().find(|tool| tool.name == wanted.name).map(|tool| call(tool, wanted.input.clone(), 0))
        };
        return now.into_iter().filter_map(found).collect();
    }
    let parallel = if ask.prompt.contains("in parallel") { 2 } else { 1 };
    let count = ask.directives.parallel.unwrap_or(parallel);
    let mut ranked: Vec<&Tool> = ask.tools.iter().collect();
    ranked.sort_by_key(|tool| !ask.prompt.contains(&tool.name));
    (0..count).filter_map(|index| ranked.get(index % ranked.len()).map(|tool| call(tool, None, index))).collect()
}

fn call(tool: &Tool, input: Option<Value>, index: usize) -> Called {
    let input = match (&tool.input, input) {
        (ToolInput::Freeform, Some(Value::String(text))) => Input::Text(text),
        (ToolInput::Freeform, Some(other)) => Input::Text(other.to_string()),
        (ToolInput::Freeform, None) => Input::Text(format!("sandbox input {}", index + 1)),
        (ToolInput::Schema(schema), Some(text @ Value::String(_))) => Input::Json(first_field(schema, text)),
        (ToolInput::Schema(_), Some(value)) => Input::Json(value),
        (ToolInput::Schema(schema), None) => Input::Json(example::of_call(schema, index)),
    };
    Called { name: tool.name.clone(), namespace: tool.namespace.clone(), input }
}

/// No model calls a function with a text alone: it is taken for the first of the arguments.
fn first_field(schema: &Value, text: Value) -> Value {
    let name = schema.get("properties").and_then(Value::as_object).and_then(|fields| fields.keys().next());
    name.map_or_else(|| json!({}), |name| json!({name: text}))
}

fn limit(answer: &mut Composed, ask: &Ask) {
    let first_stop = ask
        .stops
        .iter()
        .filter_map(|stop| answer.text.find(stop.as_str()).map(|at| (at, stop)))
        .min_by_key(|(at, _)| *at);
    if let Some((at, stop)) = first_stop {
        answer.text.truncate(at);
        answer.finish = Finish::StopSequence(stop.clone());
    }
    let Some(most) = ask.max_tokens else { return };
    let left = most.saturating_sub(answer.reasoning.as_deref().map_or(0, tokens));
    let called: u64 = answer.calls.iter().map(called_tokens).sum();
    if tokens(&answer.text) + called <= left {
        return;
    }
    let characters = usize::try_from(left).unwrap_or(usize::MAX).saturating_mul(CHARACTERS);
    answer.text = answer.text.chars().take(characters).collect();
    answer.calls.clear();
    answer.finish = Finish::Length;
    if left == 0 {
        let characters = usize::try_from(most).unwrap_or(usize::MAX).saturating_mul(CHARACTERS);
        answer.reasoning = answer.reasoning.take().map(|reasoning| reasoning.chars().take(characters).collect());
    }
}

fn usage(answer: &Composed, ask: &Ask) -> Usage {
    Usage {
        input: ask.input_tokens,
        cached: ask.directives.cached.min(ask.input_tokens),
        reasoning: answer.reasoning.as_deref().map_or(0, tokens),
        output: tokens(&answer.text) + answer.calls.iter().map(called_tokens).sum::<u64>(),
    }
}

fn called_tokens(call: &Called) -> u64 {
    tokens(&call.name)
        + match &call.input {
            Input::Json(value) => tokens(&value.to_string()),
            Input::Text(text) => tokens(text),
        }
}
