//! Server-sent events: bytes in, events out.
//!
//! Written to the WHATWG text (<https://html.spec.whatwg.org/multipage/server-sent-events.html>) and to what providers
//! send: LF, CRLF and CR line ends, comments as keep-alive, bytes cut anywhere. Only those line ends count: U+2028 and
//! NEL occur inside JSON strings. An event that the end of the stream cuts off is discarded, never handed out.

use antiphon_core::{Error, ErrorKind};
use bytes::Bytes;

/// The largest event that is accepted unless a caller says otherwise: 16 MiB.
pub const MAX_EVENT_BYTES: usize = 16 << 20;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// One event: its name and its data lines, joined with LF.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SseEvent {
    /// The value of the last `event` field; empty where there was none.
    pub name: String,
    /// The data; never empty.
    pub data: Bytes,
    /// The bytes as they came, from the end of the event before: comments and line ends included.
    pub frame: Bytes,
}

/// Cuts a byte stream into events.
#[derive(Debug)]
pub struct SseParser {
    /// The beginning of a line whose end has not come.
    line: Vec<u8>,
    name: String,
    data: Vec<u8>,
    has_data: bool,
    /// All bytes since the end of the last event.
    frame: Vec<u8>,
    /// The last byte was a CR: an LF that follows belongs to the same line end, also in the next chunk.
    after_cr: bool,
    at_start: bool,
    max_event: usize,
}

impl SseParser {
    /// A parser that refuses events of more than `max_event` bytes.
    pub fn new(max_event: usize) -> Self {
        Self {
            line: Vec::new(),
            name: String::new(),
            data: Vec::new(),
            has_data: false,
            frame: Vec::new(),
            after_cr: false,
            at_start: true,
            max_event,
        }
    }

    /// Takes the next bytes and adds the events they complete.
    ///
    /// # Errors
    /// [`ErrorKind::BadResponse`] when an event is larger than allowed.
    pub fn push(&mut self, mut bytes: &[u8], events: &mut Vec<SseEvent>) -> Result<(), Error> {
        if self.after_cr && !bytes.is_empty() {
            self.after_cr = false;
            if let Some(rest) = bytes.strip_prefix(b"\n") {
                self.frame.push(b'\n');
                bytes = rest;
            }
        }
        while let Some(end) = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            let ended_by_cr = bytes[end] == b'\r';
            let has_lf = ended_by_cr && bytes.get(end + 1) == Some(&b'\n');
            let (line, rest) = (&bytes[..end], &bytes[end + 1 + usize::from(has_lf)..]);
            self.check_size(line.len())?;
            self.frame
                .extend_from_slice(&bytes[..bytes.len() - rest.len()]);
            if self.line.is_empty() {
                self.take_line(line, events);
            } else {
                let mut whole = std::mem::take(&mut self.line);
                whole.extend_from_slice(line);
                self.take_line(&whole, events);
                // the allocation is kept for the next cut line
                whole.clear();
                self.line = whole;
            }
            self.after_cr = ended_by_cr && !has_lf && rest.is_empty();
            bytes = rest;
        }
        self.check_size(bytes.len())?;
        self.line.extend_from_slice(bytes);
        self.frame.extend_from_slice(bytes);
        if self.frame.len() > self.max_event && !self.has_data && self.line.is_empty() {
            // comments without end: nobody needs to see them all
            self.frame.clear();
        }
        Ok(())
    }

    /// What came since the last event: end marks that are none, comments, the beginning of an event.
    pub fn rest(&mut self) -> Bytes {
        Bytes::from(std::mem::take(&mut self.frame))
    }

    fn check_size(&self, more: usize) -> Result<(), Error> {
        if self.line.len() + self.data.len() + more <= self.max_event {
            return Ok(());
        }
        let limit = self.max_event;
        Err(Error::new(
            ErrorKind::BadResponse,
            format!("an event of the stream is larger than {limit} bytes"),
        ))
    }

    fn take_line(&mut self, mut line: &[u8], events: &mut Vec<SseEvent>) {
        if std::mem::take(&mut self.at_start) {
            line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
        }
        if line.is_empty() {
            self.dispatch(events);
            return;
        }
        let (field, value) = match line.iter().position(|&byte| byte == b':') {
            // a comment
            Some(0) => return,
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &line[line.len()..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.data.push(b'\n');
                }
                self.data.extend_from_slice(value);
            }
            b"event" => self.name = String::from_utf8_lossy(value).into_owned(),
            // `id` and `retry` serve reconnecting, which no provider offers
            _ => {}
        }
    }

    fn dispatch(&mut self, events: &mut Vec<SseEvent>) {
        let name = std::mem::take(&mut self.name);
        let data = std::mem::take(&mut self.data);
        self.has_data = false;
        if !data.is_empty() {
            events.push(SseEvent {
                name,
                data: Bytes::from(data),
                frame: Bytes::from(std::mem::take(&mut self.frame)),
            });
        }
    }
}

