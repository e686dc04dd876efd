//! Events packed for their way: compressed once, and sent without being compressed again.
//!
//! The body of a request to PostHog is one gzip stream. A [`Pack`] is a piece of such a stream: it was flushed to a byte's border
//! and refers to nothing before it, so that pieces can be put behind one another, with what lies between them stored as it is,
//! and their checksums combined (RFC 1951, 3.2; RFC 1952, 2.3). The same pieces are what a file keeps: some ten times fewer
//! bytes to write, and nothing to be done again when a batch is sent a second time.

use bytes::Bytes;
use crc32fast::Hasher;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

/// Fast: most of what events have in common is found at once.
const LEVEL: u32 = 1;

/// A stored block's length has 16 bits.
const STORED_MAX: usize = 0xffff;

/// Magic number, deflate, no name, no time, an unknown system.
const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// Events, joined by commas and compressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pack {
    /// How long each event is.
    pub sizes: Vec<u32>,
    /// The checksum of the events and the commas between them.
    pub crc: u32,
    /// The piece of a deflate stream.
    pub deflated: Vec<u8>,
}

/// So much text is compressed at a time: few enough bytes to be in the processor's cache still, where they were written.
const PIECE: usize = 32 * 1024;

/// Packs. Kept, because its tables are large.
#[derive(Debug)]
pub struct Packer {
    deflate: Compress,
    /// What was added last, and is not compressed yet.
    text: Vec<u8>,
    deflated: Vec<u8>,
    crc: Hasher,
    sizes: Vec<u32>,
    bytes: usize,
}

/// A pack that is not what was packed.
#[derive(Debug, thiserror::Error)]
#[error("a pack of {events} events is damaged")]
pub struct Damaged {
    /// How many there were.
    pub events: usize,
}

impl Default for Packer {
    fn default() -> Self {
        Self {
            deflate: Compress::new(Compression::new(LEVEL), false),
            text: Vec::new(),
            deflated: Vec::new(),
            crc: Hasher::new(),
            sizes: Vec::new(),
            bytes: 0,
        }
    }
}

impl Packer {
    /// Adds an event, a JSON object.
    pub fn add(&mut self, event: &[u8]) {
        if !self.sizes.is_empty() {
            self.text.push(b',');
        }
        self.text.extend_from_slice(event);
        self.sizes.push(u32::try_from(event.len()).unwrap_or(u32::MAX));
        if self.text.len() >= PIECE {
            self.compress(FlushCompress::None);
        }
    }

    /// Adds several, with commas between them and of these sizes.
    pub fn add_all(&mut self, events: &[u8], sizes: &[u32]) {
        if sizes.is_empty() {
            return;
        }
        if !self.sizes.is_empty() {
            self.text.push(b',');
        }
        self.sizes.extend_from_slice(sizes);
        if events.len() >= PIECE / 4 {
            self.compress(FlushCompress::None);
            // As they lie there.
            self.compress_text(events, FlushCompress::None);
            return;
        }
        self.text.extend_from_slice(events);
        if self.text.len() >= PIECE {
            self.compress(FlushCompress::None);
        }
    }

    /// How many bytes were added.
    pub fn len(&self) -> usize {
        self.bytes + self.text.len()
    }

    /// How many events were added.
    pub fn events(&self) -> usize {
        self.sizes.len()
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.sizes.is_empty()
    }

    /// Packs what was added.
    pub fn pack(&mut self) -> Pack {
        self.compress(FlushCompress::Sync);
        self.deflate.reset();
        self.bytes = 0;
        Pack {
            sizes: std::mem::take(&mut self.sizes),
            crc: std::mem::take(&mut self.crc).finalize(),
            deflated: std::mem::take(&mut self.deflated),
        }
    }

    /// Compresses what was added last.
    fn compress(&mut self, flush: FlushCompress) {
        let mut text = std::mem::take(&mut self.text);
        self.compress_text(&text, flush);
        text.clear();
        self.text = text;
    }

    fn compress_text(&mut self, text: &[u8], flush: FlushCompress) {
        self.crc.update(text);
        self.deflated.reserve(text.len() / 4 + 256);
        let before = self.deflate.total_in();
        loop {
            let consumed = usize::try_from(self.deflate.total_in() - before).unwrap_or(usize::MAX);
            let rest = text.get(consumed..).unwrap_or_default();
            // It is over when it leaves room: <https://zlib.net/manual.html>, `deflate`.
            let compressed = self.deflate.compress_vec(rest, &mut self.deflated, flush);
            let is_done = self.deflated.len() < self.deflated.capacity();
            match compressed {
                Ok(Status::Ok | Status::BufError | Status::StreamEnd) if is_done => break,
                Ok(_) => self.deflated.reserve(self.deflated.capacity().max(256)),
                // Only a stream that has ended refuses, and a piece never ends one.
                Err(_) => break,
            }
        }
        self.bytes += text.len();
    }
}

