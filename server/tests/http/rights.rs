//! Every route with every role, against the table of rights; and the table in the documents against the code.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use axum::http::Method;
use beatbook_protocol::blob::{TUS_MEDIA_TYPE, TUS_VERSION, UploadMetadata};
use beatbook_protocol::id::{Hash, RecordId, UnitId, UserId};
use beatbook_protocol::kind::Who;
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::{self, DeliverRequest, MEDIA_TYPE, NotesRequest, StandingRequest, WIRE_VERSION};
use beatbook_server::config::HttpConfig;
use beatbook_server::environment::{Clock, Environment, SystemClock};
use beatbook_server::http::{Access, Route, routes};
use beatbook_server::policy::{Permission, ROLES, permits};
use serde_json::json;

use crate::desk::{Desk, Reply};
use crate::phone::Phone;

/// The system's clock, and how much later a test has made it.
#[derive(Debug)]
struct LaterClock(AtomicI64);

impl Clock for LaterClock {
    fn now(&self) -> UnixMillis {
        SystemClock.now().plus(self.0.load(Ordering::Relaxed))
    }
}

/// A station with a record and a person of every role in its unit.
pub(crate) struct Town {
    pub(crate) desk: Desk,
    pub(crate) unit: UnitId,
    pub(crate) record: RecordId,
    pub(crate) people: BTreeMap<Who, (UserId, String)>,
    pub(crate) phone: Phone,
}

impl Town {
    pub(crate) async fn new(environment: Environment) -> Self {
        let desk = Desk::with(&HttpConfig::default(), environment);
        let mut phone = Phone::enrolled(&desk, "officer").await;
        let record = phone.submitted_visit(&desk).await;
        let unit = desk.station.units().unwrap()[0].unit;
        let mut people = BTreeMap::new();
        for role in ROLES {
            let user = desk
                .station
                .add_user(None, &format!("一个{}", role.code()), &[role.code().to_owned()], unit)
                .unwrap();
            people.insert(role, (user, desk.station.issue_token(None, user).unwrap()));
        }
        Self {
            desk,
            unit,
            record,
            people,
            phone,
        }
    }

    /// A route's path with what there is in it: the record, the unit, and for people's own calls the caller.
    fn path(&self, route: &Route, caller: UserId) -> String {
        let id = if route.path.contains("/records/") {
            self.record.to_string()
        } else if route.path.contains("/units/") {
            self.unit.to_string()
        } else {
            caller.to_string()
        };
        route.path.replace("{id}", &id).replace("{sha256}", &"0".repeat(64))
    }

    async fn ask(&self, route: &Route, path: &str, token: Option<&str>) -> Reply {
        let bearer = token.map(|token| format!("Bearer {token}"));
        let (typed, body) = if route.method == Method::GET {
            (vec![], Vec::new())
        } else {
            (vec![("content-type", "application/json")], b"{}".to_vec())
        };
        self.desk
            .call(route.method.clone(), path, bearer.as_deref(), &typed, body)
            .await
    }
}

fn of_people() -> impl Iterator<Item = (Route, Permission)> {
    routes().into_iter().filter_map(|route| match route.access {
        Access::Person(permission) => Some((route, permission)),
        Access::Open | Access::Book => None,
    })
}

#[tokio::test]
async fn every_route_answers_every_role_as_the_table_of_rights_says() {
    let town = Town::new(Environment::system()).await;
    let (mut let_in, mut refused) = (0, 0);
    for (route, permission) in of_people() {
        for (role, (user, token)) in &town.people {
            let reply = town.ask(&route, &town.path(&route, *user), Some(token)).await;
            let at = format!("{} {} as {}: {}", route.method, route.path, role.code(), reply.text());
            if permits(*role, permission) {
                // Whether the call makes sense is another matter; only a call of an open stream would not end here, and there is none.
                // What a person does about his own session, no token of a program does.
                let is_for_sessions = reply.status == 403 && reply.json()["code"] == "session_needed";
                assert!(is_for_sessions || ![401, 403].contains(&reply.status), "{at}");
                let_in += 1;
            } else {
                assert_eq!(reply.status, 403, "{at}");
                assert_eq!(reply.json()["code"], "forbidden", "{at}");
                assert!(!reply.text().contains(&town.record.to_string()), "{at}");
                refused += 1;
            }
        }
    }
    assert!(let_in > 100 && refused > 100, "{let_in} let in, {refused} refused");
}

