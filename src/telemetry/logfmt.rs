//! Log lines as logfmt: `key=value`, quoted where a value needs it.

use std::fmt::{self, Debug, Write};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::key;

/// One line for each event: `ts`, `level`, `target`, `msg`, and the event's own fields.
#[derive(Clone, Copy, Debug)]
pub(super) struct Logfmt;

impl<S, N> FormatEvent<S, N> for Logfmt
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
        writer.write_str("ts=")?;
        SystemTime.format_time(&mut writer)?;
        write!(writer, " level={}", metadata.level().as_str().to_ascii_lowercase())?;
        let mut pairs = Pairs { writer: &mut writer, written: Ok(()) };
        pairs.add("target", metadata.target());
        event.record(&mut pairs);
        pairs.written?;
        writeln!(writer)
    }
}

/// Writes pairs, each after a space.
struct Pairs<W> {
    writer: W,
    written: fmt::Result,
}

impl<W: Write> Pairs<W> {
    fn add(&mut self, key: &str, value: &str) {
        if self.written.is_ok() {
            self.written = write!(self.writer, " {key}=").and_then(|()| write_value(&mut self.writer, value));
        }
    }
}

impl<W: Write> Visit for Pairs<W> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(key(field), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.add(key(field), &format!("{value:?}"));
    }
}

/// As it is where nobody could misread it, and otherwise as a JSON string, which is what readers of logfmt undo.
fn write_value(writer: &mut impl Write, value: &str) -> fmt::Result {
    if !value.is_empty() && value.chars().all(is_plain) {
        return writer.write_str(value);
    }
    writer.write_char('"')?;
    for character in value.chars() {
        match character {
            '"' | '\\' => write!(writer, "\\{character}")?,
            '\n' => writer.write_str("\\n")?,
            '\r' => writer.write_str("\\r")?,
            '\t' => writer.write_str("\\t")?,
            character if is_unseen(character) => write!(writer, "\\u{:04x}", u32::from(character))?,
            character => writer.write_char(character)?,
        }
    }
    writer.write_char('"')
}

fn is_plain(character: char) -> bool {
    !(character.is_whitespace() || matches!(character, '"' | '\\' | '=') || is_unseen(character))
}

/// What would end a line, or be shown as something else than it is: controls, separators, changes of direction.
fn is_unseen(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(value: &str) -> String {
        let mut text = String::new();
        write_value(&mut text, value).unwrap();
        text
    }

    #[test]
    fn a_value_is_quoted_where_it_could_be_misread() {
        let table = [
            ("plain", "plain"),
            ("https://idp/x?a", "https://idp/x?a"),
            ("µ", "µ"),
            ("", r#""""#),
            ("two words", r#""two words""#),
            ("a=b", r#""a=b""#),
            (r#"say "no""#, r#""say \"no\"""#),
            (r"C:\", r#""C:\\""#),
            ("x\nlevel=error", r#""x\nlevel=error""#),
            ("\r\t\0\u{1b}[31m", r#""\r\t\u0000\u001b[31m""#),
            ("\u{2028}\u{202e}\u{85}", r#""\u2028\u202e\u0085""#),
        ];
        for (value, expected) in table {
            assert_eq!(written(value), expected);
        }
    }

    proptest! {
        #[test]
        fn whatever_is_quoted_is_a_json_string_of_the_value(value in any::<String>()) {
            let text = written(&value);
            if text.starts_with('"') {
                prop_assert_eq!(serde_json::from_str::<String>(&text).unwrap(), value);
            } else {
                prop_assert_eq!(&text, &value);
                prop_assert!(!text.contains([' ', '"', '=', '\\']));
            }
            prop_assert!(!text.contains(char::is_control));
        }
    }
}
