//! One exchange: pages in, verdicts and feed out, in one round trip. Every reply is complete in itself; any request may come again.

use beatbook_protocol::codec::CodecError;
use beatbook_protocol::id::Hash;
use beatbook_protocol::limits::EXCHANGE_PAGES_MAX;
use beatbook_protocol::page::BookPublicKey;
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::{
    AppVersion, Challenged, Cursor, ExchangeRequest, ExchangeResponse, PageAnswer, Receipt, Refusal, RefusalCode, WIRE_VERSION,
    exchange_message, pack, read, receipt_root, unpack,
};

use crate::error::StationError;
use crate::feed::{self, Asker};
use crate::intake::{Author, take_in};
use crate::ledger::{self, OldPosition};
use crate::phones;
use crate::registry::tokens;
use crate::station::Station;
use crate::store::{BookRow, Contact, ReadTx};

/// A phone's token is renewed when it is older than this.
const TOKEN_RENEW_MS: i64 = 60 * 60 * 1000;
/// How often a contact without news is written down.
const CONTACT_MS: i64 = 5 * 60 * 1000;

/// A request that was let in.
struct Admitted {
    book: BookRow,
    renew: bool,
}

/// Answers a packed request.
pub(crate) fn exchange(
    station: &Station,
    packed: &[u8],
    token: Option<&str>,
    challenged: Option<&Challenged>,
) -> Result<Vec<u8>, Refusal> {
    let request: ExchangeRequest = unpack(packed)
        .and_then(|bytes| read("exchange request", &bytes))
        .map_err(|fault| refusal_of_codec(&fault))?;
    if request.version != WIRE_VERSION {
        return Err(Refusal::new(
            &RefusalCode::Version,
            "this station speaks version 1: update the app",
        ));
    }
    if request.pages.len() > EXCHANGE_PAGES_MAX {
        return Err(Refusal::new(&RefusalCode::TooLarge, "too many pages in one request"));
    }
    let admitted = let_in(station, &request, packed, token, challenged)?;
    let reply = answer(station, request, &admitted).map_err(|fault| refusal_of(&fault))??;
    pack(&reply).map_err(|fault| Refusal::new(&RefusalCode::Internal, fault.to_string()))
}

/// What a phone is told of a fault of the station.
pub(crate) fn refusal_of(fault: &StationError) -> Refusal {
    let (code, text) = match fault {
        StationError::Full | StationError::Store(_) => {
            (RefusalCode::TryLater, "the station cannot take anything in at the moment")
        }
        StationError::Exists(_)
        | StationError::NoStation(_)
        | StationError::Nested { .. }
        | StationError::Keys(_)
        | StationError::Behind { .. }
        | StationError::OtherHistory
        | StationError::Damaged(_)
        | StationError::Kind(_)
        | StationError::NotFound(_)
        | StationError::Forbidden(_)
        | StationError::Invalid(_)
        | StationError::Io { .. } => (RefusalCode::Internal, "a fault of the station"),
    };
    tracing::error!(%fault, "request refused");
    let mut refusal = Refusal::new(&code, text);
    refusal.retry_after_ms = (code == RefusalCode::TryLater).then_some(30_000);
    refusal
}

/// What a phone is told of bytes that are not a message.
pub(crate) fn refusal_of_codec(fault: &CodecError) -> Refusal {
    let code = match fault {
        CodecError::TooLong { .. } => RefusalCode::TooLarge,
        CodecError::Malformed { .. } | CodecError::NotDeterministic { .. } | CodecError::TooDeep { .. } => RefusalCode::Malformed,
    };
    Refusal::new(&code, fault.to_string())
}

/// By its token, or by its key over a challenge.
fn let_in(
    station: &Station,
    request: &ExchangeRequest,
    packed: &[u8],
    token: Option<&str>,
    challenged: Option<&Challenged>,
) -> Result<Admitted, Refusal> {
    let now = station.env.clock.now();
    let found = station.store.read(|tx| {
        let token = token.map(|token| tokens::find(tx, token, now)).transpose()?.flatten();
        Ok::<_, StationError>((tx.book(request.book)?, token))
    });
    let (book, token) = found.map_err(|fault| refusal_of(&fault))?;
    let Some(book) = book.filter(|book| book.book != station.book) else {
        return Err(Refusal::new(
            &RefusalCode::UnknownBook,
            "this book is not enrolled here: enrol again",
        ));
    };
    if let Some(token) = token.filter(|token| token.book == Some(book.book)) {
        return Ok(Admitted {
            book,
            renew: now.since(token.issued_at) > TOKEN_RENEW_MS,
        });
    }
    if let Some(challenged) = challenged {
        let taken = station
            .store
            .write(|tx| Ok::<_, StationError>(tx.take_challenge(&tokens::hash(&challenged.challenge), book.book, now)?));
        let message = exchange_message(&challenged.challenge, packed);
        let signed = BookPublicKey::parse(book.suite, &book.key).is_ok_and(|key| key.verifies(&message, &challenged.signature));
        if taken.map_err(|fault| refusal_of(&fault))? && signed {
            return Ok(Admitted { book, renew: true });
        }
    }
    station.count("challenges");
    let challenge = tokens::challenge(station, book.book).map_err(|fault| refusal_of(&fault))?;
    let mut refusal = Refusal::new(&RefusalCode::SignIn, "sign the challenge");
    refusal.challenge = Some(challenge.to_vec());
    Err(refusal)
}

