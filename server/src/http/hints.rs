//! The hint channel: server-sent events (HTML standard, section 9.2) that say "ask now" and nothing else. A stream holds no data of any
//! record, is one for a book, ends when its token does, and may be lost at any time: a phone that misses a hint asks at its next turn.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use beatbook_protocol::id::BookId;
use hyper::body::Frame;
use tokio::sync::{mpsc, oneshot};

use super::access::bearer;
use super::app::Shared;
use super::fault::Fault;
use super::sync::Refused;
use crate::news::{Heard, Hearing};

/// Events that wait for a slow line; a hint that waits stands for all after it.
const EVENTS_MAX: usize = 2;

/// A stream of hints: `event: hint` with a number that only counts, and comments in between.
#[utoipa::path(get, path = "/sync/v1/hints", tag = "phones",
    params(("Authorization" = String, Header, description = "Bearer token of the book")),
    responses(
        (status = 200, content_type = "text/event-stream", body = String, description = "Events `hint`: exchange now"),
        (status = "4XX", content_type = "application/vnd.beatbook.v1+cbor-zstd", body = Vec<u8>, description = "Refusal, packed"),
    ))]
pub(crate) async fn hints(State(app): State<Shared>, headers: HeaderMap) -> Response {
    match open(&app, &headers).await {
        Ok(stream) => ([(header::CONTENT_TYPE, "text/event-stream")], Body::new(stream)).into_response(),
        Err(fault) => {
            let refusal = fault.refusal();
            app.metrics.refused(&refusal.code());
            Refused(refusal).into_response()
        }
    }
}

async fn open(app: &Shared, headers: &HeaderMap) -> Result<Stream, Fault> {
    let token = bearer(headers).ok_or(Fault::Token)?.to_owned();
    let asked = token.clone();
    let scope = app.call(move |station| station.hint_scope(&asked)).await?;
    let (book, reach) = scope.ok_or(Fault::Token)?;
    let hearing = app.listen(book, reach).ok_or(Fault::Busy)?;
    let place = app.streams.take(book).ok_or(Fault::Busy)?;
    let (events, receiver) = mpsc::channel(EVENTS_MAX);
    tokio::spawn(tell(std::sync::Arc::clone(app), token, place, hearing, events));
    Ok(Stream(receiver))
}

/// Feeds a stream until its phone hangs up, its token ends, a newer stream of the book takes its place, or the station stops.
async fn tell(app: Shared, token: String, mut place: Place, mut hearing: Hearing, events: mpsc::Sender<Bytes>) {
    // Says that listening has begun: what is appended from here on is told.
    let _ = events.try_send(Bytes::from_static(b": listening\n\n"));
    for number in 1_u64.. {
        let heard = loop {
            tokio::select! {
                () = events.closed() => break None,
                _ = &mut place.taken => break None,
                heard = hearing.next() => break heard,
                () = tokio::time::sleep(app.limits.hint_beat) => {
                    if !look(&app, &token, &mut hearing).await {
                        break None;
                    }
                    let _ = events.try_send(Bytes::from_static(b":\n\n"));
                }
            }
        };
        let Some(heard) = heard else { break };
        if heard == Heard::Registry && !look(&app, &token, &mut hearing).await {
            break;
        }
        let _ = events.try_send(format!("event: hint\ndata: {number}\n\n").into());
    }
    app.streams.leave(&place);
}

/// Looks whether the token still holds, and what records reach its bearer. A station too busy to say is asked at the next beat.
async fn look(app: &Shared, token: &str, hearing: &mut Hearing) -> bool {
    let token = token.to_owned();
    match app.call(move |station| station.hint_scope(&token)).await {
        Ok(Some((_, reach))) => {
            hearing.reach = reach;
            true
        }
        Ok(None) => false,
        Err(_) => true,
    }
}

/// The streams that are open: one for a book, and no more than allowed.
#[derive(Debug)]
pub(crate) struct Streams {
    open: Mutex<Open>,
    streams_max: usize,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    by_book: BTreeMap<BookId, (u64, oneshot::Sender<Infallible>)>,
}

/// A stream's place.
#[derive(Debug)]
pub(crate) struct Place {
    book: BookId,
    number: u64,
    /// Ends when a newer stream of the book takes the place: the phone has lost this one and does not know how to say so.
    taken: oneshot::Receiver<Infallible>,
}

impl Streams {
    pub(crate) fn new(streams_max: usize) -> Self {
        Self {
            open: Mutex::default(),
            streams_max,
        }
    }

    /// A place for a stream of a book, if there is one.
    fn take(&self, book: BookId) -> Option<Place> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.by_book.len() >= self.streams_max && !open.by_book.contains_key(&book) {
            return None;
        }
        let number = open.next;
        open.next += 1;
        let (held, taken) = oneshot::channel();
        open.by_book.insert(book, (number, held));
        Some(Place { book, number, taken })
    }

    fn leave(&self, place: &Place) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open
            .by_book
            .get(&place.book)
            .is_some_and(|(number, _)| *number == place.number)
        {
            open.by_book.remove(&place.book);
        }
    }
}

/// The body of a stream: what its teller says, until he ends.
#[derive(Debug)]
struct Stream(mpsc::Receiver<Bytes>);

impl HttpBody for Stream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|event| event.map(|event| Ok(Frame::data(event))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_stream_of_a_book_takes_the_place_of_the_older_and_others_wait_for_one() {
        let streams = Streams::new(1);
        let [one, other] = [1, 2].map(|byte| BookId::from_bytes([byte; 16]));
        let mut first = streams.take(one).unwrap();
        assert!(streams.take(other).is_none(), "no more than allowed");
        let second = streams.take(one).unwrap();
        assert!(matches!(first.taken.try_recv(), Err(oneshot::error::TryRecvError::Closed)));
        streams.leave(&first);
        assert!(streams.take(other).is_none(), "the second still has the place");
        streams.leave(&second);
        assert!(streams.take(other).is_some());
    }
}
