//! Turns a stream of events into the answer that it is, and checks that a stream keeps the grammar.

use super::{Choice, Content, Delta, Event, Part, PartAt, ReasoningText, Response};
use std::collections::BTreeSet;

/// Gathers events into an answer.
#[derive(Clone, Debug, Default)]
pub struct Fold {
    response: Response,
    ended: bool,
}

impl Fold {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes one event in. What does not fit (a delta for a part that never began) is left out: `check_grammar` is
    /// the judge of streams, not this.
    pub fn push(&mut self, event: Event) {
        match event {
            Event::Start(start) => {
                self.response.id = start.id;
                self.response.model = start.model;
                self.response.created = start.created;
                self.response.service_tier = start.service_tier;
                self.response.usage = start.usage;
                self.response.carry = start.carry;
            }
            Event::PartStart(at, part) => self.choice(at.choice).parts.push(*part),
            Event::Delta(at, delta) => {
                if let Some(part) = self.part(at) {
                    apply(part, delta);
                }
            }
            Event::PartStop(at, carry) => {
                if let Some(part) = self.part(at) {
                    part.carry.merge(carry);
                }
            }
            Event::Finish(choice, finish, carry) => {
                let choice = self.choice(choice);
                choice.finish = Some(*finish);
                choice.carry.merge(carry);
            }
            Event::Usage(mut usage) => {
                if let Some(tier) = usage.service_tier.take() {
                    self.response.service_tier = Some(tier);
                }
                self.response.usage = Some(*usage);
            }
            Event::Ping | Event::Opaque(_) => {}
            Event::End(carry) => {
                self.ended = true;
                self.response.carry.merge(carry);
            }
            Event::Error(error) => self.response.error = Some(*error),
        }
    }

    /// Whether the stream has come to its proper end.
    pub fn is_complete(&self) -> bool {
        self.ended
    }

    /// The answer so far.
    pub fn response(&self) -> &Response {
        &self.response
    }

    /// The answer.
    pub fn finish(self) -> Response {
        self.response
    }

    fn choice(&mut self, index: u32) -> &mut Choice {
        let choices = &mut self.response.choices;
        let place = match choices.binary_search_by_key(&index, |choice| choice.index) {
            Ok(place) => place,
            Err(place) => {
                choices.insert(place, Choice { index, ..Choice::default() });
                place
            }
        };
        &mut choices[place]
    }

    fn part(&mut self, at: PartAt) -> Option<&mut Part> {
        let choices = &mut self.response.choices;
        let place = choices.binary_search_by_key(&at.choice, |choice| choice.index).ok()?;
        choices[place].parts.get_mut(usize::try_from(at.part).ok()?)
    }
}

impl FromIterator<Event> for Fold {
    fn from_iter<T: IntoIterator<Item = Event>>(events: T) -> Self {
        let mut fold = Self::new();
        for event in events {
            fold.push(event);
        }
        fold
    }
}

fn apply(part: &mut Part, delta: Delta) {
    match (delta, &mut part.content) {
        (Delta::Seal(seal), _) => part.seal = Some(*seal),
        (Delta::Text(more), Content::Text(text)) => text.text.push_str(&more),
        (Delta::Logprobs(more), Content::Text(text)) => text.logprobs.extend(more),
        (Delta::Citation(citation), Content::Text(text)) => text.citations.push(*citation),
        (Delta::Refusal(more), Content::Refusal(text)) => text.push_str(&more),
        (Delta::Arguments(more), Content::ToolCall(call)) => call.arguments.push_str(&more),
        (Delta::Reasoning { text, kind, delta }, Content::Reasoning(reasoning)) => {
            let place = usize::try_from(text).unwrap_or(usize::MAX);
            if place == reasoning.texts.len() {
                reasoning.texts.push(ReasoningText { kind, text: delta });
            } else if let Some(known) = reasoning.texts.get_mut(place) {
                known.text.push_str(&delta);
            }
        }
        (
            Delta::Text(_)
            | Delta::Logprobs(_)
            | Delta::Citation(_)
            | Delta::Refusal(_)
            | Delta::Arguments(_)
            | Delta::Reasoning { .. },
            _,
        ) => {}
    }
}

/// Says where a stream breaks the grammar of [`super::event`](Event), if it does. For tests of decoders.
///
/// # Errors
/// A sentence about the first event that may not stand where it stands.
pub fn check_grammar(events: &[Event]) -> Result<(), String> {
    let mut started = false;
    let mut over = false;
    let mut open = BTreeSet::new();
    let mut next = std::collections::BTreeMap::<u32, u32>::new();
    let mut finished = BTreeSet::new();
    for (place, event) in events.iter().enumerate() {
        let wrong = |what: &str| Err(format!("event {place} ({event:?}): {what}"));
        if over {
            return wrong("the stream was over");
        }
        let early = match event {
            Event::Ping | Event::Error(_) | Event::Opaque(_) | Event::Start(_) => false,
            Event::PartStart(..)
            | Event::Delta(..)
            | Event::PartStop(..)
            | Event::Finish(..)
            | Event::Usage(_)
            | Event::End(_) => !started,
        };
        if early {
            return wrong("nothing has started");
        }
        match event {
            Event::Start(_) if started => return wrong("a second start"),
            Event::Start(_) => started = true,
            Event::PartStart(at, _) => {
                let expected = next.entry(at.choice).or_insert(0);
                if at.part != *expected {
                    return wrong("parts must be numbered in the order of their starts");
                }
                if finished.contains(&at.choice) {
                    return wrong("the choice is finished");
                }
                *expected += 1;
                open.insert(*at);
            }
            Event::Delta(at, _) if !open.contains(at) => return wrong("the part is not open"),
            Event::PartStop(at, _) if !open.remove(at) => return wrong("the part is not open"),
            Event::Finish(choice, ..) => {
                if open.iter().any(|at| at.choice == *choice) {
                    return wrong("a part of the choice is open");
                }
                if !finished.insert(*choice) {
                    return wrong("the choice finished twice");
                }
            }
            Event::End(_) if !open.is_empty() => return wrong("a part is open"),
            Event::End(_) | Event::Error(_) => over = true,
            Event::Delta(..) | Event::PartStop(..) | Event::Usage(_) | Event::Ping | Event::Opaque(_) => {}
        }
    }
    if over { Ok(()) } else { Err("the stream has neither an end nor an error".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::{Carry, Start};

    fn events() -> Vec<Event> {
        vec![
            Event::Start(Box::new(Start { id: Some("x".to_owned()), ..Start::default() })),
            Event::PartStart(PartAt::first(0), Box::new(Part::text("Hel"))),
            Event::Delta(PartAt::first(0), Delta::Text("lo".to_owned())),
            Event::PartStop(PartAt::first(0), Carry::NONE),
            Event::End(Carry::NONE),
        ]
    }

    #[test]
    fn pieces_fold_into_the_whole() {
        let fold: Fold = events().into_iter().collect();
        assert!(fold.is_complete());
        assert_eq!(fold.response().choices[0].parts, vec![Part::text("Hello")]);
        assert_eq!(fold.response().id.as_deref(), Some("x"));
    }

    #[test]
    fn the_grammar_refuses_what_is_out_of_place() {
        assert_eq!(check_grammar(&events()), Ok(()));
        for missing in 0..events().len() {
            if missing == 2 {
                continue; // a part without deltas is legal
            }
            let mut broken = events();
            broken.remove(missing);
            assert!(check_grammar(&broken).is_err(), "event {missing} is missing and nobody minds");
        }
    }
}
