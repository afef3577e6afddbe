//! Sizes as people write them.

/// Units of a size in bytes: the decimal ones are what disks are sold in, and nobody means them here.
const UNITS: [(&str, u64); 4] = [("", 1), ("k", 1 << 10), ("m", 1 << 20), ("g", 1 << 30)];

/// Reads `32MiB`, `32M`, `512k` or a bare number of bytes; all units are powers of 1024.
///
/// # Errors
/// Says which forms are understood.
pub(super) fn parse_size(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is no size; write 32MiB, 512KiB or a number of bytes");
    let lower = text.trim().to_ascii_lowercase();
    let digits = lower
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(lower.len());
    let number: u64 = lower[..digits].parse().map_err(|_| wrong())?;
    let unit = lower[digits..].trim();
    let unit = unit.strip_suffix("ib").unwrap_or(unit);
    let unit = unit.strip_suffix('b').unwrap_or(unit);
    let size = UNITS.iter().find(|(name, _)| *name == unit);
    let size = size.and_then(|(_, size)| number.checked_mul(*size));
    size.filter(|size| *size > 0).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        let read = ["32MiB", "32M", "32 mb", "33554432"].map(parse_size);
        assert_eq!(read, [const { Ok(32 << 20) }; 4]);
        assert_eq!(parse_size("1b"), Ok(1));
        for wrong in ["", "MiB", "-1", "1.5M", "1T", "0", "99999999999999g"] {
            assert!(parse_size(wrong).is_err(), "{wrong}");
        }
    }
}
