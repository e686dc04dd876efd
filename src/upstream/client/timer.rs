//! A deadline that moves often and is rarely met.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use actix_rt::time::{Sleep, sleep_until};

/// Costs a timer only when something really has to be waited for, and moves it only when it has run out.
#[derive(Default)]
pub(super) struct Timer(Option<Pin<Box<Sleep>>>);

impl Timer {
    /// Ready with the time when the deadline of this or of an earlier poll has come. The asker compares, and polls again
    /// if its deadline is later.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<Instant> {
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(deadline.into())));
        if sleep.deadline().into_std() > deadline {
            sleep.as_mut().reset(deadline.into());
        }
        match sleep.as_mut().poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => {
                self.0 = None;
                Poll::Ready(Instant::now())
            }
        }
    }
}
