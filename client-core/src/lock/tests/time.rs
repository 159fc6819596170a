//! A lease that nobody stretches, and that a wrong clock ends for nobody who is in touch.

use super::*;
use crate::lock::lease::{Moment, TimeMarks};
use crate::lock::{LeaseOver, LeaseState};

/// The station is heard now, by its own clock.
fn hear(open: &OpenUser, station_time: i64, lease_ms: Option<u64>) {
    let core = open.core_for_contact();
    core.write(|records| lock::put_word(records.tx(), core.platform(), UnixMillis(station_time), lease_ms))
        .unwrap();
    open.contact().unwrap();
}

fn over(phone: &Phone, user: &LocalUser) -> Option<LeaseOver> {
    match phone.lease(user).unwrap().state {
        LeaseState::Over(why) => Some(why),
        LeaseState::Holds | LeaseState::EndsSoon => None,
    }
}

#[test]
fn a_lease_warns_runs_out_locks_the_records_and_is_renewed_by_a_contact_alone() {
    let (case, user) = Case::with_user(true);
    let phone = case.start();
    let open = phone.unlock(&user, PIN).unwrap();
    hear(&open, 1_000, None);
    assert_eq!(open.lease().until, Some(UnixMillis(1_000 + 7 * DAY)));
    case.clocks.pass(5 * DAY);
    assert_eq!(open.lease().state, LeaseState::Holds);
    case.clocks.pass(7 * HOUR);
    assert_eq!(open.lease().state, LeaseState::EndsSoon);
    case.clocks.pass(2 * DAY);
    assert!(
        matches!(open.core(), Err(LockError::LeaseOver(LeaseOver::RanOut))),
        "while it is open too"
    );
    phone.lock(open).unwrap();
    let phone = case.start();
    let open = phone.unlock(&user, PIN).unwrap();
    assert!(matches!(open.core(), Err(LockError::LeaseOver(LeaseOver::RanOut))));
    assert!(
        open.core_for_contact().read(lock::word).unwrap().is_some(),
        "an exchange is possible"
    );
    hear(&open, 999, None);
    assert!(open.core().is_err(), "an answer from before extends nothing");
    hear(&open, 1_000 + 7 * DAY, Some(DAY.unsigned_abs()));
    assert!(open.core().is_ok());
    case.clocks.pass(DAY);
    assert!(open.core().is_err(), "the station asked for a day");
}

#[test]
fn a_clock_set_back_stretches_nothing() {
    let (case, user) = Case::with_user(true);
    let phone = case.start();
    let open = phone.unlock(&user, PIN).unwrap();
    hear(&open, 1_000, None);
    phone.lock(open).unwrap();
    // Set back every day, the phone on all the time: the monotonic clock counts.
    for _ in 0..7 {
        case.clocks.pass(DAY);
        case.clocks.set_by(-DAY);
        phone.lease(&user).unwrap();
    }
    assert_eq!(over(&phone, &user), Some(LeaseOver::RanOut));
}

#[test]
fn a_clock_set_back_across_a_restart_ends_the_lease_and_a_contact_mends_it() {
    let (case, user) = Case::with_user(true);
    let phone = case.start();
    let open = phone.unlock(&user, PIN).unwrap();
    hear(&open, 1_000, None);
    case.clocks.pass(DAY);
    phone.lock(open).unwrap();
    case.clocks.restart(60_000);
    case.clocks.set_by(-DAY);
    let phone = case.start();
    assert_eq!(over(&phone, &user), Some(LeaseOver::ClockSetBack));
    let open = phone.unlock(&user, PIN).unwrap();
    let refused = open.core().unwrap_err().to_string();
    assert!(refused.contains("clock was set back"), "{refused}");
    hear(&open, 1_000 + DAY, None);
    assert!(open.core().is_ok());
}

#[test]
fn a_network_that_corrects_a_clock_by_a_minute_ends_nothing() {
    let (case, user) = Case::with_user(true);
    let phone = case.start();
    phone.lease(&user).unwrap();
    case.clocks.restart(10_000);
    case.clocks.set_by(-60_000);
    assert_eq!(over(&case.start(), &user), None);
    // But who does it again and again gains nothing by it: each time counts as more.
    for _ in 0..7 * 24 * 30 {
        case.clocks.restart(0);
        case.clocks.set_by(-1);
    }
    let mut marks = TimeMarks::begin(moment(&case));
    for _ in 0..7 * 24 * 30 {
        case.clocks.restart(0);
        case.clocks.set_by(-1);
        marks.observe(moment(&case));
    }
    assert!(matches!(marks.lease().state, LeaseState::Over(_)));
}

