//! Costs against a table that was worked out by hand from the vendors' price pages.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use serde_json::Value;

use super::{Basis, Case, Cost, Counted, Parts, Passes, Provenance, Request, ServiceTier, Tariff, Tier};
use crate::catalog::Catalog;
use crate::dialect::{Dialect, anthropic, gemini, openai_chat, openai_responses};
use crate::ir::Usage;
use crate::money::NanoUsd;

/// One answer's usage as its vendor writes it, and what it costs.
///
/// Names with a dash are recordings; the others are made up in the vendor's shape. Above each cost stands its arithmetic, in
/// tokens times dollars per million tokens: the sum times a thousand is nano-dollars.
struct Row {
    from: &'static str,
    model: &'static str,
    dialect: Dialect,
    tier: &'static str,
    usage: &'static str,
    costs: i64,
}

#[rustfmt::skip]
const TABLE: &[Row] = &[
    Row {
        from: "anthropic-text",
        model: "claude-sonnet-4-5",
        dialect: Dialect::Anthropic,
        tier: "standard",
        usage: r#"{"input_tokens":12,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},"output_tokens":29}"#,
        // 12 x 3 + 29 x 15
        costs: 471_000,
    },
    Row {
        from: "anthropic-clear-thinking.1",
        model: "claude-sonnet-4-5",
        dialect: Dialect::Anthropic,
        tier: "standard",
        usage: r#"{"input_tokens":69,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},"output_tokens":33}"#,
        // 69 x 3 + 33 x 15
        costs: 702_000,
    },
    Row {
        from: "anthropic-code-execution-20250825.1",
        model: "claude-sonnet-4-5",
        dialect: Dialect::Anthropic,
        tier: "standard",
        usage: r#"{"input_tokens":7881,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},"output_tokens":608}"#,
        // 7881 x 3 + 608 x 15
        costs: 32_763_000,
    },
    Row {
        from: "anthropic-code-execution-20250825.pptx-skill",
        model: "claude-sonnet-4-5",
        dialect: Dialect::Anthropic,
        tier: "standard",
        usage: r#"{"input_tokens":950648,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},"output_tokens":13856}"#,
        // 950648 x 3 + 13856 x 15; no threshold listed for this model
        costs: 3_059_784_000,
    },
    Row {
        from: "anthropic-json-output-format.1",
        model: "claude-sonnet-4-5",
        dialect: Dialect::Anthropic,
        tier: "standard",
        usage: r#"{"input_tokens":371,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},"output_tokens":629}"#,
        // 371 x 3 + 629 x 15
        costs: 10_548_000,
    },
    Row {
        from: "anthropic-json-tool.1",
        model: "claude-haiku-4-5-20251001",
        dialect: Dialect::Anthropic,
        tier: "standard",
        usage: r#"{"input_tokens":1151,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},"output_tokens":87}"#,
        // 1151 x 1 + 87 x 5
        costs: 1_586_000,
    },
    Row {
        from: "anthropic-refusal-no-details",
        model: "claude-fable-5",
        dialect: Dialect::Anthropic,
        tier: "standard",
        usage: r#"{"input_tokens":18,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},"output_tokens":5}"#,
        // 18 x 10 + 5 x 50
        costs: 430_000,
    },
    Row {
        from: "anthropic-web-fetch-tool.error",
        model: "claude-sonnet-4-20250514",
        dialect: Dialect::Anthropic,
        tier: "standard",
        usage: r#"{"input_tokens":1902,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},"output_tokens":214,"server_tool_use":{"web_search_requests":0}}"#,
        // 1902 x 3 + 214 x 15
        costs: 8_916_000,
    },
    Row {
        from: "anthropic-web-search-tool.1",
        model: "claude-sonnet-4-20250514",
        dialect: Dialect::Anthropic,
        tier: "standard",
        usage: r#"{"input_tokens":27118,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},"output_tokens":600,"server_tool_use":{"web_search_requests":2}}"#,
        // 27118 x 3 + 600 x 15; no list has the fee of 2 searches
        costs: 90_354_000,
    },
    Row {
        from: "anthropic-mcp.1",
        model: "claude-sonnet-4-5",
        dialect: Dialect::Anthropic,
        tier: "standard",
        usage: r#"{"input_tokens":1250,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},"output_tokens":88}"#,
        // 1250 x 3 + 88 x 15
        costs: 5_070_000,
    },
    Row {
        from: "a prompt read from the cache",
        model: "claude-sonnet-4-5",
        dialect: Dialect::Anthropic,
        tier: "standard",
        usage: r#"{"input_tokens":21,"cache_creation_input_tokens":0,"cache_read_input_tokens":188086,"output_tokens":393}"#,
        // 21 x 3 + 188086 x 0.3 + 393 x 15
        costs: 62_383_800,
    },
    Row {
        from: "a prompt written for five minutes",
        model: "claude-sonnet-4-5",
        dialect: Dialect::Anthropic,
        tier: "standard",
        usage: r#"{"input_tokens":21,"cache_creation_input_tokens":188086,"cache_read_input_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":188086,"ephemeral_1h_input_tokens":0},"output_tokens":393}"#,
        // 21 x 3 + 188086 x 3.75 + 393 x 15
        costs: 711_280_500,
    },
    Row {
        from: "a prompt written for an hour",
        model: "claude-sonnet-4-5",
        dialect: Dialect::Anthropic,
        tier: "standard",
        usage: r#"{"input_tokens":21,"cache_creation_input_tokens":188086,"cache_read_input_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":188086},"output_tokens":393}"#,
        // 21 x 3 + 188086 x 6 + 393 x 15
        costs: 1_134_474_000,
    },
    Row {
        from: "both lifetimes and a read",
        model: "claude-sonnet-4-5",
        dialect: Dialect::Anthropic,
        tier: "standard",
        usage: r#"{"input_tokens":50,"cache_creation_input_tokens":248,"cache_read_input_tokens":1800,"cache_creation":{"ephemeral_5m_input_tokens":148,"ephemeral_1h_input_tokens":100},"output_tokens":503}"#,
        // 50 x 3 + 1800 x 0.3 + 148 x 3.75 + 100 x 6 + 503 x 15
        costs: 9_390_000,
    },
    Row {
        from: "a write whose lifetime is not said",
        model: "claude-opus-4-5",
        dialect: Dialect::Anthropic,
        tier: "standard",
        usage: r#"{"input_tokens":4,"cache_creation_input_tokens":1000,"cache_read_input_tokens":9000,"output_tokens":100}"#,
        // 4 x 5 + 9000 x 0.5 + 1000 x 6.25 + 100 x 25
        costs: 13_270_000,
    },
    Row {
        from: "an hour on Opus",
        model: "claude-opus-4-20250514",
        dialect: Dialect::Anthropic,
        tier: "standard",
        usage: r#"{"input_tokens":1000,"cache_creation_input_tokens":5000,"cache_read_input_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":2000,"ephemeral_1h_input_tokens":3000},"output_tokens":2000}"#,
        // 1000 x 15 + 2000 x 18.75 + 3000 x 30 + 2000 x 75
        costs: 292_500_000,
    },
    Row {
        from: "a cheap model with every part",
        model: "claude-3-5-haiku-20241022",
        dialect: Dialect::Anthropic,
        tier: "standard",
        usage: r#"{"input_tokens":7,"cache_creation_input_tokens":36,"cache_read_input_tokens":13,"cache_creation":{"ephemeral_5m_input_tokens":17,"ephemeral_1h_input_tokens":19},"output_tokens":11}"#,
        // 7 x 0.8 + 13 x 0.08 + 17 x 1 + 19 x 1.6 + 11 x 4
        costs: 98_040,
    },
    Row {
        from: "at the threshold",
        model: "claude-sonnet-4-20250514",
        dialect: Dialect::Anthropic,
        tier: "standard",
        usage: r#"{"input_tokens":200000,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":1000}"#,
        // 200000 x 3 + 1000 x 15; 200000 is not above 200000
        costs: 615_000_000,
    },
    Row {
        from: "one above the threshold",
        model: "claude-sonnet-4-20250514",
        dialect: Dialect::Anthropic,
        tier: "standard",
        usage: r#"{"input_tokens":200001,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":1000}"#,
        // 200001 x 6 + 1000 x 22.5; the whole request
        costs: 1_222_506_000,
    },
    Row {
        from: "over the threshold by its cached part",
        model: "claude-sonnet-4-20250514",
        dialect: Dialect::Anthropic,
        tier: "standard",
        usage: r#"{"input_tokens":1,"cache_creation_input_tokens":0,"cache_read_input_tokens":200000,"output_tokens":1}"#,
        // 1 x 6 + 200000 x 0.6 + 1 x 22.5
        costs: 120_028_500,
    },
    Row {
        from: "long, written for five minutes",
        model: "claude-sonnet-4-20250514",
        dialect: Dialect::Anthropic,
        tier: "standard",
        usage: r#"{"input_tokens":100000,"cache_creation_input_tokens":150000,"cache_read_input_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":150000,"ephemeral_1h_input_tokens":0},"output_tokens":10}"#,
        // 100000 x 6 + 150000 x 7.5 + 10 x 22.5
        costs: 1_725_225_000,
    },
    Row {
        from: "long, written for an hour",
        model: "claude-sonnet-4-20250514",
        dialect: Dialect::Anthropic,
        tier: "standard",
        usage: r#"{"input_tokens":100000,"cache_creation_input_tokens":150000,"cache_read_input_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":150000},"output_tokens":10}"#,
        // 100000 x 6 + 150000 x 12 + 10 x 22.5; not listed: 6 x 6/3
        costs: 2_400_225_000,
    },
    Row {
        from: "long on a model whose list has every part",
        model: "claude-haiku-5-5",
        dialect: Dialect::Anthropic,
        tier: "standard",
        usage: r#"{"input_tokens":100001,"cache_creation_input_tokens":50,"cache_read_input_tokens":10,"cache_creation":{"ephemeral_5m_input_tokens":20,"ephemeral_1h_input_tokens":30},"output_tokens":100}"#,
        // 100001 x 0.5 + 10 x 0.05 + 20 x 0.625 + 30 x 1 + 100 x 2.5
        costs: 50_293_500,
    },
    Row {
        from: "below it on the same",
        model: "claude-haiku-5-5",
        dialect: Dialect::Anthropic,
        tier: "standard",
        usage: r#"{"input_tokens":99910,"cache_creation_input_tokens":50,"cache_read_input_tokens":40,"cache_creation":{"ephemeral_5m_input_tokens":20,"ephemeral_1h_input_tokens":30},"output_tokens":100}"#,
        // 99910 x 0.1 + 40 x 0.01 + 20 x 0.125 + 30 x 0.2 + 100 x 0.5; exactly 100000 in
        costs: 10_049_900,
    },
    Row {
        from: "batch",
        model: "claude-sonnet-4-5",
        dialect: Dialect::Anthropic,
        tier: "batch",
        usage: r#"{"input_tokens":1001,"cache_creation_input_tokens":0,"cache_read_input_tokens":11,"output_tokens":501}"#,
        // 1001 x 1.5 + 11 x 0.15 + 501 x 7.5
        costs: 5_260_650,
    },
    Row {
        from: "a committed tier without a price of its own",
        model: "claude-sonnet-4-5",
        dialect: Dialect::Anthropic,
        tier: "priority",
        usage: r#"{"input_tokens":100,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":10}"#,
        // 100 x 3 + 10 x 15
        costs: 450_000,
    },
    Row {
        from: "openai-apply-patch-tool.1",
        model: "gpt-5.1",
        dialect: Dialect::OpenAiResponses,
        tier: "default",
        usage: r#"{"input_tokens":642,"input_tokens_details":{"cached_tokens":0},"output_tokens":67,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":709}"#,
        // 642 x 1.25 + 67 x 10
        costs: 1_472_500,
    },
    Row {
        from: "openai-compaction.1",
        model: "gpt-5.2",
        dialect: Dialect::OpenAiResponses,
        tier: "default",
        usage: r#"{"input_tokens":51097,"input_tokens_details":{"cached_tokens":0},"output_tokens":2056,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":53153}"#,
        // 51097 x 1.75 + 2056 x 14
        costs: 118_203_750,
    },
    Row {
        from: "openai-compaction.1.chunks",
        model: "gpt-5.2",
        dialect: Dialect::OpenAiResponses,
        tier: "default",
        usage: r#"{"input_tokens":51097,"input_tokens_details":{"cached_tokens":49792},"output_tokens":2505,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":53602}"#,
        // 1305 x 1.75 + 49792 x 0.175 + 2505 x 14
        costs: 46_067_350,
    },
    Row {
        from: "openai-file-search-tool.1",
        model: "gpt-5-mini",
        dialect: Dialect::OpenAiResponses,
        tier: "default",
        usage: r#"{"input_tokens":3700,"input_tokens_details":{"cached_tokens":2560},"output_tokens":741,"output_tokens_details":{"reasoning_tokens":640},"total_tokens":4441}"#,
        // 1140 x 0.25 + 2560 x 0.025 + 101 x 2 + 640 x 2
        costs: 1_831_000,
    },
    Row {
        from: "openai-file-search-tool.2",
        model: "gpt-5-mini",
        dialect: Dialect::OpenAiResponses,
        tier: "default",
        usage: r#"{"input_tokens":3678,"input_tokens_details":{"cached_tokens":2304},"output_tokens":536,"output_tokens_details":{"reasoning_tokens":448},"total_tokens":4214}"#,
        // 1374 x 0.25 + 2304 x 0.025 + 536 x 2
        costs: 1_473_100,
    },
    Row {
        from: "openai-mcp-tool.1",
        model: "gpt-5-mini",
        dialect: Dialect::OpenAiResponses,
        tier: "default",
        usage: r#"{"input_tokens":6700,"input_tokens_details":{"cached_tokens":0},"output_tokens":1078,"output_tokens_details":{"reasoning_tokens":704},"total_tokens":7778}"#,
        // 6700 x 0.25 + 1078 x 2
        costs: 3_831_000,
    },
    Row {
        from: "openai-phase.1",
        model: "gpt-5.3-codex",
        dialect: Dialect::OpenAiResponses,
        tier: "default",
        usage: r#"{"input_tokens":7243,"input_tokens_details":{"cached_tokens":3072},"output_tokens":423,"output_tokens_details":{"reasoning_tokens":58},"total_tokens":7666}"#,
        // 4171 x 1.75 + 3072 x 0.175 + 423 x 14
        costs: 13_758_850,
    },
    Row {
        from: "openai-shell-container-multiturn.1",
        model: "gpt-5.2",
        dialect: Dialect::OpenAiResponses,
        tier: "default",
        usage: r#"{"input_tokens":800,"input_tokens_details":{"cached_tokens":0},"output_tokens":19,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":819}"#,
        // 800 x 1.75 + 19 x 14
        costs: 1_666_000,
    },
    Row {
        from: "openai-shell-tool.1",
        model: "gpt-5.1",
        dialect: Dialect::OpenAiResponses,
        tier: "default",
        usage: r#"{"input_tokens":157,"input_tokens_details":{"cached_tokens":0},"output_tokens":73,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":230}"#,
        // 157 x 1.25 + 73 x 10
        costs: 926_250,
    },
    Row {
        from: "openai-tool-search.1",
        model: "gpt-5.4",
        dialect: Dialect::OpenAiResponses,
        tier: "default",
        usage: r#"{"input_tokens":640,"input_tokens_details":{"cached_tokens":0},"output_tokens":46,"output_tokens_details":{"reasoning_tokens":20},"total_tokens":686}"#,
        // 640 x 2.5 + 46 x 15
        costs: 2_290_000,
    },
    Row {
        from: "programmatic-tool-calling.1",
        model: "gpt-5.6-sol",
        dialect: Dialect::OpenAiResponses,
        tier: "default",
        usage: r#"{"input_tokens":631,"input_tokens_details":{"cached_tokens":0,"cache_write_tokens":0},"output_tokens":139,"output_tokens_details":{"reasoning_tokens":55},"total_tokens":770}"#,
        // 631 x 4 + 139 x 20
        costs: 5_304_000,
    },
    Row {
        from: "programmatic-tool-calling.2",
        model: "gpt-5.6-sol",
        dialect: Dialect::OpenAiResponses,
        tier: "default",
        usage: r#"{"input_tokens":0,"input_tokens_details":{"cached_tokens":0,"cache_write_tokens":0},"output_tokens":0,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":0}"#,
        // 0 x 0; nothing was used
        costs: 0,
    },
    Row {
        from: "written to the cache",
        model: "gpt-5.6",
        dialect: Dialect::OpenAiResponses,
        tier: "default",
        usage: r#"{"input_tokens":5000,"input_tokens_details":{"cached_tokens":1000,"cache_write_tokens":3000},"output_tokens":100,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":5100}"#,
        // 1000 x 4 + 1000 x 0.4 + 3000 x 5 + 100 x 20
        costs: 21_400_000,
    },
    Row {
        from: "at the threshold",
        model: "gpt-5.5",
        dialect: Dialect::OpenAiResponses,
        tier: "default",
        usage: r#"{"input_tokens":272000,"input_tokens_details":{"cached_tokens":0},"output_tokens":100,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":272100}"#,
        // 272000 x 5 + 100 x 30
        costs: 1_363_000_000,
    },
    Row {
        from: "above the threshold",
        model: "gpt-5.5",
        dialect: Dialect::OpenAiResponses,
        tier: "default",
        usage: r#"{"input_tokens":272001,"input_tokens_details":{"cached_tokens":72001},"output_tokens":100,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":272101}"#,
        // 200000 x 10 + 72001 x 1 + 100 x 45
        costs: 2_076_501_000,
    },
    Row {
        from: "flex",
        model: "gpt-5",
        dialect: Dialect::OpenAiResponses,
        tier: "flex",
        usage: r#"{"input_tokens":10001,"input_tokens_details":{"cached_tokens":1001},"output_tokens":5001,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":15002}"#,
        // 9000 x 0.625 + 1001 x 0.0625 + 5001 x 5
        costs: 30_692_563,
    },
    Row {
        from: "flex of a cached token that costs 2.5 nano-dollars",
        model: "gpt-5-nano",
        dialect: Dialect::OpenAiResponses,
        tier: "flex",
        usage: r#"{"input_tokens":1003,"input_tokens_details":{"cached_tokens":1001},"output_tokens":7,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":1010}"#,
        // 2 x 0.025 + 1001 x 0.0025 + 7 x 0.2
        costs: 3_953,
    },
    Row {
        from: "priority",
        model: "gpt-5.2",
        dialect: Dialect::OpenAiResponses,
        tier: "priority",
        usage: r#"{"input_tokens":3001,"input_tokens_details":{"cached_tokens":999},"output_tokens":2001,"output_tokens_details":{"reasoning_tokens":1000},"total_tokens":5002}"#,
        // 2002 x 3.5 + 999 x 0.35 + 2001 x 28
        costs: 63_384_650,
    },
    Row {
        from: "priority of a small model",
        model: "gpt-5-mini",
        dialect: Dialect::OpenAiResponses,
        tier: "priority",
        usage: r#"{"input_tokens":333,"input_tokens_details":{"cached_tokens":0},"output_tokens":333,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":666}"#,
        // 333 x 0.45 + 333 x 3.6
        costs: 1_348_650,
    },
    Row {
        from: "a tier that the model has no price for",
        model: "gpt-5-nano",
        dialect: Dialect::OpenAiResponses,
        tier: "priority",
        usage: r#"{"input_tokens":100,"input_tokens_details":{"cached_tokens":0},"output_tokens":100,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":200}"#,
        // 100 x 0.05 + 100 x 0.4
        costs: 45_000,
    },
    Row {
        from: "flex, written to the cache",
        model: "gpt-5.6",
        dialect: Dialect::OpenAiResponses,
        tier: "flex",
        usage: r#"{"input_tokens":3000,"input_tokens_details":{"cached_tokens":0,"cache_write_tokens":3000},"output_tokens":100,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":3100}"#,
        // 3000 x 2.5 + 100 x 10; not listed: 5 x 2/4
        costs: 8_500_000,
    },
    Row {
        from: "flex and long",
        model: "gpt-5.5",
        dialect: Dialect::OpenAiResponses,
        tier: "flex",
        usage: r#"{"input_tokens":300000,"input_tokens_details":{"cached_tokens":0},"output_tokens":1000,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":301000}"#,
        // 300000 x 5 + 1000 x 22.5; 2.5 x 10/5, 15 x 45/30
        costs: 1_522_500_000,
    },
    Row {
        from: "an odd price",
        model: "o4-mini",
        dialect: Dialect::OpenAiResponses,
        tier: "flex",
        usage: r#"{"input_tokens":1000,"input_tokens_details":{"cached_tokens":999},"output_tokens":100,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":1100}"#,
        // 1 x 0.55 + 999 x 0.138 + 100 x 2.2
        costs: 358_412,
    },
    Row {
        from: "the dearest",
        model: "o1-pro",
        dialect: Dialect::OpenAiResponses,
        tier: "default",
        usage: r#"{"input_tokens":12345,"input_tokens_details":{"cached_tokens":0},"output_tokens":6789,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":19134}"#,
        // 12345 x 150 + 6789 x 600
        costs: 5_925_150_000,
    },
    Row {
        from: "openai-text",
        model: "gpt-4.1-nano-2025-04-14",
        dialect: Dialect::OpenAiChat,
        tier: "default",
        usage: r#"{"prompt_tokens":16,"completion_tokens":363,"total_tokens":379,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0}}"#,
        // 16 x 0.1 + 363 x 0.4
        costs: 146_800,
    },
    Row {
        from: "openai-text.chunks",
        model: "gpt-4.1-nano",
        dialect: Dialect::OpenAiChat,
        tier: "default",
        usage: r#"{"prompt_tokens":16,"completion_tokens":300,"total_tokens":316,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0}}"#,
        // 16 x 0.1 + 300 x 0.4
        costs: 121_600,
    },
    Row {
        from: "azure-model-router.1.chunks",
        model: "gpt-5-nano",
        dialect: Dialect::OpenAiChat,
        tier: "default",
        usage: r#"{"prompt_tokens":15,"completion_tokens":78,"total_tokens":93,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":64,"audio_tokens":0}}"#,
        // 15 x 0.05 + 78 x 0.4
        costs: 31_950,
    },
    Row {
        from: "half a nano-dollar",
        model: "gpt-5-nano",
        dialect: Dialect::OpenAiChat,
        tier: "flex",
        usage: r#"{"prompt_tokens":1,"completion_tokens":0,"total_tokens":1,"prompt_tokens_details":{"cached_tokens":1,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0}}"#,
        // 1 x 0.0025; 2.5, rounded up
        costs: 3,
    },
    Row {
        from: "cached",
        model: "gpt-4o",
        dialect: Dialect::OpenAiChat,
        tier: "default",
        usage: r#"{"prompt_tokens":2006,"completion_tokens":300,"total_tokens":2306,"prompt_tokens_details":{"cached_tokens":1920,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0}}"#,
        // 86 x 2.5 + 1920 x 1.25 + 300 x 10
        costs: 5_615_000,
    },
    Row {
        from: "cached at priority",
        model: "gpt-4o",
        dialect: Dialect::OpenAiChat,
        tier: "priority",
        usage: r#"{"prompt_tokens":2006,"completion_tokens":300,"total_tokens":2306,"prompt_tokens_details":{"cached_tokens":1920,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0}}"#,
        // 86 x 4.25 + 1920 x 2.125 + 300 x 17
        costs: 9_545_500,
    },
    Row {
        from: "sound both ways",
        model: "gpt-4o-audio-preview-2025-06-03",
        dialect: Dialect::OpenAiChat,
        tier: "default",
        usage: r#"{"prompt_tokens":1117,"completion_tokens":500,"total_tokens":1617,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":1000},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":400}}"#,
        // 117 x 2.5 + 1000 x 40 + 100 x 10 + 400 x 80
        costs: 73_292_500,
    },
    Row {
        from: "thoughts",
        model: "o3-mini",
        dialect: Dialect::OpenAiChat,
        tier: "default",
        usage: r#"{"prompt_tokens":90,"completion_tokens":1090,"total_tokens":1180,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":1024,"audio_tokens":0}}"#,
        // 90 x 1.1 + 1090 x 4.4
        costs: 4_895_000,
    },
    Row {
        from: "priority on gpt-4.1-mini",
        model: "gpt-4.1-mini",
        dialect: Dialect::OpenAiChat,
        tier: "priority",
        usage: r#"{"prompt_tokens":1000,"completion_tokens":1000,"total_tokens":2000,"prompt_tokens_details":{"cached_tokens":500,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0}}"#,
        // 500 x 0.7 + 500 x 0.175 + 1000 x 2.8
        costs: 3_237_500,
    },
    Row {
        from: "google-text",
        model: "gemini-3-pro-preview",
        dialect: Dialect::Gemini,
        tier: "",
        usage: r#"{"promptTokenCount":9,"candidatesTokenCount":28,"thoughtsTokenCount":244}"#,
        // 9 x 2 + 28 x 12 + 244 x 12
        costs: 3_282_000,
    },
    Row {
        from: "google-reasoning",
        model: "gemini-3-pro-preview",
        dialect: Dialect::Gemini,
        tier: "",
        usage: r#"{"promptTokenCount":9,"candidatesTokenCount":29,"thoughtsTokenCount":282}"#,
        // 9 x 2 + 29 x 12 + 282 x 12
        costs: 3_750_000,
    },
    Row {
        from: "google-reasoning-gemini3",
        model: "gemini-3-pro-preview",
        dialect: Dialect::Gemini,
        tier: "",
        usage: r#"{"promptTokenCount":9,"candidatesTokenCount":29,"thoughtsTokenCount":258}"#,
        // 9 x 2 + 287 x 12
        costs: 3_462_000,
    },
    Row {
        from: "google-stream-no-args-tool-call",
        model: "gemini-3-flash-preview",
        dialect: Dialect::Gemini,
        tier: "",
        usage: r#"{"promptTokenCount":249,"candidatesTokenCount":58,"thoughtsTokenCount":183}"#,
        // 249 x 0.5 + 241 x 3
        costs: 847_500,
    },
    Row {
        from: "cached",
        model: "gemini-2.5-flash",
        dialect: Dialect::Gemini,
        tier: "",
        usage: r#"{"promptTokenCount":10000,"candidatesTokenCount":100,"cachedContentTokenCount":8000,"thoughtsTokenCount":50}"#,
        // 2000 x 0.3 + 8000 x 0.03 + 150 x 2.5
        costs: 1_215_000,
    },
    Row {
        from: "heard",
        model: "gemini-2.5-flash",
        dialect: Dialect::Gemini,
        tier: "",
        usage: r#"{"promptTokenCount":3000,"candidatesTokenCount":10,"promptTokensDetails":[{"modality":"TEXT","tokenCount":500},{"modality":"AUDIO","tokenCount":2500}]}"#,
        // 500 x 0.3 + 2500 x 1 + 10 x 2.5
        costs: 2_675_000,
    },
    Row {
        from: "heard at flex",
        model: "gemini-2.5-flash",
        dialect: Dialect::Gemini,
        tier: "flex",
        usage: r#"{"promptTokenCount":3000,"candidatesTokenCount":10,"promptTokensDetails":[{"modality":"TEXT","tokenCount":500},{"modality":"AUDIO","tokenCount":2500}]}"#,
        // 500 x 0.15 + 2500 x 0.5 + 10 x 1.25; sound not listed: 1 x 0.15/0.3
        costs: 1_337_500,
    },
    Row {
        from: "spoken",
        model: "gemini-2.5-pro-preview-tts",
        dialect: Dialect::Gemini,
        tier: "",
        usage: r#"{"promptTokenCount":100,"candidatesTokenCount":2000,"candidatesTokensDetails":[{"modality":"AUDIO","tokenCount":2000}]}"#,
        // 100 x 1 + 2000 x 20
        costs: 40_100_000,
    },
    Row {
        from: "what tools read",
        model: "gemini-2.5-flash",
        dialect: Dialect::Gemini,
        tier: "",
        usage: r#"{"promptTokenCount":1000,"candidatesTokenCount":10,"toolUsePromptTokenCount":500}"#,
        // 1500 x 0.3 + 10 x 2.5
        costs: 475_000,
    },
    Row {
        from: "at the threshold",
        model: "gemini-2.5-pro",
        dialect: Dialect::Gemini,
        tier: "",
        usage: r#"{"promptTokenCount":200000,"candidatesTokenCount":500,"thoughtsTokenCount":500}"#,
        // 200000 x 1.25 + 1000 x 10
        costs: 260_000_000,
    },
    Row {
        from: "above the threshold",
        model: "gemini-2.5-pro",
        dialect: Dialect::Gemini,
        tier: "",
        usage: r#"{"promptTokenCount":200001,"candidatesTokenCount":500,"cachedContentTokenCount":100001,"thoughtsTokenCount":500}"#,
        // 100000 x 2.5 + 100001 x 0.25 + 1000 x 15
        costs: 290_000_250,
    },
    Row {
        from: "priority",
        model: "gemini-2.5-pro",
        dialect: Dialect::Gemini,
        tier: "ON_DEMAND_PRIORITY",
        usage: r#"{"promptTokenCount":1000,"candidatesTokenCount":500,"thoughtsTokenCount":500}"#,
        // 1000 x 2.25 + 1000 x 18
        costs: 20_250_000,
    },
    Row {
        from: "flex and long",
        model: "gemini-3.1-pro-preview",
        dialect: Dialect::Gemini,
        tier: "flex",
        usage: r#"{"promptTokenCount":250000,"candidatesTokenCount":1000}"#,
        // 250000 x 2 + 1000 x 9; 1 x 4/2, 6 x 18/12
        costs: 509_000_000,
    },
    Row {
        from: "a model that is free",
        model: "gemini-exp-1114",
        dialect: Dialect::Gemini,
        tier: "",
        usage: r#"{"promptTokenCount":1000,"candidatesTokenCount":1000}"#,
        // 1000 x 0 + 1000 x 0
        costs: 0,
    },
    Row {
        from: "a cheap one at priority",
        model: "gemini-3.1-flash-lite",
        dialect: Dialect::Gemini,
        tier: "priority",
        usage: r#"{"promptTokenCount":1001,"candidatesTokenCount":33,"cachedContentTokenCount":501,"thoughtsTokenCount":11}"#,
        // 500 x 0.45 + 501 x 0.045 + 44 x 2.7
        costs: 366_345,
    },
    Row {
        from: "a prompt that was blocked",
        model: "gemini-2.5-pro",
        dialect: Dialect::Gemini,
        tier: "standard",
        usage: r#"{"promptTokenCount":4,"totalTokenCount":4}"#,
        // 4 x 1.25
        costs: 5_000,
    },
];

fn tariff(model: &str) -> Tariff {
    let catalog = Catalog::embedded().unwrap();
    let listed = catalog.models().find(|listed| listed.id.as_str() == model).unwrap();
    Tariff::listed(listed)
}

fn usage(dialect: Dialect, wire: &str) -> Usage {
    let wire: Value = serde_json::from_str(wire).unwrap();
    match dialect {
        Dialect::Anthropic => anthropic::tap::usage(wire),
        Dialect::Gemini => gemini::tap::usage(wire),
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
    assert!(TABLE.len() >= 60, "only {} rows", TABLE.len());
    for row in TABLE {
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
