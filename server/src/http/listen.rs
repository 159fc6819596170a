//! The socket: accepts connections up to a limit, holds slow clients to their time, and stops by letting what runs finish. Knows no
//! routes and no station.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::HttpConfig;

/// After this long a stopping station leaves connections that have not ended: what they carried is safe or will be sent again.
const STOP_MAX: Duration = Duration::from_secs(20);
/// Rest after a failed accept (no file descriptors left), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

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
        Ok(Self { socket, address })
    }

    /// The address that was bound.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `stop` ends; then accepts no more and lets what runs finish.
    pub async fn serve(self, router: Router, config: &HttpConfig, open: OpenConnections, stop: impl Future<Output = ()>) {
        let places = Arc::new(Semaphore::new(config.connections_max.min(Semaphore::MAX_PERMITS)));
        let graceful = GracefulShutdown::new();
        let mut stop = std::pin::pin!(stop);
        loop {
            let accepted = tokio::select! {
                () = &mut stop => break,
                accepted = accept(&self.socket, &places) => accepted,
            };
            match accepted {
                Ok((stream, place)) => attend(stream, place, router.clone(), config.header_max, &graceful, open.clone()),
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

/// Waits for a free place first: beyond the limit clients stay in the system's queue and cost nothing.
async fn accept(socket: &TcpListener, places: &Arc<Semaphore>) -> std::io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.map_err(std::io::Error::other)?;
    let (stream, _) = socket.accept().await?;
    // Replies are written whole; waiting for more to send only adds a round trip's delay.
    stream.set_nodelay(true)?;
    Ok((stream, place))
}

fn attend(
    stream: TcpStream,
    place: OwnedSemaphorePermit,
    router: Router,
    header_max: Duration,
    graceful: &GracefulShutdown,
    open: OpenConnections,
) {
    let from = stream.peer_addr().ok().map(|address| address.ip());
    // Each request bears the address that its connection comes from, for who counts wrong codes.
    let service = service_fn(move |mut request: Request<Incoming>| {
        if let Some(from) = from {
            request.extensions_mut().insert(from);
        }
        TowerToHyperService::new(router.clone()).call(request)
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(header_max)
        .serve_connection(TokioIo::new(stream), service);
    let connection = graceful.watch(connection);
    open.0.fetch_add(1, Ordering::Relaxed);
    tokio::spawn(async move {
        if let Err(fault) = connection.await {
            tracing::debug!(%fault, "a connection ended early");
        }
        open.0.fetch_sub(1, Ordering::Relaxed);
        drop(place);
    });
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
    async fn beyond_the_limit_a_connection_waits_for_a_place() {
        let config = HttpConfig {
            connections_max: 1,
            ..HttpConfig::default()
        };
        let (address, _stop, _served) = serving(config).await;
        let first = TcpStream::connect(address).await.unwrap();
        let mut second = TcpStream::connect(address).await.unwrap();
        second
            .write_all(b"POST /echo HTTP/1.1\r\nHost: s\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx")
            .await
            .unwrap();
        drop(first);
        let mut reply = String::new();
        second.read_to_string(&mut reply).await.unwrap();
        assert!(reply.ends_with('x'), "{reply}");
    }
}
