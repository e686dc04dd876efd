//! Every path on one page.
//!
//! ```text
//! POST [/{product}]/v1/chat/completions                                    OpenAI chat completions
//! POST [/{product}]/v1/responses                                           OpenAI Responses
//! POST [/{product}]/v1/messages, …/messages/count_tokens                   Anthropic Messages
//! POST [/{product}]/{v1beta|v1}/models/{model}:generateContent             Google, also :streamGenerateContent
//!                                                                          and :countTokens; {model} may hold slashes
//! GET  [/{product}]/v1/models, …/models/{id}                               the list, in OpenAI's or Anthropic's shape
//! GET  [/{product}]/v1beta/models, …/models/{id}                           the list, in Google's shape
//! GET  /v1/usage/{product}                                                 what was spent of its limits
//! GET  /, /_liveness, /_readiness                                          probes
//! GET  /health/actors, /metrics                                            operators
//! ```
//!
//! `/v1/v1/…` is `/v1/…`: Anthropic's SDK adds `/v1` to a base URL that ends in it.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::dialect::{Delivery, Dialect, Operation};
use crate::telemetry::metrics::Endpoint;

/// A path that the gateway serves to callers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route<'a> {
    /// The product in the path; none: the default one.
    pub product: Option<&'a str>,
    /// What is there.
    pub target: Target<'a>,
}

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// A call to a model.
    Call(CallTarget<'a>),
    /// The list of models.
    Models(ListShape),
    /// One model.
    Model(ListShape, Cow<'a, str>),
    /// What was spent of a product's limits.
    Usage,
}

/// A call to a model, as far as the path tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallTarget<'a> {
    /// How the caller speaks.
    pub dialect: Dialect,
    /// What is asked.
    pub operation: Operation,
    /// Google's paths name the model and say whether it streams; elsewhere the body does.
    pub google: Option<GooglePath<'a>>,
}

/// What Google's paths say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GooglePath<'a> {
    /// The model, percent-decoded.
    pub model: Cow<'a, str>,
    /// Whether the verb asks for a stream.
    pub verb: GoogleVerb,
}

/// What stands behind the colon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GoogleVerb {
    /// `:generateContent`
    Generate,
    /// `:streamGenerateContent`
    Stream,
    /// `:countTokens`
    Count,
}

/// Whose list shape a path implies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListShape {
    /// OpenAI's, or Anthropic's where the caller sent `anthropic-version`.
    OpenAiOrAnthropic,
    /// Google's.
    Google,
}

impl Route<'_> {
    /// The one method that the path takes.
    pub fn method(&self) -> &'static str {
        match self.target {
            Target::Call(_) => "POST",
            Target::Models(_) | Target::Model(..) | Target::Usage => "GET",
        }
    }

    /// The name in metrics and logs.
    pub fn endpoint(&self) -> Endpoint {
        match &self.target {
            Target::Call(call) => call.endpoint(),
            Target::Models(_) | Target::Model(..) => Endpoint("models"),
            Target::Usage => Endpoint("usage"),
        }
    }

    /// In whose error shape a refusal is written.
    pub fn dialect(&self) -> Dialect {
        match &self.target {
            Target::Call(call) => call.dialect,
            Target::Models(ListShape::Google) | Target::Model(ListShape::Google, _) => Dialect::Gemini,
            Target::Models(ListShape::OpenAiOrAnthropic)
            | Target::Model(ListShape::OpenAiOrAnthropic, _)
            | Target::Usage => Dialect::OpenAiChat,
        }
    }
}

impl CallTarget<'_> {
    /// The name in metrics and logs.
    pub fn endpoint(&self) -> Endpoint {
        Endpoint(match (self.dialect, self.operation) {
            (Dialect::OpenAiChat, _) => "chat_completions",
            (Dialect::OpenAiResponses, _) => "responses",
            (Dialect::Anthropic, Operation::Generate) => "messages",
            (Dialect::Anthropic, Operation::CountTokens) => "messages_count_tokens",
            (Dialect::Gemini, Operation::Generate) => "generate_content",
            (Dialect::Gemini, Operation::CountTokens) => "count_tokens",
        })
    }
}

