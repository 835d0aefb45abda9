//! Dates in the format of JavaScript's JSON.

use time::OffsetDateTime;

/// The last millisecond of a JavaScript `Date`.
const LAST_MS: u64 = 8_640_000_000_000_000;

/// Formats a time, in milliseconds since 1970 UTC, as `Date.prototype.toISOString` does:
/// `2026-11-22T19:36:34.886Z`. Years after 9999 have a sign and six digits. A time beyond the range
/// of a `Date` becomes its last millisecond.
#[must_use]
pub fn iso8601(ms_since_epoch: u64) -> String {
    let nanoseconds = i128::from(ms_since_epoch.min(LAST_MS)) * 1_000_000;
    let date = OffsetDateTime::from_unix_timestamp_nanos(nanoseconds)
        .expect("LAST_MS is within the range of large dates");
    let year = match date.year() {
        year @ ..=9999 => format!("{year:04}"),
        year => format!("+{year:06}"),
    };
    let (month, day) = (u8::from(date.month()), date.day());
    let (hour, minute, second) = date.to_hms();
    let milli = date.millisecond();
    format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS_PER_DAY: u64 = 86_400_000;
    const DAYS_PER_400_YEARS: u64 = 146_097;

    #[test]
    fn dates_are_spelled_as_javascript_spells_them() {
        // Each computed by `new Date(ms).toISOString()`.
        for (ms, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (1, "1970-01-01T00:00:00.001Z"),
            (68_255_999_999, "1972-02-29T23:59:59.999Z"),
            (68_256_000_000, "1972-03-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_767_225_599_999, "2025-12-31T23:59:59.999Z"),
            (1_767_225_600_000, "2026-01-01T00:00:00.000Z"),
            (1_795_376_194_886, "2026-11-22T19:36:34.886Z"),
            (4_107_542_399_999, "2100-02-28T23:59:59.999Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
            (253_402_300_800_000, "+010000-01-01T00:00:00.000Z"),
            (LAST_MS, "+275760-09-13T00:00:00.000Z"),
        ] {
            assert_eq!(iso8601(ms), expected, "{ms}");
        }
    }

    #[test]
    fn times_beyond_the_range_of_a_date_become_its_last_millisecond() {
        assert_eq!(iso8601(LAST_MS + 1), iso8601(LAST_MS));
        assert_eq!(iso8601(u64::MAX), iso8601(LAST_MS));
    }

    #[test]
    fn every_day_of_800_years_follows_the_one_before() {
        let leap = |year: u64| {
            year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
        };
        let (mut year, mut month, mut day) = (1970, 1, 1);
        for days in 0..2 * DAYS_PER_400_YEARS {
            let expected = format!("{year:04}-{month:02}-{day:02}T00:00:00.000Z");
            assert_eq!(iso8601(days * MS_PER_DAY), expected, "day {days}");
            let length = match month {
                2 if leap(year) => 29,
                2 => 28,
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            day += 1;
            if day > length {
                (month, day) = (month + 1, 1);
            }
            if month > 12 {
                (year, month) = (year + 1, 1);
            }
        }
    }
}
