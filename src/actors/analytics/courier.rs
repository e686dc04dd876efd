//! Brings what waits to PostHog, in order, one batch at a time.

use std::time::Duration;

use actix_rt::time::sleep;
use secrecy::ExposeSecret as _;

use super::counts::{Refused, Retried};
use super::desk::Desk;
use crate::analytics::pack::{Pack, batch_body};
use crate::upstream::posthog::{PostHog, Trouble, Verdict};

/// The first pause after a failure; it doubles up to `analytics.retry_max`.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// A batch that is too large even so is not PostHog's limit.
const LEAST_BATCH: usize = 64 * 1024;

/// After so many were taken in a row, larger ones are tried again.
const GROW_AFTER: u32 = 32;

/// How often it is logged that PostHog does not take events.
const COMPLAIN_EVERY: Duration = Duration::from_secs(60);

/// Goes back and forth.
pub(super) struct Courier<'a> {
    desk: &'a Desk,
    posthog: PostHog,
    size: BatchSize,
    failures: u32,
    complained: Option<std::time::Instant>,
}

/// How many bytes of JSON a batch may have: less than `analytics.batch_bytes` for a while once that was too much.
#[derive(Debug)]
struct BatchSize {
    most: usize,
    now: usize,
    /// In a row.
    taken: u32,
}

/// How a batch ended.
enum Ended {
    Done,
    /// Nothing of it was taken, and it should be sent later.
    PutBack(Duration),
}

impl<'a> Courier<'a> {
    pub(super) fn new(desk: &'a Desk, posthog: PostHog) -> Self {
        Self { desk, posthog, size: BatchSize::at_most(desk.settings.batch_bytes), failures: 0, complained: None }
    }

    /// For ever.
    pub(super) async fn run(mut self) {
        loop {
            self.desk.until_due(self.size.now).await;
            let Some((head, packs)) = self.desk.head(self.size.now) else {
                // The file cannot be read at the moment.
                sleep(FIRST_PAUSE).await;
                continue;
            };
            match self.deliver(packs).await {
                Ended::Done => self.desk.done(&head),
                Ended::PutBack(pause) => {
                    self.desk.put_back(&head);
                    self.pause(pause).await;
                }
            }
        }
    }

    /// Sends packs, in pieces if they have to be, until each event was taken or given up.
    async fn deliver(&mut self, packs: Vec<Pack>) -> Ended {
        let counts = &self.desk.shared.counts;
        let mut is_whole = true;
        let mut malformed = 0;
        // The next piece lies on top.
        let mut pieces = vec![packs];
        while let Some(piece) = pieces.pop() {
            let events = events(&piece);
            match self.send(&piece).await {
                Verdict::Taken => {
                    counts.sent(events);
                    self.size.taken();
                    self.recovered();
                    is_whole = false;
                }
                Verdict::TooLarge if events > 1 => {
                    self.size.too_large(piece.iter().map(Pack::raw_bytes).sum());
                    pieces.extend(self.split(piece));
                    is_whole = false;
                }
                Verdict::TooLarge => {
                    tracing::warn!(
                        bytes = piece.iter().map(Pack::raw_bytes).sum::<usize>(),
                        "PostHog takes no event that large; it is dropped"
                    );
                    counts.refused(Refused::TooLarge, events);
                    is_whole = false;
                }
                Verdict::Malformed if events > 1 => {
                    pieces.extend(self.split(piece));
                    is_whole = false;
                }
                Verdict::Malformed => {
                    counts.refused(Refused::Malformed, events);
                    malformed += events;
                    is_whole = false;
                }
                Verdict::Again { why, after, words } => {
                    counts.retried(retried(why));
                    let pause = self.next_pause(after);
                    self.complain(why, &words, pause);
                    if is_whole {
                        return Ended::PutBack(pause);
                    }
                    pieces.push(piece);
                    self.desk.failed();
                    self.pause(pause).await;
                }
            }
        }
        if malformed > 0 {
            tracing::warn!(events = malformed, "PostHog refused events as malformed; they are dropped");
        }
        Ended::Done
    }

    async fn send(&self, packs: &[Pack]) -> Verdict {
        let key = self.desk.settings.api_key.as_ref().map_or("", |key| key.expose_secret());
        self.posthog.send(batch_body(key, &self.desk.now_rfc3339(), packs)).await
    }

