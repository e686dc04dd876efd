//! Requests as Google's reference has them (v1beta), and how its JSON reader words a violation.

use serde_json::json;

use super::Refusal;
use crate::sandbox::shape::Shape::{Any, Bool, Either, List, Map, Object, Text, Word};
use crate::sandbox::shape::{Field, NUMBER, Problem, Shape, Step, Violation, optional, required, snake};

pub(super) static GENERATE: &[Field] = &[
    optional("contents", CONTENTS),
    // Part of the path, but proto JSON takes it here, too.
    optional("model", Text),
    optional("systemInstruction", CONTENT),
    optional("tools", List(&TOOL)),
    optional("toolConfig", TOOL_CONFIG),
    optional("safetySettings", List(&Object(&[required("category", Text), required("threshold", Text)]))),
    optional("generationConfig", Object(GENERATION_CONFIG)),
    optional("cachedContent", Text),
    optional("serviceTier", Text),
    optional("store", Bool),
];

pub(super) static COUNT_TOKENS: &[Field] =
    &[optional("contents", CONTENTS), optional("model", Text), optional("generateContentRequest", Object(GENERATE))];

/// One content, or a list of them: proto JSON takes both for a repeated field.
const CONTENTS: Shape = List(&CONTENT);
const CONTENT: Shape = Object(&[optional("role", Text), optional("parts", Either(&[List(&PART), PART]))]);

const PART: Shape = Object(&[
    optional("text", Text),
    optional("thought", Bool),
    optional("thoughtSignature", Text),
    optional("inlineData", Object(&[required("mimeType", Text), required("data", Text)])),
    optional("fileData", Object(&[optional("mimeType", Text), required("fileUri", Text)])),
    optional("functionCall", Object(&[optional("id", Text), required("name", Text), optional("args", Map)])),
    optional(
        "functionResponse",
        Object(&[
            optional("id", Text),
            required("name", Text),
            required("response", Map),
            optional("willContinue", Bool),
            optional("scheduling", Text),
            optional("parts", List(&Map)),
        ]),
    ),
    optional("executableCode", Map),
    optional("codeExecutionResult", Map),
    optional("toolCall", Map),
    optional("toolResponse", Map),
    optional("videoMetadata", Map),
    optional("mediaResolution", Any),
    optional("partMetadata", Map),
]);

static GENERATION_CONFIG: &[Field] = &[
    optional("stopSequences", List(&Text)),
    optional("responseMimeType", Text),
    optional("responseSchema", SCHEMA),
    optional("responseJsonSchema", Any),
    optional("_responseJsonSchema", Any),
    optional("responseFormat", Any),
    optional("responseModalities", List(&Text)),
    optional("candidateCount", NUMBER),
    optional("maxOutputTokens", NUMBER),
    optional("temperature", NUMBER),
    optional("topP", NUMBER),
    optional("topK", NUMBER),
    optional("seed", NUMBER),
    optional("presencePenalty", NUMBER),
    optional("frequencyPenalty", NUMBER),
    optional("responseLogprobs", Bool),
    optional("logprobs", NUMBER),
    optional("enableEnhancedCivicAnswers", Bool),
    optional("speechConfig", Map),
    optional("imageConfig", Map),
    optional(
        "thinkingConfig",
        Object(&[
            optional("includeThoughts", Bool),
            optional("thinkingBudget", NUMBER),
            optional("thinkingLevel", Text),
        ]),
    ),
    optional("mediaResolution", Text),
];

static TOOL: Shape = Object(&[
    optional("functionDeclarations", List(&FUNCTION)),
    optional("googleSearch", Map),
    optional("googleSearchRetrieval", Map),
    optional("codeExecution", Map),
    optional("urlContext", Map),
    optional("computerUse", Map),
    optional("fileSearch", Map),
    optional("googleMaps", Map),
    optional("mcpServers", Any),
]);

static FUNCTION: Shape = Object(&[
    required("name", Text),
    optional("description", Text),
    optional("behavior", Word(&["UNSPECIFIED", "BLOCKING", "NON_BLOCKING"])),
    optional("parameters", SCHEMA),
    optional("parametersJsonSchema", Any),
    optional("response", SCHEMA),
    optional("responseJsonSchema", Any),
]);

/// Checked by [`schema`], as it holds itself.
const SCHEMA: Shape = Map;

const TOOL_CONFIG: Shape = Object(&[
    optional(
        "functionCallingConfig",
        Object(&[
            optional("mode", Word(&["MODE_UNSPECIFIED", "AUTO", "ANY", "NONE", "VALIDATED"])),
            optional("allowedFunctionNames", List(&Text)),
        ]),
    ),
    optional("retrievalConfig", Map),
    optional("includeServerSideToolInvocations", Bool),
]);

