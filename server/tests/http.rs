//! The HTTP door of a station over a real ledger: who gets in, what is refused and how it says so, and that nothing refused is stored.

#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

#[path = "http/accounts.rs"]
mod accounts;
#[path = "http/blobs.rs"]
mod blobs;
#[path = "http/bodies.rs"]
mod bodies;
#[path = "http/described.rs"]
mod described;
#[path = "http/desk.rs"]
mod desk;
#[path = "http/ended.rs"]
mod ended;
#[path = "http/enrol.rs"]
mod enrol;
#[path = "http/hints.rs"]
mod hints;
#[path = "http/ids.rs"]
mod ids;
#[path = "http/keeping.rs"]
mod keeping;
#[path = "http/members.rs"]
mod members;
#[path = "http/moves.rs"]
mod moves;
#[path = "http/phone.rs"]
mod phone;
#[path = "http/program.rs"]
mod program;
#[path = "http/rights.rs"]
mod rights;
#[path = "http/sign_in.rs"]
mod sign_in;

use axum::http::Method;
use beatbook_protocol::limits::EXCHANGE_WIRE_BYTES_MAX;
use beatbook_protocol::wire::{self, MEDIA_TYPE, RefusalCode};
use beatbook_server::http::{Access, routes};
use serde_json::json;

use desk::{Desk, Reply};
use phone::Phone;

/// A path that the route takes.
fn example(path: &str) -> String {
    path.replace("{id}", "01900000-0000-7000-8000-000000000000")
        .replace("{sha256}", &"0".repeat(64))
}

#[track_caller]
fn assert_problem(reply: &Reply, status: u16, code: &str) {
    assert_eq!(reply.status, status, "{}", reply.text());
    assert_eq!(reply.header("content-type"), "application/problem+json");
    let problem = reply.json();
    assert_eq!(problem["status"], status);
    assert_eq!(problem["code"], code);
    assert_eq!(problem["type"], format!("urn:beatbook:problem:{code}"));
    for text in ["title", "detail"] {
        assert!(problem[text].as_str().is_some_and(|text| !text.is_empty()), "{problem}");
    }
}

#[tokio::test]
async fn every_call_but_health_needs_a_token_that_the_station_issued() {
    let desk = Desk::new();
    let persons: Vec<_> = routes()
        .into_iter()
        .filter(|route| matches!(route.access, Access::Person(_)))
        .collect();
    assert!(persons.len() > 15);
    for route in persons {
        let path = example(route.path);
        for authorization in [None, Some("Bearer nonsense"), Some("Basic YTpi"), Some("Bearer ")] {
            let reply = desk.call(route.method.clone(), &path, authorization, &[], Vec::new()).await;
            assert_problem(&reply, 401, "token");
            assert_eq!(reply.header("www-authenticate"), "Bearer");
        }
    }
    for path in ["/healthz", "/readyz"] {
        assert_eq!(desk.call(Method::GET, path, None, &[], Vec::new()).await.status, 200);
    }
}

