//! What Gemini demands beyond fields and types: turns, function pairs, and Gemini 3's thought signatures.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::{Refusal, shape, version};
use crate::sandbox::{bytes, seal};

pub(super) const SIGNATURE: &str = "gemini thought";

/// What Google documents for history that another model wrote (ai.google.dev/gemini-api/docs/thought-signatures).
const STAND_INS: [&str; 2] = ["skip_thought_signature_validator", "context_engineering_is_the_way_to_go"];

/// The first rule that the request breaks.
pub(super) fn check(model: &str, request: &Value) -> Result<(), Refusal> {
    let contents = list(request, "contents");
    if contents.is_empty() {
        return Err(Refusal::invalid("* GenerateContentRequest.contents: contents is not specified\n"));
    }
    for (index, content) in contents.iter().enumerate() {
        let role = text(content, "role");
        if !matches!(role, "" | "user" | "model" | "function") {
            return Err(Refusal::invalid("Please use a valid role: user, model."));
        }
        if parts(content).is_empty() {
            return Err(Refusal::invalid(format!(
                "* GenerateContentRequest.contents[{index}].parts: contents.parts must not be empty.\n"
            )));
        }
        for (part, value) in parts(content).iter().enumerate() {
            one_part(index, part, value)?;
        }
    }
    function_turns(contents)?;
    tools(request)?;
    config(model, request)?;
    signatures(model, contents)
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// One part, or a list of them.
pub(super) fn parts(content: &Value) -> &[Value] {
    match content.get("parts") {
        Some(Value::Array(parts)) => parts,
        Some(part @ Value::Object(_)) => std::slice::from_ref(part),
        _ => &[],
    }
}

const DATA: [&str; 8] = [
    "text",
    "inlineData",
    "fileData",
    "functionCall",
    "functionResponse",
    "executableCode",
    "codeExecutionResult",
    "toolCall",
];

fn one_part(content: usize, index: usize, part: &Value) -> Result<(), Refusal> {
    let at = format!("contents[{content}].parts[{index}]");
    let count = DATA.iter().filter(|name| part.get(**name).is_some_and(|value| !value.is_null())).count();
    if count > 1 {
        return Err(Refusal::invalid(format!(
            "Invalid value at '{at}' (oneof), oneof field 'data' is already set. Cannot set another."
        )));
    }
    if count == 0 && part.get("toolResponse").is_none() {
        return Err(Refusal::invalid(format!(
            "* GenerateContentRequest.{at}.data: required oneof field 'data' must have one initialized field\n"
        )));
    }
    if let Some(signature) = part.get("thoughtSignature").and_then(Value::as_str)
        && !known_signature(signature)
    {
        return Err(Refusal::invalid("Corrupted thought signature."));
    }
    let inside = part.pointer("/functionResponse/parts").and_then(Value::as_array);
    let inside = inside
        .into_iter()
        .flatten()
        .enumerate()
        .map(|(index, part)| (format!("{at}.function_response.parts[{index}]"), part));
    for (at, part) in std::iter::once((at.clone(), part)).chain(inside) {
        let data = part.pointer("/inlineData/data").and_then(Value::as_str);
        if data.is_some_and(|data| !bytes::is_either(data)) {
            return Err(Refusal::invalid(format!(
                "Invalid value at '{at}.inline_data.data' (TYPE_BYTES), Base64 decoding failed for \"{}\"",
                data.unwrap_or_default()
            )));
        }
    }
    Ok(())
}

/// Proto JSON reads bytes in either alphabet of base64, padded or not; Google's own SDK writes the URL-safe one.
fn known_signature(signature: &str) -> bool {
    let standard = bytes::standard(signature);
    let stand_in = |decoded: Vec<u8>| STAND_INS.iter().any(|known| known.as_bytes() == decoded);
    STAND_INS.contains(&signature)
        || seal::open(SIGNATURE, &standard).is_some()
        || STANDARD.decode(&standard).is_ok_and(stand_in)
}

/// A turn with calls is followed by one with as many responses.
fn function_turns(contents: &[Value]) -> Result<(), Refusal> {
    let count = |content: &Value, name: &str| parts(content).iter().filter(|part| part.get(name).is_some()).count();
    for (index, content) in contents.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|before| contents.get(before));
        let calls = count(content, "functionCall");
        let responses = count(content, "functionResponse");
        if calls > 0 && (index == 0 || before.is_some_and(|before| text(before, "role") == "model")) {
            return Err(Refusal::invalid(
                "Please ensure that function call turn comes immediately after a user turn or after a function response turn.",
            ));
        }
        if calls > 0 && text(content, "role") != "model" {
            return Err(Refusal::invalid("Please ensure that function call parts are in a turn of the model role."));
        }
        let called = before.map_or(0, |before| count(before, "functionCall"));
        if responses > 0 && called == 0 {
            return Err(Refusal::invalid(
                "Please ensure that function response turn comes immediately after a function call turn.",
            ));
        }
        if responses != called {
            return Err(Refusal::invalid(
                "Please ensure that the number of function response parts is equal to the number of function call parts of \
                 the function call turn.",
            ));
        }
        if responses > 0
            && let Some(before) = before
        {
            matched(before, content)?;
        }
    }
    if contents.last().is_some_and(|last| count(last, "functionCall") > 0) {
        return Err(Refusal::invalid("Please ensure that function call turn is followed by a function response turn."));
    }
    Ok(())
}

