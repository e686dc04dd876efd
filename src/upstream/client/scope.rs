//! Lets a connection tell of itself to the call that is being made over it.
//!
//! awc hides which of its pooled connections a call got, whether it was new, and what happened on it. A call therefore
//! sets a mark, for as long as one of its futures is being polled, that the connections below can see. Nothing is kept
//! between two polls, and nothing is shared between threads.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::upstream::classify::CallError;
use crate::upstream::retry::Progress;

thread_local! {
    static CURRENT: RefCell<Option<Rc<Call>>> = const { RefCell::new(None) };
}

/// What is known of a call from below.
#[derive(Debug)]
pub(super) struct Call {
    /// How long connecting may take, TLS included.
    pub(super) connect_timeout: Duration,
    line: RefCell<Option<Rc<Line>>>,
    was_kept: Cell<bool>,
    connected_in: Cell<Option<Duration>>,
    connect_error: RefCell<Option<CallError>>,
    last_write: Cell<Option<Instant>>,
    has_answer: Cell<bool>,
    has_ended: Cell<bool>,
}

/// A connection, as far as calls have to do with it.
#[derive(Debug, Default)]
pub(super) struct Line {
    calls: Cell<u32>,
    is_spoilt: Cell<bool>,
}

impl Call {
    pub(super) fn new(connect_timeout: Duration) -> Rc<Self> {
        Rc::new(Self {
            connect_timeout,
            line: RefCell::default(),
            was_kept: Cell::default(),
            connected_in: Cell::default(),
            connect_error: RefCell::default(),
            last_write: Cell::default(),
            has_answer: Cell::default(),
            has_ended: Cell::default(),
        })
    }

    /// Polls something of the call.
    pub(super) fn within<T>(self: &Rc<Self>, poll: impl FnOnce() -> T) -> T {
        struct Restore(Option<Rc<Call>>);
        impl Drop for Restore {
            fn drop(&mut self) {
                CURRENT.set(self.0.take());
            }
        }
        let _restore = Restore(CURRENT.replace(Some(Rc::clone(self))));
        poll()
    }

    /// The call that is being polled on this thread.
    pub(super) fn current() -> Option<Rc<Self>> {
        CURRENT.with_borrow(Clone::clone)
    }

    pub(super) fn progress(&self) -> Progress {
        match (self.has_answer.get(), self.was_kept.get()) {
            (true, _) => Progress::Answered,
            (false, true) => Progress::Kept,
            (false, false) => Progress::Fresh,
        }
    }

    /// How long connecting took; none if a kept connection served.
    pub(super) fn connected_in(&self) -> Option<Duration> {
        self.connected_in.get()
    }

    pub(super) fn connected(&self, took: Duration) {
        self.connected_in.set(Some(took));
    }

    pub(super) fn could_not_connect(&self, error: CallError) {
        self.connect_error.replace(Some(error));
    }

    pub(super) fn take_connect_error(&self) -> Option<CallError> {
        self.connect_error.take()
    }

    /// When the request last got on.
    pub(super) fn last_write(&self) -> Option<Instant> {
        self.last_write.get()
    }

    /// Whether the connection's end was read, and nothing can follow.
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended.get()
    }

    /// The connection must not serve another call: what else comes on it belongs to nobody.
    pub(super) fn spoil_line(&self) {
        if let Some(line) = &*self.line.borrow() {
            line.spoil();
        }
    }

    pub(super) fn is_on(&self, line: &Rc<Line>) -> bool {
        self.line.borrow().as_ref().is_some_and(|own| Rc::ptr_eq(own, line))
    }

    pub(super) fn wrote(&self, line: &Rc<Line>) {
        if !self.is_on(line) {
            self.was_kept.set(line.calls.get() > 0);
            line.calls.set(line.calls.get().saturating_add(1));
            self.line.replace(Some(Rc::clone(line)));
        }
        self.last_write.set(Some(Instant::now()));
    }

    pub(super) fn read(&self, bytes: usize) {
        if bytes == 0 { self.has_ended.set(true) } else { self.has_answer.set(true) }
    }
}

impl Line {
    pub(super) fn spoil(&self) {
        self.is_spoilt.set(true);
    }

    pub(super) fn is_spoilt(&self) -> bool {
        self.is_spoilt.get()
    }
}
