//! An answer.

use super::{ApiError, Carry, Finish, Part, Usage};

/// A whole answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Response {
    /// The provider's id for it.
    pub id: Option<String>,
    /// The model that answered, as the provider names it.
    pub model: Option<String>,
    /// When, in seconds since 1970, where the dialect says it.
    pub created: Option<u64>,
    /// The answers; one, unless several were asked for.
    pub choices: Vec<Choice>,
    /// What it took.
    pub usage: Option<Usage>,
    /// The tier that served.
    pub service_tier: Option<String>,
    /// The answer failed after all (Responses' `status: "failed"`, Gemini's blocked prompt is a finish reason instead).
    pub error: Option<ApiError>,
    /// Fields that the codec does not know, and how it was written.
    pub carry: Carry,
}

/// One answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Choice {
    /// Its number.
    pub index: u32,
    /// What it says, in order, flat: Responses' output items are parts here, and their own fields are carried by the first
    /// part of each.
    pub parts: Vec<Part>,
    /// Why it ended.
    pub finish: Option<Finish>,
    /// Fields that the codec does not know, and how it was written.
    pub carry: Carry,
}

impl Response {
    /// The answer without what is carried for its own dialect: what two tellings of the same answer (streamed and whole,
    /// or through another dialect and back) have in common.
    #[must_use]
    pub fn bare(mut self) -> Self {
        self.carry = Carry::NONE;
        if let Some(usage) = &mut self.usage {
            usage.original = None;
        }
        for choice in &mut self.choices {
            choice.carry = Carry::NONE;
            choice.parts.iter_mut().for_each(Part::strip);
        }
        self
    }
}
