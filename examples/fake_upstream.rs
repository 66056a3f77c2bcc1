//! The tests' fake upstream as a process of its own, for browser, SDK and load tests.
//!
//! `cargo run --example fake_upstream -- [ADDRESS] [THREADS]` listens on the address (default `127.0.0.1:0`), prints
//! `fake upstream on http://127.0.0.1:PORT`, and runs until its standard input ends or it is killed. `POST /_fake/...`
//! steers it: see `tests/it/support/upstream/control.rs`.

#[allow(dead_code, unused_imports, reason = "the tests use more of it")]
#[path = "../tests/it/support/upstream/mod.rs"]
mod upstream;

use std::io::Read;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:0".to_owned()).parse()?;
    let threads = arguments.next().map_or(Ok(1), |threads| threads.parse())?;
    let upstream = upstream::Upstream::start_on(address, threads)?;
    println!("fake upstream on http://{}", upstream.address());
    // The end of the parent closes the pipe, so no process stays behind.
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
