//! Hostile phones at the door of a real station: each hazard gets its clear answer, what is honest beside it is taken in, and the station goes
//! on.

use std::io::{Read, Write};
use std::net::TcpStream;

use beatbook_protocol::limits::EXCHANGE_WIRE_BYTES_MAX;
use beatbook_protocol::wire::{self, MEDIA_TYPE, Refusal};
use beatbook_tests::bench::{memory_kb, scratch};
use beatbook_tests::hostile::{AT_THE_LIMIT, Scene, greedy, hazards};

#[tokio::test]
async fn every_hostile_request_gets_a_clear_answer_and_the_station_goes_on() {
    let root = scratch("hostile").unwrap();
    let mut scene = Scene::open(&root).await.unwrap();
    for (number, hazard) in hazards().into_iter().chain(greedy()).enumerate() {
        if number >= hazards().len() {
            scene.catch_up().await.unwrap();
        }
        for shot in (hazard.make)(&mut scene).unwrap() {
            let said = scene
                .shoot(shot)
                .await
                .unwrap_or_else(|fault| panic!("{}: {fault}", hazard.name));
            assert_eq!(said, hazard.expects, "{}", hazard.name);
        }
        let visit = scene.other.visit().unwrap();
        let page = scene.other.seal(vec![visit]).unwrap();
        let shot = scene.other.exchange(vec![page]).unwrap();
        assert_eq!(
            scene.shoot_as_other(shot).await.unwrap(),
            ["accepted"],
            "after {}",
            hazard.name
        );
    }
    assert!(scene.station.is_running());
    drop(scene);
    let _ = std::fs::remove_dir_all(root);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_longest_messages_at_once_are_read_one_by_one_or_sent_away_and_memory_stays_bounded() {
    let root = scratch("at-once").unwrap();
    let mut scene = Scene::open(&root).await.unwrap();
    let process = scene.station.id().to_string();
    let visit = scene.other.visit().unwrap();
    let page = scene.other.seal(vec![visit]).unwrap();
    let honest = scene.other.exchange(vec![page]).unwrap();
    assert_eq!(scene.shoot_as_other(honest).await.unwrap(), ["accepted"]);
    let idle = memory_kb(&process, "VmHWM").unwrap();
    let longest = hazards().into_iter().find(|hazard| hazard.name == AT_THE_LIMIT).unwrap();
    let shot = (longest.make)(&mut scene).unwrap().remove(0);
    let mut met = std::collections::BTreeSet::new();
    for _ in 0..2 {
        for said in scene.shoot_together(&shot, 30).await.unwrap() {
            met.extend(said);
        }
    }
    assert_eq!(met.into_iter().collect::<Vec<_>>(), ["malformed", "try_later"]);
    let over = memory_kb(&process, "VmHWM").unwrap() - idle;
    assert!(over <= 64 * 1024, "{over} KB over idle");
    let visit = scene.other.visit().unwrap();
    let page = scene.other.seal(vec![visit]).unwrap();
    let honest = scene.other.exchange(vec![page]).unwrap();
    assert_eq!(scene.shoot_as_other(honest).await.unwrap(), ["accepted"]);
    drop(scene);
    let _ = std::fs::remove_dir_all(root);
}

#[tokio::test]
async fn a_page_that_comes_again_gets_its_verdicts_again_and_no_new_leaf() {
    let root = scratch("replayed").unwrap();
    let mut scene = Scene::open(&root).await.unwrap();
    let visit = scene.phone.visit().unwrap();
    let page = scene.phone.seal(vec![visit, b"junk".to_vec()]).unwrap();
    let shot = scene.phone.exchange(vec![page]).unwrap();
    let first = scene.shoot(shot.clone()).await.unwrap();
    assert_eq!(first, ["accepted", "malformed"]);
    let ledger = scene.ledger().await.unwrap();
    for _ in 0..5 {
        assert_eq!(scene.shoot(shot.clone()).await.unwrap(), first);
    }
    assert_eq!(scene.ledger().await.unwrap(), ledger);
    // The same bytes under another book's name are nobody's.
    let stolen = scene.shoot_as_other(shot).await.unwrap();
    assert_eq!(stolen.len(), 1, "{stolen:?}");
    assert_ne!(stolen, ["accepted"]);
    drop(scene);
    let _ = std::fs::remove_dir_all(root);
}

#[tokio::test]
async fn whoever_sends_a_body_that_is_too_long_to_its_end_reads_the_refusal() {
    let root = scratch("too-long").unwrap();
    let scene = Scene::open(&root).await.unwrap();
    let address = scene.station.url().trim_start_matches("http://").to_owned();
    let read = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        let length = EXCHANGE_WIRE_BYTES_MAX * 2;
        let head = format!(
            "POST /sync/v1/exchange HTTP/1.1\r\nHost: s\r\nConnection: close\r\nContent-Type: {MEDIA_TYPE}\r\nContent-Length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        // A client that reads nothing before it has sent all.
        for piece in vec![7_u8; length].chunks(64 * 1024) {
            stream.write_all(piece).unwrap();
        }
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply).unwrap();
        reply
    });
    let reply = read.await.unwrap();
    assert!(
        reply.starts_with(b"HTTP/1.1 413"),
        "{}",
        String::from_utf8_lossy(&reply[..40.min(reply.len())])
    );
    let at = reply.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    let refusal: Refusal = wire::read("refusal", &wire::unpack(&reply[at..]).unwrap()).unwrap();
    assert_eq!(refusal.code, "too_large");
    drop(scene);
    let _ = std::fs::remove_dir_all(root);
}
