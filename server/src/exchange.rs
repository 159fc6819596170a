//! One exchange: pages in, verdicts and feed out, in one round trip. Every reply is complete in itself; any request may come again.

use beatbook_protocol::id::BookId;
use beatbook_protocol::limits::{EXCHANGE_PAGES_MAX, GIVEN_MAX};
use beatbook_protocol::page::{BookPublicKey, SealedPage, header_hash};
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::{
    AppVersion, Challenged, Cursor, ExchangeRequest, ExchangeResponse, LEASE_MS, Refusal, RefusalCode, WIRE_VERSION,
    exchange_message, runs,
};

use crate::alarm;
use crate::ended::parting;
use crate::error::StationError;
use crate::intake::{Author, refuse_ended, take_in_all};
use crate::ledger::{self, OldPosition};
use crate::parcels;
use crate::phones;
use crate::reconcile;
use crate::recovered::{self, Giver};
use crate::refused::refusal_of;
use crate::registry::tokens;
use crate::reply::{Answered, Wish, reply};
use crate::scope::Scope;
use crate::station::Station;
use crate::store::{BookEndRow, BookRow, Contact, ReadTx};
use crate::{strangers, unlock};

/// A phone's token is renewed when it is older than this.
const TOKEN_RENEW_MS: i64 = 60 * 60 * 1000;
/// How often a contact without news is written down.
const CONTACT_MS: i64 = 5 * 60 * 1000;

/// A request that was let in.
struct Admitted {
    book: BookRow,
    renew: bool,
    /// Set when the book has ended: its phone is to part with what it has.
    end: Option<BookEndRow>,
}

/// Answers a packed request.
pub(crate) fn exchange(
    station: &Station,
    packed: &[u8],
    token: Option<&str>,
    challenged: Option<&Challenged>,
) -> Result<Vec<u8>, Refusal> {
    let now = station.env.clock.now();
    let known = strangers::book_of(station, token, now)?;
    let stranger = known.is_none().then(|| station.strangers.place()).transpose()?;
    let mut place = station.room.enter(known)?;
    let request: ExchangeRequest = place.read("exchange request", packed)?;
    if request.version != WIRE_VERSION {
        return Err(Refusal::new(
            &RefusalCode::Version,
            "this station speaks version 1: update the app",
        ));
    }
    if request.pages.len() > EXCHANGE_PAGES_MAX {
        return Err(Refusal::new(&RefusalCode::TooLarge, "too many pages in one request"));
    }
    if request.given.as_ref().is_some_and(|given| given.len() > GIVEN_MAX) {
        return Err(Refusal::new(
            &RefusalCode::TooLarge,
            "too many entries are given back in one request",
        ));
    }
    let admitted = let_in(station, &request, (packed, challenged), token, now)?;
    drop(stranger);
    place.is_of(admitted.book.book)?;
    let answered = match &admitted.end {
        Some(end) => parting::answer(station, &admitted.book, end, request, station.env.clock.now()).map(Ok),
        None => answer(station, request, &admitted),
    };
    let reply = match answered {
        // It ended while the request was at work: its key has to sign the same once more, and then it is told.
        Err(StationError::Ended(book)) => return Err(ask_to_sign(station, book)),
        answered => answered.map_err(|fault| refusal_of(&fault))??,
    };
    place
        .pack(reply)
        .map_err(|fault| Refusal::new(&RefusalCode::Internal, fault.to_string()))
}

/// By its token, or by its key over a challenge; a book that has ended by its key alone.
fn let_in(
    station: &Station,
    request: &ExchangeRequest,
    (packed, challenged): (&[u8], Option<&Challenged>),
    token: Option<&str>,
    now: UnixMillis,
) -> Result<Admitted, Refusal> {
    let found = station.store.read(|tx| {
        let token = token.map(|token| tokens::find(tx, token, now)).transpose()?.flatten();
        let (end, awaits) = (tx.book_end(request.book)?, tx.is_awaiting(request.book)?);
        Ok::<_, StationError>((tx.book(request.book)?, token, end, awaits))
    });
    let (book, token, end, awaits) = found.map_err(|fault| refusal_of(&fault))?;
    let Some(book) = book.filter(|book| book.book != station.book) else {
        return Err(Refusal::new(
            &RefusalCode::UnknownBook,
            "this book is not enrolled here: enrol again",
        ));
    };
    if awaits && end.is_none() {
        station.count("exchanges_awaiting");
        return Err(Refusal::new(
            &RefusalCode::AwaitingConfirmation,
            "the chief has not compared the check digits of this phone yet: show them to him; nothing is lost",
        ));
    }
    if let Some(token) = token.filter(|token| token.book == Some(book.book)) {
        return Ok(Admitted {
            book,
            renew: now.since(token.issued_at) > TOKEN_RENEW_MS,
            end: None,
        });
    }
    if let Some(challenged) = challenged {
        let taken = station
            .store
            .write(|tx| Ok::<_, StationError>(tx.take_challenge(&tokens::hash(&challenged.challenge), book.book, now)?));
        let message = exchange_message(&challenged.challenge, packed);
        let signed = BookPublicKey::parse(book.suite, &book.key).is_ok_and(|key| key.verifies(&message, &challenged.signature));
        if taken.map_err(|fault| refusal_of(&fault))? && signed {
            return Ok(Admitted { book, renew: true, end });
        }
    }
    Err(ask_to_sign(station, book.book))
}

