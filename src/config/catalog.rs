//! Where models are described that the built-in list lacks, or has otherwise.

use std::path::PathBuf;

use serde::Deserialize;

/// `[catalog]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalog {
    /// The file, in the form of `config/catalog.json`. Its models are laid over the built-in ones, each as a whole.
    pub file: Option<PathBuf>,
}
