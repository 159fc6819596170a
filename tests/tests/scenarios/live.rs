//! Hints: a change reaches a colleague's phone that is online, although nobody asks at intervals; and a stream that is lost is no harm.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use beatbook_client_core::blobs::BlobBudget;
use beatbook_client_core::drive::{self, Pace};
use beatbook_client_core::sync::{Budget, StoreVault, SyncFault, SyncReport};
use beatbook_client_core::transport::HttpTransport;
use beatbook_protocol::document::Edit;
use beatbook_tests::phone::Phone;
use beatbook_tests::station::StationProcess;
use tokio::sync::{Notify, mpsc};

use crate::post::{Post, household, shown, write};

/// Nobody asks of himself within the test.
const NEVER_MS: u64 = 24 * 60 * 60 * 1000;
/// A machine that takes longer is out of order.
const PATIENCE: Duration = Duration::from_secs(120);

fn pace() -> Pace {
    Pace {
        interval_ms: NEVER_MS,
        spread_ms: 10,
        reopen_ms: 50,
        reopen_ms_max: 200,
    }
}

/// A phone that stays in touch on a task of its own, and what its syncs did.
struct Live {
    phone: Arc<Phone>,
    wanted: Arc<Notify>,
    reports: mpsc::UnboundedReceiver<SyncReport>,
    ended: tokio::task::JoinHandle<SyncFault>,
}

impl Live {
    fn begin(phone: Phone, url: &str) -> Self {
        let (phone, wanted) = (Arc::new(phone), Arc::new(Notify::new()));
        let (sender, reports) = mpsc::unbounded_channel();
        let transport = HttpTransport::open(url, b"").unwrap();
        let ended = tokio::spawn({
            let (phone, wanted) = (Arc::clone(&phone), Arc::clone(&wanted));
            async move {
                let told = Mutex::new(sender);
                let told = |report: &SyncReport| drop(told.lock().unwrap().send(report.clone()));
                let vault = StoreVault(&phone.core);
                drive::live(
                    &phone.core,
                    &vault,
                    &transport,
                    (Budget::default(), BlobBudget::default(), pace()),
                    &wanted,
                    told,
                )
                .await
                .unwrap()
            }
        });
        Self {
            phone,
            wanted,
            reports,
            ended,
        }
    }

    /// Waits for the next sync of which this holds.
    async fn until(&mut self, holds: impl Fn(&SyncReport) -> bool) -> SyncReport {
        tokio::time::timeout(PATIENCE, async {
            loop {
                let report = self.reports.recv().await.unwrap();
                if holds(&report) {
                    return report;
                }
            }
        })
        .await
        .unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_reaches_the_other_phone_that_is_online_without_its_asking() {
    let post = Post::open("live");
    let [mut one, mut other] = post.phones().await;
    let home = household(&one, 101);
    one.sync().await.unwrap();
    other.sync().await.unwrap();
    let mut one = Live::begin(one, post.station.url());
    let mut other = Live::begin(other, post.station.url());
    // Both have opened their streams and asked once; from here on only a hint makes them ask.
    one.until(|report| report.complete).await;
    other.until(|report| report.complete).await;
    for use_now in ["rented", "own", "vacant"] {
        write(&one.phone, home, Edit::new().field("dwelling_use", use_now)).unwrap();
        one.wanted.notify_one();
        let report = other.until(|report| report.feed_entries > 0).await;
        assert_eq!((report.requests, report.feed_entries), (1, 1));
        assert_eq!(shown(&other.phone, home, "dwelling_use"), use_now.into());
    }
    // And the other way.
    write(&other.phone, home, Edit::new().field("structure", "simple")).unwrap();
    other.wanted.notify_one();
    one.until(|report| report.feed_entries > 0).await;
    assert_eq!(shown(&one.phone, home, "structure"), "simple".into());
    one.ended.abort();
    other.ended.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_whose_stream_breaks_with_the_station_finds_it_again_and_misses_nothing() {
    let post = Post::open("live-again");
    let [mut one, other] = post.phones().await;
    let home = household(&one, 101);
    one.sync().await.unwrap();
    let mut live = Live::begin(other, post.station.url());
    live.until(|report| report.feed_entries > 0).await;
    let listen = post.station.url().trim_start_matches("http://").to_owned();
    let places = post.places.clone();
    // An open stream does not hold up a station that is told to stop.
    post.station.stop().unwrap();
    let station = StationProcess::serve(&places, &listen).unwrap();
    write(&one, home, Edit::new().field("dwelling_use", "rented")).unwrap();
    one.call(station.url());
    one.sync().await.unwrap();
    live.until(|report| report.feed_entries > 0).await;
    assert_eq!(shown(&live.phone, home, "dwelling_use"), "rented".into());
    live.ended.abort();
}
