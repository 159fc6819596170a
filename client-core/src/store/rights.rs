//! What this phone's user may do with a record, or where one is to be opened: by where he works and as what, and to whom the record is
//! granted. The station has the last word. Knows no documents.

use beatbook_protocol::id::{RecordId, UnitId};
use beatbook_protocol::kind::{CheckedKind, Who, workflow};

use super::records::Records;
use super::rows::RecordHead;
use super::{StoreError, registry};
use crate::error::{CoreError, Fault};

impl Records<'_> {
    /// What this user is for a record.
    pub(super) fn whos(&self, record: RecordId, head: &RecordHead) -> Result<Vec<Who>, StoreError> {
        let grantees = registry::grantees(self.tx, record)?;
        Ok(self.pen.office.whos(head.opener, head.unit, &grantees))
    }

    /// Whether this user may write a record as it stands.
    pub(super) fn may_write_record(&self, kind: &CheckedKind, record: RecordId, head: &RecordHead) -> Result<(), Fault> {
        if workflow::may_write(kind, &head.state, &self.whos(record, head)?) {
            return Ok(());
        }
        Err(CoreError::Forbidden {
            what: "write".into(),
            state: head.state.clone(),
        }
        .into())
    }

    /// Whether this user may open a record of a kind in a unit.
    pub(super) fn may_open(&self, kind: &CheckedKind, unit: UnitId) -> Result<(), Fault> {
        let no = |why: &str| CoreError::InvalidInput {
            field: "unit".into(),
            why: why.into(),
        };
        let whos = self.pen.office.whos_in(unit);
        let whos = whos.ok_or_else(|| no("this user does not work there: take his own unit, or one of his memberships"))?;
        if registry::is_closed(self.tx, unit)? {
            return Err(no("it is closed and takes no new records: take another one").into());
        }
        if workflow::may_write(kind, &kind.workflow.initial, &whos) {
            return Ok(());
        }
        Err(CoreError::Forbidden {
            what: "write".into(),
            state: kind.workflow.initial.clone(),
        }
        .into())
    }
}
