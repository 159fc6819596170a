//! Where an attempt comes from, as far as it is counted: one IPv4 address, or the network of an IPv6 address that one subscriber has (64 bits).

use std::fmt;
use std::net::IpAddr;

use beatbook_protocol::id::Hash;

/// An address, or none where a call has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Source(Option<IpAddr>);

impl Source {
    /// The address of a connection, or the one that a trusted proxy names.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        Self(Some(address.to_canonical()))
    }

    /// The address; none where a call has none.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        self.0
    }

    /// By what it is counted.
    pub(crate) fn key(&self) -> Hash {
        let network = match self.0 {
            Some(IpAddr::V4(address)) => address.octets().to_vec(),
            Some(IpAddr::V6(address)) => address.octets().get(..8).unwrap_or_default().to_vec(),
            None => Vec::new(),
        };
        Hash::of(&[b"beatbook/source/1\0", &network])
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(address) => address.fmt(f),
            None => f.write_str("this machine"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_subscriber_is_one_source() {
        let key = |text: &str| Source::of(text.parse().unwrap()).key();
        assert_eq!(key("2001:db8:1:2::1"), key("2001:db8:1:2:ffff::9"));
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
        assert_eq!(key("10.0.0.1"), key("::ffff:10.0.0.1"));
        assert_ne!(key("10.0.0.1"), key("10.0.0.2"));
        assert_ne!(key("10.0.0.1"), Source::default().key());
    }
}
