//! Names and what they mean.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use chrono::NaiveDate;

use super::cost::Case;
use super::{Above, Capability, Catalog, Endpoint, Model, Rate, Rates, Resolved, Tier};
use crate::config::providers::Kind;
use crate::config::{Config, Mode};
use crate::fault::{Fault, FaultKind};
use crate::ir::Usage;
use crate::money::NanoUsd;

fn config(env: &[(&str, &str)]) -> Config {
    Config::load(env.iter().map(|&(name, text)| (name.to_owned(), text.to_owned())), Mode::Tool).unwrap().config
}

fn everything() -> Config {
    config(&[
        ("LLM_GATEWAY_OPENAI_API_KEY", "k"),
        ("LLM_GATEWAY_ANTHROPIC_API_KEY", "k"),
        ("LLM_GATEWAY_GEMINI_API_KEY", "k"),
        (
            "LLM_GATEWAY__PROVIDERS__VLLM",
            "{ kind = 'openai', upstreams = { default = { base_url = 'http://v/v1', api_key = 'k' } } }",
        ),
        ("LLM_GATEWAY__ALIASES", "{ best = 'claude-opus-4-5', local = 'vllm/meta/llama', gpt-4o = 'vllm/gpt-oss' }"),
    ])
}

fn resolve(name: &str) -> Result<Resolved, Fault> {
    Catalog::embedded().unwrap().resolve(name, &everything())
}

fn model(id: &str) -> Model {
    Catalog::embedded().unwrap().models().find(|model| model.id.as_str() == id).unwrap().clone()
}

#[test]
fn the_models_of_the_seed_are_known_with_a_price() {
    for (asked, provider, sent) in [
        ("gpt-4.1", "openai", "gpt-4.1"),
        ("gpt-4.1-mini", "openai", "gpt-4.1-mini"),
        ("o3-mini", "openai", "o3-mini"),
        ("claude-sonnet-4-20250514", "anthropic", "claude-sonnet-4-20250514"),
        ("claude-3-5-sonnet", "anthropic", "claude-3-5-sonnet-20241022"),
        ("gemini/gemini-3-pro-preview", "gemini", "gemini-3-pro-preview"),
        ("gpt-5.2", "openai", "gpt-5.2"),
        ("gpt-5-mini", "openai", "gpt-5-mini"),
        ("gpt-5-nano", "openai", "gpt-5-nano"),
        ("claude-opus-4-5", "anthropic", "claude-opus-4-5"),
        ("claude-sonnet-4-5", "anthropic", "claude-sonnet-4-5"),
        ("claude-haiku-4-5", "anthropic", "claude-haiku-4-5"),
    ] {
        let resolved = resolve(asked).unwrap();
        assert_eq!((resolved.provider.as_str(), resolved.model.as_str()), (provider, sent), "{asked}");
        assert!(resolved.entry.unwrap().prices.rates.input.is_some(), "{asked}");
    }
    let plain = config(&[("LLM_GATEWAY_OPENAI_API_KEY", "k")]);
    assert!(Catalog::embedded().unwrap().resolve("gpt-4o", &plain).unwrap().entry.is_some());
}

