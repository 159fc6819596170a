//! Judging what a book sent after its end, once a chief admits it: as its author's, by what he could know, but in no chain of pages. Appends
//! nothing.

use std::collections::BTreeMap;

use beatbook_protocol::entry::identity;
use beatbook_protocol::id::RecordId;
use beatbook_protocol::page::Header;
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::Verdict;

use super::desk::{Author, Look, refused};
use super::lane::{Item, Lane, Place};
use super::plan::{judge_apart, known_size, matter_of};
use crate::error::StationError;
use crate::kinds::Kinds;
use crate::store::ReadTx;

/// An entry to be judged.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HeldEntry<'p> {
    /// Which of the pages it stands in.
    pub(crate) page: usize,
    /// Its bytes.
    pub(crate) bytes: &'p [u8],
}

/// Judges entries of one book, in their order; `headers` are those of their pages. One verdict for each.
pub(crate) fn judge_held(
    tx: &ReadTx<'_>,
    kinds: &Kinds,
    author: &Author,
    received: UnixMillis,
    headers: &[Header],
    entries: &[HeldEntry<'_>],
) -> Result<Vec<Verdict>, StationError> {
    let look = Look {
        tx,
        kinds,
        author,
        received,
    };
    let known: Vec<u64> = headers
        .iter()
        .map(|header| known_size(&look, header))
        .collect::<Result<_, _>>()?;
    let mut verdicts: Vec<Option<Verdict>> = Vec::with_capacity(entries.len());
    let mut lanes: BTreeMap<RecordId, Vec<Item>> = BTreeMap::new();
    for (number, entry) in entries.iter().enumerate() {
        let id = identity(entry.bytes);
        let matter = matter_of(&look, &id, entry.bytes)?;
        verdicts.push(matter.as_ref().err().cloned());
        if let Ok((record, matter)) = matter {
            lanes.entry(record).or_default().push(Item {
                // What fell with its opening fell within one page: here all that is admitted together stands together.
                place: Place {
                    page: 0,
                    position: number,
                },
                known: known.get(entry.page).copied().unwrap_or(author.confirmed),
                id,
                matter,
            });
        }
    }
    let lanes = lanes.into_iter().map(|(record, items)| Lane { record, items }).collect();
    for lane in judge_apart(&look, lanes)? {
        for (place, verdict) in lane.verdicts {
            if let Some(spot) = verdicts.get_mut(place.position) {
                *spot = Some(verdict);
            }
        }
    }
    let unjudged = || refused("internal", "it was not judged".into());
    Ok(verdicts.into_iter().map(|verdict| verdict.unwrap_or_else(unjudged)).collect())
}
