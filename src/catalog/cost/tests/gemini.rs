//! Google's answers, and what its price page says that they cost.

use super::Row;
use crate::dialect::Dialect;

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
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
