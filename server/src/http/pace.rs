//! How slow a client may be: a body that comes, or an answer that is taken, moves by so many bytes in every window of time, or it is given up. A
//! line of 2G at its worst is ten times as fast; a client that holds its place by a byte now and then is not.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::decode::next_piece;

/// Bytes that move in a window, or all that is left: 100 in a second with the usual window of 20 s.
const WINDOW_BYTES: usize = 2 * 1024;

/// Watches how a request's body comes.
#[derive(Debug)]
pub(crate) struct BodyPace {
    window: Duration,
    ends: Instant,
    moved: usize,
}

/// A body that came too slowly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooSlow;

impl BodyPace {
    /// Begins a window.
    pub(crate) fn begin(window: Duration) -> Self {
        Self {
            window,
            ends: Instant::now() + window,
            moved: 0,
        }
    }

    /// The next piece of the body, if it comes fast enough.
    pub(crate) async fn next(&mut self, body: &mut Body) -> Result<Option<Result<Bytes, axum::Error>>, TooSlow> {
        let piece = tokio::time::timeout_at(self.ends, next_piece(body))
            .await
            .map_err(|_| TooSlow)?;
        if let Some(Ok(piece)) = &piece {
            self.moved += piece.len();
            if self.moved >= WINDOW_BYTES {
                *self = Self::begin(self.window);
            }
        }
        Ok(piece)
    }
}

/// A connection whose other side must take what is written to it.
#[derive(Debug)]
pub(crate) struct Patient<S> {
    inner: S,
    window: Duration,
    waits: Option<Pin<Box<Sleep>>>,
    moved: usize,
}

impl<S> Patient<S> {
    /// Watches a connection.
    pub(crate) const fn new(inner: S, window: Duration) -> Self {
        Self {
            inner,
            window,
            waits: None,
            moved: 0,
        }
    }

    /// Says whether a write went on, or may wait longer.
    fn judge(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(bytes)) => {
                self.moved += bytes;
                if self.moved >= WINDOW_BYTES {
                    self.rest();
                }
                written
            }
            Poll::Ready(Err(_)) => written,
            Poll::Pending => {
                let window = self.window;
                let waits = self.waits.get_or_insert_with(|| Box::pin(tokio::time::sleep(window)));
                ready!(waits.as_mut().poll(cx));
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the other side takes nothing")))
            }
        }
    }

    fn rest(&mut self) {
        self.waits = None;
        self.moved = 0;
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.judge(cx, written)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(cx, bytes);
        self.judge(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.inner).poll_flush(cx))?;
        // All that there was has gone: the next answer has a window of its own.
        self.rest();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    const WINDOW: Duration = Duration::from_millis(200);

    #[tokio::test]
    async fn an_answer_that_nobody_takes_is_given_up_and_one_that_is_taken_slowly_is_not() {
        let (station, _client) = tokio::io::duplex(1024);
        let begun = Instant::now();
        let fault = Patient::new(station, WINDOW).write_all(&[0; 4096]).await.unwrap_err();
        assert_eq!(fault.kind(), io::ErrorKind::TimedOut);
        assert!(begun.elapsed() >= WINDOW);

        let (station, mut slow) = tokio::io::duplex(1024);
        let taken = tokio::spawn(async move {
            let mut taken = 0;
            while taken < 16 * 1024 {
                tokio::time::sleep(WINDOW / 20).await;
                taken += slow.read(&mut [0; 1024]).await.unwrap();
            }
        });
        let begun = Instant::now();
        let mut station = Patient::new(station, WINDOW);
        station.write_all(&[0; 16 * 1024]).await.unwrap();
        station.flush().await.unwrap();
        assert!(begun.elapsed() < WINDOW * 20);
        taken.await.unwrap();
    }

    #[tokio::test]
    async fn a_client_that_takes_a_byte_now_and_then_is_given_up() {
        let (station, mut drip) = tokio::io::duplex(16);
        let drips = tokio::spawn(async move {
            while drip.read(&mut [0; 1]).await.unwrap() > 0 {
                tokio::time::sleep(WINDOW / 10).await;
            }
        });
        assert!(Patient::new(station, WINDOW).write_all(&[0; 4096]).await.is_err());
        drips.await.unwrap();
    }

    #[tokio::test]
    async fn a_body_is_read_as_fast_as_a_bad_line_and_given_up_when_it_drips() {
        use axum::body::HttpBody;
        /// A body of so many pieces, each after a while.
        struct Slow(usize, usize, Duration, Pin<Box<Sleep>>);
        impl HttpBody for Slow {
            type Data = Bytes;
            type Error = io::Error;
            fn poll_frame(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
            ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, io::Error>>> {
                if self.0 == 0 {
                    return Poll::Ready(None);
                }
                ready!(self.3.as_mut().poll(cx));
                self.0 -= 1;
                self.3 = Box::pin(tokio::time::sleep(self.2));
                Poll::Ready(Some(Ok(hyper::body::Frame::data(vec![0; self.1].into()))))
            }
        }
        let read = |pieces, bytes, pause: Duration| async move {
            let mut body = Body::new(Slow(pieces, bytes, pause, Box::pin(tokio::time::sleep(pause))));
            let mut pace = BodyPace::begin(WINDOW);
            loop {
                match pace.next(&mut body).await {
                    Ok(Some(_)) => {}
                    Ok(None) => return true,
                    Err(TooSlow) => return false,
                }
            }
        };
        assert!(
            read(40, 1024, WINDOW / 20).await,
            "longer than a window, and fast enough in each"
        );
        assert!(!read(40, 1, WINDOW / 20).await, "never still for long, and yet too slow");
        assert!(!read(1, 1, WINDOW * 2).await);
    }
}
