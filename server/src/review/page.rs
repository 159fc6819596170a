//! A record's page: what it says officially, what waits, what conflicts, who did and wrote what when. Opens the record's documents.

use std::collections::BTreeMap;

use beatbook_protocol::document::{Document, Said, View};
use beatbook_protocol::entry::Entry;
use beatbook_protocol::facts::Facts;
use beatbook_protocol::id::{Hash, RecordId, UserId};
use beatbook_protocol::kind::{CheckedKind, DocumentName, workflow};
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::track::TrackView;

use super::view::{
    ActLine, ActOpen, ChangedField, ClaimView, ConflictView, EntryLine, FileLine, PersonView, RecordPage, RecoveredLine,
    TrackGap, TrackReport, WriteLine,
};
use super::{merges, queue};
use crate::error::StationError;
use crate::feed::reads_private;
use crate::kinds::{Kinds, damaged};
use crate::projection::reading::{self, Documents, json, places};
use crate::projection::record::RecordState;
use crate::station::Session;
use crate::store::{ActRow, ReadTx};

/// Who is called what, and who wrote which change.
#[derive(Debug)]
pub(crate) struct Names {
    people: BTreeMap<UserId, String>,
    authors: BTreeMap<Hash, UserId>,
}

impl Names {
    /// The names that a record's page needs.
    pub(crate) fn of(tx: &ReadTx<'_>, record: RecordId) -> Result<Self, StationError> {
        let people = tx.users()?.into_iter().map(|row| (row.user, row.name)).collect();
        let mut authors: BTreeMap<Hash, UserId> = tx.change_authors(record, DocumentName::Facts)?.into_iter().collect();
        authors.extend(tx.change_authors(record, DocumentName::Private)?);
        Ok(Self { people, authors })
    }

    /// A person.
    pub(crate) fn person(&self, user: UserId) -> PersonView {
        PersonView {
            user,
            name: self.people.get(&user).cloned().unwrap_or_default(),
        }
    }

    fn author(&self, change: &Hash) -> PersonView {
        self.person(self.authors.get(change).copied().unwrap_or(UserId::from_bytes([0; 16])))
    }
}

/// A record's accepted entries for a person; none when it is not in his scope.
pub(crate) fn entries(
    tx: &ReadTx<'_>,
    kinds: &Kinds,
    session: &Session,
    id: RecordId,
) -> Result<Option<Vec<EntryLine>>, StationError> {
    if queue::row(tx, kinds, session, id)?.is_none() {
        return Ok(None);
    }
    let line = |(entry, leaf, position)| EntryLine { entry, leaf, position };
    Ok(Some(tx.accepted_of(id)?.into_iter().map(line).collect()))
}

/// A record's page for a person; none when it is not in his scope.
pub(crate) fn record(
    tx: &ReadTx<'_>,
    kinds: &Kinds,
    session: &Session,
    id: RecordId,
) -> Result<Option<RecordPage>, StationError> {
    let (Some(header), Some(state)) = (queue::row(tx, kinds, session, id)?, tx.record(id)?) else {
        return Ok(None);
    };
    let kind = kinds.kind_of(&state)?;
    let broken = |fault| damaged(&state, &fault);
    let documents = Documents::open(tx, kinds, &state)?;
    let names = Names::of(tx, id)?;
    let now = documents.facts.view().map_err(broken)?;
    let official = reading::official(kind, &state, &documents.facts, &now)?;
    let roles = reading::roles(&session.roles);
    let opened_it = state.opening.user == session.user;
    let whos = workflow::whos(&roles, opened_it);
    let shown = documents.private.as_ref().filter(|_| reads_private(kind, &roles, opened_it));
    let private = shown.map(Document::view).transpose().map_err(broken)?;
    let mut history = history(&documents.facts, &names, &state)?;
    let mut conflicts = conflicts(&now, &names);
    if let (Some(document), Some(view)) = (shown, &private) {
        history.extend(self::history(document, &names, &state)?);
        conflicts.extend(self::conflicts(view, &names));
    }
    let pending = match state.official(kind) {
        Some(_) => changed(&documents.facts, &official, &now, &names, &state)?,
        None => Vec::new(),
    };
    Ok(Some(RecordPage {
        header,
        pinned: state.official(kind).is_some(),
        track: track(&official, kind),
        official: official.into_owned().facts,
        pending,
        conflicts,
        acts: acts(tx, &names, id, None)?,
        recovered: recovered(tx, &names, id)?,
        history,
        findings: tx.findings(id)?,
        acts_open: workflow::acts_open(kind, &state.state, &whos)
            .into_iter()
            .map(|act| ActOpen {
                code: act.code.clone(),
                label: act.label.clone(),
                comment: act.comment,
            })
            .collect(),
        files: files(&now.facts)
            .chain(private.iter().flat_map(|view| files(&view.facts)))
            .collect(),
        private: private.map(|view| view.facts),
        merged_here: merges::rows(tx, kinds, session, tx.merged_here(id)?)?,
        duplicates: merges::rows(tx, kinds, session, tx.duplicates_of(id, session.unit)?)?,
    }))
}

