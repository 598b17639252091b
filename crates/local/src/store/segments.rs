//! Rows of the files that runs' streams are in.

use rusqlite::params;

use super::{SqliteStore, StoreError, to_sql};
use crate::segment::Segment;

impl SqliteStore {
    /// The full files of a stream, in their order and without a gap.
    pub fn segments(&self, run: &str, stream: &str) -> Result<Vec<Segment>, StoreError> {
        let inner = self.inner();
        let mut statement = inner.connection.prepare_cached(
            "SELECT number, first, lines, bytes, digest FROM segment
             WHERE run = ?1 AND stream = ?2 ORDER BY number",
        )?;
        let rows = statement.query_map([run, stream], |row| {
            Ok(Segment {
                number: row.get(0)?,
                first: row.get::<_, i64>(1)?.unsigned_abs(),
                lines: row.get::<_, i64>(2)?.unsigned_abs(),
                bytes: row.get::<_, i64>(3)?.unsigned_abs(),
                digest: row.get(4)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Keeps the row of a file that is full; one that is there already stays as it is.
    pub fn add_segment(&self, run: &str, stream: &str, row: &Segment) -> Result<(), StoreError> {
        self.inner().connection.execute(
            "INSERT INTO segment (run, stream, number, first, lines, bytes, digest)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING",
            params![
                run,
                stream,
                row.number,
                to_sql(row.first),
                to_sql(row.lines),
                to_sql(row.bytes),
                row.digest
            ],
        )?;
        Ok(())
    }

    /// Forgets the rows of a run whose files are gone.
    pub fn forget_segments(&self, run: &str) -> Result<(), StoreError> {
        self.inner().connection.execute("DELETE FROM segment WHERE run = ?1", [run])?;
        Ok(())
    }
}
