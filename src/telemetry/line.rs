//! Log lines for machines: `ts` (RFC 3339, UTC), `level`, `target`, `msg`, and each event's own fields.

use std::fmt::{self, Debug, Write};

use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::logfmt;

/// How a line looks.
#[derive(Clone, Copy, Debug)]
pub(super) enum Line {
    /// A JSON object.
    Json,
    /// `key=value` pairs.
    Logfmt,
}

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let mut pairs = Pairs { line: *self, writer: &mut writer, is_first: true, written: Ok(()) };
        pairs.add("ts", time);
        pairs.add("level", metadata.level().as_str().to_ascii_lowercase());
        pairs.add("target", metadata.target());
        event.record(&mut pairs);
        pairs.written?;
        writer.write_str(if matches!(self, Self::Json) { "}\n" } else { "\n" })
    }
}

/// Writes pairs, one behind another.
struct Pairs<W> {
    line: Line,
    writer: W,
    is_first: bool,
    written: fmt::Result,
}

impl<W: Write> Pairs<W> {
    fn add(&mut self, key: &str, value: impl Into<Value>) {
        if self.written.is_ok() {
            self.written = self.write(key, &value.into());
        }
        self.is_first = false;
    }

    fn write(&mut self, key: &str, value: &Value) -> fmt::Result {
        match (self.line, self.is_first) {
            (Line::Json, true) => self.writer.write_char('{')?,
            (Line::Json, false) => self.writer.write_char(',')?,
            (Line::Logfmt, true) => {}
            (Line::Logfmt, false) => self.writer.write_char(' ')?,
        }
        match (self.line, value) {
            (Line::Json, value) => write!(self.writer, "{}:{value}", Value::from(key)),
            (Line::Logfmt, Value::String(text)) => {
                write!(self.writer, "{key}=")?;
                logfmt::write_value(&mut self.writer, text)
            }
            (Line::Logfmt, value) => write!(self.writer, "{key}={value}"),
        }
    }
}

impl<W: Write> Visit for Pairs<W> {
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(key(field), value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(key(field), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(key(field), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(key(field), value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(key(field), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.add(key(field), format!("{value:?}"));
    }
}

fn key(field: &Field) -> &'static str {
    match field.name() {
        "message" => "msg",
        name => name,
    }
}
