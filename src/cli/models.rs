//! `models`: the catalog, for people and for programs.

use std::io::{self, Write};

use serde::Serialize;

use crate::catalog::{Catalog, Model, Rate};

/// One line a model.
///
/// # Errors
/// When it cannot be written.
pub fn table(catalog: &Catalog, out: &mut impl Write) -> io::Result<()> {
    let width = catalog.models().map(|model| model.id.as_str().len()).max().unwrap_or_default();
    writeln!(
        out,
        "{:width$}  {:9}  {:>9}  {:>7}  {:>9}  {:>9}  {:>9}  RETIRED",
        "MODEL", "PROVIDER", "CONTEXT", "OUTPUT", "$/M IN", "$/M OUT", "$/M CACHE"
    )?;
    for model in catalog.models() {
        let rates = &model.prices.rates;
        let line = format!(
            "{:width$}  {:9}  {:>9}  {:>7}  {:>9}  {:>9}  {:>9}  {}",
            model.id.as_str(),
            model.provider.as_str(),
            tokens(model.context_tokens),
            tokens(model.max_output_tokens),
            price(rates.input),
            price(rates.output),
            price(rates.cache_read),
            model.deprecation_date.map(|date| date.to_string()).unwrap_or_default(),
        );
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// Everything that is known.
///
/// # Errors
/// When it cannot be written.
pub fn json(catalog: &Catalog, out: &mut impl Write) -> io::Result<()> {
    #[derive(Serialize)]
    struct Document<'a> {
        price_unit: &'static str,
        models: Vec<&'a Model>,
    }
    let document = Document { price_unit: "nano_usd_per_million_tokens", models: catalog.models().collect() };
    serde_json::to_writer_pretty(&mut *out, &document)?;
    writeln!(out)
}

fn tokens(count: Option<u64>) -> String {
    count.map_or_else(|| "-".to_owned(), |count| count.to_string())
}

fn price(rate: Option<Rate>) -> String {
    rate.map_or_else(|| "-".to_owned(), |rate| rate.to_string())
}
