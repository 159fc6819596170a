//! What a person changes about how he signs in, what his programs get, who else may decide on it, and what lies readable of all this.

use beatbook_protocol::id::UserId;

use super::sign_in::{HOUR, MINUTE, PASSWORD, Somebody, here, order};
use crate::error::StationError;
use crate::sign_in::secret_of;
use crate::station::{Login, SignInError, SignedIn, TokenOrder};
use crate::testing::World;

#[test]
fn a_changed_password_ends_every_session_and_goes_on_with_one_under_a_new_token() {
    let world = World::new();
    let wang = world.somebody("wang", &["officer"], false);
    let (mine, other) = (world.enter(&wang).unwrap(), world.enter(&wang).unwrap());
    let caller = world.caller(&mine);
    let change = |old: &str, new: &str| world.station.change_password(&caller, old, new, &here());
    assert!(matches!(
        change("seven kettles on the floor", "a different long sentence"),
        Err(SignInError::Wrong)
    ));
    for poor in [
        "short",
        "朝阳派出所朝阳派出所朝阳派出所",
        "aaaaaaaaaaaaaaaaaaaaa",
        &"é".repeat(257),
    ] {
        assert!(matches!(change(PASSWORD, poor), Err(SignInError::Password(_))), "{poor}");
    }
    let renewed = change(PASSWORD, "a different long sentence").unwrap();
    for old in [&mine, &other, &wang.accepted.begun] {
        assert_eq!(world.station.session(&old.token), None);
    }
    assert!(world.station.session(&renewed.token).is_some());
    assert!(matches!(world.enter(&wang), Err(SignInError::Wrong)));
    world
        .station
        .sign_in(&order("wang", "a different long sentence", None))
        .unwrap();
}

#[test]
fn showing_again_who_one_is_gives_a_new_token_and_not_a_longer_session() {
    let world = World::new();
    let chief = world.somebody("li", &["chief"], true);
    let begun = world.enter(&chief).unwrap();
    world.clock.pass(11 * MINUTE);
    let stale = world.caller(&begun);
    let token = |by: &SignedIn| {
        world
            .station
            .issue_program_token(Some(by), chief.user, &TokenOrder::default())
    };
    assert!(matches!(token(&stale), Err(SignInError::ProveAgain)));
    let prove = |code: Option<&str>| world.station.prove_again(&stale, Some(PASSWORD), code, &here());
    assert!(matches!(prove(None), Err(SignInError::FactorNeeded)));
    assert!(matches!(prove(Some("000000")), Err(SignInError::Wrong)));
    let renewed = prove(Some(&world.next_code(&chief))).unwrap();
    assert_eq!(renewed.expires_at, begun.expires_at);
    assert_eq!(world.station.session(&begun.token), None, "the old token is void");
    token(&world.caller(&renewed)).unwrap();
    // The session that has gone on cannot be gone on with again from where it was.
    assert!(matches!(prove(Some(&world.next_code(&chief))), Err(SignInError::Wrong)));
}

