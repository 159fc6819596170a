//! Units, moves of people and units, and grants of records, as the chief orders them. Decodes, calls, encodes.

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use beatbook_protocol::id::{RecordId, UnitId, UserId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::app::Shared;
use super::decode::{Named, Sent};
use super::fault::Fault;
use super::problem::Problem;
use crate::station::{GrantOrder, GrantView, Session, UnitOrder, UnitView};

/// A unit to add.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UnitBody {
    /// Its name.
    name: String,
    /// The unit above it; that of the person who adds it, unless said.
    #[schema(value_type = Option<String>)]
    parent: Option<UnitId>,
    /// What it is, by code: province, city, county, township, street, community, grid, police_station or department.
    level: Option<String>,
    /// How other registers call it.
    code: Option<String>,
}

/// A unit added.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UnitAdded {
    /// The unit.
    #[schema(value_type = String)]
    unit: UnitId,
}

/// The units.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Units {
    /// By name.
    units: Vec<UnitView>,
}

/// Where a unit goes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UnitMove {
    /// The unit that it goes below.
    #[schema(value_type = String)]
    parent: UnitId,
}

/// Where a person goes, or as what; what is not named stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UserMove {
    /// His new unit.
    #[schema(value_type = Option<String>)]
    unit: Option<UnitId>,
    /// His new roles by code, all of them.
    roles: Option<Vec<String>>,
}

/// A grant to make or to end: exactly one of `user` and `unit`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GrantBody {
    /// To a person.
    #[schema(value_type = Option<String>)]
    user: Option<UserId>,
    /// To a unit and those below it.
    #[schema(value_type = Option<String>)]
    unit: Option<UnitId>,
    /// `assigned` or `shared`.
    reason: String,
    /// Whether it ends.
    #[serde(default)]
    ended: bool,
}

/// To whom a record is granted.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Grants {
    /// The oldest first.
    grants: Vec<GrantView>,
}

/// The units of the station.
#[utoipa::path(get, path = "/api/v1/units", tag = "registry", security(("token" = [])),
    responses((status = 200, body = Units), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn units(State(app): State<Shared>) -> Result<Json<Units>, Fault> {
    let units = app.call(|station| station.units()).await??;
    Ok(Json(Units { units }))
}

/// Adds a unit.
#[utoipa::path(post, path = "/api/v1/units", tag = "registry", request_body = UnitBody, security(("token" = [])),
    responses((status = 201, body = UnitAdded), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn add_unit(
    State(app): State<Shared>,
    Extension(session): Extension<Session>,
    Sent(body): Sent<UnitBody>,
) -> Result<(StatusCode, Json<UnitAdded>), Fault> {
    let order = UnitOrder {
        name: body.name,
        parent: Some(body.parent.unwrap_or(session.unit)),
        level: body.level,
        code: body.code,
    };
    let unit = app.call(move |station| station.order_unit(Some(&session), &order)).await??;
    Ok((StatusCode::CREATED, Json(UnitAdded { unit })))
}

/// Puts a unit, with all below it, under another one.
#[utoipa::path(post, path = "/api/v1/units/{id}/move", tag = "registry", request_body = UnitMove, security(("token" = [])),
    params(("id" = String, Path, description = "The unit")),
    responses((status = 204), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn move_unit(
    State(app): State<Shared>,
    Extension(session): Extension<Session>,
    Named(unit): Named<UnitId>,
    Sent(body): Sent<UnitMove>,
) -> Result<StatusCode, Fault> {
    app.call(move |station| station.move_unit(Some(&session), unit, Some(body.parent)))
        .await??;
    Ok(StatusCode::NO_CONTENT)
}

/// Moves a person to another unit, or gives him other roles: his phone gets and lets go what follows.
#[utoipa::path(post, path = "/api/v1/users/{id}/move", tag = "registry", request_body = UserMove, security(("token" = [])),
    params(("id" = String, Path, description = "The person")),
    responses((status = 204), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn move_user(
    State(app): State<Shared>,
    Extension(session): Extension<Session>,
    Named(user): Named<UserId>,
    Sent(body): Sent<UserMove>,
) -> Result<StatusCode, Fault> {
    app.call(move |station| station.move_user(Some(&session), user, body.unit, body.roles.as_deref()))
        .await??;
    Ok(StatusCode::NO_CONTENT)
}

/// To whom a record is granted, beside the people of its unit.
#[utoipa::path(get, path = "/api/v1/records/{id}/grants", tag = "records", security(("token" = [])),
    params(("id" = String, Path, description = "The record")),
    responses((status = 200, body = Grants), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn grants(
    State(app): State<Shared>,
    Extension(session): Extension<Session>,
    Named(record): Named<RecordId>,
) -> Result<Json<Grants>, Fault> {
    let found = app.call(move |station| station.grants(&session, record)).await??;
    found.map(|grants| Json(Grants { grants })).ok_or(Fault::NoRecord)
}

/// Assigns a record to a person or a unit, shares it, or ends that.
#[utoipa::path(post, path = "/api/v1/records/{id}/grants", tag = "records", request_body = GrantBody, security(("token" = [])),
    params(("id" = String, Path, description = "The record")),
    responses((status = 204), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn grant(
    State(app): State<Shared>,
    Extension(session): Extension<Session>,
    Named(record): Named<RecordId>,
    Sent(body): Sent<GrantBody>,
) -> Result<StatusCode, Fault> {
    let order = GrantOrder {
        user: body.user,
        unit: body.unit,
        reason: body.reason,
        ended: body.ended,
    };
    app.call(move |station| station.grant(Some(&session), record, &order))
        .await??;
    Ok(StatusCode::NO_CONTENT)
}
