//! Requests as Anthropic's reference has them (platform.claude.com/docs/en/api/messages), and how it words a violation.

use serde_json::Value;

use crate::sandbox::shape::Shape::{Any, Bool, Either, Int, List, Map, Number, Object, Tagged, Text, Word};
use crate::sandbox::shape::{Field, Problem, Shape, Step, Violation, optional, required};

/// Top-level fields that exist under an `anthropic-beta` header only, with the beginnings of the capabilities that bring
/// them (platform.claude.com/docs/en/api/beta-headers); an empty one is any.
const BETA: [(&str, &[&str]); 9] = [
    ("betas", &[""]),
    ("context_management", &["context-management-", "compact-"]),
    ("mcp_servers", &["mcp-client-"]),
    ("fallbacks", &[""]),
    ("compaction", &[""]),
    ("thread", &[""]),
    ("output_format", &["structured-outputs-"]),
    ("billing_policy", &[""]),
    ("fallback_credit_token", &[""]),
];

/// Whether this value of `anthropic-beta` brings the top-level field.
pub(super) fn is_beta(field: &str, header: Option<&str>) -> bool {
    let found = BETA.iter().find(|(name, _)| *name == field);
    let brings = |capability: &str| found.is_some_and(|(_, by)| by.iter().any(|begin| capability.starts_with(begin)));
    header.is_some_and(|header| header.split(',').any(|capability| brings(capability.trim())))
}

pub(super) static MESSAGES: &[Field] = &[
    required("model", Text),
    required("messages", List(&MESSAGE)),
    required("max_tokens", Int),
    optional("cache_control", CACHE_CONTROL),
    optional("container", Any),
    optional("diagnostics", Map),
    optional("inference_geo", Text),
    optional("metadata", Object(&[optional("user_id", Text)])),
    optional("output_config", Object(OUTPUT_CONFIG)),
    optional("service_tier", Word(&["auto", "standard_only"])),
    optional("speed", Word(&["standard", "fast"])),
    optional("stop_sequences", List(&Text)),
    optional("stream", Bool),
    optional("system", Either(&[Text, List(&SYSTEM)])),
    optional("temperature", Number(0.0, 1.0)),
    optional("thinking", THINKING),
    optional("tool_choice", TOOL_CHOICE),
    // Which fields a tool has depends on a type that may be left out: the rules look at them.
    optional("tools", List(&Map)),
    optional("top_k", Int),
    optional("top_p", Number(0.0, 1.0)),
    optional("user_profile_id", Text),
    optional("workspace_id", Text),
];

pub(super) static COUNT_TOKENS: &[Field] = &[
    required("model", Text),
    required("messages", List(&MESSAGE)),
    optional("cache_control", CACHE_CONTROL),
    optional("output_config", Object(OUTPUT_CONFIG)),
    optional("speed", Word(&["standard", "fast"])),
    optional("system", Either(&[Text, List(&SYSTEM)])),
    optional("thinking", THINKING),
    optional("tool_choice", TOOL_CHOICE),
    optional("tools", List(&Map)),
    optional("user_profile_id", Text),
    optional("workspace_id", Text),
];

/// A tool of the caller's own.
pub(super) static TOOL: &[Field] = &[
    optional("type", Word(&["custom"])),
    required("name", Text),
    required("input_schema", Map),
    optional("description", Text),
    optional("cache_control", CACHE_CONTROL),
    optional("allowed_callers", List(&Text)),
    optional("defer_loading", Bool),
    optional("eager_input_streaming", Bool),
    optional("input_examples", List(&Map)),
    optional("strict", Bool),
];

static MESSAGE: Shape = Object(&[
    required("role", Word(&["user", "assistant", "system"])),
    required("content", Either(&[Text, List(&BLOCK)])),
]);

static SYSTEM: Shape = Tagged("type", &[("text", TEXT)]);

const CACHE_CONTROL: Shape = Tagged(
    "type",
    &[("ephemeral", &[required("type", Text), optional("ttl", Word(&["5m", "1h"])), optional("scope", Text)])],
);

