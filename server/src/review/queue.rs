//! Lists of records for people at the station: the review queue, filters, search. Rows come from projections; no document is opened.

use beatbook_protocol::id::{RecordId, UserId};
use beatbook_protocol::kind::{CheckedKind, Label};

use super::view::{AboutView, PersonView, QueueFilter, RecordFilter, RecordRow, RowPage};
use crate::audit::{self, Line};
use crate::error::StationError;
use crate::kinds::Kinds;
use crate::policy::{self, Permission, Sight};
use crate::scope::Scope;
use crate::station::{Session, Station};
use crate::store::{ListOrder, ListQuery, ListScope, ListedRecord, ReadTx};
use crate::words;

/// Rows of a list when nobody says how many.
const ROWS: u32 = 50;
/// Rows of a list at most.
const ROWS_MAX: u32 = 500;

/// The review queue.
pub(crate) fn queue(station: &Station, session: &Session, filter: &QueueFilter) -> Result<RowPage, StationError> {
    let mut query = query(session.user, ListOrder::Review, filter.limit, filter.after.as_deref())?;
    query.kind.clone_from(&filter.kind);
    query.unit = filter.unit;
    page(station, session, &query)
}

/// Records by filter.
pub(crate) fn records(station: &Station, session: &Session, filter: &RecordFilter) -> Result<RowPage, StationError> {
    let mut query = query(session.user, ListOrder::Newest, filter.limit, filter.after.as_deref())?;
    query.kind.clone_from(&filter.kind);
    query.state.clone_from(&filter.state);
    query.unit = filter.unit;
    query.author = filter.author;
    query.conflicted = filter.conflicted;
    query.about = filter.about;
    page(station, session, &query)
}

/// Records by words. Personal words find a record for who works on it, and are in no snippet.
pub(crate) fn search(station: &Station, session: &Session, text: &str, limit: u32) -> Result<Vec<RecordRow>, StationError> {
    let Some(words) = words::query(text) else {
        return Ok(Vec::new());
    };
    let mut query = query(session.user, ListOrder::Rank, limit, None)?;
    query.words = Some(words);
    Ok(page(station, session, &query)?.rows)
}

/// One record's row, when it is in the person's scope.
pub(crate) fn row(
    tx: &ReadTx<'_>,
    kinds: &Kinds,
    session: &Session,
    record: RecordId,
) -> Result<Option<RecordRow>, StationError> {
    Ok(glance(tx, kinds, session, record)?.map(|(row, _)| row))
}

/// The same, with whether its title shows a personal field.
pub(crate) fn glance(
    tx: &ReadTx<'_>,
    kinds: &Kinds,
    session: &Session,
    record: RecordId,
) -> Result<Option<Glanced>, StationError> {
    let Some(listed) = tx.listed(record)? else { return Ok(None) };
    let scope = Scope::of(tx, session)?;
    if !scope.holds(tx, record, listed.unit)? {
        return Ok(None);
    }
    Glance { kinds, scope: &scope }.row(tx, listed)
}

/// Says in the log that somebody gets so many titles that show personal fields, before he gets them.
pub(crate) fn note_personal(station: &Station, session: &Session, personal: usize) -> Result<(), StationError> {
    if personal == 0 {
        return Ok(());
    }
    let detail = format!("{personal} titles with personal fields");
    audit::write(station, &Line::of(Some(session.user), "records.list", detail))
}

fn query(user: UserId, order: ListOrder, limit: u32, after: Option<&str>) -> Result<ListQuery, StationError> {
    let place = |text: &str| {
        let (first, second) = text.split_once('.')?;
        Some((first.parse().ok()?, second.parse().ok()?))
    };
    let wrong = || StationError::Invalid("`after` is not a place that a list gave".into());
    Ok(ListQuery {
        // Whose it is, the look at the database says: until then it holds nothing.
        scope: ListScope {
            user,
            units: Vec::new(),
            reach: Vec::new(),
        },
        order,
        kind: None,
        state: None,
        unit: None,
        author: None,
        conflicted: false,
        about: None,
        words: None,
        after: after.map(|text| place(text).ok_or_else(wrong)).transpose()?,
        limit: if limit == 0 { ROWS } else { limit.min(ROWS_MAX) },
    })
}

fn page(station: &Station, session: &Session, query: &ListQuery) -> Result<RowPage, StationError> {
    policy::require(Some(session), Permission::ReadRecords)?;
    let (found, next) = station.store.read(|tx| glances(tx, &station.kinds, session, query))?;
    let personal = found.iter().filter(|(_, is_personal)| *is_personal).count();
    note_personal(station, session, personal)?;
    Ok(RowPage {
        rows: found.into_iter().map(|(row, _)| row).collect(),
        next,
    })
}