#[test]
fn files_put_back_from_the_first_day_stretch_no_lease() {
    let (case, user) = Case::with_user(true);
    let phone = case.start();
    let open = phone.unlock(&user, PIN).unwrap();
    hear(&open, 1_000, None);
    phone.lock(open).unwrap();
    case.copy("phone", "copy");
    case.clocks.pass(6 * DAY);
    phone.lease(&user).unwrap();
    drop(phone);
    case.put_back("copy", "phone");
    case.clocks.set_by(-6 * DAY);
    assert!(matches!(case.start().lease(&user), Err(LockError::OnlineUnlock(_))));
}

#[test]
fn an_exchange_that_the_lock_heard_of_days_later_counts_from_when_it_was() {
    let (case, user) = Case::with_user(true);
    let phone = case.start();
    let open = phone.unlock(&user, PIN).unwrap();
    let core = open.core_for_contact();
    core.write(|records| lock::put_word(records.tx(), core.platform(), UnixMillis(1_000), None))
        .unwrap();
    // The process dies before it says so; three days go by, one of them across a restart.
    drop(open);
    case.clocks.pass(2 * DAY);
    case.clocks.restart(DAY);
    let phone = case.start();
    let open = phone.unlock(&user, PIN).unwrap();
    let left = open.lease().left_ms;
    assert!((4 * DAY - 60_000..=4 * DAY).contains(&i64::try_from(left).unwrap()), "{left}");
}

#[test]
fn time_is_never_counted_less_than_it_was_on_and_a_set_clock_never_hides_it() {
    let case = Case::new();
    let mut marks = TimeMarks::begin(moment(&case));
    let mut on_ms: u64 = 0;
    let mut seed: u64 = 7;
    for _ in 0..2_000 {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let millis = i64::try_from(seed >> 40).unwrap() % (3 * HOUR);
        match (seed >> 33) % 4 {
            0 | 1 => {
                case.clocks.pass(millis);
                on_ms += millis.unsigned_abs();
            }
            2 => case.clocks.set_by(if seed & 1 == 0 { millis } else { -millis }),
            _ => {
                case.clocks.restart(millis);
                on_ms += 10_000;
            }
        }
        marks.observe(moment(&case));
        assert!(marks.elapsed_ms >= on_ms, "{} < {on_ms}", marks.elapsed_ms);
        assert!(marks.awake_ms <= on_ms);
    }
}

#[test]
fn a_station_clock_that_was_far_ahead_and_is_set_right_ends_no_lease_for_good() {
    let (case, user) = Case::with_user(true);
    let phone = case.start();
    let open = phone.unlock(&user, PIN).unwrap();
    let now = || case.clocks.wall().0;
    hear(&open, now() + 300 * DAY, None);
    case.clocks.pass(3 * DAY);
    hear(&open, now(), None);
    case.clocks.pass(5 * DAY);
    assert!(open.core().is_ok(), "heard five days ago, by a clock that goes right again");
    let right = now();
    hear(&open, right, None);
    case.clocks.pass(8 * DAY);
    hear(&open, right - HOUR, None);
    hear(&open, right, None);
    assert!(open.core().is_err(), "an answer from before extends nothing, as ever");
    // Nor does one that was a little ahead give way to it.
    hear(&open, now() + HOUR, None);
    hear(&open, now(), None);
    let word = open.core_for_contact().read(lock::word).unwrap().unwrap();
    assert_eq!(word.station_time.0, now() + HOUR);
}

#[test]
fn a_phone_clock_set_back_does_not_make_an_older_answer_count() {
    let case = Case::new();
    let mut marks = TimeMarks::begin(moment(&case));
    let first = moment(&case);
    assert!(marks.contact(UnixMillis(first.wall), 7 * DAY.unsigned_abs(), first, first));
    case.clocks.pass(3 * DAY);
    let second = moment(&case);
    assert!(marks.contact(UnixMillis(second.wall), 7 * DAY.unsigned_abs(), second, second));
    case.clocks.pass(8 * DAY);
    marks.observe(moment(&case));
    // The file of the first day, and the clock of the first day.
    case.clocks.set_by(-11 * DAY + 60_000);
    case.clocks.restart(0);
    assert!(!marks.contact(UnixMillis(first.wall), 7 * DAY.unsigned_abs(), first, moment(&case)));
    assert!(matches!(marks.lease().state, LeaseState::Over(_)));
}

/// Holds without any fix of its own: it says what is relied on where a monotonic clock stands still in a phone's sleep.
#[test]
fn sleep_that_the_monotonic_clock_does_not_count_is_counted_by_the_wall_clock() {
    let (case, user) = Case::with_user(true);
    let phone = case.start();
    let open = phone.unlock(&user, PIN).unwrap();
    hear(&open, 1_000, None);
    for _ in 0..7 {
        case.clocks.set_by(DAY);
        let _ = open.lease();
    }
    assert!(matches!(open.core(), Err(LockError::LeaseOver(LeaseOver::RanOut))));
}

fn moment(case: &Case) -> Moment {
    Moment {
        wall: case.clocks.wall().0,
        boot: case.clocks.boot(),
        monotonic_ms: case.clocks.monotonic_ms(),
    }
}
