//! A WebSocket's handshake, as far as who carries it has to know (RFC 6455 section 4).

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::scrub::nominated;

/// What a key is hashed with (RFC 6455 section 1.3).
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Bytes that a key stands for.
const KEY_BYTES: usize = 16;

/// Whether a request asks for a WebSocket, and not only looks like it (RFC 6455 section 4.2.1).
pub fn is_websocket(method: &Method, headers: &HeaderMap) -> bool {
    let is_meant = single(headers, &UPGRADE)
        .is_some_and(|protocol| protocol.as_bytes().eq_ignore_ascii_case(b"websocket"));
    is_meant
        && *method == Method::GET
        && nominated(headers).any(|name| name == UPGRADE)
        && key(headers).is_some()
}

/// Whether `answer` is one to `request`'s key. What is not, speaks to somebody else, or is no WebSocket (RFC 6455
/// section 4.1).
pub fn is_answer(request: &HeaderMap, answer: &HeaderMap) -> bool {
    let expected = key(request).map(accept);
    let accepted = single(answer, &SEC_WEBSOCKET_ACCEPT).map(HeaderValue::as_bytes);
    expected.is_some_and(|expected| accepted == Some(expected.as_bytes()))
}

fn key(headers: &HeaderMap) -> Option<&str> {
    let key = single(headers, &SEC_WEBSOCKET_KEY)?.to_str().ok()?;
    STANDARD.decode(key).is_ok_and(|bytes| bytes.len() == KEY_BYTES).then_some(key)
}

/// The answer to a key (RFC 6455 section 4.2.2): it proves nothing but that the key was read.
fn accept(key: &str) -> String {
    STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, format!("{key}{GUID}").as_bytes()))
}

fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

    fn headers(lines: &[(HeaderName, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn a_key_has_one_answer() {
        let asked = headers(&[(SEC_WEBSOCKET_KEY, KEY)]);
        let answer = |values: &[&'static str]| {
            let lines: Vec<_> = values.iter().map(|value| (SEC_WEBSOCKET_ACCEPT, *value)).collect();
            headers(&lines)
        };
        let (good, other) = ("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "S3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert!(is_answer(&asked, &answer(&[good])));
        for values in [&[][..], &[""], &[other], &[good, good], &[good, other]] {
            assert!(!is_answer(&asked, &answer(values)), "{values:?}");
        }
        assert!(!is_answer(&headers(&[]), &answer(&[good])));
    }

    #[test]
    fn a_key_is_sixteen_bytes_and_there_is_one() {
        assert_eq!(key(&headers(&[(SEC_WEBSOCKET_KEY, KEY)])), Some(KEY));
        for keys in [
            &[][..],
            &[""],
            &["x"],
            &["dGhlIHNhbXBsZSBub25jZQ"],
            &["dGhlIHNhbXBsZSBub25jZSE="],
            &["dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ=="],
        ] {
            let lines: Vec<_> = keys.iter().map(|key| (SEC_WEBSOCKET_KEY, *key)).collect();
            assert_eq!(key(&headers(&lines)), None, "{keys:?}");
        }
    }
}
