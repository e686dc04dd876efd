//! Every caller's dialect over every family of models: whole and streamed, over real HTTP, against providers that check
//! strictly what they receive.
//!
//! What a caller heard is compared with what the provider said: the request that reached it is sent to it once more, and
//! its own answer is read with its own vendor's reader.

mod bad_input;
mod counts;
mod errors;
mod loops;
mod streams;

use llm_gateway::config::providers::Kind;
use llm_gateway::sandbox::{Recorded, Sandbox, SandboxOptions};
use serde_json::{Value, json};

use crate::support::gateway::TestGateway;
use crate::support::speaker::{Ending, Finish, Heard, Mode, Speaker, Talk, Thinking, Tool, Turn};

/// A family of models, and who serves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    /// OpenAI with both of its dialects.
    OpenAi,
    /// A server that speaks chat completions only.
    ChatOnly,
    Anthropic,
    Gemini,
}

/// One caller's dialect and one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pair {
    caller: Speaker,
    family: Family,
}

impl Family {
    const ALL: [Self; 4] = [Self::OpenAi, Self::ChatOnly, Self::Anthropic, Self::Gemini];

    /// A model that does not think unless it is told to.
    fn model(self) -> &'static str {
        match self {
            Self::OpenAi => "gpt-4.1-mini",
            Self::ChatOnly => "plain/gpt-4.1-mini",
            Self::Anthropic => "claude-sonnet-4-5",
            Self::Gemini => "gemini-2.5-flash-lite",
        }
    }

    /// A model that thinks, and wants its thoughts back.
    fn thinker(self) -> &'static str {
        match self {
            Self::OpenAi => "gpt-5-mini",
            Self::ChatOnly => "plain/gpt-5-mini",
            Self::Anthropic => "claude-sonnet-4-5",
            Self::Gemini => "gemini-3-pro-preview",
        }
    }

    /// Models that think, each told so in another way.
    fn thinkers(self) -> &'static [&'static str] {
        match self {
            Self::OpenAi => &["gpt-5-mini"],
            Self::ChatOnly => &["plain/gpt-5-mini"],
            Self::Anthropic => &["claude-sonnet-4-5", "claude-opus-4-6"],
            Self::Gemini => &["gemini-2.5-pro", "gemini-3-pro-preview"],
        }
    }

    /// How its provider is spoken to.
    fn speaks(self, caller: Speaker) -> Speaker {
        match (self, caller) {
            (Self::ChatOnly, _) | (Self::OpenAi, Speaker::Chat) => Speaker::Chat,
            (Self::OpenAi, Speaker::Responses | Speaker::Messages | Speaker::Gemini) => Speaker::Responses,
            (Self::Anthropic, _) => Speaker::Messages,
            (Self::Gemini, _) => Speaker::Gemini,
        }
    }

    fn sandbox(self, world: &World) -> &Sandbox {
        match self {
            Self::OpenAi => world.gateway.openai(),
            Self::ChatOnly => &world.plain,
            Self::Anthropic => world.gateway.anthropic(),
            Self::Gemini => world.gateway.gemini(),
        }
    }
}

impl Pair {
    fn all() -> impl Iterator<Item = Self> {
        Speaker::ALL.into_iter().flat_map(|caller| Family::ALL.map(|family| Self { caller, family }))
    }

    /// Those between whose ends something is translated.
    fn foreign() -> impl Iterator<Item = Self> {
        Self::all().filter(|pair| pair.provider() != pair.caller)
    }

    fn provider(self) -> Speaker {
        self.family.speaks(self.caller)
    }
}

const MODES: [Mode; 2] = [Mode::Whole, Mode::Stream];

/// A gateway with a fourth provider, which speaks chat completions only.
struct World {
    gateway: TestGateway,
    plain: Sandbox,
}

impl World {
    async fn new() -> Self {
        Self::with(&[]).await
    }

