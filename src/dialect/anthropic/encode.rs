//! Into Messages: a request for a provider, a whole answer for a caller.

mod answer;
mod foreign;
mod messages;
mod own;
mod schema;
mod thinking;

pub(super) use answer::{ThoughtBlock, call_seal, redacted_block, response, text_seal, thought_block};

use crate::dialect::{EncodedRequest, Target};
use crate::ir::Request;

/// Writes a request.
pub(super) fn request(request: &Request, target: &Target) -> EncodedRequest {
    if request.is_foreign_to(super::DIALECT) {
        foreign::request(request, target)
    } else {
        own::request(request, target)
    }
}
