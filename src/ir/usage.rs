//! What a call took, in one convention.
//!
//! The convention: **totals include everything**. `input` counts cached reads and cache writes too, `output` counts
//! reasoning too; the other fields say how much of a total they are, and are never added to it. Codecs convert:
//!
//! | dialect | on the wire | here |
//! |---|---|---|
//! | chat, Responses | `prompt_tokens`/`input_tokens` include cached ones, `completion_tokens`/`output_tokens` include reasoning | as they are |
//! | Messages | `input_tokens`, `cache_read_input_tokens` and `cache_creation_input_tokens` are apart | `input` is their sum |
//! | Gemini | `promptTokenCount` includes cached ones; `thoughtsTokenCount` and `toolUsePromptTokenCount` are apart | `output` = candidates + thoughts, `input` = prompt + tool use |

use super::Opaque;

/// What a call took. All in tokens, unless said otherwise. `None`: the provider did not say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Usage {
    /// All that went in.
    pub input: Option<u64>,
    /// Of `input`: read from a cache.
    pub cache_read: Option<u64>,
    /// Of `input`: written to a cache that lasts five minutes, or for a time that was not said.
    pub cache_write_5m: Option<u64>,
    /// Of `input`: written to a cache that lasts an hour.
    pub cache_write_1h: Option<u64>,
    /// Of `input`: sound.
    pub audio_input: Option<u64>,
    /// Of `input`: images and film, where the provider says it.
    pub image_input: Option<u64>,
    /// All that came out.
    pub output: Option<u64>,
    /// Of `output`: thoughts.
    pub reasoning: Option<u64>,
    /// Of `output`: sound.
    pub audio_output: Option<u64>,
    /// Of `output`: images.
    pub image_output: Option<u64>,
    /// Of `output`: predicted text that was used (`prediction`).
    pub accepted_prediction: Option<u64>,
    /// Of `output`: predicted text that was not used and is billed all the same.
    pub rejected_prediction: Option<u64>,
    /// Searches that the provider made, in calls: billed apart.
    pub web_searches: Option<u64>,
    /// The tier that served, in OpenAI's words, where a stream says it only with its counts (Responses, Gemini): a
    /// [`Response`](super::Response) has it in its own field.
    pub service_tier: Option<String>,
    /// As its dialect wrote it: written again as it is for that dialect, with all that only it knows.
    pub original: Option<Opaque>,
}

impl Usage {
    /// All tokens, in and out.
    pub fn total(&self) -> u64 {
        self.input.unwrap_or(0).saturating_add(self.output.unwrap_or(0))
    }

    /// Of `input`: written to a cache, however long.
    pub fn cache_write(&self) -> Option<u64> {
        match (self.cache_write_5m, self.cache_write_1h) {
            (None, None) => None,
            (short, long) => Some(short.unwrap_or(0).saturating_add(long.unwrap_or(0))),
        }
    }

    /// Of `input`: neither read from nor written to a cache; what Messages calls `input_tokens`.
    pub fn fresh_input(&self) -> u64 {
        let cached = self.cache_read.unwrap_or(0).saturating_add(self.cache_write().unwrap_or(0));
        self.input.unwrap_or(0).saturating_sub(cached)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fresh_part_of_the_input_is_what_no_cache_touched() {
        let usage = Usage {
            input: Some(100),
            cache_read: Some(60),
            cache_write_5m: Some(10),
            cache_write_1h: Some(20),
            output: Some(5),
            ..Usage::default()
        };
        assert_eq!((usage.fresh_input(), usage.cache_write(), usage.total()), (10, Some(30), 105));
    }
}
