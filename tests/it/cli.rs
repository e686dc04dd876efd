//! The commands as an operator runs them.

use std::io::Write as _;

use serde_json::Value;

use crate::support::binary::{Binary, Ended};

/// Stands for everything that must not be shown.
const SECRET: &str = "hunter2";

fn run(arguments: &[&str], env: &[(&str, &str)]) -> Ended {
    env.iter().fold(Binary::new(arguments), |binary, (name, value)| binary.env(name, *value)).run()
}

#[test]
fn check_shows_what_would_run_and_hides_what_opens_doors() {
    let ended = run(
        &["check"],
        &[
            ("LLM_GATEWAY_DATABASE_URL", "postgres://gateway:hunter2@db:5432/posthog?sslmode=verify-full"),
            ("LLM_GATEWAY_REDIS_URL", "rediss://:hunter2@cache:6380"),
            ("LLM_GATEWAY_OPENAI_API_KEY", "sk-hunter2"),
            ("LLM_GATEWAY_POSTHOG_API_KEY", "phc_hunter2"),
            ("LLM_GATEWAY__PRODUCTS__CODE", "{ models = ['claude-'], oauth_applications = [] }"),
            ("LLM_GATEWAY_PORT", "tcp://10.0.0.1:8080"),
        ],
    );
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    assert!(!ended.stdout.contains(SECRET), "{}", ended.stdout);
    insta::assert_snapshot!(ended.stdout, @r"
    listeners
      callers     0.0.0.0:8080
      operators   127.0.0.1:9090
    stores
      database    postgres://gateway:****@db:5432/posthog?sslmode=verify-full
      redis       rediss://:****@cache:6380
    providers
      anthropic (anthropic) takes no calls: LLM_GATEWAY_ANTHROPIC_API_KEY is not set
        default   https://api.anthropic.com/   no key
      gemini (gemini) takes no calls: LLM_GATEWAY_GEMINI_API_KEY is not set
        default   https://generativelanguage.googleapis.com/   no key
      openai (openai) takes calls
        default   https://api.openai.com/v1   key **** set by LLM_GATEWAY_OPENAI_API_KEY
    products
      array   API keys, OAuth applications *, models *, capture full
        $500.00 per user in 1h
        $5000.00 per team in 1day
        $1000.00 per product in 1h
      code   API keys, no OAuth applications, models claude-, capture full
        $500.00 per user in 1h
        $5000.00 per team in 1day
        $1000.00 per product in 1h
      django   API keys, no OAuth applications, models *, capture full
        $500.00 per user in 1h
        $5000.00 per team in 1day
        $1000.00 per product in 1h
      llm_gateway   API keys, OAuth applications *, models *, capture full
        $500.00 per user in 1h
        $5000.00 per team in 1day
        $1000.00 per product in 1h
      wizard   API keys, OAuth applications *, models *, capture full
        $500.00 per user in 1h
        $5000.00 per team in 1day
        $1000.00 per product in 1h
    aliases
      claude-3-5-haiku = claude-3-5-haiku-20241022
      claude-3-5-sonnet = claude-3-5-sonnet-20241022
    analytics
      on          events go to https://us.i.posthog.com/
      spool       llm-gateway-events.db (up to 536870912 bytes, then the oldest go; for 7days at most)
      buffer      up to 50000 events, 134217728 bytes
    ignored variables
      LLM_GATEWAY_PORT
    ");
}

#[test]
fn check_says_that_without_a_key_there_are_no_events() {
    let ended = run(&["check"], &[("LLM_GATEWAY_DATABASE_URL", "postgres://gateway@db.internal/posthog")]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let analytics = ended.stdout.split("analytics\n").nth(1).unwrap();
    insta::assert_snapshot!(analytics, @"  off         LLM_GATEWAY_POSTHOG_API_KEY is not set");
}

#[test]
fn settings_that_cannot_be_used_end_with_78_and_one_sentence() {
    let ended = run(&["check"], &[]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(78), ""));
    assert!(ended.stderr.contains("LLM_GATEWAY_DATABASE_URL"), "{}", ended.stderr);

    for command in ["serve", "check", "dev", "migrate"] {
        let ended = run(&[command], &[("LLM_GATEWAY_DATABASE_URL", "mysql://gateway:hunter2@db")]);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(78), ""), "{command}");
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
        assert!(ended.stderr.contains("database.url, set by LLM_GATEWAY_DATABASE_URL"), "{}", ended.stderr);
        assert!(!ended.stderr.contains(SECRET), "{}", ended.stderr);
    }
    assert_eq!(run(&[], &[]).code, Some(78), "no command means to serve");
}

#[test]
fn a_bad_file_is_refused_by_line_without_repeating_it() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "[providers.openai.upstreams.default]\napi_key = sk-hunter2").unwrap();
    let path = file.path().to_str().unwrap();
    let ended = run(&["check"], &[("LLM_GATEWAY_CONFIG", path)]);
    assert_eq!(ended.code, Some(78));
    assert!(ended.stderr.contains(&format!("{path} line 2")), "{}", ended.stderr);
    assert!(!ended.stderr.contains(SECRET), "{}", ended.stderr);
}

#[test]
fn an_alias_that_leads_nowhere_is_refused() {
    let env = [("LLM_GATEWAY_DATABASE_URL", "sqlite:x.db"), ("LLM_GATEWAY__ALIASES__BEST", "unheard-of")];
    let ended = run(&["check"], &env);
    assert_eq!(ended.code, Some(78));
    insta::assert_snapshot!(ended.stderr, @r#"llm-gateway: aliases.best, set by LLM_GATEWAY__ALIASES__BEST: there is no model "unheard-of"; `llm-gateway models` lists those that there are"#);
}

#[test]
fn models_are_listed_for_people_and_for_programs() {
    let table = run(&["models"], &[]);
    assert_eq!((table.code, table.stderr.as_str()), (Some(0), ""));
    let line = table.stdout.lines().find(|line| line.starts_with("gpt-4.1-mini ")).unwrap();
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(&words[..7], ["gpt-4.1-mini", "openai", "1047576", "32768", "0.40", "1.60", "0.10"]);

    let json: Value = serde_json::from_str(&run(&["models", "--json"], &[]).stdout).unwrap();
    let models = json["models"].as_array().unwrap();
    assert_eq!(models.len() + 1, table.stdout.lines().count(), "the table has a head");
    let opus = models.iter().find(|model| model["id"] == "claude-opus-4-5").unwrap();
    assert_eq!(opus["provider"], "anthropic");
    assert_eq!(opus["prices"]["rates"]["output"], 25_000_000_000_i64);
}

#[test]
fn a_command_line_that_is_not_understood_ends_with_2() {
    let ended = run(&["serf"], &[]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""));
    assert!(ended.stderr.contains("serve"), "{}", ended.stderr);
}

#[test]
fn help_names_every_command() {
    let ended = run(&["--help"], &[]);
    assert_eq!(ended.code, Some(0));
    for command in ["serve", "dev", "check", "migrate", "keys", "models"] {
        assert!(ended.stdout.contains(&format!("\n  {command} ")), "{}", ended.stdout);
    }
}
