//! Records and users made up for this room's tests.

use super::*;
use crate::facts::{Facts, Item, Value};
use crate::id::{ItemId, RecordId, UnitId, UserId};
use crate::time::UnixMillis;

/// 2026-11-23T01:00:00Z, nine in the morning in Shanghai.
pub(super) const NOW: UnixMillis = UnixMillis(1_795_395_600_000);

pub(super) fn kind(code: &str) -> CheckedKind {
    Catalogue::builtin()
        .unwrap_or_else(|error| panic!("{error}"))
        .newest(code)
        .unwrap()
        .clone()
}

pub(super) fn record_id(number: u8) -> RecordId {
    RecordId::from_bytes([number; 16])
}

pub(super) fn judged<'a>(facts: &'a Facts, private: Option<&'a Facts>, state: &'a str) -> Judged<'a> {
    let user = UserId::from_bytes([7; 16]);
    Judged {
        facts,
        private,
        record: RecordContext {
            id: record_id(1),
            state,
            unit: UnitId::from_bytes([2; 16]),
            opened_at: NOW,
            opened_by: user,
        },
        now: NOW,
        utc_offset_minutes: UTC_OFFSET_MINUTES,
        user: UserContext {
            id: user,
            roles: &[Who::Officer],
        },
    }
}

pub(super) fn put(facts: &mut Facts, code: &str, value: impl Into<Value>) {
    facts.fields.insert(code.to_owned(), value.into());
}

pub(super) fn add(facts: &mut Facts, list: &str, number: u8, values: &[(&str, Value)]) {
    let fields = values
        .iter()
        .map(|(code, value)| ((*code).to_owned(), value.clone()))
        .collect();
    let item = Item { removed: false, fields };
    facts
        .lists
        .entry(list.to_owned())
        .or_default()
        .insert(ItemId::from_bytes([number; 16]), item);
}

/// A visit as a grid worker fills it in a minute.
pub(super) fn plain_visit() -> Facts {
    let mut facts = Facts::default();
    put(&mut facts, "household", record_id(9).to_string());
    put(&mut facts, "purpose", "routine");
    put(&mut facts, "outcome", "done");
    put(&mut facts, "started_at", NOW.0);
    facts
}

/// What findings are, without their messages.
pub(super) fn short(findings: &[Finding]) -> Vec<(&str, &str, FindingSeverity)> {
    findings
        .iter()
        .map(|finding| (finding.path.as_str(), finding.code.as_str(), finding.severity))
        .collect()
}
