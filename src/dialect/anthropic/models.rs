//! Anthropic's list of models (`GET /v1/models` with `anthropic-version`).

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat};
use serde_json::{Value, json};

use crate::dialect::Listed;

/// The list, in one page: there are not so many.
pub fn list<'m>(models: impl IntoIterator<Item = Listed<'m>>) -> Bytes {
    let data: Vec<Value> = models.into_iter().map(|model| object(&model)).collect();
    let id = |model: Option<&Value>| model.and_then(|model| model.get("id")).cloned();
    let page = json!({
        "first_id": id(data.first()),
        "last_id": id(data.last()),
        "has_more": false,
        "data": data,
    });
    Bytes::from(page.to_string())
}

/// One model.
pub fn one(model: &Listed<'_>) -> Bytes {
    Bytes::from(object(model).to_string())
}

fn object(model: &Listed<'_>) -> Value {
    // Anthropic gives the epoch where it does not know, too.
    let created = DateTime::from_timestamp(model.created, 0).unwrap_or_default();
    json!({
        "type": "model",
        "id": model.id,
        "display_name": model.display_name,
        "created_at": created.to_rfc3339_opts(SecondsFormat::Secs, true),
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn model(id: &'static str, created: i64) -> Listed<'static> {
        Listed { id, provider: "x", created, display_name: "Name", input_limit: None, output_limit: None }
    }

    #[test]
    fn the_list_has_anthropics_shape_and_names_its_ends() {
        let list = list([model("claude-a", 1_747_180_800), model("gpt-b", 0)]);
        let page: Value = serde_json::from_slice(&list).unwrap();
        assert_eq!(
            page,
            json!({
                "data": [
                    { "type": "model", "id": "claude-a", "display_name": "Name", "created_at": "2025-05-14T00:00:00Z" },
                    { "type": "model", "id": "gpt-b", "display_name": "Name", "created_at": "1970-01-01T00:00:00Z" },
                ],
                "has_more": false,
                "first_id": "claude-a",
                "last_id": "gpt-b",
            })
        );
    }

    #[test]
    fn an_empty_list_has_no_ends() {
        let page: Value = serde_json::from_slice(&list([])).unwrap();
        assert_eq!(page, json!({ "data": [], "has_more": false, "first_id": null, "last_id": null }));
    }
}
