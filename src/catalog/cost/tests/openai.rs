//! OpenAI's answers, and what its price page says that they cost.

use super::Row;
use crate::dialect::Dialect;

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
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
];
