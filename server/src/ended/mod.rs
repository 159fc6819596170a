//! The end of a book: its phone was lost, retired, passed on, or its person is not to come back. From that step on no token of it is good,
//! nothing of it is taken in as its author's, and nothing goes down to it but the order to part with what it has. What it still sends
//! waits in quarantine until a chief has decided. Blocking a person, which can be undone, ends no book: that is ordered beside it.
//!
//! ```text
//!  end ─► keys' log ─► BookEnd on the ledger, tokens gone (one step)
//!  exchange of its phone ─► parting: pages held ─► wipe order ─► POST /sync/v1/wiped
//!                                      └► quarantine: preview ─► admitted (a page of the station's own book) | refused, kept
//! ```
//!
//! Knows nothing of how a phone destroys what it has.

pub(crate) mod decide;
pub(crate) mod emptied;
pub(crate) mod parting;
pub(crate) mod preview;
pub(crate) mod quarantine;
pub(crate) mod wiped;

use beatbook_protocol::entry::{BookEndEvent, RegistryEvent};
use beatbook_protocol::id::{BookId, UserId};

use crate::audit::{self, Line};
use crate::environment::Environment;
use crate::error::StationError;
use crate::keys::{Keys, Revoked};
use crate::kinds::Kinds;
use crate::ledger;
use crate::policy::Permission;
use crate::registry::people;
use crate::registry::write_events;
use crate::station::{Session, Station};
use crate::store::{BookRow, ReadTx, Store, WriteTx};

/// Why a book may end.
pub(crate) const WHYS: [&str; 4] = ["lost", "retired", "transferred", "blocked"];

/// Ends a book: the chief of its person's unit may, an administrator, the operator, and the person himself.
pub(crate) fn end(station: &Station, by: Option<&Session>, book: BookId, why: &str) -> Result<(), StationError> {
    let why = check_why(why)?;
    station.store.write(|tx| {
        let own = own_book(station, tx, book)?;
        let row = match by {
            Some(by) if by.user == own.user => own,
            by => his_book(station, tx, by, book, Permission::EndBooks)?,
        };
        if let Some(before) = tx.book_end(book)? {
            return Err(StationError::Invalid(format!(
                "this book has ended already ({}): its person enrols anew",
                before.why
            )));
        }
        end_in(station, tx, by.map(|by| by.user), &row, why)
    })?;
    station.env.steps.passes("book ended");
    station.count("books_ended");
    station.store.read(|tx| ledger::note(tx, &station.keys))?;
    Ok(())
}

/// Ends every book of a person that is written in: he was blocked for good. It does not block him, and unblocking brings none of them back.
pub(crate) fn end_all(station: &Station, by: Option<&Session>, user: UserId) -> Result<u64, StationError> {
    let ended = station.store.write(|tx| {
        tx.user(user)?
            .ok_or_else(|| StationError::NotFound(format!("person {user}")))?;
        may_decide(tx, by, user, Permission::EndBooks)?;
        end_all_in(station, tx, by.map(|by| by.user), user)
    })?;
    station.env.steps.passes("books ended");
    station.counters.add("books_ended", ended);
    station.store.read(|tx| ledger::note(tx, &station.keys))?;
    Ok(ended)
}

/// The same within a step. Tells how many there were.
fn end_all_in(station: &Station, tx: &WriteTx<'_>, by: Option<UserId>, user: UserId) -> Result<u64, StationError> {
    let mut ended = 0;
    for row in tx.books()? {
        if row.user == user && row.book != station.book && tx.book_end(row.book)?.is_none() {
            end_in(station, tx, by, &row, "blocked")?;
            ended += 1;
        }
    }
    Ok(ended)
}

fn end_in(station: &Station, tx: &WriteTx<'_>, by: Option<UserId>, row: &BookRow, why: &'static str) -> Result<(), StationError> {
    // Before the ledger: should the step fail after this, the next start carries it out.
    station.keys.gone.revoke(&Revoked {
        book: row.book,
        why: why.to_owned(),
        at: station.env.clock.now(),
    })?;
    station.env.steps.passes("revocation logged");
    write_events(
        tx,
        &station.keys,
        &station.env,
        &station.kinds,
        vec![event(row.book, why, by)],
    )?;
    let detail = format!("book {} of {}: {why}", row.book, row.user);
    audit::append(tx, &station.env, &Line::of(by, "book.end", detail))
}