impl Pack {
    /// How many events there are.
    pub fn events(&self) -> usize {
        self.sizes.len()
    }

    /// How many bytes of JSON they are.
    pub fn raw_bytes(&self) -> usize {
        let commas = self.sizes.len().saturating_sub(1);
        self.sizes.iter().map(|size| *size as usize).sum::<usize>() + commas
    }

    /// How many bytes it takes to keep.
    pub fn bytes(&self) -> usize {
        self.deflated.len() + size_of_val(self.sizes.as_slice())
    }

    /// The events.
    ///
    /// # Errors
    /// When they are not those that were packed.
    pub fn unpack(&self) -> Result<Vec<Vec<u8>>, Damaged> {
        let damaged = || Damaged { events: self.events() };
        let length = self.raw_bytes();
        let mut text = Vec::with_capacity(length);
        let inflated = Decompress::new(false).decompress_vec(&self.deflated, &mut text, FlushDecompress::Sync);
        if inflated.is_err() || text.len() != length || crc32fast::hash(&text) != self.crc {
            return Err(damaged());
        }
        let mut rest = text.as_slice();
        let mut events = Vec::with_capacity(self.sizes.len());
        for size in &self.sizes {
            let (event, behind) = rest.split_at_checked(*size as usize).ok_or_else(damaged)?;
            events.push(event.to_vec());
            rest = behind.get(1..).unwrap_or_default();
        }
        Ok(events)
    }

    /// Two packs of half as many events each; one if there is only one event.
    ///
    /// # Errors
    /// When the events are not those that were packed.
    pub fn halves(&self, packer: &mut Packer) -> Result<Vec<Self>, Damaged> {
        let events = self.unpack()?;
        let halves = events.chunks(events.len().div_ceil(2).max(1));
        Ok(halves
            .map(|half| {
                half.iter().for_each(|event| packer.add(event));
                packer.pack()
            })
            .collect())
    }
}

/// The body of a request to `/batch/`, compressed: the packs' events as one batch.
pub fn batch_body(api_key: &str, sent_at: &str, packs: &[Pack]) -> Bytes {
    let key = serde_json::Value::from(api_key);
    let sent_at = serde_json::Value::from(sent_at);
    let head = format!("{{\"api_key\":{key},\"historical_migration\":false,\"sent_at\":{sent_at},\"batch\":[");
    let mut gzip = Gzip::with_capacity(head.len() + packs.iter().map(|pack| pack.deflated.len() + 16).sum::<usize>());
    gzip.store(head.as_bytes());
    for (at, pack) in packs.iter().enumerate() {
        if at > 0 {
            gzip.store(b",");
        }
        gzip.append(pack);
    }
    gzip.store(b"]}");
    gzip.finish()
}

/// A gzip stream that is being put together.
struct Gzip {
    out: Vec<u8>,
    crc: Hasher,
    length: u64,
}

impl Gzip {
    fn with_capacity(bytes: usize) -> Self {
        let mut out = Vec::with_capacity(GZIP_HEADER.len() + bytes + 64);
        out.extend_from_slice(&GZIP_HEADER);
        Self { out, crc: Hasher::new(), length: 0 }
    }

    fn store(&mut self, text: &[u8]) {
        for block in text.chunks(STORED_MAX) {
            let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
            self.out.push(0);
            self.out.extend_from_slice(&length.to_le_bytes());
            self.out.extend_from_slice(&(!length).to_le_bytes());
            self.out.extend_from_slice(block);
        }
        self.crc.update(text);
        self.length += text.len() as u64;
    }

    fn append(&mut self, pack: &Pack) {
        let length = pack.raw_bytes() as u64;
        self.out.extend_from_slice(&pack.deflated);
        self.crc.combine(&Hasher::new_with_initial_len(pack.crc, length));
        self.length += length;
    }

