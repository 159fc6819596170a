//! A line between a phone and its station on which a scenario listens, cuts and takes things out. Knows no records.

use std::sync::Mutex;

use beatbook_client_core::drive;
use beatbook_client_core::sync::{Budget, SyncError, SyncReport};
use beatbook_client_core::transport::{HttpTransport, Outcome, OutgoingRequest, Transport, TransportFault};
use beatbook_protocol::wire::{self, ExchangeRequest, ExchangeResponse};
use beatbook_tests::phone::Phone;

/// What becomes of a reply on its way.
type Bend = Box<dyn FnMut(ExchangeResponse) -> Option<ExchangeResponse> + Send>;

/// A line that is listened on.
pub(crate) struct Line {
    http: HttpTransport,
    bend: Mutex<Bend>,
    heard: Mutex<Vec<(ExchangeRequest, Vec<u8>)>>,
}

impl Line {
    pub(crate) fn to(url: &str) -> Self {
        Self::bent(url, Some)
    }

    /// A line on which replies come as `bend` leaves them; one that it takes away is a timeout.
    pub(crate) fn bent(url: &str, bend: impl FnMut(ExchangeResponse) -> Option<ExchangeResponse> + Send + 'static) -> Self {
        Self {
            http: HttpTransport::open(url, b"").unwrap(),
            bend: Mutex::new(Box::new(bend)),
            heard: Mutex::default(),
        }
    }

    /// Syncs a phone over this line.
    pub(crate) async fn sync(&self, phone: &Phone) -> Result<SyncReport, SyncError> {
        self.sync_within(phone, Budget::default()).await
    }

    pub(crate) async fn sync_within(&self, phone: &Phone, budget: Budget) -> Result<SyncReport, SyncError> {
        drive::sync(&phone.core, self, budget).await
    }

    /// The requests so far.
    pub(crate) fn asked(&self) -> Vec<ExchangeRequest> {
        self.heard.lock().unwrap().iter().map(|(asked, _)| asked.clone()).collect()
    }

    /// Whether these bytes came down in any reply, unpacked.
    pub(crate) fn came(&self, bytes: &[u8]) -> bool {
        let heard = self.heard.lock().unwrap();
        heard
            .iter()
            .any(|(_, reply)| reply.windows(bytes.len()).any(|window| window == bytes))
    }
}

impl Transport for Line {
    async fn send(&self, request: OutgoingRequest) -> Outcome {
        let asked: ExchangeRequest = wire::read("request", &wire::unpack(&request.body).unwrap()).unwrap();
        let outcome = self.http.send(request).await;
        let Outcome::Reply(packed) = outcome else { return outcome };
        let bytes = wire::unpack(&packed).unwrap();
        let reply: ExchangeResponse = wire::read("reply", &bytes).unwrap();
        self.heard.lock().unwrap().push((asked, bytes));
        match (self.bend.lock().unwrap())(reply) {
            Some(reply) => Outcome::Reply(wire::pack(&reply).unwrap()),
            None => Outcome::Failed(TransportFault::TimedOut),
        }
    }
}
