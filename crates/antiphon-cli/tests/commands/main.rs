//! The command line, tested through its binary on what the user sees: exit code, files, stdout and stderr.

mod bad_lines;
mod cache;
mod configuration;
mod limits;
mod names;
mod other_commands;
mod outputs;
mod several;
mod shapes;
mod structured;
mod support;
mod talk;
mod templates;
