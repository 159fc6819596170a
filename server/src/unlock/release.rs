//! Giving a phone its share back: to the book's own signature and a code that its person was given, once. Everything about it is on the
//! audit log before the answer leaves.

use beatbook_protocol::id::BookId;
use beatbook_protocol::page::BookPublicKey;
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::{
    Refusal, RefusalCode, UnlockRequest, UnlockResponse, WIRE_VERSION, code_letters, pack, read, unlock_message,
};

use super::share::COLUMN;
use crate::audit::{self, Line};
use crate::error::StationError;
use crate::refused::{refusal_of, refusal_of_codec};
use crate::registry::tokens;
use crate::station::Station;
use crate::store::{BookRow, WriteTx};
use crate::strangers::unpack_short;

/// Wrong codes of one phone in an hour; only who holds the phone can use them up, since a request is signed by it.
const WRONG_MAX: u32 = 5;
const WRONG_MS: i64 = 60 * 60 * 1000;
/// Bytes of a request, unpacked: a book, a code, a key and a signature.
const REQUEST_BYTES_MAX: usize = 16 * 1024;
/// Characters of a code as people type it.
const CODE_CHARS_MAX: usize = 40;

/// Answers a packed request.
pub(crate) fn release(station: &Station, packed: &[u8]) -> Result<Vec<u8>, Refusal> {
    let request: UnlockRequest = unpack_short(packed, REQUEST_BYTES_MAX)
        .and_then(|bytes| read("unlock request", &bytes))
        .map_err(|fault| refusal_of_codec(&fault))?;
    if request.version != WIRE_VERSION {
        return Err(Refusal::new(
            &RefusalCode::Version,
            "this station speaks version 1: update the app",
        ));
    }
    if request.code.chars().count() > CODE_CHARS_MAX {
        return Err(Refusal::new(&RefusalCode::Malformed, "a code has ten letters"));
    }
    let book = station.store.read(|tx| Ok::<_, StationError>(tx.book(request.book)?));
    let book = book
        .map_err(|fault| refusal_of(&fault))?
        .filter(|book| book.book != station.book);
    let Some(book) = book else {
        return Err(Refusal::new(
            &RefusalCode::UnknownBook,
            "this book is not enrolled here: enrol again",
        ));
    };
    let message = unlock_message(&station.origin, request.book, &request.code, &request.reply_key);
    let signed = BookPublicKey::parse(book.suite, &book.key).is_ok_and(|key| key.verifies(&message, &request.signature));
    if !signed {
        return Err(Refusal::new(&RefusalCode::Malformed, "the request is not signed by its book"));
    }
    let now = station.env.clock.now();
    let answered = station.store.write(|tx| decide(station, tx, &book, &request, now));
    let answered = answered.map_err(|fault| refusal_of(&fault))?;
    station.env.steps.passes("share released");
    let response = answered.inspect_err(|_| station.count("unlocks_refused"))?;
    station.count("unlocks");
    pack(&response).map_err(|fault| Refusal::new(&RefusalCode::Internal, fault.to_string()))
}

fn decide(
    station: &Station,
    tx: &WriteTx<'_>,
    book: &BookRow,
    request: &UnlockRequest,
    now: UnixMillis,
) -> Result<Result<UnlockResponse, Refusal>, StationError> {
    if tx.book_end(book.book)?.is_some() {
        let detail = format!("book {}, which has ended", book.book);
        audit::append(tx, &station.env, &Line::of(None, "unlock.refused", detail))?;
        let refusal = "this book has ended: nothing opens it any more; ask the chief, and enrol again";
        return Ok(Err(Refusal::new(&RefusalCode::UnknownBook, refusal)));
    }
    let (wrong, since) = tx.unlock_tries(book.book)?.unwrap_or((0, now));
    let is_old = now.since(since) >= WRONG_MS;
    if wrong >= WRONG_MAX && !is_old {
        let mut refusal = Refusal::new(
            &RefusalCode::TryLater,
            "too many wrong codes: try again later, with a new one",
        );
        refusal.retry_after_ms = u64::try_from(WRONG_MS - now.since(since)).ok();
        return Ok(Err(refusal));
    }
    let hash = tokens::hash(code_letters(&request.code).as_bytes());
    let code = tx
        .unlock_code(&hash)?
        .filter(|code| code.user == book.user && code.expires_at >= now);
    let is_ours = |(by, key): &(BookId, Vec<u8>)| *by == book.book && *key == request.reply_key;
    let Some(code) = code.filter(|code| code.used_by.as_ref().is_none_or(is_ours)) else {
        let (wrong, since) = if is_old { (0, now) } else { (wrong, since) };
        tx.put_unlock_tries(book.book, wrong + 1, since)?;
        audit::append(
            tx,
            &station.env,
            &Line::of(None, "unlock.refused", format!("book {}", book.book)),
        )?;
        let refusal = "the code is wrong, used or run out: ask the station for a new one";
        return Ok(Err(Refusal::new(&RefusalCode::Other("unlock_code".into()), refusal)));
    };
    let person = tx.user(book.user)?;
    if person.as_ref().is_some_and(|person| person.blocked) {
        let refusal = "this person is blocked at the station: ask the chief";
        return Ok(Err(Refusal::new(&RefusalCode::Blocked, refusal)));
    }
    let (Some(row), Some(person)) = (tx.unlock_share(book.book)?, person) else {
        let refusal = "the station keeps no share of this phone's key: only its PIN opens it";
        return Ok(Err(Refusal::new(&RefusalCode::Other("unlock_no_share".into()), refusal)));
    };
    let share = station.keys.column.open(COLUMN, book.book.as_bytes(), &row.sealed)?;
    let random = tokens::random(&station.env)?;
    let sealed = UnlockResponse::seal(&share, &station.origin, request, now, &station.keys.receipt, &random);
    let Ok(response) = sealed else {
        return Ok(Err(Refusal::new(
            &RefusalCode::Malformed,
            "the key to answer to is no X25519 key",
        )));
    };
    if code.used_by.is_none() {
        tx.use_unlock_code(&hash, book.book, &request.reply_key)?;
    }
    tx.put_unlock_tries(book.book, 0, now)?;
    audit::append(
        tx,
        &station.env,
        &Line::of(Some(person.user), "unlock.share", format!("book {}", book.book)),
    )?;
    Ok(Ok(response))
}
