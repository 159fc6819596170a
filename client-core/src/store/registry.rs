//! The registry as the station told it: people, their books, units, kinds.

use beatbook_protocol::id::{BookId, Hash, UnitId, UserId};

use rusqlite::OptionalExtension;

use super::{StoreError, Tx};

/// A person as he is from now on; tells whether that is news. `leaf` says where the ledger said so: of two the later counts, and the
/// answer to an enrolment, which is on no leaf, before both.
pub(crate) fn put_person(
    tx: &Tx<'_>,
    user: UserId,
    name: &str,
    roles: &[String],
    unit: UnitId,
    leaf: Option<u64>,
) -> Result<bool, StoreError> {
    let changed = tx
        .prepare_cached(
            "INSERT INTO person (user, name, roles, unit, leaf) VALUES (?1, ?2, ?3, ?4, coalesce(?5, -1))
             ON CONFLICT (user) DO UPDATE SET name = excluded.name, roles = excluded.roles, unit = excluded.unit,
               leaf = coalesce(?5, leaf) WHERE ?5 IS NULL OR ?5 >= leaf",
        )?
        .execute((
            user.as_bytes(),
            name,
            roles.join(" "),
            unit.as_bytes(),
            leaf.map(u64::cast_signed),
        ))?;
    Ok(changed > 0)
}

/// A book and whose it is.
pub(crate) fn put_book(tx: &Tx<'_>, book: BookId, user: UserId) -> Result<(), StoreError> {
    tx.prepare_cached("INSERT INTO book (book, user) VALUES (?1, ?2) ON CONFLICT (book) DO UPDATE SET user = excluded.user")?
        .execute((book.as_bytes(), user.as_bytes()))?;
    Ok(())
}

/// A unit and its name, unless a later leaf has said otherwise.
pub(crate) fn put_unit(tx: &Tx<'_>, unit: UnitId, name: &str, parent: Option<UnitId>, leaf: u64) -> Result<(), StoreError> {
    tx.prepare_cached(
        "INSERT INTO unit (unit, name, parent, leaf) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (unit) DO UPDATE SET name = excluded.name, parent = excluded.parent, leaf = excluded.leaf
         WHERE excluded.leaf >= unit.leaf",
    )?
    .execute((
        unit.as_bytes(),
        name,
        parent.map(|parent| *parent.as_bytes()),
        leaf.cast_signed(),
    ))?;
    Ok(())
}

/// A kind file; one that is there stays as it is, since versions never change.
pub(crate) fn put_kind(tx: &Tx<'_>, kind: &str, version: u32, source: &str) -> Result<(), StoreError> {
    tx.prepare_cached("INSERT INTO kind (kind, version, source) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")?
        .execute((kind, version, source))?;
    Ok(())
}

/// The set of kinds that the station has in force from now on, with the digests of their files as it has them.
pub(crate) fn put_in_force<'k>(tx: &Tx<'_>, set: impl IntoIterator<Item = (&'k str, u32, Hash)>) -> Result<(), StoreError> {
    tx.execute("DELETE FROM kind_in_force", [])?;
    let mut put = tx.prepare_cached("INSERT OR REPLACE INTO kind_in_force (kind, version, digest) VALUES (?1, ?2, ?3)")?;
    for (kind, version, digest) in set {
        put.execute((kind, version, digest.as_bytes()))?;
    }
    Ok(())
}

/// The kinds that the station has in force, by code and version, with the digests of their files; empty before its first word.
pub(crate) fn in_force(tx: &Tx<'_>) -> Result<Vec<(String, u32, Hash)>, StoreError> {
    let mut rows = tx.prepare_cached("SELECT kind, version, digest FROM kind_in_force ORDER BY kind, version")?;
    let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?, Hash::from_bytes(row.get(2)?))))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The kind files that the station sent.
pub(crate) fn kinds(tx: &Tx<'_>) -> Result<Vec<(String, u32, String)>, StoreError> {
    let mut rows = tx.prepare_cached("SELECT kind, version, source FROM kind ORDER BY kind, version")?;
    let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// What a person is, by code.
pub(crate) fn roles(tx: &Tx<'_>, user: UserId) -> Result<Vec<String>, StoreError> {
    let roles: Option<String> = tx
        .prepare_cached("SELECT roles FROM person WHERE user = ?1")?
        .query_row([user.as_bytes()], |row| row.get(0))
        .optional()?;
    Ok(roles.unwrap_or_default().split_whitespace().map(str::to_owned).collect())
}

/// Whose book this is, if the station has said so.
pub(crate) fn user_of(tx: &Tx<'_>, book: BookId) -> Result<Option<UserId>, StoreError> {
    let user: Option<[u8; 16]> = tx
        .prepare_cached("SELECT user FROM book WHERE book = ?1")?
        .query_row([book.as_bytes()], |row| row.get(0))
        .optional()?;
    Ok(user.map(UserId::from_bytes))
}

/// A person's name; his id's text when the station has not said it.
pub(crate) fn name_of(tx: &Tx<'_>, user: UserId) -> Result<String, StoreError> {
    let name: Option<String> = tx
        .prepare_cached("SELECT name FROM person WHERE user = ?1")?
        .query_row([user.as_bytes()], |row| row.get(0))
        .optional()?;
    Ok(name.unwrap_or_else(|| user.to_string()))
}
