//! OpenAI's list of models (`GET /v1/models`).

use bytes::Bytes;
use serde_json::{Value, json};

use crate::dialect::Listed;

/// The list.
pub fn list<'m>(models: impl IntoIterator<Item = Listed<'m>>) -> Bytes {
    let data: Vec<Value> = models.into_iter().map(|model| object(&model)).collect();
    Bytes::from(json!({ "object": "list", "data": data }).to_string())
}

/// One model.
pub fn one(model: &Listed<'_>) -> Bytes {
    Bytes::from(object(model).to_string())
}

fn object(model: &Listed<'_>) -> Value {
    json!({ "id": model.id, "object": "model", "created": model.created, "owned_by": model.provider })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn the_list_has_openais_shape() {
        let model = Listed {
            id: "gpt-4.1",
            provider: "openai",
            created: 1_744_316_542,
            display_name: "GPT-4.1",
            input_limit: None,
            output_limit: None,
        };
        let list = String::from_utf8(list([model]).to_vec()).unwrap();
        insta::assert_snapshot!(list, @r#"{"object":"list","data":[{"id":"gpt-4.1","object":"model","created":1744316542,"owned_by":"openai"}]}"#);
    }
}
