//! What is known of one model.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use crate::config::prices::Dollars;
use crate::config::providers::Kind;
use crate::ids::{ModelId, ProviderName};
use crate::money::NanoUsd;

/// One model, as its vendor describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, try_from = "Listed")]
pub struct Model {
    /// Its name at the provider.
    pub id: ModelId,
    /// The provider that serves it when nothing else is said.
    pub provider: ProviderName,
    /// Which vendor's model it is.
    #[serde(skip)]
    pub kind: Kind,
    /// How many tokens input and output may have together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_tokens: Option<u64>,
    /// How many tokens an answer may have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u64>,
    /// What it can do.
    pub capabilities: BTreeSet<Capability>,
    /// Where its vendor offers it; empty where that is not known.
    pub endpoints: BTreeSet<Endpoint>,
    /// When its vendor has announced to retire it, or has. Informs; hides and refuses nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deprecation_date: Option<NaiveDate>,
    /// The page that the facts are from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// What it costs.
    pub prices: Prices,
}

/// A model as the file has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    id: ModelId,
    provider: Kind,
    context_tokens: Option<u64>,
    max_output_tokens: Option<u64>,
    #[serde(default)]
    capabilities: BTreeSet<Capability>,
    #[serde(default)]
    endpoints: BTreeSet<Endpoint>,
    deprecation_date: Option<NaiveDate>,
    source: Option<String>,
    prices: Prices,
}

impl TryFrom<Listed> for Model {
    type Error = String;

    fn try_from(listed: Listed) -> Result<Self, String> {
        let Prices { rates, above, .. } = &listed.prices;
        if rates.input.is_none() || rates.output.is_none() {
            return Err(format!("model \"{}\" has no rate for input, or none for output; give both", listed.id));
        }
        if !above.is_sorted_by(|one, next| one.input_tokens < next.input_tokens) {
            return Err(format!("the thresholds of model \"{}\" do not rise; begin with the lowest", listed.id));
        }
        Ok(Self {
            id: listed.id,
            provider: ProviderName::new(listed.provider.name()),
            kind: listed.provider,
            context_tokens: listed.context_tokens,
            max_output_tokens: listed.max_output_tokens,
            capabilities: listed.capabilities,
            endpoints: listed.endpoints,
            deprecation_date: listed.deprecation_date,
            source: listed.source,
            prices: listed.prices,
        })
    }
}

/// What a model can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Capability {
    /// Hears.
    AudioInput,
    /// Answers in a given JSON Schema.
    JsonSchema,
    /// Calls several tools at once.
    ParallelTools,
    /// Reads PDF files.
    Pdf,
    /// Has a prompt cache.
    PromptCaching,
    /// Thinks before it answers.
    Reasoning,
    /// Calls tools.
    Tools,
    /// Sees.
    Vision,
    /// Searches the web, run by the provider.
    WebSearch,
}

/// Where a vendor offers a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Endpoint {
    /// Chat completions.
    #[serde(rename = "/v1/chat/completions")]
    ChatCompletions,
    /// Responses.
    #[serde(rename = "/v1/responses")]
    Responses,
    /// The old completions.
    #[serde(rename = "/v1/completions")]
    Completions,
    /// Batches.
    #[serde(rename = "/v1/batch")]
    Batch,
    /// Speech both ways.
    #[serde(rename = "/v1/realtime")]
    Realtime,
    /// Decisions.
    #[serde(rename = "/v1/decisions")]
    Decisions,
    /// Google's interactions.
    #[serde(rename = "/v1beta/interactions")]
    Interactions,
}

/// What a model costs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    /// The standard tier.
    pub rates: Rates,
    /// Rates for the whole request once its input has more tokens than this, by rising thresholds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub above: Vec<Above>,
    /// Rates of other service tiers, as far as they differ.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tiers: BTreeMap<Tier, Rates>,
}

/// Rates for the whole request once its input has more tokens than this.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Above {
    /// The threshold.
    pub input_tokens: u64,
    /// As far as they differ.
    pub rates: Rates,
}

/// A service tier with prices of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// Slower and cheaper.
    Flex,
    /// Faster and dearer.
    Priority,
}

/// Prices by what is counted. `None`: the list names no price of its own for that.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rates {
    /// Input that no cache had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<Rate>,
    /// Output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<Rate>,
    /// Input that the cache had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_read: Option<Rate>,
    /// Input written to the cache for five minutes (or for as long as the vendor likes).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_write_5m: Option<Rate>,
    /// Input written to the cache for an hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_write_1h: Option<Rate>,
    /// Thinking.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_output: Option<Rate>,
    /// Sound heard.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio_input: Option<Rate>,
    /// Sound made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio_output: Option<Rate>,
    /// Searches that the provider makes, by the million of them. No list in the catalog has it; configuration may.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub web_search: Option<Rate>,
}

/// A price in nano-dollars per million tokens. By the token it would need fractions: a cached token of `gpt-5-nano` costs
/// 2.5 nano-dollars.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "NanoUsd", into = "NanoUsd")]
pub struct Rate(NanoUsd);

impl TryFrom<NanoUsd> for Rate {
    type Error = String;

    fn try_from(per_million: NanoUsd) -> Result<Self, String> {
        if per_million < NanoUsd::ZERO || per_million > Dollars::MOST {
            return Err(format!("expected nano-dollars per million tokens, from 0 to {}", Dollars::MOST.0));
        }
        Ok(Self(per_million))
    }
}

impl From<Rate> for NanoUsd {
    fn from(rate: Rate) -> Self {
        rate.0
    }
}

impl Rate {
    /// So much for a million tokens.
    pub fn of(per_million: NanoUsd) -> Self {
        Self(per_million)
    }

    /// What a million tokens cost.
    pub fn per_million(self) -> NanoUsd {
        self.0
    }
}

/// Dollars per million tokens.
impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0.to_string())
    }
}
