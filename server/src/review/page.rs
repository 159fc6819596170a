//! A record's page: what it says officially, what waits, what conflicts, who did and wrote what when. Opens the record's documents, and
//! shows of them what the reader's sight reaches.

use std::collections::BTreeMap;

use beatbook_protocol::entry::Entry;
use beatbook_protocol::id::{Hash, RecordId, UserId};
use beatbook_protocol::kind::{DocumentName, workflow};
use beatbook_protocol::time::UnixMillis;

use super::mask::Mask;
use super::view::{ActLine, ActOpen, EntryLine, PersonView, RecordPage, RecoveredLine};
use super::written::Written;
use super::{glass, merges, queue};
use crate::error::StationError;
use crate::kinds::Kinds;
use crate::policy::{Reason, Sight};
use crate::projection::reading::Documents;
use crate::scope::Scope;
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

    /// Who wrote a change.
    pub(super) fn author(&self, change: &Hash) -> PersonView {
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

/// What of a record's page is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The page without its history and its track's lines.
    Page,
    /// Every write to every place.
    History,
    /// The track's lines.
    Track,
}

/// A page as somebody may see it, and what of it the log must say that he saw.
#[derive(Debug)]
pub(crate) struct Seen {
    /// The page.
    pub(crate) page: RecordPage,
    /// By what right.
    pub(crate) sight: Sight,
    /// Sensitive fields that are plain in the part that he asked for.
    pub(crate) shown: Vec<String>,
}

/// What somebody asks to see of a record, when.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// Which part.
    pub(crate) part: Part,
    /// Why, if he says.
    pub(crate) reason: Option<Reason>,
    /// By the station's clock.
    pub(crate) at: UnixMillis,
}

/// A record's page for a person; none when it is not in his scope.
pub(crate) fn record(
    tx: &ReadTx<'_>,
    kinds: &Kinds,
    session: &Session,
    id: RecordId,
    asked: &Asked,
) -> Result<Option<Seen>, StationError> {
    let (Some(header), Some(state)) = (queue::row(tx, kinds, session, id)?, tx.record(id)?) else {
        return Ok(None);
    };
    let kind = kinds.kind_of(&state)?;
    let Some(sight) = glass::sight(tx, kinds, session, &state, asked.at)?.map(|sight| sight.because(asked.reason.clone())) else {
        return Ok(None);
    };
    let documents = Documents::open(tx, kinds, &state)?;
    let names = Names::of(tx, id)?;
    let mut written = Written::of(kind, &state, &documents, &names, &sight)?;
    let roles = Scope::of(tx, session)?.roles_over(tx, id, state.opening.opens.unit)?;
    let whos = workflow::whos(&roles, state.opening.user == session.user);
    let acts = acts(tx, &names, id, None, &mut written.mask)?;
    let (track, track_shown) = written.track(kind, &sight);
    let mut shown = match asked.part {
        Part::Page => written.mask.shown(),
        Part::History => written.history_shown,
        Part::Track => track_shown,
    };
    shown.sort_unstable();
    let page = RecordPage {
        header,
        pinned: state.official(kind).is_some(),
        track,
        official: written.official,
        pending: written.pending,
        conflicts: written.conflicts,
        acts,
        recovered: recovered(tx, &names, id)?,
        history: written.history,
        findings: tx.findings(id)?,
        acts_open: workflow::acts_open(kind, &state.state, &whos)
            .into_iter()
            .map(|act| ActOpen {
                code: act.code.clone(),
                label: act.label.clone(),
                comment: act.comment,
            })
            .collect(),
        files: written.files,
        private: written.private,
        masked: written.masked.into_iter().chain(written.mask.masked()).collect(),
        merged_here: merges::rows(tx, kinds, session, tx.merged_here(id)?)?,
        duplicates: merges::rows(tx, kinds, session, tx.duplicates_of(id, (session.unit, session.user))?)?,
    };
    Ok(Some(Seen { page, sight, shown }))
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
pub(crate) fn acts(
    tx: &ReadTx<'_>,
    names: &Names,
    record: RecordId,
    after: Option<u64>,
    mask: &mut Mask<'_>,
) -> Result<Vec<ActLine>, StationError> {
    tx.acts(record, after)?
        .into_iter()
        .map(|row| act_line(tx, names, row, mask))
        .collect()
}

fn act_line(tx: &ReadTx<'_>, names: &Names, row: ActRow, mask: &mut Mask<'_>) -> Result<ActLine, StationError> {
    let bytes = tx.content(&row.entry)?.unwrap_or_default();
    let (comment, values) = match Entry::parse(&bytes) {
        Ok(Entry::Act(act)) => (act.comment, mask.act(&row.code, act.values.unwrap_or_default())),
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
