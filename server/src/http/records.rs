//! Records as people's programs read them: lists, a record's page, its history, its track, search. Decodes, calls, encodes.

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use beatbook_protocol::facts::Facts;
use beatbook_protocol::id::{RecordId, UnitId, UserId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::access::Why;
use super::app::{App, Shared};
use super::decode::{Asked, Named};
use super::fault::Fault;
use super::problem::{Problem, etag};
use super::review::ROWS;
use crate::review::{masked, sign};
use crate::station::{
    ActLine, ActOpen, ChangedField, ConflictView, EntryLine, FileLine, FindingView, Part, Reason, RecordFilter, RecordPage,
    RecordRow, RecoveredLine, RowPage, Session, TrackGap, WriteLine,
};

/// Which records to show.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecordQuery {
    /// Of this kind only.
    kind: Option<String>,
    /// In this state only.
    state: Option<String>,
    /// Of this unit only.
    #[param(value_type = Option<String>)]
    unit: Option<UnitId>,
    /// Opened by this person only.
    #[param(value_type = Option<String>)]
    author: Option<UserId>,
    /// Only those with conflicts.
    #[serde(default)]
    conflicted: bool,
    /// Only those about this record, or about one that was merged into it.
    #[param(value_type = Option<String>)]
    about: Option<RecordId>,
    /// Go on after this place: `next` of the page before.
    after: Option<String>,
    /// Rows at most, 1 to 500; 50 unless said.
    limit: Option<u32>,
}

/// What to search for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct SearchQuery {
    /// Words; Chinese from two characters, pinyin initials, English.
    q: String,
    /// Rows at most, 1 to 500; 50 unless said.
    limit: Option<u32>,
}

/// A record's page; history and the track's lines are calls of their own.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RecordBody {
    /// The line of lists.
    header: RecordRow,
    /// The official view: the facts at the pinned heads, or as they are while nothing is pinned.
    #[schema(value_type = Object)]
    official: serde_json::Value,
    /// Whether the official view is pinned.
    pinned: bool,
    /// What was written since the pin, newest value of each place.
    pending: Vec<ChangedField>,
    /// Places with different values.
    conflicts: Vec<ConflictView>,
    /// The acts, in the ledger's order.
    acts: Vec<ActLine>,
    /// Entries that rest on a colleague's word since the station was restored, until their author's page returns.
    recovered: Vec<RecoveredLine>,
    /// What the record does not hold to.
    findings: Vec<FindingView>,
    /// The acts that this person may do now.
    acts_open: Vec<ActOpen>,
    /// The track in short.
    track: Option<TrackSummary>,
    /// The photos and recordings that it names, and which of them have arrived.
    files: Vec<FileLine>,
    /// The `private` document, for who works on the record; its values on a stated reason. `{"masked": true}` for others.
    #[schema(value_type = Option<Object>)]
    private: Option<serde_json::Value>,
    /// Places that are masked: `{"masked": true}` stands there.
    masked: Vec<String>,
    /// The records that were merged into this one.
    merged_here: Vec<RecordRow>,
    /// The records that this one might be another one of.
    duplicates: Vec<RecordRow>,
}

/// A track without its lines.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TrackSummary {
    /// Fixes kept.
    fixes: usize,
    /// Metres over the kept fixes.
    distance_m: f64,
    /// Stretches of a minute or more without a fix.
    gaps: Vec<TrackGap>,
}

/// Rows found.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Found {
    /// The rows, best first.
    rows: Vec<RecordRow>,
}

/// A record's accepted entries.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Entries {
    /// In the ledger's order.
    entries: Vec<EntryLine>,
}

/// Every write to every place.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct History {
    /// The writes, oldest first.
    writes: Vec<WriteLine>,
}

