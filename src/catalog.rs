//! Which models there are, what they can do and cost, and which provider a model's name means.
//!
//! The catalog is built in: `config/catalog.json`, made by `scripts/make-catalog`. A file that configuration names is laid over
//! it. What is in neither can be called all the same, by a provider's prefix or by the family that its name begins with.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::config::providers::Kind;
use crate::config::{Config, ConfigError, Loaded};
use crate::fault::{Fault, FaultKind};
use crate::ids::{ModelId, ProviderName};

use cost::Tariff;

pub use model::{Above, Capability, Endpoint, Model, Prices, Rate, Rates, Tier};

pub mod cost;
mod model;
mod nearest;
mod overlay;

/// The facts that are built in.
const EMBEDDED: &str = include_str!("../config/catalog.json");

/// The longest name of a model that is looked at, in bytes.
const LONGEST_NAME: usize = 256;

/// All models that are known.
#[derive(Clone, Debug)]
pub struct Catalog {
    models: BTreeMap<ModelId, Arc<Model>>,
    tariffs: BTreeMap<ModelId, Arc<Tariff>>,
    /// What models cost that are not listed.
    dearest: BTreeMap<Kind, Arc<Tariff>>,
}

/// The catalog in force.
pub type SharedCatalog = Arc<ArcSwap<Catalog>>;

/// What a name means.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// Who serves it.
    pub provider: ProviderName,
    /// Which vendor's API that provider speaks.
    pub kind: Kind,
    /// The name that is sent upstream.
    pub model: ModelId,
    /// What is known of it.
    pub entry: Option<Arc<Model>>,
    /// What it costs.
    pub tariff: Arc<Tariff>,
}

