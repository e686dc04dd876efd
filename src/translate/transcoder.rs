//! Turns a provider's answer into the caller's dialect: whole or streamed.
//!
//! A transcoded stream has a legal ending whatever happens: if the provider's bytes stop early, are nonsense, or the gateway
//! gives up, the caller gets its dialect's error ending and nothing after it.

mod told;

use crate::dialect::{Adaptions, Asked, Dialect, Encoded, sse};
use crate::fault::{Fault, FaultKind};
use crate::ids::RequestId;
use crate::ir::{ApiError, ErrorKind, Event, Losses};

use super::codecs::{AnyDecoder, AnyEncoder, bytes, decode_response, encode_response};
use super::errors::encode_error;
use super::restore::Restore;
use super::unsaid;

pub use told::Told;

/// Turns one answer.
#[derive(Clone, Debug)]
pub struct Transcoder {
    caller: Dialect,
    provider: Dialect,
    asked: Asked,
    adaptions: Adaptions,
}

/// A whole answer, turned.
#[derive(Clone, Debug)]
pub struct Whole {
    /// Its status: that of an error, if the provider's answer says that it failed.
    pub status: u16,
    /// The body for the caller.
    pub body: Vec<u8>,
    /// What the caller's dialect could not say.
    pub losses: Losses,
    /// What the provider told.
    pub told: Told,
}

/// A stream that is being turned.
#[derive(Clone, Debug)]
pub struct TranscodedStream {
    parser: sse::Parser,
    caller: Dialect,
    decoder: AnyDecoder,
    restore: Restore,
    encoder: AnyEncoder,
    /// What stood beside the content, and has no place in the caller's dialect.
    unsaid: Losses,
    told: Told,
    over: bool,
    /// How much of the answer's content has come, in bytes.
    content: usize,
    /// Kept for its room.
    events: Vec<Event>,
}

impl Transcoder {
    /// Turns what `provider` answers to a request that was encoded with these adaptions.
    pub fn new(caller: Dialect, provider: Dialect, asked: Asked, adaptions: Adaptions) -> Self {
        Self { caller, provider, asked, adaptions }
    }

    /// Turns a whole answer with a status of success.
    ///
    /// # Errors
    /// 502: the provider sent nonsense.
    pub fn whole(&self, body: &[u8]) -> Result<Whole, Fault> {
        let nonsense = |what: String| {
            Fault::new(FaultKind::UpstreamError, format!("the provider sent an answer that cannot be read: {what}"))
        };
        let value = serde_json::from_slice(body).map_err(|error| nonsense(error.to_string()))?;
        let response = decode_response(self.provider, value).map_err(|fault| nonsense(fault.message))?;
        let told = Told::by(&response);
        if let Some(error) = &response.error {
            let request_id = RequestId::new(self.asked.fallback_id.as_str());
            let (status, body) = encode_error(self.caller, error, None, &request_id);
            return Ok(Whole { status, body: body.into(), losses: Losses::new(), told });
        }
        let response = Restore::new(self.adaptions.clone(), self.caller, self.provider).whole(response);
        let Encoded { body, mut losses } = encode_response(self.caller, &response, &self.asked)?;
        unsaid::in_answer(&response, self.caller, &mut losses);
        Ok(Whole { status: 200, body: bytes(&body), losses, told })
    }

    /// Turns a stream.
    ///
    /// # Errors
    /// 400: one of the two dialects cannot be translated.
    pub fn stream(&self) -> Result<TranscodedStream, Fault> {
        Ok(TranscodedStream {
            parser: sse::Parser::new(),
            decoder: AnyDecoder::new(self.provider)?,
            restore: Restore::new(self.adaptions.clone(), self.caller, self.provider),
            encoder: AnyEncoder::new(self.caller, &self.asked)?,
            caller: self.caller,
            unsaid: Losses::new(),
            told: Told::default(),
            over: false,
            content: 0,
            events: Vec::new(),
        })
    }
}

