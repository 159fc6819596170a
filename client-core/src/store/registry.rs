//! The registry as the station told it: people, their books, units, kinds.

use std::collections::BTreeSet;

use beatbook_protocol::entry::{GrantEvent, MembershipEvent, UnitEvent};
use beatbook_protocol::id::{BookId, Hash, RecordId, UnitId, UserId};
use beatbook_protocol::time::UnixMillis;
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

/// A unit as it is from now on, unless a later leaf has said otherwise; tells whether that is news.
pub(crate) fn put_unit(tx: &Tx<'_>, unit: &UnitEvent, leaf: u64) -> Result<bool, StoreError> {
    let changed = tx
        .prepare_cached(
            "INSERT INTO unit (unit, name, parent, leaf, closed) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (unit) DO UPDATE SET name = excluded.name, parent = excluded.parent, leaf = excluded.leaf,
               closed = excluded.closed WHERE excluded.leaf >= unit.leaf",
        )?
        .execute((
            unit.unit.as_bytes(),
            &unit.name,
            unit.parent.map(|parent| *parent.as_bytes()),
            leaf.cast_signed(),
            unit.closed == Some(true),
        ))?;
    Ok(changed > 0)
}

/// A membership as it is from now on, unless a later leaf has said otherwise; tells whether that is news.
pub(crate) fn put_membership(tx: &Tx<'_>, event: &MembershipEvent, leaf: u64) -> Result<bool, StoreError> {
    let changed = tx
        .prepare_cached(
            "INSERT INTO membership (membership, user, unit, roles, stands_in_for, until_at, phase, leaf)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (membership) DO UPDATE SET user = excluded.user, unit = excluded.unit, roles = excluded.roles,
               stands_in_for = excluded.stands_in_for, until_at = excluded.until_at, phase = excluded.phase, leaf = excluded.leaf
             WHERE excluded.leaf >= membership.leaf",
        )?
        .execute((
            event.membership.as_bytes(),
            event.user.as_bytes(),
            event.unit.as_bytes(),
            event.roles.join(" "),
            event.stands_in_for.map(|user| *user.as_bytes()),
            event.until.map(|until| until.0),
            event.phase,
            leaf.cast_signed(),
        ))?;
    Ok(changed > 0)
}

/// A grant of a record, or its end, unless a later leaf has said otherwise.
pub(crate) fn put_grant(tx: &Tx<'_>, grant: &GrantEvent, leaf: u64) -> Result<(), StoreError> {
    let grantee = match (&grant.user, &grant.unit) {
        (Some(user), None) => user.as_bytes(),
        (None, Some(unit)) => unit.as_bytes(),
        (Some(_), Some(_)) | (None, None) => return Ok(()),
    };
    tx.prepare_cached(
        "INSERT INTO granted (record, grantee, ended, leaf) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (record, grantee) DO UPDATE SET ended = excluded.ended, leaf = excluded.leaf
         WHERE excluded.leaf >= granted.leaf",
    )?
    .execute((
        grant.record.as_bytes(),
        grantee,
        grant.ended == Some(true),
        leaf.cast_signed(),
    ))?;
    Ok(())
}

/// To whom a record is granted, as far as this phone has heard.
pub(crate) fn grantees(tx: &Tx<'_>, record: RecordId) -> Result<Vec<[u8; 16]>, StoreError> {
    let mut rows = tx.prepare_cached("SELECT grantee FROM granted WHERE record = ?1 AND ended = 0 ORDER BY grantee")?;
    let rows = rows.query_map([record.as_bytes()], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// A membership in force, as rows have it.
#[derive(Debug, Clone)]
pub(crate) struct MembershipRow {
    /// Where.
    pub(crate) unit: UnitId,
    /// Roles by code.
    pub(crate) roles: Vec<String>,
    /// In whose place.
    pub(crate) stands_in_for: Option<UserId>,
    /// Until when it is planned.
    pub(crate) until: Option<UnixMillis>,
}

/// The memberships of a person that are in force.
pub(crate) fn memberships(tx: &Tx<'_>, user: UserId) -> Result<Vec<MembershipRow>, StoreError> {
    let mut rows = tx.prepare_cached(
        "SELECT unit, roles, stands_in_for, until_at FROM membership WHERE user = ?1 AND phase = 1 ORDER BY membership",
    )?;
    let rows = rows.query_map([user.as_bytes()], |row| {
        let roles: String = row.get(1)?;
        Ok(MembershipRow {
            unit: UnitId::from_bytes(row.get(0)?),
            roles: roles.split_whitespace().map(str::to_owned).collect(),
            stands_in_for: row.get::<_, Option<_>>(2)?.map(UserId::from_bytes),
            until: row.get::<_, Option<i64>>(3)?.map(UnixMillis),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// A unit and those below it, as far as this phone has heard of them.
pub(crate) fn units_below(tx: &Tx<'_>, unit: UnitId) -> Result<BTreeSet<UnitId>, StoreError> {
    let mut rows = tx.prepare_cached(
        "WITH RECURSIVE scope (unit) AS (VALUES (?1) UNION SELECT u.unit FROM unit AS u JOIN scope AS s ON u.parent = s.unit)
         SELECT unit FROM scope ORDER BY unit",
    )?;
    let rows = rows.query_map([unit.as_bytes()], |row| Ok(UnitId::from_bytes(row.get(0)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Whether a unit takes no new records; a unit that was never heard of takes them.
pub(crate) fn is_closed(tx: &Tx<'_>, unit: UnitId) -> Result<bool, StoreError> {
    let closed: Option<bool> = tx
        .prepare_cached("SELECT closed FROM unit WHERE unit = ?1")?
        .query_row([unit.as_bytes()], |row| row.get(0))
        .optional()?;
    Ok(closed.unwrap_or(false))
}

/// A unit's name; its id's text when the station has not said it.
pub(crate) fn unit_name(tx: &Tx<'_>, unit: UnitId) -> Result<String, StoreError> {
    let name: Option<String> = tx
        .prepare_cached("SELECT name FROM unit WHERE unit = ?1")?
        .query_row([unit.as_bytes()], |row| row.get(0))
        .optional()?;
    Ok(name.unwrap_or_else(|| unit.to_string()))
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

/// A person, as rows have him: name, roles by code, unit.
pub(crate) type PersonRow = (UserId, String, Vec<String>, UnitId);

/// The people whom the station has told of, by name.
pub(crate) fn people(tx: &Tx<'_>) -> Result<Vec<PersonRow>, StoreError> {
    let mut rows = tx.prepare_cached("SELECT user, name, roles, unit FROM person ORDER BY name, user")?;
    let rows = rows.query_map([], |row| {
        let roles: String = row.get(2)?;
        Ok((
            UserId::from_bytes(row.get(0)?),
            row.get(1)?,
            roles.split_whitespace().map(str::to_owned).collect(),
            UnitId::from_bytes(row.get(3)?),
        ))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// A unit, as rows have it: name, the one above, whether it takes no new records.
pub(crate) type UnitRow = (UnitId, String, Option<UnitId>, bool);

/// The units that the station has told of, by name.
pub(crate) fn units(tx: &Tx<'_>) -> Result<Vec<UnitRow>, StoreError> {
    let mut rows = tx.prepare_cached("SELECT unit, name, parent, closed FROM unit ORDER BY name, unit")?;
    let rows = rows.query_map([], |row| {
        let above: Option<[u8; 16]> = row.get(2)?;
        Ok((
            UnitId::from_bytes(row.get(0)?),
            row.get(1)?,
            above.map(UnitId::from_bytes),
            row.get(3)?,
        ))
    })?;
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
