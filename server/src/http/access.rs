//! Who may call: the bearer token of a person, read once before the call. Which routes need one says the table in `routes`.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::Response;

use super::app::Shared;
use super::fault::Fault;

/// Lets a person with a valid token through, as the `Session` of the call.
pub(crate) async fn person(State(app): State<Shared>, mut request: Request, next: Next) -> Result<Response, Fault> {
    let token = bearer(request.headers()).ok_or(Fault::Token)?.to_owned();
    let session = app.call(move |station| station.session(&token)).await?.ok_or(Fault::Token)?;
    request.extensions_mut().insert(session);
    Ok(next.run(request).await)
}

/// The token of `Authorization: Bearer TOKEN` (RFC 6750, 2.1).
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token.trim())
}
