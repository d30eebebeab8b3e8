//! The proleptic Gregorian calendar as arithmetic on whole numbers.

const SECS_PER_DAY: i64 = 86_400;
/// Days in 400 years, after which the calendar repeats.
const DAYS_PER_ERA: i64 = 146_097;
/// Days from 0000-03-01 to 1970-01-01.
const EPOCH_FROM_MARCH_ZERO: i64 = 719_468;

/// A moment in UTC, split into calendar fields; seconds resolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Civil {
    pub(crate) year: i64,
    /// 1 to 12.
    pub(crate) month: i64,
    /// 1 to 31.
    pub(crate) day: i64,
    pub(crate) hour: i64,
    pub(crate) minute: i64,
    pub(crate) second: i64,
}

impl Civil {
    /// Splits seconds since the Unix epoch.
    pub(crate) fn from_unix_secs(secs: i64) -> Self {
        let second_of_day = secs.rem_euclid(SECS_PER_DAY);
        // Years are counted from March, so that the leap day is the last one of a year.
        let days = secs.div_euclid(SECS_PER_DAY) + EPOCH_FROM_MARCH_ZERO;
        let (era, day_of_era) = (days.div_euclid(DAYS_PER_ERA), days.rem_euclid(DAYS_PER_ERA));
        let leap_days = day_of_era / 1460 - day_of_era / 36_524 + day_of_era / 146_096;
        let year_of_era = (day_of_era - leap_days) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let months_from_march = (5 * day_of_year + 2) / 153;
        let month =
            if months_from_march < 10 { months_from_march + 3 } else { months_from_march - 9 };
        Self {
            year: era * 400 + year_of_era + i64::from(month <= 2),
            month,
            day: day_of_year - (153 * months_from_march + 2) / 5 + 1,
            hour: second_of_day / 3600,
            minute: second_of_day / 60 % 60,
            second: second_of_day % 60,
        }
    }

    /// Joins the fields to seconds since the Unix epoch, or `None` when a field is out of range.
    ///
    /// A leap second (`:60`) counts as second 59: the moment is real, but this count has no place
    /// for it. Years may have four digits.
    pub(crate) fn to_unix_secs(self) -> Option<i64> {
        let valid = (0..=9999).contains(&self.year)
            && (1..=12).contains(&self.month)
            && (1..=days_in_month(self.year, self.month)).contains(&self.day)
            && (0..24).contains(&self.hour)
            && (0..60).contains(&self.minute)
            && (0..=60).contains(&self.second);
        if !valid {
            return None;
        }
        let year = self.year - i64::from(self.month <= 2);
        let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
        let months_from_march = (self.month + 9) % 12;
        let day_of_year = (153 * months_from_march + 2) / 5 + self.day - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        let days = era * DAYS_PER_ERA + day_of_era - EPOCH_FROM_MARCH_ZERO;
        let second_of_day = self.hour * 3600 + self.minute * 60 + self.second.min(59);
        Some(days * SECS_PER_DAY + second_of_day)
    }
}

/// Returns the day of the week, 0 = Sunday.
pub(crate) fn weekday(unix_secs: i64) -> usize {
    // 1970-01-01 was a Thursday.
    let day = (unix_secs.div_euclid(SECS_PER_DAY) + 4).rem_euclid(7);
    usize::try_from(day).unwrap_or_default()
}

fn days_in_month(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn civil(year: i64, month: i64, day: i64) -> Civil {
        Civil { year, month, day, hour: 0, minute: 0, second: 0 }
    }

    #[test]
    fn leap_days_exist_only_in_leap_years() {
        assert!(civil(2000, 2, 29).to_unix_secs().is_some());
        assert!(civil(2024, 2, 29).to_unix_secs().is_some());
        assert!(civil(1900, 2, 29).to_unix_secs().is_none());
        assert!(civil(2023, 2, 29).to_unix_secs().is_none());
    }

    #[test]
    fn days_past_the_month_are_refused() {
        for (month, days) in [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31].iter().enumerate() {
            let month = i64::try_from(month).unwrap() + 1;
            assert!(civil(2023, month, *days).to_unix_secs().is_some());
            assert!(civil(2023, month, days + 1).to_unix_secs().is_none());
            assert!(civil(2023, month, 0).to_unix_secs().is_none());
        }
        assert!(civil(2023, 0, 1).to_unix_secs().is_none());
        assert!(civil(2023, 13, 1).to_unix_secs().is_none());
    }

    proptest! {
        #[test]
        fn fields_agree_with_jiff(secs in -62_000_000_000_i64..253_000_000_000) {
            let ours = Civil::from_unix_secs(secs);
            let theirs = jiff::tz::Offset::UTC.to_datetime(jiff::Timestamp::from_second(secs).unwrap());
            prop_assert_eq!(
                (ours.year, ours.month, ours.day, ours.hour, ours.minute, ours.second),
                (
                    i64::from(theirs.year()), i64::from(theirs.month()), i64::from(theirs.day()),
                    i64::from(theirs.hour()), i64::from(theirs.minute()), i64::from(theirs.second())
                )
            );
            prop_assert_eq!(
                weekday(secs),
                usize::try_from(theirs.weekday().to_sunday_zero_offset()).unwrap()
            );
            prop_assert_eq!(ours.to_unix_secs(), Some(secs));
        }
    }
}
