//! Rows of who could see what when: where people and units stood, and grants. Asked at a ledger size, so that the answer is a function of
//! the first leaves.

use beatbook_protocol::entry::{GrantEvent, UnitEvent, UserEvent};
use beatbook_protocol::id::{RecordId, UnitId, UserId};
use rusqlite::params;

use super::connection::{id, int, uint};
use super::{ReadTx, StoreError, WriteTx};

/// To whom a record is granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Grantee {
    /// A person.
    User(UserId),
    /// A unit and those below it.
    Unit(UnitId),
}

impl Grantee {
    /// Whom an event names; none when it does not name exactly one.
    pub(crate) fn of(event: &GrantEvent) -> Option<Self> {
        match (event.user, event.unit) {
            (Some(user), None) => Some(Self::User(user)),
            (None, Some(unit)) => Some(Self::Unit(unit)),
            (Some(_), Some(_)) | (None, None) => None,
        }
    }

    pub(super) fn bytes(&self) -> &[u8; 16] {
        match self {
            Self::User(user) => user.as_bytes(),
            Self::Unit(unit) => unit.as_bytes(),
        }
    }
}

/// A grant in force.
#[derive(Debug, Clone)]
pub(crate) struct GrantRow {
    /// To whom.
    pub(crate) to: Grantee,
    /// `assigned` or `shared`.
    pub(crate) reason: String,
    /// The leaf that says so.
    pub(crate) leaf: u64,
}

/// A record as scope sees it.
#[derive(Debug, Clone)]
pub(crate) struct ScopedRecord {
    /// The record.
    pub(crate) id: RecordId,
    /// Its number: records are numbered in the order in which they were opened.
    pub(crate) number: u64,
    /// Kind and version.
    pub(crate) kind: (String, u32),
    /// Its unit.
    pub(crate) unit: UnitId,
    /// Who opened it.
    pub(crate) opener: UserId,
    /// Whether anybody wrote in its private document.
    pub(crate) has_private: bool,
    /// The leaf that opened it.
    pub(crate) opened: u64,
}

/// Where a person worked at a size of the ledger.
#[derive(Debug, Clone)]
pub(crate) struct UserAt {
    /// His own unit.
    pub(crate) unit: UnitId,
    /// His roles there, by code.
    pub(crate) roles: Vec<String>,
    /// Whether he was blocked.
    pub(crate) blocked: bool,
}

