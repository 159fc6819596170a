//! The station's own book: what a person does at the station, and what the registry says, is sealed into pages like any other, by a key
//! of the keys directory. Judged before by whoever asks; sealed under the write lock, since the chain's end is known there alone.

use std::sync::Arc;

use beatbook_protocol::page::{Draft, P256_SHA256, SealedPage, Signer};
use beatbook_protocol::time::Stamp;
use beatbook_protocol::wire::Verdict;

use super::AdmittedPage;
use crate::environment::Environment;
use crate::error::StationError;
use crate::keys::Keys;
use crate::ledger;
use crate::store::WriteTx;

/// An entry of the station's book with the verdict that its judge found.
#[derive(Debug)]
pub(crate) struct OwnEntry {
    /// Its bytes.
    pub(crate) bytes: Vec<u8>,
    /// Whether it is an act that is only offered.
    pub(crate) offered: bool,
}

/// Seals entries into the next page of the station's book.
pub(crate) fn seal_own(
    tx: &WriteTx<'_>,
    keys: &Keys,
    env: &Environment,
    entries: Vec<OwnEntry>,
) -> Result<AdmittedPage, StationError> {
    let station = tx
        .station()?
        .ok_or_else(|| StationError::Damaged("the station's own line is missing".into()))?;
    let received = env.clock.now();
    let seed = env
        .bytes::<32>()
        .map_err(|fault| StationError::Keys(format!("no randomness: {fault}")))?;
    let tip = tx.tip(station.book, station.incarnation)?;
    let offered: Vec<bool> = entries.iter().map(|entry| entry.offered).collect();
    let bytes: Vec<Vec<u8>> = entries.into_iter().map(|entry| entry.bytes).collect();
    let header = Draft {
        suite: P256_SHA256,
        book: station.book,
        incarnation: station.incarnation,
        sequence: tip.next,
        previous: tip.last,
        stamp: Stamp {
            wall: received,
            boot: 0,
            monotonic: 0,
            checkpoint: Some(ledger::position(tx)?),
        },
        follows: None,
        seed,
        entries: &bytes,
    }
    .header();
    let failed = |fault: &dyn std::fmt::Display| StationError::Keys(format!("the station's book: {fault}"));
    let sealed = SealedPage::seal(header, seed, bytes, &keys.book).map_err(|fault| failed(&fault))?;
    let verified = sealed.verify(&keys.book.public_key()).map_err(|fault| failed(&fault))?;
    verified.check_follows(&tip).map_err(|fault| failed(&fault))?;
    let verdict = |offered: bool| if offered { Verdict::Offered } else { Verdict::Accepted };
    Ok(AdmittedPage::judged(
        Arc::new(verified),
        offered.into_iter().map(verdict).collect(),
        received,
    ))
}
