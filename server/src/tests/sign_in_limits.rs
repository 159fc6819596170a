//! Guessing at the station's door: what it costs, whom it holds up, and whom it does not.

use super::sign_in::{PASSWORD, Somebody, here, order};
use crate::config::SignInConfig;
use crate::error::StationError;
use crate::station::{SignInError, SignInOrder, Source, Station};
use crate::testing::World;

fn from(number: u32) -> Source {
    Source::of(std::net::Ipv4Addr::from(0xc000_0200_u32.wrapping_add(number)).into())
}

fn guess(account: &str, number: u32, code: Option<&str>) -> SignInOrder {
    SignInOrder {
        source: from(number),
        ..order(account, "what could it be", code)
    }
}

impl World {
    /// Guesses from ever new addresses until the account is held up; how many guesses were looked at.
    fn flood(&self, account: &str) -> u32 {
        let mut looked_at = 0;
        for number in 1..200 {
            match self.station.sign_in(&guess(account, number, None)) {
                Err(SignInError::Wrong) => looked_at += 1,
                Err(SignInError::Throttled { .. }) => return looked_at,
                other => panic!("{other:?}"),
            }
        }
        panic!("never held up")
    }

    fn audit_lines(&self) -> u64 {
        self.station.store.read(|tx| tx.audit_head()).unwrap().0
    }
}

fn with_password(somebody: &Somebody, code: Option<String>, device: Option<String>, source: Source) -> SignInOrder {
    SignInOrder {
        account: somebody.account.into(),
        password: PASSWORD.to_owned().into(),
        code,
        device,
        source,
    }
}

#[test]
fn a_name_that_is_none_gets_the_same_work_answer_and_line_as_one_that_is() {
    let world = World::new();
    world.somebody("wang", &["officer"], false);
    world.somebody("li", &["chief"], true);
    let mut seen = Vec::new();
    for (number, (account, code)) in [
        ("wang", None),
        ("nobody", None),
        ("li", None),
        ("wang", Some("123456")),
        ("nobody", Some("123456")),
        ("li", Some("123456")),
        ("not a name", None),
    ]
    .into_iter()
    .enumerate()
    {
        let (hashings, lines) = (world.station.password_hashings(), world.audit_lines());
        let fault = world
            .station
            .sign_in(&guess(account, u32::try_from(number).unwrap(), code))
            .unwrap_err();
        seen.push((
            world.station.password_hashings() - hashings,
            world.audit_lines() - lines,
            fault.to_string(),
        ));
    }
    assert_eq!((seen[0].0, seen[0].1), (1, 1));
    assert!(seen.windows(2).all(|pair| pair[0] == pair[1]), "{seen:#?}");
}

#[test]
fn names_that_are_none_are_held_up_just_like_those_that_are() {
    let world = World::new();
    world.somebody("wang", &["officer"], false);
    let flooded = [world.flood("wang"), world.flood("nobody")];
    assert_eq!(flooded, [20, 20]);
    let before = world.station.password_hashings();
    for account in ["wang", "nobody"] {
        for number in 300..320 {
            assert!(matches!(
                world.station.sign_in(&guess(account, number, None)),
                Err(SignInError::Throttled { .. })
            ));
        }
    }
    assert_eq!(world.station.password_hashings(), before, "what is held up costs nothing");
}

#[test]
fn a_flood_from_many_addresses_locks_nobody_out_who_was_there_before_or_has_a_second_factor() {
    let world = World::new();
    let wang = world.somebody("wang", &["officer"], false);
    let chief = world.somebody("li", &["chief"], true);
    let device = wang.accepted.begun.device.clone();
    world.flood("wang");
    world.flood("li");
    // A stranger with the right password waits like all strangers.
    let stranger = world.station.sign_in(&with_password(&wang, None, None, from(900)));
    assert!(matches!(stranger, Err(SignInError::Throttled { retry_after_ms }) if retry_after_ms > 0));
    // A second factor that an account does not have speaks for nobody, however right the password is.
    let made_up = world
        .station
        .sign_in(&with_password(&wang, Some("123456".into()), None, from(901)));
    assert!(matches!(made_up, Err(SignInError::Wrong)));
    world.flood_again("wang");
    world.station.sign_in(&with_password(&wang, None, device, from(902))).unwrap();
    world.flood_again("wang");
    world.station.sign_in(&with_password(&wang, None, None, here())).unwrap();
    // From a hotel, with the authenticator.
    let code = world.next_code(&chief);
    world
        .station
        .sign_in(&with_password(&chief, Some(code), None, from(903)))
        .unwrap();
}

