//! Says which counts can be: a provider is believed up to twice of what its model takes in and says.
//!
//! A count that cannot be would lock everybody out who shares a limit with the call. But some that look so are true: where the
//! provider runs tools itself (searches, code, remote servers), it asks its model again after each of them, and counts the input
//! every time: 950,648 tokens in a recorded call of a model that takes in 200,000.

use super::{Request, Tariff};
use crate::ir::Usage;

/// Counts above this are believed of no model: no request that a vendor takes comes near it.
pub(super) const ABSURD_TOKENS: u64 = 100_000_000;

/// Searches above this in one call are not believed.
const ABSURD_SEARCHES: u64 = 10_000;

/// By how much a count may be larger than the model: lists have mistakes, and vendors give some models more room to some callers.
const LEEWAY: u64 = 2;

/// The most output that is expected of a model whose own limit is not known.
const UNKNOWN_OUTPUT_LIMIT: u64 = 131_072;

/// The most answers that one call can be for.
const MOST_CHOICES: u64 = 128;

/// How often a provider may have its model run for one call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Passes {
    /// For each answer that is wanted.
    #[default]
    One,
    /// Again after each tool that it runs itself.
    Many,
}

impl Tariff {
    /// Whether a usage can be.
    pub(super) fn is_believable(&self, usage: &Usage, request: &Request) -> bool {
        let (input, output) = match request.passes {
            Passes::One => {
                (self.most_input(), self.max_output_tokens.map(|most| most.saturating_mul(choices(request))))
            }
            Passes::Many => (None, None),
        };
        let can_be = |count: Option<u64>, most: Option<u64>| {
            let most = most.map_or(ABSURD_TOKENS, |most| most.saturating_mul(LEEWAY).min(ABSURD_TOKENS));
            count.unwrap_or(0) <= most
        };
        let inputs = [usage.input, usage.cache_read, usage.cache_write_5m, usage.cache_write_1h, usage.audio_input];
        let outputs = [usage.output, usage.reasoning, usage.audio_output];
        inputs.into_iter().all(|count| can_be(count, input))
            && outputs.into_iter().all(|count| can_be(count, output))
            && usage.web_searches.unwrap_or(0) <= ABSURD_SEARCHES
    }

    /// The most that a request is taken for that nobody counted, in tokens.
    pub(super) fn counted_input(&self, tokens: u64) -> u64 {
        tokens.min(self.context_tokens.unwrap_or(u64::MAX)).min(ABSURD_TOKENS)
    }

    /// The most output that all answers to a request may have, in tokens.
    pub(super) fn most_output(&self, request: &Request) -> u64 {
        self.output_limit().saturating_mul(choices(request)).min(ABSURD_TOKENS)
    }

    /// The most output that one answer may have, in tokens.
    pub(super) fn output_limit(&self) -> u64 {
        self.max_output_tokens.unwrap_or(UNKNOWN_OUTPUT_LIMIT)
    }

    /// What the model takes in, in tokens. One that has other rates above a threshold takes more than that.
    fn most_input(&self) -> Option<u64> {
        let threshold = self.prices.above.last().map_or(0, |above| above.input_tokens);
        Some(self.context_tokens?.max(threshold))
    }
}

/// How many answers are wanted.
pub(super) fn choices(request: &Request) -> u64 {
    request.choices.unwrap_or(1).clamp(1, MOST_CHOICES)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::super::*;
    use super::Passes;
    use crate::catalog::Catalog;

    /// A model that takes in 200,000 tokens and says 100,000.
    fn o3() -> Tariff {
        let catalog = Catalog::embedded().unwrap();
        let model = catalog.models().find(|model| model.id.as_str() == "o3").unwrap();
        assert_eq!((model.context_tokens, model.max_output_tokens), (Some(200_000), Some(100_000)));
        Tariff::listed(model)
    }

    fn is_believed(tariff: &Tariff, input: u64, output: u64, request: Request) -> bool {
        let usage = Usage { input: Some(input), output: Some(output), ..Usage::default() };
        let case = Case { request, served_in: None, estimate: NanoUsd(777) };
        let whole = tariff.cost(Some(&usage), &case);
        let cut = tariff.partial(Some(&usage), Counted { input: 1, output: 1 }, &case);
        let doubted = Cost { amount: NanoUsd(777), parts: None, provenance: Provenance::Default };
        assert_eq!(whole == doubted, cut == doubted, "{input} and {output}");
        whole != doubted
    }

    #[test]
    fn a_provider_is_believed_up_to_twice_of_what_its_model_takes_in_and_says() {
        let once = Request::default();
        for (input, output, believed) in [
            (400_000, 200_000, true),
            (400_001, 10, false),
            (10, 200_001, false),
            (100_000_000, 10, false),
            (10, 100_000_000, false),
        ] {
            assert_eq!(is_believed(&o3(), input, output, once), believed, "{input} and {output}");
        }
    }

    #[test]
    fn several_answers_may_be_as_much_longer_together_and_are_asked_once() {
        let thrice = Request { choices: Some(3), ..Request::default() };
        assert!(is_believed(&o3(), 400_000, 600_000, thrice));
        assert!(!is_believed(&o3(), 400_000, 600_001, thrice));
        assert!(!is_believed(&o3(), 400_001, 10, thrice));
    }

    #[test]
    fn a_provider_that_runs_tools_itself_may_have_asked_its_model_many_times() {
        let many = Request { passes: Passes::Many, ..Request::default() };
        assert!(is_believed(&o3(), 3_000_000, 300_000, many));
        assert!(!is_believed(&o3(), 100_000_001, 10, many));
    }

    #[test]
    fn of_a_model_of_unknown_size_more_is_believed_but_not_everything() {
        let catalog = Catalog::embedded().unwrap();
        let dearest = Tariff::dearest(catalog.models());
        assert!(is_believed(&dearest, 100_000_000, 100_000_000, Request::default()));
        assert!(!is_believed(&dearest, 100_000_001, 1, Request::default()));
    }

    #[test]
    fn a_model_with_other_rates_above_its_context_takes_in_what_those_are_for() {
        let catalog = Catalog::embedded().unwrap();
        let model = catalog.models().find(|model| model.id.as_str() == "claude-sonnet-4-20250514").unwrap();
        assert_eq!((model.context_tokens, model.prices.above[0].input_tokens), (Some(200_000), 200_000));
        let mut wider = model.clone();
        wider.prices.above[0].input_tokens = 500_000;
        assert!(!is_believed(&Tariff::listed(model), 400_001, 1, Request::default()));
        assert!(is_believed(&Tariff::listed(&wider), 1_000_000, 1, Request::default()));
    }

    #[test]
    fn what_was_counted_of_a_cut_answer_is_no_more_than_the_model_can_say() {
        let case = |choices| Case { request: Request { choices, ..Request::default() }, ..Case::default() };
        let counted = Counted { input: 0, output: 50_000_000 };
        // At 8 dollars a million: 100,000 for each answer.
        assert_eq!(o3().partial(None, counted, &case(None)).amount, NanoUsd(800_000_000));
        assert_eq!(o3().partial(None, counted, &case(Some(2))).amount, NanoUsd(1_600_000_000));
        // What was said stays, and what is counted adds to it up to there.
        let said = |output| Usage { input: Some(0), output: Some(output), ..Usage::default() };
        assert_eq!(o3().partial(Some(&said(40_000)), counted, &case(None)).amount, NanoUsd(800_000_000));
        assert_eq!(o3().partial(Some(&said(150_000)), counted, &case(None)).amount, NanoUsd(1_200_000_000));
    }
}