/// The files that a document names. What has arrived, the station says beside it: here nothing but the ledger is known.
fn files(facts: &Facts) -> impl Iterator<Item = FileLine> {
    facts.files.iter().map(|(hash, file)| FileLine {
        hash: *hash,
        field: file.field.clone(),
        media_type: file.media_type.clone(),
        bytes: file.bytes,
        arrived: false,
        thumbnail: file.thumbnail,
        thumbnail_arrived: false,
        removed: file.removed,
    })
}

fn recovered(tx: &ReadTx<'_>, names: &Names, record: RecordId) -> Result<Vec<RecoveredLine>, StationError> {
    let of = |book| Ok::<_, StationError>(names.person(tx.book(book)?.map_or(UserId::from_bytes([0; 16]), |row| row.user)));
    tx.recovered_of(record)?
        .into_iter()
        .map(|row| {
            Ok(RecoveredLine {
                entry: row.entry,
                author: of(row.book)?,
                giver: of(row.giver)?,
                admitted_by: tx.admitted_by(&row.entry)?.map(|by| names.person(by)),
            })
        })
        .collect()
}

/// The acts of a record after a leaf (or all).
pub(crate) fn acts(tx: &ReadTx<'_>, names: &Names, record: RecordId, after: Option<u64>) -> Result<Vec<ActLine>, StationError> {
    tx.acts(record, after)?
        .into_iter()
        .map(|row| act_line(tx, names, row))
        .collect()
}

/// The places that differ between two views, with the newest value, and who wrote it.
pub(crate) fn changed(
    document: &Document,
    before: &View,
    now: &View,
    names: &Names,
    state: &RecordState,
) -> Result<Vec<ChangedField>, StationError> {
    let old = places(&before.facts);
    let differing: Vec<_> = places(&now.facts)
        .into_iter()
        .filter(|(path, value)| old.get(path) != Some(value))
        .collect();
    let mut written: BTreeMap<String, (Hash, UnixMillis)> = now
        .written
        .iter()
        .map(|(path, written)| (path.to_string(), (written.change, written.at)))
        .collect();
    if differing.iter().any(|(path, _)| !written.contains_key(path)) {
        // Notes are woven by many: the last to write in one stands for it.
        for write in document.history().map_err(|fault| damaged(state, &fault))? {
            if matches!(write.value, Said::Text { .. }) {
                written.insert(write.path.to_string(), (write.change, write.at));
            }
        }
    }
    Ok(differing
        .into_iter()
        .map(|(path, value)| {
            let (change, at) = written
                .get(&path)
                .copied()
                .unwrap_or((Hash::from_bytes([0; 32]), state.last_at));
            ChangedField {
                author: names.author(&change),
                path,
                value,
                at,
            }
        })
        .collect())
}

fn act_line(tx: &ReadTx<'_>, names: &Names, row: ActRow) -> Result<ActLine, StationError> {
    let bytes = tx.content(&row.entry)?.unwrap_or_default();
    let (comment, values) = match Entry::parse(&bytes) {
        Ok(Entry::Act(act)) => (act.comment, act.values.unwrap_or_default().into_iter().collect()),
        Ok(_) | Err(_) => return Err(StationError::Damaged(format!("act {} cannot be read", row.entry))),
    };
    Ok(ActLine {
        entry: row.entry,
        code: row.code,
        author: names.person(row.author),
        at: row.at,
        received: row.received,
        comment,
        values,
        state: row.state,
        offered: row.offered,
    })
}

fn conflicts(view: &View, names: &Names) -> Vec<ConflictView> {
    let claim = |claim: &beatbook_protocol::document::Claim| ClaimView {
        value: said(&claim.value),
        author: names.author(&claim.change),
        at: claim.at,
    };
    view.conflicts
        .iter()
        .map(|found| ConflictView {
            path: found.path.to_string(),
            claims: found.claims.iter().map(claim).collect(),
        })
        .collect()
}

fn history(document: &Document, names: &Names, state: &RecordState) -> Result<Vec<WriteLine>, StationError> {
    let writes = document.history().map_err(|fault| damaged(state, &fault))?;
    Ok(writes
        .into_iter()
        .map(|write| WriteLine {
            path: write.path.to_string(),
            value: said(&write.value),
            author: names.author(&write.change),
            at: write.at,
            change: write.change,
        })
        .collect())
}

fn said(said: &Said) -> serde_json::Value {
    match said {
        Said::Value(value) => json(value),
        Said::Bytes(bytes) => serde_json::json!({ "bytes": bytes.len() }),
        Said::Text { inserted, deleted } => serde_json::json!({ "inserted": inserted, "deleted": deleted }),
    }
}

fn track(view: &View, kind: &CheckedKind) -> Option<TrackReport> {
    let has_track = kind
        .fields
        .iter()
        .any(|field| field.field_type == beatbook_protocol::kind::FieldType::Track);
    if !has_track {
        return None;
    }
    let track = TrackView::from_segments(&view.facts.track);
    Some(TrackReport {
        geojson: track.geojson(),
        fixes: track.fixes_kept(),
        distance_m: track.distance_m,
        gaps: track
            .gaps
            .iter()
            .map(|gap| TrackGap {
                from: gap.from,
                to: gap.to,
                reason: gap.reason.word(),
            })
            .collect(),
    })
}
