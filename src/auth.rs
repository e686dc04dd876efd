//! Who may call, decided without asking anybody: tokens as they are presented, what they allow, what products take.
//!
//! Looking a token up is not done here: see [`crate::actors::auth`].

pub mod access;
pub mod principal;
pub mod scope;
pub mod token;
