//! Log lines as JSON: an object a line, with the keys of logfmt.

use std::fmt::{self, Debug, Write};

use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::key;

/// One object for each event: `ts` (RFC 3339, UTC), `level`, `target`, `msg`, and the event's own fields.
#[derive(Clone, Copy, Debug)]
pub(super) struct Json;

impl<S, N> FormatEvent<S, N> for Json
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
        writer.write_str("{\"ts\":\"")?;
        SystemTime.format_time(&mut writer)?;
        writer.write_char('"')?;
        let mut members = Members { writer: &mut writer, written: Ok(()) };
        members.add("level", metadata.level().as_str().to_ascii_lowercase());
        members.add("target", metadata.target());
        event.record(&mut members);
        members.written?;
        writeln!(writer, "}}")
    }
}

/// Writes members, each behind another.
struct Members<W> {
    writer: W,
    written: fmt::Result,
}

impl<W: Write> Members<W> {
    fn add(&mut self, key: &str, value: impl Into<Value>) {
        if self.written.is_ok() {
            self.written = write!(self.writer, ",{}:{}", Value::from(key), value.into());
        }
    }
}

impl<W: Write> Visit for Members<W> {
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
