//! Old copies: a phone's file that was restored or cloned, and a station that was restored from a backup while one author stays away.

use std::path::{Path, PathBuf};

use beatbook_client_core::sync::{SyncEvent, status};
use beatbook_protocol::document::Edit;
use beatbook_protocol::id::RecordId;
use beatbook_tests::phone::Phone;

use super::first_sync::{all, fresh as fresh_phone};
use super::post::{Post, command, household, shown, sync_both, write};

/// A copy of a phone's file, with what lies beside it.
pub(super) fn copied(phone: &Phone, root: &Path, name: &str) -> PathBuf {
    let copy = root.join(format!("{name}.db"));
    for ending in ["db", "db-wal", "db.key"] {
        let from = root.join(format!("{}.{ending}", phone.name));
        if from.exists() {
            std::fs::copy(from, root.join(format!("{name}.{ending}"))).unwrap();
        }
    }
    copy
}

#[tokio::test]
async fn a_phone_restored_from_a_backup_goes_on_in_a_new_life_and_nothing_is_lost_or_doubled() {
    let post = Post::open("oldcopy");
    let mut phones = post.phones::<2>().await;
    let records: Vec<RecordId> = (0..3).map(|number| household(&phones[0], number)).collect();
    sync_both(&mut phones).await;
    write(&phones[0], records[0], Edit::new().field("address_code", "110108-0001")).unwrap();
    let file = copied(&phones[0], &post.root, "backup");
    // The phone goes on for a while, and is lost.
    write(&phones[0], records[0], Edit::new().field("structure", "simple")).unwrap();
    let later = household(&phones[0], 10);
    phones[0].sync().await.unwrap();
    write(&phones[0], records[1], Edit::new().field("language", "dialect")).unwrap();
    phones[0].sync().await.unwrap();

    let mut copy = Phone::open("backup", &file, post.station.url(), &phones[0].clock).unwrap();
    write(&copy, records[0], Edit::new().field("address_code", "110108-0002")).unwrap();
    let fresh = household(&copy, 11);
    let report = copy.sync().await.unwrap();
    assert!(
        report.events.contains(&SyncEvent::OldCopy) && report.refused == 0,
        "{report:?}"
    );
    assert!(status(&copy.core).unwrap().synced);
    // Even the first goes on beside it: a clone.
    write(&phones[0], later, Edit::new().field("structure", "simple")).unwrap();
    for _ in 0..2 {
        for phone in [&mut phones[0], &mut copy] {
            phone.sync().await.unwrap();
        }
    }
    phones[1].sync().await.unwrap();
    for phone in [&phones[0], &copy, &phones[1]] {
        assert_eq!(all(phone), all(&phones[0]), "{}", phone.name);
        assert!(status(&phone.core).unwrap().synced, "{}", phone.name);
        for record in records.iter().chain([&later, &fresh]) {
            let (one, other) = (phone.core.record(*record).unwrap(), phones[0].core.record(*record).unwrap());
            assert_eq!(
                (&one.facts, &one.conflicts, one.row.unreadable),
                (&other.facts, &other.conflicts, None)
            );
            assert_eq!(
                phone.core.history(*record).unwrap().len(),
                phones[0].core.history(*record).unwrap().len()
            );
        }
    }
    assert_eq!(shown(&copy, records[0], "address_code"), "110108-0002".into());
}

#[tokio::test]
async fn what_an_absent_author_wrote_is_given_back_to_a_restored_station_by_who_holds_it() {
    let post = Post::open("givenback");
    let mut phones = post.phones::<2>().await;
    let early = household(&phones[0], 1);
    sync_both(&mut phones).await;
    let copies = post.root.join("copies");
    command(&["backup", "--to", &copies.to_string_lossy()], &post.places);
    // All this is lost with the station's disk, and its author stays away.
    let lost: Vec<RecordId> = (10..14).map(|number| household(&phones[0], number)).collect();
    write(&phones[0], early, Edit::new().field("structure", "simple")).unwrap();
    write(&phones[0], lost[0], Edit::new().field("structure", "simple")).unwrap();
    sync_both(&mut phones).await;
    write(&phones[1], early, Edit::new().field("language", "dialect")).unwrap();
    phones[1].sync().await.unwrap();
    let before: Vec<_> = all(&phones[1])
        .into_iter()
        .map(|record| phones[1].core.record(record).unwrap())
        .collect();
    let post = post.restored_from(&copies, |_| {});
    phones[1].call(post.station.url());
    let report = phones[1].sync().await.unwrap();
    assert!(report.events.contains(&SyncEvent::StationRestored { epoch: 1 }), "{report:?}");
    let told = status(&phones[1].core).unwrap();
    assert!(told.synced && told.to_give_back == 0, "{told:?}");
    for view in &before {
        let now = phones[1].core.record(view.row.record).unwrap();
        assert_eq!((&now.facts, now.row.waiting, &now.row.unreadable), (&view.facts, 0, &None));
        assert_eq!(now.opener.name, "王警官", "who wrote it stays who wrote it");
    }
    let mut third = fresh_phone(&post, "新警官", &phones[0].clock).await;
    third.sync().await.unwrap();
    assert_eq!(all(&third), all(&phones[1]));
    assert_eq!(shown(&third, lost[0], "structure"), "simple".into());
    // The author comes back: his pages are what they were, nothing is doubled.
    phones[0].call(post.station.url());
    let report = phones[0].sync().await.unwrap();
    assert_eq!(report.refused, 0, "{report:?}");
    for phone in &mut phones {
        phone.sync().await.unwrap();
        assert!(status(&phone.core).unwrap().synced, "{}", phone.name);
    }
    for record in all(&third) {
        let views: Vec<_> = phones.iter().map(|phone| phone.core.record(record).unwrap()).collect();
        assert_eq!((&views[0].facts, views[0].row.waiting), (&views[1].facts, 0));
        assert_eq!(
            phones[0].core.history(record).unwrap().len(),
            third.core.history(record).unwrap().len()
        );
    }
}
