//! A phone that is new at a station with many records: usable after the first page, whatever the line does.

use beatbook_client_core::query::Filter;
use beatbook_client_core::sync::{Budget, status};
use beatbook_protocol::document::Edit;
use beatbook_protocol::id::RecordId;
use beatbook_tests::day::chief;
use beatbook_tests::phone::{DayClock, Phone};

use super::line::Line;
use super::post::{Post, household, shown, write};

pub(crate) fn all(phone: &Phone) -> Vec<RecordId> {
    let filter = Filter {
        limit: Some(500),
        ..Filter::default()
    };
    let mut all: Vec<_> = phone
        .core
        .list(&filter)
        .unwrap()
        .rows
        .into_iter()
        .map(|row| row.record)
        .collect();
    all.sort();
    all
}

/// A new phone that is enrolled and has not synced yet.
pub(crate) async fn fresh(post: &Post, name: &str, at: &DayClock) -> Phone {
    let code = chief::register(&post.desk, name, "officer").await.unwrap();
    let phone = Phone::open(name, &post.root.join(format!("{name}.db")), post.station.url(), at).unwrap();
    phone.enrol(&code).await.unwrap();
    phone
}

#[tokio::test]
async fn a_first_sync_is_usable_after_its_first_page_and_goes_on_wherever_it_is_cut() {
    let post = Post::open("first");
    let [mut writer] = post.phones::<1>().await;
    let records: Vec<RecordId> = (0..120).map(|number| household(&writer, number)).collect();
    writer.sync().await.unwrap();
    let newest = *records.last().unwrap();
    for turn in 0..3 {
        write(&writer, newest, Edit::new().field("address_code", format!("110108-{turn}"))).unwrap();
        writer.sync().await.unwrap();
    }

    let phone = fresh(&post, "新警官", &writer.clock).await;
    let small = Budget {
        feed_bytes_max: Some(6_000),
        requests_max: 1,
        ..Budget::default()
    };
    // The registry comes first; records follow within a few small pages.
    let line = Line::to(post.station.url());
    let mut pages = 0;
    while all(&phone).is_empty() {
        line.sync_within(&phone, small).await.unwrap();
        pages += 1;
        assert!(pages < 4, "nothing to work with after {pages} pages");
    }
    let some = all(&phone).len();
    assert!(some > 0 && some < records.len(), "{some}");
    assert!(all(&phone).contains(&newest), "the newest come first");
    assert!(!status(&phone.core).unwrap().synced, "there is more to come");
    // He works on what he has, while every second reply is lost, and colleagues go on.
    write(&phone, newest, Edit::new().field("structure", "simple")).unwrap();
    write(&writer, newest, Edit::new().field("language", "dialect")).unwrap();
    let late = household(&writer, 500);
    writer.sync().await.unwrap();
    let mut lost = false;
    let broken = Line::bent(post.station.url(), move |reply| {
        lost = !lost;
        (!lost).then_some(reply)
    });
    let window = Budget {
        feed_bytes_max: Some(6_000),
        requests_max: 3,
        ..Budget::default()
    };
    for _ in 0..100 {
        if broken.sync_within(&phone, window).await.unwrap().fault.is_none() {
            break;
        }
    }
    assert!(
        broken.asked().iter().all(|asked| asked.cursor.is_some()),
        "it never began anew"
    );
    let mut expected = [records, vec![late]].concat();
    expected.sort();
    assert_eq!(all(&phone), expected);
    assert_eq!(shown(&phone, newest, "language"), "dialect".into());
    assert!(status(&phone.core).unwrap().synced);
    writer.sync().await.unwrap();
    assert_eq!(shown(&writer, newest, "structure"), "simple".into());
    assert_eq!(
        phone.core.history(newest).unwrap().len(),
        writer.core.history(newest).unwrap().len()
    );
}
