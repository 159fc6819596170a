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
