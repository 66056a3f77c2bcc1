//! Looks names of upstreams up, to tell whether and how fast this machine can.

use std::{net::IpAddr, time::Duration};

use tokio::time::Instant;

/// How long a look-up may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// What came of a look-up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The addresses; what the system says if there are none, or `None` if it took longer than five seconds.
    pub addresses: Result<Vec<IpAddr>, Option<String>>,
    /// How long it took.
    pub took: Duration,
}

/// Asks this machine for the addresses of a name; an address stands for itself.
pub async fn resolve(host: &str) -> Resolved {
    let began = Instant::now();
    // URLs have IPv6 addresses in brackets.
    let name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let found = tokio::time::timeout(PATIENCE, tokio::net::lookup_host((name, 0))).await;
    let addresses = match found {
        Err(_) => Err(None),
        Ok(Err(error)) => Err(Some(error.to_string())),
        Ok(Ok(found)) => {
            let mut addresses: Vec<IpAddr> = found.map(|address| address.ip()).collect();
            addresses.sort_unstable();
            addresses.dedup();
            Ok(addresses)
        }
    };
    Resolved { addresses, took: began.elapsed() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_and_an_address_are_resolved() {
        let found = resolve("localhost").await.addresses.unwrap();
        assert!(!found.is_empty() && found.iter().all(IpAddr::is_loopback), "{found:?}");
        assert_eq!(resolve("[::1]").await.addresses, Ok(vec!["::1".parse().unwrap()]));
    }
}
