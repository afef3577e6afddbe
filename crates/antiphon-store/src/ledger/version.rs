//! Which release a ledger is of, although one flipped bit in the file's header may say something else.

use rusqlite::Connection;

use super::{meta::read_meta, schema, writer};

/// Key of the note that says the version once more.
const VERSION_NOTE: &str = "version";

/// Why a ledger cannot be opened.
pub(super) enum OpenError {
    Newer(i64),
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for OpenError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// Refuses a newer ledger. A version that the note beside it denies is a flipped bit, and is put right: the note has a
/// checksum.
pub(super) fn settle(connection: &Connection) -> Result<(), OpenError> {
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    // the tables of a newer ledger may be others: what cannot be read there is no note
    let noted: Option<i64> = read_meta(connection, VERSION_NOTE)
        .ok()
        .flatten()
        .and_then(|version| version.parse().ok());
    if version > schema::VERSION {
        if noted.is_none_or(|noted| noted > schema::VERSION) {
            return Err(OpenError::Newer(version));
        }
        connection.pragma_update(None, "user_version", schema::VERSION)?;
    }
    if noted != Some(schema::VERSION) {
        writer::set_meta(connection, VERSION_NOTE, &schema::VERSION.to_string())?;
    }
    Ok(())
}
