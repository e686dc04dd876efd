//! One open part at a time, for dialects whose streams demand it (Messages, Gemini).

use super::{Event, PartAt};
use std::collections::VecDeque;

/// Reorders a stream so that a part starts only when the one before it has stopped. Events of later parts wait; a stream
/// that is in sequence already passes without waiting.
#[derive(Clone, Debug, Default)]
pub struct Sequencer {
    open: Option<PartAt>,
    /// Events that wait for the open part to stop.
    waiting: VecDeque<Event>,
}

impl Sequencer {
    /// Nothing open.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes one event, and calls `each` with all that may go out now.
    pub fn push(&mut self, event: Event, each: &mut impl FnMut(Event)) {
        if !self.passes(&event) {
            self.waiting.push_back(event);
            return;
        }
        self.pass(event, each);
        while self.open.is_none() {
            let Some(event) = self.waiting.pop_front() else { return };
            // Starts the part that has waited longest, then all that is already known of it.
            self.pass(event, each);
            self.drain_open(each);
        }
    }

    fn passes(&self, event: &Event) -> bool {
        match event {
            Event::Start(_) | Event::Ping | Event::Opaque(_) | Event::Usage(_) | Event::Error(_) => true,
            Event::PartStart(..) | Event::Finish(..) | Event::End(_) => self.open.is_none() && self.waiting.is_empty(),
            Event::Delta(at, _) | Event::PartStop(at, _) => self.open == Some(*at),
        }
    }

    fn pass(&mut self, event: Event, each: &mut impl FnMut(Event)) {
        match &event {
            Event::PartStart(at, _) => self.open = Some(*at),
            Event::PartStop(..) => self.open = None,
            Event::Start(_)
            | Event::Delta(..)
            | Event::Finish(..)
            | Event::Usage(_)
            | Event::Ping
            | Event::Opaque(_)
            | Event::End(_)
            | Event::Error(_) => {}
        }
        each(event);
    }

    /// Lets the waiting events of the open part go, until it stops.
    fn drain_open(&mut self, each: &mut impl FnMut(Event)) {
        if self.open.is_none() {
            return;
        }
        let mut still = VecDeque::with_capacity(self.waiting.len());
        for event in std::mem::take(&mut self.waiting) {
            let is_of_open = match &event {
                Event::Delta(at, _) | Event::PartStop(at, _) => self.open == Some(*at),
                Event::Start(_)
                | Event::PartStart(..)
                | Event::Finish(..)
                | Event::Usage(_)
                | Event::Ping
                | Event::Opaque(_)
                | Event::End(_)
                | Event::Error(_) => false,
            };
            if is_of_open {
                self.pass(event, each);
            } else {
                still.push_back(event);
            }
        }
        self.waiting = still;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::{Carry, Delta, Finish, FinishReason, Part, check_grammar};

    fn through(events: Vec<Event>) -> Vec<Event> {
        let mut sequencer = Sequencer::new();
        let mut out = Vec::new();
        for event in events {
            sequencer.push(event, &mut |event| out.push(event));
        }
        out
    }

    fn start(part: u32) -> Event {
        Event::PartStart(PartAt::first(part), Box::new(Part::text("")))
    }

    fn delta(part: u32) -> Event {
        Event::Delta(PartAt::first(part), Delta::Text(part.to_string()))
    }

    fn stop(part: u32) -> Event {
        Event::PartStop(PartAt::first(part), Carry::NONE)
    }

    fn finish() -> Event {
        Event::Finish(0, Box::new(Finish::inferred(FinishReason::Stop)), Carry::NONE)
    }

    fn begin() -> Event {
        Event::Start(Box::default())
    }

    #[test]
    fn interleaved_parts_come_out_one_after_the_other() {
        let events = vec![
            begin(),
            start(0),
            start(1),
            delta(1),
            delta(0),
            start(2),
            delta(2),
            stop(2),
            delta(1),
            stop(0),
            stop(1),
            finish(),
            Event::End(Carry::NONE),
        ];
        let out = through(events);
        assert_eq!(check_grammar(&out), Ok(()));
        let expected = vec![
            begin(),
            start(0),
            delta(0),
            stop(0),
            start(1),
            delta(1),
            delta(1),
            stop(1),
            start(2),
            delta(2),
            stop(2),
            finish(),
            Event::End(Carry::NONE),
        ];
        assert_eq!(out, expected);
    }

    #[test]
    fn what_is_in_sequence_passes_at_once() {
        let mut sequencer = Sequencer::new();
        for event in [begin(), start(0), delta(0), stop(0), start(1), stop(1), finish()] {
            let mut out = Vec::new();
            sequencer.push(event.clone(), &mut |event| out.push(event));
            assert_eq!(out, [event]);
        }
    }
}
