//! Scope: which records a person may hold, and what he is over each. A pure function of the person and of the ledger's first leaves: the
//! records of the units where he works and of those below them, and the records granted to him or to one of these units. Where he works
//! is his own unit and, for a time, others (memberships), as far as what he is there has records at all (`policy`); over a record he is
//! what he is where it lies. Knows nothing of states.

use std::collections::BTreeSet;

use beatbook_protocol::id::{RecordId, UnitId, UserId};
use beatbook_protocol::kind::Who;

use crate::error::StationError;
use crate::feed::reads_private;
use crate::kinds::Kinds;
use crate::policy::{self, Permission};
use crate::projection::reading::roles;
use crate::station::Session;
use crate::store::{FeedRecord, Grantee, ReadTx, ScopedRecord, UserAt};

/// A place where a person works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Posting {
    /// What he is there.
    pub(crate) roles: Vec<Who>,
    /// The unit and those below it.
    pub(crate) units: BTreeSet<UnitId>,
}

/// What a person may hold, by the ledger's first leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scope {
    /// He.
    pub(crate) user: UserId,
    /// His unit; none before he was registered.
    pub(crate) unit: Option<UnitId>,
    /// His roles at home.
    pub(crate) roles: Vec<Who>,
    /// Where he works: at home first, then by his memberships. Nowhere, while he is blocked.
    pub(crate) postings: Vec<Posting>,
    /// The units whose records he holds: all of these where a role of his brings them.
    pub(crate) units: BTreeSet<UnitId>,
    /// The units by which a grant reaches him: all of these where a role of his has records at all.
    pub(crate) reach: BTreeSet<UnitId>,
    /// Whether he is blocked: he holds nothing.
    pub(crate) is_blocked: bool,
    /// How many leaves this is by.
    pub(crate) size: u64,
}

/// A record, as far as it decides who may read what of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct About<'a> {
    /// The record.
    pub(crate) record: RecordId,
    /// Its unit.
    pub(crate) unit: UnitId,
    /// Kind and version.
    pub(crate) kind: &'a (String, u32),
    /// Who opened it.
    pub(crate) opener: UserId,
}

impl<'a> From<&'a ScopedRecord> for About<'a> {
    fn from(record: &'a ScopedRecord) -> Self {
        Self {
            record: record.id,
            unit: record.unit,
            kind: &record.kind,
            opener: record.opener,
        }
    }
}

impl Scope {
    /// His scope by the ledger's first `size` leaves.
    pub(crate) fn at(tx: &ReadTx<'_>, user: UserId, size: u64) -> Result<Self, StationError> {
        let home = tx.user_at(user, size)?;
        let is_blocked = home.as_ref().is_some_and(|home| home.blocked);
        let postings = match &home {
            Some(home) if !is_blocked => postings_at(tx, user, home, size)?,
            Some(_) | None => Vec::new(),
        };
        let home = home.map(|home| (home.unit, roles(&home.roles)));
        Ok(Self::over(user, home, postings, is_blocked, size))
    }

    /// His scope now.
    pub(crate) fn now(tx: &ReadTx<'_>, user: UserId) -> Result<Self, StationError> {
        Self::at(tx, user, tx.size()?)
    }

    /// His scope now, as though he were not blocked: by it what he wrote before is judged when it comes back.
    pub(crate) fn unblocked(tx: &ReadTx<'_>, user: UserId) -> Result<Self, StationError> {
        let size = tx.size()?;
        let home = tx.user_at(user, size)?;
        let postings = match &home {
            Some(home) => postings_at(tx, user, home, size)?,
            None => Vec::new(),
        };
        let home = home.map(|home| (home.unit, roles(&home.roles)));
        Ok(Self::over(user, home, postings, false, size))
    }

    /// The scope of a signed-in person.
    pub(crate) fn of(tx: &ReadTx<'_>, session: &Session) -> Result<Self, StationError> {
        let size = tx.size()?;
        let home = UserAt {
            unit: session.unit,
            roles: session.roles.clone(),
            blocked: false,
        };
        let mut postings = postings_at(tx, session.user, &home, size)?;
        // A token may be limited to some roles, elsewhere too.
        let elsewhere = roles(&session.elsewhere);
        for posting in postings.iter_mut().skip(1) {
            posting.roles.retain(|role| elsewhere.contains(role));
        }
        let home = (session.unit, roles(&session.roles));
        Ok(Self::over(session.user, Some(home), postings, false, size))
    }

