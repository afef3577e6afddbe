//! [`ClientBook`]: what MCP clients were seen to bear, remembered between sessions.

use std::{
    ffi::OsString,
    fs::TryLockError,
    io::{self, Read, Write},
    num::NonZeroU32,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use antiphon_core::layers::queue::{ClientName, Reason, Refused, Verdict, Verdicts};
use serde_json::{Map, Value, json};

use crate::{
    cache::{WallTime, wall_time},
    state_dir::private_file,
};

/// Clients that are remembered; beyond them those go whose verdict is the oldest.
const MOST: usize = 1000;
/// Bytes of a name or version that are kept: clients say them of themselves.
const LONGEST: usize = 200;
/// A file that is larger was not written here.
const LARGEST: u64 = 4 << 20;
/// How often its lock is tried, and the time from one try to the next: two seconds in all. The end of the process waits.
const MOST_TRIES: u32 = 200;
const BETWEEN_TRIES: Duration = Duration::from_millis(10);
/// Version of the file's form. One of another version is as if absent.
const VERSION: u64 = 1;

/// One small JSON file for all processes of a user. It is private, and replaced as a whole.
#[derive(Clone)]
pub struct ClientBook {
    path: PathBuf,
    wall: WallTime,
    writing: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl std::fmt::Debug for ClientBook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientBook")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl ClientBook {
    /// Name of the file in the state folder.
    pub const FILE: &'static str = "mcp-clients.json";

    /// That of a state folder, which is made where something is learned.
    pub fn in_folder(folder: &Path) -> Self {
        Self::at(folder.join(Self::FILE), wall_time())
    }

    /// That of a path, with a clock of the caller's.
    pub fn at(path: PathBuf, wall: WallTime) -> Self {
        Self {
            path,
            wall,
            writing: Arc::default(),
        }
    }

    /// Waits until everything that was learned is on disk.
    pub fn finish(&self) {
        let writing = self.writing.lock();
        let writing = writing.unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writing) = writing {
            // a thread that panicked has said so
            let _joined = writing.join();
        }
    }

    /// The file's entries, the latest last; none where it is absent or damaged.
    fn read(&self) -> Map<String, Value> {
        let text = match self.text() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Map::new(),
            text => text,
        };
        let entries = text.map_err(|error| error.to_string()).and_then(|text| {
            let file: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
            let is_ours = file["version"] == VERSION;
            let clients = file["clients"].as_object().filter(|_| is_ours);
            clients
                .cloned()
                .ok_or_else(|| "it is not of this form".to_owned())
        });
        entries.unwrap_or_else(|why| {
            let path = self.path.display();
            tracing::warn!("{path} cannot be read, so clients are measured anew: {why}");
            Map::new()
        })
    }

    /// A pipe would keep us waiting, and a device has no length and no end.
    fn text(&self) -> io::Result<String> {
        if !std::fs::metadata(&self.path)?.is_file() {
            return Err(io::Error::other("it is no file"));
        }
        let mut text = String::new();
        let file = std::fs::File::open(&self.path)?;
        file.take(LARGEST + 1).read_to_string(&mut text)?;
        match text.len() as u64 > LARGEST {
            true => Err(io::Error::other("it is too large")),
            false => Ok(text),
        }
    }

    fn note(&self, client: &ClientName, verdict: Verdict) {
        if let Err(error) = self.write(client, verdict) {
            let path = self.path.display();
            tracing::warn!("{path} cannot be written, so a client will be measured again: {error}");
        }
    }

    fn write(&self, client: &ClientName, verdict: Verdict) -> io::Result<()> {
        if let Some(folder) = self.path.parent().filter(|folder| !folder.is_dir()) {
            let mut folders = std::fs::DirBuilder::new();
            folders.recursive(true).mode(0o700).create(folder)?;
        }
        // other processes read and write the same file: each takes its turn
        let lock = private_file(&self.beside(".lock"))?;
        take(&lock)?;
        let mut clients = self.read();
        let key = key_of(client);
        clients.shift_remove(&key);
        clients.insert(key, entry_of(verdict, (self.wall)()));
        let beyond = clients.len().saturating_sub(MOST);
        let clients: Map<String, Value> = clients.into_iter().skip(beyond).collect();
        let text = serde_json::to_string_pretty(&json!({"version": VERSION, "clients": clients}))?;
        let aside = self.beside(".new");
        let mut file = private_file(&aside)?;
        file.set_len(0)?;
        writeln!(file, "{text}")?;
        file.sync_all()?;
        std::fs::rename(&aside, &self.path)
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = OsString::from(&self.path);
        name.push(suffix);
        PathBuf::from(name)
    }
}

