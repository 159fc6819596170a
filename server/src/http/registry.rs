//! People and their phones, as the chief registers them. Decodes, calls, encodes.

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use beatbook_protocol::id::{UnitId, UserId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::app::Shared;
use super::decode::{Named, Sent};
use super::fault::Fault;
use super::problem::Problem;
use crate::station::{EnrolmentCode, PersonEntry, PersonOrder, PhoneStatus, Session};

/// A person to add.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UserBody {
    /// His name as colleagues know it.
    name: String,
    /// Roles by code, as `officer` or `grid_worker`.
    roles: Vec<String>,
    /// His unit; that of the person who adds him, unless said.
    #[schema(value_type = Option<String>)]
    unit: Option<UnitId>,
    /// How other registers call him.
    code: Option<String>,
}

/// A person added.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UserAdded {
    /// The person.
    #[schema(value_type = String)]
    user: UserId,
}

/// The people.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct People {
    /// By name.
    users: Vec<PersonEntry>,
}

/// The people of the station.
#[utoipa::path(get, path = "/api/v1/users", tag = "registry", security(("token" = [])),
    responses((status = 200, body = People), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn users(State(app): State<Shared>) -> Result<Json<People>, Fault> {
    let users = app.call(|station| station.people()).await??;
    Ok(Json(People { users }))
}

/// The phones of the person's units.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Phones {
    /// Those that were silent longest come first.
    phones: Vec<PhoneStatus>,
}

/// What each phone of the units still owes, and when it was last heard of.
#[utoipa::path(get, path = "/api/v1/phones", tag = "registry", security(("token" = [])),
    responses((status = 200, body = Phones), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn phones(State(app): State<Shared>, Extension(session): Extension<Session>) -> Result<Json<Phones>, Fault> {
    let phones = app.call(move |station| station.phones(&session)).await??;
    Ok(Json(Phones { phones }))
}

/// Adds a person.
#[utoipa::path(post, path = "/api/v1/users", tag = "registry", request_body = UserBody, security(("token" = [])),
    responses((status = 201, body = UserAdded), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn add_user(
    State(app): State<Shared>,
    Extension(session): Extension<Session>,
    Sent(body): Sent<UserBody>,
) -> Result<(StatusCode, Json<UserAdded>), Fault> {
    let order = PersonOrder {
        unit: body.unit.unwrap_or(session.unit),
        name: body.name,
        roles: body.roles,
        code: body.code,
    };
    let user = app
        .call(move |station| station.order_person(Some(&session), &order))
        .await??;
    Ok((StatusCode::CREATED, Json(UserAdded { user })))
}

/// A one-time code that makes a person's phone a book; shown once.
#[utoipa::path(post, path = "/api/v1/users/{id}/enrolment-code", tag = "registry", security(("token" = [])),
    params(("id" = String, Path, description = "The person")),
    responses((status = 201, body = EnrolmentCode), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn enrolment_code(
    State(app): State<Shared>,
    Extension(session): Extension<Session>,
    Named(user): Named<UserId>,
) -> Result<(StatusCode, Json<EnrolmentCode>), Fault> {
    let code = app
        .call(move |station| station.enrolment_code(Some(&session), user))
        .await??;
    Ok((StatusCode::CREATED, Json(code)))
}
