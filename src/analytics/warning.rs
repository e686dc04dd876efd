//! Says that a spending limit is nearly used up: PostHog's event `llm_gateway_limit_warning`.
//!
//! It names teams and products. Users and keys it names by their counter's hash, as the log does and as Redis has them: what
//! callers write for their users stays out of it. `docs/events.md` lists its properties.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::json;
use uuid::Uuid;

use crate::config::products::Per;
use crate::ids::{ProductName, TeamId};
use crate::limits::scope::{Claim, Payer};
use crate::limits::window::Bucket;
use crate::money::NanoUsd;

/// What the event is called.
const EVENT: &str = "llm_gateway_limit_warning";

/// Who says so.
const LIBRARY: &str = "llm-gateway";

/// Where its UUIDs come from. Never change it: instances that warn of the same have to give the same one.
const NAMESPACE: Uuid = Uuid::from_u128(0x0f7a_41c5_8d3e_4b96_9c02_e15b_6a84_d7f1);

/// A limit that is nearly used up.
#[derive(Clone, Debug, PartialEq)]
pub struct LimitWarning {
    /// Which window of the counter it is, and how often that was reset.
    pub occasion: Option<(Bucket, u64)>,
    /// When it was noticed.
    pub at: SystemTime,
    /// Whose limit it is.
    pub product: ProductName,
    /// Who paid for the call that took it there.
    pub payer: Payer,
    /// The limit.
    pub claim: Claim,
    /// What was spent in the window.
    pub used: NanoUsd,
    /// How long until nothing counts of it.
    pub clears: Duration,
}

impl LimitWarning {
    /// Whose spending it is: a team's number, a product's name, and of users and keys their counter's hash.
    pub fn subject(&self) -> String {
        match self.claim.per {
            Per::Team => self.payer.to_string(),
            Per::Product => self.product.to_string(),
            Per::User | Per::Key => self.claim.key.whose(),
        }
    }

    /// The event as PostHog's `/batch/` takes it in its list.
    pub fn event(&self) -> Vec<u8> {
        let mut properties = json!({
            "$lib": LIBRARY,
            "$lib_version": env!("CARGO_PKG_VERSION"),
            // Nobody does this: no profile is to be made of anybody.
            "$process_person_profile": false,
            "ai_product": self.product.as_str(),
            "llm_gateway_limit_per": self.claim.per.name(),
            "llm_gateway_limit_subject": self.subject(),
            "llm_gateway_limit_mode": self.claim.mode.name(),
            "llm_gateway_limit_usd": self.claim.limit.as_usd(),
            "llm_gateway_limit_window_seconds": self.claim.key.length().as_ms() / 1000,
            "llm_gateway_used_usd": self.used.as_usd(),
            "llm_gateway_resets_in_seconds": self.clears.as_secs() + u64::from(self.clears.subsec_nanos() > 0),
        });
        if let Some(TeamId(team)) = self.team() {
            properties["team_id"] = team.into();
            properties["$groups"] = json!({"project": team});
        }
        json!({
            "uuid": self.uuid().to_string(),
            "event": EVENT,
            "distinct_id": LIBRARY,
            "timestamp": DateTime::<Utc>::from(self.at).to_rfc3339_opts(SecondsFormat::Millis, true),
            "properties": properties,
        })
        .to_string()
        .into_bytes()
    }

    /// How many bytes are held for it, about.
    pub fn held_bytes(&self) -> usize {
        size_of::<Self>() + self.product.as_str().len() + 1024
    }

    /// The team whose limit it is; a product's is no team's.
    fn team(&self) -> Option<TeamId> {
        match (self.claim.per, self.payer) {
            (Per::User | Per::Key | Per::Team, Payer::Team(team)) => Some(team),
            (Per::User | Per::Key | Per::Team, Payer::Alone(_)) | (Per::Product, _) => None,
        }
    }

    /// Always the same for one window of one counter: instances that each warn of it count once.
    fn uuid(&self) -> Uuid {
        let Some((Bucket(bucket), resets)) = self.occasion else { return Uuid::now_v7() };
        let name = format!("{}:{}:{bucket}:{resets}", self.claim.key.whose(), self.claim.key.length().as_ms());
        Uuid::new_v5(&NAMESPACE, name.as_bytes())
    }
}
