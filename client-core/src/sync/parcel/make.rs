//! The author's side: all that waits, sealed to the station, in one file or a few.

use beatbook_protocol::id::Hash;
use beatbook_protocol::limits::{EXCHANGE_PAGES_MAX, PARCEL_ENTRY_BYTES};
use beatbook_protocol::parcel::{Parcel, ParcelContent, SealingKey, parcel_hash};
use beatbook_protocol::time::UnixMillis;

use super::ParcelError;
use crate::blobs::Pieces;
use crate::core::Core;
use crate::error::CoreError;
use crate::store::{blobs, pages, parcels, sending, sync_state};
use crate::sync::{APP, KeyVault, SyncError, seal};

/// A parcel's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParcelMade {
    /// Its name, by which its answer is known.
    pub parcel: Hash,
    /// The file's bytes.
    pub file: Vec<u8>,
    /// Own entries in it.
    pub entries: u64,
    /// Bytes of photos and recordings in it.
    pub blob_bytes: u64,
}

/// A parcel that was made on this phone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeView {
    /// Its name.
    pub parcel: Hash,
    /// Own entries in it.
    pub entries: u64,
    /// When it was made.
    pub made_at: UnixMillis,
    /// When its answer was taken in.
    pub answered_at: Option<UnixMillis>,
}

/// Seals all that waits into parcels, mostly one; several are delivered in this order. Of the photos and recordings that wait, at most
/// `blob_bytes_max` bytes go along, small pictures first, each from where the station was last known to have it. What waits goes on
/// waiting, and goes along with the next sync as well.
///
/// # Errors
/// When nothing waits, the station's sealing key is not known yet, or the book's key does not sign.
pub fn make(core: &Core, vault: &dyn KeyVault, blob_bytes_max: u64) -> Result<Vec<ParcelMade>, ParcelError> {
    let now = core.platform().clock.wall();
    let book = core.read(sync_state::own_book)?.ok_or(SyncError::NotEnrolled)?;
    let (station, _) = core
        .read(|tx| parcels::sealing_key(tx, &book.origin))?
        .ok_or(ParcelError::NoKey)?;
    let signer = vault.load(&book.key_handle)?;
    seal::seal(core, &book, signer.as_ref(), now)?;
    let mut made = Vec::new();
    let mut sent = 0;
    let mut pieces = Pieces::waiting(core, blob_bytes_max)?;
    loop {
        let (incarnation, pages) = core.read(|tx| {
            let pages = sending::to_send_after(tx, sent, EXCHANGE_PAGES_MAX, PARCEL_ENTRY_BYTES)?;
            Ok((pages::incarnation(tx)?, pages))
        })?;
        sent += pages.len();
        let taken: usize = pages.iter().flat_map(|page| &page.entries).map(|entry| entry.len()).sum();
        let along = pieces.next(PARCEL_ENTRY_BYTES.saturating_sub(taken))?;
        if pages.is_empty() && along.is_empty() {
            break;
        }
        let entries = pages.iter().map(|page| page.entries.len() as u64).sum();
        let blob_bytes = along.iter().map(|piece| piece.bytes.len() as u64).sum();
        let begun: Vec<Hash> = along.iter().map(|piece| piece.blob).collect();
        let secret = core.platform().bytes();
        let content = ParcelContent {
            book: book.book,
            incarnation: incarnation.ok_or(SyncError::NotEnrolled)?.0,
            pages,
            answer_key: *SealingKey::from_bytes(&secret).public_key().as_bytes(),
            made_at: now,
            app: APP.to_owned(),
            blobs: Some(along).filter(|along| !along.is_empty()),
        };
        let file = Parcel::seal(&content, &book.origin, signer.as_ref(), &station, &core.platform().bytes())?;
        let parcel = parcel_hash(&file);
        core.write(|records| {
            // Whoever uploads next asks first how far the station is.
            for hash in &begun {
                blobs::set_begun(records.tx(), hash)?;
            }
            parcels::put_made(records.tx(), &parcel, &secret, entries, now)
        })?;
        made.push(ParcelMade {
            parcel,
            file,
            entries,
            blob_bytes,
        });
    }
    if made.is_empty() {
        return Err(ParcelError::Nothing);
    }
    Ok(made)
}

/// The parcels that were made on this phone lately, in order, and whether their answers came.
///
/// # Errors
/// Those of the store.
pub fn made(core: &Core) -> Result<Vec<MadeView>, CoreError> {
    let rows = core.read(parcels::made)?;
    let view = |row: parcels::MadeRow| MadeView {
        parcel: row.parcel,
        entries: row.entries,
        made_at: row.made_at,
        answered_at: row.answered_at,
    };
    Ok(rows.into_iter().map(view).collect())
}
