//! What a model takes, as its target: the catalog's facts, and the habits of its family (`config/traits.json`).
//!
//! Which modes of thinking, sampling parameters and message orders a model takes is data. No code asks for a model's name.

use serde::Deserialize;

use crate::catalog::{Capability, Model};
use crate::config::providers::Kind;
use crate::dialect::{Capabilities, Dialect, Off, ReasoningStyle, Sampler, SchemaStyle, StructuredOutput, Target};
use crate::ids::ModelId;
use crate::ir::{Effort, Origin};

/// The most output tokens to ask for where the provider demands a number and the caller said none.
const DEFAULT_OUTPUT: u64 = 32_000;

/// The habits of all families.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Traits {
    #[serde(rename = "about")]
    _about: String,
    families: Vec<Family>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Family {
    prefix: String,
    /// Only the model of exactly this name.
    #[serde(default)]
    whole: bool,
    reasoning: Option<Thinking>,
    sampler: SamplerWord,
    /// Whether it thinks adaptively where it must call a tool.
    #[serde(default)]
    forced_tools_beside_thoughts: bool,
    #[serde(default)]
    prefill: bool,
    #[serde(default)]
    mid_conversation_system: bool,
    stop_max: Option<usize>,
    /// OpenAI: whether it gives JSON of any form (all since November 2023 do).
    json_object: Option<bool>,
    /// Gemini: whether it takes penalties and gives log probabilities ("Penalty is not enabled for models/gemini-2.5-flash",
    /// "Logprobs is not enabled for models/gemini-2.5-pro").
    #[serde(default = "taken")]
    penalties: bool,
    #[serde(default = "taken")]
    logprobs: bool,
    /// Gemini: 2 for all before 3.
    generation: Option<u8>,
}

fn taken() -> bool {
    true
}

