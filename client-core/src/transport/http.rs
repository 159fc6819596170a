//! HTTP by reqwest and rustls, with whom `trust` believes to be the station. Plain HTTP is for this machine alone: whoever has a link that is
//! encrypted below has its end on it.

use std::error::Error as StdError;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use beatbook_protocol::limits::EXCHANGE_WIRE_BYTES_MAX;
use beatbook_protocol::wire::MEDIA_TYPE;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Client, Method, Response, StatusCode, redirect};

use super::hints::EventReader;
use super::{
    Answer, BlobTransport, CallOutcome, HintFault, HintStream, HintTransport, Mistrust, Outcome, OutgoingCall, OutgoingRequest,
    SIGNATURE_HEADER, Transport, TransportFault, Trust, Verb, trust,
};
use crate::platform::Clock;

/// Time for a connection: a mobile link that takes longer is better tried again later.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// Time without a byte of the answer; the station answers a whole request at once, after its work on it.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
/// Time for the whole of one request: 4 MiB at 128 kbit/s each way.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(600);

/// Time for one stream of hints; it is opened again after. Its silence is bounded by the read timeout, since a station says every some
/// seconds that it is there.
const HINTS_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);
/// Where hints come from.
const HINTS_PATH: &str = "/sync/v1/hints";

/// An HTTP transport that cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The address is not one of a station.
    #[error("{0:?} is not a station's address; give it as https://host[:port]")]
    Address(String),
    /// The roots cannot be read.
    #[error("the deployment's root certificates cannot be read: {0}; give them as PEM")]
    Roots(String),
    /// Plain HTTP to elsewhere.
    #[error("plain http goes to this machine alone, not to {0}; give the address as https://")]
    Plain(String),
    /// An https address, and nobody to trust.
    #[error("an https address needs the deployment's root certificates; give at least one as PEM")]
    NoRoots,
    /// The HTTP client cannot be built.
    #[error("the HTTP client cannot be set up: {0}")]
    Client(String),
}

/// HTTP to one station. Connections are kept and used again.
#[derive(Debug, Clone)]
pub struct HttpTransport {
    client: Client,
    station: String,
}

impl HttpTransport {
    /// A transport to the station at `address` that trusts certificates under `roots_pem` alone.
    ///
    /// # Errors
    /// When the address or the roots cannot be used.
    pub fn open(address: &str, roots_pem: &[u8]) -> Result<Self, TransportError> {
        Self::open_trusting(address, &Trust::from_pem(roots_pem)?, None)
    }

    /// A transport to the station at `address` that believes whom `trust` names, with certificates' dates judged by `clock`, or by the system's
    /// when there is none.
    ///
    /// # Errors
    /// When the address or the trust cannot be used.
    pub fn open_trusting(address: &str, trust: &Trust, clock: Option<Arc<dyn Clock>>) -> Result<Self, TransportError> {
        let station = address.trim_end_matches('/');
        let wrong = || TransportError::Address(address.to_owned());
        let url = reqwest::Url::parse(station).map_err(|_| wrong())?;
        let host = url.host_str().ok_or_else(wrong)?;
        match url.scheme() {
            "https" if trust.is_empty() => return Err(TransportError::NoRoots),
            "https" => {}
            "http" if is_this_machine(host) => {}
            "http" => return Err(TransportError::Plain(host.to_owned())),
            _ => return Err(wrong()),
        }
        if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
            return Err(wrong());
        }
        let client = Client::builder()
            .tls_backend_preconfigured(trust.client_config(clock)?)
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .timeout(TOTAL_TIMEOUT)
            // A redirect would carry the token and the pages to somewhere nobody enrolled with.
            .redirect(redirect::Policy::none())
            .no_proxy()
            .tcp_nodelay(true)
            .build()
            .map_err(|fault| TransportError::Client(describe(&fault)))?;
        Ok(Self {
            client,
            station: station.to_owned(),
        })
    }
}

impl Transport for HttpTransport {
    async fn send(&self, request: OutgoingRequest) -> Outcome {
        match self.exchange(request).await {
            Ok(outcome) => outcome,
            Err(fault) => Outcome::Failed(fault),
        }
    }
}

impl BlobTransport for HttpTransport {
    async fn call(&self, call: OutgoingCall) -> CallOutcome {
        match self.carry(call).await {
            Ok(answer) => CallOutcome::Answered(answer),
            Err(fault) => CallOutcome::Failed(fault),
        }
    }
}

