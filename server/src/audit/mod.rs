//! The audit log: who read what is sensitive, who exported, signed in, or changed who may what; when, and why. Lines are appended and
//! chained by hash, never changed. A line stands before the answer that it is about leaves the house.
//!
//! It holds no content: names of fields, not their values.
//!
//! ```text
//!  who acts ─► append: a line, chained to the one before, within the step that it is about
//!              anchor: now and then the ledger fixes how many lines there are, and the hash of the last
//!              verify: lines against their chain, the chain against the ledger and the keys directory
//!              log:    what an auditor reads and takes along, which is a line itself
//! ```

mod anchor;
pub mod log;
mod verify;

use beatbook_protocol::id::{Hash, RecordId, UserId};
use beatbook_protocol::time::UnixMillis;

#[cfg(test)]
pub(crate) use anchor::LINES_UNFIXED_MAX;
pub(crate) use anchor::{anchor, anchor_when_due};
pub(crate) use verify::{Fixed, verify};

use crate::environment::Environment;
use crate::error::StationError;
use crate::keys::Keys;
use crate::station::Station;
use crate::store::WriteTx;

const DOMAIN: &[u8] = b"beatbook/audit/1\0";

/// What is to be said in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// Who did it; none for the operator at the machine, and for somebody who was not let in.
    pub(crate) user: Option<UserId>,
    /// What was done, by code: `record.read`, `audit.read`, `session.begin`, `session.refused`, `registry.import` ...
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
    /// Its number, from 1. Numbers rise by one; only a line [`RESTORED`] may leave some out, those of lines that the restore lost.
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

/// What a line says that stands behind lines which a restore lost.
pub(crate) const RESTORED: &str = "station.restored";

/// Appends a line within a step: it is on the disk when the step is.
pub(crate) fn append(tx: &WriteTx<'_>, env: &Environment, line: &Line) -> Result<(), StationError> {
    append_written(tx, env, line).map(drop)
}

/// The same, and how it stands there.
pub(crate) fn append_written(tx: &WriteTx<'_>, env: &Environment, line: &Line) -> Result<Written, StationError> {
    let (last, _) = tx.audit_head()?;
    append_as(tx, env, last + 1, line)
}

/// Appends a line as a step of its own: when this returns it is on the disk, and what it is about may leave the house.
pub(crate) fn write(station: &Station, line: &Line) -> Result<(), StationError> {
    station.store.write(|tx| append(tx, &station.env, line))?;
    station.env.steps.passes("audit line written");
    anchor_when_due(station);
    Ok(())
}

/// Says in a restored log that it was restored, and which lines are known to be lost; how many they are.
///
/// The lost lines' numbers are never given again: whoever has a copy of them can tell them from what came after.
pub(crate) fn append_restored(tx: &WriteTx<'_>, env: &Environment, keys: &Keys) -> Result<u64, StationError> {
    let (last, _) = tx.audit_head()?;
    let fixed = keys.audited().map_or(0, |(lines, _)| lines);
    let lost = fixed.saturating_sub(last);
    let detail = match lost {
        0 => format!("restored from a backup; the log in it ends at line {last}, and none behind it is known to be lost"),
        _ => format!(
            "restored from a backup; lines {} to {fixed} were lost with what the backup did not hold",
            last + 1
        ),
    };
    append_as(tx, env, last.max(fixed) + 1, &Line::of(None, RESTORED, detail))?;
    Ok(lost)
}

fn append_as(tx: &WriteTx<'_>, env: &Environment, number: u64, line: &Line) -> Result<Written, StationError> {
    let (_, head) = tx.audit_head()?;
    let mut written = Written {
        number,
        at: env.clock.now(),
        user: line.user,
        what: line.what.to_owned(),
        record: line.record,
        detail: line.detail.clone(),
        reason: line.reason.clone(),
        hash: head,
    };
    written.hash = written.chained(&head);
    tx.put_audit(&written)?;
    Ok(written)
}
