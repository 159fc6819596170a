//! The registry as tables, in and out. Decodes, calls, encodes.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderName, header};
use axum::{Extension, Json};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::app::Shared;
use super::decode::{Asked, is_media_type, read_body};
use super::fault::Fault;
use super::problem::Problem;
use crate::sheets::FILE_BYTES_MAX;
use crate::station::{ImportReport, ImportSheets, Session};

const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
const CSV: &str = "text/csv";

/// Which table a CSV is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SheetName {
    /// Units.
    Units,
    /// People.
    People,
}

/// What is to be done with a table.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct ImportWish {
    /// Which table a CSV is; an XLSX has a sheet for each.
    #[param(inline)]
    sheet: Option<SheetName>,
    /// Whether it is done; else it is only told what would be.
    #[serde(default)]
    apply: bool,
}

/// Brings units and people in from a table, or tells what that would do; with one line that cannot be, nothing is done.
#[utoipa::path(post, path = "/api/v1/import", tag = "registry", params(ImportWish), security(("token" = [])),
    request_body(content = Vec<u8>, content_type = "text/csv", description = "CSV in UTF-8, or an XLSX workbook under its own type"),
    responses((status = 200, body = ImportReport), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn import(
    State(app): State<Shared>,
    Extension(session): Extension<Session>,
    Asked(wish): Asked<ImportWish>,
    request: Request,
) -> Result<Json<ImportReport>, Fault> {
    let is_book = is_media_type(request.headers(), XLSX);
    if !is_book && !is_media_type(request.headers(), CSV) {
        return Err(Fault::MediaType("text/csv, or the type of XLSX workbooks"));
    }
    let bytes = read_body(&app, request, FILE_BYTES_MAX).await?.to_vec();
    let sheets = match (is_book, wish.sheet) {
        (true, _) | (false, Some(SheetName::Units)) => ImportSheets {
            units: Some(bytes),
            people: None,
        },
        (false, Some(SheetName::People)) => ImportSheets {
            units: None,
            people: Some(bytes),
        },
        (false, None) => {
            return Err(Fault::Malformed(
                "say which table the CSV is: sheet=units or sheet=people".into(),
            ));
        }
    };
    let report = app
        .call(move |station| station.import(Some(&session), &sheets, wish.apply))
        .await??;
    Ok(Json(report))
}

/// A file to be saved.
pub(super) type Attachment = ([(HeaderName, &'static str); 2], Body);

/// The units of the person's own units and below, as CSV.
#[utoipa::path(get, path = "/api/v1/export/units", tag = "registry", security(("token" = [])),
    responses((status = 200, content_type = "text/csv", body = Vec<u8>),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn units(State(app): State<Shared>, Extension(session): Extension<Session>) -> Result<Attachment, Fault> {
    let bytes = app.call(move |station| station.export_units(Some(&session))).await??;
    Ok(attachment(bytes, "attachment; filename=\"units.csv\""))
}

/// The people of the person's own units and below, as CSV.
#[utoipa::path(get, path = "/api/v1/export/people", tag = "registry", security(("token" = [])),
    responses((status = 200, content_type = "text/csv", body = Vec<u8>),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn people(State(app): State<Shared>, Extension(session): Extension<Session>) -> Result<Attachment, Fault> {
    let bytes = app.call(move |station| station.export_people(Some(&session))).await??;
    Ok(attachment(bytes, "attachment; filename=\"people.csv\""))
}

/// A table to be saved under a name.
pub(super) fn attachment(bytes: Vec<u8>, disposition: &'static str) -> Attachment {
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, disposition),
    ];
    (headers, Body::from(bytes))
}
