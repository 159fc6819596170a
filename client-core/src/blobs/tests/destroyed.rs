//! Photos of what the station destroyed: they wait for nobody any more, unless another record has them too.

use beatbook_protocol::document::Edit;

use super::*;

/// A field of photos in the private document; the kinds that are delivered have none.
const INSIDE: &str = r#"[[field]]
code = "inside_photos"
label = { zh = "室内照片", en = "Photos inside" }
type = "files"
document = "private"
sensitivity = 2
purpose = "A test."

"#;

#[test]
fn a_photo_that_waits_goes_with_its_record_unless_another_one_has_it() {
    let (phone, mut station) = enrolled_at();
    let (doomed, stays) = (visit(&phone), visit(&phone));
    let shared = attach(&phone, doomed, "audio/mp4", &recording(1, 1_000)).unwrap();
    assert_eq!(attach(&phone, stays, "audio/mp4", &recording(1, 1_000)).unwrap(), shared);
    attach(&phone, doomed, "audio/mp4", &recording(2, 500)).unwrap();
    accept(&phone, &mut station);
    assert_eq!(phone.core.blobs_owed().unwrap(), (2, 1_500));
    station.destroy(doomed, false);
    accept(&phone, &mut station);
    assert_eq!(phone.core.blobs_owed().unwrap(), (1, 1_000));
    let mut shelf = Shelf::default();
    assert_eq!(sync(&phone, BlobBudget::default(), &mut shelf).arrived, [shared.hash]);
    assert!(phone.core.record_files(stays).unwrap().complete);
    assert_eq!(files(&phone).len(), 1);
}

#[test]
fn what_the_station_had_of_a_destroyed_record_is_brought_again_for_another_one() {
    let (phone, mut station) = enrolled_at();
    let (doomed, stays) = (visit(&phone), visit(&phone));
    let shared = attach(&phone, doomed, "audio/mp4", &recording(3, 1_000)).unwrap();
    attach(&phone, stays, "audio/mp4", &recording(3, 1_000)).unwrap();
    let mut shelf = Shelf::default();
    sync(&phone, BlobBudget::default(), &mut shelf);
    accept(&phone, &mut station);
    // The station threw it away with the record that it knew it by.
    shelf.arrived.clear();
    station.destroy(doomed, false);
    accept(&phone, &mut station);
    assert_eq!(phone.core.free_blobs(0).unwrap(), 0, "what is in doubt stays");
    assert_eq!(sync(&phone, BlobBudget::default(), &mut shelf).arrived, [shared.hash]);
}

#[test]
fn a_photo_of_a_private_document_that_is_destroyed_goes_with_it() {
    let (phone, mut station) = enrolled_at();
    let source = phone.core.kinds().newest("household").unwrap().source().to_owned();
    let photos = source.find("[[field]]\ncode = \"photos\"").unwrap();
    let (before, after) = source.split_at(photos);
    let before = before.replacen("version = 1", "version = 2", 1);
    let source = format!("{before}{INSIDE}{after}");
    phone.core.kinds().with([("household 2", source.as_str())]).unwrap();
    phone.core.write(|records| records.put_kind("household", 2, &source)).unwrap();
    let home = phone
        .core
        .begin("household", &Edit::new().field("address", "五道口7号"))
        .unwrap();
    assert_eq!(phone.core.record(home).unwrap().row.kind_version, 2);
    let other = visit(&phone);
    let inside = |media_type, content: &[u8]| {
        let attachment = Attachment {
            field: "inside_photos",
            media_type,
            source: BlobSource::Bytes(content),
        };
        phone.core.attach(home, &attachment, None).unwrap()
    };
    let private = inside("image/png", &photo(400));
    let shared = inside("audio/mp4", &recording(4, 1_000));
    attach(&phone, other, "audio/mp4", &recording(4, 1_000)).unwrap();
    accept(&phone, &mut station);
    assert_eq!(
        phone.core.blobs_owed().unwrap().0,
        3,
        "the photo, its small picture, and a recording"
    );
    station.destroy(home, true);
    accept(&phone, &mut station);
    let mut shelf = Shelf::default();
    assert_eq!(sync(&phone, BlobBudget::default(), &mut shelf).arrived, [shared.hash]);
    assert_eq!(read(&phone, &private.hash), None);
    assert!(phone.core.record(home).is_ok() && files(&phone).len() == 1);
}