    fn over(user: UserId, home: Option<(UnitId, Vec<Who>)>, postings: Vec<Posting>, is_blocked: bool, size: u64) -> Self {
        let (unit, roles) = home.map_or((None, Vec::new()), |(unit, roles)| (Some(unit), roles));
        let where_he = |has: fn(&[Who]) -> bool| {
            let there = postings.iter().filter(|posting| has(&posting.roles));
            there.flat_map(|posting| posting.units.iter().copied()).collect()
        };
        Self {
            user,
            unit,
            roles,
            units: where_he(policy::holds_by_unit),
            reach: where_he(policy::holds_by_grant),
            postings,
            is_blocked,
            size,
        }
    }

    /// Whether an entry's record is in it, of those that the feed's look brought: that went by units and grants, and not by roles.
    pub(crate) fn has(&self, tx: &ReadTx<'_>, record: &FeedRecord) -> Result<bool, StationError> {
        if self.postings.len() < 2 && !self.units.is_empty() {
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

    /// What he is where a unit lies: the roles of every posting that it belongs to, ascending.
    pub(crate) fn roles_in(&self, unit: UnitId) -> Vec<Who> {
        let there = self.postings.iter().filter(|posting| posting.units.contains(&unit));
        sorted(there.flat_map(|posting| posting.roles.iter().copied()).collect())
    }

    /// What he is over a record: what he is where it lies; over one that is granted to a unit of his, also what he is there; over one that
    /// is granted to himself, also what he is at home.
    pub(crate) fn roles_over(&self, tx: &ReadTx<'_>, record: RecordId, unit: UnitId) -> Result<Vec<Who>, StationError> {
        let mut roles = self.roles_in(unit);
        if self.is_plain(unit) {
            return Ok(roles);
        }
        for grantee in tx.grantees_at(record, self.size)? {
            if grantee == *self.user.as_bytes() {
                roles.extend(&self.roles);
            } else {
                roles.extend(self.roles_in(UnitId::from_bytes(grantee)));
            }
        }
        Ok(sorted(roles))
    }

    /// Whether no grant makes him more over records of a unit than he is in it.
    fn is_plain(&self, unit: UnitId) -> bool {
        self.is_blocked || (self.postings.len() < 2 && self.units.contains(&unit))
    }

    /// The units over which a role of his has a permission.
    pub(crate) fn units_where(&self, permission: Permission) -> BTreeSet<UnitId> {
        let there = self
            .postings
            .iter()
            .filter(|posting| policy::allows(&posting.roles, permission));
        there.flat_map(|posting| posting.units.iter().copied()).collect()
    }

    /// Whether he may read the private document of a record.
    pub(crate) fn reads(&self, tx: &ReadTx<'_>, kinds: &Kinds, about: &About<'_>) -> Result<bool, StationError> {
        if self.reads_in(kinds, about)? {
            return Ok(true);
        }
        if self.is_plain(about.unit) {
            return Ok(false);
        }
        let kind = kinds.get(&about.kind.0, about.kind.1)?;
        let roles = self.roles_over(tx, about.record, about.unit)?;
        Ok(reads_private(kind, &roles, about.opener == self.user))
    }

    /// The same by the record's unit alone, grants left aside: alike for all records of a unit, kind and opener.
    pub(crate) fn reads_in(&self, kinds: &Kinds, about: &About<'_>) -> Result<bool, StationError> {
        let kind = kinds.get(&about.kind.0, about.kind.1)?;
        Ok(reads_private(kind, &self.roles_in(about.unit), about.opener == self.user))
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

    /// What he is where a unit lies, and whether he holds its records; none where no grant reaches him by it either.
    fn standing_in(&self, unit: UnitId) -> Option<(bool, Vec<Who>)> {
        self.reach
            .contains(&unit)
            .then(|| (self.units.contains(&unit), self.roles_in(unit)))
    }
}

fn postings_at(tx: &ReadTx<'_>, user: UserId, home: &UserAt, size: u64) -> Result<Vec<Posting>, StationError> {
    let others = tx.memberships_at(user, size)?;
    let home = (home.unit, home.roles.clone());
    std::iter::once(home)
        .chain(others)
        .map(|(unit, codes)| {
            Ok(Posting {
                roles: roles(&codes),
                units: tx.units_below_at(unit, size)?.into_iter().collect(),
            })
        })
        .collect()
}

fn sorted(mut roles: Vec<Who>) -> Vec<Who> {
    roles.sort_unstable();
    roles.dedup();
    roles
}

/// Whether a record of a unit was in a person's scope at any time since the ledger had a size: what he wrote may rest on what he knew then.
pub(crate) fn held_since(
    tx: &ReadTx<'_>,
    now: &Scope,
    (record, unit): (RecordId, UnitId),
    known: u64,
) -> Result<bool, StationError> {
    if now.holds(tx, record, unit)? {
        return Ok(true);
    }
    for scope in scopes_since(tx, now.user, record, known)? {
        if scope?.holds(tx, record, unit)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What a person was over a record at any time since the ledger had a size.
pub(crate) fn roles_since(
    tx: &ReadTx<'_>,
    now: &Scope,
    (record, unit): (RecordId, UnitId),
    known: u64,
) -> Result<Vec<Who>, StationError> {
    let mut roles = now.roles_over(tx, record, unit)?;
    for scope in scopes_since(tx, now.user, record, known)? {
        roles.extend(scope?.roles_over(tx, record, unit)?);
    }
    Ok(sorted(roles))
}

/// As what a person acts on a record: what he is over it now. When it left his scope and he could not know, what he was over it since,
/// as far as he still is that somewhere: nobody keeps by his absence an authority that he lost.
pub(crate) fn roles_to_act(
    tx: &ReadTx<'_>,
    now: &Scope,
    (record, unit): (RecordId, UnitId),
    known: u64,
) -> Result<Vec<Who>, StationError> {
    if now.holds(tx, record, unit)? {
        return now.roles_over(tx, record, unit);
    }
    let mut roles = roles_since(tx, now, (record, unit), known)?;
    roles.retain(|role| now.postings.iter().any(|posting| posting.roles.contains(role)));
    Ok(roles)
}

/// What an author is over a record, blocked or not. One who never had a membership is what he is at home: where he moved meanwhile does not
/// undo what he did before.
pub(crate) fn author_roles(tx: &ReadTx<'_>, author: UserId, record: RecordId, unit: UnitId) -> Result<Vec<Who>, StationError> {
    if tx.memberships_of(author)?.is_empty() {
        return Ok(tx.user(author)?.map(|user| roles(&user.roles)).unwrap_or_default());
    }
    Scope::unblocked(tx, author)?.roles_over(tx, record, unit)
}

/// The scopes that a person had over a record since the ledger had a size, but for the one now, where anything turned since.
fn scopes_since<'t>(
    tx: &'t ReadTx<'_>,
    user: UserId,
    record: RecordId,
    known: u64,
) -> Result<impl Iterator<Item = Result<Scope, StationError>> + 't, StationError> {
    let turns = tx.scope_turns(user, record, known)?;
    let first = (!turns.is_empty()).then_some(known);
    Ok(first.into_iter().chain(turns).map(move |size| Scope::at(tx, user, size)))
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
        let about = About::from(record);
        Ok(record.has_private && from.reads(tx, kinds, &about)? != self.to.reads(tx, kinds, &about)?)
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
        let about = About::from(record);
        Ok(record.has_private && from.reads(tx, kinds, &about)? && !self.to.reads(tx, kinds, &about)?)
    }

    /// Numbers below one of records that it may bring or take, descending.
    pub(crate) fn candidates(&self, tx: &ReadTx<'_>, below: u64, limit: u32) -> Result<Vec<u64>, StationError> {
        let Some(from) = self.from else {
            let units: Vec<UnitId> = self.to.units.iter().copied().collect();
            return Ok(tx.candidates(&units, &self.to.grantees(), (0, 0), (below, limit))?);
        };
        // Units that came or went, and those over which he is something else now: more or less may be read of any record there.
        let has_turned = |unit: &&UnitId| from.standing_in(**unit) != self.to.standing_in(**unit);
        let units: Vec<UnitId> = from.units.union(&self.to.units).filter(has_turned).copied().collect();
        let reach = from.reach.union(&self.to.reach).filter(has_turned);
        let mut grantees: Vec<Grantee> = reach.map(|unit| Grantee::Unit(*unit)).collect();
        if from.roles != self.to.roles || from.is_blocked != self.to.is_blocked {
            grantees.push(Grantee::User(self.to.user));
        }
        Ok(tx.candidates(&units, &grantees, (from.size, self.to.size), (below, limit))?)
    }
}
