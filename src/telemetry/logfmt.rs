//! Values of logfmt: `key=value`, quoted where a value needs it.

use std::fmt::{self, Write};

/// As it is where nobody could misread it, and otherwise as a JSON string, which is what readers of logfmt undo.
pub(super) fn write_value(writer: &mut impl Write, value: &str) -> fmt::Result {
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
