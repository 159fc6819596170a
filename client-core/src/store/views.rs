//! One record, whole: its documents are opened, its acts followed, every author named.

use beatbook_protocol::document::{Conflict, Document, View, Write};
use beatbook_protocol::facts::Facts;
use beatbook_protocol::id::{ActorId, BookId, Hash, RecordId};
use beatbook_protocol::kind::{
    CheckedKind, DocumentName, FieldType, Judged, UTC_OFFSET_MINUTES, UserContext, validate, workflow,
};
use beatbook_protocol::time::UnixMillis;
use rusqlite::OptionalExtension;

use super::papers::SHOWN;
use super::rows;
use super::{StoreError, Tx, lists, merges, papers, registry, write};
use crate::office::Office;
use crate::query::{ActView, Author, ClaimView, ConflictView, HistoryView, RecordRow, RecordView, WrittenView};
use crate::record::{Course, Step};

/// Nobody edits in a view.
pub(super) const READER: ActorId = ActorId::from_bytes([0; 16]);

pub(super) const DOCUMENTS: [DocumentName; 2] = [DocumentName::Facts, DocumentName::Private];

/// The record's opaque version.
pub(crate) fn version(tx: &Tx<'_>, record: RecordId) -> Result<Option<String>, StoreError> {
    Ok(rows::head(tx, record)?.map(|head| head.version))
}

/// One record, whole.
pub(crate) fn record(tx: &Tx<'_>, office: &Office, record: RecordId, now: UnixMillis) -> Result<Option<RecordView>, StoreError> {
    let (Some(row), Some(head)) = (lists::one(tx, record)?, rows::head(tx, record)?) else {
        return Ok(None);
    };
    let Some(kind) = office.kinds.get(&row.kind, row.kind_version) else {
        return unread(tx, row).map(Some);
    };
    let facts = open(tx, office, kind, record, DocumentName::Facts)?;
    let private = open(tx, office, kind, record, DocumentName::Private)?;
    let view = facts.as_ref().map(Document::view).transpose()?.unwrap_or_default();
    let private = private.as_ref().map(Document::view).transpose()?;
    let steps = rows::steps(tx, record)?;
    let course = Course::of(kind, &steps);
    let official = match (course.official(kind), &facts) {
        (Some(pinned), Some(document)) if pinned != view.heads => document.view_at(pinned)?.map(|view| view.facts),
        _ => None,
    };
    let whos = office.whos(row.opener, head.unit, &registry::grantees(tx, record)?);
    let empty = Facts::default();
    let judged = Judged {
        facts: &view.facts,
        private: Some(private.as_ref().map_or(&empty, |view| &view.facts)),
        record: write::context(record, &head, &course.state),
        now,
        utc_offset_minutes: UTC_OFFSET_MINUTES,
        user: UserContext {
            id: office.user(),
            roles: &whos,
        },
    };
    let findings = validate(kind, &judged);
    let acts_open = workflow::acts_open(kind, &course.state, &whos)
        .iter()
        .map(|act| act.code.clone())
        .collect();
    let mut written = Vec::new();
    let mut conflicts = Vec::new();
    for (name, view) in DOCUMENTS.into_iter().zip([Some(&view), private.as_ref()]) {
        let Some(view) = view else { continue };
        written.extend(written_of(tx, record, name, view)?);
        conflicts.extend(conflicts_of(tx, record, name, &view.conflicts)?);
    }
    Ok(Some(RecordView {
        opener: opener(tx, &row)?,
        official: official.filter(|official| *official != view.facts),
        is_offered: course.offered.is_some(),
        may_write: workflow::may_write(kind, &course.state, &whos),
        facts: view.facts,
        private: private.map(|view| view.facts),
        written,
        conflicts,
        acts: acts_of(tx, &steps)?,
        acts_open,
        findings,
        merged_here: merges::merged_here(tx, record)?,
        row,
    }))
}

/// Every write to a record that counts, the oldest first in each document.
pub(crate) fn history(tx: &Tx<'_>, office: &Office, record: RecordId) -> Result<Vec<HistoryView>, StoreError> {
    let mut all = Vec::new();
    let Some(kind) = kind_of(tx, office, record)? else {
        return Ok(all);
    };
    for name in DOCUMENTS {
        let Some(document) = open(tx, office, &kind, record, name)? else {
            continue;
        };
        for write in document.history()? {
            let Write {
                path,
                value,
                at,
                change,
                settles,
                ..
            } = write;
            all.push(HistoryView {
                document: name,
                path,
                value,
                by: author(tx, record, &change)?,
                at,
                settles,
            });
        }
    }
    Ok(all)
}

/// Every conflict on this phone.
pub(crate) fn conflicts(tx: &Tx<'_>, office: &Office) -> Result<Vec<ConflictView>, StoreError> {
    let mut all = Vec::new();
    for record in ids(
        tx,
        "SELECT record FROM record WHERE conflicts > 0 ORDER BY updated_at DESC, n DESC",
    )? {
        let Some(kind) = kind_of(tx, office, record)? else { continue };
        for name in DOCUMENTS {
            if let Some(document) = open(tx, office, &kind, record, name)? {
                all.extend(conflicts_of(tx, record, name, &document.view()?.conflicts)?);
            }
        }
    }
    Ok(all)
}

