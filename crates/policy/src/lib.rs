//! Judges facts: which modules may be used, which addresses may be dialled.
//!
//! The room is pure: it has no clock, no file and no socket. Three questions are answered here:
//!
//! * [`Private::find`]: is this a name that must never be asked of anyone public?
//! * [`Policy::judge`]: may this module version be used? The answer is a [`Pass`], which
//!   publication demands, or a [`Denial`] with a text for the person at the `go` command.
//! * [`address::judge`]: may this network address be dialled, and on whose word?
//!
//! [`Facts`] is what larder knows of a version and all that a rule may look at.

pub mod address;
mod facts;
mod private;
mod rules;

pub use facts::{Drift, Error, Facts, FileFacts, MAX_FACTS_BYTES, Verification};
pub use private::{Private, PrivateMatch};
pub use rules::{Config, Denial, DenyRule, MAX_DENIAL_BYTES, Pass, Policy, Rule, Subject};
