//! What waits on each record, since when and why. Reads the outbox; decides nothing.

use beatbook_protocol::id::RecordId;
use beatbook_protocol::time::UnixMillis;

use super::status::{WaitingBecause, status};
use crate::core::Core;
use crate::error::CoreError;
use crate::store::outbox;

/// Own entries of one record that the station has not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordWaiting {
    /// The record.
    pub record: RecordId,
    /// How many.
    pub entries: u64,
    /// When the oldest was written, by this phone's clock.
    pub since: Option<UnixMillis>,
    /// Why they wait.
    pub why: WaitingBecause,
}

/// The records with entries that the station has not answered, those that wait longest first.
///
/// # Errors
/// Those of the store.
pub fn waiting(core: &Core) -> Result<Vec<RecordWaiting>, CoreError> {
    let Some(why) = status(core)?.why else {
        return Ok(Vec::new());
    };
    let rows = core.read(outbox::waiting_by_record)?;
    let because = |held: bool| match (&why, held) {
        (WaitingBecause::NotSentYet | WaitingBecause::StationLacks, true) => WaitingBecause::StationLacks,
        (WaitingBecause::NotSentYet | WaitingBecause::StationLacks, false) => WaitingBecause::NotSentYet,
        (WaitingBecause::NotEnrolled | WaitingBecause::Failed { .. }, _) => why.clone(),
    };
    Ok(rows
        .into_iter()
        .map(|row| RecordWaiting {
            record: row.record,
            entries: row.entries,
            since: outbox::written_at(&row.oldest),
            why: because(row.held),
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use beatbook_protocol::entry::identity;
    use beatbook_protocol::wire::Verdict;

    use super::super::testing::{Phone, Station};
    use super::*;
    use crate::transport::{Outcome, TransportFault};

    /// Writes an entry of a record.
    fn write(phone: &Phone, record: u8, said: &str) -> beatbook_protocol::id::Hash {
        let record = RecordId::from_bytes([record; 16]);
        let act = beatbook_protocol::entry::ActEntry {
            record,
            code: "comment".into(),
            heads: Vec::new(),
            last_act: None,
            at: phone.now(),
            comment: Some(said.into()),
            values: None,
            private_heads: None,
            on_behalf: None,
            nonce: None,
        };
        let bytes = beatbook_protocol::entry::Entry::Act(act).to_bytes();
        let entry = identity(&bytes);
        phone
            .core
            .write(|records| outbox::put(records.tx(), &entry, Some(record), &bytes))
            .unwrap();
        entry
    }

    #[test]
    fn each_record_that_waits_says_since_when_and_why() {
        let mut station = Station::new();
        let phone = Phone::enrolled(&mut station);
        assert_eq!(waiting(&phone.core).unwrap(), []);
        let began = phone.now();
        write(&phone, 1, "one");
        phone.pass(1_000);
        let held = write(&phone, 2, "two");
        phone.pass(1_000);
        write(&phone, 1, "three");
        let told = |why: &dyn Fn(&RecordWaiting) -> bool| {
            let rows = waiting(&phone.core).unwrap();
            assert!(rows.iter().all(why), "{rows:?}");
            rows.iter()
                .map(|row| (row.record.as_bytes()[0], row.entries, row.since.unwrap().since(began)))
                .collect::<Vec<_>>()
        };
        let all = [(1, 2, 0), (2, 1, 1_000)];
        assert_eq!(told(&|row| row.why == WaitingBecause::NotSentYet), all);
        phone.sync_by(|_| Outcome::Failed(TransportFault::TimedOut)).unwrap();
        assert_eq!(
            told(&|row| matches!(row.why, WaitingBecause::Failed { .. })),
            all,
            "sealed is not sent"
        );
        station.verdicts.insert(held, Verdict::Needs { changes: Vec::new() });
        phone.sync(&mut station).unwrap();
        assert_eq!(told(&|row| row.why == WaitingBecause::StationLacks), [(2, 1, 1_000)]);
    }
}
