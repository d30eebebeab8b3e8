//! Access lines as text or JSON.

use std::io::Write as _;

use gomod::Request;
use units::Timestamp;

use super::Record;

/// How access lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people: `time access METHOD path status outcome kind bytes time key=value...`.
    Text,
    /// For machines: one JSON object a line, with the fields of [`FIELDS`].
    Json,
}

/// Fields of an access line with their meaning, in the order they stand in JSON.
pub const FIELDS: [(&str, &str); 15] = [
    ("time", "when the request's header had arrived, RFC 3339 in UTC with microseconds"),
    ("target", "always `access`: tells these lines from other log lines"),
    ("request_id", "32 hex digits, also sent as `X-Request-Id`"),
    ("trace_id", "trace id of the caller's `traceparent`, else the request id"),
    ("client", "client address, as `log.client` allows; absent when off"),
    ("method", "request method, at most 16 bytes"),
    ("path", "path as requested, without the query, at most 512 bytes"),
    ("module", "module path, when the request names one"),
    ("version", "version or revision, when the request names one"),
    (
        "kind",
        "what was asked for: list, latest, info, query, mod, zip, sumdb, page, probe or unknown",
    ),
    ("status", "status sent; 499 when the client left before there was an answer"),
    ("outcome", "hit, miss, collapsed (joined a running fetch), stale or none"),
    ("bytes", "bytes of the body that were sent"),
    ("whole", "false when the body ended before its last byte"),
    ("seconds", "time from the request's header to the answer's end"),
];

/// Bytes of a path that are logged: longer ones are attacks, and end in an ellipsis.
const MAX_PATH: usize = 512;
/// Bytes of a method that are logged: the registered ones are shorter.
const MAX_METHOD: usize = 16;

/// Formatted lines.
#[derive(Debug, Default)]
pub(super) struct Text {
    pub(super) bytes: Vec<u8>,
    pub(super) lines: u64,
}

impl Text {
    /// Empties it; of its memory at most `kept` bytes stay.
    pub(super) fn clear(&mut self, kept: usize) {
        self.bytes.clear();
        self.bytes.shrink_to(kept);
        self.lines = 0;
    }
}

/// Formats records into a buffer.
#[derive(Debug)]
pub(super) struct Writer {
    format: Format,
    text: Vec<u8>,
    lines: u64,
    // The text of the second that the last record fell into: formatting a date costs more than the
    // rest of the line.
    second: (i64, String),
}

impl Writer {
    pub(super) fn new(format: Format) -> Self {
        Self { format, text: Vec::new(), lines: 0, second: (i64::MIN, String::new()) }
    }

    pub(super) fn push(&mut self, record: &Record) {
        match self.format {
            Format::Text => self.push_text(record),
            Format::Json => self.push_json(record),
        }
        self.text.push(b'\n');
        self.lines += 1;
    }

    /// Lines formatted since the last [`Writer::clear`].
    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    /// Gives the lines away, if there are any, for an empty buffer.
    pub(super) fn take(&mut self, batch: &mut Text) {
        if self.lines == 0 {
            return;
        }
        std::mem::swap(&mut self.text, &mut batch.bytes);
        std::mem::swap(&mut self.lines, &mut batch.lines);
    }

    fn push_text(&mut self, record: &Record) {
        self.push_time(record.at);
        self.put(" access ");
        self.push_bounded(record.method.as_str(), MAX_METHOD, Writer::push_plain);
        self.put(" ");
        self.push_bounded(path(record), MAX_PATH, Writer::push_plain);
        self.put(" ");
        self.push_number(record.status.into());
        self.put(" ");
        self.put(record.outcome.as_str());
        self.put(" ");
        self.put(record.kind.as_str());
        self.put(" ");
        self.push_number(record.bytes);
        self.put(if record.whole { "B " } else { "B(cut) " });
        self.push_seconds(record);
        self.put("s");
        let (module, version) = subject(record.request.as_ref());
        for (key, value) in [(" module=", module), (" version=", version)] {
            if let Some(value) = value {
                self.put(key);
                self.push_plain(value);
            }
        }
        if let Some(client) = record.client {
            self.push_display(format_args!(" client={client}"));
        }
        self.put(" request_id=");
        self.put(record.ids.request());
        self.put(" trace_id=");
        self.put(record.ids.trace_id());
    }

