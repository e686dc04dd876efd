//! Where in a stream the caller is, so that an error can be put behind what it has got already.

/// What a caller of a stream has got so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// What is unfinished.
    pub open: Open,
    /// Whether the bracket of a JSON array is out.
    pub array: Array,
    /// The answer as its first event introduced it, where a dialect's error has to name it again.
    pub response: Option<ResponseHead>,
    /// The last `sequence_number` of a Responses stream.
    pub sequence_number: Option<u64>,
}

/// What is unfinished.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Open {
    /// Nothing: an event, or an element, may begin here.
    #[default]
    Nothing,
    /// An event whose last line is complete, but not the event.
    Event(EventData),
    /// A line of an event; in an array, an element. This is what there is of it.
    Fragment(Vec<u8>),
    /// The same, but too large to be kept.
    TooLarge,
}

/// Whether an event has its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventData {
    /// It has no data yet.
    Missing,
    /// It has data.
    There,
}

/// How far a JSON array is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Array {
    /// Its opening bracket is not out.
    #[default]
    Unopened,
    /// It is open and has no complete element.
    Empty,
    /// It is open and has elements.
    Filled,
    /// The last thing was a comma: an element has to follow.
    Comma,
    /// It is closed.
    Closed,
}

/// How a Responses answer introduced itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseHead {
    /// Its id.
    pub id: String,
    /// The model that answers.
    pub model: Option<String>,
    /// When it was made, in seconds since 1970.
    pub created_at: Option<u64>,
}