#[test]
fn prefixes_catalog_families_and_aliases_each_find_their_provider() {
    for (asked, provider, sent, known) in [
        ("openai/gpt-4.1", "openai", "gpt-4.1", true),
        ("anthropic/claude-3-5-sonnet", "anthropic", "claude-3-5-sonnet-20241022", true),
        ("models/gemini-2.5-pro", "gemini", "gemini-2.5-pro", true),
        ("models/openai/gpt-4.1", "openai", "gpt-4.1", true),
        ("gemini/models/gemini-2.5-pro", "gemini", "gemini-2.5-pro", true),
        ("chat-latest", "openai", "chat-latest", true),
        ("gpt-99-ultra", "openai", "gpt-99-ultra", false),
        ("chatgpt-5o", "openai", "chatgpt-5o", false),
        ("o9", "openai", "o9", false),
        ("codex-mini-latest", "openai", "codex-mini-latest", false),
        ("ft:gpt-4.1-mini:acme::abc", "openai", "ft:gpt-4.1-mini:acme::abc", false),
        ("claude-9", "anthropic", "claude-9", false),
        ("gemini-9-flash", "gemini", "gemini-9-flash", false),
        ("gemma-9-1b", "gemini", "gemma-9-1b", false),
        ("openai/whatever-they-call-it", "openai", "whatever-they-call-it", false),
        ("vllm/meta-llama/Llama-3.1-8B", "vllm", "meta-llama/Llama-3.1-8B", false),
        ("vllm/gpt-4.1", "vllm", "gpt-4.1", true),
        ("vllm/claude-opus-4-5", "vllm", "claude-opus-4-5", false),
        ("best", "anthropic", "claude-opus-4-5", true),
        ("local", "vllm", "meta/llama", false),
        // The alias leads elsewhere; the prefix says where.
        ("openai/gpt-4o", "openai", "gpt-4o", true),
        ("gpt-4o", "vllm", "gpt-oss", false),
        ("vllm/gpt-4o", "vllm", "gpt-oss", false),
    ] {
        let resolved = resolve(asked).unwrap();
        assert_eq!((resolved.provider.as_str(), resolved.model.as_str()), (provider, sent), "{asked}");
        assert_eq!(resolved.entry.is_some(), known, "{asked}");
    }
}

#[test]
fn every_alias_that_is_built_in_leads_to_a_model_that_is_known() {
    let mut config = everything();
    let built_in = self::config(&[]).aliases;
    config.aliases = built_in.clone();
    for alias in built_in.keys() {
        assert!(Catalog::embedded().unwrap().resolve(alias, &config).unwrap().entry.is_some(), "{alias}");
    }
}

