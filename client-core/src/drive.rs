//! The thin loop around the sync state machine: asks it what to do, does it, tells it what came of it. Knows nothing of messages.
//!
//! Work on the store blocks for milliseconds between requests (longer when a reply is full): run these futures where that is no harm, on
//! a runtime with more than one thread or on a thread of their own. Dropping a future gives the sync up; the next one goes on.

mod live;
mod user;

use std::time::Duration;

use beatbook_protocol::wire::Invitation;

use crate::blobs::{BlobBudget, BlobMachine, BlobReport, BlobStep};
use crate::core::Core;
use crate::ended::{Farewell, FarewellFault, LastWord, Parting, PartingStep, Shredder, shred};
use crate::error::CoreError;
use crate::sync::parcel::{Deliveries, Delivery};
use crate::sync::{
    Budget, EnrolError, Enrolled, Enrolment, KeyVault, Step, StoreVault, SyncError, SyncFault, SyncMachine, SyncReport,
    WaitReason,
};
use crate::transport::{BlobTransport, Transport};

pub use live::{Pace, live};
pub use user::{UserParted, UserSyncError, part_user, sync_user, unlock_online};

/// Enrols this file's user by a one-time code, with a key in the file. A call that got no answer is repeated with the same code.
///
/// # Errors
/// When the code is refused, or no answer came.
pub async fn enrol(core: &Core, transport: &impl Transport, code: &str, device: &str) -> Result<Enrolled, EnrolError> {
    enrol_with(core, &StoreVault(core), transport, code, device).await
}

/// Like [`enrol`], with the key in a keystore.
///
/// # Errors
/// Those of [`enrol`], and of the keystore.
pub async fn enrol_with(
    core: &Core,
    vault: &(impl KeyVault + Sync),
    transport: &impl Transport,
    code: &str,
    device: &str,
) -> Result<Enrolled, EnrolError> {
    let enrolment = Enrolment::begin(core, vault, code, device)?;
    let outcome = transport.send(enrolment.request()).await;
    enrolment.finish(core, outcome)
}

