//! Scope: which records a person may hold. A pure function of the person and of the ledger's first leaves: the records of his unit and of
//! those below it, and the records granted to him or to one of these units; as far as his roles have records at all (`policy`). Knows
//! nothing of states and rights within a record.

use std::collections::BTreeSet;

use beatbook_protocol::id::{RecordId, UnitId, UserId};
use beatbook_protocol::kind::Who;

use crate::error::StationError;
use crate::feed::reads_private;
use crate::kinds::Kinds;
use crate::policy;
use crate::projection::reading::roles;
use crate::station::Session;
use crate::store::{FeedRecord, Grantee, ReadTx, ScopedRecord};

/// What a person may hold, by the ledger's first leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scope {
    /// He.
    pub(crate) user: UserId,
    /// His unit; none before he was registered.
    pub(crate) unit: Option<UnitId>,
    /// His roles.
    pub(crate) roles: Vec<Who>,
    /// The units whose records he holds: his and those below it, if a role of his brings them.
    pub(crate) units: BTreeSet<UnitId>,
    /// The units by which a grant reaches him: his and those below it, if a role of his has records at all.
    pub(crate) reach: BTreeSet<UnitId>,
    /// How many leaves this is by.
    pub(crate) size: u64,
}

impl Scope {
    /// His scope by the ledger's first `size` leaves.
    pub(crate) fn at(tx: &ReadTx<'_>, user: UserId, size: u64) -> Result<Self, StationError> {
        let (unit, codes) = match tx.user_at(user, size)? {
            Some((unit, codes)) => (Some(unit), codes),
            None => (None, Vec::new()),
        };
        let below = match unit {
            Some(unit) => tx.units_below_at(unit, size)?,
            None => Vec::new(),
        };
        Ok(Self::with((user, unit), roles(&codes), below, size))
    }

    /// His scope now.
    pub(crate) fn now(tx: &ReadTx<'_>, user: UserId) -> Result<Self, StationError> {
        Self::at(tx, user, tx.size()?)
    }

    /// The scope of a signed-in person.
    pub(crate) fn of(tx: &ReadTx<'_>, session: &Session) -> Result<Self, StationError> {
        let person = (session.user, Some(session.unit));
        Ok(Self::with(
            person,
            roles(&session.roles),
            tx.units_below(session.unit)?,
            tx.size()?,
        ))
    }

    fn with((user, unit): (UserId, Option<UnitId>), roles: Vec<Who>, below: Vec<UnitId>, size: u64) -> Self {
        let of = |is_his: bool| below.iter().copied().filter(|_| is_his).collect();
        Self {
            user,
            unit,
            units: of(policy::holds_by_unit(&roles)),
            reach: of(policy::holds_by_grant(&roles)),
            roles,
            size,
        }
    }

    /// Whether an entry's record is in it, of those that the feed's look brought: that went by units and grants, and not by roles.
    pub(crate) fn has(&self, tx: &ReadTx<'_>, record: &FeedRecord) -> Result<bool, StationError> {
        if !self.units.is_empty() {
            return Ok(true);
        }
        match tx.scoped(record.number)? {
            Some(record) => self.holds(tx, record.id, record.unit),
            None => Ok(false),
        }
    }

    /// Whether a record of a unit is in it.
    pub(crate) fn holds(&self, tx: &ReadTx<'_>, record: RecordId, unit: UnitId) -> Result<bool, StationError> {
        Ok(self.units.contains(&unit) || self.is_granted(tx, record)?)
    }

    /// Whether he may read the private documents of records like these.
    pub(crate) fn reads(&self, kinds: &Kinds, kind: &(String, u32), opener: UserId) -> Result<bool, StationError> {
        Ok(reads_private(kinds.get(&kind.0, kind.1)?, &self.roles, opener == self.user))
    }

    /// Whether a record is granted to the person himself.
    pub(crate) fn is_his(&self, tx: &ReadTx<'_>, record: RecordId) -> Result<bool, StationError> {
        Ok(!self.reach.is_empty()
            && tx
                .grantees_at(record, self.size)?
                .iter()
                .any(|grantee| grantee == self.user.as_bytes()))
    }

    /// He and his units: to whom records may be granted so that he holds them.
    pub(crate) fn grantees(&self) -> Vec<Grantee> {
        let units = self.reach.iter().map(|unit| Grantee::Unit(*unit));
        let himself = (!self.reach.is_empty()).then_some(Grantee::User(self.user));
        himself.into_iter().chain(units).collect()
    }

