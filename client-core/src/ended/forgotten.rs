//! An end that nobody stands by any more: the station was restored to before it knew the book, and takes in nothing of it.

use beatbook_protocol::wire::EnrolResponse;

use crate::core::Core;
use crate::error::CoreError;
use crate::store::{ended, sync_state};

/// Refuses where this file's book has ended, unless the station does not know it: then nobody takes in what is left of it, and a chief's code is
/// newer than the order. Tells whether that is so.
pub(crate) fn may_enrol(core: &Core) -> Result<bool, CoreError> {
    match core.read_past_end(ended::ended)? {
        Some(end) if !end.is_unknown => Err(CoreError::Ended),
        end => Ok(end.is_some()),
    }
}

/// Whether who answers is the station that ordered the end: nobody else takes it back.
pub(crate) fn has_ended_it(core: &Core, response: &EnrolResponse) -> Result<bool, CoreError> {
    let own = core.read_past_end(sync_state::own_book)?;
    Ok(own.is_some_and(|own| own.origin == response.origin && own.receipt_key.to_bytes()[..] == response.receipt_key[..]))
}
