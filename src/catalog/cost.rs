//! What a call costs, in whole nano-dollars: the one place where tokens become money.
//!
//! A [`Tariff`] is a model's price list with its gaps filled, so that every token has a rate:
//!
//! - a cached token without a rate of its own costs what a fresh one does, a thought what other output does, and so on;
//! - above a threshold the whole request has the rates of that threshold; a rate that is not listed there grows as the
//!   listed ones of its side (input or output) do;
//! - a service tier's rates work the same way, and so do both together: what is long *and* in a tier costs the tier's rate
//!   times the growth above the threshold, as the vendors' pages have it;
//! - batch is half of the standard rates, with all three vendors.
//!
//! A model that no list has costs the dearest rates known of its vendor.

use std::sync::Arc;

use super::{Above, Model, Prices, Rate, Rates, Tier};
use crate::config::prices::Price;
use crate::ir::Usage;
use crate::money::NanoUsd;

pub use bounds::Passes;

mod bounds;

/// How many bytes of a request make a token, for estimates: English prose, code and JSON have between three and five.
const BYTES_PER_TOKEN: u64 = 4;

/// The output that is reserved for a request that sets no limit, in tokens. Most answers are shorter; reserving a model's
/// own limit, 128,000 tokens for some, would let a few dozen calls fill a product's limit with promises.
const UNLIMITED_OUTPUT: u64 = 4096;

/// What a call costs, and how well that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// The amount; never below zero.
    pub amount: NanoUsd,
    /// What of it is for what; none where it was never computed from counts.
    pub parts: Option<Parts>,
    /// Where it comes from.
    pub provenance: Provenance,
}

/// What a cost is made of. The three add up to the amount, to the nano-dollar, and none is below zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// For what went in, cached or not.
    pub input: NanoUsd,
    /// For what came out, thoughts included.
    pub output: NanoUsd,
    /// For searches that the provider made.
    pub searches: NanoUsd,
}

/// How well a cost is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Provenance {
    /// The provider's own usage at listed prices.
    Computed,
    /// The answer ended early: what went in, and what had come out by then.
    EstimatedPartial,
    /// A price or a usage was not known, and a stand-in was taken.
    Default,
}

impl Provenance {
    /// As events and metrics name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Computed => "computed",
            Self::EstimatedPartial => "estimated_partial",
            Self::Default => "default",
        }
    }
}

/// How a call was served, as far as that changes its price.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ServiceTier {
    /// At the standard rates; also what a vendor calls by a name that no price list has.
    #[default]
    Standard,
    /// At the rates of a listed tier.
    Listed(Tier),
    /// At half the standard rates.
    Batch,
}

impl ServiceTier {
    /// From the word in a request or an answer: OpenAI's and Anthropic's `service_tier`, Google's `serviceTier` or `trafficType`.
    pub fn from_word(word: &str) -> Self {
        match word.to_ascii_lowercase().as_str() {
            "flex" | "service_tier_flex" | "on_demand_flex" => Self::Listed(Tier::Flex),
            "priority" | "service_tier_priority" | "on_demand_priority" => Self::Listed(Tier::Priority),
            "batch" => Self::Batch,
            _ => Self::Standard,
        }
    }
}

/// Whether a price is the model's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Basis {
    /// It is on a list.
    #[default]
    Listed,
    /// No list has the model: the dearest rates of its vendor.
    Dearest,
}

/// What a model's tokens cost. The default costs nothing, and is no model's.
#[derive(Clone, Debug, Default)]
pub struct Tariff {
    prices: Arc<Prices>,
    basis: Basis,
    context_tokens: Option<u64>,
    max_output_tokens: Option<u64>,
}

/// What is known of a request before it is served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// The size of its body.
    pub bytes: usize,
    /// The most tokens that one answer may have, if it says so.
    pub max_output_tokens: Option<u64>,
    /// How many answers it wants, if it says so.
    pub choices: Option<u64>,
    /// The tier that it asks for.
    pub tier: ServiceTier,
    /// How often its model may be run for it.
    pub passes: Passes,
}

