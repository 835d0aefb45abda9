//! Dates as JavaScript's JSON spells them.

/// The last millisecond a JavaScript `Date` can hold.
const LAST_MS: u64 = 8_640_000_000_000_000;

const MS_PER_DAY: u64 = 86_400_000;
const DAYS_PER_400_YEARS: u64 = 146_097;

/// Spells a time, in milliseconds since 1970 UTC, as `Date.prototype.toISOString` does:
/// `2026-11-22T19:36:34.886Z`. Years after 9999 have a sign and six digits there, hence here;
/// what lies beyond the range of a `Date` becomes its last millisecond.
#[must_use]
pub fn iso8601(ms_since_epoch: u64) -> String {
    let ms = ms_since_epoch.min(LAST_MS);
    let (year, month, day) = civil(ms / MS_PER_DAY);
    let time = ms % MS_PER_DAY;
    let (hour, minute) = (time / 3_600_000, time / 60_000 % 60);
    let (second, milli) = (time / 1000 % 60, time % 1000);
    let year = if year > 9999 {
        format!("+{year:06}")
    } else {
        format!("{year:04}")
    };
    format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

/// The Gregorian year, month (1 to 12) and day (1 to 31) that is `days` after 1970-01-01.
///
/// Counts years from March, so that the leap day is the last of its year, in cycles of 400
/// years from 0000-03-01, which all have the same number of days.
fn civil(days: u64) -> (u64, u64, u64) {
    const MARCH_0000_TO_1970: u64 = 719_468;
    let days = days + MARCH_0000_TO_1970;
    let cycle = days / DAYS_PER_400_YEARS;
    let day_of_cycle = days % DAYS_PER_400_YEARS;
    let year_of_cycle =
        (day_of_cycle - day_of_cycle / 1460 + day_of_cycle / 36_524 - day_of_cycle / 146_096) / 365;
    let day_of_year =
        day_of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    // Months from March alternate between 31 and 30 days in runs of five with 153 days.
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let (month, carry) = if month_from_march < 10 {
        (month_from_march + 3, 0)
    } else {
        (month_from_march - 9, 1)
    };
    (400 * cycle + year_of_cycle + carry, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert_eq!(civil(days), (year, month, day), "day {days}");
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
