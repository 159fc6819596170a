//! What phone and station hold comes to differ, by a fault that neither made: they notice, and mend it in few round trips.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use beatbook_client_core::sync::{SyncEvent, status, verify};
use beatbook_protocol::document::Edit;
use beatbook_protocol::wire::ExchangeResponse;

use super::first_sync::{all, fresh};
use super::line::Line;
use super::post::{Post, household, shown, sync_both, write};

/// A reply without what others wrote, and without the receipt that would show that something is missing.
fn emptied(reply: ExchangeResponse) -> ExchangeResponse {
    ExchangeResponse {
        feed: Vec::new(),
        fill: None,
        receipt: None,
        ..reply
    }
}

#[tokio::test]
async fn records_that_a_broken_line_swallowed_are_found_by_digests_and_sent_whole() {
    let post = Post::open("swallowed");
    let mut phones = post.phones::<2>().await;
    let records: Vec<_> = (0..60).map(|number| household(&phones[0], number)).collect();
    sync_both(&mut phones).await;
    for record in &records[..3] {
        write(&phones[0], *record, Edit::new().field("address_code", "110108-0042")).unwrap();
    }
    let new = household(&phones[0], 700);
    phones[0].sync().await.unwrap();

    let swallows = Arc::new(AtomicBool::new(true));
    let flag = Arc::clone(&swallows);
    let line = Line::bent(post.station.url(), move |reply| {
        Some(if flag.swap(false, Ordering::SeqCst) {
            emptied(reply)
        } else {
            reply
        })
    });
    let report = line.sync(&phones[1]).await.unwrap();
    let asked = line.asked();
    assert!(asked.len() <= 4, "a few round trips: {report:?}");
    assert!(asked.iter().any(|asked| asked.buckets.is_some()));
    let wanted = asked
        .iter()
        .filter_map(|asked| asked.wanted.as_ref())
        .map(Vec::len)
        .sum::<usize>();
    assert_eq!(wanted, 4, "no more than what differs");
    assert_eq!(shown(&phones[1], records[0], "address_code"), "110108-0042".into());
    assert_eq!(all(&phones[1]), all(&phones[0]));
    assert!(all(&phones[1]).contains(&new));
    assert!(status(&phones[1].core).unwrap().synced);
}

#[tokio::test]
async fn a_comparison_that_a_user_asks_for_costs_one_request_when_all_is_well() {
    let post = Post::open("verify");
    let mut phones = post.phones::<2>().await;
    (0..40).for_each(|number| _ = household(&phones[0], number));
    sync_both(&mut phones).await;
    verify(&phones[1].core).unwrap();
    let line = Line::to(post.station.url());
    let report = line.sync(&phones[1]).await.unwrap();
    assert_eq!(report.requests, 1);
    assert!(line.asked()[0].buckets.is_some());
    line.sync(&phones[1]).await.unwrap();
    assert!(line.asked()[1].buckets.is_none(), "it was asked for once");
    assert!(status(&phones[1].core).unwrap().synced);
}

#[tokio::test]
async fn a_phone_that_cannot_agree_with_its_station_says_so_and_stops_asking() {
    let post = Post::open("disagrees");
    let mut phones = post.phones::<2>().await;
    household(&phones[0], 1);
    sync_both(&mut phones).await;
    let line = Line::bent(post.station.url(), |reply| {
        let mut digest = reply.digest.unwrap_or_default();
        digest.records += 1;
        Some(ExchangeResponse {
            digest: Some(digest),
            ..reply
        })
    });
    let report = line.sync(&phones[1]).await.unwrap();
    assert!(report.events.contains(&SyncEvent::DigestsDiffer), "{report:?}");
    assert_eq!(report.requests, 4);
    let told = status(&phones[1].core).unwrap();
    assert!(!told.synced && told.differs_since.is_some());
    phones[1].sync().await.unwrap();
    assert!(status(&phones[1].core).unwrap().synced);
    let fresh = fresh(&post, "新警官", &phones[0].clock).await;
    line.sync(&fresh).await.unwrap();
    assert_eq!(all(&fresh).len(), 1, "nothing is dropped for a digest alone");
}
