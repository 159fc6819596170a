//! Each mapping of an error, with what an app is told.

use std::io::ErrorKind;

use beatbook_client_core::lock::{LeaseOver, OnlineBecause};
use beatbook_client_core::protocol::id::Hash;
use beatbook_client_core::transport::{Mistrust, TransportFault};

use super::*;

fn at(field: &str) -> BeatbookError {
    BeatbookError::InvalidInput { field: field.into() }
}

fn later() -> BeatbookError {
    BeatbookError::TryLater { after_ms: AGAIN_MS }
}

fn is_internal(told: &BeatbookError) -> bool {
    matches!(told, BeatbookError::Internal { report } if !report.is_empty())
}

/// A fault of the disk.
fn fault(kind: ErrorKind) -> std::io::Error {
    kind.into()
}

#[test]
fn each_fault_of_the_core_comes_out_as_what_an_app_can_do() {
    let text = String::from;
    let (field, why) = (text("fields/outcome"), text("not a choice"));
    let paths = vec![text("fields/phone"), text("fields/name")];
    let (what, state) = (text("approve"), text("draft"));
    for (error, told) in [
        (CoreError::InvalidInput { field, why }, at("fields/outcome")),
        (CoreError::Conflicted { paths }, at("fields/phone")),
        (CoreError::Hindered { findings: vec![] }, at("record")),
        (CoreError::Forbidden { what, state }, at("act")),
        (
            CoreError::Moved {
                version: text("0f"),
                paths: vec![],
            },
            at("version"),
        ),
        (CoreError::NotEnrolled, BeatbookError::SignInAgain),
        (CoreError::WrongKey, BeatbookError::Locked),
        (
            CoreError::NoCipher,
            BeatbookError::Internal {
                report: CoreError::NoCipher.to_string(),
            },
        ),
        (CoreError::UpgradeRequired, BeatbookError::UpgradeRequired),
        (CoreError::StorageFull, BeatbookError::StorageFull),
        (
            CoreError::StorageDamaged {
                path: "/x/book.db".into(),
                why: text("torn"),
            },
            BeatbookError::StorageDamaged {
                kept_at: text("/x/book.db"),
            },
        ),
        (
            CoreError::Internal(text("odd")),
            BeatbookError::Internal { report: text("odd") },
        ),
    ] {
        assert_eq!(BeatbookError::from(error), told);
    }
}

#[test]
fn what_there_is_not_is_told_at_the_argument_that_named_it() {
    let hash = Hash::from_bytes([7; 32]);
    for (what, field) in [
        ("draft 0193c0de".to_owned(), "draft"),
        ("kind visit".to_owned(), "kind"),
        ("kind visit version 7".to_owned(), "kind"),
        ("act dance".to_owned(), "act"),
        (format!("blob {hash}"), "file"),
        (format!("refused entry {hash}"), "entry"),
        (format!("refused change {hash}"), "entry"),
        ("patrol that is going on".to_owned(), "patrol"),
    ] {
        assert_eq!(BeatbookError::from(CoreError::Unknown { what }), at(field));
    }
    let forbidden = |what: &str| CoreError::Forbidden {
        what: what.to_owned(),
        state: "approved".to_owned(),
    };
    assert_eq!(BeatbookError::from(forbidden("write")), at("record"));
    assert_eq!(BeatbookError::from(forbidden("approve")), at("act"));
}

#[test]
fn each_fault_of_the_lock_comes_out_as_what_an_app_can_do() {
    for (error, told) in [
        (LockError::NoSuchUser, at("user")),
        (LockError::AlreadyOpen, BeatbookError::TryLater { after_ms: 1_000 }),
        (LockError::Pin(PinFault::Label), at("label")),
        (LockError::Pin(PinFault::Short), at("new_pin")),
        (LockError::WrongPin { left: 3 }, at("pin")),
        (
            LockError::TryAfter { wait_ms: 60_000 },
            BeatbookError::TryLater { after_ms: 60_000 },
        ),
        (LockError::OnlineUnlock(OnlineBecause::TriesUsed), BeatbookError::Locked),
        (LockError::LeaseOver(LeaseOver::RanOut), BeatbookError::Locked),
        (LockError::NeedsPin("the phone was started"), BeatbookError::Locked),
        (LockError::Damaged("ward".to_owned()), BeatbookError::Locked),
        (LockError::NotEnrolled, BeatbookError::SignInAgain),
        (LockError::Code("used".to_owned()), at("code")),
        (LockError::Network(TransportFault::TimedOut), later()),
        (
            LockError::Refused {
                code: "busy".to_owned(),
                text: "later".to_owned(),
            },
            later(),
        ),
        (LockError::Vault(VaultError::Denied), BeatbookError::Locked),
        (LockError::Files(fault(ErrorKind::StorageFull)), BeatbookError::StorageFull),
        (LockError::Core(CoreError::StorageFull), BeatbookError::StorageFull),
        (LockError::Sync(SyncError::KeyLost), BeatbookError::SignInAgain),
    ] {
        assert_eq!(BeatbookError::from(error), told);
    }
    assert!(is_internal(&LockError::Reply("not of the station".to_owned()).into()));
}

