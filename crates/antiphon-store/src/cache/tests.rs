use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering::SeqCst},
};

use antiphon_core::{Answer, FinishReason, Head};

use super::*;
use crate::ledger::schema::PAGE_BYTES;

const DAY: u64 = 24 * 3600;

/// A cache in a folder of its own, with a clock that is set by hand.
struct Bench {
    folder: tempfile::TempDir,
    now: Arc<AtomicU64>,
}

impl Bench {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            now: Arc::new(AtomicU64::new(1_800_000_000)),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("made").join(DiskCache::FILE)
    }

    fn open(&self, bounds: Bounds) -> DiskCache {
        let now = self.now.clone();
        DiskCache::open_at(&self.path(), bounds, Arc::new(move || now.load(SeqCst))).unwrap()
    }

    fn pass(&self, seconds: u64) {
        self.now.fetch_add(seconds, SeqCst);
    }
}

fn reply(text: &str) -> Reply {
    Reply {
        head: Head {
            model: "sim/a".to_owned(),
            status: 200,
            ..Head::default()
        },
        answer: Answer {
            text: text.to_owned(),
            finish_reason: FinishReason::Stop,
            reasoning: None,
            refusal: None,
            tool_calls: Vec::new(),
            model: None,
            spent: antiphon_core::Spent::answer(None),
            body: bytes::Bytes::from_static(b"{}"),
            latency: Duration::ZERO,
        },
    }
}

fn key(number: u32) -> CacheKey {
    CacheKey {
        fingerprint: Fingerprint::of_bytes("test", &number.to_le_bytes()),
        sample: 0,
    }
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.build().unwrap().block_on(future)
}

fn put(cache: &DiskCache, number: u32, text: &str) {
    wait(cache.put(key(number), &reply(text))).unwrap();
}

fn get(cache: &DiskCache, number: u32) -> Option<String> {
    wait(cache.get(key(number))).map(|reply| reply.answer.text)
}

/// A connection that does to the file what no cache does.
fn meddle(bench: &Bench, sql: &str) {
    let connection = rusqlite::Connection::open(bench.path()).unwrap();
    connection.execute_batch(sql).unwrap();
}

#[test]
fn an_answer_is_there_for_the_next_process_under_its_key_alone() {
    let bench = Bench::new();
    let cache = bench.open(Bounds::default());
    assert_eq!(get(&cache, 1), None);
    put(&cache, 1, "Zwölf");
    put(&cache, 1, "thirteen");
    put(&cache, 2, "two");
    drop(cache);
    let cache = bench.open(Bounds::default());
    assert_eq!(get(&cache, 1).as_deref(), Some("thirteen"));
    assert_eq!(get(&cache, 3), None);
    let other_sample = CacheKey {
        sample: 1,
        ..key(1)
    };
    assert!(wait(cache.get(other_sample)).is_none());
    assert_eq!(cache.take_notes(), [""; 0]);
}

#[test]
fn the_folder_and_its_files_are_private() {
    let bench = Bench::new();
    let cache = bench.open(Bounds::default());
    put(&cache, 1, "secret");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let folder = bench.path();
    let folder = folder.parent().unwrap();
    assert_eq!(mode(folder), 0o700);
    let files: Vec<_> = fs::read_dir(folder).unwrap().flatten().collect();
    assert!(files.len() >= 3, "the database, its log and the lock");
    for file in files {
        assert_eq!(mode(&file.path()), 0o600, "{}", file.path().display());
    }
}

#[test]
fn answers_age_from_when_they_were_made_and_the_old_ones_go() {
    let bench = Bench::new();
    let cache = bench.open(Bounds::default());
    put(&cache, 1, "old");
    bench.pass(20 * DAY);
    put(&cache, 2, "young");
    bench.pass(10 * DAY);
    assert_eq!(
        get(&cache, 1).as_deref(),
        Some("old"),
        "30 days are not too old"
    );
    bench.pass(1);
    assert_eq!(get(&cache, 1), None);
    assert_eq!(get(&cache, 2).as_deref(), Some("young"));
    // made anew, it is young
    put(&cache, 1, "new");
    assert_eq!(get(&cache, 1).as_deref(), Some("new"));
    bench.pass(21 * DAY);
    drop(cache);
    drop(bench.open(Bounds::default()));
    // nothing is forgotten here, so what is missing is gone
    let memory = bench.open(Bounds::unlimited());
    assert_eq!(get(&memory, 2), None);
    bench.pass(10_000 * DAY);
    assert_eq!(get(&memory, 1).as_deref(), Some("new"));
}

