//! Turns a provider's answer into the caller's dialect: whole or streamed.
//!
//! A transcoded stream has a legal ending whatever happens: if the provider's bytes stop early, are nonsense, or the gateway
//! gives up, the caller gets its dialect's error ending and nothing after it.

use crate::dialect::{Adaptions, Asked, Dialect, Encoded, sse};
use crate::fault::{Fault, FaultKind};
use crate::ids::RequestId;
use crate::ir::{ApiError, ErrorKind, Event, Losses, Response, Usage};

use super::codecs::{AnyDecoder, AnyEncoder, bytes, decode_response, encode_response};
use super::errors::encode_error;
use super::restore::Restore;
use super::unsaid;

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

/// What a provider told about its answer, for cost and records.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Told {
    /// What it took. Of a stream that was cut: what was known by then.
    pub usage: Option<Usage>,
    /// The provider's id for it.
    pub id: Option<String>,
    /// The model that answered.
    pub model: Option<String>,
    /// The tier that served.
    pub service_tier: Option<String>,
    /// Why it ended, in the provider's word; of several choices, the last one's.
    pub finish: Option<String>,
    /// The provider said that it failed, or did not keep to its dialect.
    pub error: Option<ApiError>,
    /// Something of the answer's content has come.
    pub has_content: bool,
    /// The provider ended the answer as its dialect demands.
    pub is_complete: bool,
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

impl Told {
    fn by(response: &Response) -> Self {
        Self {
            usage: response.usage.clone(),
            id: response.id.clone(),
            model: response.model.clone(),
            service_tier: response.service_tier.clone(),
            finish: response
                .choices
                .iter()
                .rev()
                .find_map(|choice| choice.finish.as_ref().and_then(|finish| Some(finish.original.as_ref()?.1.clone()))),
            error: response.error.clone(),
            has_content: response.choices.iter().any(|choice| !choice.parts.is_empty()),
            is_complete: response.error.is_none(),
        }
    }

