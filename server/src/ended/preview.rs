//! What a record would say with the held entries in it: the same guard as at intake stands before the documents, and nothing is written.

use beatbook_protocol::document::guard::{self, Incoming, Outcome, Unknown};
use beatbook_protocol::entry::{ChangeEntry, Entry};
use beatbook_protocol::id::RecordId;
use beatbook_protocol::kind::DocumentName;

use super::quarantine::{HeldItem, HeldRecordView};
use crate::error::StationError;
use crate::kinds::damaged;
use crate::projection::reading;
use crate::projection::record::{Opening, RecordState};
use crate::station::Station;
use crate::store::ReadTx;

/// A record with its held entries.
pub(super) fn record(
    station: &Station,
    tx: &ReadTx<'_>,
    record: RecordId,
    mut items: Vec<HeldItem>,
) -> Result<HeldRecordView, StationError> {
    let known = tx.record(record)?;
    let is_here = known.is_some();
    let mut view = HeldRecordView {
        record,
        is_here,
        kind: None,
        title: None,
        facts: None,
        private_fields: Vec::new(),
        entries: Vec::new(),
    };
    if let Some(state) = known.or_else(|| opened(station, record, &items)) {
        let kind = station.kinds.kind_of(&state)?;
        for name in [DocumentName::Facts, DocumentName::Private] {
            let Some(document) = with_changes(station, tx, &state, name, &mut items)? else {
                continue;
            };
            let facts = document.view().map_err(|fault| damaged(&state, &fault))?.facts;
            match name {
                DocumentName::Facts => {
                    view.title = Some(reading::title(kind, &facts));
                    view.facts = Some(facts);
                }
                DocumentName::Private => {
                    let codes = facts
                        .fields
                        .into_keys()
                        .chain(facts.lists.into_keys())
                        .chain(facts.notes.into_keys());
                    view.private_fields = codes.collect();
                }
            }
        }
        view.kind = Some(state.opening.opens.kind.clone());
    }
    view.entries = items.into_iter().map(|item| item.line).collect();
    Ok(view)
}

/// A record that is not here, as the held change says that opens it.
fn opened(station: &Station, record: RecordId, items: &[HeldItem]) -> Option<RecordState> {
    items.iter().find_map(|item| {
        let Some(Entry::Change(change)) = &item.entry else {
            return None;
        };
        let opens = change.opens.clone()?;
        let kind = station.kinds.find(&opens.kind, opens.version)?;
        let opening = Opening {
            opens,
            book: item.line.book,
            user: item.user,
            at: change.at,
        };
        Some(RecordState::open(record, opening, kind, item.line.received))
    })
}

/// A document with the open changes of it that the guard lets in; none of a private document that nobody writes in.
fn with_changes(
    station: &Station,
    tx: &ReadTx<'_>,
    state: &RecordState,
    name: DocumentName,
    items: &mut [HeldItem],
) -> Result<Option<beatbook_protocol::document::Document>, StationError> {
    let is_open = |item: &HeldItem| item.line.state == "open";
    let mut found: Vec<(usize, ChangeEntry)> = Vec::new();
    for (at, item) in items.iter().enumerate().filter(|(_, item)| is_open(item)) {
        if let Some(Entry::Change(change)) = &item.entry
            && change.document.name() == Some(name)
        {
            found.push((at, change.clone()));
        }
    }
    if found.is_empty() && name == DocumentName::Private {
        return Ok(None);
    }
    let document = station.kinds.document(tx, state, name)?;
    let incoming: Vec<Incoming<'_>> = found
        .iter()
        .map(|(_, change)| Incoming {
            bytes: &change.change,
            settles: change.settles == Some(true),
            actors: None,
        })
        .collect();
    let report = guard::check(&document, &incoming, Unknown::Refuse);
    for ((at, _), outcome) in found.iter().zip(report.outcomes) {
        let fault = match outcome {
            Outcome::Admitted { .. } | Outcome::Duplicate { .. } => None,
            Outcome::Needs { .. } => Some("needs".to_owned()),
            Outcome::Refused(fault) => Some(fault.code().to_owned()),
        };
        if let Some(item) = items.get_mut(*at) {
            item.line.fault = fault;
        }
    }
    Ok(Some(report.document))
}
