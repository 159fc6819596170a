//! Tokens of programs, sessions and invitations over HTTP, as people look after them.

use axum::http::Method;
use serde_json::{Value as Json, json};

use crate::assert_problem;
use crate::desk::{Desk, Reply};
use crate::sign_in::{ORIGIN, PASSWORD, browser, code, cookie, csrf, desk, invited, send};

/// A chief who has just signed in; his id and his `Authorization`.
async fn chief(desk: &Desk) -> (String, String) {
    let (user, invitation) = invited(desk, "li", "chief").await;
    let offer = send(desk, "/api/v1/invitations/factor", &json!({ "invitation": invitation }), &[]).await;
    let code = code(offer.json()["secret"].as_str().unwrap(), 0);
    let body = json!({ "invitation": invitation, "password": PASSWORD, "code": code });
    let accepted = send(desk, "/api/v1/invitations/accept", &body, &[]).await;
    (user, format!("Bearer {}", accepted.json()["token"].as_str().unwrap()))
}

#[tokio::test]
async fn a_chief_gives_a_program_its_token_and_takes_it_back() {
    let desk = desk();
    let (user, bearer) = chief(&desk).await;
    let post = |path: &str, body: Json| desk_post(&desk, format!("/api/v1/users/{user}/{path}"), bearer.clone(), body);
    let token = post("token", json!({ "name": "report", "days": 7 })).await;
    let program = format!("Bearer {}", token.json()["token"].as_str().unwrap());
    let listed = desk
        .call(
            Method::GET,
            &format!("/api/v1/users/{user}/tokens"),
            Some(&bearer),
            &[],
            Vec::new(),
        )
        .await;
    assert_eq!(listed.json()["tokens"][0]["name"], "report", "{}", listed.text());
    let own = desk_post(&desk, "/api/v1/account/factor".into(), program.clone(), json!({})).await;
    assert_problem(&own, 403, "session_needed");
    // He invites; neither a program of his nor one of the operator's does.
    for program in [&program, &desk.bearer()] {
        let path = format!("/api/v1/users/{user}/invitation");
        let refused = desk_post(&desk, path, program.clone(), json!({})).await;
        assert_problem(&refused, 403, "session_needed");
    }
    let again = post("invitation", json!({})).await;
    assert_eq!(
        (again.status, again.json()["account"].as_str()),
        (201, Some("li")),
        "{}",
        again.text()
    );
    let id = listed.json()["tokens"][0]["id"].clone();
    assert_eq!(post("tokens/revoke", json!({ "token": id })).await.status, 204);
    let revoked = desk
        .call(Method::GET, "/api/v1/records", Some(&program), &[], Vec::new())
        .await;
    assert_problem(&revoked, 401, "token");
}

#[tokio::test]
async fn a_person_sees_his_sessions_and_ends_them() {
    let desk = desk();
    let (user, bearer) = chief(&desk).await;
    let sessions = desk
        .call(
            Method::GET,
            &format!("/api/v1/users/{user}/sessions"),
            Some(&bearer),
            &[],
            Vec::new(),
        )
        .await;
    let sessions = sessions.json();
    assert_eq!(sessions["sessions"].as_array().unwrap().len(), 1, "{sessions}");
    assert_eq!(sessions["sessions"][0]["factor"], "totp");
    let path = format!("/api/v1/users/{user}/sessions/end");
    let unknown = desk_post(&desk, path.clone(), bearer.clone(), json!({ "session": "0".repeat(64) })).await;
    assert_problem(&unknown, 404, "not_found");
    let ended = desk_post(
        &desk,
        path,
        bearer.clone(),
        json!({ "session": sessions["sessions"][0]["id"] }),
    )
    .await;
    assert_eq!(ended.json()["ended"], 1, "{}", ended.text());
    let over = desk_post(&desk, "/api/v1/session/end".into(), bearer, json!({})).await;
    assert_problem(&over, 401, "token");
}

async fn desk_post(desk: &Desk, path: String, bearer: String, body: Json) -> Reply {
    let typed = [("content-type", "application/json")];
    desk.call(Method::POST, &path, Some(&bearer), &typed, body.to_string().into_bytes())
        .await
}

#[tokio::test]
async fn a_token_is_not_to_be_had_by_a_cookie_without_a_second_factor() {
    let desk = desk();
    let kept = browser(&desk, "wang").await;
    let csrf = csrf(&desk, &kept).await;
    let present = desk
        .call(Method::GET, "/api/v1/session", None, &[("cookie", &kept)], Vec::new())
        .await;
    let user = present.json()["person"]["user"].as_str().unwrap().to_owned();
    let headers = [("cookie", kept.as_str()), ("origin", ORIGIN), ("beatbook-csrf", &csrf)];
    let reply = send(&desk, &format!("/api/v1/users/{user}/token"), &json!({}), &headers).await;
    assert_problem(&reply, 403, "prove_again");
    // By the password alone it is proved that he is who he is, not that he has anything.
    let renewed = send(&desk, "/api/v1/session/renew", &json!({ "password": PASSWORD }), &headers).await;
    assert_eq!(renewed.status, 200, "{}", renewed.text());
    let token = cookie(&renewed, "__Host-beatbook").unwrap();
    let (kept, csrf) = (
        format!("__Host-beatbook={token}"),
        renewed.json()["csrf"].as_str().unwrap().to_owned(),
    );
    let headers = [("cookie", kept.as_str()), ("origin", ORIGIN), ("beatbook-csrf", &csrf)];
    let reply = send(&desk, &format!("/api/v1/users/{user}/token"), &json!({}), &headers).await;
    assert_problem(&reply, 403, "prove_again");
}