/// What the last record of a kind about another says, as far as it carries over.
pub(crate) fn starting_point(tx: &Tx<'_>, office: &Office, kind: &str, about: RecordId) -> Result<Facts, StoreError> {
    let mut start = Facts::default();
    let Some(last) = lists::last_about(tx, kind, about)? else {
        return Ok(start);
    };
    let Some(kind) = kind_of(tx, office, last)? else {
        return Ok(start);
    };
    for name in DOCUMENTS {
        let Some(document) = open(tx, office, &kind, last, name)? else {
            continue;
        };
        let said = document.view()?.facts;
        for field in kind.fields_of(name).filter(|field| field.carries_over) {
            let code = &field.code;
            start
                .fields
                .extend(said.fields.get(code).map(|value| (code.clone(), value.clone())));
            start
                .notes
                .extend(said.notes.get(code).map(|note| (code.clone(), note.clone())));
            if let Some(items) = said.lists.get(code) {
                let there = items
                    .iter()
                    .filter(|(_, item)| !item.removed)
                    .map(|(id, item)| (*id, item.clone()));
                start.lists.insert(code.clone(), there.collect());
            }
        }
    }
    // The last visit may have been to a record that was merged into this one.
    if let Some(field) = kind.fields.iter().find(|field| field.field_type == FieldType::Reference)
        && let Some(value) = start.fields.get_mut(&field.code)
    {
        *value = about.to_string().as_str().into();
    }
    Ok(start)
}

/// A record whose kind is not here: only its row is known.
fn unread(tx: &Tx<'_>, row: RecordRow) -> Result<RecordView, StoreError> {
    Ok(RecordView {
        opener: opener(tx, &row)?,
        facts: Facts::default(),
        private: None,
        official: None,
        is_offered: false,
        written: Vec::new(),
        conflicts: Vec::new(),
        acts: Vec::new(),
        acts_open: Vec::new(),
        may_write: false,
        findings: Vec::new(),
        merged_here: Vec::new(),
        row,
    })
}

fn open(
    tx: &Tx<'_>,
    office: &Office,
    kind: &CheckedKind,
    record: RecordId,
    name: DocumentName,
) -> Result<Option<Document>, StoreError> {
    papers::load(tx, &office.shape(kind, name)?, READER, record, SHOWN)
}

pub(super) fn kind_of(tx: &Tx<'_>, office: &Office, record: RecordId) -> Result<Option<CheckedKind>, StoreError> {
    let head = rows::head(tx, record)?;
    Ok(head.and_then(|head| office.kinds.get(&head.kind, head.kind_version).cloned()))
}

pub(super) fn ids(tx: &Tx<'_>, sql: &str) -> Result<Vec<RecordId>, StoreError> {
    let mut rows = tx.prepare_cached(sql)?;
    let rows = rows.query_map([], |row| Ok(RecordId::from_bytes(row.get(0)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn written_of(tx: &Tx<'_>, record: RecordId, name: DocumentName, view: &View) -> Result<Vec<WrittenView>, StoreError> {
    view.written
        .iter()
        .map(|(path, written)| {
            let by = author(tx, record, &written.change)?;
            Ok(WrittenView {
                document: name,
                path: path.clone(),
                by,
                at: written.at,
            })
        })
        .collect()
}

fn conflicts_of(
    tx: &Tx<'_>,
    record: RecordId,
    name: DocumentName,
    conflicts: &[Conflict],
) -> Result<Vec<ConflictView>, StoreError> {
    conflicts
        .iter()
        .map(|conflict| {
            let claims = conflict
                .claims
                .iter()
                .map(|claim| {
                    let by = author(tx, record, &claim.change)?;
                    Ok(ClaimView {
                        value: claim.value.clone(),
                        by,
                        at: claim.at,
                    })
                })
                .collect::<Result<_, StoreError>>()?;
            Ok(ConflictView {
                record,
                document: name,
                path: conflict.path.clone(),
                claims,
            })
        })
        .collect()
}

fn acts_of(tx: &Tx<'_>, steps: &[Step]) -> Result<Vec<ActView>, StoreError> {
    steps
        .iter()
        .map(|step| {
            Ok(ActView {
                entry: step.entry,
                code: step.act.code.clone(),
                comment: step.act.comment.clone(),
                values: step.act.values.clone().unwrap_or_default(),
                by: author_of_step(tx, step)?,
                at: step.act.at,
                is_waiting: step.waiting,
                is_offered: step.offered,
            })
        })
        .collect()
}

/// Whose book carried the change. The change's own author mark proves nothing here: the station bound it.
fn author(tx: &Tx<'_>, record: RecordId, change: &Hash) -> Result<Author, StoreError> {
    let book: Option<[u8; 16]> = tx
        .prepare_cached("SELECT book FROM change WHERE record = ?1 AND change_hash = ?2 ORDER BY n LIMIT 1")?
        .query_row((record.as_bytes(), change.as_bytes()), |row| row.get(0))
        .optional()?;
    match book {
        Some(book) => author_of_book(tx, BookId::from_bytes(book)),
        None => Ok(Author {
            user: None,
            name: String::new(),
        }),
    }
}

pub(super) fn author_of_step(tx: &Tx<'_>, step: &Step) -> Result<Author, StoreError> {
    match step.act.on_behalf {
        Some(user) => Ok(Author {
            user: Some(user),
            name: registry::name_of(tx, user)?,
        }),
        None => author_of_book(tx, step.book),
    }
}

fn opener(tx: &Tx<'_>, row: &RecordRow) -> Result<Author, StoreError> {
    let name = row
        .opener
        .map(|user| registry::name_of(tx, user))
        .transpose()?
        .unwrap_or_default();
    Ok(Author { user: row.opener, name })
}

fn author_of_book(tx: &Tx<'_>, book: BookId) -> Result<Author, StoreError> {
    match registry::user_of(tx, book)? {
        Some(user) => Ok(Author {
            user: Some(user),
            name: registry::name_of(tx, user)?,
        }),
        None => Ok(Author {
            user: None,
            name: book.to_string(),
        }),
    }
}
