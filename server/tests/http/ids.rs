//! Names of things in paths: whatever of another unit somebody names, he is answered as if there were no such thing.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::Method;
use beatbook_protocol::blob::{TUS_MEDIA_TYPE, TUS_VERSION, UploadMetadata, blob_name};
use beatbook_protocol::document::Edit;
use beatbook_protocol::facts::FileRef;
use beatbook_protocol::id::{Hash, UnitId, UserId};
use beatbook_protocol::kind::Who;
use beatbook_server::environment::Environment;
use beatbook_server::http::{Access, routes};
use beatbook_server::policy::{Permission, ROLES, permits};
use beatbook_server::station::MembershipOrder;
use serde_json::{Value as Json, json};

use crate::desk::{Desk, Reply};
use crate::phone::Phone;
use crate::rights::Town;

/// A name that nothing has.
const NOBODY: &str = "01900000-0000-7000-8000-000000000000";

/// Calls that come to no door when a program makes them, and why.
const NOT_FOR_PROGRAMS: [(&str, &str); 1] = [(
    "users/ID/invitation",
    "takes a session; `nobody_gets_at_another_persons_account_beyond_his_own_roles_and_units` asks with one",
)];

/// A call about one thing, whose name stands in its path as `ID`.
struct Call {
    method: Method,
    path: &'static str,
    body: Json,
}

impl Call {
    /// The first part of its path: of which sort the thing is.
    fn sort(&self) -> &'static str {
        self.path.split('/').next().unwrap_or_default()
    }

    fn name_of_nothing(&self) -> String {
        match self.sort() {
            "blobs" => "0".repeat(64),
            _ => NOBODY.to_owned(),
        }
    }

    /// What becomes of it with this name.
    async fn about(&self, id: &str, desk: &Desk, token: &str) -> Reply {
        let (path, bearer) = (format!("/api/v1/{}", self.path.replace("ID", id)), format!("Bearer {token}"));
        let headers = [
            ("content-type", "application/json"),
            ("if-match", "\"00\""),
            ("beatbook-reason", "because"),
        ];
        let (headers, body) = match self.method {
            Method::GET => (&headers[2..], Vec::new()),
            _ => (&headers[..], self.body.to_string().into_bytes()),
        };
        desk.call(self.method.clone(), &path, Some(&bearer), headers, body).await
    }
}

fn get(path: &'static str) -> Call {
    let (method, body) = (Method::GET, Json::Null);
    Call { method, path, body }
}

fn post(path: &'static str, body: Json) -> Call {
    let method = Method::POST;
    Call { method, path, body }
}

/// All calls about one thing, with what each takes: a person and a unit of the caller's own are named where one is needed.
fn calls_with_ids(user: UserId, unit: UnitId) -> Vec<Call> {
    let ground = || json!({ "ground": "法院判决第7号" });
    vec![
        get("records/ID"),
        get("records/ID/history"),
        get("records/ID/entries"),
        get("records/ID/track"),
        get("records/ID/grants"),
        post("records/ID/grants", json!({ "user": user, "reason": "shared" })),
        post("records/ID/break-glass", json!({ "reason": "只是看看" })),
        post("records/ID/acts", json!({ "act": "comment", "comment": "x" })),
        post("records/ID/settle", json!({ "path": "fields/outcome", "value": "done" })),
        post("records/ID/merge", json!({ "into": NOBODY })),
        post("records/ID/not-duplicate", json!({ "other": NOBODY })),
        post("records/ID/unmerge", json!({})),
        get("records/ID/hold"),
        post("records/ID/hold", ground()),
        post("records/ID/release", ground()),
        post("records/ID/destroy", ground()),
        get("records/ID/extract?request=01900000-0000-7000-8000-000000000000"),
        get("blobs/ID"),
        post("units/ID/move", json!({ "parent": unit })),
        post("units/ID/change", json!({ "name": "别名" })),
        post("units/ID/close", json!({ "closed": true })),
        post("users/ID/move", json!({ "unit": unit })),
        post("users/ID/change", json!({ "name": "别名" })),
        post("users/ID/block", json!({ "blocked": true })),
        get("users/ID/devices"),
        post("memberships/ID/end", json!({})),
        post("users/ID/enrolment-code", json!({})),
        post("users/ID/unlock-code", json!({})),
        get("enrolment-codes/ID"),
        get("books/ID"),
        post("books/ID/confirm", json!({ "check_digits": "0000 0000 0000" })),
        post("books/ID/end", json!({ "why": "lost" })),
        post("users/ID/invitation", json!({ "account": "somebody" })),
        get("users/ID/sessions"),
        post("users/ID/sessions/end", json!({})),
        post("users/ID/token", json!({})),
        get("users/ID/tokens"),
        post("users/ID/tokens/revoke", json!({ "token": "0".repeat(64) })),
    ]
}

