//! What every call needs to know beside the records: whose file this is, where he works and as what, and the kinds in force. Read at the opening
//! and after a reply that changed it; parsed once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use beatbook_protocol::document::{DocumentError, Shape};
use beatbook_protocol::id::{ActorId, Hash, UnitId, UserId};
use beatbook_protocol::kind::{Catalogue, CheckedKind, DocumentName, Who, set_digest, workflow};
use beatbook_protocol::time::UnixMillis;

use crate::store::identity::{self, Identity};
use crate::store::{StoreError, Tx, registry};

/// Whose file, his roles, and the kinds. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Office {
    /// Whose file it is; none before enrolment.
    pub(crate) me: Option<Identity>,
    /// Where he works and as what: at home first, then by his memberships.
    pub(crate) postings: Vec<Posting>,
    /// Every kind that can be read here: the station's, and those of this app.
    pub(crate) kinds: Catalogue,
    /// Those of them that the station has in force; none before its first word.
    in_force: Option<BTreeSet<(String, u32)>>,
    /// The digest of the set that the station has in force, files that cannot be read here included; before its first word that of this app.
    pub(crate) kinds_digest: Hash,
    shapes: Shapes,
}

/// A place where he works.
#[derive(Debug, Clone)]
pub(crate) struct Posting {
    /// The unit.
    pub(crate) unit: UnitId,
    /// What he is there.
    pub(crate) roles: Vec<Who>,
    /// The unit and those below it.
    pub(crate) units: BTreeSet<UnitId>,
    /// In whose place.
    pub(crate) stands_in_for: Option<UserId>,
    /// Until when that is planned.
    pub(crate) until: Option<UnixMillis>,
}

/// Shapes of documents that were made before: each costs a genesis.
type Shapes = Arc<Mutex<BTreeMap<(String, u32, DocumentName), Shape>>>;

/// What a writing call has in hand: the office, and the author mark of this opened file.
#[derive(Debug)]
pub(crate) struct Pen {
    /// Whose file, and the kinds.
    pub(crate) office: Office,
    /// The mark under which edits are made now.
    pub(crate) actor: ActorId,
    /// Set when the mark must not be used again: an edit under it was refused, and its number would be used twice.
    pub(crate) is_spent: bool,
    /// Set when people, books or kinds changed in this transaction.
    pub(crate) is_outdated: bool,
}

impl Office {
    /// Reads it from the file.
    pub(crate) fn read(tx: &Tx<'_>) -> Result<Self, StoreError> {
        let me = identity::identity(tx)?;
        let postings = me.as_ref().map(|me| postings(tx, me)).transpose()?.unwrap_or_default();
        let kinds = catalogue(&registry::kinds(tx)?)?;
        let in_force = registry::in_force(tx)?;
        let kinds_digest = if in_force.is_empty() {
            kinds.digest()
        } else {
            set_digest(in_force.iter().map(|(_, _, digest)| *digest))
        };
        let in_force: BTreeSet<_> = in_force.into_iter().map(|(kind, version, _)| (kind, version)).collect();
        Ok(Self {
            me,
            postings,
            kinds,
            in_force: Some(in_force).filter(|set| !set.is_empty()),
            kinds_digest,
            shapes: Shapes::default(),
        })
    }

    /// The kind under which new records are made: the newest version that the station has in force, as far as it can be read here. A newer
    /// one that this app brings waits for the station: it would refuse what is made under it.
    pub(crate) fn newest(&self, code: &str) -> Option<&CheckedKind> {
        match &self.in_force {
            None => self.kinds.newest(code),
            Some(set) => {
                let versions = set.iter().rev().filter(|(kind, _)| kind == code);
                versions.filter_map(|(kind, version)| self.kinds.get(kind, *version)).next()
            }
        }
    }

    /// Whether the station has said which kinds it has in force.
    pub(crate) fn knows_kinds(&self) -> bool {
        self.in_force.is_some()
    }

