//! What commands print for people: never through macros that panic on a closed pipe.

use std::io::{self, Write as _};

/// Prints a line on standard output. A reader that went away (`| head`) is no failure.
pub fn out(text: &str) {
    let _ = writeln!(io::stdout().lock(), "{text}");
}

/// Prints a line on standard output that must not be lost.
///
/// # Errors
/// It could not be written: the disk behind it is full, its reader went away.
pub fn try_out(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}

/// Prints a line on standard error.
pub fn err(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}
