//! One open part at a time, for dialects whose streams demand it (Messages, Gemini).

use super::{Event, PartAt};
use std::collections::{HashMap, VecDeque};

/// Reorders a stream so that a part starts only when the one before it has stopped. Events of later parts wait; a stream
/// that is in sequence already passes without waiting. Each event is looked at twice at most.
#[derive(Clone, Debug, Default)]
pub struct Sequencer {
    open: Option<PartAt>,
    /// Starts of parts, and what ends choices and the stream, in the order in which they came.
    waiting: VecDeque<Event>,
    /// What has come of parts that wait to start.
    of_parts: HashMap<PartAt, Vec<Event>>,
}

impl Sequencer {
    /// Nothing open.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes one event, and calls `each` with all that may go out now.
    pub fn push(&mut self, event: Event, each: &mut impl FnMut(Event)) {
        match &event {
            Event::Start(_) | Event::Ping | Event::Opaque(_) | Event::Usage(_) | Event::Error(_) => each(event),
            Event::PartStart(..) | Event::Finish(..) | Event::End(_) => {
                self.waiting.push_back(event);
                self.go_on(each);
            }
            Event::Delta(at, _) | Event::PartStop(at, _) if self.open == Some(*at) => {
                let stops = is_stop(&event);
                each(event);
                if stops {
                    self.open = None;
                    self.go_on(each);
                }
            }
            Event::Delta(at, _) | Event::PartStop(at, _) => self.of_parts.entry(*at).or_default().push(event),
        }
    }

    /// Lets go what waits, until a part is open that has not stopped yet.
    fn go_on(&mut self, each: &mut impl FnMut(Event)) {
        while self.open.is_none() {
            let Some(event) = self.waiting.pop_front() else { return };
            let starts = match &event {
                Event::PartStart(at, _) => Some(*at),
                Event::Start(_)
                | Event::Delta(..)
                | Event::PartStop(..)
                | Event::Finish(..)
                | Event::Usage(_)
                | Event::Ping
                | Event::Opaque(_)
                | Event::End(_)
                | Event::Error(_) => None,
            };
            each(event);
            self.open = starts;
            for event in starts.and_then(|at| self.of_parts.remove(&at)).unwrap_or_default() {
                if is_stop(&event) {
                    self.open = None;
                }
                each(event);
            }
        }
    }
}

fn is_stop(event: &Event) -> bool {
    match event {
        Event::PartStop(..) => true,
        Event::Start(_)
        | Event::PartStart(..)
        | Event::Delta(..)
        | Event::Finish(..)
        | Event::Usage(_)
        | Event::Ping
        | Event::Opaque(_)
        | Event::End(_)
        | Event::Error(_) => false,
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
