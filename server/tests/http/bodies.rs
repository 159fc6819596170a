//! How much of what people send stands in memory: all bodies together, and what the short messages of strangers unpack to.

use beatbook_protocol::blob::{TUS_MEDIA_TYPE, UploadMetadata, blob_name};
use beatbook_protocol::codec::compress;
use beatbook_protocol::wire::RefusalCode;
use beatbook_server::config::HttpConfig;
use beatbook_server::environment::Environment;

use axum::http::Method;

use crate::desk::Desk;
use crate::phone::Phone;

#[tokio::test]
async fn a_body_for_which_there_is_no_room_comes_later_and_what_goes_to_disk_needs_none() {
    let limits = HttpConfig {
        // A quarter of it is one caller's.
        body_bytes_max: 16 * 1024,
        ..HttpConfig::default()
    };
    let desk = Desk::with(&limits, Environment::system());
    let phone = Phone::enrolled(&desk, "officer").await;
    let bearer = format!("Bearer {}", phone.token);
    let headers = [("authorization", &*bearer)];
    for _ in 0..2 {
        let reply = desk.sync("/sync/v1/exchange", vec![0; 8 * 1024], &headers).await;
        let refusal = reply.refusal();
        assert_eq!((reply.status, refusal.code()), (503, RefusalCode::TryLater));
        assert!(refusal.retry_after_ms.is_some() && !reply.header("retry-after").is_empty());
        // What came of it gave its room back.
        let reply = desk.sync("/sync/v1/exchange", phone.request(Vec::new()), &headers).await;
        assert_eq!(reply.status, 200);
    }
    let photo: Vec<u8> = (0..64 * 1024_u32).flat_map(u32::to_le_bytes).collect();
    let metadata = UploadMetadata {
        sha256: blob_name(&photo),
        media_type: "image/jpeg".into(),
    };
    let (length, metadata) = (photo.len().to_string(), metadata.to_header());
    let headers = [
        ("tus-resumable", "1.0.0"),
        ("upload-length", &*length),
        ("upload-metadata", &*metadata),
        ("content-type", TUS_MEDIA_TYPE),
    ];
    let reply = desk
        .call(Method::POST, "/sync/v1/blobs", Some(&bearer), &headers, photo)
        .await;
    assert_eq!((reply.status, reply.header("upload-offset")), (201, &*length));
}

#[tokio::test]
async fn a_short_message_that_unpacks_to_a_long_one_is_too_large() {
    let desk = Desk::new();
    let bomb = compress(&vec![0; 1024 * 1024]).unwrap();
    assert!(bomb.len() < 4 * 1024);
    for call in ["enrol", "wiped", "unlock"] {
        let refusal = desk.sync(&format!("/sync/v1/{call}"), bomb.clone(), &[]).await.refusal();
        assert_eq!(refusal.code(), RefusalCode::TooLarge, "{call}");
    }
}
