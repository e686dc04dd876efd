#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::{FileState, Lost, Queue};
use crate::analytics::pack::{Pack, Packer};
use crate::config::analytics::{Analytics as Settings, WhenFull};
use crate::config::{Config, Mode};

/// What there is room for, in packs of [`pack`]'s size.
const ROOM: u64 = 10;

fn settings(spool: Option<&Path>, when_full: WhenFull) -> Settings {
    let mut settings = Config::load([], Mode::Tool).unwrap().config.analytics;
    settings.spool = spool.map(Path::to_owned);
    settings.spool_bytes = ROOM * pack("0").bytes() as u64;
    settings.buffer_bytes = usize::try_from(settings.spool_bytes).unwrap();
    settings.when_full = when_full;
    settings
}

/// One event with a name of one letter.
fn pack(name: &str) -> Pack {
    let mut packer = Packer::default();
    packer.add(name.as_bytes());
    packer.pack()
}

fn push(queue: &mut Queue, names: &str, now: Instant) -> Lost {
    queue.push(0, names.chars().map(|name| pack(&name.to_string())).collect(), now)
}

fn names(packs: &[Pack]) -> String {
    packs.iter().flat_map(|pack| pack.unpack().unwrap()).map(|event| String::from_utf8(event).unwrap()).collect()
}

/// Sends all that waits, one after the other.
fn drain(queue: &mut Queue, now: Instant) -> String {
    let (mut sent, mut lost) = (String::new(), Lost::default());
    while let Some((head, packs)) = queue.head(1, usize::MAX, now, &mut lost) {
        sent += &names(&packs);
        queue.done(&head, now, &mut lost);
    }
    assert_eq!(lost, Lost::default());
    sent
}

#[test]
fn packs_go_through_the_file_in_order() {
    let folder = TempDir::new().unwrap();
    let now = Instant::now();
    let mut queue = Queue::new(&settings(Some(&folder.path().join("spool.db")), WhenFull::DropOldest), now);
    push(&mut queue, "ab", now);
    push(&mut queue, "c", now);
    let (file, memory, state) = queue.depths();
    assert_eq!((file.events, memory.events, state), (3, 0, FileState::Good));
    assert_eq!(drain(&mut queue, now), "abc");
    assert_eq!(queue.depth().events, 0);
}

#[test]
fn what_was_put_back_is_sent_again_and_first() {
    let folder = TempDir::new().unwrap();
    let now = Instant::now();
    for spool in [None, Some(folder.path().join("spool.db"))] {
        let mut queue = Queue::new(&settings(spool.as_deref(), WhenFull::DropOldest), now);
        push(&mut queue, "ab", now);
        let (head, _) = queue.head(1, usize::MAX, now, &mut Lost::default()).unwrap();
        queue.put_back(&head);
        push(&mut queue, "c", now);
        assert_eq!(drain(&mut queue, now), "abc");
    }
}

#[test]
fn a_full_file_or_memory_loses_the_oldest_or_the_newest() {
    let now = Instant::now();
    for (when_full, left) in [(WhenFull::DropOldest, "cdefghijkl"), (WhenFull::DropNewest, "abcdefghij")] {
        let folder = TempDir::new().unwrap();
        for spool in [None, Some(folder.path().join("spool.db"))] {
            let mut queue = Queue::new(&settings(spool.as_deref(), when_full), now);
            assert_eq!(push(&mut queue, "abcdefgh", now), Lost::default());
            assert_eq!(push(&mut queue, "ijkl", now), Lost { no_room: 2, ..Lost::default() });
            assert_eq!(queue.depth().events, ROOM);
            assert_eq!(drain(&mut queue, now), left, "{when_full:?} {spool:?}");
        }
    }
}

