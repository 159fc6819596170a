//! Parcels: what one phone carries for another is opened, taken in exactly as if its author had sent it, and answered under a seal that only
//! the author can open. Keeps nothing of its own: pages are known by their hash, so the same parcel gets the same verdicts again.

use std::collections::BTreeMap;

use beatbook_protocol::id::{BookId, Hash, IncarnationId};
use beatbook_protocol::limits::{EXCHANGE_PAGES_MAX, PARCEL_PIECES_MAX};
use beatbook_protocol::page::{BookPublicKey, SealedPage, header_hash};
use beatbook_protocol::parcel::{Answer, AnswerContent, Parcel, ParcelContent, ParcelFault, SealingPublicKey, parcel_hash};
use beatbook_protocol::wire::{
    DeliverRequest, DeliverResponse, Receipt, Refusal, RefusalCode, SealingOffer, WIRE_VERSION, pack, receipt_root,
};

use crate::blobs;
use crate::ended::parting;
use crate::error::StationError;
use crate::intake::{Author, take_in_all};
use crate::ledger;
use crate::refused::refusal_of;
use crate::registry::tokens;
use crate::station::Station;
use crate::store::{BookRow, ReadTx};

/// The station's sealing key, as phones are told it.
pub(crate) fn sealing_offer(station: &Station) -> SealingOffer {
    SealingOffer::sign(&station.keys.sealing.public_key(), &station.origin, &station.keys.receipt)
}

/// Takes a parcel in, from a carrier with a token of his own.
pub(crate) fn deliver(station: &Station, packed: &[u8], token: Option<&str>) -> Result<Vec<u8>, Refusal> {
    let now = station.env.clock.now();
    let carrier = station
        .store
        .read(|tx| Ok::<_, StationError>(token.map(|token| tokens::find(tx, token, now)).transpose()?.flatten()));
    let carrier = carrier.map_err(|fault| refusal_of(&fault))?.and_then(|token| token.book);
    let Some(carrier) = carrier else {
        // No challenge: an exchange comes before, and gives a token.
        return Err(Refusal::new(
            &RefusalCode::SignIn,
            "exchange first: a parcel is delivered under the carrier's token",
        ));
    };
    let mut place = station.room.enter(Some(carrier))?;
    let request: DeliverRequest = place.read("parcel request", packed)?;
    if request.version != WIRE_VERSION {
        return Err(Refusal::new(
            &RefusalCode::Version,
            "this station speaks version 1: update the app",
        ));
    }
    let parcel = parcel_hash(&request.parcel);
    // How much is in it shows only once it is opened.
    let _alone = place.opens_alone();
    let opened = open(station, &request.parcel).map_err(|fault| refusal_of(&fault))?;
    let answered = match opened {
        Ok((_, content)) if content.pages.len() > EXCHANGE_PAGES_MAX => {
            Err(ParcelFault::Unreadable("too many pages in one parcel".to_owned()))
        }
        Ok((_, content)) if content.blobs.as_ref().is_some_and(|blobs| blobs.len() > PARCEL_PIECES_MAX) => {
            Err(ParcelFault::Unreadable("too many pieces of blobs in one parcel".to_owned()))
        }
        Ok((book, content)) => standing(station, carrier, book, content).map_err(|fault| refusal_of(&fault))?,
        Err(fault) => Err(fault),
    };
    let (book, content) = answered.map_err(|fault| {
        tracing::warn!(%carrier, %parcel, code = fault.code(), "a parcel was refused");
        refused(&fault)
    })?;
    let answer_key = SealingPublicKey::from_bytes(content.answer_key);
    let said = match answer(station, &book, parcel, content) {
        // It ended while the parcel was at work: brought again, its pages are held.
        Err(StationError::Ended(_)) => Ok(Err(ParcelFault::Early)),
        said => said,
    };
    let said = said.map_err(|fault| refusal_of(&fault))?;
    let said = said.map_err(|fault| refused(&fault))?;
    tracing::info!(%carrier, %parcel, book = %book.book, pages = said.answers.len(), "a parcel was taken in");
    let random = tokens::random(&station.env).map_err(|fault| refusal_of(&fault))?;
    let answer = Answer::seal(&said, &station.origin, &station.keys.receipt, &answer_key, &random)
        .map_err(|fault| refused(&ParcelFault::Unreadable(fault.to_string())))?;
    let reply = DeliverResponse {
        version: WIRE_VERSION,
        answer,
    };
    pack(&reply).map_err(|fault| Refusal::new(&RefusalCode::Internal, fault.to_string()))
}

