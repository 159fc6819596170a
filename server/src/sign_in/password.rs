//! Passwords: what may be one (NIST SP 800-63B-4, 3.1.1), how it is hashed (argon2id), and how many are hashed at once. Refuses to know whose
//! they are and where hashes are kept.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use icu_normalizer::ComposingNormalizerBorrowed;
use zeroize::Zeroizing;

use super::SignInError;
use super::blocklist::{Blocklist, Words};
use crate::environment::Environment;
use crate::error::StationError;
use crate::registry::tokens::random;

/// Characters of a password that is all that a person shows.
pub(crate) const CHARS_MIN_ALONE: usize = 15;
/// Characters of a password beside which a second factor is asked for.
pub(crate) const CHARS_MIN_WITH_FACTOR: usize = 8;
/// Characters at most: long enough for a sentence, and a bound on what is hashed.
pub(crate) const CHARS_MAX: usize = 256;
/// One character may become eighteen by normalisation (U+FDFA).
const CHARS_NORMAL_MAX: usize = CHARS_MAX * 18;

/// OWASP's first choice for argon2id: 19 MiB, two passes, one lane. At most `AT_WORK_MAX` at once.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// How hashes of these begin; others are made again when their password is shown.
const PRESENT_FORM: &str = "$argon2id$v=19$m=19456,t=2,p=1$";
/// A hash of nobody's password: what is shown for a name that is none is hashed against it, for the same work.
const NOBODYS: &str = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Hashings at once: each takes a core for some 30 ms and 19 MiB.
const AT_WORK_MAX: usize = 2;
/// Calls that wait for that; more would take the places of phones and of people who are signed in.
const WAITING_MAX: usize = 6;
/// The same for who is known here: a flood of strangers does not crowd him out.
const WAITING_KNOWN_MAX: usize = 12;

/// A password as somebody typed it, normalised: the same keys give the same bytes on every system.
pub(crate) struct Password {
    text: Zeroizing<String>,
    chars: usize,
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(..)")
    }
}

/// Why a password was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordFault {
    /// Too short.
    #[error("it is too short: take at least {0} characters; a few words in a row are easy to keep in mind")]
    Short(usize),
    /// Too long.
    #[error("it is too long: take at most {CHARS_MAX} characters")]
    Long,
    /// One that is tried first.
    #[error(
        "it is among those that are tried first: common, a run or repetition, a date or number of a person, or made of the station's or your own name"
    )]
    Common,
}

impl Password {
    /// Takes what was typed: any characters, none of them required.
    pub(crate) fn typed(text: &str) -> Result<Self, PasswordFault> {
        if text.chars().take(CHARS_MAX + 1).count() > CHARS_MAX {
            return Err(PasswordFault::Long);
        }
        let text = Zeroizing::new(normal(text));
        let chars = text.chars().count();
        if chars > CHARS_NORMAL_MAX {
            return Err(PasswordFault::Long);
        }
        Ok(Self { text, chars })
    }

    /// Whether it may become somebody's password.
    pub(crate) fn check(&self, chars_min: usize, words: &Words<'_>, blocklist: &Blocklist) -> Result<(), PasswordFault> {
        if self.chars < chars_min {
            return Err(PasswordFault::Short(chars_min));
        }
        if blocklist.holds(&self.text, words) {
            return Err(PasswordFault::Common);
        }
        Ok(())
    }

    /// Whether it is long enough to stand alone.
    pub(crate) const fn is_long(&self) -> bool {
        self.chars >= CHARS_MIN_ALONE
    }
}

/// A text in the form NFKC, which NIST names for passwords and which makes one name of full-width and plain letters.
pub(crate) fn normal(text: &str) -> String {
    ComposingNormalizerBorrowed::new_nfkc().normalize(text).into_owned()
}

/// Where passwords are hashed: few at once, and a bounded number waiting.
#[derive(Debug, Default)]
pub(crate) struct Hashing {
    places: Mutex<Places>,
    freed: Condvar,
    runs: AtomicU64,
}

#[derive(Debug, Default)]
struct Places {
    at_work: usize,
    waiting: usize,
}

impl Hashing {
    /// A hash to keep, with a salt of its own.
    pub(crate) fn hash(&self, env: &Environment, password: &Password) -> Result<Zeroizing<String>, SignInError> {
        let salt = random::<16>(env)?;
        let hash = self.in_turn(true, || {
            argon2()?
                .hash_password_with_salt(password.text.as_bytes(), &salt)
                .map_err(faulty)
        })?;
        Ok(Zeroizing::new(hash?.to_string()))
    }

    /// Whether the password is the one of the hash. Without a hash it is not, after the same work.
    pub(crate) fn verify(&self, is_known: bool, password: &Password, hash: Option<&str>) -> Result<bool, SignInError> {
        let parsed = PasswordHash::new(hash.unwrap_or(NOBODYS)).map_err(faulty)?;
        let argon2 = argon2()?;
        // The hash says by which figures it was made.
        let is_right = self.in_turn(is_known, || argon2.verify_password(password.text.as_bytes(), &parsed).is_ok())?;
        Ok(is_right && hash.is_some())
    }

