//! Wrong enrolment codes: how many come from one address and in all, so that nobody tries codes by the thousand. An address that was never
//! wrong is never refused, so that nobody is locked out by others. Kept in memory, bounded; a restart forgets, and codes live minutes.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

use beatbook_protocol::time::UnixMillis;

/// Over which time wrong codes are counted.
const WINDOW_MS: i64 = 10 * 60 * 1000;
/// Wrong codes of one address: a person mistypes thrice, a room of phones behind one address ten times as often.
const OF_ONE_MAX: u32 = 30;
/// Wrong codes in all: at this rate one of 2^50 codes is found in some ten million years.
const IN_ALL_MAX: u32 = 1_000;
/// Addresses that are remembered.
const ADDRESSES_MAX: usize = 4_096;

/// Wrong codes of late.
#[derive(Debug, Default)]
pub(crate) struct Attempts(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    all: Count,
    by_address: BTreeMap<IpAddr, Count>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Count {
    since: UnixMillis,
    wrong: u32,
}

impl Count {
    fn at(self, now: UnixMillis) -> Self {
        if (0..WINDOW_MS).contains(&now.since(self.since)) {
            self
        } else {
            Self { since: now, wrong: 0 }
        }
    }

    fn left_ms(self, now: UnixMillis) -> u64 {
        u64::try_from(self.since.plus(WINDOW_MS).since(now)).unwrap_or(0)
    }
}

impl Attempts {
    /// Whether a code may be tried from there now; else after how many milliseconds. `None` is a caller within this process.
    pub(crate) fn may_try(&self, from: Option<IpAddr>, now: UnixMillis) -> Result<(), u64> {
        let Some(from) = from.map(network) else { return Ok(()) };
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all = counts.all.at(now);
        let own = counts
            .by_address
            .get(&from)
            .map_or(Count { since: now, wrong: 0 }, |own| own.at(now));
        // Behind a proxy on this machine stands everybody.
        if !from.is_loopback() && own.wrong >= OF_ONE_MAX {
            return Err(own.left_ms(now));
        }
        if all.wrong >= IN_ALL_MAX && (from.is_loopback() || own.wrong > 0) {
            return Err(all.left_ms(now));
        }
        Ok(())
    }

    /// A wrong code came from there.
    pub(crate) fn failed(&self, from: Option<IpAddr>, now: UnixMillis) {
        let Some(from) = from.map(network) else { return };
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.all = counts.all.at(now);
        counts.all.wrong = counts.all.wrong.saturating_add(1);
        if counts.by_address.len() >= ADDRESSES_MAX && !counts.by_address.contains_key(&from) {
            counts.by_address.retain(|_, count| count.at(now).wrong > 0);
            // The one that was wrong longest ago makes room: it may try again a little earlier.
            if counts.by_address.len() >= ADDRESSES_MAX
                && let Some(oldest) = counts
                    .by_address
                    .iter()
                    .min_by_key(|(_, count)| count.since)
                    .map(|(from, _)| *from)
            {
                counts.by_address.remove(&oldest);
            }
        }
        let own = counts.by_address.entry(from).or_insert(Count { since: now, wrong: 0 });
        *own = own.at(now);
        own.wrong = own.wrong.saturating_add(1);
    }
}

/// Who holds one address of IPv6 holds 2^64 of them.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)))
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_764_000_000_000);

    fn address(last: u32) -> Option<IpAddr> {
        Some(IpAddr::from((0x0a00_0000 + last).to_be_bytes()))
    }

    #[test]
    fn who_is_wrong_too_often_waits_and_nobody_else_does() {
        let attempts = Attempts::default();
        for _ in 0..OF_ONE_MAX {
            attempts.may_try(address(1), NOW).unwrap();
            attempts.failed(address(1), NOW);
        }
        assert_eq!(attempts.may_try(address(1), NOW.plus(1_000)), Err(599_000));
        attempts.may_try(address(2), NOW).unwrap();
        attempts.may_try(address(1), NOW.plus(WINDOW_MS)).unwrap();
    }

    #[test]
    fn many_who_are_wrong_lock_out_nobody_who_was_not() {
        let attempts = Attempts::default();
        for number in 0..5_000 {
            attempts.failed(address(number), NOW);
        }
        assert!(attempts.0.lock().unwrap().by_address.len() <= ADDRESSES_MAX);
        assert!(attempts.may_try(address(4_999), NOW).is_err());
        attempts.may_try(address(30_000), NOW).unwrap();
        let [one, other, far] = ["2001:db8::1", "2001:db8::ffff", "2001:db8:1::1"].map(|text| Some(text.parse().unwrap()));
        attempts.failed(one, NOW);
        assert!(attempts.may_try(other, NOW).is_err(), "one network is one caller");
        attempts.may_try(far, NOW).unwrap();
    }

    #[test]
    fn a_clock_that_was_set_back_locks_nobody_out() {
        let attempts = Attempts::default();
        for _ in 0..OF_ONE_MAX {
            attempts.failed(address(1), NOW);
        }
        attempts.may_try(address(1), NOW.plus(-WINDOW_MS)).unwrap();
    }
}
