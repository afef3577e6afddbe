//! The command line, tested through its binary on what the user sees: exit code, files, stdout and stderr.

mod analyze;
mod ask;
mod ask_combined;
mod ask_streamed;
mod bad_lines;
mod budget;
mod cache;
mod compare;
mod configuration;
mod limits;
mod map_reduce;
mod models;
mod names;
mod other_commands;
mod outputs;
mod report;
mod review;
mod scripted;
mod several;
mod shapes;
mod structured;
mod support;
mod talk;
mod templates;
mod vote;
mod zones;
