//! `onepool healthcheck`: for containers, whose images have no curl.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use clap::Command;

use super::{
    Failure,
    command::{Entry, port_flags, verb},
    invocation::Invocation,
};
use crate::{app, i18n::Messages};

const PATIENCE: Duration = Duration::from_secs(3);

/// `onepool healthcheck`.
pub const ENTRY: Entry = Entry { name: "healthcheck", command, run };

fn command(m: Messages) -> Command {
    let examples = &["onepool healthcheck", "onepool healthcheck --port 8080"];
    verb(ENTRY.name, m.cli.about_healthcheck(), examples, m).args(port_flags(m))
}

/// Asks `/healthz` on the configured port.
fn run(call: &Invocation) -> Result<(), Failure> {
    let t = call.m.cli;
    let mut address = call.config()?.listen;
    if address.port() == 0 {
        return Err(Failure::Text(t.no_fixed_port().to_owned()));
    }
    if address.ip().is_unspecified() {
        address.set_ip(app::loopback_of(address));
    }
    let unhealthy = |problem: &str| Failure::Text(t.not_healthy(&address.to_string(), problem));
    let status = status_of(address).map_err(|error| unhealthy(&error.to_string()))?;
    if status.split(' ').nth(1) == Some("200") { Ok(()) } else { Err(unhealthy(&status)) }
}

/// The status line of `GET /healthz`.
pub fn status_of(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(stream, "GET /healthz HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(4096).read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    Ok(answer.lines().next().unwrap_or_default().to_owned())
}