impl GoogleVerb {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "generateContent" => Some(Self::Generate),
            "streamGenerateContent" => Some(Self::Stream),
            "countTokens" => Some(Self::Count),
            _ => None,
        }
    }

    /// How the answer arrives: Google's streams are JSON arrays unless the query says `alt=sse`.
    pub fn delivery(self, query: &str) -> Delivery {
        match self {
            Self::Generate | Self::Count => Delivery::Whole,
            Self::Stream if query.split('&').any(|pair| pair == "alt=sse") => Delivery::Events,
            Self::Stream => Delivery::JsonArray,
        }
    }
}

/// What is at a path, if anything. Whether the product exists is not known here.
pub fn resolve(path: &str) -> Option<Route<'_>> {
    let path = path.strip_prefix('/')?;
    if let Some(product) = path.strip_prefix("v1/usage/") {
        let is_one = !product.is_empty() && !product.contains('/');
        return is_one.then_some(Route { product: Some(product), target: Target::Usage });
    }
    let (first, rest) = path.split_once('/')?;
    match first {
        "v1" | "v1beta" => Some(Route { product: None, target: target(first, rest)? }),
        product => {
            let (version, rest) = rest.split_once('/')?;
            Some(Route { product: Some(product), target: target(version, rest)? })
        }
    }
}

/// Whose SDK would call a path that is not served.
pub fn likely_dialect(path: &str) -> Dialect {
    let mut parts = path.split('/').skip(1);
    let version = parts.by_ref().take(2).find(|part| matches!(*part, "v1" | "v1beta"));
    match (version, parts.find(|part| *part != "v1")) {
        (Some("v1beta"), _) => Dialect::Gemini,
        (Some(_), Some("messages")) => Dialect::Anthropic,
        (Some(_), Some("responses")) => Dialect::OpenAiResponses,
        _ => Dialect::OpenAiChat,
    }
}

fn target<'a>(version: &str, rest: &'a str) -> Option<Target<'a>> {
    let (shape, rest) = match version {
        "v1" => (ListShape::OpenAiOrAnthropic, rest.strip_prefix("v1/").unwrap_or(rest)),
        "v1beta" => (ListShape::Google, rest),
        _ => return None,
    };
    let call = |dialect, operation| Some(Target::Call(CallTarget { dialect, operation, google: None }));
    match (shape, rest) {
        (_, "models") => Some(Target::Models(shape)),
        (_, rest) if rest.starts_with("models/") => model_target(shape, rest.strip_prefix("models/")?),
        (ListShape::Google, _) => None,
        (ListShape::OpenAiOrAnthropic, "chat/completions") => call(Dialect::OpenAiChat, Operation::Generate),
        (ListShape::OpenAiOrAnthropic, "responses") => call(Dialect::OpenAiResponses, Operation::Generate),
        (ListShape::OpenAiOrAnthropic, "messages") => call(Dialect::Anthropic, Operation::Generate),
        (ListShape::OpenAiOrAnthropic, "messages/count_tokens") => call(Dialect::Anthropic, Operation::CountTokens),
        (ListShape::OpenAiOrAnthropic, _) => None,
    }
}

fn model_target(shape: ListShape, name: &str) -> Option<Target<'_>> {
    if name.is_empty() {
        return None;
    }
    if let Some((model, verb)) = name.rsplit_once(':')
        && let Some(verb) = GoogleVerb::parse(verb)
    {
        let operation = match verb {
            GoogleVerb::Generate | GoogleVerb::Stream => Operation::Generate,
            GoogleVerb::Count => Operation::CountTokens,
        };
        let google = Some(GooglePath { model: decoded(model)?, verb });
        return Some(Target::Call(CallTarget { dialect: Dialect::Gemini, operation, google }));
    }
    Some(Target::Model(shape, decoded(name)?))
}

