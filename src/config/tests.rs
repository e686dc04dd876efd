//! Loading as operators meet it: layers, names, and refusals.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::io::Write as _;
use std::time::Duration;

use secrecy::ExposeSecret as _;

use super::products::{Capture, OnHangUp, Per};
use super::providers::Kind;
use super::{Config, ConfigError, DEFAULT_TOML, Loaded, Mode, telemetry};
use crate::money::NanoUsd;

fn load(env: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
    load_for(Mode::Tool, env)
}

fn load_for(mode: Mode, env: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
    Config::load(env.iter().map(|&(name, text)| (name.to_owned(), text.to_owned())), mode)
}

fn refusal(env: &[(&str, &str)]) -> String {
    load(env).unwrap_err().to_string()
}

fn file(toml: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(toml.as_bytes()).unwrap();
    file
}

fn load_file(toml: &str) -> Result<Loaded, ConfigError> {
    let file = file(toml);
    load(&[("LLM_GATEWAY_CONFIG", file.path().to_str().unwrap())])
}

/// The refusal of a file, with its path replaced by FILE.
fn file_refusal(toml: &str) -> String {
    let file = file(toml);
    let path = file.path().to_str().unwrap();
    refusal(&[("LLM_GATEWAY_CONFIG", path)]).replace(path, "FILE")
}

#[test]
fn the_defaults_are_those_of_the_contract() {
    let config = load(&[]).unwrap().config;
    assert_eq!(config.server.port, 8080);
    assert_eq!(config.server.admin_addr.to_string(), "127.0.0.1:9090");
    assert_eq!(config.server.body_limit, 32 << 20);
    assert_eq!(config.server.answer_limit, 64 << 20);
    assert_eq!(config.analytics.host.as_str(), "https://us.i.posthog.com/");
    for (name, kind, url) in [
        ("openai", Kind::OpenAi, "https://api.openai.com/v1"),
        ("anthropic", Kind::Anthropic, "https://api.anthropic.com/"),
        ("gemini", Kind::Gemini, "https://generativelanguage.googleapis.com/"),
    ] {
        let provider = &config.providers[name];
        assert_eq!(provider.kind, kind);
        assert_eq!(provider.upstreams["default"].base_url.as_str(), url);
        assert!(!provider.is_configured());
    }
    for name in ["llm_gateway", "array", "wizard", "django"] {
        let product = &config.products[name];
        assert!(product.api_keys);
        assert_eq!(product.oauth_applications.len(), usize::from(name != "django"));
        assert_eq!(product.models, ["*"]);
        assert_eq!(product.capture, Capture::Full);
        assert_eq!(product.on_hang_up, OnHangUp::Close);
        assert!(!product.fallback && !product.stateful);
        let limits: Vec<_> =
            product.limits.iter().map(|limit| (limit.per, limit.usd.0, limit.window.as_secs() / 3600)).collect();
        let usd = |usd: i64| NanoUsd(usd * NanoUsd::PER_USD);
        assert_eq!(limits, [(Per::User, usd(500), 1), (Per::Team, usd(5000), 24), (Per::Product, usd(1000), 1)]);
    }
    assert_eq!(config.breaker.open_for, Duration::from_secs(5));
    assert_eq!(config.timeouts.total, Duration::from_secs(900));
    assert_eq!(config.stream.keepalive, Duration::from_secs(15));
    assert_eq!(config.drain.grace, Duration::from_secs(600));
}

