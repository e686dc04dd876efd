//! OpenAI's errors on chat completions: `{"error": {"message", "type", "param", "code"}}`.

use serde_json::{Map, Value, json};

use crate::dialect::error::{ProviderError, Said, member};

pub(in crate::dialect) fn object(said: &Said<'_>) -> Map<String, Value> {
    let error = json!({
        "message": said.message,
        "type": said.type_name,
        "param": said.param,
        "code": said.code,
    });
    Map::from_iter([("error".to_owned(), error)])
}

pub(in crate::dialect) fn parse(status: u16, value: &Value) -> Option<ProviderError> {
    let error = value.get("error")?;
    Some(ProviderError {
        status,
        message: member(error, "message")?,
        kind: member(error, "type"),
        code: member(error, "code"),
        param: member(error, "param"),
    })
}
