//! The chief's queue and what he does to records: acts, bulk approval, settlements. Decodes, calls, encodes.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use beatbook_protocol::facts::Value;
use beatbook_protocol::id::{RecordId, UnitId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::app::Shared;
use super::decode::{Asked, IfMatch, Named, Sent};
use super::fault::Fault;
use super::problem::{Problem, etag};
use crate::station::{ActDone, ActOrder, QueueFilter, RowPage, Session};

/// Rows of a page unless asked otherwise.
pub(crate) const ROWS: u32 = 50;
/// Records approved in one call: each is an act of its own, and the call must end within a request's time.
const BULK_MAX: usize = 500;

/// Which records of the queue to show.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct QueueQuery {
    /// Of this kind only.
    kind: Option<String>,
    /// Of this unit only.
    #[param(value_type = Option<String>)]
    unit: Option<UnitId>,
    /// Go on after this place: `next` of the page before.
    after: Option<String>,
    /// Rows at most, 1 to 500; 50 unless said.
    limit: Option<u32>,
}

/// An act to do.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ActBody {
    /// Code of the act in the record's kind, as the record's `acts_open` lists it.
    act: String,
    /// What the person says.
    comment: Option<String>,
    /// Values that go with the act, by name.
    #[serde(default)]
    #[schema(value_type = Object)]
    values: BTreeMap<String, Value>,
}

/// Records to approve, each as it was seen.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BulkBody {
    /// The records, 1 to 500.
    records: Vec<Seen>,
    /// What the person says of all of them.
    comment: Option<String>,
}

/// A record as it was seen.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Seen {
    /// The record.
    #[schema(value_type = String)]
    id: RecordId,
    /// Its version then.
    version: String,
}

/// What became of each record of a bulk approval.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BulkOutcome {
    /// Records approved.
    approved: usize,
    /// Each record, in the order of the request.
    results: Vec<BulkLine>,
}

/// What became of one record.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BulkLine {
    /// The record.
    #[schema(value_type = String)]
    id: RecordId,
    /// The act, when it was done.
    done: Option<ActDone>,
    /// Why it was not done.
    problem: Option<Problem>,
}

/// A value that settles a conflict.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SettleBody {
    /// The place, as the record's `conflicts` name it.
    path: String,
    /// The value that holds: one of the claims or another.
    #[schema(value_type = Object, nullable)]
    value: Value,
}

/// The records that wait for review, those that wait longest first.
#[utoipa::path(get, path = "/api/v1/review", tag = "review", params(QueueQuery), security(("token" = [])),
    responses((status = 200, body = RowPage), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn queue(
    State(app): State<Shared>,
    Extension(session): Extension<Session>,
    Asked(query): Asked<QueueQuery>,
) -> Result<Json<RowPage>, Fault> {
    let filter = QueueFilter {
        kind: query.kind,
        unit: query.unit,
        after: query.after,
        limit: query.limit.unwrap_or(ROWS),
    };
    Ok(Json(app.call(move |station| station.review_queue(&session, &filter)).await??))
}

/// Does an act on a record as the person saw it.
#[utoipa::path(post, path = "/api/v1/records/{id}/acts", tag = "review", request_body = ActBody, security(("token" = [])),
    params(("id" = String, Path, description = "The record"), ("If-Match" = String, Header, description = "The record's ETag as the person saw it")),
    responses(
        (status = 200, body = ActDone, description = "Done; the ETag is the record's new version"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "The act met another state"),
        (status = 412, body = Problem, content_type = "application/problem+json", description = "The record has changed: `changed`, `acts`, `version`"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "A comment is missing, or findings hinder the act"),
        (status = 428, body = Problem, content_type = "application/problem+json", description = "If-Match is missing"),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn act(
    State(app): State<Shared>,
    Extension(session): Extension<Session>,
    Named(record): Named<RecordId>,
    IfMatch(if_match): IfMatch,
    Sent(body): Sent<ActBody>,
) -> Result<Response, Fault> {
    let order = ActOrder {
        code: body.act,
        comment: body.comment,
        values: body.values,
        if_match,
    };
    Ok(done(app.call(move |station| station.act(&session, record, &order)).await??))
}

/// Approves many records, each for itself and as it was seen; what cannot be approved does not hinder the others.
#[utoipa::path(post, path = "/api/v1/review/approve", tag = "review", request_body = BulkBody, security(("token" = [])),
    responses((status = 200, body = BulkOutcome), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn approve(
    State(app): State<Shared>,
    Extension(session): Extension<Session>,
    Sent(body): Sent<BulkBody>,
) -> Result<Json<BulkOutcome>, Fault> {
    if body.records.is_empty() || body.records.len() > BULK_MAX {
        return Err(Fault::Malformed(format!("`records` takes 1 to {BULK_MAX} records")));
    }
    let records: Vec<(RecordId, String)> = body.records.into_iter().map(|seen| (seen.id, seen.version)).collect();
    let outcomes = app
        .call(move |station| station.bulk_approve(&session, &records, body.comment.as_deref()))
        .await?;
    let results: Vec<BulkLine> = outcomes
        .into_iter()
        .map(|(id, outcome)| match outcome {
            Ok(done) => BulkLine {
                id,
                done: Some(done),
                problem: None,
            },
            Err(error) => BulkLine {
                id,
                done: None,
                problem: Some(Fault::from(error).into()),
            },
        })
        .collect();
    Ok(Json(BulkOutcome {
        approved: results.iter().filter(|line| line.done.is_some()).count(),
        results,
    }))
}

/// Settles a conflict: writes the value that holds at a place.
#[utoipa::path(post, path = "/api/v1/records/{id}/settle", tag = "review", request_body = SettleBody, security(("token" = [])),
    params(("id" = String, Path, description = "The record"), ("If-Match" = String, Header, description = "The record's ETag as the person saw it")),
    responses(
        (status = 200, body = ActDone, description = "Settled; the ETag is the record's new version"),
        (status = 412, body = Problem, content_type = "application/problem+json", description = "The record has changed"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "No conflict there, or a value of another type"),
        (status = 428, body = Problem, content_type = "application/problem+json", description = "If-Match is missing"),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn settle(
    State(app): State<Shared>,
    Extension(session): Extension<Session>,
    Named(record): Named<RecordId>,
    IfMatch(if_match): IfMatch,
    Sent(body): Sent<SettleBody>,
) -> Result<Response, Fault> {
    let outcome = app.call(move |station| station.settle(&session, record, &body.path, &body.value, &if_match));
    Ok(done(outcome.await??))
}

/// An act that was done, with the record's new version as ETag.
pub(crate) fn done(done: ActDone) -> Response {
    let version = etag(&done.version);
    let mut response = Json(done).into_response();
    version.map(|version| response.headers_mut().insert(header::ETAG, version));
    response
}
