//! Moving people and units and sharing records, over HTTP: who may, what is answered, and what phones and colleagues see then.

use axum::http::Method;
use serde_json::{Value as Json, json};

use crate::desk::{Desk, Reply};
use crate::phone::Phone;

pub(crate) async fn post(desk: &Desk, bearer: &str, path: &str, body: &Json) -> Reply {
    let headers = [("content-type", "application/json")];
    desk.call(Method::POST, path, Some(bearer), &headers, body.to_string().into_bytes())
        .await
}

#[tokio::test]
async fn a_chief_moves_people_and_units_and_shares_records_and_nobody_else_does() {
    let desk = Desk::new();
    let chief = desk.bearer();
    let record = Phone::enrolled(&desk, "officer").await.submitted_visit(&desk).await;
    let added = post(&desk, &chief, "/api/v1/units", &json!({ "name": "东" })).await;
    assert_eq!(added.status, 201, "{}", added.text());
    let east = added.json()["unit"].as_str().unwrap().to_owned();
    let person = post(
        &desk,
        &chief,
        "/api/v1/users",
        &json!({ "name": "赵", "roles": ["officer"], "unit": east }),
    )
    .await;
    let user = person.json()["user"].as_str().unwrap().to_owned();
    let token = post(&desk, &chief, &format!("/api/v1/users/{user}/token"), &json!({})).await;
    let his = format!("Bearer {}", token.json()["token"].as_str().unwrap());
    let page = format!("/api/v1/records/{record}");
    let sees = || desk.call(Method::GET, &page, Some(&his), &[], Vec::new());
    assert_eq!(sees().await.status, 404);

    let grants = format!("{page}/grants");
    let share = json!({ "user": user, "reason": "shared" });
    assert_eq!(post(&desk, &his, &grants, &share).await.status, 403);
    assert_eq!(post(&desk, &chief, &grants, &json!({ "reason": "shared" })).await.status, 400);
    assert_eq!(post(&desk, &chief, &grants, &share).await.status, 204);
    assert_eq!(sees().await.status, 200);
    let listed = desk.get(&grants).await.json();
    assert_eq!(listed["grants"][0]["user"], json!(user));
    let end = json!({ "user": user, "reason": "shared", "ended": true });
    assert_eq!(post(&desk, &chief, &grants, &end).await.status, 204);
    assert_eq!(sees().await.status, 404);
    assert_eq!(post(&desk, &chief, &grants, &end).await.status, 404);

    let units = desk.get("/api/v1/units").await.json();
    let root = units["units"]
        .as_array()
        .unwrap()
        .iter()
        .find(|unit| unit["parent"].is_null())
        .unwrap()["unit"]
        .clone();
    let moved = format!("/api/v1/users/{user}/move");
    assert_eq!(post(&desk, &his, &moved, &json!({ "unit": root })).await.status, 403);
    assert_eq!(post(&desk, &chief, &moved, &json!({ "unit": root })).await.status, 204);
    assert_eq!(sees().await.status, 200, "his unit is the record's now");
    assert_eq!(
        post(&desk, &chief, &moved, &json!({ "roles": ["station"] })).await.status,
        400,
        "no role of a person"
    );
    let below_itself = post(
        &desk,
        &chief,
        &format!("/api/v1/units/{}/move", root.as_str().unwrap()),
        &json!({ "parent": east }),
    )
    .await;
    assert_eq!(below_itself.status, 400);
}
