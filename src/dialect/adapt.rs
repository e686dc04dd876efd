//! What every encoder of requests needs to make a foreign request fit its target.

mod json_tool;
pub mod openai;
mod pairs;
mod schema;
mod tools;
mod turns;

use serde_json::{Map, Number, Value};

use super::{Adaptions, Capabilities, Dialect, Sampler, Target};
use crate::ir::{
    Content, Effort, Losses, Media, MediaKind, Part, ReasoningAsk, Request, Role, Sampling, Severity, Source,
    Visibility,
};

pub use json_tool::JsonTool;
pub use pairs::{calls_last, unique_ids};
pub use schema::{as_object, say_in_words};
pub use tools::{
    ToolNames, allowed_names, arguments_as_json, arguments_as_object, custom_as_function, refuse_what_is_beyond,
};
pub use turns::{Turn, results_first, turns, turns_in_pairs};

/// The most stop sequences for which the gateway looks itself: each costs a search in every piece of text.
const STOPS_CUT_HERE: usize = 64;

/// The longest stop sequence for which the gateway looks itself, in bytes: as much of each piece is looked at again.
const LONGEST_STOP_CUT_HERE: usize = 256;

/// The sampling parameters as the target takes them.
pub fn sampling(asked: &Sampling, can: &Capabilities, losses: &mut Losses) -> Sampling {
    let mut sampling = asked.clone();
    let max = match can.sampler {
        Sampler::Free { temperature_max } => temperature_max,
        Sampler::OneOf { temperature_max } => {
            if sampling.temperature.is_some() && sampling.top_p.take().is_some() {
                losses.add(Severity::Ignored, "top_p", "cannot be set together with temperature for this model");
            }
            temperature_max
        }
        Sampler::Fixed => {
            let said = [
                ("temperature", sampling.temperature.is_some()),
                ("top_p", sampling.top_p.is_some()),
                ("top_k", sampling.top_k.is_some()),
                ("frequency_penalty", sampling.frequency_penalty.is_some()),
                ("presence_penalty", sampling.presence_penalty.is_some()),
                ("logit_bias", sampling.logit_bias.is_some()),
            ];
            for (name, _) in said.into_iter().filter(|(_, said)| *said) {
                losses.add(Severity::Ignored, name, "cannot be set for this model");
            }
            return Sampling { seed: sampling.seed, ..Sampling::default() };
        }
    };
    if let Some(temperature) = sampling.temperature.as_ref().and_then(Number::as_f64).filter(|asked| *asked > max) {
        losses.approximated("temperature", format!("is at most {max} for this model, not {temperature}"));
        sampling.temperature = Number::from_f64(max);
    }
    sampling
}

/// The labels of a request for OpenAI, which takes texts only.
pub fn labels(request: &Request, target: Dialect, losses: &mut Losses) -> Option<Map<String, Value>> {
    let labels = request.metadata.as_ref().filter(|labels| !labels.is_empty())?;
    if labels.values().all(Value::is_string) {
        return Some(labels.clone());
    }
    losses.ignored("metadata", target);
    None
}

/// The most output tokens, clamped to what the model gives.
pub fn max_output(request: &Request, can: &Capabilities, losses: &mut Losses) -> Option<u64> {
    let asked = request.max_output?;
    match can.max_output.filter(|most| asked > *most) {
        Some(most) => {
            losses.approximated("max_tokens", format!("is at most {most} for this model, not {asked}"));
            Some(most)
        }
        None => Some(asked),
    }
}

/// The stop sequences to send; if the target does not take as many, none, and the answer is cut here.
pub fn stop<'r>(
    request: &'r Request,
    can: &Capabilities,
    adaptions: &mut Adaptions,
    losses: &mut Losses,
) -> &'r [String] {
    if can.stop_max.is_none_or(|most| request.stop.len() <= most) {
        return &request.stop;
    }
    if request.stop.len() > STOPS_CUT_HERE {
        losses.refused("stop", format!("has more than {STOPS_CUT_HERE} sequences"));
        return &[];
    }
    if let Some(place) = request.stop.iter().position(|stop| stop.len() > LONGEST_STOP_CUT_HERE) {
        let reason = format!("is longer than {LONGEST_STOP_CUT_HERE} bytes, which this model does not take");
        losses.refused(format!("stop[{place}]"), reason);
        return &[];
    }
    losses.approximated("stop", "is more than this model takes: the answer is cut after it was generated");
    adaptions.stop.clone_from(&request.stop);
    &[]
}