impl ReadTx<'_> {
    /// Where a person worked and as what, by the first `size` leaves.
    pub(crate) fn user_at(&self, user: UserId, size: u64) -> Result<Option<UserAt>, StoreError> {
        self.one(
            "SELECT unit, roles, blocked FROM user_at WHERE user = ?1 AND leaf < ?2 ORDER BY leaf DESC, position DESC LIMIT 1",
            params![user.as_bytes(), int(size)],
            |row| {
                let roles: String = row.get(1)?;
                Ok(UserAt {
                    unit: id!(row, 0, UnitId),
                    roles: roles.split_whitespace().map(str::to_owned).collect(),
                    blocked: row.get(2)?,
                })
            },
        )
    }

    /// Whether a unit was closed by the first `size` leaves.
    pub(crate) fn unit_closed_at(&self, unit: UnitId, size: u64) -> Result<bool, StoreError> {
        let closed = self.one(
            "SELECT closed FROM unit_at WHERE unit = ?1 AND leaf < ?2 ORDER BY leaf DESC, position DESC LIMIT 1",
            params![unit.as_bytes(), int(size)],
            |row| row.get(0),
        )?;
        Ok(closed.unwrap_or(false))
    }

    /// A unit and every one below it, by the first `size` leaves.
    pub(crate) fn units_below_at(&self, unit: UnitId, size: u64) -> Result<Vec<UnitId>, StoreError> {
        self.all(
            "WITH RECURSIVE parents (unit, parent) AS MATERIALIZED (
               SELECT unit, parent FROM unit_at AS a WHERE leaf < ?2 AND NOT EXISTS (
                 SELECT 1 FROM unit_at AS b WHERE b.unit = a.unit AND b.leaf < ?2 AND (b.leaf, b.position) > (a.leaf, a.position))),
             scope (unit) AS (VALUES (?1) UNION SELECT p.unit FROM parents AS p JOIN scope AS s ON p.parent = s.unit)
             SELECT unit FROM scope ORDER BY unit",
            params![unit.as_bytes(), int(size)],
            |row| Ok(id!(row, 0, UnitId)),
        )
    }

    /// To whom a record is granted, by the first `size` leaves.
    pub(crate) fn grantees_at(&self, record: RecordId, size: u64) -> Result<Vec<[u8; 16]>, StoreError> {
        self.all(
            "SELECT grantee FROM grant_at AS a WHERE record = ?1 AND leaf < ?2 AND ended = 0 AND NOT EXISTS (
               SELECT 1 FROM grant_at AS b WHERE b.record = ?1 AND b.grantee = a.grantee AND b.leaf < ?2
                 AND (b.leaf, b.position) > (a.leaf, a.position))
             ORDER BY grantee",
            params![record.as_bytes(), int(size)],
            |row| row.get(0),
        )
    }

    /// The grants of a record that are in force.
    pub(crate) fn grants(&self, record: RecordId) -> Result<Vec<GrantRow>, StoreError> {
        self.all(
            "SELECT grantee, is_unit, reason, leaf FROM granted WHERE record = ?1 ORDER BY leaf, grantee",
            [record.as_bytes()],
            |row| {
                let to = if row.get(1)? {
                    Grantee::Unit(id!(row, 0, UnitId))
                } else {
                    Grantee::User(id!(row, 0, UserId))
                };
                Ok(GrantRow {
                    to,
                    reason: row.get(2)?,
                    leaf: uint(row.get(3)?),
                })
            },
        )
    }

    /// Whether anything in a range of leaves may have moved the scope of a person.
    pub(crate) fn scope_moved(&self, user: UserId, (from, to): (u64, u64)) -> Result<bool, StoreError> {
        let found = self.one(
            "SELECT 1 WHERE EXISTS (SELECT 1 FROM user_at WHERE user = ?1 AND leaf >= ?2 AND leaf < ?3)
               OR EXISTS (SELECT 1 FROM membership_at WHERE user = ?1 AND leaf >= ?2 AND leaf < ?3)
               OR EXISTS (SELECT 1 FROM unit_at WHERE leaf >= ?2 AND leaf < ?3)
               OR EXISTS (SELECT 1 FROM grant_at WHERE leaf >= ?2 AND leaf < ?3)",
            params![user.as_bytes(), int(from), int(to)],
            |_| Ok(()),
        )?;
        Ok(found.is_some())
    }

    /// The sizes of the ledger from one on after which a person's scope over a record may have been another.
    pub(crate) fn scope_turns(&self, user: UserId, record: RecordId, from: u64) -> Result<Vec<u64>, StoreError> {
        self.all(
            "SELECT leaf + 1 FROM user_at WHERE user = ?1 AND leaf >= ?3
             UNION SELECT leaf + 1 FROM membership_at WHERE user = ?1 AND leaf >= ?3
             UNION SELECT leaf + 1 FROM unit_at WHERE leaf >= ?3
             UNION SELECT leaf + 1 FROM grant_at WHERE record = ?2 AND leaf >= ?3 ORDER BY 1",
            params![user.as_bytes(), record.as_bytes(), int(from)],
            |row| row.get(0).map(uint),
        )
    }

    /// Numbers of records below one, descending: those of these units, those ever granted to these, and those granted to whomever in a
    /// range of leaves.
    pub(crate) fn candidates(
        &self,
        units: &[UnitId],
        grantees: &[Grantee],
        granted_in: (u64, u64),
        (below, limit): (u64, u32),
    ) -> Result<Vec<u64>, StoreError> {
        // Ids are written out: a statement takes a bounded number of parameters, and they are fixed bytes.
        let list = |ids: Vec<&[u8; 16]>| {
            let quoted: Vec<String> = ids
                .into_iter()
                .map(|id| format!("x'{}'", id.iter().map(|byte| format!("{byte:02x}")).collect::<String>()))
                .collect();
            quoted.join(",")
        };
        let sql = format!(
            "SELECT number FROM record WHERE unit IN ({}) AND number < ?1
             UNION SELECT r.number FROM grant_at AS g CROSS JOIN record AS r ON r.id = g.record
               WHERE g.grantee IN ({}) AND r.number < ?1
             UNION SELECT r.number FROM grant_at AS g CROSS JOIN record AS r ON r.id = g.record
               WHERE g.leaf >= ?2 AND g.leaf < ?3 AND r.number < ?1
             ORDER BY 1 DESC LIMIT ?4",
            list(units.iter().map(UnitId::as_bytes).collect()),
            list(grantees.iter().map(Grantee::bytes).collect())
        );
        let mut statement = self.conn().prepare(&sql)?;
        let rows = statement.query_map(params![int(below), int(granted_in.0), int(granted_in.1), limit], |row| {
            row.get(0).map(uint)
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// A record as scope sees it, by its number.
    pub(crate) fn scoped(&self, number: u64) -> Result<Option<ScopedRecord>, StoreError> {
        self.one(
            "SELECT r.id, r.number, r.kind, r.kind_version, r.unit, r.opener_user, length(r.private_heads), d.opened
             FROM record AS r JOIN record_digest AS d ON d.record = r.id WHERE r.number = ?1",
            [int(number)],
            |row| {
                Ok(ScopedRecord {
                    id: id!(row, 0, RecordId),
                    number: uint(row.get(1)?),
                    kind: (row.get(2)?, row.get(3)?),
                    unit: id!(row, 4, UnitId),
                    opener: id!(row, 5, UserId),
                    has_private: row.get::<_, i64>(6)? > 0,
                    opened: uint(row.get(7)?),
                })
            },
        )
    }

    /// The number of a record.
    pub(crate) fn number_of(&self, record: RecordId) -> Result<Option<u64>, StoreError> {
        self.one("SELECT number FROM record WHERE id = ?1", [record.as_bytes()], |row| {
            row.get(0).map(uint)
        })
    }

    /// The highest number of a record, 0 when there is none.
    pub(crate) fn newest_number(&self) -> Result<u64, StoreError> {
        self.count(
            "SELECT max(coalesce((SELECT max(number) FROM record), 0), coalesce((SELECT max(number) FROM gone), 0))",
            [],
        )
    }

    /// All units with their parents, by name.
    pub(crate) fn units(&self) -> Result<Vec<UnitEvent>, StoreError> {
        self.all(
            "SELECT unit, name, parent, level, closed FROM unit ORDER BY name, unit",
            [],
            |row| {
                Ok(UnitEvent {
                    unit: id!(row, 0, UnitId),
                    name: row.get(1)?,
                    parent: row.get::<_, Option<_>>(2)?.map(UnitId::from_bytes),
                    level: row.get(3)?,
                    closed: row.get::<_, bool>(4)?.then_some(true),
                    on_behalf: None,
                })
            },
        )
    }
}

impl WriteTx<'_> {
    /// Notes where a person works from an entry on.
    pub(crate) fn put_user_at(&self, event: &UserEvent, leaf: u64, position: u32) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO user_at (user, leaf, position, unit, roles, blocked) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                event.user.as_bytes(),
                int(leaf),
                position,
                event.unit.as_bytes(),
                event.roles.join(" "),
                event.blocked == Some(true)
            ],
        )?;
        Ok(())
    }

    /// Notes where a unit stands from an entry on.
    pub(crate) fn put_unit_at(&self, event: &UnitEvent, leaf: u64, position: u32) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO unit_at (unit, leaf, position, parent, closed) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![
                event.unit.as_bytes(),
                int(leaf),
                position,
                event.parent.map(|parent| *parent.as_bytes()),
                event.closed == Some(true)
            ],
        )?;
        Ok(())
    }

    /// Notes a grant, or its end.
    pub(crate) fn put_grant(&self, event: &GrantEvent, to: Grantee, leaf: u64, position: u32) -> Result<(), StoreError> {
        let ended = event.ended == Some(true);
        // Whoever loses it hears of it as well: his phone lets the record go.
        self.growth.borrow_mut().grantees.insert(to);
        self.run(
            "INSERT INTO grant_at (record, grantee, leaf, position, ended) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![event.record.as_bytes(), to.bytes(), int(leaf), position, ended],
        )?;
        if ended {
            self.run(
                "DELETE FROM granted WHERE record = ?1 AND grantee = ?2",
                params![event.record.as_bytes(), to.bytes()],
            )?;
        } else {
            let is_unit = matches!(to, Grantee::Unit(_));
            self.run(
                "INSERT INTO granted (record, grantee, is_unit, reason, leaf) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (record, grantee) DO UPDATE SET reason = excluded.reason, leaf = excluded.leaf",
                params![event.record.as_bytes(), to.bytes(), is_unit, event.reason, int(leaf)],
            )?;
        }
        let unit = self.one("SELECT unit FROM record WHERE id = ?1", [event.record.as_bytes()], |row| {
            Ok(id!(row, 0, UnitId))
        })?;
        self.concerns_holders(event.record, unit)
    }

    /// Notes whom it concerns that something became of a record: the people of its unit, where that is known, and those to whom it is
    /// granted.
    pub(super) fn concerns_holders(&self, record: RecordId, unit: Option<UnitId>) -> Result<(), StoreError> {
        let granted = self.grants(record)?;
        let mut growth = self.growth.borrow_mut();
        growth.units.extend(unit);
        growth.grantees.extend(granted.into_iter().map(|row| row.to));
        Ok(())
    }
}
