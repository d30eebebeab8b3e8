//! Compares dates with those that Go prints (`testdata/dates.go` makes the table).
#![expect(clippy::unwrap_used, reason = "helpers of a test")]

use units::Timestamp;

/// One moment in all its forms.
struct Moment<'a> {
    nanos: i64,
    utc: &'a str,
    zoned: &'a str,
    http: &'a str,
    /// Absent outside of the years that two digits can name.
    rfc850: Option<&'a str>,
    asctime: &'a str,
}

fn moments() -> Vec<Moment<'static>> {
    let lines = include_str!("../testdata/dates.txt").lines();
    let moment = |line: &'static str| {
        let mut fields = line.split('\t');
        let mut next = || fields.next().unwrap();
        Moment {
            nanos: next().parse().unwrap(),
            utc: next(),
            zoned: next(),
            http: next(),
            rfc850: Some(next()).filter(|&text| text != "-"),
            asctime: next(),
        }
    };
    lines.map(moment).collect()
}

#[test]
fn moments_print_as_go_prints_them() {
    for moment in moments() {
        let timestamp = Timestamp::from_unix_nanos(moment.nanos);
        assert_eq!(timestamp.to_string(), moment.utc);
        assert_eq!(timestamp.http_date(), moment.http);
    }
}

#[test]
fn what_go_prints_is_read() {
    for moment in moments() {
        let timestamp = Timestamp::from_unix_nanos(moment.nanos);
        assert_eq!(Timestamp::parse_rfc3339(moment.utc), Ok(timestamp));
        assert_eq!(Timestamp::parse_rfc3339(moment.zoned), Ok(timestamp));
        let second = Timestamp::from_unix_secs(timestamp.unix_secs());
        for text in [Some(moment.http), moment.rfc850, Some(moment.asctime)].into_iter().flatten() {
            assert_eq!(Timestamp::parse_http_date(text), Ok(second), "{text}");
        }
    }
}
