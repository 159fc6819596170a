//! Where a call comes from: the address of its connection, or what a proxy says that the configuration names. Decides nothing.

use std::net::{IpAddr, SocketAddr};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap};

use super::app::{App, Shared};
use super::fault::Fault;
use crate::config::Network;
use crate::station::Source;

/// The other end of a connection; the listener puts it into every request.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

impl FromRequestParts<Shared> for Source {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, Fault> {
        Ok(address_of(app, &parts.extensions, &parts.headers).map_or_else(Self::default, Self::of))
    }
}

/// The address that a request with these extensions and headers comes from, where there is one.
pub(super) fn address_of(app: &App, extensions: &Extensions, headers: &HeaderMap) -> Option<IpAddr> {
    let peer = extensions.get::<Peer>()?.0.ip();
    Some(client(peer, headers, app.proxies()))
}

/// The nearest address that is no trusted proxy's. What stands further to the left anybody may have written.
fn client(peer: IpAddr, headers: &HeaderMap, proxies: &[Network]) -> IpAddr {
    let is_proxy = |address: &IpAddr| proxies.iter().any(|network| network.holds(*address));
    if !is_proxy(&peer) {
        return peer;
    }
    let said = headers
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|value| value.to_str().ok());
    let said: Vec<&str> = said.flat_map(|value| value.split(',')).map(str::trim).collect();
    let mut nearest = peer;
    for text in said.into_iter().rev() {
        // What is no address was not written by a proxy that is trusted.
        let Some(address) = address(text) else { break };
        nearest = address;
        if !is_proxy(&address) {
            break;
        }
    }
    nearest
}

/// An address, with or without a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    bare.parse()
        .ok()
        .or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_trusted_proxy_says_where_a_call_comes_from_and_only_of_its_own_neighbour() {
        let proxies: Vec<Network> = ["10.0.0.0/24", "127.0.0.1"]
            .iter()
            .filter_map(|text| Network::parse(text))
            .collect();
        let from = |peer: &str, said: &[&str]| {
            let mut headers = HeaderMap::new();
            for line in said {
                headers.append("x-forwarded-for", line.parse().unwrap());
            }
            client(peer.parse().unwrap(), &headers, &proxies).to_string()
        };
        assert_eq!(from("192.0.2.1", &["198.51.100.7"]), "192.0.2.1", "no proxy");
        assert_eq!(from("10.0.0.9", &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(
            from("10.0.0.9", &["1.2.3.4, 198.51.100.7"]),
            "198.51.100.7",
            "the left is anybody's word"
        );
        assert_eq!(from("10.0.0.9", &["1.2.3.4", "198.51.100.7, 10.0.0.3"]), "198.51.100.7");
        assert_eq!(from("127.0.0.1", &["[2001:db8::1]:4711"]), "2001:db8::1");
        assert_eq!(from("127.0.0.1", &["198.51.100.7:1"]), "198.51.100.7");
        for nothing in [&[][..], &["unknown"], &["1.2.3.4, <script>"]] {
            assert_eq!(from("10.0.0.9", nothing), "10.0.0.9");
        }
    }
}
