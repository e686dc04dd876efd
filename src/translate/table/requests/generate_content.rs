//! What a request of generateContent can say.

use serde_json::{Value, json};

use super::{portable, probe, schema};
use crate::translate::table::Probe;

/// One thing each.
pub(super) fn probes() -> Vec<Probe> {
    let talk = |contents: Value| json!({"contents": contents});
    let asks = |part: Value| json!({"contents": [{"role": "user", "parts": [part]}]});
    let says = |part: Value| json!({"contents": [{"role": "user", "parts": [{"text": "hello"}]}, {"role": "model", "parts": [part]}, {"role": "user", "parts": [{"text": "more"}]}]});
    let config = |config: Value| json!({"generationConfig": config});
    let google = json!({"type": "OBJECT", "properties": {"needle": {"type": "STRING", "nullable": true}}, "required": ["needle"]});
    let tool = |name: &str| json!({"name": name, "description": "d", "parameters": google});
    let with_tool = |calling: Value| json!({"tools": [{"functionDeclarations": [tool("f"), tool("g")]}], "toolConfig": {"functionCallingConfig": calling}});
    let call = json!({"role": "model", "parts": [{"functionCall": {"name": "f", "args": {"needle": 1}}}]});
    let user = json!({"role": "user", "parts": [{"text": "hello"}]});
    vec![
        probe("`systemInstruction`", "needle", json!({"systemInstruction": {"parts": [{"text": "needle"}]}})),
        probe(
            "image in `systemInstruction`",
            "bmVlZGxl",
            json!({"systemInstruction": {"parts": [{"inlineData": {"mimeType": "image/png", "data": "bmVlZGxl"}}]}}),
        ),
        probe("model last (prefill)", "needle", talk(json!([user, {"role": "model", "parts": [{"text": "needle"}]}]))),
        probe(
            "image, `inlineData`",
            "bmVlZGxl",
            asks(json!({"inlineData": {"mimeType": "image/png", "data": "bmVlZGxl"}})),
        ),
        probe(
            "image, `fileData` by HTTPS",
            "needle.png",
            asks(json!({"fileData": {"mimeType": "image/png", "fileUri": "https://example.com/needle.png"}})),
        ),
        probe(
            "`fileData`, an uploaded file",
            "needle",
            asks(
                json!({"fileData": {"mimeType": "image/png", "fileUri": "https://generativelanguage.googleapis.com/v1beta/files/needle"}}),
            ),
        ),
        probe(
            "PDF, `inlineData`",
            "bmVlZGxl",
            asks(json!({"inlineData": {"mimeType": "application/pdf", "data": "bmVlZGxl"}})),
        ),
        probe(
            "audio, `inlineData`",
            "bmVlZGxl",
            asks(json!({"inlineData": {"mimeType": "audio/wav", "data": "bmVlZGxl"}})),
        ),
        probe(
            "video, `inlineData`",
            "bmVlZGxl",
            asks(json!({"inlineData": {"mimeType": "video/mp4", "data": "bmVlZGxl"}})),
        ),
        probe(
            "`functionCall`, `functionResponse`",
            "needle",
            talk(
                json!([user, call, {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"output": "done"}}}]}]),
            ),
        ),
        probe(
            "`functionResponse`: `error`",
            "needle",
            talk(
                json!([user, call, {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"error": "needle"}}}]}]),
            ),
        ),
        probe(
            "`functionResponse` with an image",
            "bmVlZGxl",
            talk(
                json!([user, call, {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"output": "done"},
                "parts": [{"inlineData": {"mimeType": "image/png", "data": "bmVlZGxl"}}]}}]}]),
            ),
        ),
        probe("ids of calls, of any length and letters", portable(&"needle/".repeat(20)), {
            let id = "needle/".repeat(20);
            let call = json!({"role": "model", "parts": [{"functionCall": {"id": id, "name": "f", "args": {}}}]});
            let result = json!({"role": "user", "parts": [{"functionResponse": {"id": id, "name": "f", "response": {"output": "done"}}}]});
            talk(json!([user, call, result]))
        }),
        probe("thought parts", "needle", says(json!({"text": "needle", "thought": true}))),
        probe("`thoughtSignature`", "bmVlZGxl", says(json!({"text": "a", "thoughtSignature": "bmVlZGxl"}))),
        probe(
            "`executableCode` in the history",
            "needle",
            says(json!({"executableCode": {"language": "PYTHON", "code": "needle"}})),
        ),
        probe(
            "`functionDeclarations`, `parameters`",
            "needle",
            json!({"tools": [{"functionDeclarations": [tool("f")]}]}),
        ),
        probe(
            "`parametersJsonSchema`",
            "needle",
            json!({"tools": [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": schema()}]}]}),
        ),
        probe("names over a limit", "", json!({"tools": [{"functionDeclarations": [tool("needle.name:with-signs")]}]})),
        probe("`googleSearch`, `codeExecution`, `urlContext`", "needle", json!({"tools": [{"googleSearch": {}}]})),
        probe("`toolConfig` `AUTO`", "", with_tool(json!({"mode": "AUTO"}))),
        probe("`toolConfig` `NONE`", "", with_tool(json!({"mode": "NONE"}))),
        probe("`toolConfig` `ANY`", "", with_tool(json!({"mode": "ANY"}))),
        probe("`toolConfig` `VALIDATED`", "", with_tool(json!({"mode": "VALIDATED"}))),
        probe("`allowedFunctionNames`", "", with_tool(json!({"mode": "ANY", "allowedFunctionNames": ["f"]}))),
        probe(
            "`responseSchema`",
            "needle",
            config(json!({"responseMimeType": "application/json", "responseSchema": google})),
        ),
        probe(
            "`responseJsonSchema`",
            "needle",
            config(json!({"responseMimeType": "application/json", "responseJsonSchema": schema()})),
        ),
        probe("`responseMimeType: application/json`", "json", config(json!({"responseMimeType": "application/json"}))),
        probe(
            "`responseMimeType: text/x.enum`",
            "needle",
            config(
                json!({"responseMimeType": "text/x.enum", "responseSchema": {"type": "STRING", "enum": ["needle", "x"]}}),
            ),
        ),
        probe("`responseModalities: IMAGE`", "image", config(json!({"responseModalities": ["TEXT", "IMAGE"]}))),
        probe("`thinkingBudget`", "7310", config(json!({"thinkingConfig": {"thinkingBudget": 7310}}))),
        probe("`thinkingLevel`", "\"low\"", config(json!({"thinkingConfig": {"thinkingLevel": "LOW"}}))),
        probe(
            "`includeThoughts`",
            "",
            config(json!({"thinkingConfig": {"thinkingBudget": 7310, "includeThoughts": true}})),
        ),
        probe("`temperature`", "0.731", config(json!({"temperature": 0.731}))),
        probe("`topP`", "0.731", config(json!({"topP": 0.731}))),
        probe("`topK`", "731", config(json!({"topK": 731}))),
        probe("`frequencyPenalty`", "0.731", config(json!({"frequencyPenalty": 0.731}))),
        probe("`presencePenalty`", "0.731", config(json!({"presencePenalty": 0.731}))),
        probe("`seed`", "731", config(json!({"seed": 731}))),
        probe("`stopSequences`", "\"needle\"", config(json!({"stopSequences": ["needle"]}))),
        probe("`maxOutputTokens`", "731", config(json!({"maxOutputTokens": 731}))),
        probe("`candidateCount`", "\"n\":3", config(json!({"candidateCount": 3}))),
        probe(
            "`responseLogprobs`, `logprobs`",
            "\"top_logprobs\":13",
            config(json!({"responseLogprobs": true, "logprobs": 13})),
        ),
        probe("`mediaResolution`", "LOW", config(json!({"mediaResolution": "MEDIA_RESOLUTION_LOW"}))),
        probe(
            "`speechConfig`",
            "needle",
            config(json!({"speechConfig": {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "needle"}}}})),
        ),
        probe(
            "`safetySettings`",
            "HARM",
            json!({"safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}]}),
        ),
        probe("`cachedContent`", "needle", json!({"cachedContent": "cachedContents/needle"})),
        probe("`labels`", "needle", json!({"labels": {"needle": "x"}})),
        probe("`serviceTier`", "flex", json!({"serviceTier": "flex"})),
        probe("`store`", "store", json!({"store": true})),
        probe("a field of tomorrow", "needle", json!({"tomorrow": "needle"})),
    ]
}
