//! The audit log: who read what is sensitive, who exported, signed in, or changed who may what; when, and why. Lines are appended and
//! chained by hash, never changed. A line stands before the answer that it is about leaves the house.
//!
//! It holds no content: names of fields, not their values.

use beatbook_protocol::id::{Hash, RecordId, UserId};
use beatbook_protocol::time::UnixMillis;

use crate::environment::Environment;
use crate::error::StationError;
use crate::store::WriteTx;

const DOMAIN: &[u8] = b"beatbook/audit/1\0";

/// What is to be said in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// Who did it; none for the operator at the machine, and for somebody who was not let in.
    pub(crate) user: Option<UserId>,
    /// What was done, by code: `record.read_private`, `audit.read`, `session.begin`, `session.refused`, `registry.import` ...
    pub(crate) what: &'static str,
    /// The record it was about.
    pub(crate) record: Option<RecordId>,
    /// More of what: fields, a unit, a device, a count. Never content, never a secret.
    pub(crate) detail: String,
    /// The reason that he gave, where one is asked for.
    pub(crate) reason: Option<String>,
}

impl Line {
    /// A line about something that is no record.
    pub(crate) fn of(user: Option<UserId>, what: &'static str, detail: impl Into<String>) -> Self {
        Self {
            user,
            what,
            record: None,
            detail: detail.into(),
            reason: None,
        }
    }
}

/// A line as it stands in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Written {
    /// Its number, from 1 without gaps.
    pub(crate) number: u64,
    /// When, by the station's clock.
    pub(crate) at: UnixMillis,
    /// Who.
    pub(crate) user: Option<UserId>,
    /// What.
    pub(crate) what: String,
    /// The record.
    pub(crate) record: Option<RecordId>,
    /// More of what.
    pub(crate) detail: String,
    /// Why.
    pub(crate) reason: Option<String>,
    /// Hash over the line before and this one.
    pub(crate) hash: Hash,
}

impl Written {
    /// The hash that it must have behind a line of another hash.
    pub(crate) fn chained(&self, before: &Hash) -> Hash {
        let text = |text: &str| [&u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes(), text.as_bytes()].concat();
        let bytes = [
            before.as_bytes().to_vec(),
            self.number.to_be_bytes().to_vec(),
            self.at.0.to_be_bytes().to_vec(),
            self.user.map_or_else(|| vec![0; 16], |user| user.as_bytes().to_vec()),
            self.record.map_or_else(|| vec![0; 16], |record| record.as_bytes().to_vec()),
            text(&self.what),
            text(&self.detail),
            vec![u8::from(self.reason.is_some())],
            text(self.reason.as_deref().unwrap_or_default()),
        ]
        .concat();
        Hash::of(&[DOMAIN, &bytes])
    }
}

/// Appends a line within a step: it is on the disk when the step is.
pub(crate) fn append(tx: &WriteTx<'_>, env: &Environment, line: &Line) -> Result<(), StationError> {
    let (lines, head) = tx.audit_head()?;
    let mut written = Written {
        number: lines + 1,
        at: env.clock.now(),
        user: line.user,
        what: line.what.to_owned(),
        record: line.record,
        detail: line.detail.clone(),
        reason: line.reason.clone(),
        hash: head,
    };
    written.hash = written.chained(&head);
    Ok(tx.put_audit(&written)?)
}
