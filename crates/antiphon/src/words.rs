//! Small pieces of what users write: durations, names that are nearly right.

use std::time::Duration;

/// Units of a duration, the longest name first.
const UNITS: [(&str, f64); 5] = [
    ("ms", 1e-3),
    ("s", 1.0),
    ("m", 60.0),
    ("h", 3600.0),
    ("d", 86400.0),
];

/// Reads `250ms`, `60s`, `1.5h`, `1h30m`, or a bare number of seconds.
///
/// # Errors
/// Says which forms are understood.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no duration; write 500ms, 60s, 5m or 1h30m");
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(wrong());
    }
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let number: f64 = rest[..digits].parse().map_err(|_| wrong())?;
        rest = &rest[digits..];
        let letters = rest
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(rest.len());
        let unit = match &rest[..letters] {
            "" if seconds == 0.0 => 1.0,
            unit => UNITS
                .iter()
                .find(|(name, _)| *name == unit)
                .map(|(_, size)| *size)
                .ok_or_else(wrong)?,
        };
        rest = &rest[letters..];
        seconds += number * unit;
    }
    Duration::try_from_secs_f64(seconds).map_err(|_| wrong())
}

/// The longest word that is compared, in bytes. Comparing takes the product of both lengths, in time and in memory, and
/// callers of a gateway write words of any length.
const LONGEST_WORD: usize = 200;

/// The candidate that is spelt most like `name`, if any is close. Nothing is close to words of more than 200 bytes.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > LONGEST_WORD {
        return None;
    }
    let length = name.chars().count();
    let farthest = |candidate: &str| 1 + candidate.len() / 3;
    candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= LONGEST_WORD)
        // so many letters are missing or too many, at least
        .filter(|candidate| candidate.chars().count().abs_diff(length) <= farthest(candidate))
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= farthest(candidate))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        let millis = |text| parse_duration(text).map(|d| d.as_millis());
        assert_eq!(millis("250ms"), Ok(250));
        assert_eq!(millis("60"), Ok(60_000));
        assert_eq!(millis("1.5s"), Ok(1500));
        assert_eq!(millis("1h30m"), Ok(5_400_000));
        for wrong in ["", "s", "1 h", "5x", "-1s", "1h30", "1e400s"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_slip_of_the_finger_finds_its_word() {
        assert_eq!(nearest("opnai", ["openai", "anthropic"]), Some("openai"));
        assert_eq!(nearest("zzz", ["openai", "anthropic"]), None);
        assert_eq!(nearest("größee", ["größe"]), Some("größe"));
    }

    #[test]
    fn words_without_end_are_compared_with_nothing() {
        let long = "a".repeat(LONGEST_WORD);
        assert_eq!(nearest(&long[1..], [long.as_str()]), Some(long.as_str()));
        let longer = format!("{long}a");
        assert_eq!(nearest(&longer, [long.as_str()]), None);
        assert_eq!(nearest(&long, [longer.as_str()]), None);
        // their table alone would take more memory than there is
        let endless = "b".repeat(4 << 20);
        assert_eq!(nearest(&endless, [endless.as_str()]), None);
    }
}
