//! Photos and recordings: attached by path or bytes, encrypted at rest, small pictures first.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;

use beatbook_client_core::Core;
use beatbook_client_core::blobs::{Attachment, BlobSource};
use beatbook_client_core::protocol::id::Hash;

use crate::desk::Desk;
use crate::error::BeatbookError;
use crate::values::parsed;

/// Bytes of a file that is handed over whole, in memory.
const WHOLE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Bytes of it that are copied at a time.
const COPIED_BYTES: usize = 64 * 1024;

/// The photos and recordings of an open book.
#[derive(Debug, uniffi::Object)]
pub struct Photos {
    desk: Arc<Desk>,
}

/// Where the content comes from.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Enum)]
pub enum PhotoSource {
    /// A plain file. Only its bytes are taken: no name, no time.
    Path {
        /// Where.
        path: String,
    },
    /// Bytes in memory.
    Bytes {
        /// The bytes.
        bytes: Vec<u8>,
    },
}

/// What was attached.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Attached {
    /// The file's name: SHA-256 of its content, in hex.
    pub file: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// Whether there is a small picture of it.
    pub has_thumbnail: bool,
}

/// A file that a record names.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Photo {
    /// Its name.
    pub file: String,
    /// The record's field.
    pub field: String,
    /// Media type.
    pub media_type: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// Whether somebody took it out of the record.
    pub removed: bool,
    /// Whether its content is on this phone: else `want` it, and sync.
    pub is_here: bool,
    /// Whether its small picture is.
    pub has_thumbnail: bool,
    /// Whether the station has all of it.
    pub arrived: bool,
}

impl Photos {
    pub(crate) fn of(desk: &Arc<Desk>) -> Arc<Self> {
        Arc::new(Self { desk: Arc::clone(desk) })
    }
}

#[uniffi::export]
impl Photos {
    /// Attaches a photo or recording to a field of a record. When this returns, it is on the disk, encrypted, and the record names it.
    ///
    /// # Errors
    /// `InvalidInput` at `path`, `media_type`, or the field; `StorageFull`.
    pub async fn attach(
        &self,
        record: String,
        field: String,
        media_type: String,
        source: PhotoSource,
    ) -> Result<Attached, BeatbookError> {
        let record = crate::values::record(&record)?;
        self.desk
            .capture(move |core| {
                let attachment = Attachment {
                    field: &field,
                    media_type: &media_type,
                    source: match &source {
                        PhotoSource::Path { path } => BlobSource::Path(Path::new(path)),
                        PhotoSource::Bytes { bytes } => BlobSource::Bytes(bytes),
                    },
                };
                let attached = core.attach(record, &attachment, None)?;
                Ok(Attached {
                    file: attached.hash.to_string(),
                    bytes: attached.bytes,
                    has_thumbnail: attached.thumbnail.is_some(),
                })
            })
            .await
    }

    /// The files that a record names, and where each is.
    ///
    /// # Errors
    /// `InvalidInput` at `record`.
    pub async fn all(&self, record: String) -> Result<Vec<Photo>, BeatbookError> {
        let id = crate::values::record(&record)?;
        self.desk
            .work(move |core| {
                let photos = core.record_files(id)?.files.into_iter().map(|view| Photo {
                    file: view.hash.to_string(),
                    field: view.file.field,
                    media_type: view.file.media_type,
                    bytes: view.file.bytes,
                    removed: view.file.removed,
                    is_here: view.here,
                    has_thumbnail: view.thumbnail_here,
                    arrived: view.arrived,
                });
                Ok(photos.collect())
            })
            .await
    }

    /// The small picture of a file (JPEG); none when there is none here.
    ///
    /// # Errors
    /// `InvalidInput` when the record does not name the file.
    pub async fn thumbnail(&self, record: String, file: String) -> Result<Option<Vec<u8>>, BeatbookError> {
        let (record, file) = (crate::values::record(&record)?, parsed::<Hash>("file", &file)?);
        let desk = Arc::clone(&self.desk);
        self.desk
            .work(move |core| {
                let files = core.record_files(record)?.files;
                let found = files.into_iter().find(|view| view.hash == file);
                let view = found.ok_or(BeatbookError::InvalidInput { field: "file".into() })?;
                view.file
                    .thumbnail
                    .map_or(Ok(None), |small| whole(core, &small, desk.folder()))
            })
            .await
    }

    /// The content of a file, whole; none when it is not on this phone. For long recordings `export` takes less memory.
    ///
    /// # Errors
    /// `InvalidInput` at `file` when it is larger than 64 MiB, `StorageDamaged` when it is not what was kept.
    pub async fn content(&self, file: String) -> Result<Option<Vec<u8>>, BeatbookError> {
        let file: Hash = parsed("file", &file)?;
        let desk = Arc::clone(&self.desk);
        self.desk.work(move |core| whole(core, &file, desk.folder())).await
    }