    /// The shape of a kind's document.
    pub(crate) fn shape(&self, kind: &CheckedKind, name: DocumentName) -> Result<Shape, DocumentError> {
        let mut shapes = self.shapes.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (kind.code.clone(), kind.version, name);
        if let Some(shape) = shapes.get(&key) {
            return Ok(shape.clone());
        }
        let shape = Shape::shared(kind, name)?;
        shapes.insert(key, shape.clone());
        Ok(shape)
    }

    /// What this user is for a record of a unit that was opened by `opener` and is granted to these: what he is where it lies, and where
    /// it is granted to. Over one that reached him otherwise, he is what he is at home.
    pub(crate) fn whos(&self, opener: Option<UserId>, unit: UnitId, grantees: &[[u8; 16]]) -> Vec<Who> {
        let opened_it = self.me.as_ref().is_some_and(|me| Some(me.user) == opener);
        let is_there = |posting: &&Posting| {
            posting.units.contains(&unit) || grantees.iter().any(|to| posting.units.contains(&UnitId::from_bytes(*to)))
        };
        let there: Vec<&Posting> = self.postings.iter().filter(is_there).collect();
        let is_his = grantees.contains(self.user().as_bytes());
        let home = self.postings.first().filter(|_| is_his || there.is_empty());
        let roles: Vec<Who> = there
            .into_iter()
            .chain(home)
            .flat_map(|posting| posting.roles.iter().copied())
            .collect();
        workflow::whos(&roles, opened_it)
    }

    /// What this user is in a unit, if he works there.
    pub(crate) fn whos_in(&self, unit: UnitId) -> Option<Vec<Who>> {
        let there = self.postings.iter().filter(|posting| posting.units.contains(&unit));
        let there: Vec<&Posting> = there.collect();
        let roles: Vec<Who> = there.iter().flat_map(|posting| posting.roles.iter().copied()).collect();
        (!there.is_empty()).then(|| workflow::whos(&roles, true))
    }

    /// The user, with nobody before enrolment.
    pub(crate) fn user(&self) -> UserId {
        self.me.as_ref().map_or(UserId::from_bytes([0; 16]), |me| me.user)
    }
}

fn postings(tx: &Tx<'_>, me: &Identity) -> Result<Vec<Posting>, StoreError> {
    let roles = |codes: &[String]| codes.iter().filter_map(|code| Who::from_code(code)).collect();
    let mut postings = vec![Posting {
        unit: me.unit,
        roles: roles(&registry::roles(tx, me.user)?),
        units: registry::units_below(tx, me.unit)?,
        stands_in_for: None,
        until: None,
    }];
    for row in registry::memberships(tx, me.user)? {
        postings.push(Posting {
            unit: row.unit,
            roles: roles(&row.roles),
            units: registry::units_below(tx, row.unit)?,
            stands_in_for: row.stands_in_for,
            until: row.until,
        });
    }
    Ok(postings)
}

/// The station's kinds before those of this app: records are judged there by the station's word, should one version have two texts.
fn catalogue(sent: &[(String, u32, String)]) -> Result<Catalogue, StoreError> {
    let builtin = Catalogue::builtin().map_err(|error| StoreError::Damaged(error.to_string()))?;
    let named: Vec<(String, &str)> = sent
        .iter()
        .map(|(kind, version, source)| (format!("{kind} {version}"), source.as_str()))
        .collect();
    let is_sent = |kind: &CheckedKind| {
        sent.iter()
            .any(|(code, version, _)| *code == kind.code && *version == kind.version)
    };
    let own = builtin
        .iter()
        .filter(|kind| !is_sent(kind))
        .map(|kind| (kind.code.as_str(), kind.source()));
    let all: Vec<(&str, &str)> = named
        .iter()
        .map(|(name, source)| (name.as_str(), *source))
        .chain(own)
        .collect();
    if let Ok(kinds) = Catalogue::default().with(all) {
        return Ok(kinds);
    }
    let mut kinds = builtin;
    for (name, source) in &named {
        match kinds.with([(name.as_str(), *source)]) {
            Ok(more) => kinds = more,
            // A kind of a later file format: its records stay unreadable until the app is updated, and everything else works.
            Err(error) => tracing::warn!(%error, name, "a kind cannot be read"),
        }
    }
    Ok(kinds)
}
