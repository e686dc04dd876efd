//! Judges a written stream by the rules that OpenAI's accumulators and Codex count on.

use std::collections::BTreeMap;

use serde_json::Value;

struct Open {
    item: Value,
    /// Parts of a message and texts of thoughts, by the event family and their index: what has come, and whether it is done.
    texts: BTreeMap<(String, u64), (String, bool)>,
    arguments: String,
}

/// Every event has its name and the next number; items are added and done one after the other; pieces add up to what is
/// done; the last event repeats what was done.
pub(in crate::dialect::openai_responses) fn assert_legal(text: &str, name: &str) {
    let mut next = 0;
    let mut open: Option<Open> = None;
    let mut done: Vec<Value> = Vec::new();
    let mut last = None;
    for event in text.split("\n\n").filter(|event| !event.is_empty() && !event.starts_with(": ")) {
        assert!(last.is_none(), "{name}: {event} comes after the end");
        let (head, data) = event.split_once('\n').unwrap();
        let value: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        let kind = value["type"].as_str().unwrap();
        assert_eq!(head.strip_prefix("event: "), Some(kind), "{name}");
        assert_eq!(value["sequence_number"].as_u64(), Some(next), "{name}: {event}");
        next += 1;
        match kind {
            "response.created" => assert_eq!(next, 1, "{name}"),
            "response.in_progress" => assert_eq!(next, 2, "{name}"),
            "error" => {}
            "response.completed" | "response.incomplete" | "response.failed" => {
                assert_eq!(kind, format!("response.{}", value["response"]["status"].as_str().unwrap()), "{name}");
                assert_eq!(value["response"]["output"].as_array().unwrap(), &done, "{name}");
                for field in ["id", "created_at", "model", "object"] {
                    assert!(!value["response"][field].is_null(), "{name}: {field}");
                }
                assert!(kind == "response.failed" || open.is_none(), "{name}");
                last = Some(kind.to_owned());
            }
            "response.output_item.added" => {
                assert!(open.is_none(), "{name}: {event}");
                assert_eq!(value["output_index"].as_u64(), u64::try_from(done.len()).ok(), "{name}");
                open = Some(Open { item: value["item"].clone(), texts: BTreeMap::new(), arguments: String::new() });
            }
            "response.output_item.done" => {
                let open = open.take().unwrap();
                assert_eq!(value["item"]["id"], open.item["id"], "{name}");
                assert_eq!(value["item"]["type"], open.item["type"], "{name}");
                open.assert_adds_up(&value["item"], name);
                done.push(value["item"].clone());
            }
            _ => open.as_mut().unwrap_or_else(|| panic!("{name}: {event}")).piece(kind, &value, done.len(), name),
        }
    }
    assert!(last.is_some(), "{name} has no end");
}

impl Open {
    fn piece(&mut self, kind: &str, value: &Value, place: usize, name: &str) {
        assert_eq!(value["output_index"].as_u64(), u64::try_from(place).ok(), "{name}: {value}");
        assert_eq!(value["item_id"], self.item["id"], "{name}: {value}");
        let family = if kind.contains("summary") { "summary" } else { "content" };
        let index = value["summary_index"].as_u64().or(value["content_index"].as_u64()).unwrap_or(0);
        let key = (family.to_owned(), index);
        let text = |value: &Value| {
            let text = value["text"].as_str().or(value["refusal"].as_str());
            text.or(value["part"]["text"].as_str()).or(value["part"]["refusal"].as_str()).map(str::to_owned)
        };
        if kind.contains("arguments") || kind.contains("custom_tool_call_input") {
            match value["delta"].as_str() {
                Some(more) => self.arguments.push_str(more),
                None => {
                    let whole = value["arguments"].as_str().or(value["input"].as_str());
                    assert_eq!(whole, Some(self.arguments.as_str()), "{name}");
                }
            }
        } else if kind.ends_with("part.added") {
            let known = self.texts.insert(key, (text(value).unwrap_or_default(), false));
            assert!(known.is_none(), "{name}: {value}");
        } else if kind.ends_with(".delta") {
            let (known, is_done) = self.texts.get_mut(&key).unwrap_or_else(|| panic!("{name}: {value}"));
            assert!(!*is_done, "{name}: {value}");
            known.push_str(value["delta"].as_str().unwrap());
        } else if kind.ends_with("part.done") {
            let (known, is_done) = self.texts.get_mut(&key).unwrap();
            assert!(!std::mem::replace(is_done, true), "{name}: {value}");
            assert_eq!(text(value).unwrap_or_default(), *known, "{name}");
        } else if kind.ends_with("text.done") || kind.ends_with("refusal.done") {
            assert_eq!(text(value).unwrap(), self.texts[&key].0, "{name}");
        } else {
            assert!(
                kind == "response.output_text.annotation.added" || kind.starts_with("response.image_generation_call."),
                "{name}: {kind}"
            );
        }
    }

    /// The item that is done says what its pieces said.
    fn assert_adds_up(&self, item: &Value, name: &str) {
        assert!(self.texts.values().all(|(_, is_done)| *is_done), "{name}: {item}");
        for ((family, index), (text, _)) in &self.texts {
            let part = &item[family.as_str()][usize::try_from(*index).unwrap()];
            let whole = part["text"].as_str().or(part["refusal"].as_str()).unwrap_or_default();
            assert_eq!(whole, text, "{name}");
        }
        match item["type"].as_str().unwrap() {
            "function_call" => assert_eq!(item["arguments"].as_str(), Some(self.arguments.as_str()), "{name}"),
            "custom_tool_call" => assert_eq!(item["input"].as_str(), Some(self.arguments.as_str()), "{name}"),
            "message" => assert_eq!(item["content"].as_array().unwrap().len(), self.texts.len(), "{name}"),
            _ => {}
        }
    }
}
