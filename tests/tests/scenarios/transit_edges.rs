//! What comes over the line that no client of ours sends: old TLS, plain HTTP where TLS is spoken, redirects, and paths that mean something to a
//! file system.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use beatbook_client_core::transport::{HttpTransport, Mistrust, Outcome, OutgoingRequest, Transport as _, TransportFault, Trust};
use beatbook_protocol::blob::{UploadMetadata, blob_name};
use beatbook_tests::day::chief;
use beatbook_tests::hostile::HandPhone;
use beatbook_tests::station::{Chief, StationProcess};

use crate::post::Post;
use crate::transit::{Guarded, request};

/// A ClientHello of this version at most (RFC 5246, 7.4.1.2), with suites, curves and signatures that the station knows.
fn hello(version: [u8; 2]) -> Vec<u8> {
    let suites = [0xc0, 0x2b, 0xc0, 0x2f, 0xc0, 0x13, 0xc0, 0x14];
    // supported_groups, ec_point_formats, signature_algorithms, extended_master_secret
    let extensions = [
        0, 10, 0, 4, 0, 2, 0, 29, 0, 11, 0, 2, 1, 0, 0, 13, 0, 4, 0, 2, 4, 3, 0, 23, 0, 0,
    ];
    let mut body = version.to_vec();
    body.extend_from_slice(&[7; 32]);
    body.push(0);
    body.extend_from_slice(&[0, suites.len() as u8]);
    body.extend_from_slice(&suites);
    body.extend_from_slice(&[1, 0, 0, extensions.len() as u8]);
    body.extend_from_slice(&extensions);
    let mut handshake = vec![1, 0, 0, body.len() as u8];
    handshake.extend_from_slice(&body);
    let mut record = vec![22, 3, 1, 0, handshake.len() as u8];
    record.extend_from_slice(&handshake);
    record
}

fn address(station: &StationProcess) -> &str {
    station.url().split("://").nth(1).unwrap()
}

/// Sends bytes, and reads until the station hangs up.
fn told(station: &StationProcess, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address(station)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(bytes).unwrap();
    let mut reply = Vec::new();
    // A reset after the last words is an end like any other.
    drop(stream.read_to_end(&mut reply));
    reply
}

#[tokio::test]
async fn tls_before_1_2_is_refused_by_the_station_and_by_the_phone() {
    let station = Guarded::open("edges-old", &[]);
    for version in [[3, 0], [3, 1], [3, 2]] {
        let reply = told(&station.station, &hello(version));
        assert_eq!(reply.first(), Some(&21), "an alert: {reply:?}");
        assert_eq!(reply[5..7], [2, 70], "fatal, protocol_version (RFC 8446, 6.2): {reply:?}");
    }
    let reply = told(&station.station, &hello([3, 3]));
    assert_eq!(
        (reply[0], reply[5]),
        (22, 2),
        "the same of TLS 1.2 is answered: {:?}",
        &reply[..16]
    );
    // The other way round: a station that knows no more than 1.1 says so by an alert, or answers with it.
    let alert = vec![21, 3, 2, 0, 2, 2, 70];
    let mut answered = vec![22, 3, 2, 0, 42, 2, 0, 0, 38, 3, 2];
    answered.extend_from_slice(&[9; 32]);
    answered.extend_from_slice(&[0, 0xc0, 0x13, 0]);
    for answer in [alert, answered, b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nreply".to_vec()] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let served = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut hello = [0; 2048];
            let length = stream.read(&mut hello).unwrap();
            stream.write_all(&answer).unwrap();
            std::thread::sleep(Duration::from_millis(200));
            hello[..length].to_vec()
        });
        let trust = Trust::from_text(&station.text()).unwrap();
        let outcome = HttpTransport::open_trusting(&url, &trust, None)
            .unwrap()
            .send(request())
            .await;
        assert_eq!(outcome, Outcome::Failed(TransportFault::Untrusted(Mistrust::NoTls)));
        let sent = served.join().unwrap();
        assert_eq!(sent.first(), Some(&22), "a handshake was begun: {sent:?}");
        assert!(
            !sent.windows(14).any(|bytes| bytes == b"a-secret-token"),
            "nothing was sent to him"
        );
    }
}

#[tokio::test]
async fn plain_http_to_a_station_with_a_certificate_gets_no_word_of_http() {
    let station = Guarded::open("edges-plain", &[]);
    let reply = told(
        &station.station,
        b"GET /healthz HTTP/1.1\r\nHost: s\r\nConnection: close\r\n\r\n",
    );
    assert!(
        !reply.windows(4).any(|bytes| bytes == b"HTTP"),
        "{}",
        String::from_utf8_lossy(&reply)
    );
    let plain = station.station.url().replace("https://", "http://");
    let outcome = HttpTransport::open(&plain, b"").unwrap().send(request()).await;
    assert!(matches!(outcome, Outcome::Failed(_)), "{outcome:?}");
    assert_eq!(station.desk().call("GET", "/healthz", None, None).await.unwrap().0, 200);
}

