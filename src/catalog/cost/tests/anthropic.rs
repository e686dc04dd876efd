//! Anthropic's answers, and what its price page says that they cost.

use super::Row;
use crate::dialect::Dialect;

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
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
];