#[test]
fn what_is_being_sent_is_not_dropped() {
    let now = Instant::now();
    let folder = TempDir::new().unwrap();
    for spool in [None, Some(folder.path().join("spool.db"))] {
        let mut queue = Queue::new(&settings(spool.as_deref(), WhenFull::DropOldest), now);
        push(&mut queue, "abcdefghij", now);
        let mut lost = Lost::default();
        let (head, _) = queue.head(2, usize::MAX, now, &mut lost).unwrap();
        push(&mut queue, "kl", now);
        queue.done(&head, now, &mut lost);
        let rest = drain(&mut queue, now);
        assert!(rest == "efghijkl" || rest == "cdefghij", "{rest}");
    }
}

#[test]
fn without_a_file_packs_wait_in_memory_and_are_written_when_there_is_one() {
    let folder = TempDir::new().unwrap();
    let blocked = folder.path().join("blocked");
    std::fs::write(&blocked, "a file where a folder should be").unwrap();
    let mut now = Instant::now();
    let mut queue = Queue::new(&settings(Some(&blocked.join("spool.db")), WhenFull::DropOldest), now);
    assert_eq!(push(&mut queue, "ab", now), Lost::default());
    let (file, memory, state) = queue.depths();
    assert_eq!((file.events, memory.events, state), (0, 2, FileState::Troubled));
    let (head, packs) = queue.head(1, usize::MAX, now, &mut Lost::default()).unwrap();
    queue.done(&head, now, &mut Lost::default());
    assert_eq!(names(&packs), "a", "they are sent from memory");

    std::fs::remove_file(&blocked).unwrap();
    now += Duration::from_secs(60);
    queue.tidy(now, 0);
    let (file, memory, state) = queue.depths();
    assert_eq!((file.events, memory.events, state), (1, 0, FileState::Good));
    push(&mut queue, "c", now);
    assert_eq!(drain(&mut queue, now), "bc");
}

#[test]
fn the_next_process_sends_what_the_last_one_left() {
    let folder = TempDir::new().unwrap();
    let now = Instant::now();
    let settings = settings(Some(&folder.path().join("spool.db")), WhenFull::DropOldest);
    let mut queue = Queue::new(&settings, now);
    push(&mut queue, "abc", now);
    let (head, _) = queue.head(1, usize::MAX, now, &mut Lost::default()).unwrap();
    queue.done(&head, now, &mut Lost::default());
    assert_eq!(queue.close(now), 0);
    let mut queue = Queue::new(&settings, now);
    queue.tidy(now, 0);
    assert_eq!(drain(&mut queue, now), "bc");
}

#[test]
fn without_a_file_the_end_says_what_is_lost() {
    let now = Instant::now();
    let mut queue = Queue::new(&settings(None, WhenFull::DropOldest), now);
    push(&mut queue, "abc", now);
    assert_eq!(queue.close(now), 3);
}

#[test]
fn what_waited_too_long_is_dropped() {
    let now = Instant::now();
    let folder = TempDir::new().unwrap();
    for spool in [None, Some(folder.path().join("spool.db"))] {
        let settings = settings(spool.as_deref(), WhenFull::DropOldest);
        let age = i64::try_from(settings.spool_age.as_millis()).unwrap();
        let mut queue = Queue::new(&settings, now);
        queue.push(10, vec![pack("a")], now);
        queue.push(20, vec![pack("b")], now);
        assert_eq!(queue.tidy(now, age + 20), Lost { too_old: 1, ..Lost::default() });
        assert_eq!(drain(&mut queue, now), "b");
    }
}

#[test]
fn what_was_sent_is_not_sent_again_although_it_could_not_be_removed() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("spool.db");
    let mut now = Instant::now();
    let mut queue = Queue::new(&settings(Some(&path), WhenFull::DropOldest), now);
    push(&mut queue, "ab", now);
    queue.file.as_mut().unwrap().refuse_to_write(true);
    let mut lost = Lost::default();
    let (head, _) = queue.head(1, usize::MAX, now, &mut lost).unwrap();
    queue.done(&head, now, &mut lost);
    assert_eq!(queue.depths().2, FileState::Troubled);
    assert_eq!(push(&mut queue, "c", now), Lost::default());
    assert_eq!(queue.depths().1.events, 1, "it waits in memory");
    let (second, packs) = queue.head(1, usize::MAX, now, &mut lost).unwrap();
    assert_eq!(names(&packs), "b");
    queue.put_back(&second);

    queue.file.as_mut().unwrap().refuse_to_write(false);
    now += Duration::from_secs(60);
    assert_eq!(queue.tidy(now, 0), Lost::default());
    let (file, memory, state) = queue.depths();
    assert_eq!((file.events, memory.events, state), (2, 0, FileState::Good));
    assert_eq!(drain(&mut queue, now), "bc");
}