    /// With these settings, and breakers that never open.
    async fn with(settings: &[(&str, &str)]) -> Self {
        let plain = Sandbox::start(Kind::OpenAi, SandboxOptions::default()).await.unwrap();
        let mut builder = TestGateway::builder()
            .provider("plain", Kind::OpenAi, &plain.base_url())
            .setting("providers.plain.upstreams.default.responses", "false")
            .setting("breaker.minimum_calls", "1000000");
        for (key, value) in settings {
            builder = builder.setting(key, value);
        }
        Self { gateway: builder.start().await, plain }
    }
}

/// What came of a call: what the caller heard, what reached the provider, what the provider said.
struct Call {
    heard: Heard,
    headers: reqwest::header::HeaderMap,
    sent: Value,
    said: Heard,
}

/// Makes a call that has to succeed.
async fn call(world: &World, pair: Pair, talk: &Talk, mode: Mode) -> Call {
    let sandbox = pair.family.sandbox(world);
    let before = sandbox.requests().len();
    let (path, body) = pair.caller.call(talk, mode);
    let answer = world.gateway.post(&path, &body).send().await.unwrap();
    let (status, headers) = (answer.status(), answer.headers().clone());
    let text = answer.text().await.unwrap();
    assert_eq!(status, 200, "{pair:?} {mode:?}: {text}\nfor {body}");
    let heard = hear(pair.caller, mode, &text).unwrap_or_else(|fault| panic!("{pair:?} {mode:?}: {fault}\n{text}"));
    let seen = sandbox.requests();
    assert_eq!(seen.len(), before + 1, "{pair:?} {mode:?} called its provider more than once");
    let (_, again) = again(sandbox, &seen[before]).await;
    let said = hear(pair.provider(), mode, &again).unwrap_or_else(|fault| panic!("the sandbox: {fault}\n{again}"));
    Call { heard, headers, sent: seen[before].json(), said }
}

/// Reads a whole answer or a stream that has to end well.
fn hear(speaker: Speaker, mode: Mode, text: &str) -> Result<Heard, String> {
    match mode {
        Mode::Whole => Ok(speaker.hear(&serde_json::from_str(text).map_err(|error| error.to_string())?)),
        Mode::Stream => match speaker.judge(text)? {
            Ending::Whole(whole) => Ok(speaker.hear(&whole)),
            Ending::Failed(error) => Err(format!("the stream failed: {error:?}")),
        },
    }
}

