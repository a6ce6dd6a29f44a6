//! Huracan: a crypto trading engine in one binary with one data file.

pub mod app;
pub mod domain;
pub mod engine;
pub mod health;
pub mod learning;
pub mod market;
pub mod matching;
pub mod memory;
pub mod models;
pub mod protocol;
pub mod store;
pub mod trading;
pub mod tui;
pub mod venue;