#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "style", rename_all = "snake_case", deny_unknown_fields)]
enum Thinking {
    Effort { levels: Vec<String> },
    Budget { min: u64, max: u64, off: Off },
    Adaptive { levels: Vec<String>, off: Off },
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum SamplerWord {
    Free,
    OneOf,
    Fixed,
}

/// `config/traits.json` cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("config/traits.json cannot be read: {0}")]
pub struct TraitsError(#[from] serde_json::Error);

impl Traits {
    /// Those that are built in.
    ///
    /// # Errors
    /// The file is broken, which a test would have found.
    pub fn embedded() -> Result<Self, TraitsError> {
        Ok(serde_json::from_str(include_str!("../../config/traits.json"))?)
    }

    /// The target for a model: `entry` is what the catalog knows of it, if it knows it.
    pub fn target(&self, dialect: Dialect, kind: Kind, model: &ModelId, entry: Option<&Model>) -> Target {
        let mut can = Capabilities::unlimited(dialect);
        if let Some(family) = self.families.iter().find(|family| family.has(model)) {
            family.describe(&mut can, dialect);
        }
        if let Some(entry) = entry {
            limit(&mut can, entry, dialect);
        }
        can.default_output = can.max_output.map_or(can.default_output, |most| most.min(DEFAULT_OUTPUT));
        let origin = match kind {
            Kind::OpenAi => Origin::OpenAi,
            Kind::Anthropic => Origin::Anthropic,
            Kind::Gemini => Origin::Gemini,
        };
        Target { dialect, origin, model: model.clone(), can }
    }
}

impl Family {
    fn has(&self, model: &ModelId) -> bool {
        let rest = model.as_str().strip_prefix(self.prefix.as_str());
        rest.is_some_and(|rest| rest.is_empty() || !self.whole)
    }

    fn describe(&self, can: &mut Capabilities, dialect: Dialect) {
        let words = |levels: &[String]| levels.iter().map(|word| Effort::from_word(word)).collect();
        can.reasoning = match &self.reasoning {
            None => ReasoningStyle::None,
            Some(Thinking::Effort { levels }) => ReasoningStyle::Effort { levels: words(levels) },
            Some(Thinking::Budget { min, max, off }) => ReasoningStyle::Budget { min: *min, max: *max, off: *off },
            Some(Thinking::Adaptive { levels, off }) => ReasoningStyle::Adaptive { levels: words(levels), off: *off },
        };
        let temperature_max = if dialect == Dialect::Anthropic { 1.0 } else { 2.0 };
        can.sampler = match self.sampler {
            SamplerWord::Free => Sampler::Free { temperature_max },
            SamplerWord::OneOf => Sampler::OneOf { temperature_max },
            SamplerWord::Fixed => Sampler::Fixed,
        };
        can.forced_tools_beside_thoughts = self.forced_tools_beside_thoughts;
        (can.penalties, can.logprobs) = (self.penalties, self.logprobs);
        can.prefill = self.prefill;
        can.mid_conversation_system = self.mid_conversation_system;
        can.stop_max = self.stop_max.or(can.stop_max);
        can.json_object = self.json_object.unwrap_or(can.json_object);
        if dialect == Dialect::Gemini {
            let since_3 = self.generation.is_none_or(|generation| generation >= 3);
            (can.signed_calls, can.media_in_results, can.json_beside_tools) = (since_3, since_3, since_3);
        }
    }
}

/// Takes away what the catalog does not list.
fn limit(can: &mut Capabilities, entry: &Model, dialect: Dialect) {
    let has = |capability| entry.capabilities.contains(&capability);
    can.max_output = entry.max_output_tokens;
    can.images = has(Capability::Vision);
    // Google's models read what they see; OpenAI's and Anthropic's list files of their own.
    can.documents = has(Capability::Pdf) || has(Capability::Vision);
    can.audio = has(Capability::AudioInput);
    can.video = dialect == Dialect::Gemini && has(Capability::Vision);
    can.tools = has(Capability::Tools);
    can.custom_tools &= has(Capability::Reasoning);
    can.structured_output = match (dialect, has(Capability::JsonSchema)) {
        (Dialect::Anthropic | Dialect::OpenAiChat | Dialect::OpenAiResponses, false) => StructuredOutput::ForcedTool,
        (Dialect::Anthropic | Dialect::OpenAiChat | Dialect::OpenAiResponses, true) | (Dialect::Gemini, _) => {
            StructuredOutput::Native
        }
    };
    can.schema = match dialect {
        Dialect::Gemini => SchemaStyle::OpenApiSubset,
        Dialect::Anthropic | Dialect::OpenAiChat | Dialect::OpenAiResponses => SchemaStyle::JsonSchema,
    };
    if !has(Capability::Reasoning) {
        can.reasoning = ReasoningStyle::None;
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::catalog::Catalog;

    fn target(dialect: Dialect, kind: Kind, model: &str) -> Target {
        let catalog = Catalog::embedded().unwrap();
        let entry = catalog.models().find(|entry| entry.id.as_str() == model);
        Traits::embedded().unwrap().target(dialect, kind, &model.into(), entry)
    }

    #[test]
    fn claude_models_think_as_their_generation_does() {
        let claude = |model| target(Dialect::Anthropic, Kind::Anthropic, model).can;
        let levels = |words: &[&str]| words.iter().map(|word| Effort::from_word(word)).collect::<Vec<_>>();
        assert_eq!(claude("claude-3-5-haiku-20241022").reasoning, ReasoningStyle::None);
        let budget = ReasoningStyle::Budget { min: 1_024, max: 63_999, off: Off::Omitted };
        assert_eq!(claude("claude-sonnet-4-5").reasoning, budget);
        let adaptive = |words, off| ReasoningStyle::Adaptive { levels: levels(words), off };
        assert_eq!(claude("claude-opus-4-6").reasoning, adaptive(&["low", "medium", "high", "max"], Off::Said));
        let all = &["low", "medium", "high", "xhigh", "max"];
        assert_eq!(claude("claude-opus-5").reasoning, adaptive(all, Off::Said));
        assert_eq!(claude("claude-opus-5-5").reasoning, adaptive(all, Off::Never));
        assert!(claude("claude-sonnet-4-5").prefill && !claude("claude-opus-4-6").prefill);
        assert!(claude("claude-opus-4-8").mid_conversation_system);
        let forced = |model| claude(model).forced_tools_beside_thoughts;
        assert!(!forced("claude-opus-4-6") && !forced("claude-opus-4-7") && !forced("claude-sonnet-4-6"));
        assert!(forced("claude-opus-4-8") && forced("claude-sonnet-5") && forced("claude-opus-5-5"));
        assert_eq!(claude("claude-3-5-haiku-20241022").structured_output, StructuredOutput::ForcedTool);
    }

    #[test]
    fn openai_and_gemini_models_take_the_words_that_they_know() {
        let levels = |target: Target| match target.can.reasoning {
            ReasoningStyle::Effort { levels } => levels,
            ReasoningStyle::None | ReasoningStyle::Budget { .. } | ReasoningStyle::Adaptive { .. } => Vec::new(),
        };
        let openai = |model| levels(target(Dialect::OpenAiResponses, Kind::OpenAi, model));
        assert_eq!(openai("gpt-5-mini").first(), Some(&Effort::Minimal));
        assert_eq!(openai("gpt-5.1").first(), Some(&Effort::None));
        assert_eq!(openai("gpt-5-pro"), [Effort::High]);
        assert_eq!(openai("gpt-4.1"), []);
        let gemini = |model| levels(target(Dialect::Gemini, Kind::Gemini, model));
        assert_eq!(gemini("gemini-3-pro-preview"), [Effort::Low, Effort::High]);
        let pro = target(Dialect::Gemini, Kind::Gemini, "gemini-2.5-pro").can;
        assert_eq!(pro.reasoning, ReasoningStyle::Budget { min: 128, max: 32_768, off: Off::Never });
        assert!(!pro.signed_calls && target(Dialect::Gemini, Kind::Gemini, "gemini-3-pro-preview").can.signed_calls);
    }

    #[test]
    fn every_model_of_the_catalog_has_a_family_of_its_own_vendor() {
        let traits = Traits::embedded().unwrap();
        for model in Catalog::embedded().unwrap().models() {
            let family = traits.families.iter().find(|family| family.has(&model.id)).unwrap();
            // These are listed as thinking, and do not.
            let is_listed_wrongly = ["gemma-", "gpt-5-chat"].iter().any(|prefix| model.id.as_str().starts_with(prefix));
            if model.capabilities.contains(&Capability::Reasoning) && !is_listed_wrongly {
                let named = !family.prefix.is_empty() && family.prefix != "gpt-";
                assert!(named && family.reasoning.is_some(), "{}", model.id);
            }
        }
    }

    #[test]
    fn the_oldest_of_openais_models_give_no_json_when_asked_to() {
        let gives = |model| target(Dialect::OpenAiChat, Kind::OpenAi, model).can.json_object;
        assert!(!gives("gpt-4") && !gives("gpt-4-0613") && !gives("gpt-3.5-turbo-16k"));
        assert!(gives("gpt-4-1106-preview") && gives("gpt-4o") && gives("gpt-4.1") && gives("gpt-3.5-turbo"));
    }

    #[test]
    fn an_answer_is_as_long_as_the_model_gives_where_the_caller_does_not_say() {
        assert_eq!(target(Dialect::Anthropic, Kind::Anthropic, "claude-3-5-haiku-20241022").can.default_output, 8_192);
        assert_eq!(target(Dialect::Anthropic, Kind::Anthropic, "claude-opus-5").can.default_output, DEFAULT_OUTPUT);
    }
}
