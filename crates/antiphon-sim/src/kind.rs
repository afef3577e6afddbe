//! The one table of what can be made to go wrong, or to look unusual.

use std::{fmt, str::FromStr};

use crate::InvalidSetting;

/// What becomes of an answer that meets a fault of this kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// A whole, readable answer in an unusual form: the caller has what it paid for.
    Answers,
    /// An answer was made, but no caller can read all of it.
    Spoils,
    /// No answer was made.
    Fails,
}

macro_rules! kinds {
    ($($variant:ident $name:literal $fate:ident $doc:literal)*) => {
        /// A way for an attempt to go wrong or to look unusual; each has the name that `--fail KIND=P` takes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum FaultKind {
            /// This HTTP status (300 to 599), with an error body of the dialect. 429 comes with `retry-after: 1`,
            /// redirects with a `location` on a host that does not exist.
            Status(u16),
            $(#[doc = $doc] $variant,)*
        }

        const TABLE: &[(FaultKind, &str, Fate, &str)] = &[
            $((FaultKind::$variant, $name, Fate::$fate, $doc),)*
        ];
    };
}

kinds! {
    Reset "reset" Fails "The connection is reset (TCP RST) before any byte of an answer; on HTTP/2 the stream is."
    Refuse "refuse" Fails "The connection is closed in order before any byte of an answer; on HTTP/2 the stream is reset."
    Hang "hang" Fails "No answer ever comes; the connection stays open."
    Stall "stall" Spoils "The head and a part of the body come, then silence."
    Truncate "truncate" Spoils "The body ends before its announced length, or the stream breaks off, and the connection closes."
    Garbage "garbage" Spoils "A body, or a stream event, that is not JSON."
    Html "html" Spoils "Status 200 with an HTML page."
    Empty "empty" Spoils "Status 200 with no body."
    ErrorEvent "error-event" Spoils "An error object inside a 200: in the stream after its first pieces, or as the whole body."
    NoDone "no-done" Answers "A stream that ends after its finish reason without `[DONE]` or `message_stop`."
    Quota "quota" Fails "The account is empty: 429 `insufficient_quota` (OpenAI), 402 `billing_error` (Anthropic)."
    EarlyEnd "early-end" Spoils "A stream that ends in order, but before its finish reason; whole answers are as usual."
    Drip "drip" Spoils "The body comes one byte each ten seconds."
    Huge "huge" Spoils "A 200 whose body goes on for 10 GB."
    Headers "headers" Spoils "The answer under 2000 extra headers."
    WrongType "wrong-type" Spoils "The right bytes under `content-type: text/plain`."
    HtmlError "html-502" Fails "Status 502 with a proxy's HTML page."
    NoRetry "no-retry" Fails "Status 500 with `x-should-retry: false`."
    RetryAfterMs "retry-after-ms" Fails "429 with `retry-after-ms: 250` alone."
    RetryAfterFloat "retry-after-float" Fails "429 with `retry-after: 0.5`."
    RetryAfterDate "retry-after-date" Fails "429 with `retry-after` as an HTTP date, two seconds ahead."
    RetryAfterHour "retry-after-hour" Fails "429 with `retry-after: 3600`."
    NoRetryAfter "no-retry-after" Fails "429 that names no delay."
    NoUsage "no-usage" Answers "The answer lacks `usage`."
    NullUsage "null-usage" Answers "The answer's `usage` is null (OpenAI; Anthropic leaves it out)."
    NoDetails "no-details" Answers "`usage` without its details objects or cache fields."
    Cached "cached" Answers "Half of the input was read from the provider's cache."
    Reasoning "reasoning" Answers "64 tokens of reasoning were spent before the answer."
    Refusal "refusal" Answers "The model declines: `message.refusal` (OpenAI), `stop_reason: refusal` (Anthropic)."
    ContentFilter "content-filter" Answers "A content filter cuts the answer: `finish_reason: content_filter`, Anthropic `refusal`."
    Length "length" Answers "The answer is cut in its middle with `length` or `max_tokens`, a schema or not."
    OffSchema "off-schema" Answers "The answer is valid JSON that breaks the schema it was asked for; without a schema it is as usual."
    Interleaved "interleaved" Answers "Two tool calls whose pieces alternate in the stream."
    Crlf "crlf" Answers "Stream lines end in CRLF."
    Cr "cr" Answers "Stream lines end in CR alone."
    Comments "comments" Answers "Comment lines and unknown fields between stream events, unknown events too where events have names."
    Split "split" Answers "The body arrives in pieces of one to five bytes, inside lines and UTF-8 sequences."
    Padded "padded" Answers "White space around the JSON of the body or of each event."
    Joined "joined" Answers "Two stream events in each network chunk."
    DataLines "data-lines" Answers "The JSON of each stream event spread over several `data:` lines."
    ResetSeconds "reset-seconds" Answers "Limit headers whose reset is a bare number of seconds (Azure)."
    ResetEpoch "reset-epoch" Answers "Limit headers whose reset is seconds since 1970."
    ResetDate "reset-date" Answers "Limit headers whose reset is an RFC 3339 timestamp."
    ResetGo "reset-go" Answers "Limit headers whose reset is a Go duration of hours, minutes and seconds."
    OddLimits "odd-limits" Answers "Limit headers of -1 and 0, which mean nothing (Azure)."
    NoLimits "no-limits" Answers "No limit headers, although limits are enforced."
}

