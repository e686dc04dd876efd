//! What a call looks like as an event: one `$ai_generation` for PostHog, one span for OpenTelemetry. And what a limit does that is
//! nearly used up.
//!
//! Plain data in, bytes out. When it runs, where events are kept and how they are sent is the business of
//! [`crate::actors::analytics`].

pub mod event;
pub mod generation;
pub mod pack;
pub mod warning;
