//! About how many tokens a text is, counted while it goes by.
//!
//! For answers that end before their provider has said what they took. Nothing is kept of the text, and a byte costs a few
//! nanoseconds: a vocabulary of 200,000 words would be no better, for Anthropic's and Google's are not public.
//!
//! Models cut text into words, groups of three digits, and runs of punctuation and of white space, and long words into pieces.
//! Here each of those counts for what it came to on average in o200k_base, the vocabulary of OpenAI's models since GPT-4o, over
//! eight hundred texts: prose in 25 languages, Markdown, Rust, Python, JavaScript, JSON, and answers of models. Words of languages
//! with accents come in more pieces than English ones. From about a hundred tokens up the count is within 10 % in English, German,
//! Spanish, French, Portuguese, Turkish, Russian, Greek, Hebrew, Arabic, Hindi, Thai, Vietnamese, Chinese, Japanese and Korean, in
//! code and in JSON; Italian, Dutch, Polish and Ukrainian come out up to 15 % low. What a vendor's models make of the same text is
//! then a factor, and some tokens around each call of a tool, each message or citation: see [`Tokens::at`] and the taps.

use crate::ir::Dialect;

/// Tokens of what has gone by. The default is of nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Thousandths of a token, of all but Latin words.
    thousandths: u64,
    /// The same of Latin words, were they English or code.
    plain: u64,
    /// And were they another language's.
    foreign: u64,
    words: u64,
    accents: u64,
    run: Run,
    length: u32,
    after_small: bool,
    /// Tokens of the vendor's own, that stand around texts and calls and are in no event.
    around: u64,
}

/// What the last characters have in common.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Run {
    #[default]
    Nothing,
    /// Latin letters. A capital after a small one begins a new word, as in `camelCase`.
    Word,
    Cyrillic,
    Digits,
    Marks,
    Spaces,
    Lines,
}

/// What a character is.
enum Kind {
    In(Run),
    /// Counts for itself, in thousandths of a token.
    Alone(u64),
}

/// Pictures are charged by their size at most vendors: this is one of 1024 × 1024 pixels at OpenAI.
const PICTURE_TOKENS: u64 = 765;

/// Less than this, in bytes of base64, is no picture.
const SMALLEST_PICTURE: usize = 1024;

/// What each message is wrapped in, and what opens the answer, at OpenAI.
const MESSAGE_TOKENS: u64 = 4;

/// Requests up to this size are read to their end; of larger ones two samples of half of it each.
pub const READ_WHOLE: usize = 16 * 1024;

impl Tokens {
    /// Adds text as it stands in a JSON string, without the quotes. It may go on where the last text ended in mid-word.
    pub fn escaped(&mut self, raw: &[u8]) {
        let mut rest = String::from_utf8_lossy(raw);
        if memchr::memchr(b'\\', raw).is_some() {
            rest = unescaped(&rest).into();
        }
        self.text(&rest);
    }

    /// Adds tokens that a vendor's models write around what is seen of them.
    pub fn around(&mut self, tokens: u64) {
        self.around += tokens;
    }

    /// Adds text.
    pub fn text(&mut self, text: &str) {
        for character in text.chars() {
            self.add(character);
        }
    }

    /// How many tokens this vendor's models make of it. OpenAI's are what was counted. For the others it is by how much their
    /// own counts, in what they are known to have answered, were larger.
    pub fn at(&self, dialect: Dialect) -> u64 {
        let percent = match dialect {
            Dialect::OpenAiChat | Dialect::OpenAiResponses => 100,
            Dialect::Anthropic => 119,
            Dialect::Gemini => 107,
        };
        self.around + (self.sum() * percent).div_ceil(100_000)
    }

    fn add(&mut self, character: char) {
        let is_capital = character.is_ascii_uppercase();
        match kind(character) {
            Kind::Alone(thousandths) => {
                self.close();
                self.thousandths += thousandths;
            }
            Kind::In(Run::Spaces) if self.run == Run::Lines => {}
            // White space before the end of a line belongs to it.
            Kind::In(Run::Lines) if self.run == Run::Spaces => self.run = Run::Lines,
            Kind::In(run) if run == self.run && !(is_capital && self.after_small) => self.length += 1,
            Kind::In(run) => {
                // Other runs take the space before them along.
                if run == Run::Digits && self.run == Run::Spaces {
                    self.thousandths += 1_000;
                }
                self.close();
                (self.run, self.length) = (run, 1);
            }
        }
        if matches!(character, '\u{c0}'..='\u{24f}') {
            self.accents += 1;
            self.thousandths += 900;
        }
        self.after_small = character.is_lowercase();
    }

