//! What is known of models and the places where they run, as data.

pub mod energy;
pub mod zones;
