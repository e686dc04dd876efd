//! Copies JSON, and leaves out what is no text: images, sound, files.
//!
//! In their place stands `{"type": "image", "media_type": "image/png", "size_bytes": 1234}`. They are known by where they stand
//! (`data`, `image_url`, …, beside a media type or alone), by `data:` URLs, and, anywhere else, by a long run of base64.
//! Addresses of images stay. What is nested too deeply for who reads the event is left out, too. Linear in what is read.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::json::{plain_text, put, text};

/// Base64 of at least this length is binary wherever binary may stand.
const STRONG_LEN: usize = 200;

/// A run of base64 of at least this length is binary wherever it stands.
const RUN_LEN: usize = 1024;

/// What stands before the bytes in a `data:` URL.
const BASE64: &str = ";base64,";

/// How deep a value's lists and objects may stand in one another. PostHog's own reader gives up at 128, and the event has levels
/// above the value.
const DEEPEST: usize = 64;

/// Stands in the place of what is deeper.
const TOO_DEEP: &[u8] = br#""[nested too deeply]""#;

/// The longest type of a medium that is believed to be one.
const LONGEST_MIME: usize = 127;

/// What binary there was in a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Media {
    pub(super) mime: Option<String>,
    pub(super) size: u64,
}

/// What a copied value was.
enum Found {
    Nothing,
    /// Binary, which was left out.
    Media(Media),
    /// A short base64: binary if its neighbours say so.
    Maybe(u64),
    /// A string under a name that tells a neighbour's type.
    Mime(String),
    /// The object's `type`.
    Type(String),
}

/// Where a value stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Where binary may stand.
    Binary,
    /// Where a neighbour's media type stands.
    Mime,
    /// Where an object's kind stands.
    Type,
    /// Beside a medium, and only about it.
    About,
    Other,
}

impl Place {
    fn of(key: &str) -> Self {
        match key {
            "data" | "image_url" | "imageUrl" | "video_url" | "videoUrl" | "audio" | "audio_data" | "audioData"
            | "input_audio" | "inline_data" | "inlineData" | "file_data" | "fileData" | "file" | "source" | "url"
            | "b64_json" | "blob" | "image" | "result" => Self::Binary,
            "mime_type" | "mimeType" | "media_type" | "mediaType" | "format" => Self::Mime,
            "type" => Self::Type,
            "detail" | "filename" | "file_name" | "title" | "name" | "display_name" | "displayName" | "id"
            | "status" | "cache_control" | "context" | "citations" | "mediaResolution" | "media_resolution"
            | "videoMetadata" | "video_metadata" | "uri" | "thoughtSignature" | "thought_signature" => Self::About,
            _ => Self::Other,
        }
    }
}

/// Copies a JSON text.
///
/// # Errors
/// It is no JSON; what was written by then has to be taken back.
pub(super) fn copy(json: &str, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
    copy_masked(json, &[], out)
}

/// Copies a JSON string that is known to be one, as it is written: most of what is said stands in a few long ones.
pub(super) fn copy_string(json: &str, out: &mut Vec<u8>) {
    // Base64 is written without escapes, so that it is found, and left out, without reading these.
    match without_embedded(json) {
        Some(rest) => out.extend_from_slice(rest.as_bytes()),
        None => out.extend_from_slice(json.as_bytes()),
    }
}

/// Copies a JSON text, with `"[REDACTED]"` for what these members of its outermost object say.
///
/// # Errors
/// See [`copy`].
pub(super) fn copy_masked(json: &str, masked: &[&str], out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_str(json);
    Node { place: Place::Other, depth: 0, masked, out }.deserialize(&mut reader)?;
    reader.end()
}

/// Copies a text, without the bytes of what it embeds.
pub(super) fn copy_text(value: &str, out: &mut Vec<u8>) {
    match without_embedded(value) {
        Some(rest) => text(out, &rest),
        None => text(out, value),
    }
}

/// Writes what stands in a medium's place.
pub(super) fn placeholder(media: &Media, kind: Option<&str>, out: &mut Vec<u8>) {
    let mime = media.mime.as_deref().unwrap_or("application/octet-stream");
    out.extend_from_slice(b"{\"type\":\"");
    out.extend_from_slice(word(mime, kind).as_bytes());
    out.extend_from_slice(b"\",\"media_type\":");
    text(out, mime);
    out.extend_from_slice(b",\"size_bytes\":");
    put(out, &media.size);
    out.push(b'}');
}

/// How many bytes a base64 stands for.
pub(super) fn decoded_len(base64: &str) -> u64 {
    let digits = base64.trim_end_matches('=').len() as u64;
    digits * 3 / 4
}

/// A media type from what dialects write for one: `wav` is `audio/wav`.
pub(super) fn mime_of(said: &str) -> Option<String> {
    let said = said.to_ascii_lowercase();
    let said = said.split(';').next().unwrap_or_default().trim();
    if said.is_empty() || said.len() > LONGEST_MIME {
        return None;
    }
    if said.contains('/') {
        return Some(said.to_owned());
    }
    let kind = match said {
        "wav" | "mp3" | "pcm16" | "pcm" | "flac" | "opus" | "aac" | "ogg" | "m4a" => "audio",
        "mp4" | "mov" | "webm" | "avi" | "mkv" => "video",
        "png" | "jpg" | "jpeg" | "gif" | "webp" | "bmp" => "image",
        _ => return None,
    };
    Some(format!("{kind}/{said}"))
}

