//! Connections to a SQLite file.

use std::path::PathBuf;
use std::time::Duration;

use diesel::ConnectionError;
use diesel::sqlite::SqliteConnection;
use diesel_async::sync_connection_wrapper::SyncConnectionWrapper;
use diesel_async::{AsyncConnection as _, SimpleAsyncConnection as _};

/// A connection whose questions run on threads of their own.
pub(in crate::store) type SqliteLink = SyncConnectionWrapper<SqliteConnection>;

/// A connection to a file that is there.
pub(super) async fn connect_sqlite(path: PathBuf, busy: Duration) -> Result<SqliteLink, ConnectionError> {
    let mut connection = SqliteLink::establish(&sqlite_uri(&path, SqliteFile::MustExist)).await?;
    connection.batch_execute(&sqlite_setup(busy)).await.map_err(ConnectionError::CouldntSetupConfiguration)?;
    Ok(connection)
}

/// Whether a SQLite file is made when it is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum SqliteFile {
    MustExist,
    Made,
}

/// SQLite's own way to name a file: <https://www.sqlite.org/uri.html>.
pub(in crate::store) fn sqlite_uri(path: &std::path::Path, file: SqliteFile) -> String {
    let mode = match file {
        SqliteFile::MustExist => "rw",
        SqliteFile::Made => "rwc",
    };
    let path = path.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    format!("file:{path}?mode={mode}")
}

/// What each SQLite connection is told first: the setting belongs to the connection, not to the file.
pub(in crate::store) fn sqlite_setup(busy: Duration) -> String {
    format!("PRAGMA busy_timeout = {}; PRAGMA foreign_keys = ON;", busy.as_millis())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{SqliteFile, sqlite_uri};

    #[test]
    fn odd_paths_survive_sqlites_uris() {
        assert_eq!(sqlite_uri(Path::new("/a b/50%?#.db"), SqliteFile::MustExist), "file:/a b/50%25%3f%23.db?mode=rw");
        assert_eq!(sqlite_uri(Path::new("a.db"), SqliteFile::Made), "file:a.db?mode=rwc");
    }
}
