//! Changes of people and units beside their moves: names, levels, closing, blocking, memberships, phones. Decodes, calls, encodes.

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use beatbook_protocol::id::{MembershipId, UnitId, UserId};
use beatbook_protocol::time::UnixMillis;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::app::Shared;
use super::decode::{Asked, Named, Sent};
use super::fault::Fault;
use super::problem::Problem;
use crate::station::{DeviceView, MembershipOrder, MembershipView, PersonChange, Session, UnitChange};

/// What is to be another way about a unit; what is not named stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UnitChangeBody {
    /// Its name.
    name: Option<String>,
    /// What it is, by code, as `community`.
    level: Option<String>,
    /// How other registers call it.
    code: Option<String>,
}

/// Whether a unit takes no new people and records.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UnitClosing {
    /// Closed, or open again.
    closed: bool,
}

/// What is to be another way about a person; what is not named stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UserChangeBody {
    /// His name.
    name: Option<String>,
    /// How other registers call him.
    code: Option<String>,
}

/// Whether a person is blocked.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Blocking {
    /// Blocked, or no longer.
    blocked: bool,
}

/// A membership to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MembershipBody {
    /// Who.
    #[schema(value_type = String)]
    user: UserId,
    /// In which unit.
    #[schema(value_type = String)]
    unit: UnitId,
    /// As what, by code; not for a stand-in.
    #[serde(default)]
    roles: Vec<String>,
    /// In whose place.
    #[schema(value_type = Option<String>)]
    stands_in_for: Option<UserId>,
    /// From when on, in milliseconds since 1970; at once, unless said.
    #[schema(value_type = Option<i64>)]
    from: Option<UnixMillis>,
    /// Until when; a stand-in's at most 90 days off.
    #[schema(value_type = Option<i64>)]
    until: Option<UnixMillis>,
}

/// A membership made.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MembershipAdded {
    /// Its name.
    #[schema(value_type = String)]
    membership: MembershipId,
}

/// The memberships.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Memberships {
    /// By person.
    memberships: Vec<MembershipView>,
}

/// Which memberships.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct WhichMemberships {
    /// Those that have ended too.
    #[serde(default)]
    ended: bool,
}

/// The phones of a person.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Devices {
    /// The one enrolled last first.
    devices: Vec<DeviceView>,
}

/// Gives a unit another name, level or code.
#[utoipa::path(post, path = "/api/v1/units/{id}/change", tag = "registry", request_body = UnitChangeBody, security(("token" = [])),
    params(("id" = String, Path, description = "The unit")),
    responses((status = 204), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn change_unit(
    State(app): State<Shared>,
    Extension(session): Extension<Session>,
    Named(unit): Named<UnitId>,
    Sent(body): Sent<UnitChangeBody>,
) -> Result<StatusCode, Fault> {
    let change = UnitChange {
        name: body.name,
        level: body.level,
        code: body.code,
    };
    app.call(move |station| station.change_unit(Some(&session), unit, &change))
        .await??;
    Ok(StatusCode::NO_CONTENT)
}

/// Closes a unit, once nobody is in it any more, or opens it again.
#[utoipa::path(post, path = "/api/v1/units/{id}/close", tag = "registry", request_body = UnitClosing, security(("token" = [])),
    params(("id" = String, Path, description = "The unit")),
    responses((status = 204), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn close_unit(
    State(app): State<Shared>,
    Extension(session): Extension<Session>,
    Named(unit): Named<UnitId>,
    Sent(body): Sent<UnitClosing>,
) -> Result<StatusCode, Fault> {
    app.call(move |station| station.close_unit(Some(&session), unit, body.closed))
        .await??;
    Ok(StatusCode::NO_CONTENT)
}

/// Gives a person another name or code.
#[utoipa::path(post, path = "/api/v1/users/{id}/change", tag = "registry", request_body = UserChangeBody, security(("token" = [])),
    params(("id" = String, Path, description = "The person")),
    responses((status = 204), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn change_user(
    State(app): State<Shared>,
    Extension(session): Extension<Session>,
    Named(user): Named<UserId>,
    Sent(body): Sent<UserChangeBody>,
) -> Result<StatusCode, Fault> {
    let change = PersonChange {
        name: body.name,
        code: body.code,
        ..PersonChange::default()
    };
    app.call(move |station| station.change_person(Some(&session), user, &change))
        .await??;
    Ok(StatusCode::NO_CONTENT)
}

/// Blocks a person, who then can neither sign in nor write and holds nothing, or ends that.
#[utoipa::path(post, path = "/api/v1/users/{id}/block", tag = "registry", request_body = Blocking, security(("token" = [])),
    params(("id" = String, Path, description = "The person")),
    responses((status = 204), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn block(
    State(app): State<Shared>,
    Extension(session): Extension<Session>,
    Named(user): Named<UserId>,
    Sent(body): Sent<Blocking>,
) -> Result<StatusCode, Fault> {
    app.call(move |station| station.block(Some(&session), user, body.blocked))
        .await??;
    Ok(StatusCode::NO_CONTENT)
}

/// The phones of a person: since when, last heard of when, with which app.
#[utoipa::path(get, path = "/api/v1/users/{id}/devices", tag = "registry", security(("token" = [])),
    params(("id" = String, Path, description = "The person")),
    responses((status = 200, body = Devices), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn devices(
    State(app): State<Shared>,
    Extension(session): Extension<Session>,
    Named(user): Named<UserId>,
) -> Result<Json<Devices>, Fault> {
    let devices = app.call(move |station| station.devices(Some(&session), user)).await??;
    Ok(Json(Devices { devices }))
}

/// Who works where beside his own unit, and who acts for whom.
#[utoipa::path(get, path = "/api/v1/memberships", tag = "registry", params(WhichMemberships), security(("token" = [])),
    responses((status = 200, body = Memberships), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn memberships(
    State(app): State<Shared>,
    Asked(which): Asked<WhichMemberships>,
) -> Result<Json<Memberships>, Fault> {
    let memberships = app.call(move |station| station.memberships(which.ended)).await??;
    Ok(Json(Memberships { memberships }))
}

/// Lets a person work in a further unit, or in a colleague's place, from a day on and until another.
#[utoipa::path(post, path = "/api/v1/memberships", tag = "registry", request_body = MembershipBody, security(("token" = [])),
    responses((status = 201, body = MembershipAdded), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn add_membership(
    State(app): State<Shared>,
    Extension(session): Extension<Session>,
    Sent(body): Sent<MembershipBody>,
) -> Result<(StatusCode, Json<MembershipAdded>), Fault> {
    let order = MembershipOrder {
        user: body.user,
        unit: body.unit,
        roles: body.roles,
        stands_in_for: body.stands_in_for,
        from: body.from,
        until: body.until,
    };
    let membership = app
        .call(move |station| station.order_membership(Some(&session), &order))
        .await??;
    Ok((StatusCode::CREATED, Json(MembershipAdded { membership })))
}

/// Ends a membership before its time.
#[utoipa::path(post, path = "/api/v1/memberships/{id}/end", tag = "registry", security(("token" = [])),
    params(("id" = String, Path, description = "The membership")),
    responses((status = 204), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn end_membership(
    State(app): State<Shared>,
    Extension(session): Extension<Session>,
    Named(membership): Named<MembershipId>,
) -> Result<StatusCode, Fault> {
    app.call(move |station| station.end_membership(Some(&session), membership))
        .await??;
    Ok(StatusCode::NO_CONTENT)
}
