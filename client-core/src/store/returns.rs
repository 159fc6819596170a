//! What came back to this phone's user: returned by somebody, or refused by the station, with the values it held.

use beatbook_protocol::document::{Document, Edit, FieldPath, Said, Write};
use beatbook_protocol::entry::Entry;
use beatbook_protocol::id::{Hash, RecordId};
use beatbook_protocol::kind::{CheckedKind, Label};
use beatbook_protocol::time::UnixMillis;
use rusqlite::OptionalExtension;

use super::destroyed::{self, DESTROYED};
use super::rows::{self, code_of};
use super::views::{DOCUMENTS, READER, author_of_step, ids, kind_of};
use super::{StoreError, Tx, lists, papers};
use crate::office::Office;
use crate::query::{CameBack, CameBackWhy, RefusedEntry, RefusedWhat};
use crate::record::{self, Course};

/// What came back to this user: returned by somebody, or refused by the station.
pub(crate) fn came_back(tx: &Tx<'_>, office: &Office) -> Result<Vec<CameBack>, StoreError> {
    let mut all = Vec::new();
    for record in ids(
        tx,
        "SELECT record FROM record WHERE came_back > 0 ORDER BY updated_at DESC, n DESC",
    )? {
        let (Some(row), Some(kind)) = (lists::one(tx, record)?, kind_of(tx, office, record)?) else {
            continue;
        };
        let steps = rows::steps(tx, record)?;
        let Some(step) = Course::of(&kind, &steps).led_by.and_then(|place| steps.get(place)) else {
            continue;
        };
        let why = CameBackWhy::Act {
            code: step.act.code.clone(),
            comment: step.act.comment.clone(),
        };
        all.push(CameBack {
            record,
            title: row.title,
            why,
            by: Some(author_of_step(tx, step)?),
            at: step.act.at,
        });
    }
    for refused in refused(tx, office)? {
        let title = match lists::one(tx, refused.record)? {
            Some(row) => row.title,
            // What its record was called is destroyed with it.
            None if refused.code == DESTROYED => Label {
                zh: "已销毁的记录".into(),
                en: "a record that was destroyed".into(),
            },
            None => continue,
        };
        let RefusedEntry {
            entry,
            record,
            code,
            text,
            at,
            ..
        } = refused;
        all.push(CameBack {
            record,
            title,
            why: CameBackWhy::Refused { entry, code, text },
            by: None,
            at,
        });
    }
    Ok(all)
}

/// Own entries that were refused and not dealt with, the oldest first.
pub(crate) fn refused(tx: &Tx<'_>, office: &Office) -> Result<Vec<RefusedEntry>, StoreError> {
    let mut rows = tx.prepare_cached(
        "SELECT entry, record, code, text, at, NULL, n FROM change WHERE status = 2
         UNION ALL SELECT entry, record, code, text, at, bytes, n FROM act WHERE status = 2 ORDER BY at, n",
    )?;
    let rows = rows
        .query_map([], |row| {
            Ok((
                Hash::from_bytes(row.get(0)?),
                RecordId::from_bytes(row.get(1)?),
                row.get::<_, Option<String>>(2)?,
                row.get::<_, Option<String>>(3)?,
                UnixMillis(row.get(4)?),
                row.get::<_, Option<Vec<u8>>>(5)?,
            ))
        })?
        .collect::<Result<Vec<_>, _>>()?;
    let mut all = Vec::new();
    for (entry, record, code, text, at, act) in rows {
        let what = match act.map(|bytes| Entry::parse(&bytes)).transpose()? {
            Some(Entry::Act(act)) => RefusedWhat::Act {
                code: act.code,
                comment: act.comment,
            },
            Some(_) => continue,
            None => RefusedWhat::Values(parked_writes(tx, office, &entry)?.map_or_else(Vec::new, |parked| parked.said())),
        };
        all.push(RefusedEntry {
            entry,
            record,
            code: code.unwrap_or_default(),
            text: text.unwrap_or_default(),
            what,
            at,
        });
    }
    all.extend(destroyed::stranded(tx)?);
    Ok(all)
}

/// What an own change says that waits or came back.
pub(super) fn values_of(tx: &Tx<'_>, office: &Office, entry: &Hash) -> Result<Vec<(FieldPath, Said)>, StoreError> {
    Ok(written(tx, office, entry, "status IN (1, 2)")?.map_or_else(Vec::new, |parked| parked.said()))
}

/// What came back, as an edit.
pub(crate) struct Offer {
    /// The record that it was written on; none when that was destroyed, and a new one is to be opened.
    pub(crate) record: Option<RecordId>,
    /// Its kind by code.
    pub(crate) kind: String,
    /// The values.
    pub(crate) edit: Edit,
}

/// The values of a parked change, or of work on what was destroyed, as an edit.
pub(crate) fn offer(tx: &Tx<'_>, office: &Office, entry: &Hash) -> Result<Option<Offer>, StoreError> {
    let Some(parked) = parked_writes(tx, office, entry)? else {
        let stranded = destroyed::offer(tx, entry)?;
        return Ok(stranded.map(|(kind, edit)| Offer {
            record: None,
            kind,
            edit,
        }));
    };
    let Some(then) = parked.document.view_at(&[parked.change])? else {
        return Ok(None);
    };
    let paths: Vec<&FieldPath> = parked.writes.iter().map(|write| &write.path).collect();
    Ok(Some(Offer {
        record: Some(parked.record),
        kind: parked.kind.code.clone(),
        edit: record::pick(&then.facts, paths),
    }))
}

/// A parked change with all that its author had written.
struct Parked {
    record: RecordId,
    kind: CheckedKind,
    document: Document,
    change: Hash,
    writes: Vec<Write>,
}

impl Parked {
    fn said(&self) -> Vec<(FieldPath, Said)> {
        self.writes
            .iter()
            .map(|write| (write.path.clone(), write.value.clone()))
            .collect()
    }
}

fn parked_writes(tx: &Tx<'_>, office: &Office, entry: &Hash) -> Result<Option<Parked>, StoreError> {
    written(tx, office, entry, "status = 2")
}

fn written(tx: &Tx<'_>, office: &Office, entry: &Hash, standing: &str) -> Result<Option<Parked>, StoreError> {
    let sql = format!("SELECT record, document, change_hash FROM change WHERE entry = ?1 AND {standing}");
    let row: Option<([u8; 16], u8, Option<[u8; 32]>)> = tx
        .prepare_cached(&sql)?
        .query_row([entry.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let Some((record, document, Some(change))) = row else {
        return Ok(None);
    };
    let (record, change) = (RecordId::from_bytes(record), Hash::from_bytes(change));
    let Some(name) = DOCUMENTS.into_iter().find(|name| code_of((*name).into()) == document) else {
        return Ok(None);
    };
    let Some(kind) = kind_of(tx, office, record)? else {
        return Ok(None);
    };
    let shape = office.shape(&kind, name)?;
    let document = match papers::load_written(tx, &shape, READER, record) {
        Ok(Some(document)) => document,
        Ok(None) => return Ok(None),
        // One record that cannot be put together keeps none of the others from being shown.
        Err(StoreError::Document(fault)) => {
            tracing::error!(%record, %fault, "what was written on this record cannot be shown");
            return Ok(None);
        }
        Err(fault) => return Err(fault),
    };
    let writes = document
        .history()?
        .into_iter()
        .filter(|write| write.change == change)
        .collect();
    Ok(Some(Parked {
        record,
        kind,
        document,
        change,
        writes,
    }))
}
