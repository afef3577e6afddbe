//! The binary as a child process: started, watched, signalled, killed.

use std::{
    ffi::OsStr,
    fs::File,
    io::Write,
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// How long a command may take before the test gives it up: a hang must fail, not block.
const PATIENCE: Duration = Duration::from_secs(150);
/// Time between two looks at a process or a file.
const LOOK: Duration = Duration::from_millis(2);

/// A signal that asks a process to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// What `kill` sends.
    Terminate,
    /// The terminal is gone.
    Hangup,
}

impl Signal {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Interrupt, Self::Terminate, Self::Hangup];

    fn name(self) -> &'static str {
        match self {
            Self::Interrupt => "INT",
            Self::Terminate => "TERM",
            Self::Hangup => "HUP",
        }
    }
}

/// A command that is not started yet. Its environment holds a path and a home, nothing of the user's.
#[derive(Debug)]
pub struct Antiphon {
    command: Command,
    stdin: Option<Vec<u8>>,
}

impl Antiphon {
    pub(crate) fn new<A: AsRef<OsStr>>(
        binary: &Path,
        folder: &Path,
        args: impl IntoIterator<Item = A>,
    ) -> Self {
        let mut command = Command::new(binary);
        command
            .args(args)
            .current_dir(folder)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", folder)
            .env("TMPDIR", folder)
            .env("NO_COLOR", "1");
        Self {
            command,
            stdin: None,
        }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.command.args(args);
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Gives it this to read.
    #[must_use]
    pub fn stdin(mut self, text: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(text.into());
        self
    }

    /// Starts it.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(mut self) -> Running {
        // files, not pipes: nobody has to read along for the child to go on
        let said = tempfile::tempdir().expect("a temporary folder");
        let file = |name: &str| File::create(said.path().join(name)).expect("a file");
        self.command
            .stdout(file("stdout"))
            .stderr(file("stderr"))
            .stdin(if self.stdin.is_some() {
                Stdio::piped()
            } else {
                Stdio::null()
            });
        let mut child = self.command.spawn().expect("the binary starts");
        if let (Some(text), Some(mut pipe)) = (self.stdin, child.stdin.take()) {
            thread::spawn(move || {
                // a child that ends before it has read all is the test's business
                let _closed = pipe.write_all(&text);
            });
        }
        Running { child, said }
    }

    /// Runs it to its end.
    ///
    /// # Panics
    /// When it cannot be started, or hangs.
    pub fn run(self) -> Ended {
        self.start().wait()
    }
}

/// A process that goes on until it ends, or this value does.
#[derive(Debug)]
pub struct Running {
    child: Child,
    said: tempfile::TempDir,
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its exit code; `None` for a process that was killed.
    pub code: Option<i32>,
    /// What it wrote to stdout.
    pub stdout: Vec<u8>,
    /// What it wrote to stderr.
    pub stderr: String,
}

impl Ended {
    /// Insists on an exit code.
    ///
    /// # Panics
    /// With all of stderr when it is another one.
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stderr:\n{}", self.stderr);
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        self
    }

    /// Insists that stderr says this.
    ///
    /// # Panics
    /// With all of stderr when it does not.
    pub fn says(self, words: &str) -> Self {
        assert!(
            self.stderr.contains(words),
            "not said: {words}\nstderr:\n{}",
            self.stderr
        );
        self
    }
}

impl Running {
    /// Its process number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended by itself.
    ///
    /// # Panics
    /// When the operating system does not tell.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_some()
    }

    /// What it has written to stderr so far.
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.file("stderr")).into_owned()
    }

    /// What it has written to stdout so far.
    pub fn stdout(&self) -> Vec<u8> {
        self.file("stdout")
    }

    fn file(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.said.path().join(name)).unwrap_or_default()
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// When there is no shell to send it with.
    pub fn signal(&mut self, signal: Signal) {
        if self.has_ended() {
            return;
        }
        self.send(signal.name());
    }

    fn send(&self, signal: &str) {
        let line = format!("kill -{signal} {}", self.child.id());
        let sent = Command::new("sh").args(["-c", &line]).status();
        assert!(sent.expect("a shell").success(), "{line}");
    }

    /// Whether it was stopped (not ended) and waits to be woken. Linux only.
    pub fn stands_still(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.id()));
        // the name before it may hold anything, a closing bracket too
        let state = stat
            .ok()
            .and_then(|stat| stat.rsplit(')').next()?.trim_start().chars().next());
        state == Some('T')
    }

    /// Wakes it when it stands still.
    ///
    /// # Panics
    /// When there is no shell to wake it with.
    pub fn go_on(&mut self) {
        self.send("CONT");
    }

    /// Kills it, as a crash does, and waits until it is gone. False where it had ended before.
    ///
    /// # Panics
    /// When it cannot be killed.
    pub fn kill(&mut self) -> bool {
        if self.has_ended() {
            return false;
        }
        self.child.kill().expect("a kill");
        self.child.wait().expect("an end").signal() == Some(9)
    }

    /// Waits until a condition holds. False where the process ended before.
    ///
    /// # Panics
    /// When it does neither for minutes.
    pub fn until(&mut self, mut holds: impl FnMut(&Self) -> bool) -> bool {
        let started = Instant::now();
        loop {
            if holds(self) {
                return true;
            }
            if self.has_ended() {
                return false;
            }
            if started.elapsed() > PATIENCE {
                self.kill();
                panic!("nothing happens; stderr:\n{}", self.stderr());
            }
            thread::sleep(LOOK);
        }
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it hangs.
    pub fn wait(mut self) -> Ended {
        self.until(|_| false);
        let status = self.child.wait().expect("an end");
        Ended {
            code: status.code(),
            stdout: self.stdout(),
            stderr: self.stderr(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // it may have ended by itself
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}
