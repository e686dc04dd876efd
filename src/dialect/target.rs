//! For whom an encoder writes: the provider's model of a request, or the caller of an answer.

use std::sync::Arc;

use indexmap::IndexMap;
use serde::Deserialize;

use super::{Delivery, Dialect};
use crate::ids::ModelId;
use crate::ir::{Effort, Origin, Request};

/// The model for which a request is written.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// How its provider is spoken to.
    pub dialect: Dialect,
    /// Whose model it is: seals of other origins are left out.
    pub origin: Origin,
    /// The model as its provider names it.
    pub model: ModelId,
    /// What it can do, from the catalog.
    pub can: Capabilities,
}

/// What a model can do and what it takes. The catalog's data; codecs never look at model names.
#[derive(Clone, Debug, PartialEq)]
pub struct Capabilities {
    /// It sees images.
    pub images: bool,
    /// It reads PDFs and other files.
    pub documents: bool,
    /// It hears.
    pub audio: bool,
    /// It watches films.
    pub video: bool,
    /// It calls tools.
    pub tools: bool,
    /// Its provider has freeform (custom) tools.
    pub custom_tools: bool,
    /// It takes system messages in the middle of a conversation. Otherwise they become user messages (reported).
    pub mid_conversation_system: bool,
    /// It continues an assistant message that stands last. Otherwise it answers it (reported).
    pub prefill: bool,
    /// How it gives JSON by a schema.
    pub structured_output: StructuredOutput,
    /// It gives JSON of any form when it is asked to (all of OpenAI's but the oldest). Otherwise the form is a tool.
    pub json_object: bool,
    /// Which JSON Schema it takes.
    pub schema: SchemaStyle,
    /// How it is told to think.
    pub reasoning: ReasoningStyle,
    /// It may think adaptively where it must call a tool (Claude since Opus 4.8). Otherwise it is not told to (reported).
    pub forced_tools_beside_thoughts: bool,
    /// Which sampling parameters it takes.
    pub sampler: Sampler,
    /// It takes penalties for what it repeats (Gemini before 2.5). Otherwise they are left out (reported).
    pub penalties: bool,
    /// It says how likely its tokens were (Gemini before 2.5). Otherwise it is not asked to (reported).
    pub logprobs: bool,
    /// The field for the most output tokens in chat.
    pub output_tokens: OutputTokensField,
    /// The most output tokens it gives; more is clamped (reported).
    pub max_output: Option<u64>,
    /// What to ask for where the provider demands a number and the caller said none.
    pub default_output: u64,
    /// How many stop sequences it takes. If the caller has more, none is sent and the answer is cut here
    /// ([`Adaptions::stop`]).
    pub stop_max: Option<usize>,
    /// The longest name of a tool, in bytes. Longer names are shortened, and restored in the answer.
    pub tool_name_max: usize,
    /// It wants a signature on the first call of each step (Gemini since 3).
    pub signed_calls: bool,
    /// It takes media inside of a tool's result (Gemini since 3). Otherwise they follow the results.
    pub media_in_results: bool,
    /// It gives JSON in a form while functions are on offer (Gemini since 3). Otherwise the form is one more function.
    pub json_beside_tools: bool,
}

/// How a model gives JSON by a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StructuredOutput {
    /// The dialect's own field.
    Native,
    /// By a tool that it is forced to call, undone in the answer ([`Adaptions::json_tool`]).
    ForcedTool,
}

/// Which JSON Schema a provider takes for tools and structured output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SchemaStyle {
    /// JSON Schema.
    JsonSchema,
    /// Gemini's subset of OpenAPI 3.0: unknown keywords are adapted or reported, never sent.
    OpenApiSubset,
}

/// How a model is told to think.
#[derive(Clone, Debug, PartialEq)]
pub enum ReasoningStyle {
    /// It does not think; asking for it is reported.
    None,
    /// In words. The nearest of these is sent; empty: any word is.
    Effort {
        /// The words it takes, from least to most.
        levels: Vec<Effort>,
    },
    /// In tokens (Anthropic's `budget_tokens`, Gemini's `thinkingBudget`).
    Budget {
        /// The least it takes when it thinks.
        min: u64,
        /// The most it takes.
        max: u64,
        /// How it is told not to think.
        off: Off,
    },
    /// Anthropic's newer models: `thinking: {"type": "adaptive"}` and `output_config.effort`.
    Adaptive {
        /// The words it takes, from least to most.
        levels: Vec<Effort>,
        /// How it is told not to think.
        off: Off,
    },
}

/// How a model that is told to think in tokens, or adaptively, is told not to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Off {
    /// In words: Anthropic's `{"type": "disabled"}`, Gemini's budget of 0.
    Said,
    /// By saying nothing: it only thinks when asked to (older Claude models; saying `disabled` is an error on some).
    Omitted,
    /// It always thinks: the least is asked for, and that is reported.
    Never,
}

