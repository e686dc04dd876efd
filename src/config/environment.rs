//! Which environment variables mean which setting.

use super::tree::{Node, Origin};

/// What all of ours begin with.
const PREFIX: &str = "LLM_GATEWAY_";

/// The file of settings.
const FILE: &str = "CONFIG";

/// The short names, without the prefix, and what they set.
const SHORT: [(&str, &[&str]); 13] = [
    ("DATABASE_URL", &["database", "url"]),
    ("REDIS_URL", &["redis", "url"]),
    ("ANTHROPIC_API_KEY", &["providers", "anthropic", "upstreams", "default", "api_key"]),
    ("OPENAI_API_KEY", &["providers", "openai", "upstreams", "default", "api_key"]),
    ("GEMINI_API_KEY", &["providers", "gemini", "upstreams", "default", "api_key"]),
    ("ANTHROPIC_BASE_URL", &["providers", "anthropic", "upstreams", "default", "base_url"]),
    ("OPENAI_BASE_URL", &["providers", "openai", "upstreams", "default", "base_url"]),
    ("GEMINI_BASE_URL", &["providers", "gemini", "upstreams", "default", "base_url"]),
    ("POSTHOG_API_KEY", &["analytics", "api_key"]),
    ("POSTHOG_HOST", &["analytics", "host"]),
    ("HOST", &["server", "host"]),
    ("PORT", &["server", "port"]),
    ("ADMIN_ADDR", &["server", "admin_addr"]),
];

/// The variable that sets a key: its short name where it has one.
pub(super) fn name_of(path: &[&str]) -> String {
    match SHORT.iter().find(|(_, of)| *of == path) {
        Some((short, _)) => format!("{PREFIX}{short}"),
        None => {
            path.iter().fold(PREFIX.trim_end_matches('_').to_owned(), |name, key| name + "__" + &key.to_uppercase())
        }
    }
}

/// The environment, sorted into what it means.
pub(super) struct Environment {
    /// The file of settings, when one is named.
    pub(super) file: Option<String>,
    /// In the order in which they apply: short names first, so that the exact form has the last word.
    pub(super) settings: Vec<Setting>,
    /// Names that mean nothing here.
    pub(super) ignored: Vec<String>,
}

/// One variable that sets one key. Not `Debug`: it may be a secret.
pub(super) struct Setting {
    name: String,
    path: Vec<String>,
    text: String,
}

impl Environment {
    pub(super) fn sort(env: impl IntoIterator<Item = (String, String)>) -> Self {
        // An empty variable is how a deployment template leaves one out.
        let mut ours: Vec<_> =
            env.into_iter().filter(|(name, text)| name.starts_with(PREFIX) && !text.is_empty()).collect();
        ours.sort();
        let mut sorted = Self { file: None, settings: Vec::new(), ignored: Vec::new() };
        let mut exact = Vec::new();
        for (name, text) in ours {
            let rest = &name[PREFIX.len()..];
            if let Some(nested) = rest.strip_prefix('_') {
                let path = nested.split("__").map(str::to_lowercase).collect();
                exact.push(Setting { name, path, text });
            } else if rest == FILE {
                sorted.file = Some(text);
            } else if let Some((_, path)) = SHORT.iter().find(|(short, _)| *short == rest)
                // Kubernetes sets this one for a service that is called llm-gateway.
                && !(rest == "PORT" && text.starts_with("tcp://"))
            {
                let path = path.iter().map(|&key| key.to_owned()).collect();
                sorted.settings.push(Setting { name, path, text });
            } else {
                sorted.ignored.push(name);
            }
        }
        sorted.settings.append(&mut exact);
        sorted
    }
}

impl Setting {
    /// Lays it over what is set so far.
    pub(super) fn apply(self, tree: &mut Node) {
        let path: Vec<&str> = self.path.iter().map(String::as_str).collect();
        tree.set(&path, Node::loose(&self.text, Origin::Variable(self.name.into())));
    }
}
