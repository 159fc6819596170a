//! HTTP to the provider: TLS under the configured roots alone, no redirects, bounded in time and size. The station's only way out of the house.

use std::pin::Pin;
use std::time::Duration;

use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};
use reqwest::{Client, redirect};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use crate::config::ProviderConfig;
use crate::error::StationError;

/// Time for a connection, and for a whole answer: a person waits.
const CONNECT_MAX: Duration = Duration::from_secs(5);
const ANSWER_MAX: Duration = Duration::from_secs(15);
/// Bytes of an answer: discovery, keys and tokens have a few thousand.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// What did not come.
#[derive(Debug, thiserror::Error)]
pub(super) enum CarryError {
    /// An address that is not to be asked.
    #[error("the provider names an address that is not https")]
    Address,
    /// More than an answer has.
    #[error("the provider's answer is too long")]
    Long,
    /// The network, or TLS.
    #[error("the provider was not reached: {0}")]
    Network(String),
}

/// Carries requests to the provider.
#[derive(Debug)]
pub(super) struct Carrier {
    client: Client,
    plain_http_on_loopback: bool,
}

impl Carrier {
    pub(super) fn new(config: &ProviderConfig) -> Result<Self, StationError> {
        let wrong = |fault: String| StationError::Invalid(format!("[provider] in the configuration: {fault}"));
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&config.roots_pem) {
            let certificate = certificate.map_err(|fault| wrong(format!("roots: {fault}")))?;
            roots.add(certificate).map_err(|fault| wrong(format!("roots: {fault}")))?;
        }
        if roots.is_empty() && !config.plain_http_on_loopback {
            return Err(wrong("`roots` names no certificate under which the provider's stands".into()));
        }
        // Named here, so that nothing depends on a default that somebody else installs.
        let tls = ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .map_err(|fault| wrong(fault.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .connect_timeout(CONNECT_MAX)
            .timeout(ANSWER_MAX)
            // A redirect would send this station's requests wherever somebody likes.
            .redirect(redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(|fault| wrong(fault.to_string()))?;
        Ok(Self {
            client,
            plain_http_on_loopback: config.plain_http_on_loopback,
        })
    }

    /// Sends one request.
    async fn carry(&self, request: HttpRequest) -> Result<HttpResponse, CarryError> {
        if !self.may_ask(request.uri()) {
            return Err(CarryError::Address);
        }
        let network = |fault: reqwest::Error| CarryError::Network(innermost(&fault));
        let request = reqwest::Request::try_from(request).map_err(network)?;
        let mut answer = self.client.execute(request).await.map_err(network)?;
        let mut body = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(network)? {
            if body.len() + piece.len() > ANSWER_BYTES_MAX {
                return Err(CarryError::Long);
            }
            body.extend_from_slice(&piece);
        }
        let mut response = HttpResponse::new(body);
        *response.status_mut() = answer.status();
        *response.headers_mut() = answer.headers().clone();
        Ok(response)
    }

    fn may_ask(&self, uri: &axum::http::Uri) -> bool {
        let is_here = uri
            .host()
            .is_some_and(|host| matches!(host, "127.0.0.1" | "[::1]" | "localhost"));
        match uri.scheme_str() {
            Some("https") => true,
            Some("http") => self.plain_http_on_loopback && is_here,
            Some(_) | None => false,
        }
    }
}

impl<'c> AsyncHttpClient<'c> for Carrier {
    type Error = CarryError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, CarryError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.carry(request))
    }
}

/// The innermost cause: what is around it says only that something failed, and where.
fn innermost(fault: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = fault;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(plain_http_on_loopback: bool) -> ProviderConfig {
        ProviderConfig {
            issuer: "https://sso.example".into(),
            client_id: "station".into(),
            client_secret: None,
            roots_pem: Vec::new(),
            account_claim: None,
            factor_amr: Vec::new(),
            factor_acr: Vec::new(),
            plain_http_on_loopback,
        }
    }

    #[test]
    fn only_https_is_asked_and_plain_http_on_this_machine_where_the_operator_says_so() {
        assert!(Carrier::new(&config(false)).is_err(), "no roots");
        let mut carrier = Carrier::new(&config(true)).unwrap();
        let may = |carrier: &Carrier, uri: &str| carrier.may_ask(&uri.parse().unwrap());
        assert!(may(&carrier, "https://sso.example/keys") && may(&carrier, "http://127.0.0.1:3000/keys"));
        for uri in [
            "http://sso.example/",
            "http://10.0.0.1/",
            "http://127.0.0.1.example/",
            "/keys",
            "http://localhost.example/",
        ] {
            assert!(!may(&carrier, uri), "{uri}");
        }
        carrier.plain_http_on_loopback = false;
        assert!(!may(&carrier, "http://127.0.0.1:3000/keys"));
    }

    #[tokio::test]
    async fn what_is_no_answer_of_a_provider_is_a_fault_and_nothing_else() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
            for answer in [
                format!("HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n{}", "x".repeat(1_000_000)),
                "HTTP/1.1 302 Found\r\nlocation: http://10.0.0.1/\r\ncontent-length: 0\r\n\r\n".into(),
                "nonsense\r\n\r\n".into(),
            ] {
                let (mut stream, _) = listener.accept().await.unwrap();
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        let carrier = Carrier::new(&config(true)).unwrap();
        let ask = || {
            let mut request = HttpRequest::new(Vec::new());
            *request.uri_mut() = format!("http://{address}/").parse().unwrap();
            *request.headers_mut() = [(axum::http::header::CONNECTION, "close".parse().unwrap())]
                .into_iter()
                .collect();
            carrier.carry(request)
        };
        assert!(matches!(ask().await, Err(CarryError::Long)));
        assert_eq!(ask().await.unwrap().status().as_u16(), 302);
        assert!(matches!(ask().await, Err(CarryError::Network(_))));
    }
}