#[test]
fn the_least_recently_used_make_room() {
    let bench = Bench::new();
    let text = "x".repeat(1000);
    let size = u64::try_from(schema::size_of(&reply(&text).to_record())).unwrap();
    let bounds = Bounds {
        max_bytes: Some(20 * size),
        ..Bounds::default()
    };
    let cache = bench.open(bounds);
    for number in 0..20 {
        put(&cache, number, &text);
        bench.pass(1);
    }
    bench.pass(DAY);
    assert!(get(&cache, 0).is_some(), "used again, a day later");
    put(&cache, 20, &text);
    // room is made after the answer was acknowledged: the drop waits for it
    drop(cache);
    let cache = bench.open(bounds);
    let left: Vec<u32> = (0..=20).filter(|n| get(&cache, *n).is_some()).collect();
    let expected: Vec<u32> = [0].into_iter().chain(4..=20).collect();
    assert_eq!(left, expected, "a tenth more than needed went");
    let huge = "x".repeat(usize::try_from(21 * size).unwrap());
    put(&cache, 5, &huge);
    assert_eq!(
        get(&cache, 5),
        None,
        "one answer does not drive out all others"
    );
    assert!(get(&cache, 20).is_some());
}

#[test]
fn a_total_that_is_damaged_is_counted_anew() {
    let bench = Bench::new();
    let bounds = Bounds {
        max_bytes: Some(1500),
        ..Bounds::default()
    };
    put(&bench.open(Bounds::unlimited()), 1, &"x".repeat(600));
    meddle(&bench, "UPDATE total SET bytes = 7");
    let cache = bench.open(bounds);
    bench.pass(1);
    put(&cache, 2, &"y".repeat(600));
    drop(cache);
    let cache = bench.open(bounds);
    assert_eq!(get(&cache, 1), None, "it was over the bound");
    assert!(get(&cache, 2).is_some());
}

#[test]
fn a_flipped_bit_is_a_miss_and_the_next_answer_takes_the_place() {
    let bench = Bench::new();
    for damage in [
        "UPDATE answers SET record = replace(record, 'right', 'wrong')",
        "UPDATE answers SET created = created + 1",
        "UPDATE answers SET record = CAST(x'ff' AS TEXT)",
    ] {
        put(&bench.open(Bounds::default()), 1, "right");
        meddle(&bench, damage);
        let cache = bench.open(Bounds::default());
        assert_eq!(get(&cache, 1), None, "{damage}");
        put(&cache, 1, "again");
        assert_eq!(get(&cache, 1).as_deref(), Some("again"));
    }
}

#[test]
fn a_damaged_file_is_moved_aside_and_told() {
    let bench = Bench::new();
    put(&bench.open(Bounds::default()), 1, "x");
    for damage in [&b"not a database"[..], &[0xff; 40_000]] {
        fs::write(bench.path(), damage).unwrap();
        let cache = bench.open(Bounds::default());
        let notes = cache.take_notes();
        assert!(
            notes.len() == 1 && notes[0].contains("kept as"),
            "{notes:?}"
        );
        assert_eq!(cache.take_notes(), [""; 0], "told once");
        put(&cache, 1, "y");
        assert_eq!(get(&cache, 1).as_deref(), Some("y"));
    }
}

#[test]
fn damage_that_is_met_on_the_way_fails_nobody_and_the_next_process_begins_anew() {
    let bench = Bench::new();
    put(&bench.open(Bounds::default()), 1, "x");
    let mut file = fs::read(bench.path()).unwrap();
    // the first page, which tells of the tables, stays as it is
    file[usize::from(PAGE_BYTES)..].fill(0xff);
    fs::write(bench.path(), file).unwrap();
    let cache = bench.open(Bounds::default());
    assert_eq!(get(&cache, 1), None);
    assert!(wait(cache.put(key(2), &reply("y"))).is_err());
    assert_eq!(get(&cache, 2), None);
    let notes = cache.take_notes();
    assert!(
        notes.len() == 1 && notes[0].contains("damaged"),
        "{notes:?}"
    );
    drop(cache);
    let cache = bench.open(Bounds::default());
    assert!(cache.take_notes()[0].contains("kept as"));
    put(&cache, 1, "x");
    assert_eq!(get(&cache, 1).as_deref(), Some("x"));
}

#[test]
fn a_newer_cache_is_left_alone() {
    let bench = Bench::new();
    drop(bench.open(Bounds::default()));
    meddle(&bench, "PRAGMA user_version = 9");
    let refused = DiskCache::open(&bench.path(), Bounds::default()).unwrap_err();
    assert!(refused.message().contains("newer antiphon"), "{refused}");
}

#[test]
fn several_processes_write_at_once() {
    let bench = Bench::new();
    // each has connections of its own, as in a process of its own
    let caches: Vec<DiskCache> = (0..3).map(|_| bench.open(Bounds::default())).collect();
    std::thread::scope(|scope| {
        for (first, cache) in (0..).step_by(100).zip(&caches) {
            scope.spawn(move || {
                for number in first..first + 40 {
                    put(cache, number, &number.to_string());
                }
            });
        }
    });
    for number in (0..300).filter(|number| number % 100 < 40) {
        let text = Some(number.to_string());
        assert!(
            caches.iter().all(|cache| get(cache, number) == text),
            "{number}"
        );
    }
    for cache in caches {
        assert_eq!(cache.take_notes(), [""; 0]);
    }
}
