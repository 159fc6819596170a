//! What every call needs to know beside the records: whose file this is, what he may do, and the kinds in force. Read at the opening
//! and after a reply that changed it; parsed once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use beatbook_protocol::document::{DocumentError, Shape};
use beatbook_protocol::id::{ActorId, UserId};
use beatbook_protocol::kind::{Catalogue, CheckedKind, DocumentName, Who, workflow};

use crate::store::identity::{self, Identity};
use crate::store::{StoreError, Tx, registry};

/// Whose file, his roles, and the kinds. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Office {
    /// Whose file it is; none before enrolment.
    pub(crate) me: Option<Identity>,
    /// What he is in his unit.
    pub(crate) roles: Vec<Who>,
    /// The kinds in force.
    pub(crate) kinds: Catalogue,
    shapes: Shapes,
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
        let codes = me
            .as_ref()
            .map(|me| registry::roles(tx, me.user))
            .transpose()?
            .unwrap_or_default();
        let roles = codes.iter().filter_map(|code| Who::from_code(code)).collect();
        let mut kinds = Catalogue::builtin().map_err(|error| StoreError::Damaged(error.to_string()))?;
        for (kind, version, source) in registry::kinds(tx)? {
            match kinds.with([(format!("{kind} {version}").as_str(), source.as_str())]) {
                Ok(more) => kinds = more,
                // A kind of a later file format: its records stay unreadable until the app is updated, and everything else works.
                Err(error) => tracing::warn!(%error, kind, version, "a kind cannot be read"),
            }
        }
        Ok(Self {
            me,
            roles,
            kinds,
            shapes: Shapes::default(),
        })
    }

    /// The shape of a kind's document.
    pub(crate) fn shape(&self, kind: &CheckedKind, name: DocumentName) -> Result<Shape, DocumentError> {
        let mut shapes = self.shapes.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (kind.code.clone(), kind.version, name);
        if let Some(shape) = shapes.get(&key) {
            return Ok(shape.clone());
        }
        let shape = Shape::of(kind, name)?;
        shapes.insert(key, shape.clone());
        Ok(shape)
    }

    /// What this user is for a record that was opened by `opener`.
    pub(crate) fn whos(&self, opener: Option<UserId>) -> Vec<Who> {
        let opened_it = self.me.as_ref().is_some_and(|me| Some(me.user) == opener);
        workflow::whos(&self.roles, opened_it)
    }

    /// The user, with nobody before enrolment.
    pub(crate) fn user(&self) -> UserId {
        self.me.as_ref().map_or(UserId::from_bytes([0; 16]), |me| me.user)
    }
}