fn refused(fault: &ParcelFault) -> Refusal {
    Refusal::new(&RefusalCode::Other(fault.code().to_owned()), fault.to_string())
}

/// The parcel's book and content, verified: from here on it is as if the author himself had called.
fn open(station: &Station, file: &[u8]) -> Result<Result<(BookRow, ParcelContent), ParcelFault>, StationError> {
    let opened = Parcel::parse(file).and_then(|parcel| parcel.open(&station.origin, &station.keys.sealing));
    let opened = match opened {
        Ok(opened) => opened,
        Err(fault) => return Ok(Err(fault)),
    };
    let book = station.store.read(|tx| Ok::<_, StationError>(tx.book(opened.book())?))?;
    let Some(book) = book.filter(|book| book.book != station.book) else {
        return Ok(Err(ParcelFault::UnknownBook));
    };
    let key = BookPublicKey::parse(book.suite, &book.key)
        .map_err(|fault| StationError::Damaged(format!("book {}: {fault}", book.book)))?;
    Ok(opened.verify(&key).map(|content| (book, content)))
}

/// Whether its author's book is one whose pages are taken in. What comes of a book that has ended is held for the chief; one whose check
/// digits are not compared yet waits.
fn standing(
    station: &Station,
    carrier: BookId,
    book: BookRow,
    content: ParcelContent,
) -> Result<Result<(BookRow, ParcelContent), ParcelFault>, StationError> {
    let (ended, awaits) = station
        .store
        .read(|tx| Ok::<_, StationError>((tx.book_end(book.book)?.is_some(), tx.is_awaiting(book.book)?)))?;
    if ended {
        parting::hold(station, &book, Some(carrier), content.pages, station.env.clock.now())?;
        return Ok(Err(ParcelFault::Ended));
    }
    Ok(if awaits {
        Err(ParcelFault::Early)
    } else {
        Ok((book, content))
    })
}

/// Takes the pages in and says what became of them.
fn answer(
    station: &Station,
    book: &BookRow,
    parcel: Hash,
    content: ParcelContent,
) -> Result<Result<AnswerContent, ParcelFault>, StationError> {
    let now = station.env.clock.now();
    let (author, early) = station.store.read(|tx| {
        let confirmed = tx.confirmed_by(tx.contact(book.book)?.as_ref())?;
        Ok::<_, StationError>((Author::of(tx, book, confirmed)?, is_early(tx, book, &content.pages)?))
    })?;
    if early {
        return Ok(Err(ParcelFault::Early));
    }
    let answers = take_in_all(&station.store, &station.kinds, &author, content.pages, now)?;
    station.count_answers(&answers);
    // After the pages: a blob that a record names has no quota.
    let pieces = content.blobs.as_deref();
    let blobs = pieces
        .map(|pieces| blobs::take_pieces(station, book.book, pieces))
        .transpose()?;
    let (checkpoint, backed_up_to) = station.store.read(|tx| {
        let (_, note) = ledger::sign(tx, &station.keys, &station.origin)?;
        let backed_up_to = tx.station()?.map(|row| row.backed_up_to).filter(|size| *size > 0);
        Ok::<_, StationError>((note, backed_up_to))
    })?;
    Ok(Ok(AnswerContent {
        parcel,
        server_time: now,
        receipt: Receipt::sign(receipt_root(&answers, &[], &[]), &station.keys.receipt),
        answers,
        checkpoint,
        backed_up_to,
        blobs,
    }))
}

/// Whether a page is ahead of its book's chain: another parcel, or the author himself, brings those before. Taken in now it would be set
/// aside as a fault that is none.
fn is_early(tx: &ReadTx<'_>, book: &BookRow, pages: &[SealedPage]) -> Result<bool, StationError> {
    let mut next: BTreeMap<IncarnationId, u64> = BTreeMap::new();
    for page in pages {
        let Ok(header) = page.header() else { continue };
        if header.book != book.book || tx.page_leaf(&header_hash(&page.header))?.is_some() {
            continue;
        }
        let expected = match next.get(&header.incarnation) {
            Some(expected) => *expected,
            None => tx.tip(book.book, header.incarnation)?.next,
        };
        if header.sequence > expected {
            return Ok(true);
        }
        next.insert(header.incarnation, expected.max(header.sequence + 1));
    }
    Ok(false)
}
