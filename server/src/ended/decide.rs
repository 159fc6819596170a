//! Deciding on what a book sent after its end. What is admitted is judged as its author's, by what he could know, and goes into a page of
//! the station's own book that names who admitted it; what is refused is kept, with the reason. Nothing goes before it was decided.

use std::collections::BTreeMap;

use beatbook_protocol::entry::{Entry, RecoveredEntry};
use beatbook_protocol::id::{BookId, Hash};
use beatbook_protocol::page::SealedPage;
use beatbook_protocol::wire::Verdict;
use serde::Serialize;

use super::{decides_over, own_book, parting};
use crate::audit::{self, Line};
use crate::error::StationError;
use crate::intake::{Author, HeldEntry, OwnEntry, judge_held};
use crate::ledger;
use crate::policy::{self, Permission};
use crate::recovered;
use crate::scope::Scope;
use crate::station::{Session, Station};
use crate::store::{BookRow, Decision, HeldPageRow, HeldState, ReadTx, WriteTx};

/// Characters of a reason.
const REASON_CHARS_MAX: usize = 500;
/// Pages and entries that one decision names.
const NAMED_MAX: usize = 1_000;

/// What a chief decides on, and why.
#[derive(Debug, Clone, Default)]
pub struct HeldChoice {
    /// Whole pages: all of them that is open.
    pub pages: Vec<Hash>,
    /// Single entries: page and number within it.
    pub entries: Vec<(Hash, u32)>,
    /// Why.
    pub reason: String,
}

/// What became of one entry that was to be admitted or refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct DecidedLine {
    /// Its page.
    #[schema(value_type = String)]
    pub page: Hash,
    /// Number within it.
    pub position: u32,
    /// `admitted`, `offered`, `known`, `refused`; or `open` where it could not be admitted.
    pub state: String,
    /// Why it could not, as a code.
    pub code: Option<String>,
    /// Why it could not, for people.
    pub text: Option<String>,
}

/// One open entry of a choice.
#[derive(Debug)]
struct Chosen {
    page: usize,
    position: u32,
}

/// The pages of one book in a choice, opened, and what of them is chosen.
struct Lot {
    book: BookRow,
    pages: Vec<(HeldPageRow, SealedPage)>,
    chosen: Vec<Chosen>,
}

/// Admits entries, as far as their author might have written them; one line for each.
pub(crate) fn admit(station: &Station, session: &Session, choice: &HeldChoice) -> Result<Vec<DecidedLine>, StationError> {
    let reason = check(choice)?;
    let lines = station.store.write(|tx| {
        let mut lines = Vec::new();
        for lot in lots(station, tx, session, choice)? {
            lines.extend(admit_lot(station, tx, session, &lot, reason)?);
        }
        Ok::<_, StationError>(lines)
    })?;
    station.env.steps.passes("quarantine admitted");
    station.store.read(|tx| ledger::note(tx, &station.keys))?;
    let admitted = lines.iter().filter(|line| line.code.is_none()).count();
    station
        .counters
        .add("quarantine_admitted", u64::try_from(admitted).unwrap_or(u64::MAX));
    Ok(lines)
}

/// Refuses entries; they stay, with the reason.
pub(crate) fn refuse(station: &Station, session: &Session, choice: &HeldChoice) -> Result<Vec<DecidedLine>, StationError> {
    let reason = check(choice)?;
    let lines = station.store.write(|tx| {
        let mut lines = Vec::new();
        for lot in lots(station, tx, session, choice)? {
            let decision = Decision {
                state: HeldState::Refused,
                at: station.env.clock.now(),
                by: Some(session.user),
                reason,
            };
            for chosen in &lot.chosen {
                let page = lot.hash(chosen);
                tx.decide(&page, chosen.position, &decision)?;
                lines.push(line(page, chosen.position, "refused"));
            }
            say(station, tx, session, "quarantine.refuse", &lot, lot.chosen.len(), reason)?;
        }
        Ok::<_, StationError>(lines)
    })?;
    station
        .counters
        .add("quarantine_refused", u64::try_from(lines.len()).unwrap_or(u64::MAX));
    Ok(lines)
}