/// The nearest word that a model takes; the lower of two as near. `levels` go from least to most; empty: any word.
pub fn nearest_effort(asked: &Effort, levels: &[Effort]) -> Effort {
    if levels.is_empty() || levels.contains(asked) {
        return asked.clone();
    }
    let rank = |effort: &Effort| match effort {
        Effort::None => 0_i32,
        Effort::Minimal => 1,
        Effort::Low => 2,
        Effort::Medium | Effort::Other(_) => 3,
        Effort::High => 4,
        Effort::XHigh => 5,
        Effort::Max => 6,
    };
    let nearest = levels.iter().min_by_key(|level| (rank(level) - rank(asked)).abs());
    nearest.unwrap_or(asked).clone()
}

/// Whether the target takes such a medium; if not, that is reported as a refusal.
pub fn takes_media(kind: MediaKind, field: impl FnOnce() -> String, target: &Target, losses: &mut Losses) -> bool {
    let can = match kind {
        MediaKind::Image => target.can.images,
        MediaKind::Document => target.can.documents,
        MediaKind::Audio => target.can.audio,
        MediaKind::Video => target.can.video,
    };
    if !can {
        losses.refused(field(), format!("is {}, which model {} cannot take", kind.describe(), target.model));
    }
    can
}

/// What the user says before a conversation that the assistant begins, where the provider wants the user to begin.
pub fn user_before_the_assistant(losses: &mut Losses) -> &'static str {
    losses.approximated("messages[0]", "is the assistant's: a user's turn was put before it");
    "(The conversation begins.)"
}

/// A medium with its type as all vendors write it: in lower case, and `image/jpeg` for the `image/jpg` that many callers say.
pub fn plainly_typed(media: &Media) -> Media {
    let mut media = media.clone();
    if let Source::Base64 { mime, .. } = &mut media.source {
        mime.make_ascii_lowercase();
        if mime == "image/jpg" {
            "image/jpeg".clone_into(mime);
        }
    }
    media
}

/// A document's name, where the dialect has no place for it.
pub fn lose_name(media: &Media, field: impl FnOnce() -> String, target: Dialect, losses: &mut Losses) {
    if media.kind == MediaKind::Document && media.name.is_some() {
        losses.ignored(format!("{}.filename", field()), target);
    }
}

/// A part that only its own dialect understands, in another one: in what the model said it can be left out, in what it is
/// told it cannot.
pub fn lose_opaque(opaque: &crate::ir::Opaque, role: Role, field: String, target: Dialect, losses: &mut Losses) {
    match role {
        Role::Assistant => losses.ignored(field, target),
        Role::System | Role::Developer | Role::User | Role::Tool => losses
            .refused(field, format!("is of type {}, which only {} understands", opaque.type_name(), opaque.dialect)),
    }
}

/// How thoughts are to be shown, for a model that has none.
pub fn lose_visibility(ask: &ReasoningAsk, target: Dialect, losses: &mut Losses) {
    let shown = ask.visibility.as_ref().is_some_and(|shown| *shown != Visibility::Hidden);
    if shown && !ask.is_off() {
        losses.ignored("reasoning.summary", target);
    }
}

/// A part of instructions that is no text, where a dialect takes nothing else there.
pub fn refuse_in_instructions(part: &Part, field: impl FnOnce() -> String, target: Dialect, losses: &mut Losses) {
    match &part.content {
        Content::Media(_) | Content::ToolCall(_) | Content::ToolResult(_) | Content::Refusal(_) => {
            let what = part.content.describe();
            losses.refused(field(), format!("is {what}, which {target} does not take in instructions"));
        }
        Content::Text(_) | Content::Reasoning(_) | Content::Opaque(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stop_sequences_that_are_cut_here_are_few_and_short() {
        let can = Capabilities { stop_max: Some(0), ..Capabilities::unlimited(Dialect::OpenAiResponses) };
        let refusal = |stop: Vec<String>| {
            let (mut adaptions, mut losses) = (Adaptions::default(), Losses::new());
            super::stop(&Request { stop, ..Request::default() }, &can, &mut adaptions, &mut losses);
            losses.refusal().map(|loss| loss.field.clone())
        };
        assert_eq!(refusal(vec!["END".to_owned(); 64]), None);
        assert_eq!(refusal(vec!["END".to_owned(); 65]).as_deref(), Some("stop"));
        assert_eq!(refusal(vec!["END".to_owned(), "x".repeat(257)]).as_deref(), Some("stop[1]"));
    }

    #[test]
    fn the_nearest_effort_is_taken_where_a_model_lacks_the_word() {
        let levels = [Effort::Low, Effort::High];
        assert_eq!(nearest_effort(&Effort::Max, &levels), Effort::High);
        assert_eq!(nearest_effort(&Effort::Medium, &levels), Effort::Low);
        assert_eq!(nearest_effort(&Effort::Minimal, &[]), Effort::Minimal);
    }
}