/// Sends a provider once more what it got, and returns what it says.
async fn again(sandbox: &Sandbox, request: &Recorded) -> (u16, String) {
    let mut url = sandbox.base_url();
    url.set_path("");
    let url = format!("{}{}", url.as_str().trim_end_matches('/'), request.target);
    let mut call = reqwest::Client::new().post(url).body(request.body.clone());
    for name in ["content-type", "authorization", "x-api-key", "x-goog-api-key", "anthropic-version", "anthropic-beta"]
    {
        if let Some(value) = request.header(name) {
            call = call.header(name, value);
        }
    }
    let answer = call.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

/// The caller heard what the provider said.
fn assert_same(pair: Pair, mode: Mode, call: &Call) {
    let Call { heard, said, .. } = call;
    let at = format!("{pair:?} {mode:?}");
    assert_eq!(heard.text, said.text, "{at}");
    assert_eq!(heard.called(), said.called(), "{at}");
    assert_eq!(heard.finish, said.finish, "{at}");
    assert_eq!(heard.usage, said.usage, "{at}");
    assert_eq!(heard.thoughts, said.thoughts, "{at}");
    assert!(heard.usage.input > 0 && heard.usage.output > 0, "{at}: {:?}", heard.usage);
}

fn user(model: &str, said: &str) -> Talk {
    Talk { model: model.to_owned(), turns: vec![Turn::User(said.to_owned())], ..Talk::default() }
}

fn tools() -> Vec<Tool> {
    let of = |name, field: &str| {
        let parameters = json!({"type": "object", "properties": {field: {"type": "string"}}, "required": [field],
            "additionalProperties": false});
        Tool { name, parameters }
    };
    vec![of("get_weather", "city"), of("get_time", "zone")]
}

#[tokio::test]
async fn a_plain_answer_is_heard_as_it_was_said() {
    let world = World::new().await;
    for pair in Pair::all() {
        for mode in MODES {
            let call = call(&world, pair, &user(pair.family.model(), "Hello, wörld 🌍"), mode).await;
            assert_same(pair, mode, &call);
            assert!(call.heard.text.contains("Hello, wörld 🌍"), "{pair:?}");
            assert!(!call.headers.contains_key("x-llm-gateway-ignored"), "{pair:?}: {:?}", call.headers);
            assert!(call.headers.contains_key("x-request-id") && !call.headers.contains_key("set-cookie"), "{pair:?}");
        }
    }
}

#[tokio::test]
async fn models_that_only_responses_has_answer_every_caller() {
    let world = World::new().await;
    for model in ["gpt-5-pro", "gpt-5.1-codex", "o3-deep-research"] {
        for caller in Speaker::ALL {
            for mode in MODES {
                let before = world.gateway.openai().requests().len();
                let (path, body) = caller.call(&user(model, "Hello"), mode);
                let answer = world.gateway.post(&path, &body).send().await.unwrap();
                let (status, text) = (answer.status(), answer.text().await.unwrap());
                assert_eq!(status, 200, "{caller:?} {mode:?} {model}: {text}");
                let heard = hear(caller, mode, &text).unwrap();
                assert!(heard.text.contains("Hello"), "{caller:?} {mode:?} {model}: {}", heard.text);
                let seen = world.gateway.openai().requests();
                let reached: Vec<_> = seen[before..].iter().map(|request| request.path()).collect();
                assert_eq!(reached, ["/v1/responses"], "{caller:?} {mode:?} {model}");
            }
        }
    }
}

#[tokio::test]
async fn a_conversation_with_instructions_arrives_in_its_order() {
    let world = World::new().await;
    for pair in Pair::all() {
        for mode in MODES {
            let turns = vec![
                Turn::User("first question".to_owned()),
                Turn::Assistant("first answer".to_owned()),
                Turn::User("second question".to_owned()),
            ];
            let talk = Talk { system: Some("Be brief."), turns, ..user(pair.family.model(), "") };
            let call = call(&world, pair, &talk, mode).await;
            assert_same(pair, mode, &call);
            let sent = call.sent.to_string();
            let places = ["first question", "first answer", "second question"].map(|said| sent.find(said).unwrap());
            assert!(places.is_sorted(), "{pair:?}: {sent}");
            assert!(sent.contains("Be brief."), "{pair:?}: {sent}");
            assert!(call.heard.text.contains("second question"), "{pair:?}: {}", call.heard.text);
        }
    }
}

#[tokio::test]
async fn a_forced_tool_is_called_with_arguments_by_its_schema() {
    let world = World::new().await;
    for pair in Pair::all() {
        for mode in MODES {
            let talk = Talk { tools: tools(), forced: Some("get_time"), ..user(pair.family.model(), "What now?") };
            let call = call(&world, pair, &talk, mode).await;
            assert_same(pair, mode, &call);
            let [called] = call.heard.calls.as_slice() else { panic!("{pair:?} called {:?}", call.heard.calls) };
            assert_eq!(called.name, "get_time", "{pair:?}");
            assert!(called.arguments["zone"].is_string(), "{pair:?}: {}", called.arguments);
        }
    }
}

#[tokio::test]
async fn a_forced_tool_is_called_by_models_that_were_told_to_think() {
    let world = World::new().await;
    for pair in Pair::foreign() {
        let newest = (pair.family == Family::Anthropic).then_some("claude-opus-4-8");
        for model in pair.family.thinkers().iter().copied().chain(newest) {
            let talk =
                Talk { tools: tools(), forced: Some("get_time"), thinking: Thinking::Hard, ..user(model, "What now?") };
            let call = call(&world, pair, &talk, Mode::Whole).await;
            assert_same(pair, Mode::Whole, &call);
            assert_eq!(
                call.heard.calls.iter().map(|call| call.name.as_str()).collect::<Vec<_>>(),
                ["get_time"],
                "{pair:?} {model}"
            );
        }
    }
}

#[tokio::test]
async fn an_answer_by_a_schema_is_json_by_that_schema() {
    let world = World::new().await;
    let schema = json!({"type": "object", "additionalProperties": false, "required": ["name", "age"],
        "properties": {"name": {"type": "string"}, "age": {"type": "integer"}}});
    for pair in Pair::all() {
        for mode in MODES {
            let talk = Talk { schema: Some(schema.clone()), ..user(pair.family.model(), "Who is it?") };
            let call = call(&world, pair, &talk, mode).await;
            assert_same(pair, mode, &call);
            let given: Value = serde_json::from_str(&call.heard.text).unwrap();
            assert!(given["name"].is_string() && given["age"].is_i64(), "{pair:?}: {given}");
        }
    }
}

#[tokio::test]
async fn models_that_have_no_schemas_answer_by_one_all_the_same() {
    let world = World::new().await;
    let schema = json!({"type": "object", "additionalProperties": false, "required": ["name", "age"],
        "properties": {"name": {"type": "string"}, "age": {"type": "integer"}}});
    for pair in Pair::foreign() {
        let model = match pair.family {
            Family::OpenAi => "gpt-4",
            Family::ChatOnly => "plain/gpt-3.5-turbo",
            Family::Anthropic => "claude-3-5-haiku-20241022",
            Family::Gemini => continue,
        };
        for mode in MODES {
            let talk = Talk { schema: Some(schema.clone()), ..user(model, "Who is it?") };
            let call = call(&world, pair, &talk, mode).await;
            let at = format!("{pair:?} {mode:?}");
            let given: Value = serde_json::from_str(&call.heard.text).unwrap();
            assert!(given["name"].is_string() && given["age"].is_i64(), "{at}: {given}");
            assert_eq!((&call.heard.finish, call.heard.called().len()), (&Finish::Stop, 0), "{at}");
            assert_eq!((call.heard.usage, call.said.called().len()), (call.said.usage, 1), "{at}");
        }
    }
}

#[tokio::test]
async fn a_list_is_the_answer_where_the_provider_gives_objects_only() {
    let world = World::new().await;
    let schema = json!({"type": "array", "items": {"type": "object", "additionalProperties": false, "required": ["name"],
        "properties": {"name": {"type": "string"}}}});
    let from_abroad = |pair: &Pair| matches!(pair.caller, Speaker::Messages | Speaker::Gemini);
    for pair in Pair::foreign().filter(from_abroad) {
        let models = match pair.family {
            Family::OpenAi => ["gpt-4.1-mini", "gpt-4"],
            Family::ChatOnly => ["plain/gpt-4.1-mini", "plain/gpt-3.5-turbo"],
            Family::Anthropic => ["claude-sonnet-4-5", "claude-3-5-haiku-20241022"],
            Family::Gemini => ["gemini-2.5-flash-lite", "gemini-3-pro-preview"],
        };
        for (mode, model) in MODES.into_iter().flat_map(|mode| models.map(|model| (mode, model))) {
            let talk = Talk { schema: Some(schema.clone()), ..user(model, "Who are they?") };
            let call = call(&world, pair, &talk, mode).await;
            let given: Value = serde_json::from_str(&call.heard.text).unwrap();
            assert!(given[0]["name"].is_string(), "{pair:?} {mode:?} {model}: {given}");
            assert_eq!((&call.heard.finish, call.heard.usage), (&Finish::Stop, call.said.usage), "{pair:?} {model}");
        }
    }
}

#[tokio::test]
async fn json_of_any_form_is_given_by_every_model_to_a_caller_who_does_not_know_openais_rules() {
    let world = World::new().await;
    let mut body = json!({"contents": [{"role": "user", "parts": [{"text": "List three colours."}]}],
        "generationConfig": {"responseMimeType": "application/json"}});
    let families = Family::ALL.into_iter().filter(|family| *family != Family::Gemini).map(Family::model);
    for model in families.chain(["gpt-4", "gpt-4-0613", "plain/gpt-4-0613"]) {
        for tools in [json!([]), json!([{"functionDeclarations": [{"name": "f", "description": "d"}]}])] {
            body["tools"] = tools;
            let path = format!("/v1beta/models/{model}:generateContent");
            let answer = world.gateway.post(&path, &body).send().await.unwrap();
            let (status, text) = (answer.status(), answer.text().await.unwrap());
            assert_eq!(status, 200, "{model}: {text}");
            let heard = Speaker::Gemini.hear(&serde_json::from_str(&text).unwrap());
            let is_json = serde_json::from_str::<Value>(&heard.text).is_ok_and(|given| given.is_object());
            assert!(is_json || !heard.calls.is_empty(), "{model}: {text}");
        }
    }
}

#[tokio::test]
async fn a_picture_arrives_with_its_type_and_all_of_its_bytes() {
    const PNG: &str =
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
    let world = World::new().await;
    for pair in Pair::all() {
        for mode in MODES {
            let turns = vec![Turn::Picture("What is it?".to_owned(), PNG)];
            let call = call(&world, pair, &Talk { turns, ..user(pair.family.model(), "") }, mode).await;
            assert_same(pair, mode, &call);
            let sent = call.sent.to_string();
            assert!(sent.contains(PNG) && sent.contains("image/png"), "{pair:?}: {sent}");
            assert!(call.heard.text.contains("With it came"), "{pair:?}: {}", call.heard.text);
        }
    }
}

#[tokio::test]
async fn an_answer_ends_for_the_reason_that_the_provider_gave() {
    let world = World::new().await;
    for pair in Pair::all() {
        for mode in MODES {
            let short = Talk { max_output: Some(20), ..user(pair.family.model(), "[[sandbox:words=200]]") };
            let withheld = user(pair.family.model(), "[[sandbox:safety]]");
            for (talk, finish) in [(short, Finish::Length), (withheld, Finish::Withheld)] {
                let call = call(&world, pair, &talk, mode).await;
                assert_same(pair, mode, &call);
                assert_eq!(call.heard.finish, finish, "{pair:?} {mode:?}");
            }
        }
    }
}

#[tokio::test]
async fn what_was_read_from_a_cache_is_counted_as_each_dialect_counts_it() {
    let world = World::new().await;
    for pair in Pair::all() {
        for mode in MODES {
            let talk = user(pair.family.model(), "[[sandbox:cached=5]] something long enough to have been cached");
            let call = call(&world, pair, &talk, mode).await;
            assert_same(pair, mode, &call);
            assert_eq!(call.heard.usage.cached, 5, "{pair:?} {mode:?}");
        }
    }
}

#[tokio::test]
async fn thoughts_are_shown_where_the_provider_shows_them() {
    let world = World::new().await;
    for pair in Pair::all() {
        for (mode, model) in
            MODES.into_iter().flat_map(|mode| pair.family.thinkers().iter().map(move |one| (mode, one)))
        {
            let talk = Talk { thinking: Thinking::Hard, ..user(model, "Think of a number.") };
            let call = call(&world, pair, &talk, mode).await;
            assert_same(pair, mode, &call);
            assert!(call.heard.usage.reasoning > 0, "{pair:?} {mode:?} {model}: {:?}", call.heard.usage);
            // Chat completions of OpenAI have no place for thoughts.
            let shown = pair.provider() != Speaker::Chat;
            assert_eq!(!call.heard.thoughts.is_empty(), shown, "{pair:?} {mode:?} {model}");
        }
    }
}