/// A row, and whether its title shows a personal field.
pub(crate) type Glanced = (RecordRow, bool);

/// The rows of a list as somebody sees them, each with whether its title shows a personal field; and the place to go on after.
fn glances(
    tx: &ReadTx<'_>,
    kinds: &Kinds,
    session: &Session,
    query: &ListQuery,
) -> Result<(Vec<Glanced>, Option<String>), StationError> {
    let scope = Scope::of(tx, session)?;
    // One more than asked for tells whether there is more.
    let more = ListQuery {
        scope: ListScope {
            user: session.user,
            units: scope.units.iter().copied().collect(),
            reach: scope.reach.iter().copied().collect(),
        },
        limit: query.limit + 1,
        ..query.clone()
    };
    let mut listed = tx.list(&more)?;
    let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
    let has_more = listed.len() > limit;
    listed.truncate(limit);
    let last = listed.last().map(|row| format!("{}.{}", row.place.0, row.place.1));
    let next = last.filter(|_| has_more && query.order != ListOrder::Rank);
    let glance = Glance { kinds, scope: &scope };
    let mut found = Vec::with_capacity(listed.len());
    for row in listed {
        found.extend(glance.row(tx, row)?);
    }
    Ok((found, next))
}

/// What somebody sees of records in lists: no reason is said there, so what wants one is not shown.
struct Glance<'a> {
    kinds: &'a Kinds,
    scope: &'a Scope,
}

impl Glance<'_> {
    /// A record's row, and whether its title shows a personal field; none where no role of his reads records of its unit, or where a search
    /// found it by words that are not for him.
    fn row(&self, tx: &ReadTx<'_>, row: ListedRecord) -> Result<Option<(RecordRow, bool)>, StationError> {
        let roles = self.scope.roles_over(tx, row.id, row.unit)?;
        let kind = self.kinds.find(&row.kind.0, row.kind.1);
        let sight = kind.and_then(|kind| Sight::of(kind, &roles, row.opened.0 == self.scope.user));
        let Some(sight) = sight.filter(|sight| sight.works || !row.searched || row.snippet.is_some()) else {
            return Ok(None);
        };
        let level = kind.map_or(0, title_level);
        let about_kind = row.about_kind.clone();
        let mut shown = row_of(kind, row);
        let is_shown = sight.sees(level);
        if !is_shown {
            shown.title = kind.map_or_else(String::new, |kind| kind.label.zh.clone());
        }
        if let Some(about) = &mut shown.about {
            // Who opened that one is not known here: its title is shown as to anybody.
            let of = about_kind.and_then(|(code, version)| self.kinds.find(&code, version));
            let sight = of.and_then(|kind| Some((kind, Sight::of(kind, &roles, false)?)));
            if sight.is_none_or(|(kind, sight)| !sight.sees(title_level(kind))) {
                about.title = None;
            }
        }
        Ok(Some((shown, is_shown && Sight::is_noted(level))))
    }
}

/// How personal a title of a kind may be.
pub(crate) fn title_level(kind: &CheckedKind) -> u8 {
    let levels = kind
        .title
        .iter()
        .filter_map(|code| kind.field(code))
        .map(|field| field.sensitivity);
    levels.max().unwrap_or(0)
}

fn row_of(kind: Option<&CheckedKind>, row: ListedRecord) -> RecordRow {
    let unnamed = || Label {
        zh: row.state.0.clone(),
        en: row.state.0.clone(),
    };
    let state_label = kind
        .and_then(|kind| kind.state(&row.state.0))
        .map_or_else(unnamed, |state| state.label.clone());
    RecordRow {
        id: row.id,
        kind: row.kind.0,
        kind_version: row.kind.1,
        unit: row.unit,
        state: row.state.0,
        state_label,
        state_since: row.state.1,
        title: row.title,
        author: PersonView {
            user: row.opened.0,
            name: row.opened.1,
        },
        opened_at: row.opened.2,
        changed_at: row.received,
        version: row.version.to_string(),
        conflicts: row.counts.0,
        findings: row.counts.1,
        pending: row.counts.2,
        offered: row.flags.0,
        review: row.flags.1,
        merged_into: row.merged_into,
        about: row.about.map(|(id, title)| AboutView { id, title }),
        snippet: row.snippet.map(|snippet| words::unspaced(&snippet)),
    }
}
