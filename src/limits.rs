//! Spending limits as pure arithmetic: windows, and what may be spent in them. No clock, no store, no actor.

pub mod budget;
pub mod window;