/// Likewise, by an invitation: only the station that it is to is believed.
///
/// # Errors
/// Those of [`enrol`], and when another station answers.
pub async fn enrol_by(
    core: &Core,
    transport: &impl Transport,
    invitation: &Invitation,
    device: &str,
) -> Result<Enrolled, EnrolError> {
    let enrolment = Enrolment::begin_by(core, &StoreVault(core), invitation, device, None)?;
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

/// What became of a parting.
#[derive(Debug)]
pub enum Parted {
    /// The book is written in: there is nothing to part with.
    Not(Box<Core>),
    /// The station could not be asked now: what waits is kept, and the next start goes on.
    Later(Box<Core>, WaitReason),
    /// Keys and records are gone, and this is left.
    Gone(Farewell),
}

/// Parts with a book that has ended, under keys in the file: hands in what waits, destroys keys and records, and tells the station.
///
/// # Errors
/// When the station's word cannot be believed, or something cannot be destroyed now; the next start goes on.
pub async fn part(core: Core, transport: &impl Transport, shredder: &dyn Shredder) -> Result<Parted, PartError> {
    let word = match hand_in(&core, &StoreVault(&core), transport).await? {
        HandedIn::Not => return Ok(Parted::Not(Box::new(core))),
        HandedIn::Later(why) => return Ok(Parted::Later(Box::new(core), why)),
        HandedIn::All(word) => word,
    };
    let mut farewell = shred(core, *word, shredder)?;
    tell(&mut farewell, transport).await?;
    Ok(Parted::Gone(farewell))
}

/// What became of handing in.
#[derive(Debug)]
pub enum HandedIn {
    /// The book is written in.
    Not,
    /// The station could not be asked now.
    Later(WaitReason),
    /// The station has said of everything whether it holds it: shred now.
    All(Box<LastWord>),
}

/// Hands in what waits of a book that has ended, with the key of a keystore, and signs the last word.
///
/// # Errors
/// When the station's word cannot be believed, or the key does not sign.
pub async fn hand_in(core: &Core, vault: &(impl KeyVault + Sync), transport: &impl Transport) -> Result<HandedIn, SyncError> {
    match Parting::open(core, vault)? {
        Some(parting) => hand_over(core, parting, transport).await,
        None => Ok(HandedIn::Not),
    }
}

async fn hand_over(core: &Core, mut parting: Parting<'_>, transport: &impl Transport) -> Result<HandedIn, SyncError> {
    let clock = &core.platform().clock;
    let mut now = clock.wall();
    loop {
        match parting.next(now)? {
            PartingStep::Send(request) => {
                let outcome = transport.send(request).await;
                now = clock.wall();
                parting.receive(now, outcome)?;
            }
            PartingStep::Wait { until, why } => {
                tracing::debug!(%why, "waiting before what is left is handed in");
                let wait = u64::try_from(until.since(now)).unwrap_or(0);
                tokio::time::sleep(Duration::from_millis(wait)).await;
                now = clock.wall().max(until);
            }
            PartingStep::Later(why) => return Ok(HandedIn::Later(why)),
            PartingStep::Ready => return Ok(HandedIn::All(Box::new(parting.last_word(now)?))),
        }
    }
}

/// Brings the last word to the station, if it does not have it yet.
///
/// # Errors
/// When the note cannot be written.
pub async fn tell(farewell: &mut Farewell, transport: &impl Transport) -> Result<(), FarewellFault> {
    if let Some(request) = farewell.request() {
        let outcome = transport.send(request).await;
        farewell.receive(&outcome)?;
    }
    Ok(())
}

/// A parting that cannot go on now.
#[derive(Debug, thiserror::Error)]
pub enum PartError {
    /// Handing in.
    #[error(transparent)]
    Sync(#[from] SyncError),
    /// Destroying.
    #[error(transparent)]
    Farewell(#[from] FarewellFault),
}

/// Brings waiting blobs to the station and fetches wanted ones, within their own budget. Run it after [`sync`]: the records come first,
/// and the exchange keeps the token fresh.
///
/// # Errors
/// Of the store and of the blobs' files. A network that fails, or a station that refuses, is no error but the report's `fault`.
pub async fn sync_blobs(core: &Core, transport: &impl BlobTransport, budget: BlobBudget) -> Result<BlobReport, CoreError> {
    let clock = &core.platform().clock;
    let mut machine = BlobMachine::open(core, budget)?;
    let mut now = clock.wall();
    loop {
        match machine.next(now)? {
            BlobStep::Send(call) => {
                let outcome = transport.call(call).await;
                now = clock.wall();
                machine.receive(now, outcome)?;
            }
            BlobStep::Wait { until, why } => {
                tracing::debug!(%why, "waiting before the next blob call");
                let wait = u64::try_from(until.since(now)).unwrap_or(0);
                tokio::time::sleep(Duration::from_millis(wait)).await;
                now = clock.wall().max(until);
            }
            BlobStep::Done(report) => return Ok(report),
        }
    }
}

/// [`sync`], and then [`sync_blobs`], unless the exchange could not go on: what kept the records would keep the blobs.
///
/// # Errors
/// Those of both.
pub async fn sync_all(
    core: &Core,
    transport: &(impl Transport + BlobTransport),
    budget: Budget,
    blob_budget: BlobBudget,
) -> Result<(SyncReport, BlobReport), SyncError> {
    let records = sync(core, transport, budget).await?;
    let blobs = match records.fault {
        None | Some(SyncFault::BudgetUsed) => sync_blobs(core, transport, blob_budget).await?,
        Some(_) => BlobReport::default(),
    };
    Ok((records, blobs))
}

/// Delivers the parcels of others, once the phone's own work is done.
async fn deliver(core: &Core, transport: &impl Transport, budget: Budget, requests_max: u32) -> Result<Deliveries, SyncError> {
    let clock = &core.platform().clock;
    let mut delivery = Delivery::open(core)?;
    while delivery.report().requests < requests_max && budget.deadline.is_none_or(|deadline| clock.wall() < deadline) {
        let Some(request) = delivery.next_request()? else { break };
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
