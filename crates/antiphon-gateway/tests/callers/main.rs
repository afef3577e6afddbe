//! Callers of the gateway: who is let in, what they may ask, how often, and for how much.

mod budgets;
mod limits;
mod roles;
mod support;
