//! Days of the calendar, as the catalogue writes them.

use std::{fmt, str::FromStr, time::SystemTime};

use jiff::{civil::Date, tz::TimeZone};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// A day, `2026-11-20`, which begins at midnight UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(Date);

impl Day {
    /// The moment it begins.
    pub fn begin(self) -> SystemTime {
        let midnight = self.0.to_zoned(TimeZone::UTC);
        midnight.map_or(SystemTime::UNIX_EPOCH, |midnight| {
            midnight.timestamp().into()
        })
    }
}

impl FromStr for Day {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let day = Some(text).filter(|text| text.len() == 10);
        let day = day.and_then(|text| text.parse().ok()).map(Self);
        day.ok_or_else(|| format!("{text:?} is no day; write YYYY-MM-DD"))
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}
