//! The way to the station: one request out, one outcome back. Knows nothing of what the bytes say; whoever carries bytes otherwise
//! (a simulated network, a bench with delays) implements [`Transport`].

mod call;
mod hints;
mod http;
mod trust;

pub use call::{Answer, BlobTransport, CallOutcome, OutgoingCall, Verb};
pub use hints::{HintFault, HintStream, HintTransport};
pub use http::{HttpHints, HttpTransport, TransportError};
pub use trust::{Mistrust, Trust};

/// A request as the sync state machine wants it sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingRequest {
    /// Path on the station, with a leading slash.
    pub path: &'static str,
    /// Bearer token (`Authorization`), once there is one.
    pub token: Option<String>,
    /// An answer to a challenge (`Beatbook-Signature`): CBOR of [`beatbook_protocol::wire::Challenged`] in base64.
    pub signature: Option<String>,
    /// The packed message.
    pub body: Vec<u8>,
}

/// What became of a request. Only `Reply` and `Refused` say that the station saw it; `Failed` leaves that open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Status 200, with the packed reply.
    Reply(Vec<u8>),
    /// Another status, with whatever came along.
    Refused {
        /// The HTTP status.
        status: u16,
        /// The body: a packed refusal, or what a proxy between says.
        bytes: Vec<u8>,
    },
    /// No answer, or not a whole one.
    Failed(TransportFault),
}

/// Why no answer came.
#[derive(Debug, thiserror::Error, Clone, PartialEq, Eq)]
pub enum TransportFault {
    /// No connection.
    #[error("the station cannot be reached: {0}")]
    Unreachable(String),
    /// The time for it ran out.
    #[error("the station did not answer in time")]
    TimedOut,
    /// The connection broke before the answer was whole.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// Whoever answered is not believed to be the station; nothing was sent. Trying again at once shows the same certificate.
    #[error(transparent)]
    Untrusted(Mistrust),
    /// The answer is larger than any message may be.
    #[error("the answer is larger than a message may be")]
    TooLarge,
}

/// Header of [`OutgoingRequest::signature`].
pub const SIGNATURE_HEADER: &str = "Beatbook-Signature";

/// Carries requests to the station.
pub trait Transport {
    /// Sends one request and waits for its outcome, for a bounded time. Dropping the future gives the request up; whether the
    /// station saw it is then open, which the protocol bears.
    fn send(&self, request: OutgoingRequest) -> impl Future<Output = Outcome> + Send;
}
