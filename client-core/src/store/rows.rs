//! Rows of `record`, `change` and `act` as the rooms of the store pass them on. Knows no rule.

use beatbook_protocol::codec;
use beatbook_protocol::entry::{ActEntry, DocumentCode, Entry, Opens};
use beatbook_protocol::id::{BookId, Hash, RecordId, UnitId, UserId};
use beatbook_protocol::kind::DocumentName;
use beatbook_protocol::time::UnixMillis;
use rusqlite::{OptionalExtension, Row};

use super::{StoreError, Tx, give};
use crate::record::Step;

/// Where an entry stands. The numbers are in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// The station has it.
    Accepted = 0,
    /// Own, without a verdict yet.
    Pending = 1,
    /// Refused, or built on what was refused.
    Parked = 2,
    /// From the feed, and the guard would not have it.
    Unreadable = 3,
    /// From the feed, before the guard.
    Arrived = 4,
    /// Parked, and its author has dealt with it.
    Answered = 5,
    /// Accepted once, and a restored station would not have it back.
    Lost = 6,
}

impl Status {
    /// The number in the file.
    pub(crate) const fn code(self) -> i64 {
        self as i64
    }

    /// The status of a number in the file.
    pub(crate) const fn from_code(code: i64) -> Option<Self> {
        Some(match code {
            0 => Self::Accepted,
            1 => Self::Pending,
            2 => Self::Parked,
            3 => Self::Unreadable,
            4 => Self::Arrived,
            5 => Self::Answered,
            6 => Self::Lost,
            _ => return None,
        })
    }
}

/// One change to be stored.
#[derive(Debug)]
pub(crate) struct NewChange<'a> {
    /// The entry.
    pub(crate) entry: Hash,
    /// The record.
    pub(crate) record: RecordId,
    /// Which document, as it travels.
    pub(crate) document: DocumentCode,
    /// automerge's hash, when the bytes are sound enough to have one.
    pub(crate) hash: Option<Hash>,
    /// The changes it depends on.
    pub(crate) deps: &'a [Hash],
    /// The change.
    pub(crate) bytes: &'a [u8],
    /// Set on the change that opens the record.
    pub(crate) opens: Option<&'a Opens>,
    /// Whether it settles conflicts.
    pub(crate) settles: bool,
    /// Whose book.
    pub(crate) book: BookId,
    /// When it was written.
    pub(crate) at: UnixMillis,
    /// Where it stands.
    pub(crate) status: Status,
    /// How it came from the station, if it did.
    pub(crate) came: Option<Came<'a>>,
}

/// How an entry came from the station.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Came<'a> {
    /// Its place in the ledger.
    pub(crate) place: (u64, u32),
    /// When the station took it in.
    pub(crate) received: UnixMillis,
    /// Its bytes.
    pub(crate) bytes: &'a [u8],
}

/// Stores a change.
pub(crate) fn put_change(tx: &Tx<'_>, change: &NewChange<'_>) -> Result<(), StoreError> {
    let place = change.came.map(|came| came.place);
    // The entry's bytes are kept where they cannot be made again out of the row.
    let whole = change.came.filter(|came| {
        let again = change.document.name().map(|document| {
            let (at, opens) = (change.at, change.opens.cloned());
            give::made_again(change.record, document, change.bytes.to_vec(), at, change.settles, opens)
        });
        again.as_deref() != Some(came.bytes)
    });
    tx.prepare_cached(
        "INSERT INTO change (entry, record, document, change_hash, deps, bytes, opens, settles, book, at, status, leaf, position,
                             received, whole)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
    )?
    .execute((
        change.entry.as_bytes(),
        change.record.as_bytes(),
        code_of(change.document),
        change.hash.as_ref().map(Hash::as_bytes),
        joined(change.deps),
        change.bytes,
        change.opens.map(codec::to_bytes),
        change.settles,
        change.book.as_bytes(),
        change.at.0,
        change.status.code(),
        place.map(|(leaf, _)| leaf.cast_signed()),
        place.map(|(_, position)| position),
        change.came.map(|came| came.received.0),
        whole.map(|came| came.bytes),
    ))?;
    Ok(())
}