impl HttpTransport {
    async fn carry(&self, call: OutgoingCall) -> Result<Answer, TransportFault> {
        let method = match call.verb {
            Verb::Get => Method::GET,
            Verb::Head => Method::HEAD,
            Verb::Patch => Method::PATCH,
            Verb::Post => Method::POST,
        };
        let mut request = self.client.request(method, format!("{}{}", self.station, call.path));
        if let Some(token) = call.token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        for (name, value) in call.headers {
            request = request.header(name, value);
        }
        if matches!(call.verb, Verb::Patch | Verb::Post) {
            request = request.body(call.body);
        }
        let mut response = request.send().await.map_err(|fault| fault_of(&fault))?;
        let said = |(name, value): (&HeaderName, &HeaderValue)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()));
        let mut answer = Answer {
            status: response.status().as_u16(),
            headers: response.headers().iter().filter_map(said).collect(),
            body: Vec::new(),
            broken: None,
        };
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if answer.body.len() + chunk.len() > call.bytes_max => return Err(TransportFault::TooLarge),
                Ok(Some(chunk)) => answer.body.extend_from_slice(&chunk),
                Ok(None) => return Ok(answer),
                // What came of it counts.
                Err(fault) => {
                    answer.broken = Some(fault_of(&fault));
                    return Ok(answer);
                }
            }
        }
    }

    async fn exchange(&self, request: OutgoingRequest) -> Result<Outcome, TransportFault> {
        let mut call = self
            .client
            .post(format!("{}{}", self.station, request.path))
            .header(CONTENT_TYPE, MEDIA_TYPE)
            .header(ACCEPT, MEDIA_TYPE);
        if let Some(token) = request.token {
            call = call.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        if let Some(signature) = request.signature {
            call = call.header(SIGNATURE_HEADER, signature);
        }
        let mut response = call.body(request.body).send().await.map_err(|fault| fault_of(&fault))?;
        let status = response.status();
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|fault| fault_of(&fault))? {
            if bytes.len() + chunk.len() > EXCHANGE_WIRE_BYTES_MAX {
                return Err(TransportFault::TooLarge);
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(if status == StatusCode::OK {
            Outcome::Reply(bytes)
        } else {
            Outcome::Refused {
                status: status.as_u16(),
                bytes,
            }
        })
    }
}

impl HintTransport for HttpTransport {
    type Stream = HttpHints;

    async fn listen(&self, token: &str) -> Result<HttpHints, HintFault> {
        let call = self
            .client
            .get(format!("{}{HINTS_PATH}", self.station))
            .header(AUTHORIZATION, format!("Bearer {token}"))
            .timeout(HINTS_TIMEOUT);
        let response = call.send().await.map_err(|fault| HintFault::Ended(describe(&fault)))?;
        match response.status() {
            StatusCode::OK => Ok(HttpHints {
                response,
                events: EventReader::default(),
            }),
            StatusCode::UNAUTHORIZED => Err(HintFault::SignIn),
            status => Err(HintFault::Ended(format!("status {}", status.as_u16()))),
        }
    }
}

/// A stream of hints over HTTP.
#[derive(Debug)]
pub struct HttpHints {
    response: Response,
    events: EventReader,
}

impl HintStream for HttpHints {
    async fn next(&mut self) -> Result<(), HintFault> {
        while !self.events.hint() {
            match self.response.chunk().await {
                Ok(Some(piece)) => self.events.take(&piece)?,
                Ok(None) => return Err(HintFault::Ended("the station ended the stream".into())),
                Err(fault) => return Err(HintFault::Ended(describe(&fault))),
            }
        }
        Ok(())
    }
}

/// Whether a host is this machine itself: plain HTTP never leaves it.
fn is_this_machine(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || bare
            .parse::<IpAddr>()
            .is_ok_and(|address| address.to_canonical().is_loopback())
}

/// The fault of TLS at the bottom of a failed request, if there is one.
fn tls_fault(fault: &reqwest::Error) -> Option<Mistrust> {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(fault);
    while let Some(at) = cause {
        let inside = at.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        let found = at
            .downcast_ref::<rustls::Error>()
            .or_else(|| inside.and_then(|inside| inside.downcast_ref::<rustls::Error>()));
        if let Some(found) = found {
            return trust::mistrust(found);
        }
        cause = match inside {
            Some(inside) => Some(inside),
            None => at.source(),
        };
    }
    None
}

fn fault_of(fault: &reqwest::Error) -> TransportFault {
    if let Some(why) = tls_fault(fault) {
        TransportFault::Untrusted(why)
    } else if fault.is_timeout() {
        TransportFault::TimedOut
    } else if fault.is_connect() || fault.is_builder() {
        TransportFault::Unreachable(describe(fault))
    } else {
        TransportFault::Broken(describe(fault))
    }
}

/// The innermost cause: reqwest's own text says only that something failed, and where.
fn describe(fault: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = fault;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpListener;
    use std::thread::JoinHandle;

    use super::*;

    /// Answers one request with these bytes; gives the request's head and body.
    fn station(answer: Vec<u8>) -> (String, JoinHandle<(String, Vec<u8>)>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/", listener.local_addr().unwrap());
        let served = std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(&stream);
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                reader.read_line(&mut head).unwrap();
            }
            let head = head.to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            let mut body = vec![0; length.parse().unwrap()];
            reader.read_exact(&mut body).unwrap();
            // Whoever hangs up on an answer that is too large is right to.
            drop((&stream).write_all(&answer));
            (head, body)
        });
        (address, served)
    }

    fn request() -> OutgoingRequest {
        OutgoingRequest {
            path: "/sync/v1/exchange",
            token: Some("secret".into()),
            signature: Some("signed".into()),
            body: b"packed".to_vec(),
        }
    }

    #[tokio::test]
    async fn a_request_carries_token_and_signature_and_brings_the_reply() {
        let (address, served) = station(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nreply".to_vec());
        let outcome = HttpTransport::open(&address, b"").unwrap().send(request()).await;
        assert_eq!(outcome, Outcome::Reply(b"reply".to_vec()));
        let (head, body) = served.join().unwrap();
        assert!(head.starts_with("post /sync/v1/exchange http/1.1\r\n"), "{head}");
        for line in [
            "authorization: bearer secret",
            "beatbook-signature: signed",
            &format!("content-type: {MEDIA_TYPE}"),
        ] {
            assert!(head.lines().any(|met| met == line), "{line} is not in {head}");
        }
        assert_eq!(body, b"packed");
    }

    #[tokio::test]
    async fn a_refusal_keeps_its_status_and_bytes_and_a_redirect_is_not_followed() {
        let (address, _) = station(b"HTTP/1.1 503 Busy\r\ncontent-length: 4\r\n\r\nbusy".to_vec());
        let outcome = HttpTransport::open(&address, b"").unwrap().send(request()).await;
        assert_eq!(
            outcome,
            Outcome::Refused {
                status: 503,
                bytes: b"busy".to_vec()
            }
        );
        let (address, _) = station(b"HTTP/1.1 307 Away\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n".to_vec());
        let outcome = HttpTransport::open(&address, b"").unwrap().send(request()).await;
        assert_eq!(
            outcome,
            Outcome::Refused {
                status: 307,
                bytes: Vec::new()
            }
        );
    }

    #[tokio::test]
    async fn an_answer_is_whole_and_of_bounded_size_or_it_is_a_fault() {
        let long = EXCHANGE_WIRE_BYTES_MAX + 1;
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {long}\r\n\r\n");
        let (address, _) = station([head.into_bytes(), vec![0; long]].concat());
        let outcome = HttpTransport::open(&address, b"").unwrap().send(request()).await;
        assert_eq!(outcome, Outcome::Failed(TransportFault::TooLarge));
        let (address, _) = station(b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nreply".to_vec());
        let outcome = HttpTransport::open(&address, b"").unwrap().send(request()).await;
        assert!(matches!(outcome, Outcome::Failed(TransportFault::Broken(_))), "{outcome:?}");
    }

    #[tokio::test]
    async fn a_station_that_is_not_there_cannot_be_reached() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let outcome = HttpTransport::open(&address, b"").unwrap().send(request()).await;
        assert!(
            matches!(outcome, Outcome::Failed(TransportFault::Unreachable(_))),
            "{outcome:?}"
        );
    }

    #[test]
    fn https_needs_roots_and_an_address_must_be_one() {
        assert!(matches!(
            HttpTransport::open("https://station", b""),
            Err(TransportError::NoRoots)
        ));
        let broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(
            HttpTransport::open("https://station", broken),
            Err(TransportError::Roots(_))
        ));
        for address in ["station", "ftp://station", "http://localhost/?a", "http://a:b@localhost", ""] {
            assert!(
                matches!(HttpTransport::open(address, b""), Err(TransportError::Address(_))),
                "{address}"
            );
        }
    }

    #[test]
    fn plain_http_goes_nowhere_but_to_this_machine() {
        for address in [
            "http://station",
            "http://10.0.0.1:80",
            "http://localhost.example",
            "http://[2001:db8::1]",
            "http://0.0.0.0",
        ] {
            assert!(
                matches!(HttpTransport::open(address, b""), Err(TransportError::Plain(_))),
                "{address}"
            );
        }
        for address in ["http://localhost:1", "http://127.0.0.9", "http://[::1]:7", "http://LOCALHOST"] {
            assert!(HttpTransport::open(address, b"").is_ok(), "{address}");
        }
    }
}
