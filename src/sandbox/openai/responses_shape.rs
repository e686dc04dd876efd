//! Responses requests as OpenAI's reference has them. Items of provider-run tools pass as they are.

use crate::sandbox::shape::Shape::{Any, Bool, Either, Int, List, Map, Number, Object, Tagged, Text, Word};
use crate::sandbox::shape::{Field, Shape, optional, required};

pub(super) static RESPONSES: &[Field] = &[
    required("model", Text),
    optional("input", INPUT),
    optional("access_programs", Any),
    optional("background", Bool),
    optional("background_options", Map),
    optional("client_metadata", Map),
    optional("context_management", Any),
    optional("conversation", Either(&[Text, Map])),
    optional("image", Map),
    optional(
        "include",
        List(&Word(&[
            "file_search_call.results",
            "web_search_call.results",
            "web_search_call.action.sources",
            "message.input_image.image_url",
            "computer_call_output.output.image_url",
            "code_interpreter_call.outputs",
            "reasoning.encrypted_content",
            "message.output_text.logprobs",
        ])),
    ),
    optional("instructions", Text),
    optional("max_output_tokens", Number(16.0, 1e9)),
    optional("max_tool_calls", Int),
    optional("metadata", Map),
    optional("moderation", Map),
    optional("parallel_tool_calls", Bool),
    optional("previous_response_id", Text),
    optional("prompt", Map),
    optional("prompt_cache_key", Text),
    optional("prompt_cache_options", Map),
    optional("prompt_cache_retention", Text),
    optional("reasoning", REASONING),
    optional("safety_identifier", Text),
    optional("service_tier", Text),
    optional("store", Bool),
    optional("stream", Bool),
    optional("stream_options", Object(&[optional("include_obfuscation", Bool)])),
    optional("temperature", Number(0.0, 2.0)),
    optional("text", TEXT_FORMAT),
    optional("tool_choice", TOOL_CHOICE),
    optional("tools", TOOLS),
    optional("top_logprobs", Number(0.0, 20.0)),
    optional("top_p", Number(0.0, 1.0)),
    optional("truncation", Word(&["auto", "disabled"])),
    optional("user", Text),
];

pub(super) static INPUT_TOKENS: &[Field] = &[
    optional("model", Text),
    optional("input", INPUT),
    optional("conversation", Either(&[Text, Map])),
    optional("instructions", Text),
    optional("parallel_tool_calls", Bool),
    optional("personality", Text),
    optional("previous_response_id", Text),
    optional("reasoning", REASONING),
    optional("text", TEXT_FORMAT),
    optional("tool_choice", TOOL_CHOICE),
    optional("tools", TOOLS),
    optional("truncation", Word(&["auto", "disabled"])),
];

const INPUT: Shape = Either(&[Text, List(&Map)]);
const TOOLS: Shape = List(&TOOL);

const REASONING: Shape = Object(&[
    optional("context", Text),
    optional("effort", Word(&["none", "minimal", "low", "medium", "high", "xhigh"])),
    optional("generate_summary", SUMMARY),
    optional("mode", Text),
    optional("summary", SUMMARY),
]);
const SUMMARY: Shape = Word(&["auto", "concise", "detailed"]);

const TEXT_FORMAT: Shape = Object(&[
    optional(
        "format",
        Tagged(
            "type",
            &[
                ("text", &[required("type", Text)]),
                ("json_object", &[required("type", Text)]),
                (
                    "json_schema",
                    &[
                        required("type", Text),
                        required("name", Text),
                        required("schema", Map),
                        optional("strict", Bool),
                        optional("description", Text),
                    ],
                ),
            ],
        ),
    ),
    optional("verbosity", Word(&["low", "medium", "high"])),
]);

const TOOL_CHOICE: Shape = Either(&[
    Word(&["none", "auto", "required"]),
    Tagged(
        "type",
        &[
            ("function", &[required("type", Text), required("name", Text)]),
            ("custom", &[required("type", Text), required("name", Text)]),
            (
                "allowed_tools",
                &[required("type", Text), required("mode", Word(&["auto", "required"])), required("tools", List(&Map))],
            ),
            ("file_search", KIND_ONLY),
            ("web_search_preview", KIND_ONLY),
            ("web_search", KIND_ONLY),
            ("computer_use_preview", KIND_ONLY),
            ("code_interpreter", KIND_ONLY),
            ("image_generation", KIND_ONLY),
            ("mcp", &[required("type", Text), required("server_label", Text), optional("name", Text)]),
            ("shell", KIND_ONLY),
            ("apply_patch", KIND_ONLY),
        ],
    ),
]);
static KIND_ONLY: &[Field] = &[required("type", Text)];

