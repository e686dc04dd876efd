//! What the calls' threads hand in.

use std::cell::RefCell;
use std::sync::{Mutex, PoisonError};

use thread_local::ThreadLocal;

use super::desk::survives;
use super::returns::Home;
use crate::analytics::event::Writer;
use crate::analytics::generation::{Content, Generation};
use crate::analytics::warning::LimitWarning;

/// So much text is handed over in one piece: few enough bytes to be in a cache still when they are compressed.
const PIECE: usize = 32 * 1024;

/// The most pieces that are kept to be filled again.
const SPARE: usize = 32;

/// What there is to be told.
#[derive(Debug)]
pub(super) enum Entry {
    /// Events as they are sent.
    Written(Piece),
    /// A call whose event is to be written. Large, and moved several times.
    Call(Box<Generation>, Home),
    /// A limit is nearly used up.
    Warning(LimitWarning),
}

/// Some events, with commas between them.
#[derive(Debug, Default)]
pub(super) struct Piece {
    pub(super) text: Vec<u8>,
    /// How long each event is.
    pub(super) sizes: Vec<u32>,
}

/// Where calls' threads write.
#[derive(Debug, Default)]
pub(super) struct Scribes {
    /// Each thread's own.
    writers: ThreadLocal<RefCell<Writer>>,
    /// Pieces that are done with.
    spare: Mutex<Vec<Piece>>,
}

impl Entry {
    /// How many bytes are held for it, about.
    pub(super) fn held_bytes(&self) -> usize {
        match self {
            Self::Written(piece) => piece.held_bytes(),
            Self::Call(generation, _) => generation.held_bytes(),
            Self::Warning(warning) => warning.held_bytes(),
        }
    }

    /// How many events it is.
    pub(super) fn events(&self) -> usize {
        match self {
            Self::Written(piece) => piece.sizes.len(),
            Self::Call(..) | Self::Warning(_) => 1,
        }
    }
}

impl Piece {
    /// How many bytes are held for an event in it, its comma included.
    pub(super) fn held_for(event: &[u8]) -> usize {
        event.len() + 1
    }

    fn held_bytes(&self) -> usize {
        self.text.len() + 1
    }

    fn add(&mut self, event: &[u8]) {
        if !self.sizes.is_empty() {
            self.text.push(b',');
        }
        self.text.extend_from_slice(event);
        self.sizes.push(u32::try_from(event.len()).unwrap_or(u32::MAX));
    }

    fn has_room_for(&self, event: &[u8]) -> bool {
        self.text.len() + event.len() < PIECE
    }
}

impl Scribes {
    /// Whether a call's event is to be written where it ends, while all that it is made of is in that processor's cache. With what
    /// was said in the call it may be large, and many of them are written faster one after another. A thread that unwinds is not
    /// to come across another mistake.
    pub(super) fn take(generation: &Generation) -> bool {
        match generation.content {
            Content::Held { .. } => false,
            Content::Metadata | Content::Private => !std::thread::panicking(),
        }
    }

    /// Writes a call's event, and hands it on. Whether there was no mistake of ours in that.
    pub(super) fn write(&self, generation: &Generation, hand_on: impl FnOnce(&[u8])) -> bool {
        let mut writer = self.writers.get_or_default().borrow_mut();
        let is_written = survives(|| hand_on(writer.event(generation)));
        if !is_written {
            *writer = Writer::default();
        }
        is_written
    }

    /// Puts an event behind what waits already.
    pub(super) fn append(&self, waiting: &mut Vec<Entry>, event: &[u8]) {
        match waiting.last_mut() {
            Some(Entry::Written(piece)) if piece.has_room_for(event) => piece.add(event),
            Some(_) | None => {
                let mut piece = self.spare().pop().unwrap_or_default();
                piece.add(event);
                waiting.push(Entry::Written(piece));
            }
        }
    }

    /// Keeps a piece to be filled again.
    pub(super) fn give_back(&self, Piece { mut text, mut sizes }: Piece) {
        text.clear();
        sizes.clear();
        let mut spare = self.spare();
        if spare.len() < SPARE && text.capacity() <= 2 * PIECE {
            spare.push(Piece { text, sizes });
        }
    }

    fn spare(&self) -> std::sync::MutexGuard<'_, Vec<Piece>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::{Entry, PIECE, Piece, Scribes};

    fn pieces(waiting: &[Entry]) -> Vec<(&[u8], &[u32])> {
        waiting
            .iter()
            .filter_map(|entry| match entry {
                Entry::Written(piece) => Some((&*piece.text, &*piece.sizes)),
                Entry::Call(..) | Entry::Warning(_) => None,
            })
            .collect()
    }

    #[test]
    fn events_lie_in_one_piece_until_it_is_full() {
        let scribes = Scribes::default();
        let mut waiting = Vec::new();
        let large = vec![b'x'; PIECE - 6];
        for event in [b"{1}".as_slice(), b"{22}", &large, b"{3}"] {
            scribes.append(&mut waiting, event);
        }
        let held = [b"{1}".as_slice(), b"{22}", &large, b"{3}"].into_iter().map(Piece::held_for).sum::<usize>();
        assert_eq!(waiting.iter().map(Entry::held_bytes).sum::<usize>(), held);
        let expected: [(&[u8], &[u32]); 2] =
            [(b"{1},{22}", &[3, 4]), (&[&*large, b",{3}"].concat(), &[PIECE as u32 - 6, 3])];
        assert_eq!(pieces(&waiting), expected);
    }

    #[test]
    fn a_piece_that_is_filled_again_has_nothing_of_what_was_in_it() {
        let scribes = Scribes::default();
        scribes.give_back(Piece { text: b"{1}".to_vec(), sizes: vec![3] });
        let mut waiting = Vec::new();
        scribes.append(&mut waiting, b"{2}");
        assert_eq!(pieces(&waiting), [(b"{2}".as_slice(), [3].as_slice())]);
        assert!(scribes.spare().is_empty());
    }
}
