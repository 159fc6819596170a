//! What the station's process writes in its log: nothing that anybody said, no secret, and no line that somebody else could have written.

use beatbook_protocol::document::Edit;
use beatbook_protocol::facts::Value;
use beatbook_protocol::id::{ItemId, RecordId};
use beatbook_tests::bench::scratch;
use beatbook_tests::day::chief;
use beatbook_tests::phone::{DayClock, Phone};
use beatbook_tests::station::{Chief, Places, StationProcess};
use serde_json::{Value as Json, json};

use crate::post::{act, household, visit, write};

const CHIEF: &str = "上官所长";
const OFFICER: &str = "慕容警官";
const RESIDENT: &str = "欧阳明远";
const NUMBER: &str = "13912345678";
const NOTE: &str = "门口堆放杂物影响通行";
const COMMENT: &str = "请于三日内答复";
const REASON: &str = "复核住户投诉一事";
const PIN: &str = "739105";

/// A day of everything: people, phones, records with names, acts, settlements, search, reads with reasons, faults.
async fn busy_day(station: &StationProcess, token: &str, root: &std::path::Path) -> Vec<String> {
    let desk = Chief::new(station.url(), token).unwrap();
    let mut secrets = vec![token.to_owned()];
    let code = chief::register(&desk, OFFICER, "officer").await.unwrap();
    secrets.extend([code.clone(), code.replace('-', "")]);
    let clock = DayClock::standing_at(beatbook_protocol::time::UnixMillis(1_790_000_000_000));
    let mut phone = Phone::open(OFFICER, &root.join("phone.db"), station.url(), &clock).unwrap();
    phone.enrol(&code).await.unwrap();
    assert!(phone.enrol(&code).await.is_ok() || phone.is_enrolled().unwrap());
    let home = household(&phone, 101);
    let contact = Edit::new().item("contacts", item(1), [("name", RESIDENT.into()), ("phone", NUMBER.into())]);
    write(&phone, home, contact).unwrap();
    let record = visit(&phone, home);
    let met = Edit::new()
        .item("people_met", item(2), [("name", Value::from(RESIDENT))])
        .note("notes", NOTE);
    write(&phone, record, met).unwrap();
    act(&phone, record, "finish");
    act(&phone, record, "submit");
    phone.sync().await.unwrap();
    for path in ["", "/history", "/entries", "/track", "/grants"] {
        desk.get_because(&format!("/api/v1/records/{record}{path}"), &percent(REASON))
            .await
            .unwrap();
    }
    let private = desk
        .get_because(&format!("/api/v1/records/{home}"), &percent(REASON))
        .await
        .unwrap();
    assert!(private.to_string().contains(NUMBER), "what was said reached the desk");
    let found = desk.get(&format!("/api/v1/search?q={}", percent(RESIDENT))).await.unwrap();
    assert_eq!(found["rows"].as_array().unwrap().len(), 1);
    let version = private_version(&desk, record).await;
    let order = json!({ "act": "return", "comment": COMMENT });
    let path = format!("/api/v1/records/{record}/acts");
    assert_eq!(desk.call("POST", &path, Some(&order), Some(&version)).await.unwrap().0, 200);
    let user = desk
        .post("/api/v1/users", &json!({ "name": CHIEF, "roles": ["auditor"] }), None)
        .await
        .unwrap();
    let user = user["user"].as_str().unwrap().to_owned();
    let issued = desk.post(&format!("/api/v1/users/{user}/token"), &json!({}), None).await;
    assert!(issued.is_err(), "a chief makes himself no auditor");
    wrong(station, &mut secrets, record).await;
    secrets
}

async fn private_version(desk: &Chief, record: RecordId) -> String {
    let page = desk.get(&format!("/api/v1/records/{record}")).await.unwrap();
    page["header"]["version"].as_str().unwrap().to_owned()
}

/// Requests that fail, each with something in it that must not be repeated.
async fn wrong(station: &StationProcess, secrets: &mut Vec<String>, record: RecordId) {
    let intruder = "bb_intruders_token_0123456789";
    secrets.push(intruder.to_owned());
    let desk = Chief::new(station.url(), intruder).unwrap();
    let forged = "%0A2026-01-01T00:00:00Z%20ERROR%20forged%1B%5B31m";
    for path in [
        format!("/api/v1/records/{record}"),
        format!("/api/v1/search?q={}", percent(RESIDENT)),
        format!("/api/v1/{forged}"),
        format!("/{}", percent(NUMBER)),
    ] {
        assert!(desk.get(&path).await.is_err(), "{path}");
    }
    let body = json!({ "name": format!("{RESIDENT}\n2026-01-01T00:00:00Z ERROR forged\u{1b}[31m"), "pin": PIN });
    for path in ["/api/v1/users", "/sync/v1/enrol", "/sync/v1/exchange"] {
        assert!(desk.post(path, &body, Some("forged")).await.is_err());
    }
}

