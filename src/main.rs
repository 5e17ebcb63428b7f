//! Arguments, logging and exit codes; nothing else.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use tidegate::cli::{self, Arguments};

/// Overrides C's malloc as well, so librdkafka allocates from it, too: with glibc's, memory that a
/// backlog has fragmented is never given back.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    cli::run(Arguments::parse())
}
