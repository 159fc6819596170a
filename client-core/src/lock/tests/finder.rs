//! Somebody who has the phone, or copies of what is on it, and not the PIN.

use std::collections::BTreeSet;

use super::*;
use crate::lock::{OnlineBecause, TRIES_MAX};
use crate::store::sync_state;

/// Tries a wrong PIN after the app was killed and started anew, and looks how it is counted.
fn wrong_pin(case: &Case, user: &LocalUser, try_number: u32) {
    let phone = case.start();
    match phone.unlock(user, "000001").unwrap_err() {
        LockError::WrongPin { left } => assert_eq!((left, left > 0), (TRIES_MAX - try_number, true)),
        LockError::OnlineUnlock(OnlineBecause::TriesUsed) => assert_eq!(try_number, TRIES_MAX),
        other => panic!("try {try_number}: {other}"),
    }
    assert_eq!(phone.tries_left(user).unwrap(), TRIES_MAX - try_number);
}

/// That an older copy of the count is no count: the right PIN opens nothing, now and after a restart.
fn is_known_as_old(case: &Case, user: &LocalUser) {
    for _ in 0..2 {
        let refused = case.start().unlock(user, PIN).unwrap_err();
        assert!(
            matches!(refused, LockError::OnlineUnlock(OnlineBecause::OldCopy)),
            "{refused}"
        );
    }
}

#[test]
fn ten_wrong_pins_end_the_pin_whatever_is_restarted_or_put_back_between() {
    let (case, user) = Case::with_user(true);
    for try_number in 1..=TRIES_MAX {
        wrong_pin(&case, &user, try_number);
    }
    let refused = case.start().unlock(&user, PIN).unwrap_err();
    assert!(
        matches!(refused, LockError::OnlineUnlock(OnlineBecause::TriesUsed)),
        "{refused}"
    );
    // After each of the ten, files of before the first or of just before the last are put back.
    for put_back_after in 1..=TRIES_MAX {
        for copied_before in BTreeSet::from([1, put_back_after]) {
            let (case, user) = Case::with_user(true);
            for try_number in 1..=put_back_after {
                if try_number == copied_before {
                    case.copy("phone", "copy");
                }
                wrong_pin(&case, &user, try_number);
            }
            case.put_back("copy", "phone");
            is_known_as_old(&case, &user);
        }
    }
}

#[test]
fn after_ten_wrong_pins_the_right_one_opens_nothing_either() {
    let (case, user) = Case::with_user(true);
    case.copy("phone", "copy");
    for _ in 1..TRIES_MAX {
        assert!(matches!(
            case.start().unlock(&user, "000001"),
            Err(LockError::WrongPin { .. })
        ));
    }
    assert!(matches!(
        case.start().unlock(&user, "000001"),
        Err(LockError::OnlineUnlock(OnlineBecause::TriesUsed))
    ));
    assert!(matches!(
        case.start().unlock(&user, PIN),
        Err(LockError::OnlineUnlock(OnlineBecause::TriesUsed))
    ));
    case.put_back("copy", "phone");
    assert!(
        matches!(
            case.start().unlock(&user, PIN),
            Err(LockError::OnlineUnlock(OnlineBecause::OldCopy))
        ),
        "nor do files of before"
    );
}

#[test]
fn a_right_pin_makes_the_count_begin_anew() {
    let (case, user) = Case::with_user(true);
    let phone = case.start();
    for _ in 0..3 {
        for _ in 1..TRIES_MAX {
            assert!(matches!(phone.unlock(&user, "000001"), Err(LockError::WrongPin { .. })));
        }
        let open = phone.unlock(&user, PIN).unwrap();
        phone.lock(open).unwrap();
        assert_eq!(phone.tries_left(&user).unwrap(), TRIES_MAX);
    }
}

#[test]
fn who_takes_the_count_away_gets_no_further_tries() {
    for name in ["ward.a", "ward.b"] {
        let (case, user) = Case::with_user(true);
        let folder = case.root.join("phone/users").join(user.to_string());
        fs::remove_file(folder.join(name)).unwrap();
        let phone = case.start();
        phone.lock(phone.unlock(&user, PIN).unwrap()).unwrap();
        for copy in ["ward.a", "ward.b"] {
            fs::write(folder.join(copy), b"not a record").unwrap();
        }
        assert!(matches!(
            case.start().unlock(&user, PIN),
            Err(LockError::OnlineUnlock(OnlineBecause::OldCopy))
        ));
    }
}

