//! How often somebody may try. Three counts, each with delays that grow: of one source at one account, of one source at all accounts, and of
//! one account from everywhere. The last is never held against who has signed in to the account from there before, nor against who shows
//! a second factor: so nobody locks another out. Every attempt counts before it is looked at. Bounded in memory; refuses to know names.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use beatbook_protocol::id::Hash;
use beatbook_protocol::time::UnixMillis;

/// Rows that are kept for each count; of the others the ones go that were silent longest.
const ROWS_MAX: usize = 10_000;
/// Consecutive failures after which a password alone is not enough anywhere but where the person is known (NIST SP 800-63B-4, 3.2.2).
const ACCOUNT_FAILURES_MAX: u32 = 100;

/// A rule of a count.
#[derive(Debug, Clone, Copy)]
struct Rule {
    /// Failures that cost no wait.
    free: u32,
    /// The first wait; each failure more doubles it.
    first_ms: i64,
    /// The longest wait.
    most_ms: i64,
    /// After this long without a failure one is forgotten; none is where only a success ends the count.
    forget_ms: Option<i64>,
}

/// One source at one account: a person who mistypes is let go on, a program is not.
const ATTEMPTS: Rule = Rule {
    free: 5,
    first_ms: 2_000,
    most_ms: 15 * 60_000,
    forget_ms: Some(30 * 60_000),
};
/// One source at all accounts: a whole station may sit behind one address. In the long run this lets 120 guesses an hour pass.
const SOURCES: Rule = Rule {
    free: 50,
    first_ms: 2_000,
    most_ms: 15 * 60_000,
    forget_ms: Some(30_000),
};
/// One account from everywhere.
const ACCOUNTS: Rule = Rule {
    free: 20,
    first_ms: 30_000,
    most_ms: 60 * 60_000,
    forget_ms: None,
};

/// Who tries, and what speaks for him.
#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    /// The account, by hash of its name, whether there is one or not.
    pub(crate) account: Hash,
    /// Where he is: address or network.
    pub(crate) source: Hash,
    /// The device that remembers that he signed in to this account, when he showed one.
    pub(crate) device: Option<Hash>,
    /// Whether he signed in to this account from this source before.
    pub(crate) is_known_source: bool,
    /// Whether he shows a second factor, right or wrong: it is looked at together with the password.
    pub(crate) has_code: bool,
    /// Whether there is such an account: its count is never thrown out of memory.
    pub(crate) is_account: bool,
}

impl Attempt {
    /// Whether he signed in to this account before, from where he is.
    pub(crate) const fn is_known(&self) -> bool {
        self.device.is_some() || self.is_known_source
    }

    /// From a remembered device a person has a count of his own, that nobody beside him at the same address can fill.
    fn place(&self) -> (Hash, Hash) {
        (self.account, self.device.unwrap_or(self.source))
    }
}

/// How an attempt was let pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Passage {
    /// Nothing is held up.
    Open,
    /// The account is held up, and only a right second factor goes through; at an account that has none, nothing does.
    ByFactor,
}

/// The counts.
#[derive(Debug, Default)]
pub(crate) struct Limits(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    attempts: BTreeMap<(Hash, Hash), Count>,
    sources: BTreeMap<Hash, Count>,
    accounts: BTreeMap<Hash, Count>,
}

