//! Samples of what the registry says since people may be blocked, stand in for each other, and records be destroyed.

use beatbook_protocol::entry::{
    AuditAnchorEvent, BookEndEvent, BookEvent, DestructionEvent, Entry, HoldEvent, MembershipEvent, RecoveredEntry,
    RegistryEvent, UnitEvent, UnitKeyEvent, UserEvent,
};
use beatbook_protocol::id::{BookId, Hash, MembershipId, RecordId, UnitId, UserId};
use beatbook_protocol::kind::DocumentName;
use beatbook_protocol::page::{P256_SHA256, Signer};

use super::{AT, key, recovered};

const UNIT: UnitId = UnitId::from_bytes([2; 16]);
const USER: UserId = UserId::from_bytes([8; 16]);
const BY: Option<UserId> = Some(UserId::from_bytes([18; 16]));
const BOOK: BookId = BookId::from_bytes([9; 16]);
const RECORD: RecordId = RecordId::from_bytes([1; 16]);

/// Each with the name of its vector.
pub(crate) fn protection() -> Vec<(&'static str, Entry)> {
    let mut admitted = recovered();
    if let Entry::Recovered(RecoveredEntry { admitted_by, .. }) = &mut admitted {
        *admitted_by = BY;
    }
    people()
        .into_iter()
        .chain(records())
        .map(|(name, event)| (name, Entry::Registry(event)))
        .chain([("recovered-admitted", admitted)])
        .collect()
}

fn people() -> Vec<(&'static str, RegistryEvent)> {
    let unit = UnitEvent {
        unit: UNIT,
        name: "双榆树社区".into(),
        parent: Some(UnitId::from_bytes([3; 16])),
        level: Some("community".into()),
        closed: Some(true),
        on_behalf: BY,
    };
    let user = UserEvent {
        user: USER,
        name: "王".into(),
        roles: vec!["officer".into()],
        unit: UNIT,
        blocked: Some(true),
        on_behalf: BY,
    };
    let book = BookEvent {
        book: BOOK,
        user: USER,
        suite: P256_SHA256,
        key: key().public_key().to_bytes(),
        device: "phone".into(),
        attested: Some("android-key".into()),
    };
    let membership = MembershipEvent {
        membership: MembershipId::from_bytes([21; 16]),
        user: USER,
        unit: UNIT,
        roles: vec!["chief".into()],
        stands_in_for: Some(UserId::from_bytes([22; 16])),
        from: Some(AT),
        until: Some(AT.plus(86_400_000)),
        phase: 1,
        on_behalf: BY,
    };
    let end = BookEndEvent {
        book: BOOK,
        why: "lost".into(),
        on_behalf: BY,
    };
    vec![
        ("registry-unit-full", RegistryEvent::Unit(unit)),
        ("registry-user-full", RegistryEvent::User(user)),
        ("registry-book-attested", RegistryEvent::Book(book)),
        ("registry-membership", RegistryEvent::Membership(membership)),
        ("registry-book-end", RegistryEvent::BookEnd(end)),
    ]
}

fn records() -> Vec<(&'static str, RegistryEvent)> {
    let hold = HoldEvent {
        record: RECORD,
        ground: "诉讼".into(),
        ended: None,
        on_behalf: BY,
    };
    let destruction = DestructionEvent {
        record: RECORD,
        document: Some(DocumentName::Private.into()),
        why: "retention".into(),
        rule: "visit 2".into(),
        entries: 3,
        root: Hash::from_bytes([23; 32]),
        on_behalf: None,
    };
    let anchor = AuditAnchorEvent {
        lines: 1_000,
        head: Hash::from_bytes([24; 32]),
    };
    let key = UnitKeyEvent {
        unit: UNIT,
        key: [25; 32],
        custodian: "赵所长".into(),
        ended: None,
        on_behalf: BY,
    };
    vec![
        ("registry-hold", RegistryEvent::Hold(hold)),
        ("registry-destruction", RegistryEvent::Destruction(destruction)),
        ("registry-audit-anchor", RegistryEvent::AuditAnchor(anchor)),
        ("registry-unit-key", RegistryEvent::UnitKey(key)),
    ]
}
