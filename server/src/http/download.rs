//! Blobs on their way out, whole or a range (RFC 9110, 14), to phones and to the console. Read piece by piece; a slow reader holds a
//! connection and no thread.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::Extension;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use beatbook_protocol::id::Hash;
use beatbook_protocol::wire::{BlobRefusal, MEDIA_TYPE};
use hyper::body::{Frame, SizeHint};
use tokio::task::JoinHandle;

use super::access::Why;
use super::app::{App, Shared};
use super::blobs::{answer, signed_in};
use super::decode::Named;
use super::fault::Fault;
use super::problem::{Problem, etag};
use crate::blobs::{self, Answered, Asker, Readable};
use crate::station::Session;

/// What is read and sent at once.
const PIECE_BYTES: usize = 64 * 1024;

/// A blob that a record in the phone's scope names.
#[utoipa::path(get, path = "/sync/v1/blobs/{sha256}", tag = "phones",
    params(("sha256" = String, Path, description = "The blob"), ("Range" = Option<String>, Header, description = "One range of bytes")),
    responses(
        (status = 200, content_type = "*/*", body = Vec<u8>, description = "The blob"),
        (status = 206, content_type = "*/*", body = Vec<u8>, description = "The range"),
        (status = "4XX", content_type = MEDIA_TYPE, body = Vec<u8>, description = "Refusal, packed"),
    ))]
pub(crate) async fn fetch(State(app): State<Shared>, Named(hash): Named<Hash>, headers: HeaderMap) -> Response {
    let done = async {
        let session = signed_in(&app, &headers).await?.session;
        send(&app, session, hash, Asker::Phone, &headers).await
    };
    answer(&app, done.await, |response| response)
}

