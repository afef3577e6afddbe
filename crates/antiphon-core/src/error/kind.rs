//! What went wrong, as one word.

use std::fmt;

/// What went wrong, in the words of the output file (`error.code`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The input line cannot be read as a request.
    InvalidLine,
    /// The input line is longer than the limit.
    LineTooLong,
    /// A template names a field that the row lacks.
    MissingField,
    /// The second of two lines with the same `custom_id`.
    DuplicateCustomId,
    /// The provider refuses this request as malformed.
    BadRequest,
    /// The request is longer than the model's context window.
    ContextLength,
    /// The model or its content filter declined to answer.
    Refused,
    /// A person declined the call before any model saw it.
    Rejected,
    /// The other side lacks what the call needs, a capability of an MCP client for instance. Nothing was sent.
    Unsupported,
    /// The answer ended at its length limit where a whole one was needed.
    CutOff,
    /// The answer does not fit its JSON Schema.
    OffSchema,
    /// The key is wrong, missing or not allowed.
    Auth,
    /// The account has no credit left: waiting does not help.
    QuotaExhausted,
    /// No such model, or no access to it.
    ModelNotFound,
    /// Too many requests or tokens for now.
    RateLimited,
    /// The provider is over capacity.
    Overloaded,
    /// The provider failed (5xx).
    ServerError,
    /// A time limit ran out.
    Timeout,
    /// No connection, or it broke.
    Connection,
    /// An answer that cannot be read: not JSON, too large, cut short.
    BadResponse,
    /// The call was given up on this side: a deadline, an interrupt. Never an output line.
    Stopped,
    /// The ledger cannot be read or written. Never an output line.
    Ledger,
    /// The budget leaves too little for the attempt, which was not sent. Never an output line.
    Budget,
}

/// Names of the kinds that may stand in an output file, each with its code.
const CODES: [(ErrorKind, &str); 23] = [
    (ErrorKind::InvalidLine, "invalid_line"),
    (ErrorKind::LineTooLong, "line_too_long"),
    (ErrorKind::MissingField, "missing_field"),
    (ErrorKind::DuplicateCustomId, "duplicate_custom_id"),
    (ErrorKind::BadRequest, "bad_request"),
    (ErrorKind::ContextLength, "context_length"),
    (ErrorKind::Refused, "refused"),
    (ErrorKind::Rejected, "rejected"),
    (ErrorKind::Unsupported, "unsupported"),
    (ErrorKind::CutOff, "cut_off"),
    (ErrorKind::OffSchema, "off_schema"),
    (ErrorKind::Auth, "auth"),
    (ErrorKind::QuotaExhausted, "quota_exhausted"),
    (ErrorKind::ModelNotFound, "model_not_found"),
    (ErrorKind::RateLimited, "rate_limited"),
    (ErrorKind::Overloaded, "overloaded"),
    (ErrorKind::ServerError, "server_error"),
    (ErrorKind::Timeout, "timeout"),
    (ErrorKind::Connection, "connection"),
    (ErrorKind::BadResponse, "bad_response"),
    (ErrorKind::Stopped, "stopped"),
    (ErrorKind::Ledger, "ledger"),
    (ErrorKind::Budget, "budget"),
];

impl ErrorKind {
    /// The code of this kind in output files and reports.
    pub fn code(self) -> &'static str {
        CODES
            .iter()
            .find(|(kind, _)| *kind == self)
            .map_or("unknown", |(_, code)| code)
    }

    /// The kind that a code of an output file or ledger names.
    pub fn from_code(code: &str) -> Option<Self> {
        CODES
            .iter()
            .find(|(_, known)| *known == code)
            .map(|(kind, _)| *kind)
    }

    /// Whether the same request may succeed later without anybody changing anything.
    ///
    /// Rows that ended in such an error are sent again by the next run.
    pub fn is_transient(self) -> bool {
        matches!(
            self,
            Self::RateLimited
                | Self::Overloaded
                | Self::ServerError
                | Self::Timeout
                | Self::Connection
                | Self::BadResponse
                | Self::Stopped
        )
    }

    /// Whether the line of the input is at fault, so that asking again is of no use before it is mended.
    pub fn is_of_the_line(self) -> bool {
        matches!(
            self,
            Self::InvalidLine | Self::LineTooLong | Self::MissingField | Self::DuplicateCustomId
        )
    }

    /// Whether no model is at fault: the call was given up on this side, its budget is used up, or its ledger fails.
    /// Whatever is made of several calls ends with such an error, since its row is asked again, and what was made without
    /// the answer would stay.
    pub fn is_given_up(self) -> bool {
        matches!(self, Self::Stopped | Self::Ledger | Self::Budget)
    }

    /// Whether the error is of the account, or of the budget, and not of the request: every further call would fail alike.
    pub fn stops_the_run(self) -> bool {
        matches!(self, Self::Auth | Self::QuotaExhausted | Self::Budget)
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_names_its_kind() {
        for (kind, code) in CODES {
            assert_eq!(kind.code(), code);
            assert_eq!(ErrorKind::from_code(code), Some(kind));
        }
    }
}
