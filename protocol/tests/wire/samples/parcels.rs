//! Samples of parcels and their answers. HPKE draws a fresh key each time, so the sealed files are read from their vectors.

use beatbook_protocol::codec;
use beatbook_protocol::ledger::StationKey;
use beatbook_protocol::parcel::{
    ANSWER_MAGIC, Answer, AnswerContent, PARCEL_MAGIC, Parcel, ParcelContent, SealingKey, parcel_hash,
};
use beatbook_protocol::wire::{
    BlobPiece, BlobStanding, DeliverRequest, DeliverResponse, EnrolResponse, ExchangeRequest, ExchangeResponse, Receipt,
    SealingOffer, WIRE_VERSION, receipt_root,
};

use super::*;

/// What parcels add, by the names of their rules.
pub(super) fn parcel_forms() -> [(&'static str, &'static str, Vec<u8>); 10] {
    let offer = || {
        let key = station_sealing_key().public_key();
        SealingOffer::sign(&key, ORIGIN, &StationKey::from_bytes(&[14; 32]))
    };
    let enrolled = EnrolResponse {
        sealing: Some(offer()),
        ..enrolment().1
    };
    let asks = ExchangeRequest {
        app: "1.0".into(),
        sealing: Some(true),
        ..ExchangeRequest::plain(BookId::from_bytes([9; 16]), IncarnationId::from_bytes([10; 16]), None)
    };
    let told = ExchangeResponse {
        sealing: Some(offer()),
        ..exchange_response()
    };
    let file = parcel_file();
    let deliver = DeliverRequest {
        version: WIRE_VERSION,
        parcel: file.clone(),
    };
    let delivered = DeliverResponse {
        version: WIRE_VERSION,
        answer: answer_file(),
    };
    [
        ("enrol-response", "enrol-response-sealing", codec::to_bytes(&enrolled)),
        ("exchange-request", "exchange-request-sealing", codec::to_bytes(&asks)),
        ("exchange-response", "exchange-response-sealing", codec::to_bytes(&told)),
        ("deliver-request", "deliver-request", codec::to_bytes(&deliver)),
        ("deliver-response", "deliver-response", codec::to_bytes(&delivered)),
        ("parcel", "parcel", file[PARCEL_MAGIC.len()..].to_vec()),
        ("parcel-answer", "parcel-answer", answer_file()[ANSWER_MAGIC.len()..].to_vec()),
        ("parcel-content", "parcel-content", codec::to_bytes(&parcel_content())),
        ("parcel-content", "parcel-content-blobs", codec::to_bytes(&with_blobs())),
        (
            "answer-content",
            "answer-content-blobs",
            codec::to_bytes(&answer_with_blobs()),
        ),
    ]
}

pub(crate) const ORIGIN: &str = "beatbook/1";

/// The station's key, which parcels are sealed to.
pub(crate) fn station_sealing_key() -> SealingKey {
    SealingKey::from_bytes(&[17; 32])
}

/// The key of one parcel, which its answer is sealed to.
pub(crate) fn answer_key() -> SealingKey {
    SealingKey::from_bytes(&[18; 32])
}

pub(crate) fn parcel_content() -> ParcelContent {
    ParcelContent {
        book: BookId::from_bytes([9; 16]),
        incarnation: IncarnationId::from_bytes([10; 16]),
        pages: vec![page()],
        answer_key: *answer_key().public_key().as_bytes(),
        made_at: AT,
        app: "1.0".into(),
        blobs: None,
    }
}

fn with_blobs() -> ParcelContent {
    let piece = BlobPiece {
        blob: Hash::from_bytes([21; 32]),
        length: 9,
        offset: 4,
        bytes: vec![1, 2, 3],
    };
    ParcelContent {
        blobs: Some(vec![piece]),
        ..parcel_content()
    }
}

fn answer_with_blobs() -> AnswerContent {
    let standing = BlobStanding {
        blob: Hash::from_bytes([21; 32]),
        bytes: 7,
        arrived: false,
    };
    AnswerContent {
        blobs: Some(vec![standing]),
        ..answer_content()
    }
}

pub(crate) fn parcel_file() -> Vec<u8> {
    frozen("parcel", PARCEL_MAGIC, || {
        let to = station_sealing_key().public_key();
        Parcel::seal(&parcel_content(), ORIGIN, &key(), &to, &[19; 32]).unwrap()
    })
}

/// What is compressed before it is sealed depends on zstd's version: the bytes of the vector stand, and must be read for ever.
fn frozen(name: &str, magic: &[u8; 8], make: impl Fn() -> Vec<u8>) -> Vec<u8> {
    match std::fs::read_to_string(crate::vector(name)) {
        Ok(text) => [magic.as_slice(), &crate::unhex(&text)].concat(),
        Err(_) => make(),
    }
}

pub(crate) fn answer_content() -> AnswerContent {
    let reply = exchange_response();
    AnswerContent {
        parcel: parcel_hash(&parcel_file()),
        server_time: AT,
        receipt: Receipt::sign(receipt_root(&reply.answers, &[], &[]), &StationKey::from_bytes(&[14; 32])),
        answers: reply.answers,
        checkpoint: reply.checkpoint.unwrap(),
        backed_up_to: Some(200),
        blobs: None,
    }
}

pub(crate) fn answer_file() -> Vec<u8> {
    frozen("parcel-answer", ANSWER_MAGIC, || {
        let station = StationKey::from_bytes(&[14; 32]);
        Answer::seal(&answer_content(), ORIGIN, &station, &answer_key().public_key(), &[20; 32]).unwrap()
    })
}
