//! Where events wait on disk until PostHog has taken them: a SQLite file, of which each row holds a pack of events.
//!
//! A file belongs to one process while that runs: it is locked from its first look at it to its end, however that comes. A second
//! process with the same path takes `PATH.2`, a third `PATH.3`; what a process leaves behind in its file is sent by whichever
//! [finds](Spool::adopt) it. What was written is there after the process has died, not necessarily after the machine has.

use std::path::{Path, PathBuf};

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::result::Error as QueryError;
use diesel::sql_types::BigInt;
use diesel::sqlite::SqliteConnection;

use self::table::{About, Row, TABLE, TOTAL, Total, packs};
use crate::analytics::pack::Pack;
use crate::store::database::{SqliteFile, sqlite_uri};

mod table;

/// How many processes with one path have a file each.
const MOST_FILES: u32 = 16;

/// `llmg`: says whose file it is (<https://www.sqlite.org/pragma.html#pragma_application_id>).
const APPLICATION: i32 = 0x6c6c_6d67;

/// Goes up when the table changes.
const VERSION: i32 = 1;

/// An empty file that is larger than this many pages is made small again.
const ROOMY: i64 = 4096;

/// About how many bytes of JSON are taken over from another's file at once.
const PIECE: u64 = 8 << 20;

/// How many rows are looked at together.
const ROWS: i64 = 512;

/// A file of one's own.
pub struct Spool {
    connection: SqliteConnection,
    path: PathBuf,
    next_id: i64,
    depth: Depth,
    /// An ended process's file, while what is in it is taken over.
    orphan: Option<Box<Self>>,
}

/// What waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Events.
    pub events: u64,
    /// Their bytes of JSON.
    pub raw_bytes: u64,
    /// Their bytes as they are kept.
    pub bytes: u64,
    /// When the oldest was packed, in milliseconds since 1970.
    pub oldest_ms: Option<i64>,
}

/// A pack that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Rises from each pack to the next.
    pub id: i64,
    /// When it was packed, in milliseconds since 1970.
    pub packed_at_ms: i64,
    /// The events.
    pub pack: Pack,
}

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// Another process has it.
    #[error("it belongs to another process")]
    Taken,
    /// What is in it makes no sense.
    #[error("it is damaged: {0}")]
    Damaged(String),
    /// Somebody else's.
    #[error("it is another program's, or another version's; name another file with analytics.spool")]
    Foreign,
    /// The disk is full, or read-only, or gone.
    #[error("it cannot be used: {0}")]
    Unusable(String),
}