#[test]
fn a_token_of_a_program_is_named_limited_listed_and_revoked() {
    let world = World::new();
    let chief = world.somebody("li", &["chief", "officer"], true);
    let caller = world.caller(&chief.accepted.begun);
    let order = TokenOrder {
        name: Some("nightly report".into()),
        roles: Some(vec!["officer".into()]),
        days: Some(7),
    };
    let token = world.station.issue_program_token(Some(&caller), chief.user, &order).unwrap();
    let program = world.station.signed_in(&token).unwrap();
    assert_eq!(program.session.roles, ["officer"]);
    assert!(matches!(&program.login, Login::Program { name } if name.as_deref() == Some("nightly report")));
    for (roles, days) in [
        (vec!["admin"], 7),
        (vec!["boss"], 7),
        (vec!["officer"], 91),
        (vec!["officer"], 0),
    ] {
        let order = TokenOrder {
            roles: Some(roles.iter().map(|role| (*role).to_owned()).collect()),
            days: Some(days),
            ..TokenOrder::default()
        };
        let refused = world
            .station
            .issue_program_token(Some(&caller), chief.user, &order)
            .unwrap_err();
        assert!(
            matches!(refused, SignInError::Station(StationError::Invalid(_))),
            "{roles:?} {days}: {refused}"
        );
    }
    // A token begets none that is more than itself, and changes nothing about its person.
    let more = world
        .station
        .issue_program_token(Some(&program), chief.user, &TokenOrder::default())
        .unwrap();
    assert_eq!(world.station.session(&more).unwrap().roles, ["officer"]);
    assert!(matches!(
        world.station.offer_own_factor(&program),
        Err(SignInError::SessionNeeded)
    ));
    assert!(matches!(
        world
            .station
            .change_password(&program, PASSWORD, "a different long sentence", &here()),
        Err(SignInError::SessionNeeded)
    ));
    let listed = world.station.program_tokens(&caller, chief.user).unwrap();
    assert_eq!(listed.len(), 2);
    assert!(
        listed
            .iter()
            .any(|one| one.name.as_deref() == Some("nightly report") && one.issued_by == Some(chief.user))
    );
    for one in listed {
        world.station.revoke_program_token(&caller, chief.user, one.id).unwrap();
        let again = world.station.revoke_program_token(&caller, chief.user, one.id);
        assert!(matches!(again, Err(SignInError::Station(StationError::NotFound(_)))));
    }
    assert!(world.station.session(&token).is_none() && world.station.session(&more).is_none());
    let week = world.station.issue_program_token(Some(&caller), chief.user, &order).unwrap();
    world.clock.pass(8 * 24 * HOUR);
    assert_eq!(world.station.session(&week), None, "it ran out");
}

/// Whether somebody was refused because he may not, or because there is no such thing for him.
fn is_kept_out<T>(answer: Result<T, SignInError>) -> bool {
    use StationError::{Forbidden, NotFound};
    matches!(answer, Err(SignInError::Station(Forbidden(_) | NotFound(_))))
}

#[test]
fn nobody_gets_at_another_persons_account_beyond_his_own_roles_and_units() {
    let world = World::new();
    let chief = world.somebody("li", &["chief"], true);
    // With a second factor just shown, so that he is refused for what he may, and not sent to show it.
    let officer = world.somebody("wang", &["officer"], true);
    let auditor = world.somebody("zhao", &["auditor"], true);
    let elsewhere = world.station.add_unit(None, "海淀", None).unwrap();
    let stranger = world.station.add_user(None, "孙", &["officer".into()], elsewhere).unwrap();
    let by = |somebody: &Somebody| world.caller(&somebody.accepted.begun);
    let station = &world.station;
    station.invite(Some(&by(&chief)), officer.user, None).unwrap();
    for (by, whom) in [
        (by(&chief), auditor.user),
        (by(&chief), stranger),
        (by(&auditor), officer.user),
        (by(&officer), chief.user),
        (by(&officer), officer.user),
    ] {
        assert!(is_kept_out(station.invite(Some(&by), whom, Some("x"))));
        if by.session.user != whom {
            assert!(is_kept_out(station.sessions(Some(&by), whom)));
            assert!(is_kept_out(station.end_sessions(Some(&by), whom, None)));
            assert!(is_kept_out(station.program_tokens(&by, whom)));
            assert!(is_kept_out(station.issue_program_token(
                Some(&by),
                whom,
                &TokenOrder::default()
            )));
        }
    }
    let told = |whom: UserId| {
        let refused = station.invite(Some(&by(&chief)), whom, Some("x")).unwrap_err();
        refused.to_string().replace(&whom.to_string(), "ID")
    };
    assert_eq!(told(stranger), told(UserId::from_bytes([9; 16])), "of others as of nobody");
    let taken = station.invite(None, officer.user, Some("LI")).unwrap_err();
    assert!(taken.to_string().contains("another person"), "{taken}");
    // An id that is guessed, of another person's session.
    let theirs = station.sessions(None, chief.user).unwrap()[0].id;
    assert!(is_kept_out(station.end_sessions(
        Some(&by(&officer)),
        officer.user,
        Some(theirs)
    )));
    assert!(world.station.session(&chief.accepted.begun.token).is_some());
    assert_eq!(world.station.end_sessions(Some(&by(&chief)), officer.user, None).unwrap(), 1);
}