#[test]
fn every_short_name_sets_its_key() {
    let config = load(&[
        ("LLM_GATEWAY_DATABASE_URL", "postgres://u:p@db/gateway?sslmode=verify-full"),
        ("LLM_GATEWAY_REDIS_URL", "rediss://cache"),
        ("LLM_GATEWAY_ANTHROPIC_API_KEY", "a-key"),
        ("LLM_GATEWAY_OPENAI_API_KEY", "o-key"),
        ("LLM_GATEWAY_GEMINI_API_KEY", "g-key"),
        ("LLM_GATEWAY_ANTHROPIC_BASE_URL", "http://a"),
        ("LLM_GATEWAY_OPENAI_BASE_URL", "http://o/v1"),
        ("LLM_GATEWAY_GEMINI_BASE_URL", "http://g"),
        ("LLM_GATEWAY_POSTHOG_API_KEY", "phc_x"),
        ("LLM_GATEWAY_POSTHOG_HOST", "https://eu.i.posthog.com"),
        ("LLM_GATEWAY_HOST", "::1"),
        ("LLM_GATEWAY_PORT", "80"),
        ("LLM_GATEWAY_ADMIN_ADDR", "0.0.0.0:81"),
    ])
    .unwrap()
    .config;
    let text = |secret: &Option<secrecy::SecretString>| secret.as_ref().unwrap().expose_secret().to_owned();
    assert_eq!(text(&config.database.url), "postgres://u:p@db/gateway?sslmode=verify-full");
    assert_eq!(text(&config.redis.url), "rediss://cache");
    for (name, key, url) in
        [("anthropic", "a-key", "http://a/"), ("openai", "o-key", "http://o/v1"), ("gemini", "g-key", "http://g/")]
    {
        let upstream = &config.providers[name].upstreams["default"];
        assert_eq!(text(&upstream.api_key), key);
        assert_eq!(upstream.base_url.as_str(), url);
        assert!(config.providers[name].is_configured());
    }
    assert_eq!(text(&config.analytics.api_key), "phc_x");
    assert_eq!(config.analytics.host.as_str(), "https://eu.i.posthog.com/");
    assert_eq!(config.server.host.to_string(), "::1");
    assert_eq!(config.server.port, 80);
    assert_eq!(config.server.admin_addr.to_string(), "0.0.0.0:81");
}

#[test]
fn the_environment_wins_over_the_file_and_the_file_over_the_defaults() {
    let file = file("[server]\nport = 81\nworkers = 3\n[breaker]\nwindow = \"1m\"\n");
    let path = file.path().to_str().unwrap();
    let loaded = load(&[("LLM_GATEWAY_CONFIG", path), ("LLM_GATEWAY_PORT", "82")]).unwrap();
    assert_eq!(loaded.config.server.port, 82);
    assert_eq!(loaded.config.server.workers, 3);
    assert_eq!(loaded.config.breaker.window, Duration::from_secs(60));
    assert_eq!(loaded.config.breaker.minimum_calls, 20);
    let source = |key: &str| loaded.sources.of(key).unwrap().to_string().replace(path, "FILE");
    assert_eq!(source("server.port"), "set by LLM_GATEWAY_PORT");
    assert_eq!(source("server.workers"), "set in FILE line 3");
    assert_eq!(source("breaker.window"), "set in FILE line 5");
    assert!(source("breaker.minimum_calls").starts_with("set in config/default.toml line "));
}

#[test]
fn the_exact_form_of_a_variable_wins_over_the_short_one() {
    let env = [("LLM_GATEWAY__SERVER__PORT", "81"), ("LLM_GATEWAY_PORT", "82")];
    assert_eq!(load(&env).unwrap().config.server.port, 81);
}

