//! Values as they stand in other people's languages: none can end its string, or begin anything else.

use std::fmt::Write as _;

/// Words that YAML 1.1 or 1.2 reads as something other than text.
const YAML_WORDS: [&str; 9] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];

/// A YAML scalar that is text: plain where nobody can read it otherwise, else in double quotes (YAML 1.2, section 7.3.1).
pub(super) fn yaml(text: &str) -> String {
    let is_safe = |c: char| c.is_ascii_alphanumeric() || "._/:-".contains(c);
    let is_word = YAML_WORDS.iter().any(|word| text.eq_ignore_ascii_case(word));
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
    if begins && !text.ends_with(':') && !is_word && text.chars().all(is_safe) {
        return text.to_owned();
    }
    quoted(text)
}

/// A list of YAML scalars, on one line.
pub(super) fn yaml_list<T: AsRef<str>>(items: &[T]) -> String {
    // A colon before a comma or a bracket would end a plain scalar in here.
    let items = items
        .iter()
        .map(AsRef::as_ref)
        .map(|item| if item.contains(':') { quoted(item) } else { yaml(item) });
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

/// A double-quoted scalar. Everything but printable ASCII is escaped, so that no reader of an older YAML sees a line's end in it.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            ' '..='~' => quoted.push(c),
            _ => write!(quoted, "\\U{:08X}", u32::from(c)).expect("a String takes all"),
        }
    }
    quoted + "\""
}

/// A string of HCL's native syntax (its specification, "Quoted Template Expressions"), with nothing in it evaluated.
pub(super) fn hcl(text: &str) -> String {
    let mut quoted = String::from("\"");
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '$' | '%' if rest.peek() == Some(&'{') => quoted.extend([c, c]),
            ' '..='~' => quoted.push(c),
            _ => write!(quoted, "\\U{:08x}", u32::from(c)).expect("a String takes all"),
        }
    }
    quoted + "\""
}

/// A code span of Markdown (CommonMark, section 6.1), with as many backticks around it as it needs.
pub(super) fn code(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { '\u{FFFD}' } else { c }).collect();
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    if longest == 0 {
        return format!("`{text}`");
    }
    let fence = "`".repeat(longest + 1);
    format!("{fence} {text} {fence}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_plain_stays_readable() {
        assert_eq!(yaml("https://auth.example.com/o/headlamp/"), "https://auth.example.com/o/headlamp/");
        assert_eq!(yaml("/etc/lamplighter/client-secret"), "/etc/lamplighter/client-secret");
        assert_eq!(yaml_list(&["openid", "urn:a"]), r#"[openid, "urn:a"]"#);
    }

    #[test]
    fn what_could_be_read_otherwise_is_quoted() {
        for text in
            ["", "7", "no", "True", "a: b", "a:", "- a", "#a", "&a", "!Env a", "a #b", "{a", "@a", "~", "1e3"]
        {
            assert_eq!(yaml(text), format!("\"{text}\""));
        }
        assert_eq!(yaml("a\"\\\n\u{85}"), r#""a\"\\\U0000000A\U00000085""#);
    }

    #[test]
    fn nothing_in_hcl_is_evaluated() {
        assert_eq!(hcl("a"), r#""a""#);
        assert_eq!(hcl(r#"a" } resource "x" {"#), r#""a\" } resource \"x\" {""#);
        assert_eq!(hcl("${file(\"/etc/passwd\")}"), r#""$${file(\"/etc/passwd\")}""#);
        assert_eq!(hcl("%{ if true }$$%"), r#""%%{ if true }$$%""#);
        assert_eq!(hcl("$${a}"), r#""$$${a}""#);
        assert_eq!(hcl("\\\n\té"), r#""\\\U0000000a\U00000009\U000000e9""#);
    }

    #[test]
    fn a_code_span_holds_backticks() {
        assert_eq!(code("a"), "`a`");
        assert_eq!(code("a`b``c"), "``` a`b``c ```");
        assert_eq!(code("a\nb"), "`a\u{FFFD}b`");
    }

    proptest! {
        #[test]
        fn yaml_reads_back_what_was_written(text in any::<String>()) {
            let document = format!("a: {}\nb: {}\n", yaml(&text), yaml_list(&[&text, "c"]));
            let read: serde_json::Value = serde_saphyr::from_str(&document).unwrap();
            prop_assert_eq!(&read["a"], &text);
            prop_assert_eq!(&read["b"], &serde_json::json!([text, "c"]));
        }

        #[test]
        fn yaml_reads_back_what_looks_like_yaml(text in "[-a-z0-9:#!&*?|>%@,'\"{}\\[\\] \n._~+]{0,12}") {
            let read: serde_json::Value = serde_saphyr::from_str(&format!("a: {}\n", yaml(&text))).unwrap();
            prop_assert_eq!(&read["a"], &text);
        }
    }
}
