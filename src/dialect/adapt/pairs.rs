//! Calls of tools and their results, paired as the strictest dialect wants them.
//!
//! Some callers number their calls anew in each round. A result belongs to the nearest call of its id before it that has
//! none yet; where an id comes again, its calls get ids of their own, always the same ones as the conversation grows.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet, VecDeque};

use crate::ir::{Content, Part, Request, Role, mark};

/// The calls of one id: the turns of the model that have one, each with those that have no result yet.
#[derive(Default)]
struct Calls {
    /// How many there were.
    count: usize,
    /// Each turn's number, and which of its calls are open.
    open: Vec<(usize, VecDeque<usize>)>,
    /// The call that was answered last.
    answered: Option<usize>,
}

impl Calls {
    fn call(&mut self, turn: usize) -> usize {
        let number = self.count;
        self.count += 1;
        match self.open.last_mut().filter(|(last, _)| *last == turn) {
            Some((_, calls)) => calls.push_back(number),
            None => self.open.push((turn, VecDeque::from([number]))),
        }
        number
    }

    /// The call that a result answers: of the nearest turn, the first that is open. A second result goes where the first did.
    fn answer(&mut self) -> Option<usize> {
        let answers = self.open.last_mut().and_then(|(_, calls)| calls.pop_front());
        while self.open.last().is_some_and(|(_, calls)| calls.is_empty()) {
            self.open.pop();
        }
        self.answered = answers.or(self.answered);
        self.answered
    }
}

/// The request with an id of its own for each call.
pub fn unique_ids(request: &Request) -> Cow<'_, Request> {
    let mut ids = HashSet::new();
    let parts = request.messages.iter().flat_map(|message| &message.parts);
    if parts.filter_map(|part| part.content.as_tool_call()).all(|call| ids.insert(call.id.as_str())) {
        return Cow::Borrowed(request);
    }
    let mut request = request.clone();
    let mut known: HashMap<String, Calls> = HashMap::new();
    let (mut turn, mut is_answer) = (0, false);
    for message in &mut request.messages {
        if (message.role == Role::Assistant) != is_answer {
            is_answer = !is_answer;
            turn += 1;
        }
        message.parts.iter_mut().for_each(|part| rename(part, turn, &mut known));
    }
    Cow::Owned(request)
}

fn rename(part: &mut Part, turn: usize, known: &mut HashMap<String, Calls>) {
    let (id, number) = match &mut part.content {
        Content::ToolCall(call) => {
            let number = known.entry(call.id.clone()).or_default().call(turn);
            (&mut call.id, Some(number))
        }
        Content::ToolResult(result) => {
            let number = known.get_mut(&result.call_id).and_then(Calls::answer);
            (&mut result.call_id, number)
        }
        Content::Text(_) | Content::Refusal(_) | Content::Media(_) | Content::Reasoning(_) | Content::Opaque(_) => {
            return;
        }
    };
    if let Some(number) = number.filter(|number| *number > 0) {
        *id = mark::call_id(&["again", id, &number.to_string()]);
    }
}

/// Puts the calls of one answer behind all else that it says; `is_call` tells them. Returns the first part that came from
/// behind a call.
pub fn calls_last<T>(parts: &mut Vec<T>, is_call: impl Fn(&T) -> bool) -> Option<&T> {
    let first = parts.iter().position(&is_call)?;
    if parts.iter().skip(first).all(&is_call) {
        return None;
    }
    let (calls, others): (Vec<T>, Vec<T>) = std::mem::take(parts).into_iter().partition(is_call);
    parts.extend(others);
    parts.extend(calls);
    parts.get(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::{CallKind, Message, Outcome, ToolCall, ToolResult};

    fn call(id: &str) -> Part {
        let (id, name, arguments) = (id.to_owned(), "look".to_owned(), "{}".to_owned());
        Part::new(Content::ToolCall(ToolCall { id, name, arguments, kind: CallKind::Function }))
    }

    fn result(id: &str) -> Message {
        let result = ToolResult {
            call_id: id.to_owned(),
            name: None,
            parts: Vec::new(),
            outcome: Outcome::Success,
            kind: CallKind::Function,
        };
        Message::new(Role::Tool, vec![Part::new(Content::ToolResult(result))])
    }

    /// The ids of calls and results, in order, by number as they first appear.
    fn numbers(messages: Vec<Message>) -> Vec<usize> {
        let request = Request { messages, ..Request::default() };
        let request = unique_ids(&request);
        let mut known = Vec::new();
        let ids = request.messages.iter().flat_map(|message| &message.parts).filter_map(|part| match &part.content {
            Content::ToolCall(call) => Some(&call.id),
            Content::ToolResult(result) => Some(&result.call_id),
            Content::Text(_) | Content::Refusal(_) | Content::Media(_) | Content::Reasoning(_) | Content::Opaque(_) => {
                None
            }
        });
        let number = |id| {
            known.iter().position(|known| *known == id).unwrap_or_else(|| {
                known.push(id);
                known.len() - 1
            })
        };
        ids.map(number).collect()
    }

    #[test]
    fn a_result_answers_the_nearest_call_that_is_open() {
        let says = |calls: &[&str]| Message::new(Role::Assistant, calls.iter().map(|id| call(id)).collect());
        let rounds = vec![says(&["a"]), result("a"), says(&["a"]), result("a"), says(&["a"]), result("a")];
        assert_eq!(numbers(rounds), [0, 0, 1, 1, 2, 2]);
        assert_eq!(numbers(vec![says(&["a", "a"]), result("a"), result("a")]), [0, 1, 0, 1]);
        assert_eq!(numbers(vec![says(&["a"]), says(&["b"]), result("b"), result("a")]), [0, 1, 1, 0]);
        // The first has none, and the second has two: no dialect takes that, and each says so best.
        assert_eq!(numbers(vec![says(&["a"]), result("b"), says(&["a"]), result("a")]), [0, 1, 2, 2]);
        assert_eq!(numbers(vec![says(&["a", "b"]), result("a"), result("a"), says(&["b"])]), [0, 1, 0, 0, 2]);
    }

    #[test]
    fn what_follows_a_call_comes_before_it() {
        let order = |text: &str| {
            let mut letters: Vec<char> = text.chars().collect();
            let moved = calls_last(&mut letters, |letter| *letter == 'c').copied();
            (letters.into_iter().collect::<String>(), moved)
        };
        assert_eq!(order("acc"), ("acc".to_owned(), None));
        assert_eq!(order("accdce"), ("adeccc".to_owned(), Some('d')));
    }
}