#[test]
fn what_was_sent_of_a_file_that_was_set_aside_takes_nothing_out_of_the_new_one() {
    let folder = TempDir::new().unwrap();
    let now = Instant::now();
    let mut queue = Queue::new(&settings(Some(&folder.path().join("spool.db")), WhenFull::DropOldest), now);
    push(&mut queue, "abc", now);
    let mut lost = Lost::default();
    let (head, packs) = queue.head(3, usize::MAX, now, &mut lost).unwrap();
    assert_eq!(names(&packs), "abc");
    queue.failed(&crate::store::spool::SpoolError::Damaged("malformed".into()), now, &mut lost);
    push(&mut queue, "de", now);
    queue.done(&head, now, &mut lost);
    assert_eq!(drain(&mut queue, now), "de");
}

#[test]
fn what_is_newer_waits_behind_a_file_that_cannot_be_read_for_a_while() {
    let folder = TempDir::new().unwrap();
    let mut now = Instant::now();
    let mut queue = Queue::new(&settings(Some(&folder.path().join("spool.db")), WhenFull::DropOldest), now);
    push(&mut queue, "ab", now);
    queue.file.as_mut().unwrap().refuse_to_read(true);
    assert_eq!(push(&mut queue, "cd", now), Lost::default());
    let mut lost = Lost::default();
    assert!(queue.head(9, usize::MAX, now, &mut lost).is_none(), "c is not sent before a");
    queue.file.as_mut().unwrap().refuse_to_read(false);
    now += Duration::from_secs(20);
    assert_eq!(drain(&mut queue, now), "abcd");

    push(&mut queue, "ef", now);
    queue.file.as_mut().unwrap().refuse_to_read(true);
    push(&mut queue, "g", now);
    assert!(queue.head(9, usize::MAX, now, &mut lost).is_none());
    now += Duration::from_secs(61);
    let (head, packs) = queue.head(9, usize::MAX, now, &mut lost).unwrap();
    assert_eq!(names(&packs), "g", "it does not wait for ever");
    queue.done(&head, now, &mut lost);
    queue.file.as_mut().unwrap().refuse_to_read(false);
    now += Duration::from_secs(60);
    assert_eq!(drain(&mut queue, now), "ef");
    assert_eq!(lost, Lost::default());
}

#[test]
fn what_waits_in_memory_beside_an_empty_file_is_sent_although_that_cannot_be_read() {
    let folder = TempDir::new().unwrap();
    let now = Instant::now();
    let mut queue = Queue::new(&settings(Some(&folder.path().join("spool.db")), WhenFull::DropOldest), now);
    push(&mut queue, "a", now);
    assert_eq!(drain(&mut queue, now), "a");
    queue.file.as_mut().unwrap().refuse_to_read(true);
    push(&mut queue, "b", now);
    let (_, packs) = queue.head(9, usize::MAX, now, &mut Lost::default()).unwrap();
    assert_eq!(names(&packs), "b");
}

#[test]
fn a_file_that_is_damaged_while_it_is_used_is_set_aside() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("spool.db");
    let now = Instant::now();
    let mut queue = Queue::new(&settings(Some(&path), WhenFull::DropOldest), now);
    push(&mut queue, "abc", now);
    let mut lost = Lost::default();
    queue.failed(&crate::store::spool::SpoolError::Damaged("malformed".into()), now, &mut lost);
    assert_eq!(lost, Lost { unreadable: 3, ..Lost::default() });
    push(&mut queue, "d", now);
    assert_eq!(drain(&mut queue, now), "d");
    let names = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(names.into_iter().any(|name| name.to_string_lossy().contains(".damaged-")));
}