#[test]
fn nested_variables_take_the_type_that_the_key_wants() {
    let config = load(&[
        ("LLM_GATEWAY__SERVER__WORKERS", "4"),
        ("LLM_GATEWAY__BREAKER__FAILURE_RATE", "0.25"),
        ("LLM_GATEWAY__BREAKER__OPEN_FOR", "250ms"),
        ("LLM_GATEWAY__PRODUCTS__WIZARD__API_KEYS", "false"),
        ("LLM_GATEWAY__PRODUCTS__WIZARD__MODELS", "[\"gpt-\", 'claude-']"),
        ("LLM_GATEWAY__PRODUCTS__WIZARD__CAPTURE", "metadata"),
        ("LLM_GATEWAY__PRODUCTS__WIZARD__LIMITS", "[{ per = \"user\", usd = 2.5, window = \"1h\" }]"),
        ("LLM_GATEWAY__ALIASES", "{ \"best\" = \"gpt-5.2\" }"),
        // Reads as a number, and is a key all the same.
        ("LLM_GATEWAY_OPENAI_API_KEY", "12345"),
    ])
    .unwrap()
    .config;
    assert_eq!(config.server.workers, 4);
    assert_eq!(config.breaker.failure_rate, 0.25);
    assert_eq!(config.breaker.open_for, Duration::from_millis(250));
    let wizard = &config.products["wizard"];
    assert!(!wizard.api_keys);
    assert_eq!(wizard.models, ["gpt-", "claude-"]);
    assert_eq!(wizard.capture, Capture::Metadata);
    assert_eq!(wizard.limits.len(), 1);
    assert_eq!(wizard.limits[0].usd.0, NanoUsd(2_500_000_000));
    assert_eq!(config.aliases["best"].as_str(), "gpt-5.2");
    assert!(config.aliases.contains_key("claude-3-5-sonnet"), "tables merge");
    assert_eq!(config.providers["openai"].upstreams["default"].api_key.as_ref().unwrap().expose_secret(), "12345");
}

#[test]
fn a_new_product_takes_what_it_leaves_out_from_the_default_one() {
    let config = load_file(
        "[products.code]\nmodels = [\"claude-\"]\n[products.llm_gateway]\ncapture = \"off\"\n[products.empty]\n",
    )
    .unwrap()
    .config;
    assert_eq!(config.products["code"].models, ["claude-"]);
    assert_eq!(config.products["code"].limits.len(), 3);
    assert_eq!(
        config.products["code"].capture,
        Capture::Full,
        "from the file that is built in, not from a change to it"
    );
    assert_eq!(config.products["empty"].models, ["*"]);

    let env = [("LLM_GATEWAY__PRODUCTS__CODE", "{ stateful = true }")];
    assert!(load(&env).unwrap().config.products["code"].stateful);
}

#[test]
fn providers_and_upstreams_are_added_by_settings_alone() {
    let config = load_file(
        "[providers.vllm]\nkind = \"openai\"\n[providers.vllm.upstreams.zoo]\nbase_url = \"http://z:8000/v1\"\napi_key = \"k\"\n\
         include_usage = false\n[providers.vllm.upstreams.alpha]\nbase_url = \"http://a:8000/v1\"\n\
         [providers.openai.upstreams.eu]\nbase_url = \"https://eu.api.openai.com/v1\"\napi_key = \"k\"\n",
    )
    .unwrap()
    .config;
    let names: Vec<_> = config.providers["vllm"].upstreams.keys().map(|name| name.as_str().to_owned()).collect();
    assert_eq!(names, ["zoo", "alpha"], "in the order of the file: the first is the first choice");
    assert!(!config.providers["vllm"].upstreams["zoo"].include_usage);
    assert_eq!(config.providers["openai"].upstreams.len(), 2);
    assert!(config.providers["openai"].is_configured());
}

#[test]
fn an_empty_variable_is_as_good_as_none() {
    let config = load(&[
        ("LLM_GATEWAY_OPENAI_API_KEY", ""),
        ("LLM_GATEWAY_PORT", ""),
        ("LLM_GATEWAY_CONFIG", ""),
        ("LLM_GATEWAY__SERVER__WORKERS", ""),
    ])
    .unwrap()
    .config;
    assert!(!config.providers["openai"].is_configured());
    assert_eq!(config.server.port, 8080);
}

#[test]
fn what_kubernetes_and_clients_set_is_ignored_by_name() {
    let loaded = load(&[
        ("LLM_GATEWAY_URL", "http://gateway"),
        ("LLM_GATEWAY_PORT", "tcp://10.0.0.1:8080"),
        ("LLM_GATEWAY_PORT_8080_TCP", "tcp://10.0.0.1:8080"),
        ("LLM_GATEWAY_SERVICE_HOST", "10.0.0.1"),
        ("PATH", "/bin"),
    ])
    .unwrap();
    assert_eq!(loaded.config.server.port, 8080);
    let names = ["LLM_GATEWAY_PORT", "LLM_GATEWAY_PORT_8080_TCP", "LLM_GATEWAY_SERVICE_HOST", "LLM_GATEWAY_URL"];
    assert_eq!(loaded.ignored, names);
}

