//! How long this machine lets somebody wait who wants to run: what no interval of the gateway's can be held to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often it is looked.
const EVERY: Duration = Duration::from_millis(2);

/// A thread that sleeps and notes by how much it was woken too late.
#[derive(Debug)]
pub(super) struct Lateness {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<Duration>,
}

impl Lateness {
    pub(super) fn watch() -> Self {
        let is_over = Arc::<AtomicBool>::default();
        let thread = std::thread::spawn({
            let is_over = Arc::clone(&is_over);
            move || {
                let mut worst = Duration::ZERO;
                while !is_over.load(Ordering::SeqCst) {
                    let begun = Instant::now();
                    std::thread::sleep(EVERY);
                    worst = worst.max(begun.elapsed().saturating_sub(EVERY));
                }
                worst
            }
        });
        Self { is_over, thread }
    }

    /// The longest that it was.
    pub(super) fn worst(self) -> Duration {
        self.is_over.store(true, Ordering::SeqCst);
        self.thread.join().unwrap()
    }
}
