//! A leave and its stand-in: a real station, real phones. Who acts for whom gets the records while he does, may open new ones there, and lets
//! them go after; what he wrote before he could know counts.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use beatbook_client_core::CoreError;
use beatbook_client_core::sync::{SyncEvent, status};
use beatbook_protocol::document::Edit;
use beatbook_protocol::id::RecordId;
use beatbook_tests::day::content;
use beatbook_tests::seeded::Seeded;
use serde_json::json;

use super::first_sync::all;
use super::line::Line;
use super::post::{Post, act, household, state, try_act, visit, write};
use super::scope::{officer, unit};

fn in_ms(millis: i64) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(now.as_millis()).unwrap() + millis
}

#[tokio::test]
async fn a_stand_in_has_the_units_records_while_the_leave_lasts_and_not_a_byte_before() {
    let post = Post::open("stand-in");
    let (east, west) = (unit(&post, "东街").await, unit(&post, "西街").await);
    let (mut wang, user) = officer(&post, "王警官", &east).await;
    let (mut zhang, absent) = officer(&post, "张警官", &west).await;
    let roles = json!({ "roles": ["chief"] });
    post.desk
        .post(&format!("/api/v1/users/{absent}/move"), &roles, None)
        .await
        .unwrap();
    let own = household(&wang, 1);
    let home = household(&zhang, 2);
    let seen = visit(&zhang, home);
    act(&zhang, seen, "finish");
    act(&zhang, seen, "submit");
    for phone in [&mut wang, &mut zhang] {
        phone.sync().await.unwrap();
    }
    let line = Line::to(post.station.url());
    let begins = in_ms(2_500);
    let leave = json!({ "user": user, "unit": west, "stands_in_for": absent, "from": begins, "until": in_ms(3_600_000) });
    let membership = post.desk.post("/api/v1/memberships", &leave, None).await.unwrap();
    line.sync(&wang).await.unwrap();
    assert!(in_ms(0) < begins, "the machine is too slow for this");
    assert!(!line.came(home.as_bytes()) && !line.came(seen.as_bytes()));
    assert_eq!(all(&wang), [own]);

    tokio::time::sleep(Duration::from_millis(3_000)).await;
    line.sync(&wang).await.unwrap();
    assert!(line.came(home.as_bytes()) && line.came(seen.as_bytes()));
    let postings = wang.core.postings().unwrap();
    assert_eq!((postings.len(), postings[1].acting_for.as_deref()), (2, Some("张警官")));
    // In his place he approves there; over his own records he is what he was.
    assert!(wang.core.record(seen).unwrap().acts_open.contains(&"approve".to_owned()));
    act(&wang, seen, "approve");
    let edit = content::household(&mut Seeded::new(9), 9);
    let opened: RecordId = wang.core.begin_in(postings[1].unit, "household", &edit).unwrap();
    let report = line.sync(&wang).await.unwrap();
    assert_eq!((report.refused, status(&wang.core).unwrap().synced), (0, true), "{report:?}");
    assert_eq!(state(&wang, seen), "approved");
    zhang.sync().await.unwrap();
    assert!(all(&zhang).contains(&opened) && !all(&zhang).contains(&own));

    // He comes back early, and the stand-in cannot know: what he writes counts, what he would decide does not.
    let again = visit(&zhang, home);
    act(&zhang, again, "finish");
    act(&zhang, again, "submit");
    zhang.sync().await.unwrap();
    line.sync(&wang).await.unwrap();
    let end = format!("/api/v1/memberships/{}/end", membership["membership"].as_str().unwrap());
    post.desk.post(&end, &json!({}), None).await.unwrap();
    write(&wang, home, Edit::new().field("structure", "simple")).unwrap();
    act(&wang, again, "approve");
    let report = line.sync(&wang).await.unwrap();
    assert_eq!((report.accepted, report.refused), (1, 1), "{report:?}");
    assert!(report.events.contains(&SyncEvent::LeftScope {
        record: home,
        is_kept: false
    }));
    let refused = wang.core.begin_in(postings[1].unit, "household", &edit);
    assert!(matches!(refused, Err(CoreError::InvalidInput { .. })), "{refused:?}");
    zhang.sync().await.unwrap();
    assert_eq!(state(&zhang, again), "submitted");
    assert_eq!(zhang.core.record(home).unwrap().facts.fields["structure"], "simple".into());
    try_act(&zhang, again, "approve", None, vec![]).unwrap();
    assert_eq!(zhang.sync().await.unwrap().refused, 0);
}
