//! The hint channel: who may listen, what he hears, what he never hears, and when it ends.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::response::Response;
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::{self, MEDIA_TYPE, Refusal, RefusalCode};
use beatbook_server::config::HttpConfig;
use beatbook_server::environment::{Clock, Environment, SystemClock};

use crate::desk::Desk;
use crate::phone::Phone;

/// The real clock, moved on.
#[derive(Debug, Default)]
struct Later(AtomicI64);

impl Clock for Later {
    fn now(&self) -> UnixMillis {
        SystemClock.now().plus(self.0.load(Ordering::SeqCst))
    }
}

fn body(response: Response) -> Body {
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    response.into_body()
}

/// The next piece; none at the stream's end.
async fn piece(body: &mut Body) -> Option<String> {
    let frame = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await?;
    Some(String::from_utf8(frame.unwrap().into_data().unwrap().to_vec()).unwrap())
}

#[tokio::test]
async fn a_hint_counts_and_says_nothing_else_and_what_a_book_wrote_itself_is_none() {
    let desk = Desk::new();
    let mut author = Phone::enrolled(&desk, "officer").await;
    let mut other = Phone::enrolled(&desk, "officer").await;
    let mut of_author = body(desk.hints(&author.token).await);
    let mut of_other = body(desk.hints(&other.token).await);
    for stream in [&mut of_author, &mut of_other] {
        assert_eq!(piece(stream).await.unwrap(), ": listening\n\n");
    }
    author.submitted_visit(&desk).await;
    assert_eq!(piece(&mut of_other).await.unwrap(), "event: hint\ndata: 1\n\n");
    other.submitted_visit(&desk).await;
    desk.station.end_hints();
    assert_eq!(
        piece(&mut of_author).await.unwrap(),
        "event: hint\ndata: 1\n\n",
        "the other's visit is the first thing that it hears"
    );
    assert_eq!(piece(&mut of_author).await, None);
    assert_eq!(piece(&mut of_other).await, None, "its own visit was no hint");
}

#[tokio::test]
async fn only_a_phone_listens_and_only_while_its_token_holds() {
    let clock = Arc::new(Later::default());
    let environment = Environment {
        clock: clock.clone(),
        ..Environment::system()
    };
    let limits = HttpConfig {
        hint_beat: Duration::from_millis(1),
        ..HttpConfig::default()
    };
    let desk = Desk::with(&limits, environment);
    let phone = Phone::enrolled(&desk, "officer").await;
    let chief = desk.bearer();
    for token in ["nonsense", chief.trim_start_matches("Bearer ")] {
        let response = desk.hints(token).await;
        assert_eq!(
            (response.status().as_u16(), &response.headers()["content-type"]),
            (401, &MEDIA_TYPE.parse().unwrap())
        );
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 16).await.unwrap();
        let refusal: Refusal = wire::read("refusal", &wire::unpack(&bytes).unwrap()).unwrap();
        assert_eq!(refusal.code(), RefusalCode::SignIn);
    }
    let mut stream = body(desk.hints(&phone.token).await);
    assert_eq!(piece(&mut stream).await.unwrap(), ": listening\n\n");
    assert_eq!(piece(&mut stream).await.unwrap(), ":\n\n", "it says that it is there");
    clock.0.store(25 * 60 * 60 * 1000, Ordering::SeqCst);
    while piece(&mut stream).await.is_some() {}
    assert_eq!(desk.hints(&phone.token).await.status(), 401);
}

#[tokio::test]
async fn streams_are_bounded_and_a_phone_that_comes_again_finds_its_place() {
    let limits = HttpConfig {
        connections_max: 2,
        ..HttpConfig::default()
    };
    let desk = Desk::with(&limits, Environment::system());
    let phone = Phone::enrolled(&desk, "officer").await;
    let other = Phone::enrolled(&desk, "officer").await;
    let mut first = body(desk.hints(&phone.token).await);
    assert_eq!(desk.hints(&other.token).await.status(), 503, "one place for two connections");
    let second = body(desk.hints(&phone.token).await);
    while piece(&mut first).await.is_some() {}
    drop(second);
    // The station notices that nobody reads any more, and the place is free.
    while desk.hints(&other.token).await.status() == 503 {
        tokio::task::yield_now().await;
    }
}
