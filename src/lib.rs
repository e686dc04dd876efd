//! The LLM gateway: one binary between a company's products and Anthropic, OpenAI and Google Gemini.

pub mod actors;
pub mod analytics;
pub mod app;
pub mod auth;
pub mod catalog;
pub mod cli;
pub mod clock;
pub mod config;
pub mod dialect;
pub mod exchange;
pub mod fault;
pub mod http;
pub mod ids;
pub mod ir;
pub mod limits;
pub mod money;
pub mod sandbox;
pub mod store;
pub mod telemetry;
pub mod translate;
pub mod upstream;
