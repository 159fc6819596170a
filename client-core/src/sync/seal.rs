//! Sealing all that waits: headers are made and stored, then signed by the book, then the signatures are stored. Knows nothing of how
//! pages travel.

use beatbook_protocol::page::{SealedPage, Signer};
use beatbook_protocol::time::UnixMillis;

use super::{SyncError, apply};
use crate::core::Core;
use crate::store::pages;
use crate::store::sync_state::OwnBook;

/// Seals what waits into pages; also once the book has ended, for what is handed in then.
pub(crate) fn seal(core: &Core, book: &OwnBook, signer: &dyn Signer, now: UnixMillis) -> Result<(), SyncError> {
    let unsigned = core.write_past_end(|records| {
        let tx = records.tx();
        apply::draft_all(core, tx, book, now)?;
        pages::unsigned(tx)
    })?;
    if unsigned.is_empty() {
        return Ok(());
    }
    let mut signed = Vec::with_capacity(unsigned.len());
    for page in unsigned {
        let sealed = SealedPage::seal(page.header, [0; 32], Vec::new(), signer)?;
        signed.push((page.hash, sealed.signature));
    }
    core.write_past_end(|records| {
        let tx = records.tx();
        signed
            .iter()
            .try_for_each(|(page, signature)| pages::sign(tx, page, signature))
    })?;
    Ok(())
}
