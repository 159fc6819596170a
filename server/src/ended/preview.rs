//! What a record would say with the held entries in it: the same guard as at intake stands before the documents, the same masks as on the
//! record's page lie on them, and nothing is written.

use beatbook_protocol::document::Document;
use beatbook_protocol::document::guard::{self, Incoming, Outcome, Unknown};
use beatbook_protocol::entry::{ChangeEntry, Entry};
use beatbook_protocol::id::RecordId;
use beatbook_protocol::kind::DocumentName;
use beatbook_protocol::time::UnixMillis;

use super::quarantine::{HeldItem, HeldRecordView};
use crate::audit::Line;
use crate::error::StationError;
use crate::kinds::damaged;
use crate::policy::Sight;
use crate::projection::reading;
use crate::projection::record::{Opening, RecordState};
use crate::review::glass;
use crate::review::mask::Mask;
use crate::review::queue::title_level;
use crate::scope::Scope;
use crate::station::{Session, Station, line_of};
use crate::store::ReadTx;

/// What the masked places of the facts begin with.
pub(crate) const FACTS: &str = "facts";

/// A record with its held entries as somebody sees it, and the line that says so in the log; none where nothing of what it says is shown.
pub(super) fn record(
    station: &Station,
    tx: &ReadTx<'_>,
    (session, now): (&Session, UnixMillis),
    record: RecordId,
    mut items: Vec<HeldItem>,
) -> Result<(HeldRecordView, Option<Line>), StationError> {
    let known = tx.record(record)?;
    let mut view = HeldRecordView {
        record,
        is_here: known.is_some(),
        in_scope: false,
        kind: None,
        title: None,
        facts: None,
        masked: Vec::new(),
        private_fields: Vec::new(),
        entries: Vec::new(),
    };
    let mut line = None;
    if let Some(state) = known.or_else(|| opened(station, record, &items)) {
        // Whatever he sees: what the guard says of each entry he is told.
        let facts = with_changes(station, tx, &state, DocumentName::Facts, &mut items)?;
        let private = with_changes(station, tx, &state, DocumentName::Private, &mut items)?;
        if let Some(sight) = sight(station, tx, session, &state, now)? {
            line = Some(show(station, session, &state, &sight, (facts, private), &mut view)?);
        }
    }
    if !view.in_scope {
        items.iter_mut().for_each(|item| item.line.comment = None);
    }
    view.entries = items.into_iter().map(|item| item.line).collect();
    Ok((view, line))
}

/// What somebody sees of a record, as it is or as a held change would open it; none where it is not in his scope.
fn sight(
    station: &Station,
    tx: &ReadTx<'_>,
    session: &Session,
    state: &RecordState,
    now: UnixMillis,
) -> Result<Option<Sight>, StationError> {
    if Scope::of(tx, session)?.holds(tx, state.id, state.opening.opens.unit)? {
        glass::sight(tx, &station.kinds, session, state, now)
    } else {
        Ok(None)
    }
}

/// Puts what a record's documents say, masked, and gives the line that says what was plain.
fn show(
    station: &Station,
    session: &Session,
    state: &RecordState,
    sight: &Sight,
    (facts, private): (Option<Document>, Option<Document>),
    view: &mut HeldRecordView,
) -> Result<Line, StationError> {
    let kind = station.kinds.kind_of(state)?;
    let read = |document: Document| document.view().map_err(|fault| damaged(state, &fault));
    let mut mask = Mask::new(kind, sight);
    view.in_scope = true;
    view.kind = Some(state.opening.opens.kind.clone());
    if let Some(document) = facts {
        let facts = read(document)?.facts;
        view.title = Some(if sight.sees(title_level(kind)) {
            reading::title(kind, &facts)
        } else {
            kind.label.zh.clone()
        });
        view.facts = Some(mask.facts(DocumentName::Facts, FACTS, facts));
    }
    if let Some(document) = private.filter(|_| sight.works || sight.sees_all()) {
        let facts = read(document)?.facts;
        let codes = facts
            .fields
            .into_keys()
            .chain(facts.lists.into_keys())
            .chain(facts.notes.into_keys());
        view.private_fields = codes.collect();
    }
    let shown = mask.shown().join(" ");
    view.masked = mask.masked();
    Ok(line_of(session, state.id, "quarantine.read", sight, &shown))
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
) -> Result<Option<Document>, StationError> {
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