/// What is known of a call beside what its provider counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Case {
    /// What it asked for.
    pub request: Request,
    /// The tier that served it, if the provider said so. OpenAI, Anthropic and Google all do where one was asked for; a server
    /// that only speaks as they do may not know of tiers, and take the standard price. So the call costs the dearer of that and
    /// of the tier that was asked for.
    pub served_in: Option<ServiceTier>,
    /// What it costs where the provider's counts are missing or cannot be.
    pub estimate: NanoUsd,
}

/// What was counted of a call whose provider did not get to say it, in tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Of the request.
    pub input: u64,
    /// Of the answer, since the provider last said something of it.
    pub output: u64,
}

/// A rate for each kind of token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Full {
    input: i128,
    output: i128,
    cache_read: i128,
    cache_write_5m: i128,
    cache_write_1h: i128,
    reasoning: i128,
    audio_input: i128,
    audio_output: i128,
}

impl Cost {
    /// Nothing.
    pub const NOTHING: Self = Self {
        amount: NanoUsd::ZERO,
        parts: Some(Parts { input: NanoUsd::ZERO, output: NanoUsd::ZERO, searches: NanoUsd::ZERO }),
        provenance: Provenance::Computed,
    };

    fn of(parts: Parts, provenance: Provenance) -> Self {
        Self { amount: parts.sum(), parts: Some(parts), provenance }
    }

    /// That of a call whose counts are not known.
    fn stand_in(case: &Case) -> Self {
        Self { amount: case.estimate.max(NanoUsd::ZERO), parts: None, provenance: Provenance::Default }
    }
}

impl Parts {
    /// All of it.
    pub fn sum(&self) -> NanoUsd {
        self.input + self.output + self.searches
    }
}

impl Tariff {
    /// A listed model's.
    pub fn listed(model: &Model) -> Self {
        Self {
            prices: Arc::new(model.prices.clone()),
            basis: Basis::Listed,
            context_tokens: model.context_tokens,
            max_output_tokens: model.max_output_tokens,
        }
    }

    /// One of which configuration gives some; the rest, and the limits of the model's size, are those of the list.
    pub fn configured(price: &Price, model: Option<&Model>) -> Self {
        let prices = match model {
            Some(model) => model.prices.overridden(price),
            None => Prices::default().overridden(price),
        };
        Self {
            prices: Arc::new(prices),
            basis: Basis::Listed,
            context_tokens: model.and_then(|model| model.context_tokens),
            max_output_tokens: model.and_then(|model| model.max_output_tokens),
        }
    }

