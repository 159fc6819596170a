//! Anchors: the ledger fixes the log. From then on a line before the anchor can be changed, taken out or added by nobody who cannot also
//! rewrite the ledger under every phone's eyes. Anchors say nothing of what the lines say, and go to no phone.

use beatbook_protocol::entry::{AuditAnchorEvent, RegistryEvent};

use crate::error::StationError;
use crate::ledger;
use crate::registry::write_events;
use crate::station::Station;

/// Lines that are never left without an anchor, whatever the time: a hundred bytes of ledger for some fifty kilobytes of log.
pub(crate) const LINES_UNFIXED_MAX: u64 = 256;

/// Fixes the log in the ledger, if there are lines that are not fixed; whether there were.
///
/// # Errors
/// Those of the store and of the keys directory.
pub(crate) fn anchor(station: &Station) -> Result<bool, StationError> {
    let fixed = station.store.write(|tx| {
        let (lines, head) = tx.audit_head()?;
        // While the history is in doubt nothing more is said in its name.
        if lines <= tx.audit_anchored()? || tx.alarm()?.is_some() {
            return Ok::<_, StationError>(None);
        }
        let event = RegistryEvent::AuditAnchor(AuditAnchorEvent { lines, head });
        write_events(tx, &station.keys, &station.env, &station.kinds, vec![event])?;
        Ok(Some((lines, head)))
    })?;
    let Some((lines, head)) = fixed else { return Ok(false) };
    station.env.steps.passes("audit anchored");
    station.keys.note_audited(lines, head)?;
    station.store.read(|tx| ledger::note(tx, &station.keys))?;
    Ok(true)
}

/// Fixes the log when enough lines wait for it. A fault is logged and hinders nobody: the lines stand, and the next one tries again.
pub(crate) fn anchor_when_due(station: &Station) {
    let waiting = station
        .store
        .read(|tx| Ok::<_, StationError>(tx.audit_head()?.0.saturating_sub(tx.audit_anchored()?)));
    let done = match waiting {
        Ok(lines) if lines >= LINES_UNFIXED_MAX => anchor(station).map(drop),
        Ok(_) => Ok(()),
        Err(fault) => Err(fault),
    };
    if let Err(fault) = done {
        tracing::error!(%fault, "the audit log could not be fixed in the ledger");
    }
}
