//! The audit log as auditors read it: pages, exports, broken glass; and breaking it. Decodes, calls, encodes.

use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use beatbook_protocol::id::{RecordId, UserId};
use beatbook_protocol::time::UnixMillis;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::app::Shared;
use super::decode::{Asked, Named, Sent};
use super::fault::Fault;
use super::problem::Problem;
use crate::station::{AuditFilter, AuditPage, ExportForm, GlassView, Reason, Session};

/// The line to go on after, with an export that does not hold all.
const NEXT: HeaderName = HeaderName::from_static("beatbook-next");

/// Which lines of the log to show.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuditQuery {
    /// By this person only.
    #[param(value_type = Option<String>)]
    user: Option<UserId>,
    /// About this record only.
    #[param(value_type = Option<String>)]
    record: Option<RecordId>,
    /// This only, as `record.read`, or all of a sort, as `record`.
    what: Option<String>,
    /// Not before, milliseconds since 1970.
    #[param(value_type = Option<i64>)]
    from: Option<UnixMillis>,
    /// Before, milliseconds since 1970.
    #[param(value_type = Option<i64>)]
    until: Option<UnixMillis>,
    /// Go on after this line: `next` of the page before.
    after: Option<u64>,
    /// Lines at most, 1 to 1000; 100 unless said. An export has 20,000.
    limit: Option<u32>,
    /// Form of an export: `ndjson` or `csv`.
    form: Option<String>,
}

/// Where to go on.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct GlassQuery {
    /// Go on after this one: `line` of the last.
    after: Option<u64>,
}

/// Why the glass is broken.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GlassBody {
    /// In 4 to 200 characters; the unit's auditor reads it.
    reason: String,
}

/// Glass that was broken.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Glass {
    /// The newest first, 500 at most.
    glass: Vec<GlassView>,
}

impl AuditQuery {
    fn filter(self) -> AuditFilter {
        AuditFilter {
            user: self.user,
            record: self.record,
            what: self.what,
            from: self.from,
            until: self.until,
            after: self.after,
            limit: self.limit.unwrap_or(0),
        }
    }
}

/// The audit log of the auditor's units, the newest line first. Reading it is a line of it.
#[utoipa::path(get, path = "/api/v1/audit", tag = "audit", params(AuditQuery), security(("token" = [])),
    responses((status = 200, body = AuditPage), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn lines(
    State(app): State<Shared>,
    Extension(session): Extension<Session>,
    Asked(query): Asked<AuditQuery>,
) -> Result<Json<AuditPage>, Fault> {
    if query.form.is_some() {
        return Err(Fault::Malformed("`form` is for exports".into()));
    }
    let filter = query.filter();
    Ok(Json(app.call(move |station| station.audit(&session, &filter)).await??))
}

/// The audit log of the auditor's units from the first line on, as a file: one JSON object a line, or CSV in which no cell is a formula.
#[utoipa::path(get, path = "/api/v1/audit/export", tag = "audit", params(AuditQuery), security(("token" = [])),
    responses(
        (status = 200, content_type = "application/x-ndjson", body = String, description = "The lines; `Beatbook-Next` says where to go on when there are more"),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn export(
    State(app): State<Shared>,
    Extension(session): Extension<Session>,
    Asked(query): Asked<AuditQuery>,
) -> Result<Response, Fault> {
    let (form, media_type, name) = match query.form.as_deref() {
        None | Some("ndjson") => (
            ExportForm::Ndjson,
            "application/x-ndjson",
            "attachment; filename=\"audit.ndjson\"",
        ),
        Some("csv") => (
            ExportForm::Csv,
            "text/csv; charset=utf-8",
            "attachment; filename=\"audit.csv\"",
        ),
        Some(_) => return Err(Fault::Malformed("`form` is `ndjson` or `csv`".into())),
    };
    let filter = query.filter();
    let export = app
        .call(move |station| station.audit_export(&session, &filter, form))
        .await??;
    let mut response = ([(header::CONTENT_TYPE, media_type)], export.bytes).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static(name));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    export.next.map(|next| headers.insert(NEXT, HeaderValue::from(next)));
    Ok(response)
}

/// Who broke the glass before records of the auditor's units, and why.
#[utoipa::path(get, path = "/api/v1/audit/glass", tag = "audit", params(GlassQuery), security(("token" = [])),
    responses((status = 200, body = Glass), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn glass(
    State(app): State<Shared>,
    Extension(session): Extension<Session>,
    Asked(query): Asked<GlassQuery>,
) -> Result<Json<Glass>, Fault> {
    let glass = app.call(move |station| station.audit_glass(&session, query.after)).await??;
    Ok(Json(Glass { glass }))
}

/// Breaks the glass before a record: for three hours the person sees all of it, and his unit's auditor sees that he does, and why.
#[utoipa::path(post, path = "/api/v1/records/{id}/break-glass", tag = "records", request_body = GlassBody, security(("token" = [])),
    params(("id" = String, Path, description = "The record")),
    responses((status = 201, body = GlassView), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn break_glass(
    State(app): State<Shared>,
    Extension(session): Extension<Session>,
    Named(record): Named<RecordId>,
    Sent(body): Sent<GlassBody>,
) -> Result<(StatusCode, Json<GlassView>), Fault> {
    let reason = Reason::parse(&body.reason)?;
    let broken = app
        .call(move |station| station.break_glass(&session, record, &reason))
        .await??;
    broken.map(|glass| (StatusCode::CREATED, Json(glass))).ok_or(Fault::NoRecord)
}