impl World {
    fn flood_again(&self, account: &str) {
        for number in 1000..1040 {
            let _ = self.station.sign_in(&guess(account, number, None));
        }
    }
}

#[test]
fn neighbours_at_one_address_cannot_hold_up_who_has_signed_in_on_his_device() {
    let world = World::new();
    let wang = world.somebody("wang", &["officer"], false);
    for _ in 0..40 {
        let wrong = SignInOrder {
            source: here(),
            ..guess("wang", 0, None)
        };
        let _ = world.station.sign_in(&wrong);
    }
    let device = wang.accepted.begun.device.clone();
    assert!(matches!(
        world.station.sign_in(&with_password(&wang, None, None, here())),
        Err(SignInError::Throttled { .. })
    ));
    world
        .station
        .sign_in(&with_password(&wang, None, device.clone(), here()))
        .unwrap();
    // His device speaks for him at his account alone.
    world.somebody("zhao", &["officer"], false);
    world.flood("zhao");
    let borrowed = SignInOrder {
        device,
        ..guess("zhao", 500, None)
    };
    assert!(matches!(world.station.sign_in(&borrowed), Err(SignInError::Throttled { .. })));
}

#[test]
fn guesses_are_counted_over_a_restart() {
    let mut world = World::new();
    world.somebody("wang", &["officer"], false);
    assert_eq!(world.flood("wang"), 20);
    world.reopen();
    assert!(matches!(
        world.station.sign_in(&guess("wang", 400, None)),
        Err(SignInError::Throttled { .. })
    ));
}

#[test]
fn codes_are_not_guessed_by_who_has_the_password() {
    let world = World::new();
    let chief = world.somebody("li", &["chief"], true);
    let mut looked_at = 0;
    for number in 0..200_u32 {
        let code = format!("{number:06}");
        match world.station.sign_in(&with_password(&chief, Some(code), None, from(7))) {
            Err(SignInError::Wrong) => looked_at += 1,
            Err(SignInError::Throttled { .. }) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(looked_at, 5);
}

#[test]
fn the_operators_list_and_times_are_in_force() {
    let World {
        dir,
        env,
        clock,
        station,
        chief,
        unit,
    } = World::new();
    let config = SignInConfig {
        blocklist: "seven kettles on the roof\n".into(),
        idle_max: std::time::Duration::from_secs(60),
        factor_roles: vec!["officer".into()],
        ..SignInConfig::default()
    };
    let station = station.signing_in_by(config).unwrap();
    let world = World {
        dir,
        env,
        clock,
        station,
        chief,
        unit,
    };
    let user = world.station.add_user(None, "王", &["chief".into()], world.unit).unwrap();
    let invited = world.station.invite(None, user, Some("wang")).unwrap();
    assert!(!invited.factor_required);
    let accept = |password: &str| {
        world.station.accept_invitation(&crate::station::AcceptOrder {
            invitation: invited.invitation.clone(),
            password: password.to_owned().into(),
            code: None,
            source: here(),
        })
    };
    assert!(matches!(accept("Seven Kettles On The Roof"), Err(SignInError::Password(_))));
    let token = accept("eight kettles on the roof").unwrap().begun.token;
    assert!(world.station.session(&token).is_some());
    world.clock.pass(61_000);
    assert_eq!(world.station.session(&token), None);
    let officer = world.station.add_user(None, "张", &["officer".into()], world.unit).unwrap();
    assert!(world.station.invite(None, officer, Some("zhang")).unwrap().factor_required);
}

#[test]
fn the_station_itself_is_nobody_who_signs_in() {
    let world = World::new();
    let station = world.station.users().unwrap();
    let station = station.iter().find(|user| user.roles == ["station"]).unwrap();
    let refused = world.station.invite(None, station.user, Some("station")).unwrap_err();
    assert!(
        matches!(refused, SignInError::Station(StationError::NotFound(_))),
        "{refused}"
    );
    let refused = world.station.issue_token(None, station.user).unwrap_err();
    assert!(matches!(refused, StationError::NotFound(_)), "{refused}");
}

/// The door is used as `Station` gives it, also by other rooms.
#[test]
fn a_token_from_before_sessions_still_works() {
    let world = World::new();
    let station: &Station = &world.station;
    let token = station.issue_token(Some(&world.chief), world.chief.user).unwrap();
    assert_eq!(station.session(&token).as_ref(), Some(&world.chief));
}
