//! Signing in at the station's door: invitations, passwords, second factors, sessions, tokens of programs, and what an attacker tries.

use std::sync::Barrier;

use beatbook_protocol::id::UserId;

use crate::error::StationError;
use crate::registry::tokens;
use crate::sign_in::code_of;
use crate::station::{
    AcceptOrder, Accepted, Begun, FactorOffer, InitOptions, SignInError, SignInOrder, SignedIn, Source, Station,
};
use crate::testing::World;

pub(super) const PASSWORD: &str = "seven kettles on the roof";
pub(super) const MINUTE: i64 = 60_000;
pub(super) const HOUR: i64 = 60 * MINUTE;

/// Somebody who signs in.
pub(super) struct Somebody {
    pub(super) user: UserId,
    pub(super) account: &'static str,
    pub(super) offer: Option<FactorOffer>,
    pub(super) accepted: Accepted,
}

pub(super) fn here() -> Source {
    Source::of("10.1.2.3".parse().unwrap())
}

impl World {
    pub(super) fn code(&self, offer: &FactorOffer) -> String {
        code_of(offer, self.env.clock.now().0)
    }

    /// A person with an account, and a second factor where it is wanted.
    pub(super) fn somebody(&self, account: &'static str, roles: &[&str], with_factor: bool) -> Somebody {
        let roles: Vec<String> = roles.iter().map(|role| (*role).to_owned()).collect();
        let user = self.station.add_user(None, "王警官", &roles, self.unit).unwrap();
        let invitation = self.station.invite(None, user, Some(account)).unwrap().invitation;
        let offer = with_factor.then(|| self.station.offer_factor(&invitation, &here()).unwrap());
        let order = AcceptOrder {
            invitation,
            password: PASSWORD.to_owned().into(),
            code: offer.as_ref().map(|offer| self.code(offer)),
            source: here(),
        };
        let accepted = self.station.accept_invitation(&order).unwrap();
        Somebody {
            user,
            account,
            offer,
            accepted,
        }
    }

    /// Lets the code that was used last run out.
    pub(super) fn next_code(&self, somebody: &Somebody) -> String {
        self.clock.pass(31_000);
        self.code(somebody.offer.as_ref().unwrap())
    }

    pub(super) fn enter(&self, somebody: &Somebody) -> Result<Begun, SignInError> {
        let code = somebody.offer.as_ref().map(|_| self.next_code(somebody));
        self.station.sign_in(&order(somebody.account, PASSWORD, code.as_deref()))
    }

    pub(super) fn caller(&self, begun: &Begun) -> SignedIn {
        self.station.signed_in(&begun.token).unwrap()
    }

    pub(super) fn audit(&self) -> Vec<(String, String)> {
        let lines = self.station.store.read(|tx| tx.audit_from(1, 10_000)).unwrap();
        lines.into_iter().map(|line| (line.what, line.detail)).collect()
    }
}

pub(super) fn order(account: &str, password: &str, code: Option<&str>) -> SignInOrder {
    SignInOrder {
        account: account.into(),
        password: password.to_owned().into(),
        code: code.map(str::to_owned),
        device: None,
        source: here(),
    }
}

#[test]
fn a_person_sets_his_password_by_an_invitation_and_signs_in() {
    let world = World::new();
    let wang = world.somebody("wang", &["officer"], false);
    assert!(wang.accepted.recovery_codes.is_empty());
    assert_eq!(world.station.session(&wang.accepted.begun.token).unwrap().user, wang.user);
    let begun = world.enter(&wang).unwrap();
    assert_eq!(begun.session.name, "王警官");
    assert_eq!(begun.factor, None);
    assert_ne!(begun.token, wang.accepted.begun.token);
    // Names are found however their letters are typed.
    for name in [" Wang ", "ＷＡＮＧ"] {
        world.station.sign_in(&order(name, PASSWORD, None)).unwrap();
    }
    let whats: Vec<String> = world.audit().into_iter().map(|(what, _)| what).collect();
    for what in ["invitation.issued", "password.set", "session.begin"] {
        assert!(whats.iter().any(|known| known == what), "{what} in {whats:?}");
    }
}

#[test]
fn an_invitation_is_used_once_also_by_two_at_the_same_time() {
    let world = World::new();
    let user = world
        .station
        .add_user(None, "王警官", &["officer".into()], world.unit)
        .unwrap();
    let invitation = world.station.invite(None, user, Some("wang")).unwrap().invitation;
    let order = AcceptOrder {
        invitation,
        password: PASSWORD.to_owned().into(),
        code: None,
        source: here(),
    };
    let barrier = Barrier::new(2);
    let accept = || {
        barrier.wait();
        world.station.accept_invitation(&order)
    };
    let outcomes = std::thread::scope(|scope| {
        let both = [scope.spawn(accept), scope.spawn(accept)];
        both.map(|one| one.join().unwrap())
    });
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    for refused in outcomes
        .into_iter()
        .filter_map(Result::err)
        .chain(world.station.accept_invitation(&order).err())
    {
        assert!(matches!(refused, SignInError::Invitation), "{refused}");
    }
}

