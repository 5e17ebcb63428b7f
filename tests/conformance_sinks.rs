//! The same cases over every database, through the library's public API, against the real servers, read back by each
//! database's own queries. `make conformance` runs them with servers that are started once; without those, each test
//! starts its own.
//!
//! A test is `<case>_on_<row>`. A new database is a row in `conformance/rows.rs` and `conformance/database`, a new case
//! a line in `conformance/table.rs`. A case that has no meaning for a row is skipped, and the reason stands in
//! docs/sinks.md.

mod conformance;
mod stack;

fn main() -> std::process::ExitCode {
    conformance::run::all()
}