fn check(choice: &HeldChoice) -> Result<&str, StationError> {
    let reason = policy::plain_line(&choice.reason, REASON_CHARS_MAX).ok_or_else(|| {
        StationError::Invalid(format!(
            "say why, in 1 to {REASON_CHARS_MAX} characters of one line: it stays beside the entries"
        ))
    })?;
    let named = choice.pages.len() + choice.entries.len();
    if named == 0 || named > NAMED_MAX {
        return Err(StationError::Invalid(format!(
            "name 1 to {NAMED_MAX} pages or entries of the quarantine"
        )));
    }
    Ok(reason)
}

impl Lot {
    fn hash(&self, chosen: &Chosen) -> Hash {
        self.pages
            .get(chosen.page)
            .map_or(Hash::from_bytes([0; 32]), |(row, _)| row.hash)
    }
}

/// A held page of a choice, opened.
struct Opened {
    book: BookRow,
    row: HeldPageRow,
    page: SealedPage,
    /// Its number in its author's book.
    sequence: u64,
}

/// The open entries of a choice, book by book, in the order of their coming; those of one exchange in their author's.
fn lots(station: &Station, tx: &ReadTx<'_>, session: &Session, choice: &HeldChoice) -> Result<Vec<Lot>, StationError> {
    let mut wanted: BTreeMap<Hash, Option<Vec<u32>>> = choice.pages.iter().map(|page| (*page, None)).collect();
    for (page, position) in &choice.entries {
        if let Some(positions) = wanted.entry(*page).or_insert_with(|| Some(Vec::new())) {
            positions.push(*position);
        }
    }
    let mut pages = Vec::with_capacity(wanted.len());
    for page in wanted.keys() {
        pages.push(opened(station, tx, session, page)?);
    }
    pages.sort_by_key(|opened| (opened.row.received, opened.sequence));
    let mut lots: BTreeMap<BookId, Lot> = BTreeMap::new();
    for Opened { book, row, page, .. } in pages {
        let only = wanted.get(&row.hash).and_then(Option::as_deref);
        let chosen = open_entries(tx, &row.hash, only)?;
        let lot = lots.entry(row.book).or_insert_with(|| Lot {
            book,
            pages: Vec::new(),
            chosen: Vec::new(),
        });
        let number = lot.pages.len();
        lot.chosen
            .extend(chosen.into_iter().map(|position| Chosen { page: number, position }));
        lot.pages.push((row, page));
    }
    lots.retain(|_, lot| !lot.chosen.is_empty());
    Ok(lots.into_values().collect())
}

/// A held page, for who may decide on it. Who may not is told no more than who asks for what is not there.
fn opened(station: &Station, tx: &ReadTx<'_>, session: &Session, page: &Hash) -> Result<Opened, StationError> {
    let row = tx.held_page(page)?.ok_or_else(|| nothing(page))?;
    let book = own_book(station, tx, row.book)?;
    if !decides_over(tx, Some(session), book.user, Permission::AdmitSetAside)? {
        return Err(nothing(page));
    }
    let page = parting::open(&station.keys, &row)?;
    let header = page
        .header()
        .map_err(|fault| StationError::Damaged(format!("held page {}: {fault}", row.hash)))?;
    Ok(Opened {
        book,
        row,
        page,
        sequence: header.sequence,
    })
}

/// The numbers of a held page's open entries, of these only where some are named: none of those may be decided already.
fn open_entries(tx: &ReadTx<'_>, page: &Hash, only: Option<&[u32]>) -> Result<Vec<u32>, StationError> {
    let entries = tx.held_entries(page)?;
    for position in only.into_iter().flatten() {
        match entries.iter().find(|entry| entry.position == *position) {
            Some(entry) if entry.state == HeldState::Open => {}
            Some(_) => {
                let text = format!("entry {position} of page {page} is decided already");
                return Err(StationError::Invalid(text));
            }
            None => return Err(nothing(page)),
        }
    }
    let is_chosen = |position: u32| only.is_none_or(|only| only.contains(&position));
    let open = entries
        .into_iter()
        .filter(|entry| entry.state == HeldState::Open && is_chosen(entry.position));
    Ok(open.map(|entry| entry.position).collect())
}

fn nothing(page: &Hash) -> StationError {
    StationError::NotFound(format!("such entry held of page {page}"))
}

