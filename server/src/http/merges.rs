//! Two records of one thing: the pairs to decide on, and the person's decision. Decodes, calls, encodes; the decision is an act of the kind.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::Response;
use axum::{Extension, Json};
use beatbook_protocol::id::RecordId;
use beatbook_protocol::kind::duplicate::{MERGE_INTO, NOT_DUPLICATE, OTHER, TARGET, UNMERGE};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::app::Shared;
use super::decode::{IfMatch, Named, Sent};
use super::fault::Fault;
use super::problem::Problem;
use super::review::done;
use crate::station::{ActDone, ActOrder, DuplicatePair, Session};

/// Pairs to decide on.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Pairs {
    /// Those registered last come first.
    pairs: Vec<DuplicatePair>,
}

/// The record that stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MergeBody {
    /// It goes on, and links to the merged one follow to it.
    #[schema(value_type = String)]
    into: RecordId,
    /// What the person says.
    comment: Option<String>,
}

/// Why the merge is taken back.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UnmergeBody {
    /// What the person says.
    comment: Option<String>,
}

/// The record that it is not.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OtherBody {
    /// The pair is not suggested again.
    #[schema(value_type = String)]
    other: RecordId,
    /// What the person says.
    comment: Option<String>,
}

/// Pairs of records in the person's scope that may be one thing: of one kind, and alike in the fields that the kind names.
#[utoipa::path(get, path = "/api/v1/duplicates", tag = "review", security(("token" = [])),
    responses((status = 200, body = Pairs), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn duplicates(State(app): State<Shared>, Extension(session): Extension<Session>) -> Result<Json<Pairs>, Fault> {
    let pairs = app.call(move |station| station.duplicates(&session)).await??;
    Ok(Json(Pairs { pairs }))
}

/// Merges a record into another as the person saw it. Both keep what they say; `unmerge` takes it back.
#[utoipa::path(post, path = "/api/v1/records/{id}/merge", tag = "review", request_body = MergeBody, security(("token" = [])),
    params(("id" = String, Path, description = "The record that is merged"), ("If-Match" = String, Header, description = "Its ETag as the person saw it")),
    responses(
        (status = 200, body = ActDone, description = "Merged; the ETag is the record's new version"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "Not a record to merge into, or a loop"),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn merge(
    State(app): State<Shared>,
    Extension(session): Extension<Session>,
    Named(record): Named<RecordId>,
    IfMatch(if_match): IfMatch,
    Sent(body): Sent<MergeBody>,
) -> Result<Response, Fault> {
    let named = Some((TARGET, body.into));
    order(&app, session, record, of(MERGE_INTO, named, body.comment, if_match)).await
}

/// Takes a merge back: the record stands for itself again, and links to it point to it again.
#[utoipa::path(post, path = "/api/v1/records/{id}/unmerge", tag = "review", request_body = UnmergeBody, security(("token" = [])),
    params(("id" = String, Path, description = "The record that was merged"), ("If-Match" = String, Header, description = "Its ETag as the person saw it")),
    responses(
        (status = 200, body = ActDone, description = "Taken back; the ETag is the record's new version"),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn unmerge(
    State(app): State<Shared>,
    Extension(session): Extension<Session>,
    Named(record): Named<RecordId>,
    IfMatch(if_match): IfMatch,
    Sent(body): Sent<UnmergeBody>,
) -> Result<Response, Fault> {
    order(&app, session, record, of(UNMERGE, None, body.comment, if_match)).await
}

/// Says that two records are two, so that the pair is not suggested again.
#[utoipa::path(post, path = "/api/v1/records/{id}/not-duplicate", tag = "review", request_body = OtherBody, security(("token" = [])),
    params(("id" = String, Path, description = "One of the two"), ("If-Match" = String, Header, description = "Its ETag as the person saw it")),
    responses(
        (status = 200, body = ActDone, description = "Said; the ETag is the record's new version"),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn not_duplicate(
    State(app): State<Shared>,
    Extension(session): Extension<Session>,
    Named(record): Named<RecordId>,
    IfMatch(if_match): IfMatch,
    Sent(body): Sent<OtherBody>,
) -> Result<Response, Fault> {
    let named = Some((OTHER, body.other));
    order(&app, session, record, of(NOT_DUPLICATE, named, body.comment, if_match)).await
}

fn of(code: &str, named: Option<(&str, RecordId)>, comment: Option<String>, if_match: String) -> ActOrder {
    let values: BTreeMap<_, _> = named
        .map(|(name, record)| (name.to_owned(), record.to_string().as_str().into()))
        .into_iter()
        .collect();
    ActOrder {
        code: code.to_owned(),
        comment,
        values,
        if_match,
    }
}

async fn order(app: &Shared, session: Session, record: RecordId, order: ActOrder) -> Result<Response, Fault> {
    Ok(done(app.call(move |station| station.act(&session, record, &order)).await??))
}
