//! larder: a private Go module proxy.

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