/// Google's own schema language: what else JSON Schema has is no field of it.
static SCHEMA_FIELDS: &[&str] = &[
    "type",
    "format",
    "title",
    "description",
    "nullable",
    "enum",
    "maxItems",
    "minItems",
    "properties",
    "required",
    "minProperties",
    "maxProperties",
    "minLength",
    "maxLength",
    "pattern",
    "example",
    "anyOf",
    "propertyOrdering",
    "default",
    "items",
    "minimum",
    "maximum",
];

const TYPES: [&str; 7] = ["STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL"];

/// A schema in Google's language, from where it lies in the request.
pub(super) fn schema(schema: &serde_json::Value, at: &str) -> Result<(), Refusal> {
    let Some(fields) = schema.as_object() else { return Ok(()) };
    for (name, value) in fields {
        let Some(known) = SCHEMA_FIELDS.iter().find(|field| *field == name || snake(field) == *name) else {
            return Err(unknown(name, at));
        };
        let at = format!("{at}.{}", snake(known));
        match *known {
            "properties" => {
                for (name, property) in value.as_object().into_iter().flatten() {
                    self::schema(property, &format!("{at}[{name}].value"))?;
                }
            }
            "items" => self::schema(value, &at)?,
            "anyOf" => {
                for (index, option) in value.as_array().into_iter().flatten().enumerate() {
                    self::schema(option, &format!("{at}[{index}]"))?;
                }
            }
            "type" if !value.as_str().is_some_and(|name| TYPES.contains(&name.to_uppercase().as_str())) => {
                if value.is_array() {
                    return Err(violation(
                        &at,
                        &format!("Proto field is not repeating, cannot start list. (at '{at}')"),
                    ));
                }
                return Err(violation(
                    &at,
                    &format!(
                        "Invalid value at '{at}' (type.googleapis.com/google.ai.generativelanguage.v1beta.Type), {value}"
                    ),
                ));
            }
            "enum" if value.as_array().is_some_and(|words| words.iter().any(|word| !word.is_string())) => {
                return Err(violation(
                    &at,
                    &format!("Invalid value at '{at}[0]' (TYPE_STRING), {}", value.get(0).unwrap_or_default()),
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

/// In Google's words.
pub(super) fn said(found: &Violation<'_>) -> Refusal {
    let path = path(&found.path);
    match &found.problem {
        Problem::Unknown => {
            let (at, name) = path.rsplit_once('.').unwrap_or(("", &path));
            let name = match found.path.last() {
                Some(Step::Key(name)) => name,
                _ => name,
            };
            unknown(name, at)
        }
        Problem::Missing => violation(&path, &format!("* GenerateContentRequest.{path}: required field is missing")),
        Problem::Type(shape, value) => {
            violation(&path, &format!("Invalid value at '{path}' ({}), {value}", kind(*shape)))
        }
        Problem::Word(_, word) => violation(&path, &format!("Invalid value at '{path}' (TYPE_ENUM), \"{word}\"")),
        Problem::Tag(..) => violation(&path, &format!("Invalid value at '{path}'")),
        Problem::Below(_, value) | Problem::Above(_, value) => {
            violation(&path, &format!("Invalid value at '{path}' (TYPE_DOUBLE), {value}"))
        }
    }
}

fn unknown(name: &str, at: &str) -> Refusal {
    let place = if at.is_empty() { String::new() } else { format!(" at '{at}'") };
    violation(at, &format!("Invalid JSON payload received. Unknown name \"{name}\"{place}: Cannot find field."))
}

fn violation(at: &str, description: &str) -> Refusal {
    let mut violation = json!({"description": description});
    if !at.is_empty()
        && let Some(violation) = violation.as_object_mut()
    {
        violation.insert("field".to_owned(), at.into());
    }
    Refusal {
        details: Some(json!([{"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [violation]}])),
        ..Refusal::invalid(description)
    }
}

/// Google names fields as its protocol buffers do.
fn path(steps: &[Step]) -> String {
    let mut path = String::new();
    for step in steps {
        match step {
            Step::Key(key) if path.is_empty() => path.push_str(&snake(key)),
            Step::Key(key) => path.push_str(&format!(".{}", snake(key))),
            Step::Index(index) => path.push_str(&format!("[{index}]")),
            Step::Kind(_) => {}
        }
    }
    path
}

fn kind(shape: Shape) -> &'static str {
    match shape {
        Shape::Text => "TYPE_STRING",
        Shape::Bool => "TYPE_BOOL",
        Shape::Int => "TYPE_INT32",
        Shape::Number(..) => "TYPE_DOUBLE",
        Shape::Word(_) => "TYPE_ENUM",
        Shape::Any | Shape::Object(_) | Shape::Map | Shape::List(_) | Shape::Either(_) | Shape::Tagged(..) => {
            "TYPE_MESSAGE"
        }
    }
}