#[test]
fn a_second_factor_is_set_changed_and_takes_other_sessions_along() {
    let world = World::new();
    let wang = world.somebody("wang", &["officer"], false);
    let (mine, other) = (world.enter(&wang).unwrap(), world.enter(&wang).unwrap());
    let offer = world.station.offer_own_factor(&world.caller(&mine)).unwrap();
    assert!(matches!(
        world.station.confirm_own_factor(&world.caller(&mine), "000000"),
        Err(SignInError::Code)
    ));
    assert!(world.enter(&wang).is_ok(), "nothing is in force before its first code");
    let set = world
        .station
        .confirm_own_factor(&world.caller(&mine), &world.code(&offer))
        .unwrap();
    assert_eq!(set.recovery_codes.len(), 10);
    assert_eq!(world.station.session(&other.token), None);
    assert!(matches!(world.enter(&wang), Err(SignInError::FactorNeeded)));
    let attempt = |code: &str| world.station.sign_in(&order("wang", PASSWORD, Some(code)));
    assert!(
        matches!(attempt(&world.code(&offer)), Err(SignInError::Wrong)),
        "the code that confirmed it is used"
    );
    world.clock.pass(31_000);
    attempt(&world.code(&offer)).unwrap();
    // Another one needs the one that there is, shown within the last minutes.
    world.clock.pass(11 * MINUTE);
    let caller = world.caller(&set.begun);
    assert!(matches!(
        world.station.offer_own_factor(&caller),
        Err(SignInError::ProveAgain)
    ));
    assert!(matches!(
        world.station.new_recovery_codes(&caller),
        Err(SignInError::ProveAgain)
    ));
}

fn holds(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}

#[test]
fn a_stolen_database_and_the_log_hold_nothing_to_sign_in_with() {
    let world = World::new();
    let chief = world.somebody("li", &["chief"], true);
    let code = world.next_code(&chief);
    let begun = world.station.sign_in(&order("li", PASSWORD, Some(&code))).unwrap();
    let token = world.station.issue_token(None, chief.user).unwrap();
    let invitation = world.station.invite(None, chief.user, None).unwrap().invitation;
    let offer = chief.offer.as_ref().unwrap();
    let mut texts: Vec<String> = vec![
        PASSWORD.into(),
        "$argon2".into(),
        offer.secret.clone(),
        token,
        invitation.replace('-', ""),
        invitation,
        begun.token,
        begun.csrf,
    ];
    texts.extend(begun.device);
    texts.extend(chief.accepted.recovery_codes.clone());
    texts.extend(chief.accepted.recovery_codes.iter().map(|code| code.replace('-', "")));
    let mut needles: Vec<Vec<u8>> = texts.into_iter().map(String::into_bytes).collect();
    needles.push(secret_of(offer));
    let mut bytes = Vec::new();
    for file in std::fs::read_dir(world.data()).unwrap() {
        let path = file.unwrap().path();
        if path.is_file() {
            bytes.extend(std::fs::read(path).unwrap());
        }
    }
    assert!(holds(&bytes, "王警".as_bytes()), "what is looked through is the database");
    for needle in &needles {
        assert!(!holds(&bytes, needle), "{}", String::from_utf8_lossy(needle));
    }
    // Nor does the log say the code that he typed.
    needles.push(code.into_bytes());
    let log = world.audit();
    assert!(
        log.iter()
            .any(|(what, detail)| what == "invitation.issued" && detail.starts_with("li "))
    );
    for (what, detail) in &log {
        let told = needles.iter().find(|needle| holds(detail.as_bytes(), needle));
        assert_eq!(told, None, "{what}: {detail}");
    }
}
