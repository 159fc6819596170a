//! Who may call: a person by the cookie of his session, or a program by its bearer token, read once before the call. Which routes need one says
//! the table in `routes`.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::Response;

use super::app::Shared;
use super::cookie::Cookie;
use super::fault::Fault;
use crate::sign_in::csrf;

/// Lets a person with a valid token through, as the `Session` of the call, and as `SignedIn` for calls that ask by what he is known.
pub(crate) async fn person(State(app): State<Shared>, mut request: Request, next: Next) -> Result<Response, Fault> {
    let headers = request.headers();
    // A cookie is the browser's doing, `Authorization` the caller's own: where both are, the caller means what he wrote.
    let token = if headers.contains_key(header::AUTHORIZATION) {
        bearer(headers).ok_or(Fault::Token)?.to_owned()
    } else {
        let token = app.cookies.read(headers, Cookie::Session).ok_or(Fault::Token)?;
        app.cookies.refuse_forged(request.method(), headers, &csrf(token))?;
        token.to_owned()
    };
    let caller = app
        .call(move |station| station.signed_in(&token))
        .await?
        .ok_or(Fault::Token)?;
    request.extensions_mut().insert(caller.session.clone());
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

/// The token of `Authorization: Bearer TOKEN` (RFC 6750, 2.1).
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token.trim())
}