#[test]
fn an_invitation_that_ran_out_or_was_replaced_is_none() {
    let world = World::new();
    let user = world
        .station
        .add_user(None, "王警官", &["officer".into()], world.unit)
        .unwrap();
    let first = world.station.invite(None, user, Some("wang")).unwrap();
    let second = world.station.invite(None, user, Some("wang.1")).unwrap();
    let look = |invitation: &str| world.station.invitation(invitation, &here());
    assert!(matches!(look(&first.invitation), Err(SignInError::Invitation)));
    assert_eq!(
        look(&second.invitation.to_lowercase().replace('-', " ")).unwrap().account,
        "wang.1"
    );
    world.clock.pass(73 * HOUR);
    assert!(matches!(look(&second.invitation), Err(SignInError::Invitation)));
    for nonsense in ["", "AAAA-AAAA-AAAA-AAAA-AAAA-AAAA", &"x".repeat(100_000)] {
        assert!(matches!(look(nonsense), Err(SignInError::Invitation)));
    }
}

#[test]
fn a_new_invitation_ends_what_let_the_person_in_before() {
    let world = World::new();
    let chief = world.somebody("wang", &["chief"], true);
    let token = chief.accepted.begun.token.clone();
    let invitation = world.station.invite(None, chief.user, None).unwrap().invitation;
    assert!(world.station.session(&token).is_some(), "until it is used");
    let offer = world.station.offer_factor(&invitation, &here()).unwrap();
    let accept = AcceptOrder {
        invitation,
        password: "another sentence to keep".to_owned().into(),
        code: Some(world.code(&offer)),
        source: here(),
    };
    world.station.accept_invitation(&accept).unwrap();
    assert_eq!(world.station.session(&token), None);
    assert!(
        matches!(world.enter(&chief), Err(SignInError::Wrong)),
        "old password, old authenticator"
    );
    world.clock.pass(31_000);
    let old = chief.offer.as_ref().map(|offer| world.code(offer));
    let mixed = order("wang", "another sentence to keep", old.as_deref());
    assert!(
        matches!(world.station.sign_in(&mixed), Err(SignInError::Wrong)),
        "old authenticator"
    );
}

#[test]
fn a_role_that_needs_a_second_factor_gets_nobody_in_without() {
    let world = World::new();
    let user = world.station.add_user(None, "李所长", &["chief".into()], world.unit).unwrap();
    let invited = world.station.invite(None, user, Some("li")).unwrap();
    assert!(invited.factor_required);
    let accept = |code: Option<String>| {
        world.station.accept_invitation(&AcceptOrder {
            invitation: invited.invitation.clone(),
            password: PASSWORD.to_owned().into(),
            code,
            source: here(),
        })
    };
    assert!(matches!(accept(None), Err(SignInError::FactorMissing)));
    assert!(
        matches!(accept(Some("123456".into())), Err(SignInError::Code)),
        "none was shown"
    );
    world.station.offer_factor(&invited.invitation, &here()).unwrap();
    assert!(matches!(accept(Some("000000".into())), Err(SignInError::Code)));
    // Whoever becomes chief later is held up at the door until he has one.
    let wang = world.somebody("wang", &["officer"], false);
    world.enter(&wang).unwrap();
    world
        .station
        .move_user(None, wang.user, None, Some(&["chief".into()]))
        .unwrap();
    assert!(matches!(world.enter(&wang), Err(SignInError::FactorMissing)));
}

#[test]
fn a_code_counts_once_and_so_does_a_recovery_code() {
    let world = World::new();
    let chief = world.somebody("li", &["chief"], true);
    assert_eq!(chief.accepted.recovery_codes.len(), 10);
    let attempt = |code: Option<&str>| world.station.sign_in(&order("li", PASSWORD, code));
    assert!(matches!(attempt(None), Err(SignInError::FactorNeeded)));
    let code = world.next_code(&chief);
    assert_eq!(attempt(Some(&code)).unwrap().factor.as_deref(), Some("totp"));
    assert!(matches!(attempt(Some(&code)), Err(SignInError::Wrong)), "replayed");
    world.clock.pass(20_000);
    assert!(
        matches!(attempt(Some(&code)), Err(SignInError::Wrong)),
        "replayed within its drift"
    );
    let recovery = &chief.accepted.recovery_codes[3];
    let begun = attempt(Some(&recovery.to_lowercase())).unwrap();
    assert_eq!((begun.factor.as_deref(), begun.recovery_codes_left), (Some("recovery"), 9));
    assert!(matches!(attempt(Some(recovery)), Err(SignInError::Wrong)));
    // A wrong password burns neither.
    let code = world.next_code(&chief);
    let other = &chief.accepted.recovery_codes[4];
    for code in [&code, other] {
        let wrong = world.station.sign_in(&order("li", "seven kettles on the floor", Some(code)));
        assert!(matches!(wrong, Err(SignInError::Wrong)));
    }
    attempt(Some(&code)).unwrap();
    attempt(Some(other)).unwrap();
}

