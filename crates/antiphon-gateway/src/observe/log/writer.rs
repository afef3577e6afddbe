//! The thread that writes.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufWriter, Write},
    sync::mpsc::Receiver,
};

use tracing::warn;

use super::{LogTarget, line};
use crate::observe::CallEnded;

/// What the thread is told.
#[derive(Debug)]
pub(super) enum Told {
    Ended(Box<CallEnded>),
    Reopen,
    Close,
}

pub(super) struct Writer {
    target: LogTarget,
    sink: Sink,
}

enum Sink {
    Stderr(BufWriter<io::Stderr>),
    File(BufWriter<File>),
}

impl Sink {
    fn open(target: &LogTarget) -> io::Result<Self> {
        Ok(match target {
            LogTarget::Stderr => Self::Stderr(BufWriter::new(io::stderr())),
            LogTarget::File(path) => {
                let file = OpenOptions::new().create(true).append(true).open(path)?;
                Self::File(BufWriter::new(file))
            }
        })
    }

    fn writer(&mut self) -> &mut dyn Write {
        match self {
            Self::Stderr(sink) => sink,
            Self::File(sink) => sink,
        }
    }
}

impl Writer {
    pub(super) fn open(target: LogTarget) -> io::Result<Self> {
        let sink = Sink::open(&target)?;
        Ok(Self { target, sink })
    }

    /// Writes until it is told to end, or nobody is left to tell it anything.
    pub(super) fn run(mut self, told: &Receiver<Told>) {
        while let Ok(first) = told.recv() {
            // what waits is written together
            let mut next = Some(first);
            while let Some(now) = next {
                match now {
                    Told::Ended(end) => self.write(&line::of(&end)),
                    Told::Reopen => self.reopen(),
                    Told::Close => return self.flush(),
                }
                next = told.try_recv().ok();
            }
            self.flush();
        }
    }

    fn write(&mut self, line: &str) {
        if let Err(error) = self.sink.writer().write_all(line.as_bytes()) {
            warn!(target: "antiphon", "the access log cannot be written: {error}");
        }
    }

    fn flush(&mut self) {
        if let Err(error) = self.sink.writer().flush() {
            warn!(target: "antiphon", "the access log cannot be written: {error}");
        }
    }

    fn reopen(&mut self) {
        self.flush();
        match Sink::open(&self.target) {
            Ok(sink) => self.sink = sink,
            Err(error) => {
                warn!(target: "antiphon", "the access log cannot be opened again: {error}");
            }
        }
    }
}
