//! Pages that own entries are sealed into, and the lives of this file that number them. A header is stored before it is signed, so
//! that a crash between the two never makes two different pages of one number. Knows nothing of requests and replies.

use beatbook_protocol::codec;
use beatbook_protocol::id::{BookId, Hash, IncarnationId, RecordId};
use beatbook_protocol::page::{Break, Draft, header_hash};
use beatbook_protocol::time::{Stamp, UnixMillis};
use beatbook_protocol::wire::{PageAnswer, Verdict, verdict_of};
use rusqlite::{OptionalExtension, Row};

use super::outbox::{gather, hold};
use super::{StoreError, Tx};

/// Why a life was left: another copy of this file had gone on in it.
const OLD_COPY: &str = "old_copy";

/// What a header needs beside its entries.
#[derive(Debug)]
pub(crate) struct Sealing {
    /// Suite of the book's key.
    pub(crate) suite: u8,
    /// What the phone knows of time; its checkpoint is the cursor, so that nobody is judged by what he had not yet received.
    pub(crate) stamp: Stamp,
    /// Fresh random bytes.
    pub(crate) seed: [u8; 32],
}

/// A header that waits for its signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unsigned {
    /// The page's hash.
    pub(crate) hash: Hash,
    /// The header's bytes.
    pub(crate) header: Vec<u8>,
}

/// The station's verdict on one own entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settled {
    /// The entry.
    pub(crate) entry: Hash,
    /// Its record, when it is about one.
    pub(crate) record: Option<RecordId>,
    /// The page's leaf.
    pub(crate) leaf: u64,
    /// Number within the page.
    pub(crate) position: u32,
    /// The verdict.
    pub(crate) verdict: Verdict,
}

/// Begins a life of this file.
pub(crate) fn begin_life(
    tx: &Tx<'_>,
    incarnation: IncarnationId,
    book: BookId,
    follows: Option<&Break>,
) -> Result<(), StoreError> {
    tx.prepare_cached(
        "INSERT INTO incarnation (incarnation, book, next, last, follows, broken_at, reason) VALUES (?1, ?2, 0, ?3, ?4, ?5, ?6)",
    )?
    .execute((
        incarnation.as_bytes(),
        book.as_bytes(),
        [0; 32],
        follows.map(|follows| *follows.incarnation.as_bytes()),
        follows.map(|follows| follows.sequence.cast_signed()),
        follows.map(|follows| follows.reason.as_str()),
    ))?;
    Ok(())
}

/// The life that is written in, and the number of its next page.
pub(crate) fn incarnation(tx: &Tx<'_>) -> Result<Option<(IncarnationId, u64)>, StoreError> {
    Ok(life(tx)?.map(|life| (life.incarnation, life.next.cast_unsigned())))
}

/// Makes one page of the queue's beginning: its header is stored, unsigned. Nothing when nothing waits. Call until it says false.
pub(crate) fn draft(tx: &Tx<'_>, sealing: Sealing, now: UnixMillis) -> Result<bool, StoreError> {
    let Some(life) = life(tx)? else { return Ok(false) };
    let (numbers, entries) = gather(tx, now)?;
    if entries.is_empty() {
        return Ok(false);
    }
    let seed = sealing.seed;
    let header = Draft {
        suite: sealing.suite,
        book: life.book,
        incarnation: life.incarnation,
        sequence: life.next.cast_unsigned(),
        previous: life.last,
        stamp: sealing.stamp,
        follows: life.follows.filter(|_| life.next == 0),
        seed,
        entries: &entries,
    }
    .header();
    let hash = header_hash(&header);
    tx.prepare_cached("INSERT INTO page (life, sequence, header, hash, seed, state) VALUES (?1, ?2, ?3, ?4, ?5, 'sealed')")?
        .execute((life.life, life.next, header, hash.as_bytes(), seed))?;
    tx.prepare_cached("UPDATE incarnation SET next = next + 1, last = ?2 WHERE life = ?1")?
        .execute((life.life, hash.as_bytes()))?;
    let mut hold = tx.prepare_cached("INSERT INTO page_entry (life, sequence, position, n) VALUES (?1, ?2, ?3, ?4)")?;
    let mut unqueue = tx.prepare_cached("DELETE FROM queue WHERE n = ?1")?;
    for (position, n) in (0_u32..).zip(numbers) {
        hold.execute((life.life, life.next, position, n))?;
        unqueue.execute([n])?;
    }
    Ok(true)
}

