//! A station that was restored has lost the end of its ledger: what this phone had there waits for a verdict once more. Knows nothing of
//! requests and replies.

use beatbook_protocol::id::IncarnationId;

use super::records::Records;
use super::{StoreError, pages};

/// Own entries whose pages were on leaves from `?1` on.
const LOST: &str = "status = 0 AND leaf >= ?1 AND entry IN (
    SELECT o.entry FROM page p JOIN page_entry e ON e.life = p.life AND e.sequence = p.sequence JOIN outbox o ON o.n = e.n
    WHERE p.state = 'answered' AND p.leaf >= ?1)";

impl Records<'_> {
    /// The station's ledger has lost all from `size` on: own pages from there are sent again, as they were, and their entries are
    /// pending, since the station may decide otherwise now. What others wrote there is to be given back.
    pub(crate) fn send_again_from(&mut self, size: u64, fresh: IncarnationId) -> Result<(), StoreError> {
        let size = size.cast_signed();
        // A snapshot cannot give a change back: it is made anew once the verdict is there.
        let folded: Vec<([u8; 16], u8)> = self
            .tx
            .prepare(&format!(
                "SELECT DISTINCT record, document FROM change WHERE folded = 1 AND {LOST}"
            ))?
            .query_map([size], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        for document in folded {
            self.tx
                .execute("DELETE FROM snapshot WHERE record = ?1 AND document = ?2", document)?;
            self.tx
                .execute("UPDATE change SET folded = 0 WHERE record = ?1 AND document = ?2", document)?;
        }
        for sql in [
            format!("UPDATE change SET status = 1, leaf = NULL, position = NULL WHERE {LOST} RETURNING record, at"),
            format!("UPDATE act SET status = 1, offered = 0, leaf = NULL, position = NULL WHERE {LOST} RETURNING record, at"),
        ] {
            for (record, at) in self.returned(&sql, [size])? {
                self.moved.insert(record);
                self.touch(record, at);
            }
        }
        self.lose_from(size.cast_unsigned())?;
        pages::send_again_from(self.tx, size.cast_unsigned())?;
        pages::reseal_broken(self.tx, fresh)
    }
}
