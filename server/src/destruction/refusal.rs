//! What comes of a record that is destroyed is refused, whichever way it comes: an old phone's own work, or what a restored station is given
//! back. Of it stays its place in its page, with a salted hash: its bytes are not kept with the refusal, or it would be here again.

use beatbook_protocol::entry::Entry;
use beatbook_protocol::id::{Hash, RecordId};
use beatbook_protocol::kind::DocumentName;
use beatbook_protocol::wire::Verdict;

use crate::error::StationError;
use crate::store::ReadTx;

/// The record is destroyed.
const DESTROYED: &str = "destroyed";
/// Its private document is.
const PRIVATE_DESTROYED: &str = "private_destroyed";

/// What of a record is destroyed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Destroyed {
    /// All of it.
    pub(crate) whole: bool,
    /// Its private document.
    pub(crate) private: bool,
}

/// Something about a record that may be a change of its private document.
pub(crate) trait Concerns {
    /// Whether it is.
    fn is_of_private(&self) -> bool;
}

impl Concerns for Entry {
    fn is_of_private(&self) -> bool {
        match self {
            Self::Change(change) => change.document.name() != Some(DocumentName::Facts),
            Self::Act(_) | Self::Registry(_) | Self::Recovered(_) | Self::Other(_) => false,
        }
    }
}

impl Destroyed {
    /// What of a record is.
    pub(crate) fn of(tx: &ReadTx<'_>, record: RecordId) -> Result<Self, StationError> {
        let mut found = Self::default();
        for row in tx.destructions_of(record)? {
            match row.said.document {
                None => found.whole = true,
                Some(_) => found.private = true,
            }
        }
        Ok(found)
    }

    /// The refusal of what concerns it.
    pub(crate) fn refuses(self, what: &impl Concerns) -> Option<Verdict> {
        let (code, text) = if self.whole {
            (
                DESTROYED,
                "the record was destroyed: what is still needed belongs into a new one",
            )
        } else if self.private && what.is_of_private() {
            (
                PRIVATE_DESTROYED,
                "the record's private document was destroyed: what is still needed belongs into a new record",
            )
        } else {
            return None;
        };
        Some(Verdict::Refused {
            code: code.into(),
            text: text.into(),
            state_met: None,
        })
    }
}

/// For which document's destruction a verdict refuses: none within for the whole record.
pub(crate) fn refused_for(verdict: &Verdict) -> Option<Option<DocumentName>> {
    match verdict {
        Verdict::Refused { code, .. } if code == DESTROYED => Some(None),
        Verdict::Refused { code, .. } if code == PRIVATE_DESTROYED => Some(Some(DocumentName::Private)),
        Verdict::Refused { .. }
        | Verdict::Accepted
        | Verdict::Duplicate
        | Verdict::Needs { .. }
        | Verdict::Offered
        | Verdict::Other(_) => None,
    }
}

/// The destruction of a record, or of one of its documents.
pub(crate) fn event_of(tx: &ReadTx<'_>, record: RecordId, document: Option<DocumentName>) -> Result<Option<Hash>, StationError> {
    let is_it = |row: &crate::store::DestructionRow| row.said.document.is_some() == document.is_some();
    Ok(tx.destructions_of(record)?.iter().find(|row| is_it(row)).map(|row| row.event))
}