#[test]
fn to_serve_a_database_has_to_be_named() {
    let error = load_for(Mode::Serve, &[]).unwrap_err();
    assert_eq!(error.key(), Some("database.url"));
    insta::assert_snapshot!(error, @"database.url is not set: give LLM_GATEWAY_DATABASE_URL as postgres://… or sqlite:PATH (to try things out without a database of your own, run `llm-gateway dev`)");
    load_for(Mode::Serve, &[("LLM_GATEWAY_DATABASE_URL", "sqlite:gateway.db")]).unwrap();
}

#[test]
fn operators_and_callers_do_not_share_a_port_unless_in_dev() {
    let env = [("LLM_GATEWAY_DATABASE_URL", "sqlite:gateway.db"), ("LLM_GATEWAY_PORT", "9090")];
    insta::assert_snapshot!(load_for(Mode::Serve, &env).unwrap_err(), @"server.admin_addr, set in config/default.toml line 13: operators cannot share a port with callers, who have server.port, set by LLM_GATEWAY_PORT");
    load_for(Mode::Dev { port: None }, &env).unwrap();
    load_for(Mode::Tool, &env).unwrap();
}

#[test]
fn dev_needs_nothing_and_its_port_wins() {
    let config = load_for(Mode::Dev { port: Some(7000) }, &[("LLM_GATEWAY_PORT", "82")]).unwrap().config;
    assert_eq!(config.server.port, 7000);
    assert_eq!(config.telemetry.format, telemetry::Format::Text);
    let config = load_for(Mode::Dev { port: None }, &[("LLM_GATEWAY__TELEMETRY__FORMAT", "json")]).unwrap().config;
    assert_eq!(config.server.port, 8080);
    assert_eq!(config.telemetry.format, telemetry::Format::Json);
}

#[test]
fn refusals_name_the_key_its_source_and_what_was_expected() {
    insta::assert_snapshot!(refusal(&[("LLM_GATEWAY_PORT", "99999")]), @"server.port, set by LLM_GATEWAY_PORT: expected a whole number from 0 to 65535");
    insta::assert_snapshot!(refusal(&[("LLM_GATEWAY_PORT", "http")]), @"server.port, set by LLM_GATEWAY_PORT: expected a whole number from 0 to 65535, found text");
    insta::assert_snapshot!(refusal(&[("LLM_GATEWAY__SERVER__PROT", "1")]), @"server.prot, set by LLM_GATEWAY__SERVER__PROT: there is no such setting; server knows host, port, admin_addr, workers, body_limit, body_timeout, body_memory, write_timeout, answer_limit, answer_memory");
    insta::assert_snapshot!(file_refusal("\n[sever]\nport = 1\n"), @"sever, set in FILE line 2: there is no such setting; the top level knows server, database, redis, auth, providers, products, aliases, catalog, fallbacks, prices, breaker, timeouts, stream, drain, limits, analytics, attribution, telemetry");
    insta::assert_snapshot!(file_refusal("[products.wizard]\nlimits = [\n  { per = \"user\", usd = 1, window = \"1h\" },\n  { per = \"user\", usd = nan, window = \"2h\" },\n]\n"), @"products.wizard.limits[1].usd, set in FILE line 4: NaN is no limit in dollars: give a number above 0 and at most 1000000000");
    insta::assert_snapshot!(file_refusal("[products.wizard]\nlimits = [{ per = \"user\", usd = 1 }]\n"), @"products.wizard.limits[0].window is missing in products.wizard.limits[0], set in FILE line 2");
    insta::assert_snapshot!(file_refusal("[providers.vllm]\nkind = \"openai\"\n"), @"providers.vllm.upstreams is missing in providers.vllm, set in FILE line 1");
    insta::assert_snapshot!(file_refusal("[server]\nport = 1\nport = 2\n"), @"FILE line 3 is not TOML: duplicate key");
    insta::assert_snapshot!(file_refusal("[server]\nport = \n"), @"FILE line 2 is not TOML: string values must be quoted, expected literal string");
    insta::assert_snapshot!(refusal(&[("LLM_GATEWAY_CONFIG", "/nowhere/gateway.toml")]), @"the file /nowhere/gateway.toml, named by LLM_GATEWAY_CONFIG, cannot be read: No such file or directory (os error 2)");
    // The line moves whenever a key is added above it.
    let refused = refusal(&[("LLM_GATEWAY__BREAKER__OPEN_FOR", "2m")]);
    let (refused, line) = refused.rsplit_once(' ').unwrap();
    assert!(line.parse::<usize>().is_ok(), "{line} is no line");
    insta::assert_snapshot!(refused, @"breaker.open_for, set by LLM_GATEWAY__BREAKER__OPEN_FOR: it is longer than breaker.open_for_max, set in config/default.toml line");
}

