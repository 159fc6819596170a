//! Signing in over HTTP: browsers by cookies, programs by tokens, what other sites try with a browser's cookies, and what each refusal says.

use axum::http::Method;
use beatbook_server::config::{HttpConfig, Network, SignInConfig};
use beatbook_server::environment::Environment;
use serde_json::{Value as Json, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use totp_rs::{Builder, Secret};

use crate::assert_problem;
use crate::desk::{Desk, Reply};

pub(crate) const PASSWORD: &str = "seven kettles on the roof";
pub(crate) const ORIGIN: &str = "https://station.example";

pub(crate) fn desk() -> Desk {
    Desk::signing_in_by(SignInConfig {
        public_url: Some(ORIGIN.into()),
        ..SignInConfig::default()
    })
}

/// What an authenticator shows some seconds from now.
pub(crate) fn code(secret: &str, later: u64) -> String {
    let totp = Builder::new()
        .with_secret(Secret::try_from_base32(secret).unwrap())
        .build()
        .unwrap();
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    totp.generate(now + later).to_string()
}

/// A person with an invitation; his id and the invitation.
pub(crate) async fn invited(desk: &Desk, account: &str, role: &str) -> (String, String) {
    let added = desk
        .post("/api/v1/users", &json!({ "name": "王警官", "roles": [role] }), None)
        .await;
    let user = added.json()["user"].as_str().unwrap().to_owned();
    let invited = desk.station.invite(None, user.parse().unwrap(), Some(account)).unwrap();
    (user, invited.invitation)
}

pub(crate) async fn send(desk: &Desk, path: &str, body: &Json, headers: &[(&str, &str)]) -> Reply {
    let mut all = vec![("content-type", "application/json")];
    all.extend_from_slice(headers);
    desk.call(Method::POST, path, None, &all, body.to_string().into_bytes()).await
}

/// The value of a cookie that a reply sets.
pub(crate) fn cookie(reply: &Reply, name: &str) -> Option<String> {
    let start = format!("{name}=");
    let found = reply
        .cookies()
        .into_iter()
        .find_map(|set| set.strip_prefix(&start).map(str::to_owned));
    found.map(|set| set.split(';').next().unwrap_or_default().to_owned())
}

/// A person who is signed in by a cookie; the cookie's line.
pub(crate) async fn browser(desk: &Desk, account: &str) -> String {
    let (_, invitation) = invited(desk, account, "officer").await;
    let body = json!({ "invitation": invitation, "password": PASSWORD, "form": "cookie" });
    let reply = send(desk, "/api/v1/invitations/accept", &body, &[("origin", ORIGIN)]).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    format!("__Host-beatbook={}", cookie(&reply, "__Host-beatbook").unwrap())
}

pub(crate) async fn csrf(desk: &Desk, cookie: &str) -> String {
    let present = desk
        .call(Method::GET, "/api/v1/session", None, &[("cookie", cookie)], Vec::new())
        .await;
    present.json()["csrf"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_browser_gets_a_cookie_that_scripts_do_not_see_and_needs_its_page_to_change_anything() {
    let desk = desk();
    let (_, invitation) = invited(&desk, "wang", "officer").await;
    let view = send(&desk, "/api/v1/invitations/look", &json!({ "invitation": invitation }), &[]).await;
    assert_eq!(view.json()["account"], "wang");
    let body = json!({ "invitation": invitation, "password": PASSWORD, "form": "cookie" });
    let reply = send(
        &desk,
        "/api/v1/invitations/accept",
        &body,
        &[("origin", ORIGIN), ("sec-fetch-site", "same-origin")],
    )
    .await;
    assert_eq!(reply.json()["token"], "");
    assert!(reply.json()["device"].is_null());
    let set = reply.cookies();
    assert!(
        set.iter().all(|set| set.contains("; HttpOnly; SameSite=Strict; Secure")),
        "{set:?}"
    );
    let token = cookie(&reply, "__Host-beatbook").unwrap();
    let kept = format!("other=1; __Host-beatbook={token}");

    let present = desk
        .call(Method::GET, "/api/v1/session", None, &[("cookie", &kept)], Vec::new())
        .await;
    assert_eq!(present.json()["person"]["name"], "王警官");
    let csrf = present.json()["csrf"].as_str().unwrap().to_owned();
    assert_ne!(csrf, token);
    let end = |headers: Vec<(&'static str, String)>| {
        let desk = &desk;
        let kept = kept.clone();
        async move {
            let mut all = vec![("cookie", kept.as_str())];
            all.extend(headers.iter().map(|(name, value)| (*name, value.as_str())));
            desk.call(Method::POST, "/api/v1/session/end", None, &all, Vec::new()).await
        }
    };
    let own = || ("origin", ORIGIN.to_owned());
    for forged in [
        vec![],
        vec![own()],
        vec![("beatbook-csrf", csrf.clone())],
        vec![("beatbook-csrf", "x".into()), own()],
        vec![("beatbook-csrf", csrf.clone()), ("origin", "https://evil.example".into())],
        vec![("beatbook-csrf", csrf.clone()), ("origin", "null".into())],
        vec![
            ("beatbook-csrf", csrf.clone()),
            own(),
            ("sec-fetch-site", "cross-site".into()),
        ],
    ] {
        assert_problem(&end(forged).await, 403, "other_site");
    }
    let ended = end(vec![("beatbook-csrf", csrf.clone()), own()]).await;
    assert_eq!(ended.status, 200, "{}", ended.text());
    assert_eq!(cookie(&ended, "__Host-beatbook").as_deref(), Some(""));
    let replayed = desk
        .call(Method::GET, "/api/v1/session", None, &[("cookie", &kept)], Vec::new())
        .await;
    assert_problem(&replayed, 401, "token");
    let as_bearer = desk
        .call(
            Method::GET,
            "/api/v1/session",
            Some(&format!("Bearer {token}")),
            &[],
            Vec::new(),
        )
        .await;
    assert_problem(&as_bearer, 401, "token");
}

#[tokio::test]
async fn a_session_that_somebody_put_into_a_browser_is_not_the_one_that_is_signed_in() {
    let desk = desk();
    browser(&desk, "wang").await;
    let attackers = browser(&desk, "mallory").await;
    let body = json!({ "account": "wang", "password": PASSWORD, "form": "cookie" });
    let reply = send(&desk, "/api/v1/sign-in", &body, &[("cookie", &attackers), ("origin", ORIGIN)]).await;
    let token = cookie(&reply, "__Host-beatbook").unwrap();
    assert!(!attackers.ends_with(&token));
    let old = desk
        .call(Method::GET, "/api/v1/session", None, &[("cookie", &attackers)], Vec::new())
        .await;
    assert_problem(&old, 401, "token");
    // Neither does a cookie without the prefix of this host, nor one beside another, open anything.
    for line in [
        format!("beatbook={token}"),
        format!("__Host-beatbook={token}; __Host-beatbook=x"),
    ] {
        let reply = desk
            .call(Method::GET, "/api/v1/session", None, &[("cookie", &line)], Vec::new())
            .await;
        assert_problem(&reply, 401, "token");
    }
    // A page of another site signs nobody in under the attacker's name.
    let body = json!({ "account": "mallory", "password": PASSWORD, "form": "cookie" });
    for headers in [[("origin", "https://evil.example")], [("sec-fetch-site", "cross-site")]] {
        assert_problem(&send(&desk, "/api/v1/sign-in", &body, &headers).await, 403, "other_site");
    }
}

#[tokio::test]
async fn an_invitation_of_a_chief_leads_over_an_authenticator() {
    let desk = desk();
    let (_, invitation) = invited(&desk, "li", "chief").await;
    let plain = json!({ "invitation": invitation, "password": PASSWORD });
    let accept = "/api/v1/invitations/accept";
    assert_problem(&send(&desk, accept, &plain, &[]).await, 403, "factor_missing");
    let offer = send(&desk, "/api/v1/invitations/factor", &json!({ "invitation": invitation }), &[]).await;
    let secret = offer.json()["secret"].as_str().unwrap().to_owned();
    assert!(offer.json()["otpauth"].as_str().unwrap().contains(&secret));
    assert!(offer.json()["qr_svg"].as_str().unwrap().contains("<svg"));
    let with = |password: &str, code: &str| json!({ "invitation": invitation, "password": password, "code": code });
    assert_problem(&send(&desk, accept, &with(PASSWORD, "000000"), &[]).await, 422, "code");
    assert_problem(
        &send(&desk, accept, &with("password", &code(&secret, 0)), &[]).await,
        422,
        "password",
    );
    let right = with(PASSWORD, &code(&secret, 0));
    let accepted = send(&desk, accept, &right, &[]).await;
    assert_eq!(
        accepted.json()["recovery_codes"].as_array().unwrap().len(),
        10,
        "{}",
        accepted.text()
    );
    assert_problem(&send(&desk, accept, &right, &[]).await, 404, "invitation");

    let known = json!({ "account": "li", "password": PASSWORD });
    assert_problem(&send(&desk, "/api/v1/sign-in", &known, &[]).await, 401, "factor_needed");
    let known = json!({ "account": "li", "password": PASSWORD, "code": code(&secret, 30) });
    let begun = send(&desk, "/api/v1/sign-in", &known, &[]).await;
    assert_eq!(begun.status, 200, "{}", begun.text());
    assert!(begun.cookies().is_empty(), "a program keeps its token itself");
    let replayed = send(&desk, "/api/v1/sign-in", &known, &[]).await;
    assert_problem(&replayed, 401, "not_signed_in");
}

#[tokio::test]
async fn every_refusal_says_what_to_do_and_not_what_was_wrong() {
    let desk = desk();
    browser(&desk, "wang").await;
    let mut details = Vec::new();
    for (account, password) in [("wang", "seven kettles on the floor"), ("nobody", PASSWORD)] {
        let reply = send(
            &desk,
            "/api/v1/sign-in",
            &json!({ "account": account, "password": password }),
            &[],
        )
        .await;
        assert_problem(&reply, 401, "not_signed_in");
        details.push(reply.json()["detail"].clone());
    }
    assert_eq!(details[0], details[1]);
    let long = json!({ "account": "wang", "password": "x".repeat(1000) });
    assert_problem(&send(&desk, "/api/v1/sign-in", &long, &[]).await, 422, "password");
    assert_problem(
        &send(&desk, "/api/v1/sign-in", &json!({ "account": "wang" }), &[]).await,
        400,
        "malformed",
    );
    let none = json!({ "invitation": "AAAA-AAAA-AAAA-AAAA-AAAA-AAAA" });
    assert_problem(&send(&desk, "/api/v1/invitations/look", &none, &[]).await, 404, "invitation");
    assert_problem(
        &send(&desk, "/api/v1/sign-in/provider", &json!({}), &[]).await,
        404,
        "no_provider",
    );
    let back = desk
        .call(
            Method::GET,
            "/api/v1/sign-in/provider/callback?code=x&state=y",
            None,
            &[],
            Vec::new(),
        )
        .await;
    assert_problem(&back, 401, "provider");
    // Guessing on is told when to go on.
    let mut last = None;
    for _ in 0..7 {
        let guess = json!({ "account": "wang", "password": "what could it be now" });
        last = Some(send(&desk, "/api/v1/sign-in", &guess, &[]).await);
    }
    let last = last.unwrap();
    assert_problem(&last, 429, "throttled");
    assert!(last.header("retry-after").parse::<u64>().unwrap() >= 1);
}

/// One call over a socket, as a proxy sends it on; the status and the reply's text.
async fn over_proxy(address: std::net::SocketAddr, client: &str, body: &Json) -> (u16, String) {
    let body = body.to_string();
    let mut socket = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /api/v1/sign-in HTTP/1.1\r\nHost: s\r\nConnection: close\r\nContent-Type: application/json\r\nX-Forwarded-For: 6.6.6.6, \
         {client}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut text = String::new();
    socket.read_to_string(&mut text).await.unwrap();
    (text.split(' ').nth(1).unwrap().parse().unwrap(), text)
}

#[tokio::test]
async fn behind_a_proxy_clients_are_told_apart_by_what_the_proxy_says() {
    let config = SignInConfig {
        proxies: vec![Network::parse("127.0.0.1").unwrap()],
        ..SignInConfig::default()
    };
    let desk = Desk::signing_in_by(config);
    let (_, invitation) = invited(&desk, "wang", "officer").await;
    let body = json!({ "invitation": invitation, "password": PASSWORD });
    assert_eq!(send(&desk, "/api/v1/invitations/accept", &body, &[]).await.status, 200);
    let address = desk.served().await;
    let wrong = json!({ "account": "wang", "password": "what could it be now" });
    let mut statuses = Vec::new();
    for _ in 0..6 {
        statuses.push(over_proxy(address, "198.51.100.1", &wrong).await.0);
    }
    assert_eq!(statuses, [401, 401, 401, 401, 401, 429]);
    let right = json!({ "account": "wang", "password": PASSWORD });
    assert_eq!(
        over_proxy(address, "198.51.100.1", &right).await.0,
        429,
        "the source waits, whatever it says"
    );
    let (status, text) = over_proxy(address, "198.51.100.2", &right).await;
    assert_eq!(status, 200, "{text}");
    let token = text.split("\"token\":\"").nth(1).unwrap().split('"').next().unwrap();
    let present = desk
        .call(
            Method::GET,
            "/api/v1/session",
            Some(&format!("Bearer {token}")),
            &[],
            Vec::new(),
        )
        .await;
    assert_eq!(present.json()["session"]["source"], "198.51.100.2");
}

#[tokio::test]
async fn on_loopback_without_tls_a_browser_is_served_all_the_same() {
    let desk = Desk::with(&HttpConfig::default(), Environment::system());
    let (_, invitation) = invited(&desk, "wang", "officer").await;
    let body = json!({ "invitation": invitation, "password": PASSWORD, "form": "cookie" });
    let here = [("host", "127.0.0.1:7450"), ("origin", "http://127.0.0.1:7450")];
    let reply = send(&desk, "/api/v1/invitations/accept", &body, &here).await;
    let token = cookie(&reply, "beatbook").unwrap();
    let kept = format!("beatbook={token}");
    let csrf = reply.json()["csrf"].as_str().unwrap().to_owned();
    let headers = [here[0], here[1], ("cookie", kept.as_str()), ("beatbook-csrf", &csrf)];
    assert_eq!(
        send(&desk, "/api/v1/session/renew", &json!({ "password": PASSWORD }), &headers)
            .await
            .status,
        200
    );
}
