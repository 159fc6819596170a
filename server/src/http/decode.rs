//! Requests read into types: bodies under a length and a time, queries, paths, If-Match. Every fault says what would have been right.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use serde::de::DeserializeOwned;

use super::app::{App, Shared};
use super::bodies::Held;
use super::fault::Fault;
use super::pace::{BodyPace, TooSlow};
use super::source::address_of;

/// Bytes of a JSON body: 500 records of a bulk approval, or an act with a long comment, need a tenth of it.
const JSON_BYTES_MAX: usize = 256 * 1024;

/// Bytes of a body that is too long which are read and dropped, so that a client that sends all before it reads gets the refusal and
/// not a broken connection: four times the longest message. Whoever sends more than that is hung up on.
const DRAIN_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Time for that, whatever the line: a place at this station is worth more than a refusal well received.
const DRAIN_MAX: Duration = Duration::from_secs(20);

/// A JSON body.
#[derive(Debug)]
pub(crate) struct Sent<T>(pub(crate) T);

/// A query.
#[derive(Debug)]
pub(crate) struct Asked<T>(pub(crate) T);

/// What the path names.
#[derive(Debug)]
pub(crate) struct Named<T>(pub(crate) T);

/// The version that the person saw.
#[derive(Debug)]
pub(crate) struct IfMatch(pub(crate) String);

impl<T: DeserializeOwned> FromRequest<Shared> for Sent<T> {
    type Rejection = Fault;

    async fn from_request(request: Request, app: &Shared) -> Result<Self, Fault> {
        if !is_media_type(request.headers(), "application/json") {
            return Err(Fault::MediaType("application/json"));
        }
        let bytes = read_body(app, request, JSON_BYTES_MAX).await?;
        serde_json::from_slice(&bytes)
            .map(Self)
            .map_err(|fault| Fault::Malformed(format!("the body is not what this call takes: {fault}")))
    }
}

impl<T: DeserializeOwned> FromRequestParts<Shared> for Asked<T> {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, Fault> {
        Query::try_from_uri(&parts.uri)
            .map(|Query(query)| Self(query))
            .map_err(|fault| Fault::Malformed(fault.body_text()))
    }
}

impl<T: DeserializeOwned + Send> FromRequestParts<Shared> for Named<T> {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, Fault> {
        Path::from_request_parts(parts, app)
            .await
            .map(|Path(name)| Self(name))
            .map_err(|fault| Fault::Malformed(fault.body_text()))
    }
}

impl FromRequestParts<Shared> for IfMatch {
    type Rejection = Fault;

    /// One strong entity tag (RFC 9110, 13.1.1). `*` would mean a version that nobody has seen.
    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, Fault> {
        let value = parts.headers.get(header::IF_MATCH).ok_or(Fault::NoVersion)?;
        let value = value.to_str().unwrap_or_default().trim();
        if value == "*" {
            return Err(Fault::NoVersion);
        }
        value
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'))
            .filter(|version| !version.is_empty() && !version.contains('"'))
            .map(|version| Self(version.to_owned()))
            .ok_or_else(|| Fault::Malformed("If-Match takes one version in double quotes, as the record's ETag gives it".into()))
    }
}

/// Whether the body says that it is of this type; parameters are passed over.
pub(crate) fn is_media_type(headers: &HeaderMap, expected: &str) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|value| value.trim().eq_ignore_ascii_case(expected))
}

/// Reads a body of at most `bytes_max`; of one that is longer nothing is kept. In each `idle_max` as much must come as the worst line carries,
/// so that a slow line is served, and one that is silent, or speaks a byte now and then, is not. Where there is no room for it beside the other
/// bodies, nothing is kept either.
pub(crate) async fn read_body(app: &App, request: Request, bytes_max: usize) -> Result<Held, Fault> {
    let idle_max = app.limits.idle_max;
    let mut held = app.bodies.begin(address_of(app, request.extensions(), request.headers()));
    let mut body = request.into_body();
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > bytes_max {
        drain(&mut body, announced, idle_max).await;
        return Err(Fault::TooLarge(bytes_max));
    }
    let mut pace = BodyPace::begin(idle_max);
    while let Some(piece) = pace.next(&mut body).await.map_err(|TooSlow| Fault::Slow)? {
        let piece = piece.map_err(|_| Fault::Malformed("the body broke off: send it again".into()))?;
        let taken = if held.len() + piece.len() > bytes_max {
            Err(Fault::TooLarge(bytes_max))
        } else {
            held.take(&piece)
        };
        if let Err(fault) = taken {
            drop(held);
            drain(&mut body, 0, idle_max).await;
            return Err(fault);
        }
    }
    Ok(held)
}

/// Reads what is left of a body that is not kept and drops it, up to a bound; one that announces more than that is not read at all.
async fn drain(body: &mut Body, announced: usize, idle_max: Duration) {
    if announced > DRAIN_BYTES_MAX {
        return;
    }
    let all = async {
        let mut drained = 0;
        while let Ok(Some(Ok(piece))) = tokio::time::timeout(idle_max, next_piece(body)).await {
            drained += piece.len();
            if drained > DRAIN_BYTES_MAX {
                break;
            }
        }
    };
    // Drained or not, the refusal is what follows.
    let _ = tokio::time::timeout(DRAIN_MAX, all).await;
}

/// The next piece of a body; trailers count as an empty one.
pub(crate) async fn next_piece(body: &mut Body) -> Option<Result<Bytes, axum::Error>> {
    let frame = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await?;
    Some(frame.map(|frame| frame.into_data().unwrap_or_default()))
}
