//! Drafts: what is being typed, saved at every change, so that a crash loses at most the last keystroke. Nothing of a draft leaves the
//! phone; committing makes it an edit.

use std::fmt;
use std::str::FromStr;

use beatbook_protocol::document::Edit;
use beatbook_protocol::id::{Hash, ItemId, ParseIdError, RecordId, UnitId};
use beatbook_protocol::time::UnixMillis;

use crate::core::Core;
use crate::error::{CoreError, Fault};
use crate::store::records::Records;
use crate::store::returns::Offer;
use crate::store::write::Seen;
use crate::store::{drafts, returns, views};

/// One draft.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DraftId(ItemId);

impl DraftId {
    /// Takes sixteen bytes as they are.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(ItemId::from_bytes(bytes))
    }

    /// The sixteen bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Display for DraftId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for DraftId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        text.parse().map(Self)
    }
}

/// What is being typed.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// Its name.
    pub id: DraftId,
    /// The record it edits; none when it will open one.
    pub record: Option<RecordId>,
    /// The kind.
    pub kind: String,
    /// The unit in which it will open one; its author's own, unless said.
    pub unit: Option<UnitId>,
    /// The values so far.
    pub edit: Edit,
    /// The version of the record that its author had before him.
    pub based_on: Option<String>,
    /// The refused entry whose values it offers again.
    pub answers: Option<Hash>,
    /// When it was saved last.
    pub saved_at: UnixMillis,
}

impl Core {
    /// A new draft, for a new record of this kind or for a record as it is now. It is not saved yet.
    ///
    /// # Errors
    /// When there is no such record or kind.
    pub fn draft_begin(&self, kind: &str, record: Option<RecordId>) -> Result<Draft, CoreError> {
        let office = self.office();
        let based_on = match record {
            Some(record) => Some(
                self.read(|tx| views::version(tx, record))?
                    .ok_or(CoreError::UnknownRecord(record))?,
            ),
            None => None,
        };
        office.newest(kind).ok_or_else(|| CoreError::Unknown {
            what: format!("kind {kind}"),
        })?;
        let id = DraftId(self.platform().item_id());
        let saved_at = self.platform().clock.wall();
        Ok(Draft {
            id,
            record,
            kind: kind.to_owned(),
            unit: None,
            edit: Edit::new(),
            based_on,
            answers: None,
            saved_at,
        })
    }

    /// Saves a draft; it is on the disk when this returns.
    ///
    /// # Errors
    /// When its record has moved since `based_on` and no earlier save knew that version; when storage is full.
    pub fn draft_save(&self, draft: &Draft) -> Result<(), CoreError> {
        self.write(|records| drafts::save(records.tx(), draft, records.now()))
    }

    /// All drafts, the latest first.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn drafts(&self) -> Result<Vec<Draft>, CoreError> {
        self.read(drafts::all)
    }

    /// One draft.
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn draft(&self, id: DraftId) -> Result<Draft, CoreError> {
        self.read(|tx| drafts::get(tx, id))?
            .map(|(draft, _)| draft)
            .ok_or_else(|| unknown(id))
    }

    /// Throws a draft away. A refused entry that it offered again counts as dealt with.
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn draft_drop(&self, id: DraftId) -> Result<(), CoreError> {
        self.write(|records| {
            let (draft, _) = drafts::get(records.tx(), id)?.ok_or_else(|| unknown(id))?;
            drafts::remove(records.tx(), id)?;
            answer(records, &draft)
        })
    }

    /// Makes a draft an edit: the change, the record's row and the end of the draft are one step.
    ///
    /// # Errors
    /// `Moved` when others have written meanwhile in the same places: show both, save the draft on the new version, commit again.
    /// Everything an edit may meet.
    pub fn draft_commit(&self, id: DraftId) -> Result<RecordId, CoreError> {
        let new = self.platform().record_id();
        self.write(|records| {
            let (draft, heads) = drafts::get(records.tx(), id)?.ok_or_else(|| unknown(id))?;
            let record = match draft.record {
                Some(record) => {
                    let seen = heads.as_ref().map_or(Seen::Now, Seen::Heads);
                    records.edit(record, &draft.edit, seen)?;
                    record
                }
                None => {
                    records.open_record(new, &draft.kind, &draft.edit, draft.unit)?;
                    new
                }
            };
            drafts::remove(records.tx(), id)?;
            answer(records, &draft)?;
            Ok::<_, Fault>(record)
        })
    }

    /// Makes a draft of the values of a refused change, so that its author can mend them and save again. Where the record, or its private
    /// document, was destroyed, or where its opening was refused, the draft is one of a new record.
    ///
    /// # Errors
    /// When there is no refused change of this entry.
    pub fn offer_again(&self, entry: &Hash) -> Result<DraftId, CoreError> {
        let id = DraftId(self.platform().item_id());
        self.write(|records| {
            let offer = returns::offer(records.tx(), &records.office(), entry)?;
            let Offer { record, kind, edit } = offer.ok_or_else(|| CoreError::Unknown {
                what: format!("refused change {entry}"),
            })?;
            let is_open = record.map(|record| records.is_open(record)).transpose()?;
            let to = record.filter(|_| is_open == Some(true));
            let based_on = to.map(|record| views::version(records.tx(), record)).transpose()?.flatten();
            // It is offered where it was to be, if its author still works there.
            let opened_in = record.and_then(|record| records.head(record).ok()).map(|head| head.unit);
            let unit = opened_in.filter(|unit| based_on.is_none() && records.office().whos_in(*unit).is_some());
            let draft = Draft {
                id,
                record: to.filter(|_| based_on.is_some()),
                kind,
                unit,
                edit,
                based_on,
                answers: Some(*entry),
                saved_at: records.now(),
            };
            drafts::save(records.tx(), &draft, records.now())?;
            Ok::<_, Fault>(id)
        })
    }

    /// Says that a refused entry has been dealt with: it leaves the lists, and its bytes stay.
    ///
    /// # Errors
    /// When there is no refused entry of this name.
    pub fn dismiss(&self, entry: &Hash) -> Result<(), CoreError> {
        self.write(|records| {
            if records.answer(entry)? {
                Ok::<_, Fault>(())
            } else {
                Err(CoreError::Unknown {
                    what: format!("refused entry {entry}"),
                }
                .into())
            }
        })
    }
}

fn answer(records: &mut Records<'_>, draft: &Draft) -> Result<(), Fault> {
    if let Some(entry) = &draft.answers {
        records.answer(entry)?;
    }
    Ok(())
}

fn unknown(id: DraftId) -> CoreError {
    CoreError::Unknown {
        what: format!("draft {id}"),
    }
}
