//! Where heads begin, read beside hyper, because hyper keeps two things to itself.
//!
//! A request with `Content-Length` and `Transfer-Encoding` it reads as chunked, and drops the length; a bare line
//! feed it takes for the end of a line. Whoever stands in front of us may read either otherwise, and then takes
//! for a body what we take for a request (RFC 9112 sections 2.2, 6.1 and 11.2).

/// Bytes of a line that are kept: enough for the two headers that matter, and any length that fits 64 bits.
const KEPT: usize = 64;

/// Follows what a client sends, as far as it takes to know which bytes are heads.
#[derive(Debug)]
pub(super) struct Framing {
    place: Place,
    line: Line,
    head: Head,
}

/// What comes next.
#[derive(Clone, Copy, Debug)]
enum Place {
    Head,
    /// So many bytes of a body.
    Body(u64),
    /// Nothing that counts: with the answer to a chunked request, the connection ends.
    Unfollowed,
}

/// What a head said so far.
#[derive(Debug, Default)]
struct Head {
    has_begun: bool,
    length: Option<u64>,
    is_chunked: bool,
}

/// The beginning of a line, and its last byte.
#[derive(Debug)]
struct Line {
    kept: [u8; KEPT],
    len: usize,
    last: u8,
}

/// A head with two readings. What follows on its connection has as many.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct TwoReadings;

impl Framing {
    /// A connection that begins.
    pub(super) fn begin() -> Self {
        Self { place: Place::Head, line: Line::empty(), head: Head::default() }
    }

    /// Follows the next bytes, however they were cut.
    pub(super) fn follow(&mut self, mut bytes: &[u8]) -> Result<(), TwoReadings> {
        while !bytes.is_empty() {
            match self.place {
                Place::Unfollowed => return Ok(()),
                Place::Body(left) => {
                    let step = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                    bytes = &bytes[step..];
                    self.place = after(left - step as u64);
                }
                Place::Head => {
                    let Some(end) = memchr::memchr(b'\n', bytes) else {
                        self.line.push(bytes);
                        return Ok(());
                    };
                    self.line.push(&bytes[..end]);
                    bytes = &bytes[end + 1..];
                    self.end_line()?;
                }
            }
        }
        Ok(())
    }

    /// Whether what came so far ends with a message, as far as it is followed.
    pub(super) fn is_between(&self) -> bool {
        match self.place {
            Place::Head => !self.head.has_begun && self.line.len == 0,
            Place::Body(_) => false,
            Place::Unfollowed => true,
        }
    }

    fn end_line(&mut self) -> Result<(), TwoReadings> {
        let line = std::mem::replace(&mut self.line, Line::empty());
        if line.last != b'\r' {
            return Err(TwoReadings);
        }
        match (line.len, self.head.has_begun) {
            // Empty lines before a request mean nothing (RFC 9112 section 2.2).
            (1, false) => {}
            (1, true) => self.place = std::mem::take(&mut self.head).end()?,
            (_, false) => self.head.has_begun = true,
            (_, true) => self.head.note(&line)?,
        }
        Ok(())
    }
}

fn after(left: u64) -> Place {
    if left == 0 { Place::Head } else { Place::Body(left) }
}

impl Head {
    fn note(&mut self, line: &Line) -> Result<(), TwoReadings> {
        if line.begins_with(b"transfer-encoding:") {
            self.is_chunked = true;
        } else if line.begins_with(b"content-length:") {
            let length = line.value().ok_or(TwoReadings)?;
            if self.length.replace(length).is_some() {
                return Err(TwoReadings);
            }
        }
        Ok(())
    }

    fn end(self) -> Result<Place, TwoReadings> {
        match (self.length, self.is_chunked) {
            (Some(_), true) => Err(TwoReadings),
            (None, true) => Ok(Place::Unfollowed),
            (length, false) => Ok(after(length.unwrap_or(0))),
        }
    }
}

impl Line {
    const fn empty() -> Self {
        Self { kept: [0; KEPT], len: 0, last: 0 }
    }

    fn push(&mut self, bytes: &[u8]) {
        let Some(last) = bytes.last() else { return };
        let (from, room) = (self.len.min(KEPT), KEPT.saturating_sub(self.len));
        let step = room.min(bytes.len());
        self.kept[from..from + step].copy_from_slice(&bytes[..step]);
        self.len = self.len.saturating_add(bytes.len());
        self.last = *last;
    }

    fn begins_with(&self, name: &[u8]) -> bool {
        self.len >= name.len() && self.kept[..name.len()].eq_ignore_ascii_case(name)
    }

