//! Says whether a call may be made, from its body: what it asks for, and whether the product offers that.

use crate::auth::principal::Credential;
use crate::catalog::cost::{self, Passes, ServiceTier};
use crate::config::Config;
use crate::config::products::Product;
use crate::dialect::Dialect;
use crate::dialect::peek::{self, Peek};
use crate::dialect::tokens;
use crate::exchange::bill::Bill;
use crate::exchange::{Call, Gateway};
use crate::fault::{Fault, FaultKind};
use crate::limits::scope::Scope;

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

/// Who pays for a call: the team, and in it the end user whom the token, or else the caller, names.
pub fn scope(call: &Call, asked: &Peek) -> Scope {
    let named = match &call.principal.credential {
        Credential::OAuth { .. } => None,
        Credential::ApiKey { .. } => named_user(call, asked),
    };
    Scope::new(call.product.clone(), &call.principal, named)
}

/// Whom the caller says the call is for.
pub fn named_user<'c>(call: &'c Call, asked: &'c Peek) -> Option<&'c str> {
    match call.dialect {
        // Google's format has no field for it.
        Dialect::Gemini => call
            .headers
            .iter()
            .find(|(name, _)| name == "x-posthog-distinct-id")
            .and_then(|(_, value)| value.to_str().ok()),
        Dialect::OpenAiChat | Dialect::OpenAiResponses | Dialect::Anthropic => asked.end_user.as_deref(),
    }
}

/// The bill of a call that nothing was reserved for yet.
pub fn bill(call: &Call, asked: &Peek, scope: &Scope, product: Option<&Product>, gateway: &Gateway) -> Bill {
    let claims = product.map(|product| gateway.limiter.claims(scope, product)).unwrap_or_default();
    let request = cost::Request {
        bytes: tokens::weight(&call.body),
        max_output_tokens: asked.max_output_tokens,
        choices: asked.choices,
        tier: asked.service_tier.as_deref().map_or(ServiceTier::Standard, ServiceTier::from_word),
        passes: if asked.runs_tools { Passes::Many } else { Passes::One },
    };
    Bill::open(gateway.limiter.clone(), claims, request, call.operation)
}
