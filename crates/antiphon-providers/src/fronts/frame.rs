//! The bytes of a stream as they came, looked at line by line: what is seen in them, and what is cut out of them.
//!
//! Nothing is written anew here. Whatever is not cut stays as the provider sent it: spaces, comments, line ends.

use std::ops::Range;

use bytes::Bytes;

use super::members::{Member, members};

/// How streams of chat completions end.
pub(super) const END_MARK: &[u8] = b"[DONE]";

/// Writes an event with a name, as Anthropic and OpenAI's Responses have them.
pub(super) fn named_event(name: &str, data: &str) -> String {
    format!("event: {name}\ndata: {data}\n\n")
}

/// Writes an event without a name.
pub(super) fn event(data: &str) -> String {
    format!("data: {data}\n\n")
}

/// One event within a frame, or what stands between two.
#[derive(Debug, Default)]
struct Segment {
    /// Its lines, line ends included.
    lines: Vec<Line>,
    /// Whether a blank line ends it.
    is_ended: bool,
}

#[derive(Debug)]
struct Line {
    whole: Range<usize>,
    /// The value of a `data` field.
    data: Option<Range<usize>>,
    is_comment: bool,
    has_end: bool,
}

impl Segment {
    /// The data as a reader joins it, with the place in the frame of each of its lines.
    fn data(&self, frame: &[u8]) -> Vec<u8> {
        let values = self.data_lines().map(|range| &frame[range]);
        values.collect::<Vec<_>>().join(&b'\n')
    }

    fn data_lines(&self) -> impl Iterator<Item = Range<usize>> {
        self.lines.iter().filter_map(|line| line.data.clone())
    }

    /// Where a range of the data stands in the frame: several places where the data has several lines.
    fn places(&self, wanted: &Range<usize>) -> Vec<Range<usize>> {
        let mut places = Vec::new();
        let mut at = 0;
        for line in self.data_lines() {
            let start = wanted.start.max(at);
            let end = wanted.end.min(at + line.len());
            if start < end {
                places.push(line.start + start - at..line.start + end - at);
            }
            // the line end that joins it to the next
            at += line.len() + 1;
        }
        places
    }
}

fn segments(frame: &[u8]) -> Vec<Segment> {
    let mut segments = Vec::new();
    let mut segment = Segment::default();
    let mut at = 0;
    while at < frame.len() {
        let rest = &frame[at..];
        let length = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
        let content = length.unwrap_or(rest.len());
        let end = match rest.get(content..) {
            Some([b'\r', b'\n', ..]) => 2,
            Some([]) | None => 0,
            Some(_) => 1,
        };
        segment.lines.push(line(frame, at..at + content, end));
        at += content + end;
        if content == 0 {
            segment.is_ended = true;
            segments.push(std::mem::take(&mut segment));
        }
    }
    if !segment.lines.is_empty() {
        segments.push(segment);
    }
    segments
}

fn line(frame: &[u8], content: Range<usize>, end: usize) -> Line {
    let text = &frame[content.clone()];
    // a byte order mark can stand before the first line
    let mark = if text.starts_with(b"\xEF\xBB\xBF") {
        3
    } else {
        0
    };
    let text = &text[mark..];
    let data = text.strip_prefix(b"data:").map(|value| {
        let space = usize::from(value.starts_with(b" "));
        content.end - value.len() + space..content.end
    });
    Line {
        whole: content.start..content.end + end,
        data,
        is_comment: text.starts_with(b":"),
        has_end: end > 0,
    }
}

/// The frame without these ranges, which are in order.
fn without(frame: &Bytes, cuts: &[Range<usize>]) -> Bytes {
    if cuts.is_empty() {
        return frame.clone();
    }
    let mut kept = Vec::with_capacity(frame.len());
    let mut at = 0;
    for cut in cuts {
        kept.extend_from_slice(&frame[at..cut.start]);
        at = cut.end;
    }
    kept.extend_from_slice(&frame[at..]);
    Bytes::from(kept)
}

/// Without what asking for usage adds to a stream of chat completions: `"usage":null` in each chunk, and the chunk that
/// holds nothing else.
pub(super) fn without_usage(frame: &Bytes) -> Bytes {
    const WORD: &[u8] = b"\"usage\"";
    if !frame.windows(WORD.len()).any(|bytes| bytes == WORD) {
        return frame.clone();
    }
    let mut cuts = Vec::new();
    for segment in segments(frame) {
        let data = segment.data(frame);
        let Some(members) = members(&data) else {
            continue;
        };
        let Some(usage) = members
            .iter()
            .find(|member| member.is_named("usage", &data))
        else {
            continue;
        };
        let value = &data[usage.value.clone()];
        if value == b"null" {
            cuts.extend(segment.places(&usage.cut));
        } else if value.starts_with(b"{") && !has_choices(&members, &data) {
            let lines = segment.lines.iter().filter(|line| !line.is_comment);
            cuts.extend(lines.map(|line| line.whole.clone()));
        }
    }
    without(frame, &cuts)
}

fn has_choices(members: &[Member], data: &[u8]) -> bool {
    let choices = members
        .iter()
        .find(|member| member.is_named("choices", data));
    choices.is_some_and(|choices| {
        let value = data[choices.value.clone()].iter();
        value.filter(|byte| !byte.is_ascii_whitespace()).count() > 2
    })
}

/// Whether an end mark is among the events.
pub(super) fn has_end_mark(frame: &[u8]) -> bool {
    let is_mark = |segment: &Segment| segment.data(frame).trim_ascii() == END_MARK;
    segments(frame).iter().any(is_mark)
}

/// The last bytes of a complete stream so that more can follow: an event that was cut off is left out, an end mark
/// whose blank line is missing gets it.
pub(super) fn ended(frame: &Bytes) -> Bytes {
    let mut segments = segments(frame);
    let Some(last) = segments.pop().filter(|last| !last.is_ended) else {
        return frame.clone();
    };
    if last.data(frame).trim_ascii() == END_MARK {
        let mut bytes = frame.to_vec();
        let has_end = last.lines.last().is_some_and(|line| line.has_end);
        bytes.extend_from_slice(if has_end { b"\n" } else { b"\n\n" });
        return Bytes::from(bytes);
    }
    let cut_off = |line: &&Line| !(line.is_comment && line.has_end);
    let cuts: Vec<_> = last
        .lines
        .iter()
        .filter(cut_off)
        .map(|line| line.whole.clone())
        .collect();
    without(frame, &cuts)
}
