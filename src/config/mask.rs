//! Settings as they may be shown: enough to know them again, nothing to use.

use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

/// A store's URL with its password, and whatever else may be one, hidden: `postgres://gateway:****@db:5432/posthog`.
pub fn url(url: &SecretString) -> String {
    let text = url.expose_secret();
    if text.starts_with("sqlite:") {
        return text.to_owned();
    }
    let Ok(mut url) = Url::parse(text) else { return "****".to_owned() };
    if url.password().is_some() && url.set_password(Some("****")).is_err() {
        return "****".to_owned();
    }
    // A password in the wrong place: Redis users write it where the name belongs.
    let nameless = url.scheme().starts_with("redis") && url.password().is_none() && !url.username().is_empty();
    if nameless && url.set_username("****").is_err() {
        return "****".to_owned();
    }
    // Of the query only what is known to be harmless: a password may stand there too.
    let kept: Vec<_> = url
        .query_pairs()
        .filter(|(name, _)| matches!(name.as_ref(), "sslmode" | "application_name" | "host" | "port"))
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    url.set_query(None);
    url.set_fragment(None);
    if !kept.is_empty() {
        url.query_pairs_mut().extend_pairs(kept);
    }
    url.to_string()
}

#[cfg(test)]
mod tests {
    use super::url;

    #[test]
    fn a_masked_url_names_the_server_and_hides_what_opens_it() {
        for (url_text, masked) in [
            (
                "postgres://gateway:hunter2@db:5432/posthog?sslmode=require",
                "postgres://gateway:****@db:5432/posthog?sslmode=require",
            ),
            ("postgres://db/posthog?user=a&password=hunter2", "postgres://db/posthog"),
            ("rediss://:hunter2@cache:6380/1", "rediss://:****@cache:6380/1"),
            ("redis://hunter2@cache", "redis://****@cache"),
            ("sqlite:data/gateway.db", "sqlite:data/gateway.db"),
            ("hunter2", "****"),
        ] {
            assert_eq!(url(&url_text.into()), masked);
        }
    }
}
