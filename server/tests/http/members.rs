//! The registry over HTTP: units, people, memberships, tables; who may, and what is answered.

use axum::http::Method;
use serde_json::{Value as Json, json};

use crate::desk::{Desk, Reply};
use crate::phone::Phone;

async fn post(desk: &Desk, bearer: &str, path: &str, body: &Json) -> Reply {
    let headers = [("content-type", "application/json")];
    desk.call(Method::POST, path, Some(bearer), &headers, body.to_string().into_bytes())
        .await
}

async fn added(desk: &Desk, path: &str, body: &Json, what: &str) -> String {
    let reply = post(desk, &desk.bearer(), path, body).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    reply.json()[what].as_str().unwrap().to_owned()
}

/// A unit with a chief and an officer: their ids.
async fn east(desk: &Desk) -> [String; 3] {
    let unit = json!({ "name": "东", "level": "community", "code": "E" });
    let east = added(desk, "/api/v1/units", &unit, "unit").await;
    let person = |name: &str, role: &str| json!({ "name": name, "roles": [role], "unit": east, "code": name.len().to_string() });
    let other = added(desk, "/api/v1/users", &person("孙", "chief"), "user").await;
    let user = added(desk, "/api/v1/users", &person("赵警", "officer"), "user").await;
    [east, other, user]
}

fn in_a_minute() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(now.as_millis()).unwrap() + 60_000
}

#[tokio::test]
async fn a_chief_orders_a_stand_in_and_everybody_sees_who_acts_for_whom() {
    let desk = Desk::new();
    let chief = desk.bearer();
    let [east, other, user] = east(&desk).await;
    let until = 4_000_000_000_000_i64;
    let wanted = json!({ "user": user, "unit": east, "stands_in_for": other, "until": until });
    let refused = post(&desk, &chief, "/api/v1/memberships", &wanted).await;
    assert_eq!(refused.status, 400);
    assert!(refused.json()["detail"].as_str().unwrap().contains("90 days"));
    let until = in_a_minute();
    let wanted = json!({ "user": user, "unit": east, "stands_in_for": other, "until": until });
    added(&desk, "/api/v1/memberships", &wanted, "membership").await;
    let listed = desk.get("/api/v1/memberships").await.json();
    assert_eq!(listed["memberships"][0]["acting_for"], json!("孙"));
    assert_eq!(listed["memberships"][0]["phase"], json!("in_force"));
    let people = desk.get("/api/v1/users").await.json();
    let person = people["users"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["user"] == json!(user))
        .unwrap();
    assert_eq!(
        (&person["memberships"][0]["acting_for"], &person["code"]),
        (&json!("孙"), &json!("6"))
    );
}

