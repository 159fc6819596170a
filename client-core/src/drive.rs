//! The thin loop around the sync state machine: asks it what to do, does it, tells it what came of it. Knows nothing of messages.
//!
//! Work on the store blocks for milliseconds between requests (longer when a reply is full): run these futures where that is no harm, on
//! a runtime with more than one thread or on a thread of their own. Dropping a future gives the sync up; the next one goes on.

use std::time::Duration;

use crate::core::Core;
use crate::sync::parcel::{Deliveries, Delivery};
use crate::sync::{Budget, EnrolError, Enrolled, Enrolment, KeyVault, Step, StoreVault, SyncError, SyncMachine, SyncReport};
use crate::transport::Transport;

/// Enrols this file's user by a one-time code, with a key in the file. A call that got no answer is repeated with the same code.
///
/// # Errors
/// When the code is refused, or no answer came.
pub async fn enrol(core: &Core, transport: &impl Transport, code: &str, device: &str) -> Result<Enrolled, EnrolError> {
    let enrolment = Enrolment::begin(core, &StoreVault(core), code, device)?;
    let outcome = transport.send(enrolment.request()).await;
    enrolment.finish(core, outcome)
}

/// Exchanges all there is with the station, within the budget, under a key in the file.
///
/// # Errors
/// When the phone is not enrolled, the station's word cannot be believed, or the store gives a fault. A network that fails, or a
/// station that refuses, is no error but the report's `fault`.
pub async fn sync(core: &Core, transport: &impl Transport, budget: Budget) -> Result<SyncReport, SyncError> {
    sync_with(core, &StoreVault(core), transport, budget).await
}

/// Like [`sync`], with the key of a keystore.
///
/// # Errors
/// Those of [`sync`], and of the keystore.
pub async fn sync_with(
    core: &Core,
    vault: &(impl KeyVault + Sync),
    transport: &impl Transport,
    budget: Budget,
) -> Result<SyncReport, SyncError> {
    let clock = &core.platform().clock;
    let mut machine = SyncMachine::open(core, vault, budget)?;
    let mut now = clock.wall();
    loop {
        match machine.next(now)? {
            Step::Send(request) => {
                let outcome = transport.send(request).await;
                now = clock.wall();
                machine.receive(now, outcome)?;
            }
            Step::Wait { until, why } => {
                tracing::debug!(%why, "waiting before the next exchange");
                let wait = u64::try_from(until.since(now)).unwrap_or(0);
                tokio::time::sleep(Duration::from_millis(wait)).await;
                // A wall clock that was set back meanwhile must not prolong the wait.
                now = clock.wall().max(until);
            }
            Step::Done(report) if report.fault.is_some() => return Ok(report),
            Step::Done(report) => {
                let left = budget.requests_max.saturating_sub(report.requests);
                let parcels = deliver(core, transport, budget, left).await?;
                return Ok(SyncReport { parcels, ..report });
            }
        }
    }
}

/// Delivers the parcels of others, once the phone's own work is done.
async fn deliver(core: &Core, transport: &impl Transport, budget: Budget, requests_max: u32) -> Result<Deliveries, SyncError> {
    let clock = &core.platform().clock;
    let mut delivery = Delivery::open(core)?;
    while delivery.report().requests < requests_max && budget.deadline.is_none_or(|deadline| clock.wall() < deadline) {
        let Some(request) = delivery.next()? else { break };
        let outcome = transport.send(request).await;
        delivery.receive(clock.wall(), outcome)?;
    }
    Ok(delivery.report())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::sync::status;
    use crate::sync::testing::{Phone, Station};
    use crate::transport::{Outcome, OutgoingRequest};

    struct Line(Mutex<Station>);

    impl Transport for Line {
        async fn send(&self, request: OutgoingRequest) -> Outcome {
            let mut station = self.0.lock().unwrap();
            if request.path.ends_with("enrol") {
                station.enrol(&request)
            } else {
                station.exchange(&request)
            }
        }
    }

    fn sendable<F: Future + Send>(future: F) -> F {
        future
    }

    #[tokio::test]
    async fn a_phone_is_enrolled_and_synced_by_two_calls() {
        let mut station = Station::new();
        station.write("of another");
        let line = Line(Mutex::new(station));
        let phone = Phone::new();
        let enrolled = sendable(enrol(&phone.core, &line, "code", "test")).await.unwrap();
        assert_eq!(enrolled.user_name, "Li");
        phone.write(10);
        let report = sendable(sync(&phone.core, &line, Budget::default())).await.unwrap();
        assert_eq!((report.requests, report.accepted, report.feed_entries), (1, 1, 1));
        assert!(report.bytes_up > 0 && report.bytes_down > 0);
        assert!(status(&phone.core).unwrap().synced);
    }
}
