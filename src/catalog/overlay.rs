//! What configuration says of models, laid over what is built in: a file of models, and prices.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{Above, Model, Prices, Rate, Rates};
use crate::config::prices::{Dollars, Price, Rates as Given};

/// The one unit of rates there is.
const PRICE_UNIT: &str = "nano_usd_per_million_tokens";

/// A file of models: `config/catalog.json`, one like it, or what `llm-gateway models --json` prints.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// What the file is.
    #[serde(rename = "about")]
    _about: Option<IgnoredAny>,
    /// Where its facts are from.
    #[serde(rename = "facts")]
    _facts: Option<IgnoredAny>,
    price_unit: Option<String>,
    models: Vec<Model>,
}

/// All models of a file's text; with line and column where it is none.
pub(super) fn parse(text: &str) -> Result<Vec<Model>, serde_json::Error> {
    use serde::de::Error as _;
    let file: File = serde_json::from_str(text)?;
    if file.price_unit.is_some_and(|unit| unit != PRICE_UNIT) {
        return Err(serde_json::Error::custom(format_args!("price_unit has to be {PRICE_UNIT}")));
    }
    let mut seen = BTreeSet::new();
    match file.models.iter().find(|model| !seen.insert(&model.id)) {
        Some(twice) => Err(serde_json::Error::custom(format_args!("model \"{}\" is there twice", twice.id))),
        None => Ok(file.models),
    }
}

/// The models of a file that configuration names. The error is a sentence that names the file and the place in it.
pub(super) fn read(path: &Path) -> Result<Vec<Model>, String> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| format!("the file {shown} cannot be read: {error}"))?;
    parse(&text).map_err(|error| format!("the file {shown} is no catalog: {error}"))
}

impl Prices {
    /// What a model costs where configuration says something of it, and what else the list has stays.
    pub(super) fn overridden(&self, price: &Price) -> Self {
        let mut rates = self.rates.overlaid(&price.rates());
        rates.web_search = price.web_search.map(rate).or(rates.web_search);
        let mut tiers = self.tiers.clone();
        for (tier, given) in &price.tiers {
            let listed = tiers.entry(*tier).or_default();
            *listed = listed.overlaid(given);
        }
        let above = price.above.as_ref().map(|given| {
            let mut above: Vec<_> = given
                .iter()
                .map(|given| {
                    let listed = self.above.iter().find(|listed| listed.input_tokens == given.input_tokens);
                    let rates = listed.map(|listed| listed.rates.clone()).unwrap_or_default().overlaid(&given.rates);
                    Above { input_tokens: given.input_tokens, rates }
                })
                .collect();
            above.sort_by_key(|above| above.input_tokens);
            above
        });
        Self { rates, above: above.unwrap_or_else(|| self.above.clone()), tiers }
    }
}

impl Rates {
    fn overlaid(&self, given: &Given) -> Self {
        Self {
            input: given.input.map(rate).or(self.input),
            output: given.output.map(rate).or(self.output),
            cache_read: given.cache_read.map(rate).or(self.cache_read),
            cache_write_5m: given.cache_write_5m.map(rate).or(self.cache_write_5m),
            cache_write_1h: given.cache_write_1h.map(rate).or(self.cache_write_1h),
            reasoning_output: given.reasoning_output.map(rate).or(self.reasoning_output),
            audio_input: given.audio_input.map(rate).or(self.audio_input),
            audio_output: given.audio_output.map(rate).or(self.audio_output),
            web_search: self.web_search,
        }
    }
}

fn rate(dollars: Dollars) -> Rate {
    Rate::of(dollars.0)
}
