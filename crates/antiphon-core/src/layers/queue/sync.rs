//! The lock of the [`gate`](super::gate), by a name that its model check gives to another.

pub(super) use std::sync::Mutex;
