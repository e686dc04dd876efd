//! Decides what lies between a caller and a provider.

use crate::dialect::Dialect;

/// What lies between a caller's dialect and a provider's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Plan {
    /// Nothing: the bytes pass as they are, both ways.
    Native,
    /// The request bears marks of our own minting and goes through its own dialect's codec, which takes them out; the
    /// answer's bytes pass as they are.
    Unmark(Dialect),
    /// Everything is translated, to this dialect and back.
    Transcode(Dialect),
}

/// Whether a request may hold something that was minted here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Marks {
    /// The mark is in its bytes.
    Present,
    /// It is not.
    Absent,
}

/// Plans a call: `spoken` are the dialects that the upstream speaks.
///
/// The caller's own dialect is taken wherever it is spoken. From Messages and generateContent, OpenAI's models are reached
/// through Responses, since chat completions would lose the reasoning, except on upstreams that have none.
pub fn plan(caller: Dialect, spoken: &[Dialect], marks: Marks) -> Option<Plan> {
    if spoken.contains(&caller) {
        return Some(match marks {
            Marks::Absent => Plan::Native,
            Marks::Present => Plan::Unmark(caller),
        });
    }
    let preferred = [Dialect::OpenAiResponses, Dialect::Anthropic, Dialect::Gemini, Dialect::OpenAiChat];
    preferred.into_iter().find(|dialect| spoken.contains(dialect)).map(Plan::Transcode)
}

impl Plan {
    /// The dialect that the provider is spoken to in.
    pub fn provider_dialect(self, caller: Dialect) -> Dialect {
        match self {
            Self::Native => caller,
            Self::Unmark(dialect) | Self::Transcode(dialect) => dialect,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPENAI: &[Dialect] = &[Dialect::OpenAiChat, Dialect::OpenAiResponses];

    #[test]
    fn of_sixteen_pairs_four_are_native() {
        let mut native = 0;
        for caller in Dialect::ALL {
            for provider in Dialect::ALL {
                match plan(caller, &[provider], Marks::Absent) {
                    Some(Plan::Native) => native += 1,
                    other => assert_eq!(other, Some(Plan::Transcode(provider))),
                }
            }
        }
        assert_eq!(native, 4);
    }

    #[test]
    fn openai_is_reached_through_responses_unless_it_has_none() {
        for caller in [Dialect::Anthropic, Dialect::Gemini] {
            let transcode = |dialect| Some(Plan::Transcode(dialect));
            assert_eq!(plan(caller, OPENAI, Marks::Absent), transcode(Dialect::OpenAiResponses));
            assert_eq!(plan(caller, &[Dialect::OpenAiChat], Marks::Absent), transcode(Dialect::OpenAiChat));
        }
        assert_eq!(plan(Dialect::OpenAiChat, OPENAI, Marks::Absent), Some(Plan::Native));
        assert_eq!(plan(Dialect::OpenAiChat, &[], Marks::Absent), None);
    }

    #[test]
    fn a_request_with_marks_of_ours_goes_through_its_own_codec() {
        let planned = plan(Dialect::OpenAiChat, OPENAI, Marks::Present);
        assert_eq!(planned, Some(Plan::Unmark(Dialect::OpenAiChat)));
    }
}