    fn note(&mut self, event: &Event) {
        match event {
            Event::Start(start) => {
                self.id.clone_from(&start.id);
                self.model.clone_from(&start.model);
                self.service_tier.clone_from(&start.service_tier);
                self.usage.clone_from(&start.usage);
            }
            Event::PartStart(..) | Event::Delta(..) => self.has_content = true,
            Event::Finish(_, finish, _) => {
                if let Some((_, word)) = &finish.original {
                    self.finish = Some(word.clone());
                }
            }
            Event::Usage(usage) => {
                if usage.service_tier.is_some() {
                    self.service_tier.clone_from(&usage.service_tier);
                }
                self.usage = Some(usage.as_ref().clone());
            }
            Event::End(_) => self.is_complete = true,
            Event::Error(error) => self.error = Some(error.as_ref().clone()),
            Event::PartStop(..) | Event::Ping | Event::Opaque(_) => {}
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
mod tests {
    use super::*;
    use crate::dialect::testing::{Sample, fixtures};
    use crate::dialect::{Delivery, RequestHead, Target};
    use crate::ir::Request;
    use crate::translate::{Strictness, decode, encode};
    use serde_json::{Value, json};

    const CHAT: Dialect = Dialect::OpenAiChat;

    fn transcoder() -> Transcoder {
        let asked = Asked::by(&Request { stream_usage: Some(true), ..Request::default() }, Delivery::Events);
        Transcoder::new(CHAT, CHAT, asked, Adaptions::default())
    }

    fn stream_fixture(name: &str) -> Sample {
        fixtures("streams", CHAT).into_iter().find(|sample| sample.name == name).unwrap()
    }

    #[test]
    fn a_stream_that_is_cut_anywhere_never_ends_as_if_it_were_whole() {
        let bytes = stream_fixture("tools.txt").sse();
        for cut in 0..bytes.len() - 2 {
            let mut stream = transcoder().stream().unwrap();
            let mut out = Vec::new();
            stream.push(&bytes[..cut], &mut out);
            stream.finish(&mut out);
            // The last bytes of all are only the blank line of an event that is complete.
            let text = String::from_utf8(out).unwrap();
            assert!(!text.contains("[DONE]"), "cut at {cut}");
            assert!(text.trim_end().lines().last().unwrap().starts_with("data: {\"error\""), "cut at {cut}");
            assert!(!stream.told().is_complete && stream.told().error.is_some());
        }
    }

    #[test]
    fn a_whole_stream_tells_what_it_took_and_ends_once() {
        let mut stream = transcoder().stream().unwrap();
        let mut out = Vec::new();
        stream.push(&stream_fixture("tools.txt").sse(), &mut out);
        assert!(stream.is_over());
        let len = out.len();
        stream.push(b"data: {}\n\n", &mut out);
        stream.keep_alive(&mut out);
        stream.fail(ApiError::cut(), &mut out);
        stream.finish(&mut out);
        assert_eq!(out.len(), len);
        assert!(out.ends_with(b"data: [DONE]\n\n"));
        let told = stream.told();
        assert_eq!(told.usage.as_ref().and_then(|usage| usage.input), Some(50));
        assert_eq!((told.finish.as_deref(), told.is_complete), (Some("tool_calls"), true));
    }

    #[test]
    fn when_the_gateway_gives_up_the_caller_reads_why() {
        let mut stream = transcoder().stream().unwrap();
        let mut out = Vec::new();
        let fault = Fault::new(FaultKind::RequestTimeout, "nothing came for 120 s");
        stream.fail(ApiError::from(&fault), &mut out);
        let text = String::from_utf8(out).unwrap();
        let error: Value = serde_json::from_str(text.trim().trim_start_matches("data: ")).unwrap();
        assert_eq!(error["error"]["message"], "nothing came for 120 s");
        assert_eq!(
            (&error["error"]["type"], &error["error"]["code"]),
            (&json!("timeout_error"), &json!("request_timeout"))
        );
    }

    #[test]
    fn rubbish_is_an_error_and_not_an_answer() {
        for rubbish in [&b"data: <html>\n\n"[..], b"data: []\n\n", b"data: {\"choices\": 7}\n\n", b"\xff\xfe", b""] {
            let mut stream = transcoder().stream().unwrap();
            let mut out = Vec::new();
            stream.push(rubbish, &mut out);
            stream.finish(&mut out);
            assert!(stream.told().error.is_some());
            assert!(!String::from_utf8(out).unwrap().contains("[DONE]"));
        }
        assert_eq!(transcoder().whole(b"{\"choices\": [").unwrap_err().kind, FaultKind::UpstreamError);
        assert_eq!(transcoder().whole(b"{\"id\": 1}").unwrap_err().kind, FaultKind::UpstreamError);
    }

    /// A chat stream whose only choice has this number.
    fn chat_of_choice(index: u32, text: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        let choice = json!({"index": index, "delta": {"content": text}, "finish_reason": "stop"});
        sse::write_json(&mut bytes, &json!({"id": "c", "model": "m", "choices": [choice]}));
        sse::write(&mut bytes, "[DONE]");
        bytes
    }

    #[test]
    fn an_answer_that_cannot_be_written_is_no_whole_answer() {
        // Messages and Responses have one choice, the first: without it nothing was answered.
        for caller in [Dialect::Anthropic, Dialect::OpenAiResponses] {
            let asked = Asked::by(&Request::default(), Delivery::Events);
            let mut stream = Transcoder::new(caller, CHAT, asked, Adaptions::default()).stream().unwrap();
            let mut out = Vec::new();
            stream.push(&chat_of_choice(1, "x"), &mut out);
            assert!(stream.is_over());
            assert!(!stream.told().is_complete && stream.told().error.is_some(), "{caller}");
            assert!(String::from_utf8(out).unwrap().contains("event: error"), "{caller}");
        }
    }

    #[test]
    fn an_answer_that_never_ends_is_given_up_before_it_fills_the_memory() {
        let text = "x".repeat(8 << 20);
        let mut piece = Vec::new();
        let choice = json!({"index": 0, "delta": {"content": text}, "finish_reason": null});
        sse::write_json(&mut piece, &json!({"id": "c", "model": "m", "choices": [choice]}));
        let asked = Asked::by(&Request::default(), Delivery::Events);
        let mut stream = Transcoder::new(Dialect::Gemini, CHAT, asked, Adaptions::default()).stream().unwrap();
        let pushes = (1..20).find(|_| {
            stream.push(&piece, &mut Vec::new());
            stream.is_over()
        });
        assert_eq!(pushes, Some(8));
        assert!(stream.told().error.as_ref().is_some_and(|error| error.message.contains("67108864")));
    }

    #[test]
    fn a_whole_answer_that_failed_fails_with_its_own_kind_and_words() {
        let answer = json!({"id": "resp_1", "object": "response", "status": "failed", "output": [], "model": "m",
            "error": {"code": "rate_limit_exceeded", "message": "Slow down."},
            "usage": {"input_tokens": 7, "output_tokens": 0, "total_tokens": 7}});
        for (caller, pointer, word) in [
            (CHAT, "/error/type", "rate_limit_error"),
            (Dialect::Anthropic, "/error/type", "rate_limit_error"),
            (Dialect::Gemini, "/error/status", "RESOURCE_EXHAUSTED"),
        ] {
            let asked = Asked::by(&Request::default(), Delivery::Whole).known_as("req-1");
            let transcoder = Transcoder::new(caller, Dialect::OpenAiResponses, asked, Adaptions::default());
            let whole = transcoder.whole(answer.to_string().as_bytes()).unwrap();
            let body: Value = serde_json::from_slice(&whole.body).unwrap();
            assert_eq!((whole.status, body.pointer(pointer)), (429, Some(&json!(word))), "{caller}");
            assert_eq!(body["error"]["message"], "Slow down.");
            assert_eq!(whole.told.usage.and_then(|usage| usage.input), Some(7));
            assert!(whole.told.error.is_some() && !whole.told.is_complete);
        }
    }

    #[test]
    fn an_error_in_a_stream_for_anthropics_callers_names_the_request() {
        let asked = Asked::by(&Request::default(), Delivery::Events).known_as("req-1");
        let mut stream = Transcoder::new(Dialect::Anthropic, CHAT, asked, Adaptions::default()).stream().unwrap();
        let mut out = Vec::new();
        stream.finish(&mut out);
        let text = String::from_utf8(out).unwrap();
        let data: Value =
            serde_json::from_str(text.lines().find_map(|line| line.strip_prefix("data: ")).unwrap()).unwrap();
        assert_eq!((&data["type"], &data["request_id"]), (&json!("error"), &json!("req-1")));
    }

    #[test]
    fn a_strict_caller_hears_of_every_loss_and_others_of_those_that_matter() {
        let body = json!({"model": "x", "top_k": 3, "messages": [{"role": "user", "content": "hi"}]}).to_string();
        let mut request = decode(CHAT, body.as_bytes(), &RequestHead::default()).unwrap();
        request.spoken_in = Some(Dialect::Gemini);
        let target = Target::unlimited(CHAT, "gpt-4.1");
        let upstream = encode(&request, &target, Strictness::Report).unwrap();
        assert_eq!(upstream.losses.header().as_deref(), Some("generationConfig.topK"));
        let fault = encode(&request, &target, Strictness::Refuse).unwrap_err();
        assert_eq!((fault.kind.status(), fault.param.as_deref()), (400, Some("generationConfig.topK")));
        let deep = format!("{{\"model\": \"x\", \"messages\": {}", "[".repeat(100_000));
        assert_eq!(decode(CHAT, deep.as_bytes(), &RequestHead::default()).unwrap_err().kind, FaultKind::InvalidJson);
    }

    #[test]
    fn a_whole_answer_is_turned_with_what_it_took() {
        let sample = fixtures("responses", CHAT).into_iter().find(|sample| sample.name == "tools.json").unwrap();
        let whole = transcoder().whole(sample.text.as_bytes()).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&whole.body).unwrap(), sample.json());
        assert_eq!(whole.told.usage.and_then(|usage| usage.output), Some(20));
        assert!(whole.losses.is_empty());
    }
}