    /// That of a model that no list has, by what its vendor's models cost.
    pub fn dearest<'a>(models: impl Iterator<Item = &'a Model>) -> Self {
        let mut dearest = Rates::default();
        for model in models {
            let above = model.prices.above.iter().map(|above| &above.rates);
            for rates in above.chain([&model.prices.rates]) {
                dearest = dearer(&dearest, rates);
            }
        }
        let prices = Arc::new(Prices { rates: dearest, ..Prices::default() });
        Self { prices, basis: Basis::Dearest, context_tokens: None, max_output_tokens: None }
    }

    /// Whether the price is the model's own.
    pub fn basis(&self) -> Basis {
        self.basis
    }

    /// What a complete answer costs. A usage without its two totals, or with a count that cannot be, is as good as none: then
    /// the cost is the estimate.
    pub fn cost(&self, usage: Option<&Usage>, case: &Case) -> Cost {
        match usage.filter(|usage| self.is_believable(usage, &case.request)) {
            Some(usage @ Usage { input: Some(_), output: Some(_), .. }) => {
                let provenance = match self.basis {
                    Basis::Listed => Provenance::Computed,
                    Basis::Dearest => Provenance::Default,
                };
                Cost::of(self.parts_in(usage, case), provenance)
            }
            Some(_) | None => Cost::stand_in(case),
        }
    }

    /// What an answer costs that ended before it was complete: what the provider had said by then and what had been passed on
    /// since, as far as the model can say that much, and the request as it was counted where nothing was said of the input.
    /// Where what was said cannot be, the cost is the estimate.
    pub fn partial(&self, usage: Option<&Usage>, counted: Counted, case: &Case) -> Cost {
        let mut usage = usage.cloned().unwrap_or_default();
        if !self.is_believable(&usage, &case.request) {
            return Cost::stand_in(case);
        }
        let said = usage.output.unwrap_or(0);
        let room = self.most_output(&case.request).saturating_sub(said);
        usage.input = Some(usage.input.unwrap_or_else(|| self.counted_input(counted.input)));
        usage.output = Some(said + counted.output.min(room));
        Cost::of(self.parts_in(&usage, case), Provenance::EstimatedPartial)
    }

    /// What a call may cost, before it is made, in the tier that it asks for: its input by size (four bytes a token, never more
    /// than the model's context), and its output limit, or 4096 tokens where it sets none.
    pub fn estimate(&self, request: &Request) -> NanoUsd {
        let by_size = u64::try_from(request.bytes).unwrap_or(u64::MAX).div_ceil(BYTES_PER_TOKEN);
        let output = request.max_output_tokens.unwrap_or(UNLIMITED_OUTPUT).min(self.output_limit());
        let output = output.saturating_mul(bounds::choices(request));
        let usage = Usage { input: Some(self.counted_input(by_size)), output: Some(output), ..Usage::default() };
        self.parts(&usage, request.tier).sum()
    }

    /// In the tier that served the call, or the dearest that may have.
    fn parts_in(&self, usage: &Usage, case: &Case) -> Parts {
        if let Some(tier) = case.served_in {
            return self.parts(usage, tier);
        }
        let standard = self.parts(usage, ServiceTier::Standard);
        let asked = self.parts(usage, case.request.tier);
        if asked.sum() > standard.sum() { asked } else { standard }
    }

    /// The sum is rounded once, to the nearest nano-dollar, halves up: each part is what the sum grows by when it is added.
    fn parts(&self, usage: &Usage, tier: ServiceTier) -> Parts {
        let input = usage.input.unwrap_or(0);
        let output = usage.output.unwrap_or(0);
        let rates = self.rates(input, tier);

        // No part is larger than its total, and none counts twice: what was cached is billed as such before what was heard.
        let (cache_read, rest) = take(usage.cache_read, input);
        let (cache_write_1h, rest) = take(usage.cache_write_1h, rest);
        let (cache_write_5m, rest) = take(usage.cache_write_5m, rest);
        let (audio_input, fresh) = take(usage.audio_input, rest);
        let (audio_output, rest) = take(usage.audio_output, output);
        let (reasoning, text) = take(usage.reasoning, rest);

        let millionths = |counts: &[(u64, i128)]| -> i128 {
            counts.iter().map(|&(tokens, per_million)| i128::from(tokens) * per_million).sum()
        };
        let input = millionths(&[
            (fresh, rates.input),
            (cache_read, rates.cache_read),
            (cache_write_5m, rates.cache_write_5m),
            (cache_write_1h, rates.cache_write_1h),
            (audio_input, rates.audio_input),
        ]);
        let output =
            millionths(&[(text, rates.output), (reasoning, rates.reasoning), (audio_output, rates.audio_output)]);
        let searches = i128::from(usage.web_searches.unwrap_or(0))
            * self.prices.rates.web_search.map_or(0, |fee| i128::from(fee.per_million().0));

        let with_input = rounded(input);
        let with_output = rounded(input + output);
        let all = rounded(input + output + searches);
        Parts { input: with_input, output: with_output - with_input, searches: all - with_output }
    }

    fn rates(&self, input_tokens: u64, tier: ServiceTier) -> Full {
        let standard = Full::standard(&self.prices.rates);
        let in_tier = match tier {
            ServiceTier::Standard => standard,
            ServiceTier::Listed(tier) => {
                self.prices.tiers.get(&tier).map_or(standard, |rates| standard.overridden(rates, &standard))
            }
            ServiceTier::Batch => standard.map(|rate| rate / 2),
        };
        match self.prices.above.iter().rev().find(|above| input_tokens > above.input_tokens) {
            None => in_tier,
            Some(Above { rates, .. }) => {
                let long = standard.overridden(rates, &standard);
                in_tier.grown(&standard, &long)
            }
        }
    }
}