#[tokio::test]
async fn no_token_but_one_in_force_of_this_station_and_of_a_person_opens_a_route_for_people() {
    let clock = Arc::new(LaterClock(AtomicI64::new(0)));
    let environment = Environment {
        clock: clock.clone(),
        ..Environment::system()
    };
    let (town, elsewhere) = (Town::new(environment).await, Town::new(Environment::system()).await);
    let strangers = elsewhere.people[&Who::Chief].1.clone();
    let chiefs = town.people[&Who::Chief].1.clone();
    let cut = &chiefs[..chiefs.len() - 1];
    let bad = [None, Some("nonsense"), Some(&*town.phone.token), Some(&*strangers), Some(cut)];
    for (route, _) in of_people() {
        for token in bad {
            let reply = town.ask(&route, &town.path(&route, town.people[&Who::Chief].0), token).await;
            assert_eq!(reply.status, 401, "{} {}: {}", route.method, route.path, reply.text());
        }
    }
    clock.0.store(400 * 24 * 60 * 60 * 1000, Ordering::Relaxed);
    for (route, _) in of_people() {
        for (user, token) in town.people.values() {
            let reply = town.ask(&route, &town.path(&route, *user), Some(token)).await;
            assert_eq!(reply.status, 401, "expired: {} {}", route.method, route.path);
        }
    }
}

/// Routes for phones that take no bearer, and what each takes in its place.
const WITHOUT_BEARER: [(&str, &str); 3] = [
    (
        "/sync/v1/enrol",
        "a one-time code: the book that a token would be for is made by this call",
    ),
    (
        "/sync/v1/unlock",
        "a one-time code and the book's signature: the token lies in the file that is locked",
    ),
    (
        "/sync/v1/wiped",
        "the signature of a book that has ended: no token of it is good any more",
    ),
];

