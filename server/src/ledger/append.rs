//! Appending: a page that was admitted becomes a leaf, its entries' rows, and their projections, within one transaction of the caller.

use std::collections::BTreeSet;

use beatbook_protocol::entry::{Entry, identity};
use beatbook_protocol::id::RecordId;
use beatbook_protocol::ledger::{Leaf, merkle};
use beatbook_protocol::page::salted_hash;
use beatbook_protocol::wire::runs;

use crate::destruction;
use crate::error::StationError;
use crate::intake::AdmittedPage;
use crate::kinds::Kinds;
use crate::projection::{self, Folded, Matter};
use crate::store::{DestroyedRow, PutEntry, WriteTx};

/// Appends a page; returns its leaf and the records that it touched, whose readings are the caller's to put.
pub(crate) fn append(tx: &WriteTx<'_>, kinds: &Kinds, page: &AdmittedPage) -> Result<(u64, BTreeSet<RecordId>), StationError> {
    let verdicts = runs(page.verdicts());
    let leaf = Leaf {
        version: 1,
        header: page.verified().page().header.clone(),
        signature: page.verified().page().signature.clone(),
        verdicts: verdicts.clone(),
        received: page.received(),
    };
    let bytes = leaf.to_bytes();
    let number = tx.size()?;
    let nodes = merkle::append(&**tx, number, Leaf::hash(&bytes))?;
    tx.put_leaf(number, &bytes, &nodes)?;
    let codes: Vec<u32> = verdicts.iter().flat_map(|run| (0..run.count).map(|_| run.verdict)).collect();
    let mut folded = Vec::with_capacity(codes.len());
    let entries = (0_u32..).zip(page.verified().entries()).zip(page.verdicts()).zip(codes);
    for (((position, (entry, salt)), said), verdict) in entries {
        let record = Entry::parse(entry).ok().and_then(|entry| entry.record());
        // What comes of a record that is destroyed does not come in again by its refusal.
        if let (Some(record), Some(document)) = (record, destruction::refused_for(said))
            && let Some(event) = destruction::event_of(tx, record, document)?
        {
            let row = DestroyedRow {
                place: (number, position),
                record: Some(record),
                event,
                book: page.verified().header().book,
                actor: None,
                opens: None,
                late: true,
            };
            tx.put_late_entry(&salted_hash(&salt, entry), record, verdict, &row)?;
            continue;
        }
        let id = identity(entry);
        tx.put_entry(&PutEntry {
            leaf: number,
            position,
            id,
            record,
            verdict,
            salt,
            bytes: entry,
        })?;
        folded.push(Folded {
            position,
            id,
            verdict,
            matter: Matter::Bytes(entry),
        });
    }
    let touched = projection::fold_leaf(tx, kinds, number, &leaf, &folded)?;
    Ok((number, touched))
}
