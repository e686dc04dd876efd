//! Images, sounds, films and documents, and where their bytes are.

use super::Origin;

/// An image, sound, film or document.
#[derive(Clone, Debug, PartialEq)]
pub struct Media {
    /// What it is for the model.
    pub kind: MediaKind,
    /// Where its bytes are. Nothing is ever fetched here.
    pub source: Source,
    /// How closely to look: `low`, `high`, `auto`, `original` (OpenAI); Gemini's `mediaResolution` per part.
    pub detail: Option<String>,
    /// The file's name (`filename` in OpenAI's dialects, `title` in Anthropic's, `displayName` in Gemini's).
    pub name: Option<String>,
}

/// What a [`Media`] is for the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MediaKind {
    /// A picture.
    Image,
    /// Sound.
    Audio,
    /// A film.
    Video,
    /// A PDF, a text, any other file.
    Document,
}

/// Where a medium's bytes are.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// In the message, as base64 (kept as it came: never decoded here).
    Base64 {
        /// `image/png`; empty if the dialect has none. Chat's audio `format` is made `audio/<format>`.
        mime: String,
        /// Base64, standard alphabet.
        data: String,
    },
    /// At an address that the provider fetches.
    Url {
        /// The address; never a `data:` URL, which is [`Source::Base64`].
        url: String,
        /// The type, where the dialect says it (Gemini's `fileData.mimeType`).
        mime: Option<String>,
    },
    /// A file that was uploaded to a provider.
    FileId {
        /// Whose file it is.
        origin: Origin,
        /// Its id there.
        id: String,
    },
    /// Plain text as a document (Anthropic's `source.type: "text"`).
    Text {
        /// The text.
        text: String,
    },
}

impl MediaKind {
    /// What to call it in a sentence to the caller.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Image => "an image",
            Self::Audio => "audio",
            Self::Video => "video",
            Self::Document => "a document",
        }
    }
}

impl Source {
    /// Reads a URL as vendors take it: `data:` URLs hold the bytes themselves.
    pub fn from_url(url: String) -> Self {
        match split_data_url(&url) {
            Some((mime, data)) => Self::Base64 { mime: mime.to_owned(), data: data.to_owned() },
            None => Self::Url { url, mime: None },
        }
    }
}

/// Splits `data:<mime>;base64,<data>`; other forms (percent-encoded, with parameters) stay URLs, as they came.
fn split_data_url(url: &str) -> Option<(&str, &str)> {
    let rest = url.strip_prefix("data:")?;
    let (head, data) = rest.split_once(',')?;
    let mime = head.strip_suffix(";base64")?;
    (!mime.contains(';')).then_some((mime, data))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_url_is_bytes_and_anything_else_is_an_address() {
        assert_eq!(
            Source::from_url("data:image/png;base64,AAAA".to_owned()),
            Source::Base64 { mime: "image/png".to_owned(), data: "AAAA".to_owned() }
        );
        let odd = "data:text/plain;charset=utf-8;base64,AAAA".to_owned();
        assert_eq!(Source::from_url(odd.clone()), Source::Url { url: odd, mime: None });
    }
}