#[test]
fn wrong_types_are_refused_in_files_and_in_the_environment() {
    for (key, toml, text) in [
        ("server.port", "server.port = \"8080\"", None),
        ("server.port", "server.port = 8080.0", Some("8080.0")),
        ("server.workers", "server.workers = -1", Some("-1")),
        ("server.host", "server.host = 1", Some("localhost")),
        ("server", "server = 1", Some("1")),
        ("breaker.window", "breaker.window = 10", Some("10")),
        ("breaker.failure_rate", "breaker.failure_rate = \"half\"", Some("half")),
        ("products.wizard.api_keys", "products.wizard.api_keys = \"yes\"", Some("yes")),
        ("products.wizard.models", "products.wizard.models = \"gpt\"", Some("gpt")),
        ("products.wizard.capture", "products.wizard.capture = \"some\"", Some("some")),
        ("products.wizard", "products.wizard = true", Some("true")),
        ("providers.openai.upstreams.default.api_key", "providers.openai.upstreams.default.api_key = 1", None),
        ("aliases.x", "aliases.x = 1979-05-27", None),
    ] {
        assert_eq!(load_file(toml).unwrap_err().key(), Some(key), "{toml}");
        if let Some(text) = text {
            let name = format!("LLM_GATEWAY__{}", key.to_uppercase().replace('.', "__"));
            let error = load(&[(&name, text)]).unwrap_err();
            assert_eq!(error.key(), Some(key), "{name}={text}");
            assert!(error.to_string().contains(&name), "{error}");
        }
    }
}