impl Spool {
    /// Opens the first file of that path that no other process has, and makes it if it is not there. A damaged one is set aside.
    ///
    /// # Errors
    /// When that file, or its folder, cannot be used.
    pub fn open(path: &Path) -> Result<Self, SpoolError> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(|error| SpoolError::Unusable(error.to_string()))?;
        }
        for file in files(path) {
            match Self::open_file(&file, SqliteFile::Made) {
                Err(SpoolError::Taken) => {}
                Err(SpoolError::Damaged(reason)) => {
                    set_aside(&file, &reason)?;
                    return Self::open_file(&file, SqliteFile::Made);
                }
                opened => return opened,
            }
        }
        Err(SpoolError::Taken)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What waits in it.
    pub fn depth(&self) -> Depth {
        self.depth
    }

    /// Adds packs, all or none.
    ///
    /// # Errors
    /// When they could not be written.
    pub fn append<'a>(&mut self, packs: impl IntoIterator<Item = (i64, &'a Pack)>) -> Result<(), SpoolError> {
        let (mut next_id, mut depth) = (self.next_id, self.depth);
        self.connection.transaction::<(), SpoolError, _>(|connection| {
            for (packed_at_ms, pack) in packs {
                let row = Row::of(next_id, packed_at_ms, pack);
                diesel::insert_into(packs::table).values(&row).execute(connection)?;
                depth.add(&row.about);
                next_id += 1;
            }
            Ok(())
        })?;
        (self.next_id, self.depth) = (next_id, depth);
        Ok(())
    }

    /// The oldest packs behind a certain one: at least one if there are any, and no more than so many events and bytes of JSON.
    ///
    /// # Errors
    /// When they could not be read.
    pub fn head(&mut self, behind: Option<i64>, events: u64, raw_bytes: u64) -> Result<Vec<Waiting>, SpoolError> {
        let about = self.about_behind(behind)?;
        let mut sum = Depth::default();
        let fitting = about.iter().take_while(|row| {
            sum.add(row);
            sum.events == row.events() || (sum.events <= events && sum.raw_bytes <= raw_bytes)
        });
        let ids: Vec<i64> = fitting.map(|row| row.id).collect();
        let (Some(first), Some(last)) = (ids.first(), ids.last()) else { return Ok(Vec::new()) };
        let rows: Vec<Row> = packs::table
            .filter(packs::id.between(first, last))
            .order(packs::id)
            .select(Row::as_select())
            .load(&mut self.connection)?;
        Ok(rows.into_iter().map(Waiting::from).collect())
    }

    /// Removes all packs up to and with this one.
    ///
    /// # Errors
    /// When that could not be written.
    pub fn remove_through(&mut self, id: i64) -> Result<(), SpoolError> {
        self.remove_between(None, id)?;
        if self.depth.events == 0 {
            self.shrink();
        }
        Ok(())
    }

    /// Removes the oldest packs behind a certain one, until so many bytes are free; returns how many events these were.
    ///
    /// # Errors
    /// When that could not be written.
    pub fn drop_oldest(&mut self, behind: Option<i64>, bytes: u64) -> Result<u64, SpoolError> {
        let mut dropped = Depth::default();
        while dropped.bytes < bytes {
            let about = self.about_behind(behind)?;
            let mut last = None;
            for row in about {
                if dropped.bytes >= bytes {
                    break;
                }
                dropped.add(&row);
                last = Some(row.id);
            }
            let Some(last) = last else { break };
            self.remove_between(behind, last)?;
        }
        Ok(dropped.events)
    }

    /// Removes the packs behind a certain one that were packed before then; returns how many events these were.
    ///
    /// # Errors
    /// When that could not be written.
    pub fn drop_before(&mut self, behind: Option<i64>, ms: i64) -> Result<u64, SpoolError> {
        if self.depth.oldest_ms.is_none_or(|oldest| oldest >= ms) {
            return Ok(0);
        }
        let before = self.depth.events;
        let old = packs::id.gt(behind.unwrap_or(0)).and(packs::packed_at.lt(ms));
        diesel::delete(packs::table.filter(old)).execute(&mut self.connection)?;
        self.count()?;
        Ok(before.saturating_sub(self.depth.events))
    }

    /// Takes over a piece of what ended processes left behind in other files of that path, as far as so many bytes are enough;
    /// returns how many events it has. While there is more of a file, it is kept open, and [`Self::is_adopting`].
    ///
    /// # Errors
    /// When one's own file cannot be written. What is wrong with another's is left to whoever opens it.
    pub fn adopt(&mut self, path: &Path, room: u64) -> Result<u64, SpoolError> {
        let Some(mut other) = self.orphan.take().or_else(|| self.find_orphan(path, room)) else { return Ok(0) };
        let Ok(waiting) = other.head(None, u64::MAX, PIECE) else { return Ok(0) };
        let bytes: u64 = waiting.iter().map(|one| one.pack.bytes() as u64).sum();
        let Some(last) = waiting.last().map(|one| one.id).filter(|_| bytes <= room) else { return Ok(0) };
        self.append(waiting.iter().map(|one| (one.packed_at_ms, &one.pack)))?;
        // What cannot be removed will be sent twice, and count once.
        if other.remove_through(last).is_ok() && other.depth.events > 0 {
            self.orphan = Some(other);
        }
        Ok(waiting.iter().map(|one| one.pack.events() as u64).sum())
    }

    /// Whether there is more to be taken over of a file.
    pub fn is_adopting(&self) -> bool {
        self.orphan.is_some()
    }

    /// A file that an ended process left behind, of no more than so many bytes.
    fn find_orphan(&self, path: &Path, room: u64) -> Option<Box<Self>> {
        files(path)
            .filter(|file| *file != self.path && file.exists())
            .filter_map(|file| Self::open_file(&file, SqliteFile::MustExist).ok())
            .find(|other| other.depth.bytes > 0 && other.depth.bytes <= room)
            .map(Box::new)
    }

    /// Has the file refuse to be read, as on a disk that is gone for a moment.
    #[cfg(test)]
    pub fn refuse_to_read(&mut self, refuse: bool) {
        let (from, to) = if refuse { ("packs", "gone") } else { ("gone", "packs") };
        let renamed = self.connection.batch_execute(&format!("ALTER TABLE {from} RENAME TO {to}"));
        assert!(renamed.is_ok(), "the table cannot be renamed");
    }

    /// Has the file refuse to be written, as on a disk that is read-only.
    #[cfg(test)]
    pub fn refuse_to_write(&mut self, refuse: bool) {
        let pragma = format!("PRAGMA query_only = {refuse}");
        assert!(self.connection.batch_execute(&pragma).is_ok(), "the setting is not known");
    }

    fn open_file(path: &Path, file: SqliteFile) -> Result<Self, SpoolError> {
        let mut connection = SqliteConnection::establish(&sqlite_uri(path, file))
            .map_err(|error| SpoolError::Unusable(error.to_string()))?;
        // The lock is taken by the first look, and kept. Large pages: a pack takes few.
        connection.batch_execute("PRAGMA busy_timeout = 0")?;
        is_new(&mut connection)?;
        connection.batch_execute(
            "PRAGMA page_size = 8192; PRAGMA locking_mode = EXCLUSIVE; \
             PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA journal_size_limit = 16777216;",
        )?;
        connection.batch_execute("BEGIN IMMEDIATE")?;
        let prepared = Self::prepare(&mut connection);
        connection.batch_execute(if prepared.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
        prepared?;
        let mut spool = Self { connection, path: path.to_owned(), next_id: 1, depth: Depth::default(), orphan: None };
        let last: Option<i64> = packs::table.select(diesel::dsl::max(packs::id)).first(&mut spool.connection)?;
        spool.next_id = last.unwrap_or(0) + 1;
        spool.count()?;
        Ok(spool)
    }

    fn prepare(connection: &mut SqliteConnection) -> Result<(), SpoolError> {
        if is_new(connection)? {
            connection.batch_execute(&format!(
                "{TABLE}; PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION};"
            ))?;
        }
        Ok(())
    }

    fn about_behind(&mut self, behind: Option<i64>) -> Result<Vec<About>, SpoolError> {
        let rows = packs::table
            .filter(packs::id.gt(behind.unwrap_or(0)))
            .order(packs::id)
            .limit(ROWS)
            .select(About::as_select())
            .load(&mut self.connection)?;
        Ok(rows)
    }

    fn remove_between(&mut self, behind: Option<i64>, last: i64) -> Result<(), SpoolError> {
        let (first, last) = (behind.unwrap_or(0), last);
        let removed: Total = diesel::sql_query(format!("{TOTAL} WHERE id > ? AND id <= ?"))
            .bind::<BigInt, _>(first)
            .bind::<BigInt, _>(last)
            .get_result(&mut self.connection)?;
        let ids = packs::id.gt(first).and(packs::id.le(last));
        diesel::delete(packs::table.filter(ids)).execute(&mut self.connection)?;
        let Depth { events, raw_bytes, bytes, .. } = removed.into();
        self.depth.events = self.depth.events.saturating_sub(events);
        self.depth.raw_bytes = self.depth.raw_bytes.saturating_sub(raw_bytes);
        self.depth.bytes = self.depth.bytes.saturating_sub(bytes);
        let oldest = packs::table.order(packs::id).select(packs::packed_at).first(&mut self.connection);
        self.depth.oldest_ms = oldest.optional()?;
        Ok(())
    }

    fn count(&mut self) -> Result<(), SpoolError> {
        let total: Total = diesel::sql_query(TOTAL).get_result(&mut self.connection)?;
        self.depth = total.into();
        Ok(())
    }

    /// Gives the disk back what a long wait took. A file that cannot be made smaller is as good.
    fn shrink(&mut self) {
        let pages = pragma(&mut self.connection, "(SELECT page_count FROM pragma_page_count)");
        if pages.is_ok_and(|pages| pages > ROOMY) {
            let _ = self.connection.batch_execute("VACUUM");
        }
    }
}