#[test]
fn a_session_ends_when_it_is_idle_and_after_its_time_in_any_case() {
    let world = World::new();
    let wang = world.somebody("wang", &["officer"], false);
    let idle = world.enter(&wang).unwrap().token;
    let busy = world.enter(&wang).unwrap().token;
    for _ in 0..2 {
        world.clock.pass(20 * MINUTE);
        assert!(world.station.session(&busy).is_some());
    }
    assert_eq!(world.station.session(&idle), None);
    for _ in 0..33 {
        world.clock.pass(20 * MINUTE);
        assert!(world.station.session(&busy).is_some());
    }
    world.clock.pass(20 * MINUTE);
    assert_eq!(world.station.session(&busy), None, "twelve hours");
    // A clock that is set back brings nothing back that was seen to be over. By his first session nobody asked meanwhile.
    world.clock.pass(-13 * HOUR);
    assert_eq!(world.station.session(&busy), None, "set back: what ended after twelve hours");
    assert_eq!(world.station.session(&idle), None, "set back: what was idle");
    let listed = world.station.sessions(None, wang.user).unwrap();
    let listed: Vec<_> = listed.into_iter().map(|one| one.id).collect();
    assert_eq!(listed, [tokens::hash(wang.accepted.begun.token.as_bytes())]);
}

#[test]
fn a_token_that_was_ended_or_belongs_to_another_station_opens_nothing() {
    let world = World::new();
    let wang = world.somebody("wang", &["officer"], false);
    let begun = world.enter(&wang).unwrap();
    world.station.sign_out(&world.caller(&begun)).unwrap();
    assert_eq!(world.station.session(&begun.token), None, "replayed");
    let first = world.enter(&wang).unwrap();
    let other = World::new();
    let options = InitOptions {
        station_name: "S".into(),
        unit_name: "U".into(),
        chief_name: "C".into(),
    };
    let dir = other.dir.path();
    let env = crate::environment::Environment::system();
    let made = Station::init(&dir.join("d"), &dir.join("k"), &options, &env).unwrap();
    assert_eq!(world.station.session(&made.chief_token), None);
    assert_eq!(other.station.session(&first.token), None);
    for token in ["", " ", &first.token[1..], &format!("{} ", first.token), &"x".repeat(100_000)] {
        assert_eq!(world.station.session(token), None);
    }
    // The hash that lists show is no token.
    let id = world.station.sessions(None, wang.user).unwrap()[0].id.to_string();
    assert_eq!(world.station.session(&id), None);
}

#[test]
fn odd_names_and_passwords_are_refused_clearly_and_cost_little() {
    let world = World::new();
    let wang = world.somebody("wang", &["officer"], false);
    let before = world.station.password_hashings();
    let long = "x".repeat(300_000);
    assert!(matches!(
        world.station.sign_in(&order("wang", &long, None)),
        Err(SignInError::Password(_))
    ));
    assert_eq!(world.station.password_hashings(), before, "not hashed");
    for name in [
        "",
        "\0",
        "wang\u{202e}",
        "wa\nng",
        &long,
        "wang\u{200b}",
        "' OR 1=1 --",
        "wang%",
    ] {
        assert!(
            matches!(world.station.sign_in(&order(name, "x", None)), Err(SignInError::Wrong)),
            "{name:.20}"
        );
        world.clock.pass(16 * MINUTE);
        let refused = world.station.invite(None, wang.user, Some(name)).unwrap_err();
        assert!(
            matches!(refused, SignInError::Station(StationError::Invalid(_))),
            "{name:.20}: {refused}"
        );
    }
    let lines = world.audit();
    assert!(
        lines
            .iter()
            .all(|(_, detail)| detail.len() < 200 && !detail.contains(['\n', '\0']))
    );
    for code in ["", "0", &long, "１２３４５６", "\u{202e}123456"] {
        let _ = world.station.sign_in(&order("wang", PASSWORD, Some(code))).unwrap();
    }
}

#[test]
fn a_restore_ends_every_session_and_invitation() {
    let mut world = World::new();
    let wang = world.somebody("wang", &["officer"], false);
    let invitation = world.station.invite(None, wang.user, None).unwrap().invitation;
    let token = wang.accepted.begun.token.clone();
    let file = world.station.backup(&world.dir.path().join("backup")).unwrap().file;
    let data = world.dir.path().join("restored");
    Station::restore(&file, &data, &world.keys(), &world.env).unwrap();
    world.reopen_at(&data);
    assert_eq!(world.station.session(&token), None);
    assert!(matches!(
        world.station.invitation(&invitation, &here()),
        Err(SignInError::Invitation)
    ));
    world.enter(&wang).unwrap();
}
