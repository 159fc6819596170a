//! Blobs on a phone, against a station of a few lines: what is kept, in what order it goes, and what never leaves. The real station is
//! tried in the scenarios.

use std::io::Read;

use beatbook_protocol::blob::{blob_name, blob_path};
use beatbook_protocol::limits::{BLOB_PIECE_BYTES, BLOB_PIECE_BYTES_MIN};

use super::testing::*;
use super::*;
use crate::store::blobs;
use crate::transport::Verb;

mod destroyed;

#[test]
fn what_is_attached_reads_back_after_a_restart_and_lies_encrypted() {
    let mut phone = enrolled();
    let record = visit(&phone);
    for bytes in [1, 65_535, 65_536, 65_537, 200_000] {
        let content = recording(1, bytes);
        let made = attach(&phone, record, "audio/mp4", &content).unwrap();
        assert_eq!(
            (made.hash, made.bytes, made.thumbnail),
            (blob_name(&content), bytes as u64, None)
        );
        phone.reopen();
        assert_eq!(read(&phone, &made.hash).unwrap(), content, "{bytes}");
    }
    assert_eq!(phone.core.blobs_owed().unwrap(), (5, 1 + 65_535 + 65_536 + 65_537 + 200_000));
    for file in files(&phone) {
        let sealed = std::fs::read(&file).unwrap();
        let plain = recording(1, 64);
        assert!(!sealed.windows(64).any(|window| window == plain), "{}", file.display());
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        assert!(
            phone.core.blob(&name.parse().unwrap()).unwrap().is_none(),
            "the name tells the content"
        );
    }
}

#[test]
fn a_file_that_was_cut_swapped_or_lengthened_is_never_shown() {
    let phone = enrolled();
    let record = visit(&phone);
    let made = attach(&phone, record, "audio/mp4", &recording(2, 200_000)).unwrap();
    let file = files(&phone).remove(0);
    let sealed = std::fs::read(&file).unwrap();
    let chunk = cipher::CHUNK_BYTES + cipher::SEAL_BYTES;
    let swapped = [&sealed[chunk..2 * chunk], &sealed[..chunk], &sealed[2 * chunk..]].concat();
    let mut flipped = sealed.clone();
    flipped[chunk + 100] ^= 1;
    for (bytes, damaged) in [
        (sealed[..2 * chunk].to_vec(), true),
        (sealed[..sealed.len() - 1].to_vec(), true),
        (swapped, true),
        (flipped, true),
        (sealed.clone(), false),
    ] {
        std::fs::write(&file, bytes).unwrap();
        let read = phone.core.blob(&made.hash).unwrap().unwrap().read_to_end(&mut Vec::new());
        assert_eq!(read.is_err(), damaged);
    }
}

#[test]
fn a_photo_gets_a_small_picture_that_goes_first() {
    let phone = enrolled();
    let record = visit(&phone);
    attach(&phone, record, "audio/mp4", &recording(3, 1_000)).unwrap();
    let made = attach(&phone, record, "image/png", &photo(640)).unwrap();
    let small = made.thumbnail.unwrap();
    let drawn = image::load_from_memory(&read(&phone, &small).unwrap()).unwrap();
    assert_eq!((drawn.width(), drawn.height()), (320, 320));
    assert_eq!(
        phone.core.record(record).unwrap().facts.files[&made.hash].thumbnail,
        Some(small)
    );
    let mut shelf = Shelf::default();
    let report = sync(&phone, BlobBudget::default(), &mut shelf);
    assert_eq!((report.arrived.len(), report.arrived[0], report.fault), (3, small, None));
    assert_eq!(phone.core.blobs_owed().unwrap(), (0, 0));
    assert!(phone.core.record_files(record).unwrap().complete);
}

#[test]
fn what_says_that_it_is_a_photo_and_is_none_is_kept_all_the_same() {
    let phone = enrolled();
    let record = visit(&phone);
    let made = attach(&phone, record, "image/jpeg", b"no photo at all").unwrap();
    assert_eq!(made.thumbnail, None);
    assert_eq!(read(&phone, &made.hash).unwrap(), b"no photo at all");
}

