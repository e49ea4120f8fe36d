//! Where WebSocket frames end, in bytes that pass by (RFC 6455 section 5.2).
//!
//! A tunnel is relayed as bytes. To end one with a close frame, it has to be known that no frame is half sent.

/// Follows the frames of one direction.
#[derive(Debug, Default)]
pub(super) struct Frames {
    header: [u8; 14],
    header_len: usize,
    payload_left: u64,
}

impl Frames {
    /// Takes note of `bytes` that passed.
    pub(super) fn pass(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.payload_left > 0 {
                let taken = self.payload_left.min(bytes.len() as u64);
                self.payload_left -= taken;
                bytes = &bytes[usize::try_from(taken).unwrap_or(bytes.len())..];
                continue;
            }
            self.header[self.header_len] = bytes[0];
            self.header_len += 1;
            bytes = &bytes[1..];
            if self.header_len == needed(&self.header[..self.header_len]) {
                self.payload_left = payload(&self.header);
                self.header_len = 0;
            }
        }
    }

    /// Bytes that are known to be missing in the frame under way; none between two frames.
    pub(super) fn missing(&self) -> u64 {
        match self.header_len {
            0 => self.payload_left,
            known => (needed(&self.header[..known]) - known) as u64,
        }
    }

    /// Whether the last frame is complete.
    pub(super) fn is_between(&self) -> bool {
        self.header_len == 0 && self.payload_left == 0
    }
}

/// How long the header is that begins like this.
fn needed(header: &[u8]) -> usize {
    let Some(second) = header.get(1) else { return 2 };
    let mask = if second & 0x80 == 0 { 0 } else { 4 };
    match second & 0x7f {
        126 => 4 + mask,
        127 => 10 + mask,
        _ => 2 + mask,
    }
}

fn payload(header: &[u8; 14]) -> u64 {
    match header[1] & 0x7f {
        126 => u64::from(u16::from_be_bytes([header[2], header[3]])),
        127 => {
            let mut long = [0; 8];
            long.copy_from_slice(&header[2..10]);
            u64::from_be_bytes(long)
        }
        short => u64::from(short),
    }
}

/// A close frame from a server, with a status of RFC 6455 section 7.4 and a reason in one word.
pub(super) fn close(status: u16, reason: &str) -> Vec<u8> {
    let reason = &reason.as_bytes()[..reason.len().min(100)];
    let mut frame = vec![0x88, u8::try_from(2 + reason.len()).unwrap_or(2)];
    frame.extend_from_slice(&status.to_be_bytes());
    frame.extend_from_slice(reason);
    frame
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(len: usize, masked: bool) -> Vec<u8> {
        let mask = if masked { 0x80 } else { 0 };
        let mut frame = vec![0x82];
        match len {
            0..126 => frame.push(mask + u8::try_from(len).unwrap()),
            126..=0xffff => {
                frame.push(mask + 126);
                frame.extend(u16::try_from(len).unwrap().to_be_bytes());
            }
            _ => {
                frame.push(mask + 127);
                frame.extend((len as u64).to_be_bytes());
            }
        }
        frame.extend(vec![7; if masked { 4 } else { 0 } + len]);
        frame
    }

    #[test]
    fn who_reads_what_is_missing_stops_at_the_end_of_the_frame() {
        let (bytes, end) = ([frame(300, true), frame(5, true)].concat(), frame(300, true).len());
        let mut frames = Frames::default();
        frames.pass(&bytes[..1]);
        let mut at = 1;
        while frames.missing() > 0 {
            let next = at + usize::try_from(frames.missing()).unwrap();
            frames.pass(&bytes[at..next]);
            at = next;
        }
        assert_eq!(at, end);
    }

    #[test]
    fn a_close_frame_is_as_the_rfc_writes_it() {
        assert_eq!(close(1001, "bye"), [0x88, 5, 0x03, 0xe9, b'b', b'y', b'e']);
    }

    proptest! {
        #[test]
        fn the_end_of_a_frame_is_known_however_the_bytes_arrive(
            lengths in proptest::collection::vec(prop_oneof![0_usize..200, Just(126), Just(65_535), Just(65_536)], 1..4),
            masked in any::<bool>(),
            cut in 1_usize..5000,
        ) {
            let bytes: Vec<u8> = lengths.iter().flat_map(|&len| frame(len, masked)).collect();
            let mut frames = Frames::default();
            for piece in bytes.chunks(cut) {
                frames.pass(piece);
                prop_assert_eq!(frames.missing() == 0, frames.is_between());
            }
            prop_assert!(frames.is_between());
            prop_assert_eq!(frames.missing(), 0);
            frames.pass(&[0x82]);
            prop_assert!(!frames.is_between());
        }
    }
}
