//! Samples of what the registry says since people may be blocked, stand in for each other, and records be destroyed.

use beatbook_protocol::entry::{
    AuditAnchorEvent, BookEndEvent, BookEvent, DestructionEvent, Entry, HoldEvent, MembershipEvent, RecoveredEntry,
    RegistryEvent, UnitEvent, UnitKeyEvent, UserEvent,
};
use beatbook_protocol::id::{BookId, Hash, MembershipId, RecordId, UnitId, UserId};
use beatbook_protocol::kind::DocumentName;
use beatbook_protocol::page::{P256_SHA256, Signer};

use super::{AT, key, recovered};

/// Each with the name of its vector.
pub(crate) fn protection() -> Vec<(&'static str, Entry)> {
    let (unit, user, by) = (
        UnitId::from_bytes([2; 16]),
        UserId::from_bytes([8; 16]),
        Some(UserId::from_bytes([18; 16])),
    );
    let (book, record) = (BookId::from_bytes([9; 16]), RecordId::from_bytes([1; 16]));
    let mut admitted = recovered();
    if let Entry::Recovered(RecoveredEntry { admitted_by, .. }) = &mut admitted {
        *admitted_by = by;
    }
    let registry = [
        (
            "registry-unit-full",
            RegistryEvent::Unit(UnitEvent {
                unit,
                name: "双榆树社区".into(),
                parent: Some(UnitId::from_bytes([3; 16])),
                level: Some("community".into()),
                closed: Some(true),
                on_behalf: by,
            }),
        ),
        (
            "registry-user-full",
            RegistryEvent::User(UserEvent {
                user,
                name: "王".into(),
                roles: vec!["officer".into()],
                unit,
                blocked: Some(true),
                on_behalf: by,
            }),
        ),
        (
            "registry-book-attested",
            RegistryEvent::Book(BookEvent {
                book,
                user,
                suite: P256_SHA256,
                key: key().public_key().to_bytes(),
                device: "phone".into(),
                attested: Some("android-key".into()),
            }),
        ),
        (
            "registry-membership",
            RegistryEvent::Membership(MembershipEvent {
                membership: MembershipId::from_bytes([21; 16]),
                user,
                unit,
                roles: vec!["chief".into()],
                stands_in_for: Some(UserId::from_bytes([22; 16])),
                from: Some(AT),
                until: Some(AT.plus(86_400_000)),
                phase: 1,
                on_behalf: by,
            }),
        ),
        (
            "registry-book-end",
            RegistryEvent::BookEnd(BookEndEvent {
                book,
                why: "lost".into(),
                on_behalf: by,
            }),
        ),
        (
            "registry-hold",
            RegistryEvent::Hold(HoldEvent {
                record,
                ground: "诉讼".into(),
                ended: None,
                on_behalf: by,
            }),
        ),
        (
            "registry-destruction",
            RegistryEvent::Destruction(DestructionEvent {
                record,
                document: Some(DocumentName::Private.into()),
                why: "retention".into(),
                rule: "visit 2".into(),
                entries: 3,
                root: Hash::from_bytes([23; 32]),
                on_behalf: None,
            }),
        ),
        (
            "registry-audit-anchor",
            RegistryEvent::AuditAnchor(AuditAnchorEvent {
                lines: 1_000,
                head: Hash::from_bytes([24; 32]),
            }),
        ),
        (
            "registry-unit-key",
            RegistryEvent::UnitKey(UnitKeyEvent {
                unit,
                key: [25; 32],
                custodian: "赵所长".into(),
                ended: None,
                on_behalf: by,
            }),
        ),
    ];
    registry
        .into_iter()
        .map(|(name, event)| (name, Entry::Registry(event)))
        .chain([("recovered-admitted", admitted)])
        .collect()
}
