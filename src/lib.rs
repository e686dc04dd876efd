//! The LLM gateway: one binary between a company's products and Anthropic, OpenAI and Google Gemini.

pub mod actors;
pub mod auth;
pub mod catalog;
pub mod cli;
pub mod clock;
pub mod config;
pub mod dialect;
pub mod fault;
pub mod ids;
pub mod ir;
pub mod money;
pub mod store;
pub mod translate;
pub mod upstream;
