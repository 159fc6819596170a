//! Cookies for browsers, and what keeps other sites from using them: SameSite=Strict, the check of where a call was made, and a token that only a
//! page of this station can read. Programs send `Authorization` and need none of it.

use axum::http::header::{COOKIE, HOST, ORIGIN, SET_COOKIE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use subtle::ConstantTimeEq as _;

use super::fault::Fault;

/// The header that goes with a cookie in every call that changes something.
pub(crate) const CSRF: HeaderName = HeaderName::from_static("beatbook-csrf");
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// Half a year, as the station remembers a device.
const DEVICE_SECONDS: u32 = 180 * 24 * 60 * 60;
/// Time at the provider.
const FLOW_SECONDS: u32 = 10 * 60;

/// The cookies of this station.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cookie {
    /// The session.
    Session,
    /// That this device was signed in from before.
    Device,
    /// A flow at the provider, until the person comes back.
    Flow,
}

/// In which form cookies are set, and for which site.
#[derive(Debug, Clone)]
pub(crate) struct Cookies {
    /// Whether browsers reach the station by TLS; only on loopback they may not.
    secure: bool,
    /// `scheme://host[:port]`, where the configuration says it.
    origin: Option<String>,
}

impl Cookies {
    pub(crate) fn new(public_url: Option<&str>, is_loopback: bool) -> Self {
        Self {
            secure: public_url.map_or(!is_loopback, |url| url.starts_with("https://")),
            origin: public_url.map(str::to_ascii_lowercase),
        }
    }