#[tokio::test]
async fn every_answer_says_that_it_is_kept_by_nobody_and_shown_in_nothing() {
    let desk = Desk::new();
    let mut paths: Vec<_> = routes()
        .into_iter()
        .map(|route| (route.method, example(route.path)))
        .collect();
    paths.push((Method::GET, "/no/such/route".into()));
    paths.push((Method::DELETE, "/healthz".into()));
    for (method, path) in paths.into_iter().filter(|(_, path)| path != "/sync/v1/hints") {
        for authorization in [None, Some(desk.bearer())] {
            let reply = desk
                .call(method.clone(), &path, authorization.as_deref(), &[], Vec::new())
                .await;
            assert_eq!(reply.header("cache-control"), "no-store", "{method} {path}");
            let is_message = reply.header("content-type") == MEDIA_TYPE;
            for (name, value) in [
                ("strict-transport-security", "max-age=63072000"),
                ("x-content-type-options", "nosniff"),
                ("x-frame-options", "DENY"),
                ("referrer-policy", "no-referrer"),
                ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
                ("cross-origin-resource-policy", "same-origin"),
            ] {
                // No browser shows a phone's message, and a phone pays for each byte.
                assert_eq!(
                    reply.header(name),
                    if is_message { "" } else { value },
                    "{method} {path}: {name}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_phones_token_opens_no_call_of_a_person() {
    let desk = Desk::new();
    let phone = Phone::enrolled(&desk, "officer").await;
    let bearer = format!("Bearer {}", phone.token);
    assert_problem(
        &desk
            .call(Method::GET, "/api/v1/records", Some(&bearer), &[], Vec::new())
            .await,
        401,
        "token",
    );
}

#[tokio::test]
async fn envelopes_that_are_no_messages_are_refused_and_leave_nothing() {
    let desk = Desk::new();
    let before = desk.ledger_size().await;
    let bomb = zstd_of_zeros();
    for path in ["/sync/v1/exchange", "/sync/v1/enrol"] {
        for (body, code) in [
            (Vec::new(), RefusalCode::Malformed),
            (b"not zstd at all".to_vec(), RefusalCode::Malformed),
            (
                beatbook_protocol::codec::compress(b"\xa1\x00").unwrap(),
                RefusalCode::Malformed,
            ),
            (
                beatbook_protocol::codec::compress(&[0x9f; 64]).unwrap(),
                RefusalCode::Malformed,
            ),
            (bomb.clone(), RefusalCode::TooLarge),
            (vec![0; EXCHANGE_WIRE_BYTES_MAX + 1], RefusalCode::TooLarge),
        ] {
            let length = body.len();
            let reply = desk.sync(path, body, &[]).await;
            let refusal = reply.refusal();
            assert_eq!(refusal.code(), code, "{path} {length} bytes: {refusal}");
            assert_eq!(reply.status, code.http_status());
            assert!(!refusal.text.is_empty());
        }
    }
    assert_eq!(desk.ledger_size().await, before);
}

#[tokio::test]
async fn a_body_without_a_length_is_cut_off_where_it_grows_too_long() {
    let desk = Desk::new();
    let reply = desk.sync_in_pieces("/sync/v1/exchange", EXCHANGE_WIRE_BYTES_MAX / 4, 5).await;
    assert_eq!(reply.refusal().code(), RefusalCode::TooLarge);
    assert_eq!(reply.status, 413);
}

#[tokio::test]
async fn a_message_under_another_media_type_is_refused() {
    let desk = Desk::new();
    let reply = desk
        .call(
            Method::POST,
            "/sync/v1/exchange",
            None,
            &[("content-type", "application/json")],
            b"{}".to_vec(),
        )
        .await;
    assert_eq!(reply.status, 400);
    assert!(reply.refusal().text.contains(MEDIA_TYPE));
}

#[tokio::test]
async fn an_exchange_without_a_token_gets_a_challenge_and_with_its_answer_a_token() {
    let desk = Desk::new();
    let mut phone = Phone::enrolled(&desk, "officer").await;
    phone.token.clear();
    let packed = phone.request(Vec::new());
    let refused = desk.sync("/sync/v1/exchange", packed.clone(), &[]).await;
    assert_eq!(refused.status, 401);
    let challenge = refused.refusal().challenge.expect("a challenge");
    let answer = phone.answer(&challenge, &packed);
    let reply = desk
        .sync("/sync/v1/exchange", packed.clone(), &[("beatbook-signature", &answer)])
        .await;
    assert_eq!(reply.status, 200, "{:?}", reply.refusal());
    assert!(reply.exchange().token.is_some());
    let wrong = desk.sync("/sync/v1/exchange", packed, &[("beatbook-signature", "%%%")]).await;
    assert_eq!(wrong.refusal().code(), RefusalCode::Malformed);
}

#[tokio::test]
async fn an_act_takes_the_version_that_was_seen_and_moves_it() {
    let desk = Desk::new();
    let record = Phone::enrolled(&desk, "officer").await.submitted_visit(&desk).await;
    let page = desk.get(&format!("/api/v1/records/{record}")).await;
    let seen = page.header("etag").to_owned();
    assert_eq!(seen, format!("\"{}\"", page.json()["header"]["version"].as_str().unwrap()));
    let acts = format!("/api/v1/records/{record}/acts");
    let approve = json!({ "act": "approve" });

    assert_problem(&desk.post(&acts, &approve, None).await, 428, "version_required");
    assert_problem(&desk.post(&acts, &approve, Some("*")).await, 428, "version_required");
    assert_problem(&desk.post(&acts, &approve, Some("unquoted")).await, 400, "malformed");
    let stale = desk.post(&acts, &approve, Some("\"0000\"")).await;
    assert_problem(&stale, 412, "moved");
    assert_eq!(stale.header("etag"), seen);
    assert!(stale.json()["changed"].is_array() && stale.json()["acts"].is_array());

    assert_problem(
        &desk.post(&acts, &json!({ "act": "return" }), Some(&seen)).await,
        422,
        "comment_required",
    );
    assert_problem(
        &desk.post(&acts, &json!({ "act": "fly" }), Some(&seen)).await,
        422,
        "unknown_act",
    );
    assert_problem(
        &desk.post(&acts, &json!({ "akt": "approve" }), Some(&seen)).await,
        400,
        "malformed",
    );
    let met = desk.post(&acts, &json!({ "act": "finish" }), Some(&seen)).await;
    assert_problem(&met, 409, "state_met");
    assert_eq!(met.json()["state"], "submitted");

    let done = desk.post(&acts, &approve, Some(&seen)).await;
    assert_eq!(done.status, 200, "{}", done.text());
    assert_eq!(done.json()["state"], "approved");
    assert_ne!(done.header("etag"), seen);
    assert_problem(
        &desk
            .post(&acts, &json!({ "act": "reopen", "comment": "again" }), Some(&seen))
            .await,
        412,
        "moved",
    );
}

#[tokio::test]
async fn a_bulk_approval_says_of_each_record_what_became_of_it() {
    let desk = Desk::new();
    let record = Phone::enrolled(&desk, "officer").await.submitted_visit(&desk).await;
    let queue = desk.get("/api/v1/review").await.json();
    let row = &queue["rows"][0];
    assert_eq!(row["id"], record.to_string());
    let unknown = "01900000-0000-7000-8000-000000000000";
    let body = json!({ "records": [{ "id": unknown, "version": "00" }, { "id": row["id"], "version": row["version"] }] });
    let outcome = desk.post("/api/v1/review/approve", &body, None).await.json();
    assert_eq!(outcome["approved"], 1, "{outcome}");
    assert_eq!(outcome["results"][0]["problem"]["code"], "no_record");
    assert_eq!(outcome["results"][1]["done"]["state"], "approved");
    assert!(desk.get("/api/v1/review").await.json()["rows"].as_array().unwrap().is_empty());
    let none = desk.post("/api/v1/review/approve", &json!({ "records": [] }), None).await;
    assert_problem(&none, 400, "malformed");
}

#[tokio::test]
async fn a_record_is_read_with_history_and_track_and_found_by_its_words() {
    let desk = Desk::new();
    let record = Phone::enrolled(&desk, "officer").await.submitted_visit(&desk).await;
    let page = desk.get(&format!("/api/v1/records/{record}")).await;
    assert_eq!(page.header("cache-control"), "no-store");
    assert_eq!(page.json()["official"]["fields"]["outcome"], "done");
    let history = desk.get(&format!("/api/v1/records/{record}/history")).await.json();
    let outcome = history["writes"]
        .as_array()
        .unwrap()
        .iter()
        .find(|write| write["path"] == "fields/outcome");
    assert!(outcome.unwrap()["author"]["name"].is_string());
    let track = desk.get(&format!("/api/v1/records/{record}/track")).await;
    assert_eq!(track.header("content-type"), "application/geo+json");
    assert_eq!(track.json()["type"], "FeatureCollection");
    assert_eq!(
        desk.get("/api/v1/records?kind=visit&state=submitted").await.json()["rows"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        desk.get("/api/v1/records?kind=patrol").await.json()["rows"]
            .as_array()
            .unwrap()
            .len(),
        0
    );
    let found = desk.get(&format!("/api/v1/search?q={}", phone::WORDS_IN_URL)).await.json();
    assert_eq!(found["rows"][0]["id"], record.to_string(), "{found}");
}

#[tokio::test]
async fn requests_that_make_no_sense_are_problems_that_say_what_would() {
    let desk = Desk::new();
    assert_problem(&desk.get("/api/v1/nothing").await, 404, "no_route");
    assert_problem(&desk.get("/api/v1/records/not-an-id").await, 400, "malformed");
    assert_problem(&desk.get(&example("/api/v1/records/{id}")).await, 404, "no_record");
    assert_problem(&desk.get("/api/v1/records?colour=red").await, 400, "malformed");
    assert_problem(&desk.get("/api/v1/search").await, 400, "malformed");
    let bearer = desk.bearer();
    let delete = desk
        .call(Method::DELETE, "/api/v1/records", Some(&bearer), &[], Vec::new())
        .await;
    assert_problem(&delete, 405, "no_method");
    let text = [("content-type", "text/plain")];
    let untyped = desk
        .call(Method::POST, "/api/v1/users", Some(&bearer), &text, b"{}".to_vec())
        .await;
    assert_problem(&untyped, 415, "media_type");
    let long = json!({ "name": "x".repeat(300_000), "roles": [] });
    assert_problem(&desk.post("/api/v1/users", &long, None).await, 413, "too_large");
}

#[tokio::test]
async fn the_chief_adds_a_person_who_gets_a_token_and_a_phone() {
    let desk = Desk::new();
    let added = desk
        .post("/api/v1/users", &json!({ "name": "王警官", "roles": ["officer"] }), None)
        .await;
    assert_eq!(added.status, 201, "{}", added.text());
    let user = added.json()["user"].as_str().unwrap().to_owned();
    let users = desk.get("/api/v1/users").await.json();
    assert!(
        users["users"]
            .as_array()
            .unwrap()
            .iter()
            .any(|known| known["user"] == user.as_str())
    );
    let token = desk
        .post(&format!("/api/v1/users/{user}/token"), &json!({}), None)
        .await
        .json();
    let bearer = format!("Bearer {}", token["token"].as_str().unwrap());
    let mine = desk
        .call(Method::GET, "/api/v1/records", Some(&bearer), &[], Vec::new())
        .await;
    assert_eq!(mine.status, 200, "{}", mine.text());
    let body = json!({ "name": "x", "roles": ["officer"] }).to_string().into_bytes();
    let typed = [("content-type", "application/json")];
    let refused = desk.call(Method::POST, "/api/v1/users", Some(&bearer), &typed, body).await;
    assert_problem(&refused, 403, "forbidden");
    let nobody = desk
        .post(&example("/api/v1/users/{id}/enrolment-code"), &json!({}), None)
        .await;
    assert_problem(&nobody, 404, "not_found");
}

#[tokio::test]
async fn kinds_status_and_checkpoint_are_shown() {
    let desk = Desk::new();
    let kinds = desk.get("/api/v1/kinds").await.json();
    let visit = kinds["kinds"]
        .as_array()
        .unwrap()
        .iter()
        .find(|kind| kind["kind"] == "visit")
        .unwrap();
    assert_eq!(visit["definition"]["workflow"]["initial"], "due");
    let status = desk.get("/api/v1/status").await.json();
    let checkpoint = desk.get("/api/v1/checkpoint").await.text();
    let size = checkpoint.lines().nth(1).unwrap();
    assert_eq!(status["ledger"]["size"].to_string(), size);
}

fn zstd_of_zeros() -> Vec<u8> {
    let bomb = beatbook_protocol::codec::compress(&vec![0; beatbook_protocol::limits::EXCHANGE_BYTES_MAX + 1]).unwrap();
    assert!(bomb.len() < EXCHANGE_WIRE_BYTES_MAX);
    assert!(wire::unpack(&bomb).is_err());
    bomb
}
