//! The second factor: codes by time (RFC 6238: SHA-1, six digits, 30 seconds, one step of drift) and recovery codes. Says whether a code is
//! right and of which step; that no step counts twice is its caller's to hold. Refuses to know passwords.

use serde::Serialize;
use totp_rs::{Algorithm, Builder, Secret, Totp};
use zeroize::Zeroizing;

use crate::environment::Environment;
use crate::error::StationError;
use crate::qr;
use crate::registry::tokens::random;
use crate::seal::ColumnSeal;

/// The column of which secrets are sealed.
const COLUMN: &str = "totp";
/// 160 bits, as RFC 4226 (section 4, R6) recommends.
const SECRET_BYTES: usize = 20;
const DIGITS: u8 = 6;
const STEP_SECONDS: u64 = 30;
const DRIFT_STEPS: u16 = 1;
/// Recovery codes at once.
pub(crate) const RECOVERY_CODES: usize = 10;
/// What stands in an authenticator's list.
const ISSUER: &str = "Beatbook";

/// A secret of codes by time.
pub(crate) struct FactorSecret(Zeroizing<Vec<u8>>);

impl std::fmt::Debug for FactorSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FactorSecret(..)")
    }
}

/// A second factor to be taken into an authenticator; shown once.
#[derive(Clone, Serialize, utoipa::ToSchema)]
pub struct FactorOffer {
    /// The secret in base 32, for who cannot scan.
    pub secret: String,
    /// The same as an `otpauth` address.
    pub otpauth: String,
    /// The same as a QR code, SVG.
    pub qr_svg: String,
}

impl std::fmt::Debug for FactorOffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FactorOffer(..)")
    }
}

impl FactorSecret {
    /// Draws one.
    pub(crate) fn draw(env: &Environment) -> Result<Self, StationError> {
        Ok(Self(Zeroizing::new(random::<SECRET_BYTES>(env)?.to_vec())))
    }

    /// Opens one that was kept.
    pub(crate) fn open(seal: &ColumnSeal, whose: &[u8], sealed: &[u8]) -> Result<Self, StationError> {
        Ok(Self(seal.open(COLUMN, whose, sealed)?))
    }

    /// Seals it, to be kept.
    pub(crate) fn seal(&self, seal: &ColumnSeal, env: &Environment, whose: &[u8]) -> Result<Vec<u8>, StationError> {
        seal.seal(env, COLUMN, whose, &self.0)
    }

    /// What the person takes into his authenticator.
    pub(crate) fn offer(&self, account: &str, station: &str) -> Result<FactorOffer, StationError> {
        // A colon parts issuer and account in that address.
        let account = format!("{account} ({station})").replace(':', " ");
        let totp = self.totp(&account)?;
        let otpauth = totp.to_url().map_err(faulty)?;
        Ok(FactorOffer {
            secret: totp.secret().to_base32(),
            qr_svg: qr::as_svg(&otpauth)?,
            otpauth,
        })
    }

    /// The step of which the code is; none when it is wrong. Spaces in it do not count.
    pub(crate) fn step_of(&self, code: &str, now_ms: i64) -> Result<Option<u64>, StationError> {
        let code: String = code
            .chars()
            .filter(|c| !c.is_whitespace())
            .take(usize::from(DIGITS) + 1)
            .collect();
        let seconds = u64::try_from(now_ms / 1000).unwrap_or(0);
        Ok(self.totp("")?.check(&code, seconds))
    }

    /// The code of a moment, as an authenticator shows it.
    #[cfg(test)]
    pub(crate) fn code(&self, now_ms: i64) -> String {
        self.totp("")
            .unwrap()
            .generate(u64::try_from(now_ms / 1000).unwrap())
            .to_string()
    }

