//! Attaching: content becomes a blob, a photo gets its small picture, the record names both, and both wait for the station. The files are
//! written and flushed first; one transaction then makes all of it true, or nothing happened.

use std::fs::{self, File};
use std::path::Path;

use beatbook_protocol::blob::check_media_type;
use beatbook_protocol::document::Edit;
use beatbook_protocol::facts::FileRef;
use beatbook_protocol::id::{Hash, RecordId};

use super::folder::{FRESH, Written};
use super::{Folder, thumbnail};
use crate::core::Core;
use crate::error::{CoreError, Fault};
use crate::store::blobs::{self, Captured};
use crate::store::write::Seen;

/// Where content comes from. Of a path only the bytes are taken: no name, no time, nothing that the file is called by.
#[derive(Debug, Clone, Copy)]
pub enum BlobSource<'s> {
    /// A plain file; links and devices are refused.
    Path(&'s Path),
    /// Bytes in memory.
    Bytes(&'s [u8]),
}

/// What is attached.
#[derive(Debug, Clone, Copy)]
pub struct Attachment<'s> {
    /// The record's files field.
    pub field: &'s str,
    /// Media type, as `image/jpeg` or `audio/mp4`.
    pub media_type: &'s str,
    /// The content.
    pub source: BlobSource<'s>,
}

/// What was attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attached {
    /// The blob's name.
    pub hash: Hash,
    /// Its length.
    pub bytes: u64,
    /// Its small picture, when it is a photo.
    pub thumbnail: Option<Hash>,
}

impl Core {
    /// Attaches a photo or recording to a record that its author sees as `version`, or as it is now. When this returns, the content is on
    /// the disk, encrypted, and the record names it.
    ///
    /// # Errors
    /// `InvalidInput` when the path is no plain file, the type is none, or the content is empty or too large; all that an edit may meet;
    /// nothing is kept then.
    pub fn attach(&self, record: RecordId, attachment: &Attachment<'_>, version: Option<&str>) -> Result<Attached, CoreError> {
        let media_type = check_media_type(attachment.media_type).map_err(|fault| wrong("media_type", &fault.to_string()))?;
        let folder = self.blob_folder();
        let content = self.write_down(&folder, attachment.source)?;
        let small = match self.draw_small(&folder, &content, media_type) {
            Ok(small) => small,
            Err(fault) => {
                folder.remove(&content.secret, FRESH)?;
                return Err(fault);
            }
        };
        let file = FileRef {
            field: attachment.field.to_owned(),
            media_type: media_type.to_owned(),
            bytes: content.bytes,
            thumbnail: small.as_ref().map(|small| small.hash),
            removed: false,
        };
        let made = || {
            let of = |written: &Written, media_type, thumbnail| (written.clone(), media_type, thumbnail);
            let small = small.iter().map(move |small| of(small, thumbnail::MEDIA_TYPE, true));
            std::iter::once(of(&content, media_type, false)).chain(small)
        };
        let edit = Edit::new().file(content.hash, file);
        let kept = self.write(|records| {
            records.edit(record, &edit, version.map_or(Seen::Now, Seen::Version))?;
            let mut kept = Vec::new();
            for (written, media_type, thumbnail) in made() {
                let captured = Captured {
                    hash: written.hash,
                    bytes: written.bytes,
                    media_type,
                    secret: written.secret,
                    thumbnail,
                };
                kept.push(blobs::capture(records.tx(), &captured, record, records.now())?);
            }
            Ok::<_, Fault>(kept)
        });
        let kept = match kept {
            Ok(kept) => kept,
            Err(fault) => {
                made().try_for_each(|(written, ..)| folder.remove(&written.secret, FRESH))?;
                return Err(fault);
            }
        };
        for ((written, ..), kept) in made().zip(kept) {
            if kept == written.secret {
                folder.keep(&kept, FRESH)?;
            } else {
                // The same content was here already.
                folder.remove(&written.secret, FRESH)?;
            }
        }
        Ok(Attached {
            hash: content.hash,
            bytes: content.bytes,
            thumbnail: small.map(|small| small.hash),
        })
    }

    fn write_down(&self, folder: &Folder, source: BlobSource<'_>) -> Result<Written, CoreError> {
        let platform = self.platform();
        Ok(match source {
            BlobSource::Bytes(bytes) => folder.write(platform, bytes)?,
            BlobSource::Path(path) => folder.write(platform, self.plain_file(folder, path)?)?,
        })
    }

    /// Opens what somebody picked. A link may lead anywhere, a device may never end, and what this app keeps is not to be sent as a photo.
    fn plain_file(&self, folder: &Folder, path: &Path) -> Result<File, CoreError> {
        let unreadable = |fault: std::io::Error| wrong("path", &format!("{fault}: pick another file"));
        let found = fs::symlink_metadata(path).map_err(unreadable)?;
        if !found.is_file() {
            return Err(wrong("path", "it is no plain file: pick the photo or recording itself"));
        }
        let real = fs::canonicalize(path).map_err(unreadable)?;
        let own = fs::canonicalize(self.file()).map_err(unreadable)?;
        let name = |path: &Path| {
            path.file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default()
        };
        let is_beside = real.parent() == own.parent() && name(&real).starts_with(&name(&own));
        if is_beside || fs::canonicalize(folder.path()).is_ok_and(|folder| real.starts_with(folder)) {
            return Err(wrong("path", "it is one of the app's own files: pick a photo or recording"));
        }
        File::open(real).map_err(unreadable)
    }

    fn draw_small(&self, folder: &Folder, content: &Written, media_type: &str) -> Result<Option<Written>, CoreError> {
        if !thumbnail::is_photo(media_type, content.bytes) {
            return Ok(None);
        }
        // What was written down is what is drawn: the file that was picked may be another by now.
        let mut written = folder
            .open(&content.secret, content.bytes)?
            .ok_or_else(|| CoreError::Internal("a blob that was just written is gone".into()))?;
        let photo = written.piece(0, usize::try_from(content.bytes).unwrap_or(usize::MAX))?;
        let small = thumbnail::thumbnail(&photo).map(|small| folder.write(self.platform(), &*small));
        Ok(small.transpose()?)
    }
}

fn wrong(field: &str, why: &str) -> CoreError {
    CoreError::InvalidInput {
        field: field.into(),
        why: why.into(),
    }
}
