//! A line that carries little at a time: what was written in good faith stays in good faith, however many requests it takes, and where there is
//! nothing to do it costs next to nothing.

use std::time::Duration;

use beatbook_client_core::drive;
use beatbook_client_core::sync::Budget;
use beatbook_client_core::transport::HttpTransport;
use beatbook_protocol::document::Edit;
use beatbook_tests::proxy::Road;
use serde_json::json;

use crate::post::{Post, act, household, state, visit, write};

#[tokio::test]
async fn a_late_edit_is_allowed_in_the_last_of_many_requests_too() {
    let post = Post::open("slow-line");
    let [mut author, mut colleague] = post.phones().await;
    let home = household(&author, 101);
    let record = visit(&author, home);
    act(&author, record, "finish");
    act(&author, record, "submit");
    author.sync().await.unwrap();
    colleague.sync().await.unwrap();
    assert_eq!(post.order(record, json!({ "act": "approve" })).await.0, 200);
    // Pages enough for several requests, and the edit of the approved visit in the last of them.
    for _ in 0..6 {
        let long: String = "楼道照明损坏多日未修请物业尽快更换".chars().cycle().take(7_900).collect();
        let own = visit(&colleague, home);
        write(&colleague, own, Edit::new().note("notes", long)).unwrap();
    }
    for number in 0..300 {
        write(&colleague, home, Edit::new().field("address_code", format!("{number:06}"))).unwrap();
    }
    write(&colleague, record, Edit::new().field("duration_min", 45)).unwrap();
    let transport = HttpTransport::open(post.station.url(), b"").unwrap();
    let budget = Budget {
        bytes_up_max: 1,
        ..Budget::default()
    };
    let report = drive::sync(&colleague.core, &transport, budget).await.unwrap();
    assert!(report.pages >= 2 && u64::from(report.requests) >= report.pages, "{report:?}");
    assert_eq!(report.refused, 0, "{:?}", colleague.core.refused());
    assert_eq!(state(&colleague, record), "approved");
    let page = post.page(record).await;
    assert_eq!(page["official"]["fields"]["duration_min"], 20);
    assert_eq!(page["pending"][0]["value"], 45);
}

#[tokio::test]
async fn nothing_to_do_costs_one_request_and_less_than_700_bytes_both_ways() {
    let post = Post::open("idle");
    let [mut phone] = post.phones().await;
    household(&phone, 101);
    phone.sync().await.unwrap();
    // What it has confirmed by now is noted at the station; from here on there is nothing.
    phone.sync().await.unwrap();
    let address = post.station.url().trim_start_matches("http://").parse().unwrap();
    let road = Road::to(address, Duration::ZERO).await.unwrap();
    phone.call(&road.url());
    let report = phone.sync().await.unwrap();
    assert_eq!((report.requests, report.complete), (1, true));
    let traffic = road.traffic();
    assert!(traffic.up > 0 && traffic.up + traffic.down < 700, "{traffic:?}");
}