fn admit_lot(
    station: &Station,
    tx: &WriteTx<'_>,
    session: &Session,
    lot: &Lot,
    reason: &str,
) -> Result<Vec<DecidedLine>, StationError> {
    let now = station.env.clock.now();
    let confirmed = tx.confirmed_by(tx.contact(lot.book.book)?.as_ref())?;
    // By what he was when he wrote it: that he is blocked meanwhile is for the chief to weigh, who decides on each.
    let author = Author {
        scope: Scope::unblocked(tx, lot.book.user)?,
        ..Author::of(tx, &lot.book, confirmed)?
    };
    let mut held = Vec::with_capacity(lot.chosen.len());
    for chosen in &lot.chosen {
        let bytes = lot.pages.get(chosen.page).and_then(|(row, page)| {
            let position = usize::try_from(chosen.position).ok()?;
            Some((row, page, page.entries.get(position)?))
        });
        let (row, page, bytes) =
            bytes.ok_or_else(|| StationError::Damaged("a held page has fewer entries than its rows".into()))?;
        held.push((
            row,
            page,
            HeldEntry {
                page: chosen.page,
                bytes,
            },
        ));
    }
    let headers: Vec<_> = lot
        .pages
        .iter()
        .map(|(_, page)| page.header())
        .collect::<Result<_, _>>()
        .map_err(|fault| StationError::Damaged(format!("a held page: {fault}")))?;
    let entries: Vec<HeldEntry<'_>> = held.iter().map(|(_, _, entry)| *entry).collect();
    let verdicts = judge_held(tx, &station.kinds, &author, now, &headers, &entries)?;
    let mut own = Vec::new();
    let mut lines = Vec::new();
    for ((chosen, (row, _, entry)), verdict) in lot.chosen.iter().zip(&held).zip(&verdicts) {
        let (state, line) = told(row.hash, chosen.position, verdict);
        if matches!(state, Some(HeldState::Admitted)) {
            own.push(OwnEntry {
                bytes: Entry::Recovered(RecoveredEntry {
                    entry: entry.bytes.to_vec(),
                    book: lot.book.book,
                    giver: station.book,
                    received: row.received,
                    admitted_by: Some(session.user),
                })
                .to_bytes(),
                offered: *verdict == Verdict::Offered,
            });
        }
        if let Some(state) = state {
            let decision = Decision {
                state,
                at: now,
                by: Some(session.user),
                reason,
            };
            tx.decide(&row.hash, chosen.position, &decision)?;
        }
        lines.push(line);
    }
    let taken = own.len();
    recovered::seal_all(station, tx, own)?;
    say(station, tx, session, "quarantine.admit", lot, taken, reason)?;
    Ok(lines)
}

/// What a verdict comes to, for the row and for the chief.
fn told(page: Hash, position: u32, verdict: &Verdict) -> (Option<HeldState>, DecidedLine) {
    let open = |code: &str, text: &str| DecidedLine {
        code: Some(code.to_owned()),
        text: Some(text.to_owned()),
        ..line(page, position, "open")
    };
    match verdict {
        Verdict::Accepted => (Some(HeldState::Admitted), line(page, position, "admitted")),
        Verdict::Offered => (Some(HeldState::Admitted), line(page, position, "offered")),
        Verdict::Duplicate => (Some(HeldState::Known), line(page, position, "known")),
        Verdict::Refused { code, text, .. } => (None, open(code, text)),
        Verdict::Needs { .. } => {
            let text = "it builds on changes that are not here: admit those with it";
            (None, open("needs", text))
        }
        Verdict::Other(_) => (None, open("internal", "it was not judged")),
    }
}

fn line(page: Hash, position: u32, state: &str) -> DecidedLine {
    DecidedLine {
        page,
        position,
        state: state.to_owned(),
        code: None,
        text: None,
    }
}

fn say(
    station: &Station,
    tx: &WriteTx<'_>,
    session: &Session,
    what: &'static str,
    lot: &Lot,
    entries: usize,
    reason: &str,
) -> Result<(), StationError> {
    let detail = format!(
        "book {} of {}: {entries} of {} entries",
        lot.book.book,
        lot.book.user,
        lot.chosen.len()
    );
    let line = Line {
        reason: Some(reason.to_owned()),
        ..Line::of(Some(session.user), what, detail)
    };
    audit::append(tx, &station.env, &line)
}