impl Verdicts for ClientBook {
    fn known(&self, client: &ClientName) -> Option<Verdict> {
        self.finish();
        verdict_of(self.read().get(&key_of(client))?)
    }

    /// Writes on a thread of its own, in the order of the calls.
    fn learned(&self, client: &ClientName, verdict: Verdict) {
        let mut writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = writing.take();
        let (book, client) = (self.clone(), client.clone());
        let written = std::thread::Builder::new().spawn(move || {
            let _joined = before.map(JoinHandle::join);
            book.note(&client, verdict);
        });
        *writing = written.ok();
    }
}

/// Takes a lock, which others hold for a moment; from one that was suspended meanwhile it is not waited for.
#[expect(
    clippy::disallowed_methods,
    reason = "the system has no wait for a lock that ends, and this is a thread of its own"
)]
fn take(lock: &std::fs::File) -> io::Result<()> {
    for _try in 0..MOST_TRIES {
        match lock.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) => std::thread::sleep(BETWEEN_TRIES),
        }
    }
    Err(io::Error::other("another process holds its lock"))
}

/// Name and version in one, which no other name and version have.
fn key_of(client: &ClientName) -> String {
    json!([bounded(&client.name), bounded(&client.version)]).to_string()
}

/// A longer text is told from others by its digest.
fn bounded(text: &str) -> String {
    if text.len() <= LONGEST {
        return text.to_owned();
    }
    let digest = blake3::hash(text.as_bytes()).to_hex();
    let kept = text.floor_char_boundary(LONGEST - digest.len());
    format!("{}{digest}", &text[..kept])
}

fn entry_of(verdict: Verdict, at: u64) -> Value {
    let mut entry = json!({"at": at, "works": verdict.width});
    if let Some(refused) = verdict.refused {
        entry["refused"] = json!(refused.width);
        entry["reason"] = json!(refused.reason.name());
    }
    entry
}

