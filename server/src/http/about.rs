//! What the station says about itself: health, status, kinds, checkpoint, metrics. Decodes, calls, encodes.

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use serde::Serialize;
use utoipa::ToSchema;

use super::app::Shared;
use super::fault::Fault;
use super::problem::Problem;
use crate::station::StationStatus;

/// The kinds in force.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Kinds {
    /// All versions.
    kinds: Vec<KindBody>,
}

/// A kind in force.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KindBody {
    /// Code.
    kind: String,
    /// Version.
    version: u32,
    /// The kind file as JSON: fields, labels, states, acts.
    #[schema(value_type = Object)]
    definition: toml::Value,
}

/// Whether the process answers at all.
#[utoipa::path(get, path = "/healthz", tag = "station", responses((status = 200, body = String, content_type = "text/plain")))]
pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

/// Whether the station takes calls: its ledger is open and there is a place for one more call.
#[utoipa::path(get, path = "/readyz", tag = "station",
    responses((status = 200, body = String, content_type = "text/plain"), (status = 503, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn readyz(State(app): State<Shared>) -> Result<&'static str, Fault> {
    app.call(|station| station.checkpoint()).await??;
    Ok("ready\n")
}

/// Counters and durations in Prometheus' text format.
#[utoipa::path(get, path = "/metrics", tag = "station", security(("token" = [])),
    responses((status = 200, body = String, content_type = "text/plain; version=0.0.4")))]
pub(crate) async fn metrics(State(app): State<Shared>) -> Result<impl IntoResponse, Fault> {
    let status = app.call(|station| station.status()).await??;
    let text = app.metrics.text(&status, app.connections.count());
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text))
}

/// How the station and its phones stand.
#[utoipa::path(get, path = "/api/v1/status", tag = "station", security(("token" = [])),
    responses((status = 200, body = StationStatus), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn status(State(app): State<Shared>) -> Result<Json<StationStatus>, Fault> {
    Ok(Json(app.call(|station| station.status()).await??))
}

/// The kinds in force, all versions.
#[utoipa::path(get, path = "/api/v1/kinds", tag = "station", security(("token" = [])),
    responses((status = 200, body = Kinds), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn kinds(State(app): State<Shared>) -> Result<Json<Kinds>, Fault> {
    let kinds = app.call(|station| station.kinds()).await?;
    let kinds = kinds
        .into_iter()
        .map(|file| KindBody {
            kind: file.kind,
            version: file.version,
            // A kind in force has been parsed and checked: it is TOML.
            definition: toml::from_str(&file.source).unwrap_or(toml::Value::String(file.source)),
        })
        .collect();
    Ok(Json(Kinds { kinds }))
}

/// The newest signed checkpoint of the ledger, as a C2SP signed note.
#[utoipa::path(get, path = "/api/v1/checkpoint", tag = "station", security(("token" = [])),
    responses((status = 200, body = String, content_type = "text/plain"), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn checkpoint(State(app): State<Shared>) -> Result<String, Fault> {
    Ok(app.call(|station| station.checkpoint()).await??)
}
