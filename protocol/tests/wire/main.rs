//! Golden vectors: the bytes of every wire form, frozen in `vectors/` and held against the grammar in `wire.cddl`.
//!
//! A vector that changes breaks phones in the field. `BLESS=1` writes vectors for new forms; it never rewrites an old one.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod samples;

use std::path::{Path, PathBuf};

use beatbook_protocol::codec;
use beatbook_protocol::entry::{self, Entry, RegistryEvent, identity};
use beatbook_protocol::id::Hash;
use beatbook_protocol::ledger::{Leaf, StationKey};
use beatbook_protocol::note::NoteFile;
use beatbook_protocol::page::{Header, SealedPage, Signer};
use beatbook_protocol::parcel::{Answer, Parcel};
use beatbook_protocol::wire::{EnrolResponse, ExchangeResponse, PinsOffer, RefusalCode, StandingResponse};

use samples::{
    ORIGIN, act, act_with_nonce, answer_content, answer_file, answer_key, change, exchange_response, exchange_response_full,
    forms, grant, key, leaf, note_content, note_file, page, parcel_content, parcel_file, pins, protection, recovered, registry,
    reply_key, settlement, standing_response, station_sealing_key, unlock_request, unlock_response,
};

fn vector(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("vectors")
        .join(format!("{name}.hex"))
}

fn hex(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    digits
        .as_bytes()
        .chunks(128)
        .map(|line| format!("{}\n", std::str::from_utf8(line).unwrap()))
        .collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap())
        .collect()
}

#[test]
fn every_form_has_the_bytes_of_its_golden_vector() {
    for (_, name, bytes) in forms() {
        let path = vector(name);
        if std::env::var_os("BLESS").is_some() && !path.exists() {
            std::fs::write(&path, hex(&bytes)).unwrap();
        }
        let golden = std::fs::read_to_string(&path).unwrap_or_else(|_| panic!("{name}: no vector; BLESS=1 writes it"));
        assert_eq!(hex(&bytes), golden, "{name} changed: phones in the field speak the old form");
    }
}

#[test]
fn every_vector_obeys_the_grammar_and_is_deterministic() {
    let grammar = include_str!("../../wire.cddl");
    for (rule, name, _) in forms() {
        let bytes = unhex(&std::fs::read_to_string(vector(name)).unwrap());
        codec::check(&bytes).unwrap();
        cddl_cat::validate_cbor_bytes(rule, grammar, &bytes).unwrap_or_else(|fault| panic!("{name}: {fault}"));
    }
}

#[test]
fn the_grammar_refuses_what_is_not_of_its_form() {
    let grammar = include_str!("../../wire.cddl");
    for (rule, bytes) in [
        ("header", change().to_bytes()),
        ("page", page().header),
        ("leaf", codec::to_bytes(&page())),
    ] {
        assert!(cddl_cat::validate_cbor_bytes(rule, grammar, &bytes).is_err(), "{rule}");
    }
}

#[test]
fn vectors_read_back_to_what_they_say() {
    let read = |name: &str| unhex(&std::fs::read_to_string(vector(name)).unwrap());
    for (name, entry) in [
        ("change", change()),
        ("settlement", settlement()),
        ("act", act()),
        ("act-with-nonce", act_with_nonce()),
        ("recovered", recovered()),
        ("registry-grant", grant()),
    ] {
        assert_eq!(Entry::parse(&read(name)).unwrap(), entry);
    }
    for (name, entry) in ["registry-unit", "registry-user", "registry-book", "registry-kind"]
        .into_iter()
        .zip(registry())
    {
        assert_eq!(Entry::parse(&read(name)).unwrap(), entry);
    }
    for (name, entry) in protection() {
        assert_eq!(Entry::parse(&read(name)).unwrap(), entry, "{name}");
    }
    assert_eq!(
        codec::from_bytes::<ExchangeResponse>("reply", &read("exchange-response")).unwrap(),
        exchange_response()
    );
    let full = codec::from_bytes::<ExchangeResponse>("reply", &read("exchange-response-full")).unwrap();
    assert_eq!(full, exchange_response_full());
    assert_eq!(
        codec::from_bytes::<StandingResponse>("standing", &read("standing-response")).unwrap(),
        standing_response()
    );
    assert_eq!(codec::from_bytes::<Leaf>("leaf", &read("leaf")).unwrap(), leaf());
    let sealed = codec::from_bytes::<SealedPage>("page", &read("page")).unwrap();
    assert_eq!(sealed.verify(&key().public_key()).unwrap().header().sequence, 0);
    let reply = exchange_response();
    let station = StationKey::from_bytes(&[14; 32]).verifying_key();
    assert!(
        reply
            .receipt
            .as_ref()
            .unwrap()
            .holds(&reply.answers, &reply.feed, &[], &station)
    );
    assert!(
        !reply
            .receipt
            .as_ref()
            .unwrap()
            .holds(&reply.answers[..1], &reply.feed, &[], &station)
    );
    let (receipt, filled) = (full.receipt.unwrap(), full.fill.unwrap());
    assert!(receipt.holds(&full.answers, &full.feed, &filled, &station));
    assert!(!receipt.holds(&full.answers, &full.feed, &[], &station));
    assert_eq!(
        identity(&read("change")).to_string(),
        "5df1daaa8c86c44a7850693fa62beb388c7ef659aeed5434ddf9f689fc854ac1",
        "the identity of entries never changes"
    );
}

