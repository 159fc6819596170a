//! What books sent after their end, as the chief of their people sees it: record by record, entry by entry, with what was decided. Reads
//! and shows; `decide` decides.

use std::collections::{BTreeMap, BTreeSet};

use beatbook_protocol::entry::Entry;
use beatbook_protocol::facts::Facts;
use beatbook_protocol::id::{BookId, Hash, RecordId, UserId};
use beatbook_protocol::kind::DocumentName;
use beatbook_protocol::time::UnixMillis;
use serde::Serialize;

use super::{decides_over, parting, preview};
use crate::audit;
use crate::error::StationError;
use crate::policy::Permission;
use crate::review::view::PersonView;
use crate::station::{Session, Station};
use crate::store::{BookRow, HeldEntryRow, HeldPageRow, HeldState, ReadTx};

/// Pages that one answer shows at most.
pub(crate) const PAGES_SHOWN: u32 = 512;

/// What is held.
#[derive(Debug, Clone, Default, Serialize, utoipa::ToSchema)]
pub struct QuarantineView {
    /// By record, those first whose entries came first.
    pub records: Vec<HeldRecordView>,
    /// What is about no record, or cannot be read.
    pub others: Vec<HeldLine>,
    /// Where to go on; none at the end. What a record has on a later page of this list stands there, and is not in what is shown of it here.
    pub next: Option<String>,
}

/// The held entries of one record.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct HeldRecordView {
    /// The record.
    #[schema(value_type = String)]
    pub record: RecordId,
    /// Whether the station has it; else what is held would open it.
    pub is_here: bool,
    /// Whether it is in the reader's scope, as it is or as it would be opened; if not, nothing of what it says is shown.
    pub in_scope: bool,
    /// Its kind by code; none when nothing here opens it.
    pub kind: Option<String>,
    /// Its title, with what is held and undecided in it.
    pub title: Option<String>,
    /// Its facts, with what is held and undecided in it, as far as the guard lets it in; masked as on the record's page.
    #[schema(value_type = Option<Object>)]
    pub facts: Option<Facts>,
    /// Places of the facts that are masked, as `facts/fields/CODE`.
    pub masked: Vec<String>,
    /// Fields of its private document that the held entries write, by code; their values are shown once they are admitted, to those who
    /// may read them.
    pub private_fields: Vec<String>,
    /// The entries.
    pub entries: Vec<HeldLine>,
}

/// One held entry.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct HeldLine {
    /// Its page.
    #[schema(value_type = String)]
    pub page: Hash,
    /// Number within it.
    pub position: u32,
    /// The entry; zeros once it is destroyed.
    #[schema(value_type = String)]
    pub entry: Hash,
    /// The book that had ended.
    #[schema(value_type = String)]
    pub book: BookId,
    /// Whose book that was.
    pub author: PersonView,
    /// What his phone called itself.
    pub device: String,
    /// When it came.
    #[schema(value_type = i64)]
    pub received: UnixMillis,
    /// Whose phone brought it in a parcel; none when its own did.
    #[schema(value_type = Option<String>)]
    pub carrier: Option<BookId>,
    /// `change`, `act`, or `unknown`.
    pub sort: String,
    /// Of an act: its code.
    pub code: Option<String>,
    /// Of an act: its comment.
    pub comment: Option<String>,
    /// Of a change: `facts` or `private`.
    pub document: Option<String>,
    /// When it was written, by its author's clock.
    #[schema(value_type = Option<i64>)]
    pub at: Option<UnixMillis>,
    /// `open`, `admitted`, `refused`, `known`, or `destroyed` with what it was about.
    pub state: String,
    /// Why the guard would not have it, as a code; none when it would, and for what is decided.
    pub fault: Option<String>,
    /// When it was decided.
    #[schema(value_type = Option<i64>)]
    pub decided_at: Option<UnixMillis>,
    /// Who decided.
    pub decided_by: Option<PersonView>,
    /// Why.
    pub reason: Option<String>,
}

/// A held entry with what it says.
#[derive(Debug)]
pub(super) struct HeldItem {
    pub(super) line: HeldLine,
    pub(super) user: UserId,
    /// What it is about, also when its bytes are destroyed.
    pub(super) record: Option<RecordId>,
    pub(super) entry: Option<Entry>,
}