/// The responses name the functions that were called, and their ids where both have them.
fn matched(calls: &Value, responses: &Value) -> Result<(), Refusal> {
    let mut open: Vec<&Value> = parts(calls).iter().filter_map(|part| part.get("functionCall")).collect();
    for response in parts(responses).iter().filter_map(|part| part.get("functionResponse")) {
        let fits = |call: &Value| {
            text(call, "name") == text(response, "name")
                && (text(call, "id").is_empty()
                    || text(response, "id").is_empty()
                    || text(call, "id") == text(response, "id"))
        };
        match open.iter().position(|call| fits(call)) {
            Some(position) => {
                open.remove(position);
            }
            None => {
                return Err(Refusal::invalid(format!(
                    "Function response `{}` does not match a function call of the preceding turn.",
                    text(response, "name")
                )));
            }
        }
    }
    Ok(())
}

fn tools(request: &Value) -> Result<(), Refusal> {
    let mut names = Vec::new();
    for (index, tool) in list(request, "tools").iter().enumerate() {
        for (number, function) in list(tool, "functionDeclarations").iter().enumerate() {
            let at = format!("tools[{index}].function_declarations[{number}]");
            let name = text(function, "name");
            if !function_name(name) {
                return Err(Refusal::invalid(format!(
                    "* GenerateContentRequest.{at}.name: Invalid function name. Must start with a letter or an underscore. Must \
                     be alphanumeric (a-z, A-Z, 0-9), underscores (_), dots (.), colons (:), or dashes (-), with a maximum \
                     length of 64.\n"
                )));
            }
            if names.contains(&name) {
                return Err(Refusal::invalid(format!("Duplicate function declaration found: {name}")));
            }
            names.push(name);
            if function.get("parameters").is_some() && function.get("parametersJsonSchema").is_some() {
                return Err(Refusal::invalid(format!(
                    "* GenerateContentRequest.{at}: only one of parameters and parameters_json_schema may be set\n"
                )));
            }
            if let Some(parameters) = function.get("parameters") {
                shape::schema(parameters, &format!("{at}.parameters"))?;
                let no_properties =
                    parameters.get("properties").and_then(Value::as_object).is_none_or(serde_json::Map::is_empty);
                if text(parameters, "type").eq_ignore_ascii_case("object") && no_properties {
                    return Err(Refusal::invalid(format!(
                        "* GenerateContentRequest.{at}.parameters.properties: should be non-empty for OBJECT type\n"
                    )));
                }
            }
        }
    }
    let calling = request.pointer("/toolConfig/functionCallingConfig").unwrap_or(&Value::Null);
    let allowed = list(calling, "allowedFunctionNames");
    if !allowed.is_empty() && !matches!(text(calling, "mode"), "ANY" | "VALIDATED") {
        return Err(Refusal::invalid(
            "Allowed function names should only be set when function calling mode is ANY or VALIDATED.",
        ));
    }
    let unknown = allowed.iter().filter_map(Value::as_str).find(|name| !names.contains(name));
    if let Some(name) = unknown {
        return Err(Refusal::invalid(format!("Allowed function name {name} is not declared in tools.")));
    }
    if matches!(text(calling, "mode"), "ANY" | "VALIDATED") && names.is_empty() {
        return Err(Refusal::invalid("Function calling config is set without function_declarations."));
    }
    Ok(())
}

fn function_name(name: &str) -> bool {
    let begins = name.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_');
    begins && name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.:-".contains(&byte))
}

