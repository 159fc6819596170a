//! Uploads of photos and recordings: the tus 1.0.0 core protocol with creation, creation-with-upload, termination and checksum, under the
//! phone's bearer token; and what a phone asks after. Bodies go to the disk piece by piece and are never whole in memory.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use beatbook_protocol::blob::{TUS_MEDIA_TYPE, TUS_VERSION, UploadMetadata, blob_path};
use beatbook_protocol::id::Hash;
use beatbook_protocol::limits::{BLOB_BYTES_MAX, BLOBS_ASKED_MAX};
use beatbook_protocol::wire::{self, BlobRefusal, MEDIA_TYPE, StandingRequest, StandingResponse, WIRE_VERSION};

use super::access::bearer;
use super::app::{App, Shared};
use super::decode::{Named, is_media_type, read_body};
use super::fault::Fault;
use super::pace::{BodyPace, TooSlow};
use super::sync::{Refused, message};
use crate::blobs::{self, Bearer, Checksum, Progress, Writing};
use crate::strangers::unpack_short;

const TUS_RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");
const UPLOAD_LENGTH: HeaderName = HeaderName::from_static("upload-length");
/// What goes to the disk at once; so much of each upload is in memory.
const WRITE_BYTES: usize = 128 * 1024;
/// A question after `BLOBS_ASKED_MAX` hashes.
const STANDING_BYTES_MAX: usize = 64 * 1024;

/// What the station's uploads can do.
#[utoipa::path(options, path = "/sync/v1/blobs", tag = "phones",
    responses((status = 204, description = "Tus-Version, Tus-Extension, Tus-Max-Size, Tus-Checksum-Algorithm")))]
pub(crate) async fn capabilities() -> Response {
    let headers = [
        ("tus-version", TUS_VERSION.to_owned()),
        (
            "tus-extension",
            "creation,creation-with-upload,termination,checksum".to_owned(),
        ),
        ("tus-max-size", BLOB_BYTES_MAX.to_string()),
        ("tus-checksum-algorithm", "sha1,sha256".to_owned()),
    ];
    let mut response = StatusCode::NO_CONTENT.into_response();
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    response
}

/// Begins an upload, or says how far the same one is; a body is its first piece.
#[utoipa::path(post, path = "/sync/v1/blobs", tag = "phones",
    params(
        ("Upload-Length" = u64, Header, description = "Bytes of the blob"),
        ("Upload-Metadata" = String, Header, description = "sha256 and type, each with its value in base64"),
    ),
    request_body(content = Vec<u8>, content_type = TUS_MEDIA_TYPE, description = "The first piece, or nothing"),
    responses(
        (status = 201, description = "Location, and Upload-Offset: how much has come; all of it when the station has the blob already"),
        (status = "4XX", content_type = MEDIA_TYPE, body = Vec<u8>, description = "Refusal, packed"),
    ))]
pub(crate) async fn create(State(app): State<Shared>, request: Request) -> Response {
    let done = async {
        let Bearer { book, .. } = let_in(&app, request.headers()).await?;
        let length = number(request.headers(), &UPLOAD_LENGTH)?;
        let metadata = metadata(request.headers())?;
        let turn = app.blobs().turn(book, metadata.sha256).await?;
        let (turn, begun) = app
            .in_turn(move |station| {
                let begun = blobs::begin(station, &turn, length);
                begun.map(|begun| (turn, begun))
            })
            .await??;
        let mut progress = begun;
        // A piece that comes along is the first one; of an upload that is on its way already it is passed over, and the offset says so.
        if is_media_type(request.headers(), TUS_MEDIA_TYPE) && begun.offset == 0 {
            let checksum = checksum(request.headers())?;
            let writing = app.in_turn(move |station| blobs::write(station, turn, 0, checksum)).await??;
            progress = receive(&app, writing, request.into_body()).await?;
        }
        Ok((metadata.sha256, progress))
    };
    answer(&app, done.await, |(hash, progress)| {
        let mut response = offset(StatusCode::CREATED, progress);
        if let Ok(place) = HeaderValue::from_str(&blob_path(&hash)) {
            response.headers_mut().insert(header::LOCATION, place);
        }
        response
    })
}

/// How far an upload is.
#[utoipa::path(head, path = "/sync/v1/blobs/{sha256}", tag = "phones",
    params(("sha256" = String, Path, description = "The blob")),
    responses((status = 200, description = "Upload-Offset and Upload-Length"), (status = "4XX", description = "No such upload of this book")))]
