//! Merges as the acts on the ledger have them: which record stands for which. Changes no document; taking an act back takes all of it back.

use beatbook_protocol::entry::ActEntry;
use beatbook_protocol::kind::Kind;
use beatbook_protocol::kind::duplicate::{MERGE_INTO, NOT_DUPLICATE, UNMERGE, merge_target, other_than};

use super::record::ActEffect;
use crate::error::StationError;
use crate::store::WriteTx;

/// Folds an act that was taken in.
pub(crate) fn fold(tx: &WriteTx<'_>, kind: &Kind, act: &ActEntry, effect: &ActEffect) -> Result<(), StationError> {
    if kind.duplicate_key.is_empty() || !matches!(effect, ActEffect::Leads { .. }) {
        return Ok(());
    }
    match act.code.as_str() {
        MERGE_INTO => {
            if let Some(target) = merge_target(act) {
                tx.put_merged(act.record, target)?;
            }
        }
        UNMERGE => tx.drop_merged(act.record)?,
        NOT_DUPLICATE => {
            if let Some(other) = other_than(act) {
                tx.put_not_duplicate(act.record, other)?;
            }
        }
        _ => {}
    }
    Ok(())
}
