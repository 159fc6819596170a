//! Photos and recordings over HTTP: uploads by tus, whatever breaks on the way, and who gets them back.

use std::net::SocketAddr;

use axum::http::Method;
use beatbook_protocol::blob::{TUS_MEDIA_TYPE, UploadMetadata, blob_name, blob_path};
use beatbook_protocol::document::Edit;
use beatbook_protocol::facts::FileRef;
use beatbook_protocol::id::Hash;
use beatbook_protocol::limits::{BLOB_BYTES_MAX, BLOBS_ASKED_MAX};
use beatbook_protocol::wire::{self, MEDIA_TYPE, StandingRequest, StandingResponse, WIRE_VERSION};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::desk::{Desk, Reply};
use crate::phone::Phone;

/// A recording that no compression makes small.
fn recording(seed: u8, bytes: usize) -> Vec<u8> {
    let mut content = Vec::with_capacity(bytes + 32);
    let mut block = blob_name(&[seed]);
    while content.len() < bytes {
        content.extend_from_slice(block.as_bytes());
        block = blob_name(block.as_bytes());
    }
    content.truncate(bytes);
    content
}

fn file(bytes: usize, thumbnail: Option<Hash>) -> FileRef {
    FileRef {
        field: "photos".into(),
        media_type: "image/jpeg".into(),
        bytes: bytes as u64,
        thumbnail,
        removed: false,
    }
}