/// A blob that a record in the person's scope names: a photo, a recording, a thumbnail.
#[utoipa::path(get, path = "/api/v1/blobs/{sha256}", tag = "records", security(("token" = [])),
    params(("sha256" = String, Path, description = "The blob"), ("Range" = Option<String>, Header, description = "One range of bytes"),
        ("Beatbook-Reason" = Option<String>, Header, description = "Why, for one that is masked")),
    responses(
        (status = 200, content_type = "*/*", body = Vec<u8>, description = "The blob"),
        (status = 206, content_type = "*/*", body = Vec<u8>, description = "The range"),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn show(
    State(app): State<Shared>,
    Extension(session): Extension<Session>,
    Named(hash): Named<Hash>,
    Why(reason): Why,
    headers: HeaderMap,
) -> Result<Response, Fault> {
    send(&app, session, hash, Asker::Person(reason), &headers).await
}

async fn send(app: &App, session: Session, hash: Hash, asker: Asker, headers: &HeaderMap) -> Result<Response, Fault> {
    let found = app
        .call(move |station| blobs::readable(station, &session, &hash, &asker))
        .await??;
    let Readable { path, media_type } = match found {
        Answered::Given(readable) => readable,
        Answered::Masked { works } => return Err(Fault::Masked { works }),
        Answered::Nothing => return Err(Fault::Blob(BlobRefusal::NotFound)),
    };
    let tag = etag(&hash.to_string()).ok_or(Fault::Internal)?;
    // A range of another content than the asker has the beginning of would make a third.
    let is_same = headers.get(header::IF_RANGE).is_none_or(|held| *held == tag);
    let range = headers.get(header::RANGE).filter(|_| is_same).cloned();
    let opened = app
        .call(move |_| {
            let mut file = File::open(&path)?;
            let length = file.metadata()?.len();
            let part = match range.as_ref().map(|range| part_of(range, length)) {
                Some(Part::Outside) => return Ok(Err(length)),
                Some(Part::Of { from, to }) => Some((from, to)),
                Some(Part::All) | None => None,
            };
            if let Some((from, _)) = part {
                file.seek(SeekFrom::Start(from))?;
            }
            Ok::<_, std::io::Error>(Ok((file, length, part)))
        })
        .await?;
    let (file, length, part) = match opened.map_err(|_| Fault::Internal)? {
        Ok(opened) => opened,
        Err(length) => return Ok(outside(length)),
    };
    let left = part.map_or(length, |(from, to)| to - from + 1);
    let mut response = Body::new(FileBody::new(file, left)).into_response();
    if let Some((from, to)) = part {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        put(&mut response, header::CONTENT_RANGE, &format!("bytes {from}-{to}/{length}"));
    }
    put(&mut response, header::CONTENT_TYPE, &media_type);
    put(&mut response, header::CONTENT_LENGTH, &left.to_string());
    // What people photograph is shown, never run: no guessing of types, no page of its own.
    put(&mut response, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    put(&mut response, header::CONTENT_SECURITY_POLICY, "sandbox; default-src 'none'");
    put(&mut response, header::CONTENT_DISPOSITION, "attachment");
    put(&mut response, header::ACCEPT_RANGES, "bytes");
    response.headers_mut().insert(header::ETAG, tag);
    Ok(response)
}

fn put(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

/// RFC 9110, 15.5.17: the answer says how long the whole is.
fn outside(length: u64) -> Response {
    let mut response = Fault::Blob(BlobRefusal::Range).into_response();
    put(&mut response, header::CONTENT_RANGE, &format!("bytes */{length}"));
    response
}

/// Which part of a file a request asks for.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    /// All of it: what asks for several parts, or for none that can be understood, gets the whole (RFC 9110, 14.2).
    All,
    /// From one byte to another, both included.
    Of { from: u64, to: u64 },
    /// One that is not there.
    Outside,
}

fn part_of(range: &HeaderValue, length: u64) -> Part {
    let said = range.to_str().ok().and_then(|text| text.strip_prefix("bytes="));
    let Some((from, to)) = said.and_then(|text| text.trim().split_once('-')) else {
        return Part::All;
    };
    let number = |text: &str| {
        text.bytes()
            .all(|b| b.is_ascii_digit())
            .then(|| text.parse::<u64>().ok())
            .flatten()
    };
    let last = length.saturating_sub(1);
    match (from, to) {
        ("", "") => Part::All,
        ("", count) => match number(count) {
            Some(0) => Part::Outside,
            Some(count) if length > 0 => Part::Of {
                from: length.saturating_sub(count),
                to: last,
            },
            Some(_) => Part::Outside,
            None => Part::All,
        },
        (from, to) => match (number(from), if to.is_empty() { Some(last) } else { number(to) }) {
            (Some(from), Some(_)) if from >= length => Part::Outside,
            (Some(from), Some(to)) if from <= to => Part::Of { from, to: to.min(last) },
            _ => Part::All,
        },
    }
}

/// The rest of a file as a body.
struct FileBody {
    state: Reading,
    left: u64,
}

enum Reading {
    Waits(Option<File>),
    Reads(JoinHandle<std::io::Result<(File, Bytes)>>),
}

impl FileBody {
    fn new(file: File, left: u64) -> Self {
        Self {
            state: Reading::Waits(Some(file)),
            left,
        }
    }
}

impl HttpBody for FileBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<std::io::Result<Frame<Bytes>>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        if let Reading::Waits(file) = &mut self.state {
            let Some(file) = file.take() else { return Poll::Ready(None) };
            let bytes = PIECE_BYTES.min(usize::try_from(self.left).unwrap_or(PIECE_BYTES));
            self.state = Reading::Reads(tokio::task::spawn_blocking(move || read(file, bytes)));
        }
        let Reading::Reads(reading) = &mut self.state else {
            return Poll::Ready(None);
        };
        let read = ready!(Pin::new(reading).poll(cx)).map_err(std::io::Error::other).flatten();
        Poll::Ready(Some(match read {
            Ok((file, bytes)) => {
                self.left -= bytes.len() as u64;
                self.state = Reading::Waits(Some(file));
                Ok(Frame::data(bytes))
            }
            Err(fault) => {
                tracing::error!(%fault, "a blob could not be read");
                self.state = Reading::Waits(None);
                Err(fault)
            }
        }))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

fn read(mut file: File, bytes: usize) -> std::io::Result<(File, Bytes)> {
    let mut buffer = vec![0; bytes];
    file.read_exact(&mut buffer)?;
    Ok((file, buffer.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_what_the_standard_says() {
        let of = |text: &str, length| part_of(&HeaderValue::from_str(text).unwrap(), length);
        for (text, part) in [
            ("bytes=0-0", Part::Of { from: 0, to: 0 }),
            ("bytes=2-4", Part::Of { from: 2, to: 4 }),
            ("bytes=2-", Part::Of { from: 2, to: 9 }),
            ("bytes=2-400", Part::Of { from: 2, to: 9 }),
            ("bytes=-3", Part::Of { from: 7, to: 9 }),
            ("bytes=-30", Part::Of { from: 0, to: 9 }),
            ("bytes=10-", Part::Outside),
            ("bytes=-0", Part::Outside),
            ("bytes=4-2", Part::All),
            ("bytes=0-1,3-4", Part::All),
            ("bytes=a-b", Part::All),
            ("bytes=+1-2", Part::All),
            ("lines=1-2", Part::All),
            ("bytes=99999999999999999999-", Part::All),
        ] {
            assert_eq!(of(text, 10), part, "{text}");
        }
    }
}