    fn push_json(&mut self, record: &Record) {
        self.put("{\"time\":\"");
        self.push_time(record.at);
        self.put("\",\"target\":\"access\",\"request_id\":\"");
        self.put(record.ids.request());
        self.put("\",\"trace_id\":\"");
        self.put(record.ids.trace_id());
        if let Some(client) = record.client {
            self.push_display(format_args!("\",\"client\":\"{client}"));
        }
        self.put("\",\"method\":\"");
        self.push_bounded(record.method.as_str(), MAX_METHOD, Writer::push_escaped);
        self.put("\",\"path\":\"");
        self.push_bounded(path(record), MAX_PATH, Writer::push_escaped);
        let (module, version) = subject(record.request.as_ref());
        for (key, value) in [("\",\"module\":\"", module), ("\",\"version\":\"", version)] {
            if let Some(value) = value {
                self.put(key);
                self.push_escaped(value);
            }
        }
        self.put("\",\"kind\":\"");
        self.put(record.kind.as_str());
        self.put("\",\"status\":");
        self.push_number(record.status.into());
        self.put(",\"outcome\":\"");
        self.put(record.outcome.as_str());
        self.put("\",\"bytes\":");
        self.push_number(record.bytes);
        self.put(if record.whole { ",\"whole\":true" } else { ",\"whole\":false" });
        self.put(",\"seconds\":");
        self.push_seconds(record);
        self.put("}");
    }

    fn put(&mut self, text: &str) {
        self.text.extend_from_slice(text.as_bytes());
    }

    /// Writing into memory does not fail.
    fn push_display(&mut self, arguments: std::fmt::Arguments<'_>) {
        let _ = self.text.write_fmt(arguments);
    }

    /// Decimal digits, at least `width` of them. A line has five numbers, and the formatting
    /// machinery of the standard library took as long for them as all the rest.
    fn push_digits(&mut self, mut number: u64, width: usize) {
        const LONGEST: usize = 20;
        let mut digits = [b'0'; LONGEST];
        let mut used = 0;
        for digit in digits.iter_mut().rev() {
            if number == 0 && used >= width.max(1) {
                break;
            }
            *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
            number /= 10;
            used += 1;
        }
        self.text.extend_from_slice(digits.get(LONGEST - used..).unwrap_or_default());
    }

    fn push_number(&mut self, number: u64) {
        self.push_digits(number, 1);
    }

    fn push_seconds(&mut self, record: &Record) {
        self.push_number(record.took.as_secs());
        self.put(".");
        self.push_digits(record.took.subsec_micros().into(), 6);
    }

    fn push_time(&mut self, at: Timestamp) {
        let second = at.unix_secs();
        if self.second.0 != second {
            let text = Timestamp::from_unix_secs(second).to_string();
            self.second = (second, text.trim_end_matches('Z').to_owned());
        }
        let micros = at.unix_nanos().rem_euclid(1_000_000_000) / 1_000;
        self.text.extend_from_slice(self.second.1.as_bytes());
        self.put(".");
        self.push_digits(micros.unsigned_abs(), 6);
        self.put("Z");
    }

    fn push_bounded(&mut self, text: &str, max: usize, push: fn(&mut Self, &str)) {
        if text.len() <= max {
            return push(self, text);
        }
        push(self, text.get(..text.floor_char_boundary(max)).unwrap_or_default());
        self.put("...");
    }

    /// A word of a text line: what would end it or move the terminal's cursor is shown as `?`.
    fn push_plain(&mut self, text: &str) {
        let shown = |byte: u8| if byte <= b' ' || byte == 0x7f { b'?' } else { byte };
        self.text.extend(text.bytes().map(shown));
    }

    /// The inside of a JSON string. Source: RFC 8259 §7.
    fn push_escaped(&mut self, text: &str) {
        // Nearly all text is of this kind, and copying it whole is ten times as fast.
        if text.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
            return self.put(text);
        }
        for byte in text.bytes() {
            match byte {
                b'"' | b'\\' => self.text.extend_from_slice(&[b'\\', byte]),
                0..0x20 => self.push_display(format_args!("\\u{byte:04x}")),
                _ => self.text.push(byte),
            }
        }
    }
}

fn path(record: &Record) -> &str {
    record.target.as_ref().map_or("-", |target| target.path())
}

