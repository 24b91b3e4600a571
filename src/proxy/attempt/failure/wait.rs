//! When a provider wants to be asked again, in the words that providers have for it.

use std::time::Duration;

use http::HeaderMap;
use jiff::{Timestamp, fmt::strtime, tz::TimeZone};

/// The longest wait that is believed.
const LONGEST: Duration = Duration::from_secs(3600);
/// The two forms of dates that RFC 9110 (5.6.7) calls obsolete, and has read nevertheless.
const OBSOLETE: [&str; 2] = ["%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"];

/// The wait that an answer's headers ask for: `retry-after-ms` and `x-ms-retry-after-ms` (Azure), else
/// `retry-after` in seconds or as a date (RFC 9110, 10.2.3). An hour at most.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let milliseconds = text("retry-after-ms").or_else(|| text("x-ms-retry-after-ms"));
    if let Some(wait) = milliseconds.and_then(|text| decimal(text, 1e-3)) {
        return Some(wait);
    }
    let text = text("retry-after")?;
    decimal(text, 1.0).or_else(|| until(text))
}

/// Digits, and perhaps a part of a unit, whatever number they make.
fn decimal(text: &str, unit: f64) -> Option<Duration> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    if !is_number(whole) || !is_number(part) {
        return None;
    }
    let seconds = text.parse::<f64>().ok()? * unit;
    Some(Duration::from_secs_f64(seconds.min(LONGEST.as_secs_f64())))
}

/// The time until a date; none is left of one that has passed.
fn until(date: &str) -> Option<Duration> {
    let date = match jiff::fmt::rfc2822::parse(date) {
        Ok(date) => date.timestamp(),
        Err(_) => OBSOLETE.into_iter().find_map(|form| obsolete(form, date))?,
    };
    let wait = Duration::try_from(date.duration_since(Timestamp::now())).unwrap_or_default();
    Some(wait.min(LONGEST))
}

fn obsolete(form: &str, date: &str) -> Option<Timestamp> {
    let date = strtime::parse(form, date).ok()?.to_datetime().ok()?;
    Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(name: &'static str, value: &str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        retry_after(&headers)
    }

    #[test]
    fn every_form_of_retry_after_is_read() {
        assert_eq!(parsed("retry-after", "3"), Some(Duration::from_secs(3)));
        assert_eq!(parsed("retry-after", "0.5"), Some(Duration::from_millis(500)));
        assert_eq!(parsed("retry-after-ms", "1500"), Some(Duration::from_millis(1500)));
        assert_eq!(parsed("retry-after-ms", "1500.5"), Some(Duration::from_micros(1_500_500)));
        assert_eq!(parsed("x-ms-retry-after-ms", "7"), Some(Duration::from_millis(7)));
        for bad in ["soon", "-1", "NaN", "1e3", "1e300", "", ".", "1.", "inf"] {
            assert_eq!(parsed("retry-after", bad), None, "{bad}");
        }
    }

    #[test]
    fn every_form_of_date_is_read() {
        let dates = [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ];
        for date in dates {
            assert_eq!(parsed("retry-after", date), Some(Duration::ZERO), "{date}");
        }
        let known = "1994-11-06T08:49:37Z".parse().unwrap();
        assert_eq!(obsolete(OBSOLETE[0], dates[1]), Some(known));
        assert_eq!(obsolete(OBSOLETE[1], dates[2]), Some(known));
    }

    #[test]
    fn a_wait_beyond_an_hour_is_an_hour() {
        for much in ["99999999999", "18446744073709551615", "3601", "99999999999999999999999"] {
            assert_eq!(parsed("retry-after", much), Some(LONGEST), "{much}");
        }
        assert_eq!(parsed("retry-after-ms", "99999999999999999999999"), Some(LONGEST));
        assert_eq!(parsed("retry-after", "Tue, 31 Dec 2999 23:59:59 GMT"), Some(LONGEST));
    }
}
