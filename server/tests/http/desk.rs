//! A station on a temporary directory with its routes, asked in-process; the directory goes with it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request};
use beatbook_protocol::wire::{self, ExchangeResponse, MEDIA_TYPE, Refusal};
use beatbook_server::config::{HttpConfig, SignInConfig};
use beatbook_server::environment::Environment;
use beatbook_server::http::{Listener, OpenConnections, router};
use beatbook_server::station::{InitOptions, Station};
use serde_json::Value as Json;
use tempfile::TempDir;
use tower::ServiceExt as _;

/// A station and its chief.
pub(crate) struct Desk {
    router: Router,
    pub(crate) station: Arc<Station>,
    token: String,
    dir: TempDir,
}

/// A reply, read whole.
pub(crate) struct Reply {
    pub(crate) status: u16,
    headers: HeaderMap,
    bytes: Vec<u8>,
}

impl Desk {
    /// A new station.
    pub(crate) fn new() -> Self {
        Self::with(&HttpConfig::default(), Environment::system())
    }

    /// A new station under these limits, with this clock.
    pub(crate) fn with(limits: &HttpConfig, environment: Environment) -> Self {
        Self::made(limits, environment, SignInConfig::default())
    }

    /// A new station at which people sign in like this.
    pub(crate) fn signing_in_by(config: SignInConfig) -> Self {
        Self::made(&HttpConfig::default(), Environment::system(), config)
    }

    fn made(limits: &HttpConfig, environment: Environment, config: SignInConfig) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (data, keys) = (dir.path().join("data"), dir.path().join("keys"));
        let options = InitOptions {
            station_name: "中关村派出所".into(),
            unit_name: "中关村社区".into(),
            chief_name: "李所长".into(),
        };
        let made = Station::init(&data, &keys, &options, &environment).unwrap();
        let station = Station::open(&data, &keys, &[], environment).unwrap();
        let station = Arc::new(station.signing_in_by(config).unwrap());
        Self {
            router: router(Arc::clone(&station), limits, OpenConnections::default()),
            station,
            token: made.chief_token,
            dir,
        }
    }

    /// The chief's `Authorization`.
    pub(crate) fn bearer(&self) -> String {
        format!("Bearer {}", self.token)
    }

    /// Any call.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        authorization: Option<&str>,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Reply {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-length", body.len());
        if let Some(value) = authorization {
            request = request.header("authorization", value);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::from(body)).unwrap()).await
    }

    /// The chief reads.
    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.call(Method::GET, path, Some(&self.bearer()), &[], Vec::new()).await
    }

    /// The chief writes.
    pub(crate) async fn post(&self, path: &str, body: &Json, if_match: Option<&str>) -> Reply {
        let mut headers = vec![("content-type", "application/json")];
        if let Some(version) = if_match {
            headers.push(("if-match", version));
        }
        let body = body.to_string().into_bytes();
        self.call(Method::POST, path, Some(&self.bearer()), &headers, body).await
    }

    /// A phone's call.
    pub(crate) async fn sync(&self, path: &str, body: Vec<u8>, headers: &[(&str, &str)]) -> Reply {
        let mut all = vec![("content-type", MEDIA_TYPE)];
        all.extend_from_slice(headers);
        self.call(Method::POST, path, None, &all, body).await
    }

    /// A phone's call whose body does not say how long it is.
    pub(crate) async fn sync_in_pieces(&self, path: &str, piece: usize, pieces: usize) -> Reply {
        let body = Pieces { piece, left: pieces };
        let request = Request::builder()
            .method(Method::POST)
            .uri(path)
            .header("content-type", MEDIA_TYPE);
        self.send(request.body(Body::new(body)).unwrap()).await
    }

    /// A phone's stream of hints, as it comes.
    pub(crate) async fn hints(&self, token: &str) -> axum::response::Response {
        let request = Request::get("/sync/v1/hints").header("authorization", format!("Bearer {token}"));
        self.router
            .clone()
            .oneshot(request.body(Body::empty()).unwrap())
            .await
            .unwrap()
    }

    /// Answers on a socket too, for as long as the test runs.
    pub(crate) async fn served(&self) -> SocketAddr {
        let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let (address, router) = (listener.address(), self.router.clone());
        tokio::spawn(async move {
            let stop = std::future::pending();
            listener
                .serve(router, &HttpConfig::default(), OpenConnections::default(), stop)
                .await;
        });
        address
    }

    /// The data directory.
    pub(crate) fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Leaves in the ledger.
    pub(crate) async fn ledger_size(&self) -> u64 {
        self.get("/api/v1/status").await.json()["ledger"]["size"].as_u64().unwrap()
    }

    async fn send(&self, request: Request<Body>) -> Reply {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        assert_eq!(headers["x-request-id"].len(), 16);
        let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec();
        Reply { status, headers, bytes }
    }
}

impl Reply {
    /// A header, empty when it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// What cookies the reply sets.
    pub(crate) fn cookies(&self) -> Vec<&str> {
        let set = self.headers.get_all("set-cookie").iter();
        set.map(|value| value.to_str().unwrap()).collect()
    }

    /// The body as it is.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// The body as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Json {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|fault| panic!("{fault}: {} {}", self.status, self.text()))
    }

    /// The body as a refusal.
    #[track_caller]
    pub(crate) fn refusal(&self) -> Refusal {
        assert_eq!(self.header("content-type"), MEDIA_TYPE);
        wire::read("refusal", &wire::unpack(&self.bytes).unwrap()).unwrap()
    }

    /// The body as any message.
    #[track_caller]
    pub(crate) fn message(&self) -> Vec<u8> {
        assert_eq!(
            self.status,
            200,
            "{}",
            if self.status < 400 {
                self.text()
            } else {
                self.refusal().to_string()
            }
        );
        wire::unpack(&self.bytes).unwrap()
    }

    /// The body as the reply to an exchange.
    #[track_caller]
    pub(crate) fn exchange(&self) -> ExchangeResponse {
        wire::read("reply", &self.message()).unwrap()
    }
}

/// A body that comes in pieces of one length.
struct Pieces {
    piece: usize,
    left: usize,
}

impl axum::body::HttpBody for Pieces {
    type Data = axum::body::Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Self::Data>, Self::Error>>> {
        if self.left == 0 {
            return std::task::Poll::Ready(None);
        }
        self.left -= 1;
        let piece = vec![0; self.piece];
        std::task::Poll::Ready(Some(Ok(hyper::body::Frame::data(piece.into()))))
    }
}
