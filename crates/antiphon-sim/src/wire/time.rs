//! Durations and dates as headers write them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A duration in Go's form, as OpenAI's reset headers have it: `12ms`, `7.66s`, `6m0s`, `1h2m3.5s`.
pub(crate) fn go_duration(duration: Duration) -> String {
    // rounded up: a caller that waits this long finds the door open
    let millis = duration.as_nanos().div_ceil(1_000_000);
    if millis == 0 {
        return "0s".to_owned();
    }
    if millis < 1000 {
        return format!("{millis}ms");
    }
    let (seconds, millis) = (millis / 1000, millis % 1000);
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    let mut text = String::new();
    if hours > 0 {
        text.push_str(&format!("{hours}h"));
    }
    if hours > 0 || minutes > 0 {
        text.push_str(&format!("{minutes}m"));
    }
    let fraction = format!(".{millis:03}");
    text.push_str(&format!(
        "{}{}s",
        seconds % 60,
        fraction.trim_end_matches('0').trim_end_matches('.')
    ));
    text
}

/// A date as RFC 3339 has it, in whole seconds, rounded up.
pub(crate) fn rfc_3339(date: SystemTime) -> String {
    let since = date.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = since.as_secs() + u64::from(since.subsec_nanos() > 0);
    let (year, month, day) = civil(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Year, month and day of a day since 1970: Howard Hinnant's `civil_from_days`
/// (<https://howardhinnant.github.io/date_algorithms.html>), for days after 1970 only.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_go_does() {
        for (millis, text) in [
            (0, "0s"),
            (12, "12ms"),
            (1000, "1s"),
            (7660, "7.66s"),
            (360_000, "6m0s"),
            (3_723_500, "1h2m3.5s"),
            (3_600_000, "1h0m0s"),
        ] {
            assert_eq!(go_duration(Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn dates_are_written_as_rfc_3339_does() {
        let at = |seconds, nanos| UNIX_EPOCH + Duration::new(seconds, nanos);
        assert_eq!(rfc_3339(at(0, 0)), "1970-01-01T00:00:00Z");
        assert_eq!(rfc_3339(at(951_827_696, 1)), "2000-02-29T12:34:57Z");
        assert_eq!(rfc_3339(at(1_795_000_000, 0)), "2026-11-18T11:06:40Z");
    }
}
