//! Rows of memberships, as they are and as they were, and of the codes by which other registers know units and people. Knows no rules
//! and no clock: when something is due, others ask.

use beatbook_protocol::entry::MembershipEvent;
use beatbook_protocol::id::{MembershipId, UnitId, UserId};
use beatbook_protocol::time::UnixMillis;
use rusqlite::{Row, params};

use super::connection::{id, int, maybe_id};
use super::{ReadTx, StoreError, WriteTx};

/// A membership as the newest word has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MembershipRow {
    /// Its name.
    pub(crate) membership: MembershipId,
    /// Who.
    pub(crate) user: UserId,
    /// Where.
    pub(crate) unit: UnitId,
    /// Roles by code.
    pub(crate) roles: Vec<String>,
    /// In whose place.
    pub(crate) stands_in_for: Option<UserId>,
    /// From when on.
    pub(crate) from: Option<UnixMillis>,
    /// Until when.
    pub(crate) until: Option<UnixMillis>,
    /// How far it is.
    pub(crate) phase: u8,
}

/// Planned: nothing follows from it yet.
pub(crate) const PLANNED: u8 = 0;
/// In force.
pub(crate) const IN_FORCE: u8 = 1;
/// Ended, for good.
pub(crate) const ENDED: u8 = 2;

impl MembershipRow {
    /// The event that says it, with another phase.
    pub(crate) fn event(&self, phase: u8, on_behalf: Option<UserId>) -> MembershipEvent {
        MembershipEvent {
            membership: self.membership,
            user: self.user,
            unit: self.unit,
            roles: self.roles.clone(),
            stands_in_for: self.stands_in_for,
            from: self.from,
            until: self.until,
            phase,
            on_behalf,
        }
    }
}

const COLUMNS: &str = "SELECT membership, user, unit, roles, stands_in_for, from_at, until_at, phase FROM membership";

fn read_membership(row: &Row<'_>) -> rusqlite::Result<MembershipRow> {
    Ok(MembershipRow {
        membership: id!(row, 0, MembershipId),
        user: id!(row, 1, UserId),
        unit: id!(row, 2, UnitId),
        roles: words(&row.get::<_, String>(3)?),
        stands_in_for: maybe_id!(row, 4, UserId),
        from: row.get::<_, Option<i64>>(5)?.map(UnixMillis),
        until: row.get::<_, Option<i64>>(6)?.map(UnixMillis),
        phase: row.get(7)?,
    })
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

impl ReadTx<'_> {
    /// A membership.
    pub(crate) fn membership(&self, membership: MembershipId) -> Result<Option<MembershipRow>, StoreError> {
        self.one(
            &format!("{COLUMNS} WHERE membership = ?1"),
            [membership.as_bytes()],
            read_membership,
        )
    }

    /// All memberships, ended ones included, by person.
    pub(crate) fn memberships(&self) -> Result<Vec<MembershipRow>, StoreError> {
        self.all(&format!("{COLUMNS} ORDER BY user, membership"), [], read_membership)
    }

    /// The memberships of a person, ended ones included.
    pub(crate) fn memberships_of(&self, user: UserId) -> Result<Vec<MembershipRow>, StoreError> {
        self.all(
            &format!("{COLUMNS} WHERE user = ?1 ORDER BY membership"),
            [user.as_bytes()],
            read_membership,
        )
    }

    /// Where a person worked beside his own unit and as what, by the first `size` leaves.
    pub(crate) fn memberships_at(&self, user: UserId, size: u64) -> Result<Vec<(UnitId, Vec<String>)>, StoreError> {
        self.all(
            "SELECT unit, roles FROM membership_at AS a WHERE user = ?1 AND leaf < ?2 AND phase = 1 AND NOT EXISTS (
               SELECT 1 FROM membership_at AS b WHERE b.user = ?1 AND b.membership = a.membership AND b.leaf < ?2
                 AND (b.leaf, b.position) > (a.leaf, a.position))
             ORDER BY membership",
            params![user.as_bytes(), int(size)],
            |row| Ok((id!(row, 0, UnitId), words(&row.get::<_, String>(1)?))),
        )
    }

    /// When the next membership begins or ends.
    pub(crate) fn next_due(&self) -> Result<Option<UnixMillis>, StoreError> {
        let due = self.one("SELECT min(due) FROM membership WHERE due IS NOT NULL", [], |row| {
            row.get::<_, Option<i64>>(0)
        })?;
        Ok(due.flatten().map(UnixMillis))
    }

    /// The memberships that begin or end by now, the longest due first.
    pub(crate) fn due(&self, now: UnixMillis) -> Result<Vec<MembershipRow>, StoreError> {
        self.all(
            &format!("{COLUMNS} WHERE due <= ?1 ORDER BY due, membership"),
            [now.0],
            read_membership,
        )
    }

    /// The unit that another register calls so.
    pub(crate) fn unit_of_code(&self, code: &str) -> Result<Option<UnitId>, StoreError> {
        self.one(
            "SELECT id FROM registry_code WHERE is_unit = 1 AND code = ?1",
            [code],
            |row| Ok(id!(row, 0, UnitId)),
        )
    }

    /// The person whom another register calls so.
    pub(crate) fn user_of_code(&self, code: &str) -> Result<Option<UserId>, StoreError> {
        self.one(
            "SELECT id FROM registry_code WHERE is_unit = 0 AND code = ?1",
            [code],
            |row| Ok(id!(row, 0, UserId)),
        )
    }

    /// The codes of all units.
    pub(crate) fn unit_codes(&self) -> Result<Vec<(UnitId, String)>, StoreError> {
        self.all(
            "SELECT id, code FROM registry_code WHERE is_unit = 1 ORDER BY code",
            [],
            |row| Ok((id!(row, 0, UnitId), row.get(1)?)),
        )
    }

    /// The codes of all people.
    pub(crate) fn user_codes(&self) -> Result<Vec<(UserId, String)>, StoreError> {
        self.all(
            "SELECT id, code FROM registry_code WHERE is_unit = 0 ORDER BY code",
            [],
            |row| Ok((id!(row, 0, UserId), row.get(1)?)),
        )
    }
}