#[test]
fn impossible_values_are_refused() {
    for (key, text) in [
        ("BREAKER__WINDOW", "0s"),
        ("BREAKER__WINDOW", "-5s"),
        ("BREAKER__WINDOW", "1000years"),
        ("BREAKER__FAILURE_RATE", "0"),
        ("BREAKER__FAILURE_RATE", "1.01"),
        ("BREAKER__FAILURE_RATE", "nan"),
        ("BREAKER__FAILURE_RATE", "-0.5"),
        ("BREAKER__MINIMUM_CALLS", "0"),
        ("BREAKER__OPEN_FOR", "61s"),
        ("TIMEOUTS__CONNECT", "0ms"),
        ("STREAM__KEEPALIVE", "0s"),
        ("LIMITS__FLUSH_EVERY", "0s"),
        ("AUTH__CACHE_CAPACITY", "0"),
        ("DATABASE__POOL_SIZE", "0"),
        ("DATABASE__URL", "mysql://db"),
        ("DATABASE__URL", "postgres:db"),
        ("DATABASE__URL", "sqlite:"),
        ("DATABASE__URL", "postgres://db/x?sslmode=maybe"),
        ("REDIS__URL", "http://cache"),
        ("REDIS__URL", "redis"),
        ("SERVER__WORKERS", "5000"),
        ("SERVER__ANSWER_LIMIT", "536870913"),
        ("SERVER__BODY_LIMIT", "0"),
        ("ANALYTICS__HOST", "us.i.posthog.com"),
        ("TELEMETRY__LOG", "llm_gateway=loud"),
        ("PROVIDERS__OPENAI__UPSTREAMS__DEFAULT__BASE_URL", "ftp://api.openai.com"),
        ("PROVIDERS__OPENAI__UPSTREAMS__DEFAULT__BASE_URL", "https://user:pass@api.openai.com"),
        ("PROVIDERS__OPENAI__UPSTREAMS__DEFAULT__BASE_URL", "https://api.openai.com/v1?key=x"),
        ("PROVIDERS__OPENAI__UPSTREAMS__DEFAULT__API_KEY", "sk-1\n"),
        ("PROVIDERS__OPENAI__UPSTREAMS__DEFAULT__API_KEY", "sk 1"),
        ("PROVIDERS__OPENAI__UPSTREAMS", "{ \"Ä\" = { base_url = \"http://a\" } }"),
        ("PROVIDERS__MODELS", "{ kind = \"openai\", upstreams = { default = { base_url = \"http://a\" } } }"),
        ("PROVIDERS__NONE", "{ kind = \"openai\", upstreams = {} }"),
        ("PRODUCTS__WIZARD__MODELS", "[\"\"]"),
        ("PRODUCTS__WIZARD__OAUTH_APPLICATIONS", "[\"my-app\"]"),
        ("PRODUCTS__WIZARD__LIMITS", "[{ per = \"user\", usd = 0, window = \"1h\" }]"),
        ("PRODUCTS__WIZARD__LIMITS", "[{ per = \"user\", usd = -1, window = \"1h\" }]"),
        ("PRODUCTS__WIZARD__LIMITS", "[{ per = \"user\", usd = 1e30, window = \"1h\" }]"),
        ("PRODUCTS__WIZARD__LIMITS", "[{ per = \"user\", usd = 1e-10, window = \"1h\" }]"),
        ("PRODUCTS__WIZARD__LIMITS", "[{ per = \"user\", usd = nan, window = \"1h\" }]"),
        ("PRODUCTS__WIZARD__LIMITS", "[{ per = \"user\", usd = inf, window = \"1h\" }]"),
        ("PRODUCTS__WIZARD__LIMITS", "[{ per = \"user\", usd = -0.0, window = \"1h\" }]"),
        ("PRODUCTS__WIZARD__LIMITS", "[{ per = \"user\", usd = \"many\", window = \"1h\" }]"),
        ("PRODUCTS__WIZARD__LIMITS", "[{ per = \"nobody\", usd = 1, window = \"1h\" }]"),
        ("PRODUCTS__WIZARD__LIMITS", "[{ per = \"user\", usd = 1, window = \"1h\", mode = \"maybe\" }]"),
        ("PRODUCTS__WIZARD__LIMITS", "[{ per = \"user\", usd = 1, window = \"1h\", burst = 2 }]"),
        ("PRODUCTS__WIZARD__LIMITS", "[{ per = \"user\", usd = 1, window = \"999ms\" }]"),
        ("PRODUCTS__WIZARD__LIMITS", "[{ per = \"user\", usd = 1, window = \"-1h\" }]"),
        ("PRODUCTS__WIZARD__LIMITS", "[{ per = \"user\", usd = 1, window = \"1000years\" }]"),
        ("LIMITS__TEAM_MULTIPLIERS", "{ 1 = 0 }"),
        ("LIMITS__TEAM_MULTIPLIERS", "{ 1 = -2.0 }"),
        ("LIMITS__TEAM_MULTIPLIERS", "{ 1 = nan }"),
        ("LIMITS__TEAM_MULTIPLIERS", "{ 1 = 1001.0 }"),
        ("LIMITS__TEAM_MULTIPLIERS", "{ ours = 2.0 }"),
        ("LIMITS__WARN_AT", "0"),
        ("LIMITS__WARN_AT", "nan"),
        ("PRODUCTS__WIZARD__LIMITS", "[{ per = \"user\", usd = 1, window = \"0s\" }]"),
        ("PRODUCTS__WIZARD__LIMITS", "[{per='user',usd=1,window='1h'},{per='user',usd=2,window='60m'}]"),
        ("PRODUCTS__V1", "{}"),
        ("PRODUCTS__V1BETA", "{}"),
        ("PRODUCTS__HEALTH", "{}"),
        ("PRODUCTS__METRICS", "{}"),
        ("PRODUCTS__CONSOLE", "{}"),
        ("PRODUCTS", "{ \"a/b\" = {} }"),
        ("PRODUCTS", "{ \"_liveness\" = {} }"),
        ("ALIASES", "{ a = \"claude-3-5-sonnet\" }"),
        ("ALIASES", "{ a = \" \" }"),
    ] {
        let name = format!("LLM_GATEWAY__{key}");
        let error = load(&[(&name, text)]).unwrap_err();
        assert!(error.to_string().contains(&name), "{name}={text}: {error}");
        assert!(error.key().unwrap().starts_with(&key.to_lowercase().replace("__", ".")), "{name}={text}: {error}");
    }
    assert!(load_file("[providers.openai.upstreams.default]\napi_key = \"\"\n").is_err(), "a file says what it means");
}

