//! Huracan: a crypto trading engine in one binary with one data file.

pub mod domain;
pub mod matching;
pub mod protocol;
pub mod venue;
