//! Two programs on one phone's files: one at a time has a user's book, and neither takes the other's keys for old or lost.

use super::*;

fn vault(case: &Case) -> SoftwareVault {
    SoftwareVault::open(&case.root.join("shared"), Box::new(Chance)).unwrap()
}

#[test]
fn a_second_program_waits_for_the_first_and_then_comes_in() {
    let case = Case::new();
    let one = case.start();
    let open = one.add_user("早班", PIN).unwrap();
    let (user, two) = (open.user(), case.start());
    assert!(matches!(two.unlock(&user, PIN), Err(LockError::AlreadyOpen)));
    assert_eq!(two.tries_left(&user).unwrap(), crate::lock::TRIES_MAX, "to wait is no try");
    one.lock(open).unwrap();
    let open = two.unlock(&user, PIN).unwrap();
    assert!(matches!(one.unlock(&user, PIN), Err(LockError::AlreadyOpen)));
    two.lock(open).unwrap();
    one.lock(one.unlock(&user, PIN).unwrap()).unwrap();
}

#[test]
fn two_programs_on_one_vault_see_each_others_keys() {
    let case = Case::new();
    let (one, two) = (vault(&case), vault(&case));
    let wrapped = one.wrap("a", Gate::Open, b"of one").unwrap();
    assert_eq!(two.release("a", &wrapped).unwrap().as_slice(), b"of one");
    let other = two.wrap("b", Gate::Open, b"of two").unwrap();
    one.wrap("c", Gate::Open, b"makes a key").unwrap();
    assert_eq!(
        vault(&case).release("b", &other).unwrap().as_slice(),
        b"of two",
        "nobody's key was written over"
    );
    one.forget("b").unwrap();
    assert_eq!(two.release("b", &other), Err(VaultError::Gone));
}

#[test]
fn a_shredding_that_the_keystore_failed_goes_on_when_it_is_called_again() {
    let (case, user) = Case::with_user(true);
    let phone = case.start();
    case.copy("vault", "sound");
    for copy in ["vault.a", "vault.b"] {
        fs::write(case.root.join("vault").join(copy), b"unreadable").unwrap();
    }
    assert!(matches!(phone.shred(&user), Err(LockError::Vault(_))));
    for copy in ["vault.a", "vault.b"] {
        fs::copy(case.root.join("sound").join(copy), case.root.join("vault").join(copy)).unwrap();
    }
    phone.shred(&user).unwrap();
    assert!(phone.users().is_empty() && case.start().users().is_empty());
}