/// Module and version that a request names.
fn subject(request: Option<&Request>) -> (Option<&str>, Option<&str>) {
    match request {
        None | Some(Request::Sumdb(_)) => (None, None),
        Some(Request::List(path) | Request::Latest(path)) => (Some(path.as_str()), None),
        Some(Request::Info(path, query)) => (Some(path.as_str()), Some(query.as_str())),
        Some(Request::Mod(module) | Request::Zip(module)) => {
            (Some(module.path().as_str()), Some(module.version().as_str()))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::Method;
    use http::uri::PathAndQuery;

    use super::super::tests::record;
    use super::*;

    fn line(format: Format, record: &Record) -> String {
        let mut writer = Writer::new(format);
        writer.push(record);
        let line = String::from_utf8(writer.text().to_vec()).unwrap();
        line.strip_suffix('\n').unwrap().to_owned()
    }

    fn json(record: &Record) -> serde_json::Value {
        serde_json::from_str(&line(Format::Json, record)).unwrap()
    }

    #[test]
    fn a_text_line_reads_from_left_to_right() {
        let record = record();
        let id = record.ids.request().to_owned();
        assert_eq!(
            line(Format::Text, &record),
            format!(
                "2001-09-09T01:46:40.123456Z access GET /example.com/m/@v/v1.0.0.zip 200 hit zip \
                 280B 0.000031s module=example.com/m version=v1.0.0 client=192.0.2.1 \
                 request_id={id} trace_id={id}"
            )
        );
    }

    #[test]
    fn a_json_line_holds_the_documented_fields_in_their_order() {
        let line = line(Format::Json, &record());
        let mut at = 0;
        for (name, _) in FIELDS {
            let key = format!("\"{name}\":");
            at =
                line.get(at..).unwrap().find(&key).unwrap_or_else(|| panic!("{name}: {line}")) + at;
        }
        let keys = json(&record()).as_object().unwrap().len();
        assert_eq!(keys, FIELDS.len());
    }

    #[test]
    fn json_values_are_typed() {
        let line = json(&Record { whole: false, ..record() });
        assert_eq!(line["time"], "2001-09-09T01:46:40.123456Z");
        assert_eq!((line["status"].as_u64(), line["bytes"].as_u64()), (Some(200), Some(280)));
        assert_eq!(line["seconds"].as_f64(), Some(0.000_031));
        assert_eq!(line["whole"].as_bool(), Some(false));
        assert_eq!(
            (&line["module"], &line["version"]),
            (&"example.com/m".into(), &"v1.0.0".into())
        );
    }

    #[test]
    fn the_query_is_not_logged() {
        for format in [Format::Text, Format::Json] {
            assert!(!line(format, &record()).contains("secret"));
        }
    }

    #[test]
    fn what_is_unknown_is_left_out() {
        let record = Record { client: None, request: None, ..record() };
        let value = json(&record);
        for field in ["client", "module", "version"] {
            assert!(value.get(field).is_none(), "{value}");
        }
        assert!(!line(Format::Text, &record).contains("client="));
    }

    #[test]
    fn a_path_is_cut_behind_the_last_byte_allowed() {
        let path = |len: usize| {
            let target = format!("/{}", "a".repeat(len - 1));
            let target = PathAndQuery::try_from(target).unwrap();
            json(&Record { target: Some(target), ..record() })["path"].as_str().unwrap().to_owned()
        };
        assert_eq!(path(MAX_PATH), format!("/{}", "a".repeat(MAX_PATH - 1)));
        assert_eq!(path(MAX_PATH + 1), format!("/{}...", "a".repeat(MAX_PATH - 1)));
    }

    #[test]
    fn a_method_is_cut_behind_the_last_byte_allowed() {
        let method = |len: usize| {
            let method = Method::from_bytes("M".repeat(len).as_bytes()).unwrap();
            json(&Record { method, ..record() })["method"].as_str().unwrap().to_owned()
        };
        assert_eq!(method(MAX_METHOD), "M".repeat(MAX_METHOD));
        assert_eq!(method(MAX_METHOD + 1), format!("{}...", "M".repeat(MAX_METHOD)));
    }

    #[test]
    fn nothing_a_client_sends_breaks_a_line() {
        let mut writer = Writer::new(Format::Text);
        writer.push_plain("a b\n\u{1b}[31m\u{7f}");
        assert_eq!(writer.text(), b"a?b??[31m?");
        let mut writer = Writer::new(Format::Json);
        writer.push_escaped("\"\\\n\u{1}ü");
        assert_eq!(writer.text(), "\\\"\\\\\\u000a\\u0001ü".as_bytes());
    }

    #[test]
    fn numbers_are_written_to_the_last_digit() {
        for (number, width, shown) in [
            (0, 1, "0"),
            (9, 1, "9"),
            (10, 1, "10"),
            (7, 6, "000007"),
            (1_234_567, 6, "1234567"),
            (u64::MAX, 1, "18446744073709551615"),
        ] {
            let mut writer = Writer::new(Format::Text);
            writer.push_digits(number, width);
            assert_eq!(writer.text(), shown.as_bytes());
        }
    }

    #[test]
    fn long_requests_show_whole_seconds() {
        let record = Record { took: Duration::from_millis(61_500), ..record() };
        assert!(line(Format::Text, &record).contains(" 61.500000s "));
    }

    #[test]
    fn the_second_changes_with_the_record() {
        let mut writer = Writer::new(Format::Text);
        writer.push(&record());
        writer.push(&Record {
            at: Timestamp::from_unix_nanos(1_000_000_001_000_000_000),
            ..record()
        });
        let text = String::from_utf8(writer.text().to_vec()).unwrap();
        assert!(text.lines().nth(1).unwrap().starts_with("2001-09-09T01:46:41.000000Z "), "{text}");
    }
}
