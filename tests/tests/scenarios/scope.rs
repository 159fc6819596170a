//! What a person has charge of moves: people change units, records are shared and taken back. Phones get what enters and let go what left,
//! and never see what was not theirs.

use beatbook_client_core::CoreError;
use beatbook_client_core::sync::{SyncEvent, status};
use beatbook_protocol::document::Edit;
use beatbook_protocol::id::RecordId;
use beatbook_protocol::time::UnixMillis;
use beatbook_tests::phone::{DayClock, Phone};
use serde_json::{Value as Json, json};

use super::first_sync::all;
use super::line::Line;
use super::post::{Post, household, shown, write};

/// A person of a unit with his phone; who he is.
pub(crate) async fn officer(post: &Post, name: &str, unit: &str) -> (Phone, String) {
    let body = json!({ "name": name, "roles": ["officer"], "unit": unit });
    let user = post.desk.post("/api/v1/users", &body, None).await.unwrap();
    let user = user["user"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/users/{user}/enrolment-code");
    let code = post.desk.post(&path, &json!({}), None).await.unwrap();
    let at = DayClock::standing_at(UnixMillis(1_790_000_000_000));
    let phone = Phone::open(name, &post.root.join(format!("{name}.db")), post.station.url(), &at).unwrap();
    phone.enrol(code["code"].as_str().unwrap()).await.unwrap();
    (phone, user)
}

pub(crate) async fn unit(post: &Post, name: &str) -> String {
    let unit: Json = post.desk.post("/api/v1/units", &json!({ "name": name }), None).await.unwrap();
    unit["unit"].as_str().unwrap().to_owned()
}

async fn move_to(post: &Post, user: &str, unit: &str) {
    let path = format!("/api/v1/users/{user}/move");
    post.desk.post(&path, &json!({ "unit": unit }), None).await.unwrap();
}

async fn grant(post: &Post, record: RecordId, user: &str, ended: bool) {
    let path = format!("/api/v1/records/{record}/grants");
    let body = json!({ "user": user, "reason": "shared", "ended": ended });
    post.desk.post(&path, &body, None).await.unwrap();
}

fn left(record: RecordId, is_kept: bool) -> SyncEvent {
    SyncEvent::LeftScope { record, is_kept }
}

#[tokio::test]
async fn a_person_who_moves_hands_in_his_work_lets_his_old_records_go_and_gets_the_new_ones() {
    let post = Post::open("moves");
    let (east, west) = (unit(&post, "东街").await, unit(&post, "西街").await);
    let (mut wang, user) = officer(&post, "王警官", &east).await;
    let (mut zhang, _) = officer(&post, "张警官", &west).await;
    let old: Vec<RecordId> = (0..5).map(|number| household(&wang, number)).collect();
    let new: Vec<RecordId> = (10..14).map(|number| household(&zhang, number)).collect();
    for phone in [&mut wang, &mut zhang] {
        phone.sync().await.unwrap();
    }
    assert_eq!((all(&wang).len(), all(&zhang).len()), (5, 4));
    // He does not know yet that he was moved: what he writes is his to write. One draft stays half a word.
    write(&wang, old[0], Edit::new().field("address_code", "110108-0042")).unwrap();
    let mut draft = wang.core.draft_begin("household", Some(old[1])).unwrap();
    draft.edit = Edit::new().field("structure", "simple");
    wang.core.draft_save(&draft).unwrap();
    move_to(&post, &user, &west).await;
    let report = wang.sync().await.unwrap();
    assert_eq!((report.accepted, report.refused), (1, 0), "{report:?}");
    assert!(
        report.events.contains(&left(old[0], false)) && report.events.contains(&left(old[1], true)),
        "{report:?}"
    );
    let mut expected = [new.clone(), vec![old[1]]].concat();
    expected.sort();
    assert_eq!(all(&wang), expected);
    assert_eq!(
        post.page(old[0]).await["official"]["fields"]["address_code"],
        json!("110108-0042")
    );
    let told = status(&wang.core).unwrap();
    assert_eq!((told.synced, told.left), (true, vec![old[1]]));
    let more = write(&wang, old[1], Edit::new().field("structure", "simple"));
    assert!(matches!(more, Err(CoreError::LeftScope(_))), "{more:?}");
    wang.core.draft_drop(draft.id).unwrap();
    assert!(wang.sync().await.unwrap().events.contains(&left(old[1], false)));
    assert_eq!(all(&wang).len(), 4);
    // He works where he is now, and may go back.
    let here = household(&wang, 20);
    write(&wang, new[0], Edit::new().field("structure", "simple")).unwrap();
    assert_eq!(wang.sync().await.unwrap().refused, 0);
    zhang.sync().await.unwrap();
    assert_eq!((all(&zhang).len(), shown(&zhang, new[0], "structure")), (5, "simple".into()));
    move_to(&post, &user, &east).await;
    wang.sync().await.unwrap();
    let mut expected = old.clone();
    expected.sort();
    assert_eq!(all(&wang), expected);
    assert_eq!(shown(&wang, old[0], "address_code"), "110108-0042".into());
    assert!(all(&zhang).contains(&here) && status(&wang.core).unwrap().synced);
}

#[tokio::test]
async fn a_phone_never_receives_a_byte_of_a_record_outside_its_scope() {
    let post = Post::open("bytes");
    let (east, west) = (unit(&post, "东街").await, unit(&post, "西街").await);
    let (mut wang, _) = officer(&post, "王警官", &east).await;
    let (zhang, user) = officer(&post, "张警官", &west).await;
    let secret = household(&wang, 1);
    let shared = household(&wang, 2);
    let mark = |record: RecordId| record.to_string()[24..].to_owned();
    for record in [secret, shared] {
        write(&wang, record, Edit::new().field("address_code", mark(record))).unwrap();
    }
    wang.sync().await.unwrap();
    let line = Line::to(post.station.url());
    line.sync(&zhang).await.unwrap();
    let never = |record: RecordId| !line.came(record.as_bytes()) && !line.came(mark(record).as_bytes());
    assert!(never(secret) && never(shared));
    grant(&post, shared, &user, false).await;
    line.sync(&zhang).await.unwrap();
    assert_eq!(all(&zhang), [shared]);
    assert!(line.came(shared.as_bytes()) && never(secret));
    write(&zhang, shared, Edit::new().field("structure", "simple")).unwrap();
    grant(&post, shared, &user, true).await;
    let report = line.sync(&zhang).await.unwrap();
    assert_eq!((report.accepted, report.refused), (1, 0), "he could not know");
    assert!(report.events.contains(&left(shared, false)), "{report:?}");
    assert!(all(&zhang).is_empty() && status(&zhang.core).unwrap().synced);
    write(&wang, secret, Edit::new().field("structure", "simple")).unwrap();
    wang.sync().await.unwrap();
    line.sync(&zhang).await.unwrap();
    assert!(never(secret));
    assert_eq!(shown(&wang, shared, "structure"), "simple".into());
}