fn word(mime: &str, kind: Option<&str>) -> &'static str {
    for word in ["image", "audio", "video"] {
        if mime.strip_prefix(word).is_some_and(|rest| rest.starts_with('/')) {
            return word;
        }
    }
    match kind {
        Some(kind) if kind.contains("image") || kind.contains("screenshot") => "image",
        Some(kind) if kind.contains("audio") => "audio",
        Some(kind) if kind.contains("video") => "video",
        Some(_) | None => "file",
    }
}

/// The type of well-known files, by their first bytes as base64 has them.
fn sniffed(base64: &str) -> Option<&'static str> {
    const BEGINNINGS: [(&str, &str); 6] = [
        ("iVBORw0KGgo", "image/png"),
        ("/9j/", "image/jpeg"),
        ("R0lGOD", "image/gif"),
        ("JVBERi0", "application/pdf"),
        ("SUQz", "audio/mpeg"),
        ("T2dnUw", "audio/ogg"),
    ];
    BEGINNINGS.iter().find(|(beginning, _)| base64.starts_with(beginning)).map(|(_, mime)| *mime)
}

fn is_digit(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_')
}

fn is_base64(text: &str) -> bool {
    let digits = text.trim_end_matches('=');
    !digits.is_empty() && text.len() - digits.len() <= 2 && digits.bytes().all(is_digit)
}

/// Splits `data:image/png;base64,AAAA` into its type and its bytes.
fn data_url(text: &str) -> Option<(&str, &str)> {
    let rest = text.strip_prefix("data:")?;
    let head = &rest.as_bytes()[..rest.len().min(256)];
    let at = memchr::memmem::find(head, BASE64.as_bytes())?;
    let (mime, data) = rest.split_at(at);
    Some((mime, &data[BASE64.len()..]))
}

/// The text without base64 that it embeds; none where there is none.
fn without_embedded(value: &str) -> Option<String> {
    let shorter = without_data_urls(value);
    let runs = without_runs(shorter.as_deref().unwrap_or(value));
    runs.or(shorter)
}

fn without_data_urls(value: &str) -> Option<String> {
    if value.len() < BASE64.len() {
        return None;
    }
    let mut out: Option<String> = None;
    let mut done = 0;
    for at in memchr::memmem::find_iter(value.as_bytes(), BASE64) {
        let from = at + BASE64.len();
        let digits = value.as_bytes()[from..].iter().take_while(|byte| is_digit(**byte) || **byte == b'=').count();
        if digits < 16 || from < done {
            continue;
        }
        let out = out.get_or_insert_default();
        out.push_str(&value[done..from]);
        leave_out(&value[from..from + digits], out);
        done = from + digits;
    }
    let mut out = out?;
    out.push_str(&value[done..]);
    Some(out)
}

fn leave_out(base64: &str, out: &mut String) {
    // Writing to a string cannot fail.
    let _ = write!(out, "[{} bytes]", decoded_len(base64));
}

/// Leaves out runs of at least [`RUN_LEN`] digits of base64 that look like bytes: with letters of both cases and numbers.
fn without_runs(value: &str) -> Option<String> {
    let bytes = value.as_bytes();
    let mut out: Option<String> = None;
    // A run that is long enough has a digit at one of these places.
    let (mut done, mut at) = (0, RUN_LEN - 1);
    while at < bytes.len() {
        if !is_digit(bytes[at]) {
            at += RUN_LEN;
            continue;
        }
        let from = bytes[done..at].iter().rposition(|byte| !is_digit(*byte)).map_or(done, |place| done + place + 1);
        let to = bytes[at..].iter().position(|byte| !is_digit(*byte)).map_or(bytes.len(), |place| at + place);
        let run = &bytes[from..to];
        let looks_random = |run: &[u8]| {
            run.iter().any(u8::is_ascii_uppercase)
                && run.iter().any(u8::is_ascii_lowercase)
                && run.iter().any(u8::is_ascii_digit)
        };
        if run.len() >= RUN_LEN && looks_random(run) {
            let out = out.get_or_insert_default();
            out.push_str(&value[done..from]);
            leave_out(&value[from..to], out);
            done = to;
        }
        at = to + RUN_LEN;
    }
    let mut out = out?;
    out.push_str(&value[done..]);
    Some(out)
}

/// One value on its way.
struct Node<'o, 'm> {
    place: Place,
    /// How many lists and objects it stands in.
    depth: usize,
    /// Members of an object at this place whose values are secret.
    masked: &'m [&'m str],
    out: &'o mut Vec<u8>,
}