/// Names and reasons with line breaks and escape codes, by those who may say something.
async fn forgeries(station: &StationProcess, token: &str, root: &std::path::Path) {
    let desk = Chief::new(station.url(), token).unwrap();
    for name in [
        "forged\nERROR",
        "forged\r\nERROR",
        "forged\u{1b}[2J",
        "forged\u{202e}ROR",
        "forged\u{2028}ERROR",
    ] {
        let body = json!({ "name": name, "roles": ["officer"] });
        let (status, _) = desk.call("POST", "/api/v1/users", Some(&body), None).await.unwrap();
        assert_eq!(status, 400, "{name:?}");
        let (status, _) = desk
            .call("POST", "/api/v1/units", Some(&json!({ "name": name })), None)
            .await
            .unwrap();
        assert_eq!(status, 400, "{name:?}");
    }
    let code = chief::register(&desk, "平常", "officer").await.unwrap();
    let clock = DayClock::standing_at(beatbook_protocol::time::UnixMillis(1_790_000_000_000));
    let device = "forged\n2026-01-01T00:00:00Z ERROR forged";
    let phone = Phone::open(device, &root.join("forger.db"), station.url(), &clock).unwrap();
    assert!(phone.enrol(&code).await.is_err(), "a device's name is one line");
}

fn item(number: u8) -> ItemId {
    ItemId::from_bytes([number; 16])
}

fn percent(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// The whole output of a station that had a busy day, at its most talkative.
async fn output(format: &str) -> (String, Vec<String>) {
    let root = scratch(&format!("silent-{format}")).unwrap();
    let places = Places::under(&root);
    let token = StationProcess::init(&places).unwrap();
    let mut talkative = std::process::Command::new("env");
    talkative.args(["BEATBOOK_LOG_LEVEL=trace", &format!("BEATBOOK_LOG_FORMAT={format}")]);
    let station = StationProcess::serve_under(talkative, &places, "127.0.0.1:0").unwrap();
    let secrets = busy_day(&station, &token, &root).await;
    forgeries(&station, &token, &root).await;
    station.stop().unwrap();
    let log = std::fs::read_to_string(places.data.with_extension("log")).unwrap();
    std::fs::remove_dir_all(&root).unwrap();
    (log, secrets)
}

#[tokio::test]
async fn the_process_says_nothing_of_what_was_said_and_no_secret_and_no_line_is_forged() {
    for format in ["text", "json"] {
        let (log, secrets) = output(format).await;
        assert!(log.contains("answered") && log.contains("refused"), "it does say something");
        let said = [CHIEF, OFFICER, RESIDENT, NUMBER, NOTE, COMMENT, REASON, PIN];
        let encoded = said.map(percent);
        let escaped = said.map(|text| text.escape_unicode().to_string());
        let needles = said
            .iter()
            .map(|text| (*text).to_owned())
            .chain(encoded)
            .chain(escaped)
            .chain(secrets);
        for needle in needles {
            assert!(!log.contains(&needle), "{format}: {needle:?} in\n{}", around(&log, &needle));
        }
        for line in log.lines().filter(|line| !line.starts_with("listening on ")) {
            assert!(!line.contains('\u{1b}') && !line.contains("forged"), "{format}: {line}");
            match format {
                "json" => assert!(serde_json::from_str::<Json>(line).is_ok(), "{line}"),
                _ => assert!(is_stamped(line), "{line}"),
            }
        }
    }
}

/// Whether a line begins as those of the log do: `2026-11-26T16:00:00.000000Z  INFO`.
fn is_stamped(line: &str) -> bool {
    let mut words = line.split_whitespace();
    let stamp = words.next().unwrap_or_default();
    let level = words.next().unwrap_or_default();
    stamp.len() > 20
        && stamp.ends_with('Z')
        && stamp.starts_with(|first: char| first.is_ascii_digit())
        && ["ERROR", "WARN", "INFO", "DEBUG", "TRACE"].contains(&level)
}

fn around(log: &str, needle: &str) -> String {
    log.lines()
        .filter(|line| line.contains(needle))
        .take(3)
        .collect::<Vec<_>>()
        .join("\n")
}