/// The records in the person's scope, newest change first.
#[utoipa::path(get, path = "/api/v1/records", tag = "records", params(RecordQuery), security(("token" = [])),
    responses((status = 200, body = RowPage), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(
    State(app): State<Shared>,
    Extension(session): Extension<Session>,
    Asked(query): Asked<RecordQuery>,
) -> Result<Json<RowPage>, Fault> {
    let filter = RecordFilter {
        kind: query.kind,
        state: query.state,
        unit: query.unit,
        author: query.author,
        conflicted: query.conflicted,
        about: query.about,
        after: query.after,
        limit: query.limit.unwrap_or(ROWS),
    };
    Ok(Json(app.call(move |station| station.records(&session, &filter)).await??))
}

/// A record's page. Its ETag is the version that acts take as If-Match.
#[utoipa::path(get, path = "/api/v1/records/{id}", tag = "records", security(("token" = [])),
    params(("id" = String, Path, description = "The record"),
        ("Beatbook-Reason" = Option<String>, Header, description = "Why, for what is masked: 4 to 200 characters, UTF-8 or percent-encoded")),
    responses((status = 200, body = RecordBody), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn page(
    State(app): State<Shared>,
    Extension(session): Extension<Session>,
    Named(record): Named<RecordId>,
    Why(reason): Why,
) -> Result<Response, Fault> {
    let page = find(&app, session, record, Part::Page, reason).await?;
    let version = etag(&page.header.version);
    let mut response = Json(RecordBody::from(page)).into_response();
    version.map(|version| response.headers_mut().insert(header::ETAG, version));
    Ok(response)
}

/// Every write to every place of a record, with author and time.
#[utoipa::path(get, path = "/api/v1/records/{id}/history", tag = "records", security(("token" = [])),
    params(("id" = String, Path, description = "The record"),
        ("Beatbook-Reason" = Option<String>, Header, description = "Why, for what is masked: 4 to 200 characters, UTF-8 or percent-encoded")),
    responses((status = 200, body = History), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn history(
    State(app): State<Shared>,
    Extension(session): Extension<Session>,
    Named(record): Named<RecordId>,
    Why(reason): Why,
) -> Result<Json<History>, Fault> {
    let writes = find(&app, session, record, Part::History, reason).await?.history;
    Ok(Json(History { writes }))
}

/// A record's accepted entries by identity, in the ledger's order: what a phone compares with what it holds.
#[utoipa::path(get, path = "/api/v1/records/{id}/entries", tag = "records", security(("token" = [])),
    params(("id" = String, Path, description = "The record")),
    responses((status = 200, body = Entries), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn entries(
    State(app): State<Shared>,
    Extension(session): Extension<Session>,
    Named(record): Named<RecordId>,
) -> Result<Json<Entries>, Fault> {
    let entries = app.call(move |station| station.entries(&session, record)).await??;
    Ok(Json(Entries {
        entries: entries.ok_or(Fault::NoRecord)?,
    }))
}

/// A patrol's track as GeoJSON (RFC 7946): lines between the gaps, and each gap as a feature with its reason.
#[utoipa::path(get, path = "/api/v1/records/{id}/track", tag = "records", security(("token" = [])),
    params(("id" = String, Path, description = "The record"),
        ("Beatbook-Reason" = Option<String>, Header, description = "Why, for what is masked: 4 to 200 characters, UTF-8 or percent-encoded")),
    responses((status = 200, body = Object, content_type = "application/geo+json", description = "A FeatureCollection; without features when the record has no track"),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn track(
    State(app): State<Shared>,
    Extension(session): Extension<Session>,
    Named(record): Named<RecordId>,
    Why(reason): Why,
) -> Result<Response, Fault> {
    let lines = match find(&app, session, record, Part::Track, reason).await?.track {
        Some(track) => track.geojson,
        None => serde_json::json!({ "type": "FeatureCollection", "features": [] }),
    };
    Ok(([(header::CONTENT_TYPE, "application/geo+json")], lines.to_string()).into_response())
}

/// Full-text search in the person's scope.
#[utoipa::path(get, path = "/api/v1/search", tag = "records", params(SearchQuery), security(("token" = [])),
    responses((status = 200, body = Found), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn search(
    State(app): State<Shared>,
    Extension(session): Extension<Session>,
    Asked(query): Asked<SearchQuery>,
) -> Result<Json<Found>, Fault> {
    let limit = query.limit.unwrap_or(ROWS);
    let rows = app.call(move |station| station.search(&session, &query.q, limit)).await??;
    Ok(Json(Found { rows }))
}

async fn find(app: &App, session: Session, record: RecordId, part: Part, reason: Option<Reason>) -> Result<RecordPage, Fault> {
    app.call(move |station| station.look(&session, record, part, reason.as_ref()))
        .await??
        .ok_or(Fault::NoRecord)
}

impl From<RecordPage> for RecordBody {
    fn from(page: RecordPage) -> Self {
        let official = signed(&page.official, "official", &page.masked);
        let private = match &page.private {
            Some(private) => Some(signed(private, "private", &page.masked)),
            None => page.masked.iter().any(|place| place == "private").then(masked),
        };
        Self {
            header: page.header,
            official,
            pinned: page.pinned,
            pending: page.pending,
            conflicts: page.conflicts,
            acts: page.acts,
            recovered: page.recovered,
            findings: page.findings,
            acts_open: page.acts_open,
            track: page.track.map(|track| TrackSummary {
                fixes: track.fixes,
                distance_m: track.distance_m,
                gaps: track.gaps,
            }),
            files: page.files,
            private,
            masked: page.masked,
            merged_here: page.merged_here,
            duplicates: page.duplicates,
        }
    }
}

/// A document as JSON, with the sign of a mask where something is masked.
fn signed(document: &Facts, name: &str, places: &[String]) -> serde_json::Value {
    let mut json = serde_json::to_value(document).unwrap_or_default();
    sign(&mut json, name, places);
    json
}