#[test]
fn zero_is_fine_where_it_means_something() {
    let env = [("LLM_GATEWAY__DRAIN__DELAY", "0s"), ("LLM_GATEWAY__AUTH__GRACE", "0s"), ("LLM_GATEWAY_PORT", "0")];
    assert_eq!(load(&env).unwrap().config.drain.delay, Duration::ZERO);
}

#[test]
fn no_secret_is_ever_shown() {
    let mut shown = Vec::new();
    for (name, text) in [
        ("LLM_GATEWAY_DATABASE_URL", "mysql://u:hunter2@db"),
        ("LLM_GATEWAY_DATABASE_URL", "postgres://u:hunter2@db:port/x"),
        ("LLM_GATEWAY_REDIS_URL", "http://:hunter2@cache"),
        ("LLM_GATEWAY_OPENAI_API_KEY", "sk-hunter2 "),
        ("LLM_GATEWAY_OPENAI_BASE_URL", "https://hunter2@api"),
        ("LLM_GATEWAY_POSTHOG_HOST", "hunter2"),
        ("LLM_GATEWAY_PORT", "hunter2"),
        ("LLM_GATEWAY_ADMIN_ADDR", "hunter2"),
        ("LLM_GATEWAY__TELEMETRY__LOG", "hunter2=hunter2"),
        ("LLM_GATEWAY__TELEMETRY__FORMAT", "hunter2"),
        ("LLM_GATEWAY__PROVIDERS__OPENAI__KIND", "hunter2"),
    ] {
        shown.push(refusal(&[(name, text)]));
    }
    for toml in [
        "[providers.openai.upstreams.default]\napi_key = hunter2\n",
        "[providers.openai.upstreams.default]\napi_key = \"hunter2\n",
        "[providers.openai.upstreams.default]\napi_key = \"hunter2\" x\n",
        "[providers.openai.upstreams.default]\napi_key = \"hunter2\"\napi_key = \"hunter2\"\n",
        "[providers.openai.upstreams.default]\napi_key = [\"hunter2\"]\n",
        "[providers.openai.upstreams.default]\napi_key = { key = \"hunter2\" }\n",
        "[database]\nurl = postgres://u:hunter2@db\n",
        "[database]\nurl = \"\\hunter2\"\n",
    ] {
        shown.push(file_refusal(toml));
    }
    let good = load(&[
        ("LLM_GATEWAY_OPENAI_API_KEY", "hunter2"),
        ("LLM_GATEWAY_POSTHOG_API_KEY", "hunter2"),
        ("LLM_GATEWAY_DATABASE_URL", "postgres://u:hunter2@db/x"),
        ("LLM_GATEWAY_REDIS_URL", "redis://:hunter2@cache"),
    ]);
    shown.push(format!("{:?}", good.unwrap()));
    for text in shown {
        assert!(!text.contains("hunter2"), "{text}");
    }
}