#[test]
fn each_fault_of_keystore_and_disk_comes_out_as_what_an_app_can_do() {
    for (error, told) in [
        (VaultError::Denied, BeatbookError::Locked),
        (VaultError::Gone, BeatbookError::Locked),
        (VaultError::Unsupported("such gate"), at("biometric")),
    ] {
        assert_eq!(BeatbookError::from(error), told);
    }
    for error in [VaultError::Broken, VaultError::Failed("busy".to_owned())] {
        assert!(is_internal(&error.into()));
    }
    assert_eq!(BeatbookError::from(KeyVaultError::Unsupported), at("biometric"));
    let report = "busy".to_owned();
    assert!(is_internal(&KeyVaultError::Failed { report }.into()));
    for kind in [ErrorKind::StorageFull, ErrorKind::QuotaExceeded] {
        assert_eq!(BeatbookError::from(fault(kind)), BeatbookError::StorageFull);
    }
    assert!(is_internal(&fault(ErrorKind::PermissionDenied).into()));
}

#[test]
fn each_fault_of_sync_and_enrolment_comes_out_as_what_an_app_can_do() {
    let text = String::from;
    assert_eq!(BeatbookError::from(SyncError::NotEnrolled), BeatbookError::SignInAgain);
    assert_eq!(BeatbookError::from(SyncError::KeyLost), BeatbookError::SignInAgain);
    assert_eq!(
        BeatbookError::from(SyncError::Core(CoreError::WrongKey)),
        BeatbookError::Locked
    );
    for error in [SyncError::StationChanged(text("epoch 3")), SyncError::Reply(text("a portal"))] {
        assert!(is_internal(&error.into()));
    }
    for (error, told) in [
        (EnrolError::Code(text("used")), at("invitation")),
        (EnrolError::OtherStation, at("invitation")),
        (EnrolError::Untrusted(Mistrust::OtherKey), at("trust")),
        (EnrolError::Network(TransportFault::TimedOut), later()),
        (
            EnrolError::Refused {
                code: text("busy"),
                text: text("later"),
            },
            later(),
        ),
        (EnrolError::UpgradeRequired, BeatbookError::UpgradeRequired),
        (EnrolError::Sync(SyncError::NotEnrolled), BeatbookError::SignInAgain),
    ] {
        assert_eq!(BeatbookError::from(error), told);
    }
    let lock = UserSyncError::Lock(LockError::NotEnrolled);
    assert_eq!(BeatbookError::from(lock), BeatbookError::SignInAgain);
    assert_eq!(
        BeatbookError::from(UserSyncError::Notes(NoteError::Full)),
        BeatbookError::StorageFull
    );
    assert!(is_internal(&UserSyncError::Farewell(FarewellFault::Stopped).into()));
}

#[test]
fn each_fault_of_notes_and_parcels_comes_out_as_what_an_app_can_do() {
    let (text, hash) = (String::from, Hash::from_bytes([7; 32]));
    for (error, told) in [
        (NoteError::Invalid(text("the note is empty")), at("text")),
        (NoteError::Full, BeatbookError::StorageFull),
        (NoteError::NoKeys, BeatbookError::SignInAgain),
        (NoteError::Lock(LockError::NoSuchUser), at("user")),
        (NoteError::Files(fault(ErrorKind::QuotaExceeded)), BeatbookError::StorageFull),
    ] {
        assert_eq!(BeatbookError::from(error), told);
    }
    for (error, told) in [
        (ParcelError::Nothing, at("outbox")),
        (ParcelError::NoKey, later()),
        (ParcelError::NotAnswered(hash), later()),
        (ParcelError::TooMany(7), later()),
        (ParcelError::NotOurs, at("file")),
        (ParcelError::Stale, at("file")),
        (ParcelError::Unknown(hash), at("parcel")),
        (
            ParcelError::Refused {
                parcel: hash,
                code: text("stale"),
                text: text("too old"),
            },
            at("parcel"),
        ),
        (ParcelError::Sync(SyncError::NotEnrolled), BeatbookError::SignInAgain),
    ] {
        assert_eq!(BeatbookError::from(error), told);
    }
}
