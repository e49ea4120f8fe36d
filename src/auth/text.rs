//! Text within a sealed session.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Text, borrowed from an opened cookie or owned.
///
/// Whether it is UTF-8 is looked at where it is read: a check opens a session with many texts and reads few of them, and
/// nobody but us seals one. What is not UTF-8 reads as nothing.
#[derive(Clone, Eq, PartialEq)]
pub struct Text<'a>(Cow<'a, [u8]>);

impl Text<'_> {
    /// The same text, borrowed from nothing.
    pub fn into_owned(self) -> Text<'static> {
        Text(Cow::Owned(self.0.into_owned()))
    }
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self(Cow::Borrowed(text.as_bytes()))
    }
}

impl From<String> for Text<'_> {
    fn from(text: String) -> Self {
        Self(Cow::Owned(text.into_bytes()))
    }
}

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;

        impl<'de> Visitor<'de> for Bytes {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }

            fn visit_borrowed_bytes<E: Error>(self, bytes: &'de [u8]) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(bytes)))
            }
        }

        deserializer.deserialize_bytes(Bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_is_read_without_a_copy() {
        let sealed = postcard::to_allocvec(&Text::from("Ada Lövelace")).unwrap();
        let read: Text<'_> = postcard::from_bytes(&sealed).unwrap();
        assert_eq!(&*read, "Ada Lövelace");
        assert!(matches!(read.0, Cow::Borrowed(_)));
    }

    #[test]
    fn what_is_not_utf_8_reads_as_nothing() {
        let read: Text<'_> = postcard::from_bytes(&[2, 0xc3, 0x28]).unwrap();
        assert_eq!(&*read, "");
    }
}
