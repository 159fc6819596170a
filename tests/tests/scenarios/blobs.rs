//! Photos and recordings between real phones and a real station: over lines that break, past kills, under a policy, and only to whom a
//! record shows them.

use std::io::Read;
use std::time::Duration;

use beatbook_client_core::blobs::{Attached, Attachment, BlobBudget, BlobReport, BlobSource, WhyWaiting};
use beatbook_client_core::drive;
use beatbook_client_core::sync::{StoreVault, parcel};
use beatbook_client_core::transport::HttpTransport;
use beatbook_protocol::id::{Hash, RecordId};
use beatbook_tests::phone::Phone;
use beatbook_tests::proxy::Road;
use beatbook_tests::station::StationProcess;
use serde_json::Value as Json;

use crate::post::{Post, household, visit};

/// A recording that no compression makes small, as any seed says.
fn recording(seed: u8, bytes: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ u64::from(seed);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    (0..bytes).map(|_| next()).collect()
}

/// A photo as a camera would make it, only plainer: an uncompressed PNG of one colour a line.
fn photo(side: u32) -> Vec<u8> {
    let adler = |bytes: &[u8]| {
        let (a, b) = bytes.iter().fold((1_u32, 0_u32), |(a, b), byte| {
            let a = (a + u32::from(*byte)) % 65_521;
            (a, (b + a) % 65_521)
        });
        (b << 16) | a
    };
    let crc = |bytes: &[u8]| {
        !bytes.iter().fold(!0_u32, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
                (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
            })
        })
    };
    let rows: Vec<u8> = (0..side)
        .flat_map(|y| std::iter::once(0).chain((0..side * 3).map(move |x| (x * 5 + y * 3) as u8)))
        .collect();
    let mut packed = vec![0x78, 0x01];
    let blocks = rows.chunks(65_535);
    let last = blocks.len() - 1;
    for (at, block) in blocks.enumerate() {
        packed.push(u8::from(at == last));
        packed.extend_from_slice(&(block.len() as u16).to_le_bytes());
        packed.extend_from_slice(&(!(block.len() as u16)).to_le_bytes());
        packed.extend_from_slice(block);
    }
    packed.extend_from_slice(&adler(&rows).to_be_bytes());
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    let head = [&side.to_be_bytes()[..], &side.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
    for (name, body) in [(b"IHDR", &head[..]), (b"IDAT", &packed), (b"IEND", &[])] {
        let named = [&name[..], body].concat();
        png.extend_from_slice(&(body.len() as u32).to_be_bytes());
        png.extend_from_slice(&named);
        png.extend_from_slice(&crc(&named).to_be_bytes());
    }
    png
}

fn attach(phone: &Phone, record: RecordId, media_type: &str, content: &[u8]) -> Attached {
    let attachment = Attachment {
        field: "photos",
        media_type,
        source: BlobSource::Bytes(content),
    };
    phone.core.attach(record, &attachment, None).unwrap()
}

async fn bring(phone: &Phone, url: &str, budget: BlobBudget) -> BlobReport {
    let transport = HttpTransport::open(url, b"").unwrap();
    drive::sync_blobs(&phone.core, &transport, budget).await.unwrap()
}

fn content(phone: &Phone, hash: &Hash) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    phone.core.blob(hash).unwrap()?.read_to_end(&mut bytes).unwrap();
    Some(bytes)
}

