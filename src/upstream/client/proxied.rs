//! Connections to upstreams through an HTTP or SOCKS proxy of the operator, by `reqwest`, which speaks both.

use std::time::Duration;

use super::{POOL_IDLE, POOL_IDLE_CONNECTIONS, Phase, SendError, TCP_KEEPALIVE};

/// `socks5` resolves names here, where the rule on private addresses could not tell the proxy's name from the
/// upstream's; `socks5h` leaves that to the proxy, as HTTP proxies do.
pub(super) fn remote_names(proxy: &str) -> String {
    proxy.strip_prefix("socks5://").map_or_else(|| proxy.to_owned(), |rest| format!("socks5h://{rest}"))
}

/// A client that sends everything through a proxy. The proxy is the operator's own choice, so it may be on a private
/// address; the upstream's name is the proxy's to resolve.
pub(super) fn build(proxy: &str, connect: Duration) -> Result<reqwest::Client, SendError> {
    let proxy = reqwest::Proxy::all(proxy)
        .map_err(|_| SendError::Misconfigured("the channel's proxy is not an address"))?;
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .connect_timeout(connect)
        .pool_idle_timeout(POOL_IDLE)
        .pool_max_idle_per_host(POOL_IDLE_CONNECTIONS)
        .tcp_keepalive(TCP_KEEPALIVE)
        .no_proxy()
        .proxy(proxy)
        .build()
        .map_err(|_| super::NO_AUTHORITIES)
}

/// What went wrong, in our own words.
pub(super) fn describe(error: &reqwest::Error) -> SendError {
    match () {
        () if error.is_connect() && error.is_timeout() => SendError::ConnectTimeout,
        () if error.is_connect() => super::describe(error, Phase::Connecting),
        () if error.is_body() || error.is_decode() => super::describe(error, Phase::Body),
        () => super::describe(error, Phase::Head),
    }
}
