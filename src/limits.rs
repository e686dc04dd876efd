//! Spending limits as pure arithmetic: windows, what may be spent in them, and whose they are. No clock, no store, no actor.

pub mod budget;
pub mod counter;
pub mod scope;
pub mod window;
