//! The promises of the product, proved from outside: the real binary against `antiphon sim`, judged by the provider's
//! books.
//!
//! The short form runs with every test run. The long one is a matter of the environment:
//! - `ANTIPHON_KILLS=50`: kills in each crash proof
//! - `ANTIPHON_ROWS=5000`: rows of each crash proof
//! - `ANTIPHON_FLIPS=1000`: flipped bits in the damage proof
//! - `ANTIPHON_WRITES=10000`: failing writes in each proof of them, at most all there are
//! - `ANTIPHON_SEED=random`: draws anew; each proof that draws prints its seed, and `ANTIPHON_SEED=n` repeats it

#![allow(clippy::print_stdout, reason = "each proof tells its figures")]
#![allow(
    clippy::disallowed_methods,
    reason = "an outage of real processes takes real time"
)]

mod budget;
mod callers;
mod clock;
mod crash;
mod damage;
mod disk;
mod edits;
mod failpoint;
mod inputs;
mod interrupt;
mod jobs;
mod limits;
mod lock;
mod map_reduce;
mod outage;
mod reasks;
mod rejected;
mod resume;
mod samples;
mod secrets;
mod wrong_key;

use antiphon_testkit::Sandbox;

/// A sandbox for the binary under test.
fn sandbox() -> Sandbox {
    Sandbox::new(env!("CARGO_BIN_EXE_antiphon"))
}
