//! What models cost, where the built-in list is wrong or has nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::value::Wrong;
use crate::catalog::Tier;
use crate::ids::ModelId;
use crate::money::NanoUsd;

/// `[prices."<model>"]`: laid over what the list has for the model. What is not given stays as the list has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Price {
    /// Input that no cache had, per million tokens. Has to be given where no list has the model.
    pub input: Option<Dollars>,
    /// Output, per million tokens. Has to be given where no list has the model.
    pub output: Option<Dollars>,
    /// Input that a cache had; as `input` where nobody says.
    pub cache_read: Option<Dollars>,
    /// Input written to a cache for five minutes; as `input` where nobody says.
    pub cache_write_5m: Option<Dollars>,
    /// Input written to a cache for an hour; as `cache_write_5m` where nobody says.
    pub cache_write_1h: Option<Dollars>,
    /// Thinking; as `output` where nobody says.
    pub reasoning_output: Option<Dollars>,
    /// Sound heard; as `input` where nobody says.
    pub audio_input: Option<Dollars>,
    /// Sound made; as `output` where nobody says.
    pub audio_output: Option<Dollars>,
    /// A million searches that the provider makes; nothing where nobody says.
    pub web_search: Option<Dollars>,
    /// All thresholds above which the whole request has other rates; those of the list where not given.
    pub above: Option<Vec<Above>>,
    /// Rates of other service tiers.
    pub tiers: BTreeMap<Tier, Rates>,
}

/// Rates for the whole request once its input has more tokens than this. A rate that is not given is the list's for the same
/// threshold, if it has that.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Above {
    /// The threshold.
    pub input_tokens: u64,
    /// As far as they differ.
    pub rates: Rates,
}

/// Dollars per million tokens; as in [`Price`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rates {
    /// Input that no cache had.
    pub input: Option<Dollars>,
    /// Output.
    pub output: Option<Dollars>,
    /// Input that a cache had.
    pub cache_read: Option<Dollars>,
    /// Input written to a cache for five minutes.
    pub cache_write_5m: Option<Dollars>,
    /// Input written to a cache for an hour.
    pub cache_write_1h: Option<Dollars>,
    /// Thinking.
    pub reasoning_output: Option<Dollars>,
    /// Sound heard.
    pub audio_input: Option<Dollars>,
    /// Sound made.
    pub audio_output: Option<Dollars>,
}

impl Price {
    pub(super) fn check(&self, model: &ModelId) -> Result<(), Wrong> {
        let mut seen = BTreeSet::new();
        match self.above.iter().flatten().find(|above| !seen.insert(above.input_tokens)) {
            Some(_) => Err(Wrong::new(format!("prices.{model}.above"), "two thresholds are the same; give each once")),
            None => Ok(()),
        }
    }

    /// Those of the standard tier that go by the token.
    pub fn rates(&self) -> Rates {
        Rates {
            input: self.input,
            output: self.output,
            cache_read: self.cache_read,
            cache_write_5m: self.cache_write_5m,
            cache_write_1h: self.cache_write_1h,
            reasoning_output: self.reasoning_output,
            audio_input: self.audio_input,
            audio_output: self.audio_output,
        }
    }
}

/// Dollars in a file: finite, and not below zero. Zero is a price: a model of one's own costs nothing by the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "f64")]
pub struct Dollars(pub NanoUsd);

impl Dollars {
    /// The most that a million tokens may cost: far above any price there is, and far from where sums overflow.
    pub const MOST: NanoUsd = NanoUsd(1_000_000 * NanoUsd::PER_USD);
}

impl TryFrom<f64> for Dollars {
    type Error = String;

    fn try_from(usd: f64) -> Result<Self, String> {
        match NanoUsd::from_usd(usd) {
            Some(amount) if amount >= NanoUsd::ZERO && amount <= Self::MOST => Ok(Self(amount)),
            _ => Err("expected dollars per million, from 0 to 1000000".to_owned()),
        }
    }
}