/// Headers without a signature, in order.
pub(crate) fn unsigned(tx: &Tx<'_>) -> Result<Vec<Unsigned>, StoreError> {
    let mut rows =
        tx.prepare_cached("SELECT hash, header FROM page WHERE state = 'sealed' AND signature IS NULL ORDER BY life, sequence")?;
    let rows = rows.query_map([], |row| {
        Ok(Unsigned {
            hash: Hash::from_bytes(row.get(0)?),
            header: row.get(1)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Stores a signature. The first one stays: hardware signs differently each time, and one may be under way already.
pub(crate) fn sign(tx: &Tx<'_>, page: &Hash, signature: &[u8]) -> Result<(), StoreError> {
    tx.prepare_cached("UPDATE page SET signature = ?2 WHERE hash = ?1 AND signature IS NULL")?
        .execute((page.as_bytes(), signature))?;
    Ok(())
}

/// How many signed pages wait for an answer.
pub(crate) fn sealed(tx: &Tx<'_>) -> Result<usize, StoreError> {
    let count: i64 = tx
        .prepare_cached("SELECT count(*) FROM page WHERE state = 'sealed' AND signature IS NOT NULL")?
        .query_row([], |row| row.get(0))?;
    Ok(usize::try_from(count).unwrap_or(usize::MAX))
}

/// How many entries one of our pages holds; nothing when it is not ours.
pub(crate) fn entries_in(tx: &Tx<'_>, page: &Hash) -> Result<Option<u64>, StoreError> {
    let count = tx
        .prepare_cached(
            "SELECT (SELECT count(*) FROM page_entry e WHERE e.life = p.life AND e.sequence = p.sequence) FROM page p WHERE hash = ?1",
        )?
        .query_row([page.as_bytes()], |row| row.get::<_, i64>(0))
        .optional()?;
    Ok(count.map(i64::cast_unsigned))
}

/// Takes in the station's answer to a page that waits for one; gives the verdicts. What is not settled goes back into the queue.
/// An answer that was taken in before changes nothing.
pub(crate) fn answer(tx: &Tx<'_>, answer: &PageAnswer, now: UnixMillis) -> Result<Vec<Settled>, StoreError> {
    let (Some(leaf), Some((life, sequence))) = (answer.leaf, waiting_page(tx, &answer.page)?) else {
        return Ok(Vec::new());
    };
    tx.prepare_cached("UPDATE page SET state = 'answered', leaf = ?2, verdicts = ?3 WHERE hash = ?1")?
        .execute((answer.page.as_bytes(), leaf.cast_signed(), codec::to_bytes(&answer.verdicts)))?;
    let mut rows = tx.prepare_cached(
        "SELECT e.position, o.entry, o.record, o.n FROM page_entry e JOIN outbox o ON o.n = e.n
         WHERE e.life = ?1 AND e.sequence = ?2 ORDER BY e.position",
    )?;
    let mut rows = rows.query((life, sequence))?;
    let mut settled = Vec::new();
    while let Some(row) = rows.next()? {
        let position = row.get(0)?;
        let Some(verdict) = verdict_of(&answer.verdicts, position) else {
            continue;
        };
        // A verdict of a later version settles nothing here: it is asked for again, as for what the station lacks.
        if matches!(verdict, Verdict::Needs { .. } | Verdict::Other(_)) {
            hold(tx, row.get(3)?, now)?;
        }
        settled.push(Settled {
            entry: Hash::from_bytes(row.get(1)?),
            record: row.get::<_, Option<[u8; 16]>>(2)?.map(RecordId::from_bytes),
            leaf,
            position,
            verdict,
        });
    }
    Ok(settled)
}

/// Sets a page that the station could not take in aside, with all that follow it in its life; their entries go back into the queue. If
/// it is the life that is written in, a new one begins that names the break. False when the page waits for no answer.
pub(crate) fn quarantine(tx: &Tx<'_>, page: &Hash, fault: &str, next: IncarnationId) -> Result<bool, StoreError> {
    let Some((life, sequence)) = waiting_page(tx, page)? else {
        return Ok(false);
    };
    give_up(tx, life, sequence, fault)?;
    let current = self::life(tx)?;
    if let Some(current) = current.filter(|current| current.life == life) {
        let follows = Break {
            incarnation: current.incarnation,
            sequence: sequence.cast_unsigned(),
            reason: fault.to_owned(),
        };
        begin_life(tx, next, current.book, Some(&follows))?;
    }
    Ok(true)
}

/// A new book goes on in this file: pages that its predecessor could not deliver are sealed again.
pub(crate) fn change_book(tx: &Tx<'_>, book: BookId, next: IncarnationId) -> Result<(), StoreError> {
    begin_anew(tx, Some(book), next, "new_book")
}

/// The file is an old copy of itself: it goes on in a new life, in which all that has no answer is sealed again.
pub(crate) fn renew(tx: &Tx<'_>, next: IncarnationId) -> Result<(), StoreError> {
    begin_anew(tx, None, next, OLD_COPY)
}

fn begin_anew(tx: &Tx<'_>, book: Option<BookId>, next: IncarnationId, reason: &str) -> Result<(), StoreError> {
    let lives: Vec<i64> = tx
        .prepare("SELECT life FROM incarnation ORDER BY life")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for life in &lives {
        give_up(tx, *life, 0, reason)?;
    }
    let current = self::life(tx)?;
    let Some(book) = book.or(current.as_ref().map(|life| life.book)) else {
        return Ok(());
    };
    let follows = current.map(|life| Break {
        incarnation: life.incarnation,
        sequence: life.next.cast_unsigned(),
        reason: reason.to_owned(),
    });
    begin_life(tx, next, book, follows.as_ref())
}

/// Own pages from leaf `size` on are sent again, as they were. [`super::records::Records`] knows what that means for their entries.
pub(super) fn send_again_from(tx: &Tx<'_>, size: u64) -> Result<(), StoreError> {
    tx.prepare_cached("UPDATE page SET state = 'sealed', leaf = NULL, verdicts = NULL WHERE state = 'answered' AND leaf >= ?1")?
        .execute([size.cast_signed()])?;
    Ok(())
}

/// Of the pages that are to be sent, those that lack bytes which were destroyed: what is left of them, and all that follows in their lives,
/// goes into new pages, in a new life where `fresh` is written in.
pub(super) fn reseal_broken(tx: &Tx<'_>, fresh: IncarnationId) -> Result<(), StoreError> {
    let broken: Vec<Hash> = tx
        .prepare_cached(
            "SELECT p.hash FROM page AS p WHERE p.state = 'sealed' AND EXISTS (
               SELECT 1 FROM page_entry AS e JOIN outbox AS o ON o.n = e.n
               WHERE e.life = p.life AND e.sequence = p.sequence AND length(o.bytes) = 0)
             ORDER BY p.life, p.sequence",
        )?
        .query_map([], |row| Ok(Hash::from_bytes(row.get(0)?)))?
        .collect::<Result<_, _>>()?;
    for page in broken {
        quarantine(tx, &page, super::destroyed::DESTROYED, fresh)?;
    }
    Ok(())
}

/// Lets go of pages that the station has in a backup, and of their entries when no other page and no queue needs them.
pub(crate) fn retire(tx: &Tx<'_>, backed_up_to: u64) -> Result<(), StoreError> {
    let mut pages =
        tx.prepare_cached("SELECT life, sequence FROM page WHERE state = 'answered' AND leaf < ?1 ORDER BY life, sequence")?;
    let pages: Vec<(i64, i64)> = pages
        .query_map([backed_up_to.cast_signed()], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    for place in pages {
        let numbers: Vec<i64> = tx
            .prepare_cached("SELECT n FROM page_entry WHERE life = ?1 AND sequence = ?2 ORDER BY position")?
            .query_map(place, |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        tx.prepare_cached("DELETE FROM page_entry WHERE life = ?1 AND sequence = ?2")?
            .execute(place)?;
        tx.prepare_cached("DELETE FROM page WHERE life = ?1 AND sequence = ?2")?
            .execute(place)?;
        let mut forget = tx.prepare_cached(
            "DELETE FROM outbox WHERE n = ?1
             AND NOT EXISTS (SELECT 1 FROM page_entry e WHERE e.n = outbox.n) AND NOT EXISTS (SELECT 1 FROM queue q WHERE q.n = outbox.n)",
        )?;
        for n in numbers {
            forget.execute([n])?;
        }
    }
    Ok(())
}

struct Life {
    life: i64,
    incarnation: IncarnationId,
    book: BookId,
    next: i64,
    last: Hash,
    follows: Option<Break>,
}

fn life(tx: &Tx<'_>) -> Result<Option<Life>, StoreError> {
    let read = |row: &Row<'_>| {
        let follows = row.get::<_, Option<[u8; 16]>>(5)?.map(IncarnationId::from_bytes);
        Ok(Life {
            life: row.get(0)?,
            incarnation: IncarnationId::from_bytes(row.get(1)?),
            book: BookId::from_bytes(row.get(2)?),
            next: row.get(3)?,
            last: Hash::from_bytes(row.get(4)?),
            follows: match follows {
                None => None,
                Some(incarnation) => Some(Break {
                    incarnation,
                    sequence: row.get::<_, i64>(6)?.cast_unsigned(),
                    reason: row.get(7)?,
                }),
            },
        })
    };
    let life = tx
        .prepare_cached(
            "SELECT life, incarnation, book, next, last, follows, broken_at, reason FROM incarnation ORDER BY life DESC LIMIT 1",
        )?
        .query_row([], read)
        .optional()?;
    Ok(life)
}

fn waiting_page(tx: &Tx<'_>, page: &Hash) -> Result<Option<(i64, i64)>, StoreError> {
    let place = tx
        .prepare_cached("SELECT life, sequence FROM page WHERE hash = ?1 AND state = 'sealed'")?
        .query_row([page.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(place)
}

fn give_up(tx: &Tx<'_>, life: i64, sequence: i64, fault: &str) -> Result<(), StoreError> {
    tx.prepare_cached(
        "INSERT INTO queue (n, tries, held_until)
         SELECT e.n, 0, 0 FROM page p JOIN page_entry e ON e.life = p.life AND e.sequence = p.sequence JOIN outbox o ON o.n = e.n
         WHERE p.life = ?1 AND p.sequence >= ?2 AND p.state = 'sealed' AND length(o.bytes) > 0 ORDER BY e.n ON CONFLICT DO NOTHING",
    )?
    .execute((life, sequence))?;
    tx.prepare_cached(
        "UPDATE page SET state = 'quarantined', fault = ?3 WHERE life = ?1 AND sequence >= ?2 AND state = 'sealed'",
    )?
    .execute((life, sequence, fault))?;
    Ok(())
}