async fn tus(desk: &Desk, phone: &Phone, method: Method, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Reply {
    let mut all = vec![("tus-resumable", "1.0.0")];
    all.extend_from_slice(headers);
    let bearer = format!("Bearer {}", phone.token);
    let reply = desk.call(method, path, Some(&bearer), &all, body).await;
    assert_eq!(reply.header("tus-resumable"), "1.0.0");
    reply
}

async fn create(desk: &Desk, phone: &Phone, name: Hash, length: u64, body: Vec<u8>) -> Reply {
    let metadata = UploadMetadata {
        sha256: name,
        media_type: "image/jpeg".into(),
    };
    let (length, metadata) = (length.to_string(), metadata.to_header());
    let mut headers = vec![("upload-length", &*length), ("upload-metadata", &*metadata)];
    if !body.is_empty() {
        headers.push(("content-type", TUS_MEDIA_TYPE));
    }
    tus(desk, phone, Method::POST, "/sync/v1/blobs", &headers, body).await
}

async fn append(desk: &Desk, phone: &Phone, name: Hash, offset: usize, body: &[u8], more: &[(&str, &str)]) -> Reply {
    let offset = offset.to_string();
    let mut headers = vec![("upload-offset", &*offset), ("content-type", TUS_MEDIA_TYPE)];
    headers.extend_from_slice(more);
    tus(desk, phone, Method::PATCH, &blob_path(&name), &headers, body.to_vec()).await
}

async fn offset(desk: &Desk, phone: &Phone, name: Hash) -> Option<usize> {
    let reply = tus(desk, phone, Method::HEAD, &blob_path(&name), &[], Vec::new()).await;
    (reply.status == 200).then(|| reply.header("upload-offset").parse().unwrap())
}

async fn upload(desk: &Desk, phone: &Phone, content: &[u8]) -> Hash {
    let name = blob_name(content);
    let reply = create(desk, phone, name, content.len() as u64, content.to_vec()).await;
    assert_eq!(
        (reply.status, reply.header("upload-offset")),
        (201, &*content.len().to_string())
    );
    name
}

#[track_caller]
fn assert_refused(reply: &Reply, status: u16, code: &str) {
    let refusal = reply.refusal();
    assert_eq!((reply.status, &*refusal.code), (status, code), "{refusal}");
}

/// Begins a PATCH on a socket, sends a part of what it announced, and hangs up.
async fn broken_line(station: SocketAddr, phone: &Phone, name: Hash, announced: usize, sent: &[u8]) {
    let mut line = TcpStream::connect(station).await.unwrap();
    let head = format!(
        "PATCH {} HTTP/1.1\r\nHost: s\r\nAuthorization: Bearer {}\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\n\
         Content-Type: {TUS_MEDIA_TYPE}\r\nContent-Length: {announced}\r\n\r\n",
        blob_path(&name),
        phone.token
    );
    line.write_all(head.as_bytes()).await.unwrap();
    line.write_all(sent).await.unwrap();
    line.shutdown().await.unwrap();
    // Whatever is said, the line is at its end: by then the station has written down what came.
    let mut said = Vec::new();
    drop(line.read_to_end(&mut said).await);
}

#[tokio::test]
async fn an_upload_goes_on_at_the_byte_where_its_line_broke() {
    let desk = Desk::new();
    let mut phone = Phone::enrolled(&desk, "officer").await;
    let station = desk.served().await;
    let content = recording(1, 400_001);
    let name = blob_name(&content);
    assert_eq!(
        create(&desk, &phone, name, 400_001, Vec::new()).await.header("location"),
        blob_path(&name)
    );
    assert_eq!(offset(&desk, &phone, name).await, Some(0));
    broken_line(station, &phone, name, content.len(), &content[..300_007]).await;
    let came = offset(&desk, &phone, name).await.unwrap();
    assert!((131_072..=300_007).contains(&came), "{came}");
    let reply = append(&desk, &phone, name, came, &content[came..], &[]).await;
    assert_eq!((reply.status, reply.header("upload-offset")), (204, "400001"));
    assert_eq!(offset(&desk, &phone, name).await, Some(400_001));
    let edit = Edit::new().file(name, file(content.len(), None));
    phone.submitted_visit_with(&desk, edit).await;
    assert_eq!(desk.get(&format!("/api/v1/blobs/{name}")).await.bytes(), content);
}

#[tokio::test]
async fn a_phone_that_comes_again_takes_over_from_its_own_call_that_hangs() {
    let desk = Desk::new();
    let phone = Phone::enrolled(&desk, "officer").await;
    let station = desk.served().await;
    let content = recording(2, 300_000);
    let name = blob_name(&content);
    create(&desk, &phone, name, 300_000, Vec::new()).await;
    let mut hanging = TcpStream::connect(station).await.unwrap();
    let head = format!(
        "PATCH {} HTTP/1.1\r\nHost: s\r\nAuthorization: Bearer {}\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\n\
         Content-Type: {TUS_MEDIA_TYPE}\r\nExpect: 100-continue\r\nContent-Length: 300000\r\n\r\n",
        blob_path(&name),
        phone.token
    );
    hanging.write_all(head.as_bytes()).await.unwrap();
    // The interim reply says that the call has begun to read: it has its turn.
    let mut interim = [0; 25];
    hanging.read_exact(&mut interim).await.unwrap();
    hanging.write_all(&content[..200_000]).await.unwrap();
    let came = offset(&desk, &phone, name).await.unwrap();
    assert!(came <= 200_000);
    assert_eq!(append(&desk, &phone, name, came, &content[came..], &[]).await.status, 204);
    assert_eq!(offset(&desk, &phone, name).await, Some(300_000));
}

#[tokio::test]
async fn what_is_not_what_its_name_says_is_thrown_away_and_may_come_again() {
    let desk = Desk::new();
    let phone = Phone::enrolled(&desk, "officer").await;
    let content = recording(3, 5_000);
    let name = blob_name(&content);
    let mut wrong = content.clone();
    wrong[4_000] ^= 1;
    create(&desk, &phone, name, 5_000, Vec::new()).await;
    assert_eq!(append(&desk, &phone, name, 0, &wrong[..2_000], &[]).await.status, 204);
    assert_refused(
        &append(&desk, &phone, name, 2_000, &wrong[2_000..], &[]).await,
        460,
        "blob_hash",
    );
    assert_eq!(offset(&desk, &phone, name).await, None);
    assert_eq!(std::fs::read_dir(desk.data().join("blobs/parts")).unwrap().count(), 0);
    assert_eq!(upload(&desk, &phone, &content).await, name);
}

#[tokio::test]
async fn a_piece_with_a_wrong_checksum_is_not_kept_and_the_upload_goes_on() {
    use base64::Engine as _;
    use sha1::Digest as _;
    let desk = Desk::new();
    let phone = Phone::enrolled(&desk, "officer").await;
    let content = recording(4, 5_000);
    let name = blob_name(&content);
    let base64 = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
    let sha1 = |bytes: &[u8]| format!("sha1 {}", base64(&sha1::Sha1::digest(bytes)));
    let sha256 = |bytes: &[u8]| format!("sha256 {}", base64(blob_name(bytes).as_bytes()));
    create(&desk, &phone, name, 5_000, Vec::new()).await;
    let good = [("upload-checksum", &*sha1(&content[..2_000]))];
    assert_eq!(append(&desk, &phone, name, 0, &content[..2_000], &good).await.status, 204);
    for sum in [sha1(b"else"), sha256(b"else")] {
        let reply = append(&desk, &phone, name, 2_000, &content[2_000..], &[("upload-checksum", &*sum)]).await;
        assert_refused(&reply, 460, "blob_checksum");
        assert_eq!(offset(&desk, &phone, name).await, Some(2_000));
    }
    let odd = [("upload-checksum", "crc32 AAAA")];
    assert_eq!(append(&desk, &phone, name, 2_000, &content[2_000..], &odd).await.status, 400);
    let good = [("upload-checksum", &*sha256(&content[2_000..]))];
    assert_eq!(
        append(&desk, &phone, name, 2_000, &content[2_000..], &good)
            .await
            .header("upload-offset"),
        "5000"
    );
}

#[tokio::test]
async fn calls_out_of_their_order_or_by_strangers_are_refused() {
    let desk = Desk::new();
    let phone = Phone::enrolled(&desk, "officer").await;
    let content = recording(5, 1_000);
    let name = blob_name(&content);
    assert_refused(&append(&desk, &phone, name, 0, &content, &[]).await, 404, "blob_unknown");
    create(&desk, &phone, name, 1_000, Vec::new()).await;
    assert_refused(
        &append(&desk, &phone, name, 500, &content[500..], &[]).await,
        409,
        "blob_offset",
    );
    let long = recording(5, 1_001);
    assert_refused(&append(&desk, &phone, name, 0, &long, &[]).await, 400, "malformed");
    for length in [0, BLOB_BYTES_MAX + 1] {
        assert_refused(
            &create(&desk, &phone, blob_name(b"x"), length, Vec::new()).await,
            400,
            "malformed",
        );
    }
    let bearer = format!("Bearer {}", phone.token);
    for authorization in [None, Some("Bearer nonsense"), Some(&*desk.bearer())] {
        let headers = [("tus-resumable", "1.0.0")];
        let reply = desk
            .call(Method::HEAD, &blob_path(&name), authorization, &headers, Vec::new())
            .await;
        assert_eq!(reply.status, 401);
    }
    let reply = desk
        .call(Method::HEAD, &blob_path(&name), Some(&bearer), &[], Vec::new())
        .await;
    assert_eq!((reply.status, reply.header("tus-version")), (412, "1.0.0"));
    let stranger = Phone::enrolled(&desk, "officer").await;
    assert_eq!(offset(&desk, &stranger, name).await, None, "an upload is its book's own");
    let gone = tus(&desk, &phone, Method::DELETE, &blob_path(&name), &[], Vec::new()).await;
    assert_eq!(gone.status, 204);
    assert_eq!(offset(&desk, &phone, name).await, None);
    let said = desk.call(Method::OPTIONS, "/sync/v1/blobs", None, &[], Vec::new()).await;
    assert_eq!(
        (said.status, said.header("tus-max-size")),
        (204, &*BLOB_BYTES_MAX.to_string())
    );
    assert!(said.header("tus-extension").contains("creation"));
}

#[tokio::test]
async fn what_the_station_has_is_whole_as_soon_as_it_is_announced() {
    let desk = Desk::new();
    let (phone, other) = (
        Phone::enrolled(&desk, "officer").await,
        Phone::enrolled(&desk, "officer").await,
    );
    let content = recording(6, 70_000);
    let name = upload(&desk, &phone, &content).await;
    for phone in [&phone, &other] {
        let reply = create(&desk, phone, name, 70_000, Vec::new()).await;
        assert_eq!((reply.status, reply.header("upload-offset")), (201, "70000"));
    }
    assert_refused(&create(&desk, &other, name, 69_999, Vec::new()).await, 400, "malformed");
    let gone = tus(&desk, &phone, Method::DELETE, &blob_path(&name), &[], Vec::new()).await;
    assert_refused(&gone, 404, "blob_unknown");
    assert_eq!(offset(&desk, &other, name).await, Some(70_000));
}

#[tokio::test]
async fn a_phone_learns_in_one_call_what_has_arrived() {
    let desk = Desk::new();
    let phone = Phone::enrolled(&desk, "officer").await;
    let whole = upload(&desk, &phone, &recording(7, 1_000)).await;
    let part = recording(8, 1_000);
    let begun = blob_name(&part);
    create(&desk, &phone, begun, 1_000, part[..400].to_vec()).await;
    let request = StandingRequest {
        version: WIRE_VERSION,
        blobs: vec![blob_name(b"unknown"), whole, begun],
    };
    let bearer = format!("Bearer {}", phone.token);
    let headers = [("authorization", &*bearer)];
    let reply = desk
        .sync("/sync/v1/blobs/standing", wire::pack(&request).unwrap(), &headers)
        .await;
    let reply: StandingResponse = wire::read("standing", &reply.message()).unwrap();
    let found: Vec<_> = reply.blobs.iter().map(|blob| (blob.blob, blob.bytes, blob.arrived)).collect();
    assert_eq!(found, [(whole, 1_000, true), (begun, 400, false)]);
    for (count, status) in [(BLOBS_ASKED_MAX, 200), (BLOBS_ASKED_MAX + 1, 413)] {
        let request = StandingRequest {
            version: WIRE_VERSION,
            blobs: vec![whole; count],
        };
        let packed = wire::pack(&request).unwrap();
        assert_eq!(desk.sync("/sync/v1/blobs/standing", packed, &headers).await.status, status);
    }
}

#[tokio::test]
async fn a_blob_is_given_only_with_a_record_that_names_it_and_by_ranges() {
    let desk = Desk::new();
    let mut phone = Phone::enrolled(&desk, "officer").await;
    let (content, small) = (recording(9, 100_000), recording(10, 900));
    let (name, thumbnail) = (upload(&desk, &phone, &content).await, upload(&desk, &phone, &small).await);
    let bearer = format!("Bearer {}", phone.token);
    let fetch =
        async |path: &str, headers: &[(&str, &str)]| desk.call(Method::GET, path, Some(&bearer), headers, Vec::new()).await;
    assert_refused(&fetch(&blob_path(&name), &[]).await, 404, "blob_unknown");
    crate::assert_problem(&desk.get(&format!("/api/v1/blobs/{name}")).await, 404, "blob_unknown");
    let edit = Edit::new().file(name, file(content.len(), Some(thumbnail)));
    phone.submitted_visit_with(&desk, edit).await;
    let reply = fetch(&blob_path(&name), &[]).await;
    assert_eq!((reply.status, reply.bytes()), (200, &*content));
    assert_eq!(reply.header("content-type"), "image/jpeg");
    assert_eq!(reply.header("x-content-type-options"), "nosniff");
    assert_eq!(fetch(&blob_path(&thumbnail), &[]).await.bytes(), small);
    let range = fetch(&blob_path(&name), &[("range", "bytes=70000-")]).await;
    assert_eq!(
        (range.status, range.header("content-range")),
        (206, "bytes 70000-99999/100000")
    );
    assert_eq!(range.bytes(), &content[70_000..]);
    let tag = reply.header("etag").to_owned();
    let held = fetch(&blob_path(&name), &[("range", "bytes=0-9"), ("if-range", &tag)]).await;
    assert_eq!((held.status, held.bytes()), (206, &content[..10]));
    let other = fetch(&blob_path(&name), &[("range", "bytes=0-9"), ("if-range", "\"other\"")]).await;
    assert_eq!((other.status, other.bytes().len()), (200, 100_000));
    let outside = fetch(&blob_path(&name), &[("range", "bytes=100000-")]).await;
    assert_eq!((outside.status, outside.header("content-range")), (416, "bytes */100000"));
    let person = desk.get(&format!("/api/v1/blobs/{name}")).await;
    assert_eq!((person.status, person.bytes()), (200, &*content));
}

#[tokio::test]
async fn a_blob_that_calls_itself_a_message_to_phones_is_dressed_for_browsers_all_the_same() {
    let desk = Desk::new();
    let mut phone = Phone::enrolled(&desk, "officer").await;
    let content = recording(13, 2_000);
    let name = upload(&desk, &phone, &content).await;
    let named = FileRef {
        media_type: MEDIA_TYPE.into(),
        ..file(content.len(), None)
    };
    phone.submitted_visit_with(&desk, Edit::new().file(name, named)).await;
    let reply = desk.get(&format!("/api/v1/blobs/{name}")).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, MEDIA_TYPE));
    assert_eq!(reply.header("x-frame-options"), "DENY");
    assert_eq!(reply.header("referrer-policy"), "no-referrer");
}

#[tokio::test]
async fn a_records_page_says_which_of_its_files_have_arrived() {
    let desk = Desk::new();
    let mut phone = Phone::enrolled(&desk, "officer").await;
    let (content, small) = (recording(11, 3_000), recording(12, 300));
    let (name, thumbnail) = (blob_name(&content), blob_name(&small));
    let edit = Edit::new().file(name, file(content.len(), Some(thumbnail)));
    let record = phone.submitted_visit_with(&desk, edit).await;
    let line = async || desk.get(&format!("/api/v1/records/{record}")).await.json()["files"][0].clone();
    let before = line().await;
    assert_eq!(before["hash"], name.to_string());
    assert_eq!((&before["bytes"], &before["type"]), (&3_000.into(), &"image/jpeg".into()));
    assert_eq!(
        (&before["arrived"], &before["thumbnail_arrived"]),
        (&false.into(), &false.into())
    );
    upload(&desk, &phone, &small).await;
    assert_eq!(
        (&line().await["arrived"], &line().await["thumbnail_arrived"]),
        (&false.into(), &true.into())
    );
    upload(&desk, &phone, &content).await;
    assert_eq!(line().await["arrived"], true);
}
