//! What the station says about itself: status, verification, rebuild, backup, health. Plain records, ready for JSON.

use beatbook_protocol::id::{BookId, Hash, RecordId};
use beatbook_protocol::ledger::Position;
use beatbook_protocol::time::UnixMillis;
use serde::Serialize;

pub use crate::tls::TlsStatus;

/// How the station stands.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct StationStatus {
    /// The station's name for people.
    pub station: String,
    /// The station's name in checkpoints.
    pub origin: String,
    /// The ledger's end.
    #[schema(value_type = crate::http::PositionShape)]
    pub ledger: Position,
    /// Records known.
    pub records: u64,
    /// Records waiting for review.
    pub in_review: u64,
    /// Entries accepted.
    pub entries: u64,
    /// Entries refused.
    pub refused: u64,
    /// Pages taken in.
    pub pages: u64,
    /// Pages set aside as a whole.
    pub quarantined: u64,
    /// Records with conflicts.
    pub conflicts: u64,
    /// Records, or private documents, whose retention is over and that nothing keeps: see `retention`.
    pub due: u64,
    /// Records with entries that rest on a colleague's word since a restore, until their author's page returns.
    pub recovered: u64,
    /// Why nothing is signed any more, and what to do; none while all is well.
    pub alarm: Option<String>,
    /// Ledger size up to which there is a backup.
    pub backed_up_to: u64,
    /// How the station's own certificate stands; none when it shows none.
    pub tls: Option<TlsStatus>,
    /// The books, by id.
    pub books: Vec<BookStatus>,
    /// Counters since the station was opened, by name: `exchanges`, `challenges`, `enrolments`, `pages`, `entries_accepted`, ...
    pub counters: std::collections::BTreeMap<String, u64>,
}

/// How one phone stands.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct BookStatus {
    /// The book.
    #[schema(value_type = String)]
    pub book: BookId,
    /// Whose.
    pub user_name: String,
    /// What the phone calls itself.
    pub device: String,
    /// When it was last heard of.
    #[schema(value_type = Option<i64>)]
    pub last_contact: Option<UnixMillis>,
    /// Pages taken in.
    pub pages: u64,
    /// Leaves of the ledger that it has not confirmed yet.
    pub leaves_owed: u64,
}

/// What verifying the ledger found.
#[derive(Debug, Clone, Serialize)]
pub struct LedgerReport {
    /// The ledger's end, recomputed from the leaves.
    pub position: Position,
    /// Leaves verified.
    pub leaves: u64,
    /// Entries re-hashed under their page's signed root.
    pub entries: u64,
    /// Books whose chains were walked.
    pub books: u64,
    /// Lines of the audit log verified.
    pub audit_lines: u64,
    /// The last of them that the ledger fixed.
    pub audit_fixed: u64,
    /// Lines that restores lost, as the log itself tells.
    pub audit_lost: u64,
    /// What was destroyed, in the ledger's order: the rest of each page still proves.
    pub destroyed: Vec<DestroyedLine>,
    /// Every fault found; empty when all holds.
    pub faults: Vec<String>,
}

impl LedgerReport {
    /// Whether all holds.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.faults.is_empty()
    }
}

/// What a destruction took from the ledger's bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DestroyedLine {
    /// The event, by its entry.
    pub event: Hash,
    /// Its leaf.
    pub leaf: u64,
    /// The record.
    pub record: RecordId,
    /// Entries that lost salt and bytes under it.
    pub entries: u64,
    /// Entries that came of the record afterwards, and were refused and not kept.
    pub late: u64,
}

/// What a rebuild of the projections came to.
#[derive(Debug, Clone, Serialize)]
pub struct RebuildReport {
    /// Leaves folded again.
    pub leaves: u64,
    /// Records made from them.
    pub records: u64,
    /// Hash over the canonical dump before.
    pub before: Hash,
    /// Hash over the canonical dump after; equal to `before` unless the projections had drifted or a new version folds otherwise.
    pub after: Hash,
}

/// A backup that was made.
#[derive(Debug, Clone, Serialize)]
pub struct BackupReport {
    /// The database's copy.
    pub file: std::path::PathBuf,
    /// Its length in bytes.
    pub bytes: u64,
    /// SHA-256 of its bytes.
    pub sha256: Hash,
    /// The ledger's end in it.
    pub position: Position,
    /// Blobs that were copied beside it; those that an earlier backup into the same directory has are not copied again.
    pub blobs: u64,
    /// Their bytes.
    pub blob_bytes: u64,
    /// Blobs that were not copied, because they are not what their name says any more: see `doctor`.
    pub blobs_damaged: Vec<Hash>,
}

/// A station brought back from a backup.
#[derive(Debug, Clone, Serialize)]
pub struct RestoreReport {
    /// Where the new epoch begins.
    pub position: Position,
    /// What it follows: the highest position that the old life had signed.
    pub follows: Position,
    /// Lines of the audit log that are known to be lost: the ledger had fixed them, and the backup does not hold them.
    pub audit_lost: u64,
    /// Blobs brought back.
    pub blobs: u64,
    /// Blobs that records name and that are not there: phones that still have them bring them, others are lost.
    pub blobs_missing: u64,
    /// Destructions that the backup did not know of, carried out again.
    pub destroyed_again: u64,
    /// Blobs of the backup that are not what their name says, and were left.
    pub blobs_damaged: Vec<Hash>,
    /// Books that had ended since the backup, by the keys' log: ended again before anybody is answered.
    pub books_ended_again: u64,
}

/// One thing that `doctor` looked at.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    /// What was looked at.
    pub name: &'static str,
    /// Whether it is in order.
    pub ok: bool,
    /// What was found, and what to do when it is not in order.
    pub detail: String,
}