fn event(book: BookId, why: &str, by: Option<UserId>) -> RegistryEvent {
    RegistryEvent::BookEnd(BookEndEvent {
        book,
        why: why.to_owned(),
        on_behalf: by,
    })
}

/// Carries out what the keys' log says and an older copy of the database does not know, and notes there what only the database says.
/// Tells how many books ended by it. Before anybody is answered.
pub(crate) fn replay(store: &Store, keys: &Keys, env: &Environment, kinds: &Kinds) -> Result<u64, StationError> {
    let revoked = keys.gone.revoked();
    let (missing, unlogged) = store.read(|tx| {
        let mut missing = Vec::new();
        for line in &revoked {
            if tx.book(line.book)?.is_some() && tx.book_end(line.book)?.is_none() {
                missing.push(event(line.book, &line.why, None));
            }
        }
        let mut unlogged = Vec::new();
        for row in tx.books()? {
            let end = tx.book_end(row.book)?;
            unlogged.extend(end.filter(|end| revoked.iter().all(|line| line.book != end.book)));
        }
        Ok::<_, StationError>((missing, unlogged))
    })?;
    for end in unlogged {
        keys.gone.revoke(&Revoked {
            book: end.book,
            why: end.why,
            at: end.at,
        })?;
    }
    let count = u64::try_from(missing.len()).unwrap_or(u64::MAX);
    if count > 0 {
        store.write(|tx| write_events(tx, keys, env, kinds, missing))?;
        tracing::warn!(
            books = count,
            "books that had ended were written in again in this copy: ended once more"
        );
    }
    Ok(count)
}

/// A book of a phone; the station's own never ends.
pub(crate) fn own_book(station: &Station, tx: &ReadTx<'_>, book: BookId) -> Result<BookRow, StationError> {
    tx.book(book)?
        .filter(|row| row.book != station.book)
        .ok_or_else(|| StationError::NotFound(format!("book {book}")))
}

/// A book over whose person somebody has this permission; of others' books it is said that they are not there, whatever he is. His own he
/// knows, and is told why not.
pub(crate) fn his_book(
    station: &Station,
    tx: &ReadTx<'_>,
    by: Option<&Session>,
    book: BookId,
    permission: Permission,
) -> Result<BookRow, StationError> {
    let row = own_book(station, tx, book)?;
    if by.is_some_and(|by| by.user == row.user) {
        may_decide(tx, by, row.user, permission)?;
        Ok(row)
    } else if decides_over(tx, by, row.user, permission)? {
        Ok(row)
    } else {
        Err(StationError::NotFound(format!("book {book}")))
    }
}

/// Whether somebody has this permission over a person.
fn decides_over(tx: &ReadTx<'_>, by: Option<&Session>, user: UserId, permission: Permission) -> Result<bool, StationError> {
    whether(may_decide(tx, by, user, permission))
}

/// Only these two say that it is not his: what else goes wrong is no answer.
fn whether(decided: Result<(), StationError>) -> Result<bool, StationError> {
    match decided {
        Ok(()) => Ok(true),
        Err(StationError::NotFound(_) | StationError::Forbidden(_)) => Ok(false),
        Err(fault) => Err(fault),
    }
}

/// Refuses who has not this permission over a person, or over any: of others' people it is said that they are not there.
pub(crate) fn may_decide(
    tx: &ReadTx<'_>,
    by: Option<&Session>,
    user: UserId,
    permission: Permission,
) -> Result<(), StationError> {
    people::his(tx, by, user, permission).map(drop)
}

fn check_why(why: &str) -> Result<&'static str, StationError> {
    WHYS.into_iter().find(|known| *known == why).ok_or_else(|| {
        StationError::Invalid(
            "a book ends because its phone was `lost`, `retired`, `transferred`, or its person `blocked`".into(),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_of_the_store_is_not_taken_for_not_his() {
        assert!(whether(Ok(())).unwrap());
        for not_his in [StationError::NotFound("x".into()), StationError::Forbidden("x".into())] {
            assert!(!whether(Err(not_his)).unwrap());
        }
        for fault in [
            StationError::Full,
            StationError::Damaged("x".into()),
            StationError::Store("x".into()),
        ] {
            assert!(whether(Err(fault)).is_err());
        }
    }
}
