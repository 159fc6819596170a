//! Writes a plan as one automerge change, on a copy of the document. Judges nothing but size.

use automerge::transaction::{CommitOptions, Transactable};
use automerge::{ObjId, ObjType, ReadDoc, legacy};

use super::DocumentError;
use super::body::Document;
use super::edit::{Change, EditError};
use super::log::Line;
use super::read::object_of;
use super::replay::object_name;
use super::write::Plan;
use crate::limits::{CHANGE_BYTES_MAX, CHANGE_OPS_MAX, DOCUMENT_BYTES_MAX, DOCUMENT_OPS_MAX};
use crate::time::UnixMillis;

/// Cells of a comparison of two texts beyond which the part that differs is replaced whole: comparing takes time in proportion.
const COMPARE_CELLS_MAX: usize = 4_000_000;

/// Writes a plan on a copy of the document.
pub(super) fn commit(document: &Document, plan: &Plan<'_>, at: UnixMillis) -> Result<(Document, Change), EditError> {
    let mut automerge = document.automerge().clone();
    let mut tx = automerge.transaction();
    for (map, key, value) in &plan.puts {
        tx.put(map, key.as_str(), value.clone()).map_err(DocumentError::from)?;
    }
    for (parent, key, values) in &plan.made {
        let map = tx
            .put_object(parent, key.as_str(), ObjType::Map)
            .map_err(DocumentError::from)?;
        for (key, value) in values {
            tx.put(&map, key.as_str(), value.clone()).map_err(DocumentError::from)?;
        }
    }
    for (note, old, new) in &plan.texts {
        splice(&mut tx, note, old, new)?;
    }
    if tx.commit_with(CommitOptions::default().with_time(at.seconds())).0.is_none() {
        return Err(EditError::Nothing);
    }
    let mut change = automerge.get_last_local_change().ok_or_else(|| DocumentError::Damaged {
        why: "a change that was just made is missing".into(),
    })?;
    if let Some(insisting) = insist(document, plan, &change)? {
        automerge = document.automerge().clone();
        automerge.apply_changes([insisting.clone()]).map_err(DocumentError::from)?;
        change = insisting;
    }
    let line = Line::of(&change)?;
    let bytes = change.raw_bytes().to_vec();
    if bytes.len() > CHANGE_BYTES_MAX || change.len() > CHANGE_OPS_MAX {
        return Err(EditError::TooLarge {
            bytes: bytes.len(),
            operations: change.len(),
        });
    }
    let hash = line.hash;
    let mut log = document.log().clone();
    log.append(line);
    if log.bytes() > DOCUMENT_BYTES_MAX || log.ops() > DOCUMENT_OPS_MAX {
        return Err(EditError::DocumentFull);
    }
    Ok((
        document.with(automerge, log),
        Change {
            bytes,
            hash,
            settles: !plan.conflicted.is_empty(),
        },
    ))
}

/// Makes a change say what it settles. Where a conflict is settled with the value that is shown already, automerge writes no value but
/// deletes the others: nobody would have said it, and it would be lost to a value written at the same time. Gives the change with a
/// value written over all of them; none when there is nothing to insist on.
fn insist(document: &Document, plan: &Plan<'_>, change: &automerge::Change) -> Result<Option<automerge::Change>, DocumentError> {
    let mut expanded = change.decode();
    let mut insisted = false;
    for op in &mut expanded.operations {
        let (legacy::OpType::Delete, legacy::Key::Map(key)) = (&op.action, &op.key) else {
            continue;
        };
        let object = object_name(&op.obj)?;
        for (map, written, value) in &plan.puts {
            if written.as_str() == key.as_str() && object_of(map)? == object {
                let Some((_, ObjId::Id(counter, actor, _))) = document.automerge().get(map, written.as_str())? else {
                    continue;
                };
                let over = op.pred.iter().cloned().chain([legacy::OpId(counter, actor)]);
                op.pred = over.collect();
                op.action = legacy::OpType::Put(value.clone());
                insisted = true;
                break;
            }
        }
    }
    Ok(insisted.then(|| automerge::Change::from(expanded)))
}

/// Turns one text into another, writing little: what both begin and end with stays.
fn splice(tx: &mut impl Transactable, note: &ObjId, old: &str, new: &str) -> Result<(), DocumentError> {
    let before: Vec<char> = old.chars().collect();
    let after: Vec<char> = new.chars().collect();
    let head = before.iter().zip(&after).take_while(|(one, other)| one == other).count();
    let tail = before[head..]
        .iter()
        .rev()
        .zip(after[head..].iter().rev())
        .take_while(|(one, other)| one == other)
        .count();
    let (cut, put) = (before.len() - head - tail, after.len() - head - tail);
    if cut.saturating_mul(put) <= COMPARE_CELLS_MAX {
        return Ok(tx.update_text(note, new)?);
    }
    let text: String = after[head..head + put].iter().collect();
    let cut = isize::try_from(cut).map_err(|_| DocumentError::Damaged {
        why: "a note is too long".into(),
    })?;
    Ok(tx.splice_text(note, head, cut, &text)?)
}
