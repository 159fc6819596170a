//! Letting officers into their phones again, and emergency notes: the phones' two calls, and those of the chief. Decodes, calls, encodes.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::{Extension, Json};
use beatbook_protocol::id::UserId;
use beatbook_protocol::limits::EXCHANGE_WIRE_BYTES_MAX;
use beatbook_protocol::wire::MEDIA_TYPE;
use serde::Deserialize;

use super::access::bearer;
use super::app::Shared;
use super::decode::{Asked, Named};
use super::fault::Fault;
use super::problem::Problem;
use super::sync::{answer, receive};
use crate::station::{NotePage, Session, UnlockCode};

/// A book, a code, a key and a signature: some hundred bytes.
const UNLOCK_BYTES_MAX: usize = 4 * 1024;

/// Which notes.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct NotesAsked {
    /// Those that came before the last of an earlier page.
    before: Option<u64>,
}

/// A phone asks for the share of its key, with its book's signature and a one-time code.
#[utoipa::path(
    post,
    path = "/sync/v1/unlock",
    tag = "phones",
    request_body(content = Vec<u8>, content_type = MEDIA_TYPE, description = "UnlockRequest of protocol/wire.cddl, packed"),
    responses(
        (status = 200, content_type = MEDIA_TYPE, body = Vec<u8>, description = "UnlockResponse, packed: the share, sealed to who asked"),
        (status = "4XX", content_type = MEDIA_TYPE, body = Vec<u8>, description = "Refusal, packed"),
    )
)]
pub(crate) async fn unlock(State(app): State<Shared>, request: Request) -> Response {
    let reply = async {
        let packed = receive(&app, request, UNLOCK_BYTES_MAX).await?;
        app.call(move |station| station.unlock(&packed))
            .await
            .map_err(|fault| fault.refusal())?
    };
    answer(&app, reply.await)
}

/// Emergency notes that were written while the phone was locked.
#[utoipa::path(
    post,
    path = "/sync/v1/notes",
    tag = "phones",
    params(("Authorization" = Option<String>, Header, description = "Bearer token of the book; none once it has ended: then the request is signed")),
    request_body(content = Vec<u8>, content_type = MEDIA_TYPE, description = "NotesRequest of protocol/wire.cddl, packed"),
    responses(
        (status = 200, content_type = MEDIA_TYPE, body = Vec<u8>, description = "NotesResponse, packed: what became of each"),
        (status = "4XX", content_type = MEDIA_TYPE, body = Vec<u8>, description = "Refusal, packed; nothing was stored"),
    )
)]
pub(crate) async fn take_notes(State(app): State<Shared>, request: Request) -> Response {
    let reply = async {
        let token = bearer(request.headers()).map(str::to_owned);
        let packed = receive(&app, request, EXCHANGE_WIRE_BYTES_MAX).await?;
        app.call(move |station| station.take_notes(&packed, token.as_deref()))
            .await
            .map_err(|fault| fault.refusal())?
    };
    answer(&app, reply.await)
}

/// The emergency notes of the chief's units, the newest first. Each that is read is on the audit log.
#[utoipa::path(get, path = "/api/v1/notes", tag = "registry", security(("token" = [])), params(NotesAsked),
    responses((status = 200, body = NotePage), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn notes(
    State(app): State<Shared>,
    Extension(session): Extension<Session>,
    Asked(asked): Asked<NotesAsked>,
) -> Result<Json<NotePage>, Fault> {
    Ok(Json(app.call(move |station| station.notes(&session, asked.before)).await??))
}

/// A one-time code that lets a person into his phone again, when its PIN is gone; shown once.
#[utoipa::path(post, path = "/api/v1/users/{id}/unlock-code", tag = "registry", security(("token" = [])),
    params(("id" = String, Path, description = "The person")),
    responses((status = 201, body = UnlockCode), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn unlock_code(
    State(app): State<Shared>,
    Extension(session): Extension<Session>,
    Named(user): Named<UserId>,
) -> Result<(StatusCode, Json<UnlockCode>), Fault> {
    let code = app.call(move |station| station.unlock_code(Some(&session), user)).await??;
    Ok((StatusCode::CREATED, Json(code)))
}