/// A refusal with a challenge for a book's key.
fn ask_to_sign(station: &Station, book: BookId) -> Refusal {
    station.count("challenges");
    match tokens::challenge(station, book) {
        Ok(challenge) => Refusal {
            challenge: Some(challenge.to_vec()),
            ..Refusal::new(&RefusalCode::SignIn, "sign the challenge")
        },
        Err(fault) => refusal_of(&fault),
    }
}

/// What is known of the asker before anything is taken in.
struct Asker {
    author: Author,
    contact: Option<Contact>,
    wish: Wish,
    is_old_copy: bool,
    /// Whether he says that he holds something else than he should.
    disagrees: bool,
}

fn answer(
    station: &Station,
    mut request: ExchangeRequest,
    admitted: &Admitted,
) -> Result<Result<ExchangeResponse, Refusal>, StationError> {
    let now = station.env.clock.now();
    let asker = match meet(station, &request, admitted, now)? {
        Ok(asker) => asker,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let Asker { author, wish, .. } = &asker;
    phones::note(station, author.book, &request.app, request.owes.as_ref(), now)?;
    let token = if admitted.renew {
        Some(tokens::issue(station, author.user, Some(author.book))?)
    } else {
        None
    };
    station.env.steps.passes("token issued");
    let share = match &request.share {
        Some(share) => unlock::keep(station, author.book, share)?,
        None => None,
    };
    if asker.is_old_copy {
        tracing::warn!(book = %author.book, incarnation = %request.incarnation, "an old copy of a phone: it goes on under a new incarnation");
        station.count("renewals");
        let cursor = match request.cursor {
            Some(cursor) => cursor,
            None => station.store.read(beginning)?,
        };
        return Ok(Ok(ExchangeResponse {
            renew: Some(true),
            token,
            ..ExchangeResponse::plain(now, cursor)
        }));
    }
    let pages = std::mem::take(&mut request.pages);
    let brings = !pages.is_empty();
    let answered = take_all(station, author, &request, pages, now)?;
    let reply = station.store.read(|tx| {
        // Nothing goes down to a book that ended while its pages were taken in.
        refuse_ended(tx, author.book)?;
        let scope = Scope::now(tx, author.user)?;
        reply(station, tx, &scope, wish, answered, now)
    })?;
    station.env.steps.passes("checkpoint signed");
    // Without anything brought, what he must hold now is what he must have held.
    let disagrees = asker.disagrees || is_news(wish, brings, &request, &reply);
    note_digest(station, author, disagrees, wish, now)?;
    touch(station, author, asker.contact, wish.held(), now)?;
    station.env.steps.passes("reply ready");
    let is_older = |wanted: &AppVersion| AppVersion::parse(&request.app).is_none_or(|has| has < *wanted);
    // A phone that is in touch gets a token by the hour: as often as it needs to hear of the keys.
    let pins = token.as_ref().and_then(|_| station.pins_offer());
    Ok(Ok(ExchangeResponse {
        token,
        pins,
        app_min: station.app_min.filter(is_older).map(|wanted| wanted.to_string()),
        sealing: (request.sealing == Some(true)).then(|| parcels::sealing_offer(station)),
        share,
        next_ms: station.ask_again_ms,
        lease_ms: (request.lease_ms.unwrap_or(LEASE_MS) != station.lease_ms).then_some(station.lease_ms),
        ..reply
    }))
}

/// Whether a reply to a phone that brought nothing and had everything says that it holds something else.
fn is_news(wish: &Wish, brings: bool, request: &ExchangeRequest, reply: &ExchangeResponse) -> bool {
    let had_all = !brings && request.given.is_none() && wish.is_at(reply.cursor.position.size);
    had_all && wish.digest.is_some() && reply.digest.is_some()
}

/// Looks at the asker: is his history ours, is he an old copy of himself, does he hold what he should?
fn meet(
    station: &Station,
    request: &ExchangeRequest,
    admitted: &Admitted,
    now: UnixMillis,
) -> Result<Result<Asker, Refusal>, StationError> {
    let met = station.store.read(|tx| {
        if tx.alarm()?.is_some() {
            return Ok::<_, StationError>(Err(Strange::Alarm));
        }
        let contact = tx.contact(admitted.book.book)?;
        let author = Author::of(tx, &admitted.book, tx.confirmed_by(contact.as_ref())?)?;
        let cursor = request.cursor.as_ref();
        let place = cursor.map(|cursor| ledger::place_of(tx, &cursor.position)).transpose()?;
        if let Some(note) = &request.witness
            && alarm::proves_another(station, tx, note)?
        {
            return Ok(Err(Strange::Proven(author.book, note.clone())));
        }
        if place == Some(OldPosition::Strange) {
            return Ok(Err(Strange::Said(author.book)));
        }
        let wish = Wish::of(request, place);
        let brings = !request.pages.is_empty() || request.given.is_some();
        let disagrees = match wish.digest {
            Some(digest) if brings && wish.is_at(tx.size()?) => {
                reconcile::digest(tx, &station.kinds, &Scope::now(tx, author.user)?)? != digest
            }
            Some(_) | None => false,
        };
        Ok(Ok(Asker {
            is_old_copy: is_old_copy(tx, &author, request)?,
            author,
            contact,
            wish,
            disagrees,
        }))
    })?;
    Ok(match met {
        Ok(asker) => Ok(asker),
        Err(Strange::Alarm) => Err(alarm::refusal()),
        Err(Strange::Proven(book, note)) => {
            alarm::raise(station, book, &note, now)?;
            Err(alarm::refusal())
        }
        Err(Strange::Said(book)) => {
            tracing::error!(%book, cursor = ?request.cursor, "a phone names a history that this ledger does not have");
            Err(Refusal::new(
                &RefusalCode::Other("unknown_history".into()),
                "this station does not know the history that the phone has seen: show its newest checkpoint as witness, tell the operator",
            ))
        }
    })
}

/// Why nothing is taken from an asker.
enum Strange {
    /// The station's history is in doubt already.
    Alarm,
    /// He shows another history, signed by this station.
    Proven(BookId, String),
    /// He names another history; that proves nothing.
    Said(BookId),
}

/// Whether a request comes from an old copy of a phone's file: its next page, or one that it sends, has a number that was used already.
fn is_old_copy(tx: &ReadTx<'_>, author: &Author, request: &ExchangeRequest) -> Result<bool, StationError> {
    let Some(next) = request.next else { return Ok(false) };
    if next < tx.tip(author.book, request.incarnation)?.next {
        return Ok(true);
    }
    for page in &request.pages {
        let Ok(header) = page.header() else { continue };
        let is_used = header.book == author.book && header.sequence < tx.tip(author.book, header.incarnation)?.next;
        if is_used && tx.page_leaf(&header_hash(&page.header))?.is_none() && page.clone().verify(&author.key).is_ok() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Takes in what a phone brings: what it gives back first, since its own pages may build on that; what did not fit then, after them.
fn take_all(
    station: &Station,
    author: &Author,
    request: &ExchangeRequest,
    pages: Vec<SealedPage>,
    now: UnixMillis,
) -> Result<Answered, StationError> {
    let giver = Giver {
        book: author.book,
        user: author.user,
    };
    let witness = request.witness.as_deref();
    let give = |before| match &request.given {
        Some(given) => recovered::take_back(station, giver, given, witness, before, now).map(Some),
        None => Ok(None),
    };
    let first = give(None)?;
    let answers = take_in_all(&station.store, &station.kinds, author, pages, now)?;
    station.env.steps.passes("pages taken in");
    station.count_answers(&answers);
    let given = if answers.is_empty() { first } else { give(first)? };
    Ok(Answered {
        pages: answers,
        given: given.map(|verdicts| runs(&verdicts)),
    })
}

/// The cursor of a phone that holds nothing.
fn beginning(tx: &ReadTx<'_>) -> Result<Cursor, StationError> {
    Ok(Cursor {
        position: ledger::position_at(tx, 0)?,
        fill: None,
    })
}

/// Notes whether a phone that said what it holds holds what it should.
fn note_digest(station: &Station, author: &Author, disagrees: bool, wish: &Wish, now: UnixMillis) -> Result<(), StationError> {
    if disagrees {
        tracing::warn!(book = %author.book, "a phone holds something else than it should: it will reconcile");
        station.count("digests_disagreeing");
    }
    let compared =
        disagrees || (wish.digest.is_some() && wish.is_at(station.store.read(|tx| Ok::<_, StationError>(tx.size()?))?));
    if compared {
        phones::note_digest(station, author.book, !disagrees, now)
    } else {
        Ok(())
    }
}

/// Notes when a book was heard of and what it confirmed; without news only every few minutes, so that a no-op writes nothing.
fn touch(station: &Station, author: &Author, before: Option<Contact>, size: u64, now: UnixMillis) -> Result<(), StationError> {
    station.count("exchanges");
    if before.is_some_and(|before| before.size == size && now.since(before.at) < CONTACT_MS) {
        return Ok(());
    }
    station.store.write(|tx| {
        let epoch = tx.epoch()?.epoch;
        Ok(tx.put_contact(author.book, &Contact { at: now, epoch, size })?)
    })
}
