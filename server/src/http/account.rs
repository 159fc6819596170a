//! How people sign in, as they and their chiefs look after it: passwords, second factors, invitations, sessions, tokens of programs. Decodes, calls, encodes.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::{Extension, Json};
use beatbook_protocol::id::{Hash, UserId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::app::Shared;
use super::decode::{Named, Sent};
use super::fault::Fault;
use super::problem::Problem;
use super::sign_in::{answer, form_of};
use crate::station::{
    Begun, FactorOffer, FactorSet, Invited, RecoveryCodes, SessionView, SignedIn, Source, TokenOrder, TokenView,
};

/// A password to be changed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasswordBody {
    /// The one that there is.
    old: String,
    /// The one that there is to be.
    new: String,
}

/// A code of the second factor that was shown.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CodeBody {
    /// The code.
    code: String,
}

/// An invitation to be issued.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InviteBody {
    /// By what name the person will sign in; may be left out for who has an account.
    account: Option<String>,
}

/// Which session ends.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EndBody {
    /// The session's `id`; all, unless said.
    #[schema(value_type = Option<String>)]
    session: Option<Hash>,
}

/// Sessions that ended.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EndedCount {
    /// How many.
    ended: usize,
}

/// Sessions of a person.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Sessions {
    /// Newest first.
    sessions: Vec<SessionView>,
}

/// A token to be issued.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenBody {
    /// What it is for.
    name: Option<String>,
    /// Roles of the person that it has; all of them, unless said.
    roles: Option<Vec<String>>,
    /// Days that it lives, 90 at most.
    days: Option<u32>,
}

/// A token; shown once.
#[derive(Serialize, ToSchema)]
pub(crate) struct TokenIssued {
    /// The token.
    token: String,
}

/// Tokens of a person's programs.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Tokens {
    /// Newest first.
    tokens: Vec<TokenView>,
}

/// Which token is revoked.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RevokeBody {
    /// The token's `id`.
    #[schema(value_type = String)]
    token: Hash,
}

