#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;
use tempfile::TempDir;

use super::{Depth, Spool, SpoolError};
use crate::analytics::pack::{Pack, Packer};

fn pack(events: &[&str]) -> Pack {
    let mut packer = Packer::default();
    events.iter().for_each(|event| packer.add(event.as_bytes()));
    packer.pack()
}

/// One event that takes so many bytes, and is never read.
fn large(bytes: usize) -> Pack {
    Pack { sizes: vec![1], crc: 0, deflated: vec![7; bytes] }
}

fn events(spool: &mut Spool) -> Vec<String> {
    let waiting = spool.head(None, u64::MAX, u64::MAX).unwrap();
    waiting.iter().flat_map(|one| one.pack.unpack().unwrap()).map(|event| String::from_utf8(event).unwrap()).collect()
}

fn append(spool: &mut Spool, at_ms: i64, events: &[&str]) {
    spool.append([(at_ms, &pack(events))]).unwrap();
}

#[test]
fn packs_wait_in_order_until_they_are_removed() {
    let folder = TempDir::new().unwrap();
    let mut spool = Spool::open(&folder.path().join("deep/spool.db")).unwrap();
    append(&mut spool, 10, &["1", "2"]);
    append(&mut spool, 20, &["3"]);
    assert_eq!((spool.depth().events, spool.depth().oldest_ms), (3, Some(10)));
    let head = spool.head(None, 2, u64::MAX).unwrap();
    assert_eq!(head.iter().map(|one| one.packed_at_ms).collect::<Vec<_>>(), [10]);
    spool.remove_through(head[0].id).unwrap();
    assert_eq!(events(&mut spool), ["3"]);
    assert_eq!(spool.depth().oldest_ms, Some(20));
}

#[test]
fn a_head_has_one_pack_at_least_and_no_more_than_asked_for() {
    let folder = TempDir::new().unwrap();
    let mut spool = Spool::open(&folder.path().join("spool.db")).unwrap();
    for at in 0..4 {
        append(&mut spool, at, &["11", "22"]);
    }
    let mut count = |events, bytes| spool.head(None, events, bytes).unwrap().len();
    assert_eq!(count(1, 1), 1);
    assert_eq!(count(4, 1000), 2);
    assert_eq!(count(5, 1000), 2);
    assert_eq!(count(100, 15), 3);
    assert_eq!(count(100, 1000), 4);
    let second = spool.head(None, 1, 1).unwrap()[0].id + 1;
    assert_eq!(spool.head(Some(second), 100, 1000).unwrap().len(), 2);
}

#[test]
fn what_was_written_is_there_for_the_next_process() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("spool.db");
    let mut spool = Spool::open(&path).unwrap();
    append(&mut spool, 10, &["1", "2"]);
    let depth = spool.depth();
    drop(spool);
    let mut spool = Spool::open(&path).unwrap();
    assert_eq!(spool.depth(), depth);
    append(&mut spool, 20, &["3"]);
    assert_eq!(events(&mut spool), ["1", "2", "3"]);
}

#[test]
fn an_id_is_not_given_twice_within_a_process() {
    let folder = TempDir::new().unwrap();
    let mut spool = Spool::open(&folder.path().join("spool.db")).unwrap();
    append(&mut spool, 1, &["1"]);
    let first = spool.head(None, 1, 1).unwrap()[0].id;
    spool.remove_through(first).unwrap();
    append(&mut spool, 2, &["2"]);
    assert!(spool.head(None, 1, 1).unwrap()[0].id > first);
}

#[test]
fn a_second_process_has_a_file_of_its_own_and_adopts_what_the_first_left() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("spool.db");
    let mut first = Spool::open(&path).unwrap();
    let mut second = Spool::open(&path).unwrap();
    assert_ne!(first.path(), second.path());
    append(&mut first, 10, &["1", "2"]);
    append(&mut second, 20, &["3"]);
    assert_eq!(second.adopt(&path, u64::MAX).unwrap(), 0, "the first is at work");
    drop(first);
    assert_eq!(second.adopt(&path, 3).unwrap(), 0, "there is no room");
    assert_eq!(second.adopt(&path, u64::MAX).unwrap(), 2);
    assert_eq!(second.adopt(&path, u64::MAX).unwrap(), 0, "once");
    assert_eq!(events(&mut second), ["3", "1", "2"]);
    assert_eq!(second.depth().oldest_ms, Some(10));
    drop(second);
    let mut third = Spool::open(&path).unwrap();
    assert_eq!((third.path(), third.depth()), (path.as_path(), Depth::default()));
    assert_eq!(third.adopt(&path, u64::MAX).unwrap(), 3);
}

#[test]
fn a_large_file_is_taken_over_piece_by_piece_and_others_are_written_in_between() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("spool.db");
    let mut first = Spool::open(&path).unwrap();
    let mut second = Spool::open(&path).unwrap();
    // As if they were long: five of them are more than a piece.
    let long = |name: &str| Pack { sizes: vec![3 << 20], ..pack(&[name]) };
    for (at, name) in (0..).zip(["a", "b", "c", "d", "e"]) {
        first.append([(at, &long(name))]).unwrap();
    }
    drop(first);
    assert_eq!(second.adopt(&path, u64::MAX).unwrap(), 2);
    assert!(second.is_adopting());
    append(&mut second, 20, &["new"]);
    assert_eq!(second.depth().events, 3);
    let mut adopted = 2;
    while second.is_adopting() {
        adopted += second.adopt(&path, u64::MAX).unwrap();
    }
    assert_eq!((adopted, second.depth().events), (5, 6));
    let at: Vec<i64> = second.head(None, 100, u64::MAX).unwrap().iter().map(|one| one.packed_at_ms).collect();
    assert_eq!(at, [0, 1, 20, 2, 3, 4]);
}

