//! The binary: everything is in the library.

use std::process::ExitCode;

/// Most of what a proxied request allocates is larger than what glibc keeps at hand for each thread.
#[cfg(target_arch = "x86_64")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    lamplighter::cli::main()
}
