//! Answers of models whose request was adapted to them: what every caller gets once that is undone.

use std::fmt::Write as _;

use indexmap::IndexMap;

use super::{hold_all, others, streamed_answer, undoing, whole_answer};
use crate::dialect::testing::{Sample, fixtures};
use crate::dialect::{Adaptions, Delivery, Dialect};

/// What a request's encoder may have done for a limited model, with the tool that the fixture's model calls first.
fn adaptions(tool: &str) -> [(&'static str, Adaptions); 4] {
    let renamed = IndexMap::from([(tool.to_owned(), "files.server/weather".to_owned())]);
    [
        ("a renamed tool", Adaptions { tool_names: renamed, ..Adaptions::default() }),
        (
            "a custom tool that went as a function",
            Adaptions { custom_tools: vec![tool.to_owned()], ..Adaptions::default() },
        ),
        ("JSON by a forced tool", Adaptions { json_tool: Some(tool.to_owned()), ..Adaptions::default() }),
        ("a stop sequence", Adaptions { stop: vec!["ok".to_owned(), "o".to_owned()], ..Adaptions::default() }),
    ]
}

fn tool(from: Dialect) -> &'static str {
    match from {
        Dialect::OpenAiChat | Dialect::OpenAiResponses | Dialect::Anthropic => "weather",
        Dialect::Gemini => "get_weather",
    }
}

/// The fixture with calls, whole and streamed.
fn samples(from: Dialect) -> Vec<Sample> {
    let both = fixtures("responses", from).into_iter().chain(fixtures("streams", from));
    both.filter(|sample| sample.name.starts_with("tools."))
        .map(|mut sample| {
            if sample.name.ends_with(".txt") {
                sample.name = "tools_streamed.txt".to_owned();
            }
            sample
        })
        .collect()
}

#[test]
fn what_was_adapted_is_undone_in_answers_as_the_golden_files_say() {
    hold_all("adapted", samples, |from, sample| {
        let mut text = String::new();
        for to in others(from) {
            for (what, adaptions) in adaptions(tool(from)) {
                let answer = if sample.name.ends_with(".txt") {
                    streamed_answer(undoing(adaptions, from, to, Delivery::Events), sample)
                } else {
                    whole_answer(undoing(adaptions, from, to, Delivery::Whole), sample)
                };
                writeln!(text, "=== {to}, {what}\n{}", answer.trim_end()).unwrap();
            }
        }
        text
    });
}