    fn finish(mut self) -> Bytes {
        // An empty stored block that says it is the last.
        self.out.extend_from_slice(&[1, 0, 0, 0xff, 0xff]);
        self.out.extend_from_slice(&self.crc.finalize().to_le_bytes());
        // Modulo 2^32, as the format has it.
        let [a, b, c, d, ..] = self.length.to_le_bytes();
        self.out.extend_from_slice(&[a, b, c, d]);
        self.out.into()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use std::io::Read as _;

    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::{Pack, Packer, batch_body};

    fn pack(packer: &mut Packer, events: &[Value]) -> Pack {
        events.iter().for_each(|event| packer.add(event.to_string().as_bytes()));
        packer.pack()
    }

    /// As any gzip library reads it, its checksums included.
    fn read(body: &[u8]) -> Value {
        let mut text = String::new();
        flate2::read::GzDecoder::new(body).read_to_string(&mut text).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn packs_put_behind_one_another_are_one_gzip_stream() {
        let mut packer = Packer::default();
        let first = pack(&mut packer, &[json!({"a": 1}), json!({"b": "ü\n"})]);
        let second = pack(&mut packer, &[json!({"c": [1, 2]})]);
        let body = batch_body("phc_\"x", "2026-11-24T00:00:00Z", &[first, second]);
        assert_eq!(
            read(&body),
            json!({
                "api_key": "phc_\"x",
                "historical_migration": false,
                "sent_at": "2026-11-24T00:00:00Z",
                "batch": [{"a": 1}, {"b": "ü\n"}, {"c": [1, 2]}],
            })
        );
    }

    #[test]
    fn a_batch_of_nothing_is_still_a_batch() {
        assert_eq!(read(&batch_body("k", "t", &[]))["batch"], json!([]));
    }

    #[test]
    fn half_of_one_event_is_that_event() {
        let mut packer = Packer::default();
        let one = pack(&mut packer, &[json!({"a": 1})]);
        assert_eq!(one.halves(&mut packer).unwrap(), [one]);
    }

    #[test]
    fn a_damaged_pack_is_found_out() {
        let mut packer = Packer::default();
        let good = pack(&mut packer, &[json!({"a": "a text that is long enough to be worth something"})]);
        for at in 0..good.deflated.len() {
            let mut bad = good.clone();
            bad.deflated[at] ^= 0x55;
            assert!(bad.unpack().is_err() || bad.unpack().unwrap() == good.unpack().unwrap(), "byte {at}");
        }
        let mut bad = good.clone();
        bad.sizes[0] += 1;
        bad.unpack().unwrap_err();
        bad.sizes = vec![1; 100];
        bad.unpack().unwrap_err();
    }

    #[test]
    fn events_that_lie_together_are_packed_like_single_ones() {
        let event = |at: usize| json!({"at": at, "said": "x".repeat(at % 700)}).to_string();
        let groups: Vec<Vec<String>> =
            [1, 2, 0, 3, 90, 1, 200, 2].iter().map(|events| (0..*events).map(event).collect()).collect();
        let (mut together, mut singly) = (Packer::default(), Packer::default());
        for group in &groups {
            let sizes: Vec<u32> = group.iter().map(|event| event.len() as u32).collect();
            together.add_all(group.join(",").as_bytes(), &sizes);
            group.iter().for_each(|event| singly.add(event.as_bytes()));
        }
        assert_eq!((together.events(), together.len()), (singly.events(), singly.len()));
        let (together, singly) = (together.pack(), singly.pack());
        assert_eq!((&together.sizes, together.crc), (&singly.sizes, singly.crc));
        assert_eq!(together.unpack().unwrap(), singly.unpack().unwrap());
    }

    #[test]
    fn what_cannot_be_compressed_is_packed_all_the_same() {
        let noise: String = (0..300_000).map(|_| fastrand::char('\u{20}'..'\u{2ff}')).collect();
        let mut packer = Packer::default();
        let event = json!({"noise": noise});
        let packed = pack(&mut packer, &[event.clone(), json!(1), event.clone()]);
        assert_eq!(read(&batch_body("k", "t", &[packed]))["batch"], json!([event, 1, event]));
    }

    proptest! {
        #[test]
        fn any_events_come_out_as_they_went_in(packs in proptest::collection::vec(proptest::collection::vec(".{0,200}", 1..6), 1..5)) {
            let mut packer = Packer::default();
            let packed: Vec<Pack> = packs
                .iter()
                .map(|texts| pack(&mut packer, &texts.iter().map(|text| json!({"text": text})).collect::<Vec<_>>()))
                .collect();
            let all: Vec<Value> = packs.iter().flatten().map(|text| json!({"text": text})).collect();
            prop_assert_eq!(&read(&batch_body("k", "t", &packed))["batch"], &Value::from(all));
            for (texts, packed) in packs.iter().zip(&packed) {
                let events: Vec<Value> =
                    packed.unpack().unwrap().iter().map(|event| serde_json::from_slice(event).unwrap()).collect();
                prop_assert_eq!(&events, &texts.iter().map(|text| json!({"text": text})).collect::<Vec<_>>());
                let again: Vec<Vec<u8>> = packed
                    .halves(&mut packer)
                    .unwrap()
                    .iter()
                    .flat_map(|half| half.unpack().unwrap())
                    .collect();
                prop_assert_eq!(again, packed.unpack().unwrap());
            }
        }
    }
}
