//! On whose behalf calls are made, and by what rules.

use std::time::Duration;

use serde::Deserialize;

use super::tree::{Node, Value};
use super::value::{self, Wrong};
use crate::ids::ProductName;
use crate::money::NanoUsd;

/// `[products.<name>]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Product {
    /// Whether personal API keys are taken.
    pub api_keys: bool,
    /// Ids of OAuth applications; `*`: any; empty: none.
    pub oauth_applications: Vec<String>,
    /// Allowed prefixes of model ids; `*`: all.
    pub models: Vec<String>,
    /// How much of a call goes into its event.
    pub capture: Capture,
    /// Whether the models that `[fallbacks]` names may answer when the provider of the first cannot.
    pub fallback: bool,
    /// Whether ids of things that the provider keeps are let through.
    pub stateful: bool,
    /// What happens upstream when the caller hangs up.
    #[serde(default)]
    pub on_hang_up: OnHangUp,
    /// Spending limits.
    pub limits: Vec<Limit>,
}

/// The product of calls that name none.
pub const DEFAULT: &str = "llm_gateway";

/// First parts of paths that are no products.
const RESERVED: [&str; 5] = ["v1", "v1beta", "health", "metrics", "console"];

impl Product {
    pub(super) fn check(&self, name: &ProductName) -> Result<(), Wrong> {
        let path = format!("products.{name}");
        if !value::is_name(name.as_str()) {
            return Err(Wrong::new(path, value::NAME));
        }
        if RESERVED.contains(&name.as_str()) {
            return Err(Wrong::new(path, format!("the names {} are reserved; choose another", RESERVED.join(", "))));
        }
        if !self.oauth_applications.iter().all(|id| id == "*" || uuid::Uuid::try_parse(id).is_ok()) {
            return Err(Wrong::new(
                format!("{path}.oauth_applications"),
                "expected ids of OAuth applications (UUIDs), or \"*\"",
            ));
        }
        // An empty prefix would silently allow everything.
        if self.models.iter().any(|prefix| prefix.trim().is_empty()) {
            return Err(Wrong::new(format!("{path}.models"), "expected prefixes of model ids, or \"*\" for all"));
        }
        for (index, limit) in self.limits.iter().enumerate() {
            if self.limits.iter().take(index).any(|other| other.per == limit.per && other.window == limit.window) {
                let problem =
                    format!("entry {index} has the same `per` and `window` as one before it; keep one of them");
                return Err(Wrong::new(format!("{path}.limits"), problem));
            }
        }
        Ok(())
    }
}

/// Completes products that only a file or the environment knows: what they leave out is as `config/default.toml` has it for
/// [`DEFAULT`], so that adding one is a few lines.
pub(super) fn fill_in(tree: &mut Node, defaults: &Node) {
    let Some(built_in) = defaults.get("products") else { return };
    let Some(template) = built_in.get(DEFAULT) else { return };
    let Value::Table(root) = &mut tree.value else { return };
    let Some(Node { value: Value::Table(products), .. }) = root.get_mut("products") else { return };
    for (name, product) in products {
        if built_in.get(name).is_none() {
            let given = std::mem::replace(product, template.clone());
            product.merge(given);
        }
    }
}

/// How much of a call goes into its event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Capture {
    /// Input and output.
    Full,
    /// Numbers only.
    Metadata,
    /// No event.
    Off,
}

/// What happens upstream when the caller hangs up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnHangUp {
    /// The provider's connection is closed at once.
    #[default]
    Close,
    /// The answer is read to its end, for its usage.
    Drain,
}

/// One spending limit.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// Whose spending.
    pub per: Per,
    /// How much, in dollars.
    pub usd: Usd,
    /// In how long.
    #[serde(deserialize_with = "value::window")]
    pub window: Duration,
    /// Whether calls over it are refused.
    #[serde(default)]
    pub mode: Mode,
}

/// Whose spending a limit holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Per {
    /// Each end user of a team.
    User,
    /// Each credential.
    Key,
    /// Each team.
    Team,
    /// The product as a whole.
    Product,
}

impl Per {
    /// As settings, callers and metrics name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Key => "key",
            Self::Team => "team",
            Self::Product => "product",
        }
    }
}

/// Whether calls over a limit are refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// They are.
    #[default]
    Enforce,
    /// They are counted and reported only.
    Shadow,
}

impl Mode {
    /// As settings name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Shadow => "shadow",
        }
    }
}

/// Dollars in a file: finite, positive, at most a billion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "f64")]
pub struct Usd(pub NanoUsd);

impl TryFrom<f64> for Usd {
    type Error = String;

    fn try_from(usd: f64) -> Result<Self, String> {
        match NanoUsd::from_usd(usd) {
            Some(amount) if amount > NanoUsd::ZERO && usd <= 1e9 => Ok(Self(amount)),
            _ => Err(format!("{usd} is no limit in dollars: give a number above 0 and at most 1000000000")),
        }
    }
}