/// Stores an act.
pub(crate) fn put_act(
    tx: &Tx<'_>,
    entry: &Hash,
    act: &ActEntry,
    bytes: &[u8],
    book: BookId,
    (status, came, offered): (Status, Option<Came<'_>>, bool),
) -> Result<(), StoreError> {
    let place = came.map(|came| came.place);
    tx.prepare_cached(
        "INSERT INTO act (entry, record, bytes, book, at, status, offered, leaf, position, received)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?
    .execute((
        entry.as_bytes(),
        act.record.as_bytes(),
        bytes,
        book.as_bytes(),
        act.at.0,
        status.code(),
        offered,
        place.map(|(leaf, _)| leaf.cast_signed()),
        place.map(|(_, position)| position),
        came.map(|came| came.received.0),
    ))?;
    Ok(())
}

/// Whether the entry is accepted and has its place on the ledger.
pub(crate) fn has_place(tx: &Tx<'_>, entry: &Hash) -> Result<bool, StoreError> {
    Ok(tx
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM change WHERE entry = ?1 AND status IN (0, 3, 4) AND leaf IS NOT NULL)
                 OR EXISTS (SELECT 1 FROM act WHERE entry = ?1 AND status = 0 AND leaf IS NOT NULL)",
        )?
        .query_row([entry.as_bytes()], |row| row.get(0))?)
}

/// What a record's opening entry says.
#[derive(Debug, Clone)]
pub(crate) struct Opening {
    /// Kind, version, unit.
    pub(crate) opens: Opens,
    /// Who opened it, as a book.
    pub(crate) book: BookId,
    /// When.
    pub(crate) at: UnixMillis,
}

type Found = (Vec<u8>, [u8; 16], i64);

/// The record's opening entry; the station's when there is one, else the own that waits, else one that was parked.
pub(crate) fn opening(tx: &Tx<'_>, record: RecordId) -> Result<Option<Opening>, StoreError> {
    // Few rows: sorted here, they need no sorter there.
    let mut rows = tx.prepare_cached(
        "SELECT opens, book, at, status, n FROM change WHERE record = ?1 AND opens IS NOT NULL AND status <> 6",
    )?;
    let mut rows = rows.query([record.as_bytes()])?;
    let mut best: Option<((u8, i64), Found)> = None;
    while let Some(row) = rows.next()? {
        let rank = match Status::from_code(row.get(3)?) {
            Some(Status::Accepted | Status::Arrived) => 0,
            Some(Status::Pending) => 1,
            _ => 2,
        };
        let key = (rank, row.get(4)?);
        if best.as_ref().is_none_or(|(before, _)| key < *before) {
            best = Some((key, (row.get(0)?, row.get(1)?, row.get(2)?)));
        }
    }
    let row = best.map(|(_, row)| row);
    let Some((opens, book, at)) = row else { return Ok(None) };
    Ok(Some(Opening {
        opens: codec::from_bytes("opening", &opens)?,
        book: BookId::from_bytes(book),
        at: UnixMillis(at),
    }))
}

