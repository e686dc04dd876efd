//! Calls of functions and custom tools.

use serde_json::Value;

use super::{Encoder, Open};
use crate::dialect::openai_responses::DIALECT;
use crate::dialect::openai_responses::decode::is_own;
use crate::dialect::openai_responses::encode::call_item;
use crate::dialect::openai_responses::stream::record::quoted;
use crate::ir::{Attach, CallKind, Content, Delta, Part};

impl Encoder {
    pub(super) fn call_start(&mut self, mut part: Part, out: &mut Vec<u8>) {
        self.close_message(out);
        let Content::ToolCall(call) = &mut part.content else { return };
        let first = std::mem::take(&mut call.arguments);
        let (call_id, prefix) = (call.id.clone(), if call.kind == CallKind::Custom { "ctc" } else { "fc" });
        // Callers that send thoughts back send them before the call.
        if let Some(seal) = part.seal.take() {
            self.capsule(&seal, Attach::Call(call_id), out);
        }
        let known = part.carry.field(DIALECT, "id").and_then(Value::as_str).map(str::to_owned);
        let id = known.unwrap_or_else(|| self.id(prefix));
        let open = Open::new(part, id);
        self.record.item_added(self.call(&open, "in_progress"), out);
        self.open = Some(open);
        self.delta(Delta::Arguments(first), out);
    }

    /// The item of the call that is being written.
    pub(super) fn call(&self, open: &Open, status: &str) -> Value {
        let Content::ToolCall(call) = &open.part.content else { return Value::Null };
        let (group, name) = self.groups.split(&call.name);
        let mut object = call_item(&open.part, call, group, name).with("id", open.id.as_str()).with("status", status);
        object.put_carried(&open.part.carry, DIALECT);
        object.into()
    }

    pub(super) fn call_stop(&mut self, out: &mut Vec<u8>) {
        let Some(open) = &self.open else { return };
        let Content::ToolCall(call) = &open.part.content else { return };
        if call.arguments.is_empty() && call.kind == CallKind::Function && !is_own(&open.part.carry) {
            // A call without arguments still has to parse as JSON.
            self.delta(Delta::Arguments("{}".to_owned()), out);
        }
        let Some(open) = &self.open else { return };
        let Content::ToolCall(call) = &open.part.content else { return };
        let arguments = quoted(&call.arguments);
        let (kind, call_id) = (call.kind, call.id.clone());
        let name = quoted(self.groups.split(&call.name).1);
        match kind {
            CallKind::Function => self.emit_in_item(
                "response.function_call_arguments.done",
                format_args!("\"name\":{name},\"arguments\":{arguments}"),
                out,
            ),
            CallKind::Custom => {
                let fields = format_args!("\"input\":{arguments}");
                self.emit_in_item("response.custom_tool_call_input.done", fields, out);
            }
        }
        let Some(open) = self.open.take() else { return };
        self.record.item_done(self.call(&open, "completed").to_string(), out);
        if let Some(seal) = &open.part.seal {
            self.capsule(seal, Attach::Call(call_id), out);
        }
    }
}