impl Full {
    /// A list's own rates, and what stands in for those that it does not have.
    fn standard(rates: &Rates) -> Self {
        let or = |rate: Option<Rate>, other: i128| rate.map_or(other, |rate| i128::from(rate.per_million().0));
        let input = or(rates.input, 0);
        let output = or(rates.output, 0);
        let cache_write_5m = or(rates.cache_write_5m, input);
        Self {
            input,
            output,
            cache_read: or(rates.cache_read, input),
            cache_write_5m,
            cache_write_1h: or(rates.cache_write_1h, cache_write_5m),
            reasoning: or(rates.reasoning_output, output),
            audio_input: or(rates.audio_input, input),
            audio_output: or(rates.audio_output, output),
        }
    }

    /// These rates where another list has some of its own; what it leaves out changes as its input or output does.
    fn overridden(self, rates: &Rates, standard: &Self) -> Self {
        let listed = |rate: Option<Rate>| rate.map(|rate| i128::from(rate.per_million().0));
        let input = listed(rates.input).unwrap_or(self.input);
        let output = listed(rates.output).unwrap_or(self.output);
        let as_input =
            |rate: Option<Rate>, own: i128| listed(rate).unwrap_or_else(|| scaled(own, input, standard.input));
        let as_output =
            |rate: Option<Rate>, own: i128| listed(rate).unwrap_or_else(|| scaled(own, output, standard.output));
        Self {
            input,
            output,
            cache_read: as_input(rates.cache_read, self.cache_read),
            cache_write_5m: as_input(rates.cache_write_5m, self.cache_write_5m),
            cache_write_1h: as_input(rates.cache_write_1h, self.cache_write_1h),
            reasoning: as_output(rates.reasoning_output, self.reasoning),
            audio_input: as_input(rates.audio_input, self.audio_input),
            audio_output: as_output(rates.audio_output, self.audio_output),
        }
    }

    /// These rates, each grown as the standard one does from `standard` to `long`.
    fn grown(self, standard: &Self, long: &Self) -> Self {
        Self {
            input: scaled(self.input, long.input, standard.input),
            output: scaled(self.output, long.output, standard.output),
            cache_read: scaled(self.cache_read, long.cache_read, standard.cache_read),
            cache_write_5m: scaled(self.cache_write_5m, long.cache_write_5m, standard.cache_write_5m),
            cache_write_1h: scaled(self.cache_write_1h, long.cache_write_1h, standard.cache_write_1h),
            reasoning: scaled(self.reasoning, long.reasoning, standard.reasoning),
            audio_input: scaled(self.audio_input, long.audio_input, standard.audio_input),
            audio_output: scaled(self.audio_output, long.audio_output, standard.audio_output),
        }
    }

    fn map(self, change: impl Fn(i128) -> i128) -> Self {
        Self {
            input: change(self.input),
            output: change(self.output),
            cache_read: change(self.cache_read),
            cache_write_5m: change(self.cache_write_5m),
            cache_write_1h: change(self.cache_write_1h),
            reasoning: change(self.reasoning),
            audio_input: change(self.audio_input),
            audio_output: change(self.audio_output),
        }
    }
}

/// A part, at most what is left of its total, and what is left then.
fn take(part: Option<u64>, total: u64) -> (u64, u64) {
    let part = part.unwrap_or(0).min(total);
    (part, total - part)
}

/// `rate * new / old`; the rate itself where the old one is nothing.
fn scaled(rate: i128, new: i128, old: i128) -> i128 {
    if old == 0 { rate } else { rate * new / old }
}

/// The dearer of two for each kind of token.
fn dearer(one: &Rates, other: &Rates) -> Rates {
    Rates {
        input: one.input.max(other.input),
        output: one.output.max(other.output),
        cache_read: one.cache_read.max(other.cache_read),
        cache_write_5m: one.cache_write_5m.max(other.cache_write_5m),
        cache_write_1h: one.cache_write_1h.max(other.cache_write_1h),
        reasoning_output: one.reasoning_output.max(other.reasoning_output),
        audio_input: one.audio_input.max(other.audio_input),
        audio_output: one.audio_output.max(other.audio_output),
        web_search: one.web_search.max(other.web_search),
    }
}

/// Millionths of a nano-dollar, to the nearest nano-dollar, halves up. An absurd amount is the largest there is.
fn rounded(millionths: i128) -> NanoUsd {
    NanoUsd(i64::try_from((millionths + 500_000).div_euclid(1_000_000)).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests;
