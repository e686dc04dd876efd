//! Costs against a table that was worked out by hand from the vendors' price pages.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use serde_json::Value;

use super::{Basis, Case, Cost, Counted, Parts, Passes, Provenance, Request, ServiceTier, Tariff, Tier};
use crate::catalog::Catalog;
use crate::dialect::{self, Dialect, openai_chat, openai_responses};
use crate::ir::Usage;
use crate::money::NanoUsd;

mod anthropic;
mod gemini;
mod openai;

/// One answer's usage as its vendor writes it, and what it costs.
///
/// Names with a dash are recordings; the others are made up in the vendor's shape. Above each cost stands its arithmetic, in
/// tokens times dollars per million tokens: the sum times a thousand is nano-dollars.
#[derive(Clone, Copy)]
struct Row {
    from: &'static str,
    model: &'static str,
    dialect: Dialect,
    tier: &'static str,
    usage: &'static str,
    costs: i64,
}

/// Of each vendor.
const TABLES: [&[Row]; 3] = [anthropic::ROWS, openai::ROWS, gemini::ROWS];

fn tariff(model: &str) -> Tariff {
    let catalog = Catalog::embedded().unwrap();
    let listed = catalog.models().find(|listed| listed.id.as_str() == model).unwrap();
    Tariff::listed(listed)
}

fn usage(dialect: Dialect, wire: &str) -> Usage {
    let wire: Value = serde_json::from_str(wire).unwrap();
    match dialect {
        Dialect::Anthropic => dialect::anthropic::tap::usage(wire),
        Dialect::Gemini => dialect::gemini::tap::usage(wire),
        Dialect::OpenAiChat => openai_chat::tap::usage(wire),
        Dialect::OpenAiResponses => openai_responses::tap::usage(wire),
    }
}

const ESTIMATE: NanoUsd = NanoUsd(777);

fn case(tier: ServiceTier) -> Case {
    Case { served_in: Some(tier), estimate: ESTIMATE, ..Case::default() }
}

const STANDARD: ServiceTier = ServiceTier::Standard;

#[test]
fn every_row_of_the_table_costs_what_the_price_page_says() {
    let rows = TABLES.concat();
    assert!(rows.len() >= 60, "only {} rows", rows.len());
    for row in rows {
        let mut case = case(ServiceTier::from_word(row.tier));
        if row.from.contains("code-execution") {
            case.request.passes = Passes::Many;
        }
        let cost = tariff(row.model).cost(Some(&usage(row.dialect, row.usage)), &case);
        assert_eq!(cost.amount, NanoUsd(row.costs), "{} on {}", row.from, row.model);
        assert_eq!(cost.provenance, Provenance::Computed);
        let parts = cost.parts.unwrap();
        assert_eq!(parts.sum(), cost.amount, "{} on {}", row.from, row.model);
        assert!([parts.input, parts.output, parts.searches].iter().all(|part| *part >= NanoUsd::ZERO), "{}", row.from);
    }
}