async fn files(post: &Post, record: RecordId) -> Vec<Json> {
    post.page(record).await["files"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_photo_reaches_the_desk_and_a_colleague_small_picture_first() {
    let post = Post::open("blobs-photo");
    let [mut author, mut colleague] = post.phones().await;
    let home = household(&author, 101);
    let record = visit(&author, home);
    let taken = photo(700);
    let made = attach(&author, record, "image/png", &taken);
    let small = made.thumbnail.unwrap();
    // The record does not wait for its photo.
    author.sync().await.unwrap();
    assert_eq!(files(&post, record).await[0]["arrived"], false);
    assert!(!author.core.record_files(record).unwrap().complete);
    let metered = BlobBudget {
        metered: true,
        ..BlobBudget::default()
    };
    let report = bring(&author, post.station.url(), metered).await;
    assert_eq!((report.arrived, report.fault), (vec![small], None));
    assert_eq!(author.core.waiting_blobs(&metered).unwrap()[0].why, WhyWaiting::Metered);
    let line = &files(&post, record).await[0];
    assert_eq!(
        (&line["arrived"], &line["thumbnail_arrived"]),
        (&Json::Bool(false), &Json::Bool(true))
    );
    let report = bring(&author, post.station.url(), BlobBudget::default()).await;
    assert_eq!(report.arrived, [made.hash]);
    assert_eq!(files(&post, record).await[0]["arrived"], true);
    assert!(author.core.record_files(record).unwrap().complete);
    colleague.sync().await.unwrap();
    bring(&colleague, post.station.url(), BlobBudget::default()).await;
    let seen = colleague.core.record_files(record).unwrap();
    assert!(seen.complete && !seen.files[0].here);
    colleague.core.want_blob(&small).unwrap();
    colleague.core.want_blob(&made.hash).unwrap();
    let report = bring(&colleague, post.station.url(), metered).await;
    assert_eq!(report.fetched.len(), 2);
    assert_eq!(content(&colleague, &made.hash).unwrap(), taken);
}

#[tokio::test]
async fn an_upload_goes_on_past_broken_lines_and_a_killed_station_and_phone() {
    let mut post = Post::open("blobs-broken");
    let [mut author] = post.phones().await;
    let home = household(&author, 101);
    let record = visit(&author, home);
    let spoken = recording(1, 3_000_000);
    let made = attach(&author, record, "audio/mp4", &spoken);
    author.sync().await.unwrap();
    let address = post.station.url().trim_start_matches("http://").parse().unwrap();
    let few = BlobBudget {
        failures_max: 1,
        ..BlobBudget::default()
    };
    // A line that carries 700,000 bytes and breaks, twice.
    for _ in 0..2 {
        let road = Road::that_breaks_after(address, 700_000).await.unwrap();
        let report = bring(&author, &road.url(), few).await;
        assert!(report.fault.is_some() && report.arrived.is_empty(), "{report:?}");
    }
    // The station dies by a power cut, and the phone's process with the next line.
    post.station.kill().unwrap();
    post.station = StationProcess::serve(&post.places, "127.0.0.1:0").unwrap();
    let file = post.root.join("王警官.db");
    let clock = author.clock.clone();
    drop(author);
    let author = Phone::open("王警官", &file, post.station.url(), &clock).unwrap();
    let road = Road::to(
        post.station.url().trim_start_matches("http://").parse().unwrap(),
        Duration::ZERO,
    )
    .await
    .unwrap();
    let report = bring(&author, &road.url(), BlobBudget::default()).await;
    assert_eq!((report.arrived, report.fault), (vec![made.hash], None));
    // What had come before was not sent again, but for what the breaks swallowed.
    assert!(road.traffic().up < 2_300_000, "{:?}", road.traffic());
    let file = post
        .places
        .data
        .join("blobs")
        .join(&made.hash.to_string()[..2])
        .join(made.hash.to_string());
    assert_eq!(std::fs::read(file).unwrap(), spoken);
}

#[tokio::test]
async fn a_download_goes_on_past_a_broken_line() {
    let post = Post::open("blobs-download");
    let [mut author, mut colleague] = post.phones().await;
    let home = household(&author, 101);
    let record = visit(&author, home);
    let spoken = recording(2, 2_000_000);
    let made = attach(&author, record, "audio/mp4", &spoken);
    author.sync().await.unwrap();
    bring(&author, post.station.url(), BlobBudget::default()).await;
    colleague.sync().await.unwrap();
    colleague.core.want_blob(&made.hash).unwrap();
    let address = post.station.url().trim_start_matches("http://").parse().unwrap();
    let few = BlobBudget {
        failures_max: 1,
        ..BlobBudget::default()
    };
    let road = Road::that_breaks_after(address, 900_000).await.unwrap();
    let report = bring(&colleague, &road.url(), few).await;
    assert!(
        report.fault.is_some() && content(&colleague, &made.hash).is_none(),
        "{report:?}"
    );
    let road = Road::to(address, Duration::ZERO).await.unwrap();
    let report = bring(&colleague, &road.url(), BlobBudget::default()).await;
    assert_eq!(report.fetched, [made.hash]);
    assert!(road.traffic().down < 1_300_000, "{:?}", road.traffic());
    assert_eq!(content(&colleague, &made.hash).unwrap(), spoken);
}

#[tokio::test]
async fn a_blob_that_no_record_of_his_names_is_given_to_nobody() {
    let post = Post::open("blobs-scope");
    let [author] = post.phones().await;
    let home = household(&author, 101);
    let record = visit(&author, home);
    let made = attach(&author, record, "audio/mp4", &recording(3, 50_000));
    // The blob comes, its record does not.
    let report = bring(&author, post.station.url(), BlobBudget::default()).await;
    assert_eq!(report.arrived, [made.hash]);
    let path = format!("/api/v1/blobs/{}", made.hash);
    let (status, body) = post.desk.call("GET", &path, None, None).await.unwrap();
    assert_eq!((status, &body["code"]), (404, &Json::from("blob_unknown")));
    // The author keeps it: the record that names it waits.
    assert_eq!(author.core.free_blobs(0).unwrap(), 0);
}

/// Hands parcels to a carrier who syncs, and the answers back.
async fn carried(author: &Phone, carrier: &mut Phone, made: &[parcel::ParcelMade]) {
    for made in made {
        parcel::carry_in(&carrier.core, &made.file).unwrap();
    }
    let report = carrier.sync().await.unwrap();
    assert_eq!((report.parcels.delivered, report.parcels.refused), (made.len() as u64, 0));
    for made in made {
        let answer = parcel::carry_out(&carrier.core, made.parcel).unwrap();
        parcel::take_answer(&author.core, &answer).unwrap();
    }
}

#[tokio::test]
async fn photos_and_recordings_go_along_in_parcels_piece_by_piece_and_an_upload_goes_on_from_there() {
    let post = Post::open("blobs-carried");
    let [author, mut carrier] = post.phones().await;
    let home = household(&author, 101);
    let record = visit(&author, home);
    let taken = photo(500);
    let picture = attach(&author, record, "image/png", &taken);
    let spoken = recording(9, 5_000_000);
    let speech = attach(&author, record, "audio/ogg", &spoken);
    let make = |bytes| parcel::make(&author.core, &StoreVault(&author.core), bytes).unwrap();

    // A short stick: the small picture and the photo come first, and some of the recording fits.
    let made = make(2_000_000);
    let along: u64 = made.iter().map(|made| made.blob_bytes).sum();
    assert_eq!((made.len(), along), (1, 2_000_000));
    assert!(made[0].entries > 0 && made[0].file.len() < 3 * 1024 * 1024);
    carried(&author, &mut carrier, &made).await;
    let arrived = |files: &[Json]| -> Vec<bool> { files.iter().map(|file| file["arrived"] == true).collect() };
    let mut seen = arrived(&files(&post, record).await);
    seen.sort_unstable();
    assert_eq!(seen, [false, true], "the photo is there, the recording is not whole");
    let waits = author.core.waiting_blobs(&BlobBudget::default()).unwrap();
    assert_eq!(waits.iter().map(|blob| blob.hash).collect::<Vec<_>>(), [speech.hash]);

    // The next ones go on where the station is, and so does the author when he comes online in between.
    let second = make(1_000_000);
    carried(&author, &mut carrier, &second).await;
    let owed = author.core.blobs_owed().unwrap();
    let part = spoken.len() as u64 - owed.1;
    assert!(owed.0 == 1 && part > 1_000_000 && part < spoken.len() as u64, "{owed:?}");
    let report = bring(&author, post.station.url(), BlobBudget::default()).await;
    assert_eq!((report.arrived, report.fault), (vec![speech.hash], None));
    assert_eq!(arrived(&files(&post, record).await), [true, true]);
    assert!(author.core.record_files(record).unwrap().complete);
    assert_eq!(author.core.blobs_owed().unwrap(), (0, 0));
    assert_eq!(content(&author, &picture.hash).unwrap(), taken);
    let nothing = parcel::make(&author.core, &StoreVault(&author.core), 1_000_000);
    assert!(matches!(nothing, Err(parcel::ParcelError::Nothing)), "{nothing:?}");
}

#[tokio::test]
async fn a_recording_longer_than_a_parcel_goes_in_several_in_whatever_order_they_come() {
    let post = Post::open("blobs-several");
    let [author, mut carrier, mut other] = post.phones().await;
    let home = household(&author, 101);
    let record = visit(&author, home);
    let spoken = recording(10, 5_000_000);
    let speech = attach(&author, record, "audio/ogg", &spoken);
    let made = parcel::make(&author.core, &StoreVault(&author.core), u64::MAX).unwrap();
    assert_eq!(made.len(), 3);
    // The last piece comes first, with another carrier: it is left aside, and its author is told so.
    carried(&author, &mut other, &made[2..]).await;
    assert_eq!(author.core.blobs_owed().unwrap(), (1, spoken.len() as u64));
    carried(&author, &mut carrier, &made[..2]).await;
    let (waiting, rest) = author.core.blobs_owed().unwrap();
    assert!(waiting == 1 && rest < 2 * 1024 * 1024, "{rest}");
    let last = parcel::make(&author.core, &StoreVault(&author.core), u64::MAX).unwrap();
    assert_eq!((last.len(), last[0].blob_bytes), (1, rest));
    carried(&author, &mut other, &last).await;
    assert_eq!(author.core.blobs_owed().unwrap(), (0, 0));
    assert_eq!(files(&post, record).await[0]["arrived"], true);
    other.sync().await.unwrap();
    other.core.want_blob(&speech.hash).unwrap();
    bring(&other, post.station.url(), BlobBudget::default()).await;
    assert_eq!(content(&other, &speech.hash).unwrap(), spoken);
}