pub(crate) async fn progress(State(app): State<Shared>, Named(hash): Named<Hash>, headers: HeaderMap) -> Response {
    let done = async {
        let Bearer { book, .. } = let_in(&app, &headers).await?;
        // Whoever asks will go on: a call that still waits for bytes of a broken line writes down what it has first.
        let turn = app.blobs().turn(book, hash).await?;
        let found = app.in_turn(move |station| blobs::resume(station, &turn)).await??;
        found.ok_or(Fault::Blob(BlobRefusal::NotFound))
    };
    answer(&app, done.await, |progress| offset(StatusCode::OK, progress))
}

/// Goes on with an upload.
#[utoipa::path(patch, path = "/sync/v1/blobs/{sha256}", tag = "phones",
    params(
        ("sha256" = String, Path, description = "The blob"),
        ("Upload-Offset" = u64, Header, description = "Where the piece begins: where the upload stands"),
        ("Upload-Checksum" = Option<String>, Header, description = "sha1 or sha256 of the piece, in base64"),
    ),
    request_body(content = Vec<u8>, content_type = TUS_MEDIA_TYPE, description = "The piece"),
    responses(
        (status = 204, description = "Upload-Offset: how much has come. When that is all, the content has been verified"),
        (status = "4XX", content_type = MEDIA_TYPE, body = Vec<u8>, description = "Refusal, packed"),
    ))]
pub(crate) async fn append(State(app): State<Shared>, Named(hash): Named<Hash>, request: Request) -> Response {
    let done = async {
        let Bearer { book, .. } = let_in(&app, request.headers()).await?;
        if !is_media_type(request.headers(), TUS_MEDIA_TYPE) {
            return Err(Fault::MediaType(TUS_MEDIA_TYPE));
        }
        let from = number(request.headers(), &UPLOAD_OFFSET)?;
        let checksum = checksum(request.headers())?;
        let turn = app.blobs().turn(book, hash).await?;
        let (turn, found) = app
            .in_turn(move |station| blobs::resume(station, &turn).map(|found| (turn, found)))
            .await??;
        // Nothing more for what is whole: a client that was told so late may still say it.
        if let Some(whole) = found.filter(|found| found.offset == found.length && from == found.length) {
            return Ok(whole);
        }
        let writing = app
            .in_turn(move |station| blobs::write(station, turn, from, checksum))
            .await??;
        receive(&app, writing, request.into_body()).await
    };
    answer(&app, done.await, |progress| offset(StatusCode::NO_CONTENT, progress))
}

/// Gives an upload up.
#[utoipa::path(delete, path = "/sync/v1/blobs/{sha256}", tag = "phones",
    params(("sha256" = String, Path, description = "The blob")),
    responses((status = 204, description = "Its part is gone"), (status = "4XX", content_type = MEDIA_TYPE, body = Vec<u8>, description = "Refusal, packed")))]
pub(crate) async fn terminate(State(app): State<Shared>, Named(hash): Named<Hash>, headers: HeaderMap) -> Response {
    let done = async {
        let Bearer { book, .. } = let_in(&app, &headers).await?;
        let turn = app.blobs().turn(book, hash).await?;
        Ok(app.in_turn(move |station| blobs::terminate(station, &turn)).await??)
    };
    answer(&app, done.await, |()| StatusCode::NO_CONTENT.into_response())
}

/// Which of many blobs the station has.
#[utoipa::path(post, path = "/sync/v1/blobs/standing", tag = "phones",
    request_body(content = Vec<u8>, content_type = MEDIA_TYPE, description = "StandingRequest of protocol/wire.cddl, packed"),
    responses(
        (status = 200, content_type = MEDIA_TYPE, body = Vec<u8>, description = "StandingResponse, packed"),
        (status = "4XX", content_type = MEDIA_TYPE, body = Vec<u8>, description = "Refusal, packed"),
    ))]
pub(crate) async fn standing(State(app): State<Shared>, request: Request) -> Response {
    let done = async {
        let Bearer { book, .. } = signed_in(&app, request.headers()).await?;
        if !is_media_type(request.headers(), MEDIA_TYPE) {
            return Err(Fault::MediaType(MEDIA_TYPE));
        }
        let packed = read_body(&app, request, STANDING_BYTES_MAX).await?;
        // Hashes hardly pack: what unpacks to much more is none of them.
        let asked = unpack_short(&packed, STANDING_BYTES_MAX)
            .and_then(|bytes| wire::read::<StandingRequest>("question after blobs", &bytes))
            .map_err(|fault| Fault::Malformed(fault.to_string()))?;
        if asked.blobs.len() > BLOBS_ASKED_MAX {
            return Err(Fault::TooLarge(BLOBS_ASKED_MAX));
        }
        let blobs = app
            .call(move |station| blobs::standing(station, book, &asked.blobs))
            .await??;
        wire::pack(&StandingResponse {
            version: WIRE_VERSION,
            blobs,
        })
        .map_err(|_| Fault::Internal)
    };
    answer(&app, done.await, |packed| message(StatusCode::OK, packed))
}