#[test]
fn a_tier_that_nobody_says_is_the_dearer_of_the_standard_one_and_the_one_that_was_asked_for() {
    for (model, asked, served_in, costs) in [
        // 1000 x 1.25 + 100 x 10, half of that, and twice.
        ("gpt-5", "", None, 2_250_000),
        ("gpt-5", "auto", None, 2_250_000),
        ("gpt-5", "flex", None, 2_250_000),
        ("gpt-5", "flex", Some("flex"), 1_125_000),
        ("gpt-5", "flex", Some("default"), 2_250_000),
        ("gpt-5", "flex", Some("priority"), 4_500_000),
        ("gpt-5", "priority", None, 4_500_000),
        ("gpt-5", "priority", Some("default"), 2_250_000),
        ("gpt-5", "batch", None, 2_250_000),
        // The same, and 1.8 times that.
        ("gemini-2.5-pro", "flex", None, 2_250_000),
        ("gemini-2.5-pro", "flex", Some("ON_DEMAND_FLEX"), 1_125_000),
        ("gemini-2.5-pro", "SERVICE_TIER_PRIORITY", None, 4_050_000),
        // 1000 x 3 + 100 x 15: what Anthropic calls priority is paid for by contract.
        ("claude-sonnet-4-5", "auto", None, 4_500_000),
        ("claude-sonnet-4-5", "auto", Some("priority"), 4_500_000),
        ("claude-sonnet-4-5", "auto", Some("batch"), 2_250_000),
        // No flex is listed for it: 1000 x 2 + 100 x 8, and 1000 x 3.5 + 100 x 14.
        ("gpt-4.1", "flex", None, 2_800_000),
        ("gpt-4.1", "priority", None, 4_900_000),
    ] {
        let request = Request { tier: ServiceTier::from_word(asked), ..Request::default() };
        let case = Case { request, served_in: served_in.map(ServiceTier::from_word), estimate: ESTIMATE };
        let usage = Usage { input: Some(1_000), output: Some(100), ..Usage::default() };
        let tariff = tariff(model);
        let whole = tariff.cost(Some(&usage), &case);
        assert_eq!(whole.amount, NanoUsd(costs), "{model}, {asked:?}, {served_in:?}");
        assert_eq!(whole.provenance, Provenance::Computed);
        let cut = tariff.partial(None, Counted { input: 1_000, output: 100 }, &case);
        assert_eq!(cut.amount, NanoUsd(costs), "cut: {model}, {asked:?}, {served_in:?}");
    }
}

#[test]
fn a_model_that_no_list_has_costs_the_dearest_rates_of_its_vendor() {
    let catalog = Catalog::embedded().unwrap();
    let dearest = Tariff::dearest(catalog.models().filter(|model| model.provider.as_str() == "openai"));
    assert_eq!(dearest.basis(), Basis::Dearest);
    // 1000 x 150 + 1000 x 600, both o1-pro's.
    let usage = Usage { input: Some(1000), output: Some(1000), ..Usage::default() };
    let cost = dearest.cost(Some(&usage), &case(STANDARD));
    assert_eq!((cost.amount, cost.provenance), (NanoUsd(750_000_000), Provenance::Default));
}

