//! Chat completion requests as OpenAI's reference has them.

use crate::sandbox::shape::Shape::{Any, Bool, Either, Int, List, Map, Number, Object, Tagged, Text, Word};
use crate::sandbox::shape::{Field, Shape, optional, required};

pub(super) static CHAT: &[Field] = &[
    required("model", Text),
    required("messages", List(&MESSAGE)),
    optional("audio", Map),
    optional("frequency_penalty", Number(-2.0, 2.0)),
    optional("function_call", Either(&[Word(&["none", "auto"]), Map])),
    optional("functions", List(&Map)),
    optional("logit_bias", Map),
    optional("logprobs", Bool),
    optional("max_completion_tokens", Number(1.0, 1e9)),
    optional("max_tokens", Number(1.0, 1e9)),
    optional("metadata", Map),
    optional("modalities", List(&Text)),
    optional("moderation", Map),
    optional("n", Number(1.0, 128.0)),
    optional("parallel_tool_calls", Bool),
    optional("prediction", Map),
    optional("presence_penalty", Number(-2.0, 2.0)),
    optional("prompt_cache_key", Text),
    optional("prompt_cache_options", Map),
    optional("prompt_cache_retention", Text),
    optional("reasoning_effort", Word(&["none", "minimal", "low", "medium", "high", "xhigh"])),
    optional(
        "response_format",
        Tagged(
            "type",
            &[
                ("text", &[required("type", Text)]),
                ("json_object", &[required("type", Text)]),
                ("json_schema", &[required("type", Text), required("json_schema", Object(JSON_SCHEMA))]),
            ],
        ),
    ),
    optional("safety_identifier", Text),
    optional("seed", Int),
    optional("service_tier", Text),
    optional("stop", Either(&[Text, List(&Text)])),
    optional("store", Bool),
    optional("stream", Bool),
    optional("stream_options", Object(&[optional("include_usage", Bool), optional("include_obfuscation", Bool)])),
    optional("temperature", Number(0.0, 2.0)),
    optional("tool_choice", Either(&[Word(&["none", "auto", "required"]), TOOL_CHOICE])),
    optional("tools", List(&TOOL)),
    optional("top_logprobs", Number(0.0, 20.0)),
    optional("top_p", Number(0.0, 1.0)),
    optional("user", Text),
    optional("verbosity", Word(&["low", "medium", "high"])),
    optional("web_search_options", Map),
];

pub(super) static JSON_SCHEMA: &[Field] =
    &[required("name", Text), optional("schema", Map), optional("strict", Bool), optional("description", Text)];

static MESSAGE: Shape = Tagged(
    "role",
    &[
        ("system", INSTRUCTION),
        ("assistant", ASSISTANT),
        ("user", USER),
        ("function", &[required("role", Text), required("name", Text), required("content", Text)]),
        ("tool", &[required("role", Text), required("content", TEXT_OR_PARTS), required("tool_call_id", Text)]),
        ("developer", INSTRUCTION),
    ],
);

static INSTRUCTION: &[Field] = &[required("role", Text), required("content", TEXT_OR_PARTS), optional("name", Text)];

static USER: &[Field] =
    &[required("role", Text), required("content", Either(&[Text, List(&USER_PART)])), optional("name", Text)];

static ASSISTANT: &[Field] = &[
    required("role", Text),
    optional("content", Either(&[Text, List(&ASSISTANT_PART)])),
    optional("name", Text),
    optional("refusal", Text),
    optional("audio", Map),
    optional("function_call", Map),
    optional("tool_calls", List(&TOOL_CALL)),
    // What an answer holds beside its text may be sent back with it.
    optional("annotations", Any),
];

const TEXT_OR_PARTS: Shape = Either(&[Text, List(&TEXT_PART)]);
static TEXT_PART: Shape = Tagged("type", &[("text", PLAIN)]);
static PLAIN: &[Field] = &[required("type", Text), required("text", Text), optional("prompt_cache_breakpoint", Map)];

static ASSISTANT_PART: Shape =
    Tagged("type", &[("text", PLAIN), ("refusal", &[required("type", Text), required("refusal", Text)])]);

static USER_PART: Shape = Tagged(
    "type",
    &[
        ("text", PLAIN),
        (
            "image_url",
            &[
                required("type", Text),
                required(
                    "image_url",
                    Object(&[required("url", Text), optional("detail", Word(&["auto", "low", "high"]))]),
                ),
                optional("prompt_cache_breakpoint", Map),
            ],
        ),
        (
            "input_audio",
            &[
                required("type", Text),
                required("input_audio", Object(&[required("data", Text), required("format", Word(&["wav", "mp3"]))])),
                optional("prompt_cache_breakpoint", Map),
            ],
        ),
        (
            "file",
            &[
                required("type", Text),
                required(
                    "file",
                    Object(&[optional("file_data", Text), optional("file_id", Text), optional("filename", Text)]),
                ),
                optional("prompt_cache_breakpoint", Map),
            ],
        ),
    ],
);

static TOOL_CALL: Shape = Tagged(
    "type",
    &[
        (
            "function",
            &[
                required("id", Text),
                required("type", Text),
                required("function", Object(&[required("name", Text), required("arguments", Text)])),
            ],
        ),
        (
            "custom",
            &[
                required("id", Text),
                required("type", Text),
                required("custom", Object(&[required("name", Text), required("input", Text)])),
            ],
        ),
    ],
);

static TOOL: Shape = Tagged(
    "type",
    &[
        ("function", &[required("type", Text), required("function", Object(FUNCTION))]),
        (
            "custom",
            &[
                required("type", Text),
                required(
                    "custom",
                    Object(&[required("name", Text), optional("description", Text), optional("format", Map)]),
                ),
            ],
        ),
    ],
);
static FUNCTION: &[Field] =
    &[required("name", Text), optional("description", Text), optional("parameters", Map), optional("strict", Bool)];

const TOOL_CHOICE: Shape = Tagged(
    "type",
    &[
        ("function", &[required("type", Text), required("function", Object(&[required("name", Text)]))]),
        ("custom", &[required("type", Text), required("custom", Object(&[required("name", Text)]))]),
        (
            "allowed_tools",
            &[
                required("type", Text),
                required(
                    "allowed_tools",
                    Object(&[required("mode", Word(&["auto", "required"])), required("tools", List(&Map))]),
                ),
            ],
        ),
    ],
);
