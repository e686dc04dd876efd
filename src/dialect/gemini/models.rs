//! Google's list of models (`GET /v1beta/models`).

use bytes::Bytes;
use serde_json::{Value, json};

use crate::dialect::Listed;

/// The list, in one page.
pub fn list<'m>(models: impl IntoIterator<Item = Listed<'m>>) -> Bytes {
    let models: Vec<Value> = models.into_iter().map(|model| object(&model)).collect();
    Bytes::from(json!({ "models": models }).to_string())
}

/// One model.
pub fn one(model: &Listed<'_>) -> Bytes {
    Bytes::from(object(model).to_string())
}

fn object(model: &Listed<'_>) -> Value {
    let mut object = json!({ "name": format!("models/{}", model.id), "displayName": model.display_name });
    if let Some(limit) = model.input_limit {
        object["inputTokenLimit"] = limit.into();
    }
    if let Some(limit) = model.output_limit {
        object["outputTokenLimit"] = limit.into();
    }
    object["supportedGenerationMethods"] = json!(["generateContent", "streamGenerateContent", "countTokens"]);
    object
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn the_list_has_googles_shape() {
        let model = Listed {
            id: "gemini-2.5-pro",
            provider: "gemini",
            created: 0,
            display_name: "Gemini 2.5 Pro",
            input_limit: Some(1_048_576),
            output_limit: None,
        };
        let list = String::from_utf8(list([model]).to_vec()).unwrap();
        insta::assert_snapshot!(list, @r#"{"models":[{"name":"models/gemini-2.5-pro","displayName":"Gemini 2.5 Pro","inputTokenLimit":1048576,"supportedGenerationMethods":["generateContent","streamGenerateContent","countTokens"]}]}"#);
    }
}
