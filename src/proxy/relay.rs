//! Relaying bytes both ways, by readiness and with one buffer a thread.
//!
//! A tunnel is idle nearly always. It keeps a buffer of its own only for what one side sent and the other has
//! not taken yet.

use std::cell::RefCell;
use std::io;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::frames::Frames;

const BUFFER: usize = 64 * 1024;

thread_local! {
    static SHARED: RefCell<Box<[u8]>> = RefCell::new(vec![0; BUFFER].into_boxed_slice());
}

/// One direction: what was read and not written yet, and how far it is from its end.
#[derive(Debug, Default)]
pub(super) struct Direction {
    waiting: Vec<u8>,
    written: usize,
    state: State,
    must_flush: bool,
    /// Bytes that were read and not asked for yet by [`Self::take_read`].
    read: u64,
    frames: Frames,
    /// What is said once no frame is half sent, and then nothing more.
    last: Option<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum State {
    #[default]
    Open,
    Ending,
    Ended,
}

impl Direction {
    /// A direction that has `waiting` to send before anything that is read.
    pub(super) fn with(waiting: Vec<u8>) -> Self {
        let mut frames = Frames::default();
        frames.pass(&waiting);
        Self { read: waiting.len() as u64, waiting, frames, ..Self::default() }
    }

    /// How many bytes were read since this was asked.
    pub(super) fn take_read(&mut self) -> u64 {
        mem::take(&mut self.read)
    }

    /// Finishes the frame under way, says `last` behind it, and then nothing more.
    pub(super) fn end_with(&mut self, last: Vec<u8>) {
        self.last = Some(last);
    }

    /// Moves what can be moved; ready when everything was, and the writer knows that it was all.
    pub(super) fn poll<R, W>(
        &mut self,
        context: &mut Context<'_>,
        reader: &mut R,
        writer: &mut W,
    ) -> Poll<io::Result<()>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        loop {
            ready!(self.poll_drain(context, writer))?;
            match self.state {
                State::Ended => return Poll::Ready(Ok(())),
                State::Ending => {
                    ready!(Pin::new(&mut *writer).poll_shutdown(context))?;
                    self.state = State::Ended;
                }
                State::Open if self.frames.is_between() && self.last.is_some() => {
                    self.waiting = self.last.take().unwrap_or_default();
                    self.state = State::Ending;
                }
                State::Open => {
                    let most = self.most();
                    let moved = SHARED.with_borrow_mut(|buffer| {
                        self.poll_move(context, reader, writer, &mut buffer[..most])
                    });
                    if moved?.is_pending() {
                        ready!(self.poll_flush(context, writer))?;
                        return Poll::Pending;
                    }
                }
            }
        }
    }

    /// How much may be read: before the last words, no byte of the next frame.
    fn most(&self) -> usize {
        match self.last {
            Some(_) => usize::try_from(self.frames.missing()).map_or(BUFFER, |missing| missing.min(BUFFER)),
            None => BUFFER,
        }
    }

    fn poll_drain<W: AsyncWrite + Unpin>(
        &mut self,
        context: &mut Context<'_>,
        writer: &mut W,
    ) -> Poll<io::Result<()>> {
        while self.written < self.waiting.len() {
            let left = &self.waiting[self.written..];
            match ready!(Pin::new(&mut *writer).poll_write(context, left))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.written += written,
            }
            self.must_flush = true;
        }
        self.waiting = Vec::new();
        self.written = 0;
        Poll::Ready(Ok(()))
    }

    /// Reads once, and writes as much of it as is taken; the rest waits.
    fn poll_move<R, W>(
        &mut self,
        context: &mut Context<'_>,
        reader: &mut R,
        writer: &mut W,
        buffer: &mut [u8],
    ) -> io::Result<Poll<()>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let mut read = ReadBuf::new(buffer);
        match Pin::new(reader).poll_read(context, &mut read) {
            Poll::Pending => return Ok(Poll::Pending),
            Poll::Ready(result) => result?,
        }
        let bytes = read.filled();
        if bytes.is_empty() {
            self.state = State::Ending;
            return Ok(Poll::Ready(()));
        }
        self.frames.pass(bytes);
        self.read += bytes.len() as u64;
        let written = match Pin::new(writer).poll_write(context, bytes) {
            Poll::Pending => 0,
            Poll::Ready(written) => written?,
        };
        self.must_flush = true;
        self.waiting.extend_from_slice(&bytes[written..]);
        Ok(Poll::Ready(()))
    }

    fn poll_flush<W: AsyncWrite + Unpin>(
        &mut self,
        context: &mut Context<'_>,
        writer: &mut W,
    ) -> Poll<io::Result<()>> {
        if self.must_flush {
            ready!(Pin::new(writer).poll_flush(context))?;
            self.must_flush = false;
        }
        Poll::Ready(Ok(()))
    }
}

/// Reads what nobody wants any more; ready when `reader` has no more to say.
pub(super) fn poll_discard<R: AsyncRead + Unpin>(reader: &mut R, context: &mut Context<'_>) -> Poll<()> {
    SHARED.with_borrow_mut(|buffer| {
        loop {
            let mut read = ReadBuf::new(buffer);
            match ready!(Pin::new(&mut *reader).poll_read(context, &mut read)) {
                Ok(()) if !read.filled().is_empty() => {}
                Ok(()) | Err(_) => return Poll::Ready(()),
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn everything_arrives_in_order_though_the_reader_is_slow() {
        let (mut source, mut from) = tokio::io::duplex(1_000);
        let (mut to, mut sink) = tokio::io::duplex(7);
        let sent: Vec<u8> = (0..100_000_u32).flat_map(u32::to_be_bytes).collect();
        let expected = sent.clone();
        let sending = tokio::spawn(async move {
            source.write_all(&sent).await.unwrap();
        });
        let relaying = tokio::spawn(async move {
            let mut direction = Direction::with(b"first".to_vec());
            poll_fn(|context| direction.poll(context, &mut from, &mut to)).await.unwrap();
            direction.waiting.capacity()
        });
        let mut received = Vec::new();
        sink.read_to_end(&mut received).await.unwrap();
        sending.await.unwrap();
        assert_eq!(relaying.await.unwrap(), 0, "no buffer is kept");
        assert_eq!(&received[..5], b"first");
        assert_eq!(received[5..], expected);
    }

    #[tokio::test]
    async fn a_direction_ends_with_its_last_words() {
        let (_source, mut from) = tokio::io::duplex(10);
        let (mut to, mut sink) = tokio::io::duplex(10);
        let mut direction = Direction::default();
        direction.end_with(b"bye".to_vec());
        poll_fn(|context| direction.poll(context, &mut from, &mut to)).await.unwrap();
        let mut received = Vec::new();
        sink.read_to_end(&mut received).await.unwrap();
        assert_eq!(received, b"bye");
    }

    #[tokio::test]
    async fn an_end_comes_between_two_frames_though_more_of_them_are_there() {
        let (mut source, mut from) = tokio::io::duplex(100);
        let (mut to, mut sink) = tokio::io::duplex(100);
        source.write_all(&[3, 1, 2, 3, 0x82, 3, 4, 5, 6]).await.unwrap();
        let mut direction = Direction::with(vec![0x82]);
        direction.end_with(b"bye".to_vec());
        poll_fn(|context| direction.poll(context, &mut from, &mut to)).await.unwrap();
        let mut received = Vec::new();
        sink.read_to_end(&mut received).await.unwrap();
        assert_eq!(received, [&[0x82, 3, 1, 2, 3], &b"bye"[..]].concat());
    }
}