    /// How often argon2 ran.
    pub(crate) fn runs(&self) -> u64 {
        self.runs.load(Ordering::Relaxed)
    }

    fn in_turn<T>(&self, is_known: bool, work: impl FnOnce() -> T) -> Result<T, SignInError> {
        let _place = self.place(is_known)?;
        self.runs.fetch_add(1, Ordering::Relaxed);
        Ok(work())
    }

    fn place(&self, is_known: bool) -> Result<Place<'_>, SignInError> {
        let most = if is_known { WAITING_KNOWN_MAX } else { WAITING_MAX };
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        if places.at_work >= AT_WORK_MAX && places.waiting >= most {
            return Err(SignInError::Busy);
        }
        places.waiting += 1;
        while places.at_work >= AT_WORK_MAX {
            places = self.freed.wait(places).unwrap_or_else(PoisonError::into_inner);
        }
        places.waiting -= 1;
        places.at_work += 1;
        Ok(Place(self))
    }
}

/// A place at work, until it is dropped.
struct Place<'h>(&'h Hashing);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.places.lock().unwrap_or_else(PoisonError::into_inner).at_work -= 1;
        self.0.freed.notify_one();
    }
}

/// Whether a hash was made by other figures than today's.
pub(crate) fn is_outdated(hash: &str) -> bool {
    !hash.starts_with(PRESENT_FORM)
}

fn argon2() -> Result<Argon2<'static>, StationError> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(faulty)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn faulty(fault: impl std::fmt::Display) -> StationError {
    StationError::Damaged(format!("a password could not be hashed: {fault}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    fn typed(text: &str) -> Password {
        Password::typed(text).unwrap()
    }

    #[test]
    fn a_password_is_known_again_however_its_letters_were_typed_and_nothing_else_is() {
        let hashing = Hashing::default();
        let env = Environment::system();
        // é as one character and as two, and full-width letters.
        let hash = hashing.hash(&env, &typed("caf\u{e9} ＡＢＣ 夜班巡逻")).unwrap();
        assert!(!is_outdated(&hash), "{}", hash.as_str());
        assert!(
            hashing
                .verify(false, &typed("cafe\u{301} ABC 夜班巡逻"), Some(&hash))
                .unwrap()
        );
        for wrong in ["cafe ABC 夜班巡逻", "caf\u{e9} abc 夜班巡逻", "", "caf\u{e9} ABC 夜班巡逻 "] {
            assert!(!hashing.verify(false, &typed(wrong), Some(&hash)).unwrap(), "{wrong}");
        }
        assert_ne!(hash, hashing.hash(&env, &typed("caf\u{e9} ABC 夜班巡逻")).unwrap(), "salted");
    }

    #[test]
    fn a_name_that_is_none_costs_the_same_work_and_opens_nothing() {
        let hashing = Hashing::default();
        let before = hashing.runs();
        for text in ["", "anything at all", "\0"] {
            assert!(!hashing.verify(false, &typed(text), None).unwrap());
        }
        assert_eq!(hashing.runs() - before, 3);
        assert!(!is_outdated(NOBODYS));
        assert!(is_outdated("$argon2id$v=19$m=4096,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAA"));
    }

    #[test]
    fn lengths_are_counted_in_characters_and_bounded() {
        let none = Blocklist::default();
        let words = Words::default();
        for (text, min, outcome) in [
            ("雨夜巡山不归路".to_owned(), 8, Err(PasswordFault::Short(8))),
            ("雨夜巡山不归路啊".to_owned(), 8, Ok(())),
            ("x7 blue kettles".to_owned(), 15, Ok(())),
            ("x7 blue kettle".to_owned(), 15, Err(PasswordFault::Short(15))),
            ("巡".repeat(3) + &"kettle moon ".repeat(21), 15, Ok(())),
        ] {
            assert_eq!(typed(&text).check(min, &words, &none), outcome, "{text}");
        }
        assert_eq!(Password::typed(&"é".repeat(CHARS_MAX + 1)).unwrap_err(), PasswordFault::Long);
        assert!(Password::typed(&"\u{fdfa}".repeat(CHARS_MAX)).is_ok());
    }

    #[test]
    fn beyond_the_places_a_call_is_told_to_try_later_and_who_is_known_still_waits() {
        let hashing = Hashing::default();
        let (release, released) = mpsc::channel::<()>();
        let released = Mutex::new(released);
        std::thread::scope(|scope| {
            for _ in 0..AT_WORK_MAX + WAITING_MAX {
                scope.spawn(|| {
                    hashing.in_turn(false, || released.lock().unwrap().recv().unwrap()).unwrap();
                });
            }
            let is_full = || {
                let places = hashing.places.lock().unwrap();
                places.at_work == AT_WORK_MAX && places.waiting == WAITING_MAX
            };
            while !is_full() {
                std::thread::yield_now();
            }
            assert!(matches!(hashing.in_turn(false, || ()), Err(SignInError::Busy)));
            let known = scope.spawn(|| hashing.in_turn(true, || ()).is_ok());
            for _ in 0..AT_WORK_MAX + WAITING_MAX {
                release.send(()).unwrap();
            }
            assert!(known.join().unwrap());
        });
        assert!(hashing.in_turn(false, || ()).is_ok());
    }
}
