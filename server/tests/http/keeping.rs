//! What is kept and what goes, over HTTP: who may hold, destroy, look and export, and what each is told.

use axum::http::Method;
use serde_json::json;

use crate::assert_problem;
use crate::desk::Desk;
use crate::moves::post;
use crate::phone::Phone;

async fn colleague(desk: &Desk, role: &str) -> String {
    let chief = desk.bearer();
    let units = desk.get("/api/v1/units").await.json();
    let body = json!({ "name": "某人", "roles": [role], "unit": units["units"][0]["unit"] });
    let user = post(desk, &chief, "/api/v1/users", &body).await.json()["user"].clone();
    let user = user.as_str().unwrap().parse().unwrap();
    format!("Bearer {}", desk.station.issue_token(None, user).unwrap())
}

#[tokio::test]
async fn a_record_is_held_released_and_destroyed_by_those_who_may_and_it_shows() {
    let desk = Desk::new();
    let chief = desk.bearer();
    let record = Phone::enrolled(&desk, "officer").await.submitted_visit(&desk).await;
    let (officer, auditor) = (colleague(&desk, "officer").await, colleague(&desk, "auditor").await);
    let at = |what: &str| format!("/api/v1/records/{record}/{what}");
    let ground = json!({ "ground": "(2026)京01民初77号" });
    for path in ["hold", "release", "destroy"] {
        assert_problem(&post(&desk, &officer, &at(path), &ground).await, 403, "forbidden");
        assert_problem(&post(&desk, &auditor, &at(path), &ground).await, 403, "forbidden");
    }
    assert_problem(
        &post(&desk, &chief, &at("hold"), &json!({ "ground": " " })).await,
        400,
        "invalid",
    );
    assert_problem(&post(&desk, &chief, &at("release"), &ground).await, 404, "not_found");
    assert_eq!(post(&desk, &chief, &at("hold"), &ground).await.status, 204);
    assert_eq!(desk.get(&at("hold")).await.json()["hold"]["ground"], ground["ground"]);
    assert_problem(&post(&desk, &chief, &at("destroy"), &ground).await, 409, "held");
    assert_eq!(post(&desk, &chief, &at("release"), &ground).await.status, 204);
    assert!(desk.get(&at("hold")).await.json()["hold"].is_null());
    assert_problem(&post(&desk, &chief, &at("destroy"), &json!({})).await, 400, "invalid");
    let wrong = json!({ "request": record.to_string() });
    assert_problem(&post(&desk, &chief, &at("destroy"), &wrong).await, 400, "invalid");
    let nothing_private = json!({ "ground": "命令", "private_only": true });
    assert_problem(&post(&desk, &chief, &at("destroy"), &nothing_private).await, 404, "not_found");
    let extract = format!("{}?request={record}", at("extract"));
    let asked = desk.call(Method::GET, &extract, Some(&chief), &[], Vec::new()).await;
    assert_problem(&asked, 400, "invalid");
    let order = json!({ "ground": "=1+1 法院判决" });
    let done = post(&desk, &chief, &at("destroy"), &order).await;
    assert_eq!((done.status, &done.json()["entries"]), (200, &json!(3)), "{}", done.text());
    assert_problem(&post(&desk, &chief, &at("destroy"), &order).await, 404, "not_found");
    let page = desk
        .call(
            Method::GET,
            &format!("/api/v1/records/{record}"),
            Some(&chief),
            &[],
            Vec::new(),
        )
        .await;
    assert_problem(&page, 404, "no_record");
    for path in ["/api/v1/destructions", "/api/v1/destructions.csv", "/api/v1/retention"] {
        let refused = desk.call(Method::GET, path, Some(&officer), &[], Vec::new()).await;
        assert_problem(&refused, 403, "forbidden");
        let seen = desk.call(Method::GET, path, Some(&auditor), &[], Vec::new()).await;
        assert_eq!(seen.status, 200, "{path}");
    }
    let told = desk.get("/api/v1/destructions?limit=1").await.json();
    assert_eq!(
        (&told["rows"][0]["record"], &told["rows"][0]["document"]),
        (&json!(record.to_string()), &json!("record"))
    );
    let next = format!("/api/v1/destructions?limit=1&after={}", told["next"].as_str().unwrap());
    assert_eq!(desk.get(&next).await.json()["rows"], json!([]));
    for wrong in ["limit=0", "limit=1001", "after=x", "after=1-x"] {
        let path = format!("/api/v1/destructions?{wrong}");
        let reply = desk.call(Method::GET, &path, Some(&chief), &[], Vec::new()).await;
        assert_eq!(reply.status, 400, "{wrong}");
    }
    let table = desk
        .call(Method::GET, "/api/v1/destructions.csv", Some(&auditor), &[], Vec::new())
        .await;
    assert!(table.header("content-type").starts_with("text/csv"));
    assert!(table.text().contains("'=1+1"), "{}", table.text());
    assert_eq!(desk.get("/api/v1/status").await.json()["due"], json!(0));
}
