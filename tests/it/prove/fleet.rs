//! Gateways as processes, with prices by which a call of the load costs a cent.

use llm_gateway::config::products::Per;
use llm_gateway::config::{self, Config};
use llm_gateway::ids::{ProductName, TeamId};
use llm_gateway::limits::scope::{EndUser, Payer, Scope};
use llm_gateway::money::NanoUsd;
use llm_gateway::store::counters::Counters;
use rustix::process::Signal;
use tempfile::TempDir;

use super::load::Estimate;
use crate::support::binary::{Binary, Ended, Running};
use crate::support::own_redis::OwnRedis;
use crate::support::wait;

/// What the models of the load cost, as configuration has it: in dollars for a million tokens.
fn prices() -> String {
    let priced = [Estimate::OnePercentHigh, Estimate::TwoPercentLow].map(|estimate| {
        let (model, nano) = estimate.price();
        format!("'{model}' = {{ input = 0, output = {} }}", NanoUsd(nano))
    });
    format!("{{ {} }}", priced.join(", "))
}

/// Gateways that share a Redis.
#[derive(Debug)]
pub(super) struct Fleet {
    gateways: Vec<Option<Running>>,
    urls: Vec<String>,
    settings: Vec<(String, String)>,
    _data: Vec<TempDir>,
}

impl Fleet {
    /// Starts so many, and blocks until they listen.
    pub(super) fn start(size: usize, redis: Option<&str>, limits: &str) -> Self {
        let prices = prices();
        let mut settings = vec![
            ("LLM_GATEWAY__PRICES", prices.as_str()),
            ("LLM_GATEWAY__PRODUCTS__LLM_GATEWAY__LIMITS", limits),
            ("LLM_GATEWAY__SERVER__WORKERS", "2"),
        ];
        settings.extend(redis.map(|url| ("LLM_GATEWAY_REDIS_URL", url)));
        let settings: Vec<_> = settings.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        let data: Vec<TempDir> = (0..size).map(|_| tempfile::tempdir().unwrap()).collect();
        let gateways: Vec<Running> = data
            .iter()
            .map(|folder| {
                let binary = Binary::new(["dev", "--port", "0", "--data", folder.path().to_str().unwrap()]);
                settings.iter().fold(binary, |binary, (name, text)| binary.env(name, text)).start()
            })
            .collect();
        let urls = gateways.iter().map(Running::url).collect();
        Self { gateways: gateways.into_iter().map(Some).collect(), urls, settings, _data: data }
    }

    /// Where each is reached.
    pub(super) fn urls(&self) -> &[String] {
        &self.urls
    }

    /// Sends one of them a signal.
    pub(super) fn signal(&self, number: usize, signal: Signal) {
        self.gateways[number].as_ref().expect("it has ended").signal(signal);
    }

    /// Waits for the end of one.
    pub(super) async fn ended(&mut self, number: usize) -> Ended {
        let gateway = self.gateways[number].take().expect("it has ended");
        tokio::task::spawn_blocking(|| gateway.wait()).await.unwrap()
    }

    /// Whether one's metrics have this line.
    pub(super) async fn metric(&self, number: usize, line: &str) -> bool {
        let page = reqwest::get(format!("{}/metrics", self.urls[number])).await.unwrap().text().await.unwrap();
        page.lines().any(|found| found == line)
    }

    /// What Redis itself holds of a counter, whoever spent it.
    pub(super) async fn in_redis(&self, redis: &OwnRedis, per: Per, user: &str) -> NanoUsd {
        let direct = ("LLM_GATEWAY_REDIS_URL".to_owned(), redis.url());
        let config = Config::load(self.settings.iter().cloned().chain([direct]), config::Mode::Tool).unwrap().config;
        let scope = Scope {
            product: ProductName::from("llm_gateway"),
            team: Payer::Team(TeamId(1)),
            end_user: EndUser::Named(user.to_owned()),
            credential: String::new(),
        };
        let claims = scope.claims(&config.products["llm_gateway"], &config.limits);
        let key = claims.iter().find(|claim| claim.per == per).unwrap().key;
        let counters = Counters::open(&config.redis).unwrap().unwrap();
        let now = counters.time().await.unwrap();
        let spent = counters.spent(key, key.length().bucket(now)).await.unwrap();
        spent.current + spent.previous
    }

    /// Waits until that is so much, to the nano-dollar.
    pub(super) async fn until_in_redis(&self, redis: &OwnRedis, per: Per, user: &str, total: NanoUsd) {
        wait::until("Redis to hold what was spent", || async {
            (self.in_redis(redis, per, user).await == total).then_some(())
        })
        .await;
    }
}
