//! What models cost, where the built-in list is wrong or has nothing.

use serde::Deserialize;

use crate::money::NanoUsd;

/// `[prices."<model>"]`: takes the place of all that the list has for the model.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Input that no cache had, per million tokens.
    pub input: Dollars,
    /// Output, per million tokens.
    pub output: Dollars,
    /// Input that a cache had; as `input` where not given.
    #[serde(default)]
    pub cache_read: Option<Dollars>,
    /// Input written to a cache for five minutes; as `input` where not given.
    #[serde(default)]
    pub cache_write_5m: Option<Dollars>,
    /// Input written to a cache for an hour; as `cache_write_5m` where not given.
    #[serde(default)]
    pub cache_write_1h: Option<Dollars>,
    /// Sound heard; as `input` where not given.
    #[serde(default)]
    pub audio_input: Option<Dollars>,
    /// Sound made; as `output` where not given.
    #[serde(default)]
    pub audio_output: Option<Dollars>,
    /// A million searches that the provider makes; nothing where not given.
    #[serde(default)]
    pub web_search: Option<Dollars>,
}

/// Dollars in a file: finite, and not below zero. Zero is a price: a model of one's own costs nothing by the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "f64")]
pub struct Dollars(pub NanoUsd);

impl TryFrom<f64> for Dollars {
    type Error = String;

    fn try_from(usd: f64) -> Result<Self, String> {
        match NanoUsd::from_usd(usd) {
            Some(amount) if amount >= NanoUsd::ZERO && usd <= 1e6 => Ok(Self(amount)),
            _ => Err("expected dollars per million, from 0 to 1000000".to_owned()),
        }
    }
}
