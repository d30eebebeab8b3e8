//! Time, sizes, byte ranges and durations: parsed, printed, compared.
//!
//! Nothing here reads a clock: a moment comes in as an argument (`now: Timestamp`), and every
//! operation saturates or refuses instead of panicking, whatever the input.

mod calendar;
mod range;
mod size;
mod span;
mod text;
mod time;

pub use crate::range::{ByteRange, RangeRequest};
pub use crate::size::ByteSize;
pub use crate::span::Span;
pub use crate::time::Timestamp;

/// Says which kind of text was expected where something else stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text is no RFC 3339 time.
    #[error("expected an RFC 3339 time such as 2006-01-02T15:04:05Z")]
    Rfc3339,
    /// The text is none of the three forms of an HTTP date.
    #[error("expected an HTTP date such as Sun, 06 Nov 1994 08:49:37 GMT")]
    HttpDate,
    /// The time is well-formed, but outside the years 1677 to 2262 that a [`Timestamp`] holds.
    #[error("time lies outside the years 1677 to 2262")]
    OutOfRange,
    /// The text is no size with a unit, or the size does not fit 64 bits.
    #[error("expected a size with a unit such as 512MiB or 10MB, or 0")]
    Size,
    /// The text is no duration with units, or the duration is too long.
    #[error("expected a duration with units such as 30s, 10m or 1h30m")]
    Span,
}
