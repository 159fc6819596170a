//! Folding the projections again from the ledger alone, and the readings that both live acts and a rebuild put.

use std::collections::{BTreeMap, BTreeSet};

use beatbook_protocol::codec;
use beatbook_protocol::id::{Hash, RecordId};
use beatbook_protocol::ledger::Leaf;

use crate::error::StationError;
use crate::kinds::Kinds;
use crate::projection::reading::{self, Documents};
use crate::projection::{self, Folded, Matter};
use crate::report::RebuildReport;
use crate::scope::author_roles;
use crate::store::{DestroyedRow, Kept, ReadTx, WriteTx};

/// Drops all projections and folds them again, in one step: readers see the old ones until the new ones are whole.
pub(crate) fn rebuild(tx: &WriteTx<'_>, kinds: &Kinds) -> Result<RebuildReport, StationError> {
    let before = digest(tx)?;
    tx.clear_projections()?;
    let leaves = tx.size()?;
    for number in 0..leaves {
        let damaged = |why: String| StationError::Damaged(format!("leaf {number}: {why}"));
        let bytes = tx.leaf(number)?.ok_or_else(|| damaged("it is missing".into()))?;
        let leaf: Leaf = codec::from_bytes("leaf", &bytes).map_err(|fault| damaged(fault.to_string()))?;
        let rows = tx.entries_of(number)?;
        let destroyed: BTreeMap<u32, DestroyedRow> = tx.destroyed_in(number)?.into_iter().map(|row| (row.place.1, row)).collect();
        let entries = rows
            .iter()
            .map(|row| {
                let matter = match &row.kept {
                    Kept::Whole(_, bytes) => Matter::Bytes(bytes),
                    Kept::Destroyed => match destroyed.get(&row.position) {
                        Some(row) => Matter::Destroyed(row),
                        None => return Err(damaged(format!("nothing says why entry {} is gone", row.position))),
                    },
                    Kept::Missing => return Err(damaged(format!("the bytes of entry {} are missing", row.position))),
                };
                Ok(Folded {
                    position: row.position,
                    id: row.id,
                    verdict: row.verdict,
                    matter,
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        let touched: BTreeSet<RecordId> = projection::fold_leaf(tx, kinds, number, &leaf, &entries)?;
        for record in touched {
            refresh(tx, kinds, record)?;
        }
    }
    Ok(RebuildReport {
        leaves,
        records: tx.totals()?.records,
        before,
        after: digest(tx)?,
    })
}

/// Reads a record's documents again and puts what they say.
pub(crate) fn refresh(tx: &WriteTx<'_>, kinds: &Kinds, record: RecordId) -> Result<(), StationError> {
    let Some(state) = tx.record(record)? else { return Ok(()) };
    let documents = Documents::open(tx, kinds, &state)?;
    let opener = author_roles(tx, state.opening.user, record, state.opening.opens.unit)?;
    let reading = reading::read(kinds.kind_of(&state)?, &state, &documents, &opener)?;
    tx.put_reading(record, &reading)?;
    Ok(tx.put_words([(record, &reading)])?)
}

/// Hash over the canonical dump.
fn digest(tx: &ReadTx<'_>) -> Result<Hash, StationError> {
    // Chained line by line, so that a large dump never stands in memory.
    let mut digest = Hash::of(&[b"beatbook/dump/1\0"]);
    tx.each_dump_line(|line| digest = Hash::of(&[digest.as_bytes(), line.as_bytes()]))?;
    Ok(digest)
}
