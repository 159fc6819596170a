//! Parcels through the station's door: taken in as if their author had called, and every wrong one refused with what is wrong.

use beatbook_protocol::id::{BookId, Hash};
use beatbook_protocol::ledger::StationPublicKey;
use beatbook_protocol::limits::PARCEL_PIECES_MAX;
use beatbook_protocol::page::{BookKey, SealedPage};
use beatbook_protocol::parcel::{Answer, AnswerContent, Parcel, ParcelContent, SealingKey, SealingPublicKey};
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::{
    BlobPiece, BlobStanding, DeliverRequest, DeliverResponse, Refusal, RefusalCode, Verdict, WIRE_VERSION, pack, read, unpack,
    verdict_of,
};

use crate::testing::{Phone, World, code, visit};

const SECRET: [u8; 32] = [21; 32];

fn content(phone: &Phone, pages: Vec<SealedPage>) -> ParcelContent {
    ParcelContent {
        book: phone.book,
        incarnation: phone.incarnation,
        pages,
        answer_key: *SealingKey::from_bytes(&SECRET).public_key().as_bytes(),
        made_at: UnixMillis(phone.wall),
        app: "test".into(),
        blobs: None,
    }
}

fn station_key(phone: &Phone) -> SealingPublicKey {
    let receipt_key = StationPublicKey::from_bytes(&phone.enrolled.receipt_key.clone().try_into().unwrap()).unwrap();
    let offer = phone.enrolled.sealing.as_ref().unwrap();
    offer.verify(&phone.enrolled.origin, &receipt_key).unwrap()
}

fn parcel(phone: &Phone, pages: Vec<SealedPage>) -> Vec<u8> {
    let (origin, key) = (&phone.enrolled.origin, station_key(phone));
    Parcel::seal(&content(phone, pages), origin, &phone.key, &key, &[4; 32]).unwrap()
}

fn deliver(world: &World, carrier: &Phone, parcel: &[u8]) -> Result<Vec<u8>, Refusal> {
    let packed = world.station.deliver(&packed(parcel), Some(&carrier.enrolled.token));
    packed.map(|packed| answered(&packed))
}

fn packed(parcel: &[u8]) -> Vec<u8> {
    let request = DeliverRequest {
        version: WIRE_VERSION,
        parcel: parcel.to_vec(),
    };
    pack(&request).unwrap()
}

fn answered(packed: &[u8]) -> Vec<u8> {
    read::<DeliverResponse>("delivery", &unpack(packed).unwrap()).unwrap().answer
}

/// What the author reads in the answer.
fn opened(phone: &Phone, answer: &[u8]) -> AnswerContent {
    let receipt_key = StationPublicKey::from_bytes(&phone.enrolled.receipt_key.clone().try_into().unwrap()).unwrap();
    let answer = Answer::parse(answer).unwrap();
    answer.open(&SealingKey::from_bytes(&SECRET), &receipt_key).unwrap()
}

fn refused(world: &World, carrier: &Phone, parcel: &[u8]) -> String {
    let before = world.station.status().unwrap().ledger;
    let refusal = deliver(world, carrier, parcel).unwrap_err();
    assert_eq!(
        world.station.status().unwrap().ledger,
        before,
        "a refused parcel leaves nothing"
    );
    assert!(!refusal.text.is_empty());
    refusal.code
}

#[test]
fn a_parcel_is_taken_in_as_if_its_author_had_called_however_often_it_comes() {
    let world = World::new();
    let (mut author, mut carrier) = (world.phone("李警官", "officer"), world.phone("张网格", "grid_worker"));
    let good = author.write(world.record_id(), Some(world.unit), visit());
    let page = author.seal(vec![good.clone(), b"junk".to_vec()]);
    let parcel = parcel(&author, vec![page.clone()]);
    let first = opened(&author, &deliver(&world, &carrier, &parcel).unwrap());
    let size = world.station.status().unwrap().ledger;
    let again = opened(&author, &deliver(&world, &carrier, &parcel).unwrap());
    assert_eq!(first.answers, again.answers);
    assert_eq!(world.station.status().unwrap().ledger, size);
    let verdicts: Vec<Verdict> = (0..2).map(|at| verdict_of(&first.answers[0].verdicts, at).unwrap()).collect();
    assert_eq!((&verdicts[0], code(&verdicts[1])), (&Verdict::Accepted, "malformed"));
    // The author comes online with the same page: the same answer.
    let reply = world.send(&mut author, vec![page]);
    assert_eq!(reply.answers, first.answers);
    // It is the author's for others, not the carrier's.
    let reply = world.send(&mut carrier, vec![]);
    let books: Vec<BookId> = reply
        .feed
        .iter()
        .chain(reply.fill.iter().flatten())
        .filter(|leaf| leaf.entries.iter().any(|entry| entry.entry.as_slice() == good))
        .map(|leaf| leaf.book)
        .collect();
    assert_eq!(books, [author.book]);
}