#[test]
fn where_no_station_could_help_yet_tries_become_rare_and_nothing_is_lost() {
    let (case, user) = Case::with_user(false);
    let phone = case.start();
    for _ in 0..TRIES_MAX - 1 {
        assert!(matches!(phone.unlock(&user, "000001"), Err(LockError::WrongPin { .. })));
    }
    assert!(matches!(phone.unlock(&user, "000001"), Err(LockError::TryAfter { .. })));
    assert!(matches!(phone.unlock(&user, PIN), Err(LockError::TryAfter { .. })));
    // Setting the clock forward brings no try nearer; being on for an hour does, across restarts too.
    case.clocks.set_by(30 * DAY);
    assert!(matches!(phone.unlock(&user, PIN), Err(LockError::TryAfter { .. })));
    case.clocks.pass(HOUR);
    let phone = case.start();
    let open = phone.unlock(&user, PIN).unwrap();
    assert_eq!(phone.tries_left(&user).unwrap(), TRIES_MAX);
    assert!(open.core_for_contact().read(sync_state::begun_book).is_ok());
}

#[test]
fn a_stolen_database_opens_neither_without_the_vault_nor_with_another_phones() {
    let (case, user) = Case::with_user(true);
    case.copy("phone", "stolen");
    // The files alone, on another phone: its keystore has none of the keys.
    let thief = Case::new();
    copy(&case.root.join("stolen"), &thief.root.join("phone"));
    let phone = thief.start();
    assert_eq!(phone.users()[0].label, "", "not even the label");
    for pin in [PIN, OTHER_PIN] {
        assert!(matches!(
            phone.unlock(&user, pin),
            Err(LockError::OnlineUnlock(OnlineBecause::OldCopy))
        ));
    }
    assert!(phone.begin_online_unlock(&user, "CODE", None).is_err());
    // All of a software vault too: the PIN still stands between, and ten tries.
    copy(&case.root.join("vault"), &thief.root.join("vault"));
    fs::remove_dir_all(thief.root.join("phone")).unwrap();
    copy(&case.root.join("stolen"), &thief.root.join("phone"));
    assert!(matches!(
        thief.start().unlock(&user, "000001"),
        Err(LockError::WrongPin { .. })
    ));
}

#[test]
fn the_bytes_on_the_disk_show_neither_words_nor_label_nor_pin_nor_key() {
    let case = Case::new();
    let phone = case.start();
    let open = phone.add_user("三号楼组", PIN).unwrap();
    let secret = b"needle-in-the-record";
    open.core_for_contact()
        .write(|records| sync_state::set_token(records.tx(), "needle-in-the-record"))
        .unwrap();
    let share = keep_share(&open);
    let file_key = *open.key_for_tests();
    phone.lock(open).unwrap();
    drop(phone);
    let needles: [&[u8]; 5] = [secret, "三号楼组".as_bytes(), PIN.as_bytes(), share.as_slice(), &file_key];
    let hex: Vec<Vec<u8>> = [&share[..], &file_key[..]]
        .iter()
        .map(|key| key.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into_bytes())
        .collect();
    let mut bytes_seen = 0;
    for path in files(&case.root.join("phone")) {
        let bytes = fs::read(&path).unwrap();
        bytes_seen += bytes.len();
        for needle in needles.iter().copied().chain(hex.iter().map(Vec::as_slice)) {
            let found = bytes.windows(needle.len()).any(|window| window == needle);
            assert!(!found, "{} shows {needle:?}", path.display());
        }
    }
    assert!(bytes_seen > 100_000, "the database was among them");
}

#[cfg(unix)]
#[test]
fn only_the_owner_reads_the_lock_and_the_software_vault() {
    use std::os::unix::fs::PermissionsExt as _;
    let (case, user) = Case::with_user(true);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&case.root.join("vault")), 0o700);
    for path in files(&case.root.join("vault")) {
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    assert_eq!(mode(&case.root.join("phone/users").join(user.to_string())), 0o700);
}
