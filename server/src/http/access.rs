//! Who may call: a person by the cookie of his session, or a program by its bearer token, read once before the call, and whether he has the
//! route's permission. Which routes need which says the table in `routes`; who has which, `policy`.

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, header};
use axum::middleware::Next;
use axum::response::Response;

use super::app::Shared;
use super::cookie::Cookie;
use super::fault::Fault;
use crate::policy::{self, Permission};
use crate::sign_in::csrf;
use crate::station::{Reason, Session};

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

/// Lets a signed-in person through who has the route's permission.
pub(crate) async fn permitted(State(permission): State<Permission>, request: Request, next: Next) -> Result<Response, Fault> {
    let session = request.extensions().get::<Session>().ok_or(Fault::Token)?;
    policy::require(Some(session), permission)?;
    Ok(next.run(request).await)
}

/// Why he looks at what is masked, if he says.
#[derive(Debug)]
pub(crate) struct Why(pub(crate) Option<Reason>);

/// The header that says it: UTF-8, as it is or percent-encoded (RFC 3986, 2.1), since many clients send nothing but ASCII in headers.
const REASON: HeaderName = HeaderName::from_static("beatbook-reason");

impl FromRequestParts<Shared> for Why {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, Fault> {
        let Some(value) = parts.headers.get(REASON) else {
            return Ok(Self(None));
        };
        let text = percent_decoded(value.as_bytes())
            .ok_or_else(|| Fault::Malformed("Beatbook-Reason is UTF-8, as it is or percent-encoded".into()))?;
        Ok(Self(Some(Reason::parse(&text)?)))
    }
}

fn percent_decoded(bytes: &[u8]) -> Option<String> {
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((first, after)) = rest.split_first() {
        let escape = (*first == b'%').then(|| after.get(..2)).flatten();
        let byte = escape
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        decoded.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { after.get(2..)? } else { after };
    }
    String::from_utf8(decoded).ok()
}

/// The token of `Authorization: Bearer TOKEN` (RFC 6750, 2.1).
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_comes_as_it_is_or_percent_encoded() {
        for (sent, meant) in [
            ("核对".as_bytes(), Some("核对")),
            (b"%E6%A0%B8%e5%af%b9", Some("核对")),
            (b"100% sure", Some("100% sure")),
            (b"at the end %", Some("at the end %")),
            (b"half %E6", None),
            (b"%+1", Some("%+1")),
        ] {
            assert_eq!(percent_decoded(sent).as_deref(), meant);
        }
    }
}
