//! Huracan: a crypto trading engine in one binary with one data file.

pub mod domain;
pub mod learning;
pub mod market;
pub mod matching;
pub mod memory;
pub mod models;
pub mod protocol;