impl FaultKind {
    /// Every named kind, with what it does: the table that help texts print. Any HTTP status is a kind besides.
    pub fn all() -> impl Iterator<Item = (Self, &'static str)> {
        TABLE.iter().map(|(kind, _, _, doc)| (*kind, *doc))
    }

    /// What becomes of the answer.
    pub fn fate(self) -> Fate {
        TABLE
            .iter()
            .find(|row| row.0 == self)
            .map_or(Fate::Fails, |row| row.2)
    }

    /// Whether the answer is a refusal for haste or lack of credit, which no provider charges.
    pub(crate) fn is_429(self) -> bool {
        use FaultKind::{
            NoRetryAfter, Quota, RetryAfterDate, RetryAfterFloat, RetryAfterHour, RetryAfterMs,
            Status,
        };
        matches!(
            self,
            Status(429)
                | Quota
                | RetryAfterMs
                | RetryAfterFloat
                | RetryAfterDate
                | RetryAfterHour
                | NoRetryAfter
        )
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "{status}"),
            named => {
                let row = TABLE.iter().find(|row| row.0 == *named);
                f.pad(row.map_or("", |row| row.1))
            }
        }
    }
}

impl FromStr for FaultKind {
    type Err = InvalidSetting;

    fn from_str(text: &str) -> Result<Self, InvalidSetting> {
        if let Some(row) = TABLE.iter().find(|row| row.1 == text) {
            return Ok(row.0);
        }
        if let Ok(status) = text.parse::<u16>() {
            return match status {
                300..=599 => Ok(Self::Status(status)),
                _ => Err(InvalidSetting(format!(
                    "status {status} is not a failure: 300 to 599 are"
                ))),
            };
        }
        let nearest = TABLE
            .iter()
            .map(|row| (strsim::damerau_levenshtein(row.1, text), row.1))
            .min()
            .filter(|(distance, _)| *distance <= 2.max(text.len() / 3));
        Err(InvalidSetting(match nearest {
            Some((_, name)) => format!("no fault is called `{text}`: did you mean `{name}`?"),
            None => format!(
                "no fault is called `{text}`: use an HTTP status or one of {}",
                TABLE.iter().map(|row| row.1).collect::<Vec<_>>().join(", ")
            ),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back() {
        for (kind, _) in FaultKind::all() {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        assert_eq!("529".parse(), Ok(FaultKind::Status(529)));
    }

    #[test]
    fn a_wrong_name_is_answered_with_help() {
        let said = |name: &str| name.parse::<FaultKind>().unwrap_err().to_string();
        assert!(said("trunkate").contains("did you mean `truncate`?"));
        assert!(said("something-else-entirely").contains("reset, refuse, hang"));
        assert!(said("200").contains("300 to 599"));
    }
}
