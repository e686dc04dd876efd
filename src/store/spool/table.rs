//! The table of the spool's file, and its rows.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable};

use super::{Depth, Waiting};
use crate::analytics::pack::Pack;

diesel::table! {
    packs (id) {
        id -> BigInt,
        packed_at -> BigInt,
        events -> BigInt,
        raw_bytes -> BigInt,
        bytes -> BigInt,
        crc -> BigInt,
        sizes -> Binary,
        deflated -> Binary,
    }
}

pub(super) const TABLE: &str = "CREATE TABLE packs (
    id INTEGER PRIMARY KEY,
    packed_at INTEGER NOT NULL,
    events INTEGER NOT NULL,
    raw_bytes INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    crc INTEGER NOT NULL,
    sizes BLOB NOT NULL,
    deflated BLOB NOT NULL
)";

pub(super) const TOTAL: &str = "SELECT coalesce(sum(events), 0) AS events, coalesce(sum(raw_bytes), 0) AS raw_bytes, \
     coalesce(sum(bytes), 0) AS bytes, min(packed_at) AS oldest_ms FROM packs";

#[derive(QueryableByName)]
pub(super) struct Total {
    #[diesel(sql_type = BigInt)]
    events: i64,
    #[diesel(sql_type = BigInt)]
    raw_bytes: i64,
    #[diesel(sql_type = BigInt)]
    bytes: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    oldest_ms: Option<i64>,
}

impl From<Total> for Depth {
    fn from(total: Total) -> Self {
        Self {
            events: unsigned(total.events),
            raw_bytes: unsigned(total.raw_bytes),
            bytes: unsigned(total.bytes),
            oldest_ms: total.oldest_ms,
        }
    }
}

/// A row without its events.
#[derive(Insertable, Queryable, Selectable)]
#[diesel(table_name = packs)]
pub(super) struct About {
    pub(super) id: i64,
    pub(super) packed_at: i64,
    events: i64,
    raw_bytes: i64,
    bytes: i64,
}

#[derive(Insertable, Queryable, Selectable)]
#[diesel(table_name = packs)]
pub(super) struct Row {
    #[diesel(embed)]
    pub(super) about: About,
    crc: i64,
    sizes: Vec<u8>,
    deflated: Vec<u8>,
}

impl About {
    pub(super) fn events(&self) -> u64 {
        unsigned(self.events)
    }

    pub(super) fn raw_bytes(&self) -> u64 {
        unsigned(self.raw_bytes)
    }

    pub(super) fn bytes(&self) -> u64 {
        unsigned(self.bytes)
    }
}

impl Row {
    pub(super) fn of(id: i64, packed_at: i64, pack: &Pack) -> Self {
        let about = About {
            id,
            packed_at,
            events: signed(pack.events()),
            raw_bytes: signed(pack.raw_bytes()),
            bytes: signed(pack.bytes()),
        };
        let sizes = pack.sizes.iter().flat_map(|size| size.to_le_bytes()).collect();
        Self { about, crc: pack.crc.into(), sizes, deflated: pack.deflated.clone() }
    }
}

impl From<Row> for Waiting {
    fn from(row: Row) -> Self {
        let (sizes, _) = row.sizes.as_chunks();
        let pack = Pack {
            sizes: sizes.iter().map(|size| u32::from_le_bytes(*size)).collect(),
            // Out of range, it is no checksum of the events, and they are found to be damaged.
            crc: u32::try_from(row.crc).unwrap_or_default(),
            deflated: row.deflated,
        };
        Self { id: row.about.id, packed_at_ms: row.about.packed_at, pack }
    }
}

fn signed(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}