    fn close(&mut self) {
        *self = self.closed();
    }

    /// The same, with what the open run comes to.
    fn closed(mut self) -> Self {
        let length = u64::from(self.length);
        if self.run == Run::Word {
            let (plain, foreign) = word(length);
            self.plain += plain;
            self.foreign += foreign;
            self.words += 1;
        }
        self.thousandths += match (self.run, length) {
            (Run::Nothing | Run::Word, _) | (Run::Spaces, ..=1) => 0,
            (Run::Cyrillic, _) => 1_970,
            (Run::Digits, _) => 1_300 * length.div_ceil(3),
            (Run::Marks, ..=1) => 740,
            (Run::Marks, 2..) => 950 + 100 * length.saturating_sub(3),
            (Run::Spaces, 2..) => 1_000,
            (Run::Lines, _) => 900,
        };
        (self.run, self.length) = (Run::Nothing, 0);
        self
    }

    /// The sum, in thousandths. One accent in twenty words makes a language of its own.
    fn sum(&self) -> u64 {
        let all = self.closed();
        let foreign = (all.accents * 20_000).checked_div(all.words).unwrap_or(0).min(1_000);
        all.thousandths + (all.plain * (1_000 - foreign) + all.foreign * foreign) / 1_000
    }
}

/// What a Latin word of so many letters comes to, in English or code, and in other languages.
fn word(length: u64) -> (u64, u64) {
    match length {
        ..=4 => (1_080, 700),
        5..=7 => (920, 1_500),
        8..=10 => (1_080, 1_650),
        11.. => (940 + 600 * (length - 10), 2_900 + 250 * (length - 10)),
    }
}

fn kind(character: char) -> Kind {
    match u32::from(character) {
        0x0a | 0x0d => Kind::In(Run::Lines),
        0x09 | 0x20 => Kind::In(Run::Spaces),
        0x30..=0x39 => Kind::In(Run::Digits),
        0x41..=0x5a | 0x61..=0x7a | 0xaa | 0xb5 | 0xba | 0xc0..=0x24f | 0x300..=0x36f | 0x1e00..=0x1eff => {
            Kind::In(Run::Word)
        }
        // ASCII and Latin-1 marks, general and CJK punctuation, arrows, frames.
        0x00..=0xff | 0x2000..=0x206f | 0x2190..=0x25ff | 0x27c0..=0x2bff | 0x3000..=0x3040 | 0xff00..=0xffef => {
            Kind::In(Run::Marks)
        }
        0x250..=0x3ff => Kind::Alone(400),
        0x400..=0x52f => Kind::In(Run::Cyrillic),
        0x590..=0x5ff => Kind::Alone(620),
        0x600..=0x77f => Kind::Alone(380),
        // The scripts of India.
        0x900..=0xdff => Kind::Alone(400),
        0xe00..=0xeff => Kind::Alone(420),
        // Kana, Hangul, Han.
        0x3041..=0x30ff => Kind::Alone(700),
        0x1100..=0x11ff | 0xac00..=0xd7af => Kind::Alone(800),
        0x3400..=0x9fff | 0xf900..=0xfaff | 0x2_0000..=0x2_ffff => Kind::Alone(940),
        // Pictures, and what chooses between their forms.
        0x2600..=0x27bf | 0xfe00..=0xfe0f | 0x1_f000.. => Kind::Alone(1_600),
        _ => Kind::Alone(700),
    }
}

/// Text as JSON means it. What is no escape is left as it is.
fn unescaped(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len());
    let mut units: Vec<u16> = Vec::new();
    let mut rest = raw;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        if !before.is_empty() {
            flush(&mut units, &mut text);
            text.push_str(before);
        }
        if let Some(unit) = escape.get(2..6).filter(|_| escape[1..].starts_with('u')) {
            units.push(u16::from_str_radix(unit, 16).unwrap_or(0xfffd));
            rest = &escape[6..];
            continue;
        }
        flush(&mut units, &mut text);
        let mut letters = escape[1..].chars();
        match letters.next() {
            Some('n' | 'r') => text.push('\n'),
            Some('t') => text.push('\t'),
            Some(other) => text.push(other),
            None => {}
        }
        rest = letters.as_str();
    }
    flush(&mut units, &mut text);
    text.push_str(rest);
    text
}

