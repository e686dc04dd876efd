//! A request.

use super::{Carry, Dialect, Output, Part, Place, ReasoningAsk, Tool, ToolChoice};
use serde_json::{Map, Number, Value};

/// A request, whoever spoke it. All that is `None` or empty was not said.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// The dialect in which it came. Encoders of the same dialect change nothing: the provider is asked exactly what the
    /// caller asked, and judges it.
    pub spoken_in: Option<Dialect>,
    /// The model as the caller named it; the [target](crate::dialect::Target) says how it is named upstream.
    pub model: String,
    /// Whether the answer is to arrive in pieces. (Gemini says it in the path.)
    pub stream: Option<bool>,
    /// Whether a chat caller wants usage in the stream (`stream_options.include_usage`). Other dialects always have it.
    pub stream_usage: Option<bool>,
    /// Instructions that stand beside the conversation (Anthropic's `system`, Responses' `instructions`, Gemini's
    /// `systemInstruction`). Chat has none: its system and developer messages stay in `messages`, where they stood.
    pub instructions: Option<Message>,
    /// The conversation, in the caller's order and grouping. Responses' items are one message each.
    pub messages: Vec<Message>,
    /// Tools on offer, in order.
    pub tools: Vec<Tool>,
    /// Which of them may or must be used.
    pub tool_choice: Option<ToolChoice>,
    /// Whether several calls at once are welcome (Anthropic: the reverse of `disable_parallel_tool_use`).
    pub parallel_tool_calls: Option<bool>,
    /// How much to think.
    pub reasoning: Option<ReasoningAsk>,
    /// The answer's form.
    pub output: Option<Output>,
    /// How wordy the answer should be: `low`, `medium`, `high` (OpenAI).
    pub verbosity: Option<String>,
    /// How tokens are drawn.
    pub sampling: Sampling,
    /// Texts that end the answer.
    pub stop: Vec<String>,
    /// The most tokens that may be generated, thoughts included.
    pub max_output: Option<u64>,
    /// How many answers (`n`, `candidateCount`).
    pub candidates: Option<u64>,
    /// Whether log probabilities are wanted.
    pub logprobs: Option<LogprobsAsk>,
    /// `auto`, `default`, `flex`, `priority`, `standard_only`: as said.
    pub service_tier: Option<String>,
    /// The end user (`user`, `metadata.user_id`).
    pub user: Option<String>,
    /// OpenAI's `safety_identifier`.
    pub safety_identifier: Option<String>,
    /// OpenAI's `prompt_cache_key`.
    pub prompt_cache_key: Option<String>,
    /// OpenAI's `prompt_cache_retention`.
    pub prompt_cache_retention: Option<String>,
    /// Labels for the provider's own records (OpenAI's `metadata`; Anthropic's beside `user_id`).
    pub metadata: Option<Map<String, Value>>,
    /// Whether the provider may keep the answer.
    pub store: Option<bool>,
    /// What kinds of output are wanted, in lower case: `text`, `audio`, `image`. Empty: not said.
    pub modalities: Vec<String>,
    /// Fields that the codec does not know, and how the request was written.
    pub carry: Carry,
}

/// One message, or one item, of a conversation.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What.
    pub parts: Vec<Part>,
    /// The speaker's name (chat's `name`).
    pub name: Option<String>,
    /// Fields that the codec does not know, and how it was written.
    pub carry: Carry,
    /// Where it stood in the list that the caller wrote.
    pub place: Place,
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Instructions.
    System,
    /// Instructions, as OpenAI's newer models call them; elsewhere the same as [`Role::System`].
    Developer,
    /// The user. Tool results may stand here (Anthropic, Gemini).
    User,
    /// The model. The last message may be one: a prefill that the answer continues.
    Assistant,
    /// A tool's result only (chat, Responses).
    Tool,
}

/// How tokens are drawn. Numbers are kept as they were written (`1` is not `1.0`).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sampling {
    /// OpenAI and Gemini: 0 to 2; Anthropic: 0 to 1.
    pub temperature: Option<Number>,
    /// Nucleus.
    pub top_p: Option<Number>,
    /// The k likeliest (Anthropic, Gemini).
    pub top_k: Option<Number>,
    /// Against repetition, by count.
    pub frequency_penalty: Option<Number>,
    /// Against repetition, at all.
    pub presence_penalty: Option<Number>,
    /// For repeatable answers.
    pub seed: Option<Number>,
    /// Token by token (chat only).
    pub logit_bias: Option<Map<String, Value>>,
}

/// Log probabilities are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogprobsAsk {
    /// `logprobs` itself; Responses has `top_logprobs` only.
    pub enabled: Option<bool>,
    /// How many alternatives a token.
    pub top: Option<u64>,
}

impl Request {
    /// Whether the encoder of this dialect has to adapt it, rather than to write it as it came.
    pub fn is_foreign_to(&self, dialect: Dialect) -> bool {
        self.spoken_in != Some(dialect)
    }

    /// The request without its conversation and instructions: all that the form of an answer can depend on.
    pub fn without_content(&self) -> Self {
        Self {
            messages: Vec::new(),
            instructions: None,
            spoken_in: self.spoken_in,
            model: self.model.clone(),
            stream: self.stream,
            stream_usage: self.stream_usage,
            tools: self.tools.clone(),
            tool_choice: self.tool_choice.clone(),
            parallel_tool_calls: self.parallel_tool_calls,
            reasoning: self.reasoning.clone(),
            output: self.output.clone(),
            verbosity: self.verbosity.clone(),
            sampling: self.sampling.clone(),
            stop: self.stop.clone(),
            max_output: self.max_output,
            candidates: self.candidates,
            logprobs: self.logprobs,
            service_tier: self.service_tier.clone(),
            user: self.user.clone(),
            safety_identifier: self.safety_identifier.clone(),
            prompt_cache_key: self.prompt_cache_key.clone(),
            prompt_cache_retention: self.prompt_cache_retention.clone(),
            metadata: self.metadata.clone(),
            store: self.store,
            modalities: self.modalities.clone(),
            carry: self.carry.clone(),
        }
    }
}

impl Message {
    /// A message with nothing carried.
    pub fn new(role: Role, parts: Vec<Part>) -> Self {
        Self { role, parts, name: None, carry: Carry::NONE, place: Place::default() }
    }

    /// The same message, from this place of a list.
    #[must_use]
    pub fn at(mut self, index: usize) -> Self {
        self.place = index.into();
        self
    }
}

impl Role {
    /// Whether it speaks for the application rather than in the conversation.
    pub fn is_instructions(self) -> bool {
        match self {
            Self::System | Self::Developer => true,
            Self::User | Self::Assistant | Self::Tool => false,
        }
    }
}
