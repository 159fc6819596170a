//! Staying in touch: a sync at every hint of the station, at every capture, and at intervals without either. Knows when to sync, and nothing of
//! what a sync does.

use std::time::Duration;

use tokio::sync::Notify;

use super::{sync_blobs, sync_with};
use crate::blobs::{BlobBudget, BlobSyncFault};
use crate::core::Core;
use crate::sync::{Budget, KeyVault, SyncError, SyncFault, SyncReport, token};
use crate::transport::{BlobTransport, HintFault, HintStream, HintTransport};

/// How [`live`] keeps up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Milliseconds between two syncs while no hint comes, unless the station asks for others.
    pub interval_ms: u64,
    /// After a hint a sync begins within this many milliseconds, at a random moment, so that the phones that one hint woke do not all call at
    /// once; hints that come meanwhile are one with it.
    pub spread_ms: u64,
    /// Milliseconds before a lost stream is opened again the first time; doubled with each further loss in a row.
    pub reopen_ms: u64,
    /// The longest such wait.
    pub reopen_ms_max: u64,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            interval_ms: 5 * 60 * 1000,
            spread_ms: 500,
            reopen_ms: 1_000,
            reopen_ms_max: 60_000,
        }
    }
}

/// Stays in touch while the app is open: syncs at once, at every hint of the station, when the app calls [`Notify::notify_one`] on `wanted` (it has
/// captured something), and at intervals without any of these. A stream of hints that is lost is opened again, and costs one sync, since a
/// hint may have been lost with it. Hands over what each sync did.
///
/// After each sync blobs travel within `blob_budget`, and then again after the next sync until none is left: a hint waits for one such
/// budget at most, so give it few bytes.
///
/// Ends only by being dropped, or when nothing further can be done without the person: signing in, enrolling, updating.
///
/// # Errors
/// Those of [`sync_with`].
pub async fn live<T: HintTransport + BlobTransport>(
    core: &Core,
    vault: &(impl KeyVault + Sync),
    transport: &T,
    (budget, blob_budget, pace): (Budget, BlobBudget, Pace),
    wanted: &Notify,
    mut told: impl FnMut(&SyncReport),
) -> Result<SyncFault, SyncError> {
    let mut stream: Option<T::Stream> = None;
    let mut losses: u32 = 0;
    let mut interval_ms = pace.interval_ms;
    loop {
        // Opened before the sync: what is appended from then on is told, and what was before comes with the reply.
        if stream.is_none() {
            stream = open(core, transport).await?;
            losses = losses.saturating_add(u32::from(stream.is_none()));
        }
        let report = sync_with(core, vault, transport, budget).await?;
        told(&report);
        match report.fault {
            Some(
                fault @ (SyncFault::SignInAgain | SyncFault::UnknownBook | SyncFault::UpgradeRequired | SyncFault::Ended { .. }),
            ) => return Ok(fault),
            // The next turn asks again: the chief may have compared by then.
            Some(SyncFault::AwaitingConfirmation) => {}
            Some(SyncFault::TryLater(_) | SyncFault::Untrusted(_) | SyncFault::Refused { .. }) => {}
            Some(SyncFault::BudgetUsed) | None => {
                let blobs = sync_blobs(core, transport, blob_budget).await?;
                if blobs.calls > 0 && blobs.fault == Some(BlobSyncFault::BudgetUsed) {
                    continue;
                }
            }
        }
        interval_ms = interval(pace, interval_ms, &report);
        let idle = match &stream {
            Some(_) => interval_ms,
            // Not in haste: the same certificate would be shown, until the phone is on another network.
            None if matches!(report.fault, Some(SyncFault::Untrusted(_))) => interval_ms,
            None => reopening(core, pace, losses).min(interval_ms),
        };
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(idle)) => {}
            () = wanted.notified() => {}
            heard = hint(&mut stream) => match heard {
                Ok(()) => {
                    losses = 0;
                    gather(core, &mut stream, pace).await;
                }
                Err(fault) => {
                    tracing::debug!(%fault, "the stream of hints is lost");
                    stream = None;
                    losses = losses.saturating_add(1);
                    tokio::time::sleep(Duration::from_millis(reopening(core, pace, losses))).await;
                }
            },
        }
    }
}

/// The pause between two syncs, after this one: what the station asks for; what it asked for last, while it cannot be reached.
fn interval(pace: Pace, before: u64, report: &SyncReport) -> u64 {
    let is_heard = report.fault.is_none();
    let usual = if is_heard { pace.interval_ms } else { before };
    report.ask_again_ms.unwrap_or(usual)
}

/// Opens a stream, if the phone has a token and the station a place.
async fn open<T: HintTransport>(core: &Core, transport: &T) -> Result<Option<T::Stream>, SyncError> {
    let Some(token) = token(core)? else { return Ok(None) };
    Ok(match transport.listen(&token).await {
        Ok(stream) => Some(stream),
        Err(fault) => {
            tracing::debug!(%fault, "no stream of hints");
            None
        }
    })
}

/// The next hint; never, while there is no stream.
async fn hint(stream: &mut Option<impl HintStream>) -> Result<(), HintFault> {
    match stream {
        Some(stream) => stream.next().await,
        None => std::future::pending().await,
    }
}

/// Lets hints that belong together become one.
async fn gather(core: &Core, stream: &mut Option<impl HintStream>, pace: Pace) {
    let until = tokio::time::sleep(Duration::from_millis(share(core, pace.spread_ms)));
    tokio::pin!(until);
    loop {
        tokio::select! {
            () = &mut until => return,
            heard = hint(stream) => if heard.is_err() {
                *stream = None;
            },
        }
    }
}

/// The wait before a stream is opened again: longer each time, never in step with other phones.
fn reopening(core: &Core, pace: Pace, losses: u32) -> u64 {
    let doubled = pace.reopen_ms.saturating_mul(1 << losses.saturating_sub(1).min(16));
    let full = doubled.min(pace.reopen_ms_max);
    full / 2 + share(core, full / 2)
}

/// A random share of a time.
fn share(core: &Core, millis: u64) -> u64 {
    let random = u64::from(u16::from_be_bytes(core.platform().bytes()));
    millis.saturating_mul(random) / u64::from(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::WaitReason;

    #[test]
    fn the_station_sets_the_pause_until_it_says_otherwise_and_not_by_being_away() {
        let pace = Pace::default();
        let said = |ask_again_ms, fault| SyncReport {
            ask_again_ms,
            fault,
            ..SyncReport::default()
        };
        let later = Some(SyncFault::TryLater(WaitReason::NoProgress));
        assert_eq!(interval(pace, pace.interval_ms, &said(Some(20_000), None)), 20_000);
        assert_eq!(interval(pace, 20_000, &said(None, later)), 20_000, "nothing was heard");
        assert_eq!(interval(pace, 20_000, &said(None, None)), pace.interval_ms, "it asks no more");
    }
}