#[test]
fn a_parcel_of_fixed_bytes_opens_to_what_it_says() {
    let opened = Parcel::parse(&parcel_file())
        .unwrap()
        .open(ORIGIN, &station_sealing_key())
        .unwrap();
    assert_eq!(opened.verify(&key().public_key()).unwrap(), parcel_content());
    let station = StationKey::from_bytes(&[14; 32]).verifying_key();
    let answer = Answer::parse(&answer_file()).unwrap();
    assert_eq!(answer.open(&answer_key(), &station).unwrap(), answer_content());
    let reply = unhex(&std::fs::read_to_string(vector("exchange-response-sealing")).unwrap());
    let offer = codec::from_bytes::<ExchangeResponse>("reply", &reply)
        .unwrap()
        .sealing
        .unwrap();
    assert_eq!(offer.verify(ORIGIN, &station), Some(station_sealing_key().public_key()));
    assert_eq!(offer.verify("beatbook/2", &station), None);
}

#[test]
fn pins_of_fixed_bytes_are_the_stations_word() {
    let read = |name: &str| unhex(&std::fs::read_to_string(vector(name)).unwrap());
    let station = StationKey::from_bytes(&[14; 32]).verifying_key();
    let offer: PinsOffer = codec::from_bytes("pins", &read("pins")).unwrap();
    assert!(offer.verifies(ORIGIN, &station) && offer.pins == pins());
    assert!(!offer.verifies("beatbook/2", &station));
    let reply: ExchangeResponse = codec::from_bytes("reply", &read("exchange-response-pins")).unwrap();
    assert_eq!(reply.pins.as_ref(), Some(&offer));
    let enrolled: EnrolResponse = codec::from_bytes("enrolment", &read("enrol-response-pins")).unwrap();
    assert_eq!(enrolled.pins, Some(offer));
}

#[test]
fn a_note_and_a_share_of_fixed_bytes_open_to_what_they_say() {
    let opened = NoteFile::parse(&note_file()).unwrap().open(&reply_key()).unwrap();
    assert_eq!(opened.content, note_content());
    assert!(opened.is_signed_by(&key().public_key()));
    let request = unlock_request();
    let station = StationKey::from_bytes(&[14; 32]).verifying_key();
    let share = unlock_response().open(ORIGIN, request.book, &reply_key(), &station);
    assert_eq!(share, Some(vec![21; 32]));
}

#[test]
fn unknown_keys_sorts_and_codes_pass() {
    let mut header: Vec<u8> = page().header;
    header[0] += 1; // one pair more
    header.extend_from_slice(&[0x18, 99, 0xf6]);
    assert_eq!(codec::from_bytes::<Header>("header", &header).unwrap().sequence, 0);
    assert_eq!(Entry::parse(&[0x82, 0x18, 50, 0xa0]).unwrap(), Entry::Other(50));
    assert_eq!(
        Entry::parse(&[0x82, 0x02, 0x82, 0x18, 50, 0xa0]).unwrap(),
        Entry::Registry(RegistryEvent::Other(50))
    );
    assert_eq!(RefusalCode::from("later"), RefusalCode::Other("later".into()));
}

#[test]
fn only_changes_and_acts_are_given_back() {
    let Entry::Recovered(recovered) = recovered() else {
        unreachable!()
    };
    assert_eq!(recovered.inner().unwrap(), change());
    assert_eq!(Entry::Recovered(recovered.clone()).record(), change().record());
    let [unit, ..] = registry();
    for entry in [unit, Entry::Recovered(recovered.clone())] {
        let nested = entry::RecoveredEntry {
            entry: entry.to_bytes(),
            ..recovered.clone()
        };
        assert!(nested.inner().is_err());
        assert_eq!(Entry::Recovered(nested).record(), None);
    }
}

#[test]
fn entries_with_disorder_inside_are_refused() {
    let Entry::Act(act) = act() else { unreachable!() };
    let mut heads = act.clone();
    heads.heads.reverse();
    assert!(Entry::parse(&Entry::Act(heads).to_bytes()).is_err());
    let mut values = act.clone();
    values.values.as_mut().unwrap().reverse();
    assert!(Entry::parse(&Entry::Act(values).to_bytes()).is_err());
    let mut many = act;
    many.heads = (0..=255).map(|n| Hash::from_bytes([n; 32])).collect();
    assert!(Entry::parse(&Entry::Act(many).to_bytes()).is_err());
}
