//! What is kept and what goes: retention, holds, destructions, answers to residents. Decodes, calls, encodes.

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use beatbook_protocol::id::RecordId;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::app::Shared;
use super::decode::{Asked, Named, Sent};
use super::fault::Fault;
use super::imports::{Attachment, attachment};
use super::problem::Problem;
use crate::destruction::{self, DestructionPage};
use crate::retention::{Extract, HoldView, RetentionReport};
use crate::station::Session;

/// Rows of a page, unless said.
const ROWS: u32 = 100;
/// Rows of a page at most.
const ROWS_MAX: u32 = 1_000;

/// Which destructions to show.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct DestructionQuery {
    /// Go on after this place: `next` of the page before.
    after: Option<String>,
    /// Rows at most, 1 to 1000; 100 unless said.
    limit: Option<u32>,
}

/// Which request a copy answers.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExtractQuery {
    /// The record of kind `request` that asks for access to this record.
    #[param(value_type = String)]
    request: RecordId,
}

/// On which ground.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GroundBody {
    /// The case, law or decision, without names of residents.
    ground: String,
}

/// What is to be destroyed, and why: `request` or `ground`, one of both.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DestroyBody {
    /// Whether the private document alone.
    #[serde(default)]
    private_only: bool,
    /// The record of kind `request` that asked for it and was answered.
    #[schema(value_type = Option<String>)]
    request: Option<RecordId>,
    /// The law or decision that orders it.
    ground: Option<String>,
}

/// What was destroyed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DestroyedBody {
    /// Entries that lost salt and bytes.
    entries: u64,
}

/// The hold on a record.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HoldBody {
    /// None when it is not held.
    hold: Option<HoldView>,
}

/// What is due by its retention now; nothing is destroyed by asking.
#[utoipa::path(get, path = "/api/v1/retention", tag = "keeping", security(("token" = [])),
    responses((status = 200, body = RetentionReport), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn retention(
    State(app): State<Shared>,
    Extension(session): Extension<Session>,
) -> Result<Json<RetentionReport>, Fault> {
    Ok(Json(app.call(move |station| station.retention(Some(&session))).await??))
}

/// What was destroyed, in the ledger's order.
#[utoipa::path(get, path = "/api/v1/destructions", tag = "keeping", security(("token" = [])), params(DestructionQuery),
    responses((status = 200, body = DestructionPage), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn destructions(
    State(app): State<Shared>,
    Extension(session): Extension<Session>,
    Asked(query): Asked<DestructionQuery>,
) -> Result<Json<DestructionPage>, Fault> {
    let limit = query.limit.unwrap_or(ROWS);
    if !(1..=ROWS_MAX).contains(&limit) {
        return Err(Fault::Malformed(format!("limit is 1 to {ROWS_MAX}")));
    }
    let page = app
        .call(move |station| station.destructions(Some(&session), query.after.as_deref(), limit))
        .await??;
    Ok(Json(page))
}

/// All destructions as a table (RFC 4180); a line in the audit log says who took it.
#[utoipa::path(get, path = "/api/v1/destructions.csv", tag = "keeping", security(("token" = [])),
    responses((status = 200, content_type = "text/csv", body = String), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn destructions_csv(
    State(app): State<Shared>,
    Extension(session): Extension<Session>,
) -> Result<Attachment, Fault> {
    let bytes = app
        .call(move |station| destruction::table(&station.export_destructions(Some(&session))?))
        .await??;
    Ok(attachment(bytes, "attachment; filename=\"destructions.csv\""))
}

/// The hold on a record.
#[utoipa::path(get, path = "/api/v1/records/{id}/hold", tag = "keeping", security(("token" = [])),
    params(("id" = String, Path, description = "The record")),
    responses((status = 200, body = HoldBody), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn held(
    State(app): State<Shared>,
    Extension(session): Extension<Session>,
    Named(record): Named<RecordId>,
) -> Result<Json<HoldBody>, Fault> {
    let hold = app.call(move |station| station.held(Some(&session), record)).await??;
    Ok(Json(HoldBody { hold }))
}

/// Holds a record: neither retention nor a request destroys it.
#[utoipa::path(post, path = "/api/v1/records/{id}/hold", tag = "keeping", request_body = GroundBody, security(("token" = [])),
    params(("id" = String, Path, description = "The record")),
    responses((status = 204), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn hold(
    State(app): State<Shared>,
    Extension(session): Extension<Session>,
    Named(record): Named<RecordId>,
    Sent(body): Sent<GroundBody>,
) -> Result<StatusCode, Fault> {
    app.call(move |station| station.hold(Some(&session), record, &body.ground))
        .await??;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends a hold.
#[utoipa::path(post, path = "/api/v1/records/{id}/release", tag = "keeping", request_body = GroundBody, security(("token" = [])),
    params(("id" = String, Path, description = "The record")),
    responses((status = 204), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn release(
    State(app): State<Shared>,
    Extension(session): Extension<Session>,
    Named(record): Named<RecordId>,
    Sent(body): Sent<GroundBody>,
) -> Result<StatusCode, Fault> {
    app.call(move |station| station.release(Some(&session), record, &body.ground))
        .await??;
    Ok(StatusCode::NO_CONTENT)
}

/// Destroys a record with all that was merged with it, or its private document alone. There is no way back.
#[utoipa::path(post, path = "/api/v1/records/{id}/destroy", tag = "keeping", request_body = DestroyBody, security(("token" = [])),
    params(("id" = String, Path, description = "The record")),
    responses((status = 200, body = DestroyedBody), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn destroy(
    State(app): State<Shared>,
    Extension(session): Extension<Session>,
    Named(record): Named<RecordId>,
    Sent(body): Sent<DestroyBody>,
) -> Result<Json<DestroyedBody>, Fault> {
    let entries = app
        .call(move |station| {
            station.destroy(
                Some(&session),
                record,
                body.private_only,
                body.request,
                body.ground.as_deref(),
            )
        })
        .await??;
    Ok(Json(DestroyedBody { entries }))
}

/// A copy of a record's data for whom it is about, nothing masked: the answer to a request for access, which it names.
#[utoipa::path(get, path = "/api/v1/records/{id}/extract", tag = "keeping", security(("token" = [])),
    params(("id" = String, Path, description = "The record"), ExtractQuery),
    responses((status = 200, body = Extract), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn extract(
    State(app): State<Shared>,
    Extension(session): Extension<Session>,
    Named(record): Named<RecordId>,
    Asked(query): Asked<ExtractQuery>,
) -> Result<Json<Extract>, Fault> {
    let found = app
        .call(move |station| station.extract(&session, record, query.request))
        .await??;
    found.map(Json).ok_or(Fault::NoRecord)
}
