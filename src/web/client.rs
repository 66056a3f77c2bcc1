//! Who is at the other end of a connection.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::extract::Request;

use crate::config::Config;

/// The address of the socket's other end; the accept loop puts it into each request's extensions.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// The client's address, and whether it speaks HTTPS, as far as we may believe it.
#[derive(Debug, Clone, Copy)]
pub struct ClientAddress {
    /// The address.
    pub ip: IpAddr,
    /// Whether the client's connection (to us or to a trusted proxy) is encrypted.
    pub https: bool,
}

impl ClientAddress {
    /// The socket's address; or, if that is a trusted proxy, the rightmost address of `X-Forwarded-For` that is not one.
    pub fn of(request: &Request, config: &Config) -> Self {
        let peer = request
            .extensions()
            .get::<Peer>()
            .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip().to_canonical());
        if !config.trusts(peer) {
            return Self { ip: peer, https: false };
        }
        let forwarded: Vec<&str> = request
            .headers()
            .get_all("x-forwarded-for")
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(str::trim)
            .collect();
        let mut ip = peer;
        for hop in forwarded.into_iter().rev() {
            // What stands left of something unreadable is not believed either.
            let Ok(address) = hop.parse::<IpAddr>() else { break };
            ip = address.to_canonical();
            if !config.trusts(ip) {
                break;
            }
        }
        let https = request
            .headers()
            .get("x-forwarded-proto")
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"https"));
        Self { ip, https }
    }
}
