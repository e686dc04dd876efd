//! Who speaks when: messages of one side as one turn, and the results of tools right behind their calls.

use std::collections::HashMap;

use crate::ir::{Content, Losses, Message, Part, Role};

/// Messages of one side that stand together, as one.
#[derive(Clone, Debug)]
pub struct Turn<'a> {
    /// Whose side: [`Role::Tool`] counts as [`Role::User`], [`Role::Developer`] as [`Role::System`].
    pub side: Role,
    /// The messages, each with its place in the request's `messages`, for losses.
    pub messages: Vec<(usize, &'a Message)>,
}

impl<'a> Turn<'a> {
    /// All parts of the turn, each with the place of its message and its own place there, for losses.
    pub fn parts(&self) -> impl Iterator<Item = (usize, usize, &'a Part)> {
        self.messages.iter().flat_map(|(index, message)| {
            message.parts.iter().enumerate().map(move |(place, part)| (*index, place, part))
        })
    }

    /// The place of its first message.
    pub fn index(&self) -> usize {
        self.messages.first().map_or(0, |(index, _)| *index)
    }

    /// The places of the messages whose speaker is named.
    pub fn named(&self) -> impl Iterator<Item = usize> {
        self.messages.iter().filter(|(_, message)| message.name.is_some()).map(|(index, _)| *index)
    }
}

/// Messages, each with its place in the request's `messages`.
type Placed<'a> = Vec<(usize, &'a Message)>;

/// Joins neighbouring messages of one side, in linear time.
pub fn turns(messages: &[Message]) -> Vec<Turn<'_>> {
    joined(messages.iter().enumerate())
}

fn side(message: &Message) -> Role {
    match message.role {
        Role::System | Role::Developer => Role::System,
        Role::User | Role::Tool => Role::User,
        Role::Assistant => Role::Assistant,
    }
}

fn joined<'a>(messages: impl IntoIterator<Item = (usize, &'a Message)>) -> Vec<Turn<'a>> {
    let mut turns: Vec<Turn<'_>> = Vec::new();
    for (index, message) in messages {
        let side = side(message);
        match turns.last_mut().filter(|turn| turn.side == side) {
            Some(turn) => turn.messages.push((index, message)),
            None => turns.push(Turn { side, messages: vec![(index, message)] }),
        }
    }
    turns
}

/// The turns where each call wants its result before the model speaks again. Responses lets results come later: they are
/// put right behind the turn of their calls, in linear time.
pub fn turns_in_pairs<'a>(messages: &'a [Message], losses: &mut Losses) -> Vec<Turn<'a>> {
    // What follows each turn of the model, the first of which has nothing before it.
    let mut rounds: Vec<(Placed<'_>, Placed<'_>)> = vec![Default::default()];
    let mut called = HashMap::new();
    for (index, message) in messages.iter().enumerate() {
        let now = rounds.len() - 1;
        if side(message) == Role::Assistant {
            if rounds.last().is_some_and(|(_, after)| !after.is_empty()) {
                rounds.push(Default::default());
            }
            let now = rounds.len() - 1;
            for call in message.parts.iter().filter_map(|part| part.content.as_tool_call()) {
                called.insert(call.id.as_str(), now);
            }
            if let Some((said, _)) = rounds.last_mut() {
                said.push((index, message));
            }
            continue;
        }
        let round = round_of(message, &called).unwrap_or(now);
        if round < now {
            let reason = "answers a call of an earlier turn: it comes right behind that turn";
            losses.approximated(format!("messages[{index}]"), reason);
        }
        if let Some((_, after)) = rounds.get_mut(round) {
            after.push((index, message));
        }
    }
    joined(rounds.into_iter().flat_map(|(said, after)| said.into_iter().chain(after)))
}

/// Where the calls are that a message has the results of, if it has nothing else, and they are of one turn.
fn round_of(message: &Message, called: &HashMap<&str, usize>) -> Option<usize> {
    let mut rounds = message
        .parts
        .iter()
        .map(|part| part.content.as_tool_result().and_then(|result| called.get(result.call_id.as_str()).copied()));
    let first = rounds.next()??;
    rounds.all(|round| round == Some(first)).then_some(first)
}

/// Puts the results of tools right behind their calls, where the dialect demands it: in front of system messages that stand
/// between the two, and in one turn.
pub fn results_first<'a>(turns: Vec<Turn<'a>>, losses: &mut Losses) -> Vec<Turn<'a>> {
    let mut sorted = Vec::with_capacity(turns.len());
    let mut between = Vec::new();
    for turn in turns {
        if turn.side == Role::Assistant {
            put_results_first(std::mem::take(&mut between), &mut sorted, losses);
            sorted.push(turn);
        } else {
            between.push(turn);
        }
    }
    put_results_first(between, &mut sorted, losses);
    sorted
}

/// Of what stands between two turns of the model.
fn put_results_first<'a>(turns: Vec<Turn<'a>>, sorted: &mut Vec<Turn<'a>>, losses: &mut Losses) {
    let is_result = |part: &Part| matches!(part.content, Content::ToolResult(_));
    let has_result = |message: &Message| message.parts.iter().any(is_result);
    let late = turns
        .iter()
        .skip_while(|turn| turn.side != Role::System)
        .flat_map(|turn| &turn.messages)
        .find(|(_, message)| has_result(message));
    let Some((index, _)) = late else { return sorted.extend(turns) };
    losses.approximated(format!("messages[{index}]"), "comes before the system message that stood before it");
    let mut results = Turn { side: Role::User, messages: Vec::new() };
    let mut others = Vec::with_capacity(turns.len());
    for turn in turns {
        let (with, without) = turn.messages.into_iter().partition(|(_, message)| has_result(message));
        results.messages.extend::<Vec<_>>(with);
        others.push(Turn { side: turn.side, messages: without });
    }
    sorted.push(results);
    sorted.extend(others.into_iter().filter(|turn| !turn.messages.is_empty()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_of_one_side_become_one_turn() {
        let of = |role| Message::new(role, vec![Part::text("x")]);
        let messages = [of(Role::System), of(Role::User), of(Role::Assistant), of(Role::Assistant), of(Role::Tool)];
        let turns = turns(&messages);
        let sides: Vec<_> = turns.iter().map(|turn| (turn.side, turn.messages.len(), turn.index())).collect();
        assert_eq!(sides, [(Role::System, 1, 0), (Role::User, 1, 1), (Role::Assistant, 2, 2), (Role::User, 1, 4)]);
    }
}
