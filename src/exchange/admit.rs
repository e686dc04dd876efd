//! Says whether a call may be made, from its body: what it asks for, and whether the product offers that.

use crate::config::Config;
use crate::dialect::peek::{self, Peek};
use crate::exchange::Call;
use crate::fault::{Fault, FaultKind};

/// What the body asks for, checked against what holds for everybody and for the product.
///
/// # Errors
/// 400 for a body that cannot be served; the sentence names the field.
pub fn request(call: &Call, config: &Config) -> Result<Peek, Fault> {
    let asked = peek::peek(call.dialect, call.operation, &call.body)?;
    if asked.background {
        return Err(Fault::new(
            FaultKind::UnsupportedParameter,
            "background answers are kept by the provider and cannot be metered here; leave out \"background\"",
        )
        .at("background"));
    }
    let stateful = config.products.get(call.product.as_str()).is_some_and(|product| product.stateful);
    if let Some(field) = asked.stateful.filter(|_| !stateful) {
        return Err(Fault::new(
            FaultKind::UnsupportedParameter,
            format!(
                "{field} names something that the provider keeps for an account that all teams share; send the content \
                 itself, or ask for stateful = true on product \"{}\"",
                call.product
            ),
        )
        .at(field));
    }
    Ok(asked)
}
