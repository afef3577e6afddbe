//! Days in UTC, and the files of what was spent on them.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use jiff::Timestamp;

const SECONDS: u64 = 24 * 3600;

/// A day in UTC, counted from 1 January 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Day(u64);

impl Day {
    /// The day of a moment; all that was before 1970 is its first.
    pub(super) fn of(moment: SystemTime) -> Self {
        let since = moment.duration_since(SystemTime::UNIX_EPOCH);
        Self(since.unwrap_or_default().as_secs() / SECONDS)
    }

    /// So many days earlier.
    pub(super) fn before(self, days: u64) -> Self {
        Self(self.0.saturating_sub(days))
    }

    /// The midnight at which it ends, as RFC 3339.
    pub(super) fn end(self) -> String {
        rfc3339(SystemTime::UNIX_EPOCH + Duration::from_secs((self.0 + 1) * SECONDS))
    }

    /// The name of the file of what a key has spent on it: bytes that a name of a file should not have are written in
    /// hexadecimal digits, capitals too, since some file systems do not tell them apart.
    pub(super) fn file_of(self, key: &str) -> String {
        let mut name = format!("{self}.");
        for byte in key.bytes() {
            match byte {
                b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => name.push(byte.into()),
                other => name.push_str(&format!("%{other:02x}")),
            }
        }
        name
    }

    /// The day of such a file.
    pub(super) fn of_file(name: &str) -> Option<Self> {
        let (date, _) = name.split_once('.')?;
        let midnight: Timestamp = format!("{date}T00:00:00Z").parse().ok()?;
        let seconds = u64::try_from(midnight.as_second()).ok()?;
        Some(Self(seconds / SECONDS))
    }
}

/// The date, as `2026-01-31`.
impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = rfc3339(SystemTime::UNIX_EPOCH + Duration::from_secs(self.0 * SECONDS));
        f.write_str(start.split('T').next().unwrap_or(&start))
    }
}

/// A moment as RFC 3339, in whole seconds.
pub(super) fn rfc3339(moment: SystemTime) -> String {
    let since = moment.duration_since(SystemTime::UNIX_EPOCH);
    let seconds = i64::try_from(since.unwrap_or_default().as_secs()).unwrap_or(i64::MAX);
    let moment = Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX);
    moment.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_ends_at_midnight_utc() {
        let at = |seconds| Day::of(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        let day = at(1_790_000_000);
        assert_eq!(day.to_string(), "2026-09-21");
        assert_eq!(day.end(), "2026-09-22T00:00:00Z");
        assert_eq!(at(SECONDS - 1), at(0));
        assert_eq!(at(SECONDS), Day(1));
        assert_eq!(
            Day::of(SystemTime::UNIX_EPOCH - Duration::from_secs(5)),
            Day(0)
        );
        assert_eq!(day.before(21).to_string(), "2026-08-31");
    }

    #[test]
    fn files_tell_their_day_and_no_two_keys_share_one() {
        let day = Day(20_000);
        let keys = ["a", "A", "a.b", "a%2eb", "../x", "", "ä", "a b"];
        for (index, key) in keys.iter().enumerate() {
            let name = day.file_of(key);
            assert_eq!(Day::of_file(&name), Some(day), "{name}");
            assert!(!name.contains('/') && name.is_ascii(), "{name}");
            assert!(!keys[..index].iter().any(|other| day.file_of(other) == name));
        }
        assert_eq!(Day::of_file("lock"), None);
        assert_eq!(Day::of_file("x.y"), None);
    }
}
