//! What is asked of plain names and words.

use super::quoted;

/// Text that says something: not empty, no white space around it, no control characters in it.
pub(super) fn filled(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("is empty; fill it in, or remove it".to_owned());
    }
    if text.trim() != text || text.contains(char::is_control) {
        return Err(format!(
            "{} has white space around it or a control character in it; remove it",
            quoted(text)
        ));
    }
    Ok(text.to_owned())
}

/// A name as Kubernetes has them (RFC 1123): `a-z`, `0-9` and `-`, 63 characters, no `-` at the ends.
pub(super) fn is_dns_label(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&text.len())
        && text.bytes().all(is_allowed)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// Labels with dots between them, 253 characters.
pub(super) fn is_dns_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_dns_label)
}