    /// Writes the content of a file to a new file, decrypted: it leaves what Beatbook protects. Gives its length.
    ///
    /// # Errors
    /// `InvalidInput` at `file` when it is not on this phone, at `path` when there is something or it cannot be written;
    /// `StorageFull`; `StorageDamaged` when its content is not what was kept: then nothing is left at `path`.
    pub async fn export(&self, file: String, path: String) -> Result<u64, BeatbookError> {
        let file: Hash = parsed("file", &file)?;
        let desk = Arc::clone(&self.desk);
        self.desk
            .work(move |core| {
                let mut content = core.blob(&file)?.ok_or_else(|| BeatbookError::at("file"))?;
                let mut out = std::fs::File::create_new(&path).map_err(|fault| unwritable(&fault))?;
                let copied = copied(&mut content, &mut out, desk.folder());
                let written = copied.and_then(|bytes| out.sync_all().map(|()| bytes).map_err(|fault| unwritable(&fault)));
                if written.is_err() {
                    // Half a photo must not be taken for one.
                    let _ = std::fs::remove_file(&path);
                }
                written
            })
            .await
    }

    /// Wants a file that a record names: the next sync with photos fetches it.
    ///
    /// # Errors
    /// `InvalidInput` when no record here names it.
    pub async fn want(&self, file: String) -> Result<(), BeatbookError> {
        let file: Hash = parsed("file", &file)?;
        self.desk.capture(move |core| Ok(core.want_blob(&file)?)).await
    }

    /// Makes room: takes content that the station has off this phone until at most so many bytes are kept. Gives how many went.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub async fn free(&self, bytes_kept_max: u64) -> Result<u64, BeatbookError> {
        self.desk.work(move |core| Ok(core.free_blobs(bytes_kept_max)?)).await
    }
}

fn whole(core: &Core, file: &Hash, kept_at: &Path) -> Result<Option<Vec<u8>>, BeatbookError> {
    let Some(mut content) = core.blob(file)? else {
        return Ok(None);
    };
    if content.bytes() > WHOLE_BYTES_MAX {
        return Err(BeatbookError::at("file"));
    }
    let mut bytes = Vec::new();
    copied(&mut content, &mut bytes, kept_at)?;
    Ok(Some(bytes))
}

/// Copies content out, and keeps apart which side failed: what lies here, or where it is to go. Gives its length.
fn copied(content: &mut impl io::Read, out: &mut impl io::Write, kept_at: &Path) -> Result<u64, BeatbookError> {
    let (mut buffer, mut bytes) = (vec![0; COPIED_BYTES], 0);
    loop {
        let read = match content.read(&mut buffer) {
            Ok(read) => read,
            Err(fault) if fault.kind() == ErrorKind::Interrupted => continue,
            Err(fault) => return Err(unreadable(&fault, kept_at)),
        };
        let Some(piece) = buffer.get(..read).filter(|piece| !piece.is_empty()) else {
            return Ok(bytes);
        };
        out.write_all(piece).map_err(|fault| unwritable(&fault))?;
        bytes += piece.len() as u64;
    }
}

/// What is said of content that lies here and cannot be read.
fn unreadable(fault: &io::Error, kept_at: &Path) -> BeatbookError {
    match fault.kind() {
        // The core's word for bytes that are not those it sealed.
        ErrorKind::InvalidData => BeatbookError::StorageDamaged {
            kept_at: kept_at.display().to_string(),
        },
        _ => BeatbookError::Internal {
            report: format!("a photo cannot be read: {fault}"),
        },
    }
}

/// What is said of a place that cannot be written to.
fn unwritable(fault: &io::Error) -> BeatbookError {
    match fault.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => BeatbookError::StorageFull,
        _ => BeatbookError::at("path"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What fails at each touch.
    struct Failing(ErrorKind);

    impl io::Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(self.0.into())
        }
    }

    impl io::Write for Failing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn content_is_copied_whole() {
        let (content, mut out) = (vec![7; COPIED_BYTES + 1], Vec::new());
        assert_eq!(copied(&mut &content[..], &mut out, Path::new("/x")), Ok(content.len() as u64));
        assert_eq!(out, content);
    }

    #[test]
    fn what_is_damaged_here_and_what_cannot_be_written_there_are_told_apart() {
        let at = Path::new("/x/books/1");
        let read = |kind| copied(&mut Failing(kind), &mut Vec::new(), at).unwrap_err();
        let damaged = BeatbookError::StorageDamaged {
            kept_at: "/x/books/1".into(),
        };
        assert_eq!(read(ErrorKind::InvalidData), damaged);
        assert!(matches!(read(ErrorKind::PermissionDenied), BeatbookError::Internal { .. }));
        let written = |kind| copied(&mut &b"photo"[..], &mut Failing(kind), at).unwrap_err();
        for kind in [ErrorKind::StorageFull, ErrorKind::QuotaExceeded] {
            assert_eq!(written(kind), BeatbookError::StorageFull);
            assert_eq!(unwritable(&kind.into()), BeatbookError::StorageFull);
        }
        assert_eq!(written(ErrorKind::PermissionDenied), BeatbookError::at("path"));
        assert_eq!(unwritable(&ErrorKind::AlreadyExists.into()), BeatbookError::at("path"));
    }
}
