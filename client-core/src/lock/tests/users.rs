//! Several users on one phone, their PINs, fingers and costs.

use super::*;
use crate::lock::{PinFault, TRIES_MAX};
use crate::store::sync_state;

#[test]
fn one_users_pins_lease_and_end_touch_nothing_of_anothers() {
    let case = Case::new();
    let phone = case.start();
    let first = phone.add_user("早班", PIN).unwrap();
    let second = phone.add_user("晚班", OTHER_PIN).unwrap();
    for (open, token) in [(&first, "first"), (&second, "second")] {
        open.core_for_contact()
            .write(|records| sync_state::set_token(records.tx(), token))
            .unwrap();
        keep_share(open);
    }
    let (one, two) = (first.user(), second.user());
    assert_ne!(one, two);
    phone.lock(second).unwrap();
    assert!(matches!(phone.unlock(&one, PIN), Err(LockError::AlreadyOpen)));
    assert!(
        matches!(phone.unlock(&two, PIN), Err(LockError::WrongPin { .. })),
        "nobody's PIN opens another's"
    );
    for _ in 0..TRIES_MAX {
        let _ = phone.unlock(&two, "000001");
    }
    assert!(matches!(phone.unlock(&two, OTHER_PIN), Err(LockError::OnlineUnlock(_))));
    assert!(first.core().is_ok(), "the first works on");
    phone.change_pin(&first, PIN, "584613").unwrap();
    phone.lock(first).unwrap();
    phone.shred(&two).unwrap();
    let phone = case.start();
    let labels: Vec<String> = phone.users().into_iter().map(|user| user.label).collect();
    assert_eq!(labels, ["早班"]);
    let first = phone.unlock(&one, "584613").unwrap();
    let token = first.core().unwrap().read(sync_state::exchanged).unwrap().token;
    assert_eq!(token.as_deref(), Some("first"));
    assert!(matches!(phone.unlock(&two, OTHER_PIN), Err(LockError::NoSuchUser)));
}

#[test]
fn a_shredded_user_comes_back_from_no_copy_of_the_files() {
    let (case, user) = Case::with_user(true);
    case.copy("phone", "copy");
    case.start().shred(&user).unwrap();
    case.put_back("copy", "phone");
    let phone = case.start();
    assert!(phone.unlock(&user, PIN).is_err());
    assert!(phone.begin_online_unlock(&user, "CODE", None).is_err());
}

#[test]
fn a_shredding_killed_anywhere_leaves_him_whole_or_no_user_at_all() {
    let (case, user) = Case::with_user(true);
    case.copy("phone", "before-phone");
    case.copy("vault", "before-vault");
    for steps in 0.. {
        case.put_back("before-phone", "phone");
        case.put_back("before-vault", "vault");
        let fate = Fate::after(steps);
        let is_through = case.start_under(&fate).is_ok_and(|phone| phone.shred(&user).is_ok());
        let phone = case.start();
        match phone.users().len() {
            0 => assert!(!case.root.join("phone/users").join(format!("{user}.going")).exists()),
            _ => {
                assert!(!is_through);
                phone.lock(phone.unlock(&user, PIN).unwrap()).unwrap();
            }
        }
        if is_through {
            assert!(steps > 3, "there were steps to die at");
            return;
        }
        assert!(steps < 2_000, "it never gets through");
    }
}

#[test]
fn a_folder_that_is_not_in_order_keeps_no_other_user_out() {
    let (case, user) = Case::with_user(true);
    let users = case.root.join("phone/users");
    // One that was being taken away, with a file in the place of its folder; and one whose record of tries cannot be read.
    fs::write(users.join("0123456789abcdef.going"), b"no folder").unwrap();
    fs::create_dir_all(users.join("fedcba9876543210/ward.a")).unwrap();
    let phone = case.start();
    phone.lock(phone.unlock(&user, PIN).unwrap()).unwrap();
}

#[test]
fn a_share_that_was_shown_opens_no_copy_of_the_wrap_once_the_station_has_the_next() {
    let (case, user) = Case::with_user(false);
    let phone = case.start();
    let open = phone.unlock(&user, PIN).unwrap();
    let shown = keep_share(&open);
    case.copy("phone", "copy");
    open.renew_share().unwrap();
    let next = keep_share(&open);
    let cabinet = phone.cabinet(&user).unwrap();
    assert!(matches!(
        cabinet.disclose_part(crate::lock::cabinet::ONLINE, next.as_slice()),
        Ok(Some(_))
    ));
    let folder = PathBuf::from("users").join(user.to_string());
    for copy in ["online.a", "online.b"] {
        fs::copy(
            case.root.join("copy").join(&folder).join(copy),
            case.root.join("phone").join(&folder).join(copy),
        )
        .unwrap();
    }
    let by = |share: &[u8; 32]| cabinet.disclose_part(crate::lock::cabinet::ONLINE, share);
    assert!(!matches!(by(&shown), Ok(Some(_))), "not even with the wrap of before");
}

#[test]
fn weak_pins_are_refused_and_change_nothing() {
    let (case, user) = Case::with_user(true);
    let phone = case.start();
    assert!(matches!(
        phone.add_user("x", "123456"),
        Err(LockError::Pin(PinFault::Obvious(_)))
    ));
    let open = phone.unlock(&user, PIN).unwrap();
    assert!(matches!(phone.change_pin(&open, PIN, "111111"), Err(LockError::Pin(_))));
    assert!(matches!(
        phone.change_pin(&open, "000001", OTHER_PIN),
        Err(LockError::WrongPin { .. })
    ));
    phone.lock(open).unwrap();
    assert!(phone.unlock(&user, PIN).is_ok());
    assert_eq!(case.start().users().len(), 1);
}