impl Node<'_, '_> {
    fn string(self, value: &str, needs_no_escapes: bool) -> Found {
        if self.place == Place::Binary {
            if let Some((mime, data)) = data_url(value) {
                let media = Media { mime: mime_of(mime), size: decoded_len(data) };
                placeholder(&media, None, self.out);
                return Found::Media(media);
            }
            if is_base64(value) {
                let size = decoded_len(value);
                if value.len() >= STRONG_LEN {
                    let media = Media { mime: sniffed(value).map(str::to_owned), size };
                    placeholder(&media, None, self.out);
                    return Found::Media(media);
                }
                text(self.out, value);
                return Found::Maybe(size);
            }
        }
        match without_embedded(value) {
            Some(rest) => text(self.out, &rest),
            None if needs_no_escapes => plain_text(self.out, value),
            None => text(self.out, value),
        }
        match self.place {
            Place::Mime => Found::Mime(value.to_owned()),
            Place::Type => Found::Type(value.to_owned()),
            Place::Binary | Place::About | Place::Other => Found::Nothing,
        }
    }

    fn plain(self, value: &impl serde::Serialize) -> Found {
        put(self.out, value);
        Found::Nothing
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_, '_> {
    type Value = Found;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Found, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_, '_> {
    type Value = Found;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Found, E> {
        Ok(self.plain(&value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Found, E> {
        Ok(self.plain(&value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Found, E> {
        Ok(self.plain(&value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Found, E> {
        Ok(self.plain(&value))
    }

    fn visit_unit<E>(self) -> Result<Found, E> {
        Ok(self.plain(&()))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Found, E> {
        // What the document has no escapes for needs none here.
        Ok(self.string(value, true))
    }

    fn visit_str<E>(self, value: &str) -> Result<Found, E> {
        Ok(self.string(value, false))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Found, A::Error> {
        if self.depth == DEEPEST {
            while items.next_element::<IgnoredAny>()?.is_some() {}
            self.out.extend_from_slice(TOO_DEEP);
            return Ok(Found::Nothing);
        }
        self.out.push(b'[');
        let mut is_first = true;
        loop {
            let before = self.out.len();
            if !is_first {
                self.out.push(b',');
            }
            let node = Node { place: Place::Other, depth: self.depth + 1, masked: &[], out: self.out };
            if items.next_element_seed(node)?.is_none() {
                self.out.truncate(before);
                break;
            }
            is_first = false;
        }
        self.out.push(b']');
        Ok(Found::Nothing)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Found, A::Error> {
        let Node { masked, depth, out, .. } = self;
        if depth == DEEPEST {
            while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            out.extend_from_slice(TOO_DEEP);
            return Ok(Found::Nothing);
        }
        let start = out.len();
        let mut object = Object::default();
        out.push(b'{');
        while let Some(Key(key)) = members.next_key()? {
            if out.len() > start + 1 {
                out.push(b',');
            }
            text(out, &key);
            out.push(b':');
            if masked.contains(&key.as_ref()) {
                members.next_value::<IgnoredAny>()?;
                out.extend_from_slice(b"\"[REDACTED]\"");
                object.has_more = true;
                continue;
            }
            let place = Place::of(&key);
            object.take(place, members.next_value_seed(Node { place, depth: depth + 1, masked: &[], out })?);
        }
        out.push(b'}');
        let Some(media) = object.media() else { return Ok(Found::Nothing) };
        out.truncate(start);
        placeholder(&media, object.kind.as_deref(), out);
        Ok(Found::Media(media))
    }
}

/// What an object turned out to be.
#[derive(Default)]
struct Object {
    kind: Option<String>,
    mime: Option<String>,
    media: Option<Media>,
    maybe: Option<u64>,
    /// There is something in it that has its own worth.
    has_more: bool,
}

impl Object {
    fn take(&mut self, place: Place, found: Found) {
        match found {
            Found::Media(media) if self.media.is_none() && place == Place::Binary => self.media = Some(media),
            Found::Maybe(size) if self.maybe.is_none() => self.maybe = Some(size),
            Found::Media(_) | Found::Maybe(_) => self.has_more = true,
            Found::Mime(mime) => self.mime = Some(mime),
            Found::Type(kind) => self.kind = Some(kind),
            Found::Nothing => self.has_more |= place != Place::About,
        }
    }

    /// The medium that the object is, if it is nothing else.
    fn media(&self) -> Option<Media> {
        // Sealed thoughts look like binary, and are not.
        if self.has_more || self.kind.as_deref() == Some("redacted_thinking") {
            return None;
        }
        let beside = self.mime.as_deref().and_then(mime_of);
        if let Some(media) = &self.media {
            return Some(Media { mime: beside.or_else(|| media.mime.clone()), size: media.size });
        }
        // A plain text may look like base64; its own type says what it is.
        let size = self.maybe.filter(|_| self.kind.as_deref() != Some("text"))?;
        Some(Media { mime: Some(beside.filter(|mime| !mime.starts_with("text/"))?), size })
    }
}

/// A member's name, borrowed where that is possible.
struct Key<'de>(Cow<'de, str>);

impl<'de> serde::Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;
        impl<'de> Visitor<'de> for Name {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a member's name")
            }

            fn visit_borrowed_str<E: serde::de::Error>(self, name: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(name)))
            }

            fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(name.to_owned())))
            }
        }
        deserializer.deserialize_str(Name)
    }
}
