//! Fetching a blob that somebody wants to see: range by range, sealed as it comes, shown only once the whole is what its name says.

use beatbook_protocol::blob::check_length;
use beatbook_protocol::id::Hash;
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::BlobRefusal;

use super::calls::{self, Refused};
use super::cipher::CHUNK_BYTES;
use super::folder::FETCHED;
use super::machine::{Asked, BlobMachine};
use crate::error::CoreError;
use crate::store::blobs::{self, BlobRow};
use crate::sync::WaitReason;
use crate::transport::{Answer, OutgoingCall};

impl BlobMachine<'_> {
    /// The next range of a wanted blob; none when it is here already.
    pub(super) fn plan_range(&mut self, now: UnixMillis, hash: &Hash) -> Result<Option<(Asked, OutgoingCall)>, CoreError> {
        let known = self.core.read(|tx| blobs::get(tx, hash))?;
        let Some(mut blob) = known.filter(|blob| !blob.whole) else {
            return Ok(None);
        };
        if blob.secret.is_none() {
            blob.secret = Some(self.core.platform().bytes());
            blob.held = 0;
        }
        // Its file may be gone: the folder of a phone's cache is not for ever.
        let is_there = |secret| self.folder.file(&secret, FETCHED).exists();
        if !blob.secret.is_some_and(is_there) {
            blob.held = 0;
        }
        self.core.write(|records| blobs::set_held(records.tx(), &blob, now))?;
        // Whole chunks alone are kept: a smaller piece would never get on.
        let bytes = self.piece_bytes.max(CHUNK_BYTES);
        let call = calls::range(self.token.clone(), hash, blob.held, bytes);
        Ok(Some((Asked::Range { hash: *hash }, call)))
    }

    /// A range came, or a part of it.
    pub(super) fn take_range(&mut self, now: UnixMillis, hash: Hash, answer: &Answer) -> Result<(), CoreError> {
        let Some(blob) = self.core.read(|tx| blobs::get(tx, &hash))? else {
            return Ok(());
        };
        let Some(secret) = blob.secret else { return Ok(()) };
        let (from, total) = match calls::range_of(answer) {
            Some(range) => range,
            None => match calls::refused(answer) {
                Refused::Blob(BlobRefusal::NotFound) => {
                    return self.pass_over(hash, "the station does not have it yet, or this phone may not see it");
                }
                // Ours is longer than theirs: then ours is not theirs.
                Refused::Blob(BlobRefusal::Range) => return self.fetch_anew(now, blob),
                _ => return self.take_refusal(now, Some(hash), answer),
            },
        };
        if from != blob.held || check_length(total).is_err() || (blob.held > 0 && total != blob.bytes) {
            return self.fetch_anew(now, blob);
        }
        let held = self
            .folder
            .append(self.core.platform(), &secret, (from, total), &answer.body)?;
        let grown = BlobRow {
            bytes: total,
            held,
            ..blob.clone()
        };
        self.core.write(|records| blobs::set_held(records.tx(), &grown, now))?;
        if let Some(fault) = &answer.broken {
            self.lose_sight(&Asked::Range { hash });
            self.retry(now, WaitReason::Network(fault.clone()), None);
        } else if held == from {
            self.retry(now, WaitReason::NoProgress, None);
        } else {
            self.succeed();
        }
        if held == total {
            self.verify(now, grown, secret)
        } else {
            Ok(())
        }
    }

    fn verify(&mut self, now: UnixMillis, blob: BlobRow, secret: [u8; 32]) -> Result<(), CoreError> {
        let found = self.folder.open_fetched(&secret, blob.bytes)?.hash();
        if found.is_ok_and(|found| found == blob.hash) {
            self.report.fetched.push(blob.hash);
            // Known as whole first: after a kill between, the next opening gives the file its name.
            let whole = BlobRow { whole: true, ..blob };
            self.core.write(|records| blobs::set_held(records.tx(), &whole, now))?;
            return Ok(self.folder.keep(&secret, FETCHED)?);
        }
        self.fetch_anew(now, blob)
    }

    /// What came is not what was wanted: it goes, with its key, and the blob begins anew.
    fn fetch_anew(&mut self, now: UnixMillis, blob: BlobRow) -> Result<(), CoreError> {
        let hash = blob.hash;
        let empty = BlobRow {
            secret: None,
            held: 0,
            ..blob
        };
        self.core.write(|records| blobs::set_held(records.tx(), &empty, now))?;
        if let Some(secret) = blob.secret {
            self.folder.remove(&secret, FETCHED)?;
        }
        self.wrong(hash)
    }
}
