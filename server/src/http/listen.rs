//! The socket: accepts connections up to a limit, speaks TLS where there is a certificate, holds slow clients to their time, and stops by
//! letting what runs finish. Knows no routes and no station.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::{Extension, Router};
use hyper::Request;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

use super::pace::Patient;
use super::places::{Busy, Place, Places};
use super::source::Peer;
use crate::config::HttpConfig;

/// After this long a stopping station leaves connections that have not ended: what they carried is safe or will be sent again.
const STOP_MAX: Duration = Duration::from_secs(20);
/// Rest after a failed accept (no file descriptors left), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Bytes of one request's line and headers together, and of what is buffered for a connection: our longest have two thousand. What is longer
/// gets 431.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Headers of one request: browsers and proxies send thirty.
const HEADERS_MAX: usize = 64;

/// A socket that cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {fault}; is another station running there? choose another with --listen")]
pub struct ListenError {
    address: SocketAddr,
    fault: std::io::Error,
}

/// A bound socket that does not answer yet.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    tls: Option<Arc<ServerConfig>>,
}

/// How many connections are open.
#[derive(Debug, Default, Clone)]
pub struct OpenConnections(Arc<AtomicI64>);

impl OpenConnections {
    /// Connections open now.
    #[must_use]
    pub fn count(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    fn one(&self) -> Open {
        self.0.fetch_add(1, Ordering::Relaxed);
        Open(Arc::clone(&self.0))
    }
}

/// A connection that is counted until it is dropped.
struct Open(Arc<AtomicI64>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Listener {
    /// Takes the configured address; port 0 becomes a free one.
    ///
    /// # Errors
    /// When the address is taken or not ours.
    pub async fn bind(address: SocketAddr) -> Result<Self, ListenError> {
        let wrong = |fault| ListenError { address, fault };
        let socket = TcpListener::bind(address).await.map_err(wrong)?;
        let address = socket.local_addr().map_err(wrong)?;
        Ok(Self {
            socket,
            address,
            tls: None,
        })
    }

    /// Speaks TLS with whoever connects, and nothing else.
    #[must_use]
    pub fn speaking_tls(self, tls: Arc<ServerConfig>) -> Self {
        Self { tls: Some(tls), ..self }
    }

    /// The address that was bound.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `stop` ends; then accepts no more and lets what runs finish.
    pub async fn serve(self, router: Router, config: &HttpConfig, open: OpenConnections, stop: impl Future<Output = ()>) {
        let places = Places::new(config.connections_max);
        let graceful = GracefulShutdown::new();
        let house = House {
            router,
            tls: self.tls.map(TlsAcceptor::from),
            header_max: config.header_max,
            idle_max: config.idle_max,
        };
        let mut stop = std::pin::pin!(stop);
        loop {
            let accepted = tokio::select! {
                () = &mut stop => break,
                accepted = accept(&self.socket, &places) => accepted,
            };
            match accepted {
                Ok((stream, peer, place)) => {
                    let (house, watcher, counted) = (house.known_as(peer), graceful.watcher(), open.one());
                    tokio::spawn(async move {
                        house.receive(stream, place, watcher).await;
                        drop(counted);
                    });
                }
                Err(fault) => {
                    tracing::warn!(%fault, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(self.socket);
        tracing::info!(open = open.count(), "stopping: no new connections, finishing what runs");
        if tokio::time::timeout(STOP_MAX, graceful.shutdown()).await.is_err() {
            tracing::warn!(open = open.count(), "stopped with connections that did not end");
        }
    }
}

/// Accepts one, and gives it a place: while none can be freed, the next wait in the system's queue and cost nothing.
async fn accept(socket: &TcpListener, places: &Arc<Places>) -> std::io::Result<(TcpStream, Peer, Arc<Place>)> {
    let (stream, peer) = socket.accept().await?;
    // Replies are written whole; waiting for more to send only adds a round trip's delay.
    stream.set_nodelay(true)?;
    let address: IpAddr = peer.ip();
    Ok((stream, Peer(peer), places.take(address).await))
}

/// What every connection is received with.
#[derive(Clone)]
struct House {
    router: Router,
    tls: Option<TlsAcceptor>,
    header_max: Duration,
    idle_max: Duration,
}

impl House {
    /// The house as it receives one caller: his address goes along with every call of his.
    fn known_as(&self, peer: Peer) -> Self {
        Self {
            router: self.router.clone().layer(Extension(peer)),
            ..self.clone()
        }
    }

    /// Serves one connection to its end, or until its place is wanted.
    async fn receive(self, stream: TcpStream, place: Arc<Place>, watcher: Watcher) {
        let wanted = Arc::clone(&place);
        tokio::select! {
            () = self.converse(stream, place, watcher) => {}
            () = wanted.asked_to_leave() => tracing::debug!("a connection made room for another"),
        }
    }

    async fn converse(self, stream: TcpStream, place: Arc<Place>, watcher: Watcher) {
        let stream = Patient::new(stream, self.idle_max);
        let Some(tls) = self.tls.clone() else {
            return self.speak(stream, place, watcher).await;
        };
        // A handshake is as long as a request's headers may take.
        match tokio::time::timeout(self.header_max, tls.accept(stream)).await {
            Ok(Ok(stream)) => self.speak(stream, place, watcher).await,
            Ok(Err(fault)) => tracing::debug!(%fault, "a connection did not come to speak TLS"),
            Err(_) => tracing::debug!("a connection did not come to speak TLS in its time"),
        }
    }

    async fn speak<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(self, stream: S, place: Arc<Place>, watcher: Watcher) {
        let Self { router, header_max, .. } = self;
        let answer = service_fn(move |request: Request<Incoming>| {
            let (router, place) = (router.clone(), Arc::clone(&place));
            async move {
                let busy = place.begin().await;
                let response = router.oneshot(request.map(Body::new)).await?;
                Ok::<_, Infallible>(response.map(|body| Held { body, _busy: busy }))
            }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(header_max)
            .max_headers(HEADERS_MAX)
            .max_buf_size(HEAD_BYTES_MAX)
            .serve_connection(TokioIo::new(stream), answer);
        if let Err(fault) = watcher.watch(connection).await {
            tracing::debug!(%fault, "a connection ended early");
        }
    }
}

/// A reply's body; the connection is at work until it has gone.
struct Held {
    body: Body,
    _busy: Busy,
}

impl HttpBody for Held {
    type Data = <Body as HttpBody>::Data;
    type Error = <Body as HttpBody>::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::post;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::sync::oneshot;
    use tokio::task::JoinHandle;

    async fn serving(config: HttpConfig) -> (SocketAddr, oneshot::Sender<()>, JoinHandle<()>) {
        let router = Router::new().route("/echo", post(|body: String| async { body }));
        let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let address = listener.address();
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(async move {
            let stop = async move { stopped.await.unwrap() };
            listener.serve(router, &config, OpenConnections::default(), stop).await;
        });
        (address, stop, served)
    }

    #[tokio::test]
    async fn a_stopping_station_finishes_the_request_that_runs_and_takes_no_more() {
        let (address, stop, served) = serving(HttpConfig::default()).await;
        let mut client = TcpStream::connect(address).await.unwrap();
        let head = b"POST /echo HTTP/1.1\r\nHost: s\r\nExpect: 100-continue\r\nContent-Length: 6\r\n\r\n";
        client.write_all(head).await.unwrap();
        // The interim reply says that the call has begun to read.
        let mut interim = [0; 25];
        client.read_exact(&mut interim).await.unwrap();
        assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
        client.write_all(b"abc").await.unwrap();
        stop.send(()).unwrap();
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
        client.write_all(b"def").await.unwrap();
        let mut reply = String::new();
        client.read_to_string(&mut reply).await.unwrap();
        assert!(reply.starts_with("HTTP/1.1 200") && reply.ends_with("abcdef"), "{reply}");
        served.await.unwrap();
    }

    #[tokio::test]
    async fn a_client_that_never_ends_its_headers_is_hung_up_on() {
        let config = HttpConfig {
            header_max: Duration::from_millis(50),
            ..HttpConfig::default()
        };
        let (address, _stop, _served) = serving(config).await;
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"POST /echo HTTP/1.1\r\nHost: s\r\nX-Slow: ").await.unwrap();
        let mut reply = Vec::new();
        client.read_to_end(&mut reply).await.unwrap();
        assert!(!reply.starts_with(b"HTTP/1.1 200"));
    }

    #[tokio::test]
    async fn beyond_the_limit_a_connection_at_work_is_waited_for() {
        let config = HttpConfig {
            connections_max: 1,
            ..HttpConfig::default()
        };
        let (address, _stop, _served) = serving(config).await;
        let mut first = TcpStream::connect(address).await.unwrap();
        let head = b"POST /echo HTTP/1.1\r\nHost: s\r\nExpect: 100-continue\r\nConnection: close\r\nContent-Length: 1\r\n\r\n";
        first.write_all(head).await.unwrap();
        first.read_exact(&mut [0; 25]).await.unwrap();
        let second = tokio::spawn(async move { asked(address).await });
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(!second.is_finished());
        first.write_all(b"y").await.unwrap();
        let mut reply = String::new();
        first.read_to_string(&mut reply).await.unwrap();
        assert!(reply.ends_with('y'), "{reply}");
        assert!(second.await.unwrap().ends_with('x'));
    }

    #[tokio::test]
    async fn beyond_the_limit_a_connection_that_says_nothing_makes_room() {
        let config = HttpConfig {
            connections_max: 1,
            ..HttpConfig::default()
        };
        let (address, _stop, _served) = serving(config).await;
        let mut first = TcpStream::connect(address).await.unwrap();
        first.write_all(b"POST /echo HTTP/1.1\r\nX-Slow: ").await.unwrap();
        assert!(asked(address).await.ends_with('x'));
        assert_eq!(first.read(&mut [0; 1]).await.unwrap_or(0), 0, "the first was hung up on");
    }

    #[tokio::test]
    async fn a_request_with_too_much_of_a_head_is_told_so() {
        let (address, _stop, _served) = serving(HttpConfig::default()).await;
        let long = "a".repeat(HEAD_BYTES_MAX);
        let many = "X-A: b\r\n".repeat(HEADERS_MAX + 1);
        for head in [
            format!("GET /{long} HTTP/1.1\r\nHost: s\r\n\r\n"),
            format!("GET / HTTP/1.1\r\nHost: s\r\nX-Long: {long}\r\n\r\n"),
            format!("GET / HTTP/1.1\r\nHost: s\r\n{many}\r\n"),
        ] {
            let mut client = TcpStream::connect(address).await.unwrap();
            // Whoever hangs up on a head that is too long is right to.
            drop(client.write_all(head.as_bytes()).await);
            let mut reply = Vec::new();
            drop(client.read_to_end(&mut reply).await);
            let reply = String::from_utf8_lossy(&reply);
            assert!(
                reply.starts_with("HTTP/1.1 431") || reply.starts_with("HTTP/1.1 414"),
                "{reply:?}"
            );
        }
    }

    async fn asked(address: SocketAddr) -> String {
        let mut second = TcpStream::connect(address).await.unwrap();
        second
            .write_all(b"POST /echo HTTP/1.1\r\nHost: s\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx")
            .await
            .unwrap();
        let mut reply = String::new();
        second.read_to_string(&mut reply).await.unwrap();
        reply
    }
}