#[test]
fn what_cannot_be_attached_leaves_nothing_behind() {
    let phone = enrolled();
    let record = visit(&phone);
    let wrong = |attached: Result<Attached, CoreError>| matches!(attached, Err(CoreError::InvalidInput { .. }));
    assert!(wrong(attach(&phone, record, "audio/mp4", b"")));
    assert!(wrong(attach(&phone, record, "../../etc", b"x")));
    let by_path = |path: &std::path::Path| {
        let attachment = Attachment {
            field: "photos",
            media_type: "image/png",
            source: BlobSource::Path(path),
        };
        phone.core.attach(record, &attachment, None)
    };
    let place = folder(&phone).with_extension("pick");
    std::fs::create_dir_all(&place).unwrap();
    std::fs::write(place.join("photo.png"), photo(8)).unwrap();
    std::os::unix::fs::symlink(phone.path(), place.join("link.png")).unwrap();
    for path in [
        place.join("link.png"),
        place.clone(),
        place.join("nothing"),
        phone.path().to_owned(),
        "/dev/zero".into(),
    ] {
        assert!(wrong(by_path(&path)), "{}", path.display());
    }
    let unknown = Attachment {
        field: "no_such_field",
        media_type: "image/png",
        source: BlobSource::Bytes(b"x"),
    };
    assert!(wrong(phone.core.attach(record, &unknown, None)));
    assert_eq!(phone.core.blobs_owed().unwrap(), (0, 0));
    assert!(!folder(&phone).exists() || files(&phone).is_empty());
    assert!(by_path(&place.join("photo.png")).unwrap().thumbnail.is_some());
    std::fs::remove_dir_all(&place).unwrap();
}

#[test]
fn a_kill_before_the_record_names_it_leaves_no_file_and_after_it_loses_none() {
    let mut phone = enrolled();
    let record = visit(&phone);
    let made = attach(&phone, record, "audio/mp4", &recording(4, 1_000)).unwrap();
    let file = files(&phone).remove(0);
    let passing = file.with_extension("part");
    // Killed after the commit, before the file got its lasting name; and another that never came to its commit.
    std::fs::rename(&file, &passing).unwrap();
    std::fs::write(folder(&phone).join("00.part"), b"never promised").unwrap();
    phone.reopen();
    assert_eq!(files(&phone), [file]);
    assert_eq!(read(&phone, &made.hash).unwrap(), recording(4, 1_000));
}

#[test]
fn on_a_metered_network_originals_wait_until_somebody_asks() {
    let phone = enrolled();
    let record = visit(&phone);
    let made = attach(&phone, record, "image/png", &photo(800)).unwrap();
    let small_one = attach(&phone, record, "audio/mp4", &recording(5, 1_000)).unwrap();
    let budget = BlobBudget {
        metered: true,
        metered_bytes_max: 2_000,
        ..BlobBudget::default()
    };
    let mut shelf = Shelf::default();
    let report = sync(&phone, budget, &mut shelf);
    assert_eq!(report.arrived, [made.thumbnail.unwrap(), small_one.hash]);
    let waiting = phone.core.waiting_blobs(&budget).unwrap();
    assert_eq!(
        (waiting.len(), &waiting[0].why, waiting[0].bytes),
        (1, &WhyWaiting::Metered, made.bytes)
    );
    assert_eq!(
        phone.core.waiting_blobs(&BlobBudget::default()).unwrap()[0].why,
        WhyWaiting::Turn
    );
    assert!(!phone.core.record_files(record).unwrap().complete);
    phone.core.send_blob(&made.hash).unwrap();
    assert_eq!(sync(&phone, budget, &mut shelf).arrived, [made.hash]);
}

#[test]
fn an_upload_goes_on_where_its_line_broke_even_after_the_process_died() {
    let mut phone = enrolled();
    let record = visit(&phone);
    let content = recording(6, 700_000);
    let made = attach(&phone, record, "audio/mp4", &content).unwrap();
    let mut shelf = Shelf {
        cut: Some(100_001),
        ..Shelf::default()
    };
    let short = BlobBudget {
        calls_max: 1,
        piece_bytes: 300_000,
        ..BlobBudget::default()
    };
    assert_eq!(sync(&phone, short, &mut shelf).fault, Some(BlobSyncFault::BudgetUsed));
    phone.reopen();
    shelf.cut = None;
    shelf.calls.clear();
    let report = sync(&phone, BlobBudget { calls_max: 99, ..short }, &mut shelf);
    assert_eq!((report.arrived, report.fault), (vec![made.hash], None));
    assert_eq!(shelf.arrived[&made.hash], content);
    // What had come was not sent again: it is in the station's answer.
    let sent = report.bytes_up;
    assert!(sent < 700_000 + 300_000 - 100_001, "{sent}");
}