#[test]
fn a_usage_that_is_missing_or_cannot_be_costs_the_estimate() {
    let expected = Cost { amount: ESTIMATE, parts: None, provenance: Provenance::Default };
    for (model, dialect, wire) in [
        ("claude-sonnet-4-5", Dialect::Anthropic, r#"{"input_tokens":-5,"output_tokens":3}"#),
        ("claude-sonnet-4-5", Dialect::Anthropic, r#"{"input_tokens":5}"#),
        ("claude-sonnet-4-5", Dialect::Anthropic, r#"{"input_tokens":5,"output_tokens":1e18}"#),
        (
            "claude-sonnet-4-5",
            Dialect::Anthropic,
            r#"{"input_tokens":5,"output_tokens":3,"cache_read_input_tokens":18446744073709551615}"#,
        ),
        (
            "claude-sonnet-4-5",
            Dialect::Anthropic,
            r#"{"input_tokens":5,"output_tokens":3,"cache_creation_input_tokens":-7}"#,
        ),
        (
            "claude-sonnet-4-5",
            Dialect::Anthropic,
            r#"{"input_tokens":5,"output_tokens":3,"cache_read_input_tokens":"9"}"#,
        ),
        ("gemini-2.5-pro", Dialect::Gemini, r#"{"promptTokenCount":5,"candidatesTokenCount":-3}"#),
        (
            "gemini-2.5-pro",
            Dialect::Gemini,
            r#"{"promptTokenCount":5,"candidatesTokenCount":3,"toolUsePromptTokenCount":-1}"#,
        ),
        ("gemini-2.5-pro", Dialect::Gemini, r#"{"candidatesTokenCount":3}"#),
        (
            "gemini-2.5-pro",
            Dialect::Gemini,
            r#"{"promptTokenCount":5,"candidatesTokenCount":3,"thoughtsTokenCount":1e18}"#,
        ),
        ("gpt-4.1", Dialect::OpenAiResponses, r#"{"input_tokens":-5,"output_tokens":3}"#),
        ("gpt-4.1", Dialect::OpenAiResponses, r#"{"output_tokens":3}"#),
        ("gpt-4.1", Dialect::OpenAiResponses, r#"{"input_tokens":5,"output_tokens":900000000000}"#),
    ] {
        let usage = usage(dialect, wire);
        assert_eq!(tariff(model).cost(Some(&usage), &case(STANDARD)), expected, "{wire}");
    }
    let tariff = tariff("gpt-4.1");
    assert_eq!(tariff.cost(None, &case(STANDARD)), expected);
    for wire in [
        r#"{}"#,
        r#"{"prompt_tokens":-5,"completion_tokens":3}"#,
        r#"{"prompt_tokens":5,"completion_tokens":-3}"#,
        r#"{"prompt_tokens":5}"#,
        r#"{"prompt_tokens":1e18,"completion_tokens":3}"#,
        r#"{"prompt_tokens":18446744073709551615,"completion_tokens":3}"#,
        r#"{"prompt_tokens":"5","completion_tokens":3}"#,
        r#"{"prompt_tokens":100,"completion_tokens":3,"prompt_tokens_details":{"cached_tokens":900000000000}}"#,
    ] {
        let usage = usage(Dialect::OpenAiChat, wire);
        assert_eq!(tariff.cost(Some(&usage), &case(STANDARD)), expected, "{wire}");
    }
}

#[test]
fn a_part_that_is_larger_than_its_total_counts_as_the_total() {
    let usage = Usage {
        input: Some(100),
        cache_read: Some(5000),
        audio_input: Some(5000),
        output: Some(10),
        reasoning: Some(99),
        ..Usage::default()
    };
    // 100 x 0.5 + 10 x 8
    let cost = tariff("gpt-4.1").cost(Some(&usage), &case(STANDARD));
    assert_eq!(cost.amount, NanoUsd(130_000));
}

#[test]
fn an_answer_cut_short_costs_its_input_and_what_had_been_passed_on() {
    let tariff = tariff("gpt-4.1");
    // Nothing was said: 1000 x 2 + 50 x 8.
    let counted = Counted { input: 1000, output: 50 };
    let nothing = tariff.partial(None, counted, &case(STANDARD));
    assert_eq!((nothing.amount, nothing.provenance), (NanoUsd(2_400_000), Provenance::EstimatedPartial));
    let parts = Parts { input: NanoUsd(2_000_000), output: NanoUsd(400_000), searches: NanoUsd::ZERO };
    assert_eq!(nothing.parts, Some(parts));
    // The input was said, and a little of the output before the rest went by: 10 x 2 + (1 + 50) x 8.
    let usage = Usage { input: Some(10), output: Some(1), ..Usage::default() };
    assert_eq!(tariff.partial(Some(&usage), counted, &case(STANDARD)).amount, NanoUsd(428_000));
    // No request is larger than the model's context: 1047576 x 2.
    let absurd = Counted { input: u64::MAX, output: 0 };
    assert_eq!(tariff.partial(None, absurd, &case(STANDARD)).amount, NanoUsd(2_095_152_000));
}

#[test]
fn an_estimate_is_the_input_by_size_and_the_output_limit() {
    let tariff = tariff("gpt-4.1");
    let request =
        |max_output_tokens, choices| Request { bytes: 4001, max_output_tokens, choices, ..Request::default() };
    // 1001 x 2 + 100 x 8
    assert_eq!(tariff.estimate(&request(Some(100), None)), NanoUsd(2_802_000));
    // 1001 x 2 + 3 x 100 x 8
    assert_eq!(tariff.estimate(&request(Some(100), Some(3))), NanoUsd(4_402_000));
    // 1001 x 2 + 4096 x 8
    assert_eq!(tariff.estimate(&request(None, None)), NanoUsd(34_770_000));
    // The model's own limit: 1001 x 2 + 32768 x 8
    assert_eq!(tariff.estimate(&request(Some(1_000_000_000_000_000_000), None)), NanoUsd(264_146_000));
    let absurd = Request {
        bytes: usize::MAX,
        max_output_tokens: Some(u64::MAX),
        choices: Some(u64::MAX),
        tier: ServiceTier::Listed(Tier::Priority),
        passes: Passes::Many,
    };
    let catalog = Catalog::embedded().unwrap();
    let dearest = Tariff::dearest(catalog.models());
    let most = dearest.estimate(&absurd);
    assert!(most > NanoUsd::ZERO && most < NanoUsd(i64::MAX), "{most}");
}

#[test]
fn an_estimate_is_at_the_price_of_the_tier_that_is_asked_for() {
    let estimate = |model: &str, bytes, tier| {
        tariff(model).estimate(&Request { bytes, max_output_tokens: Some(100), tier, ..Request::default() })
    };
    let (flex, priority) = (ServiceTier::Listed(Tier::Flex), ServiceTier::Listed(Tier::Priority));
    // 1000 x 1.25 + 100 x 10, half of that, and twice.
    assert_eq!(estimate("gpt-5", 4_000, ServiceTier::Standard), NanoUsd(2_250_000));
    assert_eq!(estimate("gpt-5", 4_000, flex), NanoUsd(1_125_000));
    assert_eq!(estimate("gpt-5", 4_000, priority), NanoUsd(4_500_000));
    // The list has no flex for it, and no tiers of Anthropic's: 1000 x 2 + 100 x 8, and 1000 x 3 + 100 x 15.
    assert_eq!(estimate("gpt-4.1", 4_000, flex), NanoUsd(2_800_000));
    assert_eq!(estimate("claude-sonnet-4-5", 4_000, priority), NanoUsd(4_500_000));
    // Long and in a tier: 250000 x 1.25 x 2 / 2 + 100 x 10 x 1.5 / 2.
    assert_eq!(estimate("gemini-2.5-pro", 1_000_000, flex), NanoUsd(313_250_000));
}

#[test]
fn searches_cost_what_configuration_says() {
    let catalog = Catalog::embedded().unwrap();
    let mut model = catalog.models().find(|model| model.id.as_str() == "gpt-4.1").unwrap().clone();
    // Ten dollars per thousand.
    model.prices.rates.web_search = serde_json::from_str("10000000000000").unwrap();
    let usage = Usage { input: Some(0), output: Some(0), web_searches: Some(3), ..Usage::default() };
    let cost = Tariff::listed(&model).cost(Some(&usage), &case(STANDARD));
    assert_eq!(cost.amount, NanoUsd(30_000_000));
    assert_eq!(cost.parts, Some(Parts { searches: NanoUsd(30_000_000), ..Parts::default() }));
}

#[test]
fn parts_of_a_nano_dollar_add_up_and_what_took_nothing_costs_nothing() {
    let tariff = tariff("gpt-4.1-nano");
    // A tenth and four tenths of a dollar per million tokens, cached ones a quarter of that: 25 nano-dollars for one.
    for (input, cached, output) in [(1, 1, 0), (3, 3, 1), (0, 0, 1), (1, 0, 0), (7, 5, 3)] {
        let usage = Usage { input: Some(input), cache_read: Some(cached), output: Some(output), ..Usage::default() };
        let cost = tariff.cost(Some(&usage), &case(ServiceTier::Listed(Tier::Flex)));
        let parts = cost.parts.unwrap();
        assert_eq!(parts.sum(), cost.amount);
        assert!(output > 0 || parts.output == NanoUsd::ZERO);
        assert!(input > 0 || parts.input == NanoUsd::ZERO);
        assert_eq!(parts.searches, NanoUsd::ZERO);
    }
}