static TOOL: Shape = Tagged(
    "type",
    &[
        (
            "function",
            &[
                required("type", Text),
                required("name", Text),
                optional("async", Bool),
                optional("parameters", Map),
                optional("strict", Bool),
                optional("description", Text),
                optional("allowed_callers", List(&Text)),
                optional("defer_loading", Bool),
                optional("output_schema", Map),
            ],
        ),
        (
            "custom",
            &[
                required("type", Text),
                required("name", Text),
                optional("async", Bool),
                optional("description", Text),
                optional("format", Map),
                optional("allowed_callers", List(&Text)),
                optional("defer_loading", Bool),
            ],
        ),
        ("file_search", OPEN),
        ("web_search", OPEN),
        ("web_search_2025_08_26", OPEN),
        ("web_search_preview", OPEN),
        ("web_search_preview_2025_03_11", OPEN),
        ("computer_use_preview", OPEN),
        ("code_interpreter", OPEN),
        ("image_generation", OPEN),
        ("local_shell", OPEN),
        ("shell", OPEN),
        ("apply_patch", OPEN),
        ("mcp", OPEN),
        ("namespace", OPEN),
        ("tool_search", OPEN),
    ],
);
/// What provider-run tools take, all of them together: the sandbox runs none of them.
static OPEN: &[Field] = &[
    required("type", Text),
    optional("vector_store_ids", Any),
    optional("max_num_results", Any),
    optional("ranking_options", Any),
    optional("filters", Any),
    optional("search_context_size", Any),
    optional("search_content_types", Any),
    optional("user_location", Any),
    optional("external_web_access", Any),
    optional("display_width", Any),
    optional("display_height", Any),
    optional("environment", Any),
    optional("container", Any),
    optional("background", Any),
    optional("model", Any),
    optional("quality", Any),
    optional("size", Any),
    optional("output_format", Any),
    optional("input_image_mask", Any),
    optional("partial_images", Any),
    optional("server_label", Any),
    optional("server_url", Any),
    optional("server_description", Any),
    optional("connector_id", Any),
    optional("authorization", Any),
    optional("headers", Any),
    optional("allowed_tools", Any),
    optional("require_approval", Any),
    optional("name", Any),
    optional("description", Any),
    optional("tools", Any),
    optional("execution", Any),
    optional("parameters", Any),
];

/// A message: of any role in the easy form, or as the model gave it.
static MESSAGE: &[Field] = &[
    optional("type", Text),
    required("role", Word(&["user", "assistant", "system", "developer"])),
    required("content", Either(&[Text, List(&PART)])),
    optional("id", Text),
    optional("status", STATUS),
    optional("phase", Word(&["commentary", "final_answer"])),
];

const STATUS: Shape = Word(&["in_progress", "completed", "incomplete"]);

static PART: Shape = Tagged(
    "type",
    &[
        ("input_text", INPUT_TEXT),
        ("input_image", INPUT_IMAGE),
        ("input_file", INPUT_FILE),
        ("input_audio", &[required("type", Text), required("input_audio", Map)]),
        (
            "output_text",
            &[
                required("type", Text),
                required("text", Text),
                optional("annotations", List(&Map)),
                optional("logprobs", List(&Map)),
            ],
        ),
        ("refusal", &[required("type", Text), required("refusal", Text)]),
    ],
);

static INPUT_TEXT: &[Field] =
    &[required("type", Text), required("text", Text), optional("prompt_cache_breakpoint", Map)];
static INPUT_IMAGE: &[Field] = &[
    required("type", Text),
    optional("detail", Word(&["low", "high", "auto", "original"])),
    optional("file_id", Text),
    optional("image_url", Text),
    optional("prompt_cache_breakpoint", Map),
];
static INPUT_FILE: &[Field] = &[
    required("type", Text),
    optional("detail", Text),
    optional("file_data", Text),
    optional("file_id", Text),
    optional("file_url", Text),
    optional("filename", Text),
    optional("prompt_cache_breakpoint", Map),
];

/// The items that have rules here; any other kind that OpenAI knows passes unseen.
pub(super) static ITEMS: &[(&str, &[Field])] = &[
    ("message", MESSAGE),
    (
        "function_call",
        &[
            required("type", Text),
            required("call_id", Text),
            required("name", Text),
            required("arguments", Text),
            optional("id", Text),
            optional("status", STATUS),
            optional("async", Bool),
            optional("caller", Map),
            optional("namespace", Text),
        ],
    ),
    (
        "function_call_output",
        &[
            required("type", Text),
            required("call_id", Text),
            required("output", Either(&[Text, List(&OUTPUT_PART)])),
            optional("id", Text),
            optional("status", STATUS),
            optional("caller", Map),
        ],
    ),
    (
        "custom_tool_call",
        &[
            required("type", Text),
            required("call_id", Text),
            required("name", Text),
            required("input", Text),
            optional("id", Text),
            optional("status", STATUS),
            optional("async", Bool),
            optional("caller", Map),
            optional("namespace", Text),
        ],
    ),
    (
        "custom_tool_call_output",
        &[
            required("type", Text),
            required("call_id", Text),
            required("output", Either(&[Text, List(&OUTPUT_PART)])),
            optional("id", Text),
            optional("status", STATUS),
            optional("caller", Map),
        ],
    ),
    (
        "reasoning",
        &[
            required("type", Text),
            required(
                "summary",
                List(&Tagged("type", &[("summary_text", &[required("type", Text), required("text", Text)])])),
            ),
            optional("id", Text),
            optional("content", List(&Map)),
            optional("encrypted_content", Text),
            optional("status", STATUS),
        ],
    ),
    ("item_reference", &[required("type", Text), required("id", Text)]),
];

static OUTPUT_PART: Shape =
    Tagged("type", &[("input_text", INPUT_TEXT), ("input_image", INPUT_IMAGE), ("input_file", INPUT_FILE)]);

/// Items of tools that OpenAI runs, or that are executed by its own harnesses.
pub(super) static OTHER_ITEMS: &[&str] = &[
    "file_search_call",
    "computer_call",
    "computer_call_output",
    "web_search_call",
    "image_generation_call",
    "code_interpreter_call",
    "local_shell_call",
    "local_shell_call_output",
    "shell_call",
    "shell_call_output",
    "apply_patch_call",
    "apply_patch_call_output",
    "mcp_list_tools",
    "mcp_approval_request",
    "mcp_approval_response",
    "mcp_call",
    "compaction",
    "compaction_trigger",
    "tool_search_call",
    "tool_search_output",
    "additional_tools",
    "program",
    "program_output",
    "configuration_update",
];
