//! Bringing a blob to the station: begun with its first piece, gone on with from where the station says that it is, and acknowledged when
//! it has verified the whole.

use beatbook_protocol::blob::UploadMetadata;
use beatbook_protocol::id::Hash;
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::BlobRefusal;

use super::calls::{self, Refused};
use super::machine::{Asked, At, BlobMachine};
use crate::error::CoreError;
use crate::store::blobs::{self, WaitingRow};
use crate::sync::WaitReason;
use crate::transport::{Answer, OutgoingCall};

impl BlobMachine<'_> {
    /// The next call for an upload; none when its content cannot be read, which is noted.
    pub(super) fn plan_upload(&mut self, row: &WaitingRow) -> Result<Option<(Asked, OutgoingCall)>, CoreError> {
        let (hash, bytes) = (row.hash, row.bytes);
        let at = match self.at.filter(|(known, _)| *known == hash) {
            Some((_, at)) => at,
            // Something was sent in another sync, perhaps more than was answered.
            None if row.begun => At::Unknown,
            None => At::Nothing,
        };
        let from = match at {
            At::Unknown => {
                let call = calls::offset(self.token.clone(), &hash);
                return Ok(Some((Asked::Upload { hash, bytes }, call)));
            }
            At::Nothing => 0,
            At::Bytes(bytes) => bytes,
        };
        let secret = self.core.read(|tx| blobs::get(tx, &hash))?.and_then(|blob| blob.secret);
        let content = secret.map(|secret| self.folder.open(&secret, bytes)).transpose()?.flatten();
        let Some(mut content) = content else {
            self.pass_over(hash, "its file is gone from this phone")?;
            return Ok(None);
        };
        let piece = match content.piece(from, self.piece_bytes) {
            Ok(piece) => piece,
            Err(fault) => {
                self.pass_over(hash, &fault.to_string())?;
                return Ok(None);
            }
        };
        let call = match at {
            At::Unknown | At::Nothing => {
                if !row.begun {
                    self.core.write(|records| blobs::set_begun(records.tx(), &hash))?;
                }
                let metadata = UploadMetadata {
                    sha256: hash,
                    media_type: row.media_type.clone(),
                };
                calls::begin(self.token.clone(), &metadata, bytes, piece)
            }
            At::Bytes(_) => calls::piece(self.token.clone(), &hash, from, piece),
        };
        Ok(Some((Asked::Upload { hash, bytes }, call)))
    }

    /// The station says how much it has: all of it, and verified, when that is the whole.
    pub(super) fn take_offset(&mut self, now: UnixMillis, hash: Hash, bytes: u64, answer: &Answer) -> Result<(), CoreError> {
        let Some(offset) = calls::offset_of(answer, bytes) else {
            // The station knows of no upload: it was given up, or never begun.
            if calls::refused(answer) == Refused::Blob(BlobRefusal::NotFound) && self.at != Some((hash, At::Nothing)) {
                self.at = Some((hash, At::Nothing));
                return self.core.write(|records| blobs::set_sent(records.tx(), &hash, 0));
            }
            return self.take_refusal(now, Some(hash), answer);
        };
        if offset == bytes {
            self.succeed();
            self.at = None;
            self.report.arrived.push(hash);
            return self.core.write(|records| blobs::set_arrived(records.tx(), &hash, now));
        }
        let before = self.at.replace((hash, At::Bytes(offset)));
        if before == Some((hash, At::Bytes(offset))) {
            // It answers, and takes nothing.
            self.retry(now, WaitReason::NoProgress, None);
        } else if before == Some((hash, At::Unknown)) {
            // What came of a broken piece counts, but says nothing for larger ones.
            self.failures = 0;
        } else {
            self.succeed();
        }
        self.core.write(|records| blobs::set_sent(records.tx(), &hash, offset))
    }
}