impl TranscodedStream {
    /// Takes the provider's bytes, split anywhere, and appends the caller's.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        if self.over {
            return;
        }
        let mut events = std::mem::take(&mut self.events);
        let decoder = &mut self.decoder;
        let parsed = self.parser.push(bytes, |data| decoder.push(data, &mut events));
        self.tell(&mut events, out);
        self.events = events;
        if let Err(too_large) = parsed {
            self.fail(ApiError::nonsense(too_large), out);
        }
    }

    /// The provider's bytes have ended: appends the caller's ending, which is an error's unless the answer was complete.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if self.over {
            return;
        }
        let mut events = std::mem::take(&mut self.events);
        let decoder = &mut self.decoder;
        self.parser.finish(|data| decoder.push(data, &mut events));
        decoder.finish(&mut events);
        self.tell(&mut events, out);
        self.encoder.finish(out);
        self.heed_encoder();
        self.over = true;
    }

    /// The gateway gives up: appends the caller's error ending. Nothing is appended after it.
    pub fn fail(&mut self, error: ApiError, out: &mut Vec<u8>) {
        if !self.over {
            self.tell(&mut vec![Event::Error(Box::new(error))], out);
        }
    }

    /// Nothing has come for a while: appends the dialect's sign of life.
    pub fn keep_alive(&mut self, out: &mut Vec<u8>) {
        if !self.over {
            self.encoder.push(&Event::Ping, out);
        }
    }

    /// What the provider has told so far.
    pub fn told(&self) -> &Told {
        &self.told
    }

    /// What of the answer so far the caller's dialect could not say.
    pub fn losses(&self) -> Losses {
        let mut losses = self.encoder.losses().clone();
        losses.extend(self.unsaid.clone());
        losses
    }

    /// Whether the caller's stream has been ended.
    pub fn is_over(&self) -> bool {
        self.over
    }

    fn tell(&mut self, events: &mut Vec<Event>, out: &mut Vec<u8>) {
        for event in events.drain(..) {
            if self.over {
                return;
            }
            let size = event.size();
            self.content = self.content.saturating_add(size);
            if size > 0 && self.content > sse::MAX_EVENT {
                // What is kept until the end, here and by the encoders, is never more than this.
                let too_large = ApiError::nonsense(sse::TooLarge { limit: sse::MAX_EVENT });
                return self.tell(&mut vec![Event::Error(Box::new(too_large))], out);
            }
            self.told.note(&event);
            unsaid::in_event(&event, self.caller, &mut self.unsaid);
            self.over |= matches!(event, Event::End(_) | Event::Error(_));
            if matches!(event, Event::End(_)) {
                self.tell_losses(out);
            }
            let encoder = &mut self.encoder;
            self.restore.event(event, &mut |event| encoder.push(&event, out));
            self.heed_encoder();
        }
    }

    /// An encoder that could not go on has ended the stream with an error: then the answer is none.
    fn heed_encoder(&mut self) {
        if let Some(error) = self.encoder.failure() {
            self.over = true;
            self.told.is_complete = false;
            self.told.error.get_or_insert_with(|| error.clone());
        }
    }

    /// A stream's headers are gone by the time at which its losses are known: a comment in front of its end names them, which
    /// readers of server-sent events read past.
    fn tell_losses(&self, out: &mut Vec<u8>) {
        match self.caller {
            Dialect::OpenAiChat | Dialect::OpenAiResponses | Dialect::Anthropic => {
                if let Some(names) = self.losses().header() {
                    sse::write_comment(out, &format!("x-llm-gateway-ignored: {names}"));
                }
            }
            // Google's Python SDK breaks on comments, and an array has none.
            Dialect::Gemini => {}
        }
    }
}

impl From<&Fault> for ApiError {
    fn from(fault: &Fault) -> Self {
        let status = fault.kind.status();
        let mut error = Self::new(ErrorKind::from_status(status), fault.message.clone());
        error.status = status;
        error.code = Some(fault.kind.code().to_owned());
        error.param.clone_from(&fault.param);
        error
    }
}

#[cfg(test)]
mod recordings;

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests;
