//! The outside: exchanges as they are reached over the wire.
//!
//! *Takes / gives*: orders and market data in domain words; sockets and wire formats stay inside.
//!
//! *Never*: decide anything; let a wire type escape.

pub mod exchange;
