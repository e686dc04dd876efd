//! What single values have to be. Each refusal says what was expected, and never what was given.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use secrecy::SecretString;
use serde::de::{self, Deserialize, Deserializer, Error as _, Unexpected};
use url::Url;

/// Longer than any duration here makes sense, and short enough to be added to any point in time.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// A key whose name cannot be, or whose value does not fit another key's.
pub(super) struct Wrong {
    pub(super) path: String,
    pub(super) problem: String,
    /// The other key, with which the problem's sentence ends.
    pub(super) other: Option<&'static str>,
}

impl Wrong {
    pub(super) fn new(path: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { path: path.into(), problem: problem.into(), other: None }
    }

    /// Two keys that do not fit: `path` is `relation` `other`.
    pub(super) fn clash(path: &str, relation: &str, other: &'static str) -> Self {
        Self { path: path.to_owned(), problem: format!("{relation} {other}"), other: Some(other) }
    }
}

/// Text that a function makes a value of.
struct Text<T> {
    expected: &'static str,
    parse: fn(&str) -> Option<T>,
    made: PhantomData<T>,
}

impl<T> de::Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        (self.parse)(text).ok_or_else(|| E::invalid_value(Unexpected::Other("text"), &self))
    }
}

fn text<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    expected: &'static str,
    parse: fn(&str) -> Option<T>,
) -> Result<T, D::Error> {
    deserializer.deserialize_str(Text { expected, parse, made: PhantomData })
}

fn parse_duration(text: &str) -> Option<Duration> {
    humantime::parse_duration(text).ok().filter(|duration| *duration <= LONGEST)
}

/// A duration that may be zero.
pub(super) fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    text(deserializer, "a duration such as \"5s\" or \"1h 30m\", of at most 366 days", parse_duration)
}

/// A duration that may not be zero.
pub(super) fn positive<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    text(deserializer, "a duration above zero such as \"5s\" or \"1h 30m\", of at most 366 days", |text| {
        parse_duration(text).filter(|duration| !duration.is_zero())
    })
}

/// A limit's window: shorter ones would be noise.
pub(super) fn window<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    text(deserializer, "a duration from \"1s\" to \"366d\"", |text| {
        parse_duration(text).filter(|duration| *duration >= Duration::from_secs(1))
    })
}

/// A whole number that is not zero.
pub(super) fn at_least_one<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + PartialOrd + From<u8>,
{
    let number = T::deserialize(deserializer)?;
    if number >= T::from(1) { Ok(number) } else { Err(D::Error::custom("expected a whole number of at least 1")) }
}

/// A share of a whole: above 0 and at most 1.
pub(super) fn share<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let share = f64::deserialize(deserializer)?;
    if share > 0.0 && share <= 1.0 {
        Ok(share)
    } else {
        Err(D::Error::custom("expected a number above 0 and at most 1"))
    }
}

/// Where a provider or PostHog is: its path counts, everything that could hold a secret or would be lost does not.
pub(super) fn http_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Url, D::Error> {
    text(
        deserializer,
        "a URL that begins with http:// or https://, without a user, a password, a query or a fragment",
        |text| {
            Url::parse(text).ok().filter(|url| {
                matches!(url.scheme(), "http" | "https")
                    && url.has_host()
                    && url.username().is_empty()
                    && url.password().is_none()
                    && url.query().is_none()
                    && url.fragment().is_none()
            })
        },
    )
}

/// The same where one is set.
pub(super) fn some_http_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Url>, D::Error> {
    http_url(deserializer).map(Some)
}

/// A key that is sent in a header, where one is set.
pub(super) fn api_key<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SecretString>, D::Error> {
    text(
        deserializer,
        "a key without spaces, line breaks or other than ASCII characters (leave it out for none)",
        |text| {
            let sendable = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
            sendable.then(|| Some(SecretString::from(text)))
        },
    )
}

/// Where the database is.
pub(super) fn database_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SecretString>, D::Error> {
    text(
        deserializer,
        "a URL that begins with postgres:// or postgresql:// (sslmode, if any, being disable, allow, prefer, require, \
         verify-ca or verify-full), or sqlite: and a path",
        |text| {
            let good = match text.strip_prefix("sqlite:") {
                Some(path) => !path.is_empty(),
                None => Url::parse(text).is_ok_and(|url| {
                    matches!(url.scheme(), "postgres" | "postgresql")
                        && text.contains("://")
                        && url.query_pairs().filter(|(name, _)| name == "sslmode").all(|(_, mode)| known_sslmode(&mode))
                }),
            };
            good.then(|| Some(SecretString::from(text)))
        },
    )
}

/// The modes of libpq, "SSL Support" in PostgreSQL's manual.
fn known_sslmode(mode: &str) -> bool {
    matches!(mode, "disable" | "allow" | "prefer" | "require" | "verify-ca" | "verify-full")
}

/// Where Redis is.
pub(super) fn redis_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SecretString>, D::Error> {
    text(deserializer, "a URL that begins with redis:// or rediss://", |text| {
        let good = Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "redis" | "rediss") && url.has_host());
        good.then(|| Some(SecretString::from(text)))
    })
}

/// What is logged, in `tracing`'s filter language.
pub(super) fn log_filter<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    text(deserializer, "a log filter such as \"info\" or \"llm_gateway=debug,warn\"", |text| {
        let good = !text.trim().is_empty() && tracing_subscriber::EnvFilter::try_new(text).is_ok();
        good.then(|| text.to_owned())
    })
}

/// Whether a name can stand in a URL's path, a metric and the name of an environment variable.
pub(super) fn is_name(name: &str) -> bool {
    let begins_well = name.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit());
    let rest = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    begins_well && name.len() <= 64 && name.bytes().all(rest)
}

/// What [`is_name`] asks for.
pub(super) const NAME: &str =
    "expected a name of at most 64 lower-case letters, digits, - and _, of which the first is a letter or a digit";
