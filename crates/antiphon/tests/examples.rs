//! Every example runs to its end and shows something, so that none can rot.

#![allow(missing_docs, reason = "a test")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Cargo builds examples with the tests, beside the folder of the tests' own programs.
fn folder_of_programs() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.ancestors().nth(2).unwrap().join("examples")
}

fn names() -> Vec<String> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let files = fs::read_dir(sources)
        .unwrap()
        .map(|file| file.unwrap().path());
    let sources = files.filter(|path| path.extension().is_some_and(|kind| kind == "rs"));
    sources
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect()
}

#[test]
fn every_example_runs_and_shows_its_result() {
    // a folder without a configuration
    let folder = tempfile::tempdir().unwrap();
    let started = names().into_iter().map(|name| {
        let program = folder_of_programs().join(&name);
        let run = Command::new(&program)
            .current_dir(&folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let hint = "cargo test builds it, unless told to build a part only";
        let run = run.unwrap_or_else(|error| panic!("{}: {error}; {hint}", program.display()));
        (name, run)
    });
    let started: Vec<_> = started.collect();
    assert!(started.len() > 10);
    for (name, run) in started {
        let ended = run.wait_with_output().unwrap();
        let told = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.success() && told.is_empty(), "{name}: {told}");
        assert!(!ended.stdout.is_empty(), "{name} shows nothing");
    }
}