/// Whose phone calls.
pub(super) async fn signed_in(app: &App, headers: &HeaderMap) -> Result<Bearer, Fault> {
    let token = bearer(headers).ok_or(Fault::Token)?.to_owned();
    app.call(move |station| blobs::bearer_of(station, &token))
        .await??
        .ok_or(Fault::Token)
}

/// A fault or an answer, in the form that phones and tus clients read.
pub(super) fn answer<T>(app: &App, done: Result<T, Fault>, said: impl FnOnce(T) -> Response) -> Response {
    let mut response = match done {
        Ok(done) => said(done),
        Err(fault) => {
            let refusal = fault.refusal();
            app.metrics.refused(&refusal.code());
            tracing::info!(code = refusal.code, "refused");
            Refused(refusal).into_response()
        }
    };
    let headers = response.headers_mut();
    headers.insert(TUS_RESUMABLE, HeaderValue::from_static(TUS_VERSION));
    headers.insert("tus-version", HeaderValue::from_static(TUS_VERSION));
    response
}

async fn let_in(app: &App, headers: &HeaderMap) -> Result<Bearer, Fault> {
    if headers.get(TUS_RESUMABLE).is_none_or(|version| version != TUS_VERSION) {
        return Err(Fault::Blob(BlobRefusal::TusVersion));
    }
    signed_in(app, headers).await
}

/// Writes the body down as it comes. When it breaks off, what came stays.
async fn receive(app: &App, mut writing: Writing, mut body: Body) -> Result<Progress, Fault> {
    let _place = app.upload_place()?;
    let give_up = writing.asked_to_give_up();
    let mut give_up = std::pin::pin!(give_up);
    let mut gathered = Vec::with_capacity(WRITE_BYTES);
    let mut pace = BodyPace::begin(app.limits.idle_max);
    let broke = loop {
        let next = tokio::select! {
            biased;
            () = &mut give_up => break Some(Fault::Blob(BlobRefusal::Locked)),
            next = pace.next(&mut body) => next,
        };
        match next {
            Err(TooSlow) => break Some(Fault::Slow),
            Ok(None) => break None,
            Ok(Some(Err(_))) => {
                break Some(Fault::Malformed(
                    "the body broke off: ask how much came, and go on from there".into(),
                ));
            }
            Ok(Some(Ok(piece))) => gathered.extend_from_slice(&piece),
        }
        if gathered.len() >= WRITE_BYTES {
            let bytes = std::mem::replace(&mut gathered, Vec::with_capacity(WRITE_BYTES));
            writing = app.in_turn(move |_| writing.append(&bytes).map(|()| writing)).await??;
        }
    };
    writing = app.in_turn(move |_| writing.append(&gathered).map(|()| writing)).await??;
    match broke {
        None => Ok(app.in_turn(move |station| blobs::end(station, writing)).await??),
        Some(fault) => {
            app.in_turn(move |_| writing.cut()).await??;
            Err(fault)
        }
    }
}

fn offset(status: StatusCode, progress: Progress) -> Response {
    let mut response = status.into_response();
    let headers = response.headers_mut();
    headers.insert(UPLOAD_OFFSET, progress.offset.into());
    headers.insert(UPLOAD_LENGTH, progress.length.into());
    response
}

fn number(headers: &HeaderMap, name: &HeaderName) -> Result<u64, Fault> {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| Fault::Malformed(format!("{name} takes a number of bytes")))
}

fn metadata(headers: &HeaderMap) -> Result<UploadMetadata, Fault> {
    let said = headers.get("upload-metadata").and_then(|value| value.to_str().ok());
    UploadMetadata::parse(said.unwrap_or_default()).map_err(|fault| Fault::Malformed(fault.to_string()))
}

fn checksum(headers: &HeaderMap) -> Result<Option<Checksum>, Fault> {
    let Some(value) = headers.get("upload-checksum") else {
        return Ok(None);
    };
    let said = value.to_str().ok().and_then(|text| text.split_once(' '));
    let sum = said.and_then(|(algorithm, sum)| Some((algorithm, STANDARD.decode(sum.trim()).ok()?)));
    let (algorithm, sum) =
        sum.ok_or_else(|| Fault::Malformed("Upload-Checksum takes an algorithm and a sum in base64".into()))?;
    Ok(Some(blobs::checked(algorithm, sum)?))
}