impl Default for SseParser {
    fn default() -> Self {
        Self::new(MAX_EVENT_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn events_of<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<(String, Vec<u8>)> {
        let mut parser = SseParser::default();
        let mut events = Vec::new();
        for chunk in chunks {
            parser.push(chunk, &mut events).unwrap();
        }
        events
            .into_iter()
            .map(|event| (event.name, event.data.to_vec()))
            .collect()
    }

    fn data_of(stream: &str) -> Vec<String> {
        events_of([stream.as_bytes()])
            .into_iter()
            .map(|(_, data)| String::from_utf8(data).unwrap())
            .collect()
    }

    #[test]
    fn forms_that_servers_send() {
        let cases: [(&str, &[&str]); 14] = [
            ("data: a\n\n", &["a"]),
            ("data: a\r\n\r\ndata: b\r\n\r\n", &["a", "b"]),
            ("data: a\r\rdata: b\r\r", &["a", "b"]),
            ("data: a\n\ndata: b\n\n", &["a", "b"]),
            ("data: a\ndata: b\n\n", &["a\nb"]),
            ("data:a\n\n", &["a"]),
            ("data:  a \n\n", &[" a "]),
            (": ping\n\n:\n\ndata: a\n: mid\n\n", &["a"]),
            ("id: 7\nretry: 10\nwhatever\ndata: a\n\n", &["a"]),
            ("\u{feff}data: a\n\n", &["a"]),
            ("data: a\u{2028}b\u{85}c\n\n", &["a\u{2028}b\u{85}c"]),
            ("event: x\n\n", &[]),
            ("data\n\n", &[]),
            ("data: a\n\ndata: cut", &["a"]),
        ];
        for (stream, expected) in cases {
            assert_eq!(data_of(stream), expected, "{stream:?}");
        }
    }

    #[test]
    fn a_name_belongs_to_its_own_event() {
        let events = events_of([b"event: a\ndata: 1\n\ndata: 2\n\n".as_slice()]);
        assert_eq!(
            events,
            [("a".into(), b"1".to_vec()), (String::new(), b"2".to_vec())]
        );
    }

    #[test]
    fn an_event_larger_than_the_limit_is_refused_in_any_chunking() {
        let stream = b"data: 0123456789\ndata: 0123456789\n\n";
        for size in 1..stream.len() {
            let mut parser = SseParser::new(24);
            let result = stream
                .chunks(size)
                .try_for_each(|chunk| parser.push(chunk, &mut Vec::new()));
            assert_eq!(result.unwrap_err().kind(), ErrorKind::BadResponse);
        }
    }

    proptest! {
        #[test]
        fn any_chunking_gives_the_same_events(
            stream in "((data|event|id|x)?:? ?[a-é\u{2028}🎵:]{0,5}(\r\n|\n|\r){1,2}){0,12}",
            cuts in prop::collection::vec(0usize..200, 0..12),
        ) {
            let bytes = stream.as_bytes();
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]);
            let single = bytes.chunks(1);
            let whole = events_of([bytes]);
            prop_assert_eq!(events_of(pieces), whole.clone());
            prop_assert_eq!(events_of(single), whole);
        }

        #[test]
        fn frames_are_the_bytes_as_they_came(
            stream in "((data|event|:)?:? ?[a-é]{0,5}(\r\n|\n|\r){1,2}){0,12}",
            size in 1usize..20,
        ) {
            let mut parser = SseParser::default();
            let mut events = Vec::new();
            for chunk in stream.as_bytes().chunks(size) {
                parser.push(chunk, &mut events).unwrap();
            }
            let mut frames: Vec<u8> = events.iter().flat_map(|event| event.frame.clone()).collect();
            frames.extend(parser.rest());
            prop_assert_eq!(frames, stream.into_bytes());
        }
    }
}
