//! A model, as a list of models shows it.

/// What a list says of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed<'m> {
    /// The id that a caller names it by.
    pub id: &'m str,
    /// Who serves it.
    pub provider: &'m str,
    /// When it came out, in seconds since 1970; 0 if nobody knows.
    pub created: i64,
    /// What people call it.
    pub display_name: &'m str,
    /// The most tokens that it takes in.
    pub input_limit: Option<u64>,
    /// The most tokens that it gives out.
    pub output_limit: Option<u64>,
}
