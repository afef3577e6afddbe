//! Heads of HTTP/1 requests, judged as bytes before anything else reads them.
//!
//! Two servers in a row that disagree on where a request ends can be made to take a part of its body for another request
//! (request smuggling). The parser behind this one is lenient where the standard lets it be: of `Content-Length` beside
//! `Transfer-Encoding` it drops the first without a word, of two equal lengths one, and a bare line feed ends a line. So
//! whatever has more than one reading is refused here (RFC 9112, sections 2.2, 3, 5 and 6).

use super::unfit::Unfit;

/// What a request must begin with that is HTTP/2 from its first byte (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\n";
/// Bytes of extensions that one chunk may have. Nobody uses them.
const LONGEST_EXTENSION: u16 = 256;

/// Follows the requests of one connection: where each head ends, and where its body does.
#[derive(Debug)]
pub(super) struct Heads {
    place: Place,
    /// Bytes of the present head that have been looked at.
    scanned: usize,
    line_start: usize,
    is_first: bool,
    largest: usize,
    most_headers: usize,
}

/// What the next byte belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Head,
    Body(u64),
    Chunk(Chunk),
    /// HTTP/2, which says the length of everything.
    Frames,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chunk {
    Size { size: u64, digits: u8 },
    Extension { size: u64, length: u16 },
    SizeEnd { size: u64 },
    Data(u64),
    DataReturn,
    DataEnd,
    LastReturn,
    LastEnd,
}

impl Heads {
    pub(super) fn new(largest: usize, most_headers: usize) -> Self {
        Self {
            place: Place::Head,
            scanned: 0,
            line_start: 0,
            is_first: true,
            largest,
            most_headers,
        }
    }

    /// Whether the next byte belongs to a head.
    pub(super) fn in_head(&self) -> bool {
        self.place == Place::Head
    }

    /// Whether no request has come yet.
    pub(super) fn is_first(&self) -> bool {
        self.is_first
    }

    /// Whether the next byte belongs to a body of HTTP/1.
    pub(super) fn in_body(&self) -> bool {
        matches!(self.place, Place::Body(_) | Place::Chunk(_))
    }

    /// The length of the head at the beginning of these bytes; `None` where its end has not come. What was given before
    /// must be given again, with more behind it.
    ///
    /// # Errors
    /// It is refused.
    pub(super) fn head(&mut self, bytes: &[u8]) -> Result<Option<usize>, Unfit> {
        while let Some(at) = memchr::memchr(b'\n', &bytes[self.scanned..]) {
            let end = self.scanned + at;
            self.scanned = end + 1;
            if end > self.largest {
                return Err(self.too_large());
            }
            if end == 0 || bytes[end - 1] != b'\r' {
                return Err(Unfit::bad("a line that ends without a carriage return"));
            }
            let is_blank = self.line_start == end - 1;
            if is_blank && self.line_start == 0 {
                return Err(Unfit::bad("an empty line before the request"));
            }
            if is_blank {
                let head = &bytes[..=end];
                self.place = self.judge(head)?;
                (self.scanned, self.line_start, self.is_first) = (0, 0, false);
                return Ok(Some(end + 1));
            }
            self.line_start = self.scanned;
        }
        self.scanned = bytes.len();
        match bytes.len() > self.largest {
            true => Err(self.too_large()),
            false => Ok(None),
        }
    }

    fn too_large(&self) -> Unfit {
        Unfit::too_large(format!("headers of more than {} KiB", self.largest >> 10))
    }

    /// What follows a whole head.
    fn judge(&self, head: &[u8]) -> Result<Place, Unfit> {
        if self.is_first && head == PREFACE {
            return Ok(Place::Frames);
        }
        let text = &head[..head.len() - 4];
        let mut lines = text.split(|byte| *byte == b'\n').map(without_return);
        let is_1_1 = request_line(lines.next().unwrap_or_default())?;
        let mut framing = Framing::default();
        for (index, line) in lines.enumerate() {
            if index >= self.most_headers {
                let most = self.most_headers;
                return Err(Unfit::too_large(format!("more than {most} headers")));
            }
            framing.line(line)?;
        }
        framing.place(is_1_1)
    }

    /// How many of these bytes belong to the present body.
    ///
    /// # Errors
    /// Its chunks cannot be read.
    pub(super) fn body(&mut self, bytes: &[u8]) -> Result<usize, Unfit> {
        let mut taken = 0;
        while let Some(byte) = bytes.get(taken) {
            let left = bytes.len() - taken;
            taken += match &mut self.place {
                Place::Head => break,
                Place::Frames => left,
                Place::Body(length) => {
                    let count = skip(length, left);
                    if *length == 0 {
                        self.place = Place::Head;
                    }
                    count
                }
                Place::Chunk(Chunk::Data(length)) => {
                    let count = skip(length, left);
                    if *length == 0 {
                        self.place = Place::Chunk(Chunk::DataReturn);
                    }
                    count
                }
                Place::Chunk(chunk) => {
                    self.place = chunk.next(*byte)?;
                    1
                }
            };
        }
        Ok(taken)
    }
}

/// Takes as much of a length as there is.
fn skip(length: &mut u64, left: usize) -> usize {
    let count = usize::try_from(*length).map_or(left, |length| length.min(left));
    *length -= count as u64;
    count
}

