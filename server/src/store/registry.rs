//! Rows of units, people, books and kinds.

use beatbook_protocol::entry::{BookEvent, KindEvent, UnitEvent, UserEvent};
use beatbook_protocol::id::{BookId, UnitId, UserId};
use beatbook_protocol::time::UnixMillis;
use rusqlite::{Row, params};

use super::connection::{id, int};
use super::{ReadTx, StoreError, WriteTx};

/// A person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UserRow {
    /// The person.
    pub(crate) user: UserId,
    /// Name.
    pub(crate) name: String,
    /// Roles by code.
    pub(crate) roles: Vec<String>,
    /// Unit.
    pub(crate) unit: UnitId,
    /// Whether he may neither sign in nor write.
    pub(crate) blocked: bool,
}

/// A book.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BookRow {
    /// The book.
    pub(crate) book: BookId,
    /// Whose.
    pub(crate) user: UserId,
    /// Suite of its key.
    pub(crate) suite: u8,
    /// Public key.
    pub(crate) key: Vec<u8>,
    /// What the phone calls itself.
    pub(crate) device: String,
}

/// A book, when it was enrolled, and the form of its attestation.
pub(crate) type EnrolledBook = (BookRow, Option<UnixMillis>, Option<String>);

fn read_user(row: &Row<'_>) -> rusqlite::Result<UserRow> {
    let roles: String = row.get(2)?;
    Ok(UserRow {
        user: id!(row, 0, UserId),
        name: row.get(1)?,
        roles: roles.split_whitespace().map(str::to_owned).collect(),
        unit: id!(row, 3, UnitId),
        blocked: row.get(4)?,
    })
}

fn read_book(row: &Row<'_>) -> rusqlite::Result<BookRow> {
    Ok(BookRow {
        book: id!(row, 0, BookId),
        user: id!(row, 1, UserId),
        suite: row.get(2)?,
        key: row.get(3)?,
        device: row.get(4)?,
    })
}

impl ReadTx<'_> {
    /// A person.
    pub(crate) fn user(&self, user: UserId) -> Result<Option<UserRow>, StoreError> {
        self.one(
            "SELECT user, name, roles, unit, blocked FROM user WHERE user = ?1",
            [user.as_bytes()],
            read_user,
        )
    }

    /// All people, by name.
    pub(crate) fn users(&self) -> Result<Vec<UserRow>, StoreError> {
        self.all(
            "SELECT user, name, roles, unit, blocked FROM user ORDER BY name, user",
            [],
            read_user,
        )
    }

    /// A book.
    pub(crate) fn book(&self, book: BookId) -> Result<Option<BookRow>, StoreError> {
        self.one(
            "SELECT book, user, suite, key, device FROM book WHERE book = ?1",
            [book.as_bytes()],
            read_book,
        )
    }

    /// All books, by id.
    pub(crate) fn books(&self) -> Result<Vec<BookRow>, StoreError> {
        self.all("SELECT book, user, suite, key, device FROM book ORDER BY book", [], read_book)
    }

    /// The books of a person, those enrolled last first: each with when it was enrolled and the form of its attestation.
    pub(crate) fn books_of(&self, user: UserId) -> Result<Vec<EnrolledBook>, StoreError> {
        self.all(
            "SELECT b.book, b.user, b.suite, b.key, b.device, p.received, b.attested
             FROM book AS b LEFT JOIN page AS p ON p.leaf = b.leaf WHERE b.user = ?1 ORDER BY b.leaf DESC, b.book",
            [user.as_bytes()],
            |row| {
                let enrolled: Option<i64> = row.get(5)?;
                Ok((read_book(row)?, enrolled.map(UnixMillis), row.get(6)?))
            },
        )
    }

    /// A unit and every one below it.
    pub(crate) fn units_below(&self, unit: UnitId) -> Result<Vec<UnitId>, StoreError> {
        self.all(
            "WITH RECURSIVE scope (unit) AS (VALUES (?1) UNION SELECT u.unit FROM unit AS u JOIN scope AS s ON u.parent = s.unit)
             SELECT unit FROM scope ORDER BY unit",
            [unit.as_bytes()],
            |row| Ok(id!(row, 0, UnitId)),
        )
    }

    /// The kind files in force, by code and version.
    pub(crate) fn kinds(&self) -> Result<Vec<(String, u32, String)>, StoreError> {
        self.all("SELECT kind, version, source FROM kind ORDER BY kind, version", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
    }
}

impl WriteTx<'_> {
    /// Puts a unit as it is from now on.
    pub(crate) fn put_unit(&self, event: &UnitEvent) -> Result<(), StoreError> {
        self.growth.borrow_mut().registry = true;
        self.run(
            "INSERT INTO unit (unit, name, parent, level, closed) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (unit) DO UPDATE SET name = excluded.name, parent = excluded.parent, level = excluded.level,
               closed = excluded.closed",
            params![
                event.unit.as_bytes(),
                event.name,
                event.parent.map(|parent| *parent.as_bytes()),
                event.level,
                event.closed == Some(true)
            ],
        )?;
        Ok(())
    }

    /// Puts a person as he is from now on.
    pub(crate) fn put_user(&self, event: &UserEvent) -> Result<(), StoreError> {
        self.growth.borrow_mut().registry = true;
        self.run(
            "INSERT INTO user (user, name, roles, unit, blocked) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (user) DO UPDATE SET name = excluded.name, roles = excluded.roles, unit = excluded.unit,
               blocked = excluded.blocked",
            params![
                event.user.as_bytes(),
                event.name,
                event.roles.join(" "),
                event.unit.as_bytes(),
                event.blocked == Some(true)
            ],
        )?;
        Ok(())
    }

    /// Puts a book; a book's key and owner never change.
    pub(crate) fn put_book(&self, event: &BookEvent, leaf: u64) -> Result<(), StoreError> {
        self.growth.borrow_mut().registry = true;
        self.run(
            "INSERT INTO book (book, user, suite, key, device, attested, leaf) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT DO NOTHING",
            params![
                event.book.as_bytes(),
                event.user.as_bytes(),
                event.suite,
                event.key,
                event.device,
                event.attested,
                int(leaf)
            ],
        )?;
        Ok(())
    }

    /// Puts a kind file; a version never changes.
    pub(crate) fn put_kind(&self, event: &KindEvent) -> Result<(), StoreError> {
        self.growth.borrow_mut().registry = true;
        self.run(
            "INSERT INTO kind (kind, version, source) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            params![event.kind, event.version, event.source],
        )?;
        Ok(())
    }
}