#[test]
fn an_unknown_name_is_answered_with_the_nearest_ones() {
    let fault = resolve("gtp-4.1-mini").unwrap_err();
    assert_eq!(fault.kind, FaultKind::ModelNotFound);
    assert_eq!(fault.param.as_deref(), Some("model"));
    insta::assert_snapshot!(fault, @r#"there is no model "gtp-4.1-mini"; did you mean "gpt-4.1-mini", "gpt-5.4-mini" or "gpt-4o-mini"? GET /v1/models lists those that there are"#);
    insta::assert_snapshot!(resolve("Claude-Opus-4-5").unwrap_err(), @r#"there is no model "Claude-Opus-4-5"; did you mean "claude-opus-4-5", "claude-opus-4-6" or "claude-opus-4-7"? GET /v1/models lists those that there are"#);
    insta::assert_snapshot!(resolve("google/gemini-2.5-pro").unwrap_err(), @r#"there is no model "google/gemini-2.5-pro"; did you mean "gemini-2.5-pro", "gemini-2.5-pro-preview-tts" or "gemini-2.5-flash"? GET /v1/models lists those that there are"#);
    insta::assert_snapshot!(resolve("llama").unwrap_err(), @r#"there is no model "llama"; GET /v1/models lists those that there are"#);
    let plain = config(&[("LLM_GATEWAY_OPENAI_API_KEY", "k")]);
    let fault = Catalog::embedded().unwrap().resolve("Claude-Opus-4-5", &plain).unwrap_err();
    assert!(!fault.message.contains("\"claude-opus"), "what cannot be called is not offered: {fault}");
}

#[test]
fn what_cannot_be_a_name_is_neither_sent_on_nor_echoed() {
    let long = "gpt-".repeat(100);
    for asked in
        ["", "openai/", "/gpt-4.1", "gpt-4.1\n", "gemini/../files", "gemini/a?key=b", "gpt-4.1%2f", "гпт-4", &long]
    {
        let fault = resolve(asked).unwrap_err();
        assert_eq!(fault.kind, FaultKind::ModelNotFound, "{asked}");
        assert_eq!(fault.message, "that is no name of a model; GET /v1/models lists those that there are", "{asked}");
    }
}

#[test]
fn a_provider_without_a_key_is_answered_with_the_setting_that_is_missing() {
    let none = config(&[(
        "LLM_GATEWAY__PROVIDERS__VLLM",
        "{ kind = 'openai', upstreams = { main = { base_url = 'http://v/v1' } } }",
    )]);
    let refusal = |name: &str| {
        let fault = Catalog::embedded().unwrap().resolve(name, &none).unwrap_err();
        assert_eq!((fault.kind, fault.param.as_deref()), (FaultKind::InvalidParameter, Some("model")));
        fault.message
    };
    insta::assert_snapshot!(refusal("claude-opus-4-5"), @r#"model "claude-opus-4-5" is served by anthropic, which is not configured here: LLM_GATEWAY_ANTHROPIC_API_KEY is not set"#);
    insta::assert_snapshot!(refusal("vllm/llama"), @r#"model "vllm/llama" is served by vllm, which is not configured here: LLM_GATEWAY__PROVIDERS__VLLM__UPSTREAMS__MAIN__API_KEY is not set"#);
}

#[test]
fn the_facts_of_a_model_are_those_of_the_list() {
    let pro = model("gemini-2.5-pro");
    assert_eq!((pro.provider.as_str(), pro.kind), ("gemini", Kind::Gemini));
    assert_eq!((pro.context_tokens, pro.max_output_tokens), (Some(1_048_576), Some(65_536)));
    assert!(
        pro.capabilities.contains(&Capability::Reasoning) && !pro.capabilities.contains(&Capability::ParallelTools)
    );
    assert_eq!(pro.prices.rates.input.unwrap().to_string(), "1.25");
    assert_eq!(pro.prices.rates.cache_read.unwrap().per_million().0, 125_000_000);
    assert_eq!(pro.prices.above[0].input_tokens, 200_000);
    assert_eq!(pro.prices.above[0].rates.output.unwrap().to_string(), "15.00");
    assert_eq!(pro.prices.tiers[&Tier::Flex].input.unwrap().to_string(), "0.625");
    assert_eq!(pro.prices.tiers[&Tier::Priority].output.unwrap().to_string(), "18.00");

    let opus = model("claude-opus-4-5").prices.rates;
    assert!(opus.cache_write_1h > opus.cache_write_5m && opus.cache_write_5m > opus.input);
    assert!(model("o3").endpoints.contains(&Endpoint::Responses));
    assert_eq!(model("o4-mini-deep-research").deprecation_date, NaiveDate::from_ymd_opt(2026, 7, 23));
    // 0.0025 dollars a million: 2.5 nano-dollars a token, whole only by the million.
    assert_eq!(model("gpt-5-nano").prices.tiers[&Tier::Flex].cache_read.unwrap().per_million().0, 2_500_000);
}

#[test]
fn a_model_that_the_list_has_twice_takes_the_dearer_price() {
    assert_eq!(model("gemini-exp-1206").prices.rates.input.unwrap().to_string(), "0.30");
}

#[test]
fn a_retired_model_is_still_resolved() {
    let retired = model("o4-mini-deep-research");
    assert!(retired.deprecation_date.is_some());
    assert!(resolve(retired.id.as_str()).is_ok());
}

#[test]
fn every_model_has_a_price_and_a_name_of_its_own() {
    let catalog = Catalog::embedded().unwrap();
    assert!(catalog.models().count() > 170);
    for model in catalog.models() {
        assert!(model.prices.rates.input.is_some() && model.prices.rates.output.is_some(), "{}", model.id);
        assert!(!model.id.as_str().contains('/'), "{}", model.id);
        assert!(model.prices.above.is_sorted_by_key(|above| above.input_tokens), "{}", model.id);
    }
}

const SOUND: &str = r#"
[prices."gemini-2.5-pro"]
cache_write_5m = 2
cache_write_1h = 3
reasoning_output = 11
audio_input = 4
audio_output = 5
web_search = 14000
above = [{ input_tokens = 200_000, rates = { input = 9, audio_input = 7 } }, { input_tokens = 100_000, rates = { output = 8 } }]
tiers = { flex = { cache_read = 0.01 } }
"#;

fn with_file(toml: &str) -> Result<(Catalog, Config), String> {
    use std::io::Write as _;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(toml.as_bytes()).unwrap();
    let path = file.path().to_str().unwrap().to_owned();
    let env =
        [("LLM_GATEWAY_CONFIG".to_owned(), path.clone()), ("LLM_GATEWAY_GEMINI_API_KEY".to_owned(), "k".to_owned())];
    let loaded = Config::load(env, Mode::Tool).map_err(|error| error.to_string().replace(&path, "FILE"))?;
    let catalog = Catalog::load(&loaded).map_err(|error| error.to_string().replace(&path, "FILE"))?;
    Ok((catalog, loaded.config))
}

#[test]
fn a_price_of_ones_own_can_name_all_that_the_list_has_and_leaves_the_rest_as_it_is() {
    let (_, config) = with_file(SOUND).unwrap();
    let listed = model("gemini-2.5-pro").prices;
    let given = listed.overridden(&config.prices["gemini-2.5-pro"]);

    let usd = |usd: i64| Some(Rate::of(NanoUsd(usd * NanoUsd::PER_USD)));
    let rates = Rates {
        cache_write_5m: usd(2),
        cache_write_1h: usd(3),
        reasoning_output: usd(11),
        audio_input: usd(4),
        audio_output: usd(5),
        web_search: usd(14_000),
        ..listed.rates.clone()
    };
    assert_eq!(given.rates, rates);
    let above = [
        Above { input_tokens: 100_000, rates: Rates { output: usd(8), ..Rates::default() } },
        Above {
            input_tokens: 200_000,
            rates: Rates { input: usd(9), audio_input: usd(7), ..listed.above[0].rates.clone() },
        },
    ];
    assert_eq!(given.above, above);
    assert_eq!(given.tiers[&Tier::Priority], listed.tiers[&Tier::Priority]);
    let flex = Rates { cache_read: Some(Rate::of(NanoUsd(10_000_000))), ..listed.tiers[&Tier::Flex].clone() };
    assert_eq!(given.tiers[&Tier::Flex], flex);
    assert!(listed.rates.cache_read.is_some() && listed.above[0].rates.cache_read.is_some(), "the test needs some");
}

#[test]
fn a_price_that_names_one_rate_leaves_the_listed_thresholds_and_tiers() {
    let (catalog, config) = with_file("[prices.'gemini-2.5-pro']\ninput = 1").unwrap();
    let listed = model("gemini-2.5-pro").prices;
    let given = listed.overridden(&config.prices["gemini-2.5-pro"]);
    assert_eq!(given.rates, Rates { input: Some(Rate::of(NanoUsd(NanoUsd::PER_USD))), ..listed.rates.clone() });
    assert_eq!((&given.above, &given.tiers), (&listed.above, &listed.tiers));

    // And it is what a call is charged: 10 x 1 + 10 at the listed rate for cached ones, and 300,000 above the threshold.
    let tariff = catalog.resolve("gemini-2.5-pro", &config).unwrap().tariff;
    let cost = |input, cache_read| {
        let usage = Usage { input: Some(input), output: Some(0), cache_read: Some(cache_read), ..Usage::default() };
        tariff.cost(Some(&usage), &Case::default()).amount
    };
    assert_eq!(cost(20, 10), NanoUsd(10 * 1000 + 10 * 125));
    assert_eq!(cost(300_000, 0), NanoUsd(300_000 * 2500));
}

#[test]
fn a_price_that_does_not_fit_is_refused_where_it_stands() {
    let refused = |toml: &str| with_file(toml).unwrap_err();
    insta::assert_snapshot!(refused("\n[prices.'gpt-99-lab']\ninput = 1"), @"prices.gpt-99-lab, set in FILE line 2: no list has this model, so input and output both have to be given");
    insta::assert_snapshot!(refused("[prices.'gpt-4.1']\ncache_reed = 1"), @"prices.gpt-4.1.cache_reed, set in FILE line 2: there is no such setting; prices.gpt-4.1 knows input, output, cache_read, cache_write_5m, cache_write_1h, reasoning_output, audio_input, audio_output, web_search, above, tiers");
    insta::assert_snapshot!(refused("[prices.'gpt-4.1']\ntiers = { fast = {} }"), @"prices.gpt-4.1.tiers.fast, set in FILE line 2: expected one of flex, priority");
    insta::assert_snapshot!(refused("[prices.'gpt-4.1']\nabove = [{ input_tokens = 5, rates = {} }, { input_tokens = 5, rates = {} }]"), @"prices.gpt-4.1.above, set in FILE line 2: two thresholds are the same; give each once");
    insta::assert_snapshot!(refused("[prices.'gpt-4.1']\nabove = [{ input_tokens = 5, rates = { input = -1 } }]"), @"prices.gpt-4.1.above[0].rates.input, set in FILE line 2: expected dollars per million, from 0 to 1000000");
}

#[test]
fn a_file_of_models_is_laid_over_those_that_are_built_in() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let text = r#"{"models": [
        {"id": "gpt-99-lab", "provider": "openai", "prices": {"rates": {"input": 1, "output": 2}}},
        {"id": "gpt-4.1", "provider": "openai", "context_tokens": 9, "prices": {"rates": {"input": 3, "output": 4}}}
    ]}"#;
    std::fs::write(file.path(), text).unwrap();
    let (catalog, _) = with_file(&format!("catalog.file = '{}'", file.path().display())).unwrap();
    let found = |id: &str| catalog.models().find(|model| model.id.as_str() == id).unwrap();
    assert_eq!(catalog.models().count(), Catalog::embedded().unwrap().models().count() + 1);
    assert_eq!(found("gpt-99-lab").prices.rates.output, Some(Rate::of(NanoUsd(2))));
    let own = found("gpt-4.1");
    assert_eq!((own.context_tokens, own.max_output_tokens), (Some(9), None));
    assert_eq!(own.prices.rates.cache_read, None, "each as a whole");
    assert_eq!(*found("gpt-4.1-mini"), model("gpt-4.1-mini"));
}

#[test]
fn a_file_of_models_that_is_none_is_refused_with_its_name_and_the_place() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    let refused = |text: &str| {
        std::fs::write(path, text).unwrap();
        with_file(&format!("[catalog]\nfile = '{path}'")).unwrap_err().replace(path, "MODELS")
    };
    let one = |prices: &str| {
        format!("{{\"models\": [\n{{\"id\": \"m\", \"provider\": \"openai\", \"prices\": {prices}}}\n]}}")
    };
    insta::assert_snapshot!(refused("{"), @"catalog.file, set in FILE line 2: the file MODELS is no catalog: EOF while parsing an object at line 1 column 1");
    insta::assert_snapshot!(refused(&one(r#"{"rates": {"inptu": 1}}"#)), @"catalog.file, set in FILE line 2: the file MODELS is no catalog: unknown field `inptu`, expected one of `input`, `output`, `cache_read`, `cache_write_5m`, `cache_write_1h`, `reasoning_output`, `audio_input`, `audio_output`, `web_search` at line 2 column 62");
    insta::assert_snapshot!(refused(&one(r#"{"rates": {"input": 1}}"#)), @r#"catalog.file, set in FILE line 2: the file MODELS is no catalog: model "m" has no rate for input, or none for output; give both at line 3 column 1"#);
    insta::assert_snapshot!(refused(&one(r#"{"rates": {"input": -1, "output": 1}}"#)), @"catalog.file, set in FILE line 2: the file MODELS is no catalog: expected nano-dollars per million tokens, from 0 to 1000000000000000 at line 2 column 66");
    insta::assert_snapshot!(refused(r#"{"price_unit": "usd", "models": []}"#), @"catalog.file, set in FILE line 2: the file MODELS is no catalog: price_unit has to be nano_usd_per_million_tokens");
    let twice = r#"{"id": "m", "provider": "openai", "prices": {"rates": {"input": 1, "output": 1}}}"#;
    insta::assert_snapshot!(refused(&format!("{{\"models\": [{twice}, {twice}]}}")), @r#"catalog.file, set in FILE line 2: the file MODELS is no catalog: model "m" is there twice"#);
    let gone = with_file("[catalog]\nfile = '/nowhere/models.json'").unwrap_err();
    insta::assert_snapshot!(gone, @"catalog.file, set in FILE line 2: the file /nowhere/models.json cannot be read: No such file or directory (os error 2)");
}