#[tokio::test]
async fn a_stand_in_keeps_the_registry_where_he_stands_in_until_it_ends() {
    let desk = Desk::new();
    let chief = desk.bearer();
    let [east, other, user] = east(&desk).await;
    let wanted = json!({ "user": user, "unit": east, "stands_in_for": other, "until": in_a_minute() });
    let membership = added(&desk, "/api/v1/memberships", &wanted, "membership").await;
    let token = post(&desk, &chief, &format!("/api/v1/users/{user}/token"), &json!({})).await;
    let his = format!("Bearer {}", token.json()["token"].as_str().unwrap());
    // In the chief's place he keeps the registry of that unit, and not of the one above.
    let renamed = post(
        &desk,
        &his,
        &format!("/api/v1/units/{east}/change"),
        &json!({ "name": "东街" }),
    )
    .await;
    assert_eq!(renamed.status, 204, "{}", renamed.text());
    assert_eq!(
        post(&desk, &his, "/api/v1/units", &json!({ "name": "外", "parent": null }))
            .await
            .status,
        201
    );
    let end = format!("/api/v1/memberships/{membership}/end");
    assert_eq!(post(&desk, &chief, &end, &json!({})).await.status, 204);
    assert_eq!(post(&desk, &chief, &end, &json!({})).await.status, 404);
    assert_eq!(
        post(
            &desk,
            &his,
            &format!("/api/v1/units/{east}/close"),
            &json!({ "closed": true })
        )
        .await
        .status,
        403
    );
    assert!(
        desk.get("/api/v1/memberships").await.json()["memberships"]
            .as_array()
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        desk.get("/api/v1/memberships?ended=true").await.json()["memberships"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn a_blocked_persons_token_is_none_and_a_persons_phones_are_listed() {
    let desk = Desk::new();
    let chief = desk.bearer();
    let [_, _, user] = east(&desk).await;
    let token = post(&desk, &chief, &format!("/api/v1/users/{user}/token"), &json!({})).await;
    let his = format!("Bearer {}", token.json()["token"].as_str().unwrap());
    let end = "/api/v1/memberships/00000000-0000-7000-8000-000000000000/end";
    assert_eq!(post(&desk, &his, end, &json!({})).await.status, 403, "an officer ends none");
    // Blocked, his token is none.
    assert_eq!(
        post(
            &desk,
            &chief,
            &format!("/api/v1/users/{user}/block"),
            &json!({ "blocked": true })
        )
        .await
        .status,
        204
    );
    assert_eq!(post(&desk, &his, end, &json!({})).await.status, 401);
    assert_eq!(
        post(
            &desk,
            &chief,
            &format!("/api/v1/users/{user}/change"),
            &json!({ "name": "赵\u{202e}" })
        )
        .await
        .status,
        400
    );
    Phone::enrolled(&desk, "officer").await;
    let people = desk.get("/api/v1/users").await.json();
    let person = people["users"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["name"] == json!("王警官"))
        .unwrap();
    let devices = desk
        .get(&format!("/api/v1/users/{}/devices", person["user"].as_str().unwrap()))
        .await
        .json();
    assert_eq!(devices["devices"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn tables_come_in_dry_and_then_for_good_and_go_out_as_files() {
    let desk = Desk::new();
    let chief = desk.bearer();
    let import = async |query: &str, media_type: &str, body: &[u8]| {
        let path = format!("/api/v1/import{query}");
        desk.call(
            Method::POST,
            &path,
            Some(&chief),
            &[("content-type", media_type)],
            body.to_vec(),
        )
        .await
    };
    let table = "code,name,parent\nHOME,中关村社区,\nG1,一号网格,HOME\n";
    let dry = import("?sheet=units", "text/csv; charset=utf-8", table.as_bytes()).await;
    assert_eq!(dry.status, 200, "{}", dry.text());
    assert_eq!(
        (&dry.json()["applied"], &dry.json()["added"], &dry.json()["changed"]),
        (&json!(false), &json!(1), &json!(1))
    );
    let done = import("?sheet=units&apply=true", "text/csv", table.as_bytes()).await.json();
    assert_eq!(
        (&done["applied"], &done["lines"][1]["outcome"]),
        (&json!(true), &json!("added"))
    );
    let people = "编号,姓名,单位编码,角色\nP1,=1+1,G1,网格员\n";
    assert_eq!(
        import("?sheet=people&apply=true", "text/csv", people.as_bytes()).await.json()["added"],
        json!(1)
    );
    let file = desk.get("/api/v1/export/people").await;
    assert_eq!(file.header("content-disposition"), "attachment; filename=\"people.csv\"");
    assert!(file.text().contains("P1,'=1+1,G1,grid_worker"), "{}", file.text());
    assert_eq!(import("", "text/csv", table.as_bytes()).await.status, 400);
    assert_eq!(import("?sheet=units", "application/json", b"{}").await.status, 415);
    assert_eq!(
        import("?sheet=units", "text/csv", &vec![b'a'; 4 * 1024 * 1024 + 1])
            .await
            .status,
        413
    );
    let book = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
    assert_eq!(import("", book, b"PK\x03\x04nonsense").await.status, 400);
    let officer = added(&desk, "/api/v1/users", &json!({ "name": "李", "roles": ["officer"] }), "user").await;
    let token = post(&desk, &chief, &format!("/api/v1/users/{officer}/token"), &json!({})).await;
    let his = format!("Bearer {}", token.json()["token"].as_str().unwrap());
    let refused = desk
        .call(Method::GET, "/api/v1/export/units", Some(&his), &[], Vec::new())
        .await;
    assert_eq!(refused.status, 403);
}