impl std::fmt::Debug for Spool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Spool").field("path", &self.path).field("depth", &self.depth).finish_non_exhaustive()
    }
}

impl Depth {
    fn add(&mut self, row: &About) {
        self.events += row.events();
        self.raw_bytes += row.raw_bytes();
        self.bytes += row.bytes();
        self.oldest_ms = Some(self.oldest_ms.map_or(row.packed_at, |oldest| oldest.min(row.packed_at)));
    }
}

impl From<QueryError> for SpoolError {
    fn from(error: QueryError) -> Self {
        // The driver has no kinds for these; the words are SQLite's own (`sqlite3ErrStr`).
        let words = error.to_string();
        if words.contains("database is locked") {
            Self::Taken
        } else if words.contains("file is not a database") || words.contains("malformed") {
            Self::Damaged(words)
        } else {
            Self::Unusable(words)
        }
    }
}

/// PATH, PATH.2, PATH.3, …
fn files(path: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let path = path.to_owned();
    (1..=MOST_FILES).map(move |number| match number {
        1 => path.clone(),
        _ => with_suffix(&path, &format!(".{number}")),
    })
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Renames a damaged file, and what SQLite keeps beside it, so that a new one can be made and somebody can look at the old.
pub fn set_aside(file: &Path, reason: &str) -> Result<(), SpoolError> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let aside = with_suffix(file, &format!(".damaged-{}", now.as_millis()));
    tracing::error!(
        spool.file = %file.display(),
        spool.set_aside = %aside.display(),
        error = reason,
        "the file in which events wait is damaged; it is set aside, and a new one begun"
    );
    for beside in ["-wal", "-shm"] {
        let there = with_suffix(file, beside);
        if there.exists() {
            let _ = std::fs::rename(there, with_suffix(&aside, beside));
        }
    }
    std::fs::rename(file, aside).map_err(|error| SpoolError::Unusable(error.to_string()))
}

/// Whether the file is to be made. One that is not ours is an error.
fn is_new(connection: &mut SqliteConnection) -> Result<bool, SpoolError> {
    if pragma(connection, "(SELECT count(*) FROM sqlite_schema)")? == 0 {
        return Ok(true);
    }
    let application = pragma(connection, "(SELECT application_id FROM pragma_application_id)")?;
    let version = pragma(connection, "(SELECT user_version FROM pragma_user_version)")?;
    let is_ours = application == i64::from(APPLICATION) && version == i64::from(VERSION);
    if is_ours { Ok(false) } else { Err(SpoolError::Foreign) }
}

fn pragma(connection: &mut SqliteConnection, value: &str) -> Result<i64, SpoolError> {
    Ok(diesel::select(diesel::dsl::sql::<BigInt>(value)).get_result(connection)?)
}

#[cfg(test)]
mod tests;