#[test]
fn a_line_that_breaks_at_every_piece_still_gets_on() {
    let phone = enrolled();
    let record = visit(&phone);
    let content = recording(7, 1_500_000);
    let made = attach(&phone, record, "audio/mp4", &content).unwrap();
    let mut shelf = Shelf {
        cut: Some(40_000),
        ..Shelf::default()
    };
    let mut rounds = 0;
    while phone.core.blobs_owed().unwrap().0 > 0 {
        sync(&phone, BlobBudget::default(), &mut shelf);
        rounds += 1;
        assert!(rounds < 30);
    }
    assert_eq!(shelf.arrived[&made.hash], content);
    assert_eq!(shelf.bodies.iter().max(), Some(&BLOB_PIECE_BYTES));
    let is_least = |piece: &usize| *piece == BLOB_PIECE_BYTES_MIN;
    assert!(shelf.bodies.iter().any(is_least), "{:?}", shelf.bodies);
}

#[test]
fn a_station_that_gets_something_else_is_sent_it_again_and_others_go_on() {
    let phone = enrolled();
    let record = visit(&phone);
    let made = attach(&phone, record, "audio/mp4", &recording(8, 1_000)).unwrap();
    let other = attach(&phone, record, "audio/mp4", &recording(9, 1_000)).unwrap();
    let mut shelf = Shelf {
        garbles: true,
        ..Shelf::default()
    };
    let report = sync(&phone, BlobBudget::default(), &mut shelf);
    assert_eq!(
        (report.arrived, report.passed_over),
        (Vec::new(), vec![made.hash, other.hash])
    );
    assert!(matches!(
        phone.core.waiting_blobs(&BlobBudget::default()).unwrap()[0].why,
        WhyWaiting::Fault(_)
    ));
    shelf.garbles = false;
    assert_eq!(
        sync(&phone, BlobBudget::default(), &mut shelf).arrived,
        [made.hash, other.hash]
    );
}

#[test]
fn nothing_leaves_the_phone_before_the_station_acknowledged_it() {
    let (phone, mut station) = enrolled_at();
    let record = visit(&phone);
    let made = attach(&phone, record, "image/png", &photo(400)).unwrap();
    assert_eq!(phone.core.free_blobs(0).unwrap(), 0);
    let mut shelf = Shelf::default();
    sync(&phone, BlobBudget::default(), &mut shelf);
    // The station has it, but the record that names it still waits for its verdict.
    assert_eq!(phone.core.free_blobs(0).unwrap(), 0);
    accept(&phone, &mut station);
    assert_eq!(phone.core.free_blobs(u64::MAX).unwrap(), 0, "there is room");
    assert_eq!(phone.core.free_blobs(0).unwrap(), made.bytes);
    assert_eq!(read(&phone, &made.hash), None);
    assert!(read(&phone, &made.thumbnail.unwrap()).is_some(), "small pictures stay");
    assert_eq!(files(&phone).len(), 1);
}

#[test]
fn what_left_with_its_record_is_removed_and_what_waits_or_is_named_elsewhere_stays() {
    let (phone, mut station) = enrolled_at();
    let (gone, waits, stays) = (visit(&phone), visit(&phone), visit(&phone));
    let mut shelf = Shelf::default();
    let shared = attach(&phone, gone, "audio/mp4", &recording(1, 1_000)).unwrap();
    attach(&phone, stays, "audio/mp4", &recording(1, 1_000)).unwrap();
    let left = attach(&phone, gone, "image/png", &photo(400)).unwrap();
    sync(&phone, BlobBudget::default(), &mut shelf);
    let waiting = attach(&phone, waits, "audio/mp4", &recording(2, 1_000)).unwrap();
    accept(&phone, &mut station);
    assert_eq!(files(&phone).len(), 4);
    station.leave(gone);
    station.leave(waits);
    accept(&phone, &mut station);
    assert_eq!(read(&phone, &left.hash), None);
    assert_eq!(phone.core.blobs_owed().unwrap(), (1, 1_000));
    assert_eq!(sync(&phone, BlobBudget::default(), &mut shelf).arrived, [waiting.hash]);
    assert_eq!(files(&phone).len(), 2, "the photo and its small picture are gone");
    assert!(read(&phone, &shared.hash).is_some() && phone.core.want_blob(&left.hash).is_err());
}