fn config(model: &str, request: &Value) -> Result<(), Refusal> {
    let Some(config) = request.get("generationConfig") else { return Ok(()) };
    let number = |name: &str| config.get(name).and_then(Value::as_f64);
    let between = |name: &str, least: f64, most: f64, said: &str| match number(name) {
        Some(value) if !(least..=most).contains(&value) => Err(Refusal::invalid(format!(
            "* GenerateContentRequest.generation_config.{}: {said}\n",
            crate::sandbox::shape::snake(name)
        ))),
        _ => Ok(()),
    };
    between("temperature", 0.0, 2.0, "temperature must be in the range [0.0, 2.0].")?;
    between("topP", 0.0, 1.0, "top_p must be in the range [0.0, 1.0].")?;
    between("candidateCount", 1.0, 8.0, "only 1 to 8 candidates can be specified.")?;
    between("maxOutputTokens", 1.0, 1e9, "max_output_tokens must be positive.")?;
    if version(model) >= (2, 5) {
        let penalized = ["presencePenalty", "frequencyPenalty"]
            .iter()
            .any(|name| number(name).is_some_and(|penalty| penalty != 0.0));
        if penalized {
            return Err(Refusal::invalid(format!("Penalty is not enabled for models/{model}")));
        }
        if config.get("responseLogprobs").is_some_and(|asked| asked == true) {
            return Err(Refusal::invalid(format!("Logprobs is not enabled for models/{model}")));
        }
    }
    if list(config, "stopSequences").len() > 5 {
        return Err(Refusal::invalid(
            "* GenerateContentRequest.generation_config.stop_sequences: at most 5 stop sequences are allowed.\n",
        ));
    }
    let has_schema =
        ["responseSchema", "responseJsonSchema", "_responseJsonSchema"].iter().any(|name| config.get(*name).is_some());
    let mime = text(config, "responseMimeType");
    if let Some(schema) = config.get("responseSchema") {
        shape::schema(schema, "generation_config.response_schema")?;
    }
    if has_schema && !matches!(mime, "application/json" | "text/x.enum") {
        return Err(Refusal::invalid(
            "* GenerateContentRequest.generation_config.response_schema: only allowed when response_mime_type is \
             `application/json` or `text/x.enum`\n",
        ));
    }
    let functions = list(request, "tools").iter().any(|tool| !list(tool, "functionDeclarations").is_empty());
    if functions && mime == "application/json" && version(model) < (3, 0) {
        return Err(Refusal::invalid("Function calling with a response mime type: 'application/json' is unsupported"));
    }
    thinking(model, config)
}

fn thinking(model: &str, config: &Value) -> Result<(), Refusal> {
    let Some(thinking) = config.get("thinkingConfig") else { return Ok(()) };
    let (budget, level) = (thinking.get("thinkingBudget"), thinking.get("thinkingLevel").and_then(Value::as_str));
    if budget.is_some() && level.is_some() {
        return Err(Refusal::invalid("You can only set only one of thinking budget and thinking level."));
    }
    if version(model) < (2, 5) {
        return Err(Refusal::invalid("Thinking is not enabled for this model."));
    }
    if level.is_some() && version(model) < (3, 0) {
        return Err(Refusal::invalid("Thinking level is not supported for this model."));
    }
    if level.is_some_and(|level| {
        !matches!(level.to_uppercase().as_str(), "MINIMAL" | "LOW" | "MEDIUM" | "HIGH" | "THINKING_LEVEL_UNSPECIFIED")
    }) {
        return Err(Refusal::invalid(format!(
            "Invalid value at 'generation_config.thinking_config.thinking_level' (TYPE_ENUM), \"{}\"",
            level.unwrap_or_default()
        )));
    }
    let off = budget.and_then(Value::as_i64) == Some(0);
    if off && model.contains("pro") {
        return Err(Refusal::invalid("Budget 0 is invalid. This model only works in thinking mode."));
    }
    Ok(())
}

/// Since Gemini 3, the first call of each step of the current turn carries its signature.
fn signatures(model: &str, contents: &[Value]) -> Result<(), Refusal> {
    if version(model) < (3, 0) {
        return Ok(());
    }
    // The current turn begins after what the user last said in words.
    let is_words = |content: &Value| {
        text(content, "role") != "model" && parts(content).iter().any(|part| part.get("functionResponse").is_none())
    };
    let start = contents.iter().rposition(is_words).map_or(0, |index| index + 1);
    for (index, content) in
        contents.iter().enumerate().skip(start).filter(|(_, content)| text(content, "role") == "model")
    {
        let Some(call) = parts(content).iter().find(|part| part.get("functionCall").is_some()) else { continue };
        if text(call, "thoughtSignature").is_empty() {
            let name = call.pointer("/functionCall/name").and_then(Value::as_str).unwrap_or_default();
            return Err(Refusal::invalid(format!(
                "Function call is missing a thought_signature in functionCall parts. This is required for tools to work \
                 correctly, and missing thought_signature may lead to degraded model performance. Additional data, function \
                 call `default_api:{name}` , position {}. Please refer to \
                 https://ai.google.dev/gemini-api/docs/thought-signatures for more details.",
                index + 1
            )));
        }
    }
    Ok(())
}