/// The keys of a table by the types that read it: they are named when a key is refused that is none of them.
fn known_keys(table: &str) -> Vec<String> {
    let toml = match table {
        "products.wizard.limits" => "products.wizard.limits = [{ bogus = 1 }]".to_owned(),
        _ => format!("{table}.bogus = 1"),
    };
    let refusal = load_file(&toml).unwrap_err().to_string();
    let (_, known) = refusal.rsplit_once(" knows ").unwrap();
    known.split(", ").map(str::to_owned).collect()
}

#[test]
fn the_default_file_has_every_key_and_comments_each_where_it_first_stands() {
    let lines: Vec<&str> = DEFAULT_TOML.lines().collect();
    for (table, header) in [
        ("server", "[server]"),
        ("database", "[database]"),
        ("redis", "[redis]"),
        ("auth", "[auth]"),
        ("providers.openai", "[providers.openai]"),
        ("providers.openai.upstreams.default", "[providers.openai.upstreams.default]"),
        ("products.llm_gateway", "[products.llm_gateway]"),
        ("catalog", "[catalog]"),
        ("breaker", "[breaker]"),
        ("timeouts", "[timeouts]"),
        ("stream", "[stream]"),
        ("drain", "[drain]"),
        ("limits", "[limits]"),
        ("analytics", "[analytics]"),
        ("attribution", "[attribution]"),
        ("telemetry", "[telemetry]"),
    ] {
        let start = lines.iter().position(|line| *line == header).unwrap();
        let section: Vec<&str> = lines[start + 1..].iter().take_while(|line| !line.starts_with('[')).copied().collect();
        for key in known_keys(table) {
            if table == "providers.openai" && key == "upstreams" {
                continue; // A table of its own.
            }
            let at = section
                .iter()
                .position(|line| line.trim_start_matches("# ").starts_with(&format!("{key} = ")))
                .unwrap_or_else(|| unreachable!("{table}.{key} is not in config/default.toml"));
            assert!(at > 0 && section[at - 1].starts_with("# "), "{table}.{key} has no comment");
        }
    }
    let limits = lines.iter().find(|line| line.contains("per = ")).unwrap();
    for key in known_keys("products.wizard.limits") {
        assert!(limits.contains(&format!("{key} = ")), "{key} is not in the first limit of config/default.toml");
    }
    let mut tables = known_keys("server");
    tables.clear();
    let refusal = load_file("bogus = 1").unwrap_err().to_string();
    tables.extend(refusal.rsplit_once(" knows ").unwrap().1.split(", ").map(str::to_owned));
    for table in tables {
        assert!(lines.iter().any(|line| line.starts_with(&format!("[{table}"))), "[{table}] is not in the file");
    }
}

#[test]
fn every_variable_of_the_sample_is_understood() {
    let sample = include_str!("../../.env.sample");
    let lines = sample.lines().filter_map(|line| line.strip_prefix('#')?.split_once('='));
    let variables: Vec<_> = lines.filter(|(name, _)| name.starts_with("LLM_GATEWAY_")).collect();
    assert!(variables.len() > 12);
    for (name, text) in variables {
        let loaded = load(&[(name, if text.is_empty() { "some-key" } else { text })]).unwrap();
        assert!(loaded.ignored.is_empty(), "{name}");
    }
}

#[test]
fn the_examples_of_the_documentation_load() {
    let page = include_str!("../../docs/configuration.md");
    let mut parts = page.split("```toml\n").skip(1).map(|part| part.split("```").next().unwrap());
    let [product, provider, fallbacks, aliases, prices] = [(); 5].map(|()| parts.next().unwrap());
    let config = load_file(&format!("{product}{provider}{fallbacks}{aliases}{prices}")).unwrap().config;
    assert_eq!(config.prices["gemini-2.5-pro"].above.as_ref().unwrap().len(), 1);
    assert!(config.products["wizard"].fallback);
    assert_eq!(config.fallbacks["claude-sonnet-4-5"].len(), 2);
    assert_eq!(config.products["code"].limits.len(), 3);
    assert!(config.providers["my-vllm"].is_configured());
    assert_eq!(config.aliases["best"].as_str(), "claude-opus-4-5");
    assert_eq!(parts.next(), None);
}
