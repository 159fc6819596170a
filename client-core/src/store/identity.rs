//! Who this file belongs to, and small settings beside it.

use beatbook_protocol::id::{BookId, UnitId, UserId};
use rusqlite::OptionalExtension;

use super::{StoreError, Tx};

/// Whose file this is, since the phone was enrolled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The user.
    pub(crate) user: UserId,
    /// The unit that his new records belong to.
    pub(crate) unit: UnitId,
    /// The book he writes in now.
    pub(crate) book: BookId,
}

/// Reads it; none before the phone is enrolled.
pub(crate) fn identity(tx: &Tx<'_>) -> Result<Option<Identity>, StoreError> {
    let row = tx
        .prepare_cached("SELECT user, unit, book FROM identity WHERE one = 1")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    Ok(row.map(|(user, unit, book)| Identity {
        user: UserId::from_bytes(user),
        unit: UnitId::from_bytes(unit),
        book: BookId::from_bytes(book),
    }))
}

/// Writes it, and the person's name, roles and book into the registry, so that he may write before the first feed says so.
pub(crate) fn set_identity(tx: &Tx<'_>, me: &Identity, name: &str, roles: &[String]) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO identity (one, user, unit, book) VALUES (1, ?1, ?2, ?3)
         ON CONFLICT (one) DO UPDATE SET user = excluded.user, unit = excluded.unit, book = excluded.book",
        (me.user.as_bytes(), me.unit.as_bytes(), me.book.as_bytes()),
    )?;
    super::registry::put_person(tx, me.user, name, roles, me.unit, None)?;
    super::registry::put_book(tx, me.book, me.user)
}

/// The unit that his new records belong to from now on.
pub(crate) fn set_unit(tx: &Tx<'_>, unit: UnitId) -> Result<(), StoreError> {
    tx.prepare_cached("UPDATE identity SET unit = ?1")?
        .execute([unit.as_bytes()])?;
    Ok(())
}

/// Which app read this file last.
pub(crate) fn reader(tx: &Tx<'_>) -> Result<Option<String>, StoreError> {
    let app = tx
        .prepare_cached("SELECT app FROM reader")?
        .query_row([], |row| row.get(0))
        .optional()?;
    Ok(app)
}

/// This app has read all of the file that it can read.
pub(crate) fn set_reader(tx: &Tx<'_>, app: &str) -> Result<(), StoreError> {
    tx.prepare_cached("INSERT INTO reader (one, app) VALUES (1, ?1) ON CONFLICT (one) DO UPDATE SET app = excluded.app")?
        .execute([app])?;
    Ok(())
}
