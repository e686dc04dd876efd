//! Namespaces of tools: Responses groups functions under a name (Codex: one group for each MCP server) and says the
//! group's name beside the function's in calls. Other dialects have flat names, so that here both are one name.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::DIALECT;
use crate::ir::{Carry, Request, Tool};

/// What stands between a group's name and a tool's.
const BETWEEN: &str = "__";

/// The one name of a tool in a group. A tool that was found by searching is its own group.
pub(super) fn flat(namespace: &str, name: &str) -> String {
    if namespace == name || namespace.is_empty() {
        return name.to_owned();
    }
    let between = if namespace.ends_with(BETWEEN) { "" } else { BETWEEN };
    format!("{namespace}{between}{name}")
}

/// Notes how a name was written.
pub(super) fn note(carry: &mut Carry, namespace: &str, name: &str) {
    carry.note(DIALECT, "namespace", json!([namespace, name]));
}

/// The group's name and the tool's own, as they were written.
pub(super) fn noted(carry: &Carry) -> Option<(&str, &str)> {
    let pair = carry.noted_as(DIALECT, "namespace")?;
    Some((pair.get(0).and_then(Value::as_str)?, pair.get(1).and_then(Value::as_str)?))
}

/// The groups in which a request's tools are.
#[derive(Clone, Debug, Default)]
pub(super) struct Namespaces(HashMap<String, (String, String)>);

impl Namespaces {
    /// Those of a request that came in this dialect.
    pub(super) fn of(request: &Request) -> Self {
        let grouped = request.tools.iter().filter_map(|tool| {
            let (carry, flat) = match tool {
                Tool::Function(tool) => (&tool.carry, &tool.name),
                Tool::Custom(tool) => (&tool.carry, &tool.name),
                Tool::Provider(_) => return None,
            };
            let (namespace, name) = noted(carry)?;
            Some((flat.clone(), (namespace.to_owned(), name.to_owned())))
        });
        Self(grouped.collect())
    }

    /// The group's name, if it is in one, and the tool's own.
    pub(super) fn split<'n>(&'n self, flat: &'n str) -> (Option<&'n str>, &'n str) {
        match self.0.get(flat) {
            Some((namespace, name)) => (Some(namespace), name),
            None => (None, flat),
        }
    }
}