fn answer(
    station: &Station,
    request: ExchangeRequest,
    admitted: &Admitted,
) -> Result<Result<ExchangeResponse, Refusal>, StationError> {
    let now = station.env.clock.now();
    let (author, cursor, contact) = station.store.read(|tx| {
        let contact = tx.contact(admitted.book.book)?;
        let confirmed = match &contact {
            Some(contact) => tx
                .shared_with(contact.epoch)?
                .map_or(contact.size, |shared| shared.min(contact.size)),
            None => 0,
        };
        let author = Author::of(tx, &admitted.book, confirmed)?;
        let cursor = request
            .cursor
            .as_ref()
            .map(|cursor| ledger::place_of(tx, &cursor.position))
            .transpose()?;
        Ok::<_, StationError>((author, cursor, contact))
    })?;
    if cursor == Some(OldPosition::Strange) {
        tracing::error!(book = %author.book, cursor = ?request.cursor, "a phone names a history that this ledger does not have");
        let code = RefusalCode::Other("unknown_history".into());
        return Ok(Err(Refusal::new(
            &code,
            "this station does not know the history that the phone has seen: tell its operator",
        )));
    }
    let ExchangeRequest {
        incarnation,
        cursor: sent,
        pages,
        kinds,
        feed_bytes_max,
        app,
        owes,
        ..
    } = request;
    phones::note(station, author.book, &app, owes.as_ref(), now)?;
    let mut answers = Vec::with_capacity(pages.len());
    for page in pages {
        answers.push(take_in(&station.store, &station.kinds, &author, &page, now)?);
    }
    station.count_answers(&answers);
    let token = if admitted.renew {
        Some(tokens::issue(station, author.user, Some(author.book))?)
    } else {
        None
    };
    let reply = station.store.read(|tx| {
        let unit = tx
            .user(author.user)?
            .ok_or_else(|| StationError::Damaged("a user is missing".into()))?
            .unit;
        let asker = Asker {
            own: (author.book, incarnation),
            user: author.user,
            roles: &author.roles,
            unit,
        };
        let wish = Wish {
            sent: sent.as_ref(),
            place: cursor,
            kinds,
            feed_bytes_max,
        };
        reply(station, tx, &asker, &wish, answers, now)
    })?;
    touch(station, &author, contact, cursor, now)?;
    let app_min = station.app_min.filter(|wanted| AppVersion::parse(&app).is_none_or(|has| has < *wanted));
    Ok(Ok(ExchangeResponse {
        token,
        app_min: app_min.map(|wanted| wanted.to_string()),
        ..reply
    }))
}

/// What a phone has and wants.
struct Wish<'a> {
    sent: Option<&'a Cursor>,
    place: Option<OldPosition>,
    kinds: Option<Hash>,
    feed_bytes_max: Option<u32>,
}

fn reply(
    station: &Station,
    tx: &ReadTx<'_>,
    asker: &Asker<'_>,
    wish: &Wish<'_>,
    answers: Vec<PageAnswer>,
    now: UnixMillis,
) -> Result<ExchangeResponse, StationError> {
    let (position, note) = ledger::sign(tx, &station.keys, &station.origin)?;
    let from = match wish.place {
        Some(OldPosition::Beginning(size) | OldPosition::Lost(size)) => size,
        Some(OldPosition::Strange) | None => 0,
    };
    let feed = feed::feed(tx, &station.kinds, asker, (from, position.size), wish.feed_bytes_max)?;
    let moved = wish.sent.is_none_or(|sent| sent.position != position);
    let consistency = match wish.place {
        Some(OldPosition::Beginning(size)) if moved => Some(ledger::consistency(tx, size, position.size)?),
        _ => None,
    };
    let is_behind = feed.reaches < position.size;
    let digest = station.kinds.digest();
    let has_items = !answers.is_empty() || !feed.leaves.is_empty();
    let receipt = has_items.then(|| Receipt::sign(receipt_root(&answers, &feed.leaves, &[]), &station.keys.receipt));
    let backed_up_to = if moved || has_items {
        tx.station()?.map(|row| row.backed_up_to).filter(|size| *size > 0)
    } else {
        None
    };
    let cursor = Cursor {
        position: ledger::position_at(tx, feed.reaches)?,
        fill: None,
    };
    Ok(ExchangeResponse {
        answers,
        feed: feed.leaves,
        more: is_behind.then_some(true),
        checkpoint: moved.then_some(note),
        consistency,
        cursor_consistency: if is_behind {
            Some(ledger::consistency(tx, feed.reaches, position.size)?)
        } else {
            None
        },
        kinds: (wish.kinds != Some(digest)).then(|| station.kinds.files()),
        receipt,
        backed_up_to,
        ..ExchangeResponse::plain(now, cursor)
    })
}

/// Notes when a book was heard of and what it confirmed; without news only every few minutes, so that a no-op writes nothing.
fn touch(
    station: &Station,
    author: &Author,
    before: Option<Contact>,
    cursor: Option<OldPosition>,
    now: UnixMillis,
) -> Result<(), StationError> {
    let size = match cursor {
        Some(OldPosition::Beginning(size) | OldPosition::Lost(size)) => size,
        Some(OldPosition::Strange) | None => 0,
    };
    station.count("exchanges");
    if before.is_some_and(|before| before.size == size && now.since(before.at) < CONTACT_MS) {
        return Ok(());
    }
    station.store.write(|tx| {
        let epoch = tx.epoch()?.epoch;
        Ok(tx.put_contact(author.book, &Contact { at: now, epoch, size })?)
    })
}