    /// The number behind the colon, if the whole line was kept and has one.
    fn value(&self) -> Option<u64> {
        let line = std::str::from_utf8(self.kept.get(..self.len)?).ok()?;
        let digits = line.split_once(':')?.1.trim_matches([' ', '\t', '\r']);
        let is_number = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
        is_number.then(|| digits.parse().ok())?
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

    fn follow(text: &str) -> Result<(), TwoReadings> {
        Framing::begin().follow(text.as_bytes())
    }

    fn post(lines: &str) -> String {
        format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n")
    }

    #[test]
    fn a_head_with_one_reading_passes() {
        for lines in [
            "",
            "Content-Length: 0\r\n",
            "Transfer-Encoding: chunked\r\n",
            "content-length:0 \t\r\n",
            "X-Content-Length: x\r\n",
            "Content-Lengths: x\r\n",
            "Expect: Content-Length: x\r\n",
        ] {
            assert_eq!(follow(&post(lines)), Ok(()), "{lines:?}");
        }
    }

    #[test]
    fn a_head_with_two_readings_does_not() {
        for lines in [
            "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
            "transfer-encoding:chunked\r\nA: b\r\nCONTENT-LENGTH:4\r\n",
            "Transfer-Encoding: gzip\r\nContent-Length: 4\r\n",
            "Content-Length: 4\r\nContent-Length: 4\r\n",
            "Content-Length: 4, 4\r\n",
            "Content-Length: +4\r\n",
            "Content-Length: -4\r\n",
            "Content-Length:\r\n",
            "Content-Length: 18446744073709551616\r\n",
            "A: b\n",
            "A: b\nTransfer-Encoding: chunked\r\n",
            "\n",
        ] {
            assert_eq!(follow(&post(lines)), Err(TwoReadings), "{lines:?}");
        }
        let far = format!("Content-Length:{}4\r\n", " ".repeat(KEPT));
        assert_eq!(follow(&post(&far)), Err(TwoReadings), "what was not kept is not guessed");
    }

    #[test]
    fn a_body_is_no_head_and_what_follows_it_is() {
        let body = "Content-Length: 1\nTransfer-Encoding: x\n\n";
        let one = format!("{}{body}", post(&format!("Content-Length: {}\r\n", body.len())));
        assert_eq!(follow(&format!("{one}{GET}\r\n{one}{GET}")), Ok(()));
        assert_eq!(follow(&format!("{one}{}", post("A: b\n"))), Err(TwoReadings));
    }

    #[test]
    fn a_message_ends_with_its_last_byte() {
        let body = post("Content-Length: 2\r\n");
        for (text, is_between) in [
            ("", true),
            ("G", false),
            (GET, true),
            (&GET[..GET.len() - 1], false),
            (&format!("{GET}{GET}"), true),
            (&format!("{GET}GET"), false),
            (&body, false),
            (&format!("{body}x"), false),
            (&format!("{body}xy"), true),
            (&format!("{GET}\r\n"), true),
        ] {
            let mut framing = Framing::begin();
            framing.follow(text.as_bytes()).unwrap();
            assert_eq!(framing.is_between(), is_between, "{text:?}");
        }
    }

    #[test]
    fn what_follows_a_chunked_request_counts_no_more() {
        assert_eq!(follow(&format!("{}5\nhello", post("Transfer-Encoding: chunked\r\n"))), Ok(()));
    }

    proptest! {
        #[test]
        fn how_bytes_were_cut_makes_no_difference(
            parts in proptest::collection::vec(prop_oneof![
                Just("GET / HTTP/1.1\r\n"), Just("Content-Length: 3\r\n"), Just("Content-Length: 0\r\n"),
                Just("Transfer-Encoding: chunked\r\n"), Just("\r\n"), Just("\n"), Just("abc"), Just("A: b\r\n"),
            ], 0..12),
            cuts in proptest::collection::vec(1_usize..9, 1..9),
        ) {
            let text = parts.concat();
            let (mut framing, mut rest, mut said) = (Framing::begin(), text.as_bytes(), Ok(()));
            for cut in cuts.iter().cycle() {
                if rest.is_empty() || said.is_err() {
                    break;
                }
                let (now, later) = rest.split_at((*cut).min(rest.len()));
                said = framing.follow(now);
                rest = later;
            }
            prop_assert_eq!(said, follow(&text));
        }

        #[test]
        fn nothing_makes_it_fall(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = Framing::begin().follow(&bytes);
        }
    }
}