/// What is held of the books of the people whose chief a person is, a page of the list; what is decided only when he asks for it. What he is
/// shown of records is on the log first.
pub(crate) fn quarantine(
    station: &Station,
    session: &Session,
    decided: bool,
    after: Option<&str>,
    limit: u32,
) -> Result<QuarantineView, StationError> {
    let wrong = || StationError::Invalid("`after` is not a place that a list gave".into());
    let after: Option<Hash> = after.map(|text| text.parse().map_err(|_| wrong())).transpose()?;
    let limit = usize::try_from(limit.clamp(1, PAGES_SHOWN)).unwrap_or(usize::MAX);
    let now = station.env.clock.now();
    station.store.write(|tx| {
        if let Some(after) = &after
            && !tx.is_held(after)?
        {
            return Err(wrong());
        }
        let books = his_books(tx, session)?;
        let names: BTreeSet<BookId> = books.keys().copied().collect();
        // One more than is shown tells whether there is more.
        let mut pages = tx.held_pages(&names, decided, after.as_ref(), limit + 1)?;
        let has_more = pages.len() > limit;
        pages.truncate(limit);
        let mut records: BTreeMap<RecordId, Vec<HeldItem>> = BTreeMap::new();
        let mut order = Vec::new();
        let mut view = QuarantineView {
            next: pages.last().filter(|_| has_more).map(Hash::to_string),
            ..QuarantineView::default()
        };
        for page in &pages {
            let Some(row) = tx.held_page(page)? else { continue };
            let Some(book) = books.get(&row.book) else { continue };
            for item in items(station, tx, &row, book)? {
                match item.record {
                    Some(record) => {
                        if !records.contains_key(&record) {
                            order.push(record);
                        }
                        records.entry(record).or_default().push(item);
                    }
                    None => view.others.push(item.line),
                }
            }
        }
        for record in order {
            let items = records.remove(&record).unwrap_or_default();
            let (shown, line) = preview::record(station, tx, (session, now), record, items)?;
            if let Some(line) = line {
                audit::append(tx, &station.env, &line)?;
            }
            view.records.push(shown);
        }
        Ok(view)
    })
}

/// The books on whose pages a person decides.
fn his_books(tx: &ReadTx<'_>, session: &Session) -> Result<BTreeMap<BookId, BookRow>, StationError> {
    let mut people: BTreeMap<UserId, bool> = BTreeMap::new();
    let mut books = BTreeMap::new();
    for row in tx.books()? {
        let is_his = match people.get(&row.user) {
            Some(is_his) => *is_his,
            None => decides_over(tx, Some(session), row.user, Permission::AdmitSetAside)?,
        };
        people.insert(row.user, is_his);
        if is_his {
            books.insert(row.book, row);
        }
    }
    Ok(books)
}

fn items(station: &Station, tx: &ReadTx<'_>, page: &HeldPageRow, book: &BookRow) -> Result<Vec<HeldItem>, StationError> {
    let sealed = parting::open(&station.keys, page)?;
    let author = person(tx, book.user)?;
    let mut items = Vec::new();
    for row in tx.held_entries(&page.hash)? {
        let bytes = usize::try_from(row.position).ok().and_then(|at| sealed.entries.get(at));
        let entry = bytes.and_then(|bytes| Entry::parse(bytes).ok());
        items.push(HeldItem {
            record: row.record,
            line: line(tx, page, book, author.clone(), row, entry.as_ref())?,
            user: book.user,
            entry,
        });
    }
    Ok(items)
}

fn line(
    tx: &ReadTx<'_>,
    page: &HeldPageRow,
    book: &BookRow,
    author: PersonView,
    row: HeldEntryRow,
    entry: Option<&Entry>,
) -> Result<HeldLine, StationError> {
    let (sort, code, comment, document, at) = match entry {
        Some(Entry::Change(change)) => {
            let document = change.document.name().map(|name| match name {
                DocumentName::Facts => "facts".to_owned(),
                DocumentName::Private => "private".to_owned(),
            });
            ("change", None, None, document, Some(change.at))
        }
        Some(Entry::Act(act)) => ("act", Some(act.code.clone()), act.comment.clone(), None, Some(act.at)),
        Some(Entry::Registry(_) | Entry::Recovered(_) | Entry::Other(_)) | None => ("unknown", None, None, None, None),
    };
    Ok(HeldLine {
        page: page.hash,
        position: row.position,
        entry: row.entry,
        book: book.book,
        author,
        device: book.device.clone(),
        received: page.received,
        carrier: page.carrier,
        sort: sort.to_owned(),
        code,
        comment,
        document,
        at,
        state: state_code(row.state).to_owned(),
        fault: None,
        decided_at: row.decided_at,
        decided_by: row.decided_by.map(|by| person(tx, by)).transpose()?,
        reason: row.reason,
    })
}

/// What was decided, by code.
pub(super) const fn state_code(state: HeldState) -> &'static str {
    match state {
        HeldState::Open => "open",
        HeldState::Admitted => "admitted",
        HeldState::Refused => "refused",
        HeldState::Known => "known",
        HeldState::Destroyed => "destroyed",
    }
}

/// A person as shown.
pub(crate) fn person(tx: &ReadTx<'_>, user: UserId) -> Result<PersonView, StationError> {
    Ok(PersonView {
        user,
        name: tx.user(user)?.map(|row| row.name).unwrap_or_default(),
    })
}
