//! Versions of apps, as requests name them and stations ask for them. Knows nothing of what a version can do.

/// A version: `major.minor.patch`, later numbers 0 where they are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct AppVersion([u32; 3]);

impl AppVersion {
    /// Reads `0.4.2`, `0.4`, `beatbook/0.4.2`, `0.4.2-beta`: what stands before the last `/` and after the numbers counts for nothing.
    /// None where no number leads.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.rsplit('/').next().unwrap_or_default();
        let numbers = text.split(['-', '+', ' ']).next().unwrap_or_default();
        let mut version = [0; 3];
        let mut parts = numbers.split('.');
        for place in &mut version {
            match parts.next() {
                Some(part) => *place = part.parse().ok()?,
                None => break,
            }
        }
        parts.next().is_none().then_some(Self(version))
    }
}

impl std::fmt::Display for AppVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [major, minor, patch] = self.0;
        write!(f, "{major}.{minor}.{patch}")
    }
}

#[cfg(test)]
mod tests {
    use super::AppVersion;

    #[test]
    fn versions_compare_by_number_and_not_by_letter() {
        let version = |text| AppVersion::parse(text).unwrap_or_else(|| panic!("{text}"));
        assert!(version("beatbook/0.10.0") > version("0.9.7"));
        assert!(version("1") > version("0.99.99") && version("1.0") == version("app/1.0.0-rc1"));
        assert_eq!(version("a/b/2.3").to_string(), "2.3.0");
        for text in ["", "beatbook", "1.x", "1.2.3.4", "-1", "1..2"] {
            assert_eq!(AppVersion::parse(text), None, "{text}");
        }
    }
}
