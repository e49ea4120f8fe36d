//! What the provider sent the browser back with.

use std::fmt;

use secrecy::SecretString;

use super::ATTEMPT_NAME_LEN;

/// Longest query of a callback, in bytes.
const MAX_QUERY: usize = 8 * 1024;

/// Longest authorization code, in bytes.
const MAX_CODE: usize = 2 * 1024;

/// What the provider sent the browser back with.
#[derive(Debug)]
pub struct Callback {
    pub(super) state: String,
    pub(super) issuer: Option<String>,
    pub(super) answer: Answer,
}

#[derive(Debug)]
pub(super) enum Answer {
    Code(SecretString),
    Error(ProviderAnswer),
}

/// The provider's word for why it signed nobody in, cut down to what is safe to show.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ProviderAnswer(String);

/// Why a callback's query is not looked at any further.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CallbackError {
    /// Both a code and an error, or neither.
    #[error("the callback holds neither one code nor one error")]
    Ambiguous,
    /// A parameter stands twice.
    #[error("a parameter of the callback stands twice")]
    Duplicate,
    /// There is no state.
    #[error("the callback has no state")]
    NoState,
    /// Longer than any provider's.
    #[error("the callback is too long")]
    TooLong,
}

impl Callback {
    /// Reads the query of a callback: strictly, since every parameter decides something.
    pub fn parse(query: &str) -> Result<Self, CallbackError> {
        if query.len() > MAX_QUERY {
            return Err(CallbackError::TooLong);
        }
        let [code, state, issuer, error] = single_values(query, ["code", "state", "iss", "error"])?;
        let answer = match (code, error) {
            (Some(code), None) if code.len() > MAX_CODE => return Err(CallbackError::TooLong),
            (Some(code), None) if !code.is_empty() => Answer::Code(code.into()),
            (None, Some(error)) => Answer::Error(ProviderAnswer::new(&error)),
            (Some(_), _) | (None, None) => return Err(CallbackError::Ambiguous),
        };
        let state = state.filter(|state| !state.is_empty()).ok_or(CallbackError::NoState)?;
        Ok(Self { state, issuer, answer })
    }

    /// The part of the state that names the attempt's cookie; `None` when it could name none.
    pub fn attempt_name(&self) -> Option<&str> {
        let name = self.state.get(..ATTEMPT_NAME_LEN)?;
        name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_').then_some(name)
    }
}

fn single_values<const N: usize>(
    query: &str,
    names: [&str; N],
) -> Result<[Option<String>; N], CallbackError> {
    let mut values = [const { None }; N];
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let Some(at) = names.iter().position(|known| *known == name) else { continue };
        if values[at].replace(value.into_owned()).is_some() {
            return Err(CallbackError::Duplicate);
        }
    }
    Ok(values)
}

impl ProviderAnswer {
    fn new(error: &str) -> Self {
        let is_code = |b: u8| b.is_ascii_lowercase() || b == b'_';
        let is_plain = (1..=40).contains(&error.len()) && error.bytes().all(is_code);
        Self(if is_plain { error } else { "an error" }.to_owned())
    }

    /// The person, or the provider's own rules, said no.
    pub fn is_refusal(&self) -> bool {
        self.0 == "access_denied"
    }
}

impl fmt::Display for ProviderAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callback_is_read_strictly() {
        let long_code = format!("state=a&code={}", "c".repeat(MAX_CODE + 1));
        let long = format!("state=a&code=c&x={}", "c".repeat(MAX_QUERY));
        let table = [
            ("", CallbackError::Ambiguous),
            ("state=a", CallbackError::Ambiguous),
            ("code=&state=a", CallbackError::Ambiguous),
            ("code=c&error=e&state=a", CallbackError::Ambiguous),
            ("code=c", CallbackError::NoState),
            ("code=c&state=", CallbackError::NoState),
            ("code=c&code=d&state=a", CallbackError::Duplicate),
            ("code=c&state=a&state=b", CallbackError::Duplicate),
            ("code=c&state=a&iss=b&iss=b", CallbackError::Duplicate),
            ("error=c&error=d&state=a", CallbackError::Duplicate),
            (long_code.as_str(), CallbackError::TooLong),
            (long.as_str(), CallbackError::TooLong),
        ];
        for (query, error) in table {
            assert_eq!(Callback::parse(query).map(|_| ()), Err(error), "{query}");
        }
    }

    #[test]
    fn an_attempts_cookie_is_named_by_harmless_characters() {
        let name = |state: &str| {
            Callback::parse(&format!("code=c&state={state}")).unwrap().attempt_name().map(str::to_owned)
        };
        assert_eq!(name("abcdefgh-more"), Some("abcdefgh".into()));
        for state in ["abc", "abc%3Bdefgh", "abcdefg%C3%A9", "a%20cdefgh"] {
            assert_eq!(name(state), None, "{state}");
        }
    }
}
