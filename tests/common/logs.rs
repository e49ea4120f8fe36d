//! What is logged, kept for the test to read.

use std::cell::RefCell;
use std::io;
use std::sync::{Arc, Mutex, Once};

use tracing_subscriber::fmt::MakeWriter;

/// All that this thread logs, at every level, while this lives. A test runs its parts in its own thread.
pub(crate) struct Logs(Kept);

#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

/// Finds the thread's own place for what it logs.
struct ByThread;

thread_local! {
    static KEPT: RefCell<Option<Kept>> = const { RefCell::new(None) };
}

/// Starts to log, before anything of ours could.
///
/// One subscriber for all threads: with one for each, a line that another test logs first stays off in this one.
pub(crate) fn start() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        let to_threads = tracing_subscriber::fmt().with_ansi(false).with_writer(ByThread);
        to_threads.with_max_level(tracing::Level::TRACE).init();
    });
}

impl Logs {
    /// Keeps all from now on.
    pub(crate) fn keep() -> Self {
        start();
        let kept = Kept::default();
        KEPT.set(Some(kept.clone()));
        Self(kept)
    }

    /// What was logged so far.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.0.lock().unwrap()).into_owned()
    }

    /// The last line that holds `word`.
    pub(crate) fn line(&self, word: &str) -> String {
        let text = self.text();
        let line = text.lines().rev().find(|line| line.contains(word));
        line.unwrap_or_else(|| panic!("nothing about {word:?} in:\n{text}")).to_owned()
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        KEPT.set(None);
    }
}

impl io::Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for ByThread {
    type Writer = Kept;

    fn make_writer(&self) -> Kept {
        KEPT.with_borrow(|kept| kept.clone().unwrap_or_default())
    }
}
