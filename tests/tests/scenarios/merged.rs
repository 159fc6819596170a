//! Two officers register one household offline. The chief merges the two; the visits of both are found under the one that stays, on phones
//! as at the station; and he takes it back.

use beatbook_client_core::query::Filter;
use beatbook_protocol::document::Edit;
use beatbook_protocol::id::RecordId;
use beatbook_tests::phone::Phone;
use serde_json::{Value as Json, json};

use crate::post::{Post, sync_both, version, visit, write};

fn register(phone: &Phone, address: &str) -> RecordId {
    phone.core.begin("household", &Edit::new().field("address", address)).unwrap()
}

fn visits_of(phone: &Phone, household: RecordId) -> Vec<RecordId> {
    let filter = Filter {
        kind: Some("visit".into()),
        about: Some(household),
        ..Filter::default()
    };
    let mut records: Vec<_> = phone.core.list(&filter).unwrap().rows.iter().map(|row| row.record).collect();
    records.sort_unstable();
    records
}

async fn decide(post: &Post, record: RecordId, what: &str, body: Json) -> (u16, Json) {
    let seen = version(&post.page(record).await);
    let path = format!("/api/v1/records/{record}/{what}");
    post.desk.call("POST", &path, Some(&body), Some(&seen)).await.unwrap()
}

fn ids(rows: &Json) -> Vec<String> {
    rows.as_array()
        .unwrap()
        .iter()
        .map(|row| row["id"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_household_that_two_registered_offline_is_merged_by_the_chief_and_its_visits_follow_everywhere() {
    let post = Post::open("merged");
    let mut phones = post.phones::<2>().await;
    let a = register(&phones[0], "中关村大街１号院 3单元501室");
    let b = register(&phones[1], "中关村大街1号院3单元501室");
    let (of_a, of_b) = (visit(&phones[0], a), visit(&phones[1], b));
    write(&phones[1], of_b, Edit::new().note("notes", "敲门两次无人应答")).unwrap();
    sync_both(&mut phones).await;

    let found = post.desk.get("/api/v1/duplicates").await.unwrap();
    let pairs = found["pairs"].as_array().unwrap();
    assert_eq!(pairs.len(), 1, "{found}");
    assert_eq!(pairs[0]["alike"], json!(["address"]));
    let mut named = vec![pairs[0]["older"]["id"].clone(), pairs[0]["newer"]["id"].clone()];
    named.sort_by_key(Json::to_string);
    let mut both = [json!(a.to_string()), json!(b.to_string())];
    both.sort_by_key(Json::to_string);
    assert_eq!(named, both);
    assert_eq!(ids(&post.page(b).await["duplicates"]), [a.to_string()]);

    let before: Vec<_> = phones.iter().map(|phone| phone.core.record(b).unwrap().facts).collect();
    let (status, done) = decide(&post, b, "merge", json!({ "into": a.to_string() })).await;
    assert_eq!((status, &done["state"]), (200, &json!("merged")), "{done}");
    // A visit that somebody pays to the old record meanwhile, offline, belongs to the one that stays too.
    let late = visit(&phones[1], b);
    sync_both(&mut phones).await;
    sync_both(&mut phones).await;
    let mut all = vec![of_a, of_b, late];
    all.sort_unstable();
    for (phone, before) in phones.iter().zip(&before) {
        assert!(phone.core.refused().unwrap().is_empty());
        assert_eq!(visits_of(phone, a), all, "{}", phone.name);
        let merged = phone.core.record(b).unwrap();
        assert_eq!((merged.row.merged_into, merged.row.state.as_str()), (Some(a), "merged"));
        assert_eq!(&merged.facts, before, "nothing of it is changed");
        assert_eq!(phone.core.record(a).unwrap().merged_here, [b]);
        let followed = phone.core.record(of_b).unwrap().row;
        assert_eq!(followed.about, Some(a));
        assert!(followed.title.zh.starts_with(&phone.core.record(a).unwrap().row.title.zh));
        assert!(
            phone
                .core
                .starting_point("visit", a)
                .unwrap()
                .fields
                .contains_key("household")
        );
    }
    let listed = post.desk.get(&format!("/api/v1/records?about={a}")).await.unwrap();
    assert_eq!(ids(&listed["rows"]).len(), 3);
    let page = post.page(of_b).await;
    assert_eq!(page["header"]["about"]["id"], json!(a.to_string()));
    assert_eq!(post.desk.get("/api/v1/duplicates").await.unwrap()["pairs"], json!([]));
    let (status, told) = decide(&post, a, "merge", json!({ "into": b.to_string() })).await;
    assert_eq!(status, 422, "a loop: {told}");

    let (status, told) = decide(&post, b, "unmerge", json!({ "comment": "是两户" })).await;
    assert_eq!(status, 200, "{told}");
    let (status, told) = decide(&post, b, "not-duplicate", json!({ "other": a.to_string() })).await;
    assert_eq!(status, 200, "{told}");
    sync_both(&mut phones).await;
    for phone in &phones {
        assert_eq!(visits_of(phone, a), [of_a]);
        assert_eq!(visits_of(phone, b).len(), 2);
        let row = phone.core.record(b).unwrap().row;
        assert_eq!((row.merged_into, row.state.as_str()), (None, "active"));
        assert_eq!(phone.core.record(of_b).unwrap().row.about, Some(b));
    }
    assert_eq!(
        post.desk.get("/api/v1/duplicates").await.unwrap()["pairs"],
        json!([]),
        "it was said to be two"
    );
}
