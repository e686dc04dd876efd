//! The four ways to call a model, and how each writes an error: what is the same for all of them is tested on all of them.

use llm_gateway::sandbox::Sandbox;
use reqwest::Response;
use serde_json::{Value, json};

use crate::support::gateway::TestGateway;

/// A way to call, named after who invented it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// OpenAI's chat completions.
    Chat,
    /// OpenAI's Responses.
    Responses,
    /// Anthropic's Messages.
    Messages,
    /// Google's generateContent.
    Google,
}

/// An error as a caller reads it, whatever its shape was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The HTTP status.
    pub(crate) status: u16,
    /// `error.code`; on Google's endpoint the reason in its details, in lower case.
    pub(crate) code: String,
    /// `error.type`; on Google's endpoint `error.status`.
    pub(crate) kind: String,
    /// The sentence.
    pub(crate) message: String,
    /// The field at fault.
    pub(crate) param: Option<String>,
    /// In seconds.
    pub(crate) retry_after: Option<u64>,
    /// The header `x-request-id`.
    pub(crate) request_id: String,
}

impl Endpoint {
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [Self::Chat, Self::Responses, Self::Messages, Self::Google];

    /// Where a whole answer is asked for.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Chat => "/v1/chat/completions",
            Self::Responses => "/v1/responses",
            Self::Messages => "/v1/messages",
            Self::Google => "/v1beta/models/gemini-2.5-flash:generateContent",
        }
    }

    /// Where events are asked for.
    pub(crate) fn stream_path(self) -> &'static str {
        match self {
            Self::Chat | Self::Responses | Self::Messages => self.path(),
            Self::Google => "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse",
        }
    }

    /// The field that holds what is to be answered.
    pub(crate) fn content(self) -> &'static str {
        match self {
            Self::Chat | Self::Messages => "messages",
            Self::Responses => "input",
            Self::Google => "contents",
        }
    }

    /// A call for a whole answer.
    pub(crate) fn body(self) -> Value {
        match self {
            Self::Chat => json!({"model": "gpt-4.1-mini", "messages": [{"role": "user", "content": "Hello"}]}),
            Self::Responses => json!({"model": "gpt-4.1-mini", "input": "Hello"}),
            Self::Messages => {
                json!({"model": "claude-sonnet-4-5", "max_tokens": 100, "messages": [{"role": "user", "content": "Hello"}]})
            }
            Self::Google => json!({"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}),
        }
    }

    /// A call for events.
    pub(crate) fn stream_body(self) -> Value {
        let mut body = self.body();
        if self != Self::Google {
            body["stream"] = true.into();
        }
        body
    }

    /// Who answers.
    pub(crate) fn provider(self) -> &'static str {
        match self {
            Self::Chat | Self::Responses => "openai",
            Self::Messages => "anthropic",
            Self::Google => "gemini",
        }
    }

    /// Who answers, simulated.
    pub(crate) fn sandbox(self, gateway: &TestGateway) -> &Sandbox {
        match self {
            Self::Chat | Self::Responses => gateway.openai(),
            Self::Messages => gateway.anthropic(),
            Self::Google => gateway.gemini(),
        }
    }

    /// Asks for a whole answer.
    pub(crate) async fn call(self, gateway: &TestGateway) -> Response {
        gateway.post(self.path(), &self.body()).send().await.unwrap()
    }

    /// Asks for events.
    pub(crate) async fn call_stream(self, gateway: &TestGateway) -> Response {
        gateway.post(self.stream_path(), &self.stream_body()).send().await.unwrap()
    }

    /// The status with which overload and outage are told: Anthropic's clients know 529 where others know 503.
    pub(crate) fn unavailable(self) -> u16 {
        if self == Self::Messages { 529 } else { 503 }
    }

    /// An error in the words of the provider that answers here, with white space as no encoder of ours would write it.
    pub(crate) fn providers_error(self, status: u16) -> String {
        match self {
            Self::Chat | Self::Responses => format!(
                "{{ \"error\" :{{\"message\":\"no. {status}\", \"type\":\"some_error\",\"param\" : null, \"code\":null}}}}\n"
            ),
            Self::Messages => format!(
                "{{\"type\" :\"error\", \"error\":{{\"type\":\"some_error\",\"message\":\"no. {status}\" }},\"request_id\":\"req_1\"}}\n"
            ),
            Self::Google => format!(
                "{{\n \"error\": {{\"code\": {status},\n \"message\": \"no. {status}\", \"status\": \"SOME_STATUS\"}}\n}}\n"
            ),
        }
    }

    /// Reads an answer that has to be an error in this endpoint's own shape.
    ///
    /// # Panics
    /// When it is not.
    pub(crate) async fn refusal(self, response: Response) -> Refusal {
        let status = response.status().as_u16();
        let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(header("content-type").as_deref(), Some("application/json"), "{self:?} {status}");
        let request_id = header("x-request-id").unwrap_or_else(|| panic!("{self:?} {status}: no x-request-id"));
        let retry_after = header("retry-after").map(|seconds| seconds.parse().unwrap());
        let text = response.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{self:?} {status}: no JSON: {text:?}"));
        self.read(status, &body, request_id, retry_after)
    }

    /// The same for one that was read from a connection.
    ///
    /// # Panics
    /// When it is no whole answer, or no error in this endpoint's shape.
    pub(crate) fn refusal_from(self, heard: &str) -> Refusal {
        let (head, body) = heard.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {heard:?}"));
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: Vec<(&str, &str)> = lines.map(|line| line.split_once(": ").unwrap()).collect();
        let header = |wanted: &str| headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|it| it.1);
        assert_eq!(header("content-length"), Some(body.len().to_string().as_str()), "{heard:?}");
        let request_id = header("x-request-id").unwrap_or_else(|| panic!("no x-request-id: {heard:?}")).to_owned();
        let retry_after = header("retry-after").map(|seconds| seconds.parse().unwrap());
        self.read(status, &serde_json::from_str(body).unwrap(), request_id, retry_after)
    }

    fn read(self, status: u16, body: &Value, request_id: String, retry_after: Option<u64>) -> Refusal {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let must = |value: &Value| text(value).unwrap_or_else(|| panic!("{self:?} {status}: not its shape: {body}"));
        let error = &body["error"];
        let (kind, code, param) = match self {
            Self::Chat | Self::Responses => (must(&error["type"]), must(&error["code"]), text(&error["param"])),
            Self::Messages => {
                assert_eq!(body["type"], "error", "{body}");
                assert_eq!(body["request_id"], request_id.as_str(), "{body}");
                (must(&error["type"]), must(&error["code"]), text(&error["param"]))
            }
            Self::Google => {
                assert_eq!(error["code"], status, "{body}");
                let details = error["details"].as_array().unwrap_or_else(|| panic!("no details: {body}"));
                let detail = |key: &str| details.iter().find_map(|detail| detail.get(key)).unwrap_or(&Value::Null);
                let field = text(&detail("fieldViolations")[0]["field"]);
                (must(&error["status"]), must(detail("reason")).to_ascii_lowercase(), field)
            }
        };
        Refusal { status, code, kind, message: must(&error["message"]), param, retry_after, request_id }
    }
}

impl Refusal {
    /// Status and code, for comparing.
    pub(crate) fn what(&self) -> (u16, &str) {
        (self.status, &self.code)
    }
}