/// Whether the record's openings were all refused.
pub(crate) fn is_opening_refused(tx: &Tx<'_>, record: RecordId) -> Result<bool, StoreError> {
    let (refused, others): (i64, i64) = tx
        .prepare_cached(
            "SELECT count(*) FILTER (WHERE status IN (2, 5)), count(*) FILTER (WHERE status NOT IN (2, 5)) FROM change
             WHERE record = ?1 AND opens IS NOT NULL",
        )?
        .query_row([record.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(refused > 0 && others == 0)
}

/// One stored change.
#[derive(Debug, Clone)]
pub(crate) struct ChangeRow {
    /// Its number here.
    pub(crate) n: i64,
    /// The entry.
    pub(crate) entry: Hash,
    /// automerge's hash.
    pub(crate) hash: Option<Hash>,
    /// What it depends on.
    pub(crate) deps: Vec<Hash>,
    /// The change.
    pub(crate) bytes: Vec<u8>,
    /// Whether it settles conflicts.
    pub(crate) settles: bool,
    /// Where it stands.
    pub(crate) status: Status,
}

/// The changes of a document that no snapshot holds, in the order of their coming.
pub(crate) fn changes(tx: &Tx<'_>, record: RecordId, document: DocumentName) -> Result<Vec<ChangeRow>, StoreError> {
    let mut rows = tx.prepare_cached(
        "SELECT n, entry, change_hash, deps, bytes, settles, status FROM change
         WHERE record = ?1 AND document = ?2 AND folded = 0 ORDER BY n",
    )?;
    let mut rows = rows.query((record.as_bytes(), code_of(document.into())))?;
    let mut changes = Vec::new();
    while let Some(row) = rows.next()? {
        let status = row.get(6)?;
        changes.push(ChangeRow {
            n: row.get(0)?,
            entry: Hash::from_bytes(row.get(1)?),
            hash: row.get::<_, Option<[u8; 32]>>(2)?.map(Hash::from_bytes),
            deps: split(row.get_ref(3)?.as_blob().map_err(rusqlite::Error::from)?)?,
            bytes: row.get(4)?,
            settles: row.get(5)?,
            status: Status::from_code(status).ok_or_else(|| StoreError::Damaged(format!("a change has status {status}")))?,
        });
    }
    Ok(changes)
}

/// The acts of a record that count: accepted in the ledger's order, then pending ones.
pub(crate) fn steps(tx: &Tx<'_>, record: RecordId) -> Result<Vec<Step>, StoreError> {
    let mut rows = tx.prepare_cached(
        "SELECT entry, bytes, book, offered, status FROM act WHERE record = ?1 AND status <= 1
         ORDER BY status, leaf IS NULL, leaf, position, n",
    )?;
    let rows = rows.query_map([record.as_bytes()], |row| {
        Ok((
            row.get(0)?,
            row.get::<_, Vec<u8>>(1)?,
            row.get(2)?,
            row.get(3)?,
            row.get::<_, i64>(4)?,
        ))
    })?;
    let mut steps = Vec::new();
    for row in rows {
        let (entry, bytes, book, offered, status) = row?;
        if let Entry::Act(act) = Entry::parse(&bytes)? {
            let waiting = status == Status::Pending.code();
            steps.push(Step {
                entry: Hash::from_bytes(entry),
                act,
                book: BookId::from_bytes(book),
                offered,
                waiting,
            });
        }
    }
    Ok(steps)
}

/// What is known of a record without opening it.
#[derive(Debug, Clone)]
pub(crate) struct RecordHead {
    /// Kind's code.
    pub(crate) kind: String,
    /// Kind's version.
    pub(crate) kind_version: u32,
    /// Unit.
    pub(crate) unit: UnitId,
    /// Who opened it.
    pub(crate) opener: Option<UserId>,
    /// When it was opened.
    pub(crate) opened_at: UnixMillis,
    /// The state it is shown in.
    pub(crate) state: String,
    /// The opaque version.
    pub(crate) version: String,
    /// Why it cannot be read.
    pub(crate) unreadable: Option<String>,
}

/// The record, if it is here.
pub(crate) fn head(tx: &Tx<'_>, record: RecordId) -> Result<Option<RecordHead>, StoreError> {
    Ok(tx
        .prepare_cached(
            "SELECT kind, version, unit, opener_user, opened_at, state, shown_version, unreadable FROM record WHERE record = ?1",
        )?
        .query_row([record.as_bytes()], |row| {
            Ok(RecordHead {
                kind: row.get(0)?,
                kind_version: row.get(1)?,
                unit: UnitId::from_bytes(row.get(2)?),
                opener: user(row, 3)?,
                opened_at: UnixMillis(row.get(4)?),
                state: row.get(5)?,
                version: row.get(6)?,
                unreadable: row.get(7)?,
            })
        })
        .optional()?)
}

/// A user's id in a column that may be null.
pub(crate) fn user(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<UserId>> {
    Ok(row.get::<_, Option<[u8; 16]>>(column)?.map(UserId::from_bytes))
}

/// Hashes as one blob.
pub(crate) fn joined(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| *hash.as_bytes()).collect()
}

/// Hashes out of one blob.
pub(crate) fn split(blob: &[u8]) -> Result<Vec<Hash>, StoreError> {
    Ok(blob.chunks(32).map(Hash::from_slice).collect::<Result<_, _>>()?)
}

/// A document as a number in the file; the same as it travels.
pub(crate) fn code_of(document: DocumentCode) -> u8 {
    match document.name() {
        Some(DocumentName::Facts) => 0,
        Some(DocumentName::Private) => 1,
        // Documents of later versions are kept under a number of their own and folded by none.
        None => u8::MAX,
    }
}
