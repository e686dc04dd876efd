//! `llm-gateway usage` as an operator runs it, beside gateways that live.

use llm_gateway::auth::token::DEVELOPMENT_KEY;
use serde_json::{Value, json};

use super::header;
use crate::support::binary::{Binary, Ended, Running};
use crate::support::own_redis::{OwnCluster, OwnRedis};
use crate::support::wait;

const LIMITS: &str =
    "[{ per = 'user', usd = 0.03, window = '24h' }, { per = 'key', usd = 5, window = '24h', mode = 'shadow' },
    { per = 'team', usd = 7, window = '24h' }, { per = 'product', usd = 9, window = '24h' }]";

/// Settings that gateways and commands share. A call is a cent.
fn settings(redis: &str, more: &[(&str, &str)]) -> Vec<(String, String)> {
    let all = [
        ("LLM_GATEWAY_REDIS_URL", redis),
        ("LLM_GATEWAY__PRICES", "{ 'gpt-4.1' = { input = 0, output = 10000 } }"),
        ("LLM_GATEWAY__PRODUCTS__LLM_GATEWAY__LIMITS", LIMITS),
    ];
    all.iter().chain(more).map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

fn with(binary: Binary, settings: &[(String, String)]) -> Binary {
    settings.iter().fold(binary, |binary, (name, text)| binary.env(name, text))
}

fn usage(settings: &[(String, String)], arguments: &[&str]) -> Ended {
    let ended = with(Binary::new(["usage"].iter().chain(arguments)), settings).run();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended
}

/// What each window has been used, by whose it is.
fn used(settings: &[(String, String)], arguments: &[&str]) -> Vec<(String, String)> {
    let shown = usage(settings, &[&["show"], arguments].concat());
    let rows = shown.stdout.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    rows.map(|row| (row[0].to_owned(), row[3].to_owned())).collect()
}

/// A call for `user`, of a cent; none where it was refused.
async fn call(gateway: &Running, user: &str) -> Option<String> {
    let prompt = "[[sandbox:say=word]]";
    let body =
        json!({"model": "gpt-4.1", "user": user, "max_tokens": 1, "messages": [{"role": "user", "content": prompt}]});
    let url = format!("{}/v1/chat/completions", gateway.url());
    let answer = reqwest::Client::new().post(url).bearer_auth(DEVELOPMENT_KEY).json(&body).send().await.unwrap();
    if answer.status() == 429 {
        let said: Value = answer.json().await.unwrap();
        assert!(said["error"]["message"].as_str().unwrap().contains("is spent"), "{said}");
        return None;
    }
    assert_eq!(answer.status(), 200);
    Some(header(&answer, "x-llm-gateway-cost-usd").to_owned())
}

/// Spends what ann may at one gateway, forgets it, and spends it anew at the other: `usage` is right about all of it.
async fn spend_and_forget(settings: &[(String, String)]) {
    let data: Vec<_> = (0..2).map(|_| tempfile::tempdir().unwrap()).collect();
    let gateways: Vec<Running> = data
        .iter()
        .map(|folder| {
            let arguments = ["dev", "--port", "0", "--data", folder.path().to_str().unwrap()];
            with(Binary::new(arguments), settings).start()
        })
        .collect();
    let ann = ["--team", "1", "--user", "ann"];
    for (round, (one, other)) in [(0, 1), (1, 0)].into_iter().enumerate() {
        for _ in 0..3 {
            assert_eq!(call(&gateways[one], "ann").await.as_deref(), Some("0.01"));
        }
        wait::until("both gateways to refuse", || async {
            let refused = call(&gateways[one], "ann").await.is_none() && call(&gateways[other], "ann").await.is_none();
            refused.then_some(())
        })
        .await;
        wait::until("Redis to have it", || async { (used(settings, &ann)[0].1 == "0.03").then_some(()) }).await;
        assert_eq!(used(settings, &ann), [("user".to_owned(), "0.03".to_owned())]);
        let both = format!("{:.2}", 0.03 * (round + 1) as f64);
        assert_eq!(used(settings, &["--team", "1"]), [("team".to_owned(), both.clone())]);
        assert_eq!(used(settings, &[]), [("product".to_owned(), both)]);
        assert_eq!(used(settings, &["--team", "1", "--user", "bob"])[0].1, "0.00");

        let reset = usage(settings, &[&["reset"], ann.as_slice()].concat());
        assert_eq!((reset.stdout.as_str(), reset.stderr.contains("1 windows")), ("", true), "{reset:?}");
        assert_eq!(used(settings, &ann)[0].1, "0.00");
        for gateway in &gateways {
            wait::until("the reset to be heard of", || async {
                let url = format!("{}/v1/usage/llm_gateway?user=ann", gateway.url());
                let answer = reqwest::Client::new().get(url).bearer_auth(DEVELOPMENT_KEY).send().await.unwrap();
                let said: Value = answer.json().await.unwrap();
                let user = said["windows"].as_array().unwrap().iter().find(|window| window["per"] == "user").cloned();
                (user.unwrap()["used_usd"] == 0.0).then_some(())
            })
            .await;
        }
    }
    // All that is left is the team's, and the product's.
    assert_eq!(used(settings, &["--team", "1"])[0].1, "0.06");
}

#[tokio::test]
async fn what_an_operator_resets_is_forgotten_by_every_gateway_that_lives_and_counted_anew() {
    let redis = OwnRedis::start().await;
    spend_and_forget(&settings(&redis.url(), &[])).await;
}

#[tokio::test]
async fn in_a_cluster_and_behind_tls_an_operator_sees_and_resets_the_same() {
    let cluster = OwnCluster::start().await;
    spend_and_forget(&settings(&cluster.url(), &[("LLM_GATEWAY__REDIS__CLUSTER", "true")])).await;
    let tls = OwnRedis::start_tls().await;
    let ca_file = tls.ca_file();
    spend_and_forget(&settings(&tls.url(), &[("LLM_GATEWAY__REDIS__CA_FILE", ca_file.to_str().unwrap())])).await;
}

#[test]
fn without_a_redis_an_operator_is_told_to_ask_the_gateway_itself() {
    for verb in ["show", "reset"] {
        let ended = Binary::new(["usage", verb, "--team", "1", "--user", "ann"]).run();
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(78), ""), "{ended:?}");
        assert!(ended.stderr.contains("GET /v1/usage/{product}") && ended.stderr.lines().count() == 1, "{ended:?}");
    }
    let gone = Binary::new(["usage", "show"]).env("LLM_GATEWAY_REDIS_URL", "redis://127.0.0.1:1/").run();
    assert!(gone.code == Some(1) && gone.stderr.contains("no connection to Redis"), "{gone:?}");
    let unknown =
        Binary::new(["usage", "show", "--product", "nothing"]).env("LLM_GATEWAY_REDIS_URL", "redis://127.0.0.1:1/");
    let unknown = unknown.run();
    assert!(unknown.stderr.contains("there is no product \"nothing\""), "{unknown:?}");
}