/// The catalog is not what `scripts/make-catalog` writes.
#[derive(Debug, thiserror::Error)]
#[error("the catalog of models cannot be read: {0}; make it anew with scripts/make-catalog")]
pub struct CatalogError(#[from] serde_json::Error);

/// Why there is no catalog for these settings.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// What is built in is none.
    #[error(transparent)]
    Embedded(#[from] CatalogError),
    /// The settings do not fit it, or the file that they name is none.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

impl Catalog {
    /// The catalog that is built in.
    ///
    /// # Errors
    /// When the file that was built in is not a catalog.
    pub fn embedded() -> Result<Self, CatalogError> {
        Ok(Self::of(overlay::parse(EMBEDDED)?))
    }

    /// The catalog that is built in, with the models of the file that the settings name laid over it: each as a whole, by its
    /// name.
    ///
    /// # Errors
    /// When what was built in is not a catalog, the file is none or cannot be read, or an alias, a fallback or a price does
    /// not fit.
    pub fn load(loaded: &Loaded) -> Result<Self, LoadError> {
        let mut catalog = Self::embedded()?;
        if let Some(file) = &loaded.config.catalog.file {
            let refused = |problem: String| ConfigError::at("catalog.file".to_owned(), &problem, &loaded.sources);
            let mut models: BTreeMap<_, _> =
                catalog.models().map(|model| (model.id.clone(), Model::clone(model))).collect();
            models.extend(overlay::read(file).map_err(refused)?.into_iter().map(|model| (model.id.clone(), model)));
            catalog = Self::of(models.into_values().collect());
        }
        catalog.check(loaded)?;
        Ok(catalog)
    }

    fn of(models: Vec<Model>) -> Self {
        let dearest = [Kind::OpenAi, Kind::Anthropic, Kind::Gemini]
            .map(|kind| (kind, Arc::new(Tariff::dearest(models.iter().filter(|model| model.kind == kind)))));
        let tariffs = models.iter().map(|model| (model.id.clone(), Arc::new(Tariff::listed(model)))).collect();
        let listed = models.into_iter().map(|model| (model.id.clone(), Arc::new(model)));
        Self { models: listed.collect(), tariffs, dearest: dearest.into() }
    }

    /// All models, by name.
    pub fn models(&self) -> impl Iterator<Item = &Model> {
        self.models.values().map(Arc::as_ref)
    }

    /// Finds who serves a model. In this order: Google's `models/` is taken off, an alias is followed (once), a provider's
    /// prefix is obeyed, then the catalog is asked, then the family.
    ///
    /// # Errors
    /// [`FaultKind::ModelNotFound`] with the nearest names, or [`FaultKind::InvalidParameter`] naming the setting that is
    /// missing where the provider has no key.
    pub fn resolve(&self, asked: &str, config: &Config) -> Result<Resolved, Fault> {
        let asked = asked.strip_prefix("models/").unwrap_or(asked);
        if !is_plausible(asked) {
            return Err(not_found("that is no name of a model", &[]));
        }
        let name = config.aliases.get(asked).map_or(asked, ModelId::as_str);
        if let Some((provider, model)) = explicit(name, config) {
            return self.route(provider, behind_prefix(provider, model, config), asked, config);
        }
        let kind = self.models.get(name).map(|model| model.kind).or_else(|| family(name));
        match kind.and_then(|kind| config.providers.get_key_value(kind.name())) {
            Some((provider, _)) => self.route(provider, name, asked, config),
            None => Err(self.unknown(asked, config)),
        }
    }

    /// Checks that every alias, and every fallback, leads to a model, and that no price has a gap that the list does not fill.
    ///
    /// # Errors
    /// When one does not.
    fn check(&self, loaded: &Loaded) -> Result<(), ConfigError> {
        for (model, price) in &loaded.config.prices {
            if !self.models.contains_key(model) && (price.input.is_none() || price.output.is_none()) {
                let problem = "no list has this model, so input and output both have to be given";
                return Err(ConfigError::at(format!("prices.{model}"), problem, &loaded.sources));
            }
        }
        for (alias, target) in &loaded.config.aliases {
            self.leads_to_a_model(alias, target, format!("aliases.{alias}"), loaded)?;
        }
        for (model, others) in &loaded.config.fallbacks {
            for other in others {
                self.leads_to_a_model(other.as_str(), other, format!("fallbacks.{model}"), loaded)?;
            }
        }
        Ok(())
    }

    /// Checks that a name, for which `setting` says `target`, leads to a model. One of a provider that has no key is fine:
    /// callers are told so.
    fn leads_to_a_model(
        &self,
        name: &str,
        target: &ModelId,
        setting: String,
        loaded: &Loaded,
    ) -> Result<(), ConfigError> {
        match self.resolve(name, &loaded.config) {
            Err(Fault { kind: FaultKind::ModelNotFound, .. }) => {
                let problem =
                    format!("there is no model \"{target}\"; `llm-gateway models` lists those that there are");
                Err(ConfigError::at(setting, &problem, &loaded.sources))
            }
            Ok(_) | Err(_) => Ok(()),
        }
    }

    fn route(&self, provider: &ProviderName, model: &str, asked: &str, config: &Config) -> Result<Resolved, Fault> {
        let Some(settings) = config.providers.get(provider) else { return Err(self.unknown(asked, config)) };
        if !settings.is_configured() {
            let message = format!(
                "model \"{asked}\" is served by {provider}, which is not configured here: {} is not set",
                settings.missing_setting(provider),
            );
            return Err(Fault::new(FaultKind::InvalidParameter, message).at("model"));
        }
        let entry = self.models.get(model).filter(|entry| entry.kind == settings.kind).cloned();
        let listed = entry.as_ref().and_then(|entry| self.tariffs.get(&entry.id));
        let tariff = match config.prices.get(model) {
            Some(price) => Arc::new(Tariff::configured(price, self.models.get(model).map(Arc::as_ref))),
            None => listed.or_else(|| self.dearest.get(&settings.kind)).cloned().unwrap_or_default(),
        };
        Ok(Resolved { provider: provider.clone(), kind: settings.kind, model: ModelId::new(model), entry, tariff })
    }

    fn unknown(&self, asked: &str, config: &Config) -> Fault {
        let callable = self.models().filter(|model| {
            config.providers.get(&model.provider).is_some_and(crate::config::providers::Provider::is_configured)
        });
        let names = callable.map(|model| model.id.as_str()).chain(config.aliases.keys().map(String::as_str));
        not_found(&format!("there is no model \"{asked}\""), &nearest::nearest(asked, names))
    }
}

/// Ids are sent upstream, some in a path; what could lead out of its place there is no id.
fn is_plausible(name: &str) -> bool {
    let harmless = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/@+".contains(&byte);
    name.len() <= LONGEST_NAME
        && name.bytes().all(harmless)
        && name.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

/// The provider that a name begins with, and the rest.
fn explicit<'a, 'c>(name: &'a str, config: &'c Config) -> Option<(&'c ProviderName, &'a str)> {
    let (prefix, model) = name.split_once('/')?;
    let (provider, _) = config.providers.get_key_value(prefix)?;
    Some((provider, model.strip_prefix("models/").unwrap_or(model)))
}

/// What a provider is sent for a name behind its prefix: aliases hold there too, as long as they lead to the same provider.
fn behind_prefix<'a>(provider: &ProviderName, model: &'a str, config: &'a Config) -> &'a str {
    let Some(target) = config.aliases.get(model).map(ModelId::as_str) else { return model };
    match explicit(target, config) {
        None => target,
        Some((same, target)) if same == provider => target,
        Some(_) => model,
    }
}

/// Whose models have names that begin like this one.
fn family(name: &str) -> Option<Kind> {
    let begins = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    // o1, o3-mini and whatever comes: the letter and a number.
    let o_series = name.strip_prefix('o').is_some_and(|rest| rest.starts_with(|digit: char| digit.is_ascii_digit()));
    // "ft:" is how OpenAI names what callers have fine-tuned.
    if o_series || begins(&["gpt-", "chatgpt-", "codex-", "ft:gpt-"]) {
        Some(Kind::OpenAi)
    } else if begins(&["claude-"]) {
        Some(Kind::Anthropic)
    } else if begins(&["gemini-", "gemma-"]) {
        Some(Kind::Gemini)
    } else {
        None
    }
}

fn not_found(sentence: &str, nearest: &[&str]) -> Fault {
    let mut message = sentence.to_owned();
    if let Some((last, others)) = nearest.split_last() {
        message.push_str("; did you mean ");
        for (index, other) in others.iter().enumerate() {
            let separator = if index + 1 == others.len() { " or " } else { ", " };
            let _ = write!(message, "\"{other}\"{separator}");
        }
        let _ = write!(message, "\"{last}\"?");
    } else {
        message.push(';');
    }
    message.push_str(" GET /v1/models lists those that there are");
    Fault::new(FaultKind::ModelNotFound, message).at("model")
}

#[cfg(test)]
mod tests;