    fn is_granted(&self, tx: &ReadTx<'_>, record: RecordId) -> Result<bool, StationError> {
        if self.reach.is_empty() {
            return Ok(false);
        }
        let is_ours = |grantee: &[u8; 16]| grantee == self.user.as_bytes() || self.reach.contains(&UnitId::from_bytes(*grantee));
        Ok(tx.grantees_at(record, self.size)?.iter().any(is_ours))
    }
}

/// Whether a record of a unit was in a person's scope at any time since the ledger had a size: what he wrote may rest on what he knew then.
pub(crate) fn held_since(
    tx: &ReadTx<'_>,
    user: UserId,
    (record, unit): (RecordId, UnitId),
    known: u64,
) -> Result<bool, StationError> {
    if Scope::now(tx, user)?.holds(tx, record, unit)? {
        return Ok(true);
    }
    for size in std::iter::once(known).chain(tx.scope_turns(user, record, known)?) {
        if Scope::at(tx, user, size)?.holds(tx, record, unit)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The roles that a person had at any time since the ledger had a size.
pub(crate) fn roles_since(tx: &ReadTx<'_>, user: UserId, known: u64) -> Result<Vec<Who>, StationError> {
    let mut codes = tx.roles_since(user, known)?;
    codes.sort_unstable();
    codes.dedup();
    Ok(roles(&codes))
}

/// What moved in a person's scope between two sizes of the ledger.
#[derive(Debug)]
pub(crate) struct Shift<'a> {
    /// Before; none where nothing was held.
    pub(crate) from: Option<&'a Scope>,
    /// After.
    pub(crate) to: &'a Scope,
}

impl Shift<'_> {
    /// Whether a record came into the scope, or more or less of it may be read than before.
    pub(crate) fn brings(&self, tx: &ReadTx<'_>, kinds: &Kinds, record: &ScopedRecord) -> Result<bool, StationError> {
        if !self.to.holds(tx, record.id, record.unit)? {
            return Ok(false);
        }
        let Some(from) = self.from else { return Ok(true) };
        if !from.holds(tx, record.id, record.unit)? {
            return Ok(true);
        }
        Ok(record.has_private
            && from.reads(kinds, &record.kind, record.opener)? != self.to.reads(kinds, &record.kind, record.opener)?)
    }

    /// Whether a record left the scope, or what of it was held may no longer be read.
    pub(crate) fn takes(&self, tx: &ReadTx<'_>, kinds: &Kinds, record: &ScopedRecord) -> Result<bool, StationError> {
        let Some(from) = self.from else { return Ok(false) };
        // What was opened since is not there to be let go, unless he opened it himself.
        let is_there = record.opened < from.size || record.opener == self.to.user;
        if !is_there || !from.holds(tx, record.id, record.unit)? {
            return Ok(false);
        }
        if !self.to.holds(tx, record.id, record.unit)? {
            return Ok(true);
        }
        Ok(record.has_private
            && from.reads(kinds, &record.kind, record.opener)?
            && !self.to.reads(kinds, &record.kind, record.opener)?)
    }

    /// Numbers below one of records that it may bring or take, descending.
    pub(crate) fn candidates(&self, tx: &ReadTx<'_>, below: u64, limit: u32) -> Result<Vec<u64>, StationError> {
        let Some(from) = self.from else {
            let units: Vec<UnitId> = self.to.units.iter().copied().collect();
            return Ok(tx.candidates(&units, &self.to.grantees(), (0, 0), (below, limit))?);
        };
        let moved = (from.size, self.to.size);
        if from.roles != self.to.roles {
            // What may be read of any record may have changed.
            let units: Vec<UnitId> = from.units.union(&self.to.units).copied().collect();
            let mut grantees = self.to.grantees();
            grantees.extend(from.grantees());
            return Ok(tx.candidates(&units, &grantees, moved, (below, limit))?);
        }
        let units: Vec<UnitId> = from.units.symmetric_difference(&self.to.units).copied().collect();
        let reach = from.reach.symmetric_difference(&self.to.reach);
        let grantees: Vec<Grantee> = reach.map(|unit| Grantee::Unit(*unit)).collect();
        Ok(tx.candidates(&units, &grantees, moved, (below, limit))?)
    }
}
