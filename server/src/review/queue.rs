//! Lists of records for people at the station: the review queue, filters, search. Rows come from projections; no document is opened.

use beatbook_protocol::id::RecordId;
use beatbook_protocol::kind::Label;

use super::view::{AboutView, PersonView, QueueFilter, RecordFilter, RecordRow, RowPage};
use crate::error::StationError;
use crate::kinds::Kinds;
use crate::scope::Scope;
use crate::station::{Session, Station};
use crate::store::{ListOrder, ListQuery, ListedRecord, ReadTx};
use crate::words;

/// Rows of a list when nobody says how many.
const ROWS: u32 = 50;
/// Rows of a list at most.
const ROWS_MAX: u32 = 500;

/// The review queue.
pub(crate) fn queue(station: &Station, session: &Session, filter: &QueueFilter) -> Result<RowPage, StationError> {
    let mut query = query(session, ListOrder::Review, filter.limit, filter.after.as_deref())?;
    query.kind.clone_from(&filter.kind);
    query.unit = filter.unit;
    page(station, &query)
}

/// Records by filter.
pub(crate) fn records(station: &Station, session: &Session, filter: &RecordFilter) -> Result<RowPage, StationError> {
    let mut query = query(session, ListOrder::Newest, filter.limit, filter.after.as_deref())?;
    query.kind.clone_from(&filter.kind);
    query.state.clone_from(&filter.state);
    query.unit = filter.unit;
    query.author = filter.author;
    query.conflicted = filter.conflicted;
    query.about = filter.about;
    page(station, &query)
}

/// Records by words.
pub(crate) fn search(station: &Station, session: &Session, text: &str, limit: u32) -> Result<Vec<RecordRow>, StationError> {
    let Some(words) = words::query(text) else {
        return Ok(Vec::new());
    };
    let mut query = query(session, ListOrder::Rank, limit, None)?;
    query.words = Some(words);
    Ok(page(station, &query)?.rows)
}

/// One record's row, when it is in the person's scope.
pub(crate) fn row(
    tx: &ReadTx<'_>,
    kinds: &Kinds,
    session: &Session,
    record: RecordId,
) -> Result<Option<RecordRow>, StationError> {
    let Some(listed) = tx.listed(record)? else { return Ok(None) };
    if !Scope::of(tx, session)?.holds(tx, record, listed.unit)? {
        return Ok(None);
    }
    Ok(Some(row_of(kinds, listed)))
}

fn query(session: &Session, order: ListOrder, limit: u32, after: Option<&str>) -> Result<ListQuery, StationError> {
    let place = |text: &str| {
        let (first, second) = text.split_once('.')?;
        Some((first.parse().ok()?, second.parse().ok()?))
    };
    let wrong = || StationError::Invalid("`after` is not a place that a list gave".into());
    Ok(ListQuery {
        scope: (session.unit, session.user),
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

fn page(station: &Station, query: &ListQuery) -> Result<RowPage, StationError> {
    // One more than asked for tells whether there is more.
    let more = ListQuery {
        limit: query.limit + 1,
        ..query.clone()
    };
    let mut listed = station.store.read(|tx| tx.list(&more))?;
    let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
    let has_more = listed.len() > limit;
    listed.truncate(limit);
    let last = listed.last().map(|row| format!("{}.{}", row.place.0, row.place.1));
    let next = last.filter(|_| has_more && query.order != ListOrder::Rank);
    Ok(RowPage {
        rows: listed.into_iter().map(|row| row_of(&station.kinds, row)).collect(),
        next,
    })
}

fn row_of(kinds: &Kinds, row: ListedRecord) -> RecordRow {
    let unnamed = || Label {
        zh: row.state.0.clone(),
        en: row.state.0.clone(),
    };
    let kind = kinds.find(&row.kind.0, row.kind.1);
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
