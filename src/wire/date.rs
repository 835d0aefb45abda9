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