/// A photo of a visit, which the station has whole.
async fn photo(desk: &Desk) -> Hash {
    let content = b"what the street lamp looks like".to_vec();
    let (name, mut phone) = (blob_name(&content), Phone::enrolled(desk, "officer").await);
    let metadata = UploadMetadata {
        sha256: name,
        media_type: "image/jpeg".into(),
    };
    let (length, metadata) = (content.len().to_string(), metadata.to_header());
    let headers = [
        ("tus-resumable", TUS_VERSION),
        ("upload-length", &*length),
        ("upload-metadata", &*metadata),
        ("content-type", TUS_MEDIA_TYPE),
    ];
    let bearer = format!("Bearer {}", phone.token);
    let file = FileRef {
        field: "photos".into(),
        media_type: "image/jpeg".into(),
        bytes: content.len() as u64,
        thumbnail: None,
        removed: false,
    };
    let sent = desk
        .call(Method::POST, "/sync/v1/blobs", Some(&bearer), &headers, content)
        .await;
    assert_eq!(sent.status, 201);
    phone.submitted_visit_with(desk, Edit::new().file(name, file)).await;
    name
}

/// What a town has, by sort.
async fn things_of(town: &Town) -> BTreeMap<&'static str, String> {
    let station = &town.desk.station;
    let officer = town.people[&Who::Officer].0;
    let north = station.add_unit(None, "北", Some(town.unit)).unwrap();
    let wanted = MembershipOrder {
        user: officer,
        unit: north,
        roles: vec!["officer".into()],
        stands_in_for: None,
        from: None,
        until: None,
    };
    let membership = station.order_membership(None, &wanted).unwrap();
    let enrolment = station.enrolment_code(None, officer).unwrap().id;
    BTreeMap::from([
        ("records", town.record.to_string()),
        ("blobs", photo(&town.desk).await.to_string()),
        ("units", town.unit.to_string()),
        ("users", officer.to_string()),
        ("memberships", membership.to_string()),
        ("enrolment-codes", enrolment.to_string()),
        ("books", town.phone.book().to_string()),
    ])
}

#[test]
fn every_route_for_people_with_a_name_in_its_path_is_tried_with_a_foreign_one() {
    let (user, unit) = (UserId::from_bytes([1; 16]), UnitId::from_bytes([2; 16]));
    let without_query = |path: &'static str| path.split('?').next().unwrap_or(path);
    let tried: BTreeSet<String> = calls_with_ids(user, unit)
        .iter()
        .map(|call| format!("{} /api/v1/{}", call.method, without_query(call.path).replace("ID", "NAME")))
        .collect();
    let there: BTreeSet<String> = routes()
        .iter()
        .filter(|route| matches!(route.access, Access::Person(_)) && route.path.contains('{'))
        .map(|route| {
            format!(
                "{} {}",
                route.method,
                route.path.replace("{id}", "NAME").replace("{sha256}", "NAME")
            )
        })
        .collect();
    assert_eq!(tried, there);
}

#[tokio::test]
async fn ids_of_another_unit_are_answered_as_if_there_were_no_such_thing() {
    let town = Town::new(Environment::system()).await;
    let (desk, theirs) = (&town.desk, things_of(&town).await);
    // Those to whom they belong are shown all of it. An extract needs a request that was granted.
    let (chief, token) = &town.people[&Who::Chief];
    for call in calls_with_ids(*chief, town.unit)
        .iter()
        .filter(|call| call.method == Method::GET)
    {
        let reply = call.about(&theirs[call.sort()], desk, token).await;
        assert!(
            reply.status == 200 || call.path.contains("extract"),
            "{}: {}",
            call.path,
            reply.text()
        );
    }
    let east = desk.station.add_unit(None, "东", Some(town.unit)).unwrap();
    let mut came_to_a_door = BTreeSet::new();
    for role in ROLES {
        let user = desk.station.add_user(None, "东", &[role.code().to_owned()], east).unwrap();
        let token = desk.station.issue_token(None, user).unwrap();
        let mut tried = 0;
        for call in calls_with_ids(user, east) {
            let mut answers = Vec::new();
            for id in [&theirs[call.sort()], &call.name_of_nothing()] {
                let reply = call.about(id, desk, &token).await;
                answers.push((reply.status, reply.text().replace(id.as_str(), "ID")));
            }
            let at = format!("{} {} as {}", call.method, call.path, role.code());
            assert_eq!(answers[0], answers[1], "{at}");
            assert!([404, 403].contains(&answers[0].0), "{at}: {answers:?}");
            if answers[0].0 == 404 {
                came_to_a_door.insert(format!("{} {}", call.method, call.path));
                tried += 1;
            }
        }
        let least = if role == Who::Auditor { 2 } else { 6 };
        assert!(tried >= least, "{}: only {tried} came to a door", role.code());
        if permits(role, Permission::ReadRecords) {
            stands_in_no_list(desk, &token, &theirs["records"]).await;
        }
    }
    for call in calls_with_ids(*chief, east) {
        let at = format!("{} {}", call.method, call.path);
        let is_let_off = NOT_FOR_PROGRAMS.iter().any(|(path, _)| *path == call.path);
        assert!(came_to_a_door.contains(&at) != is_let_off, "{at}");
    }
}

async fn stands_in_no_list(desk: &Desk, token: &str, record: &str) {
    let bearer = format!("Bearer {token}");
    for list in ["records?limit=500", "review", "duplicates", "search?q=%E8%B7%AF%E7%81%AF"] {
        let path = format!("/api/v1/{list}");
        let reply = desk.call(Method::GET, &path, Some(&bearer), &[], Vec::new()).await;
        assert_eq!(reply.status, 200);
        assert!(!reply.text().contains(record), "{list}");
    }
}
