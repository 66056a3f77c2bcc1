//! The program: parses the command line and runs it.

/// Calls take and free some hundred small pieces of memory each, and thousands run side by side: the system's allocators
/// cost up to a quarter more CPU per call than this one (see ARCHITECTURE.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    onepool::cli::main()
}