fn verdict_of(entry: &Value) -> Option<Verdict> {
    let number = |name: &str| {
        let number = entry[name].as_u64()?;
        NonZeroU32::new(u32::try_from(number).ok()?)
    };
    let refused = match entry.get("refused") {
        None => None,
        Some(_) => Some(Refused {
            width: number("refused")?,
            reason: Reason::from_name(entry["reason"].as_str()?)?,
        }),
    };
    Some(Verdict {
        width: number("works")?,
        refused,
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn client(name: &str, version: &str) -> ClientName {
        ClientName {
            name: name.to_owned(),
            version: version.to_owned(),
        }
    }

    fn verdict(width: u32, refused: Option<(u32, Reason)>) -> Verdict {
        let number = |number| NonZeroU32::new(number).unwrap();
        Verdict {
            width: number(width),
            refused: refused.map(|(width, reason)| Refused {
                width: number(width),
                reason,
            }),
        }
    }

    fn book(folder: &Path) -> ClientBook {
        ClientBook::at(
            folder.join("state/mcp-clients.json"),
            Arc::new(|| 1_790_000_000),
        )
    }

    #[test]
    fn what_was_learned_is_known_to_the_next_process() {
        let folder = tempfile::tempdir().unwrap();
        let serial = verdict(1, Some((2, Reason::NoGain)));
        let first = book(folder.path());
        assert_eq!(first.known(&client("mcp", "1.30")), None);
        first.learned(&client("mcp", "1.30"), verdict(2, None));
        first.learned(&client("mcp", "1.30"), serial);
        first.learned(&client("mcp", "2.3"), verdict(64, None));
        first.finish();

        let second = book(folder.path());
        assert_eq!(second.known(&client("mcp", "1.30")), Some(serial));
        assert_eq!(second.known(&client("mcp", "2.3")), Some(verdict(64, None)));
        assert_eq!(second.known(&client("mcp", "2.4")), None);
        assert_eq!(second.known(&client("mcp\",\"1.30", "")), None);
        let mode = std::fs::metadata(&second.path)
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        let text = std::fs::read_to_string(&second.path).unwrap();
        assert!(text.contains(r#""at": 1790000000"#), "{text}");
    }

    #[test]
    fn a_damaged_file_is_as_if_absent() {
        let folder = tempfile::tempdir().unwrap();
        let book = book(folder.path());
        let known = verdict(3, Some((4, Reason::CrossTalk)));
        book.learned(&client("a", "1"), known);
        book.finish();
        let whole = std::fs::read_to_string(&book.path).unwrap();
        let half = &whole[..whole.len() / 2];
        let too_large = " ".repeat(LARGEST as usize + 1);
        for text in [
            "",
            half,
            "[]",
            r#"{"version": 2, "clients": {}}"#,
            &too_large,
        ] {
            std::fs::write(&book.path, text).unwrap();
            assert_eq!(book.known(&client("a", "1")), None);
            book.learned(&client("b", "1"), known);
            assert_eq!(book.known(&client("b", "1")), Some(known), "written anew");
        }
        for entry in [
            r#"{"works": 0}"#,
            r#"{"works": 1, "refused": 2}"#,
            r#"{"works": 1, "refused": 2, "reason": "whim"}"#,
            "7",
        ] {
            let entry: Value = serde_json::from_str(entry).unwrap();
            assert_eq!(verdict_of(&entry), None);
        }
    }

    #[test]
    fn clients_cannot_make_it_grow_without_bounds() {
        let folder = tempfile::tempdir().unwrap();
        let book = book(folder.path());
        let names = (0..MOST).map(|number| format!("{number}"));
        let clients: Map<String, Value> = names
            .map(|name| (key_of(&client(&name, "1")), json!({"works": 1})))
            .collect();
        let file = json!({"version": VERSION, "clients": clients}).to_string();
        std::fs::create_dir(book.path.parent().unwrap()).unwrap();
        std::fs::write(&book.path, file).unwrap();

        let (long, other) = ("é".repeat(10_000), format!("{}x", "é".repeat(10_000)));
        book.learned(&client(&long, &long), verdict(4, None));
        book.finish();
        assert_eq!(book.known(&client(&long, &long)), Some(verdict(4, None)));
        assert_eq!(book.known(&client(&long, &other)), None);
        assert_eq!(book.known(&client("0", "1")), None, "the oldest went");
        assert_eq!(book.known(&client("1", "1")), Some(verdict(1, None)));
        assert_eq!(book.read().len(), MOST);
        assert!(book.read().keys().all(|key| key.len() < 2 * LONGEST + 10));
    }

    #[test]
    fn many_at_once_lose_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        std::thread::scope(|scope| {
            for writer in 0..8 {
                scope.spawn(move || {
                    let book = book(path);
                    for number in 0..5 {
                        let client = client(&format!("{writer}-{number}"), "1");
                        book.learned(&client, verdict(2, None));
                    }
                    book.finish();
                });
            }
        });
        assert_eq!(book(path).read().len(), 40);
    }

    #[test]
    fn what_is_no_file_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let book = book(folder.path());
        std::fs::create_dir(book.path.parent().unwrap()).unwrap();
        // it has no length, and would be read without end
        std::os::unix::fs::symlink("/dev/zero", &book.path).unwrap();
        assert_eq!(book.known(&client("a", "1")), None);
        book.learned(&client("a", "1"), verdict(2, None));
        assert_eq!(book.known(&client("a", "1")), Some(verdict(2, None)));
        assert!(!book.path.is_symlink());
    }

    #[test]
    fn a_lock_that_is_not_given_back_holds_nothing_up() {
        let folder = tempfile::tempdir().unwrap();
        let book = book(folder.path());
        std::fs::create_dir(book.path.parent().unwrap()).unwrap();
        let held = private_file(&book.beside(".lock")).unwrap();
        held.lock().unwrap();
        book.learned(&client("a", "1"), verdict(2, None));
        book.finish();
        drop(held);
        assert_eq!(book.known(&client("a", "1")), None);
        book.learned(&client("a", "1"), verdict(2, None));
        assert_eq!(book.known(&client("a", "1")), Some(verdict(2, None)));
    }

    #[test]
    fn where_nothing_can_be_written_nothing_is_remembered() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("state"), "a file").unwrap();
        let book = book(folder.path());
        book.learned(&client("a", "1"), verdict(2, None));
        assert_eq!(book.known(&client("a", "1")), None);
    }
}
