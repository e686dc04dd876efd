//! What several targets share: bytes as a case, targets of every kind, and what a stream must be.

use gateway::dialect::{
    Adaptions, Asked, Capabilities, Codec, Delivery, Dialect, Off, ReasoningStyle, Sampler, SchemaStyle, StreamDecoder,
    StructuredOutput, Target, anthropic, gemini, openai_chat, openai_responses, sse,
};
use gateway::ir::{Effort, Event, Request, check_grammar};
use gateway::translate::{TranscodedStream, Transcoder};

/// The bytes of a case: a letter for the dialect, one for what varies, and the rest.
pub struct Case<'d> {
    pub dialect: Dialect,
    pub variant: u8,
    pub bytes: &'d [u8],
}

impl<'d> Case<'d> {
    pub fn of(data: &'d [u8]) -> Option<Self> {
        let (&dialect, rest) = data.split_first()?;
        let (&variant, bytes) = rest.split_first()?;
        // Seeds begin with a digit.
        let dialect = Dialect::ALL[usize::from(dialect.wrapping_sub(b'0') % 4)];
        Some(Self { dialect, variant, bytes })
    }

    /// The bytes in pieces, of sizes that the variant decides.
    pub fn pieces(&self) -> impl Iterator<Item = &'d [u8]> {
        let mut left = self.bytes;
        let mut state = u32::from(self.variant) | 1;
        std::iter::from_fn(move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let size = 1 + usize::try_from(state >> 24).unwrap_or(0) % 97;
            let (piece, rest) = left.split_at(size.min(left.len()));
            left = rest;
            (!piece.is_empty()).then_some(piece)
        })
    }
}

/// A model that can do some things and others not.
pub fn target(dialect: Dialect, variant: u8) -> Target {
    let mut can = Capabilities::unlimited(dialect);
    let has = |bit: u8| variant & (1 << bit) != 0;
    if has(0) {
        (can.images, can.audio, can.documents, can.video) = (true, true, true, true);
    }
    if has(1) {
        can.structured_output = StructuredOutput::ForcedTool;
        can.json_beside_tools = false;
    }
    if has(2) {
        can.reasoning = match variant >> 6 {
            0 => ReasoningStyle::None,
            1 => ReasoningStyle::Effort { levels: vec![Effort::Low, Effort::High] },
            2 => ReasoningStyle::Budget { min: 128, max: 24_576, off: Off::Never },
            _ => ReasoningStyle::Adaptive { levels: vec![Effort::Medium, Effort::Max], off: Off::Omitted },
        };
    }
    if has(3) {
        can.sampler = Sampler::OneOf { temperature_max: 1.0 };
        can.stop_max = Some(1);
        can.max_output = Some(1_000);
    }
    if has(4) {
        can.custom_tools = !can.custom_tools;
        can.media_in_results = false;
        can.signed_calls = !can.signed_calls;
    }
    if has(5) {
        can.mid_conversation_system = !can.mid_conversation_system;
        can.prefill = !can.prefill;
        can.tool_name_max = 32;
        can.schema = SchemaStyle::OpenApiSubset;
    }
    Target { can, ..Target::unlimited(dialect, "model") }
}

/// A stream on its way from one dialect to another.
pub fn stream(caller: Dialect, provider: Dialect, adaptions: Adaptions) -> TranscodedStream {
    transcoder(caller, provider, adaptions).stream().expect("every pair can be translated")
}

pub fn transcoder(caller: Dialect, provider: Dialect, adaptions: Adaptions) -> Transcoder {
    let request = Request { model: "model".to_owned(), stream_usage: Some(true), ..Request::default() };
    let asked = Asked::by(&request, Delivery::Events).known_as("fallback");
    Transcoder::new(caller, provider, asked, adaptions)
}

/// What a dialect's reader makes of a stream: its events keep the grammar, whatever comes.
pub fn read(dialect: Dialect, pieces: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Vec<Event> {
    let events = match dialect {
        Dialect::OpenAiChat => events::<openai_chat::Codec>(pieces),
        Dialect::OpenAiResponses => events::<openai_responses::Codec>(pieces),
        Dialect::Anthropic => events::<anthropic::Codec>(pieces),
        Dialect::Gemini => events::<gemini::Codec>(pieces),
    };
    if let Err(wrong) = check_grammar(&events) {
        panic!("{dialect}: {wrong}");
    }
    events
}

fn events<C: Codec>(pieces: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Vec<Event> {
    let (mut parser, mut decoder, mut events) = (sse::Parser::new(), C::decoder(), Vec::new());
    for piece in pieces {
        if parser.push(piece.as_ref(), |data| decoder.push(data, &mut events)).is_err() {
            return events;
        }
    }
    parser.finish(|data| decoder.push(data, &mut events));
    decoder.finish(&mut events);
    events
}

/// Whether a stream ended as its provider ends it.
pub fn is_whole(events: &[Event]) -> bool {
    matches!(events.last(), Some(Event::End(_)))
}