#[test]
fn a_changed_pin_opens_and_the_old_one_does_not_even_with_its_old_files() {
    let (case, user) = Case::with_user(true);
    case.copy("phone", "copy");
    let phone = case.start();
    let open = phone.unlock(&user, PIN).unwrap();
    phone.change_pin(&open, PIN, OTHER_PIN).unwrap();
    phone.lock(open).unwrap();
    assert!(matches!(phone.unlock(&user, PIN), Err(LockError::WrongPin { .. })));
    phone.lock(phone.unlock(&user, OTHER_PIN).unwrap()).unwrap();
    // The wrap of before, put beside the count of now.
    let folder = PathBuf::from("users").join(user.to_string());
    for copy in ["pin.a", "pin.b"] {
        fs::copy(
            case.root.join("copy").join(&folder).join(copy),
            case.root.join("phone").join(&folder).join(copy),
        )
        .unwrap();
    }
    assert!(matches!(case.start().unlock(&user, PIN), Err(LockError::OnlineUnlock(_))));
}

#[test]
fn finger_and_face_open_until_they_change_or_the_pin_is_three_days_ago() {
    let (case, user) = Case::with_user(true);
    let vault = case.keystore(&Fate::default()).unwrap();
    let phone = case.start_with(Arc::clone(&vault), &Fate::default()).unwrap();
    assert!(
        matches!(phone.unlock_biometric(&user), Err(LockError::NeedsPin(_))),
        "not before he allows it"
    );
    let open = phone.unlock(&user, PIN).unwrap();
    open.allow_biometric().unwrap();
    phone.lock(open).unwrap();
    phone.lock(phone.unlock_biometric(&user).unwrap()).unwrap();
    vault.is_shown.store(0, Ordering::SeqCst);
    assert!(matches!(
        phone.unlock_biometric(&user),
        Err(LockError::Vault(VaultError::Denied))
    ));
    vault.is_shown.store(1, Ordering::SeqCst);
    case.clocks.pass(3 * DAY + HOUR);
    assert!(matches!(phone.unlock_biometric(&user), Err(LockError::NeedsPin(_))));
    phone.lock(phone.unlock(&user, PIN).unwrap()).unwrap();
    phone.lock(phone.unlock_biometric(&user).unwrap()).unwrap();
    vault.fingers.store(2, Ordering::SeqCst);
    assert!(
        matches!(phone.unlock_biometric(&user), Err(LockError::NeedsPin(_))),
        "a finger was added"
    );
    vault.fingers.store(1, Ordering::SeqCst);
    assert!(
        matches!(phone.unlock_biometric(&user), Err(LockError::NeedsPin(_))),
        "and its wrap is gone for good"
    );
    for _ in 0..TRIES_MAX {
        let _ = phone.unlock(&user, "000001");
    }
    assert!(
        matches!(phone.unlock_biometric(&user), Err(LockError::NeedsPin(_))),
        "nor after ten wrong PINs"
    );
}

#[test]
fn a_wrap_made_at_a_lower_cost_is_made_anew_at_the_next_unlocking() {
    let (case, user) = Case::with_user(true);
    let dear = PinCost {
        memory_kib: 64,
        passes: 2,
    };
    let wrapped_at = || {
        let path = case.root.join("phone/users").join(user.to_string()).join("pin.a");
        String::from_utf8_lossy(&fs::read(path).unwrap()).contains("\"memory_kib\":64,\"passes\":2")
    };
    assert!(!wrapped_at());
    let phone = case.start().with_cost(dear);
    phone.lock(phone.unlock(&user, PIN).unwrap()).unwrap();
    assert!(wrapped_at());
    phone.lock(phone.unlock(&user, PIN).unwrap()).unwrap();
}

#[test]
fn a_pin_at_the_cost_of_phones_opens_and_a_wrong_one_does_not() {
    assert_eq!((PinCost::PHONE.memory_kib, PinCost::PHONE.passes), (65_536, 3));
    let case = Case::new();
    let phone = case.start().with_cost(PinCost::PHONE);
    let open = phone.add_user("x", "三号楼的猫叫小花").unwrap();
    let user = open.user();
    phone.lock(open).unwrap();
    assert!(matches!(
        phone.unlock(&user, "三号楼的猫叫小黑"),
        Err(LockError::WrongPin { .. })
    ));
    assert!(phone.unlock(&user, "三号楼的猫叫小花").is_ok());
}

#[test]
fn a_phone_that_is_enrolled_anew_destroys_no_pin_before_the_station_keeps_its_share() {
    let (case, user) = Case::with_user(true);
    let phone = case.start();
    let open = phone.unlock(&user, PIN).unwrap();
    // As an enrolment does, and as a station that was restored does.
    open.core_for_contact()
        .write(|records| lock::drop_share(records.tx()))
        .unwrap();
    open.contact().unwrap();
    phone.lock(open).unwrap();
    for _ in 1..TRIES_MAX {
        assert!(matches!(phone.unlock(&user, "000001"), Err(LockError::WrongPin { .. })));
    }
    assert!(matches!(phone.unlock(&user, "000001"), Err(LockError::TryAfter { .. })));
    case.clocks.pass(HOUR);
    let open = phone.unlock(&user, PIN).unwrap();
    keep_share(&open);
    phone.lock(open).unwrap();
    for _ in 0..TRIES_MAX {
        assert!(phone.unlock(&user, "000001").is_err());
    }
    assert!(matches!(phone.unlock(&user, PIN), Err(LockError::OnlineUnlock(_))));
}
