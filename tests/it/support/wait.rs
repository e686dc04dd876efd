//! Waiting for a condition, never for time to pass.

use std::fmt::Debug;
use std::future::Future;
use std::time::{Duration, Instant};

/// How long a condition may take before the test has failed. Generous: it is only ever used up by a broken gateway, or by
/// a machine with far too much to do.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

const STEP: Duration = Duration::from_millis(2);

/// Asks again and again until `look` returns something, and hands it out.
///
/// # Panics
/// After [`DEADLINE`], naming `what` was waited for.
pub(crate) async fn until<T, F: Future<Output = Option<T>>>(what: &str, look: impl FnMut() -> F) -> T {
    until_within(DEADLINE, what, look).await
}

/// The same for what takes longer, because there is more of it.
pub(crate) async fn until_within<T, F: Future<Output = Option<T>>>(
    deadline: Duration,
    what: &str,
    mut look: impl FnMut() -> F,
) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(started.elapsed() < deadline, "waited {deadline:?} in vain for {what}");
        tokio::time::sleep(STEP).await;
    }
}

/// The same for a condition that needs no await: until `holds` says so.
pub(crate) async fn until_true(what: &str, mut holds: impl FnMut() -> bool) {
    until(what, || {
        let seen = holds().then_some(());
        async move { seen }
    })
    .await;
}

/// Until `value` returns `wanted`; the panic says what it was instead.
pub(crate) async fn until_equal<T: PartialEq + Debug>(what: &str, wanted: T, mut value: impl FnMut() -> T) {
    let started = Instant::now();
    loop {
        let seen = value();
        if seen == wanted {
            return;
        }
        assert!(started.elapsed() < DEADLINE, "waited {DEADLINE:?} for {what} to be {wanted:?}: it is {seen:?}");
        tokio::time::sleep(STEP).await;
    }
}

/// Bounds a future that would hang a broken build forever.
///
/// # Panics
/// After [`DEADLINE`], naming `what` did not happen.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what} did not happen within {DEADLINE:?}"),
    }
}

/// Blocks a thread that has no runtime until `look` returns something.
///
/// # Panics
/// After [`DEADLINE`], naming `what` was waited for.
pub(crate) fn block_until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(started.elapsed() < DEADLINE, "waited {DEADLINE:?} in vain for {what}");
        std::thread::sleep(STEP);
    }
}
