//! A phone that dies at any step that changes its disk: afterwards somebody's PIN opens his file, and no try was forgotten.

use super::*;
use crate::lock::TRIES_MAX;
use crate::store::sync_state;

/// Runs work that dies after each number of steps in turn, until it gets through; after each death, `check` sees a phone started anew.
fn killed_at_every_step(case: &Case, work: impl Fn(&Phone), check: impl Fn(&Phone, bool)) {
    case.copy("phone", "before-phone");
    case.copy("vault", "before-vault");
    for steps in 0.. {
        case.put_back("before-phone", "phone");
        case.put_back("before-vault", "vault");
        let fate = Fate::after(steps);
        // It may die as early as at its start.
        if let Ok(phone) = case.start_under(&fate) {
            work(&phone);
        }
        let is_through = fate.left() >= 0;
        check(&case.start(), is_through);
        if is_through {
            assert!(steps > 10, "there were steps to die at");
            return;
        }
        assert!(steps < 2_000, "it never gets through");
    }
}

fn opens(phone: &Phone, user: &LocalUser, pin: &str) -> bool {
    match phone.unlock(user, pin) {
        Ok(open) => {
            let token = open.core_for_contact().read(sync_state::exchanged).unwrap().token;
            assert_eq!(token.as_deref(), Some("what he wrote"));
            phone.lock(open).unwrap();
            true
        }
        Err(LockError::WrongPin { .. }) => false,
        Err(other) => panic!("{other}"),
    }
}

fn with_work() -> (Case, LocalUser) {
    let (case, user) = Case::with_user(true);
    let phone = case.start();
    let open = phone.unlock(&user, PIN).unwrap();
    open.core_for_contact()
        .write(|records| sync_state::set_token(records.tx(), "what he wrote"))
        .unwrap();
    phone.lock(open).unwrap();
    (case, user)
}

#[test]
fn a_change_of_the_pin_killed_at_every_write_leaves_the_old_or_the_new_one_and_all_that_was_written() {
    let (case, user) = with_work();
    killed_at_every_step(
        &case,
        |phone| {
            if let Ok(open) = phone.unlock(&user, PIN) {
                let _ = phone.change_pin(&open, PIN, OTHER_PIN);
            }
        },
        |phone, is_through| {
            let new = opens(phone, &user, OTHER_PIN);
            assert!(new || opens(phone, &user, PIN), "neither opens");
            assert!(new || !is_through);
        },
    );
}

#[test]
fn a_wrong_pin_killed_at_every_write_was_counted_or_never_looked_at() {
    let (case, user) = with_work();
    killed_at_every_step(
        &case,
        |phone| {
            let said = phone.unlock(&user, "000001");
            // The answer to a try is given only once the try is on the disk.
            let is_answered = matches!(said, Err(LockError::WrongPin { .. }));
            let left = case.start().tries_left(&user).unwrap();
            assert!(!is_answered || left == TRIES_MAX - 1, "{left}");
        },
        |phone, _| assert!(opens(phone, &user, PIN)),
    );
}

#[test]
fn the_tenth_wrong_pin_killed_at_every_write_ends_the_pin_all_the_same() {
    let (case, user) = with_work();
    let phone = case.start();
    for _ in 1..TRIES_MAX {
        assert!(phone.unlock(&user, "000001").is_err());
    }
    drop(phone);
    killed_at_every_step(
        &case,
        |phone| drop(phone.unlock(&user, "000001")),
        |phone, is_through| match phone.tries_left(&user).unwrap() {
            // It died before the try was on the disk, and so before the PIN was looked at.
            1 => assert!(!is_through),
            0 => assert!(matches!(phone.unlock(&user, PIN), Err(LockError::OnlineUnlock(_)))),
            left => panic!("{left} tries are left"),
        },
    );
}

#[test]
fn a_user_who_is_added_is_there_whole_or_not_at_all() {
    let (case, user) = with_work();
    killed_at_every_step(
        &case,
        |phone| drop(phone.add_user("新来的", OTHER_PIN)),
        |phone, is_through| {
            let new: Vec<_> = phone.users().into_iter().filter(|other| other.user != user).collect();
            assert!(new.len() <= 1 && (new.len() == 1 || !is_through));
            for other in new {
                assert_eq!(other.label, "新来的");
                phone.lock(phone.unlock(&other.user, OTHER_PIN).unwrap()).unwrap();
            }
            assert!(opens(phone, &user, PIN));
        },
    );
}

#[test]
fn the_stations_share_opens_from_when_it_is_said_to_and_at_every_step_of_its_renewal() {
    let case = Case::new();
    let phone = case.start();
    let open = phone.add_user("x", PIN).unwrap();
    let first = keep_share(&open);
    let user = open.user();
    open.renew_share().unwrap();
    let second = open.core_for_contact().read(lock::share).unwrap().unwrap();
    let core = open.core_for_contact();
    core.write(|records| lock::share_is_kept(records.tx(), &second.name)).unwrap();
    let second = second.share.unwrap();
    phone.lock(open).unwrap();
    let opens_by = |phone: &Phone, share: &[u8]| {
        let cabinet = phone.cabinet(&user).unwrap();
        [crate::lock::cabinet::ONLINE, crate::lock::cabinet::ONLINE_NEXT]
            .iter()
            .any(|name| matches!(cabinet.disclose_part(name, share), Ok(Some(_))))
    };
    drop(phone);
    // The station keeps the second since its answer was stored; the phone has still to take that over.
    killed_at_every_step(
        &case,
        |phone| drop(phone.unlock(&user, PIN)),
        |phone, is_through| {
            assert!(opens_by(phone, second.as_slice()));
            assert!(
                !is_through || !opens_by(phone, first.as_slice()),
                "the first opens nothing any more"
            );
        },
    );
}

#[test]
fn a_torn_or_lost_copy_of_any_file_of_the_lock_locks_nobody_out() {
    let (case, user) = with_work();
    let folder = case.root.join("phone/users").join(user.to_string());
    case.copy("phone", "before-phone");
    case.copy("vault", "before-vault");
    let names: Vec<_> = files(&folder)
        .into_iter()
        .chain(files(&case.root.join("vault")))
        .filter(|path| matches!(path.extension().and_then(|ending| ending.to_str()), Some("a" | "b")))
        .collect();
    assert!(names.len() >= 8, "{names:?}");
    for path in names {
        for torn in [None, Some(0), Some(20), Some(90)] {
            case.put_back("before-phone", "phone");
            case.put_back("before-vault", "vault");
            match torn {
                None => fs::remove_file(&path).unwrap(),
                Some(bytes) => {
                    let whole = fs::read(&path).unwrap();
                    fs::write(&path, &whole[..bytes.min(whole.len() - 1)]).unwrap();
                }
            }
            assert!(opens(&case.start(), &user, PIN), "{} torn at {torn:?}", path.display());
        }
    }
}

#[test]
fn a_full_disk_locks_nobody_out_and_still_counts() {
    let (case, user) = with_work();
    let phone = case.start_under(&Fate::full()).unwrap();
    assert!(matches!(phone.unlock(&user, "000001"), Err(LockError::WrongPin { left: 9 })));
    assert!(opens(&case.start_under(&Fate::full()).unwrap(), &user, PIN));
}
