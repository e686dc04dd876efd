//! How much a request wants the model to think, and how much of that it wants to see.

use super::Carry;

/// What was asked for. All that is `None` was not said.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReasoningAsk {
    /// On, off, or as the model sees fit (Anthropic's `thinking.type`).
    pub mode: Option<ThinkingMode>,
    /// `reasoning_effort`, `reasoning.effort`, `output_config.effort`, `thinkingLevel`.
    pub effort: Option<Effort>,
    /// `thinking.budget_tokens`, `thinkingBudget`.
    pub budget: Option<Budget>,
    /// How thoughts are shown: `reasoning.summary`, `thinking.display`, `includeThoughts`.
    pub visibility: Option<Visibility>,
    /// Fields that the codec does not know, and how it was written.
    pub carry: Carry,
}

/// Whether the model thinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ThinkingMode {
    /// It does not.
    Off,
    /// It does.
    On,
    /// It decides (Anthropic's `adaptive`).
    Adaptive,
}

/// How hard to think, in words.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Effort {
    /// Not at all.
    None,
    /// Next to nothing.
    Minimal,
    /// A little.
    Low,
    /// As usual.
    Medium,
    /// Much.
    High,
    /// More than `high` (OpenAI, Anthropic: `xhigh`).
    XHigh,
    /// All that it can (Anthropic: `max`).
    Max,
    /// A word that is newer than this code.
    Other(String),
}

/// How hard to think, in tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Budget {
    /// The model decides (Gemini: -1).
    Dynamic,
    /// At most so many tokens; 0 is none.
    Tokens(u64),
}

/// How thoughts are shown.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Visibility {
    /// Not at all.
    Hidden,
    /// As the provider likes (`auto`, `summarized`, `includeThoughts: true`).
    Auto,
    /// Briefly.
    Concise,
    /// At length.
    Detailed,
}

impl Effort {
    /// The word, the same in all dialects that have one (Gemini writes it in upper case).
    pub fn as_str(&self) -> &str {
        match self {
            Self::None => "none",
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::XHigh => "xhigh",
            Self::Max => "max",
            Self::Other(word) => word,
        }
    }

    /// Reads the word.
    pub fn from_word(word: &str) -> Self {
        match word {
            "none" => Self::None,
            "minimal" => Self::Minimal,
            "low" => Self::Low,
            "medium" => Self::Medium,
            "high" => Self::High,
            "xhigh" => Self::XHigh,
            "max" => Self::Max,
            other => Self::Other(other.to_owned()),
        }
    }

    /// The same in tokens, for models that take budgets only. The steps are the ones that Google documents for its
    /// OpenAI-compatible endpoint (1,024 / 8,192 / 24,576), continued upwards.
    pub fn tokens(&self) -> u64 {
        match self {
            Self::None => 0,
            Self::Minimal | Self::Low => 1_024,
            Self::Medium | Self::Other(_) => 8_192,
            Self::High => 24_576,
            Self::XHigh => 32_768,
            Self::Max => 65_536,
        }
    }

    /// The word that comes nearest to a budget: the reverse of [`Effort::tokens`].
    pub fn from_tokens(tokens: u64) -> Self {
        match tokens {
            0 => Self::None,
            1..=4_096 => Self::Low,
            4_097..=16_384 => Self::Medium,
            16_385.. => Self::High,
        }
    }
}

impl ReasoningAsk {
    /// Whether thinking was switched off in any of the ways to say so.
    pub fn is_off(&self) -> bool {
        self.mode == Some(ThinkingMode::Off)
            || self.effort == Some(Effort::None)
            || (self.budget == Some(Budget::Tokens(0)) && self.mode.is_none())
    }

    /// The effort: as said, or as the budget or mode says. `None` leaves it to the model.
    pub fn as_effort(&self) -> Option<Effort> {
        if self.is_off() {
            return Some(Effort::None);
        }
        match (&self.effort, self.budget) {
            (Some(effort), _) => Some(effort.clone()),
            (None, Some(Budget::Tokens(tokens))) => Some(Effort::from_tokens(tokens)),
            (None, Some(Budget::Dynamic) | None) => None,
        }
    }

    /// The budget: as said, or as the effort says. `None` leaves it to the model.
    pub fn as_budget(&self) -> Option<Budget> {
        if self.is_off() {
            return Some(Budget::Tokens(0));
        }
        self.budget.or_else(|| self.effort.as_ref().map(|effort| Budget::Tokens(effort.tokens())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_budgets_and_budgets_the_same_words() {
        for effort in [Effort::None, Effort::Low, Effort::Medium, Effort::High] {
            assert_eq!(Effort::from_tokens(effort.tokens()), effort);
        }
    }

    #[test]
    fn off_is_off_however_it_was_said() {
        let by_mode = ReasoningAsk { mode: Some(ThinkingMode::Off), ..ReasoningAsk::default() };
        let by_word = ReasoningAsk { effort: Some(Effort::None), ..ReasoningAsk::default() };
        let by_budget = ReasoningAsk { budget: Some(Budget::Tokens(0)), ..ReasoningAsk::default() };
        for ask in [by_mode, by_word, by_budget] {
            assert_eq!((ask.as_effort(), ask.as_budget()), (Some(Effort::None), Some(Budget::Tokens(0))));
        }
    }
}
