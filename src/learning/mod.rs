mod equity;
mod error;
#[cfg(test)]
mod fixture;
mod gates;
mod labels;
pub mod metrics;
mod progress;
mod rule;
mod series;
mod splits;
