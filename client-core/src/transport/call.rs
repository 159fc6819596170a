//! Calls for blobs: any of a few verbs, headers that mean something, and an answer of which even a part counts. Knows nothing of blobs.

use super::TransportFault;

/// What a call does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Fetches.
    Get,
    /// Asks without fetching.
    Head,
    /// Goes on with something.
    Patch,
    /// Begins something, or asks with a message.
    Post,
}

/// A call as a state machine wants it sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingCall {
    /// What it does.
    pub verb: Verb,
    /// Path on the station, with a leading slash.
    pub path: String,
    /// Bearer token, once there is one.
    pub token: Option<String>,
    /// Headers.
    pub headers: Vec<(&'static str, String)>,
    /// The body, for `Patch` and `Post`.
    pub body: Vec<u8>,
    /// Bytes of an answer's body at most.
    pub bytes_max: usize,
}

/// What became of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallOutcome {
    /// An answer, perhaps not a whole one.
    Answered(Answer),
    /// None; whether the station saw the call is open.
    Failed(TransportFault),
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Headers; names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, as much as came.
    pub body: Vec<u8>,
    /// Why there is no more of it, when it broke off.
    pub broken: Option<TransportFault>,
}

impl Answer {
    /// The first header of this name, given in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

/// Carries calls for blobs to the station.
pub trait BlobTransport {
    /// Sends one call and waits for its outcome, for a bounded time. Dropping the future gives the call up; whether the station saw it is
    /// then open, which the protocol bears.
    fn call(&self, call: OutgoingCall) -> impl Future<Output = CallOutcome> + Send;
}