/// What a route for phones takes beside the bearer, so that a call fails at nothing else first.
fn sound(route: &Route, phone: &Phone) -> (Vec<(&'static str, String)>, Vec<u8>) {
    let packed = |bytes: Vec<u8>| (vec![("content-type", MEDIA_TYPE.to_owned())], bytes);
    let version = WIRE_VERSION;
    let tus = ("tus-resumable", TUS_VERSION.to_owned());
    match (&route.method, route.path) {
        (_, "/sync/v1/exchange") => packed(phone.request(Vec::new())),
        (_, "/sync/v1/hints") => (vec![], Vec::new()),
        (_, "/sync/v1/parcels") => {
            let parcel = b"no parcel".to_vec();
            packed(wire::pack(&DeliverRequest { version, parcel }).unwrap())
        }
        (_, "/sync/v1/notes") => {
            let (notes, signed) = (Vec::new(), None);
            packed(wire::pack(&NotesRequest { version, notes, signed }).unwrap())
        }
        (_, "/sync/v1/blobs/standing") => {
            let blobs = Vec::new();
            packed(wire::pack(&StandingRequest { version, blobs }).unwrap())
        }
        (&Method::POST, "/sync/v1/blobs") => {
            let metadata = UploadMetadata {
                sha256: Hash::from_bytes([0; 32]),
                media_type: "image/jpeg".into(),
            };
            let said = [("upload-length", "4".to_owned()), ("upload-metadata", metadata.to_header())];
            ([vec![tus], said.into()].concat(), Vec::new())
        }
        (&Method::PATCH, "/sync/v1/blobs/{sha256}") => {
            let said = [("upload-offset", "0".to_owned()), ("content-type", TUS_MEDIA_TYPE.to_owned())];
            ([vec![tus], said.into()].concat(), Vec::new())
        }
        (_, "/sync/v1/blobs/{sha256}") => (vec![tus], Vec::new()),
        (method, path) => panic!("{method} {path}: say what it takes, or why it takes no bearer"),
    }
}

#[tokio::test]
async fn no_token_but_a_phones_of_this_station_opens_a_route_for_phones() {
    let (town, elsewhere) = (Town::new(Environment::system()).await, Town::new(Environment::system()).await);
    let for_phones: Vec<Route> = routes().into_iter().filter(|route| route.access == Access::Book).collect();
    for (path, why) in WITHOUT_BEARER {
        assert!(
            for_phones.iter().any(|route| route.path == path),
            "{path} ({why}) is no route"
        );
    }
    let (chief, chiefs) = &town.people[&Who::Chief];
    let bad = [None, Some("nonsense"), Some(&*elsewhere.phone.token), Some(&**chiefs)];
    let takes_one = |route: &&Route| WITHOUT_BEARER.iter().all(|(path, _)| *path != route.path);
    for route in for_phones.iter().filter(takes_one) {
        let path = town.path(route, *chief);
        let (headers, body) = sound(route, &town.phone);
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let call = async |token: Option<&str>| {
            let bearer = token.map(|token| format!("Bearer {token}"));
            let (method, body) = (route.method.clone(), body.clone());
            town.desk.call(method, &path, bearer.as_deref(), &headers, body).await.status
        };
        for token in bad {
            assert_eq!(call(token).await, 401, "{} {path} with {token:?}", route.method);
        }
        let own = if route.path == "/sync/v1/hints" {
            // A stream that is opened does not end: its status is all that is read of it.
            town.desk.hints(&town.phone.token).await.status().as_u16()
        } else {
            call(Some(&town.phone.token)).await
        };
        assert!(own != 401 && own < 500, "{} {path} with its own token: {own}", route.method);
    }
}

#[tokio::test]
async fn a_page_shows_masks_where_values_were_and_a_reason_lifts_them() {
    use beatbook_protocol::document::Edit;
    use beatbook_protocol::id::ItemId;
    let desk = Desk::new();
    let item = ItemId::from_bytes([7; 16]);
    let met = Edit::new().item("people_met", item, [("name", "欧阳明远".into())]);
    let record = Phone::enrolled(&desk, "officer").await.submitted_visit_with(&desk, met).await;
    let unit = desk.station.units().unwrap()[0].unit;
    let user = desk.station.add_user(None, "督导", &["supervisor".into()], unit).unwrap();
    let token = format!("Bearer {}", desk.station.issue_token(None, user).unwrap());
    let path = format!("/api/v1/records/{record}");
    let place = |page: &serde_json::Value| page["official"]["lists"]["people_met"][item.to_string()]["fields"]["name"].clone();
    let look = |headers: Vec<(&'static str, &'static str)>| {
        let (path, token) = (path.clone(), token.clone());
        let desk = &desk;
        async move { desk.call(Method::GET, &path, Some(&token), &headers, Vec::new()).await }
    };
    assert_eq!(place(&desk.get(&path).await.json()), "欧阳明远");
    let masked = look(vec![]).await;
    assert_eq!(place(&masked.json()), json!({ "masked": true }));
    assert_eq!(
        masked.json()["masked"],
        json!([format!("official/lists/people_met/{item}/name")])
    );
    let history = desk
        .call(Method::GET, &format!("{path}/history"), Some(&token), &[], Vec::new())
        .await
        .text();
    assert!(
        !history.contains("欧阳") && history.contains(r#"{"masked":true}"#),
        "{history}"
    );
    for wrong in ["abc", "%00bcde", "%E6abcd", "a%0Abcde"] {
        assert_eq!(look(vec![("beatbook-reason", wrong)]).await.status, 400, "{wrong}");
    }
    let headers = [("content-type", "application/json")];
    let glass = format!("{path}/break-glass");
    let body = json!({ "reason": "复核\u{1b}[31m" }).to_string().into_bytes();
    assert_eq!(
        desk.call(Method::POST, &glass, Some(&token), &headers, body).await.status,
        400
    );
    let body = json!({ "reason": "复核投诉" }).to_string().into_bytes();
    let broken = desk.call(Method::POST, &glass, Some(&token), &headers, body).await;
    assert_eq!(broken.status, 201, "{}", broken.text());
    assert_eq!(place(&look(vec![]).await.json()), "欧阳明远");
    let auditor = desk.station.add_user(None, "审计", &["auditor".into()], unit).unwrap();
    let auditor = format!("Bearer {}", desk.station.issue_token(None, auditor).unwrap());
    let read = |path: &'static str| {
        let (auditor, desk) = (auditor.clone(), &desk);
        async move { desk.call(Method::GET, path, Some(&auditor), &[], Vec::new()).await }
    };
    let shown = read("/api/v1/audit/glass").await.json();
    assert_eq!(shown["glass"][0]["reason"], "复核投诉");
    let lines = read("/api/v1/audit?what=record").await.json();
    let what: Vec<&str> = lines["lines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line["what"].as_str().unwrap())
        .collect();
    assert_eq!(what, ["record.read", "record.break_glass", "record.read"], "{lines}");
    let export = read("/api/v1/audit/export?form=csv").await;
    assert_eq!(export.header("content-type"), "text/csv; charset=utf-8");
    assert!(export.header("content-disposition").starts_with("attachment"));
    assert_eq!(read("/api/v1/audit/export?form=xlsx").await.status, 400);
}

/// What stands in `docs/security.md` between the marks.
fn table() -> String {
    let mark = |yes: bool| if yes { "yes" } else { "-" };
    let roles: Vec<&str> = ROLES.iter().map(|role| role.code()).collect();
    let mut text = format!("| may | permission | {} |\n", roles.join(" | "));
    text += &format!("| --- | --- |{}\n", " --- |".repeat(roles.len()));
    for permission in Permission::ALL {
        let cells: Vec<&str> = ROLES.iter().map(|role| mark(permits(*role, permission))).collect();
        text += &format!(
            "| {} | `{}` | {} |\n",
            permission.says(),
            permission.code(),
            cells.join(" | ")
        );
    }
    text += "\n| route | takes |\n| --- | --- |\n";
    for route in routes() {
        let takes = match route.access {
            Access::Open => "nothing".to_owned(),
            Access::Book => "a phone's code, token or signature".to_owned(),
            Access::Person(permission) => format!("`{}`", permission.code()),
        };
        text += &format!("| `{} {}` | {takes} |\n", route.method, route.path);
    }
    text
}

#[test]
fn the_table_of_rights_in_the_documents_is_that_of_the_code() {
    const BEGIN: &str = "<!-- rights: begin -->\n";
    const END: &str = "<!-- rights: end -->";
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/security.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (there, after) = rest.split_once(END).unwrap();
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{}{END}{after}", table())).unwrap();
    } else {
        assert_eq!(
            there,
            table(),
            "docs/security.md is behind the code: BLESS=1 cargo test -p beatbook-server --test http the_table_of_rights"
        );
    }
}
