//! The tools that a request offers, and which of them the model may or must use.

use super::{CacheHint, CallKind, Carry, Opaque};
use serde_json::Value;

/// A tool on offer.
#[derive(Clone, Debug, PartialEq)]
pub enum Tool {
    /// The caller runs it; arguments by a JSON Schema.
    Function(FunctionTool),
    /// The caller runs it; the input is text. OpenAI only: elsewhere it becomes a function with one string, `input`.
    Custom(CustomTool),
    /// The provider runs it (web search, code, computer): understood by its own dialect only, refused elsewhere.
    Provider(ProviderTool),
}

/// A function.
#[derive(Clone, Debug, PartialEq)]
pub struct FunctionTool {
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: Option<String>,
    /// JSON Schema of the arguments, keys in their order. `None`: the dialect left it out (no arguments).
    pub parameters: Option<Value>,
    /// Whether the model must hold the schema exactly.
    pub strict: Option<bool>,
    /// A hint to cache everything up to here.
    pub cache: Option<CacheHint>,
    /// Fields that the codec does not know.
    pub carry: Carry,
}

/// A freeform tool.
#[derive(Clone, Debug, PartialEq)]
pub struct CustomTool {
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: Option<String>,
    /// `{"type": "text"}` or a grammar, in Responses' form (chat nests the grammar once more: its codec unfolds that).
    pub format: Option<Value>,
    /// Fields that the codec does not know.
    pub carry: Carry,
}

/// A tool that the provider runs.
#[derive(Clone, Debug, PartialEq)]
pub struct ProviderTool {
    /// What to call it in an error: the wire's `type` or, for Gemini, the key (`googleSearch`).
    pub name: String,
    /// Where its caller wrote it: `tools[8]`.
    pub field: String,
    /// As its dialect wrote it.
    pub original: Opaque,
}

/// Which tools the model may or must use.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolChoice {
    /// Which.
    pub mode: ToolMode,
    /// Fields that the codec does not know, and how it was written.
    pub carry: Carry,
}

/// The ways to choose.
#[derive(Clone, Debug, PartialEq)]
pub enum ToolMode {
    /// The model decides.
    Auto,
    /// None (the definitions stay, for the sake of prompt caches).
    None,
    /// Any one at least. Chat, Responses: `required`; Anthropic: `any`; Gemini: `ANY`.
    Required,
    /// This one.
    Named(ToolRef),
    /// Some of those on offer.
    Allowed {
        /// Whether one must be used.
        mode: AllowedMode,
        /// Which.
        tools: Vec<ToolRef>,
    },
    /// A provider-run tool, or a form that is not known here.
    Provider(Opaque),
}

/// Whether one of the allowed tools must be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AllowedMode {
    /// The model decides.
    Auto,
    /// One at least.
    Required,
}

/// A tool by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolRef {
    /// Function or custom.
    pub kind: CallKind,
    /// Its name.
    pub name: String,
}

impl Tool {
    /// What it is called.
    pub fn name(&self) -> &str {
        match self {
            Self::Function(tool) => &tool.name,
            Self::Custom(tool) => &tool.name,
            Self::Provider(tool) => &tool.name,
        }
    }
}

impl ToolChoice {
    /// A choice with nothing carried.
    pub fn new(mode: ToolMode) -> Self {
        Self { mode, carry: Carry::NONE }
    }
}
