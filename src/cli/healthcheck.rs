//! `onepool healthcheck`: for containers, whose images have no curl.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use super::Failure;
use crate::{app, config::Config, i18n::cli::Cli};

const PATIENCE: Duration = Duration::from_secs(3);

/// Asks `/healthz` on the configured port.
pub fn run(config: &Config, t: Cli) -> Result<(), Failure> {
    let mut address = config.listen;
    if address.port() == 0 {
        return Err(Failure::Text(t.no_fixed_port().to_owned()));
    }
    if address.ip().is_unspecified() {
        address.set_ip(app::loopback_of(address));
    }
    let unhealthy = |problem: &str| Failure::Text(t.not_healthy(&address.to_string(), problem));
    let status = ask(address).map_err(|error| unhealthy(&error.to_string()))?;
    if status.split(' ').nth(1) == Some("200") { Ok(()) } else { Err(unhealthy(&status)) }
}

/// The status line of `GET /healthz`.
fn ask(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(stream, "GET /healthz HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(4096).read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    Ok(answer.lines().next().unwrap_or_default().to_owned())
}
