//! Wrong enrolment codes over a socket: they are counted by the address that a trusted proxy names, and nobody else is locked out.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use beatbook_protocol::id::BookId;
use beatbook_protocol::page::{BookKey, P256_SHA256, Signer as _};
use beatbook_protocol::wire::{self, EnrolRequest, MEDIA_TYPE, WIRE_VERSION};
use beatbook_server::config::{Network, SignInConfig};

use crate::desk::Desk;

/// Wrong codes that one address may try, and some.
const GUESSES: usize = 32;

/// The status that a guess of a code gets, from an address behind a proxy on this machine.
fn guess(station: SocketAddr, from: &str, code: &str) -> u16 {
    let (key, book) = (BookKey::from_secret(&[7; 32]).unwrap(), BookId::from_bytes([7; 16]));
    let public = key.public_key().to_bytes();
    let request = EnrolRequest {
        version: WIRE_VERSION,
        code: code.to_owned(),
        book,
        suite: P256_SHA256,
        key: public.clone(),
        proof: key.sign(&wire::enrol_message(code, book, &public)).unwrap(),
        device: "a guesser".into(),
        app: "0".into(),
        attestation: None,
    };
    let body = wire::pack(&request).unwrap();
    let head = format!(
        "POST /sync/v1/enrol HTTP/1.1\r\nHost: s\r\nConnection: close\r\nContent-Type: {MEDIA_TYPE}\r\nX-Forwarded-For: {from}\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    let mut line = TcpStream::connect(station).unwrap();
    line.write_all(&[head.as_bytes(), &body].concat()).unwrap();
    let mut reply = Vec::new();
    line.read_to_end(&mut reply).unwrap();
    let reply = String::from_utf8_lossy(&reply);
    reply.split(' ').nth(1).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_guesses_codes_is_slowed_by_his_address_and_nobody_else_is() {
    let desk = Desk::signing_in_by(SignInConfig {
        proxies: vec![Network::parse("127.0.0.1").unwrap()],
        ..SignInConfig::default()
    });
    let station = desk.served().await;
    let answers = tokio::task::spawn_blocking(move || {
        let guesses = (0..GUESSES).map(|number| guess(station, "203.0.113.7", &format!("AAAAA-AAA{number:02}")));
        let guesses: Vec<u16> = guesses.collect();
        (guesses, guess(station, "203.0.113.8", "AAAAA-AAAAA"))
    });
    let (guesses, other) = answers.await.unwrap();
    let wrong = guesses[0];
    let slowed = wire::RefusalCode::TryLater.http_status();
    assert_ne!(wrong, slowed);
    assert_eq!(guesses.last(), Some(&slowed), "{guesses:?}");
    assert_eq!(other, wrong, "another address was never wrong");
}
