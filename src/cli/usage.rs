//! `usage`: shows, or forgets, what was spent.

use std::io::{self, Write};
use std::time::Duration;

use crate::cli::{Failure, UsageCommand, Whose};
use crate::config::Config;
use crate::config::products::Per;
use crate::ids::{ProductName, TeamId, UserId};
use crate::limits::scope::{Claim, EndUser, Payer, Scope};
use crate::money::NanoUsd;
use crate::store::counters::{Counters, CountersError};

/// Why nothing can be said of what was spent.
#[derive(Debug, thiserror::Error)]
pub enum UsageError {
    /// Each instance counts for itself.
    #[error("redis.url is not set, so that each instance counts for itself; ask it: GET /v1/usage/{{product}}")]
    NoRedis,
    /// There is no such product.
    #[error("there is no product \"{0}\"; the products are {1}")]
    NoProduct(String, String),
    /// Redis cannot answer.
    #[error(transparent)]
    Counters(#[from] CountersError),
    /// There was nothing to run on.
    #[error("no thread to talk to Redis on: {0}")]
    Runtime(#[source] io::Error),
}

/// Does what is asked. The table goes to `data`, all else to `people`.
///
/// # Errors
/// When there is no Redis, it cannot answer, or nobody can be told.
pub fn run(
    command: UsageCommand,
    config: &Config,
    data: &mut impl Write,
    people: &mut impl Write,
) -> Result<(), Failure> {
    super::install_crypto();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(UsageError::Runtime)?;
    runtime.block_on(async {
        let counters = Counters::open(&config.redis).map_err(UsageError::from)?.ok_or(UsageError::NoRedis)?;
        match command {
            UsageCommand::Show(whose) => show(&counters, config, &whose, data).await,
            UsageCommand::Reset(whose) => reset(&counters, config, &whose, people).await,
        }
    })
}

async fn show(counters: &Counters, config: &Config, whose: &Whose, data: &mut impl Write) -> Result<(), Failure> {
    let claims = claims(config, whose)?;
    let now = counters.time().await.map_err(UsageError::from)?;
    writeln!(data, "{:8}  {:>8}  {:>14}  {:>14}  {:>14}  MODE", "PER", "WINDOW", "LIMIT $", "USED $", "LEFT $")
        .map_err(Failure::Output)?;
    for claim in claims {
        let length = claim.key.length();
        let spent = counters.spent(claim.key, length.bucket(now)).await.map_err(UsageError::from)?;
        let used = spent.within(length, now);
        let left = (claim.limit - used).max(NanoUsd::ZERO);
        let window = humantime::format_duration(Duration::from_millis(length.as_ms())).to_string();
        let mode = claim.mode.name();
        writeln!(
            data,
            "{:8}  {window:>8}  {:>14}  {:>14}  {:>14}  {mode}",
            claim.per.name(),
            claim.limit.to_string(),
            used.to_string(),
            left.to_string()
        )
        .map_err(Failure::Output)?;
    }
    Ok(())
}

async fn reset(counters: &Counters, config: &Config, whose: &Whose, people: &mut impl Write) -> Result<(), Failure> {
    let claims = claims(config, whose)?;
    let now = counters.time().await.map_err(UsageError::from)?;
    for claim in &claims {
        counters.reset(claim.key, claim.key.length().bucket(now)).await.map_err(UsageError::from)?;
    }
    writeln!(people, "forgot what was spent in {} windows", claims.len()).map_err(Failure::Output)
}

/// The limits of those who are named: the product's own only where nobody is.
fn claims(config: &Config, whose: &Whose) -> Result<Vec<Claim>, UsageError> {
    let product = config.products.get(whose.product.as_str()).ok_or_else(|| {
        let known: Vec<&str> = config.products.keys().map(ProductName::as_str).collect();
        UsageError::NoProduct(whose.product.clone(), known.join(", "))
    })?;
    let end_user = match (&whose.user, whose.owner) {
        (Some(name), _) => EndUser::Named(name.clone()),
        (None, owner) => EndUser::Owner(owner.unwrap_or(UserId(0))),
    };
    let scope = Scope {
        product: ProductName::new(whose.product.as_str()),
        team: Payer::Team(whose.team.unwrap_or(TeamId(0))),
        end_user,
        credential: format!("key:{}", whose.key.as_deref().unwrap_or_default()),
    };
    let has_user = whose.user.is_some() || whose.owner.is_some();
    let is_meant = |per: Per| match per {
        Per::User => has_user,
        Per::Key => whose.key.is_some(),
        Per::Team => whose.team.is_some() && !has_user && whose.key.is_none(),
        Per::Product => whose.team.is_none(),
    };
    let mut claims = scope.claims(product, &config.limits);
    claims.retain(|claim| is_meant(claim.per));
    claims.sort_by_key(|claim| (claim.per, claim.key.length()));
    Ok(claims.into_vec())
}