/// Paths that a careless file server follows, in place of a blob's name.
fn tricks() -> Vec<String> {
    let mut tricks: Vec<String> = [
        "..",
        "../..",
        "%2e%2e",
        "%2e%2e%2f%2e%2e%2fkeys%2fcheckpoint.key",
        "..%2f..%2fetc%2fpasswd",
        "..%5c..%5ckeys",
        "%252e%252e%252fkeys",
        "%00",
        "%c0%ae%c0%ae%c0%af",
        "%ff%fe",
        ".",
        "station.db",
        "%2fetc%2fpasswd",
        "%0d%0aX-Injected:%20yes",
        "%e6%88%b7",
    ]
    .map(str::to_owned)
    .into();
    let name = "0".repeat(64);
    tricks.push(format!("{name}%00"));
    tricks.push(format!("{name}%2f..%2f..%2fstation.db"));
    tricks.push(format!("{name}/../../station.db"));
    tricks.push(name[1..].to_owned());
    tricks.push(format!("{name}0"));
    tricks.push("A".repeat(64));
    tricks.push("0".repeat(8_000));
    tricks
}

/// The token of a phone that was enrolled by hand.
async fn token_of_a_phone(post: &Post) -> String {
    let code = chief::register(&post.desk, "王警官", "officer").await.unwrap();
    let (phone, body) = HandPhone::begin(&code).unwrap();
    let request = OutgoingRequest {
        path: "/sync/v1/enrol",
        token: None,
        signature: None,
        body,
    };
    match HttpTransport::open(post.station.url(), b"").unwrap().send(request).await {
        Outcome::Reply(answer) => phone.enrolled(&answer).unwrap().token().to_owned(),
        other => panic!("{other:?}"),
    }
}

/// What is said to a phone that announces four bytes under this metadata.
fn announced(post: &Post, token: &str, metadata: &str) -> String {
    let head = format!(
        "POST /sync/v1/blobs HTTP/1.1\r\nHost: s\r\nConnection: close\r\nAuthorization: Bearer {token}\r\nTus-Resumable: 1.0.0\r\n\
         Upload-Length: 4\r\nUpload-Metadata: {metadata}\r\nContent-Length: 0\r\n\r\n",
    );
    String::from_utf8_lossy(&told(&post.station, head.as_bytes())).into_owned()
}

#[tokio::test]
async fn a_path_in_the_place_of_a_blobs_name_is_refused_clearly_wherever_it_is_tried() {
    let post = Post::open("edges-paths");
    let phones = token_of_a_phone(&post).await;
    let files_before = listed(&post);
    for trick in tricks() {
        for (method, path, token) in [
            ("GET", "/sync/v1/blobs/", &phones),
            ("HEAD", "/sync/v1/blobs/", &phones),
            ("PATCH", "/sync/v1/blobs/", &phones),
            ("DELETE", "/sync/v1/blobs/", &phones),
            ("GET", "/api/v1/blobs/", &post.token),
            ("GET", "/api/v1/records/", &post.token),
        ] {
            let head = format!(
                "{method} {path}{trick} HTTP/1.1\r\nHost: s\r\nConnection: close\r\nAuthorization: Bearer {token}\r\nTus-Resumable: 1.0.0\r\n\
                 Upload-Offset: 0\r\nContent-Type: application/offset+octet-stream\r\nContent-Length: 0\r\n\r\n",
            );
            let reply = told(&post.station, head.as_bytes());
            let reply = String::from_utf8_lossy(&reply);
            let status: u16 = reply.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
            // He is let in, and what he names is refused.
            let is_refused = (400..500).contains(&status) && ![401, 403].contains(&status);
            assert!(is_refused, "{method} {path}{trick}: {reply}");
            let head = reply.split("\r\n\r\n").next().unwrap();
            assert!(!head.to_lowercase().contains("x-injected"), "{reply}");
            assert!(!reply.contains("root:"), "{reply}");
        }
    }
    // In the metadata of an upload too, where the name of the blob is said.
    for metadata in ["sha256 Li4vLi4va2V5cw==,type aW1hZ2UvanBlZw==", "sha256 AAAA,type aQ=="] {
        let reply = announced(&post, &phones, metadata);
        assert!(reply.starts_with("HTTP/1.1 400 "), "{reply}");
    }
    assert_eq!(listed(&post), files_before, "and nothing was written anywhere");
    let sound = UploadMetadata {
        sha256: blob_name(b"four"),
        media_type: "image/jpeg".into(),
    };
    let reply = announced(&post, &phones, &sound.to_header());
    assert!(reply.starts_with("HTTP/1.1 201 "), "{reply}");
    let desk = Chief::new(post.station.url(), &post.token).unwrap();
    assert_eq!(desk.call("GET", "/healthz", None, None).await.unwrap().0, 200);
}

/// The files of the station, but for those that it writes while it serves.
fn listed(post: &Post) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![post.places.data.clone(), post.places.keys.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.display().to_string());
            }
        }
    }
    found.sort();
    found
}
