//! The edge of the gateway, tested with bytes on real sockets: what callers can do wrong, and what then happens.

mod bodies;
mod bounds;
mod drain;
mod panics;
mod rig;
mod slow;
mod smuggling;
mod targets;
mod tls;