#[test]
fn what_could_not_be_written_stays_with_the_file_that_is_taken_over() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("spool.db");
    let mut first = Spool::open(&path).unwrap();
    let mut second = Spool::open(&path).unwrap();
    append(&mut first, 10, &["1", "2"]);
    drop(first);
    second.refuse_to_write(true);
    assert!(second.adopt(&path, u64::MAX).is_err() && !second.is_adopting());
    second.refuse_to_write(false);
    assert_eq!(second.adopt(&path, u64::MAX).unwrap(), 2);
}

#[test]
fn the_oldest_go_first_and_those_under_way_do_not() {
    let folder = TempDir::new().unwrap();
    let mut spool = Spool::open(&folder.path().join("spool.db")).unwrap();
    for (at, event) in ["1", "2", "3", "4"].iter().enumerate() {
        append(&mut spool, i64::try_from(at).unwrap(), &[event]);
    }
    let under_way = spool.head(None, 1, 1).unwrap()[0].id;
    let each = spool.depth().bytes / 4;
    assert_eq!(spool.drop_oldest(Some(under_way), each + 1).unwrap(), 2);
    assert_eq!(events(&mut spool), ["1", "4"]);
    assert_eq!(spool.drop_before(Some(under_way), 100).unwrap(), 1);
    assert_eq!(spool.drop_before(None, 0).unwrap(), 0);
    assert_eq!(spool.drop_oldest(None, u64::MAX).unwrap(), 1);
    assert_eq!(spool.depth(), Depth::default());
}

#[test]
fn a_damaged_file_is_set_aside_and_a_new_one_begun() {
    for damage in [b"not a database at all, but long enough to be taken for one".repeat(400), vec![0x53; 10]] {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("spool.db");
        std::fs::write(&path, &damage).unwrap();
        let mut spool = Spool::open(&path).unwrap();
        append(&mut spool, 1, &["1"]);
        let names: Vec<String> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        let aside = names.iter().find(|name| name.contains(".damaged-")).unwrap_or_else(|| unreachable!("{names:?}"));
        assert_eq!(std::fs::read(folder.path().join(aside)).unwrap(), damage);
    }
}

#[test]
fn a_file_cut_in_half_is_damaged() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("spool.db");
    let mut spool = Spool::open(&path).unwrap();
    for at in 0..20 {
        spool.append([(at, &large(50_000))]).unwrap();
    }
    drop(spool);
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    file.set_len(file.metadata().unwrap().len() / 2).unwrap();
    let mut spool = Spool::open(&path).unwrap();
    assert_eq!(spool.depth(), Depth::default());
    append(&mut spool, 1, &["1"]);
    assert_eq!(events(&mut spool), ["1"]);
}

#[test]
fn anothers_database_is_left_alone() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("gateway.db");
    let mut other = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
    other.batch_execute("CREATE TABLE posthog_user (id INTEGER)").unwrap();
    drop(other);
    assert!(matches!(Spool::open(&path).unwrap_err(), SpoolError::Foreign));
    let mut other = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
    other.batch_execute("INSERT INTO posthog_user VALUES (1)").unwrap();
}

#[test]
fn a_folder_that_cannot_be_written_is_an_error_that_says_so() {
    let unusable = Spool::open(Path::new("/proc/nowhere/spool.db")).unwrap_err();
    assert!(matches!(unusable, SpoolError::Unusable(_)), "{unusable}");
}

#[test]
fn a_full_disk_is_an_error_and_room_helps() {
    let folder = TempDir::new().unwrap();
    let mut spool = Spool::open(&folder.path().join("spool.db")).unwrap();
    spool.connection.batch_execute("PRAGMA max_page_count = 20").unwrap();
    let mut written = 0;
    let full = loop {
        match spool.append([(0, &large(40_000))]) {
            Ok(()) => written += 1,
            Err(error) => break error,
        }
        assert!(written < 100);
    };
    assert!(matches!(full, SpoolError::Unusable(_)), "{full}");
    assert_eq!(spool.depth().events, written);
    let first = spool.head(None, 1, 1).unwrap()[0].id;
    spool.remove_through(first).unwrap();
    spool.append([(0, &large(40_000))]).unwrap();
    assert_eq!(spool.depth().events, written);
}

#[test]
fn an_empty_file_gives_the_disk_back() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("spool.db");
    let mut spool = Spool::open(&path).unwrap();
    spool.append([(0, &large(64 << 20))]).unwrap();
    let last = spool.head(None, u64::MAX, u64::MAX).unwrap().last().unwrap().id;
    spool.remove_through(last).unwrap();
    drop(spool);
    assert!(std::fs::metadata(&path).unwrap().len() < 1 << 20);
}
