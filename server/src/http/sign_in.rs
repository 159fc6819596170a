//! Signing in and out, invitations, and showing again who one is. Decodes, calls, encodes; browsers get cookies, programs tokens.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::access::bearer;
use super::app::{App, Shared};
use super::cookie::Cookie;
use super::decode::Sent;
use super::fault::Fault;
use super::problem::Problem;
use crate::sign_in::csrf;
use crate::station::{
    AcceptOrder, Accepted, Begun, FactorOffer, InvitationView, Login, Session, SessionView, SignInOrder, SignedIn, Source,
};

/// In which form a session is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Form {
    /// As cookies, out of reach of scripts.
    Cookie,
    /// As a token in the reply.
    #[default]
    Bearer,
}

/// What a person shows to be signed in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignInBody {
    /// The account's name.
    account: String,
    /// The password.
    password: String,
    /// The authenticator's code, or a recovery code.
    code: Option<String>,
    /// What the station gave this device the last time; browsers keep it in a cookie.
    device: Option<String>,
    /// In which form the session is wanted.
    #[serde(default)]
    form: Form,
}

/// An invitation.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InvitationBody {
    /// The invitation.
    invitation: String,
}

/// What a person makes of his invitation.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AcceptBody {
    /// The invitation.
    invitation: String,
    /// The password that he takes.
    password: String,
    /// The code of the second factor that he was shown.
    code: Option<String>,
    /// In which form the session is wanted.
    #[serde(default)]
    form: Form,
}

/// What a person shows again.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProveBody {
    /// The password, where there is no second factor.
    password: Option<String>,
    /// The authenticator's code, or a recovery code.
    code: Option<String>,
}

/// Who is signed in.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Present {
    /// The person.
    person: Session,
    /// The session; none when a program calls.
    session: Option<SessionView>,
    /// What goes with the cookie into `Beatbook-Csrf`; only where the cookie was sent.
    csrf: Option<String>,
}

/// A session that has ended.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Ended {
    /// Where the session at the provider is ended too, for who came from there.
    provider_location: Option<String>,
}