#[test]
fn every_wrong_parcel_is_refused_with_what_is_wrong_and_leaves_nothing() {
    let world = World::new();
    let (mut author, carrier) = (world.phone("李警官", "officer"), world.phone("张网格", "grid_worker"));
    let entry = author.write(world.record_id(), Some(world.unit), visit());
    let page = author.seal(vec![entry]);
    let good = parcel(&author, vec![page.clone()]);
    let (origin, key) = (author.enrolled.origin.clone(), station_key(&author));
    let made = |content: &ParcelContent, origin: &str, signer: &BookKey, key: &SealingPublicKey| {
        Parcel::seal(content, origin, signer, key, &[4; 32]).unwrap()
    };

    assert_eq!(refused(&world, &carrier, b"junk"), "parcel_unreadable");
    assert_eq!(refused(&world, &carrier, &good[..good.len() - 9]), "parcel_unreadable");
    let mut changed = good.clone();
    *changed.last_mut().unwrap() ^= 1;
    assert_eq!(refused(&world, &carrier, &changed), "parcel_sealed");
    let elsewhere = made(&content(&author, vec![page.clone()]), "beatbook/elsewhere", &author.key, &key);
    assert_eq!(refused(&world, &carrier, &elsewhere), "parcel_other_station");
    let other_key = SealingKey::from_bytes(&[1; 32]).public_key();
    let old = made(&content(&author, vec![page.clone()]), &origin, &author.key, &other_key);
    assert_eq!(refused(&world, &carrier, &old), "parcel_sealed");
    // Somebody else's signature under the author's name would have pages set aside in it.
    let forged = made(&content(&author, vec![page.clone()]), &origin, &carrier.key, &key);
    assert_eq!(refused(&world, &carrier, &forged), "parcel_signature");
    let unknown = ParcelContent {
        book: BookId::from_bytes([7; 16]),
        ..content(&author, vec![page.clone()])
    };
    assert_eq!(
        refused(&world, &carrier, &made(&unknown, &origin, &author.key, &key)),
        "parcel_unknown_book"
    );
    // A page ahead of its chain waits, and is not set aside.
    let later = author.write(world.record_id(), Some(world.unit), visit());
    let later = author.seal(vec![later]);
    let ahead = parcel(&author, vec![later]);
    assert_eq!(refused(&world, &carrier, &ahead), "parcel_early");
    assert_eq!(world.station.status().unwrap().quarantined, 0);
    assert!(
        deliver(&world, &carrier, &good).is_ok(),
        "what is right is taken in after all of them"
    );
    let after = opened(&author, &deliver(&world, &carrier, &ahead).unwrap());
    assert_eq!(verdict_of(&after.answers[0].verdicts, 0), Some(Verdict::Accepted));
}

#[test]
fn a_parcel_is_delivered_under_a_phones_token_alone() {
    let world = World::new();
    let mut author = world.phone("李警官", "officer");
    let entry = author.write(world.record_id(), Some(world.unit), visit());
    let page = author.seal(vec![entry]);
    let request = DeliverRequest {
        version: WIRE_VERSION,
        parcel: parcel(&author, vec![page]),
    };
    let packed = pack(&request).unwrap();
    for token in [None, Some("made up")] {
        let refusal = world.station.deliver(&packed, token).unwrap_err();
        assert_eq!(refusal.code(), RefusalCode::SignIn);
    }
    let later = DeliverRequest {
        version: WIRE_VERSION + 1,
        ..request
    };
    let refusal = world.station.deliver(&pack(&later).unwrap(), Some(&author.enrolled.token));
    assert_eq!(refusal.unwrap_err().code(), RefusalCode::Version);
}

#[test]
fn a_page_inside_a_parcel_that_is_faulty_is_set_aside_and_its_author_is_told() {
    let world = World::new();
    let (mut author, carrier) = (world.phone("李警官", "officer"), world.phone("张网格", "grid_worker"));
    let entry = author.write(world.record_id(), Some(world.unit), visit());
    let mut page = author.seal(vec![entry]);
    page.seed[0] ^= 1;
    let said = opened(&author, &deliver(&world, &carrier, &parcel(&author, vec![page])).unwrap());
    assert_eq!(said.answers[0].fault.as_deref(), Some("page_root"));
    assert_eq!(said.answers[0].leaf, None);
}

#[test]
fn keys_made_by_an_earlier_version_get_a_sealing_key_that_stays() {
    let mut world = World::new();
    let mut phone = world.phone("李警官", "officer");
    let file = world.keys().join("sealing.key");
    std::fs::remove_file(&file).unwrap();
    let checks = crate::station::Station::doctor(&world.data(), &world.keys());
    assert!(checks.iter().any(|check| check.name == "keys" && !check.ok));
    assert!(!file.exists(), "doctor changes nothing");
    world.reopen();
    let drawn = std::fs::read(&file).unwrap();
    // A phone that was enrolled before asks for it, and is told once.
    let mut request = phone.request(vec![]);
    request.sealing = Some(true);
    let reply = world
        .station
        .exchange(&pack(&request).unwrap(), Some(&phone.enrolled.token), None)
        .unwrap();
    let told = phone.receive(&reply).sealing.unwrap();
    let secret: Hash = String::from_utf8(drawn.clone()).unwrap().trim().parse().unwrap();
    assert_eq!(told.key, *SealingKey::from_bytes(secret.as_bytes()).public_key().as_bytes());
    assert_eq!(world.send(&mut phone, vec![]).sealing, None);
    world.reopen();
    assert_eq!(std::fs::read(&file).unwrap(), drawn);
}