    fn totp(&self, account: &str) -> Result<Totp, StationError> {
        Builder::new()
            .with_algorithm(Algorithm::SHA1)
            .with_digits(DIGITS)
            .with_skew(DRIFT_STEPS)
            .with_step_duration(STEP_SECONDS)
            .with_secret(Secret::new(self.0.to_vec().into_boxed_slice()))
            .with_account_name(account)
            .with_issuer(Some(ISSUER))
            .build()
            .map_err(faulty)
    }
}

/// The code of an offer, as an authenticator that took it shows it.
#[cfg(test)]
pub(crate) fn code_of(offer: &FactorOffer, now_ms: i64) -> String {
    FactorSecret(Zeroizing::new(secret_of(offer))).code(now_ms)
}

/// The bytes of an offer's secret, as they are kept under a seal.
#[cfg(test)]
pub(crate) fn secret_of(offer: &FactorOffer) -> Vec<u8> {
    Secret::try_from_base32(&offer.secret).unwrap().as_bytes().to_vec()
}

/// Whether a code is a recovery code by its form: a code by time has digits alone, and six of them.
pub(crate) fn is_recovery(code: &str) -> bool {
    code.chars().filter(char::is_ascii_alphanumeric).count() > usize::from(DIGITS)
}

fn faulty(fault: impl std::fmt::Display) -> StationError {
    StationError::Damaged(format!("a second factor could not be used: {fault}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_are_those_of_the_standard() {
        // RFC 6238, appendix B, SHA-1; of its eight digits the last six.
        let secret = FactorSecret(Zeroizing::new(b"12345678901234567890".to_vec()));
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
        ] {
            assert_eq!(secret.code(seconds * 1000), code);
            let step = u64::try_from(seconds).unwrap() / 30;
            assert_eq!(secret.step_of(code, seconds * 1000).unwrap(), Some(step));
            assert_eq!(
                secret
                    .step_of(&format!(" {} {} ", &code[..3], &code[3..]), seconds * 1000)
                    .unwrap(),
                Some(step)
            );
            for (later, is_right) in [(-30, true), (30, true), (60, false), (90, false)] {
                assert_eq!(
                    secret.step_of(code, (seconds + later) * 1000).unwrap().is_some(),
                    is_right,
                    "{later}"
                );
            }
        }
        for wrong in ["", "28708", "2870822", "２８７０８２", "+87082", "-87082", "287082\0"] {
            assert_eq!(secret.step_of(wrong, 59_000).unwrap(), None, "{wrong}");
        }
    }

    #[test]
    fn an_offer_is_an_address_and_a_picture_of_it() {
        let secret = FactorSecret(Zeroizing::new(b"12345678901234567890".to_vec()));
        let offer = secret.offer("wang:1", "朝阳派出所").unwrap();
        assert_eq!(offer.secret, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        assert!(
            offer.otpauth.starts_with("otpauth://totp/Beatbook:wang%201%20"),
            "{}",
            offer.otpauth
        );
        assert!(offer.otpauth.contains(&format!("secret={}", offer.secret)) && offer.otpauth.contains("issuer=Beatbook"));
        assert!(offer.qr_svg.contains("<svg"));
        assert_eq!(format!("{offer:?}{secret:?}"), "FactorOffer(..)FactorSecret(..)");
    }

    #[test]
    fn a_secret_opens_for_its_owner_alone() {
        let env = Environment::system();
        let seal = ColumnSeal::new([3; 32]);
        let secret = FactorSecret::draw(&env).unwrap();
        let sealed = secret.seal(&seal, &env, b"wang").unwrap();
        assert_eq!(FactorSecret::open(&seal, b"wang", &sealed).unwrap().code(0), secret.code(0));
        assert!(FactorSecret::open(&seal, b"li", &sealed).is_err());
    }

    #[test]
    fn the_two_sorts_of_codes_are_told_apart() {
        assert!(is_recovery("ABCD-2345-EFGH-6789-JKMN-PQRS"));
        for code in ["123456", "123 456", "", "12345"] {
            assert!(!is_recovery(code), "{code}");
        }
    }
}
