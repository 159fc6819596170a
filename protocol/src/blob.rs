//! Blobs: photos and recordings, named by the SHA-256 of their content. What phone and station both say of one: its name, its media
//! type, and the metadata of its upload (tus 1.0, `Upload-Metadata`). Knows no file, no key and no line.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use crate::id::Hash;
use crate::limits::{BLOB_BYTES_MAX, MEDIA_TYPE_CHARS_MAX};

/// Where blobs are uploaded to; a blob's own place is this, a slash and its name.
pub const BLOBS_PATH: &str = "/sync/v1/blobs";
/// Where a phone asks which blobs the station has.
pub const BLOBS_STANDING_PATH: &str = "/sync/v1/blobs/standing";
/// The version of the upload protocol (tus.io, 1.0.0).
pub const TUS_VERSION: &str = "1.0.0";
/// The media type of an upload's pieces.
pub const TUS_MEDIA_TYPE: &str = "application/offset+octet-stream";

/// What is said of a blob and cannot be.
#[derive(Debug, thiserror::Error, Clone, PartialEq, Eq)]
pub enum BlobError {
    /// A media type that is none.
    #[error("{0:?} is no media type: say TYPE/SUBTYPE in lower case, as image/jpeg")]
    MediaType(String),
    /// Nothing at all, or more than a blob may be.
    #[error("a blob has 1 to {BLOB_BYTES_MAX} bytes, not {0}")]
    Length(u64),
    /// Upload metadata without a part, or with one that is wrong.
    #[error("Upload-Metadata must hold {0}, in base64")]
    Metadata(&'static str),
}

/// Makes a blob's name while its content goes by.
#[derive(Debug, Clone, Default)]
pub struct BlobHasher(Sha256);

impl BlobHasher {
    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The name.
    #[must_use]
    pub fn finish(self) -> Hash {
        Hash::from_bytes(self.0.finalize().into())
    }
}

/// The name of a blob that is in memory.
#[must_use]
pub fn blob_name(content: &[u8]) -> Hash {
    let mut hasher = BlobHasher::default();
    hasher.update(content);
    hasher.finish()
}

/// Where a blob is uploaded to, asked after and fetched from.
#[must_use]
pub fn blob_path(name: &Hash) -> String {
    format!("{BLOBS_PATH}/{name}")
}

/// Checks a length in bytes.
///
/// # Errors
/// When there is nothing, or more than a blob may be.
pub fn check_length(bytes: u64) -> Result<u64, BlobError> {
    if (1..=BLOB_BYTES_MAX).contains(&bytes) {
        Ok(bytes)
    } else {
        Err(BlobError::Length(bytes))
    }
}

/// Checks a media type: a type and a subtype (RFC 6838, 4.2), in lower case so that it is written one way, without parameters.
///
/// # Errors
/// When it is none.
pub fn check_media_type(text: &str) -> Result<&str, BlobError> {
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            && name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"!#$&-^_.+".contains(&b))
    };
    let names = text.split_once('/').filter(|_| text.len() <= MEDIA_TYPE_CHARS_MAX);
    if names.is_some_and(|(one, other)| is_name(one) && is_name(other)) {
        Ok(text)
    } else {
        Err(BlobError::MediaType(text.to_owned()))
    }
}

/// What an upload says of itself before its first byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadMetadata {
    /// The blob's name.
    pub sha256: Hash,
    /// Its media type.
    pub media_type: String,
}

impl UploadMetadata {
    /// As the header has it: `sha256` and `type`, each with its value in base64.
    #[must_use]
    pub fn to_header(&self) -> String {
        let mut header = String::new();
        // Writing to a String cannot fail.
        let _ = write!(
            header,
            "sha256 {},type {}",
            STANDARD.encode(self.sha256.to_string()),
            STANDARD.encode(&self.media_type)
        );
        header
    }

    /// Reads the header. Other keys are passed over, a file name among them: a name from elsewhere is nothing that we want to know.
    ///
    /// # Errors
    /// When a part is missing or wrong.
    pub fn parse(header: &str) -> Result<Self, BlobError> {
        let (mut sha256, mut media_type) = (None, None);
        for pair in header.split(',') {
            let (key, value) = pair.trim().split_once(' ').unwrap_or((pair.trim(), ""));
            let said = || STANDARD.decode(value).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            match key {
                "sha256" if sha256.is_none() => {
                    let hash = said().and_then(|text| text.parse::<Hash>().ok());
                    sha256 = Some(hash.ok_or(BlobError::Metadata("sha256, the content's SHA-256 in hexadecimal"))?);
                }
                "type" if media_type.is_none() => {
                    let text = said().ok_or(BlobError::Metadata("type, the content's media type"))?;
                    media_type = Some(check_media_type(&text)?.to_owned());
                }
                "sha256" | "type" => return Err(BlobError::Metadata("sha256 and type once")),
                _ => {}
            }
        }
        Ok(Self {
            sha256: sha256.ok_or(BlobError::Metadata("sha256, the content's SHA-256 in hexadecimal"))?,
            media_type: media_type.ok_or(BlobError::Metadata("type, the content's media type"))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_is_named_by_its_content_however_it_comes() {
        let mut hasher = BlobHasher::default();
        hasher.update(b"ab");
        hasher.update(b"c");
        // FIPS 180-2, appendix B.1.
        let name = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hasher.finish().to_string(), name);
        assert_eq!(blob_name(b"abc").to_string(), name);
    }

    #[test]
    fn metadata_comes_back_as_it_was_said_and_names_are_passed_over() {
        let said = UploadMetadata {
            sha256: blob_name(b"abc"),
            media_type: "image/jpeg".into(),
        };
        let header = format!("filename {},{},secret", STANDARD.encode("../../etc/passwd"), said.to_header());
        assert_eq!(UploadMetadata::parse(&header).unwrap(), said);
    }

    #[test]
    fn metadata_without_its_parts_is_refused() {
        let hash = STANDARD.encode(blob_name(b"abc").to_string());
        let (jpeg, bad) = (STANDARD.encode("image/jpeg"), STANDARD.encode("Image/../jpeg"));
        for header in [
            String::new(),
            format!("sha256 {hash}"),
            format!("type {jpeg}"),
            format!("sha256 {hash},type {bad}"),
            format!("sha256 {jpeg},type {jpeg}"),
            format!("sha256 {hash},sha256 {hash},type {jpeg}"),
            format!("sha256 !,type {jpeg}"),
        ] {
            assert!(UploadMetadata::parse(&header).is_err(), "{header}");
        }
    }

    #[test]
    fn media_types_are_plain_and_lengths_bounded() {
        for good in ["image/jpeg", "audio/mp4", "application/vnd.a+b"] {
            assert_eq!(check_media_type(good), Ok(good));
        }
        for bad in [
            "",
            "image",
            "image/",
            "/jpeg",
            "image/jpeg; q=1",
            "IMAGE/JPEG",
            "a/b/c",
            "image/\r\njpeg",
        ] {
            assert!(check_media_type(bad).is_err(), "{bad}");
        }
        assert!(check_length(0).is_err() && check_length(BLOB_BYTES_MAX + 1).is_err());
        assert_eq!(check_length(1), Ok(1));
    }
}
