//! `check`: what would run with these settings, without anything that opens a door.

use std::io::{self, Write};

use crate::config::analytics::{Analytics, WhenFull};
use crate::config::products::{Capture, Limit, Mode, Per, Product};
use crate::config::{Loaded, mask};

/// Prints what would run.
///
/// # Errors
/// When it cannot be written.
pub fn print(loaded: &Loaded, out: &mut impl Write) -> io::Result<()> {
    let config = &loaded.config;
    writeln!(out, "listeners")?;
    writeln!(out, "  callers     {}", std::net::SocketAddr::new(config.server.host, config.server.port))?;
    writeln!(out, "  operators   {}", config.server.admin_addr)?;

    writeln!(out, "stores")?;
    let database = config.database.url.as_ref().map_or_else(|| "none".to_owned(), mask::url);
    writeln!(out, "  database    {database}")?;
    let redis = config.redis.url.as_ref().map_or_else(|| "none: each instance counts for itself".to_owned(), mask::url);
    writeln!(out, "  redis       {redis}")?;

    writeln!(out, "providers")?;
    for (name, provider) in &config.providers {
        let state = if provider.is_configured() {
            "takes calls".to_owned()
        } else {
            format!("takes no calls: {} is not set", provider.missing_setting(name))
        };
        writeln!(out, "  {name} ({}) {state}", provider.kind)?;
        for (upstream_name, upstream) in &provider.upstreams {
            let path = format!("providers.{name}.upstreams.{upstream_name}.api_key");
            let key = match (&upstream.api_key, loaded.sources.of(&path)) {
                (None, _) => "no key".to_owned(),
                (Some(_), None) => "key ****".to_owned(),
                (Some(_), Some(origin)) => format!("key **** {origin}"),
            };
            writeln!(out, "    {upstream_name}   {}   {key}", upstream.base_url)?;
        }
    }

    writeln!(out, "products")?;
    for (name, product) in &config.products {
        writeln!(out, "  {name}   {}", rules(product))?;
        for limit in &product.limits {
            writeln!(out, "    {}", limit_in_words(limit))?;
        }
    }

    if let Some(file) = &config.catalog.file {
        writeln!(out, "catalog")?;
        writeln!(out, "  built in, and over it {}", file.display())?;
    }

    writeln!(out, "aliases")?;
    for (alias, model) in &config.aliases {
        writeln!(out, "  {alias} = {model}")?;
    }

    if !config.fallbacks.is_empty() {
        writeln!(out, "fallbacks")?;
    }
    for (model, others) in &config.fallbacks {
        let others: Vec<&str> = others.iter().map(crate::ids::ModelId::as_str).collect();
        writeln!(out, "  {model} > {}", others.join(" > "))?;
    }

    writeln!(out, "analytics")?;
    match config.analytics.api_key {
        Some(_) => {
            writeln!(out, "  on          events go to {}", config.analytics.host)?;
            writeln!(out, "  spool       {}", spool(&config.analytics))?;
            writeln!(out, "  buffer      {}", buffer(&config.analytics))?;
        }
        None => writeln!(out, "  off         LLM_GATEWAY_POSTHOG_API_KEY is not set")?,
    }
    if let Some(endpoint) = &config.telemetry.otlp_endpoint {
        writeln!(out, "  spans       go to {endpoint}")?;
    }
    if !loaded.ignored.is_empty() {
        writeln!(out, "ignored variables")?;
        for name in &loaded.ignored {
            writeln!(out, "  {name}")?;
        }
    }
    Ok(())
}

/// Where events wait, and how many of them.
fn spool(analytics: &Analytics) -> String {
    let when_full = match analytics.when_full {
        WhenFull::DropOldest => "then the oldest go",
        WhenFull::DropNewest => "then the newest go",
    };
    let age = humantime::format_duration(analytics.spool_age);
    match &analytics.spool {
        Some(path) => {
            format!("{} (up to {} bytes, {when_full}; for {age} at most)", path.display(), analytics.spool_bytes)
        }
        None => format!("none: events wait in memory (up to {} bytes, {when_full})", analytics.buffer_bytes),
    }
}

fn buffer(analytics: &Analytics) -> String {
    format!("up to {} events, {} bytes", analytics.buffer_events, analytics.buffer_bytes)
}

fn rules(product: &Product) -> String {
    let keys = if product.api_keys { "API keys" } else { "no API keys" };
    let applications = match product.oauth_applications.as_slice() {
        [] => "no OAuth applications".to_owned(),
        ids => format!("OAuth applications {}", ids.join(" ")),
    };
    let capture = match product.capture {
        Capture::Full => "full",
        Capture::Metadata => "metadata",
        Capture::Off => "off",
    };
    let mut rules = vec![
        keys.to_owned(),
        applications,
        format!("models {}", product.models.join(" ")),
        format!("capture {capture}"),
    ];
    rules.extend(product.fallback.then(|| "fallback".to_owned()));
    rules.extend(product.stateful.then(|| "stateful".to_owned()));
    rules.join(", ")
}

fn limit_in_words(limit: &Limit) -> String {
    let per = match limit.per {
        Per::User => "user",
        Per::Key => "key",
        Per::Team => "team",
        Per::Product => "product",
    };
    let mode = match limit.mode {
        Mode::Enforce => "",
        Mode::Shadow => " (reported only)",
    };
    format!("${} per {per} in {}{mode}", limit.usd.0, humantime::format_duration(limit.window))
}
