//! Single sign-on: sending a person to the provider, and taking him in when he comes back. Decodes, calls, encodes.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::app::Shared;
use super::cookie::Cookie;
use super::decode::{Asked, Sent};
use super::fault::Fault;
use super::problem::Problem;
use super::sign_in::{Form, answer};
use crate::station::{Begun, ProviderStart, SignInError, Source};

/// How a person goes to the provider.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StartBody {
    /// An invitation, which links the person at the provider to the one who was invited.
    invitation: Option<String>,
}

/// What the provider sends a person back with.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct CameBack {
    /// The code, for which the station gets the ID token.
    code: Option<String>,
    /// What the station sent him with.
    state: Option<String>,
    /// Who the provider says that it is (RFC 9207).
    iss: Option<String>,
    /// Why there is no code.
    error: Option<String>,
}

/// Begins single sign-on: the browser keeps a cookie and goes to `location`.
#[utoipa::path(post, path = "/api/v1/sign-in/provider", tag = "sign-in", request_body = StartBody,
    responses((status = 200, body = ProviderStart), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn start(State(app): State<Shared>, headers: HeaderMap, Sent(body): Sent<StartBody>) -> Result<Response, Fault> {
    app.cookies.refuse_other_sites(&headers)?;
    let (provider, (flow, sealed), now) = app
        .call(move |station| {
            let provider = station.provider().ok_or(SignInError::NoProvider)?;
            Ok::<_, Fault>((provider, station.begin_flow(body.invitation)?, station.now()))
        })
        .await??;
    let start = ProviderStart {
        location: provider.location(&flow, now).await?,
        flow: sealed,
    };
    let mut response = Json(&start).into_response();
    app.cookies.set(response.headers_mut(), Cookie::Flow, &start.flow);
    Ok(response)
}

/// A person comes back from the provider, in the browser in which he went.
#[utoipa::path(get, path = "/api/v1/sign-in/provider/callback", tag = "sign-in", params(CameBack),
    responses((status = 200, body = Begun), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn callback(
    State(app): State<Shared>,
    source: Source,
    headers: HeaderMap,
    Asked(back): Asked<CameBack>,
) -> Response {
    let entered = enter(&app, source, &headers, back).await;
    let mut response = match entered {
        Ok(begun) => answer(&app, Form::Cookie, begun.clone(), begun),
        Err(fault) => fault.into_response(),
    };
    // Whatever came of it, the flow is over.
    app.cookies.clear(response.headers_mut(), Cookie::Flow);
    response
}

async fn enter(app: &Shared, source: Source, headers: &HeaderMap, back: CameBack) -> Result<Begun, Fault> {
    let failed = |why: &str| Fault::from(SignInError::Provider(why.into()));
    let sealed = app.cookies.read(headers, Cookie::Flow);
    let sealed = sealed
        .ok_or_else(|| failed("this is not the browser in which it was begun"))?
        .to_owned();
    let state = back.state.ok_or_else(|| failed("the answer lacks its state"))?;
    let (provider, flow, now) = app
        .call(move |station| {
            let provider = station.provider().ok_or(SignInError::NoProvider)?;
            Ok::<_, Fault>((provider, station.open_flow(&sealed, &state)?, station.now()))
        })
        .await??;
    let code = match (back.code, back.error) {
        (Some(code), None) => code,
        (_, Some(_)) => return Err(failed("the provider did not sign the person in")),
        (None, None) => return Err(failed("the answer lacks its code")),
    };
    let identity = provider.identity(&flow, code, back.iss, now).await?;
    let begun = app
        .call(move |station| station.enter_by_provider(&identity, &flow, &source))
        .await??;
    Ok(begun)
}