static OUTPUT_CONFIG: &[Field] = &[
    optional("effort", Word(&["low", "medium", "high", "xhigh", "max"])),
    optional("format", Tagged("type", &[("json_schema", &[required("type", Text), required("schema", Map)])])),
    optional("task_budget", Map),
];

const THINKING: Shape = Tagged(
    "type",
    &[
        ("enabled", &[required("type", Text), required("budget_tokens", Int), optional("display", DISPLAY)]),
        ("adaptive", &[required("type", Text), optional("display", DISPLAY)]),
        ("disabled", &[required("type", Text)]),
    ],
);

const DISPLAY: Shape = Word(&["summarized", "omitted"]);

const TOOL_CHOICE: Shape = Tagged(
    "type",
    &[
        ("auto", CHOICE),
        ("any", CHOICE),
        ("tool", &[required("type", Text), required("name", Text), optional("disable_parallel_tool_use", Bool)]),
        ("none", &[required("type", Text)]),
    ],
);
static CHOICE: &[Field] = &[required("type", Text), optional("disable_parallel_tool_use", Bool)];

static BLOCK: Shape = Tagged(
    "type",
    &[
        ("text", TEXT),
        ("image", IMAGE),
        ("document", DOCUMENT),
        ("search_result", SEARCH_RESULT),
        ("thinking", &[required("type", Text), required("thinking", Text), required("signature", Text)]),
        ("redacted_thinking", &[required("type", Text), required("data", Text)]),
        ("tool_use", TOOL_USE),
        ("tool_result", TOOL_RESULT),
        (
            "server_tool_use",
            &[
                required("type", Text),
                required("id", Text),
                required("name", Text),
                required("input", Map),
                optional("cache_control", CACHE_CONTROL),
                optional("caller", Map),
            ],
        ),
        ("web_search_tool_result", SERVER_RESULT),
        ("web_fetch_tool_result", SERVER_RESULT),
        ("code_execution_tool_result", SERVER_RESULT),
        ("bash_code_execution_tool_result", SERVER_RESULT),
        ("text_editor_code_execution_tool_result", SERVER_RESULT),
        ("tool_search_tool_result", SERVER_RESULT),
        (
            "container_upload",
            &[required("type", Text), required("file_id", Text), optional("cache_control", CACHE_CONTROL)],
        ),
    ],
);

static TEXT: &[Field] = &[
    required("type", Text),
    required("text", Text),
    optional("cache_control", CACHE_CONTROL),
    optional("citations", List(&Map)),
];

static IMAGE: &[Field] = &[
    required("type", Text),
    required("source", IMAGE_SOURCE),
    optional("cache_control", CACHE_CONTROL),
    optional("transformations", Map),
];
const IMAGE_SOURCE: Shape = Tagged(
    "type",
    &[
        (
            "base64",
            &[
                required("type", Text),
                required("media_type", Word(&["image/jpeg", "image/png", "image/gif", "image/webp"])),
                required("data", Text),
            ],
        ),
        ("url", &[required("type", Text), required("url", Text)]),
        ("file", &[required("type", Text), required("file_id", Text)]),
    ],
);

static DOCUMENT: &[Field] = &[
    required("type", Text),
    required("source", DOCUMENT_SOURCE),
    optional("cache_control", CACHE_CONTROL),
    optional("citations", Object(&[optional("enabled", Bool)])),
    optional("context", Text),
    optional("title", Text),
];
const DOCUMENT_SOURCE: Shape = Tagged(
    "type",
    &[
        (
            "base64",
            &[required("type", Text), required("media_type", Word(&["application/pdf"])), required("data", Text)],
        ),
        ("text", &[required("type", Text), required("media_type", Word(&["text/plain"])), required("data", Text)]),
        ("url", &[required("type", Text), required("url", Text)]),
        ("file", &[required("type", Text), required("file_id", Text)]),
        ("content", &[required("type", Text), required("content", DOCUMENT_CONTENT)]),
    ],
);

const DOCUMENT_CONTENT: Shape = Either(&[Text, List(&DOCUMENT_PART)]);
static DOCUMENT_PART: Shape = Tagged("type", &[("text", TEXT), ("image", IMAGE)]);