/// Which sampling parameters a model takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sampler {
    /// All that the dialect has; a higher temperature than this is clamped (reported).
    Free {
        /// The highest temperature.
        temperature_max: f64,
    },
    /// `temperature` or `top_p`, not both (newer Claude models): `top_p` is left out (reported).
    OneOf {
        /// The highest temperature.
        temperature_max: f64,
    },
    /// None (OpenAI's reasoning models refuse them): all are left out (reported).
    Fixed,
}

/// Chat's field for the most output tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OutputTokensField {
    /// `max_completion_tokens`: OpenAI.
    MaxCompletionTokens,
    /// `max_tokens`: most other servers that speak chat.
    MaxTokens,
}

/// What an encoder of requests did that has to be undone in the answer, before it is encoded for the caller.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Adaptions {
    /// Tools that were renamed: name upstream to the caller's name.
    pub tool_names: IndexMap<String, String>,
    /// Custom tools (caller's names) that went as functions with one string, `input`.
    pub custom_tools: Vec<String>,
    /// The forced tool (name upstream) whose arguments are the answer's text.
    pub json_tool: Option<String>,
    /// The answer was asked for as the one member, `value`, of an object, where the dialect demands an object and the caller
    /// does not: that member is the answer's text, or that of the forced tool's arguments.
    pub wrapped: bool,
    /// Stop sequences that the provider does not take: the answer's text is cut where one of them begins.
    pub stop: Vec<String>,
}

/// What the form of an answer depends on.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// The request without its conversation: Responses repeats most of it, chat's usage chunk depends on it.
    pub request: Arc<Request>,
    /// How the answer is delivered.
    pub delivery: Delivery,
    /// Now, in seconds since 1970, for dialects that date their answers.
    pub now_s: u64,
    /// The id of an answer whose provider gave it none: letters, digits, `-` and `_`.
    pub fallback_id: String,
    /// The best guess of the input's size, for a Messages stream whose provider says it at the end only.
    pub input_estimate: Option<u64>,
}

impl Capabilities {
    /// All that a dialect has, for models of which nothing is known, and for tests.
    pub fn unlimited(dialect: Dialect) -> Self {
        let reasoning = match dialect {
            Dialect::OpenAiChat | Dialect::OpenAiResponses => ReasoningStyle::Effort { levels: Vec::new() },
            Dialect::Anthropic => ReasoningStyle::Budget { min: 1_024, max: 65_536, off: Off::Said },
            Dialect::Gemini => ReasoningStyle::Budget { min: 0, max: 65_536, off: Off::Said },
        };
        let openai = dialect.origin() == Origin::OpenAi;
        let temperature_max = if dialect == Dialect::Anthropic { 1.0 } else { 2.0 };
        Self {
            images: true,
            documents: true,
            audio: dialect != Dialect::Anthropic,
            video: dialect == Dialect::Gemini,
            tools: true,
            custom_tools: openai,
            mid_conversation_system: openai,
            prefill: !openai,
            structured_output: StructuredOutput::Native,
            json_object: true,
            schema: if dialect == Dialect::Gemini { SchemaStyle::OpenApiSubset } else { SchemaStyle::JsonSchema },
            reasoning,
            forced_tools_beside_thoughts: false,
            sampler: Sampler::Free { temperature_max },
            penalties: true,
            logprobs: true,
            output_tokens: OutputTokensField::MaxCompletionTokens,
            max_output: None,
            default_output: 8_192,
            stop_max: match dialect {
                Dialect::OpenAiChat => Some(4),
                Dialect::Gemini => Some(5),
                Dialect::OpenAiResponses => Some(0),
                Dialect::Anthropic => None,
            },
            tool_name_max: match dialect {
                Dialect::OpenAiChat | Dialect::OpenAiResponses | Dialect::Gemini => 64,
                Dialect::Anthropic => 128,
            },
            signed_calls: dialect == Dialect::Gemini,
            media_in_results: true,
            json_beside_tools: true,
        }
    }
}

impl Target {
    /// A model of which nothing is known, at its dialect's own vendor.
    pub fn unlimited(dialect: Dialect, model: &str) -> Self {
        Self { dialect, origin: dialect.origin(), model: model.into(), can: Capabilities::unlimited(dialect) }
    }
}

impl Asked {
    /// What this request's answer depends on.
    pub fn by(request: &Request, delivery: Delivery) -> Self {
        Self {
            request: Arc::new(request.without_content()),
            delivery,
            now_s: 0,
            fallback_id: String::new(),
            input_estimate: None,
        }
    }

    /// At what time.
    #[must_use]
    pub fn at(mut self, now_s: u64) -> Self {
        self.now_s = now_s;
        self
    }

    /// Under what id, if the provider gives none.
    #[must_use]
    pub fn known_as(mut self, id: impl Into<String>) -> Self {
        self.fallback_id = id.into();
        self
    }

    /// With a guess of the input's size in tokens.
    #[must_use]
    pub fn estimated(mut self, input_tokens: Option<u64>) -> Self {
        self.input_estimate = input_tokens;
        self
    }
}