/// Changes the own password; all other sessions end.
#[utoipa::path(post, path = "/api/v1/account/password", tag = "sign-in", request_body = PasswordBody, security(("token" = [])),
    responses((status = 200, body = Begun), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn password(
    State(app): State<Shared>,
    Extension(caller): Extension<SignedIn>,
    source: Source,
    headers: HeaderMap,
    Sent(body): Sent<PasswordBody>,
) -> Result<Response, Fault> {
    let begun = app
        .call(move |station| station.change_password(&caller, &body.old, &body.new, &source))
        .await??;
    Ok(answer(&app, form_of(&headers), begun.clone(), begun))
}

/// Shows a new second factor, once.
#[utoipa::path(post, path = "/api/v1/account/factor", tag = "sign-in", security(("token" = [])),
    responses((status = 201, body = FactorOffer), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn factor(
    State(app): State<Shared>,
    Extension(caller): Extension<SignedIn>,
) -> Result<(StatusCode, Json<FactorOffer>), Fault> {
    let offer = app.call(move |station| station.offer_own_factor(&caller)).await??;
    Ok((StatusCode::CREATED, Json(offer)))
}

/// Puts the second factor that was shown in force; all other sessions end.
#[utoipa::path(post, path = "/api/v1/account/factor/confirm", tag = "sign-in", request_body = CodeBody, security(("token" = [])),
    responses((status = 200, body = FactorSet), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn confirm_factor(
    State(app): State<Shared>,
    Extension(caller): Extension<SignedIn>,
    headers: HeaderMap,
    Sent(body): Sent<CodeBody>,
) -> Result<Response, Fault> {
    let set = app
        .call(move |station| station.confirm_own_factor(&caller, &body.code))
        .await??;
    Ok(answer(&app, form_of(&headers), set.begun.clone(), set))
}

/// Draws new recovery codes; shown once.
#[utoipa::path(post, path = "/api/v1/account/recovery-codes", tag = "sign-in", security(("token" = [])),
    responses((status = 201, body = RecoveryCodes), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn recovery_codes(
    State(app): State<Shared>,
    Extension(caller): Extension<SignedIn>,
) -> Result<(StatusCode, Json<RecoveryCodes>), Fault> {
    let codes = app.call(move |station| station.new_recovery_codes(&caller)).await??;
    Ok((StatusCode::CREATED, Json(codes)))
}

/// An invitation by which a person sets his password; shown once.
#[utoipa::path(post, path = "/api/v1/users/{id}/invitation", tag = "sign-in", request_body = InviteBody, security(("token" = [])),
    params(("id" = String, Path, description = "The person")),
    responses((status = 201, body = Invited), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn invite(
    State(app): State<Shared>,
    Extension(caller): Extension<SignedIn>,
    Named(user): Named<UserId>,
    Sent(body): Sent<InviteBody>,
) -> Result<(StatusCode, Json<Invited>), Fault> {
    let invited = app
        .call(move |station| station.invite(Some(&caller), user, body.account.as_deref()))
        .await??;
    Ok((StatusCode::CREATED, Json(invited)))
}

/// The sessions of a person.
#[utoipa::path(get, path = "/api/v1/users/{id}/sessions", tag = "sign-in", security(("token" = [])),
    params(("id" = String, Path, description = "The person")),
    responses((status = 200, body = Sessions), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn sessions(
    State(app): State<Shared>,
    Extension(caller): Extension<SignedIn>,
    Named(user): Named<UserId>,
) -> Result<Json<Sessions>, Fault> {
    let sessions = app.call(move |station| station.sessions(Some(&caller), user)).await??;
    Ok(Json(Sessions { sessions }))
}

/// Ends one session of a person, or all.
#[utoipa::path(post, path = "/api/v1/users/{id}/sessions/end", tag = "sign-in", request_body = EndBody, security(("token" = [])),
    params(("id" = String, Path, description = "The person")),
    responses((status = 200, body = EndedCount), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn end_sessions(
    State(app): State<Shared>,
    Extension(caller): Extension<SignedIn>,
    Named(user): Named<UserId>,
    Sent(body): Sent<EndBody>,
) -> Result<Json<EndedCount>, Fault> {
    let ended = app
        .call(move |station| station.end_sessions(Some(&caller), user, body.session))
        .await??;
    Ok(Json(EndedCount { ended }))
}

/// A fresh token for a program of a person's; shown once.
#[utoipa::path(post, path = "/api/v1/users/{id}/token", tag = "sign-in", request_body = TokenBody, security(("token" = [])),
    params(("id" = String, Path, description = "The person")),
    responses((status = 201, body = TokenIssued), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn issue_token(
    State(app): State<Shared>,
    Extension(caller): Extension<SignedIn>,
    Named(user): Named<UserId>,
    Sent(body): Sent<TokenBody>,
) -> Result<(StatusCode, Json<TokenIssued>), Fault> {
    let order = TokenOrder {
        name: body.name,
        roles: body.roles,
        days: body.days,
    };
    let token = app
        .call(move |station| station.issue_program_token(Some(&caller), user, &order))
        .await??;
    Ok((StatusCode::CREATED, Json(TokenIssued { token })))
}

/// The tokens of a person's programs.
#[utoipa::path(get, path = "/api/v1/users/{id}/tokens", tag = "sign-in", security(("token" = [])),
    params(("id" = String, Path, description = "The person")),
    responses((status = 200, body = Tokens), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn tokens(
    State(app): State<Shared>,
    Extension(caller): Extension<SignedIn>,
    Named(user): Named<UserId>,
) -> Result<Json<Tokens>, Fault> {
    let tokens = app.call(move |station| station.program_tokens(&caller, user)).await??;
    Ok(Json(Tokens { tokens }))
}

/// Revokes a token of a program.
#[utoipa::path(post, path = "/api/v1/users/{id}/tokens/revoke", tag = "sign-in", request_body = RevokeBody, security(("token" = [])),
    params(("id" = String, Path, description = "The person")),
    responses((status = 204), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn revoke_token(
    State(app): State<Shared>,
    Extension(caller): Extension<SignedIn>,
    Named(user): Named<UserId>,
    Sent(body): Sent<RevokeBody>,
) -> Result<StatusCode, Fault> {
    app.call(move |station| station.revoke_program_token(&caller, user, body.token))
        .await??;
    Ok(StatusCode::NO_CONTENT)
}
