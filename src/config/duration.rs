//! Durations as people write them: `15m`, `8h`, `1h30m`, `2d`.

use std::{ops::RangeInclusive, time::Duration};

/// The units, longest first, in seconds.
const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

/// Reads a duration: whole numbers with `d`, `h`, `m`, `s`, each unit once and longest first.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    seconds(text)
        .map(Duration::from_secs)
        .ok_or_else(|| format!("{} is no duration; {}", super::quoted(text), remedy(text)))
}

/// Reads a duration that must lie in `range`, both ends included.
pub(super) fn parse_within(text: &str, range: &RangeInclusive<Duration>) -> Result<Duration, String> {
    let duration = parse(text)?;
    if range.contains(&duration) {
        return Ok(duration);
    }
    let (least, most) = (print(*range.start()), print(*range.end()));
    Err(format!("{text} is out of range; set from {least} to {most}"))
}

/// Writes a duration in the units that [`parse`] reads. Drops what is less than a second.
pub(super) fn print(duration: Duration) -> String {
    let mut rest = duration.as_secs();
    let parts = UNITS.map(|(unit, seconds)| {
        let count = rest / seconds;
        rest %= seconds;
        if count > 0 { format!("{count}{unit}") } else { String::new() }
    });
    Some(parts.concat()).filter(|text| !text.is_empty()).unwrap_or_else(|| "0s".to_owned())
}

fn seconds(text: &str) -> Option<u64> {
    let mut units = UNITS.iter();
    let mut rest = text;
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (digits, tail) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
        let unit = tail.chars().next()?;
        let (_, seconds) = units.find(|(name, _)| *name == unit)?;
        total = total.checked_add(digits.parse::<u64>().ok()?.checked_mul(*seconds)?)?;
        rest = &tail[1..];
    }
    (!text.is_empty()).then_some(total)
}

fn remedy(text: &str) -> String {
    match text.parse::<u64>() {
        Ok(number) => format!("add a unit: `{number}s`, `{number}m`, `{number}h` or `{number}d`"),
        Err(_) => "write it as in `90s`, `15m`, `1h30m` or `2d`".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        let cases = [("90s", 90), ("15m", 900), ("8h", 28_800), ("1h30m", 5_400), ("2d", 172_800), ("0s", 0)];
        for (text, seconds) in cases {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let cases = [
            "",
            "s",
            "m15",
            "15",
            "1.5h",
            "-5m",
            "+5m",
            "15 m",
            "15M",
            "30m1h",
            "1m1m",
            "1h30",
            "5ms",
            "1w",
            "5é",
            "99999999999999999999s",
            "9999999999999999999d",
        ];
        for text in cases {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_number_alone_needs_a_unit() {
        assert_eq!(parse("15").unwrap_err(), "`15` is no duration; add a unit: `15s`, `15m`, `15h` or `15d`");
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(seconds in 0..u64::from(u32::MAX)) {
            let duration = Duration::from_secs(seconds);
            prop_assert_eq!(parse(&print(duration)), Ok(duration));
        }
    }
}