impl Chunk {
    /// Where the next byte of what is no data leads.
    fn next(self, byte: u8) -> Result<Place, Unfit> {
        let next = match (self, byte) {
            (Self::Size { size, digits }, _) if byte.is_ascii_hexdigit() && digits < 15 => {
                let digit = char::from(byte).to_digit(16).unwrap_or_default();
                Self::Size {
                    size: size * 16 + u64::from(digit),
                    digits: digits + 1,
                }
            }
            (Self::Size { size, digits: 1.. }, b'\r') => Self::SizeEnd { size },
            (Self::Size { size, digits: 1.. }, b';') => Self::Extension { size, length: 0 },
            (Self::Extension { size, .. }, b'\r') => Self::SizeEnd { size },
            (Self::Extension { size, length }, b'\t' | b' '..=b'~')
                if length < LONGEST_EXTENSION =>
            {
                let length = length + 1;
                Self::Extension { size, length }
            }
            (Self::SizeEnd { size: 0 }, b'\n') => Self::LastReturn,
            (Self::SizeEnd { size }, b'\n') => Self::Data(size),
            (Self::DataReturn, b'\r') => Self::DataEnd,
            (Self::DataEnd, b'\n') => Self::Size { size: 0, digits: 0 },
            (Self::LastReturn, b'\r') => Self::LastEnd,
            (Self::LastEnd, b'\n') => return Ok(Place::Head),
            // trailers among them: no client of these endpoints has any, and they are headers that nobody checked
            _ => return Err(Unfit::bad("chunks that cannot be read")),
        };
        Ok(Place::Chunk(next))
    }
}

fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Whether it is a request of HTTP/1.1, and not of 1.0.
fn request_line(line: &[u8]) -> Result<bool, Unfit> {
    if line.iter().any(|byte| !matches!(byte, b' '..=b'~')) {
        return Err(Unfit::bad("a request line with control characters"));
    }
    let mut words = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(Unfit::bad(
            "a request line that is not method, path and version",
        ));
    };
    if method.is_empty() || !method.iter().all(|byte| is_token(*byte)) {
        return Err(Unfit::bad("a method that is no word"));
    }
    if target.first() != Some(&b'/') {
        // the gateway is nobody's proxy: where it connects to is not for requests to say
        return Err(Unfit::bad("a target that is no path"));
    }
    match version {
        b"HTTP/1.1" => Ok(true),
        b"HTTP/1.0" => Ok(false),
        _ => Err(Unfit::bad("a version of HTTP other than 1.0, 1.1 and 2")),
    }
}

/// The headers that decide where a request ends and for whom it is.
#[derive(Default)]
struct Framing {
    length: Option<u64>,
    is_chunked: bool,
    has_host: bool,
}

impl Framing {
    fn line(&mut self, line: &[u8]) -> Result<(), Unfit> {
        if matches!(line.first(), Some(b' ' | b'\t')) {
            return Err(Unfit::bad("a header that goes on in the next line"));
        }
        let Some(colon) = memchr::memchr(b':', line) else {
            return Err(Unfit::bad("a header without a colon"));
        };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.is_empty() || !name.iter().all(|byte| is_token(*byte)) {
            return Err(Unfit::bad("a header whose name is no word"));
        }
        if value.iter().any(|byte| is_control(*byte)) {
            return Err(Unfit::bad("a header with control characters"));
        }
        if name.eq_ignore_ascii_case(b"content-length") {
            self.content_length(value)
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.transfer_encoding(value)
        } else if name.eq_ignore_ascii_case(b"host") {
            self.host(value)
        } else {
            Ok(())
        }
    }

    fn content_length(&mut self, value: &[u8]) -> Result<(), Unfit> {
        let is_number = (1..=18).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
        if !is_number {
            return Err(Unfit::bad("a Content-Length that is no number"));
        }
        let length = value
            .iter()
            .fold(0, |length, digit| length * 10 + u64::from(*digit - b'0'));
        match self.length.replace(length) {
            None => Ok(()),
            Some(_) => Err(Unfit::bad("more than one Content-Length")),
        }
    }

    fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), Unfit> {
        if !value.eq_ignore_ascii_case(b"chunked") {
            return Err(Unfit::bad("a Transfer-Encoding other than chunked"));
        }
        match std::mem::replace(&mut self.is_chunked, true) {
            false => Ok(()),
            true => Err(Unfit::bad("more than one Transfer-Encoding")),
        }
    }

    fn host(&mut self, value: &[u8]) -> Result<(), Unfit> {
        let is_of_hosts = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~:[]%".contains(byte);
        if value.is_empty() || !value.iter().all(is_of_hosts) {
            return Err(Unfit::bad("a Host that is no host"));
        }
        match std::mem::replace(&mut self.has_host, true) {
            false => Ok(()),
            true => Err(Unfit::bad("more than one Host")),
        }
    }

    fn place(&self, is_1_1: bool) -> Result<Place, Unfit> {
        if is_1_1 && !self.has_host {
            return Err(Unfit::bad("no Host"));
        }
        match (self.length, self.is_chunked) {
            (Some(_), true) => Err(Unfit::bad("a Content-Length beside a Transfer-Encoding")),
            (_, true) if !is_1_1 => Err(Unfit::bad("a Transfer-Encoding in HTTP/1.0")),
            (None, true) => Ok(Place::Chunk(Chunk::Size { size: 0, digits: 0 })),
            (None | Some(0), false) => Ok(Place::Head),
            (Some(length), false) => Ok(Place::Body(length)),
        }
    }
}

/// Of a method or the name of a header (RFC 9110, section 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_control(byte: u8) -> bool {
    (byte < b' ' && byte != b'\t') || byte == 0x7f
}

#[cfg(test)]
mod tests;