fn decoded(text: &str) -> Option<Cow<'_, str>> {
    percent_decode_str(text).decode_utf8().ok()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn every_call_path_is_there_at_the_root_under_a_product_and_with_v1_doubled() {
        for (path, dialect, operation) in [
            ("chat/completions", Dialect::OpenAiChat, Operation::Generate),
            ("responses", Dialect::OpenAiResponses, Operation::Generate),
            ("messages", Dialect::Anthropic, Operation::Generate),
            ("messages/count_tokens", Dialect::Anthropic, Operation::CountTokens),
        ] {
            for (prefix, product) in
                [("/v1", None), ("/v1/v1", None), ("/wizard/v1", Some("wizard")), ("/wizard/v1/v1", Some("wizard"))]
            {
                let full = format!("{prefix}/{path}");
                let route = resolve(&full).unwrap_or_else(|| panic!("{full} is not served"));
                assert_eq!(route.product, product, "{full}");
                assert_eq!(route.target, Target::Call(CallTarget { dialect, operation, google: None }), "{full}");
            }
        }
    }

    #[test]
    fn googles_paths_name_the_model_and_the_verb() {
        for (path, product, model, verb) in [
            ("/v1beta/models/gemini-2.5-pro:generateContent", None, "gemini-2.5-pro", GoogleVerb::Generate),
            ("/v1/models/gemini-2.5-pro:streamGenerateContent", None, "gemini-2.5-pro", GoogleVerb::Stream),
            ("/array/v1beta/models/openai/gpt-4.1:countTokens", Some("array"), "openai/gpt-4.1", GoogleVerb::Count),
            ("/v1beta/models/openai%2Fgpt-4.1:generateContent", None, "openai/gpt-4.1", GoogleVerb::Generate),
        ] {
            let route = resolve(path).unwrap();
            assert_eq!(route.product, product, "{path}");
            let Target::Call(CallTarget { dialect: Dialect::Gemini, google: Some(google), .. }) = route.target else {
                panic!("{path} is no call to Google's dialect");
            };
            assert_eq!((google.model.as_ref(), google.verb), (model, verb), "{path}");
        }
    }

    #[test]
    fn model_lists_and_models_are_told_apart_from_calls() {
        let shape = ListShape::OpenAiOrAnthropic;
        assert_eq!(resolve("/v1/models").unwrap().target, Target::Models(shape));
        assert_eq!(resolve("/django/v1/models").unwrap().product, Some("django"));
        assert_eq!(
            resolve("/v1/models/ft:gpt-4.1:acme").unwrap().target,
            Target::Model(shape, "ft:gpt-4.1:acme".into())
        );
        assert_eq!(resolve("/v1beta/models").unwrap().target, Target::Models(ListShape::Google));
    }

    #[test]
    fn other_paths_are_not_served() {
        for path in [
            "",
            "/",
            "/v1",
            "/v1/",
            "/v1/nothing",
            "/v1beta/responses",
            "/wizard",
            "/wizard/v2/messages",
            "/v1/models/",
            "/v1/chat/completions/",
        ] {
            assert_eq!(resolve(path), None, "{path}");
        }
    }

    #[test]
    fn a_path_that_is_not_served_has_somebody_who_would_call_it() {
        for (path, dialect) in [
            ("/v1/messages/batches", Dialect::Anthropic),
            ("/v1/v1/messages/batches", Dialect::Anthropic),
            ("/wizard/v1/messages/batches", Dialect::Anthropic),
            ("/v1/responses/resp_1", Dialect::OpenAiResponses),
            ("/v1beta/files", Dialect::Gemini),
            ("/array/v1beta/cachedContents", Dialect::Gemini),
            ("/v1/embeddings", Dialect::OpenAiChat),
            ("/messages", Dialect::OpenAiChat),
            ("/", Dialect::OpenAiChat),
            ("", Dialect::OpenAiChat),
        ] {
            assert_eq!(likely_dialect(path), dialect, "{path}");
        }
    }

    #[test]
    fn a_google_stream_is_a_json_array_unless_the_query_asks_for_events() {
        assert_eq!(GoogleVerb::Stream.delivery("alt=sse&key=x"), Delivery::Events);
        assert_eq!(GoogleVerb::Stream.delivery("alt=json"), Delivery::JsonArray);
        assert_eq!(GoogleVerb::Generate.delivery("alt=sse"), Delivery::Whole);
    }
}