static SEARCH_RESULT: &[Field] = &[
    required("type", Text),
    required("source", Text),
    required("title", Text),
    required("content", List(&SYSTEM)),
    optional("cache_control", CACHE_CONTROL),
    optional("citations", Object(&[optional("enabled", Bool)])),
];

static TOOL_USE: &[Field] = &[
    required("type", Text),
    required("id", Text),
    required("name", Text),
    required("input", Map),
    optional("cache_control", CACHE_CONTROL),
    optional("caller", Map),
    optional("toolset_name", Text),
];

static TOOL_RESULT: &[Field] = &[
    required("type", Text),
    required("tool_use_id", Text),
    optional("content", TEXT_OR_PARTS),
    optional("is_error", Bool),
    optional("cache_control", CACHE_CONTROL),
    optional("toolset_name", Text),
];

const TEXT_OR_PARTS: Shape = Either(&[Text, List(&INNER)]);
static INNER: Shape = Tagged(
    "type",
    &[
        ("text", TEXT),
        ("image", IMAGE),
        ("document", DOCUMENT),
        ("search_result", SEARCH_RESULT),
        (
            "tool_reference",
            &[required("type", Text), required("tool_name", Text), optional("cache_control", CACHE_CONTROL)],
        ),
    ],
);

static SERVER_RESULT: &[Field] = &[
    required("type", Text),
    required("tool_use_id", Text),
    required("content", Any),
    optional("cache_control", CACHE_CONTROL),
    optional("caller", Map),
];

/// In Anthropic's words: the path with dots, and what pydantic says.
pub(super) fn said(violation: &Violation<'_>) -> String {
    let path = dotted(&violation.path);
    let what = match &violation.problem {
        Problem::Unknown => "Extra inputs are not permitted".to_owned(),
        Problem::Missing => "Field required".to_owned(),
        Problem::Type(shape, _) => format!("Input should be {}", expected(*shape)),
        Problem::Word(words, _) => format!("Input should be {}", quoted(words, "or")),
        Problem::Tag(tag, kinds, value) => match value.get(*tag).and_then(Value::as_str) {
            Some(found) => format!(
                "Input tag '{found}' found using '{tag}' does not match any of the expected tags: {}",
                quoted(kinds, "")
            ),
            None => format!("Unable to extract tag using discriminator '{tag}'"),
        },
        Problem::Below(least, _) => format!("Input should be greater than or equal to {least}"),
        Problem::Above(most, _) => format!("Input should be less than or equal to {most}"),
    };
    if path.is_empty() { what } else { format!("{path}: {what}") }
}

fn dotted(path: &[Step]) -> String {
    let steps = path.iter().map(|step| match step {
        Step::Key(key) => key.clone(),
        Step::Index(index) => index.to_string(),
        Step::Kind(kind) => (*kind).to_owned(),
    });
    steps.collect::<Vec<_>>().join(".")
}

fn expected(shape: Shape) -> &'static str {
    match shape {
        Text | Word(_) => "a valid string",
        Bool => "a valid boolean",
        Int => "a valid integer",
        Number(..) => "a valid number",
        List(_) => "a valid list",
        Either(shapes) => shapes.first().map_or("a valid value", |shape| expected(*shape)),
        Object(_) | Map | Tagged(..) => "a valid dictionary",
        Any => "a valid value",
    }
}

fn quoted(words: &[&str], joint: &str) -> String {
    let quoted: Vec<_> = words.iter().map(|word| format!("'{word}'")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() && !joint.is_empty() => format!("{} {joint} {last}", rest.join(", ")),
        _ => quoted.join(", "),
    }
}

/// A tool of the caller's own, checked; `tools.0.custom` leads the path.
pub(super) fn tool(index: usize, tool: &Value) -> Result<(), String> {
    crate::sandbox::shape::check(Object(TOOL), tool, crate::sandbox::shape::Names::Exact)
        .map_err(|violation| format!("tools.{index}.custom.{}", said(&violation)))
}