    /// Two pieces, the first on top.
    fn split(&self, mut piece: Vec<Pack>) -> Vec<Vec<Pack>> {
        if let [pack] = piece.as_slice() {
            return self.desk.halves(pack).into_iter().rev().map(|half| vec![half]).collect();
        }
        let second = piece.split_off(piece.len() / 2);
        vec![second, piece]
    }

    /// Half a second, doubling; from half of that to all of it, so that instances do not come back in step.
    fn next_pause(&mut self, after: Option<Duration>) -> Duration {
        let most = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(self.failures)).min(self.desk.settings.retry_max);
        self.failures = self.failures.saturating_add(1);
        let pause = most.mul_f64(0.5 + fastrand::f64() / 2.0);
        after.map_or(pause, |after| after.max(pause))
    }

    async fn pause(&self, pause: Duration) {
        tokio::select! {
            () = sleep(pause) => {}
            () = self.desk.hurry.notified() => {}
        }
    }

    fn recovered(&mut self) {
        if self.complained.take().is_some() {
            tracing::info!("PostHog takes events again");
        }
        self.failures = 0;
    }

    /// Once a minute; a wrong key each time.
    fn complain(&mut self, why: Trouble, words: &str, pause: Duration) {
        let retry_in_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        if why == Trouble::Unauthorized {
            tracing::error!(
                error = words,
                retry_in_ms,
                "PostHog refuses the key: set LLM_GATEWAY_POSTHOG_API_KEY (analytics.api_key) to the project's key; events wait"
            );
            self.complained = Some(std::time::Instant::now());
        } else if self.complained.is_none_or(|said| said.elapsed() >= COMPLAIN_EVERY) {
            tracing::warn!(error = words, retry_in_ms, "PostHog does not take events; they wait, and are sent again");
            self.complained = Some(std::time::Instant::now());
        }
    }
}

impl BatchSize {
    fn at_most(most: usize) -> Self {
        Self { most, now: most, taken: 0 }
    }

    /// One of so many bytes was too large.
    fn too_large(&mut self, bytes: usize) {
        self.now = (bytes / 2).max(LEAST_BATCH).min(self.now);
        self.taken = 0;
    }

    /// One was taken. What refused large ones may have been mended.
    fn taken(&mut self) {
        if self.now == self.most {
            return;
        }
        self.taken += 1;
        if self.taken == GROW_AFTER {
            self.now = self.now.saturating_mul(2).min(self.most);
            self.taken = 0;
        }
    }
}

fn events(packs: &[Pack]) -> u64 {
    packs.iter().map(|pack| pack.events() as u64).sum()
}

fn retried(why: Trouble) -> Retried {
    match why {
        Trouble::Network => Retried::Network,
        Trouble::Timeout => Retried::Timeout,
        Trouble::RateLimited => Retried::RateLimited,
        Trouble::Unauthorized => Retried::Unauthorized,
        Trouble::Server => Retried::Server,
        Trouble::Unexpected => Retried::Unexpected,
    }
}

#[cfg(test)]
mod tests {
    use super::{BatchSize, GROW_AFTER, LEAST_BATCH};

    fn take(size: &mut BatchSize, batches: u32) {
        (0..batches).for_each(|_| size.taken());
    }

    #[test]
    fn batches_that_were_too_large_are_smaller_for_a_while_and_grow_back() {
        let mut size = BatchSize::at_most(4_000_000);
        size.too_large(4_000_000);
        size.too_large(2_000_000);
        assert_eq!(size.now, 1_000_000);
        take(&mut size, GROW_AFTER - 1);
        assert_eq!(size.now, 1_000_000);
        take(&mut size, 1);
        assert_eq!(size.now, 2_000_000);
        take(&mut size, 10 * GROW_AFTER);
        assert_eq!(size.now, 4_000_000, "no larger than is set");
    }

    #[test]
    fn batches_are_neither_made_tiny_nor_larger_than_is_set() {
        let mut size = BatchSize::at_most(4_000_000);
        (0..40).for_each(|_| size.too_large(size.now));
        assert_eq!(size.now, LEAST_BATCH);
        let mut small = BatchSize::at_most(1000);
        small.too_large(1000);
        assert_eq!(small.now, 1000);
    }
}
