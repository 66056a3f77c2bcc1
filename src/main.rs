//! The program: parses the command line and runs it.

/// Gives freed memory back and does not fragment under many small buffers, as the system's allocators do.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    onepool::cli::main()
}