/// Signs a person in.
#[utoipa::path(post, path = "/api/v1/sign-in", tag = "sign-in", request_body = SignInBody,
    responses((status = 200, body = Begun), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn sign_in(
    State(app): State<Shared>,
    source: Source,
    headers: HeaderMap,
    Sent(body): Sent<SignInBody>,
) -> Result<Response, Fault> {
    app.cookies.refuse_other_sites(&headers)?;
    let kept = app.cookies.read(&headers, Cookie::Device).map(str::to_owned);
    let before = app.cookies.read(&headers, Cookie::Session).map(str::to_owned);
    let order = SignInOrder {
        account: body.account,
        password: body.password.into(),
        code: body.code,
        device: body.device.or(kept),
        source,
    };
    let begun = app
        .call(move |station| {
            let begun = station.sign_in(&order)?;
            // The browser's old session is not left behind for who finds its cookie.
            if let Some(old) = before
                .and_then(|token| station.signed_in(&token))
                .filter(|_| body.form == Form::Cookie)
            {
                station.sign_out(&old)?;
            }
            Ok::<_, Fault>(begun)
        })
        .await??;
    Ok(answer(&app, body.form, begun.clone(), begun))
}

/// What stands behind an invitation.
#[utoipa::path(post, path = "/api/v1/invitations/look", tag = "sign-in", request_body = InvitationBody,
    responses((status = 200, body = InvitationView), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn look(
    State(app): State<Shared>,
    source: Source,
    headers: HeaderMap,
    Sent(body): Sent<InvitationBody>,
) -> Result<Json<InvitationView>, Fault> {
    app.cookies.refuse_other_sites(&headers)?;
    let view = app
        .call(move |station| station.invitation(&body.invitation, &source))
        .await??;
    Ok(Json(view))
}

/// A second factor for who holds an invitation; shown once.
#[utoipa::path(post, path = "/api/v1/invitations/factor", tag = "sign-in", request_body = InvitationBody,
    responses((status = 201, body = FactorOffer), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn factor(
    State(app): State<Shared>,
    source: Source,
    headers: HeaderMap,
    Sent(body): Sent<InvitationBody>,
) -> Result<(StatusCode, Json<FactorOffer>), Fault> {
    app.cookies.refuse_other_sites(&headers)?;
    let offer = app
        .call(move |station| station.offer_factor(&body.invitation, &source))
        .await??;
    Ok((StatusCode::CREATED, Json(offer)))
}

/// Sets password and second factor by an invitation, and signs in.
#[utoipa::path(post, path = "/api/v1/invitations/accept", tag = "sign-in", request_body = AcceptBody,
    responses((status = 200, body = Accepted), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn accept(
    State(app): State<Shared>,
    source: Source,
    headers: HeaderMap,
    Sent(body): Sent<AcceptBody>,
) -> Result<Response, Fault> {
    app.cookies.refuse_other_sites(&headers)?;
    let order = AcceptOrder {
        invitation: body.invitation,
        password: body.password.into(),
        code: body.code,
        source,
    };
    let accepted = app.call(move |station| station.accept_invitation(&order)).await??;
    Ok(answer(&app, body.form, accepted.begun.clone(), accepted))
}

/// Who is signed in, and by what.
#[utoipa::path(get, path = "/api/v1/session", tag = "sign-in", security(("token" = [])),
    responses((status = 200, body = Present), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn present(
    State(app): State<Shared>,
    Extension(caller): Extension<SignedIn>,
    headers: HeaderMap,
) -> Result<Json<Present>, Fault> {
    let by_cookie = bearer(&headers).is_none();
    let cookie = app.cookies.read(&headers, Cookie::Session).filter(|_| by_cookie);
    Ok(Json(Present {
        person: caller.session,
        session: match caller.login {
            Login::Session(session) => Some(session),
            Login::Program { .. } => None,
        },
        csrf: cookie.map(csrf),
    }))
}

/// Shows again who one is, which what is dangerous asks for; the session goes on under a new token.
#[utoipa::path(post, path = "/api/v1/session/renew", tag = "sign-in", request_body = ProveBody, security(("token" = [])),
    responses((status = 200, body = Begun), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn renew(
    State(app): State<Shared>,
    Extension(caller): Extension<SignedIn>,
    source: Source,
    headers: HeaderMap,
    Sent(body): Sent<ProveBody>,
) -> Result<Response, Fault> {
    let prove = move |station: &crate::station::Station| {
        station.prove_again(&caller, body.password.as_deref(), body.code.as_deref(), &source)
    };
    let begun = app.call(prove).await??;
    Ok(answer(&app, form_of(&headers), begun.clone(), begun))
}

/// Signs out.
#[utoipa::path(post, path = "/api/v1/session/end", tag = "sign-in", security(("token" = [])),
    responses((status = 200, body = Ended), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn end(State(app): State<Shared>, Extension(caller): Extension<SignedIn>) -> Result<Response, Fault> {
    let is_provider = matches!(&caller.login, Login::Session(session) if session.via == "provider");
    let (provider, now) = app
        .call(move |station| {
            station.sign_out(&caller)?;
            Ok::<_, Fault>((station.provider().filter(|_| is_provider), station.now()))
        })
        .await??;
    let provider_location = match provider {
        Some(provider) => provider.sign_out_location(now).await,
        None => None,
    };
    let mut response = Json(Ended { provider_location }).into_response();
    app.cookies.clear(response.headers_mut(), Cookie::Session);
    Ok(response)
}

/// The form in which a session that calls was begun.
pub(super) fn form_of(headers: &HeaderMap) -> Form {
    if bearer(headers).is_some() {
        Form::Bearer
    } else {
        Form::Cookie
    }
}

/// The reply with a session that was begun: `told` is what is said of it, in which it stands too.
pub(super) fn answer(app: &App, form: Form, begun: Begun, told: impl Serialize) -> Response {
    let Ok(mut body) = serde_json::to_value(told) else {
        return Fault::Internal.into_response();
    };
    let mut headers = HeaderMap::new();
    if form == Form::Cookie {
        app.cookies.set(&mut headers, Cookie::Session, &begun.token);
        if let Some(device) = &begun.device {
            app.cookies.set(&mut headers, Cookie::Device, device);
        }
        // What is in a cookie is for the browser alone: scripts get neither.
        if let Some(fields) = body.as_object_mut() {
            fields.insert("token".into(), String::new().into());
            fields.insert("device".into(), serde_json::Value::Null);
        }
    }
    (headers, Json(body)).into_response()
}
