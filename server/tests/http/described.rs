//! What the station says of its calls and of its work: the OpenAPI description against the routes and the replies, and the metrics.

use std::collections::BTreeSet;

use beatbook_server::http::{Access, routes};
use serde_json::Value as Json;

use crate::desk::Desk;
use crate::phone::Phone;

#[tokio::test]
async fn the_description_holds_exactly_the_routes_that_there_are() {
    let desk = Desk::new();
    let described = desk.get("/api/v1/openapi.json").await.json();
    let mut calls = BTreeSet::new();
    for (path, methods) in described["paths"].as_object().unwrap() {
        for (method, call) in methods.as_object().unwrap() {
            let open = call.get("security").is_none();
            calls.insert((method.to_uppercase(), path.clone(), open));
            assert!(call["summary"].is_string(), "{method} {path}");
        }
    }
    let routed: BTreeSet<_> = routes()
        .into_iter()
        .map(|route| {
            (
                route.method.to_string(),
                route.path.to_owned(),
                !matches!(route.access, Access::Person(_)),
            )
        })
        .collect();
    assert_eq!(calls, routed);
}

#[tokio::test]
async fn every_schema_that_the_description_names_is_in_it() {
    let desk = Desk::new();
    let described = desk.get("/api/v1/openapi.json").await.json();
    let mut named = BTreeSet::new();
    references(&described, &mut named);
    assert!(named.contains("#/components/schemas/Problem"), "{named:?}");
    for name in named {
        assert!(described.pointer(name.trim_start_matches('#')).is_some(), "{name}");
    }
}

fn references(value: &Json, named: &mut BTreeSet<String>) {
    match value {
        Json::Object(fields) => {
            for (key, value) in fields {
                match value.as_str() {
                    Some(name) if key == "$ref" => _ = named.insert(name.to_owned()),
                    _ => references(value, named),
                }
            }
        }
        Json::Array(items) => items.iter().for_each(|item| references(item, named)),
        _ => {}
    }
}

#[tokio::test]
async fn a_record_is_described_with_the_fields_that_it_has() {
    let desk = Desk::new();
    let record = Phone::enrolled(&desk, "officer").await.submitted_visit(&desk).await;
    let described = desk.get("/api/v1/openapi.json").await.json();
    for (path, schema) in [(String::new(), "RecordBody"), ("/history".into(), "History")] {
        let body = desk.get(&format!("/api/v1/records/{record}{path}")).await.json();
        let properties = &described["components"]["schemas"][schema]["properties"];
        let keys = |value: &Json| value.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
        assert_eq!(keys(&body), keys(properties), "{schema}");
    }
}

#[tokio::test]
async fn metrics_are_prometheus_text_and_count_what_happened() {
    let desk = Desk::new();
    let mut phone = Phone::enrolled(&desk, "officer").await;
    phone.submitted_visit(&desk).await;
    desk.sync("/sync/v1/exchange", b"junk".to_vec(), &[]).await;
    let reply = desk.get("/metrics").await;
    assert_eq!(reply.header("content-type"), "text/plain; version=0.0.4");
    let mut families = BTreeSet::new();
    let mut series = std::collections::BTreeMap::new();
    for line in reply.text().lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            families.insert(rest.split(' ').next().unwrap().to_owned());
        } else if !line.starts_with("# HELP ") {
            let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
            let family = name.split('{').next().unwrap();
            let base = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|end| family.strip_suffix(end))
                .unwrap_or(family);
            assert!(families.contains(family) || families.contains(base), "{line}");
            assert!(
                series.insert(name.to_owned(), value.parse::<f64>().unwrap()).is_none(),
                "{name} twice"
            );
        }
    }
    let value = |name: &str| *series.get(name).unwrap_or_else(|| panic!("{name} in {series:?}"));
    assert!(value("beatbook_ledger_size") >= 2.0);
    assert!(value("beatbook_entries_total{verdict=\"accepted\"}") >= 3.0);
    assert!((value("beatbook_refusals_total{code=\"malformed\"}") - 1.0).abs() < f64::EPSILON);
    assert!((value("beatbook_requests_total{route=\"/sync/v1/exchange\",class=\"4xx\"}") - 1.0).abs() < f64::EPSILON);
    assert!((value("beatbook_requests_total{route=\"/sync/v1/exchange\",class=\"2xx\"}") - 1.0).abs() < f64::EPSILON);
    assert!(value("beatbook_bytes_up_total{route=\"/sync/v1/exchange\"}") > 100.0);
    assert!(value("beatbook_bytes_down_total{route=\"/sync/v1/exchange\"}") > 100.0);
    assert!((value("beatbook_request_seconds_count{route=\"/sync/v1/exchange\"}") - 2.0).abs() < f64::EPSILON);
}