#[test]
fn what_was_freed_is_fetched_again_in_pieces_and_verified() {
    let (mut phone, mut station) = enrolled_at();
    let record = visit(&phone);
    let content = recording(10, 400_000);
    let made = attach(&phone, record, "audio/mp4", &content).unwrap();
    let mut shelf = Shelf::default();
    sync(&phone, BlobBudget::default(), &mut shelf);
    accept(&phone, &mut station);
    phone.core.free_blobs(0).unwrap();
    phone.core.want_blob(&made.hash).unwrap();
    // A line that breaks within a chunk, then a process that dies.
    shelf.cut = Some(150_000);
    let short = BlobBudget {
        calls_max: 1,
        ..BlobBudget::default()
    };
    sync(&phone, short, &mut shelf);
    let held = phone.core.read(|tx| blobs::get(tx, &made.hash)).unwrap().unwrap().held;
    assert_eq!(held, 2 * 65_536);
    assert_eq!(read(&phone, &made.hash), None, "half of it is not shown");
    phone.reopen();
    shelf.cut = None;
    let report = sync(&phone, BlobBudget::default(), &mut shelf);
    assert_eq!((report.fetched, report.bytes_down), (vec![made.hash], 400_000 - held));
    assert_eq!(read(&phone, &made.hash).unwrap(), content);
    assert_eq!(files(&phone).len(), 1);
}

#[test]
fn what_is_not_what_was_wanted_is_never_shown() {
    let (phone, mut station) = enrolled_at();
    let record = visit(&phone);
    let made = attach(&phone, record, "audio/mp4", &recording(11, 100_000)).unwrap();
    let mut shelf = Shelf::default();
    sync(&phone, BlobBudget::default(), &mut shelf);
    accept(&phone, &mut station);
    phone.core.free_blobs(0).unwrap();
    phone.core.want_blob(&made.hash).unwrap();
    shelf.garbles = true;
    let report = sync(&phone, BlobBudget::default(), &mut shelf);
    assert_eq!((report.fetched, report.passed_over), (Vec::new(), vec![made.hash]));
    assert_eq!(read(&phone, &made.hash), None);
    assert!(files(&phone).is_empty());
    shelf.garbles = false;
    assert_eq!(sync(&phone, BlobBudget::default(), &mut shelf).fetched, [made.hash]);
}

#[test]
fn a_restored_station_gets_back_what_it_lost() {
    let (phone, mut station) = enrolled_at();
    let record = visit(&phone);
    accept(&phone, &mut station);
    let made = attach(&phone, record, "audio/mp4", &recording(12, 1_000)).unwrap();
    let kept = attach(&phone, record, "audio/mp4", &recording(13, 1_000)).unwrap();
    accept(&phone, &mut station);
    let mut shelf = Shelf::default();
    sync(&phone, BlobBudget::default(), &mut shelf);
    shelf.arrived.remove(&made.hash);
    assert!(sync(&phone, BlobBudget::default(), &mut shelf).arrived.is_empty());
    station.restore(1, true);
    station.write("after");
    accept(&phone, &mut station);
    assert_eq!(phone.core.free_blobs(0).unwrap(), 0, "what is in doubt stays");
    assert_eq!(sync(&phone, BlobBudget::default(), &mut shelf).arrived, [made.hash]);
    assert!(shelf.arrived.contains_key(&kept.hash) && shelf.arrived.contains_key(&made.hash));
}

#[test]
fn the_same_photo_twice_is_kept_and_sent_once() {
    let phone = enrolled();
    let (one, other) = (visit(&phone), visit(&phone));
    let content = recording(14, 1_000);
    let made = attach(&phone, one, "audio/mp4", &content).unwrap();
    assert_eq!(attach(&phone, other, "audio/mp4", &content).unwrap(), made);
    assert_eq!(files(&phone).len(), 1);
    let mut shelf = Shelf::default();
    assert_eq!(sync(&phone, BlobBudget::default(), &mut shelf).arrived, [made.hash]);
    assert_eq!(shelf.calls, [(Verb::Post, "/sync/v1/blobs".to_owned())]);
    assert!(phone.core.record_files(one).unwrap().complete && phone.core.record_files(other).unwrap().complete);
    assert!(attach(&phone, other, "audio/mp4", &content).is_ok());
    assert_eq!(phone.core.blobs_owed().unwrap(), (0, 0), "the station has it");
    assert_eq!(blob_path(&made.hash), format!("/sync/v1/blobs/{}", made.hash));
}
