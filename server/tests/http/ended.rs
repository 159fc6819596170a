//! How phones come and go, over HTTP: the end of a book against streams and tokens in the order of things, and the chief's calls.

use std::future::poll_fn;
use std::pin::Pin;

use axum::body::{Body, HttpBody};
use beatbook_protocol::wire::RefusalCode;
use serde_json::json;

use crate::assert_problem;
use crate::desk::Desk;
use crate::phone::Phone;

/// The next piece of a stream; none at its end.
async fn piece(body: &mut Body) -> Option<String> {
    let frame = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await?;
    Some(String::from_utf8(frame.unwrap().into_data().unwrap().to_vec()).unwrap())
}

#[tokio::test]
async fn an_ended_phone_hears_no_hint_and_no_reply() {
    let desk = Desk::new();
    let phone = Phone::enrolled(&desk, "officer").await;
    let mut other = Phone::enrolled(&desk, "officer").await;
    let mut stream = desk.hints(&phone.token).await.into_body();
    assert_eq!(piece(&mut stream).await.unwrap(), ": listening\n\n");
    let path = format!("/api/v1/books/{}/end", phone.book());
    let ended = desk.post(&path, &json!({ "why": "lost" }), None).await;
    assert_eq!(ended.status, 204, "{}", ended.text());
    // What happens next in the unit is told to nobody who has ended: the stream is over, whatever it still had to say.
    other.submitted_visit(&desk).await;
    while let Some(said) = piece(&mut stream).await {
        assert!(!said.contains("hint"), "{said}");
    }
    assert_eq!(desk.hints(&phone.token).await.status(), 401);
    let bearer = format!("Bearer {}", phone.token);
    let refused = desk
        .sync("/sync/v1/exchange", phone.request(vec![]), &[("authorization", &bearer)])
        .await;
    assert_eq!((refused.status, refused.refusal().code()), (401, RefusalCode::SignIn));
    assert_eq!(
        desk.sync("/sync/v1/parcels", vec![], &[("authorization", &bearer)])
            .await
            .status,
        401
    );
    assert_problem(&desk.post(&path, &json!({ "why": "lost" }), None).await, 400, "invalid");
}

#[tokio::test]
async fn every_wrong_order_about_books_is_a_clear_problem() {
    let desk = Desk::new();
    let phone = Phone::enrolled(&desk, "officer").await;
    let book = phone.book();
    let nobody = "01900000-0000-7000-8000-000000000000";
    for (path, body, status, code) in [
        (
            format!("/api/v1/books/{book}/end"),
            json!({ "why": "stolen; DROP" }),
            400,
            "invalid",
        ),
        (format!("/api/v1/books/{book}/end"), json!({}), 400, "malformed"),
        (
            format!("/api/v1/books/{nobody}/end"),
            json!({ "why": "lost" }),
            404,
            "not_found",
        ),
        (
            "/api/v1/books/..%2f/end".to_owned(),
            json!({ "why": "lost" }),
            400,
            "malformed",
        ),
        (
            format!("/api/v1/books/{book}/confirm"),
            json!({ "check_digits": "1" }),
            400,
            "invalid",
        ),
        (
            "/api/v1/quarantine/admit".to_owned(),
            json!({ "pages": [], "reason": "x" }),
            400,
            "invalid",
        ),
        (
            "/api/v1/quarantine/refuse".to_owned(),
            json!({ "pages": ["00".repeat(32)], "reason": "x" }),
            404,
            "not_found",
        ),
        (
            "/api/v1/quarantine/refuse".to_owned(),
            json!({ "pages": ["00".repeat(32)], "reason": "长".repeat(501) }),
            400,
            "invalid",
        ),
    ] {
        assert_problem(&desk.post(&path, &body, None).await, status, code);
    }
    assert_problem(
        &desk.get(&format!("/api/v1/enrolment-codes/{nobody}")).await,
        404,
        "not_found",
    );
    let shown = desk.get(&format!("/api/v1/books/{book}")).await.json();
    assert_eq!(
        (&shown["device"], &shown["ended"], &shown["awaits"]),
        (&json!("test phone"), &json!(null), &json!(false))
    );
    let refused = desk.sync("/sync/v1/wiped", vec![1, 2, 3], &[]).await;
    assert_eq!(refused.refusal().code(), RefusalCode::Malformed);
}

#[tokio::test]
async fn the_quarantine_is_a_list_that_is_asked_for_page_by_page() {
    let desk = Desk::new();
    let held = desk.get("/api/v1/quarantine?decided=true").await.json();
    assert_eq!(held, json!({ "records": [], "others": [], "next": null }));
    for wrong in ["after=nonsense", "limit=0", "limit=513", "page=2"] {
        assert!(
            [400, 422].contains(&desk.get(&format!("/api/v1/quarantine?{wrong}")).await.status),
            "{wrong}"
        );
    }
}

#[tokio::test]
async fn a_code_is_followed_by_its_number_and_never_shown_again() {
    let desk = Desk::new();
    let added = desk
        .post("/api/v1/users", &json!({ "name": "王警官", "roles": ["officer"] }), None)
        .await
        .json();
    let path = format!("/api/v1/users/{}/enrolment-code", added["user"].as_str().unwrap());
    let issued = desk.post(&path, &json!({}), None).await.json();
    for field in ["code", "invitation", "qr"] {
        assert!(issued[field].as_str().is_some_and(|text| !text.is_empty()), "{field}");
    }
    let status = desk
        .get(&format!("/api/v1/enrolment-codes/{}", issued["id"].as_str().unwrap()))
        .await;
    assert_eq!(status.json()["state"], "open");
    assert!(!status.text().contains(issued["code"].as_str().unwrap()));
}