impl WriteTx<'_> {
    /// Puts a membership as it is from an entry on.
    pub(crate) fn put_membership(&self, event: &MembershipEvent, leaf: u64, position: u32) -> Result<(), StoreError> {
        self.growth.borrow_mut().registry = true;
        let due = match event.phase {
            PLANNED => Some(event.from.map_or(0, |from| from.0)),
            IN_FORCE => event.until.map(|until| until.0),
            _ => None,
        };
        let roles = event.roles.join(" ");
        self.run(
            "INSERT INTO membership (membership, user, unit, roles, stands_in_for, from_at, until_at, phase, due)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
             ON CONFLICT (membership) DO UPDATE SET user = excluded.user, unit = excluded.unit, roles = excluded.roles,
               stands_in_for = excluded.stands_in_for, from_at = excluded.from_at, until_at = excluded.until_at,
               phase = excluded.phase, due = excluded.due",
            params![
                event.membership.as_bytes(),
                event.user.as_bytes(),
                event.unit.as_bytes(),
                roles,
                event.stands_in_for.map(|user| *user.as_bytes()),
                event.from.map(|from| from.0),
                event.until.map(|until| until.0),
                event.phase,
                due
            ],
        )?;
        self.run(
            "INSERT INTO membership_at (user, membership, leaf, position, unit, roles, phase) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                event.user.as_bytes(),
                event.membership.as_bytes(),
                int(leaf),
                position,
                event.unit.as_bytes(),
                roles,
                event.phase
            ],
        )?;
        Ok(())
    }

    /// Notes how another register calls a unit or a person from now on.
    pub(crate) fn put_code(&self, is_unit: bool, id: &[u8; 16], code: &str) -> Result<(), StoreError> {
        self.run(
            "DELETE FROM registry_code WHERE is_unit = ?1 AND id = ?2",
            params![is_unit, id],
        )?;
        self.run(
            "INSERT INTO registry_code (is_unit, code, id) VALUES (?1, ?2, ?3)",
            params![is_unit, code, id],
        )?;
        Ok(())
    }
}
