//! What is known of models and the places where they run, as data.

pub mod data_centres;
pub mod energy;
pub mod estimate;
pub mod zones;