impl Counts {
    /// An attempt from a remembered device was not counted at its source: nobody gets rid of his guesses there by signing in as himself.
    fn forgive_source_of(&mut self, attempt: &Attempt) {
        if attempt.device.is_none() {
            forgive(self.sources.get_mut(&attempt.source));
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Count {
    failures: u32,
    /// When the last attempt was let pass, and how long the next must wait from then on.
    last_at: i64,
    wait_ms: i64,
    /// The same before that attempt, in case it is said to have been none.
    before: (i64, i64),
    /// Up to when failures were forgotten.
    forgotten_at: i64,
    is_kept: bool,
}

impl Limits {
    /// Takes over what was counted before a restart.
    pub(crate) fn remember(&self, account: Hash, failures: u32, last_at: UnixMillis) {
        let count = Count {
            failures,
            last_at: last_at.0,
            wait_ms: ACCOUNTS.wait_after(failures),
            before: (last_at.0, ACCOUNTS.wait_after(failures)),
            forgotten_at: last_at.0,
            is_kept: true,
        };
        self.counts(|counts| counts.accounts.insert(account, count));
    }

    /// Lets an attempt pass and counts it as failed, until it is said to have succeeded. The error is how long to wait.
    pub(crate) fn admit(&self, attempt: &Attempt, now: UnixMillis) -> Result<Passage, u64> {
        self.counts(|counts| {
            let now = now.0;
            let mut wait = ATTEMPTS.wait(counts.attempts.get_mut(&attempt.place()), now);
            if attempt.device.is_none() {
                wait = wait.max(SOURCES.wait(counts.sources.get_mut(&attempt.source), now));
            }
            let account = counts.accounts.get_mut(&attempt.account);
            let is_over = account.as_ref().is_some_and(|count| count.failures >= ACCOUNT_FAILURES_MAX);
            let held = if is_over {
                ACCOUNTS.most_ms
            } else {
                ACCOUNTS.wait(account, now)
            };
            let passage = if held > 0 && !attempt.is_known() {
                Passage::ByFactor
            } else {
                Passage::Open
            };
            if passage == Passage::ByFactor && !attempt.has_code {
                wait = wait.max(held);
            }
            if wait > 0 {
                return Err(u64::try_from(wait).unwrap_or(0));
            }
            ATTEMPTS.count(&mut counts.attempts, attempt.place(), now, false);
            if attempt.device.is_none() {
                SOURCES.count(&mut counts.sources, attempt.source, now, false);
            }
            ACCOUNTS.count(&mut counts.accounts, attempt.account, now, attempt.is_account);
            Ok(passage)
        })
    }

    /// Counts an attempt at something that no account is named for (an invitation); the error is how long to wait.
    pub(crate) fn admit_source(&self, source: Hash, now: UnixMillis) -> Result<(), u64> {
        self.counts(|counts| {
            let wait = SOURCES.wait(counts.sources.get_mut(&source), now.0);
            if wait > 0 {
                return Err(u64::try_from(wait).unwrap_or(0));
            }
            SOURCES.count(&mut counts.sources, source, now.0, false);
            Ok(())
        })
    }

    /// The source's last attempt was none.
    pub(crate) fn forgive_source(&self, source: Hash) {
        self.counts(|counts| forgive(counts.sources.get_mut(&source)));
    }

    /// The attempt was neither right nor wrong: the password was, and the second factor is to come.
    pub(crate) fn forgive(&self, attempt: &Attempt) {
        self.counts(|counts| {
            forgive(counts.attempts.get_mut(&attempt.place()));
            counts.forgive_source_of(attempt);
            forgive(counts.accounts.get_mut(&attempt.account));
        });
    }

    /// The attempt was right: what was counted at the account is over. Of the source only this attempt is: others may sit there.
    pub(crate) fn succeeded(&self, attempt: &Attempt) {
        self.counts(|counts| {
            counts.attempts.remove(&attempt.place());
            counts.accounts.remove(&attempt.account);
            counts.forgive_source_of(attempt);
        });
    }

    /// What was counted at an account is over: its person has a new password.
    pub(crate) fn clear(&self, account: Hash) {
        self.counts(|counts| counts.accounts.remove(&account));
    }

    /// Failures at an account since the last success.
    pub(crate) fn failures(&self, account: &Hash) -> u32 {
        self.counts(|counts| counts.accounts.get(account).map_or(0, |count| count.failures))
    }

    fn counts<T>(&self, work: impl FnOnce(&mut Counts) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Rule {
    /// How long the next attempt waits after so many failures.
    fn wait_after(&self, failures: u32) -> i64 {
        match failures.checked_sub(self.free) {
            Some(over) => (self.first_ms << over.min(30)).min(self.most_ms),
            None => 0,
        }
    }

    /// Milliseconds to wait from now on.
    fn wait(&self, count: Option<&mut Count>, now: i64) -> i64 {
        let Some(count) = count else { return 0 };
        // A clock that was set back must not lengthen a wait.
        count.last_at = count.last_at.min(now);
        count.forgotten_at = count.forgotten_at.min(now);
        if let Some(forget_ms) = self.forget_ms {
            let forgotten = (now - count.forgotten_at) / forget_ms;
            count.failures = count.failures.saturating_sub(u32::try_from(forgotten).unwrap_or(u32::MAX));
            count.forgotten_at += forgotten * forget_ms;
        }
        (count.last_at + count.wait_ms - now).max(0)
    }

    fn count<K: Ord + Copy>(&self, rows: &mut BTreeMap<K, Count>, key: K, now: i64, is_kept: bool) {
        if !rows.contains_key(&key) && rows.len() >= ROWS_MAX {
            let silent = rows.iter().filter(|(_, count)| !count.is_kept);
            let silent = silent.min_by_key(|(_, count)| count.last_at).map(|(key, _)| *key);
            silent.map(|key| rows.remove(&key));
        }
        let count = rows.entry(key).or_insert(Count {
            failures: 0,
            last_at: now,
            wait_ms: 0,
            before: (now, 0),
            forgotten_at: now,
            is_kept,
        });
        count.before = (count.last_at, count.wait_ms);
        count.failures = count.failures.saturating_add(1);
        count.wait_ms = self.wait_after(count.failures);
        count.last_at = now;
    }
}

fn forgive(count: Option<&mut Count>) {
    if let Some(count) = count {
        count.failures = count.failures.saturating_sub(1);
        (count.last_at, count.wait_ms) = count.before;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(text: &str) -> Hash {
        Hash::of(&[text.as_bytes()])
    }

    fn attempt(account: &str, source: &str) -> Attempt {
        Attempt {
            account: hash(account),
            source: hash(source),
            device: None,
            is_known_source: false,
            has_code: false,
            is_account: true,
        }
    }

    #[test]
    fn waits_grow_with_every_failure_up_to_a_bound_and_end_with_a_success() {
        let limits = Limits::default();
        let wang = attempt("wang", "10.0.0.1");
        let mut now = 0;
        let mut waits = Vec::new();
        for _ in 0..30 {
            if let Err(wait) = limits.admit(&wang, UnixMillis(now)) {
                waits.push(wait);
                now += i64::try_from(wait).unwrap();
                limits.admit(&wang, UnixMillis(now)).unwrap();
            }
        }
        assert_eq!(waits.first(), Some(&2_000));
        assert!(waits.windows(2).all(|pair| pair[0] <= pair[1]), "{waits:?}");
        assert!(
            limits.admit(&attempt("li", "10.0.0.1"), UnixMillis(now)).is_ok(),
            "another account"
        );
        limits.succeeded(&wang);
        for _ in 0..5 {
            limits.admit(&wang, UnixMillis(now)).unwrap();
        }
    }

    #[test]
    fn a_flood_from_everywhere_holds_up_strangers_and_nobody_who_is_known_or_has_a_second_factor() {
        let limits = Limits::default();
        for number in 0..500 {
            let _ = limits.admit(&attempt("wang", &format!("source {number}")), UnixMillis(number));
        }
        assert_eq!(
            limits.failures(&hash("wang")),
            20,
            "what is refused is not looked at and does not count"
        );
        let now = UnixMillis(1_000);
        assert!(limits.admit(&attempt("wang", "new"), now).is_err());
        let known = Attempt {
            is_known_source: true,
            ..attempt("wang", "desk")
        };
        let device = Attempt {
            device: Some(hash("device")),
            ..attempt("wang", "source 1")
        };
        let factor = Attempt {
            has_code: true,
            ..attempt("wang", "hotel")
        };
        for (mine, passage) in [(known, Passage::Open), (device, Passage::Open), (factor, Passage::ByFactor)] {
            assert_eq!(limits.admit(&mine, now), Ok(passage));
        }
    }

    #[test]
    fn a_hundred_failures_in_a_row_end_guessing_for_strangers_until_a_success() {
        let limits = Limits::default();
        let mut now = 0;
        let mut tries = 0;
        for number in 0..400 {
            let stranger = attempt("wang", &format!("source {number}"));
            now += 3_600_000;
            tries += u32::from(limits.admit(&stranger, UnixMillis(now)).is_ok());
        }
        assert_eq!(tries, ACCOUNT_FAILURES_MAX);
        limits.succeeded(&Attempt {
            has_code: true,
            ..attempt("wang", "hotel")
        });
        assert!(limits.admit(&attempt("wang", "x"), UnixMillis(now)).is_ok());
    }

    #[test]
    fn one_source_is_slowed_at_all_accounts_together_but_not_on_a_remembered_device() {
        let limits = Limits::default();
        for number in 0..50 {
            limits
                .admit(&attempt(&format!("name {number}"), "10.0.0.1"), UnixMillis(0))
                .unwrap();
        }
        assert!(limits.admit(&attempt("another", "10.0.0.1"), UnixMillis(0)).is_err());
        assert!(limits.admit_source(hash("10.0.0.1"), UnixMillis(0)).is_err());
        let device = Attempt {
            device: Some(hash("device")),
            ..attempt("wang", "10.0.0.1")
        };
        limits.admit(&device, UnixMillis(0)).unwrap();
        assert!(
            limits.admit(&attempt("another", "10.0.0.1"), UnixMillis(60 * 60_000)).is_ok(),
            "it is forgotten"
        );
    }

    #[test]
    fn nobody_gets_rid_of_his_guesses_by_signing_in_as_himself() {
        let limits = Limits::default();
        let mallory = Attempt {
            device: Some(hash("mallory's")),
            ..attempt("mallory", "10.0.0.1")
        };
        let mut looked_at = 0;
        for number in 0..100 {
            let guess = attempt(&format!("name {number}"), "10.0.0.1");
            looked_at += u32::from(limits.admit(&guess, UnixMillis(number)).is_ok());
            limits.admit(&mallory, UnixMillis(number)).unwrap();
            if number % 2 == 0 {
                limits.succeeded(&mallory);
            } else {
                limits.forgive(&mallory);
            }
        }
        assert_eq!(looked_at, 50);
    }

    #[test]
    fn a_password_that_is_right_leaves_the_waits_of_others_as_they_were() {
        let limits = Limits::default();
        for number in 0..30 {
            let _ = limits.admit(&attempt("wang", &format!("source {number}")), UnixMillis(0));
        }
        let mine = Attempt {
            is_known_source: true,
            ..attempt("wang", "desk")
        };
        limits.admit(&mine, UnixMillis(1)).unwrap();
        limits.forgive(&mine);
        assert_eq!(limits.admit(&attempt("wang", "new"), UnixMillis(2)), Err(29_998));
    }

    #[test]
    fn the_counts_are_bounded_and_those_of_accounts_stay() {
        let limits = Limits::default();
        limits.admit(&attempt("wang", "first"), UnixMillis(0)).unwrap();
        for number in 1..i64::try_from(ROWS_MAX + 50).unwrap() {
            let stranger = Attempt {
                is_account: false,
                ..attempt(&format!("name {number}"), &format!("source {number}"))
            };
            limits.admit(&stranger, UnixMillis(number)).unwrap();
        }
        limits.counts(|counts| {
            assert_eq!(
                [counts.attempts.len(), counts.sources.len(), counts.accounts.len()],
                [ROWS_MAX; 3]
            );
        });
        assert_eq!(limits.failures(&hash("wang")), 1);
    }

    #[test]
    fn a_clock_that_was_set_back_lengthens_no_wait() {
        let limits = Limits::default();
        let wang = attempt("wang", "10.0.0.1");
        for _ in 0..6 {
            let _ = limits.admit(&wang, UnixMillis(1_000_000_000));
        }
        let wait = limits.admit(&wang, UnixMillis(0)).unwrap_err();
        assert!(wait <= 4_000, "{wait}");
    }
}
