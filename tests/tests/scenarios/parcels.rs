//! A phone without a network, a phone that carries its work, and a station: three real parts.

use beatbook_client_core::sync::parcel::{self, CarriedState, ParcelError};
use beatbook_client_core::sync::{StoreVault, status};
use beatbook_protocol::document::Edit;
use beatbook_protocol::parcel::ParcelFault;
use beatbook_tests::phone::Phone;

use super::post::{Post, act, household, state, visit, write};

fn pack(author: &Phone) -> parcel::ParcelMade {
    let mut made = parcel::make(&author.core, &StoreVault(&author.core), 0).unwrap();
    assert_eq!(made.len(), 1);
    made.remove(0)
}

#[tokio::test]
async fn what_a_phone_without_a_network_wrote_is_carried_to_the_station_and_its_verdicts_come_home() {
    let post = Post::open("parcel");
    let [author, mut carrier, mut colleague] = post.phones::<3>().await;
    let home = household(&author, 101);
    let record = visit(&author, home);
    act(&author, record, "finish");
    act(&author, record, "submit");
    let waiting = status(&author.core).unwrap().waiting;
    assert!(waiting >= 4, "{waiting}");

    // Over a stick, or Bluetooth: bytes. The carrier sees none of the author's records in them.
    let made = pack(&author);
    assert_eq!(made.entries, waiting);
    assert!(!made.file.windows(5).any(|window| window == b"visit"));
    parcel::carry_in(&carrier.core, &made.file).unwrap();
    assert!(carrier.core.record(record).is_err());
    assert_eq!(status(&carrier.core).unwrap().parcels.waiting, 1);
    let report = carrier.sync().await.unwrap();
    assert_eq!((report.parcels.delivered, report.parcels.refused), (1, 0));
    let carried = parcel::carried(&carrier.core).unwrap();
    assert!(
        matches!(carried[0].state, CarriedState::Answered { handed_at: None, .. }),
        "{carried:?}"
    );

    // The station has it as the author's, and the chief decides on it.
    let page = post.page(record).await;
    assert_eq!(page["header"]["state"], "submitted");
    assert_eq!(post.order(record, serde_json::json!({ "act": "approve" })).await.0, 200);
    colleague.sync().await.unwrap();
    assert_eq!(state(&colleague, record), "approved");

    // And the answer comes home.
    let answer = parcel::carry_out(&carrier.core, made.parcel).unwrap();
    assert_eq!(status(&carrier.core).unwrap().parcels.handed, 1);
    let taken = parcel::take_answer(&author.core, &answer).unwrap();
    assert_eq!((taken.entries, taken.accepted, taken.refused), (waiting, waiting, 0));
    assert_eq!(status(&author.core).unwrap().waiting, 0);
    assert_eq!(state(&author, record), "submitted", "nothing of the feed came along");
    assert!(parcel::take_answer(&author.core, &answer).unwrap().already);
    let other = parcel::take_answer(&colleague.core, &answer);
    assert!(matches!(other, Err(ParcelError::NotOurs)), "{other:?}");
}

#[tokio::test]
async fn parcels_and_syncs_may_cross_in_any_way_and_nothing_is_doubled_or_lost() {
    let post = Post::open("crossed");
    let [mut author, mut carrier] = post.phones::<2>().await;
    let home = household(&author, 101);
    let first = pack(&author);
    let record = visit(&author, home);
    let second = pack(&author);
    // The second parcel alone holds what the first one did; the author comes online before either arrives.
    parcel::carry_in(&carrier.core, &second.file).unwrap();
    write(&author, record, Edit::new().field("duration_min", 33)).unwrap();
    author.sync().await.unwrap();
    assert!(status(&author.core).unwrap().synced);
    carrier.sync().await.unwrap();
    parcel::carry_in(&carrier.core, &first.file).unwrap();
    carrier.sync().await.unwrap();
    let before = post.desk.get("/api/v1/status").await.unwrap();
    assert_eq!(before["quarantined"], 0, "{before}");
    assert_eq!(before["records"], 2);
    for made in [&first, &second] {
        let answer = parcel::carry_out(&carrier.core, made.parcel).unwrap();
        let taken = parcel::take_answer(&author.core, &answer).unwrap();
        assert_eq!((taken.pages, taken.already), (0, false), "all of it was answered before");
    }
    // Delivered twice, by two: the same.
    parcel::put_down(&carrier.core, first.parcel).unwrap();
    parcel::carry_in(&carrier.core, &first.file).unwrap();
    assert_eq!(carrier.sync().await.unwrap().parcels.delivered, 1);
    let after = post.desk.get("/api/v1/status").await.unwrap();
    assert_eq!(after["ledger"], before["ledger"]);
    assert_eq!(post.page(record).await["official"]["fields"]["duration_min"], 33);
}

#[tokio::test]
async fn a_parcel_that_was_changed_or_is_for_another_station_is_refused_and_the_work_waits_on() {
    let (post, elsewhere) = (Post::open("parcel-here"), Post::open("parcel-elsewhere"));
    let [mut author, mut carrier] = post.phones::<2>().await;
    let [stranger] = elsewhere.phones::<1>().await;
    household(&author, 101);
    let made = pack(&author);
    let there = parcel::carry_in(&stranger.core, &made.file);
    assert!(
        matches!(there, Err(ParcelError::Fault(ParcelFault::OtherStation(_)))),
        "{there:?}"
    );
    let cut = parcel::carry_in(&carrier.core, &made.file[..made.file.len() / 2]);
    assert!(matches!(cut, Err(ParcelError::Fault(ParcelFault::Unreadable(_)))), "{cut:?}");
    let mut changed = made.file.clone();
    *changed.last_mut().unwrap() ^= 1;
    let bad = parcel::carry_in(&carrier.core, &changed).unwrap().parcel;
    parcel::carry_in(&carrier.core, &made.file).unwrap();
    let report = carrier.sync().await.unwrap();
    assert_eq!((report.parcels.delivered, report.parcels.refused), (1, 1));
    let refused = parcel::carry_out(&carrier.core, bad);
    assert!(
        matches!(&refused, Err(ParcelError::Refused { code, .. }) if code == "parcel_sealed"),
        "{refused:?}"
    );
    assert!(status(&author.core).unwrap().waiting > 0);
    author.sync().await.unwrap();
    assert_eq!(status(&author.core).unwrap().waiting, 0);
}