    /// A cookie's value; none when it is not there, or there twice: then somebody else put one of them.
    pub(crate) fn read<'h>(&self, headers: &'h HeaderMap, cookie: Cookie) -> Option<&'h str> {
        let name = self.name(cookie);
        let lines = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut found = lines
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .filter(|(known, _)| *known == name)
            .map(|(_, value)| value);
        let first = found.next().filter(|value| !value.is_empty());
        if found.next().is_some() { None } else { first }
    }

    /// Sets a cookie.
    pub(crate) fn set(&self, headers: &mut HeaderMap, cookie: Cookie, value: &str) {
        let age = match cookie {
            // It goes with the browser, or when the station ends it.
            Cookie::Session => String::new(),
            Cookie::Device => format!("; Max-Age={DEVICE_SECONDS}"),
            Cookie::Flow => format!("; Max-Age={FLOW_SECONDS}"),
        };
        self.put(headers, cookie, value, &age);
    }

    /// Takes a cookie away.
    pub(crate) fn clear(&self, headers: &mut HeaderMap, cookie: Cookie) {
        self.put(headers, cookie, "", "; Max-Age=0");
    }

    /// Refuses a call that a page of another site made. A program sends none of these headers.
    pub(crate) fn refuse_other_sites(&self, headers: &HeaderMap) -> Result<(), Fault> {
        let site = headers.get(FETCH_SITE).map(HeaderValue::as_bytes);
        let is_ours = matches!(site, None | Some(b"same-origin" | b"none"));
        if is_ours && self.is_own_origin(headers).unwrap_or(true) {
            Ok(())
        } else {
            Err(Fault::OtherSite)
        }
    }

    /// Refuses what was sent with a session's cookie and changes something, unless a page of this station sent it.
    pub(crate) fn refuse_forged(&self, method: &Method, headers: &HeaderMap, csrf: &str) -> Result<(), Fault> {
        if matches!(*method, Method::GET | Method::HEAD) {
            return Ok(());
        }
        self.refuse_other_sites(headers)?;
        // A browser says at least one of both with every call that changes something.
        let says_where = headers.contains_key(FETCH_SITE) || headers.contains_key(ORIGIN);
        let sent = headers.get(CSRF).map(HeaderValue::as_bytes).unwrap_or_default();
        if says_where && bool::from(sent.ct_eq(csrf.as_bytes())) {
            Ok(())
        } else {
            Err(Fault::OtherSite)
        }
    }

    /// Whether the call says that it was made by a page of this station; none when it does not say.
    fn is_own_origin(&self, headers: &HeaderMap) -> Option<bool> {
        let origin = headers.get(ORIGIN)?.to_str().unwrap_or("null").to_ascii_lowercase();
        if let Some(own) = &self.origin {
            return Some(origin == *own);
        }
        let host = headers.get(HOST)?.to_str().ok()?.to_ascii_lowercase();
        Some(origin == format!("https://{host}") || (!self.secure && origin == format!("http://{host}")))
    }

    fn put(&self, headers: &mut HeaderMap, cookie: Cookie, value: &str, age: &str) {
        // A flow comes back by a link of the provider's, with which a strict cookie would not be sent.
        let same_site = if cookie == Cookie::Flow { "Lax" } else { "Strict" };
        let secure = if self.secure { "; Secure" } else { "" };
        let text = format!(
            "{}={value}; Path=/; HttpOnly; SameSite={same_site}{secure}{age}",
            self.name(cookie)
        );
        if let Ok(text) = HeaderValue::from_str(&text) {
            headers.append(SET_COOKIE, text);
        }
    }

    /// `__Host-` is the browser's promise that this very host set it, over TLS.
    const fn name(&self, cookie: Cookie) -> &'static str {
        match (cookie, self.secure) {
            (Cookie::Session, true) => "__Host-beatbook",
            (Cookie::Session, false) => "beatbook",
            (Cookie::Device, true) => "__Host-beatbook-device",
            (Cookie::Device, false) => "beatbook-device",
            (Cookie::Flow, true) => "__Host-beatbook-flow",
            (Cookie::Flow, false) => "beatbook-flow",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| (HeaderName::from_static(name), value.parse().unwrap());
        lines.iter().map(pair).collect()
    }

    #[test]
    fn cookies_are_for_this_host_alone_and_out_of_reach_of_scripts_and_other_sites() {
        let mut set = HeaderMap::new();
        let secure = Cookies::new(Some("https://station.example"), true);
        secure.set(&mut set, Cookie::Session, "token");
        secure.set(&mut set, Cookie::Flow, "sealed");
        Cookies::new(None, true).set(&mut set, Cookie::Session, "token");
        Cookies::new(None, false).clear(&mut set, Cookie::Session);
        let set: Vec<&str> = set.get_all(SET_COOKIE).iter().map(|value| value.to_str().unwrap()).collect();
        assert_eq!(
            set,
            [
                "__Host-beatbook=token; Path=/; HttpOnly; SameSite=Strict; Secure",
                "__Host-beatbook-flow=sealed; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=600",
                "beatbook=token; Path=/; HttpOnly; SameSite=Strict",
                "__Host-beatbook=; Path=/; HttpOnly; SameSite=Strict; Secure; Max-Age=0",
            ]
        );
    }

    #[test]
    fn a_cookie_is_read_by_its_whole_name_and_not_when_it_is_there_twice() {
        let cookies = Cookies::new(Some("https://station.example"), false);
        let read = |line: &str| {
            cookies
                .read(&headers(&[("cookie", line)]), Cookie::Session)
                .map(str::to_owned)
        };
        assert_eq!(read("a=b; __Host-beatbook=token; c=d").as_deref(), Some("token"));
        for line in [
            "beatbook=token",
            "x__Host-beatbook=token",
            "__Host-beatbook=",
            "__Host-beatbook=a; __Host-beatbook=b",
            "",
        ] {
            assert_eq!(read(line), None, "{line}");
        }
    }

    #[test]
    fn what_changes_something_with_a_cookie_is_taken_from_this_stations_pages_alone() {
        let cookies = Cookies::new(Some("https://station.example"), false);
        let check = |lines: &[(&'static str, &str)]| cookies.refuse_forged(&Method::POST, &headers(lines), "right").is_ok();
        let own = ("origin", "https://station.example");
        let csrf = ("beatbook-csrf", "right");
        assert!(check(&[own, csrf]));
        assert!(check(&[("sec-fetch-site", "same-origin"), csrf]));
        for forged in [
            &[own][..],
            &[csrf],
            &[own, ("beatbook-csrf", "wrong")],
            &[own, ("beatbook-csrf", "")],
            &[("origin", "https://station.example.evil"), csrf],
            &[("origin", "http://station.example"), csrf],
            &[("origin", "null"), csrf],
            &[own, csrf, ("sec-fetch-site", "cross-site")],
            &[own, csrf, ("sec-fetch-site", "same-site")],
        ] {
            assert!(!check(forged), "{forged:?}");
        }
        assert!(cookies.refuse_forged(&Method::GET, &HeaderMap::new(), "right").is_ok());
    }

    #[test]
    fn without_a_configured_address_the_host_that_was_asked_is_the_own_one() {
        let here = Cookies::new(None, true);
        let check = |cookies: &Cookies, origin: &str| {
            let lines = [("host", "127.0.0.1:7450"), ("origin", origin), ("beatbook-csrf", "right")];
            cookies.refuse_forged(&Method::POST, &headers(&lines), "right").is_ok()
        };
        assert!(check(&here, "http://127.0.0.1:7450") && check(&here, "https://127.0.0.1:7450"));
        assert!(!check(&here, "http://127.0.0.1:7451") && !check(&here, "http://localhost:7450"));
        let beyond = Cookies::new(None, false);
        assert!(!check(&beyond, "http://127.0.0.1:7450") && check(&beyond, "https://127.0.0.1:7450"));
    }
}
