//! The calls of a blob sync and what their answers say: headers of tus 1.0 and of ranges. Decides nothing.

use beatbook_protocol::blob::{BLOBS_PATH, BLOBS_STANDING_PATH, TUS_MEDIA_TYPE, TUS_VERSION, UploadMetadata, blob_path};
use beatbook_protocol::codec::CodecError;
use beatbook_protocol::id::Hash;
use beatbook_protocol::wire::{self, BlobRefusal, MEDIA_TYPE, RefusalCode, StandingRequest, WIRE_VERSION};

use crate::sync::read_refusal;
use crate::transport::{Answer, OutgoingCall, Verb};

/// Bytes of an answer that is no content: a standing of a thousand blobs, or a refusal.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// What a refusal asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refused {
    /// A blob call's own.
    Blob(BlobRefusal),
    /// Sign in.
    SignIn,
    /// Another version of the app.
    Version,
    /// Try again, after so many milliseconds if the station says so.
    Later(Option<u64>, String),
    /// Anything else: this blob cannot go on, others may.
    Other(String),
}

pub(super) fn standing(token: Option<String>, blobs: Vec<Hash>) -> Result<OutgoingCall, CodecError> {
    let request = StandingRequest {
        version: WIRE_VERSION,
        blobs,
    };
    Ok(OutgoingCall {
        verb: Verb::Post,
        path: BLOBS_STANDING_PATH.to_owned(),
        token,
        headers: vec![("content-type", MEDIA_TYPE.to_owned()), ("accept", MEDIA_TYPE.to_owned())],
        body: wire::pack(&request)?,
        bytes_max: ANSWER_BYTES_MAX,
    })
}

/// Begins an upload, its first piece along with it.
pub(super) fn begin(token: Option<String>, metadata: &UploadMetadata, bytes: u64, piece: Vec<u8>) -> OutgoingCall {
    let more = [
        ("upload-length", bytes.to_string()),
        ("upload-metadata", metadata.to_header()),
        ("content-type", TUS_MEDIA_TYPE.to_owned()),
    ];
    tus(Verb::Post, BLOBS_PATH.to_owned(), token, more, piece)
}

/// Asks how far an upload is.
pub(super) fn offset(token: Option<String>, hash: &Hash) -> OutgoingCall {
    tus(Verb::Head, blob_path(hash), token, [], Vec::new())
}

/// Goes on with an upload. Without a checksum of the piece: what comes of it before a line breaks shall count, and the whole is verified by
/// its name.
pub(super) fn piece(token: Option<String>, hash: &Hash, from: u64, piece: Vec<u8>) -> OutgoingCall {
    let more = [
        ("upload-offset", from.to_string()),
        ("content-type", TUS_MEDIA_TYPE.to_owned()),
    ];
    tus(Verb::Patch, blob_path(hash), token, more, piece)
}

/// Fetches a range.
pub(super) fn range(token: Option<String>, hash: &Hash, from: u64, bytes: usize) -> OutgoingCall {
    OutgoingCall {
        verb: Verb::Get,
        path: blob_path(hash),
        token,
        headers: vec![
            ("range", format!("bytes={from}-{}", from + bytes as u64 - 1)),
            ("if-range", format!("\"{hash}\"")),
        ],
        body: Vec::new(),
        bytes_max: bytes.max(ANSWER_BYTES_MAX),
    }
}

/// How much the station has of an upload, when it is a tus server that answers.
pub(super) fn offset_of(answer: &Answer, bytes: u64) -> Option<u64> {
    if !matches!(answer.status, 200 | 201 | 204) || answer.header("tus-resumable") != Some(TUS_VERSION) {
        return None;
    }
    answer.header("upload-offset")?.parse().ok().filter(|offset| *offset <= bytes)
}

/// Where an answered range begins, and how long the whole is.
pub(super) fn range_of(answer: &Answer) -> Option<(u64, u64)> {
    let said = answer.header("content-range").filter(|_| answer.status == 206)?;
    let (range, total) = said.strip_prefix("bytes ")?.split_once('/')?;
    Some((range.split_once('-')?.0.parse().ok()?, total.parse().ok()?))
}

/// What a refusal asks for. An answer to HEAD has no body: its status says it.
pub(super) fn refused(answer: &Answer) -> Refused {
    if let Some(refusal) = read_refusal(&answer.body) {
        if let Some(known) = BlobRefusal::from_code(&refusal.code) {
            return Refused::Blob(known);
        }
        return match refusal.code() {
            RefusalCode::SignIn | RefusalCode::UnknownBook => Refused::SignIn,
            RefusalCode::Version => Refused::Version,
            RefusalCode::TryLater | RefusalCode::Internal => Refused::Later(refusal.retry_after_ms, refusal.text),
            RefusalCode::Malformed
            | RefusalCode::TooLarge
            | RefusalCode::EnrolmentCode
            | RefusalCode::Blocked
            | RefusalCode::Attestation
            | RefusalCode::AwaitingConfirmation
            | RefusalCode::Other(_) => Refused::Other(refusal.text),
        };
    }
    let text = format!("the station answered with status {}", answer.status);
    match answer.status {
        401 | 403 => Refused::SignIn,
        404 => Refused::Blob(BlobRefusal::NotFound),
        409 => Refused::Blob(BlobRefusal::WrongOffset),
        412 => Refused::Blob(BlobRefusal::TusVersion),
        423 => Refused::Blob(BlobRefusal::Locked),
        460 => Refused::Blob(BlobRefusal::WrongHash),
        // A proxy that is busy, or says anything that no station says.
        408 | 425 | 429 | 500..=599 | 200..=399 => Refused::Later(None, text),
        _ => Refused::Other(text),
    }
}

fn tus<const N: usize>(
    verb: Verb,
    path: String,
    token: Option<String>,
    more: [(&'static str, String); N],
    body: Vec<u8>,
) -> OutgoingCall {
    let mut headers = vec![("tus-resumable", TUS_VERSION.to_owned())];
    headers.extend(more);
    OutgoingCall {
        verb,
        path,
        token,
        headers,
        body,
        bytes_max: ANSWER_BYTES_MAX,
    }
}