/// Escaped units come in pairs where one is not enough.
fn flush(units: &mut Vec<u16>, text: &mut String) {
    text.extend(char::decode_utf16(units.drain(..)).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)));
}

/// How many bytes of a request are text. A picture in base64 counts for the tokens that it comes to at four bytes each.
pub fn weight(body: &[u8]) -> usize {
    let pictures = pictures(body);
    let bytes: usize = pictures.iter().sum();
    let stand_ins = pictures.len() * usize::try_from(PICTURE_TOKENS * 4).unwrap_or(usize::MAX);
    body.len() - bytes + stand_ins.min(bytes)
}

/// How long the data in base64 is that stands in a body: after `;base64,` at OpenAI, in `data` members at the others.
fn pictures(body: &[u8]) -> Vec<usize> {
    let mut found = Vec::new();
    // Smaller than any picture that is worth the search.
    if body.len() < 4 * SMALLEST_PICTURE {
        return found;
    }
    for mark in [&b";base64,"[..], b"\"data\":\"", b"\"data\": \""] {
        let mut rest = body;
        while let Some(at) = memchr::memmem::find(rest, mark) {
            let data = &rest[at + mark.len()..];
            let length = memchr::memchr(b'"', data).unwrap_or(data.len());
            // Twice found it would be taken off twice.
            if length >= SMALLEST_PICTURE && !data.starts_with(b"data:") {
                found.push(length);
            }
            rest = &data[length..];
        }
    }
    found
}

/// How many tokens a request to OpenAI is, as its body has it.
pub fn of_request(body: &[u8]) -> u64 {
    if body.len() <= READ_WHOLE {
        return of_members(body);
    }
    // The rest is like its beginning and its end.
    let half = READ_WHOLE / 2;
    let mut sample = Tokens::default();
    sample.escaped(&body[..half]);
    sample.escaped(&body[body.len() - half..]);
    let size = u64::try_from(weight(body)).unwrap_or(u64::MAX);
    let sampled = u64::try_from(READ_WHOLE).unwrap_or(u64::MAX);
    sample.at(Dialect::OpenAiChat).saturating_mul(size) / sampled
}

/// Members whose names and values the model never sees.
const ENVELOPE: [&[u8]; 9] =
    [b"model", b"user", b"type", b"role", b"id", b"tool_call_id", b"tool_choice", b"reasoning_effort", b"service_tier"];

/// Members whose names it does not see.
const HOLDERS: [&[u8]; 12] = [
    b"messages",
    b"content",
    b"text",
    b"input",
    b"stream",
    b"stream_options",
    b"include_usage",
    b"max_tokens",
    b"max_completion_tokens",
    b"max_output_tokens",
    b"temperature",
    b"image_url",
];

/// The strings of a document, but for those that say how it is to be handled.
fn of_members(body: &[u8]) -> u64 {
    let mut tokens = Tokens::default();
    let (mut messages, mut pictures) = (1, 0);
    let (mut is_envelope, mut is_data) = (false, false);
    let mut rest = body;
    while let Some((text, after)) = next_string(rest) {
        rest = after;
        if after.trim_ascii_start().first() == Some(&b':') {
            messages += u64::from(text == b"role");
            is_envelope = ENVELOPE.contains(&text);
            is_data = text == b"data";
            if !is_envelope && !HOLDERS.contains(&text) {
                tokens.escaped(text);
            }
        } else if !std::mem::take(&mut is_envelope) {
            if text.len() >= SMALLEST_PICTURE && (text.starts_with(b"data:") || is_data) {
                pictures += 1;
            } else {
                tokens.escaped(text);
            }
        }
        tokens.close();
    }
    tokens.at(Dialect::OpenAiChat) + messages * MESSAGE_TOKENS + pictures * PICTURE_TOKENS
}

/// The next JSON string, as it is written, and what follows it.
fn next_string(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let begin = memchr::memchr(b'"', body)? + 1;
    let length = string_length(&body[begin..])?;
    Some((&body[begin..begin + length], &body[begin + length + 1..]))
}

/// How long a JSON string is whose first quote has been taken off.
pub(crate) fn string_length(text: &[u8]) -> Option<usize> {
    let mut end = 0;
    loop {
        end += memchr::memchr2(b'"', b'\\', text.get(end..)?)?;
        if text[end] == b'"' {
            return Some(end);
        }
        end += 2;
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests;