/// Delivers pieces of a blob, and says what the station then has of it.
fn brought(world: &World, author: &Phone, carrier: &Phone, pieces: Vec<BlobPiece>) -> Vec<BlobStanding> {
    let content = ParcelContent {
        blobs: Some(pieces),
        ..content(author, vec![])
    };
    let (origin, key) = (&author.enrolled.origin, station_key(author));
    let file = Parcel::seal(&content, origin, &author.key, &key, &[4; 32]).unwrap();
    opened(author, &deliver(world, carrier, &file).unwrap()).blobs.unwrap()
}

#[test]
fn pieces_of_a_blob_go_on_where_the_station_is_and_what_does_not_fit_is_left_aside() {
    let world = World::new();
    let (author, carrier) = (world.phone("李警官", "officer"), world.phone("张网格", "grid_worker"));
    let whole: Vec<u8> = (0..100_u8).collect();
    let blob = beatbook_protocol::blob::blob_name(&whole);
    let piece = |from: usize, to: usize| BlobPiece {
        blob,
        length: 100,
        offset: from as u64,
        bytes: whole[from..to].to_vec(),
    };
    let stands = |pieces: Vec<BlobPiece>| {
        let stands = brought(&world, &author, &carrier, pieces);
        (stands[0].bytes, stands[0].arrived)
    };
    assert_eq!(stands(vec![piece(50, 100)]), (0, false), "the beginning has not come");
    assert_eq!(stands(vec![piece(0, 40)]), (40, false));
    assert_eq!(stands(vec![piece(0, 40)]), (40, false), "once more");
    assert_eq!(stands(vec![piece(60, 100)]), (40, false), "a gap");
    assert_eq!(stands(vec![piece(20, 60)]), (60, false), "what is there already is skipped");
    // Longer than it says, ending behind its end, of another length: none of it counts, and none of it harms.
    let overlong = BlobPiece {
        bytes: vec![7; 200],
        ..piece(60, 60)
    };
    assert_eq!(stands(vec![overlong]), (60, false));
    let far = BlobPiece {
        offset: u64::MAX,
        ..piece(60, 80)
    };
    assert_eq!(stands(vec![far]), (60, false));
    assert_eq!(stands(vec![piece(60, 80), piece(80, 100)]), (100, true));
    assert_eq!(stands(vec![piece(0, 100)]), (100, true), "and it stays");
    assert_eq!(world.station.verify_ledger().unwrap().faults, Vec::<String>::new());
}

#[test]
fn a_blob_in_a_parcel_that_is_not_what_its_name_says_is_thrown_away() {
    let world = World::new();
    let (author, carrier) = (world.phone("李警官", "officer"), world.phone("张网格", "grid_worker"));
    let wrong = BlobPiece {
        blob: Hash::from_bytes([5; 32]),
        length: 3,
        offset: 0,
        bytes: vec![1, 2, 3],
    };
    let nothing = BlobStanding {
        blob: wrong.blob,
        bytes: 0,
        arrived: false,
    };
    assert_eq!(brought(&world, &author, &carrier, vec![wrong.clone()]), [nothing]);
}

#[test]
fn a_parcel_holds_so_many_pieces_and_not_one_more() {
    let world = World::new();
    let (author, carrier) = (world.phone("李警官", "officer"), world.phone("张网格", "grid_worker"));
    let content_of = |pieces: usize| ParcelContent {
        blobs: Some(
            (0..pieces)
                .map(|at| BlobPiece {
                    blob: beatbook_protocol::blob::blob_name(&[at as u8]),
                    length: 1,
                    offset: 0,
                    bytes: vec![at as u8],
                })
                .collect(),
        ),
        ..content(&author, vec![])
    };
    let (origin, key) = (&author.enrolled.origin, station_key(&author));
    let file = |pieces| Parcel::seal(&content_of(pieces), origin, &author.key, &key, &[4; 32]).unwrap();
    assert_eq!(refused(&world, &carrier, &file(PARCEL_PIECES_MAX + 1)), "parcel_unreadable");
    let stands = opened(&author, &deliver(&world, &carrier, &file(PARCEL_PIECES_MAX)).unwrap())
        .blobs
        .unwrap();
    assert_eq!(stands.iter().filter(|stands| stands.arrived).count(), PARCEL_PIECES_MAX);
}
